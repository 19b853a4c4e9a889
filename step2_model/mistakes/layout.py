"""2.14a, two layouts of one rotation: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.further_solution import half_to_interleaved, interleaved_to_half


def pair(to_half: Any = interleaved_to_half, to_interleaved: Any = half_to_interleaved) -> dict[str, Any]:
    """Return an implementation of the pair; what is not given is right."""
    return {"interleaved_to_half": to_half, "half_to_interleaved": to_interleaved}


def both(place: Callable[[Tensor, int, int, Callable[[Tensor], Tensor]], Tensor]) -> dict[str, Any]:
    """Return a pair that is right but for `place`, which says the rows of which a function moves."""

    def to_half(weight: Tensor, n_heads: int, rope_dim: int) -> Tensor:
        return place(weight, n_heads, rope_dim, halves)

    def to_interleaved(weight: Tensor, n_heads: int, rope_dim: int) -> Tensor:
        return place(weight, n_heads, rope_dim, neighbors)

    return pair(to_half, to_interleaved)


def halves(rows: Tensor) -> Tensor:
    """Move neighbors (2i, 2i + 1) of (H, D, C) to (i, i + D/2)."""
    return torch.cat([rows[:, 0::2], rows[:, 1::2]], dim=1)


def neighbors(rows: Tensor) -> Tensor:
    """Move (i, i + D/2) of (H, D, C) to neighbors (2i, 2i + 1)."""
    return torch.stack(rows.chunk(2, dim=1), dim=2).flatten(1, 2)


@mistake("2.14a", called="The two functions are swapped")
def swapped() -> dict[str, Any]:
    """Your two functions are swapped: interleaved_to_half does what half_to_interleaved should. Even rows go
    to the front half on the way from neighbors to halves: row 2i to i.
    """
    return pair(half_to_interleaved, interleaved_to_half)


@mistake("2.14a", called="The inverse moves rows the same way as the function that it should undo")
def same_way_twice() -> dict[str, Any]:
    """Your half_to_interleaved moves rows the same way as interleaved_to_half. With 2 or 4 rotary rows that
    is its own inverse, with more it is not: row i belongs at 2i, row i + rope_dim/2 at 2i + 1.
    """
    return pair(to_interleaved=interleaved_to_half)


@mistake("2.14a", called="Both functions go from halves to neighbors")
def same_way_back() -> dict[str, Any]:
    """Your interleaved_to_half goes the other way: it takes halves for granted and makes neighbors of them.
    Given are neighbors; row 2i goes to i, row 2i + 1 to i + rope_dim/2.
    """
    return pair(to_half=half_to_interleaved)


@mistake("2.14a")
def whole_head() -> dict[str, Any]:
    """Your functions move all rows of a head. Only the last rope_dim of them are rotated; the others are
    multiplied with plain features of the keys, which would no longer be the same ones.
    """

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        heads = rearrange(weight, "(H D) C -> H D C", H=n_heads)
        even = heads.shape[1] // 2 * 2
        return torch.cat([move(heads[:, :even]), heads[:, even:]], dim=1).flatten(0, 1)

    return both(place)


@mistake("2.14a")
def first_rows() -> dict[str, Any]:
    """Your functions move the first rope_dim rows of each head. DeepSeek's heads begin with the plain
    features; the rotary ones are the last rope_dim.
    """

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        heads = rearrange(weight, "(H D) C -> H D C", H=n_heads)
        return torch.cat([move(heads[:, :rope_dim]), heads[:, rope_dim:]], dim=1).flatten(0, 1)

    return both(place)


@mistake("2.14a")
def last_head_alone() -> dict[str, Any]:
    """Your functions move the last rope_dim rows of the whole matrix: those of the last head. Every head has
    rotary rows of its own; split the rows into n_heads groups first.
    """

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        still = weight[: len(weight) - rope_dim]
        return torch.cat([still, move(weight[None, len(weight) - rope_dim :])[0]])

    return both(place)


@mistake("2.14a")
def heads_innermost() -> dict[str, Any]:
    """Your functions split the rows as (D H): they take every n_heads-th row for one head. Head h owns the
    rows h·D to (h+1)·D, one after another: (H D).
    """

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        heads = rearrange(weight, "(D H) C -> H D C", H=n_heads)
        cut = heads.shape[1] - rope_dim
        return rearrange(torch.cat([heads[:, :cut], move(heads[:, cut:])], dim=1), "H D C -> (D H) C")

    return both(place)


@mistake("2.14a")
def rotary_first() -> dict[str, Any]:
    """Your functions put the rotary rows of each head in front of the plain ones. They stay where they were,
    behind; only their order among themselves changes.
    """

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        heads = rearrange(weight, "(H D) C -> H D C", H=n_heads)
        cut = heads.shape[1] - rope_dim
        return torch.cat([move(heads[:, cut:]), heads[:, :cut]], dim=1).flatten(0, 1)

    return both(place)


@mistake("2.14a")
def odd_first() -> dict[str, Any]:
    """Your functions take the odd rows for the front half. The first of a pair, row 2i, belongs there: with
    the two exchanged every pair would turn the other way round.
    """

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        heads = rearrange(weight, "(H D) C -> H D C", H=n_heads)
        cut = heads.shape[1] - rope_dim
        if move is halves:
            moved = torch.cat([heads[:, cut + 1 :: 2], heads[:, cut::2]], dim=1)
        else:
            moved = torch.stack(heads[:, cut:].chunk(2, dim=1)[::-1], dim=2).flatten(1, 2)
        return torch.cat([heads[:, :cut], moved], dim=1).flatten(0, 1)

    return both(place)


@mistake("2.14a")
def nothing_moves() -> dict[str, Any]:
    """Your functions return the rows in the order in which they came. `rotate` would then turn pairs of
    features that were never trained as pairs.
    """
    return both(lambda weight, n_heads, rope_dim, move: weight.clone())


@mistake("2.14a", called="Features of the input are moved in place of rows")
def columns() -> dict[str, Any]:
    """Your functions move columns, the features that come in. The heads, and the pairs that are rotated, are
    among what comes out: the rows of the matrix.
    """

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        return move(weight.T[None])[0].T.contiguous()

    return both(place)


@mistake("2.14a")
def in_place() -> dict[str, Any]:
    """Your functions write into the weight that they were given. A model that is converted twice, or saved
    afterwards, would be broken; return a new tensor.
    """

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        heads = weight.view(n_heads, -1, weight.shape[1])
        cut = heads.shape[1] - rope_dim
        heads[:, cut:] = move(heads[:, cut:].clone())
        return weight

    return both(place)


@variant("2.14a")
def by_index() -> dict[str, Any]:
    """One list of row numbers, and its inverse by argsort."""

    def order(weight: Tensor, n_heads: int, rope_dim: int) -> Tensor:
        D = len(weight) // n_heads
        rotary = [*range(D - rope_dim, D, 2), *range(D - rope_dim + 1, D, 2)]
        return torch.tensor([h * D + i for h in range(n_heads) for i in (*range(D - rope_dim), *rotary)])

    def to_half(weight: Tensor, n_heads: int, rope_dim: int) -> Tensor:
        return weight[order(weight, n_heads, rope_dim)]

    def to_interleaved(weight: Tensor, n_heads: int, rope_dim: int) -> Tensor:
        return weight[order(weight, n_heads, rope_dim).argsort()]

    return pair(to_half, to_interleaved)


@variant("2.14a")
def row_by_row() -> dict[str, Any]:
    """A loop over heads and pairs that copies rows into a new matrix."""

    def copied(weight: Tensor, n_heads: int, rope_dim: int, is_back: bool) -> Tensor:
        D, found = len(weight) // n_heads, weight.clone()
        for start in range(D - rope_dim, len(weight), D):
            for i in range(rope_dim // 2):
                for side in (0, 1):
                    apart, near = start + i + side * rope_dim // 2, start + 2 * i + side
                    found[near if is_back else apart] = weight[apart if is_back else near]
        return found

    return pair(
        lambda weight, n_heads, rope_dim: copied(weight, n_heads, rope_dim, False),
        lambda weight, n_heads, rope_dim: copied(weight, n_heads, rope_dim, True),
    )


@variant("2.14a")
def views() -> dict[str, Any]:
    """view and transpose, as conversion scripts write it."""

    def place(weight: Tensor, n_heads: int, rope_dim: int, move: Callable[[Tensor], Tensor]) -> Tensor:
        heads = weight.view(n_heads, -1, weight.shape[1])
        still, rotary = heads.split([heads.shape[1] - rope_dim, rope_dim], dim=1)
        shape = (n_heads, rope_dim // 2, 2, -1) if move is halves else (n_heads, 2, rope_dim // 2, -1)
        moved = rotary.reshape(shape).transpose(1, 2).reshape(rotary.shape)
        return torch.cat((still, moved), dim=1).view(weight.shape)

    return both(place)
