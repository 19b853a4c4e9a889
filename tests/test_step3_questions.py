"""What the questions of step 3's core chapter say in numbers is what comes out when it is computed."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch

from coursekit.corpora import storyworld
from coursekit.registry import Choice, find_step
from step3_pretrain import model_solution as reference
from step3_pretrain.experiments import faults, optimizing, small
from step3_pretrain.explorers import optimizer, schedule
from step3_pretrain.explorers.optimizer import CURVATURE

QUESTIONS = {question.id: question for question in find_step("3").questions}


@pytest.fixture(scope="module")
def lesson() -> small.Lesson:
    """A few stories, with the vocabulary of the chapter."""
    return small.prepare(reference, num_stories=120, num_held_out=12)


def right(name: str) -> Choice:
    """Return the right choice of a question."""
    (choice,) = [choice for choice in QUESTIONS[f"3.q-{name}"].choices if choice.right]
    return choice


def said(name: str) -> str:
    """Return everything that a question says."""
    question = QUESTIONS[f"3.q-{name}"]
    return " ".join([question.prompt, *(f"{c.text} {c.response}" for c in question.choices)])


# What the computations below start from: the numbers of the prompts, in their order.
GIVEN: dict[str, list[float]] = {
    "first-loss": [512],
    "places": [1_000, 64],
    "tokens": [1.2, 3, 4],
    "means": [1_000, 1, 10, 3],
    "gap": [0.38, 0.19],
    "spike": [1, 30],
    "each-tensor": [3, 4, 1],
    "valley": [40],
    "bias": [0.9, 0.999, 0.1, 0.001, 1],
    "memory": [1, 32],
    "resumed-schedule": [1_000, 600, 0],
}


@pytest.mark.parametrize("name", GIVEN)
def test_the_numbers_of_a_prompt_are_those_that_are_computed_with(name: str) -> None:
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", QUESTIONS[f"3.q-{name}"].prompt)
    assert [float(number.replace(",", "")) for number in found] == GIVEN[name]


def test_a_name_is_drawn_among_five_and_costs_the_law_ln_5() -> None:
    text = next(text for text in storyworld.stories(0) if not text.startswith(storyworld.USER))
    name = next(span for span in storyworld.read(text).spans if span.name == "person")
    assert -name.log_prob == pytest.approx(math.log(5))
    assert right("floor").text.startswith("By ln 5,")
    assert f"{math.log(5):.1f} nats" in right("floor").response


def test_the_first_loss_is_ln_512(lesson: small.Lesson) -> None:
    model = small.decoder(512)
    ids = reference.sample_blocks(lesson.stream, small.BLOCK, small.BATCH, 0, 0)
    assert model(ids, labels=ids).loss.item() == pytest.approx(math.log(512), abs=0.05)
    assert right("first-loss").text == f"{math.log(512):.2f} nats."
    assert math.exp(-0.51) == pytest.approx(0.6, abs=0.005)


def test_a_block_of_64_fits_at_937_places_of_a_stream_of_1000() -> None:
    places = {
        int(start)
        for step in range(400)
        for start in reference.sample_blocks(torch.arange(1_000), 64, 32, 0, step)[:, 0]
    }
    assert right("places").text == f"{max(places) + 1}."
    assert min(places) == 0
    assert "places 0 to 936" in right("places").response


def test_the_sum_of_seed_and_step_gives_two_runs_the_same_batches() -> None:
    def draw(seed: int, step: int) -> Any:
        return reference.sample_blocks(torch.arange(99), 8, 4, seed + step, 0).tolist()

    assert [draw(0, step + 1) for step in range(5)] == [draw(1, step) for step in range(5)]
    assert right("seeds").text == "Nearly every batch, one step apart."


def test_the_first_token_lies_in_one_block_and_a_middle_one_in_as_many_as_a_block_has_tokens() -> None:
    starts = torch.arange(1_000 - 64 + 1)
    assert int(((starts <= 0) & (starts + 64 > 0)).sum()) == 1
    assert int(((starts <= 500) & (starts + 64 > 500)).sum()) == 64
    assert "one in the middle is in 64 of them" in right("edges").response


def test_a_loss_per_token_of_longer_tokens_is_less_per_byte() -> None:
    first, second = 1.2 / 3, 1.2 / 4
    assert f"{second:.1f} nats per byte against {first:.1f}" in right("tokens").response
    assert 1 - second / first == pytest.approx(0.25)


def test_the_mean_over_all_tokens_is_not_the_mean_of_means() -> None:
    assert right("means").text == f"{(1_000 * 1 + 10 * 3) / 1_010:.2f}."
    assert "the mean of the two means would be 2" in right("means").response.lower()


def test_both_forms_of_decay_of_the_rate_have_a_mean_of_a_half() -> None:
    total = 10_000
    cosine = [reference.learning_rate(step, 1.0, 0, total, 0.0) for step in range(total)]
    assert sum(cosine) / total == pytest.approx(0.5, abs=1e-3)
    assert sum(1 - step / total for step in range(total)) / total == pytest.approx(0.5, abs=1e-3)
    assert right("average").text == "A half, and a half."


def test_a_resumed_run_that_counts_from_0_is_back_at_the_peak() -> None:
    late, again = (reference.learning_rate(step, 1.0, 50, 1_000) for step in (600, 49))
    assert again == 1.0
    assert late < 0.6


def test_clipping_together_keeps_the_direction_and_by_itself_does_not() -> None:
    together = torch.tensor([3.0, 4.0]) / 5
    assert right("each-tensor").text == f"{together[0]:.1f} and {together[1]:.1f}; 1 and 1."
    assert f"{math.sqrt(2):.2f} long" in right("each-tensor").response


def test_a_rate_that_is_stable_across_goes_a_twentieth_of_the_way_along() -> None:
    assert [CURVATURE[1] / CURVATURE[0]] == GIVEN["valley"]
    assert 2 / 40 == 1 / 20
    assert right("valley").text == "By a twentieth of the way at most."


def test_an_uncorrected_first_move_is_three_times_too_long() -> None:
    first = optimizing.uncorrected_moves(torch.ones(1), lr=1.0)
    assert right("bias").text == f"About {-first.item():.1f}."
    assert optimizing.moves(reference, torch.ones(1), lr=1.0).item() == pytest.approx(-1.0)
    assert 1 / math.sqrt(0.001) == pytest.approx(32, abs=0.5)


def test_adam_moves_along_and_across_equally_far_at_first() -> None:
    array = optimizer(reference, 2).arrays["paths"]
    paths = np.frombuffer(array["data"], "<f4").reshape(array["shape"])
    moves = abs(paths[2, 1] - paths[2, 0])
    assert moves[0] == pytest.approx(moves[1], rel=1e-4)
    assert right("first-move").text == "Equally long."


def test_decay_through_the_gradient_spares_weights_with_large_gradients() -> None:
    sizes = torch.tensor([0.01, 10.0]).repeat_interleave(100)
    through = optimizing.decayed(reference, sizes, decoupled=False).view(2, 100).mean(dim=1)
    beside = optimizing.decayed(reference, sizes, decoupled=True).view(2, 100).mean(dim=1)
    assert through[1] > 0.95
    assert through[0] < 0.05
    assert beside[0] == pytest.approx(beside[1].item(), abs=0.05)
    assert right("decoupled").text == "Those with large gradients."


def test_weights_gradients_and_both_means_are_four_times_the_weights() -> None:
    weight = torch.nn.Parameter(torch.ones(5))
    weight.grad = torch.ones(5)
    kept = reference.AdamW([weight])
    kept.step()
    held = [value for value in kept.state[weight].values() if isinstance(value, torch.Tensor)]
    assert 2 + sum(value.numel() for value in held) // 5 == 4
    assert right("memory").text == "4 GiB."


def test_gradients_cleared_before_they_are_used_change_nothing_but_by_decay() -> None:
    model = small.decoder(300)
    before = [parameter.clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), 0.1, weight_decay=0.0)
    ids = torch.arange(64).view(2, 32)
    model(ids, labels=ids).loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
    assert right("zero").text.startswith("Nothing")


def test_the_letters_of_the_hunt_stand_for_the_faults_that_the_questions_name() -> None:
    told = {
        "a": ("step 0", 3),
        "b": ("same batch", 0),
        "c": ("decay", 5),
        "d": ("padding", 2),
        "e": ("root", 4),
        "f": ("shifted twice", 1),
    }
    for place, (letter, (word, number)) in enumerate(told.items()):
        assert word in right(f"run-{letter}").text
        assert faults.ORDER[place] == number
    peak = reference.learning_rate(0, 1.0, faults.WARMUP, faults.STEPS)
    assert peak == 1 / 15
    assert "a fifteenth of the peak" in right("run-a").response


def test_the_schedule_of_the_explorer_is_that_of_the_module() -> None:
    assert "down to 0.0003" in schedule(reference).says
