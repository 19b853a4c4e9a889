"""Probes of documents side by side in a row: the mask for attention (3.11a) and for the loss (3.11b)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check

# Not 0, and not the largest id: neither may be taken for it.
END = 3
# Rows of 9 tokens in which E stands for the end: documents of many lengths, empty ones among them.
ROWS = {
    "one document that goes on beyond the row": ".........",
    "an end in the middle: two documents": "...E.....",
    "three documents": "..E...E..",
    "two ends in a row: an empty document between them": "..EE.....",
    "an end at the first place: its document began in another row": "E...E....",
    "an end at the last place": "....E...E",
    "five documents, each of its own length": "E.E...EE.",
}


def draw_row(rng: Any, pattern: str) -> torch.Tensor:
    """Return a row of ids from 0 to 7 with the end where the pattern has an E, and nowhere else."""
    ids = rng.integers(0, 7, len(pattern))
    ids[ids >= END] += 1
    ids[[place for place, letter in enumerate(pattern) if letter == "E"]] = END
    return ids


def draw_rows(rng: Any) -> dict[str, torch.Tensor]:
    """Return a row of each pattern by its description."""
    return {told: draw_row(rng, pattern) for told, pattern in ROWS.items()}


@check("3.11a")
def document_mask(m: Any, rng: Any) -> Any:
    rows = draw_rows(rng)
    for told, row in rows.items():
        yield told, m.document_mask(row[None].clone(), END)
    batch = torch.stack(list(rows.values()))
    given = batch.clone()
    yield "rows of a batch: each has documents of its own", m.document_mask(given, END)
    yield "the ids are left as they were", given
    other = torch.where(batch == END, 9, batch)
    yield "the end is the id that is handed in, whatever it is", m.document_mask(other, 9)
    at_zero = torch.where(batch == END, 0, torch.where(batch == 0, END, batch))
    yield "an end of text of 0", m.document_mask(at_zero, 0)
    long = draw_row(rng, "".join("E" if rng.integer(0, 5) == 0 else "." for _ in range(70)))
    yield "a row of 70 tokens, ends drawn at random", m.document_mask(long[None], END)
    yield "a single token", m.document_mask(batch[:, :1], END)


SMALL: tuple[list[list[int]], ...] = ([[1]], [[1, 2]], [[9, 1]], [[1, 9, 2]], [[9, 9, 1]], [[1, 0, 2]])
SMALL += ([[1, 9, 2, 9, 4]], [[1, 2], [9, 2]], [[9, 2], [1, 2]])


@cases("3.11a")
def small_masks(m: Any) -> Any:
    for ids in SMALL:
        inputs = {"ids": torch.tensor(ids), "end_of_text": 9}
        yield inputs, m.document_mask(torch.tensor(ids), 9)


@check("3.11b")
def document_labels(m: Any, rng: Any) -> Any:
    rows = draw_rows(rng)
    for told, row in rows.items():
        yield told, m.document_labels(row[None].clone(), END)
    batch = torch.stack(list(rows.values()))
    given = batch.clone()
    labels = m.document_labels(given, END)
    yield "rows of a batch: an end at the last place says nothing of the next row", labels
    yield "the ids are left as they were", given
    unbroken = torch.full((2, 4), 5)
    same = m.document_labels(unbroken, END)
    if isinstance(same, torch.Tensor):
        same[:] = 0
    yield "the labels are numbers of their own, also where no document ends", unbroken
    other = torch.where(batch == END, 9, batch)
    yield "the end is the id that is handed in, whatever it is", m.document_labels(other, 9)
    at_zero = torch.where(batch == END, 0, torch.where(batch == 0, END, batch))
    yield "an end of text of 0", m.document_labels(at_zero, 0)
    yield "a single token", m.document_labels(batch[:, :1], END)


@cases("3.11b")
def small_labels(m: Any) -> Any:
    """Outputs are the labels, and the ids afterwards."""
    for ids in SMALL:
        given = torch.tensor(ids)
        yield {"ids": given.clone(), "end_of_text": 9}, (m.document_labels(given, 9), given)
