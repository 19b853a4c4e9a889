"""2.learns: whole models that learn wrongly, each of which the milestone must refuse."""

from __future__ import annotations

from coursekit.probe import mistake, variant
from step2_model.mistakes import (
    block,
    embed,
    heads_ends,
    heads_variants,
    heads_weights,
    logits,
    loss,
    loss_logs,
    loss_variants,
    mlp,
    scores,
    transform,
)
from step2_model.mistakes.gpt2 import Patches


@mistake("2.learns")
def learns_without_mask() -> Patches:
    """Your model reads the future: the loss falls below what can be known."""
    return {"CausalSelfAttention.forward": heads_weights.not_masked}


@mistake("2.learns")
def learns_without_residual() -> Patches:
    """Your model has no residual stream, and hardly learns."""
    return {"Block.forward": block.no_residuals}


@mistake("2.learns")
def learns_unshifted() -> Patches:
    """Your model learns to repeat the token it has just read: the labels are not shifted."""
    return {"next_token_loss": loss.not_shifted}


@mistake("2.learns")
def learns_padding() -> Patches:
    """Your model is trained on places that have no label (-100)."""
    return {"next_token_loss": loss.none_counts_as_zero}


@mistake("2.learns")
def learns_without_positions() -> Patches:
    """Your model cannot tell the order of its tokens."""
    return {"GPT.embed": embed.no_positions}


@mistake("2.learns")
def frozen_blocks() -> Patches:
    """Your blocks never learn but the last: the gradient is cut between them."""
    return {"GPT.transform": transform.detached_between}


@mistake("2.learns")
def frozen_attention() -> Patches:
    """Your attention never learns where to look: the gradient is cut before c_proj."""
    return {"CausalSelfAttention.forward": heads_ends.detached}


@mistake("2.learns")
def frozen_scores() -> Patches:
    """Your queries and keys never learn: the scores carry no gradient."""
    return {"attention_scores": scores.detached}


@mistake("2.learns")
def frozen_mlp() -> Patches:
    """Your MLPs learn only their second layer: the gradient is cut behind GELU."""
    return {"MLP.forward": mlp.detached}


@mistake("2.learns")
def frozen_embeddings() -> Patches:
    """Your embeddings never learn from what the model reads."""
    return {"GPT.embed": embed.detached}


@mistake("2.learns")
def frozen_head() -> Patches:
    """Your head sends no gradient to the token embedding."""
    return {"GPT.logits": logits.detached_head}


@mistake("2.learns")
def learns_in_bits() -> Patches:
    """Your loss is in bits: every step is 1/ln 2 times too long."""
    return {"next_token_loss": loss_logs.bits}


@variant("2.learns")
def learns_by_hand() -> Patches:
    """Everything written out."""
    return {
        "MLP.forward": mlp.written_out,
        "Block.forward": block.norms_by_hand,
        "CausalSelfAttention.forward": heads_variants.all_by_hand,
        "next_token_loss": loss_variants.by_one_hot,
    }


@variant("2.learns")
def learns_fused() -> Patches:
    """Fused attention, log_softmax in the loss."""
    return {
        "CausalSelfAttention.forward": heads_variants.fused,
        "GPT.embed": embed.one_hot,
        "GPT.logits": logits.in_float64,
        "next_token_loss": loss_variants.by_log_softmax,
    }
