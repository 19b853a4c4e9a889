"""What the questions of step 2 say in numbers is what comes out when it is computed."""

from __future__ import annotations

import math

import pytest
import torch

from coursekit.registry import Choice, find_step
from step2_model import model_solution as reference
from step2_model.experiments import ablation

QUESTIONS = {question.id: question for question in find_step("2").questions}


def right(name: str) -> Choice:
    """Return the right choice of a question."""
    (choice,) = [choice for choice in QUESTIONS[f"2.q-{name}"].choices if choice.right]
    return choice


def said(name: str) -> str:
    """Return everything that a question says."""
    question = QUESTIONS[f"2.q-{name}"]
    return " ".join([question.prompt, *(f"{c.text} {c.response}" for c in question.choices)])


def test_attention_by_hand_gives_what_the_question_says() -> None:
    scores = torch.tensor([0.0, 0.0, math.log(2)])
    mixed = reference.attend(scores[None], torch.tensor([[4.0], [8.0], [2.0]]), lambda weights: weights)
    assert float(right("byhand").text) == pytest.approx(mixed.item())


def test_the_weight_of_the_key_that_points_away_is_small_and_positive() -> None:
    keys = torch.tensor([[2.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [-2, 0, 0, 0]])
    scores = reference.attention_scores(torch.tensor([[2.0, 1, 0, 0]]), keys)[0]
    assert scores[-1] == -2
    assert f"Right: {scores.softmax(dim=-1)[-1]:.2f}." in right("negative").response


def test_undivided_scores_of_width_256_put_nearly_all_weight_on_one_key() -> None:
    bits = {}
    for width in (16, 256):
        q, k = (torch.randn(2_000, n, width, generator=torch.Generator().manual_seed(n)) for n in (1, 64))
        weights = (q @ k.mT).softmax(dim=-1)
        bits[width] = -(weights * weights.clamp_min(1e-30).log2()).sum(dim=-1).mean().item()
    assert f"about {bits[256]:.1f} bits" in right("soft").response
    assert f"At D = 16 it is about {bits[16]:.0f} bits" in said("soft")
    assert f"a factor of {math.exp(5):.0f}" in right("soft").response


def test_a_view_puts_the_second_half_of_position_0_into_row_1_of_head_0() -> None:
    features = torch.arange(24).view(1, 4, 6)  # position t has 6t to 6t + 5
    assert features.view(1, 2, 4, 3)[0, 0, 1].tolist() == features[0, 0, 3:6].tolist()
    assert right("view").text == "Features 3 to 5 of position 0."
    assert sorted(set((features.view(1, 2, 4, 3)[0, 0] // 6).flatten().tolist())) == [0, 1]


def test_the_second_of_two_late_queries_is_the_last_and_the_first_reads_five_keys() -> None:
    mask = reference.apply_causal_mask(torch.zeros(2, 6)).exp()
    assert right("late").text.startswith(f"{int(mask[0].sum())}, ")


def test_float32_cannot_hold_the_exponential_of_100() -> None:
    z = torch.tensor([100.0, 99.0, -50.0])
    assert z.exp().sum().log().item() == math.inf
    assert right("overflow").text == "Infinity."
    assert f"{torch.logsumexp(z, 0):.2f}, the right answer" in said("overflow")


def test_logits_five_and_three_are_e_squared_apart() -> None:
    assert f"e², about {math.exp(2):.1f}" in right("odds").text


def test_dividing_by_a_half_makes_four_to_one_sixteen_to_one() -> None:
    for temperature, name in ((0.5, "94 % and 6 %."), (2.0, "67 % and 33 %.")):
        law = (torch.tensor([0.8, 0.2]).log() / temperature).softmax(dim=-1)
        assert name == f"{law[0]:.0%} and {law[1]:.0%}.".replace("%", " %")
        assert name in said("temperature")
    assert right("temperature").text == "94 % and 6 %."


def test_the_first_model_of_the_page_has_as_many_weights_as_the_question_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=1")
    model, held_out, _ = ablation.first_model()
    assert f"This model has {reference.count_parameters(model.config):,} of them" in right("where").response
    share = torch.bincount(held_out.long()).double() / len(held_out)
    nats = -(share * share.clamp_min(1e-30).log()).sum().item()
    assert nats == pytest.approx(3.1, abs=0.15), (
        "what the frequencies alone cost; the library differs a little"
    )
    assert "costs 3.1 nats" in right("steep").response


def test_twice_the_width_is_four_times_the_blocks_and_twice_the_tables() -> None:
    def blocks_and_tables(width: int) -> tuple[int, int]:
        config = reference.GPTConfig(n_embd=width)
        tables = (config.vocab_size + config.block_size) * width
        return reference.count_parameters(config) - tables - 2 * width, tables

    (blocks, tables), (more, wider) = blocks_and_tables(768), blocks_and_tables(1536)
    assert (round(more / blocks), wider / tables) == (4, 2)
    assert right("wider").text == "Blocks by 4, tables by 2."
    assert f"{50_257 * 768 / 1e6:.1f} million" in right("tied").response


def test_a_mean_that_divides_by_padding_is_half_of_what_it_should_be() -> None:
    logits, labels = torch.randn(1, 9, 5, generator=torch.Generator().manual_seed(0)), torch.ones(1, 9).long()
    labels[:, 5:] = -100
    true = reference.next_token_loss(logits, labels)
    picked = -logits[0, :-1].log_softmax(dim=-1)[range(4), labels[0, 1:5]].sum() / 8
    assert picked / true == pytest.approx(0.5)
    assert right("padding").text == "Half of what it should be."
