"""3.overfits and 3.learns: whole chains that are wrong in one place, each of which the milestones must
refuse.

A learner sees a milestone only when every exercise passes; these show that the milestones bite by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import Tokenizer
from step2_model.model_solution import Transformer
from step3_pretrain import model_solution as solution
from step3_pretrain.mistakes import blocks_seeds, measure, one_step
from step3_pretrain.mistakes import pack as packs

Patches = dict[str, Callable[..., Any]]


class Unshifted(Transformer):
    """Its labels are not shifted."""

    def forward(self, ids: Tensor, labels: Tensor | None = None, *rest: Any, **named: Any) -> Any:
        output = super().forward(ids, None, *rest, **named)
        if labels is None:
            return output
        return output._replace(loss=F.cross_entropy(output.logits.flatten(0, 1), labels.flatten()))


class WithoutMerges(Tokenizer):
    """Its training learns no merge."""

    @classmethod
    def train(cls, texts: Any, vocab_size: int, special_tokens: Any = ()) -> Tokenizer:
        return super().train(texts, 256 + len(special_tokens), special_tokens)


def no_correction(weight: Tensor, gradient: Tensor, state: dict[str, Any], lr: float, **named: Any) -> None:
    """Take a step of AdamW with means that begin at 0 and stay too small."""
    betas = named["betas"]
    rates = (1 - betas[0] ** (state.get("step", 0) + 1), 1 - betas[1] ** (state.get("step", 0) + 1))
    solution.adamw_step(weight, gradient, state, lr * rates[0] / rates[1] ** 0.5, **named)


def in_float64(
    weight: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Take a step of AdamW whose means are of float64."""
    t = state["t"] = state.get("t", 0) + 1
    wide, square = gradient.double(), gradient.double() ** 2
    state["m"] = betas[0] * state.get("m", torch.zeros_like(wide)) + (1 - betas[0]) * wide
    state["v"] = betas[1] * state.get("v", torch.zeros_like(wide)) + (1 - betas[1]) * square
    m, v = state["m"] / (1 - betas[0] ** t), state["v"] / (1 - betas[1] ** t)
    weight.copy_((weight.double() * (1 - lr * weight_decay) - lr * m / (v.sqrt() + eps)).to(weight.dtype))


@mistake("3.overfits")
def overfits_without_zeroing() -> Patches:
    """Your training never sets the gradients to zero."""
    return {"training_step": one_step.not_zeroed}


@mistake("3.overfits")
def overfits_without_steps() -> Patches:
    """Your training never takes a step."""
    return {"training_step": one_step.no_step}


@mistake("3.overfits")
def overfits_shifted_twice() -> Patches:
    """Your training shifts the labels twice."""
    return {"training_step": one_step.shifted_twice}


@mistake("3.overfits")
def overfits_unshifted() -> Patches:
    """Your decoder learns to repeat the token that it has just read."""
    return {"Transformer": Unshifted}


@mistake("3.overfits")
def overfits_without_correction() -> Patches:
    """Your AdamW does not correct its means."""
    return {"adamw_step": no_correction}


@mistake("3.overfits")
def overfits_without_ends() -> Patches:
    """Your stream has no ends of documents."""
    return {"pack": packs.no_ends}


@variant("3.overfits")
def overfits_otherwise() -> Patches:
    """Everything in another style."""
    return {"pack": packs.by_numpy, "training_step": one_step.by_autograd}


@variant("3.overfits")
def overfits_in_float64() -> Patches:
    """AdamW with means of float64, zeros in place of no gradient."""
    return {"pack": packs.by_cat, "training_step": one_step.kept_zeros, "adamw_step": in_float64}


@mistake("3.learns")
def learns_bytes() -> Patches:
    """Your tokenizer learns no merges: the stories are bytes."""
    return {"Tokenizer": WithoutMerges}


@mistake("3.learns")
def learns_without_ends() -> Patches:
    """Your stream has an end behind the last story alone."""
    return {"pack": packs.one_end_for_all}


@mistake("3.learns")
def learns_one_batch() -> Patches:
    """Your run draws the same batch at every step."""
    return {"sample_blocks": blocks_seeds.without_step}


@mistake("3.learns")
def learns_without_zeroing() -> Patches:
    """Your training never sets the gradients to zero."""
    return {"training_step": one_step.not_zeroed}


@mistake("3.learns")
def learns_at_full_rate() -> Patches:
    """Your rate does not change."""
    return {"learning_rate": lambda step, peak, warmup, total, floor=0.1: peak}


@mistake("3.learns")
def learns_unclipped() -> Patches:
    """Your gradients are not clipped."""
    return {"clip_gradients": lambda parameters, max_norm: torch.tensor(0.0)}


@mistake("3.learns")
def learns_unshifted() -> Patches:
    """Your decoder learns to repeat the token that it has just read."""
    return {"Transformer": Unshifted}


@mistake("3.learns")
def measured_in_nats() -> Patches:
    """Your measure is in nats."""
    return {"evaluate": measure.still_nats}


@mistake("3.learns")
def measured_per_token() -> Patches:
    """Your measure is in bits per token."""
    return {"evaluate": measure.per_token}


@variant("3.learns")
def learns_otherwise() -> Patches:
    """Everything in another style; other blocks are drawn."""
    return {
        "pack": packs.by_chain,
        "sample_blocks": blocks_seeds.by_numpy,
        "training_step": one_step.by_the_model,
        "evaluate": measure.weighted_mean,
    }


@variant("3.learns")
def learns_by_slices() -> Patches:
    """Other blocks again."""
    return {
        "sample_blocks": blocks_seeds.by_slices,
        "training_step": one_step.by_autograd,
        "adamw_step": in_float64,
        "evaluate": measure.from_logits,
    }
