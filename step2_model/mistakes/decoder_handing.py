"""2.10a, the modern block: known mistakes with what is handed on and dropped, and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.mistakes.decoder import attention, feed


@mistake("2.10a")
def cache_not_handed_on(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block does not hand its cache to attention: nothing is kept, and a new token sees no past."""
    x = x + attention(self, x, rope, mask)
    return x + feed(self, x)


@mistake("2.10a")
def mask_not_handed_on(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block does not hand its mask to attention: padding would be read like text."""
    x = x + attention(self, x, rope, None, cache)
    return x + feed(self, x)


@mistake("2.10a")
def empty_cache_is_false(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block takes an empty cache for no cache (`if cache`, `cache or None`): its length is 0 at first,
    so that it is never filled. Hand on whatever came.
    """
    x = x + attention(self, x, rope, mask, cache or None)
    return x + feed(self, x)


@mistake("2.10a")
def no_dropout(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block never applies self.dropout: both answers go through it before they are added."""
    x = x + self.self_attn(self.input_layernorm(x), rope, mask, cache)
    return x + self.mlp(self.post_attention_layernorm(x))


@mistake("2.10a")
def no_dropout_after_attention(
    self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None
) -> Tensor:
    """Your block drops out of the MLP's answer only. Attention's answer goes through self.dropout, too."""
    x = x + self.self_attn(self.input_layernorm(x), rope, mask, cache)
    return x + feed(self, x)


@mistake("2.10a")
def no_dropout_of_mlp(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block drops out of attention's answer only. The MLP's answer goes through self.dropout, too."""
    x = x + attention(self, x, rope, mask, cache)
    return x + self.mlp(self.post_attention_layernorm(x))


@mistake("2.10a")
def dropout_on_stream(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block drops out of the sums. What it zeroes in the stream is lost for all later blocks; dropout
    acts on an answer, before it is added.
    """
    x = self.dropout(x + self.self_attn(self.input_layernorm(x), rope, mask, cache))
    out: Tensor = self.dropout(x + self.mlp(self.post_attention_layernorm(x)))
    return out


@mistake("2.10a")
def dropout_on_copies(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block drops out of what the parts read. Dropout acts on what they answer."""
    x = x + self.self_attn(self.dropout(self.input_layernorm(x)), rope, mask, cache)
    return x + self.mlp(self.dropout(self.post_attention_layernorm(x)))


@mistake("2.10a")
def dropout_always(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block drops out in evaluation, too: `F.dropout` drops whatever mode the model is in. self.dropout
    knows the mode.
    """
    answer = self.self_attn(self.input_layernorm(x), rope, mask, cache)
    x = x + F.dropout(answer, self.dropout.p)
    return x + F.dropout(self.mlp(self.post_attention_layernorm(x)), self.dropout.p)


@mistake("2.10a")
def writes_into_x(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block changes its argument: x += ... writes into the caller's tensor. Write x = x + ..."""
    with torch.no_grad():
        x += attention(self, x, rope, mask, cache)
    return x + feed(self, x)


@mistake("2.10a")
def detached(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block cuts the gradient between attention and the MLP (detach, .data or torch.no_grad): attention
    would learn nothing from what the MLP makes of it, and blocks below nothing at all.
    """
    x = (x + attention(self, x, rope, mask, cache)).detach()
    return x + feed(self, x)


@variant("2.10a")
def one_expression(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Everything in two names and one sum."""
    a = self.dropout(self.self_attn(self.input_layernorm(x), rope, mask=mask, cache=cache))
    out: Tensor = x + a + self.dropout(self.mlp(self.post_attention_layernorm(x + a)))
    return out


@variant("2.10a")
def residual_kept(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """As transformers writes it: the residual set aside, the sum turned around."""
    residual = x
    hidden = self.self_attn(self.input_layernorm(x), rope, mask, cache)
    hidden = residual + self.dropout(hidden)
    residual = hidden
    hidden = self.mlp(self.post_attention_layernorm(hidden))
    return self.dropout(hidden) + residual


@variant("2.10a")
def sums_in_float64(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """The two sums in float64, dropout as a function that follows the mode."""
    stream = x.double()
    for part, norm, given in (
        (self.self_attn, self.input_layernorm, (rope, mask, cache)),
        (self.mlp, self.post_attention_layernorm, ()),
    ):
        answer = part(norm(stream.to(x.dtype)), *given)
        stream = stream + F.dropout(answer, self.dropout.p, self.training).double()
    return stream.to(x.dtype)
