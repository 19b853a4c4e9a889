"""2.7, RMSNorm: known mistakes and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant


def scaled(self: Any, x: Tensor, factor: Tensor) -> Tensor:
    """Return x times a factor, computed in float32, in the dtype of x, times the gain."""
    out: Tensor = self.weight * (x.float() * factor).to(x.dtype)
    return out


def mean_square(x: Tensor) -> Tensor:
    """Return the mean square of the features, in float32."""
    return x.float().square().mean(dim=-1, keepdim=True)


@mistake("2.7")
def eps_outside(self: Any, x: Tensor) -> Tensor:
    """Your eps is added to the root, not to the mean square inside it. For a vector of size 0.001 that makes
    the result 1.4 times as large; models trained with the one do not fit the other.
    """
    return scaled(self, x, 1 / (mean_square(x).sqrt() + self.eps))


@mistake("2.7")
def eps_missing(self: Any, x: Tensor) -> Tensor:
    """Your norm leaves eps out: a vector of zeros is divided by 0 and becomes NaN, and one that is nearly
    zero, mere noise, is blown up to full size.
    """
    return scaled(self, x, 1 / mean_square(x).sqrt())


@mistake("2.7")
def eps_as_floor(self: Any, x: Tensor) -> Tensor:
    """Your eps is a lowest value (clamp, maximum) for the mean square. It is added to it, always: with a
    floor, large and small vectors would follow different formulas.
    """
    return scaled(self, x, torch.rsqrt(mean_square(x).clamp(min=self.eps)))


@mistake("2.7", called="eps is the number 1e-6, whatever the layer was built with")
def eps_constant(self: Any, x: Tensor) -> Tensor:
    """Your norm adds 1e-6, whatever it was built with. Models differ in it (Llama 2 has 1e-5): take
    self.eps.
    """
    return scaled(self, x, torch.rsqrt(mean_square(x) + 1e-6))


@mistake("2.7", called="eps is the number 1e-5, whatever the layer was built with")
def eps_of_layer_norm(self: Any, x: Tensor) -> Tensor:
    """Your norm adds 1e-5, LayerNorm's default, whatever it was built with: take self.eps."""
    return scaled(self, x, torch.rsqrt(mean_square(x) + 1e-5))


@mistake("2.7")
def mean_subtracted(self: Any, x: Tensor) -> Tensor:
    """Your norm subtracts the mean first. That is LayerNorm without its bias; RMSNorm leaves the mean where
    it is, which saves a pass over x and, as its authors found, costs nothing.
    """
    centered = x.float() - x.float().mean(dim=-1, keepdim=True)
    return scaled(self, centered, torch.rsqrt(mean_square(centered) + self.eps)).to(x.dtype)


@mistake("2.7")
def variance(self: Any, x: Tensor) -> Tensor:
    """Your norm divides by the standard deviation (var, std), which is measured from the mean. The root mean
    square is measured from 0.
    """
    return scaled(self, x, torch.rsqrt(x.float().var(dim=-1, keepdim=True, correction=0) + self.eps))


@mistake("2.7")
def over_positions(self: Any, x: Tensor) -> Tensor:
    """Your mean runs over the positions of a text (dim -2 or 1). Every position is normalized by itself,
    over its features: otherwise each would learn something about those after it.
    """
    return scaled(self, x, torch.rsqrt(x.float().square().mean(dim=-2, keepdim=True) + self.eps))


@mistake("2.7")
def over_everything(self: Any, x: Tensor) -> Tensor:
    """Your mean runs over the whole tensor (a dim is missing): all positions of all texts share one number,
    and what one text becomes depends on which others stand in the batch.
    """
    return scaled(self, x, torch.rsqrt(x.float().square().mean() + self.eps))


@mistake("2.7")
def sum_of_squares(self: Any, x: Tensor) -> Tensor:
    """Your norm divides by the length of the vector: the squares are summed where their mean is wanted. The
    features come out smaller by √C, so that wide models would start with faint ones.
    """
    return scaled(self, x, torch.rsqrt(x.float().square().sum(dim=-1, keepdim=True) + self.eps))


@mistake("2.7")
def no_root(self: Any, x: Tensor) -> Tensor:
    """Your norm divides by the mean square itself: the root is missing. A vector twice as long would come out
    half as long, where its length should not matter.
    """
    return scaled(self, x, 1 / (mean_square(x) + self.eps))


@mistake("2.7")
def multiplied(self: Any, x: Tensor) -> Tensor:
    """Your norm multiplies by the root mean square where it should divide (sqrt for rsqrt): large vectors
    would come out larger still.
    """
    return scaled(self, x, torch.sqrt(mean_square(x) + self.eps))


@mistake("2.7")
def no_gain(self: Any, x: Tensor) -> Tensor:
    """Your norm leaves its gain out: self.weight scales each feature after the division. In a new model it
    is 1 and nothing shows; in a trained one it is what the layer has learned.
    """
    return (x.float() * torch.rsqrt(mean_square(x) + self.eps)).to(x.dtype)


@mistake("2.7")
def one_plus_gain(self: Any, x: Tensor) -> Tensor:
    """Your gain is 1 + weight. Some models (Gemma) store gains that way, starting at 0; here the weight
    starts at 1 and is the gain itself, so that yours are larger by 1.
    """
    return scaled(self, x, torch.rsqrt(mean_square(x) + self.eps)) * (1 + self.weight) / self.weight


@mistake("2.7")
def gain_twice(self: Any, x: Tensor) -> Tensor:
    """Your gain is applied twice. Where it is 1, as in a new model, nothing shows; a learned gain comes out
    squared.
    """
    return self.weight * scaled(self, x, torch.rsqrt(mean_square(x) + self.eps))


@mistake("2.7")
def gain_before(self: Any, x: Tensor) -> Tensor:
    """Your gain is applied before the division, which undoes most of what the gain did. The root mean square
    is then that of the scaled features; it is taken of x alone, and the gain comes last.
    """
    y = x.float() * self.weight.float()
    return (y * torch.rsqrt(mean_square(y) + self.eps)).to(x.dtype)


@mistake("2.7")
def half_precision(self: Any, x: Tensor) -> Tensor:
    """Your norm takes its squares in the dtype of x. In float16 the square of 256 is already infinite, and x
    divided by infinity is 0: go to float32 before the square, not after it.
    """
    out: Tensor = self.weight * (x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.eps))
    return out


@mistake("2.7")
def stays_in_float32(self: Any, x: Tensor) -> Tensor:
    """Your result stays in float32 where x is in half precision: return to the dtype of x, or the next matrix
    finds a number of another kind than its own.
    """
    out: Tensor = self.weight.float() * (x.float() * torch.rsqrt(mean_square(x) + self.eps))
    return out


@mistake("2.7")
def detached(self: Any, x: Tensor) -> Tensor:
    """Your root mean square carries no gradient (detach, .data or torch.no_grad around it): training would
    take the size of x for a constant, and push along it in vain.
    """
    return scaled(self, x, torch.rsqrt(mean_square(x).detach() + self.eps))


@mistake("2.7")
def writes_into_x(self: Any, x: Tensor) -> Tensor:
    """Your norm writes into its argument (mul_, div_, *=, or x[...] =): the residual stream that it reads
    would be normalized itself, and no longer be what was added up.
    """
    with torch.no_grad():
        x.mul_(torch.rsqrt(mean_square(x) + self.eps))
    return self.weight * x


@variant("2.7")
def functional(self: Any, x: Tensor) -> Tensor:
    """F.rms_norm does the division."""
    return self.weight * F.rms_norm(x.float(), x.shape[-1:], eps=self.eps).to(x.dtype)


@variant("2.7")
def by_length(self: Any, x: Tensor) -> Tensor:
    """The mean square from the vector's length."""
    y = x.float()
    square = torch.linalg.vector_norm(y, dim=-1, keepdim=True) ** 2 / y.shape[-1]
    return (y / torch.sqrt(square + self.eps)).type_as(x) * self.weight


@variant("2.7")
def in_float64(self: Any, x: Tensor) -> Tensor:
    """Float64 inside, the gain applied before the rounding."""
    y = x.double()
    y = y / (y.pow(2).sum(dim=-1, keepdim=True) / y.shape[-1] + self.eps) ** 0.5
    return (y * self.weight.double()).to(x.dtype)


@variant("2.7")
def by_einsum(self: Any, x: Tensor) -> Tensor:
    """The sum of squares as an einsum of x with itself."""
    y = x.float()
    square = torch.einsum("...c,...c->...", y, y) / y.size(-1)
    return self.weight * (y / (square + self.eps).sqrt()[..., None]).to(x.dtype)
