"""An output on a page that is opened later: what is no longer so is folded or a picture, and says so."""

from __future__ import annotations

from html import escape
from typing import Any

from coursekit.practice.origin import KEY

EARLIER = "From an earlier version of your file. Run this cell again to see it for the file as it is now."
PICTURE = "A picture of what stood here. Run this cell again to use it."
_BOX = "border-left:3px solid var(--jp-border-color1, #8a8a8a);padding:2px 0 2px 12px"
Output = dict[str, Any]


def as_it_was(output: Output, is_current: bool, is_alive: bool) -> Output:
    """Return an output as it may be shown: itself if current and alive, else one that says what it was."""
    if is_current and is_alive:
        return output
    still = _still(output)
    plain = "".join(output.get("data", {}).get("text/plain", ""))
    if is_current:
        html, sentence = f"<p>{PICTURE}</p>{still}", PICTURE
    else:
        html, sentence = f"<details><summary>{EARLIER}</summary>{still}</details>", EARLIER
    return {
        "output_type": "display_data",
        "data": {"text/html": f'<div style="{_BOX}">{html}</div>', "text/plain": f"{sentence}\n{plain}"},
        "metadata": {KEY: {"was": output}},
    }


def original(output: Output) -> Output:
    """Return the output that `as_it_was` stood in for; any other output itself."""
    return output.get("metadata", {}).get(KEY, {}).get("was", output)


def _still(output: Output) -> str:
    """Return what an output shows where nothing moves: its HTML, its picture or its text."""
    data = output.get("data", {})
    plain = "".join(data.get("text/plain", ""))
    if "text/html" in data:
        return "".join(data["text/html"])
    if "image/png" in data:
        source = "data:image/png;base64," + "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="{escape(plain)}" style="max-width:100%;height:auto" src="{source}">'
    return f'<pre tabindex="0">{escape(plain)}</pre>'
