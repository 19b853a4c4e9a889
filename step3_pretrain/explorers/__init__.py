"""Explorers of step 3: pages in which a reader walks through blocks, a schedule and the steps of optimizers.

They compute with the functions of `mine = learner()` and say whose they are.
"""

from step3_pretrain.explorers.blocks import blocks
from step3_pretrain.explorers.optimizer import optimizer
from step3_pretrain.explorers.schedule import schedule

__all__ = ["blocks", "optimizer", "schedule"]
