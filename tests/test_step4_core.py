"""Step 4, core: cuts and draws agree with `transformers`, a cache with none, streams with what was cut up."""

from __future__ import annotations

import itertools
import logging
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from coursekit.judging.compare import measure
from coursekit.judging.judge import Judge
from coursekit.judging.verdict import Status, Verdict
from coursekit.probe import Rng, law, redraw
from coursekit.registry import COURSE_ROOT, load_step
from coursekit.source import exercise_text, find_spans
from step2_model.exchange import export
from step2_model.model_solution import GPT, GPTConfig, ModelArgs, Transformer
from step3_pretrain.model_solution import TrainingArgs
from step4_generate import model_solution as m

STEP4 = load_step(COURSE_ROOT / "step4_generate")
# Of 20 rows of logits each: 2,000.
EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**31)
ROWS, V = 20, 12
IGNORED = torch.zeros(1, 1, dtype=torch.int64)
NONE = float("-inf")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    yield
    logging.disable(before)


def logits_of(seed: int, kind: str) -> Tensor:
    """Return rows of logits: any numbers, or whole ones of which many are equal, or with some cut off."""
    rng = Rng(seed)
    logits: Tensor = 2 * rng.normal(ROWS, V)
    if kind == "tied":
        return logits.round()
    return logits.masked_fill(rng.uniform(0, 1, ROWS, V) < 0.4, NONE) if kind == "cut" else logits


KINDS = st.sampled_from(["any", "tied", "cut"])


def test_rows_that_are_tied_have_ties() -> None:
    rows = logits_of(0, "tied")
    assert all(len(row.unique()) < V for row in rows)
    assert (logits_of(0, "cut") == NONE).any(dim=-1).sum() > 15


# --- parity of each function with its counterpart


@EXAMPLES
@given(SEEDS, KINDS, st.floats(0.05, 20))
def test_the_temperature_is_transformers(seed: int, kind: str, temperature: float) -> None:
    logits = logits_of(seed, kind)
    theirs = TemperatureLogitsWarper(temperature)(IGNORED, logits).softmax(dim=-1)
    ours = m.apply_temperature(logits, temperature).softmax(dim=-1)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@EXAMPLES
@given(SEEDS, KINDS, st.integers(1, V + 3))
def test_top_k_is_transformers_with_ties_too(seed: int, kind: str, k: int) -> None:
    logits = logits_of(seed, kind)
    assert torch.equal(m.keep_top_k(logits, k), TopKLogitsWarper(k)(IGNORED, logits))


@EXAMPLES
@given(SEEDS, KINDS, st.floats(0.01, 0.99))
def test_top_p_is_transformers_up_to_which_of_equal_tokens_goes(seed: int, kind: str, p: float) -> None:
    """Ours sums from the most probable down, theirs from the least up. So of tokens that are tied at the cut
    each keeps others, and where a set has a mass of p to the last digit, either may keep one more.
    """
    logits = logits_of(seed, kind)
    sums = logits.double().softmax(dim=-1).sort(dim=-1, descending=True).values.cumsum(dim=-1)
    assume(bool(((sums - p).abs() > 1e-6).all()))
    ours, theirs = m.keep_top_p(logits, p), TopPLogitsWarper(p)(IGNORED, logits)
    assert torch.equal(ours.sort(dim=-1).values, theirs.sort(dim=-1).values)
    if kind == "any":
        assert torch.equal(ours, theirs)


def test_where_tokens_are_tied_at_the_cut_transformers_keeps_others() -> None:
    logits = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]])
    ours, theirs = m.keep_top_p(logits, 0.8), TopPLogitsWarper(0.8)(IGNORED, logits)
    assert ours.isfinite().sum() == theirs.isfinite().sum() == 4
    assert not torch.equal(ours, theirs)


@EXAMPLES
@given(SEEDS, st.floats(0.3, 3), st.integers(1, V), st.floats(0.05, 0.95))
def test_the_next_token_is_that_of_transformers_for_an_equal_seed(
    seed: int, temperature: float, k: int, p: float
) -> None:
    logits = logits_of(seed, "any")
    kept = logits
    for step in (TemperatureLogitsWarper(temperature), TopKLogitsWarper(k), TopPLogitsWarper(p)):
        kept = step(IGNORED, kept)
    shares = kept.double().softmax(dim=-1)
    found = m.next_token(logits, m.SamplingArgs(temperature, k, p), torch.Generator().manual_seed(seed))
    theirs = torch.multinomial(shares.float(), 1, generator=torch.Generator().manual_seed(seed)).squeeze(1)
    assert (found == theirs).sum() >= ROWS - 1, "rounding at the edge of a draw may spoil one"
    assert (shares.gather(1, found.unsqueeze(1)) > 0).all()


@EXAMPLES
@given(SEEDS, KINDS, st.floats(0.01, 1), st.integers(1, V))
def test_a_cut_never_takes_a_more_probable_token_and_never_all(
    seed: int, kind: str, p: float, k: int
) -> None:
    logits = logits_of(seed, kind)
    for kept in (m.keep_top_p(logits, p), m.keep_top_k(logits, k)):
        is_kept = kept.isfinite()
        assert is_kept.any(dim=-1).all()
        assert torch.equal(kept[is_kept], logits[is_kept])
        least = kept.masked_fill(~is_kept, float("inf")).amin(dim=-1)
        assert (logits.masked_fill(is_kept, NONE).amax(dim=-1) <= least).all()
    shares = logits.double().softmax(dim=-1)
    mass = (shares * m.keep_top_p(logits, p).isfinite()).sum(dim=-1)
    assert (mass > p - 1e-6).all()


@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1e-9, 1.0, 1e9, 1e30, 1e300, float("inf")])
def test_no_temperature_makes_nan_or_brings_back_what_was_cut_off(temperature: float) -> None:
    logits = torch.cat([logits_of(1, kind) for kind in ("any", "tied", "cut")]) * 1e8
    shares = m.apply_temperature(logits, temperature).softmax(dim=-1)
    assert shares.isfinite().all()
    assert (shares[logits == NONE] == 0).all()
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(len(logits)))


# --- the law of the draw

DRAWS = 50_000


def distance(draws: Tensor, probabilities: Tensor) -> float:
    """Return how far draws are from a law, in thresholds that right draws exceed once in 10^9."""
    from coursekit.judging.runs import frozen

    claim = frozen(law("", draws, probabilities))
    return measure(claim, claim).distance


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax_and_a_law_that_is_slightly_off_is_seen(temperature: float) -> None:
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0, 1.5, NONE])
    shares = (logits.double() / temperature).softmax(dim=-1)
    generator = torch.Generator().manual_seed(3)
    draws = m.sample(logits.expand(DRAWS, -1), temperature, generator)
    assert distance(draws, shares) < 1
    assert distance(draws, (logits.double() / (1.25 * temperature)).softmax(dim=-1)) > 1
    assert distance(m.sample(logits.expand(DRAWS, -1), 1.25 * temperature, generator), shares) > 1


def test_a_draw_after_all_cuts_follows_the_law_that_transformers_leaves() -> None:
    logits, setting = logits_of(5, "any")[:1], (1.7, 6, 0.8)
    kept = logits
    for step in (TemperatureLogitsWarper(1.7), TopKLogitsWarper(6), TopPLogitsWarper(0.8)):
        kept = step(IGNORED, kept)
    generator = torch.Generator().manual_seed(0)
    draws = m.next_token(logits.expand(DRAWS, -1), m.SamplingArgs(*setting), generator)
    assert distance(draws, kept[0].double().softmax(dim=-1)) < 1
    late = m.next_token(logits.expand(DRAWS, -1), m.SamplingArgs(1.0, 6, 0.8), generator)
    assert distance(late, kept[0].double().softmax(dim=-1)) > 1


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"temperature": -0.1}, "temperature must be at least 0, got -0.1"),
        ({"temperature": float("nan")}, "temperature must be at least 0, got nan"),
        ({"top_k": 0}, "top_k must be None or at least 1, got 0"),
        ({"top_p": 0.0}, "top_p must be None, or above 0 and at most 1, got 0.0"),
        ({"top_p": 1.5}, "top_p must be None, or above 0 and at most 1, got 1.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        m.SamplingArgs(**change)


# --- text

SIZES = {"vocab_size": 31, "d_model": 24, "n_layers": 2, "n_heads": 4, "max_seq_len": 48}
SIZES |= {"intermediate_size": 40, "kv_lora_rank": 10, "v_head_dim": 5, "qk_rope_head_dim": 6}
SIZES |= {"qk_nope_head_dim": 7, "n_kv_heads": 2}


def model_of(kind: str) -> Any:
    """Return a model of step 2 with every number redrawn, and logits that leave a choice."""
    if kind == "gpt":
        gpt: Any = GPT(GPTConfig(vocab_size=31, block_size=48, n_layer=2, n_head=3, n_embd=24))
        model = redraw(gpt, Rng(2)).eval()
        with torch.no_grad():
            model.wte.weight.mul_(0.4)
        return model
    heads = {} if kind == "gqa" else {"n_kv_heads": 4}
    args = ModelArgs(**(SIZES | heads), attention=kind, norm_eps=1e-5 if kind == "gqa" else 1e-6)
    model = redraw(Transformer(args), Rng(2)).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(2.0)
    return model


KINDS_OF_MODELS = ("gpt", "gqa", "mla")
PROMPT = Rng(4).integers(0, 31, 3, 6)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS_OF_MODELS)
def test_text_is_that_of_transformers_on_the_exported_model(kind: str, tmp_path: Path) -> None:
    model = model_of(kind)
    peer = AutoModelForCausalLM.from_pretrained(export(model, tmp_path / kind))

    def theirs(**chosen: Any) -> Tensor:
        config = GenerationConfig(max_new_tokens=30, pad_token_id=0, eos_token_id=None, **chosen)
        text: Tensor = peer.generate(PROMPT, generation_config=config, attention_mask=torch.ones_like(PROMPT))
        return text

    greedy = theirs(do_sample=False)
    assert torch.equal(m.generate(model, PROMPT, 30, 48), greedy)
    assert torch.equal(cached(model, 30, 48), greedy)
    for T, k, p in ((1.0, None, None), (1.5, 8, None), (0.8, None, 0.9), (2.0, 12, 0.7)):
        torch.manual_seed(11)
        wanted = theirs(do_sample=True, temperature=T, top_k=k or 0, top_p=p or 1.0)
        args, generator = m.SamplingArgs(T, k, p), torch.Generator().manual_seed(11)
        choose = partial(m.next_token, args=args, generator=generator)
        assert torch.equal(cached(model, 30, 48, choose), wanted)
        assert not torch.equal(wanted, greedy)


def cached(model: Any, count: int, window: int, choose: Callable[[Tensor], Tensor] = m.greedy) -> Tensor:
    """Return the whole text that generation with a cache gives."""
    columns = list(m.generate_cached(model, PROMPT, count, window, choose))
    return torch.cat([PROMPT, torch.stack(columns, dim=1)], dim=1)


@pytest.mark.parametrize("kind", KINDS_OF_MODELS)
@pytest.mark.parametrize("window", [1, 5, 6, 7, 17, 48])
def test_the_cache_changes_no_token_past_the_window_either(kind: str, window: int) -> None:
    model = model_of(kind)
    text = m.generate(model, PROMPT, 60, window)
    assert torch.equal(cached(model, 60, window), text)
    assert len(text.unique()) > 5, "a text of few tokens shows little"
    assert m.context_length(model) == 48


def test_a_caller_may_train_between_two_tokens() -> None:
    model = model_of("gqa").train()
    for column in m.generate_cached(model, PROMPT, 4, 48):
        assert model.training
        loss = model(PROMPT, labels=PROMPT).loss
        loss.backward()
        assert column.shape == (3,)
    assert model.embed_tokens.weight.grad.abs().sum() > 0


# --- streaming

BYTES = [bytes([byte]) for byte in range(256)]
# Few characters, so that stop strings begin often and seldom end; one of them has several bytes.
TEXTS = st.text(alphabet="ab<é", max_size=25)
STOPS = st.lists(st.text(alphabet="ab<é", min_size=1, max_size=4), max_size=3)


def up_to_a_stop(text: str, stops: list[str]) -> tuple[str, int]:
    """Return what is to be shown, character by character, and how many characters that takes."""
    for end in range(len(text) + 1):
        if ending := [stop for stop in stops if text[:end].endswith(stop)]:
            return text[: end - max(map(len, ending))], end
    return text, len(text)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(TEXTS, STOPS, st.randoms(use_true_random=False))
def test_a_stream_says_the_same_however_the_text_is_cut_into_tokens(
    text: str, stops: list[str], draw: Any
) -> None:
    data = text.encode()
    cuts = sorted({0, len(data), *(draw.randrange(len(data) + 1) for _ in range(draw.randrange(12)))})
    vocab = [data[i:j] for i, j in itertools.pairwise(cuts)]
    wanted, end = up_to_a_stop(text, stops)
    taken: list[int] = []

    def ids() -> Iterator[int]:
        for token in range(len(vocab)):
            taken.append(token)
            yield token

    said = ""
    for piece in m.stream_text(ids(), vocab, stops):
        assert piece
        said += piece
        # All that is certain has been said, and no more.
        whole = b"".join(vocab[: len(taken)]).decode("utf-8", "ignore")
        is_over = len(up_to_a_stop(whole, stops)[0]) < len(whole) or len(taken) == len(vocab)
        if not is_over:
            held = max((n for s in stops for n in range(len(s)) if whole.endswith(s[:n])), default=0)
            assert said == whole[: len(whole) - held]
    assert said == wanted
    read = len(b"".join(vocab[: len(taken)]))
    stopped = up_to_a_stop(text, stops) != (text, len(text)) or any(text.endswith(s) for s in stops)
    assert not stopped or read - len(vocab[taken[-1]]) < len(text[:end].encode())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=20))
def test_a_stream_of_any_bytes_is_their_text(data: bytes) -> None:
    assert "".join(m.stream_text(data, BYTES)) == data.decode("utf-8", "replace")


def test_a_stop_string_of_replacement_characters_is_found_at_the_very_end() -> None:
    assert list(m.stream_text(b"ab\xe2\x82", BYTES, ["\ufffd"])) == ["a", "b"]


# --- the chain, and what a learner is told


def test_the_chain_learns_a_sentence_and_writes_it() -> None:
    args = TrainingArgs(steps=60, batch_size=4, block_size=24, learning_rate=0.02, warmup=4)
    shape = {"d_model": 24, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "intermediate_size": 32}
    texts = ["Noé sat by the lake.<|end|>"] * 12
    model, write = m.learn_to_write(texts, 270, args, attention="gqa", **shape)
    assert "".join(write("Noé", 30, m.SamplingArgs(0.0), ["<|end|>"])) == " sat by the lake."
    whole = "".join(write("Noé", 40, m.SamplingArgs(0.0)))
    assert whole == " sat by the lake.<|end|>", "the end of a text is never said"
    assert m.context_length(model) == 24


@pytest.fixture
def verdict_on(pool: Any, tmp_path: Path) -> Callable[..., Verdict]:
    """Judge the solution with another body of one exercise."""

    def run(item_id: str, target: str, body: str) -> Verdict:
        (item,) = (item for item in STEP4.exercises if item.id == item_id)
        solution = exercise_text((STEP4.path / "model_solution.py").read_text("utf-8"), STEP4, "model")
        span = find_spans(solution, [target])[target]
        lines = solution.split("\n")
        lines[span.body_first - 1 : span.last] = textwrap.indent(body.strip("\n"), "    ").split("\n")
        path = tmp_path / "model_exercise.py"
        path.write_text("\n".join(lines), encoding="utf-8")
        return Judge(pool=pool).report(STEP4, [item], path).verdicts[0]

    return run


WRONG = {
    "whole_batch": (
        "4.3",
        "keep_top_k",
        """
if k < 1:
    raise ValueError("k must be at least 1")
ranked = logits.flatten().sort(descending=True).values
return torch.where(logits >= ranked[min(k, logits.numel()) - 1], logits, -torch.inf)""",
    ),
    "crossing_dropped": (
        "4.4a",
        "keep_top_p",
        """
if not 0 < p <= 1:
    raise ValueError("p must be a share")
if p == 1:
    return logits
shares, places = logits.float().softmax(-1).sort(-1, descending=True)
is_over = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, places, shares.cumsum(-1) >= p)
return torch.where(is_over, -torch.inf, logits)""",
    ),
    "softmax_twice": (
        "4.2",
        "sample",
        """
if temperature == 0:
    return logits.argmax(-1)
shares = apply_temperature(logits, temperature).softmax(-1)
return torch.multinomial(torch.softmax(shares, -1), 1, generator=generator)[:, 0]""",
    ),
    "temperature_last": (
        "4.4b",
        "next_token",
        """
if args.top_k:
    logits = keep_top_k(logits, args.top_k)
if args.top_p:
    logits = keep_top_p(logits, args.top_p)
return sample(logits, args.temperature, generator)""",
    ),
    "cut_at_the_wrong_end": (
        "4.1",
        "generate",
        """
while max_new_tokens > 0:
    max_new_tokens -= 1
    with reading(model):
        best = model(ids[:, 0:window]).logits[:, -1].argmax(-1, keepdim=True)
    ids = torch.cat([ids, best], 1)
return ids""",
    ),
    "within_one_token": (
        "4.6",
        "stream_text",
        """
if "" in stops:
    raise ValueError("a stop string must not be empty, got ''")
decoder = codecs.getincrementaldecoder("utf-8")("replace")
for token in chain(ids, [None]):
    text = decoder.decode(b"" if token is None else vocab[token], token is None)
    ends = [(text.index(stop) + len(stop), text.index(stop)) for stop in stops if stop in text]
    if ends:
        text = text[: min(ends)[1]]
    if text:
        yield text
    if ends:
        return""",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_known_mistake_is_named_however_it_is_written(verdict_on: Any, name: str) -> None:
    verdict = verdict_on(*WRONG[name])
    assert verdict.status is Status.FAILED, verdict
    assert verdict.mistake is not None, verdict
    assert verdict.mistake.name == name
    assert verdict.smallest is not None


def test_noise_in_place_of_multinomial_passes(verdict_on: Any) -> None:
    body = (
        "if temperature == 0:\n    return greedy(logits)\n"
        "u = torch.rand(logits.shape, generator=generator, dtype=torch.float64)\n"
        "return (apply_temperature(logits, temperature) - (-u.log()).log()).argmax(-1)"
    )
    assert verdict_on("4.2", "sample", body).status is Status.PASSED
