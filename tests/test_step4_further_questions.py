"""What the further chapter of step 4, its questions and its explorers say in numbers is what comes out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from coursekit.registry import COURSE_ROOT, Choice, find_step
from step2_model.model_solution import ModelArgs, Transformer
from step3_pretrain import model_solution as trained
from step4_generate import explorers
from step4_generate import further_solution as further
from step4_generate import model_solution as reference
from step4_generate.experiments import further_drafts as drafts
from step4_generate.experiments import further_measures as measure
from step4_generate.experiments import speaking
from step4_generate.explorers.beams import search_tree
from step4_generate.explorers.speculation import DRAFTS, NEW

QUESTIONS = {question.id: question for question in find_step("4").questions}
CHAPTER = (COURSE_ROOT / "docs/tutorials/step4_generate_further.md").read_text(encoding="utf-8")


def right(name: str) -> Choice:
    """Return the right choice of a question."""
    (choice,) = [choice for choice in QUESTIONS[f"4.q-{name}"].choices if choice.right]
    return choice


def said(name: str) -> str:
    """Return everything that a question says."""
    question = QUESTIONS[f"4.q-{name}"]
    return " ".join([question.prompt, *(f"{c.text} {c.response}" for c in question.choices)])


# What the computations below start from: the numbers of the prompts, in their order.
GIVEN = {
    "minp-sure": [90, 4.7, 4, 1.3, 0.05],
    "minp-gap": [0.1],
    "minp-never": [1],
    "rep-sign": [2, 2],
    "rep-shift": [1, 0, 2, 0.5, 0, 6, 5],
    "count-sum": [3, 4, 0.5, 0.2],
    "count-whose": [0.3],
    "pad-side": [3, 5, 8, 8, 1],
    "pad-count": [3, 5, 8],
    "pad-waste": [3, 5, 8],
    "batch-place": [3],
    "batch-early": [5, 50],
    "score-count": [10],
    "score-eight": [1, 8],
    "score-windows": [20, 8, 4],
    "score-tokens": [12, 15],
    "beam-greedy": [0.6, 0.4, 0.5, 0.9],
    "beam-length": [2, 2, 4, 2.8, 0, 1],
    "draft-quarter": [0.8, 0.2],
    "draft-residual": [0.5, 0.3, 0.2, 0.2, 0.3, 0.5],
    "spec-mean": [0.8],
    "spec-cache": [10],
}


@pytest.mark.parametrize("name", GIVEN)
def test_the_numbers_of_a_prompt_are_those_that_are_computed_with(name: str) -> None:
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", QUESTIONS[f"4.q-{name}"].prompt)
    assert [float(number.rstrip(",").replace(",", "")) for number in found] == GIVEN[name]


def test_min_p_holds_each_token_against_the_best() -> None:
    logits = torch.tensor([[0.90, 0.047, 0.04, 0.013]]).log()
    kept = further.keep_min_p(logits, 0.05).isfinite()[0].tolist()
    assert kept == [True, True, False, False]
    assert right("minp-sure").text == "The best one and the one of 4.7 %."
    gap = float(re.findall(r"[\d.]+\d", right("minp-gap").text)[0])
    assert gap == pytest.approx(math.log(10), abs=0.01)
    pair = torch.tensor([[0.0, -math.log(10) + 0.001, -math.log(10) - 0.001]])
    assert further.keep_min_p(pair, 0.1).isfinite()[0].tolist() == [True, True, False]
    assert further.keep_min_p(torch.tensor([[1.0, 2.0, 2.0]]), 1).isfinite()[0].tolist() == [
        False,
        True,
        True,
    ]
    assert right("minp-never").text == "The most probable token, and its equals."


def test_what_min_p_cuts_depends_on_no_tail() -> None:
    few, many = torch.zeros(1, 5), torch.zeros(1, 500)
    for logits in (few, many):
        logits[0, 2:], logits[0, 0], logits[0, 1] = -2.5, 0.0, -2.2
        assert further.keep_min_p(logits, 0.1).isfinite().sum() == 2
    assert reference.keep_top_p(few, 0.9).isfinite().sum() < reference.keep_top_p(many, 0.9).isfinite().sum()


def test_the_penalties_do_to_logits_what_the_questions_say() -> None:
    seen = torch.tensor([[0]])
    law = torch.tensor([[-2.0, 0.0]])
    assert (law / torch.tensor([2.0, 1.0])).softmax(-1)[0, 0] > law.softmax(-1)[0, 0]
    assert right("rep-sign").text == "It becomes more probable."
    for logits, left in (([1.0, 0.0], [0.5, 0.0]), ([6.0, 5.0], [3.0, 5.0])):
        assert further.penalize_repetition(torch.tensor([logits]), seen, 2.0)[0].tolist() == left
    assert right("rep-shift").text.startswith("3 and 5")
    four = torch.tensor([[0, 0, 0, 0]])
    found = further.penalize_counts(torch.tensor([[3.0, 0.0]]), four, 0.5, 0.2)
    assert found[0, 0].item() == pytest.approx(float(right("count-sum").text[:-1]))
    assert {f"{3 - 0.5 - 0.2:.1f}.", f"{3 - 4 * 0.5 - 4 * 0.2:.1f}."} < {
        choice.text for choice in QUESTIONS["4.q-count-sum"].choices
    }
    assert math.exp(-10 * 0.3) == pytest.approx(1 / 20, rel=0.01)
    assert "a twentieth" in right("count-whose").text
    assert f"has taken {40 * 0.3:.0f} from its logit" in right("count-grows").response


def test_frequency_alone_presses_ever_harder() -> None:
    def left(times: int) -> list[float]:
        said = torch.zeros(1, times, dtype=torch.int64)
        logits = torch.tensor([[2.0, 1.0, 0.0]])
        laws = (
            further.penalize_repetition(logits, said, 1.3),
            further.penalize_counts(logits, said, frequency=0.5),
            further.penalize_counts(logits, said, presence=0.5),
        )
        return [law.softmax(-1)[0, 0].item() for law in laws]

    two, six = left(2), left(6)
    assert (six[0], six[2]) == (two[0], two[2])
    assert six[1] < two[1] / 4
    assert right("count-grows").text == "Frequency."
    odds = further.penalize_counts(torch.tensor([[7.0, 7.0]]), torch.tensor([[0]]), presence=math.log(2))
    assert odds.softmax(-1)[0, 0] / odds.softmax(-1)[0, 1] == pytest.approx(0.5)


def test_padding_is_counted_as_the_questions_say() -> None:
    ids, padding = further.pad_left([[1] * 3, [1] * 5, [1] * 8], 0)
    assert right("pad-count").text == "{}, {} and {}.".format(*padding.tolist())
    assert padding.sum() / ids.numel() == pytest.approx(1 / 3)
    assert right("pad-waste").text == "A third."
    assert f"{int(padding.sum())} of {ids.numel()}" in right("pad-waste").response
    assert (ids[:, -1] == 1).all()


def test_the_first_token_of_a_padded_prompt_stands_where_it_stands_alone() -> None:
    model = small_model()
    ids, padding = further.pad_left([[5, 6], [5, 6, 7, 8, 9]], 0)
    together = model(ids, padding=padding).logits[0, -1]
    torch.testing.assert_close(together, model(torch.tensor([[5, 6]])).logits[0, -1], atol=1e-5, rtol=1e-4)
    assert right("batch-place").text.startswith("0: as if its prompt stood alone")


def test_a_finished_row_is_read_on_with() -> None:
    model, read = small_model(64), list[int]()
    model.register_forward_pre_hook(lambda _, args: read.append(args[0].numel()))
    steps = iter(range(1, 51))

    def choose(logits: Tensor) -> Tensor:
        step = next(steps)
        return torch.tensor([9 if step >= 5 else 1, 9 if step >= 50 else 1])

    further.generate_batch(model, [[1, 2], [3, 4, 5]], 55, {9}, choose)
    assert len(read) == 50
    assert right("batch-early").text.startswith(f"{sum(read[1:])}: two in each of {len(read) - 1} steps")


class Table(nn.Module):
    """A model whose law depends on the last token alone, and which writes down what it reads."""

    def __init__(self, laws: Tensor) -> None:
        super().__init__()
        self.logits = laws.log()
        self.read: list[int] = []

    def forward(self, ids: Tensor) -> Any:
        self.read.append(ids.shape[1])
        return reference.ModelOutput(self.logits[ids], None, None)


def test_scores_are_counted_as_the_questions_say() -> None:
    even = Table(torch.full((8, 8), 1 / 8))
    scores = further.score(even, torch.arange(8).repeat(3)[:20], 8, 4)
    assert right("score-windows").text == f"{len(even.read)}."
    assert len(scores) == 19
    assert further.perplexity(scores) == pytest.approx(float(right("score-eight").text[:-1]))
    assert len(further.score(even, torch.arange(8).repeat(2)[:10], 8, 4)) == 9
    assert right("score-count").text.startswith("9:")
    assert f"{math.log(8):.2f}." in said("score-eight")


def test_two_beams_find_what_greedy_misses() -> None:
    laws = torch.full((5, 5), 1e-6)
    laws[0, 1], laws[0, 2], laws[1, 3], laws[1, 4], laws[2, 3] = 0.6, 0.4, 0.5, 0.5, 0.9
    model = Table(laws)

    def first(num_beams: int) -> list[int]:
        (best, *_) = further.beam_search(model, torch.tensor([0]), num_beams, 2, end_of_text=0)
        return best.ids

    assert [first(1)[0], first(2)[0]] == [1, 2]
    assert right("beam-greedy").text == "Greedy finds A, two beams find B."
    assert 0.4 * 0.9 > 0.6 * 0.5
    short, long = further.Beam([0] * 2, -2.0), further.Beam([0] * 4, -2.8)
    ahead = [max((short, long), key=lambda b: further.normalize(b, power).score) for power in (0.0, 1.0)]
    assert ahead == [short, long]
    assert right("beam-length").text == "A with 0, B with 1."


def test_drafts_are_accepted_as_the_questions_say() -> None:
    p, q = torch.tensor([0.2, 0.8]), torch.tensor([0.8, 0.2])
    generator = torch.Generator().manual_seed(0)
    kept = [
        len(further.accept_drafts(torch.tensor([0]), q[None], p.expand(2, -1), generator)) == 2
        for _ in range(4_000)
    ]
    assert sum(kept) / len(kept) == pytest.approx(0.25, abs=0.04)
    assert right("draft-quarter").text == "In a quarter of the cases."
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])
    assert "p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])" in CHAPTER
    residual = (p - q).clamp(min=0)
    assert (residual > 0).tolist() == [True, False, False]
    assert right("draft-residual").text == "The first one, always."
    torch.testing.assert_close(torch.minimum(p, q) + residual, p)
    same = further.accept_drafts(torch.tensor([0, 1, 2]), p.expand(3, -1), p.expand(4, -1), generator)
    assert len(same) == 4
    assert right("draft-same").text == "All are accepted, and one token more comes."


def test_a_round_brings_as_many_tokens_as_the_questions_say() -> None:
    assert right("spec-mean").text == f"About {drafts.expected_tokens(0.8, 4):.1f}."
    assert {f"About {1 + 4 * 0.8:.1f}.", f"About {drafts.expected_tokens(1.0, 4):.0f}."} < {
        choice.text for choice in QUESTIONS["4.q-spec-mean"].choices
    }
    assert drafts.expected_tokens(0.8, 0) == 1
    p = torch.tensor([0.5, 0.5])
    never = torch.tensor([[1.0, 0.0]]).expand(4, -1), torch.tensor([[0.0, 1.0]]).expand(5, -1)
    counts = {len(further.accept_drafts(torch.zeros(4, dtype=torch.int64), *never))}
    counts |= {len(further.accept_drafts(torch.tensor([0, 1, 0, 1]), p.expand(4, -1), p.expand(5, -1)))}
    assert right("spec-most").text == "{} and {}.".format(*sorted(counts))


def test_both_caches_hold_all_of_the_text_but_its_last_token(monkeypatch: pytest.MonkeyPatch) -> None:
    model, draft = small_model(seed=0), small_model(seed=1)
    kept, cut = list[int](), further.cut_cache

    def watched(cache: Any, length: int) -> None:
        cut(cache, length)
        kept.append(len(cache[0]))

    monkeypatch.setattr(further, "cut_cache", watched)
    monkeypatch.setattr(further, "accept_drafts", lambda drafts, *_: torch.cat([drafts[:2], drafts[:1]]))
    args = reference.SamplingArgs()
    further.generate_speculative(model, draft, torch.arange(10)[None], 6, 4, args)
    assert right("spec-cache").text == f"{kept[0]}."
    assert kept[:2] == [12, 12]


def small_model(room: int = 64, seed: int = 0) -> Transformer:
    """Return a model of 12 tokens that has learned nothing, but says something."""
    sizes: dict[str, Any] = {"d_model": 16, "n_layers": 2, "n_heads": 2, "n_kv_heads": 2, "attention": "gqa"}
    torch.manual_seed(seed)
    model = Transformer(ModelArgs(**sizes, intermediate_size=24, vocab_size=12, max_seq_len=room)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.5)
    return model


NAMES = [f"t{i}" for i in range(12)]


@pytest.mark.parametrize("num_beams", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_the_tree_of_the_explorer_is_the_search(num_beams: int, seed: int) -> None:
    model, prompt, end, steps = small_model(seed=seed), torch.tensor([3, 1, 4]), 5, 4
    tree = search_tree(model, prompt, num_beams, steps, end)
    texts, leaves = [list[int]()], list[tuple[float, list[int]]]()
    for step in tree:
        following = []
        for node in step:
            text = [*texts[node["parent"]], node["token"]]
            if node["state"] == "open":
                following.append(text)
            elif node["state"] == "ended":
                leaves.append((node["sum"] / len(text), text))
        texts = following
    leaves += [
        (node["sum"] / steps, text)
        for node, text in zip((n for n in tree[-1] if n["state"] == "open"), texts, strict=True)
    ]
    found = further.beam_search(model, prompt, num_beams, steps, end)
    best = sorted(leaves, key=lambda leaf: -leaf[0])[: len(found)]
    assert [text for _, text in best[:1]] == [beam.ids for beam in found[:1]]
    assert best[0][0] == pytest.approx(found[0].score, rel=1e-5)


def test_the_explorer_of_beams_says_what_the_search_finds() -> None:
    model, prompt = small_model(), torch.tensor([3, 1, 4])
    shown = explorers.beams(further, model, prompt, NAMES, 5)
    found = further.beam_search(model, prompt, 3, 6, 5)[0]
    text = "".join(NAMES[token] for token in found.ids)
    assert shown.values["found"][2] == {"text": text, "score": pytest.approx(found.score)}
    assert repr(text) in shown.says
    assert [len(tree) for tree in shown.values["trees"]] == [6, 6, 6, 6]
    for num_beams, tree in enumerate(shown.values["trees"], start=1):
        assert all(sum(node["state"] == "open" for node in step) == num_beams for step in tree[1:])
    data, _ = shown._repr_mimebundle_()
    assert data["image/png"]
    with pytest.raises(ValueError, match="names must be those of all 12 tokens, got 3"):
        explorers.beams(further, model, prompt, NAMES[:3], 5)


def test_the_explorer_of_drafts_counts_what_was_computed() -> None:
    model, draft, prompt = small_model(seed=0), small_model(seed=1), torch.tensor([[3, 1, 4]])
    shown = explorers.speculation(further, model, draft, prompt, NAMES)
    args = reference.SamplingArgs()
    for count, race in zip(DRAFTS, shown.values["races"], strict=True):
        generator = torch.Generator().manual_seed(0)
        text = further.generate_speculative(model, draft, prompt, NEW, count, args, generator)
        assert race["names"] == [NAMES[token] for token in text[0, 3:].tolist()]
        assert sum(race["brought"]) == NEW
        assert all(1 <= brought <= count + 1 for brought in race["brought"])
        assert len(race["read"]) == len(race["drafted"]) == len(race["brought"])
        assert race["read"][0] == 3 + race["drafted"][0]
        assert max(race["drafted"]) == count
    assert shown.values["races"][0]["brought"] == [1] * NEW
    same = explorers.speculation(further, model, small_model(seed=0), prompt, NAMES).values["races"][
        DRAFTS.index(4)
    ]
    assert same["brought"][:-1] == [5] * (len(same["brought"]) - 1), "its own drafts are all accepted"
    data, _ = shown._repr_mimebundle_()
    assert data["image/png"]


@pytest.fixture(scope="module")
def speaker() -> speaking.Speaker:
    """A speaker that has learned nothing: its tokenizer is that of stories."""
    return speaking.prepare(trained, num_stories=60)[0]


def test_a_draft_model_is_smaller_reads_as_far_and_learns(
    monkeypatch: pytest.MonkeyPatch, speaker: speaking.Speaker
) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=12")
    draft: Any = drafts.learn_draft(speaker)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (draft, speaker.model)]
    assert sizes[0] < sizes[1] / 3
    assert draft.args.max_seq_len == reference.context_length(speaker.model)
    ids = speaker.ids(speaking.held_out(1)[0])
    with torch.no_grad():
        assert draft(ids, labels=ids).loss < math.log(len(speaker.tokenizer)) - 1


def test_acceptance_is_one_for_equal_laws_and_the_overlap_for_others() -> None:
    ids = torch.tensor([[0, 1, 0]])
    p, q = torch.tensor([[0.5, 0.3, 0.2]] * 3), torch.tensor([[0.2, 0.3, 0.5]] * 3)
    assert drafts.acceptance(Table(p), Table(p), ids).tolist() == pytest.approx([1.0] * 3)
    assert drafts.acceptance(Table(p), Table(q), ids).tolist() == pytest.approx([0.7] * 3)


def test_the_shortcut_misses_the_law_and_the_rule_keeps_it() -> None:
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])

    def off(rule: Callable[..., Tensor]) -> float:
        found = measure.law_of_first(rule, p, q, draws=2_000)
        return max(abs(share - wanted) for share, wanted in zip(found, p.tolist(), strict=True))

    assert off(further.accept_drafts) < 0.05 < 0.08 < off(measure.without_residual)


def test_what_is_written_and_asked_is_of_the_kind_that_is_shown(
    monkeypatch: pytest.MonkeyPatch, speaker: speaking.Speaker
) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=5")
    options = further.SamplingOptions(repetition_penalty=1.1)
    assert len(measure.sampled(further, speaker, options, count=3)) == 3
    timid = measure.written(speaker, measure.hot(1e-30, lambda logits: logits), count=2)
    ids = speaker.ids()
    wanted = reference.generate(speaker.model, ids, 5, 256)  # type: ignore[arg-type]
    assert timid == [speaker.text(wanted)] * 2
    for asked in measure.questions(speaker, 3):
        text = speaker.tokenizer.decode(asked)
        assert text.endswith("<|assistant|>")
        assert text.count("<|user|>") == text.count("<|assistant|>") > 0
