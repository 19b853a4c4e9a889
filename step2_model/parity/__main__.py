"""Write the table of docs/parity.md anew from the evidence: `python -m step2_model.parity`."""

from __future__ import annotations

import json
import re

from coursekit.evidence import file_of
from coursekit.registry import COURSE_ROOT
from step2_model.parity import table

PAGE = COURSE_ROOT / "docs" / "parity.md"
BETWEEN = re.compile(r"(<!-- parity: begin -->\n).*?(<!-- parity: end -->)", re.DOTALL)


def page(text: str) -> str:
    """Return the page with the table that the evidence gives."""
    kept = json.loads(file_of("parity").read_text(encoding="utf-8"))
    if BETWEEN.search(text) is None:
        raise ValueError(f"{PAGE.name} must hold the marks of its table, got none")
    return BETWEEN.sub(lambda found: f"{found[1]}\n{table(kept['results'])}\n\n{found[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
