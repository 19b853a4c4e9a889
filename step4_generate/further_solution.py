"""What goes beyond the core of generation: other laws to draw from, batches, scores, beams and drafts.

The parts can be read in any order; each says what it adds to `model_solution.py`. The last part of the file
holds all settings of a sampler in one place, for the programs that talk.

Shape letters: B batch    T tokens so far    V vocabulary    K drafted tokens
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from step2_model.model_solution import GrowingCache
from step4_generate.model_solution import (
    SamplingArgs,
    apply_temperature,
    context_length,
    greedy,
    keep_top_k,
    keep_top_p,
    reading,
    sample,
)


def keep_min_p(logits: Float[Tensor, "B V"], min_p: float) -> Float[Tensor, "B V"]:
    """Set the logits of tokens far less probable than the most probable one to minus infinity.

    A token stays if its probability is at least `min_p` times the largest of its row: where the model is
    sure, few stay; where it is not, many. The most probable token and all tied with it stay always; a
    `min_p` of 0 changes nothing. Returns a new tensor. Raises ValueError unless 0 <= min_p <= 1.

    Source: Nguyen et al., "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs" (2024).
    Tutorial: docs/tutorials/step4_generate_further.md#47-min-p
    """
    if not 0 <= min_p <= 1:  # given
        raise ValueError(f"min_p must be from 0 to 1, got {min_p!r}")  # given
    # 1. Probabilities, and of each row the largest.
    probabilities = logits.softmax(dim=-1)
    largest = probabilities.amax(dim=-1, keepdim=True)
    # 2. Whatever lies below the largest times min_p becomes minus infinity.
    return logits.masked_fill(probabilities < min_p * largest, float("-inf"))


def count_tokens(
    ids: Int[Tensor, "B T"], vocab_size: int, padding: Int[Tensor, " B"] | None = None
) -> Int[Tensor, "B V"]:
    """Return how often each token of the vocabulary occurs in each row.

    The first `padding[b]` ids of row b are filler, whatever they are: they do not count, and the same id may
    stand further right and count there.

    Tutorial: docs/tutorials/step4_generate_further.md#48a-repetition-penalty
    """
    # 1. Which places count? Without padding all, else those from padding[b] on.
    counted = torch.ones_like(ids)
    if padding is not None:
        counted = (torch.arange(ids.shape[1], device=ids.device) >= padding[:, None]).long()
    # 2. Add each place's 1 or 0 to its token.
    return ids.new_zeros(len(ids), vocab_size).scatter_add(1, ids, counted)


def penalize_repetition(
    logits: Float[Tensor, "B V"],
    ids: Int[Tensor, "B T"],
    penalty: float,
    padding: Int[Tensor, " B"] | None = None,
) -> Float[Tensor, "B V"]:
    """Make every token that occurs in its row of `ids` less probable, however often it does.

    A logit of 0 or more is divided by `penalty`, a negative one multiplied: both become smaller for a penalty
    above 1, larger for one below. Returns a new tensor. Raises ValueError unless the penalty is above 0.

    Source: Keskar et al., "CTRL: A Conditional Transformer Language Model for Controllable Generation"
    (2019), section 4.1; the sign as in `transformers`.
    Tutorial: docs/tutorials/step4_generate_further.md#48a-repetition-penalty
    """
    if not penalty > 0:  # given
        raise ValueError(f"penalty must be above 0, got {penalty!r}")  # given
    # 1. Which tokens have occurred at all?
    seen = count_tokens(ids, logits.shape[-1], padding) > 0
    # 2. Theirs: divided where 0 or more, multiplied where negative. All others stay.
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def penalize_counts(
    logits: Float[Tensor, "B V"],
    ids: Int[Tensor, "B T"],
    frequency: float = 0.0,
    presence: float = 0.0,
    padding: Int[Tensor, " B"] | None = None,
) -> Float[Tensor, "B V"]:
    """Subtract from each token's logit `frequency` for every time it occurs in its row, and `presence` once.

    A token that has not occurred keeps its logit; a negative penalty makes repetition likelier. Returns a new
    tensor in the dtype of `logits`.

    Source: OpenAI, API documentation, "Frequency and presence penalties".
    Tutorial: docs/tutorials/step4_generate_further.md#48b-frequency-and-presence
    """
    # 1. How often has each token occurred? (In the dtype of the logits.)
    counts = count_tokens(ids, logits.shape[-1], padding).to(logits.dtype)
    # 2. Once for every time, and once for having occurred at all.
    return logits - frequency * counts - presence * (counts > 0).to(logits.dtype)


def pad_left(prompts: Sequence[Sequence[int]], filler: int) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
    """Return prompts of unequal lengths as one batch, and how many fillers stand at the left of each row.

    T is the length of the longest. All rows end at the last column: what is generated next continues each of
    them. `filler` may be any id; models are told which places do not count, and never by the id.

    Tutorial: docs/tutorials/step4_generate_further.md#49a-left-padding
    """
    # 1. How much is each prompt shorter than the longest?
    longest = max(len(prompt) for prompt in prompts)
    padding = [longest - len(prompt) for prompt in prompts]
    # 2. That many fillers, then the prompt.
    rows = [[filler] * count + list(prompt) for count, prompt in zip(padding, prompts, strict=True)]
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(padding)


def generate_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    stop_ids: Collection[int],
    choose: Callable[[Tensor], Tensor] = greedy,
) -> list[list[int]]:
    """Continue prompts of unequal lengths together; each row is what its prompt alone would give.

    Returns the new ids of each row: up to and without the first that is in `stop_ids`, and at most
    `max_new_tokens`. A row that has finished waits for the others, which are not disturbed by it; when the
    last one has finished the model is not asked any more. `choose` turns logits (B, V) into ids (B,), always
    for all rows. The model is a `Transformer`: it reads the batch once, then one token of each row a step,
    with a cache, and must be told the padding every time, since rotary positions and mask depend on it.

    Raises ValueError, before the model is asked, where a prompt is empty or where the longest and
    `max_new_tokens` do not fit into `context_length(model)`.

    Tutorial: docs/tutorials/step4_generate_further.md#49b-a-batch-of-prompts
    """
    longest, window = max(len(prompt) for prompt in prompts), context_length(model)  # given
    if not all(prompts):  # given
        raise ValueError("every prompt must hold at least one id, got an empty one")  # given
    if longest + max_new_tokens > window:  # given
        together = f"{longest} and {max_new_tokens}"  # given
        raise ValueError(f"prompt and new tokens must fit into {window} positions, got {together}")  # given
    # 1. Pad to the left (any filler will do), and lay both tensors where the model is.
    ids, padding = (t.to(next(model.parameters()).device) for t in pad_left(prompts, 0))
    rows: list[list[int]] = [[] for _ in prompts]
    is_open = [True] * len(rows)
    cache = model.new_cache()
    with reading(model):
        while any(is_open) and max(map(len, rows)) < max_new_tokens:
            # 2. Ask for what the cache has not seen: first the whole batch, then one column.
            logits = model(ids, cache=cache, padding=padding).logits[:, -1]
            ids = choose(logits)[:, None]
            # 3. A row that meets a stop id closes; one that is open takes its new id.
            for row, token in enumerate(ids.squeeze(1).tolist()):
                is_open[row] = is_open[row] and token not in stop_ids
                if is_open[row]:
                    rows[row].append(token)
    return rows


def score(model: Any, ids: Int[Tensor, " T"], window: int, stride: int) -> Float[Tensor, " T-1"]:
    """Return the log-probability, in nats, of every token after the first, each given what stands before it.

    A text longer than `window` is read in windows that begin at 0, `stride`, 2 · `stride`, ... and hold
    `window` tokens, the last one what is left. Each window scores the tokens that no window before it has
    scored, so that every token counts once, and from the second window on sees at least window - stride
    tokens before it. The windows end with the first that reaches the end of the text.

    Raises ValueError unless 1 <= stride < window: with a stride as long as the window, a window's first token
    would have nothing before it.

    Source: the `transformers` documentation, "Perplexity of fixed-length models".
    Tutorial: docs/tutorials/step4_generate_further.md#410-scoring-and-perplexity
    """
    if not 1 <= stride < window:  # given
        raise ValueError(f"stride must be at least 1 and below window {window}, got {stride}")  # given
    parts, start, end = [ids.new_zeros(0, dtype=torch.float32)], 0, 1
    with reading(model):
        # 1. Windows, until all tokens before `end` are all that there are. (Token 0 needs no score.)
        while end < len(ids):
            text = ids[start : start + window]
            # 2. Position t tells the law of token t + 1: look up the token that came.
            logprobs = model(text[None]).logits[0, :-1].float().log_softmax(dim=-1)
            scores = logprobs.gather(1, text[1:, None]).squeeze(1)
            # 3. Keep those from token `end` on; then the next window.
            parts.append(scores[end - start - 1 :])
            start, end = start + stride, start + len(text)
    return torch.cat(parts)


def perplexity(scores: Float[Tensor, " N"]) -> float:
    """Return among how many equally likely tokens the model was choosing, on average: exp of the mean
    surprise.

    `scores` are log-probabilities in nats. The mean is over tokens, so that perplexities of two tokenizers
    cannot be compared. Raises ValueError where there are no scores.

    Tutorial: docs/tutorials/step4_generate_further.md#410-scoring-and-perplexity
    """
    if len(scores) == 0:  # given
        raise ValueError("perplexity must have at least one score to average, got none")  # given
    # 1. The surprise of a token is its negative score; exp of the mean.
    return math.exp(-scores.double().mean().item())


class Beam(NamedTuple):
    """The new ids of one continuation, its `end_of_text` included, and its score."""

    ids: list[int]
    score: float


def beam_search(
    model: Any,
    ids: Int[Tensor, " T"],
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Return the best continuations found, best first: `num_beams` of them, unless there are not so many.

    The score is the sum of the new tokens' log-probabilities, divided by length ** `length_penalty`; the
    length counts the new tokens, `end_of_text` among them. At each step the 2 · `num_beams` candidates of the
    largest sums are looked at. One that ends is finished if it is among the first `num_beams`; the first
    `num_beams` that do not end stay open. Of the finished the best `num_beams` by score are kept, and after
    `max_new_tokens` the open ones compete with them. The search ends earlier when there are `num_beams`
    finished ones and no open beam can come among them, whatever follows: its sum only falls, since no
    log-probability is above 0.

    All open beams are one batch: the model is asked once a step, without a cache.

    Source: Wu et al., "Google's Neural Machine Translation System" (2016), section 7; what is finished as in
    `transformers` with `early_stopping="never"`.
    Tutorial: docs/tutorials/step4_generate_further.md#411-beam-search
    """
    # 1. One open beam without new ids, whose sum is 0; `score` of an open beam is its sum.
    beams, finished = [Beam([], 0.0)], list[Beam]()
    with reading(model):
        for length in range(1, max_new_tokens + 1):
            # 2. The log-probabilities of what may follow each open beam: one batch.
            texts = torch.stack([torch.cat([ids, ids.new_tensor(beam.ids)]) for beam in beams])
            logprobs = model(texts).logits[:, -1].float().log_softmax(dim=-1)
            # 3. The sums of all candidates; the 2 · num_beams largest, as beams.
            sums = (logprobs + logprobs.new_tensor([beam.score for beam in beams])[:, None]).flatten()
            best = sums.topk(min(2 * num_beams, len(sums)))
            V = logprobs.shape[-1]
            candidates = [
                Beam([*beams[place // V].ids, place % V], total)
                for total, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
            # 4. Those that end, among the first num_beams, are finished; those that do not go on.
            ended = [beam for beam in candidates[:num_beams] if beam.ids[-1] == end_of_text]
            finished = best_beams(finished + [normalize(beam, length_penalty) for beam in ended], num_beams)
            beams = [beam for beam in candidates if beam.ids[-1] != end_of_text][:num_beams]
            # 5. Stop if the best open sum, at the length that suits it best, cannot beat the worst finished.
            suits = max_new_tokens if length_penalty > 0 else length
            if len(finished) == num_beams and beams[0].score / suits**length_penalty <= finished[-1].score:
                return finished
    # 6. No room is left: open beams compete as they are.
    return best_beams(finished + [normalize(beam, length_penalty) for beam in beams], num_beams)


def normalize(beam: Beam, length_penalty: float) -> Beam:
    """Return a beam whose sum of log-probabilities is divided by its length ** `length_penalty`."""
    return Beam(beam.ids, beam.score / len(beam.ids) ** length_penalty)


def best_beams(beams: Sequence[Beam], count: int) -> list[Beam]:
    """Return the `count` beams of the largest scores, largest first."""
    return sorted(beams, key=lambda beam: -beam.score)[:count]


def accept_drafts(
    drafts: Int[Tensor, " K"],
    draft_probs: Float[Tensor, "K V"],
    target_probs: Float[Tensor, "K+1 V"],
    generator: torch.Generator | None = None,
) -> Int[Tensor, " N"]:
    """Return the drafts that the target accepts and one token more, as if the target had drawn them all.

    Draft i was drawn from q = draft_probs[i]; the target would draw from p = target_probs[i]. It is accepted
    with probability min(1, p/q) of the drafted token, one after another up to the first that is refused. In
    the place of that one comes a token from the residual law, max(0, p - q) made to sum to 1; what stands
    behind it is dropped. If all K are accepted, a token from target_probs[K] follows them. So N is from 1 to
    K + 1.

    Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding" (2023), algorithm 1.
    Tutorial: docs/tutorials/step4_generate_further.md#412a-accepting-drafts
    """
    # 1. One uniform number for each draft: it is accepted if u · q is below p, which is u < p/q.
    uniform = torch.rand(len(drafts), generator=generator, device=drafts.device)
    places = torch.arange(len(drafts), device=drafts.device)
    is_accepted = uniform * draft_probs[places, drafts] < target_probs[places, drafts]
    # 2. How many are accepted before the first that is not?
    count = int(is_accepted.long().cumprod(dim=0).sum())
    # 3. The law of one token more: the target's, less the draft's where a draft was refused. (If rounding
    #    leaves nothing of it, the two laws are equal.)
    law = target_probs[count]
    if count < len(drafts):
        residual = (law - draft_probs[count]).clamp(min=0)
        law = residual if residual.sum() > 0 else law
    # 4. Draw it (multinomial makes the law sum to 1), and put it behind the accepted ones.
    return torch.cat([drafts[:count], torch.multinomial(law, 1, generator=generator)])


def probabilities(logits: Float[Tensor, "N V"], args: SamplingArgs) -> Float[Tensor, "N V"]:
    """Return the law that `next_token` draws from with these settings; at temperature 0 all is on one
    token.
    """
    if args.temperature == 0:
        return torch.nn.functional.one_hot(greedy(logits), logits.shape[-1]).float()
    logits = apply_temperature(logits, args.temperature)
    if args.top_k is not None:
        logits = keep_top_k(logits, args.top_k)
    if args.top_p is not None:
        logits = keep_top_p(logits, args.top_p)
    return logits.softmax(dim=-1)


def cut_cache(cache: Sequence[GrowingCache], length: int) -> None:
    """Let every layer's cache forget the positions from `length` on; a shorter one stays as it is."""
    for layer in cache:
        # A KVCache counts what it holds, and may be one of your file's: another class of the same name.
        if hasattr(layer, "length"):
            layer.length = min(layer.length, length)
        elif layer.k is not None and layer.v is not None:
            layer.k, layer.v = layer.k[..., :length, :], layer.v[..., :length, :]


def generate_speculative(
    model: Any,
    draft_model: Any,
    ids: Int[Tensor, "1 T"],
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "1 N"]:
    """Return ids and `max_new_tokens` more, with exactly the law of drawing them from `model` one by one.

    In each round `draft_model` draws up to `num_drafts` tokens, one after another; `model` reads them all at
    once, and `accept_drafts` decides. A round never drafts more than one token less than are still wanted,
    since it brings one that is not drafted. Both models keep a cache, which is cut back after each round to
    the tokens that stand: all but the last one of the text, which no model has read yet.

    Raises ValueError where the whole text does not fit into the contexts of both models.

    Source: Leviathan et al. (2023), section 2; Chen et al., "Accelerating Large Language Model Decoding with
    Speculative Sampling" (2023). Tutorial: docs/tutorials/step4_generate_further.md#412b-speculative-decoding
    """
    end, window = ids.shape[1] + max_new_tokens, min(map(context_length, (model, draft_model)))  # given
    if end > window:  # given
        raise ValueError(f"prompt and new tokens must fit into {window} positions, got {end}")  # given
    cache, draft_cache = model.new_cache(), draft_model.new_cache()
    with reading(model), reading(draft_model):
        while ids.shape[1] < end:
            # 1. How many drafts? At most so many that one token more does not go beyond the end.
            K = min(num_drafts, end - ids.shape[1] - 1)
            text, laws = ids, []
            for _ in range(K):
                # 2. The draft model reads what its cache lacks; its law, and a token drawn from it.
                logits = draft_model(text[:, len(draft_cache[0]) :], cache=draft_cache).logits[:, -1]
                laws.append(probabilities(logits, args))
                drawn = torch.multinomial(laws[-1], 1, generator=generator)
                text = torch.cat([text, drawn], dim=1)
            # 3. The model reads what its cache lacks and all drafts: the laws of K + 1 places.
            logits = model(text[:, len(cache[0]) :], cache=cache).logits[0, -K - 1 :]
            draft_probs = torch.cat(laws) if laws else logits.new_zeros(0, logits.shape[-1])
            # 4. What is accepted, and one token more.
            drafts = text[0, ids.shape[1] :]
            accepted = accept_drafts(drafts, draft_probs, probabilities(logits, args), generator)
            ids = torch.cat([ids, accepted[None]], dim=1)
            # 5. Both caches forget what was refused.
            for one in (cache, draft_cache):
                cut_cache(one, ids.shape[1] - 1)
    return ids


@dataclass(frozen=True)
class SamplingOptions:
    """All settings of a sampler; each is off by default. Raises ValueError where one is impossible.

    The counts of `frequency_penalty` and `presence_penalty` are those of the new tokens, as OpenAI defines
    them; `repetition_penalty` looks at the prompt, too, as `transformers` does.

    Tutorial: docs/tutorials/step4_generate_further.md
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    def __post_init__(self) -> None:
        SamplingArgs(self.temperature, self.top_k, self.top_p)
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be from 0 to 1, got {self.min_p!r}")
        if not 0 < self.repetition_penalty < math.inf:
            raise ValueError(f"repetition_penalty must be above 0, got {self.repetition_penalty!r}")
        for name in ("frequency_penalty", "presence_penalty"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)!r}")


class Sampler:
    """Turns logits (B, V) into ids (B,), step by step: the `choose` of `generate_cached` and
    `generate_batch`.

    It remembers what it has drawn, since penalties ask for it. Order as in `transformers`: penalties,
    temperature, top-k, top-p, min-p, then the draw. A part that is off is not called.
    """

    def __init__(
        self,
        options: SamplingOptions,
        ids: Int[Tensor, "B T"],
        generator: torch.Generator | None = None,
        padding: Int[Tensor, " B"] | None = None,
    ) -> None:
        """Begin behind the prompts `ids`, of which the first `padding[b]` of row b do not count."""
        self.options, self.generator, self.padding = options, generator, padding
        self.ids, self.prompt_length = ids, ids.shape[1]

    def __call__(self, logits: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
        """Draw the next token of each row, and remember it."""
        options = self.options
        if options.repetition_penalty != 1:
            logits = penalize_repetition(logits, self.ids, options.repetition_penalty, self.padding)
        if options.frequency_penalty or options.presence_penalty:
            new = self.ids[:, self.prompt_length :]
            logits = penalize_counts(logits, new, options.frequency_penalty, options.presence_penalty)
        if options.temperature == 0:
            drawn = greedy(logits)
        else:
            drawn = sample(
                self.keep(apply_temperature(logits, options.temperature)), generator=self.generator
            )
        self.ids = torch.cat([self.ids, drawn[:, None]], dim=1)
        return drawn

    def keep(self, logits: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """Cut what top-k, top-p and min-p cut, in this order."""
        options = self.options
        if options.top_k is not None:
            logits = keep_top_k(logits, options.top_k)
        if options.top_p is not None:
            logits = keep_top_p(logits, options.top_p)
        return keep_min_p(logits, options.min_p) if options.min_p else logits
