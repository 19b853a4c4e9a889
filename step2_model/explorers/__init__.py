"""Explorers of step 2: pages in which a reader walks through a model with arrow keys or a mouse.

Those of part one take `mine = learner()`, a trained model and a text; those of part two show one part by
itself. They compute with the functions of `mine` and say whose they are.
"""

from step2_model.explorers.depths import stream
from step2_model.explorers.heads import attention
from step2_model.explorers.logits import surprise
from step2_model.explorers.memory import memory
from step2_model.explorers.routing import routing
from step2_model.explorers.turning import turning
from step2_model.explorers.widths import widths

__all__ = ["attention", "memory", "routing", "stream", "surprise", "turning", "widths"]
