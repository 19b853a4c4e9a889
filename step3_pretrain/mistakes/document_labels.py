"""3.11b, a mask for the loss: known mistakes with what is left out, and accepted variants."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step3_pretrain.further_solution import document_labels

NONE = -100


@mistake("3.11b")
def nothing_left_out(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels are the ids, all of them: the first token of each document is predicted from the end of
    another, of which it may read nothing more.
    """
    return ids.clone()


@mistake("3.11b")
def end_left_out(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels leave out end_of_text itself. It is the last token of its document, and to predict it is
    how a model learns to stop. Left out is the token behind it.
    """
    return ids.masked_fill(ids == end_of_text, NONE)


@mistake("3.11b")
def both_left_out(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels leave out end_of_text beside the token behind it. The end is to be predicted: without it a
    model never learns to stop.
    """
    return document_labels(ids, end_of_text).masked_fill(ids == end_of_text, NONE)


@mistake("3.11b", called="The token before an end is left out")
def before_the_end(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels leave out the token before end_of_text. The loss shifts labels by itself: mark the token
    that is not to be predicted, the one behind the end.
    """
    labels = ids.clone()
    labels[:, :-1][ids[:, 1:] == end_of_text] = NONE
    return labels


@mistake("3.11b", called="The second token behind an end is left out, not the first")
def two_behind(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels leave out the second token behind end_of_text, not the first: shifted once too often."""
    labels = ids.clone()
    labels[:, 2:][ids[:, :-2] == end_of_text] = NONE
    return labels


@mistake("3.11b")
def first_of_row(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels leave out the first token of every row, too. The loss never asks for it; but as labels are
    said to be here, it stays.
    """
    labels = document_labels(ids, end_of_text)
    labels[:, 0] = NONE
    return labels


@mistake("3.11b")
def across_rows(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels leave out the first token of a row where the row before it, or the last one, ends with
    end_of_text (rolled or flattened). The rows of a batch do not follow each other.
    """
    behind = (ids.flatten() == end_of_text).roll(1).view_as(ids)
    return ids.masked_fill(behind, NONE)


@mistake("3.11b")
def in_place(ids: Tensor, end_of_text: int) -> Tensor:
    """Your function writes -100 into the ids themselves. The model would look up -100 in its table: copy them
    first, with clone.
    """
    ids[:, 1:][ids[:, :-1] == end_of_text] = NONE
    return ids


@mistake("3.11b", called="Labels that are left out are 0, not -100")
def zero_for_none(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels are 0 where nothing is to be predicted. 0 is a token: the model would learn to say it at
    every boundary. -100 stands for nothing.
    """
    labels = document_labels(ids, end_of_text)
    return labels.masked_fill(labels == NONE, 0)


@mistake("3.11b")
def first_end_alone(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels see the first end of each row alone; later documents are predicted from others."""
    is_end = ids == end_of_text
    is_first = is_end & (is_end.cumsum(dim=1) == 1)
    return ids.masked_fill(F.pad(is_first[:, :-1], (1, 0)), NONE)


@mistake("3.11b")
def shifted_already(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels are shifted by one: at position t stands the token of t + 1. The loss shifts once more, so
    that the model would learn to skip a token.
    """
    labels = document_labels(ids, end_of_text)
    return F.pad(labels[:, 1:], (0, 1), value=NONE)


@mistake("3.11b", called="The end of text is taken to be 0")
def end_is_zero(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels look for an id of 0. Which id ends a text is the argument end_of_text."""
    return document_labels(ids, 0)


@mistake("3.11b", called="The first document of each row is left out whole")
def first_document(ids: Tensor, end_of_text: int) -> Tensor:
    """Your labels leave out all of the first document of a row, since it began elsewhere. Much of it stands
    in the row, and can be predicted from there; only what has nothing before it cannot.
    """
    is_end = ids == end_of_text
    is_begun = (is_end.cumsum(dim=1) - is_end.long()) == 0
    return document_labels(ids, end_of_text).masked_fill(is_begun, NONE)


@variant("3.11b")
def with_where(ids: Tensor, end_of_text: int) -> Tensor:
    """A new tensor made with where, from a mask moved by one place."""
    behind = torch.zeros_like(ids, dtype=torch.bool)
    behind[:, 1:] = ids[:, :-1] == end_of_text
    return torch.where(behind, NONE, ids)


@variant("3.11b")
def token_by_token(ids: Tensor, end_of_text: int) -> Tensor:
    """Row by row and token by token."""
    rows = ids.tolist()
    pairs = [zip([None, *row[:-1]], row) for row in rows]
    return torch.tensor(
        [[NONE if before == end_of_text else token for before, token in row] for row in pairs]
    )


@variant("3.11b")
def joined(ids: Tensor, end_of_text: int) -> Tensor:
    """The first column as it is, the others filled."""
    rest = ids[:, 1:].masked_fill(ids[:, :-1].eq(end_of_text), NONE)
    return torch.cat([ids[:, :1], rest], dim=1)
