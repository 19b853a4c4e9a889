"""Explorers of step 1: pages in which a reader walks through merges, cuts any text, and weighs vocabularies.

Each computes with the functions of what it is given, and says whose they are.
"""

from step1_tokenizer.explorers.cuts import cuts
from step1_tokenizer.explorers.merging import merging
from step1_tokenizer.explorers.sizes import sizes

__all__ = ["cuts", "merging", "sizes"]
