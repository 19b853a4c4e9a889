"""2.gpt2 and 2.learns: whole models that are wrong in one place, each of which the milestones must
refuse.

A learner sees a milestone only when every exercise passes; these models show that the milestones bite
by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.mistakes import (
    block,
    embed,
    heads,
    heads_ends,
    heads_variants,
    heads_weights,
    logits,
    mlp,
    scores,
    transform,
)

Patches = dict[str, Callable[..., Any]]


@mistake("2.gpt2")
def no_mlp_bias() -> Patches:
    """Your MLP has no bias in c_fc."""
    return {"MLP.forward": mlp.no_widening_bias}


@mistake("2.gpt2")
def no_mlp_output_bias() -> Patches:
    """Your MLP has no bias in c_proj."""
    return {"MLP.forward": mlp.no_projection_bias}


@mistake("2.gpt2")
def no_attention_bias() -> Patches:
    """Your attention has no bias in c_attn: queries, keys and values lack theirs."""

    def forward(self: Any, x: Tensor, cache: Any = None) -> Tensor:
        return heads.attention(self, x, cache, project=lambda s, t: (t @ s.c_attn.weight.T).chunk(3, dim=-1))

    return {"CausalSelfAttention.forward": forward}


@mistake("2.gpt2")
def no_attention_output_bias() -> Patches:
    """Your attention has no bias in c_proj."""

    def forward(self: Any, x: Tensor, cache: Any = None) -> Tensor:
        return heads.attention(self, x, cache, finish=lambda s, y: s.resid_dropout(y @ s.c_proj.weight.T))

    return {"CausalSelfAttention.forward": forward}


@mistake("2.gpt2")
def exact_gelu() -> Patches:
    """Your MLP uses GELU in its exact form; GPT-2's is the tanh form."""
    return {"MLP.forward": mlp.exact_gelu}


@mistake("2.gpt2")
def relu() -> Patches:
    """Your MLP uses ReLU; GPT-2 has GELU in its tanh form."""
    return {"MLP.forward": mlp.relu}


def with_eps(eps: float) -> Patches:
    """Return a block whose norms have another eps."""

    def forward(self: Any, x: Tensor, cache: Any = None) -> Tensor:
        for norm, part in ((self.ln_1, lambda y: self.attn(y, cache)), (self.ln_2, self.mlp)):
            x = x + part(F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, eps))
        return x

    return {"Block.forward": forward}


@mistake("2.gpt2")
def eps_1e_6() -> Patches:
    """Your norms have an eps of 1e-6; GPT-2's is 1e-5. Where activations are small it decides the
    result.
    """
    return with_eps(1e-6)


@mistake("2.gpt2")
def eps_1e_12() -> Patches:
    """Your norms have an eps of 1e-12; GPT-2's is 1e-5. Where activations are small it decides the
    result.
    """
    return with_eps(1e-12)


@mistake("2.gpt2")
def no_scale() -> Patches:
    """Your scores are not divided by √D."""
    return {"attention_scores": scores.no_scale}


@mistake("2.gpt2")
def scaled_by_model_width() -> Patches:
    """Your scores are divided by √C in place of √D."""
    return {"attention_scores": scores.root_of_model_width}


@mistake("2.gpt2")
def no_mask() -> Patches:
    """Your attention does not hide the future."""
    return {"CausalSelfAttention.forward": heads_weights.not_masked}


@mistake("2.gpt2")
def post_norm() -> Patches:
    """Your blocks normalize after adding; GPT-2 normalizes what each part reads."""
    return {"Block.forward": block.post_norm}


@mistake("2.gpt2")
def parallel() -> Patches:
    """Your MLPs work beside attention; GPT-2's read what attention has brought."""
    return {"Block.forward": block.parallel}


@mistake("2.gpt2")
def no_residual() -> Patches:
    """Your blocks have no residual stream."""
    return {"Block.forward": block.no_residuals}


@mistake("2.gpt2")
def interleaved_heads() -> Patches:
    """Your heads take every H-th feature; GPT-2's own D features in a row."""
    return {"CausalSelfAttention.forward": heads.interleaved_heads}


@mistake("2.gpt2")
def keys_first() -> Patches:
    """Your c_attn holds keys before queries; GPT-2's holds queries, keys, values."""
    return {"CausalSelfAttention.forward": heads.keys_first}


@mistake("2.gpt2")
def no_output_projection() -> Patches:
    """Your attention does not apply c_proj."""
    return {"CausalSelfAttention.forward": heads_ends.no_output_projection}


@mistake("2.gpt2")
def no_positions() -> Patches:
    """Your model adds no position vectors."""
    return {"GPT.embed": embed.no_positions}


@mistake("2.gpt2")
def last_block_skipped() -> Patches:
    """Your model skips its last block."""
    return {"GPT.transform": transform.last_skipped}


@mistake("2.gpt2")
def no_final_norm() -> Patches:
    """Your model has no final norm."""
    return {"GPT.logits": logits.no_final_norm}


@mistake("2.gpt2")
def untransposed_square() -> Patches:
    """Your loading leaves attention's c_proj as GPT-2 stores it, (in, out); nn.Linear wants (out, in).
    The matrix is square, so no shape says so.
    """

    def load_gpt2(self: Any, weights: Any) -> None:
        with torch.no_grad():
            for name, parameter in self.state_dict().items():
                source = weights[f"transformer.{name}"]
                is_turned = name.endswith(("c_attn.weight", "mlp.c_proj.weight", "c_fc.weight"))
                parameter.copy_(source.T if is_turned else source)

    return {"GPT.load_gpt2": load_gpt2}


@variant("2.gpt2")
def written_by_hand() -> Patches:
    """GELU and the norms written out, attention with views."""
    return {
        "MLP.forward": mlp.written_out,
        "Block.forward": block.norms_by_hand,
        "CausalSelfAttention.forward": heads_variants.all_by_hand,
        "GPT.logits": logits.written_out,
    }


@variant("2.gpt2")
def fused_and_functional() -> Patches:
    """Fused attention, functions in place of modules."""
    return {
        "MLP.forward": mlp.functional,
        "Block.forward": block.functional_norms,
        "CausalSelfAttention.forward": heads_variants.fused,
        "GPT.embed": embed.one_hot,
        "GPT.transform": transform.reduced,
        "GPT.logits": logits.linear,
    }
