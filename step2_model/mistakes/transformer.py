"""2.10b, the whole decoder: known mistakes in the stack and the head."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake
from step2_model.model_solution import ModelOutput, next_token_loss


def start_of(cache: Any) -> int:
    """Return how many tokens came before."""
    return 0 if cache is None else len(cache[0])


def stack(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
    """Send x through all layers."""
    for i, layer in enumerate(self.layers):
        x = layer(x, rope, mask, None if cache is None else cache[i])
    return x


def head(self: Any, x: Tensor) -> Tensor:
    """Return the logits of the normalized stream."""
    weight = self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight
    return F.linear(x, weight)


def run(
    self: Any,
    ids: Tensor,
    labels: Any = None,
    cache: Any = None,
    padding: Any = None,
    *,
    start: Any = start_of,
    embed: Any = None,
    stack: Any = stack,
    norm: Any = None,
    head: Any = head,
    loss: Any = next_token_loss,
) -> ModelOutput:
    """Return what the solution returns; every mistake below hands in the one part that it gets wrong."""
    rope, mask = self.place(ids, start(cache), padding)
    x = (embed or self.embed_tokens)(ids)
    x = (norm or self.norm)(stack(self, x, rope, mask, cache))
    logits = head(self, x)
    return ModelOutput(logits, None if labels is None else loss(logits, labels), None)


@mistake("2.10b")
def no_final_norm(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your logits are made of the stream as it is: self.norm is missing in front of the head. The stream
    grows with every layer, and the logits with it.
    """
    return run(self, ids, labels, cache, padding, norm=lambda x: x)


@mistake("2.10b")
def norm_after_each(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """Your final norm stands inside the loop: the stream is normalized after every layer. It comes once,
    after all of them.
    """

    def normed(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = self.norm(layer(x, rope, mask, None if cache is None else cache[i]))
        return x

    return run(self, ids, labels, cache, padding, stack=normed, norm=lambda x: x)


@mistake("2.10b")
def norm_first(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your self.norm acts on the embeddings, before the layers. It comes after all of them, before the
    head.
    """
    return run(
        self, ids, labels, cache, padding, embed=lambda i: self.norm(self.embed_tokens(i)), norm=lambda x: x
    )


@mistake("2.10b")
def always_tied(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your head is always the matrix of embed_tokens. Where the model has an lm_head of its own, that is the
    head: it would never be used, nor trained.
    """
    return run(self, ids, labels, cache, padding, head=lambda s, x: x @ s.embed_tokens.weight.T)


@mistake("2.10b")
def never_tied(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your head is always lm_head. In a model with tied embeddings it is None: there the matrix of
    embed_tokens takes its place.
    """
    return run(self, ids, labels, cache, padding, head=lambda s, x: s.lm_head(x))


@mistake("2.10b")
def probabilities(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your model returns probabilities (softmax) where logits are wanted. The loss takes a softmax itself,
    and the temperature of a sampler divides logits.
    """
    return run(self, ids, labels, cache, padding, head=lambda s, x: head(s, x).softmax(dim=-1))


@mistake("2.10b")
def last_position_only(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """Your model answers at the last position alone. That is enough for writing; for learning every position
    predicts the token after it.
    """
    out = run(self, ids, labels, cache, padding)
    return ModelOutput(out.logits[:, -1:], out.loss, None)


@mistake("2.10b")
def scaled_embeddings(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """Your token vectors are multiplied by √C, as in the first transformer (and in Gemma). Llama and DeepSeek
    take them as they are.
    """
    scale = self.args.d_model**0.5
    return run(self, ids, labels, cache, padding, embed=lambda i: scale * self.embed_tokens(i))


@mistake("2.10b")
def first_layer_only(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """Your stream goes through the first layer alone: the loop returns too early."""
    return run(
        self,
        ids,
        labels,
        cache,
        padding,
        stack=lambda s, x, *given: s.layers[0](x, *given[:2], None if given[2] is None else given[2][0]),
    )


@mistake("2.10b")
def all_but_the_last(
    self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None
) -> Any:
    """Your stream skips the last layer: a range or a slice ends one too early."""

    def shorter(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
        for i, layer in enumerate(self.layers[:-1]):
            x = layer(x, rope, mask, None if cache is None else cache[i])
        return x

    return run(self, ids, labels, cache, padding, stack=shorter)


@mistake("2.10b")
def backwards(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your stream goes through the layers from the last to the first."""

    def reversed_stack(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
        for i in range(len(self.layers) - 1, -1, -1):
            x = self.layers[i](x, rope, mask, None if cache is None else cache[i])
        return x

    return run(self, ids, labels, cache, padding, stack=reversed_stack)


@mistake("2.10b")
def side_by_side(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your layers all read the embeddings, and the answer of the last one wins: put each result back in x, so
    that the next layer reads it.
    """

    def apart(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
        y = x
        for i, layer in enumerate(self.layers):
            y = layer(x, rope, mask, None if cache is None else cache[i])
        return y

    return run(self, ids, labels, cache, padding, stack=apart)


@mistake("2.10b")
def detached(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your model cuts the gradient in front of the head (detach, .data or torch.no_grad): nothing but the
    head would learn.
    """
    return run(self, ids, labels, cache, padding, head=lambda s, x: head(s, x.detach()))


@mistake("2.10b")
def frozen_layers(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
    """Your layers run under torch.no_grad: norm and head would learn, the layers and the embedding never."""

    def frozen(self: Any, x: Tensor, rope: Any, mask: Any, cache: Any) -> Tensor:
        with torch.no_grad():
            return stack(self, x, rope, mask, cache)

    return run(self, ids, labels, cache, padding, stack=frozen)
