"""2.2, the block: known mistakes and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant


@mistake("2.2")
def no_residuals(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block returns what its two parts answer instead of adding the answers to x. Without the
    residual stream every block overwrites the one before, and the gradient has to pass through all of
    them in a row.
    """
    return self.mlp(self.ln_2(self.attn(self.ln_1(x), cache)))


@mistake("2.2")
def no_attention_residual(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block puts attention's answer in place of x instead of adding it to x. What position t held
    is lost unless attention happens to copy it.
    """
    x = self.attn(self.ln_1(x), cache)
    return x + self.mlp(self.ln_2(x))


@mistake("2.2")
def no_mlp_residual(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block returns the MLP's answer alone instead of adding it to the stream. What attention
    brought is lost.
    """
    x = x + self.attn(self.ln_1(x), cache)
    return self.mlp(self.ln_2(x))


@mistake("2.2")
def wrong_base(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block adds the MLP's answer to the x that came in, not to the x that attention has changed:
    attention's answer reaches the MLP and then is thrown away.
    """
    return x + self.mlp(self.ln_2(x + self.attn(self.ln_1(x), cache)))


@mistake("2.2")
def base_is_the_answer(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your MLP reads attention's answer without the x that it should have been added to. It must read
    the whole stream: ln_2(x + attention's answer).
    """
    answer = self.attn(self.ln_1(x), cache)
    return x + answer + self.mlp(self.ln_2(answer))


@mistake("2.2")
def parallel(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your MLP reads the x that came in, beside attention instead of after it. Some models do so;
    GPT-2's MLP reads what attention has just brought.
    """
    return x + self.attn(self.ln_1(x), cache) + self.mlp(self.ln_2(x))


@mistake("2.2")
def post_norm(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block normalizes after adding ("post-norm", as in the first transformer). GPT-2 normalizes
    what each part reads, so that the stream itself is never normalized and deep models train without
    warm-up tricks.
    """
    x = self.ln_1(x + self.attn(x, cache))
    return self.ln_2(x + self.mlp(x))


@mistake("2.2")
def norm_on_answer(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block normalizes what each part answers. The norm belongs on what it reads:
    self.attn(self.ln_1(x)), not self.ln_1(self.attn(x)).
    """
    x = x + self.ln_1(self.attn(x, cache))
    return x + self.ln_2(self.mlp(x))


@mistake("2.2")
def no_norms(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block never normalizes. The stream grows with every block, and attention's scores with its
    square, until softmax picks a single key and stops learning.
    """
    x = x + self.attn(x, cache)
    return x + self.mlp(x)


@mistake("2.2")
def no_first_norm(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention reads x as it is: ln_1 is missing in front of it."""
    x = x + self.attn(x, cache)
    return x + self.mlp(self.ln_2(x))


@mistake("2.2")
def no_second_norm(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your MLP reads x as it is: ln_2 is missing in front of it."""
    x = x + self.attn(self.ln_1(x), cache)
    return x + self.mlp(x)


@mistake("2.2")
def same_norm_twice(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block uses ln_1 in both places. Each part has a norm with gains and biases of its own: the
    MLP reads ln_2.
    """
    x = x + self.attn(self.ln_1(x), cache)
    return x + self.mlp(self.ln_1(x))


@mistake("2.2")
def swapped_norms(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block uses ln_2 in front of attention and ln_1 in front of the MLP. Loaded weights would
    meet the wrong norms.
    """
    x = x + self.attn(self.ln_2(x), cache)
    return x + self.mlp(self.ln_1(x))


@mistake("2.2")
def normalized_base(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block adds the answers to the normalized x. The norm is for reading alone: keep x as it came
    and add to that.
    """
    x = self.ln_1(x)
    x = x + self.attn(x, cache)
    x = self.ln_2(x)
    return x + self.mlp(x)


@mistake("2.2")
def mlp_first(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block lets the MLP work before attention. The order is attention, then the MLP, each with
    its own norm.
    """
    x = x + self.mlp(self.ln_2(x))
    return x + self.attn(self.ln_1(x), cache)


@mistake("2.2")
def no_cache(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block does not hand its cache to attention. Without a cache all is well, but in generation
    every new token would see no past at all.
    """
    x = x + self.attn(self.ln_1(x))
    return x + self.mlp(self.ln_2(x))


@mistake("2.2")
def empty_cache_is_false(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block takes an empty cache for no cache: `if cache` and `cache or None` ask for its length,
    which is 0 at first, so that it is never filled. Hand it on as it is, or ask `cache is not None`.
    """
    x = x + self.attn(self.ln_1(x), cache or None)
    return x + self.mlp(self.ln_2(x))


@mistake("2.2", called="The block adds both answers to the caller's own tensor, with `x += ...`")
def in_place(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block changes the x that it was given: `x += ...` writes into the caller's tensor. Write x =
    x + ...: it makes a new one, and autograd still needs the old.
    """
    x += self.attn(self.ln_1(x), cache)
    x += self.mlp(self.ln_2(x))
    return x


@mistake("2.2", called="The block adds attention's answer, and it alone, to the caller's own tensor")
def in_place_attention(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block adds attention's answer to the caller's tensor: `x += ...` writes into the x that it
    was given. Write x = x + ...: it makes a new one, and autograd still needs the old.
    """
    x += self.attn(self.ln_1(x), cache)
    return x + self.mlp(self.ln_2(x))


@mistake("2.2")
def detached_stream(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block cuts the gradient of the stream (detach, .data or torch.no_grad): only the two answers
    would learn, and no gradient would reach the blocks below along the stream.
    """
    x = x.detach() + self.attn(self.ln_1(x), cache)
    return x + self.mlp(self.ln_2(x))


@mistake("2.2")
def averaged(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your block halves the sum of stream and answer. It adds them as they are; halving would fade the
    stream by 1/2 at every step.
    """
    x = (x + self.attn(self.ln_1(x), cache)) / 2
    return (x + self.mlp(self.ln_2(x))) / 2


@variant("2.2")
def named_parts(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Every intermediate has a name, the cache is handed on by keyword."""
    seen = self.ln_1(x)
    answer = self.attn(seen, cache=cache)
    middle = torch.add(x, answer)
    return self.mlp(self.ln_2(middle)) + middle


@variant("2.2")
def added_at_the_end(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """The three terms are summed at the end."""
    answer = self.attn(self.ln_1(x), cache)
    return x + answer + self.mlp(self.ln_2(x + answer))


@variant("2.2")
def functional_norms(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Norms as functions with the modules' own gains, biases and eps."""
    for norm, part in ((self.ln_1, lambda y: self.attn(y, cache)), (self.ln_2, self.mlp)):
        x = x + part(F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps))
    return x


@variant("2.2")
def norms_by_hand(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """LayerNorm written out: biased variance, eps inside the root."""

    def normalize(norm: Any, y: Tensor) -> Tensor:
        centered = y - y.mean(-1, keepdim=True)
        variance = centered.pow(2).mean(-1, keepdim=True)
        return centered * (variance + norm.eps).rsqrt() * norm.weight + norm.bias

    x = x + self.attn(normalize(self.ln_1, x), cache)
    return x + self.mlp(normalize(self.ln_2, x))


@variant("2.2")
def in_place_on_a_copy(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Adds in place, to a copy of its own."""
    stream = x + self.attn(self.ln_1(x), cache)
    answer = self.mlp(self.ln_2(stream.clone()))
    stream += answer
    return stream
