"""3.1, one stream: known mistakes and accepted variants."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coursekit.probe import mistake, variant

Documents = Iterable[Sequence[int]]


def stream_of(parts: Iterable[Iterable[int]]) -> Tensor:
    """Return the ids of all parts in a row."""
    return torch.tensor([token for part in parts for token in part], dtype=torch.int64)


@mistake("3.1")
def no_ends(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream has no ends. The model could not see where a document stops, would carry on one story with
    the next, and would never learn to stop by itself.
    """
    return stream_of(documents)


@mistake("3.1")
def between_alone(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream has ends between the documents, but none behind the last. Each document ends, the last one
    too: streams are put one behind the other, and there its end would be missing.
    """
    parts: list[list[int]] = []
    for document in documents:
        if len(document):
            parts += [[end_of_text], list(document)]
    return stream_of(parts[1:])


@mistake("3.1")
def in_front(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream has the end in front of each document instead of behind it. Then nothing follows a
    document's last token where the model could learn to stop.
    """
    return stream_of([end_of_text, *document] for document in documents if len(document))


@mistake("3.1")
def on_both_sides(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream has an end in front of each document and one behind it. Between two documents stand two:
    half of all ends would be predicted from another end, which is no news about the text.
    """
    return stream_of([end_of_text, *document, end_of_text] for document in documents if len(document))


@mistake("3.1")
def one_end_for_all(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream has one end, behind the last document. Every document needs its own: this is what tells the
    model that what comes next has nothing to do with what came before.
    """
    whole = stream_of(documents)
    return torch.cat([whole, torch.tensor([end_of_text])]) if len(whole) else whole


@mistake("3.1")
def ends_for_empty(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream has an end for an empty document too. Ends in a row teach the model that a text may consist
    of nothing.
    """
    return stream_of([*document, end_of_text] for document in documents)


@mistake("3.1")
def writes_into_documents(documents: Any, end_of_text: int) -> Tensor:
    """Your code appends the end to the caller's own lists. Packed once more, for the next epoch or for
    validation, every document has two ends, then three.
    """
    parts = []
    for document in documents:
        if len(document):
            own = document if isinstance(document, list) else list(document)
            own.append(end_of_text)
            parts.append(own)
    return stream_of(parts)


@mistake("3.1")
def float_when_empty(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream is of float32 where there is no document: `torch.tensor([])` does not know what would have
    been in it. Say dtype=torch.int64; ids are used as indices.
    """
    return torch.tensor([i for document in documents if len(document) for i in (*document, end_of_text)])


@mistake("3.1")
def reads_twice(documents: Documents, end_of_text: int) -> Tensor:
    """Your code reads the documents twice, first to count and then to fill. A generator, as it comes from a
    corpus larger than memory, is empty the second time.
    """
    size = sum(len(document) + 1 for document in documents if len(document))
    stream, place = torch.zeros(size, dtype=torch.int64), 0
    for document in documents:
        if len(document):
            stream[place : place + len(document) + 1] = torch.tensor([*document, end_of_text])
            place += len(document) + 1
    return stream


@mistake("3.1")
def of_32_bits(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream is of int32. Everything that follows expects ids of int64; small types are for the disk."""
    return stream_of([*document, end_of_text] for document in documents if len(document)).int()


@mistake("3.1")
def skips_zero(documents: Documents, end_of_text: int) -> Tensor:
    """Your stream lacks the tokens whose id is 0: `if token` is false for it. Id 0 is a token like any
    other.
    """
    return stream_of(
        [*(token for token in document if token), end_of_text] for document in documents if len(document)
    )


@variant("3.1")
def by_chain(documents: Documents, end_of_text: int) -> Tensor:
    """itertools.chain over the documents that are not empty."""
    whole = (itertools.chain(document, (end_of_text,)) for document in documents if len(document) != 0)
    return torch.tensor(list(itertools.chain.from_iterable(whole)), dtype=torch.long)


@variant("3.1")
def by_cat(documents: Documents, end_of_text: int) -> Tensor:
    """A tensor for each document, joined at the end, with an empty one so that there is something to join."""
    end = torch.tensor([end_of_text])
    parts = [torch.empty(0, dtype=torch.int64)]
    for document in documents:
        if len(document):
            parts += [torch.tensor(list(document)), end]
    return torch.cat(parts)


@variant("3.1")
def by_numpy(documents: Documents, end_of_text: int) -> Tensor:
    """A NumPy array, filled from a generator."""
    ids = (token for document in documents if len(document) for token in [*document, end_of_text])
    return torch.from_numpy(np.fromiter(ids, dtype=np.int64))


@variant("3.1")
def by_index(documents: Documents, end_of_text: int) -> Tensor:
    """Index loops over a list of all documents."""
    kept, stream = list(documents), []
    for i in range(len(kept)):
        for j in range(len(kept[i])):
            stream.append(kept[i][j])
        if len(kept[i]) > 0:
            stream.append(end_of_text)
    return torch.LongTensor(stream)
