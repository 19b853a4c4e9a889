"""Any text under several vocabularies: where it is cut, which ids, how many bytes a token stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step1_tokenizer.explorers.pictures import cut_texts, shown_bytes
from step1_tokenizer.model_solution import Pair

MOST_MERGES = 20_000


def cuts(mine: Any, merges: Sequence[Pair], sizes: Sequence[int], texts: Mapping[str, str]) -> Explorer:
    """Let the reader type any text and see where vocabularies of these sizes cut it; they share their merges.

    `texts` are named texts to begin with; the first is shown, cut by `encode_ordinary` of `mine`. The page
    cuts what is typed by the same merges. Raises ValueError for sizes that the merges do not reach.
    """
    if not texts:
        raise ValueError("texts must hold at least one text to begin with, got none")
    if len(merges) > MOST_MERGES:
        raise ValueError(f"merges must be at most {MOST_MERGES:,}, got {len(merges):,}")
    if not sizes or not 256 <= min(sizes) <= max(sizes) <= 256 + len(merges):
        raise ValueError(f"sizes must lie between 256 and {256 + len(merges):,}, got {list(sizes)}")
    label = whose(mine, "1.1", "1.3", "1.5", "1.6", "1.7")
    tokenizers = [mine.Tokenizer(merges[: size - 256]) for size in sizes]
    name, text = next(iter(texts.items()))
    ids = [list(tokenizer.encode_ordinary(text)) for tokenizer in tokenizers]
    num_bytes = len(mine.text_to_bytes(text))
    counted = ", ".join(f"{len(row)} tokens with {size:,}" for row, size in zip(ids, sizes))
    says = f"{name}, {num_bytes} bytes: {counted}."

    def picture() -> Figure:
        rows = {
            f"{size:,}": [shown_bytes(t.vocab[token]) for token in row]
            for t, row, size in zip(tokenizers, ids, sizes)
        }
        return cut_texts(rows, label)

    values = {"sizes": list(sizes), "texts": dict(texts), "ids": ids}
    arrays = {"merges": [list(pair) for pair in merges] or [[0, 0]][:0]}
    return Explorer(
        Path(__file__).with_suffix(".js"), values, arrays, whose=label, says=says, picture=picture
    )
