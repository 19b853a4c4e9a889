"""A loss curve that grows while a cell trains, with a Stop button; a picture and a sentence where no widget
can live.
"""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

BETWEEN_MESSAGES = 0.1
MOST_KEPT = 1000
SMOOTHING = 0.9


class LossPlot(anywidget.AnyWidget):
    """A live plot of bits per byte over time; `references` are levels to compare with, such as {"gzip -9":
    2.1}.

    Points go to the browser in batches, at most every 0.1 s. The button sets `stopped`, which the loop
    reads; that works while the cell runs (ipykernel below 7.4). The curve stays in the saved notebook as a
    picture.
    """

    _esm = Path(__file__).with_name("loss_plot.js")
    references = traitlets.Dict().tag(sync=True)
    points: traitlets.List[Any] = traitlets.List().tag(sync=True)
    text = traitlets.Unicode("Nothing trained yet.").tag(sync=True)
    running = traitlets.Bool(True).tag(sync=True)
    stopped = traitlets.Bool(False).tag(sync=True)

    def __init__(self, references: dict[str, float] | None = None) -> None:
        super().__init__(references=references or {})
        self.curve: list[tuple[float, float]] = []
        self._handle: Any = None
        self._sent, self._last = 0, 0.0
        self._lock = threading.Lock()
        self.on_msg(self._answer)

    def add(self, x: float, y: float, fraction: float, text: str) -> None:
        """Add a point (seconds, bits per byte); the first one shows the plot beneath the cell."""
        self.curve.append((round(x, 2), round(y, 4)))
        if self._handle is None:
            from IPython.display import display

            self._handle = display(self, display_id=True)
        if time.monotonic() - self._last >= BETWEEN_MESSAGES:
            self._last = time.monotonic()
            self._send_points(self._sent, fraction, text)

    def finish(self, text: str) -> None:
        """Say how the training ended; the widget keeps the whole curve, and the page gets it as a
        picture too.
        """
        self.text, self.running = text, False
        self.points = [list(point) for point in thin(self.curve, MOST_KEPT)]
        if self._handle is not None:
            # The output was stored when the curve was empty: store it again, so that a saved page has the
            # picture.
            self._handle.update(self)

    def _send_points(self, start: int, fraction: float, text: str) -> None:
        with self._lock:
            new = self.curve[start:]
            self._sent = start + len(new)
            self.send({"start": start, "points": new, "fraction": fraction, "text": text})

    def _answer(self, _: Any, content: dict[str, Any], __: Any) -> None:
        # A view that opened late, or a message that came before the page was ready: send everything again.
        if content.get("want") == "all":
            self._send_points(0, 0.0, "")

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        data = dict(data) | {"text/plain": f"[loss curve: {self.text}]"}
        if self.curve:
            data["image/png"] = base64.b64encode(self.png()).decode()
        return data, metadata

    def png(self) -> bytes:
        """Return the curve as it stands as a PNG on white."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 2.8), dpi=100, layout="constrained")
        axes = figure.subplots()
        axes.set_yscale("log")
        xs, ys = zip(*self.curve)
        axes.plot(xs, ys, color="#0072B2", alpha=0.4, linewidth=0.8)
        axes.plot(xs, smooth(ys), color="#0072B2", linewidth=1.8)
        for name, level in self.references.items():
            axes.axhline(level, color="#666666", linestyle="--", linewidth=1)
            axes.annotate(
                f"{name} {level:.2f}", (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom"
            )
        axes.set_yticks([1, 1.5, 2, 3, 4, 6, 8], ["1", "1.5", "2", "3", "4", "6", "8"])
        axes.minorticks_off()
        axes.set(xlabel="seconds", ylabel="bits per byte (log scale)")
        file = io.BytesIO()
        figure.savefig(file, format="png", facecolor="white")
        return file.getvalue()


def smooth(values: Sequence[float]) -> list[float]:
    """Return the running mean that forgets 10 % a point; it starts at the first value itself."""
    means: list[float] = []
    for value in values:
        means.append(SMOOTHING * means[-1] + (1 - SMOOTHING) * value if means else value)
    return means


def thin(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Return at most `most` of the points, evenly spread, the last one always among them."""
    stride = max(1, -(-len(points) // most))
    return list(points[::-1][::stride])[::-1]
