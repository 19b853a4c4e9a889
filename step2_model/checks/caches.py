"""Probes of the cache (2.6a) and of attention over it (2.6b)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from coursekit.probe import at_most, cases, check, equal
from step2_model.checks.modern import storage_of
from step2_model.checks.observe import DEEP, gradients

ONES = 200


class Reads(TorchDispatchMode):
    """Counts the numbers that operations read out of the storages named in `watched`; views read nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: set[int] = set()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        written = [argument.alias_info is not None for argument in func._schema.arguments]
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if not is_view and not func._schema.name.startswith(("aten::new_", "aten::empty")):
            # What an operation writes into (copy_) or only looks at for its type (new_empty) is not read.
            read = [argument for argument, skipped in zip(args, written) if not skipped]
            for leaf in tree_leaves((read, kwargs)):
                if isinstance(leaf, torch.Tensor) and storage_of(leaf) in self.watched:
                    self.total += leaf.numel()
        return result


def kept_by(cache: Any) -> list[torch.Tensor]:
    """Return every tensor that the cache holds, wherever it keeps it."""
    return [leaf for leaf in tree_leaves(vars(cache)) if isinstance(leaf, torch.Tensor)]


def count_copied(cache: Any, run: Callable[[], Any]) -> int:
    """Return how many numbers that the cache held before are read while `run` runs."""
    reads, kept = Reads(), kept_by(cache)  # held on to, so that no storage is freed and its place reused
    reads.watched = {storage_of(tensor) for tensor in kept}
    with reads:
        run()
    return reads.total


def is_kept(cache: Any, run: Callable[[], Any]) -> bool:
    """Tell whether keys and values are read from the same storages after `run` as before."""
    before = cache.read()
    run()
    return [storage_of(tensor) for tensor in before] == [storage_of(tensor) for tensor in cache.read()]


@check("2.6a")
def growing_cache(m: Any, rng: Any) -> Any:
    k, v = rng.normal(2, 3, 9, 4), rng.normal(2, 3, 9, 5)
    yield from contents(m, k, v)
    yield from independence(m, k, v)
    latents, keys = rng.normal(2, 7, 6), rng.normal(2, 7, 2)
    cache = m.KVCache()
    for piece in (slice(0, 3), slice(3, 4), slice(4, 7)):
        cache.append(latents[:, piece], keys[:, piece])
    yield "without heads, (B, S, R): positions are the dimension before the last", cache.read()
    cache = m.KVCache()
    cache.append(k.double(), v.double())
    yield "float64 stays float64", cache.read()
    yield from costs(m, rng)


def contents(m: Any, k: torch.Tensor, v: torch.Tensor) -> Any:
    """Yield what is read back after appends of several sizes."""
    cache = m.KVCache()
    cache.append(k[:, :, :3], v[:, :, :3])
    yield "three positions at once: all of them are read back", cache.read()
    yield "and counted", len(cache)
    earlier = [tensor.clone() for tensor in cache.read()]
    cache.append(k[:, :, 3:4], v[:, :, 3:4])
    yield "then one more: it stands behind them", cache.read()
    cache.append(k[:, :, 4:6], v[:, :, 4:6])
    yield "then two more, where there is room already", cache.read()
    still = [bool(torch.equal(now[..., :3, :], then)) for now, then in zip(cache.read(), earlier)]
    yield "what was read before is still the beginning", still
    cache.append(k[:, :, 6:], v[:, :, 6:])
    yield "then three more", (*cache.read(), len(cache))
    one_by_one = m.KVCache()
    for t in range(9):
        one_by_one.append(k[:, :, t : t + 1], v[:, :, t : t + 1])
    yield "one position at a time", (*one_by_one.read(), len(one_by_one))
    cache = m.KVCache()
    cache.append(k[:, :, :1], v[:, :, :1])
    cache.append(k[:, :, 1:], v[:, :, 1:])
    yield "one position, then eight: more than twice as many", cache.read()


def independence(m: Any, k: torch.Tensor, v: torch.Tensor) -> Any:
    """Yield what must not hang together: caller and cache, cache and gradient, one cache and another."""
    given = k.clone(), v.clone()
    cache, other = m.KVCache(), m.KVCache()
    cache.append(*given)
    for tensor in given:
        tensor.add_(100.0)
    yield "what the caller does later to its k and v does not reach the cache", cache.read()
    other.append(v, k)
    cache.append(k[:, :, :1], v[:, :, :1])
    yield "two caches do not mix", (*cache.read(), *other.read())
    kept = m.KVCache()
    for t in range(3):
        kept.append(k[:, :, t : t + 1].requires_grad_(), v[:, :, t : t + 1].requires_grad_())
    yield "what is kept carries no gradient", [tensor.requires_grad for tensor in kept.read()]


def costs(m: Any, rng: Any) -> Any:
    """Yield when the storage is replaced, how large it is, and how much is copied in all."""
    k, v = rng.normal(1, 2, ONES, 3), rng.normal(1, 2, ONES, 4)
    cache, same, rooms = m.KVCache(), [], []
    for start, end in ((0, 4), (4, 5), (5, 6), (6, 8), (8, 9), (9, 40)):
        piece = k[:, :, start:end], v[:, :, start:end]
        if start in (5, 6):  # there is room
            same.append(is_kept(cache, partial(cache.append, *piece)))
        else:
            cache.append(*piece)
        rooms.append(cache.read()[0].untyped_storage().nbytes() // (2 * 3 * k.element_size()))
    yield "4 positions, then 1: there is room for 8, and up to the 8th the storage stays the same", same
    yield (
        "4 positions, 1, 1, 2, 1, 31: capacity doubles, or grows to what is needed if that is more",
        rooms,
    )
    cache, copied = m.KVCache(), 0
    for t in range(ONES):
        piece = k[:, :, t : t + 1], v[:, :, t : t + 1]
        copied += count_copied(cache, partial(cache.append, *piece))
    row = 2 * 3 + 2 * 4
    yield at_most(f"{ONES} appends of one copy fewer than {2 * ONES} rows", copied / row, 2 * ONES)
    yield at_most("read copies nothing: it returns views", count_copied(cache, cache.read) / row, 0)


@cases("2.6a")
def small_caches(m: Any) -> Any:
    """Outputs are what is read back, and the length."""
    for *sizes, calls in ((1, "append"), (2, "append"), (1, 1, "append twice"), (2, 1, "append twice")):
        yield small_cache(m, sizes, calls)
    yield small_cache(m, [1, 1, 1], "append three times")
    yield small_cache(m, [1, 3], "append twice")
    yield small_cache(m, [2, 1, 1], "append three times")
    cache = m.KVCache()
    k = torch.tensor([[[[1.0]]]])
    cache.append(k, 2 * k)
    k.add_(10.0)
    yield {"k": "[[[[1]]]], made 11 by the caller afterwards", "v": "[[[[2]]]]"}, (*cache.read(), len(cache))
    cache = m.KVCache()
    latents, keys = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), torch.tensor([[[5.0]], [[6.0]]])
    for _ in range(2):
        cache.append(latents.double(), keys.double())
    inputs = {"latents (2, 1, 2) in float64, twice": latents, "keys (2, 1, 1) in float64, twice": keys}
    yield inputs, (*cache.read(), len(cache))


def small_cache(m: Any, sizes: list[int], calls: str) -> Any:
    """Return what went in, piece by piece, and what is read back."""
    cache, start = m.KVCache(), 1
    inputs: dict[str, Any] = {"calls": calls}
    for size in sizes:
        k = torch.arange(start, start + size).float().reshape(1, 1, size, 1)
        cache.append(k.clone(), torch.cat([10 * k, -k], dim=-1))
        inputs[f"k of positions {start - 1} to {start + size - 2} (v = [10 k, -k])"] = k
        start += size
    return inputs, (*cache.read(), len(cache))


def random_mask(rng: Any, *shape: int) -> torch.Tensor:
    """Return a mask that follows no rule; every query may read some key."""
    mask = rng.integers(0, 2, *shape) == 1
    mask[..., 1] = True
    return mask


def loud(rng: Any, T: int, S: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return q, k and v of which every later key scores far higher: a mask that only lowers shows here."""
    q = torch.ones(2, 3, T, 4)
    k = torch.arange(S).float()[:, None].expand(2, 3, S, 4) * 10
    return q, k.contiguous(), rng.normal(2, 3, S, 6)


@check("2.6b")
def attention_over_cache(m: Any, rng: Any) -> Any:
    q, k, v = 2 * rng.normal(2, 3, 7, 4), rng.normal(2, 3, 7, 4), rng.normal(2, 3, 7, 6)
    late, square = q[:, :, -3:], (q[:, :, :5], k[:, :, :5], v[:, :, :5])
    yield "as many queries as positions: causal attention as usual", m.cached_attention(*square)
    yield "one new query reads all positions", m.cached_attention(q[:, :, -1:], k, v)
    arguments = late.clone(), k.clone(), v.clone()
    yield (
        "3 new queries are the last of 7 positions, and each reads up to its own",
        m.cached_attention(*arguments),
    )
    yield "the arguments q, k and v are left as they were", arguments
    pieces, end = [], 0
    for size in (3, 1, 1, 2):
        end += size
        pieces.append(m.cached_attention(q[:, :, end - size : end], k[:, :, :end], v[:, :, :end]))
    whole = m.cached_attention(q, k, v)
    yield "a text in chunks of 3, 1, 1 and 2 gives what it gives at once", (torch.cat(pieces, dim=2), whole)
    yield "the future has no say, however high it scores", m.cached_attention(*loud(rng, 5, 5))
    yield (
        "behind a past too, the future has no say, however high it scores",
        m.cached_attention(*loud(rng, 3, 7)),
    )
    yield from given_masks(m, rng, q, k, v)
    # Float32 keeps a score of some hundreds to 3e-5: this asks only that nothing overflows.
    yield equal("scores in the hundreds overflow nothing", m.cached_attention(300 * late, k, v), 1e-3)
    inputs = {"q": late.clone().requires_grad_(), "k": k.requires_grad_(), "v": v.requires_grad_()}
    y = m.cached_attention(*inputs.values())
    yield equal("gradients reach q, k and v", gradients(y, rng.normal(2, 3, 3, 6), inputs), DEEP)


def given_masks(m: Any, rng: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Any:
    """Yield what a mask that is handed in must do."""
    mask, past = random_mask(rng, 7, 7), random_mask(rng, 3, 7)
    given = mask.clone()
    yield "a mask says which keys may be read, the future included", m.cached_attention(q, k, v, given)
    yield "the mask is left as it was", given
    yield "a mask for 3 queries of 7 positions", m.cached_attention(q[:, :, -3:], k, v, past)
    alone = torch.tensor([[False, True, False, True, True, False, True]])
    yield "a mask for a single query", m.cached_attention(q[:, :, -1:], k, v, alone)
    rows = random_mask(rng, 2, 1, 3, 7)
    yield "a mask for each row of the batch, (B, 1, T, S)", m.cached_attention(q[:, :, -3:], k, v, rows)


@cases("2.6b")
def small_attention(m: Any) -> Any:
    for T, S in ((1, 1), (1, 2), (2, 2), (2, 3), (2, 4), (3, 5)):
        q, k, v = torch.ones(1, 1, T, 1), torch.zeros(1, 1, S, 1), torch.tensor([12.0, 24, 60, 0, -60])[:S]
        inputs = {"q": q, "k": k, "v": v.reshape(1, 1, S, 1)}
        yield inputs, m.cached_attention(*(tensor.clone() for tensor in inputs.values()))
    k = torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]]])
    inputs = {"q": torch.ones(1, 1, 2, 2), "k": k, "v": torch.tensor([[[[1.0, 0.0, 2.0], [0.0, 1.0, 3.0]]]])}
    yield inputs, m.cached_attention(*(tensor.clone() for tensor in inputs.values()))
    loud_k = {"q": torch.ones(1, 1, 2, 1), "k": torch.tensor([[[[0.0], [30.0]]]]), "v": inputs["v"]}
    yield loud_k, m.cached_attention(*(tensor.clone() for tensor in loud_k.values()))
    for mask in ([[False, True]], [[True, False], [True, True]], [[False, True], [True, False]]):
        masked = {**inputs, "q": inputs["q"][:, :, : len(mask)], "mask": torch.tensor(mask)}
        yield masked, m.cached_attention(*(tensor.clone() for tensor in masked.values()))
