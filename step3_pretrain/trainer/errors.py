"""What ends a training before its time, each in one sentence: rule, value, next step."""

from __future__ import annotations

from coursekit.loading import InOneSentence


class CannotTrain(InOneSentence):
    """A run cannot begin, or cannot go on."""


class BrokenLoss(CannotTrain):
    """The loss or the gradients are no numbers any more; the weights are those of before the step."""
