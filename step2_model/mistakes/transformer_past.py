"""2.10b, the whole decoder: known mistakes with cache, padding and loss, and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.mistakes.transformer import run
from step2_model.model_solution import ModelOutput, next_token_loss


@mistake("2.10b")
def restarts(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your positions start at 0 whatever the cache holds: new tokens are rotated as if nothing stood before
    them. Hand `place` the number of tokens in the cache.
    """
    rope = self.place(ids, 0, padding)[0]
    mask = self.place(ids, 0 if cache is None else len(cache[0]), padding)[1]

    def turned(self: Any, x: Tensor, _: Any, __: Any, cache: Any) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(x, rope, mask, None if cache is None else cache[i])
        return x

    return run(self, ids, labels, cache, padding, stack=turned)


@mistake("2.10b")
def counts_layers(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your positions start at len(cache), which is the number of layers: `cache` is a list with one cache for
    each. The tokens are counted by len(cache[0]).
    """
    return run(self, ids, labels, cache, padding, start=lambda c: 0 if c is None else len(c))


@mistake("2.10b")
def same_cache(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your layers all get cache[0]: each would read the keys of the others as if they were its own past.
    Layer i gets cache[i].
    """

    def shared(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, rope, None if cache is not None else mask, None if cache is None else cache[0])
        return x

    return run(self, ids, labels, cache, padding, stack=shared)


@mistake("2.10b")
def cache_ignored(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your layers get no cache: nothing is kept, and new tokens see no past."""

    def forgetful(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, rope, mask)
        return x

    return run(self, ids, labels, cache, padding, stack=forgetful)


@mistake("2.10b")
def empty_is_none(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your model takes empty caches for none (`if cache[i]`, `cache[i] or None`): a cache's length is 0 at
    first, so that it is never filled.
    """
    is_empty = cache is not None and len(cache[0]) == 0
    return run(self, ids, labels, None if is_empty else cache, padding)


@mistake("2.10b")
def padding_ignored(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """Your model ignores `padding`: tokens that do not count are read like text. Hand it to `place`, and the
    mask that comes back to every layer.
    """
    return run(self, ids, labels, cache)


@mistake("2.10b")
def padding_masks_by_turn(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """Your mask goes to the first layer alone: in the layers after it padding is read like text. All layers
    share rope and mask.
    """

    def first_only(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(x, rope, mask if i == 0 else None, None if cache is None else cache[i])
        return x

    return run(self, ids, labels, cache, padding, stack=first_only)


@mistake("2.10b")
def always_a_loss(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your model computes a loss without labels, taking the ids for them. When the model writes, there is
    nothing to compare with, and a single token has no next: the loss is None.
    """
    out = run(self, ids, labels, cache, padding)
    return ModelOutput(out.logits, next_token_loss(out.logits, ids) if labels is None else out.loss, None)


@mistake("2.10b")
def never_a_loss(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your model returns no loss where there are labels: nothing could be learned from it."""
    return run(self, ids, None, cache, padding)


@mistake("2.10b")
def loss_of_ids(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your loss compares with the ids instead of the labels. They differ where nothing is to be predicted,
    and there the labels are -100.
    """
    return run(self, ids, labels, cache, padding, loss=lambda logits, _: next_token_loss(logits, ids))


@mistake("2.10b")
def shifted_twice(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your logits and labels are shifted before `next_token_loss` shifts them again: each position is asked
    for the token after the next. Hand both over whole.
    """
    return run(
        self,
        ids,
        labels,
        cache,
        padding,
        loss=lambda logits, wanted: next_token_loss(logits[:, :-1], wanted[:, 1:]),
    )


@mistake("2.10b")
def not_shifted(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your loss asks each position for the token it has just read: nothing is shifted. `next_token_loss`
    from part one does it.
    """

    def unshifted(logits: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), wanted.flatten())

    return run(self, ids, labels, cache, padding, loss=unshifted)


@mistake("2.10b")
def padding_in_loss(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """Your loss counts labels of -100 as surprises of 0: they must be left out of the number that divides,
    too. `next_token_loss` from part one does it.
    """

    def diluted(logits: Tensor, wanted: Tensor) -> Tensor:
        pairs = logits[:, :-1].flatten(0, 1), wanted[:, 1:].flatten()
        return F.cross_entropy(*pairs, reduction="none").mean()

    return run(self, ids, labels, cache, padding, loss=diluted)


@mistake("2.10b")
def zero_for_none(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your auxiliary loss is 0 where there is none: a dense model returns None, so that nobody adds it up."""
    out = run(self, ids, labels, cache, padding)
    return ModelOutput(out.logits, out.loss, torch.zeros(()))


@variant("2.10b")
def zipped(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Layers and caches side by side; the head as F.linear."""
    start = len(cache[-1]) if cache is not None else 0
    rope, mask = self.place(ids, start, padding)
    x = F.embedding(ids, self.embed_tokens.weight)
    for layer, past in zip(self.layers, cache or [None] * len(self.layers)):
        x = layer(x, rope=rope, mask=mask, cache=past)
    head = self.embed_tokens if self.lm_head is None else self.lm_head
    logits = F.linear(self.norm(x), head.weight)
    loss = next_token_loss(logits, labels) if labels is not None else None
    return ModelOutput(logits=logits, loss=loss, aux_loss=None)


@variant("2.10b")
def by_the_library(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """The causal mask made where there is none, an einsum for the head, the library's cross-entropy."""
    past = 0 if cache is None else len(cache[0])
    rope, mask = self.place(ids, past, padding)
    if mask is None:
        mask = torch.ones(ids.shape[1], past + ids.shape[1], dtype=torch.bool).tril(past)
    x = self.embed_tokens.weight[ids]
    for i in range(len(self.layers)):
        x = self.layers[i](x, rope, mask, cache[i] if cache is not None else None)
    weight = self.embed_tokens.weight if self.args.tie_embeddings else self.lm_head.weight
    logits = torch.einsum("btc,vc->btv", self.norm(x), weight)
    if labels is None:
        return ModelOutput(logits, None, None)
    return ModelOutput(logits, F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()), None)


@variant("2.10b")
def head_in_float64(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """The head in float64, rope and mask made anew for every layer."""
    start = 0 if cache is None else len(cache[0])
    x = self.embed_tokens(ids)
    for i, layer in enumerate(self.layers):
        x = layer(x, *self.place(ids, start, padding), cache[i] if cache is not None else None)
    table = (self.embed_tokens if self.lm_head is None else self.lm_head).weight.double()
    logits = (self.norm(x).double() @ table.T).to(x.dtype)
    return ModelOutput(logits, None if labels is None else next_token_loss(logits, labels), None)
