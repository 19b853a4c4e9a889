"""Who is cited anywhere stands in docs/bibliography.md, with the same year and the same number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coursekit.registry import COURSE_ROOT

BIBLIOGRAPHY = COURSE_ROOT / "docs" / "bibliography.md"
ENTRIES = [line for line in BIBLIOGRAPHY.read_text(encoding="utf-8").splitlines() if line.startswith("- ")]
PAGES = sorted(
    [
        *COURSE_ROOT.glob("docs/tutorials/*.md"),
        *COURSE_ROOT.glob("docs/step*/*.md"),
        *COURSE_ROOT.glob("docs/components/*.md"),
        *COURSE_ROOT.glob("step*/README.md"),
        *COURSE_ROOT.glob("step*/*_solution.py"),
    ]
)
CITED = re.compile(
    r"\b([A-Z][\w-]+|nostalgebraist)(?: et al\.|(?:, [A-Z]\w+)? and [A-Z]\w+)?,? \(?((?:19|20)\d\d)\b"
)
MONTHS = {"January", "March", "April", "May", "June", "July", "August", "In", "Python"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_everybody_who_is_cited_is_in_the_bibliography(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name, year in set(CITED.findall(text)):
        if name not in MONTHS:
            assert any(name in entry and f"({year})" in entry for entry in ENTRIES), (name, year)
    for number in set(re.findall(r"(?:arXiv:|arxiv\.org/abs/)(\d{4}\.\d{4,5})", text)):
        assert any(number in entry for entry in ENTRIES), number


def test_a_citation_is_recognized_in_every_way_in_which_the_pages_cite() -> None:
    told = (
        "Radford et al. (2019), (Press and Wolf, 2017), Dong, Cordonnier and Loukas (2021), "
        "(nostalgebraist, 2020)"
    )
    assert set(CITED.findall(told)) == {
        ("Radford", "2019"),
        ("Press", "2017"),
        ("Dong", "2021"),
        ("nostalgebraist", "2020"),
    }


def test_a_link_of_the_bibliography_leads_to_the_number_beside_it() -> None:
    numbered = [entry for entry in ENTRIES if "arXiv:" in entry]
    assert len(numbered) > 10
    for entry in numbered:
        (number,) = re.findall(r"arXiv:(\d{4}\.\d{4,5})", entry)
        assert f"](https://arxiv.org/abs/{number})" in entry
