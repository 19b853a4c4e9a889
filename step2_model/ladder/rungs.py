"""Both sides of every rung, run over the same inputs: what they answer, and what they keep of each token.

Inputs come from `rng` (`coursekit.probe.Rng`), so that a check and a notebook can draw the same. All layers
read 7 positions of a batch of 2 in chunks of 3, 1 and 3, over a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import redraw
from step2_model.ladder import SILENT, gqa_from_mha, mla_as_mqa, mla_from_gqa, unrotated, with_repeated_heads

BATCH, CHUNKS = 2, (3, 1, 3)
LENGTH = sum(CHUNKS)
WIDTH, HEADS, GROUPS = 24, 6, 3
LATENT = {"kv_lora_rank": 9, "qk_rope_head_dim": 8, "qk_nope_head_dim": 5, "v_head_dim": 7}
# attend(x, rope, cache): one chunk through one layer.
Attend = Callable[[Tensor, Any, Any], Tensor]


@dataclass(frozen=True)
class Rung:
    """Two ways that must agree: their answers, and how many numbers a token takes in the cache of each."""

    name: str
    first: Tensor
    second: Tensor
    kept: tuple[int, int]

    @property
    def apart(self) -> float:
        """The largest difference, relative to the largest number of the first."""
        if self.first.shape != self.second.shape:
            return float("inf")
        return float((self.first - self.second).detach().abs().max() / self.first.detach().abs().max())


def core(m: Any, rng: Any) -> Iterator[Rung]:
    """Yield the rungs that the core's code can show, from multi-head attention to the ways of reading."""
    with torch.no_grad():
        yield mha_is_gqa(m, rng)
        yield gqa_is_mha(m, rng)
        yield mqa_is_gqa(m, rng)
        yield gqa_is_mla(m, rng)
        yield mla_is_mqa(m, rng)
        yield from ways_of_reading(m, rng, "gqa")
        yield from ways_of_reading(m, rng, "mla")


def mha_is_gqa(m: Any, rng: Any) -> Rung:
    """Multi-head attention is grouped attention with G = H."""
    config = m.GPTConfig(vocab_size=2, block_size=LENGTH, n_layer=1, n_head=HEADS, n_embd=WIDTH, dropout=0.0)
    mha = redraw(m.CausalSelfAttention(config), rng).eval()
    for layer in (mha.c_attn, mha.c_proj):
        layer.bias.zero_()
    gqa = gqa_from_mha(m, mha)
    x, rope = rng.normal(BATCH, LENGTH, WIDTH), unrotated(BATCH, LENGTH, WIDTH // HEADS)
    first = through(m, lambda x, rope, cache: mha(x, cache), x, rope)
    return _rung("MHA = GQA with G = H", first, through(m, over(gqa), x, rope))


def gqa_is_mha(m: Any, rng: Any) -> Rung:
    """Grouped attention is multi-head attention with every key/value head repeated for its group."""
    return _repeated(m, rng, "GQA = MHA with keys and values repeated", GROUPS, HEADS)


def mqa_is_gqa(m: Any, rng: Any) -> Rung:
    """Multi-query attention is grouped attention with G = 1, or with G equal heads."""
    return _repeated(m, rng, "MQA = GQA with G equal heads", 1, GROUPS)


def _repeated(m: Any, rng: Any, name: str, few: int, many: int) -> Rung:
    narrow = grouped_layer(m, rng, few)
    wide = with_repeated_heads(m, narrow, many)
    x, rope = rng.normal(BATCH, LENGTH, WIDTH), angles(m, WIDTH // HEADS)
    return _rung(name, through(m, over(narrow), x, rope), through(m, over(wide), x, rope))


def gqa_is_mla(m: Any, rng: Any, *, has_norm: bool = False) -> Rung:
    """Grouped attention without rotation is latent attention whose latent is all keys and values, un-normed.

    With `has_norm` the norm stays and the two differ.
    """
    gqa = grouped_layer(m, rng, GROUPS)
    mla = mla_from_gqa(m, gqa, has_norm=has_norm)
    x, rope = rng.normal(BATCH, LENGTH, WIDTH), unrotated(BATCH, LENGTH, WIDTH // HEADS)
    second = through(m, over(mla), x, angles(m, SILENT))
    return _rung("GQA without rotation = MLA without a norm", through(m, over(gqa), x, rope), second)


def mla_is_mqa(m: Any, rng: Any) -> Rung:
    """Latent attention is multi-query attention over latents, its value the first R features of its key."""
    mla = redraw(m.MLA(latent_args(m)), rng).eval()
    x, rope = rng.normal(BATCH, LENGTH, WIDTH), angles(m, LATENT["qk_rope_head_dim"])
    second = through(m, lambda x, rope, cache: mla_as_mqa(m, mla, x, rope, None, cache), x, rope)
    return _rung("MLA = MQA over latents", through(m, over(mla), x, rope), second)


def ways_of_reading(m: Any, rng: Any, attention: str) -> Iterator[Rung]:
    """Yield a whole decoder that reads in one go beside one that reads in chunks, by tokens, and padded."""
    args = latent_args(m) if attention == "mla" else grouped_args(m, GROUPS)
    model = redraw(m.Transformer(args), rng).eval()
    ids = rng.integers(0, args.vocab_size, BATCH, LENGTH)
    whole, caches = model(ids).logits, {name: model.new_cache() for name in ("tokens", "chunks")}
    label = attention.upper()
    for name, sizes in (("tokens", [1] * LENGTH), ("chunks", list(CHUNKS))):
        read = [model(part, cache=caches[name]).logits for part in ids.split(sizes, dim=1)]
        both = kept(caches[name][0])
        yield Rung(f"{label}: no cache = a cache, by {name}", whole, torch.cat(read, dim=1), (0, both))
    padding = torch.tensor([0, 2])
    ragged = torch.stack([ids[0], torch.cat([ids[1, :2], ids[1, :-2]])])
    read = model(ragged, padding=padding).logits
    second = torch.cat([read[0], read[1, 2:]])
    first = torch.cat([whole[0], whole[1, :-2]])
    yield Rung(f"{label}: rows by themselves = a batch padded on the left", first, second, (0, 0))


def grouped_args(m: Any, groups: int) -> Any:
    """Return a small decoder's configuration with this many key/value heads."""
    sizes = {"d_model": WIDTH, "n_heads": HEADS, "n_kv_heads": groups, "attention": "gqa"}
    return m.ModelArgs(**sizes, n_layers=2, intermediate_size=20, vocab_size=13, max_seq_len=LENGTH)


def latent_args(m: Any) -> Any:
    """Return a small decoder's configuration with latent attention."""
    sizes = {"d_model": WIDTH, "n_heads": HEADS, "n_kv_heads": HEADS, "attention": "mla", **LATENT}
    return m.ModelArgs(**sizes, n_layers=2, intermediate_size=20, vocab_size=13, max_seq_len=LENGTH)


def grouped_layer(m: Any, rng: Any, groups: int) -> Any:
    """Return one grouped layer with redrawn weights."""
    return redraw(m.GroupedQueryAttention(grouped_args(m, groups)), rng).eval()


def angles(m: Any, dim: int) -> Any:
    """Return the rotation of `dim` features at positions 0 to LENGTH - 1 of every row."""
    return m.rope_at(torch.arange(LENGTH).expand(BATCH, LENGTH), dim)


def over(layer: Any) -> Attend:
    """Return a layer as `attend(x, rope, cache)`."""
    return lambda x, rope, cache: layer(x, rope, None, cache)


def through(m: Any, attend: Attend, x: Tensor, rope: Any) -> tuple[Tensor, int]:
    """Send x through a layer, chunk by chunk over a cache; return its answers and the numbers kept per
    token.
    """
    cache, found = m.KVCache(), []
    for start, size in zip((0, *torch.tensor(CHUNKS).cumsum(0).tolist()), CHUNKS):
        cos, sin = (half[:, start : start + size] for half in rope)
        found.append(attend(x[:, start : start + size], (cos, sin), cache))
    return torch.cat(found, dim=1), kept(cache)


def kept(cache: Any) -> int:
    """Return how many numbers a cache holds for each token of each row."""
    parts = cache.read()
    return sum(part.numel() for part in parts) // (parts[0].shape[0] * parts[0].shape[-2])


def _rung(name: str, first: tuple[Tensor, int], second: tuple[Tensor, int]) -> Rung:
    return Rung(name, first[0], second[0], (first[1], second[1]))
