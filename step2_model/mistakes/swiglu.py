"""2.8, SwiGLU: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.probe import mistake, variant


def gated(self: Any, x: Tensor, bend: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what the layer returns with another function on its gate."""
    out: Tensor = self.down_proj(bend(self.gate_proj(x)) * self.up_proj(x))
    return out


@mistake("2.8")
def gate_and_up_swapped(self: Any, x: Tensor) -> Tensor:
    """Your layer bends up_proj(x) and multiplies by gate_proj(x) as it is. In a new model the two could
    trade places; with weights that somebody trained, silu has to be on gate_proj's side.
    """
    out: Tensor = self.down_proj(self.gate_proj(x) * F.silu(self.up_proj(x)))
    return out


@mistake("2.8")
def no_silu(self: Any, x: Tensor) -> Tensor:
    """Your gate is not bent: silu is missing on gate_proj(x). A product of two linear layers is still
    something, called a bilinear layer, but a gate that can shut is what the trained weights count on.
    """
    return gated(self, x, lambda z: z)


@mistake("2.8")
def sigmoid(self: Any, x: Tensor) -> Tensor:
    """Your gate is sigmoid(z), between 0 and 1. That is the first gated unit (GLU, 2016); silu is
    z · sigmoid(z), which also scales.
    """
    return gated(self, x, torch.sigmoid)


@mistake("2.8")
def gelu(self: Any, x: Tensor) -> Tensor:
    """Your gate is bent by GELU. That layer exists (GEGLU, and Gemma has it); Llama's and DeepSeek's weights
    were trained with silu, which is flatter near 0.
    """
    return gated(self, x, F.gelu)


@mistake("2.8")
def tanh_gelu(self: Any, x: Tensor) -> Tensor:
    """Your gate is bent by GELU in its tanh form, as in part one. Here it is silu: z · sigmoid(z)."""
    return gated(self, x, lambda z: F.gelu(z, approximate="tanh"))


@mistake("2.8")
def quick_gelu(self: Any, x: Tensor) -> Tensor:
    """Your gate has a factor in its sigmoid, z · sigmoid(1.702 z), which imitates GELU. silu has none."""
    return gated(self, x, lambda z: z * torch.sigmoid(1.702 * z))


@mistake("2.8")
def relu(self: Any, x: Tensor) -> Tensor:
    """Your gate is bent by ReLU (that layer is called ReGLU). A gate that is shut passes no gradient then,
    and may never open again; silu lets a little through.
    """
    return gated(self, x, F.relu)


@mistake("2.8")
def silu_on_product(self: Any, x: Tensor) -> Tensor:
    """Your layer bends the product of gate and up. silu acts on gate_proj(x) alone; what it lets through,
    up_proj(x), may have any sign.
    """
    out: Tensor = self.down_proj(F.silu(self.gate_proj(x) * self.up_proj(x)))
    return out


@mistake("2.8")
def silu_on_both(self: Any, x: Tensor) -> Tensor:
    """Your layer bends both projections. up_proj(x) stays as it is: the features that the gate scales may be
    negative.
    """
    out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * F.silu(self.up_proj(x)))
    return out


@mistake("2.8")
def added(self: Any, x: Tensor) -> Tensor:
    """Your layer adds gate and up. A gate multiplies: where it is 0, nothing of the feature is left."""
    out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) + self.up_proj(x))
    return out


@mistake("2.8")
def no_up(self: Any, x: Tensor) -> Tensor:
    """Your layer leaves up_proj out: a gate without anything to let through. What remains is the layer of
    part one with silu, and a third of the weights idle.
    """
    out: Tensor = self.down_proj(F.silu(self.gate_proj(x)))
    return out


@mistake("2.8")
def no_gate(self: Any, x: Tensor) -> Tensor:
    """Your layer leaves gate_proj out and takes up_proj(x) for its own gate: the question of what to let
    through and the answer would be one and the same projection.
    """
    up = self.up_proj(x)
    out: Tensor = self.down_proj(F.silu(up) * up)
    return out


@mistake("2.8")
def gate_twice(self: Any, x: Tensor) -> Tensor:
    """Your layer reads gate_proj twice and up_proj never (a slip of copying, mostly): what the gate scales is
    up_proj(x).
    """
    gate = self.gate_proj(x)
    out: Tensor = self.down_proj(F.silu(gate) * gate)
    return out


@mistake("2.8")
def adds_x(self: Any, x: Tensor) -> Tensor:
    """Your layer adds x to its answer. The residual belongs to the block, which adds x itself: here it would
    be added twice.
    """
    return x + gated(self, x, F.silu)


@mistake("2.8")
def detached_gate(self: Any, x: Tensor) -> Tensor:
    """Your gate carries no gradient (detach, .data or torch.no_grad): gate_proj would never learn what to
    let through.
    """
    return gated(self, x, lambda z: F.silu(z).detach())


@variant("2.8")
def written_out(self: Any, x: Tensor) -> Tensor:
    """z · sigmoid(z), in steps."""
    z = self.gate_proj(x)
    features = self.up_proj(x)
    opened = z * torch.sigmoid(z)
    out: Tensor = self.down_proj(opened * features)
    return out


@variant("2.8")
def one_matrix(self: Any, x: Tensor) -> Tensor:
    """Gate and up in one matrix product, as fast code has it."""
    both = F.linear(x, torch.cat([self.gate_proj.weight, self.up_proj.weight]))
    gate, up = both.chunk(2, dim=-1)
    return F.linear(up * nn.SiLU()(gate), self.down_proj.weight)


@variant("2.8")
def in_float64(self: Any, x: Tensor) -> Tensor:
    """Everything in float64, silu through tanh: sigmoid(z) = (1 + tanh(z/2)) / 2."""
    y = x.double()
    z = y @ self.gate_proj.weight.double().T
    opened = z * (1 + torch.tanh(z / 2)) / 2
    features = opened * (y @ self.up_proj.weight.double().T)
    return (features @ self.down_proj.weight.double().T).to(x.dtype)
