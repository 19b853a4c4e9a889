"""Generation, written out: a trained model gives logits for the next token, and a text grows out of them.

The file reads in the order of the tutorial: a model that speaks at once, always saying what is most probable;
chance, and how it is kept within bounds; the same text for a fraction of the work; and text that appears
while it is written and ends where it should. The last part puts all four steps of the course together.

Shape letters, the same in the whole course:

    B batch    T tokens so far    V vocabulary
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from step1_tokenizer.model_exercise import Tokenizer
from step2_model.model_exercise import GPTConfig, ModelArgs, ModelOutput, Transformer
from step3_pretrain.model_exercise import END_OF_TEXT, SPECIAL_TOKENS, TrainingArgs, pretrain


class LanguageModel(Protocol):
    """What this step needs of a model: logits for the ids after those in a cache. All of step 2 give them."""

    training: bool

    def __call__(self, ids: Int[Tensor, "B T"], *, cache: Any = None) -> ModelOutput: ...

    def new_cache(self) -> Any: ...

    def train(self, mode: bool = True) -> Any: ...


def context_length(model: Any) -> int:
    """Return how many tokens a model can read at once: a GPT's block_size, the other models' max_seq_len."""
    if hasattr(model, "config"):
        config: GPTConfig = model.config
        return config.block_size
    args: ModelArgs = model.args
    return args.max_seq_len


@contextmanager
def reading(model: LanguageModel) -> Iterator[None]:
    """Let the model read, not learn: dropout is off and no gradient is kept until the `with` ends.

    Afterwards the model is in the mode in which it was before. A generator must not yield inside of it: what
    the caller does before asking for more would have no gradients either.
    """
    was_training = model.training
    # A walk through all modules, which is not for nothing where one token is read at a time.
    if was_training:
        model.train(False)
    try:
        with torch.no_grad():
            yield
    finally:
        if was_training:
            model.train()


def greedy(logits: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
    """Return the most probable token of each row."""
    return logits.argmax(dim=-1)


def generate(
    model: LanguageModel, ids: Int[Tensor, "B T"], max_new_tokens: int, window: int
) -> Int[Tensor, "B T+N"]:
    """Return ids with N = `max_new_tokens` more, each the most probable one after all that stands before it.

    The model reads the last `window` tokens of the text, the new ones among them, and no more: it has no
    positions for more. It reads in evaluation mode, without gradients (`reading`), and is in the mode
    afterwards in which it was before. Each row of the batch is a text of its own. The argument stays as it
    was.

    Tutorial: docs/tutorials/step4_generate.md#41-greedy-generation
    """
    # 1. Let the model read the last `window` tokens, and take the logits of the last position: (B, V).
    # 2. Put the most probable token of each row behind the text, as a column (B, 1).
    # TODO 4.1: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 4.1 is not written yet: generate in step4_generate/model_exercise.py. "
        "Write it, or run: course solve 4.1"
    )


def apply_temperature(logits: Float[Tensor, "*B V"], temperature: float) -> Float[Tensor, "*B V"]:
    """Return logits whose softmax is that of logits / temperature, in float32 and never NaN.

    Below 1 what is probable becomes more so, above 1 less. What counts are differences: the largest logit of
    a row may become 0 first, so that it is 0 at every temperature, however small. From 1e-30 down and from
    1e30 up nothing changes any more, and float32 could not divide by it. A token that is cut off (-inf)
    stays cut off, at an infinite temperature too, which makes all others equal.

    Raises ValueError for a temperature that is not above 0.

    Source: Ackley, Hinton and Sejnowski, "A Learning Algorithm for Boltzmann Machines" (1985), equation 5.
    Tutorial: docs/tutorials/step4_generate.md#42-sampling-with-a-temperature
    """
    if not temperature > 0:  # given
        raise ValueError(f"temperature must be above 0, got {temperature!r}")  # given
    # 1. Subtract the largest logit of each row, in float32: softmax stays what it was.
    # 2. Divide by the temperature, held between 1e-30 and 1e30.
    # TODO 4.2: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 4.2 is not written yet: apply_temperature in step4_generate/model_exercise.py. "
        "Write it, or run: course solve 4.2"
    )


def sample(
    logits: Float[Tensor, "B V"], temperature: float = 1.0, generator: torch.Generator | None = None
) -> Int[Tensor, " B"]:
    """Draw one token for each row, with the probabilities softmax(logits / temperature).

    A temperature of 0 is what small ones come to: the most probable token, and nothing is drawn. Equal states
    of `generator` give equal tokens; without one, torch's own is used.

    Raises ValueError for a temperature below 0 or NaN.

    Tutorial: docs/tutorials/step4_generate.md#42-sampling-with-a-temperature
    """
    # 1. At temperature 0, the most probable tokens.
    # 2. Probabilities: the softmax of the logits at this temperature.
    # 3. Draw one token from each row, with the generator: torch.multinomial gives (B, 1).
    # TODO 4.2: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 4.2 is not written yet: sample in step4_generate/model_exercise.py. "
        "Write it, or run: course solve 4.2"
    )


def keep_top_k(logits: Float[Tensor, "*B V"], k: int) -> Float[Tensor, "*B V"]:
    """Cut off all but the k most probable tokens of each row: their logits become -inf.

    Every token that is tied with the k-th stays too: nothing in the logits says which of them to prefer. A
    k of V or more changes nothing. The logits that stay are what they were, and the argument as well.

    Raises ValueError for a k below 1.

    Source: Fan et al., "Hierarchical Neural Story Generation" (2018), section 5.4.
    Tutorial: docs/tutorials/step4_generate.md#43-top-k
    """
    if k < 1:  # given
        raise ValueError(f"k must be at least 1, got {k!r}")  # given
    # 1. The k-th largest logit of each row, (B, 1); of fewer than k the smallest.
    # 2. Put -inf where a logit is smaller.
    # TODO 4.3: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 4.3 is not written yet: keep_top_k in step4_generate/model_exercise.py. "
        "Write it, or run: course solve 4.3"
    )


def keep_top_p(logits: Float[Tensor, "*B V"], p: float) -> Float[Tensor, "*B V"]:
    """Cut off all but the smallest set of most probable tokens whose probabilities together reach p.

    The token with which p is reached stays, so that at least one does. Where several tokens are tied at the
    cut, any of them will do, as many as are needed. A p of 1 changes nothing. The logits that stay are what
    they were, and the argument as well.

    Raises ValueError for a p that is not above 0 and at most 1.

    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration" (2020), section 3.1.
    Tutorial: docs/tutorials/step4_generate.md#44a-top-p
    """
    if not 0 < p <= 1:  # given
        raise ValueError(f"p must be above 0 and at most 1, got {p!r}")  # given
    if p == 1:  # given
        return logits  # given
    # 1. Sort each row's probabilities, the largest first, and remember which token each belongs to.
    # 2. How much probability stands before each of them? It is needed as long as that is less than p.
    # 3. Bring this back into the order of the vocabulary, and put -inf where a token is needless.
    # TODO 4.4a: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 4.4a is not written yet: keep_top_p in step4_generate/model_exercise.py. "
        "Write it, or run: course solve 4.4a"
    )


@dataclass(frozen=True)
class SamplingArgs:
    """How the next token is chosen; None leaves a cut out. Raises ValueError where it cannot be done."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"temperature must be at least 0, got {self.temperature!r}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be None or at least 1, got {self.top_k!r}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be None, or above 0 and at most 1, got {self.top_p!r}")


def next_token(
    logits: Float[Tensor, "B V"], args: SamplingArgs, generator: torch.Generator | None = None
) -> Int[Tensor, " B"]:
    """Draw one token for each row: temperature, then top-k, then top-p, then the draw, as `transformers`.

    Each acts on what the one before has left, so that the order counts: top-p looks at probabilities, which
    the temperature has changed and of which top-k has taken some away. What is left is drawn at a
    temperature of 1. At temperature 0 no cut changes anything.

    Tutorial: docs/tutorials/step4_generate.md#44b-the-next-token
    """
    # 1. At temperature 0, the most probable tokens.
    # 2. The temperature, then the cuts that there are: top-k, then top-p.
    # 3. Draw from what is left.
    # TODO 4.4b: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 4.4b is not written yet: next_token in step4_generate/model_exercise.py. "
        "Write it, or run: course solve 4.4b"
    )


def generate_cached(
    model: LanguageModel,
    ids: Int[Tensor, "B T"],
    max_new_tokens: int,
    window: int,
    choose: Callable[[Float[Tensor, "B V"]], Int[Tensor, " B"]] = greedy,
) -> Iterator[Int[Tensor, " B"]]:
    """Yield `max_new_tokens` columns, one token of each row, as soon as each is chosen from its logits.

    The text is that of `generate`, where `choose` is greedy, for a fraction of the work: the model reads the
    prompt once, then each new token alone, and finds the rest in its cache. Once the text is longer than the
    window, nothing in the cache is right any more, for every token has moved by one position: from then on
    each step reads the last `window` tokens afresh. No token is read that nothing is chosen after.

    As in `generate` the model reads in evaluation mode and without gradients; what the caller does between
    two columns has both as they were.

    Tutorial: docs/tutorials/step4_generate.md#45-generation-with-a-cache
    """
    # 1. First the model reads the end of the prompt, into an empty cache.
    # 2. Read what is new, choose after the last position, and hand the column out (outside of `reading`).
    # 3. The text grows by the column, which is all that is new next time.
    # 4. Unless the text has outgrown the window: then the last `window` tokens are, without a cache.
    # TODO 4.5: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 4.5 is not written yet: generate_cached in step4_generate/model_exercise.py. "
        "Write it, or run: course solve 4.5"
    )


def stream_text(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Yield the text of ids while they arrive, in pieces that are not empty, up to the first stop string.

    `vocab[i]` holds the bytes of token i. A character whose bytes are spread over tokens appears whole, with
    its last token; bytes that can never become one appear as U+FFFD, at the latest when the ids end. Nothing
    of a stop string is shown, nor anything after it, however tokens cut it: an end of the text so far that
    may still become a stop string is held back until that is decided, and everything else is not. The first
    stop string that is complete ends the text (of several that end there, the one that begins first), and no
    further id is taken.

    Raises ValueError for an empty stop string.

    Tutorial: docs/tutorials/step4_generate.md#46-streaming-and-stop-strings
    """
    if "" in stops:  # given
        raise ValueError("a stop string must not be empty, got ''")  # given
    # 1. An incremental decoder of UTF-8 keeps bytes that are no whole character yet, and `held` keeps text.
    # 2. Each id brings some text; when the ids have ended (None), what is incomplete stays so for good.
    # 3. Is a stop string complete? Keep what stands before the one that ends first, and take no more.
    # 4. Say all but the longest end of `held` with which a stop string begins.
    # 5. Nothing can become a stop string any more: say what is still held.
    # TODO 4.6: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 4.6 is not written yet: stream_text in step4_generate/model_exercise.py. "
        "Write it, or run: course solve 4.6"
    )


# Everything together: a prompt goes in, text comes out, and every line between is of one of the four steps.


def write(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    max_new_tokens: int,
    args: SamplingArgs = SamplingArgs(),
    stops: Sequence[str] = (),
    generator: torch.Generator | None = None,
) -> Iterator[str]:
    """Yield the text with which the model continues the prompt, in pieces, up to a stop string or its end.

    The prompt is the beginning of a document: the end of another one stands before it, as in training.
    """
    ids = torch.tensor([tokenizer.encode(END_OF_TEXT + prompt, SPECIAL_TOKENS)])
    choose = partial(next_token, args=args, generator=generator)
    columns = generate_cached(model, ids, max_new_tokens, context_length(model), choose)
    return stream_text((int(column) for column in columns), tokenizer.vocab, (END_OF_TEXT, *stops))


def learn_to_write(
    texts: Sequence[str], vocab_size: int, args: TrainingArgs, **changes: Any
) -> tuple[Transformer, Callable[..., Iterator[str]]]:
    """Train a tokenizer and a model on texts; return the model, and `write` with both of them in it."""
    model, tokenizer, _ = pretrain(texts, vocab_size, args, **changes)
    return model, partial(write, model, tokenizer)


if __name__ == "__main__":
    from coursekit.selfcheck import main

    main(__file__)
