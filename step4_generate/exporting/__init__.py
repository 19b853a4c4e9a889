"""A run as a folder that `transformers` opens, with its tokenizer, its chat template and its model card."""

from __future__ import annotations
