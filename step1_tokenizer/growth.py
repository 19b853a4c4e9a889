"""Evidence: how training time grows with text and vocabulary, beside `tokenizers`, and the picture of it."""

from __future__ import annotations

import sysconfig
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from coursekit import bench
from coursekit.registry import COURSE_ROOT
from step1_tokenizer.bench import train, train_library
from step1_tokenizer.experiments.figures import COLORS, canvas
from step1_tokenizer.model_solution import split_words

PICTURE = COURSE_ROOT / "docs" / "images" / "bpe_growth.png"
MEGABYTES, MERGES = (1, 2, 5, 10, 20), (1024, 2048, 4096, 8192, 16384)
# While one grows, the other stays at this.
MERGES_FIXED, MEGABYTES_FIXED = 4096, 5


def evidence(
    megabytes: Sequence[float] = MEGABYTES,
    merges: Sequence[int] = MERGES,
    fixed: tuple[float, int] = (MEGABYTES_FIXED, MERGES_FIXED),
    picture: Path = PICTURE,
) -> dict[str, Any]:
    """Train once for each size, draw the times, and return them; `fixed` is what stays meanwhile."""
    text = library_text(max(*megabytes, fixed[0]))
    by_text = [_measured(cut(text, size), fixed[1]) for size in megabytes]
    by_merges = [_measured(cut(text, fixed[0]), count) for count in merges]
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(by_text, by_merges).savefig(picture, dpi=120, metadata={"Software": None})
    small = cut(text, min(megabytes))
    few = min(merges)
    first, last = by_text[0], by_text[-1]
    claims = {
        "merges equal those of tokenizers": _same(small, few),
        "distinct words grow more slowly than the text": last["distinct_words"] / first["distinct_words"]
        < last["bytes"] / first["bytes"],
        "training grows more slowly than the text": last["ours_s"] / first["ours_s"]
        < last["bytes"] / first["bytes"],
    }
    return {"by_text": by_text, "by_merges": by_merges, "claims": claims}


def library_text(megabytes: float) -> list[str]:
    """Return files of the standard library, tests included, of so many megabytes or all that there are."""
    root = Path(sysconfig.get_path("stdlib"))
    found, size = [], 0
    for path in sorted(root.rglob("*.py")):
        if size >= megabytes * 1e6:
            break
        if "site-packages" in path.parts or "dist-packages" in path.parts:
            continue
        try:
            with tokenize.open(path) as file:
                found.append(file.read())
        except (SyntaxError, UnicodeDecodeError):
            # Some of the library's tests are files that no one can read, on purpose.
            continue
        size += len(found[-1].encode())
    return found


def cut(texts: Sequence[str], megabytes: float) -> list[str]:
    """Return texts from the beginning until they have so many megabytes."""
    chosen, size = [], 0
    for text in texts:
        if size >= megabytes * 1e6:
            break
        chosen.append(text)
        size += len(text.encode())
    return chosen


def draw(by_text: Sequence[dict[str, Any]], by_merges: Sequence[dict[str, Any]]) -> Figure:
    """Draw seconds over megabytes and over merges, ours and the library's."""
    figure, axes = canvas(2)
    for ax, rows, x, label in (
        (axes[0], by_text, [row["bytes"] / 1e6 for row in by_text], "megabytes of text"),
        (axes[1], by_merges, [row["merges"] for row in by_merges], "merges"),
    ):
        ax.plot(x, [row["ours_s"] for row in rows], color=COLORS[0], marker="o", label="this course")
        peer = [row["tokenizers_s"] for row in rows]
        ax.plot(x, peer, color=COLORS[1], marker="s", linestyle="--", label="tokenizers")
        ax.set(xlabel=label, ylabel="seconds", ylim=(0, None))
    axes[0].legend(frameon=False)
    return figure


def _measured(texts: Sequence[str], merges: int) -> dict[str, Any]:
    return {
        "bytes": sum(len(text.encode()) for text in texts),
        "distinct_words": len({word for text in texts for word in split_words(text)}),
        "merges": merges,
        "ours_s": round(bench.once(lambda: train(texts, merges)), 3),
        "tokenizers_s": round(bench.once(lambda: train_library(texts, merges)), 3),
    }


def _same(texts: Sequence[str], merges: int) -> bool:
    from step1_tokenizer.bench import Workload

    work = Workload(texts, merges)
    work.compare()
    return len(work.ours.merges) == merges
