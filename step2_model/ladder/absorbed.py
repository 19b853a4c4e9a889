"""The rungs that need the further file: naive is absorbed, and many requests at once are each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import redraw
from step2_model.ladder.rungs import BATCH, CHUNKS, LENGTH, WIDTH, Rung, kept, latent_args

PASTS, STEPS, BOTTLENECK = (2, 5, 4), 3, 10


def further(m: Any, rng: Any) -> Iterator[Rung]:
    """Yield the rungs that the further file's code can show, with plain queries and through a bottleneck."""
    with torch.no_grad():
        for rank, label in ((None, ""), (BOTTLENECK, ", queries through a bottleneck")):
            layer = latent_layer(m, rng, rank)
            x = rng.normal(BATCH, LENGTH, WIDTH)
            yield naive_is_absorbed(m, layer, x, f"MLA naive = absorbed{label}")
            yield expanded_then_absorbed(m, layer, x, f"one go = chunks, expanded and then absorbed{label}")
            yield ragged_is_alone(m, layer, rng, f"each request by itself = a ragged batch{label}")


def latent_layer(m: Any, rng: Any, rank: int | None) -> Any:
    """Return one layer of the further file with redrawn weights."""
    changes = {"q_lora_rank": rank}
    args = latent_args(m)
    return redraw(m.LatentAttention(type(args)(**(vars(args) | changes))), rng).eval()


def naive_is_absorbed(m: Any, layer: Any, x: Tensor, name: str) -> Rung:
    """What the core's MLA answers in one go is what absorbed attention answers in one go."""
    rope = angles(m, layer, torch.arange(LENGTH).expand(BATCH, LENGTH))
    first, second = m.MLA.forward(layer, x, rope), layer.attend_absorbed(x, rope)
    return Rung(name, first, second, (0, 0))


def expanded_then_absorbed(m: Any, layer: Any, x: Tensor, name: str) -> Rung:
    """A layer that expands its first chunk and absorbs the later ones answers as the core's MLA in one go."""
    (cos, sin) = rope = angles(m, layer, torch.arange(LENGTH).expand(BATCH, LENGTH))
    cache, found = new_cache(m, layer), []
    for part, *halves in zip(*(whole.split(list(CHUNKS), dim=1) for whole in (x, cos, sin))):
        found.append(layer(part, tuple(halves), None, cache))
    return Rung(name, m.MLA.forward(layer, x, rope), torch.cat(found, dim=1), (0, kept(cache)))


def ragged_is_alone(m: Any, layer: Any, rng: Any, name: str) -> Rung:
    """Three requests with pasts of their own, three tokens each in one batch, answer as each alone in one
    go.
    """
    texts = [rng.normal(1, past + STEPS, WIDTH) for past in PASTS]
    ropes = [angles(m, layer, torch.arange(past + STEPS).unsqueeze(0)) for past in PASTS]
    pasts = [
        layer.compress(text[:, :past], tuple(half[:, :past] for half in rope))
        for text, rope, past in zip(texts, ropes, PASTS)
    ]
    latents, keys = ([both[part][0] for both in pasts] for part in (0, 1))
    cache = m.RaggedCache(latents, keys, room=STEPS)
    batched = []
    for step in range(STEPS):
        at = [past + step for past in PASTS]
        x = torch.cat([text[:, i : i + 1] for text, i in zip(texts, at)])
        cos, sin = (torch.cat([rope[h][:, i : i + 1] for rope, i in zip(ropes, at)]) for h in (0, 1))
        batched.append(layer.decode_ragged(x, (cos, sin), cache))
    alone = [m.MLA.forward(layer, text, rope)[:, -STEPS:] for text, rope in zip(texts, ropes)]
    numbers = cache.latent.shape[-1] + cache.key.shape[-1]
    return Rung(name, torch.cat(alone), torch.cat(batched, dim=1), (0, numbers))


def angles(m: Any, layer: Any, positions: Tensor) -> Any:
    """Return the rotation at these positions as the layer's decoder would hand it in."""
    return decoder(m, layer).rope(positions)


def new_cache(m: Any, layer: Any) -> Any:
    """Return an empty cache of the core's."""
    return decoder(m, layer).new_cache()[0]


def decoder(m: Any, layer: Any) -> Any:
    """Return a whole decoder of the layer's configuration, on no device: only its rotation and caches are
    used.
    """
    with torch.device("meta"):
        return m.FullTransformer(layer.args)
