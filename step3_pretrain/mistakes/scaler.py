"""3.10b, a scaler: known mistakes with the order of unscaling, clipping, stepping and updating; variants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.probe import mistake, variant
from step3_pretrain.further_solution import needs_scaler, scaled_step
from step3_pretrain.model_solution import clip_gradients

Pair = dict[str, Callable[..., Any]]
Parameters = Sequence[nn.Parameter]


def pair(step: Callable[..., Any] = scaled_step, needs: Callable[..., Any] = needs_scaler) -> Pair:
    """Return an implementation of the pair; what is not given is right."""
    return {"needs_scaler": needs, "scaled_step": step}


@mistake("3.10b")
def for_bfloat16_too() -> Pair:
    """Your needs_scaler is true for bfloat16, too. It has as many exponents as float32, so that nothing is
    lost at the lower end: it lacks digits, which no scale gives back.
    """
    return pair(needs=lambda dtype: dtype in (torch.float16, torch.bfloat16))


@mistake("3.10b")
def for_bfloat16_alone() -> Pair:
    """Your needs_scaler is true for bfloat16, and false for float16. It is the other way round: float16 ends
    at 6e-8, bfloat16 where float32 ends.
    """
    return pair(needs=lambda dtype: dtype == torch.bfloat16)


@mistake("3.10b")
def never_needed() -> Pair:
    """Your needs_scaler is never true. In float16 gradients below 6e-8 become 0."""
    return pair(needs=lambda dtype: False)


@mistake("3.10b")
def clipped_before_unscaling() -> Pair:
    """Your gradients are clipped before they are divided by the scale (or `unscale_` is missing: then the
    step divides them). They are thousands of times as long as they will be: the limit cuts nearly all of
    every step away, and moves with the scale.
    """

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        norm = clip_gradients(parameters, max_norm)
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        return norm

    return pair(step)


@mistake("3.10b")
def unscaled_by_hand() -> Pair:
    """Your gradients are divided by the scale by hand. The scaler does not know, and divides once more at its
    step: use `unscale_`, which it remembers.
    """

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(scaler.get_scale())
        norm = clip_gradients(parameters, max_norm)
        scaler.step(optimizer)
        scaler.update()
        return norm

    return pair(step)


@mistake("3.10b")
def clipped_after_the_step() -> Pair:
    """Your step is taken before the gradients are clipped, or they never are: it is as long as they were."""

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        norm = clip_gradients(parameters, max_norm)
        scaler.update()
        return norm

    return pair(step)


@mistake("3.10b")
def without_veto() -> Pair:
    """Your step is the optimizer's own, without the scaler's veto. One infinite gradient, which a scale tried
    too high brings about, and every weight is NaN: call scaler.step(optimizer).
    """

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        scaler.unscale_(optimizer)
        norm = clip_gradients(parameters, max_norm)
        optimizer.step()
        scaler.update()
        return norm

    return pair(step)


@mistake("3.10b")
def stepped_twice() -> Pair:
    """Your step is taken twice: scaler.step calls optimizer.step itself, and one more comes on top of it."""

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        scaler.unscale_(optimizer)
        norm = clip_gradients(parameters, max_norm)
        scaler.step(optimizer)
        optimizer.step()
        scaler.update()
        return norm

    return pair(step)


@mistake("3.10b")
def update_forgotten() -> Pair:
    """Your scale never changes: `update` is missing. The scaler stops at the next step, since it has not
    forgotten that it divided already; and a scale that made a gradient infinite would do so again.
    """

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        scaler.unscale_(optimizer)
        norm = clip_gradients(parameters, max_norm)
        scaler.step(optimizer)
        return norm

    return pair(step)


@mistake("3.10b")
def length_still_scaled() -> Pair:
    """Your length is measured before the gradients are divided by the scale. It would jump whenever the scale
    does, and tell nothing of the run.
    """

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        norm = clip_gradients(parameters, float("inf"))
        scaler.unscale_(optimizer)
        clip_gradients(parameters, max_norm)
        scaler.step(optimizer)
        scaler.update()
        return norm

    return pair(step)


@mistake("3.10b")
def length_after_clipping() -> Pair:
    """Your length is that of the clipped gradients: it is never above the limit, so that no spike shows in
    it. Return what clip_gradients returns.
    """

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        norm = scaled_step(optimizer, scaler, parameters, max_norm)
        return norm.clamp(max=max_norm)

    return pair(step)


@mistake("3.10b")
def idle_without_scaler() -> Pair:
    """Your step is left out where the scaler is not enabled. Then it does nothing, and the step is an
    ordinary one: in bfloat16 and float32 all training goes that way.
    """

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        if scaler.is_enabled():
            return scaled_step(optimizer, scaler, parameters, max_norm)
        return clip_gradients(parameters, max_norm)

    return pair(step)


@variant("3.10b")
def clipped_by_hand() -> Pair:
    """Gradients scaled to the limit without `clip_gradients`; the dtype told by its smallest number."""

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        scaler.unscale_(optimizer)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        if norm > max_norm:
            for gradient in gradients:
                gradient *= max_norm / norm
        scaler.step(optimizer)
        scaler.update()
        return norm

    return pair(step, lambda dtype: torch.finfo(dtype).smallest_normal > 1e-30)


@variant("3.10b")
def two_ways() -> Pair:
    """An ordinary step written out where the scaler is not enabled."""

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        if not scaler.is_enabled():
            norm = clip_gradients(parameters, max_norm)
            optimizer.step()
            return norm
        scaler.unscale_(optimizer)
        norm = clip_gradients(list(parameters), max_norm)
        scaler.step(optimizer)
        scaler.update()
        return norm

    return pair(step, lambda dtype: dtype in {torch.float16})


@variant("3.10b")
def gradients_replaced() -> Pair:
    """New gradients in place of changed ones, and the length from a list of lengths."""

    def step(optimizer: Any, scaler: Any, parameters: Parameters, max_norm: float) -> Tensor:
        scaler.unscale_(optimizer)
        lengths = [p.grad.norm() for p in parameters if p.grad is not None]
        norm = torch.stack(lengths).square().sum().sqrt()
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad = parameter.grad * torch.clamp(max_norm / norm, max=1)
        scaler.step(optimizer)
        scaler.update()
        return norm

    return pair(step, lambda dtype: dtype is torch.half)
