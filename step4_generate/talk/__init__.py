"""A talk with a model, in a terminal or in a notebook, on one and the same streaming generator."""

from __future__ import annotations
