"""The configurations of four families in `transformers`, as arguments of our models and back.

What one side cannot express is refused, and the field is named: weights that load and mean something else are
worse than none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]
GPT2, LLAMA = "gpt2", "llama"
DEEPSEEK, MIXTRAL = "deepseek_v3", "mixtral"
CLASSES = {
    GPT2: "GPT2LMHeadModel",
    LLAMA: "LlamaForCausalLM",
    DEEPSEEK: "DeepseekV3ForCausalLM",
    MIXTRAL: "MixtralForCausalLM",
}
# Theirs, then ours.
GPT_NAMES = {
    "vocab_size": "vocab_size",
    "n_positions": "block_size",
    "n_layer": "n_layer",
    "n_head": "n_head",
    "n_embd": "n_embd",
}
NAMES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "intermediate_size": "intermediate_size",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_seq_len",
    "rms_norm_eps": "norm_eps",
    "tie_word_embeddings": "tie_embeddings",
}
LATENT_NAMES = {
    name: name
    for name in ("q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
}
EXPERT_NAMES = {
    "n_routed_experts": "n_experts",
    "num_experts_per_tok": "n_experts_per_tok",
    "n_shared_experts": "n_shared_experts",
    "moe_intermediate_size": "moe_intermediate_size",
    "n_group": "n_groups",
    "topk_group": "topk_groups",
    "routed_scaling_factor": "routed_scaling_factor",
}
YARN_NAMES = {
    "factor": "factor",
    "original_max_position_embeddings": "original_max_seq_len",
    "beta_fast": "beta_fast",
    "beta_slow": "beta_slow",
    "mscale": "mscale",
    "mscale_all_dim": "mscale_all_dim",
}
# The library norms latents with this eps, whatever the configuration says.
LATENT_EPS = 1e-6
# What a field must say, or not say anything about, in the families that have it: no class of ours does else.
ONLY: dict[str, Config] = {
    GPT2: {
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "tie_word_embeddings": True,
        "n_inner": None,
    },
    LLAMA: {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False},
    DEEPSEEK: {
        "hidden_act": "silu",
        "attention_bias": False,
        "norm_topk_prob": True,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "moe_layer_freq": 1,
        "rms_norm_eps": LATENT_EPS,
    },
    MIXTRAL: {"hidden_act": "silu", "sliding_window": None},
}


def require(name: str, got: Any, *allowed: Any) -> None:
    """Raise ValueError, naming the field, where its value is none of those that can be expressed."""
    if got not in allowed:
        rule = " or ".join(repr(value) for value in allowed)
        raise ValueError(f"{name} must be {rule} to be exchanged, got {got!r}")


def read_config(config: Mapping[str, Any]) -> tuple[str, Config]:
    """Return the family of a `config.json`, and the arguments of our GPTConfig or ModelArgs for it.

    `yarn`, where it is among them, is a dict of YarnScaling's arguments. Raises ValueError for a family that
    is not here and for what our models do not do.
    """
    family = config.get("model_type")
    if family not in CLASSES:
        raise ValueError(f"model_type must be one of {', '.join(CLASSES)}, got {family!r}")
    for name, value in ONLY[family].items():
        require(name, config.get(name, value), value)
    if family == GPT2:
        return family, {ours: config[theirs] for theirs, ours in GPT_NAMES.items()}
    found: Config = {ours: config[theirs] for theirs, ours in NAMES.items() if theirs in config}
    found["n_kv_heads"] = found.get("n_kv_heads") or found["n_heads"]
    found |= read_rope(config) | READERS[family](config)
    return family, found


def read_rope(config: Mapping[str, Any]) -> Config:
    """Return `rope_theta`, and `yarn` where there is one, of a configuration in the old style or the new."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    kind = rope.get("rope_type", rope.get("type", "default"))
    require("rope_type", kind, "default", "yarn")
    found: Config = {"rope_theta": rope.get("rope_theta", config.get("rope_theta", 10_000.0))}
    if kind == "yarn":
        require("truncate", rope.get("truncate", True), True)
        require("attention_factor", rope.get("attention_factor"), None)
        found["yarn"] = {ours: rope[theirs] for theirs, ours in YARN_NAMES.items() if rope.get(theirs)}
    return found


def read_llama(config: Mapping[str, Any]) -> Config:
    """Return what is Llama's own: grouped attention, whose heads share out the model's width."""
    width = config["hidden_size"] // config["num_attention_heads"]
    require("head_dim", config.get("head_dim") or width, width)
    return {"attention": "gqa"}


def read_mixtral(config: Mapping[str, Any]) -> Config:
    """Return what is Mixtral's own: experts in every layer."""
    experts = {"n_experts": config["num_local_experts"], "n_experts_per_tok": config["num_experts_per_tok"]}
    width = {"moe_intermediate_size": config["intermediate_size"], "router": "softmax"}
    return read_llama(config) | experts | width


def read_deepseek(config: Mapping[str, Any]) -> Config:
    """Return what is DeepSeek's own: latent attention, and experts after the first dense layers."""
    found: Config = {ours: config.get(theirs) for theirs, ours in LATENT_NAMES.items()}
    found["attention"] = "mla"
    n_dense = config["first_k_dense_replace"]
    if n_dense < config["num_hidden_layers"]:
        found |= {ours: config[theirs] for theirs, ours in EXPERT_NAMES.items()}
        found |= {"n_dense_layers": n_dense, "router": "sigmoid"}
    return found


READERS = {LLAMA: read_llama, MIXTRAL: read_mixtral, DEEPSEEK: read_deepseek}


def write_gpt(config: Any) -> Config:
    """Return the `config.json` of a GPT."""
    found: Config = {"model_type": GPT2, "architectures": [CLASSES[GPT2]]}
    found |= {theirs: getattr(config, ours) for theirs, ours in GPT_NAMES.items()} | ONLY[GPT2]
    return found | dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout)


def write_config(args: Any) -> Config:
    """Return the `config.json` of a decoder: the class of `transformers` that computes the same.

    Raises ValueError, naming the field, where there is none.
    """
    has_experts = args.n_experts > 0 and args.n_dense_layers < args.n_layers
    family = DEEPSEEK if args.attention == "mla" else MIXTRAL if has_experts else LLAMA
    found: Config = {theirs: getattr(args, ours) for theirs, ours in NAMES.items()}
    found |= {"model_type": family, "architectures": [CLASSES[family]], "hidden_act": "silu"}
    found |= {"attention_dropout": 0.0, "rope_parameters": write_rope(args)}
    if family == LLAMA:
        return found | {"attention_bias": False, "mlp_bias": False}
    if family == MIXTRAL:
        require("router", args.router, "softmax")
        require("n_dense_layers", args.n_dense_layers, 0)
        require("n_shared_experts", args.n_shared_experts, 0)
        found |= {"num_local_experts": args.n_experts, "num_experts_per_tok": args.n_experts_per_tok}
        return found | {"intermediate_size": args.moe_intermediate_size, "sliding_window": None}
    return found | write_latent(args, has_experts)


def write_latent(args: Any, has_experts: bool) -> Config:
    """Return what is DeepSeek's own."""
    require("norm_eps", args.norm_eps, LATENT_EPS)
    if args.qk_rope_head_dim == 0 or args.qk_nope_head_dim == 0:
        both = f"{args.qk_rope_head_dim} and {args.qk_nope_head_dim}"
        raise ValueError(f"qk_rope_head_dim and qk_nope_head_dim must be above 0 to be exchanged, got {both}")
    found: Config = {theirs: getattr(args, ours) for theirs, ours in LATENT_NAMES.items()}
    found |= {"num_key_value_heads": args.n_heads, "rope_interleave": False, "attention_bias": False}
    found |= {"first_k_dense_replace": args.n_dense_layers if has_experts else args.n_layers}
    if has_experts:
        require("router", args.router, "sigmoid")
        if args.n_experts // args.n_groups < 2:
            got = f"{args.n_experts} and {args.n_groups}"
            raise ValueError(f"n_experts must be at least twice n_groups to be exchanged, got {got}")
        found |= {theirs: getattr(args, ours) for theirs, ours in EXPERT_NAMES.items()}
        found["norm_topk_prob"] = True
    return found


def write_rope(args: Any) -> Config:
    """Return `rope_parameters`; mscales of 0, which stand for none, are left out."""
    if args.yarn is None:
        return {"rope_type": "default", "rope_theta": args.rope_theta}
    yarn = dataclasses.asdict(args.yarn)
    found = {theirs: yarn[ours] for theirs, ours in YARN_NAMES.items() if yarn[ours]}
    return {"rope_type": "yarn", "rope_theta": args.rope_theta, **found}
