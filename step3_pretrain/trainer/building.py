"""The model and the optimizer of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import Options

# Peak learning rates by preset: the larger a model, the smaller its steps.
RATES = {"tiny": 3e-3, "tiny_moe": 3e-3, "tiny_long": 3e-3, "small": 1e-3, "base": 3e-4, "large": 2e-4}
# Muon's own rate, for matrices; the rest follows AdamW's.
MUON_RATE = 0.01
# How much the balance loss counts: DeepSeek's router is balanced by its bias, and needs hardly any.
BALANCE = {"softmax": 0.01, "sigmoid": 0.0001}


def model_args(chain: Chain, options: Options, vocab_size: int | None = None) -> Any:
    """Return the configuration that the options describe, its head untied unless they tie it.

    Token vectors begin long here (`spread_embeddings`); a head that shares them would begin far off, and
    learn to copy later. Raises CannotTrain for a configuration that cannot be.
    """
    changes: dict[str, Any] = {"tie_embeddings": False}
    if vocab_size is not None:
        changes["vocab_size"] = vocab_size
    if options.block_size is not None:
        changes["max_seq_len"] = options.block_size
    if options.dropout:
        changes["dropout"] = options.dropout
    preset = getattr(chain.model.ModelConfigs, options.preset)
    try:
        changes |= checked(options.changes, preset())
        changes |= attention_of(options, preset(**changes))
        if options.moe:
            changes |= experts_of(preset(**changes)) | options.changes
        return preset(**changes)
    except ValueError as error:
        raise CannotTrain(f"no such model: {error}") from None


def checked(changes: Mapping[str, Any], args: Any) -> dict[str, Any]:
    """Return the changes of --set. Raises CannotTrain for a field that there is not."""
    names = [field.name for field in dataclasses.fields(args)]
    for name in changes:
        if name not in names:
            raise CannotTrain(f"--set must name one of {', '.join(names)}, got {name!r}")
    return dict(changes)


def attention_of(options: Options, args: Any) -> dict[str, Any]:
    """Return what --attention changes: grouped attention shares keys among up to four query heads."""
    if options.attention is None:
        return {}
    if options.attention == "mla":
        return {"attention": "mla"}
    heads = args.n_heads
    shared = heads // 4 if heads % 4 == 0 and heads > 4 else max(1, heads // 2)
    return {"attention": "gqa", "n_kv_heads": heads if options.attention == "mha" else shared}


def experts_of(args: Any) -> dict[str, Any]:
    """Return what --moe changes: eight experts, two at work for a token, in the family of the attention.

    With latent attention as DeepSeek-V3 has them, one shared and the first layer dense; else as Mixtral.
    """
    found = {"n_experts": 8, "n_experts_per_tok": 2}
    if args.attention == "mla":
        width = max(8, round(0.36 * args.intermediate_size / 8) * 8)
        deepseek = {"n_shared_experts": 1, "n_dense_layers": min(1, args.n_layers - 1), "router": "sigmoid"}
        return found | {"moe_intermediate_size": width} | deepseek
    return found | {"moe_intermediate_size": args.intermediate_size // 2, "router": "softmax"}


def new_model(chain: Chain, args: Any, seed: int) -> nn.Module:
    """Return a new model, the same one for the same seed: the core's where it suffices."""
    torch.manual_seed(seed)
    model: nn.Module
    if needs_more(args):
        model = chain.full_model.FullTransformer(args)
    else:
        model = chain.model.Transformer(args)
    chain.core.spread_embeddings(model)
    return model


def needs_more(args: Any) -> bool:
    """Return whether a configuration goes beyond the core of step 2."""
    return bool(args.q_lora_rank or args.yarn or args.n_experts)


def peak_rates(options: Options) -> tuple[float, float]:
    """Return the learning rates that the schedule goes up to: of the matrices, and of all else."""
    usual = RATES[options.preset]
    if options.optimizer == "muon":
        return options.lr or MUON_RATE, options.other_lr or usual
    return options.lr or usual, options.lr or usual


def new_optimizer(chain: Chain, options: Options, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer that the options ask for, made with the peaks of its rates."""
    rate, other = peak_rates(options)
    found: torch.optim.Optimizer
    if options.optimizer == "muon":
        groups = chain.further.muon_groups(model, rate, other, options.weight_decay)
        found = chain.further.Muon(groups)
    else:
        found = chain.core.AdamW(model.parameters(), rate, weight_decay=options.weight_decay)
    return found


def balance_of(options: Options, args: Any) -> float:
    """Return the coefficient of the balance loss."""
    return BALANCE[args.router] if options.balance is None else options.balance
