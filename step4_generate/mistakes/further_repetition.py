"""4.8a, the repetition penalty: known mistakes and accepted variants, each a pair with `count_tokens`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.further_solution import count_tokens, penalize_repetition

Pair = dict[str, Callable[..., Any]]


def with_counts(count: Callable[..., Tensor]) -> Pair:
    """Return right penalties that rest on these counts."""

    def penalize(logits: Tensor, ids: Tensor, penalty: float, padding: Tensor | None = None) -> Tensor:
        if not penalty > 0:
            raise ValueError(f"penalty must be above 0, got {penalty!r}")
        seen = count(ids, logits.shape[-1], padding) > 0
        return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)

    return {"count_tokens": count, "penalize_repetition": penalize}


def with_rule(rule: Callable[[Tensor, Tensor, float], Tensor], check: bool = True) -> Pair:
    """Return right counts and a penalty `rule(logits, counts, penalty)`."""

    def penalize(logits: Tensor, ids: Tensor, penalty: float, padding: Tensor | None = None) -> Tensor:
        if check and not penalty > 0:
            raise ValueError(f"penalty must be above 0, got {penalty!r}")
        return rule(logits, count_tokens(ids, logits.shape[-1], padding), penalty)

    return {"count_tokens": count_tokens, "penalize_repetition": penalize}


def signed(logits: Tensor, penalty: float | Tensor) -> Tensor:
    """Return penalized logits: divided where 0 or more, multiplied where negative."""
    return torch.where(logits < 0, logits * penalty, logits / penalty)


def places_that_count(ids: Tensor, padding: Tensor | None) -> Tensor:
    """Return 1 for each place that is no padding."""
    if padding is None:
        return torch.ones_like(ids)
    return (torch.arange(ids.shape[1]) >= padding[:, None]).long()


@mistake("4.8a", called="Negative logits are divided, too")
def divides_negative() -> Pair:
    """You divide negative logits, too: −4 becomes −2, and the token that should be penalized becomes more
    probable. Multiply where the logit is negative.
    """
    return with_rule(lambda logits, counts, penalty: torch.where(counts > 0, logits / penalty, logits))


@mistake("4.8a", called="Positive logits are multiplied, negative ones divided")
def exchanged() -> Pair:
    """You multiply positive logits and divide negative ones: every token that has occurred becomes more
    probable.
    """
    return with_rule(
        lambda logits, counts, penalty: torch.where(counts > 0, signed(logits, 1 / penalty), logits)
    )


@mistake("4.8a", called="The penalty counts again for every time that a token has occurred")
def for_every_time() -> Pair:
    """You penalize a token again for every time that it has occurred. This penalty counts once; one that
    grows with the number is 4.8b's.
    """
    return with_rule(lambda logits, counts, penalty: signed(logits, penalty ** counts.to(logits.dtype)))


@mistake("4.8a", called="The penalty is subtracted from the logit")
def subtracted() -> Pair:
    """You subtract the penalty. This one divides or multiplies; one that is subtracted is 4.8b's, and is 0
    where it does nothing, not 1.
    """
    return with_rule(lambda logits, counts, penalty: torch.where(counts > 0, logits - penalty, logits))


@mistake("4.8a", called="The tokens that have not occurred are penalized")
def of_the_others() -> Pair:
    """You penalize the tokens that have not occurred, and leave those alone that have."""
    return with_rule(lambda logits, counts, penalty: torch.where(counts > 0, logits, signed(logits, penalty)))


@mistake("4.8a", called="A penalty of 0 or below is accepted")
def any_penalty() -> Pair:
    """You accept a penalty of 0 or below: logits become infinite, or turn their signs."""
    return with_rule(
        lambda logits, counts, penalty: torch.where(counts > 0, signed(logits, penalty), logits), check=False
    )


@mistake("4.8a", called="The penalty is written into the logits that were handed in")
def in_place() -> Pair:
    """You write into the logits that were handed in: at the next look they are penalized already."""

    def penalize(logits: Tensor, ids: Tensor, penalty: float, padding: Tensor | None = None) -> Tensor:
        return logits.copy_(penalize_repetition(logits, ids, penalty, padding))

    return {"count_tokens": count_tokens, "penalize_repetition": penalize}


@mistake("4.8a")
def padding_not_passed() -> Pair:
    """Your penalty does not hand the padding on to `count_tokens`: the filler is penalized as if it had been
    said.
    """

    def penalize(logits: Tensor, ids: Tensor, penalty: float, padding: Tensor | None = None) -> Tensor:
        return penalize_repetition(logits, ids, penalty)

    return {"count_tokens": count_tokens, "penalize_repetition": penalize}


@mistake("4.8a")
def padding_counts() -> Pair:
    """Your counts contain the padding: fillers are no tokens that anybody has said, but the filler's id would
    be penalized in every short row.
    """
    return with_counts(lambda ids, vocab_size, padding=None: count_tokens(ids, vocab_size))


@mistake("4.8a", called="Fillers are told by their id, wherever it stands")
def filler_by_id() -> Pair:
    """You leave out the filler's id wherever it stands. The same id may be a token of the prompt; what is
    padding is told by the place alone.
    """

    def count(ids: Tensor, vocab_size: int, padding: Tensor | None = None) -> Tensor:
        counts = count_tokens(ids, vocab_size)
        for row in range(0 if padding is None else len(ids)):
            if padding is not None and padding[row] > 0:
                counts[row, ids[row, 0]] = 0
        return counts

    return with_counts(count)


@mistake("4.8a", called="The padding is taken to stand at the right")
def padding_at_right() -> Pair:
    """You leave out the last `padding[b]` ids of each row. Padding stands at the left: you drop what was said
    last, and count the fillers.
    """

    def count(ids: Tensor, vocab_size: int, padding: Tensor | None = None) -> Tensor:
        counted = places_that_count(ids, padding).flip(1)
        return ids.new_zeros(len(ids), vocab_size).scatter_add(1, ids, counted)

    return with_counts(count)


@mistake("4.8a")
def counted_once() -> Pair:
    """Your counts are 0 or 1: a token that has occurred three times has a count of 3. scatter_add adds what
    several places of a row write to the same token; scatter keeps only one of them.
    """
    return with_counts(
        lambda ids, vocab_size, padding=None: count_tokens(ids, vocab_size, padding).clamp(max=1)
    )


@mistake("4.8a")
def all_rows_together() -> Pair:
    """Your counts are those of the whole batch: each row has texts of its own, and is penalized only for what
    itself has said.
    """

    def count(ids: Tensor, vocab_size: int, padding: Tensor | None = None) -> Tensor:
        return count_tokens(ids, vocab_size, padding).sum(dim=0, keepdim=True).expand(len(ids), -1).clone()

    return with_counts(count)


@variant("4.8a")
def one_hot() -> Pair:
    """Counts as the sum of one-hot rows; the penalty as a factor for each logit."""

    def count(ids: Tensor, vocab_size: int, padding: Tensor | None = None) -> Tensor:
        return (F.one_hot(ids, vocab_size) * places_that_count(ids, padding)[..., None]).sum(dim=1)

    def penalize(logits: Tensor, ids: Tensor, penalty: float, padding: Tensor | None = None) -> Tensor:
        if penalty <= 0:
            raise ValueError(f"penalty must be above 0, got {penalty!r}")
        factor = torch.where(logits < 0, penalty, 1 / penalty).to(logits.dtype)
        return torch.where(count(ids, logits.shape[-1], padding) > 0, logits * factor, logits)

    return {"count_tokens": count, "penalize_repetition": penalize}


@variant("4.8a")
def in_loops() -> Pair:
    """Row by row and token by token; the penalized logits are written into a copy."""

    def count(ids: Tensor, vocab_size: int, padding: Tensor | None = None) -> Tensor:
        counts = torch.zeros(len(ids), vocab_size, dtype=torch.int64)
        for row in range(len(ids)):
            for token in ids[row, 0 if padding is None else int(padding[row]) :].tolist():
                counts[row, token] += 1
        return counts

    def penalize(logits: Tensor, ids: Tensor, penalty: float, padding: Tensor | None = None) -> Tensor:
        if not penalty > 0:
            raise ValueError("a penalty is a positive number")
        logits = logits.clone()
        for row, token in count(ids, logits.shape[-1], padding).nonzero().tolist():
            logits[row, token] *= penalty if logits[row, token] < 0 else 1 / penalty
        return logits

    return {"count_tokens": count, "penalize_repetition": penalize}
