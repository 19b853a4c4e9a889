"""2.3d, heads side by side: known mistakes with the cache, the projection and dropout, and accepted
variants.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.heads import attention, finish, mix, remember
from step2_model.model_solution import apply_causal_mask, attend, attention_scores


@mistake("2.3d")
def no_output_projection(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention returns the heads side by side without c_proj. Each head's result would stay in
    its own D features; c_proj mixes them and decides where in the stream they go.
    """
    return attention(self, x, cache, finish=lambda s, y: s.resid_dropout(y))


@mistake("2.3d")
def adds_x(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention adds x to its answer. The residual belongs to the block, which adds x itself."""
    return x + attention(self, x, cache)


@mistake("2.3d")
def no_resid_dropout(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention never applies resid_dropout, which acts on the result of c_proj."""
    return attention(self, x, cache, finish=lambda s, y: s.c_proj(y))


@mistake("2.3d")
def resid_dropout_before_projection(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention applies resid_dropout before c_proj. It acts on the result of c_proj, bias
    included.
    """
    return attention(self, x, cache, finish=lambda s, y: s.c_proj(s.resid_dropout(y)))


@mistake("2.3d")
def resid_dropout_twice(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention applies resid_dropout twice. Once, on the result of c_proj, is what its
    probability means.
    """
    return attention(self, x, cache, finish=lambda s, y: s.resid_dropout(finish(s, y)))


@mistake("2.3d", called="The attention never applies attn_dropout")
def no_attn_dropout(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention never applies attn_dropout: hand it to attend, which applies it to the weights."""

    def plain(s: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(apply_causal_mask(attention_scores(q, k)), v, lambda weights: weights)

    return attention(self, x, cache, mix=plain)


@mistake("2.3d")
def resid_dropout_on_weights(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention hands resid_dropout to attend. The weights have a dropout of their own,
    attn_dropout; resid_dropout acts on the result.
    """

    def mix(s: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(apply_causal_mask(attention_scores(q, k)), v, s.resid_dropout)

    return attention(self, x, cache, mix=mix)


@mistake("2.3d", called="The two dropouts are swapped")
def swapped_dropouts(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your two dropouts are swapped: attn_dropout acts on the weights, resid_dropout on the result."""

    def mix(s: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(apply_causal_mask(attention_scores(q, k)), v, s.resid_dropout)

    return attention(self, x, cache, mix=mix, finish=lambda s, y: s.attn_dropout(s.c_proj(y)))


@mistake("2.3d")
def attn_dropout_on_mixture(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attn_dropout acts on the mixture instead of the weights. A dropped weight means "this query
    does not see that key this time": hand attn_dropout to attend.
    """

    def after(s: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mixture: Tensor = s.attn_dropout(attend(apply_causal_mask(attention_scores(q, k)), v, lambda w: w))
        return mixture

    return attention(self, x, cache, mix=after)


@mistake("2.3d")
def attn_dropout_twice(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attn_dropout acts twice: attend applies what it is handed, so hand it over and do not call
    it again.
    """
    return attention(self, x, cache, mix=lambda s, q, k, v: s.attn_dropout(mix(s, q, k, v)))


@mistake("2.3d")
def dropout_always(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention drops weights in evaluation too: dropout_p and F.dropout act whatever mode the
    model is in. Hand self.attn_dropout on, or ask self.training.
    """

    def mix(s: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(apply_causal_mask(attention_scores(q, k)), v, lambda w: F.dropout(w, s.attn_dropout.p))

    return attention(self, x, cache, mix=mix)


@mistake("2.3d")
def cache_ignored(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention ignores its cache: the lines marked "given" append the new keys and values and
    read all of them back. Without them a new token sees no past.
    """
    return attention(self, x, None)


@mistake("2.3d")
def cache_not_read(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention fills the cache but goes on with the new keys and values alone. Go on with what
    cache.read() returns: past and new.
    """
    return attention(self, x, cache, remember=lambda c, k, v: (remember(c, k, v), (k, v))[1])


@mistake("2.3d")
def empty_cache_is_false(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention takes an empty cache for no cache: `if cache` asks for its length, which is 0 at
    first, so that it is never filled. Ask `if cache is not None`, as the given lines do.
    """
    return attention(self, x, cache or None)


@mistake("2.3d")
def old_values(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention lets the last new queries read only the past and not themselves: it reads the
    cache before it has appended the new keys and values.
    """

    def late(c: Any, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if c is None or len(c) == 0:
            return remember(c, k, v)
        past = c.read()
        c.append(k, v)
        return past

    return attention(self, x, cache, remember=late)


@mistake("2.3d")
def detached(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention cuts the gradient between the mixture and c_proj (detach, .data or torch.no_grad):
    queries, keys and values would never learn.
    """
    return attention(self, x, cache, finish=lambda s, y: finish(s, y.detach()))
