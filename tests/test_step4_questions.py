"""What the questions of step 4's core chapter say in numbers is what comes out when it is computed."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from coursekit.corpora import storyworld
from coursekit.corpora.storyworld.lexicon import lexicon
from coursekit.registry import Choice, find_step
from step1_tokenizer.model_solution import Tokenizer
from step2_model.model_solution import ModelOutput
from step3_pretrain.experiments import small
from step4_generate import model_solution as reference
from step4_generate.experiments import measuring

QUESTIONS = {question.id: question for question in find_step("4").questions}
BYTES = [bytes([byte]) for byte in range(256)]


def right(name: str) -> Choice:
    """Return the right choice of a question."""
    (choice,) = [choice for choice in QUESTIONS[f"4.q-{name}"].choices if choice.right]
    return choice


def law(*probabilities: float) -> torch.Tensor:
    """Return logits (1, V) of a law."""
    return torch.tensor([probabilities]).log()


def kept(cut: torch.Tensor) -> list[int]:
    """Return which tokens of one row are left."""
    return cut[0].isfinite().nonzero()[:, 0].tolist()


# What the computations below start from: the numbers of the prompts, in their order.
GIVEN: dict[str, list[float]] = {
    "reads": [9],
    "opinion": [26, 22, 20, 17, 15],
    "story": [31],
    "myopic": [60, 40, 40, 90],
    "window": [256, 300],
    "odds": [1, 4, 2],
    "nan": [2, 1, 32, 1, -40],
    "tail": [1, 90],
    "ties": [5, 3, 3, 1, 2],
    "fixed-k": [10, 30],
    "crossing": [0.5, 0.3, 0.15, 0.05, 0.9],
    "single": [97, 0.9],
    "temperature-p": [0.9, 1, 2],
    "twice": [4, 2, 0, 0.87, 0.12, 0.02],
    "entropy": [1.0, 5],
    "count": [10, 90, 4.1],
    "moving": [8, 8],
    "last": [12, 60],
    "repair": [80],
    "exam": [5, 30],
}


@pytest.mark.parametrize("name", GIVEN)
def test_the_numbers_of_a_prompt_are_those_that_are_computed_with(name: str) -> None:
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", QUESTIONS[f"4.q-{name}"].prompt)
    assert [float(number.replace(",", "")) for number in found] == GIVEN[name]


def test_the_right_choice_is_the_longest_in_at_most_four_of_ten_questions() -> None:
    asked = [question for name, question in QUESTIONS.items() if name.removeprefix("4.q-") in CORE]
    longest = [q.id for q in asked if max(q.choices, key=lambda choice: len(choice.text)).right]
    assert len(asked) == len(CORE) == 36
    assert len(longest) <= 0.4 * len(asked), longest


CORE = set(
    re.findall(r'ask\("4\.q-([^"]+)"\)', (find_step("4").chapters[0].source).read_text(encoding="utf-8"))
)


def test_a_decoder_answers_at_each_of_nine_positions() -> None:
    assert small.decoder(300)(torch.arange(9)[None]).logits.shape[1] == 9
    assert right("reads").text == "Nine rows, and only the last of them."


def test_of_five_names_a_greedy_choice_takes_one_and_draws_take_all() -> None:
    logits = law(0.26, 0.22, 0.2, 0.17, 0.15).expand(1_000, -1)
    assert set(reference.greedy(logits).tolist()) == {0}
    assert set(reference.sample(logits, 1.0, torch.Generator().manual_seed(0)).tolist()) == set(range(5))
    assert right("opinion").text == "The first, in every single story."


def test_thirty_one_nats_are_one_in_thirty_million_million() -> None:
    assert math.exp(31) == pytest.approx(3e13, rel=0.1)
    assert right("story").text == f"About 1 in {round(math.exp(31), -13):,.0f}."
    assert "3 · 10¹³" in right("story").response


def test_greedy_writes_the_pair_with_24_percent_where_there_is_one_with_36() -> None:
    assert right("myopic").response.startswith("Right: 36 % against 24 %.")
    assert (pytest.approx(0.24), pytest.approx(0.36)) == (0.6 * 0.4, 0.4 * 0.9)
    assert reference.greedy(law(0.6, 0.4)).tolist() == [0]


class Reader(torch.nn.Module):
    """A model that notes what it reads, and always wants token 0."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[int]] = []

    def forward(self, ids: torch.Tensor, cache: Any = None) -> ModelOutput:
        self.read.append(ids[0].tolist())
        return ModelOutput(torch.eye(4)[:1].expand(*ids.shape, 4), None, None)


def test_a_window_of_256_of_300_tokens_begins_at_token_45() -> None:
    model = Reader()
    reference.generate(model, torch.arange(1, 301)[None], 1, 256)
    assert model.read == [list(range(45, 301))]
    assert right("window").text == "Tokens 45 to 300."


def test_a_model_in_training_gives_other_logits_at_each_call() -> None:
    model = small.decoder(300, dropout=0.1).train()
    ids = torch.arange(20)[None]
    assert not torch.equal(model(ids).logits, model(ids).logits)
    first, again = (reference.generate(model, ids, 5, 64) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize(("temperature", "odds"), [(1.0, 4), (2.0, 2), (0.5, 16)])
def test_odds_are_raised_to_the_power_of_one_over_the_temperature(temperature: float, odds: float) -> None:
    p = reference.apply_temperature(law(0.8, 0.2), temperature).softmax(dim=-1)[0]
    assert (p[0] / p[1]).item() == pytest.approx(odds, rel=1e-5)
    assert right("odds").text == "Twice."
    assert "At temperature 0.5 it would be 16 times." in right("odds").response


def test_a_tiny_temperature_gives_nan_unless_the_largest_logit_goes_first() -> None:
    logits = torch.tensor([[2.0, 1.0]])
    assert (logits / 1e-40).isinf().all()
    assert (logits / 1e-40).softmax(dim=-1).isnan().all()
    assert reference.apply_temperature(logits, 1e-40).softmax(dim=-1).tolist() == [[1.0, 0.0]]
    assert right("nan").text.startswith("Not a number")


def test_draws_from_a_generator_of_ones_own_do_not_see_the_global_one() -> None:
    logits = torch.zeros(50, 9)
    first = reference.sample(logits, 1.0, torch.Generator().manual_seed(0))
    torch.rand(3)
    assert torch.equal(first, reference.sample(logits, 1.0, torch.Generator().manual_seed(0)))
    assert right("seed").text == "Nothing."


def test_ninety_draws_avoid_a_tail_of_one_percent_in_four_of_ten_texts() -> None:
    assert pytest.approx(0.40, abs=0.006) == 0.99**90
    assert measuring.expected_without(0.01, 90) == pytest.approx(0.99**90)
    assert right("tail").text == "About 40 %."


def test_what_is_tied_with_the_second_stays_and_ten_of_thirty_names_do() -> None:
    assert kept(reference.keep_top_k(torch.tensor([[5.0, 3.0, 3.0, 1.0]]), 2)) == [0, 1, 2]
    assert right("ties").text.startswith("Three")
    names = torch.cat([torch.linspace(1, 1.1, 30), torch.full((100,), -9.0)])[None]
    word = torch.cat([torch.tensor([9.0]), torch.linspace(-9, -8, 129)])[None]
    assert len(kept(reference.keep_top_k(names, 10))) == 30 - 20
    assert len(kept(reference.keep_top_k(word, 10))) == 1 + 9
    assert right("fixed-k").text == "It loses 20 names, and keeps 9 wrong words."


def test_top_p_keeps_the_token_that_crosses_and_one_that_is_enough_by_itself() -> None:
    assert kept(reference.keep_top_p(law(0.5, 0.3, 0.15, 0.05), 0.9)) == [0, 1, 2]
    assert right("crossing").text == "The first three."
    assert kept(reference.keep_top_p(law(0.97, 0.02, 0.01), 0.9)) == [0]
    assert right("single").text.startswith("That token alone")
    assert kept(reference.keep_top_p(law(0.8, 0.2), 0.5)) == [0]
    assert reference.greedy(law(0.8, 0.2)).tolist() == [0]
    assert right("repair").text == "None of them."


def test_a_higher_temperature_opens_top_p_and_leaves_the_ranks_of_top_k() -> None:
    logits = torch.randn(1, 200, generator=torch.Generator().manual_seed(0)) * 3
    hot = reference.apply_temperature(logits, 2.0)
    assert len(kept(reference.keep_top_p(hot, 0.9))) > len(kept(reference.keep_top_p(logits, 0.9)))
    assert right("temperature-p").text == "More."
    after = reference.apply_temperature(reference.keep_top_k(logits, 10), 2.0)
    assert kept(reference.keep_top_k(hot, 10)) == kept(after)
    torch.testing.assert_close(reference.keep_top_k(hot, 10).softmax(-1), after.softmax(-1))
    assert right("order").text.startswith("No")


def test_the_softmax_of_a_softmax_is_nearly_flat() -> None:
    once = torch.tensor([4.0, 2.0, 0.0]).softmax(dim=-1)
    assert once.tolist() == pytest.approx([0.87, 0.12, 0.02], abs=0.005)
    assert once.exp().tolist() == pytest.approx([2.4, 1.1, 1.0], abs=0.05)
    assert right("twice").text == f"In {100 * once.softmax(dim=-1)[0]:.0f} of 100 draws."


def test_five_equal_names_are_as_free_as_one_among_five() -> None:
    assert measuring.entropy(law(*[1 / 5] * 5)).exp().item() == pytest.approx(5)
    assert measuring.entropy(law(1.0, 0.0)).exp().item() == pytest.approx(1)


def read_in_all(way: str, prompt: int, new: int) -> int:
    """Return how many tokens a small decoder reads to write `new` ones."""
    model = small.decoder(300, max_seq_len=128).eval()
    with measuring.counted(model) as calls:
        if way == "plain":
            reference.generate(model, torch.zeros(1, prompt, dtype=torch.long), new, 128)
        else:
            list(reference.generate_cached(model, torch.zeros(1, prompt, dtype=torch.long), new, 128))
    return sum(calls)


def test_without_a_cache_4905_tokens_are_read_and_with_one_the_last_is_not() -> None:
    assert read_in_all("plain", 10, 90) == sum(range(10, 100))
    assert right("count").text == f"{read_in_all('plain', 10, 90):,}."
    assert right("last").text == f"{read_in_all('cached', 12, 60)}."


def test_a_loop_that_reads_two_tokens_writes_another_text_and_does_not_complain() -> None:
    model = small.decoder(300).eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ids = torch.arange(8)[None]
    wanted = reference.generate(model, ids, 20, 64)[0, 8:].tolist()
    cache, new, found = model.new_cache(), ids, []
    for _ in range(20):
        with torch.no_grad():
            token = reference.greedy(model(new, cache=cache).logits[:, -1])
        ids = torch.cat([ids, token[:, None]], dim=1)
        new = ids[:, -2:]
        found.append(int(token))
    assert found[0] == wanted[0]
    assert found != wanted
    assert right("off-by-one").text.startswith("The text is another one")


def shown_so_far(text: str, stops: tuple[str, ...]) -> tuple[str, int]:
    """Return what is shown once all of a text has come, before it ends, and how many ids were taken."""
    shown: list[str] = []
    seen: list[str] = []

    def ids() -> Iterator[int]:
        for byte in text.encode():
            seen.append("".join(shown))
            yield byte
        seen.append("".join(shown))

    for piece in reference.stream_text(ids(), BYTES, stops):
        shown.append(piece)
    return seen[-1], len(seen)


def test_a_face_decoded_byte_by_byte_is_four_signs_and_streamed_is_itself() -> None:
    assert [BYTES[b].decode(errors="replace") for b in "🙂".encode()] == ["\ufffd"] * 4
    assert list(reference.stream_text("🙂".encode(), BYTES)) == ["🙂"]
    assert right("half").text.startswith("Four signs")


def test_the_letter_that_may_begin_a_stop_string_is_held_back_and_nothing_else() -> None:
    assert shown_so_far("It is up to U", ("User:",))[0] == "It is up to "
    assert shown_so_far("It is up to Us", ("User:",))[0] == "It is up to "
    assert shown_so_far("It is up to Ut", ("User:",))[0] == "It is up to Ut"
    assert right("held").text == "Everything but the `U`."


def test_no_id_is_taken_behind_a_stop_string() -> None:
    assert shown_so_far("yes. User: and more", ("User:",))[1] == len("yes. User:")
    assert right("taken").text.startswith("The model would do one more step")


def test_five_of_thirty_people_can_want_something() -> None:
    words = lexicon(storyworld.DEFAULT_WORLD)
    assert len(words.cast["hero"]) == 5
    assert len(words.name.texts) == 30
    heroes = {text.split(" wanted ")[0].split()[-1] for text in told_plainly(400)}
    assert heroes == {name.strip() for name in words.cast["hero"]}
    assert right("exam").text == "In 1 of 5 cases."


def told_plainly(count: int) -> list[str]:
    """Return stories that begin by themselves."""
    texts = itertools.islice(storyworld.stories(), count)
    return [text for text in texts if not text.startswith(storyworld.USER)]


def test_a_special_token_is_one_id_and_as_plain_text_it_is_several() -> None:
    tokenizer = Tokenizer([], ["<|end|>"])
    assert len(tokenizer.encode("<|end|>", ["<|end|>"])) == 1
    assert len(tokenizer.encode("<|end|>", refuse=False)) == len("<|end|>")
    assert right("end-token").text.startswith("Yes")


def test_adding_up_to_a_random_number_draws_other_tokens_from_the_same_seed() -> None:
    logits = torch.zeros(200, 9)
    ours = reference.sample(logits, 1.0, torch.Generator().manual_seed(0))
    passed = torch.rand(200, 1, generator=torch.Generator().manual_seed(0))
    others = (logits.softmax(dim=-1).cumsum(dim=-1) < passed).sum(dim=-1)
    assert others.max() <= 8
    assert not torch.equal(ours, others)
    assert right("same-seed").text.startswith("No")
