"""The jobs that are timed: one step over a long past, many requests that write, four prompts that are read.

Every job returns what it computed, so that it can be compared before it is timed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from step2_model.further_solution import LatentAttention, RaggedCache
from step2_model.latency.layers import PeerLayer, Requests
from step2_model.model_solution import MLA


class Steps:
    """One new token over one past, again and again: the cache forgets the token afterwards."""

    def __init__(self, requests: Requests) -> None:
        self.requests, self.past = requests, requests.pasts[0]
        self.x, self.rope = requests.new[0], requests.rope(self.past)

    def ours(self, layer: LatentAttention, naive: bool = False) -> Any:
        """Return the job for our layer: absorbed, or expanding every latent as the core's MLA does."""
        cache = self.requests.own_cache(0)

        def step() -> Tensor:
            cache.length = self.past
            attend = MLA.forward if naive else LatentAttention.attend_absorbed
            return attend(layer, self.x, self.rope, None, cache)

        return step

    def peer(self, layer: PeerLayer) -> Any:
        """Return the job for the peer."""
        cache = layer.cache(self.requests.kept[0])

        def step() -> Tensor:
            y = layer(self.x, self.rope, cache)
            cache.crop(-1)
            return y

        return step


class Writing:
    """All requests grow by one token at each call, (B, 1, C); what comes out goes in at the next."""

    def __init__(self, requests: Requests) -> None:
        self.requests, self.grown = requests, 0
        self.x = torch.cat(requests.new)

    def __call__(self) -> Tensor:
        self.x = self.step()
        self.grown += 1
        return self.x

    def step(self) -> Tensor:
        raise NotImplementedError


class Batched(Writing):
    """All requests in one absorbed step."""

    def __init__(self, requests: Requests, layer: LatentAttention) -> None:
        super().__init__(requests)
        work = requests.work
        latents, keys = ([kept[part][0] for kept in requests.kept] for part in (0, 1))
        self.layer, self.cache = layer, RaggedCache(latents, keys, room=work.warmup + work.rounds)

    def step(self) -> Tensor:
        return self.layer.decode_ragged(self.x, self.requests.rope_of_all(self.grown), self.cache)


class OneByOne(Writing):
    """Request by request, each with a cache of its own, by our absorbed step or by the peer."""

    def __init__(self, requests: Requests, layer: LatentAttention | PeerLayer) -> None:
        super().__init__(requests)
        self.attend = layer if isinstance(layer, PeerLayer) else _absorbed(layer)
        self.caches: list[Any] = [
            layer.cache(kept) if isinstance(layer, PeerLayer) else requests.own_cache(number)
            for number, kept in enumerate(requests.kept)
        ]

    def step(self) -> Tensor:
        found = [
            self.attend(x.unsqueeze(0), self.requests.rope(past + self.grown), cache)
            for x, past, cache in zip(self.x, self.requests.pasts, self.caches)
        ]
        return torch.cat(found)


def _absorbed(layer: LatentAttention) -> Any:
    return lambda x, rope, cache: layer.attend_absorbed(x, rope, None, cache)


def reading(requests: Requests, layer: LatentAttention | PeerLayer) -> Any:
    """Return the job that reads all prompts one after the other, each over its own past; answers are joined.

    Every call begins with the pasts alone.
    """

    def read() -> Tensor:
        found = []
        for number, (x, past) in enumerate(zip(requests.new, requests.pasts)):
            rope = requests.rope(past, x.shape[1])
            if isinstance(layer, PeerLayer):
                found.append(layer(x, rope, layer.cache(requests.kept[number] if past else None)))
            else:
                found.append(layer(x, rope, None, requests.own_cache(number)))
        return torch.cat(found, dim=1)

    return read
