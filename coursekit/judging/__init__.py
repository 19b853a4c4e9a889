"""How a verdict comes about: a probe runs on the learner's code and on the reference, values are compared."""
