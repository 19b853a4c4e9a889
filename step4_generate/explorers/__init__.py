"""Explorers of step 4: pages in which a reader cuts the law of a next token and sees what is left of it.

They compute with the functions of `mine = learner()` and say whose they are.
"""

from step4_generate.explorers.beams import beams
from step4_generate.explorers.next_token import next_token
from step4_generate.explorers.speculation import speculation

__all__ = ["beams", "next_token", "speculation"]
