"""What the probes of step 2's modern part have in common: small decoders with redrawn weights, rotary angles,
caches with a past, and a count of the numbers that code makes anew.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from coursekit.probe import redraw


def build_args(m: Any, **changes: Any) -> Any:
    """Return a small configuration in which no two sizes are equal, so that no two dimensions can be
    confused: grouped attention with 6 heads of width 4 over 3 key/value heads.
    """
    sizes = {"d_model": 24, "n_layers": 2, "n_heads": 6, "n_kv_heads": 3, "attention": "gqa"}
    sizes |= {"kv_lora_rank": 9, "qk_rope_head_dim": 8, "qk_nope_head_dim": 5, "v_head_dim": 7}
    sizes |= {"intermediate_size": 20, "vocab_size": 13, "max_seq_len": 11}
    return m.ModelArgs(**(sizes | changes))


def build_modern(kind: Any, rng: Any, *arguments: Any) -> Any:
    """Return a module of this kind with every parameter redrawn: none is 0 or 1."""
    return redraw(kind(*arguments), rng)


def rope_from(m: Any, args: Any, batch: int, start: int, length: int) -> Any:
    """Return cos and sin for `length` positions from `start` on, equal in every row of the batch."""
    positions = torch.arange(start, start + length).expand(batch, length)
    return m.rope_at(positions, args.rope_dim, args.rope_theta)


def fill_heads(m: Any, rng: Any, *shape: int) -> Any:
    """Return a KVCache that holds a past of random keys and values (B, G, S, D)."""
    cache = m.KVCache()
    cache.append(*rng.normal(2, *shape))
    return cache


def fill_latents(m: Any, rng: Any, batch: int, past: int, args: Any) -> Any:
    """Return a KVCache that holds what MLA keeps: random latents (B, S, R) and rotary keys (B, S, Dr)."""
    cache = m.KVCache()
    latents = rng.normal(batch, past, args.kv_lora_rank)
    cache.append(latents, rng.normal(batch, past, args.qk_rope_head_dim))
    return cache


class Allocations(TorchDispatchMode):
    """Counts the numbers in tensors that operations make anew; views of what exists cost nothing.

    `total` sums all of them, `largest` is the size of the largest. Inner steps of fused operations are not
    seen: only what they return is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {storage_of(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and storage_of(leaf) not in known:
                known.add(storage_of(leaf))
                self.total += leaf.numel()
                self.largest = max(self.largest, leaf.numel())
        return result


def storage_of(tensor: torch.Tensor) -> int:
    """Return what two tensors share when one is a view of the other."""
    return tensor.untyped_storage()._cdata
