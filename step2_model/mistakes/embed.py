"""2.4a, embeddings: known mistakes and accepted variants."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant


def places(ids: Tensor, start: int) -> Tensor:
    """Return the positions of T tokens that begin at `start`."""
    return torch.arange(start, start + ids.shape[1])


@mistake("2.4a")
def no_positions(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your embedding has no positions: the wpe vectors are not added. Attention alone does not know the
    order of its keys, so "dog bites man" and "man bites dog" would look the same.
    """
    return self.drop(self.wte(ids))


@mistake("2.4a")
def no_tokens(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your embedding has positions only: the wte vectors are missing, so the model cannot tell which
    tokens it sees.
    """
    return self.drop(self.wpe(places(ids, start)).expand(*ids.shape, -1))


@mistake("2.4a")
def start_ignored(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your positions always begin at 0: start is ignored. With a cache the new tokens come after those
    already seen, at positions start, start + 1, ...
    """
    return self.drop(self.wte(ids) + self.wpe(places(ids, 0)))


@mistake("2.4a", called="The positions are one too high")
def positions_from_one(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your positions are one too high: the first token stands at position 0 (at `start` after others)."""
    highest = self.wpe.num_embeddings - 1
    return self.drop(self.wte(ids) + self.wpe((places(ids, start) + 1).clamp(max=highest)))


@mistake("2.4a", called="The positions run backwards")
def positions_reversed(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your positions run backwards: the first of the T tokens has the lowest position, the last the
    highest.
    """
    return self.drop(self.wte(ids) + self.wpe(places(ids, start).flip(0)))


@mistake("2.4a")
def positions_of_ids(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your positions are the ids themselves: wpe is looked up with the tokens. Look it up with start,
    start + 1, ...
    """
    return self.drop(self.wte(ids) + self.wpe(ids.clamp(max=self.wpe.num_embeddings - 1)))


@mistake("2.4a")
def positions_of_batch(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your positions count the texts of the batch: every token of a text has the same one. Count along
    the second dimension, the T tokens.
    """
    rows = torch.arange(start, start + ids.shape[0]).clamp(max=self.wpe.num_embeddings - 1)
    return self.drop(self.wte(ids) + self.wpe(rows)[:, None])


@mistake("2.4a")
def one_position(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your tokens all stand at the same position, `start`. They stand at start, start + 1, ..., one
    each.
    """
    return self.drop(self.wte(ids) + self.wpe(torch.tensor([start])))


@mistake("2.4a")
def start_shifts_content(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your positions are arange(start, T): fewer of them the larger start is. T tokens need T
    positions, from start to start + T - 1.
    """
    return self.drop(self.wte(ids) + self.wpe(torch.arange(start, ids.shape[1])))


@mistake("2.4a", called="The positions are counted from the end of block_size")
def last_positions(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your positions are counted from the end of block_size: the first token must stand at position
    `start`.
    """
    return self.drop(self.wte(ids) + self.wpe.weight[self.wpe.num_embeddings - ids.shape[1] :])


@mistake("2.4a")
def multiplied(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your token and position vectors are multiplied. They are added: each should be readable from the
    sum by itself.
    """
    return self.drop(self.wte(ids) * self.wpe(places(ids, start)))


@mistake("2.4a")
def scaled_by_root(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your token vectors are multiplied by √C, as in the first transformer. GPT-2 takes them as they
    are: its head shares the same matrix.
    """
    return self.drop(self.wte(ids) * math.sqrt(self.wte.embedding_dim) + self.wpe(places(ids, start)))


@mistake("2.4a")
def averaged(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your embedding is the mean of token and position vector. It is their sum."""
    return self.drop((self.wte(ids) + self.wpe(places(ids, start))) / 2)


@mistake("2.4a")
def normalized(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your embedding is normalized. GPT-2 has no norm here: the first block's ln_1 normalizes what
    attention reads, and the stream itself stays as it is.
    """
    x = self.wte(ids) + self.wpe(places(ids, start))
    return self.drop(F.layer_norm(x, x.shape[-1:]))


@mistake("2.4a")
def no_dropout(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your embedding never applies self.drop to the sum. A model with dropout in its configuration
    would have none here.
    """
    return self.wte(ids) + self.wpe(places(ids, start))


@mistake("2.4a")
def dropout_on_tokens(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your dropout acts on the token vectors alone. It acts on the sum of token and position."""
    return self.drop(self.wte(ids)) + self.wpe(places(ids, start))


@mistake("2.4a")
def dropout_on_positions(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your dropout acts on the position vectors alone. It acts on the sum of token and position."""
    return self.wte(ids) + self.drop(self.wpe(places(ids, start)))


@mistake("2.4a")
def dropout_on_each(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your dropout acts on token and position vectors one by one. It acts once, on their sum, so that a
    dropped number is 0.
    """
    return self.drop(self.wte(ids)) + self.drop(self.wpe(places(ids, start)))


@mistake("2.4a")
def dropout_twice(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your dropout acts twice on the sum. Once is what its probability means."""
    return self.drop(self.drop(self.wte(ids) + self.wpe(places(ids, start))))


@mistake("2.4a")
def dropout_always(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your embedding drops out in evaluation too. `F.dropout` drops by default, whatever mode the model
    is in; self.drop knows the mode.
    """
    return F.dropout(self.wte(ids) + self.wpe(places(ids, start)), self.drop.p)


@mistake("2.4a")
def detached_tokens(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your token vectors get no gradient (detach, .data or torch.no_grad): they would never learn from
    what the model reads.
    """
    return self.drop(self.wte(ids).detach() + self.wpe(places(ids, start)))


@mistake("2.4a")
def detached_positions(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your position vectors get no gradient (detach, .data or torch.no_grad): they would never learn."""
    return self.drop(self.wte(ids) + self.wpe(places(ids, start)).detach())


@mistake("2.4a")
def detached(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Your embedding carries no gradient at all (detach, .data or torch.no_grad): neither table would
    ever learn.
    """
    return self.drop(self.wte(ids) + self.wpe(places(ids, start))).detach()


@variant("2.4a")
def sliced(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Rows of the tables by indexing."""
    T = ids.size(1)
    return self.drop(self.wte.weight[ids] + self.wpe.weight[start : start + T])


@variant("2.4a")
def expanded(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """A position for every token of every text."""
    B, T = ids.shape
    positions = (torch.arange(T) + start).unsqueeze(0).expand(B, T)
    return self.drop(self.wpe(positions) + self.wte(ids))


@variant("2.4a")
def one_hot(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Looking up is multiplying with a one-hot row."""
    tokens = F.one_hot(ids, self.wte.num_embeddings).float() @ self.wte.weight
    return F.dropout(tokens + F.embedding(places(ids, start), self.wpe.weight), self.drop.p, self.training)


@variant("2.4a")
def counted_along(self: Any, ids: Tensor, start: int = 0) -> Tensor:
    """Positions by cumulative sum of ones."""
    positions = torch.ones_like(ids).cumsum(dim=1) - 1 + start
    return self.drop(self.wte(ids) + self.wpe(positions))
