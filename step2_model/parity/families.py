"""Models of `transformers` with random weights, of four families, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SEED = 0
SHARED: dict[str, Any] = {"vocab_size": 101, "bos_token_id": None, "eos_token_id": None}
WIDE: dict[str, Any] = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "intermediate_size": 80,
}
WIDE |= {"max_position_embeddings": 256, "attn_implementation": "eager"}
LATENT: dict[str, Any] = {
    "kv_lora_rank": 20,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 12,
    "v_head_dim": 10,
}
LATENT |= {"num_key_value_heads": 6, "q_lora_rank": None, "first_k_dense_replace": 3}
EXPERTS: dict[str, Any] = {"n_routed_experts": 8, "n_group": 4, "topk_group": 2, "num_experts_per_tok": 3}
EXPERTS |= {"moe_intermediate_size": 24, "n_shared_experts": 2, "routed_scaling_factor": 1.7}
EXPERTS |= {"first_k_dense_replace": 1, "experts_implementation": "eager"}
YARN: dict[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "beta_fast": 2.0,
    "beta_slow": 0.05,
}
YARN |= {"original_max_position_embeddings": 64, "mscale": 0.7, "mscale_all_dim": 0.9}


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    off: dict[str, Any] = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    return GPT2LMHeadModel(GPT2Config(**SHARED, n_embd=48, n_layer=3, n_head=6, n_positions=256, **off))


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**SHARED, **WIDE, num_key_value_heads=2, rms_norm_eps=1e-5))


def deepseek_dense() -> Any:
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    return DeepseekV3ForCausalLM(DeepseekV3Config(**SHARED, **WIDE, **LATENT, rope_interleave=False))


def deepseek_whole() -> Any:
    """Return DeepSeek-V3 with all it has, its rotary pairs being neighbors as in the published weights."""
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    more = LATENT | EXPERTS | {"q_lora_rank": 14, "rope_parameters": YARN, "rope_interleave": True}
    return DeepseekV3ForCausalLM(DeepseekV3Config(**SHARED, **WIDE, **more))


def mixtral() -> Any:
    from transformers import MixtralConfig, MixtralForCausalLM

    experts: dict[str, Any] = {
        "num_local_experts": 5,
        "num_experts_per_tok": 2,
        "experts_implementation": "eager",
    }
    return MixtralForCausalLM(MixtralConfig(**SHARED, **WIDE, num_key_value_heads=2, **experts))


FAMILIES: dict[str, Callable[[], Any]] = {
    "GPT-2": gpt2,
    "Llama": llama,
    "DeepSeek-V3, dense": deepseek_dense,
    "DeepSeek-V3, whole": deepseek_whole,
    "Mixtral": mixtral,
}
# Standard deviations with which texts vary: GPT-2's head is tied, and would repeat what it reads.
EMBEDDINGS = {"embed_tokens": 1.0, "wte": 0.4, "wpe": 2.0}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def redraw(model: Any, seed: int = SEED) -> Any:
    """Redraw every parameter and every buffer of the state, so that none is 0 or 1, and return the model.

    A library's own initialization hides faults: what is 0 or 1 can be left out unseen.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = set()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.data_ptr() in drawn:
                continue  # a head that is the embedding's matrix
            drawn.add(value.data_ptr())
            draw = torch.randn(value.shape, generator=generator)
            if value.dim() == 1:
                draw = 0.3 * draw + (0.0 if name.endswith("bias") else 1.0)
            else:
                known = [EMBEDDINGS[part] for part in name.split(".") if part in EMBEDDINGS]
                draw = draw * (known[0] if known else value.shape[-1] ** -0.5)
            value.copy_(draw)
    return model.eval()


def saved(family: str, folder: Path, dtype: torch.dtype) -> Any:
    """Write a model of `transformers` with redrawn weights into the folder, and return it."""
    model = redraw(FAMILIES[family]()).to(dtype)
    model.save_pretrained(folder)
    return type(model).from_pretrained(folder, dtype=dtype, **implementations(model)).eval()


def implementations(model: Any) -> dict[str, str]:
    """Return how the library shall compute: in the plain form of its own files, without fused kernels."""
    has_experts = hasattr(model.config, "num_experts_per_tok")
    return {"attn_implementation": "eager"} | ({"experts_implementation": "eager"} if has_experts else {})
