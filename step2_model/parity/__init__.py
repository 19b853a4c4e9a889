"""Are our models those of `transformers`? Four families, two dtypes, with the cache and without.

Each model is made on the spot with random weights, written by `save_pretrained` and read by `load`.
`course evidence parity` keeps what comes out, and `python -m step2_model.parity` writes it into the page
docs/parity.md.
"""

from __future__ import annotations

from typing import Any

from step2_model.parity.families import DTYPES, FAMILIES, SEED
from step2_model.parity.measuring import measure

__all__ = ["LIMIT", "evidence", "measure", "table"]
# How far logits may be in float32, relative to their spread.
LIMIT = 1e-4
# In bfloat16 either side rounds, so that they may be twice as far from each other as one is from the truth.
ROUNDING = 2.0


def evidence() -> dict[str, Any]:
    """Measure every family, and return what came out and whether each claim holds."""
    rows = [
        measure(family, dtype, cached) for family in FAMILIES for dtype in DTYPES for cached in (False, True)
    ]
    exact = [row for row in rows if row["dtype"] == "float32"]
    rounded = [row for row in rows if row["dtype"] != "float32"]
    claims = {
        "in float32 logits differ by less than 1e-4 of their spread": all(r["error"] < LIMIT for r in exact),
        "in float32 all greedy tokens are equal": all(r["tokens_equal"] == r["tokens"] for r in exact),
        "in bfloat16 ours and theirs differ by at most twice what rounding changes in theirs": all(
            r["error"] <= ROUNDING * r["own_error"] for r in rounded
        ),
        "in bfloat16 greedy texts part only at choices as close as that": all(
            r["lead"] <= ROUNDING * r["own_error"] for r in rounded
        ),
    }
    return {"seeds": [SEED], "results": rows, "claims": claims}


def table(results: list[dict[str, Any]]) -> str:
    """Return the rows of a measurement as a Markdown table."""
    head = "| Family | dtype | Read | Largest error | The library's own rounding | Greedy tokens equal |"
    lines = [head, "|---|---|---|---:|---:|---:|"]
    for row in results:
        how = "through a cache" if row["cached"] else "whole"
        own = "" if row["dtype"] == "float32" else f"{row['own_error']:.1e}"
        tokens = f"{row['tokens_equal']} of {row['tokens']}"
        lines.append(f"| {row['family']} | {row['dtype']} | {how} | {row['error']:.1e} | {own} | {tokens} |")
    return "\n".join(lines)
