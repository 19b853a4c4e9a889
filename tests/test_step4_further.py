"""Step 4, further: min-p, penalties, batches, scores, beams and drafts agree with libraries and by search."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

import step4_generate.further_solution as further
from coursekit.judging.compare import measure
from coursekit.judging.loader import implementation, load_file, load_marked
from coursekit.judging.smallest import named, smallest_failing
from coursekit.probe import Rng, law, marked, redraw
from coursekit.registry import COURSE_ROOT, load_step
from coursekit.workers.tasks import _cases as run_cases
from step2_model.exchange.export import export
from step2_model.model_solution import (
    GPT,
    GPTConfig,
    GrowingCache,
    KVCache,
    ModelArgs,
    ModelOutput,
    Transformer,
)
from step4_generate.checks.echo import draw_echo
from step4_generate.mistakes import further_accepting
from step4_generate.model_solution import SamplingArgs, generate, next_token

STEP4 = load_step(Path(__file__).parent.parent / "step4_generate")
EXERCISES = [exercise.id for exercise in STEP4.of_trio("further")]
# Of 20 rows of logits each: 2,000.
EXAMPLES = settings(max_examples=100, deadline=None)
SEEDS = st.integers(0, 2**31)
PENALTIES = st.sampled_from([-1.0, -0.25, 0.0, 0.5, 0.75])
V = 9
ENDED = 7


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    yield
    logging.disable(before)


def decoder(seed: int = 0, **changes: Any) -> Transformer:
    sizes = {"vocab_size": 23, "d_model": 24, "n_layers": 2, "n_heads": 6, "n_kv_heads": 3}
    sizes |= {"intermediate_size": 40, "max_seq_len": 48, "attention": "gqa"}
    model: Transformer = redraw(Transformer(ModelArgs(**(sizes | changes))), Rng(seed))
    return model.eval()


def opened(model: Transformer, folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(export(model, folder), dtype="auto").eval()


# --- 4.7 and 4.8


def rows_of(seed: int) -> Tensor:
    """Return 20 rows of logits in quarters: ties are frequent, and exact."""
    return Rng(seed).integers(-20, 21, 20, V) / 4


def texts_of(seed: int, length: int, fillers: int) -> tuple[Tensor, Tensor]:
    """Return 20 texts behind up to so many fillers, which are tokens of some of them, and the padding."""
    rng = Rng(seed + 1)
    ids, padding = rng.integers(0, V, 20, length + fillers), rng.integers(0, fillers + 1, 20)
    return ids.where(torch.arange(length + fillers) >= padding[:, None], 3), padding


@EXAMPLES
@given(SEEDS, st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.5, 1.0])))
def test_min_p_is_that_of_transformers(seed: int, min_p: float) -> None:
    logits = rows_of(seed)
    found = further.keep_min_p(logits, min_p)
    assert torch.equal(found, MinPLogitsWarper(min_p)(None, logits))
    assert (logits == logits.amax(dim=1, keepdim=True)).sum() >= 20
    assert found.isinf().any() or min_p < 0.01


@pytest.mark.parametrize("fillers", [0, 5])
@EXAMPLES
@given(SEEDS, st.floats(0.1, 10), st.integers(1, 8))
def test_the_repetition_penalty_is_that_of_transformers(
    fillers: int, seed: int, penalty: float, length: int
) -> None:
    logits, (ids, padding) = rows_of(seed), texts_of(seed, length, fillers)
    found = further.penalize_repetition(logits, ids, penalty, padding if fillers else None)
    theirs = RepetitionPenaltyLogitsProcessor(penalty, prompt_ignore_length=padding if fillers else None)
    assert torch.equal(found, theirs(ids, logits.clone()))
    assert penalty == 1 or not torch.equal(found, logits)


@EXAMPLES
@given(SEEDS, PENALTIES, PENALTIES, st.integers(1, 8), st.integers(0, 3))
def test_frequency_and_presence_follow_their_formula(
    seed: int, frequency: float, presence: float, length: int, fillers: int
) -> None:
    logits, (ids, padding) = rows_of(seed), texts_of(seed, length, fillers)
    found = further.penalize_counts(logits, ids, frequency, presence, padding)
    for row, text, start, penalized in zip(logits.tolist(), ids.tolist(), padding.tolist(), found.tolist()):
        counts = Counter(text[start:])
        wanted = [x - frequency * counts[j] - presence * (counts[j] > 0) for j, x in enumerate(row)]
        assert penalized == wanted
    assert frequency == presence == 0 or frequency == -presence or not torch.equal(found, logits)


def test_rows_of_the_parity_tests_have_ties_at_the_top_and_both_signs() -> None:
    logits = torch.cat([rows_of(seed) for seed in range(100)])
    assert len(logits) == 2_000
    assert ((logits == logits.amax(dim=1, keepdim=True)).sum(dim=1) > 1).sum() > 100
    assert min((logits < 0).sum(), (logits == 0).sum(), (logits > 0).sum()) > 100


def test_a_sampler_draws_the_tokens_of_the_library_in_its_order() -> None:
    changed = 0
    for seed in range(300):
        rng = Rng(seed)
        ids, logits = rng.integers(0, 30, 4, 7), rng.normal(4, 30, std=3.0)
        options = further.SamplingOptions(0.7, top_k=9, top_p=0.9, min_p=0.05, repetition_penalty=1.4)
        sampler = further.Sampler(options, ids, torch.Generator().manual_seed(seed))
        theirs = LogitsProcessorList(
            [
                RepetitionPenaltyLogitsProcessor(1.4),
                TemperatureLogitsWarper(0.7),
                TopKLogitsWarper(9),
                TopPLogitsWarper(0.9),
                MinPLogitsWarper(0.05),
            ]
        )
        chosen = theirs(ids, logits.clone())
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.multinomial(chosen.softmax(dim=-1), 1, generator=generator).squeeze(1)
        assert torch.equal(sampler(logits), drawn)
        assert torch.equal(sampler.ids, torch.cat([ids, drawn[:, None]], dim=1))
        changed += int((drawn != logits.argmax(dim=-1)).sum())
    assert changed > 100


def test_a_sampler_penalizes_what_it_has_said_itself_and_is_greedy_at_zero() -> None:
    options = further.SamplingOptions(temperature=0.0, frequency_penalty=1.0, presence_penalty=0.5)
    sampler = further.Sampler(options, torch.tensor([[0, 0, 0, 0]]))
    logits = torch.tensor([[3.2, 2.0, 0.0]])
    assert [int(sampler(logits)) for _ in range(5)] == [0, 1, 0, 0, 1]
    wrong = [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"min_p": 2.0}, {"repetition_penalty": 0.0}]
    for setting in (*wrong, {"frequency_penalty": float("nan")}, {"presence_penalty": float("inf")}):
        (name,) = setting
        with pytest.raises(ValueError, match=name):
            further.SamplingOptions(**setting)


# --- 4.9


@pytest.mark.parametrize("attention", ["gqa", "mla"])
def test_rows_of_a_batch_are_those_of_each_prompt_alone(attention: str) -> None:
    model, lengths = decoder(attention=attention), set()
    for seed in range(8):
        rng = Rng(seed)
        prompts = [rng.integers(0, 23, length).tolist() for length in (3, 11, 1, 6, 11)]
        stops = rng.integers(0, 23, 3).tolist()
        rows = further.generate_batch(model, prompts, 20, stops)
        for prompt, row in zip(prompts, rows, strict=True):
            text = generate(model, torch.tensor([prompt]), 20, 48)[0, len(prompt) :].tolist()
            end = next((at for at, token in enumerate(text) if token in stops), 20)
            assert row == text[:end]
            lengths.add(end)
    assert len(lengths) > 3


def test_a_batch_is_that_of_transformers_with_left_padding(tmp_path: Path) -> None:
    model = decoder()
    theirs, rng = opened(model, tmp_path), Rng(5)
    prompts = [rng.integers(0, 23, length).tolist() for length in (2, 9, 5)]
    ids, padding = further.pad_left(prompts, 0)
    mask = (torch.arange(ids.shape[1]) >= padding[:, None]).long()
    found = theirs.generate(
        ids, attention_mask=mask, do_sample=False, max_new_tokens=15, eos_token_id=None, pad_token_id=0
    )
    assert further.generate_batch(model, prompts, 15, []) == found[:, ids.shape[1] :].tolist()


# --- 4.10


def test_every_token_is_scored_once_with_the_context_that_the_stride_gives() -> None:
    model = decoder()
    for length, window, stride in itertools.product((1, 2, 9, 10, 11, 30), (2, 10), (1, 4, 9)):
        if stride >= window:
            continue
        ids = Rng(length).integers(0, 23, length)
        found = further.score(model, ids, window, stride)
        wanted = []
        for t in range(1, length):
            # The first window that reaches token t begins here.
            start = max(0, -(-(t + 1 - window) // stride)) * stride
            logits = model(ids[None, start:t]).logits[0, -1].detach()
            wanted.append(float(-F.cross_entropy(logits, ids[t])))
        assert found.shape == (length - 1,)
        torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-4)


# --- 4.11


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.6, 1.0, 2.0, -0.5]))
def test_with_room_for_all_beams_the_search_finds_what_trying_everything_finds(
    seed: int, penalty: float
) -> None:
    model, ids, length, end = draw_echo(Rng(seed), V=3, length=8), torch.tensor([1, 0]), 4, 2
    texts = [text for n in range(1, length + 1) for text in itertools.product(range(3), repeat=n)]
    whole = [t for t in texts if end not in t[:-1] and (t[-1] == end or len(t) == length)]
    scores = []
    for text in whole:
        sequence = torch.cat([ids, torch.tensor(text)])
        scores.append(float(further.score(model, sequence, 8, 7)[1:].sum()) / len(text) ** penalty)
    found = further.beam_search(model, ids, 100, length, end, penalty)
    assert {tuple(beam.ids) for beam in found} == set(whole)
    ranked = sorted(scores, reverse=True)
    torch.testing.assert_close([beam.score for beam in found], ranked, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.5, -1.0])
def test_beams_are_those_of_transformers(penalty: float, tmp_path: Path) -> None:
    model = decoder(3)
    theirs, lengths = opened(model, tmp_path), set()
    for seed, count in itertools.product(range(6), (1, 2, 5)):
        ids = Rng(seed).integers(0, 23, 4)
        if count > 1:
            found = further.beam_search(model, ids, count, 8, ENDED, penalty)
            wanted = theirs.generate(
                ids[None],
                do_sample=False,
                num_beams=count,
                num_return_sequences=count,
                max_new_tokens=8,
                eos_token_id=ENDED,
                pad_token_id=ENDED,
                early_stopping="never",
                length_penalty=penalty,
                output_scores=True,
                return_dict_in_generate=True,
            )
            scores = torch.tensor([beam.score for beam in found])
            torch.testing.assert_close(scores, wanted.sequences_scores, rtol=1e-4, atol=1e-4)
            for beam, row in zip(found, wanted.sequences[:, 4:].tolist(), strict=True):
                assert beam.ids == row[: len(beam.ids)]
                assert set(row[len(beam.ids) :]) <= {ENDED}
                lengths.add(len(beam.ids))
        else:
            (beam,) = further.beam_search(model, ids, 1, 8, 99, penalty)
            assert beam.ids == generate(model, ids[None], 8, 48)[0, 4:].tolist()
    # A large penalty makes all of them as long as they may be.
    assert len(lengths) > 1 or penalty > 1


# --- 4.12


class Lengths(KVCache):
    """A cache of a model that needs no past: it counts."""

    def append(self, k: Tensor, v: Tensor) -> None:
        self.length += k.shape[-1]


class Circle(torch.nn.Module):
    """Draws how far the next token is from the last one, around a circle, from one law."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(table.log())
        self.args = ModelArgs(max_seq_len=100_000)

    def forward(self, ids: Tensor, cache: Any = None) -> ModelOutput:
        if cache is not None:
            cache[0].append(ids, ids)
        return ModelOutput(self.table[ids], None, None)

    def new_cache(self) -> list[Lengths]:
        return [Lengths()]


STEPS = torch.tensor([0.45, 0.3, 0.2, 0.05])
TEXTS, NEW = 50, 1_001


def circles() -> tuple[Circle, Circle]:
    """Return a model whose steps around a circle of four follow STEPS, and one that drafts otherwise."""
    model = Circle(torch.stack([STEPS.roll(s) for s in range(4)]))
    draft = Circle(torch.tensor([[4, 3, 2, 1], [1, 6, 2, 1], [2, 2, 3, 3], [7, 1, 1, 1]]) / 10)
    return model, draft


def steps_of(write: Callable[[torch.Generator], Tensor]) -> Tensor:
    """Return the steps that TEXTS texts go, 50,000 in all."""
    rows = [write(torch.Generator().manual_seed(seed))[0].diff() % 4 for seed in range(TEXTS)]
    return torch.cat([row[: NEW - 1] for row in rows])


def plain(generator: torch.Generator) -> Tensor:
    model, _ = circles()
    ids = torch.zeros(1, 1, dtype=torch.int64)
    with torch.no_grad():
        for _ in range(NEW):
            drawn = next_token(model(ids[:, -1:]).logits[:, -1], SamplingArgs(), generator)
            ids = torch.cat([ids, drawn[:, None]], dim=1)
    return ids


def speculative(generator: torch.Generator) -> Tensor:
    model, draft = circles()
    ids = torch.zeros(1, 1, dtype=torch.int64)
    return further.generate_speculative(model, draft, ids, NEW, 3, SamplingArgs(), generator)


def far(steps: Tensor) -> float:
    """Return how far single steps, and pairs of them, are from their law: above 1 they are none of it.

    The chance of a false alarm is at most 1e-9 for each of the two.
    """
    assert len(steps) == 50_000
    pairs = steps.unflatten(0, (-1, 2))
    both = 4 * pairs[:, 0] + pairs[:, 1]
    claims = [law("steps", steps.tolist(), STEPS.tolist())]
    claims.append(law("pairs", both.tolist(), (STEPS[:, None] * STEPS).flatten().tolist()))
    return max(measure(claim, claim).distance for claim in claims)


def test_speculative_and_plain_texts_cannot_be_told_apart_over_50_000_draws() -> None:
    assert far(steps_of(plain)) <= 1
    assert far(steps_of(speculative)) <= 1


@pytest.mark.parametrize("wrong", ["accepts_all", "target_for_residual", "one_number", "without_chance"])
def test_a_wrong_law_is_told_over_50_000_draws(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(further, "accept_drafts", getattr(further_accepting, wrong))
    assert far(steps_of(speculative)) > 1


@pytest.mark.parametrize("attention", ["gqa", "mla", "gpt"])
def test_at_temperature_zero_the_text_is_the_models_own_whatever_drafts(attention: str) -> None:
    draft = decoder(9)
    if attention == "gpt":
        model: Any = redraw(GPT(GPTConfig(23, 48, n_layer=2, n_head=4, n_embd=24)), Rng(4)).eval()
    else:
        model = decoder(4, attention=attention)
    ids = Rng(1).integers(0, 23, 1, 5)
    wanted = generate(model, ids, 40, 48)
    for drafting, count in itertools.product((draft, model), (1, 4)):
        found = further.generate_speculative(model, drafting, ids, 40, count, SamplingArgs(temperature=0.0))
        assert torch.equal(found, wanted)


def test_equal_laws_that_rounding_separates_leave_no_empty_residual() -> None:
    p = torch.tensor([[0.5, 0.5 - 1e-7]])
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        found = further.accept_drafts(torch.tensor([1]), p + 1e-7, torch.cat([p, p]), generator)
        assert len(found) == 2
    law_of_refused = torch.tensor([[0.0, 0.25]])
    found = further.accept_drafts(torch.tensor([0]), law_of_refused + 0.5, torch.cat([law_of_refused] * 2))
    assert found.tolist() == [1]


# --- the small cases


@pytest.mark.parametrize("item_id", EXERCISES)
def test_right_code_in_any_style_agrees_on_every_small_case_and_every_case_is_small(item_id: str) -> None:
    (item,) = (item for item in STEP4.exercises if item.id == item_id)
    checks, mistakes = load_marked(STEP4, "checks"), load_marked(STEP4, "mistakes")
    want = run_cases(implementation(STEP4, item, None), item, checks)
    assert all("output" in case for case in want)
    for case in want:
        text = "\n".join(named(f"{name} = ", value) for name, value in case["inputs"].items())
        assert text.count("\n") < 12, text
        assert max(map(len, text.split("\n"))) <= 76, text
    for variant in marked(mistakes, "variant", item_id):
        got = run_cases(implementation(STEP4, item, variant), item, checks)
        assert smallest_failing(want, got) is None, variant.__name__
    wrong = [
        run_cases(implementation(STEP4, item, f), item, checks) for f in marked(mistakes, "mistake", item_id)
    ]
    assert sum(smallest_failing(want, got) is not None for got in wrong) >= 0.8 * len(wrong)


def test_a_cache_of_the_learners_own_class_is_cut_by_its_length() -> None:
    own = load_file(COURSE_ROOT / "step2_model/model_solution.py").KVCache
    assert own is not KVCache
    for kind in (own(), KVCache(), GrowingCache()):
        kind.append(torch.arange(10.0).view(1, 1, 5, 2), torch.arange(10.0).view(1, 1, 5, 2))
        further.cut_cache([kind], 9)
        assert len(kind) == 5
        further.cut_cache([kind], 3)
        assert len(kind) == 3
        kind.append(torch.full((1, 1, 4, 2), -1.0), torch.full((1, 1, 4, 2), -1.0))
        assert kind.read()[0][0, 0, :, 0].tolist() == [0, 2, 4, -1, -1, -1, -1]
