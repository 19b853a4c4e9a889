"""3.11a, a mask for attention: known mistakes with boundaries, and accepted variants."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step3_pretrain.further_solution import document_mask


def numbers(is_end: Tensor) -> Tensor:
    """Return the number of each token's document, whose last token is its end."""
    return is_end.cumsum(dim=1) - is_end.long()


def masked(document: Tensor) -> Tensor:
    """Return which position may read which, by numbers of documents."""
    is_same = document[:, :, None] == document[:, None, :]
    return (is_same & torch.ones_like(is_same).tril()).unsqueeze(1)


@mistake("3.11a")
def causal_alone(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask knows nothing of documents: it is the causal one. A token reads what an unrelated text before
    it said.
    """
    return masked(torch.zeros_like(ids))


@mistake("3.11a")
def documents_alone(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask is not causal: within its document each token reads those after it, too, and with them the
    very one that it has to predict.
    """
    document = numbers(ids == end_of_text)
    return (document[:, :, None] == document[:, None, :]).unsqueeze(1)


@mistake("3.11a", called="The mask shows the future of a document, and hides its past")
def reads_ahead(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask lets each token read those after it instead of those before it: rows are the positions that
    read, columns those that are read.
    """
    return document_mask(ids, end_of_text).mT


@mistake("3.11a")
def end_begins_next(ids: Tensor, end_of_text: int) -> Tensor:
    """Your end of text belongs to the next document. Then nothing that is predicted can see how a text came
    to its end, and each document begins by reading the end of another. It is the last token of its own.
    """
    return masked((ids == end_of_text).cumsum(dim=1))


@mistake("3.11a")
def end_by_itself(ids: Tensor, end_of_text: int) -> Tensor:
    """Your end of text is a document by itself: it reads nothing but itself, although it is the last token of
    the text before it.
    """
    is_end = ids == end_of_text
    return masked(2 * is_end.cumsum(dim=1) - is_end.long())


@mistake("3.11a")
def end_unread(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask hides the end of text from everyone, itself included. It would have nothing to read, and a
    softmax over nothing is NaN.
    """
    return document_mask(ids, end_of_text) & (ids != end_of_text)[:, None, None, :]


@mistake("3.11a", called="Every other document is taken for the same one")
def odd_and_even(ids: Tensor, end_of_text: int) -> Tensor:
    """Your documents are numbered 0, 1, 0, 1: a boundary is seen between neighbors, but the third document
    reads the first. Count on.
    """
    return masked(numbers(ids == end_of_text) % 2)


@mistake("3.11a")
def first_end_alone(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask sees the first end of each row alone. Behind it all documents are one."""
    return masked(numbers(ids == end_of_text).clamp(max=1))


@mistake("3.11a")
def last_end_alone(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask sees the last end of each row alone. Before it all documents are one."""
    document = numbers(ids == end_of_text)
    return masked((document == document.amax(dim=1, keepdim=True)).long())


@mistake("3.11a", called="The position behind an end may not read it, but those after that may")
def boundary_pair_alone(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask compares neighbors alone: a document's first token does not read the end before it, but all
    other pairs across the boundary may meet. Compare every position with every other.
    """
    mask = masked(torch.zeros_like(ids))
    behind = F.pad(ids[:, :-1] == end_of_text, (1, 0))
    before = torch.eye(ids.shape[1], dtype=torch.bool)[:, 1:]
    return mask & ~(behind[:, None, :, None] & F.pad(before, (0, 1)))


@mistake("3.11a", called="The mask is True where reading is forbidden")
def inverted(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask is True where reading is forbidden. Here, as in torch's attention, True stands for "may
    read".
    """
    return ~document_mask(ids, end_of_text)


@mistake("3.11a")
def hides_itself(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask hides each position from itself. The first token of a document would have nothing to read,
    and a softmax over nothing is NaN.
    """
    return document_mask(ids, end_of_text).tril(-1)


@mistake("3.11a", called="The end of text is taken to be 0")
def end_is_zero(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask looks for an id of 0. Which id ends a text is the argument end_of_text."""
    return document_mask(ids, 0)


@mistake("3.11a", called="Documents are counted along the batch")
def counted_along_batch(ids: Tensor, end_of_text: int) -> Tensor:
    """Your documents are counted along the batch (dim=0): the ends of other rows decide, not those of the
    row.
    """
    is_end = ids == end_of_text
    return masked(is_end.cumsum(dim=0) - is_end.long())


@mistake("3.11a")
def first_row_for_all(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask is that of the first row for all rows. Documents end elsewhere in each."""
    return document_mask(ids[:1], end_of_text).expand(len(ids), -1, -1, -1)


@mistake("3.11a")
def no_heads(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask is (B, T, T): the dimension for the heads is missing. Attention would take B for H."""
    return document_mask(ids, end_of_text).squeeze(1)


@mistake("3.11a")
def added_mask(ids: Tensor, end_of_text: int) -> Tensor:
    """Your mask holds 0 and minus infinity, to be added to the scores. Asked for are booleans, True for "may
    read".
    """
    mask = document_mask(ids, end_of_text)
    return torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))


@variant("3.11a")
def by_first_place(ids: Tensor, end_of_text: int) -> Tensor:
    """Each position reads from the first place of its document up to its own."""
    T = ids.shape[1]
    places = torch.arange(T)
    begins = F.pad(ids[:, :-1] == end_of_text, (1, 0))
    first = torch.where(begins, places, 0).cummax(dim=1).values
    return ((places >= first[:, :, None]) & (places <= places[:, None]))[:, None]


@variant("3.11a")
def pair_by_pair(ids: Tensor, end_of_text: int) -> Tensor:
    """Position t reads s if no end stands from s on before t."""
    B, T = ids.shape
    mask = torch.zeros(B, 1, T, T, dtype=torch.bool)
    for b, row in enumerate(ids.tolist()):
        for t in range(T):
            for s in range(t + 1):
                mask[b, 0, t, s] = end_of_text not in row[s:t]
    return mask


@variant("3.11a")
def by_shifted_count(ids: Tensor, end_of_text: int) -> Tensor:
    """Ends before each position counted with a shift; causality by positions."""
    document = F.pad(ids.eq(end_of_text).long(), (1, -1)).cumsum(-1)
    T = ids.shape[1]
    causal = torch.arange(T).view(1, 1, T) <= torch.arange(T).view(1, T, 1)
    return torch.logical_and(document.unsqueeze(2).eq(document.unsqueeze(1)), causal)[:, None]
