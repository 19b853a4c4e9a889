"""One attention layer in two implementations with the same weights, and the pasts that both read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from step2_model.further_solution import LatentAttention
from step2_model.latency.workload import Workload
from step2_model.model_solution import KVCache, ModelArgs, Rope, causal_mask, rope_at

Past = tuple[Tensor, Tensor]


def our_layer(work: Workload) -> LatentAttention:
    """Return the layer under test with weights of standard deviation 1/√fan_in, so that outputs are of
    order one.
    """
    torch.manual_seed(0)
    layer = LatentAttention(work.args)
    for parameter in layer.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        else:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return layer.to(work.device, work.dtype).eval().requires_grad_(False)


class PeerLayer:
    """transformers' DeepseekV3Attention with the weights of ours; `kind` is "sdpa", its default, or
    "eager".
    """

    def __init__(self, ours: LatentAttention, work: Workload, kind: str) -> None:
        from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Attention

        config = peer_config(work.args)
        config._attn_implementation = self.kind = kind
        self.layer = DeepseekV3Attention(config, layer_idx=0).to(work.device, work.dtype)
        self.layer.load_state_dict(ours.state_dict())
        self.layer.eval().requires_grad_(False)

    def cache(self, past: Past | None = None) -> Any:
        """Return a cache of its library that holds this past, if any."""
        from transformers import DynamicCache

        cache = DynamicCache()
        if past is not None:
            cache.update(past[0].unsqueeze(1), past[1].unsqueeze(1), 0)
        return cache

    def __call__(self, x: Tensor, rope: Rope, cache: Any) -> Tensor:
        cos, sin = (torch.cat([half, half], dim=-1).to(x.dtype) for half in rope)
        mask = self.mask(x.shape[1], x.shape[1] + cache.get_seq_length(), x)
        return self.layer(x, (cos, sin), mask, past_key_values=cache)[0]

    def mask(self, T: int, S: int, like: Tensor) -> Tensor | None:
        """Return what a model would hand in: nothing where "sdpa" knows by itself, else the last T of S
        positions; what "eager" adds to its scores.
        """
        if T == 1 or (self.kind == "sdpa" and T == S):
            return None
        mask = causal_mask(T, S, like.device)[None, None]
        if self.kind == "sdpa":
            return mask
        return torch.zeros_like(mask, dtype=like.dtype).masked_fill(~mask, float("-inf"))


def peer_config(args: ModelArgs) -> Any:
    """Return transformers' configuration of a layer of this shape, rotary features in halves."""
    from transformers import DeepseekV3Config

    sizes = {name: getattr(args, name) for name in ("kv_lora_rank", "q_lora_rank", "v_head_dim")}
    sizes |= {name: getattr(args, name) for name in ("qk_rope_head_dim", "qk_nope_head_dim")}
    sizes |= {"hidden_size": args.d_model, "rms_norm_eps": args.norm_eps, "num_hidden_layers": 1}
    sizes |= dict.fromkeys(("num_attention_heads", "num_key_value_heads"), args.n_heads)
    return DeepseekV3Config(**sizes, rope_interleave=False)


class Requests:
    """Requests with random pasts, tokens to read next, and the rotation of every position."""

    def __init__(self, work: Workload, news: Sequence[int], pasts: Sequence[int]) -> None:
        self.work, self.pasts = work, tuple(pasts)
        torch.manual_seed(1)
        widths = (work.args.kv_lora_rank, work.args.qk_rope_head_dim)
        self.kept = [(self._draw(past, widths[0]), self._draw(past, widths[1])) for past in pasts]
        self.new = [self._draw(new, work.args.d_model) for new in news]
        last = max(map(sum, zip(news, pasts))) + work.warmup + work.rounds
        positions = torch.arange(last, device=work.device).unsqueeze(0)
        self.table = rope_at(positions, work.args.qk_rope_head_dim, work.args.rope_theta)

    def _draw(self, length: int, width: int) -> Tensor:
        return torch.randn(1, length, width).to(self.work.device, self.work.dtype)

    def rope(self, start: int, length: int = 1) -> Rope:
        """Return cos and sin of `length` positions from `start` on, each (1, length, Dr/2)."""
        cos, sin = self.table
        return cos[:, start : start + length], sin[:, start : start + length]

    def rope_of_all(self, grown: int) -> Rope:
        """Return cos and sin at which every request stands that has grown by `grown` tokens, (B, 1, Dr/2)."""
        at = torch.tensor(self.pasts, device=self.work.device) + grown
        cos, sin = (half[0, at].unsqueeze(1) for half in self.table)
        return cos, sin

    def own_cache(self, number: int) -> KVCache:
        """Return our cache with the past of one request."""
        cache = KVCache()
        if self.pasts[number]:
            cache.append(*self.kept[number])
        return cache
