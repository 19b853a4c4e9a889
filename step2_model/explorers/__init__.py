"""Explorers of step 2: pages in which a reader walks through a trained model with arrow keys or a mouse.

Each takes `mine = learner()`, a trained model and a text, computes with the functions of `mine`, and says
whose they are.
"""

from step2_model.explorers.depths import stream
from step2_model.explorers.heads import attention
from step2_model.explorers.logits import surprise

__all__ = ["attention", "stream", "surprise"]
