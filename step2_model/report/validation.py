"""Does a model do what every language model must: shapes, gradients, no look into the future, one cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LONGEST = 32
# Relative to the spread of the logits: the same sums in another order.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, whether it holds, and what was seen."""

    what: str
    holds: bool
    seen: str


@dataclass(frozen=True)
class Validation:
    """All findings of one model."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(finding.holds for finding in self.findings)

    def __str__(self) -> str:
        marks = {True: "ok     ", False: "FAILED "}
        return "\n".join(f"{marks[f.holds]}{f.what}: {f.seen}" for f in self.findings)


def sizes_of(model: Any) -> tuple[int, int]:
    """Return the vocabulary and the longest text of a GPT or a Transformer of this step.

    Raises ValueError for anything else.
    """
    if hasattr(model, "args"):
        return model.args.vocab_size, model.args.max_seq_len
    if hasattr(model, "config"):
        return model.config.vocab_size, model.config.block_size
    raise ValueError(f"model must be a GPT or a Transformer of this step, got {type(model).__name__}")


def validate_model(model: nn.Module, seed: int = 0) -> Validation:
    """Look at a model with ids that are drawn, and say what holds; the model is left as it was.

    Shapes and finite numbers; a gradient for every parameter; no parameter whose gradient is 0 everywhere
    ("dead"); logits that do not change with later tokens, and do with earlier ones; and the same logits
    through a cache. A model that raises an error fails in that finding. Raises ValueError for what is no
    model of this step.
    """
    vocab_size, longest = sizes_of(model)
    T = min(LONGEST, longest)
    ids = torch.randint(vocab_size, (4, T), generator=torch.Generator().manual_seed(seed))
    ids = ids.to(next(model.parameters()).device)
    was_training = model.training
    model.eval()
    try:
        findings = [finding for look in LOOKS for finding in _guarded(look, model, ids)]
    finally:
        model.train(was_training)
    return Validation(tuple(findings))


def _guarded(look: Any, model: Any, ids: Tensor) -> Iterator[Finding]:
    try:
        yield from look(model, ids)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is a finding, and the others follow
        yield Finding(look.__name__.replace("_", " "), False, f"{type(error).__name__}: {error}")


def shapes(model: Any, ids: Tensor) -> Iterator[Finding]:
    """Logits are (B, T, V) and finite; the loss is one finite number."""
    with torch.no_grad():
        output = model(ids, labels=ids)
    wanted = (*ids.shape, sizes_of(model)[0])
    got = tuple(output.logits.shape)
    yield Finding("shape of the logits", got == wanted, f"{got}, wanted {wanted}")
    is_finite = bool(output.logits.isfinite().all()) and bool(output.loss.isfinite())
    yield Finding("finite numbers", is_finite, f"loss {output.loss.item():.4f} nats on random ids")


def gradients(model: Any, ids: Tensor) -> Iterator[Finding]:
    """Every parameter gets a gradient from the loss, and none that is 0 everywhere."""
    kept = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    try:
        with torch.enable_grad():
            model(ids, labels=ids).loss.backward()
        found = {name: parameter.grad for name, parameter in model.named_parameters()}
    finally:
        for name, parameter in model.named_parameters():
            parameter.grad = kept[name]
    missing = [name for name, grad in found.items() if grad is None]
    dead = [name for name, grad in found.items() if grad is not None for name in _dead(name, grad)]
    yield Finding("gradient flow", not missing, _listed(missing, len(found), "without a gradient"))
    yield Finding("dead parameters", not dead, _listed(dead, len(found), "with a gradient of 0 everywhere"))


def _dead(name: str, grad: Tensor) -> list[str]:
    """Return what has a gradient of 0 everywhere: the parameter, or single experts of one that holds many."""
    if grad.dim() < 3:
        return [] if grad.any() else [name]
    return [f"{name}[{e}]" for e, part in enumerate(grad) if not part.any()]


def _listed(names: list[str], total: int, what: str) -> str:
    if not names:
        return f"0 of {total} parameters {what}"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} of {total} parameters {what}: {', '.join(names[:3])}{more}"


@torch.no_grad()
def causality(model: Any, ids: Tensor) -> Iterator[Finding]:
    """Other tokens from the middle on leave the logits before it as they are; other tokens before change
    those after.
    """
    vocab_size = sizes_of(model)[0]
    middle = ids.shape[1] // 2
    before = model(ids).logits
    spread = float(before.std()) or 1.0
    changed = ids.clone()
    changed[:, middle:] = (changed[:, middle:] + 1) % vocab_size
    ahead = float((model(changed).logits[:, :middle] - before[:, :middle]).abs().max()) / spread
    seen = f"later tokens change earlier logits by {ahead:.1e} of their spread"
    yield Finding("causality", ahead <= TOLERANCE, seen)
    changed = ids.clone()
    changed[:, 0] = (changed[:, 0] + 1) % vocab_size
    back = float((model(changed).logits[:, 1:] - before[:, 1:]).abs().max()) / spread
    seen = f"the first token changes later logits by {back:.1e} of their spread"
    yield Finding("use of the past", back > 0, seen)


@torch.no_grad()
def cache(model: Any, ids: Tensor) -> Iterator[Finding]:
    """Reading in chunks through a cache gives the logits of reading at once."""
    whole = model(ids).logits
    kept = model.new_cache()
    sizes = [ids.shape[1] // 2, 1, ids.shape[1] - ids.shape[1] // 2 - 1]
    chunks = [model(part, cache=kept).logits for part in ids.split([size for size in sizes if size], dim=1)]
    apart = float((torch.cat(chunks, dim=1) - whole).abs().max()) / (float(whole.std()) or 1.0)
    yield Finding("cache", apart <= TOLERANCE, f"chunks and whole differ by {apart:.1e} of the spread")


LOOKS = (shapes, gradients, causality, cache)
