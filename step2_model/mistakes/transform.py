"""2.4b, all blocks: known mistakes and accepted variants."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant


def through(blocks: Any, x: Tensor, caches: Any) -> Tensor:
    """Send x through the blocks, each with the cache beside it."""
    for block, cache in zip(blocks, caches, strict=True):
        x = block(x, cache)
    return x


def caches_of(self: Any, cache: Any) -> Any:
    """Return a cache or None for every block."""
    return [None] * len(self.h) if cache is None else list(cache)


@mistake("2.4b")
def no_blocks(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model returns x without sending it through any block."""
    return x


@mistake("2.4b")
def first_skipped(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model skips its first block. Blocks are numbered from 0: self.h[0] is the first."""
    return through(self.h[1:], x, caches_of(self, cache)[1:])


@mistake("2.4b")
def last_skipped(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model skips its last block."""
    return through(self.h[:-1], x, caches_of(self, cache)[:-1])


@mistake("2.4b")
def only_first(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model returns after its first block: a return inside the loop ends it."""
    return self.h[0](x, caches_of(self, cache)[0])


@mistake("2.4b")
def only_last(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Each of your blocks gets the x that came in, and only the last one's result is kept. Put each
    result back in x, so that the next block reads it.
    """
    out = x
    for block, own in zip(self.h, caches_of(self, cache)):
        out = block(x, own)
    return out


@mistake("2.4b")
def every_second(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model leaves out every second block."""
    return through(self.h[::2], x, caches_of(self, cache)[::2])


@mistake("2.4b")
def same_block(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model sends x through its first block again and again. Every block has weights of its own:
    use block i at step i.
    """
    return through([self.h[0]] * len(self.h), x, caches_of(self, cache))


@mistake("2.4b")
def reversed_order(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your blocks run in reverse order. The first is self.h[0]."""
    return through(list(self.h)[::-1], x, caches_of(self, cache)[::-1])


@mistake("2.4b")
def twice(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model sends x through all its blocks twice."""
    return through([*self.h, *self.h], x, 2 * caches_of(self, cache))


@mistake("2.4b")
def first_twice(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model sends x through its first block once more before the loop begins."""
    return through([self.h[0], *self.h], x, [None, *caches_of(self, cache)])


@mistake("2.4b")
def extra_residual(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model adds x to what each block returns. The block has added its answers to x already: as it
    is, the stream doubles at every block.
    """
    for block, own in zip(self.h, caches_of(self, cache)):
        x = x + block(x, own)
    return x


@mistake("2.4b")
def summed(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your blocks work side by side on the same x, and their results are summed. They work one after
    another: each reads what the one before returned.
    """
    return torch.stack([block(x, own) for block, own in zip(self.h, caches_of(self, cache))]).sum(0)


@mistake("2.4b")
def skip_around(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model adds the x that came in to the result of the last block. It is in there already: the
    residual stream carries it through every block.
    """
    return x + through(self.h, x, caches_of(self, cache))


@mistake("2.4b")
def final_norm(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model applies ln_f at the end. That is the next method's work, `logits`; here the stream is
    returned as the last block left it.
    """
    return self.ln_f(through(self.h, x, caches_of(self, cache)))


@mistake("2.4b")
def norm_between(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model applies ln_f after every block. Each block normalizes for itself what it reads; the
    stream between them is left alone.
    """
    for block, own in zip(self.h, caches_of(self, cache)):
        x = self.ln_f(block(x, own))
    return x


@mistake("2.4b")
def cache_not_passed(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your blocks never get their caches. In generation every new token would see no past."""
    return through(self.h, x, [None] * len(self.h))


@mistake("2.4b")
def one_cache_for_all(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your blocks all get cache[0]. Every block has keys and values of its own: block i gets cache[i]."""
    return through(self.h, x, [None if cache is None else cache[0]] * len(self.h))


@mistake("2.4b")
def only_first_cached(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Only your first block gets its cache. Block i gets cache[i], every one of them."""
    return through(self.h, x, [caches_of(self, cache)[0], *[None] * (len(self.h) - 1)])


@mistake("2.4b")
def caches_reversed(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your blocks get the caches in reverse order. Block i gets cache[i]."""
    return through(self.h, x, caches_of(self, cache)[::-1])


@mistake("2.4b", called="Each block gets the cache of its neighbor")
def caches_shifted(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your blocks get their neighbor's cache: block i gets cache[i], not the one before or after."""
    caches = caches_of(self, cache)
    return through(self.h, x, caches[-1:] + caches[:-1])


@mistake("2.4b")
def empty_cache_is_false(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model takes an empty cache for no cache: `if cache[i]` and `cache[i] or None` ask for its
    length, which is 0 at first, so that it is never filled. Ask `cache is None` of the whole list.
    """
    return through(self.h, x, [own or None for own in caches_of(self, cache)])


@mistake("2.4b")
def detached_between(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your model cuts the gradient between blocks (detach, .data or torch.no_grad): only the last block
    would learn.
    """
    for block, own in zip(self.h, caches_of(self, cache)):
        x = block(x.detach(), own)
    return x


@mistake("2.4b")
def detached(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your result carries no gradient (detach, .data or torch.no_grad): no block would ever learn."""
    return through(self.h, x, caches_of(self, cache)).detach()


@variant("2.4b")
def zipped(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Blocks and caches side by side, without an index."""
    for block, own in zip(self.h, cache or [None] * len(self.h)):
        x = block(x, cache=own)
    return x


@variant("2.4b")
def reduced(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """functools.reduce."""
    pairs = zip(self.h, caches_of(self, cache))
    return reduce(lambda stream, pair: pair[0](stream, pair[1]), pairs, x)


@variant("2.4b")
def two_loops(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """One loop with caches, one without."""
    if cache is None:
        for block in self.h:
            x = block(x)
    else:
        for i in range(len(self.h)):
            x = self.h[i](x, cache[i])
    return x


@variant("2.4b")
def recursive(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """From the last block backwards."""

    def after(i: int) -> Tensor:
        return x if i < 0 else self.h[i](after(i - 1), None if cache is None else cache[i])

    return after(len(self.h) - 1)
