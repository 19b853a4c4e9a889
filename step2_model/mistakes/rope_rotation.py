"""2.5b, the rotation of pairs: known mistakes and accepted variants."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake, variant


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two halves of the features in float32."""
    a, b = x.float().chunk(2, dim=-1)
    return a, b


def joined(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Put two halves of features together in the dtype of x."""
    return torch.cat([a, b], dim=-1).to(x.dtype)


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn every pair by angles whose shape fits already."""
    a, b = halves(x)
    return joined(x, a * cos - b * sin, b * cos + a * sin)


@mistake("2.5b")
def identity(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your function returns x as it was: nothing is turned. Lengths stay and scores depend on distance, in an
    empty sense, but the model would not know where anything stands.
    """
    return x.clone()


@mistake("2.5b", called="The rotation turns the other way: the sign of sin is wrong in both halves")
def other_way(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your pairs turn the other way: (a cos + b sin, b cos - a sin). A model of your own would learn with it
    just as well, but published weights were trained with (a cos - b sin, b cos + a sin).
    """
    return turned(x, cos.unsqueeze(1), -sin.unsqueeze(1))


@mistake("2.5b")
def no_minus(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your rotation lacks its minus: both halves add. That stretches and squeezes pairs instead of turning
    them; the first half must be a cos - b sin.
    """
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    a, b = halves(x)
    return joined(x, a * cos + b * sin, b * cos + a * sin)


@mistake("2.5b")
def two_minuses(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your rotation has a minus in both halves. One of the two must add, or pairs change their lengths: the
    second half is b cos + a sin.
    """
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    a, b = halves(x)
    return joined(x, a * cos - b * sin, b * cos - a * sin)


@mistake("2.5b", called="The rotation takes cos for sin and sin for cos")
def swapped(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your function uses cos where sin belongs and the other way round: an angle of 0 becomes a quarter turn.
    Position 0 must come out as it went in.
    """
    return turned(x, sin.unsqueeze(1), cos.unsqueeze(1))


@mistake("2.5b")
def neighbors(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your pairs are neighbors: feature 2i with 2i + 1. That is a rotation too, the layout of the first RoPE
    and of DeepSeek's files, but not this one: here feature i goes with i + D/2, as in `transformers`.
    """
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    a, b = x.float()[..., ::2], x.float()[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2).to(x.dtype)


@mistake("2.5b", called="The rotation reads pairs as neighbors and writes them back as halves")
def neighbors_to_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your function reads pairs as neighbors (2i, 2i + 1) and writes them back as halves (i, i + D/2). Each
    is a layout; the two mixed shuffle the features. Read and write halves.
    """
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    a, b = x.float()[..., ::2], x.float()[..., 1::2]
    return joined(x, a * cos - b * sin, b * cos + a * sin)


@mistake("2.5b", called="The rotation reads pairs as halves and writes them back as neighbors")
def halves_to_neighbors(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your function reads pairs as halves (i, i + D/2) and writes them back as neighbors (stack, then
    flatten). Put the halves back as they were: cat along the last dimension.
    """
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    a, b = halves(x)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2).to(x.dtype)


@mistake("2.5b")
def halves_exchanged(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your halves come back in the wrong order: the turned b stands before the turned a."""
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    a, b = halves(x)
    return joined(x, b * cos + a * sin, a * cos - b * sin)


@mistake("2.5b")
def new_a_in_b(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your second half is computed from the first half's *new* value: a was overwritten before b used it.
    Both must read the old pair.
    """
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    a, b = halves(x)
    a = a * cos - b * sin
    return joined(x, a, b * cos + a * sin)


@mistake("2.5b")
def first_half_only(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your second half comes back as it was: only a is turned. Half of a turned pair is no rotation, and
    lengths change.
    """
    a, b = halves(x)
    return joined(x, a * cos.unsqueeze(1) - b * sin.unsqueeze(1), b)


@mistake("2.5b")
def cosine_only(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your rotation uses the cosine alone: each feature is scaled, and a quarter turn leaves nothing of it.
    The other feature of the pair, times the sine, belongs to it.
    """
    cos = cos.unsqueeze(1)
    a, b = halves(x)
    return joined(x, a * cos, b * cos)


@mistake("2.5b")
def along_heads(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your angles run along the heads: the new dimension stands in the wrong place. (B, T, D/2) must become
    (B, 1, T, D/2); with (B, T, 1, D/2) every head would stand at a position of its own.
    """
    return turned(x, cos.unsqueeze(2), sin.unsqueeze(2))


@mistake("2.5b")
def no_head_dimension(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your cos and sin get no dimension for the heads. Broadcasting counts dimensions from the right, so that
    the rows of the batch meet the heads: with one row that is the same, with several it is not.
    """
    return turned(x, cos, sin)


@mistake("2.5b")
def first_row(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your function turns all rows of the batch by the angles of the first. Rows may stand at different
    positions.
    """
    return turned(x, cos[:1].unsqueeze(1), sin[:1].unsqueeze(1))


@mistake("2.5b")
def first_position(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your function turns all positions by the angles of the first one. If all turn alike, no score changes:
    nothing would tell one position from another.
    """
    return turned(x, cos[:, :1].unsqueeze(1), sin[:, :1].unsqueeze(1))


@mistake("2.5b")
def one_angle(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your function turns all pairs by the angle of the first. The slower ones tell far from near."""
    return turned(x, cos[..., :1].unsqueeze(1), sin[..., :1].unsqueeze(1))


@mistake("2.5b")
def in_place(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your function writes into the x that it was given. Return a new tensor: the caller may still need the
    old one, and so does autograd.
    """
    y = turned(x, cos.unsqueeze(1), sin.unsqueeze(1))
    return x.copy_(y)


@mistake("2.5b")
def stays_float32(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your result is float32 whatever x is: float32 angles widen what they are multiplied with. Keys would
    take twice the room in the cache of a model in bfloat16; return to the dtype of x.
    """
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    a, b = halves(x)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


@mistake("2.5b")
def detached(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Your result carries no gradient (detach, .data or torch.no_grad): queries would never learn."""
    return turned(x.detach(), cos.unsqueeze(1), sin.unsqueeze(1))


@variant("2.5b")
def as_transformers(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Angles doubled to the whole width, the halves exchanged with a minus."""
    cos, sin = (torch.cat([t, t], dim=-1).unsqueeze(1) for t in (cos, sin))
    a, b = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return (x * cos + torch.cat([-b, a], dim=-1) * sin).to(x.dtype)


@variant("2.5b")
def by_complex(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Pairs are complex numbers, and turning is multiplying."""
    pairs = rearrange(x.float(), "B H T (two i) -> B H T i two", two=2).contiguous()
    turned = torch.view_as_complex(pairs) * torch.complex(cos, sin).unsqueeze(1)
    return rearrange(torch.view_as_real(turned), "B H T i two -> B H T (two i)").to(x.dtype)


@variant("2.5b")
def by_matrices(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """A 2 x 2 matrix for each pair, einsum, in float64."""
    matrix = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])]).double()
    pairs = rearrange(x.double(), "B H T (two i) -> B H T two i", two=2)
    return torch.einsum("xybti,bhtyi->bhtxi", matrix, pairs).flatten(-2).to(x.dtype)


@variant("2.5b")
def head_by_head(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """A loop over heads, written into a new tensor."""
    y, half = torch.empty_like(x), x.shape[-1] // 2
    for h in range(x.shape[1]):
        a, b = x[:, h, :, :half].float(), x[:, h, :, half:].float()
        y[:, h, :, :half] = a * cos - b * sin
        y[:, h, :, half:] = b * cos + a * sin
    return y
