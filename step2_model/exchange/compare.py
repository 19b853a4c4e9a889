"""A model of ours beside one of `transformers`, part by part: where do they begin to differ?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

TOLERANCE = 1e-4
PREFIXES = ("transformer.", "model.")
# With neighbors as rotary pairs the same numbers lie in another order in here, and in here alone.
REORDERED = ("q_proj", "q_b_proj", "kv_a_proj_with_mqa")


@dataclass(frozen=True)
class Comparison:
    """The largest differences, part by part in the order of computation, relative to the spread of theirs.

    Shown, it names the first part that differs by more than `tolerance`.
    """

    errors: dict[str, float]
    tolerance: float = TOLERANCE

    @property
    def first(self) -> str | None:
        """The name of the first part that differs, or None."""
        return next((name for name, error in self.errors.items() if not error <= self.tolerance), None)

    @property
    def logits(self) -> float:
        """How far the logits differ."""
        return self.errors["logits"]

    def __str__(self) -> str:
        if self.first is None:
            worst = max(self.errors.values())
            return f"All {len(self.errors)} parts agree: they differ by at most {worst:.1e} of their spread."
        names = list(self.errors)
        before = names[: names.index(self.first)]
        agreed = f"{len(before)} parts before it agree" if before else "nothing comes before it"
        error = self.errors[self.first]
        return f"{self.first} is the first part that differs, by {error:.1e} of its spread; {agreed}."


def compare(ours: nn.Module, theirs: nn.Module, ids: Tensor, tolerance: float = TOLERANCE) -> Comparison:
    """Let both models read the same ids and compare what each part of the same name returns.

    A part comes after the parts that it is made of. Parts that one of the two does not have are passed over.

    Tutorial: docs/parity.md
    """
    mine: dict[str, Tensor] = {}
    other: dict[str, Tensor] = {}
    with torch.no_grad(), recorded(ours, mine), recorded(theirs, other):
        mine["logits"] = ours(ids).logits
        other["logits"] = theirs(input_ids=ids).logits
    is_reordered = getattr(getattr(theirs, "config", None), "rope_interleave", False)
    errors = {
        name: distance(mine[name], other[name])
        for name in mine
        if name in other and not (is_reordered and name.endswith(REORDERED))
    }
    return Comparison(errors, tolerance)


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference relative to the spread of theirs; infinite where sizes differ."""
    if ours.numel() != theirs.numel():
        return float("inf")
    wanted = theirs.double()
    spread = float(wanted.std()) or 1.0
    return float((ours.double().reshape(wanted.shape) - wanted).abs().max()) / spread


@contextmanager
def recorded(model: nn.Module, outputs: dict[str, Tensor]) -> Iterator[None]:
    """Note what each module returns while the block runs, under its name less the family's prefix."""

    def noting(name: str) -> Any:
        def note(module: nn.Module, given: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple | list) else output
            if isinstance(first, Tensor) and first.is_floating_point():
                outputs[name] = first.detach()

        return note

    handles = []
    for name, module in model.named_modules():
        own = name
        for prefix in PREFIXES:
            own = own.removeprefix(prefix)
        # The head is compared as the logits; a model as a whole returns more than a tensor.
        if own and own not in ("lm_head", *(prefix[:-1] for prefix in PREFIXES)):
            handles.append(module.register_forward_hook(noting(own)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
