"""2.deepseek-full: whole decoders of DeepSeek-V3 in which one of the further parts is wrong."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model import further_solution as reference
from step2_model.mistakes.llama import Patches
from step2_model.mistakes.mixtral import every_expert_runs, run_experts

Chosen = tuple[Tensor, Tensor]


def route(
    logits: Tensor, bias: Tensor, *numbers: Any, is_biased: bool = False, best: int = 2,
    is_rescaled: bool = True, scores: Any = torch.sigmoid,
) -> Chosen:  # fmt: skip
    """Return DeepSeek's choice and weights; one thing may be another."""
    k, n_groups, topk_groups, scale = numbers
    values = scores(logits)
    choice = values + bias
    groups = rearrange(choice, "N (G E) -> N G E", G=n_groups)
    worth = groups.topk(best, dim=-1).values.sum(dim=-1)
    is_open = torch.zeros_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_groups).indices, True)
    experts = groups.masked_fill(~is_open.unsqueeze(-1), float("-inf")).flatten(1).topk(k).indices
    weights = (choice if is_biased else values).gather(1, experts)
    if is_rescaled:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights * scale, experts


def router(**changes: Any) -> Patches:
    """Return a router in which one thing is another."""
    return {"sigmoid_router": lambda logits, bias, *numbers: route(logits, bias, *numbers, **changes)}


@mistake("2.deepseek-full")
def bias_in_the_weights() -> Patches:
    """Your router's bias enters the weights; it steers the choice alone."""
    return router(is_biased=True)


@mistake("2.deepseek-full")
def bias_ignored() -> Patches:
    """Your router chooses without the bias."""
    return {
        "sigmoid_router": lambda logits, bias, *numbers: route(logits, torch.zeros_like(bias), *numbers),
    }


@mistake("2.deepseek-full")
def groups_by_their_best() -> Patches:
    """Your groups are worth their one best expert; DeepSeek adds the two best."""
    return router(best=1)


@mistake("2.deepseek-full")
def groups_ignored() -> Patches:
    """Your router chooses among the experts of all groups."""

    def sigmoid_router(logits: Tensor, bias: Tensor, k: int, G: int, best: int, scale: float) -> Chosen:
        return reference.sigmoid_router(logits, bias, k, 1, 1, scale)

    return {"sigmoid_router": sigmoid_router}


@mistake("2.deepseek-full")
def not_rescaled() -> Patches:
    """Your weights are the sigmoids as they are; they are rescaled to sum to the routed scaling factor."""
    return router(is_rescaled=False)


@mistake("2.deepseek-full")
def factor_forgotten() -> Patches:
    """Your weights sum to 1 and not to the routed scaling factor."""

    def sigmoid_router(logits: Tensor, bias: Tensor, k: int, G: int, best: int, scale: float) -> Chosen:
        return reference.sigmoid_router(logits, bias, k, G, best)

    return {"sigmoid_router": sigmoid_router}


@mistake("2.deepseek-full")
def softmax_scores() -> Patches:
    """Your router takes the softmax of the logits, as Mixtral does; DeepSeek-V3 takes sigmoids."""
    return router(scores=lambda logits: logits.softmax(dim=-1))


@mistake("2.deepseek-full")
def no_shared_experts() -> Patches:
    """Your layers leave out the shared experts, which read every token."""

    def forward(self: Any, x: Tensor) -> Tensor:
        shared, self.shared_experts = self.shared_experts, None
        y = reference.MoE.forward(self, x)
        self.shared_experts = shared
        return y

    return {"MoE.forward": forward}


@mistake("2.deepseek-full")
def gate_and_up_swapped() -> Patches:
    """Your experts take the first F rows of `gate_up_proj` for the features; they are the gate."""
    return {"Experts.forward": lambda self, x, w, e: run_experts(self, x, w, e, is_swapped=True)}


def queries(is_normed: bool = True, is_sharp: bool = True) -> Patches:
    """Return queries through the bottleneck in which one thing may be missing."""

    def forward(self: Any, x: Tensor, rope: Any) -> Chosen:
        if self.args.q_lora_rank is None:
            return reference.MLA.queries(self, x, rope)
        low = self.q_a_proj(x)
        low = self.q_a_layernorm(low) if is_normed else low
        q = rearrange(self.q_b_proj(low), "B T (H D) -> B H T D", H=self.args.n_heads)
        q = q * self.sharpness if is_sharp else q
        plain, rotary = q.split([self.args.qk_nope_head_dim, self.args.qk_rope_head_dim], dim=-1)
        return plain, reference.rotate(rotary, *rope)

    return {"LatentAttention.queries": forward}


@mistake("2.deepseek-full")
def queries_not_normalized() -> Patches:
    """Your compressed queries are not normalized: `q_a_layernorm` is not applied."""
    return queries(is_normed=False)


@mistake("2.deepseek-full")
def queries_not_sharpened() -> Patches:
    """Your queries are not multiplied by `sharpness`, which YaRN with DeepSeek's mscales asks for."""
    return queries(is_sharp=False)


@mistake("2.deepseek-full")
def absorbed_scaled_by_latent() -> Patches:
    """Your absorbed scores are divided by √(R + Dr), as wide as the queries are now; it stays √(Dn + Dr)."""

    def attend_absorbed(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        args, rotary = self.args, self.args.qk_rope_head_dim
        sharpness = self.sharpness
        self.sharpness = sharpness * math.sqrt(
            (args.qk_nope_head_dim + rotary) / (args.kv_lora_rank + rotary)
        )
        y = reference.LatentAttention.attend_absorbed(self, x, rope, mask, cache)
        self.sharpness = sharpness
        return y

    return {"LatentAttention.attend_absorbed": attend_absorbed}


@mistake("2.deepseek-full")
def absorbed_without_rotary_part() -> Patches:
    """Your absorbed scores leave out the rotary part."""

    def attend_absorbed(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        plain = self.queries
        self.queries = lambda *given: (plain(*given)[0], torch.zeros_like(plain(*given)[1]))
        y = reference.LatentAttention.attend_absorbed(self, x, rope, mask, cache)
        del self.queries
        return y

    return {"LatentAttention.attend_absorbed": attend_absorbed}


def yarn(change: Any) -> Patches:
    """Return YaRN as `change` makes it of plain, slowed and right frequencies and the growth."""

    def yarn_frequencies(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
        right, growth = reference.yarn_frequencies(dim, theta, yarn)
        plain = theta ** -(torch.arange(0, dim, 2, dtype=torch.float32) / dim)
        found: tuple[Tensor, float] = change(plain, plain / yarn.factor, right, growth)
        return found

    return {"yarn_frequencies": yarn_frequencies}


@mistake("2.deepseek-full")
def yarn_reversed() -> Patches:
    """Your YaRN slows the fast pairs down and leaves the slow ones alone; it is the other way round."""
    return yarn(lambda plain, slowed, right, growth: (plain + slowed - right, growth))


@mistake("2.deepseek-full")
def yarn_for_all() -> Patches:
    """Your YaRN slows all pairs down, which is linear interpolation."""
    return yarn(lambda plain, slowed, right, growth: (slowed, growth))


@mistake("2.deepseek-full")
def yarn_for_none() -> Patches:
    """Your YaRN leaves all frequencies as they were."""
    return yarn(lambda plain, slowed, right, growth: (plain, growth))


@mistake("2.deepseek-full")
def yarn_without_growth() -> Patches:
    """Your YaRN does not let cos and sin grow."""
    return yarn(lambda plain, slowed, right, growth: (right, 1.0))


@mistake("2.deepseek-full")
def yarn_for_the_new_length() -> Patches:
    """Your YaRN counts turns over the new length; they count over the length of training."""

    def yarn_frequencies(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
        length = int(yarn.factor * yarn.original_max_seq_len)
        return reference.yarn_frequencies(dim, theta, dataclasses.replace(yarn, original_max_seq_len=length))

    return {"yarn_frequencies": yarn_frequencies}


@variant("2.deepseek-full")
def absorbed_in_float64() -> Patches:
    """Absorbed attention in float64 with einsum."""

    def attend_absorbed(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        plain, rotary = self.queries(x, rope)
        latent, key = self.compress(x, rope)
        if cache is not None:
            cache.append(latent, key)
            latent, key = cache.read()
        to_key, to_value = (t.double() for t in self.factors())
        scores = torch.einsum("bhtd,hdr,bsr->bhts", plain.double(), to_key, latent.double())
        scores = scores + torch.einsum("bhtd,bsd->bhts", rotary.double(), key.double())
        scores = scores / math.sqrt(plain.shape[-1] + rotary.shape[-1])
        future = ~reference.causal_mask(*scores.shape[-2:])
        weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        y = torch.einsum("bhts,bsr,hdr->bthd", weights, latent.double(), to_value)
        out: Tensor = self.o_proj(y.flatten(2).float())
        return out

    return {"LatentAttention.attend_absorbed": attend_absorbed}


@variant("2.deepseek-full")
def never_absorbed() -> Patches:
    """Latents expanded with a past too, all experts run, the router written another way."""
    return every_expert_runs() | router() | {"LatentAttention.forward": reference.MLA.forward}
