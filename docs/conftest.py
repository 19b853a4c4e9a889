"""Runs the Python blocks of the write-ups as tests; the blocks of one file share their names."""

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# The chapters in tutorials/ are notebooks: their blocks call on the learner's file and run as cells.
pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["*.md"],
    excludes=["tutorials/*.md"],
).pytest()
