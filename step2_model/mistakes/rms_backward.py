"""2.16a, RMSNorm's backward pass by hand: known mistakes and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant

Pair = tuple[Tensor, Tensor]


def inverse_of(x: Tensor, eps: float) -> Tensor:
    """Return 1/r of every position."""
    return torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)


def along(g: Tensor, n: Tensor) -> Tensor:
    """Return how much of g lies along n."""
    return n * (g * n).mean(dim=-1, keepdim=True)


def of_gain(x: Tensor, eps: float, grad: Tensor) -> Tensor:
    """Return the gradient of the gain."""
    return (grad * x * inverse_of(x, eps)).reshape(-1, x.shape[-1]).sum(dim=0)


@mistake("2.16a", called="The gain multiplies the whole gradient, from outside the mean")
def gain_outside(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gain multiplies the whole of x's gradient from outside: weight · (grad - n · mean(grad · n)) / r.
    The mean must be over grad · weight · n; the two agree only where all gains are equal.
    """
    inverse = inverse_of(x, eps)
    return weight * (grad - along(grad, x * inverse)) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="The gain is inside the mean alone, and missing in front of it")
def gain_in_mean_alone(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gain stands inside the mean, but the first term is grad without it. Both terms have
    g = grad · weight.
    """
    inverse = inverse_of(x, eps)
    return (grad - along(grad * weight, x * inverse)) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="The mean is over grad · n, without the gain")
def gain_in_first_term_alone(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your mean is over grad · n, without the gain that the first term has. What arrives at n is
    g = grad · weight, in both terms.
    """
    inverse = inverse_of(x, eps)
    return (grad * weight - along(grad, x * inverse)) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="The gain is missing in x's gradient")
def no_gain(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of x leaves the gain out. What arrives at the normalized x is grad · weight: begin with
    it.
    """
    inverse = inverse_of(x, eps)
    return (grad - along(grad, x * inverse)) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="The second term of x's gradient is missing: r is taken for a constant")
def r_constant(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient takes r for a constant: the second term is missing. Each feature is in r, too, and moves
    all the others through it.
    """
    return grad * weight * inverse_of(x, eps), of_gain(x, eps, grad)


@mistake("2.16a", called="The second term is added where it should be taken away")
def plus(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient adds the part along n. A larger feature makes r larger, which makes everything smaller:
    the second term is taken away.
    """
    inverse, g = inverse_of(x, eps), grad * weight
    return (g + along(g, x * inverse)) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="The second term has a sum where it should have a mean")
def summed(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your second term sums g · n over the features. r is the root of a *mean* of squares, from which a 1/C
    comes.
    """
    inverse, g = inverse_of(x, eps), grad * weight
    n = x * inverse
    return (g - n * (g * n).sum(dim=-1, keepdim=True)) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="The second term has x where it should have n")
def not_normalized(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your second term has x in place of n = x / r: it lacks a 1/r². With x of size 1 one would hardly see
    it.
    """
    inverse, g = inverse_of(x, eps), grad * weight
    return (g - along(g, x)) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="The mean runs over all positions, too")
def mean_of_all(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your mean runs over batch and positions as well. Each position has been divided by its own r and
    answers for itself: dim=-1, with keepdim.
    """
    inverse, g = inverse_of(x, eps), grad * weight
    n = x * inverse
    return (g - n * (g * n).mean()) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="A mean is taken away as well, as in LayerNorm's backward pass")
def of_layer_norm(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of x has the mean of g taken away, too. That term belongs to LayerNorm, which subtracts
    the mean of x; RMSNorm does not.
    """
    inverse, g = inverse_of(x, eps), grad * weight
    return (g - g.mean(dim=-1, keepdim=True) - along(g, x * inverse)) * inverse, of_gain(x, eps, grad)


@mistake("2.16a", called="x's gradient is not divided by r")
def not_divided(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of x is not divided by r. What reaches n reaches x only through x / r."""
    g = grad * weight
    return g - along(g, x * inverse_of(x, eps)), of_gain(x, eps, grad)


@mistake("2.16a", called="x's gradient is divided by r twice")
def divided_twice(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of x is divided by r². With n = x / r in the second term, one division of the whole is
    all that is left to do.
    """
    inverse, g = inverse_of(x, eps), grad * weight
    return (g - along(g, x * inverse)) * inverse**2, of_gain(x, eps, grad)


@mistake("2.16a", called="eps is missing")
def no_eps(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your r has no eps. The backward pass needs the very r that the forward pass divided by: with small x
    the two are far apart, and with x = 0 yours divides by 0.
    """
    inverse, g = inverse_of(x, 0.0), grad * weight
    return (g - along(g, x * inverse)) * inverse, of_gain(x, 0.0, grad)


@mistake("2.16a", called="eps stands outside of the root")
def eps_outside(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your eps is added to the root. It belongs inside: r = √(mean(x²) + eps)."""
    inverse, g = 1 / (x.square().mean(dim=-1, keepdim=True).sqrt() + eps), grad * weight
    n = x * inverse
    return (g - along(g, n)) * inverse, (grad * n).reshape(-1, x.shape[-1]).sum(dim=0)


@mistake("2.16a", called="The gain's gradient is a mean over positions")
def gain_averaged(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of the gain is a mean over positions. One gain serves all of them, so their gradients
    add up; if the loss is a mean, its 1/N is in grad already.
    """
    right, _ = manual(x, weight, eps, grad)
    return right, (grad * x * inverse_of(x, eps)).reshape(-1, x.shape[-1]).mean(dim=0)


@mistake("2.16a", called="The gain's gradient is summed over the features, not over the positions")
def gain_over_features(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of the gain is summed over the features. There is a gain for each feature: sum over all
    dimensions but the last.
    """
    right, _ = manual(x, weight, eps, grad)
    return right, (grad * x * inverse_of(x, eps)).sum(dim=-1).flatten()


@mistake("2.16a", called="The gain's gradient is summed over the first dimension alone")
def gain_over_batch(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of the gain is summed over the first dimension alone. It must have the gain's shape,
    (C,): sum over all dimensions but the last.
    """
    right, _ = manual(x, weight, eps, grad)
    return right, (grad * x * inverse_of(x, eps)).sum(dim=0)


@mistake("2.16a", called="The gain's gradient has x where it should have n")
def gain_of_x(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of the gain is the sum of grad · x. The gain multiplies the normalized x: grad · n."""
    right, _ = manual(x, weight, eps, grad)
    return right, (grad * x).reshape(-1, x.shape[-1]).sum(dim=0)


@mistake("2.16a", called="The gain's gradient is multiplied by the gain")
def gain_twice(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Your gradient of the gain has the gain in it. y is linear in the gain, so its gradient is grad · n,
    whatever the gain is.
    """
    right, wrong = manual(x, weight, eps, grad)
    return right, wrong * weight


@mistake("2.16a", called="The two gradients are returned in the wrong order")
def wrong_order(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Any:
    """Your two gradients are in the wrong order: that of x comes first, then that of the gain."""
    return manual(x, weight, eps, grad)[::-1]


@variant("2.16a")
def manual(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """The formula with x and r: g/r - x · Σ(g · x) / (C r³)."""
    r = (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    g = weight * grad
    dots = (g * x).sum(-1, keepdim=True)
    return g / r - x * dots / (x.shape[-1] * r**3), of_gain(x, eps, grad)


@variant("2.16a")
def by_jacobian(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Each position's whole matrix of derivatives, C × C, in float64."""
    wide, C = x.double(), x.shape[-1]
    inverse = inverse_of(wide, eps)
    n = wide * inverse
    matrix = (torch.eye(C, dtype=torch.float64) - n.unsqueeze(-1) * n.unsqueeze(-2) / C) * inverse[..., None]
    g = (grad * weight).double()
    return torch.einsum("...c,...cd->...d", g, matrix).to(x.dtype), of_gain(wide, eps, grad.double()).to(
        x.dtype
    )


@variant("2.16a")
def by_einsum(x: Tensor, weight: Tensor, eps: float, grad: Tensor) -> Pair:
    """Positions in one long list; dot products by einsum."""
    rows, above = x.reshape(-1, x.shape[-1]), grad.reshape(-1, x.shape[-1])
    r = (torch.einsum("nc,nc->n", rows, rows) / rows.shape[1] + eps).sqrt()
    n = rows / r[:, None]
    g = above * weight
    found = (g - n * (torch.einsum("nc,nc->n", g, n) / rows.shape[1])[:, None]) / r[:, None]
    return found.reshape(x.shape), torch.einsum("nc,nc->c", above, n)
