"""What a vocabulary buys and costs: bytes per token on several texts, parameters of the embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step1_tokenizer.experiments.measure import bytes_per_token
from step1_tokenizer.explorers.pictures import weighed
from step1_tokenizer.model_solution import Pair

WIDTHS = (64, 128, 256, 512, 768, 1024)


def sizes(
    mine: Any,
    merges: Sequence[Pair],
    sizes: Sequence[int],
    texts: Mapping[str, Sequence[str]],
    width: int = 256,
) -> Explorer:
    """Let the reader move the vocabulary's size and the model's width, and see what is bought and paid.

    `texts` are named lists of texts; each is encoded once for each size, with the first merges. Raises
    ValueError for sizes that the merges do not reach, and for a width that is not offered.
    """
    if not sizes or not 256 <= min(sizes) <= max(sizes) <= 256 + len(merges):
        raise ValueError(f"sizes must lie between 256 and {256 + len(merges):,}, got {list(sizes)}")
    if width not in WIDTHS:
        raise ValueError(f"width must be one of {WIDTHS}, got {width}")
    if not texts:
        raise ValueError("texts must hold at least one list of texts, got none")
    tokenizers = [mine.Tokenizer(merges[: size - 256]) for size in sizes]
    buys = {name: [bytes_per_token(t, list(found)) for t in tokenizers] for name, found in texts.items()}
    name, values = next(iter(buys.items()))
    label = whose(mine, "1.7")
    says = (
        f"From {sizes[0]:,} to {sizes[-1]:,} tokens, {name} goes from {values[0]:.2f} to {values[-1]:.2f} "
        f"bytes per token, and an embedding of width {width} from {sizes[0] * width / 1e6:.2f} to "
        f"{sizes[-1] * width / 1e6:.2f} million parameters."
    )

    def picture() -> Figure:
        return weighed(sizes, buys, width, label)

    content = {"sizes": list(sizes), "names": list(buys), "widths": list(WIDTHS), "width": width}
    arrays = {"buys": list(buys.values())}
    return Explorer(
        Path(__file__).with_suffix(".js"), content, arrays, whose=label, says=says, picture=picture
    )
