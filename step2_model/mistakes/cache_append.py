"""2.6a, the cache that does not copy: known mistakes in making room and counting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake

Both = dict[str, Callable[..., Any]]


def doubled(capacity: int, end: int) -> int:
    """Return the capacity of storage that has become too small."""
    return max(2 * capacity, end)


def make(like: Tensor, room: int) -> Tensor:
    """Return storage for `room` positions of the kind of `like`."""
    return like.new_zeros((*like.shape[:-2], room, like.shape[-1]))


def carry(self: Any, k: Tensor, v: Tensor) -> None:
    """Copy the past into the new storages."""
    k[..., : self.length, :] = self.k[..., : self.length, :]
    v[..., : self.length, :] = self.v[..., : self.length, :]


def write(self: Any, k: Tensor, v: Tensor) -> None:
    """Write the new positions behind the old ones."""
    end = self.length + k.shape[-2]
    self.k[..., self.length : end, :] = k.detach()
    self.v[..., self.length : end, :] = v.detach()


def grow(self: Any, k: Tensor, v: Tensor, capacity: int = 0, room: int = 0) -> None:
    """Write everything into storage of `room` positions."""
    new_k, new_v = make(k, room), make(v, room)
    if self.k is not None:
        carry(self, new_k, new_v)
    self.k, self.v = new_k, new_v
    write(self, k, v)


def cut(self: Any) -> tuple[Tensor, Tensor]:
    """Return views of the filled part."""
    return self.k[..., : self.length, :], self.v[..., : self.length, :]


def parts(
    *,
    room: Callable[[int, int], int] = doubled,
    is_full: Callable[[int, int], bool] = lambda end, capacity: end > capacity,
    grow: Callable[..., None] = grow,
    write: Callable[..., None] = write,
    count: Callable[[Any, Tensor], int] = lambda self, k: self.length + k.shape[-2],
    read: Callable[[Any], tuple[Tensor, Tensor]] = cut,
) -> Both:
    """Return both methods with parts exchanged."""

    def append(self: Any, k: Tensor, v: Tensor) -> None:
        end, capacity = self.length + k.shape[-2], 0 if self.k is None else self.k.shape[-2]
        if self.k is None or is_full(end, capacity):
            grow(self, k, v, capacity=capacity, room=room(capacity, end))
        else:
            write(self, k, v)
        self.length = count(self, k)

    return {"KVCache.append": append, "KVCache.read": read}


@mistake("2.6a")
def first_not_written() -> Both:
    """Your first append makes the storage and does not write into it: the first keys and values are lost. The
    model would answer without having read its prompt.
    """

    def only_make(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        if self.k is None:
            self.k, self.v = make(k, room), make(v, room)
        else:
            grow(self, k, v, room=room)

    return parts(grow=only_make)


@mistake("2.6a")
def lost_when_full() -> Both:
    """Your append makes larger storage when the old is full, but leaves the past behind: nothing is copied
    over, and the old positions read as zeros (or whatever the memory held).
    """

    def forget(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        self.k, self.v = make(k, room), make(v, room)
        write(self, k, v)

    return parts(grow=forget)


@mistake("2.6a")
def values_lost_when_full() -> Both:
    """Your append copies the old keys into larger storage, and forgets the old values: they read as zeros.
    Whatever is done to k is done to v.
    """

    def keys_only(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        new_k, new_v = make(k, room), make(v, room)
        if self.k is not None:
            new_k[..., : self.length, :] = self.k[..., : self.length, :]
        self.k, self.v = new_k, new_v
        write(self, k, v)

    return parts(grow=keys_only)


@mistake("2.6a")
def new_lost_when_full() -> Both:
    """Your append copies the past into larger storage and stops there: the positions that made it grow are
    never written. Writing comes after growing, in every call.
    """

    def past_only(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        if self.k is None:
            grow(self, k, v, room=room)
            return
        new_k, new_v = make(k, room), make(v, room)
        carry(self, new_k, new_v)
        self.k, self.v = new_k, new_v

    return parts(grow=past_only)


@mistake("2.6a")
def overwrites_start() -> Both:
    """Your append writes at position 0 every time: new keys replace the first ones instead of following the
    last. Write from `self.length` on.
    """

    def at_start(self: Any, k: Tensor, v: Tensor) -> None:
        self.k[..., : k.shape[-2], :], self.v[..., : v.shape[-2], :] = k.detach(), v.detach()

    def grow_at_start(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        grow(self, make(k, k.shape[-2]), make(v, v.shape[-2]), room=room)
        at_start(self, k, v)

    return parts(write=at_start, grow=grow_at_start)


@mistake("2.6a")
def counts_calls() -> Both:
    """Your length grows by 1 in every call, however many positions came. With a prompt of several, most of
    them could not be read, and the next call would write over them.
    """
    return parts(count=lambda self, k: self.length + 1)


@mistake("2.6a")
def counts_last_call() -> Both:
    """Your length is the number of positions of the last call, not of all calls: add to what was there."""
    return parts(count=lambda self, k: k.shape[-2])


@mistake("2.6a")
def never_counts() -> Both:
    """Your append never changes `self.length`: the cache stays empty for whoever reads it."""
    return parts(count=lambda self, k: self.length)


@mistake("2.6a")
def grows_by_need() -> Both:
    """Your storage grows to just what is needed, as torch.cat makes it, so that it is full again at once:
    every append copies the whole past. n appends copy n²/2 rows; with twice the capacity it is fewer than 2n.
    """
    return parts(room=lambda capacity, end: end)


@mistake("2.6a")
def as_in_part_one() -> Both:
    """Your append concatenates, as the cache of part one does (torch.cat): every step copies the whole past.
    The first call also keeps the caller's own tensors. Make storage of your own, and write into it.
    """

    def cat(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        self.k = k if self.k is None else torch.cat([self.k, k], dim=-2)
        self.v = v if self.v is None else torch.cat([self.v, v], dim=-2)

    return parts(is_full=lambda end, capacity: True, grow=cat)


@mistake("2.6a")
def never_grows() -> Both:
    """Your storage never grows: what does not fit is lost, or stops the writing. Ask in each call whether the
    new positions fit behind the old ones.
    """
    return parts(is_full=lambda end, capacity: False)


@mistake("2.6a")
def only_doubles() -> Both:
    """Your storage doubles once and no more, also where that is not enough: eight positions behind one need
    room for nine. Take the larger of twice the capacity and what is needed.
    """
    return parts(room=lambda capacity, end: 2 * capacity or end)


@mistake("2.6a")
def grows_by_16() -> Both:
    """Your storage grows by a fixed number of positions. That copies less often, and still n² rows in the
    long run: only a capacity that grows by a factor keeps the sum below a multiple of n.
    """
    return parts(room=lambda capacity, end: max(capacity + 16, end))


@mistake("2.6a")
def four_times() -> Both:
    """Your storage grows to four times its capacity. Little is copied, but up to three quarters of the memory
    stands empty; twice the capacity is enough.
    """
    return parts(room=lambda capacity, end: max(4 * capacity, end))


@mistake("2.6a")
def grows_too_early() -> Both:
    """Your storage is replaced when the new positions fill it exactly (>= where > belongs). They fit: as long
    as there is room, the storage stays the same.
    """
    return parts(is_full=lambda end, capacity: end >= capacity)


@mistake("2.6a")
def always_new() -> Both:
    """Your append makes new storage in every call, also where there is room: the past is copied each time."""
    return parts(
        is_full=lambda end, capacity: True,
        room=lambda capacity, end: max(capacity, 1 << (end - 1).bit_length()),
    )
