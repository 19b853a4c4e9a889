"""2.6a, the cache that does not copy: known mistakes in keeping and reading, and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.mistakes.cache_append import Both, cut, doubled, grow, make, parts, write


@mistake("2.6a")
def reads_all() -> Both:
    """Your read returns the whole storage, the empty places at its end too. Attention would read keys that
    nobody wrote; cut at `self.length`.
    """
    return parts(read=lambda self: (self.k, self.v))


@mistake("2.6a", called="Read leaves out the last position")
def reads_one_less() -> Both:
    """Your read leaves out the last position: a slice that ends at `self.length` already stops before it."""
    return parts(read=lambda self: (self.k[..., : self.length - 1, :], self.v[..., : self.length - 1, :]))


@mistake("2.6a", called="Keys and values are swapped when they are read")
def swapped() -> Both:
    """Your read returns values, then keys. Keys come first."""
    return parts(read=lambda self: cut(self)[::-1])


@mistake("2.6a")
def read_copies() -> Both:
    """Your read returns copies. They are right, but each step of generation would copy the whole past after
    all: a slice is a view and costs nothing.
    """
    return parts(read=lambda self: (cut(self)[0].clone(), cut(self)[1].clone()))


@mistake("2.6a")
def keeps_callers() -> Both:
    """Your first append keeps the caller's own tensors as storage. Whoever changes them later changes the
    cache: make storage of your own and copy into it.
    """

    def keep(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        if self.k is None:
            self.k, self.v = k.detach(), v.detach()
        else:
            grow(self, k, v, room=room)

    return parts(grow=keep)


@mistake("2.6a")
def keeps_gradient() -> Both:
    """Your cache keeps the history of what is written into it (no detach): every step would hold on to the
    graphs of all steps before, until memory is full.
    """

    def attached(self: Any, k: Tensor, v: Tensor) -> None:
        end = self.length + k.shape[-2]
        self.k[..., self.length : end, :] = k
        self.v[..., self.length : end, :] = v

    def grow_attached(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        grow(self, k, v, room=room)
        attached(self, k, v)

    return parts(write=attached, grow=grow_attached)


@mistake("2.6a")
def always_float32() -> Both:
    """Your storage has torch's default type, float32, whatever type the keys have. A model in bfloat16 would
    get keys of another type back, in twice the memory: `k.new_empty(...)` takes type and device from k.
    """

    def default(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        grow(self, k.float(), v.float(), room=room)

    return parts(grow=default)


@mistake("2.6a")
def third_dimension() -> Both:
    """Your cache counts positions along dimension 2. With heads that is the one before the last; without
    them, as MLA keeps its latents, (B, S, R), dimension 2 is the features. Count from the end: -2.
    """

    def append(self: Any, k: Tensor, v: Tensor) -> None:
        end = self.length + k.shape[2]
        if self.k is None or end > self.k.shape[2]:
            room = doubled(0 if self.k is None else self.k.shape[2], end)
            new_k, new_v = (t.new_zeros((*t.shape[:2], room, *t.shape[3:])) for t in (k, v))
            if self.k is not None:
                new_k[:, :, : self.length], new_v[:, :, : self.length] = cut_third(self)
            self.k, self.v = new_k, new_v
        self.k[:, :, self.length : end], self.v[:, :, self.length : end] = k.detach(), v.detach()
        self.length = end

    def cut_third(self: Any) -> tuple[Tensor, Tensor]:
        return self.k[:, :, : self.length], self.v[:, :, : self.length]

    return {"KVCache.append": append, "KVCache.read": cut_third}


@mistake("2.6a")
def writes_all_again() -> Both:
    """Your append writes the whole past anew at every call, together with the new positions. The past stands
    in the storage already: room is made by doubling, and every step copies everything all the same.
    """

    def all_again(self: Any, k: Tensor, v: Tensor) -> None:
        end, past = self.length + k.shape[-2], cut(self)
        self.k[..., :end, :] = torch.cat([past[0], k.detach()], dim=-2)
        self.v[..., :end, :] = torch.cat([past[1], v.detach()], dim=-2)

    return parts(write=all_again)


@variant("2.6a")
def by_cat() -> Both:
    """Larger storage made by concatenating the past with zeros; narrow and copy_."""

    def cat(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        for name, new in (("k", k), ("v", v)):
            old = getattr(self, name)
            past = make(new, 0) if old is None else old.narrow(-2, 0, self.length)
            setattr(self, name, torch.cat([past, make(new, room - self.length)], dim=-2))
        narrow(self, k, v)

    def narrow(self: Any, k: Tensor, v: Tensor) -> None:
        self.k.narrow(-2, self.length, k.shape[-2]).copy_(k.detach())
        self.v.narrow(-2, self.length, v.shape[-2]).copy_(v.detach())

    return parts(
        grow=cat,
        write=narrow,
        read=lambda self: (self.k.narrow(-2, 0, len(self)), self.v.narrow(-2, 0, len(self))),
    )


@variant("2.6a")
def by_padding() -> Both:
    """Zeros padded behind the past, under no_grad."""

    def pad(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        with torch.no_grad():
            if self.k is None:
                self.k, self.v = make(k, room), make(v, room)
            else:
                self.k = F.pad(self.k, (0, 0, 0, room - capacity))
                self.v = F.pad(self.v, (0, 0, 0, room - capacity))
            write(self, k, v)

    return parts(grow=pad)


@variant("2.6a")
def by_index() -> Both:
    """New rows written by index_copy_; a first prompt cloned."""

    def index(self: Any, k: Tensor, v: Tensor) -> None:
        places = torch.arange(self.length, self.length + k.shape[-2])
        self.k.index_copy_(-2, places, k.detach())
        self.v.index_copy_(-2, places, v.detach())

    def clone(self: Any, k: Tensor, v: Tensor, capacity: int, room: int) -> None:
        if self.k is None:
            self.k, self.v = k.detach().clone(), v.detach().clone()
        else:
            grow(self, k, v, room=room)

    return parts(grow=clone, write=index)
