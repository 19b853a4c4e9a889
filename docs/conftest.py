"""Runs the Python blocks of the write-ups as tests; the blocks of one file share their names."""

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# Blocks of the chapters are cells that call on the learner's file; those of authors' pages are excerpts.
PAGES = ["step*/*.md", "components/*.md"]
PAGES += ["parity.md", "corpora.md", "training_guide.md", "quick_reference.md"]
pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], patterns=PAGES).pytest()
