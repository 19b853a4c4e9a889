"""A training in a terminal: a progress bar that follows the budget, only its last line when piped."""

from __future__ import annotations

from collections.abc import Mapping

from tqdm import tqdm


class LossBar:
    """A progress bar over the fraction of a budget used up; the terminal's Stop button is Ctrl-C."""

    stopped = False

    def __init__(self, references: Mapping[str, float]) -> None:
        if references:
            best = ", ".join(f"{name} {value:.2f}" for name, value in references.items())
            print(f"bits per byte to beat: {best}", flush=True)
        # disable=None: no bar where nobody watches (output to a file or a pipe).
        self.bar = tqdm(
            total=100, disable=None, bar_format="{percentage:3.0f} % |{bar:30}| {desc}", leave=False
        )

    def add(self, x: float, y: float, fraction: float, text: str) -> None:
        """Move the bar to this fraction of the budget with `text` behind it."""
        self.bar.set_description_str(text, refresh=False)
        self.bar.update(100 * fraction - self.bar.n)

    def finish(self, text: str) -> None:
        """Take the bar away and print the last line."""
        self.bar.close()
        print(text, flush=True)
