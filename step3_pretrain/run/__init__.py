"""A run as a folder: what is in it, how it is written so that nothing is lost, and how it is read again."""

from __future__ import annotations

from step3_pretrain.run.loading import load_run

__all__ = ["load_run"]
