"""2.11b, attention from latents: known mistakes with the width whose root divides the scores."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.latent import Mask, Rope, attention


@mistake("2.11b")
def scaled_by_plain_width(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are divided by √Dn, the plain part alone. A score sums over Dn + Dr products, and it is
    their number that makes it large.
    """
    return attention(self, x, rope, mask, cache, width=lambda args: args.qk_nope_head_dim)


@mistake("2.11b")
def scaled_by_absorbed_width(
    self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None
) -> Tensor:
    """Your scores are divided by √(R + Dr), the width of what is kept. The scores are those of keys that
    are Dn + Dr wide, and stay so however they are computed.
    """
    return attention(self, x, rope, mask, cache, width=lambda args: args.kv_lora_rank + args.qk_rope_head_dim)


@mistake("2.11b")
def scaled_by_value_width(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are divided by √Dv, the width of a value. Values take no part in the scores."""
    return attention(self, x, rope, mask, cache, width=lambda args: args.v_head_dim)


@mistake("2.11b")
def scaled_by_rotary_width(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are divided by √Dr, the rotary part alone. They sum over the plain part as well:
    √(Dn + Dr).
    """
    return attention(self, x, rope, mask, cache, width=lambda args: args.qk_rope_head_dim)


@mistake("2.11b")
def scaled_by_share_of_width(
    self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None
) -> Tensor:
    """Your scores are divided by √(C / H). In latent attention a head's width has nothing to do with C / H:
    its keys are Dn + Dr wide.
    """
    return attention(self, x, rope, mask, cache, width=lambda args: args.d_model // args.n_heads)


@mistake("2.11b")
def not_scaled(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are not divided at all. `cached_attention` divides by the root of the width that it
    sees; where you score yourself, divide by √(Dn + Dr).
    """
    return attention(self, x, rope, mask, cache, width=lambda args: 1.0)


@mistake("2.11b", called="The plain and the rotary scores are divided each by its own root")
def scaled_apart(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your plain scores are divided by √Dn and your rotary ones by √Dr. They are two parts of one sum
    over Dn + Dr products: add first, then divide by √(Dn + Dr).
    """

    def apart(plain: Tensor, rotary: Tensor) -> Tensor:
        whole = plain.shape[-1] + rotary.shape[-1]
        roots = math.sqrt(whole / plain.shape[-1]), math.sqrt(whole / rotary.shape[-1])
        return torch.cat([plain * roots[0], rotary * roots[1]], dim=-1)

    return attention(self, x, rope, mask, cache, whole_query=apart)
