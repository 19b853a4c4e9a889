"""2.4d, the loss: known mistakes with the shift, with -100 and with the mean."""

from __future__ import annotations

import math

from torch import Tensor

from coursekit.probe import mistake

NONE = -100


def surprises(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the surprise of every pair, as it stands in front of the mean, and which pairs count. No
    shift.
    """
    counted = labels != NONE
    chosen = logits.gather(-1, labels.where(counted, 0).unsqueeze(-1)).squeeze(-1)
    return logits.logsumexp(dim=-1) - chosen, counted


def shifted(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and labels as they belong together."""
    return logits[:, :-1], labels[:, 1:]


def mean(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean surprise of the pairs that count. No shift."""
    surprise, counted = surprises(logits, labels)
    return surprise[counted].mean()


@mistake("2.4d")
def not_shifted(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss asks position t for the label at t, its own token. It has just read that one: the shift
    by one is missing. The loss would fall to almost 0, and the model would learn to repeat its input.
    """
    return mean(logits, labels)


@mistake("2.4d")
def shifted_backwards(logits: Tensor, labels: Tensor) -> Tensor:
    """Your shift goes the wrong way: position t is asked for the token before it. Drop the last logits
    and the first label, not the first logits and the last label.
    """
    return mean(logits[:, 1:], labels[:, :-1])


@mistake("2.4d")
def rolled(logits: Tensor, labels: Tensor) -> Tensor:
    """Your labels are rolled: the last position is asked for the first token of the text. It has no
    next token and must be left out.
    """
    return mean(logits, labels.roll(-1, dims=1))


@mistake("2.4d")
def shifted_by_two(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss asks position t for the label at t + 2. The shift is by one."""
    return mean(logits[:, :-2], labels[:, 2:]) if labels.shape[1] > 2 else logits.sum() * math.nan


@mistake("2.4d")
def both_cut_at_the_end(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss drops the last position of logits and labels alike, so that position t is still asked
    for its own token. Drop the last logits and the first label.
    """
    return mean(logits[:, :-1], labels[:, :-1])


@mistake("2.4d")
def shifted_texts(logits: Tensor, labels: Tensor) -> Tensor:
    """Your pairs run across texts: the batch was flattened before the shift, so that the last position
    of one text is asked for the first token of the next. Shift first, then flatten.
    """
    V = logits.shape[-1]
    return mean(logits.reshape(1, -1, V)[:, :-1], labels.reshape(1, -1)[:, 1:])


@mistake("2.4d")
def summed(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss is the sum over the pairs. It is their mean: a sum grows with the length of the text,
    and the learning rate would have to change with it.
    """
    surprise, counted = surprises(*shifted(logits, labels))
    return surprise[counted].sum()


@mistake("2.4d")
def counted_all(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss leaves pairs of -100 out of the sum but divides by the number of all pairs. Divide by
    the number of those that count: padding would make the loss look smaller.
    """
    surprise, counted = surprises(*shifted(logits, labels))
    return (surprise * counted).sum() / surprise.numel()


@mistake("2.4d")
def divided_by_all_positions(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss divides by B·T, the number of all positions. T positions make T - 1 pairs: divide by
    the number of pairs that count.
    """
    surprise, counted = surprises(*shifted(logits, labels))
    return (surprise * counted).sum() / labels.numel()


@mistake("2.4d")
def divided_by_batch(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss is summed over each text and averaged over texts: it grows with their length. Divide by
    the number of pairs that count.
    """
    surprise, counted = surprises(*shifted(logits, labels))
    return (surprise * counted).sum(dim=1).mean()


@mistake("2.4d")
def mean_of_means(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss is the mean of each text's mean. Texts with few counted pairs get as much say as long
    ones; every counted pair has the same say.
    """
    surprise, counted = surprises(*shifted(logits, labels))
    return ((surprise * counted).sum(dim=1) / counted.sum(dim=1)).mean()


@mistake("2.4d")
def none_counts_as_zero(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss counts pairs of -100 as if token 0 had come. They must not count at all, neither in the
    sum nor in the number that divides it.
    """
    logits, labels = shifted(logits, labels)
    return surprises(logits, labels.clamp(min=0))[0].mean()


@mistake("2.4d")
def none_as_index(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss uses -100 as an index. Indexing from the end makes it a real token where the vocabulary
    is large enough, and an error where it is not. Leave out the pairs whose label is -100.
    """
    logits, labels = shifted(logits, labels)
    return surprises(logits, labels % logits.shape[-1])[0].mean()


@mistake("2.4d")
def unshifted_mask(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss reads which pairs count off the labels before the shift: it leaves out the position
    after a -100 instead of the one before. Shift first, then look for -100.
    """
    counted = (labels != NONE)[:, :-1]
    logits, labels = shifted(logits, labels)
    surprise, _ = surprises(logits, labels)
    return surprise[counted].mean()


@mistake("2.4d")
def ignores_zero(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss leaves out token 0. It is a token like any other: only -100 means that nothing is to be
    predicted.
    """
    logits, labels = shifted(logits, labels)
    return mean(logits, labels.where(labels > 0, NONE))


@mistake("2.4d")
def writes_labels(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss writes into the caller's labels: labels[...] = 0 changes the batch for everyone who
    uses it later, and -100 is gone. Make a new tensor, for instance with where.
    """
    logits, labels = shifted(logits, labels)
    counted = labels != NONE
    labels[~counted] = 0
    return surprises(logits, labels)[0][counted].mean()
