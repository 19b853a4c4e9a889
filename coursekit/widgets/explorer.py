"""The base of every explorer: numbers go to the page once, the page computes, a picture stands in for it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from coursekit.widgets import live, sheets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
MOST_NUMBERS = 1_000_000
DPI = 120


class Explorer(anywidget.AnyWidget):
    """A page of numbers that a learner walks through with arrow keys or a mouse, without asking the kernel.

    `program` is a JavaScript file that ends in `export default explorer({title, how, build})`, with a style
    sheet of the same name beside it; what both can use stands in explorer.js and the style sheets here. The
    program finds `values` (anything JSON can hold) and `arrays` (tensors or lists of numbers, sent as
    float32, infinities included). `whose` says who computed them. Where no widget can live, the page has
    `picture()` with `says` as its alternative text, or `says` alone.

    Raises ValueError where the arrays hold more than a million numbers: a page should open at once.
    """

    values = traitlets.Dict().tag(sync=True)
    arrays = traitlets.Dict().tag(sync=True)
    whose = traitlets.Unicode().tag(sync=True)
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        program: Path,
        values: Mapping[str, Any],
        arrays: Mapping[str, Any],
        *,
        whose: str,
        says: str,
        picture: Callable[[], Figure],
    ) -> None:
        packed = {name: as_float32(array) for name, array in arrays.items()}
        count = sum(array.size for array in packed.values())
        if count > MOST_NUMBERS:
            raise ValueError(
                f"an explorer sends at most {MOST_NUMBERS:,} numbers to the page, got {count:,}: "
                "take a shorter text or a smaller model"
            )
        self.says, self.picture = says, picture
        super().__init__(
            values=dict(values),
            arrays={n: {"shape": list(a.shape), "data": a.tobytes()} for n, a in packed.items()},
            whose=whose,
            # anywidget keeps one style sheet for each of these names, and all explorers are of one class.
            _anywidget_id=f"{__name__}.{program.stem}",
            _esm=sheets.joined(HERE / "explorer.js", program),
            _css=sheets.joined(*sheets.EXPLORER, program.with_suffix(".css")),
        )

    def __repr__(self) -> str:
        return f"[explorer: {self.says} {self.whose}]"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the widget, and for pages without widgets the picture in HTML (with its alternative text),
        as a PNG (what a PDF export takes) and as a sentence.
        """
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        png = self.png
        encoded = base64.b64encode(png).decode("ascii")
        # The width stands in bytes 16 to 19 of a PNG file; a page counts 96 pixels to the inch.
        width = round(int.from_bytes(png[16:20], "big") * 96 / DPI)
        html = (
            f'<img alt="{escape(f"{self.says} {self.whose}")}" width="{width}" '
            f'style="max-width:100%;height:auto" src="data:image/png;base64,{encoded}">'
        )
        still = {"text/plain": repr(self), "image/png": encoded, "text/html": html}
        return live.shown({**data, **still}), metadata

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG on white, drawn once."""
        file = io.BytesIO()
        self.picture().savefig(file, format="png", dpi=DPI, facecolor="white")
        return file.getvalue()


def as_float32(values: Any) -> np.ndarray:
    """Return a tensor, an array or nested lists of numbers as a little-endian float32 array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.ascontiguousarray(values, dtype="<f4")
