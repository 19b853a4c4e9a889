"""Probes of the modern decoder: it is Llama (2.llama), DeepSeek-V3 (2.deepseek, 2.deepseek-full) and Mixtral
(2.mixtral).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from coursekit.probe import check, equal, holds, reference
from step2_model.checks.milestones import continue_greedily, follows_greedily

# Relative to the largest logit, which is about four times their standard deviation: 1e-4 of their spread.
PARITY = 2.5e-5
SIZES = {"d_model": 24, "n_layers": 2, "vocab_size": 37, "max_seq_len": 64, "rope_theta": 500.0}
SIZES |= {"intermediate_size": 40}
GROUPED = {"attention": "gqa", "n_heads": 6, "n_kv_heads": 2, "norm_eps": 1e-5}
# The eps stays at its default of 1e-6: the library norms latents with that, whatever its configuration says.
LATENT = {"attention": "mla", "n_heads": 4, "n_kv_heads": 4, "kv_lora_rank": 10}
LATENT |= {"qk_rope_head_dim": 6, "qk_nope_head_dim": 7, "v_head_dim": 5}
EXPERTS = {"n_experts": 8, "n_experts_per_tok": 3, "moe_intermediate_size": 12}
SIGMOID = {"router": "sigmoid", "n_dense_layers": 1, "n_groups": 4, "topk_groups": 2, "n_shared_experts": 2}
SIGMOID |= {"routed_scaling_factor": 1.7}
# With these turns pairs 0 and 1 of 8 keep their frequency and pairs 5 to 7 are slowed down.
LONG = {"qk_rope_head_dim": 16, "rope_theta": 10_000.0, "max_seq_len": 256}
TURNS = {"factor": 4.0, "original_max_seq_len": 64, "beta_fast": 2.0, "beta_slow": 0.05}
# The lengths in which a text of 13 tokens is read through a cache.
PIECES = [4, 1, 5, 2, 1]


def state_of(model: Any) -> dict[str, torch.Tensor]:
    """Return parameters and buffers under the names of `transformers`, less the prefix."""
    return {name.removeprefix("model."): value for name, value in model.state_dict().items()}


def redraw_all(model: Any, rng: Any) -> Any:
    """Redraw every parameter and every buffer of the state, so that none is 0 or 1, and return the model.

    Matrices get the standard deviation 1/√fan_in, the embedding 1, gains 1 + 0.3·N(0, 1), biases 0.3·N(0, 1).
    """
    for name, value in sorted(state_of(model).items()):
        draw = rng.normal(*value.shape)
        if value.dim() == 1:
            draw = 0.3 * draw + (0.0 if name.endswith("bias") else 1.0)
        elif not name.startswith("embed_tokens"):
            draw = draw / value.shape[-1] ** 0.5
        with torch.no_grad():
            value.copy_(draw)
    return model.eval()


def faint(model: Any) -> Any:
    """Make the embedding so small that the eps of the first norms decides what they return."""
    with torch.no_grad():
        state_of(model)["embed_tokens.weight"].mul_(3e-3)
    return model


def read_in_pieces(model: Any, ids: torch.Tensor, pieces: list[int]) -> torch.Tensor:
    """Return the logits of a text that is read piece by piece through a cache."""
    cache = model.new_cache()
    return torch.cat([model(piece, cache=cache).logits for piece in ids.split(pieces, dim=1)], dim=1)


class WithCache:
    """A model that reads only the newest token of the texts it is given, and finds the rest in its cache."""

    def __init__(self, model: Any) -> None:
        self.model, self.cache, self.length = model, model.new_cache(), 0

    def __call__(self, ids: torch.Tensor) -> Any:
        new, self.length = ids[:, self.length :], ids.shape[1]
        return self.model(new, cache=self.cache)


def claims(kind: Any, args: Any, rng: Any, name: str, length: int = 13) -> Any:
    """Yield what every family is asked: logits, faint inputs, pieces through a cache, greedy texts."""
    model, ids = redraw_all(kind(args), rng), rng.integers(0, SIZES["vocab_size"], 2, length)
    with torch.no_grad():
        whole = model(ids).logits
        pieces = read_in_pieces(model, ids, [*PIECES[:-1], length - sum(PIECES[:-1])])
        greedy = continue_greedily(model, ids[:, :3], 8)
        cached = continue_greedily(WithCache(model), ids[:, :3], 8)
        small = faint(model)(ids).logits
    yield equal(f"{name}'s logits for every position", whole, PARITY)
    yield equal("with an embedding so small that the norms' eps counts", small, PARITY)
    yield equal("the text read in pieces through a cache", pieces, PARITY)
    for how, (tokens, gaps) in (("", greedy), (", each read with the cache", cached)):
        told = f"the same tokens, each the most probable one, eight in a row{how}"
        yield holds(told, tokens, follows_greedily, given=(tokens, gaps))


def logits(kind: Any, args: Any, rng: Any, length: int = 13) -> torch.Tensor:
    """Return the logits of another model for other ids."""
    model, ids = redraw_all(kind(args), rng), rng.integers(0, SIZES["vocab_size"], 2, length)
    with torch.no_grad():
        found: torch.Tensor = model(ids).logits
    return found


@check("2.llama")
def equals_llama(m: Any, rng: Any) -> Any:
    yield from claims(m.Transformer, m.ModelArgs(**SIZES, **GROUPED), rng, "Llama")
    tied = m.ModelArgs(**SIZES, **GROUPED, tie_embeddings=True)
    yield equal("with the head tied to the embedding", logits(m.Transformer, tied, rng), PARITY)


@check("2.deepseek")
def equals_deepseek(m: Any, rng: Any) -> Any:
    yield from claims(m.Transformer, m.ModelArgs(**SIZES, **LATENT), rng, "DeepSeek-V3")
    tied = m.ModelArgs(**SIZES, **LATENT, tie_embeddings=True)
    yield equal("with the head tied to the embedding", logits(m.Transformer, tied, rng), PARITY)


@check("2.deepseek-full")
def equals_whole_deepseek(m: Any, rng: Any) -> Any:
    sizes = SIZES | LATENT | EXPERTS | SIGMOID | LONG | {"q_lora_rank": 9}
    yarn = m.YarnScaling(**TURNS, mscale=0.7, mscale_all_dim=0.9)
    yield from claims(m.FullTransformer, m.ModelArgs(**sizes, yarn=yarn), rng, "the whole DeepSeek-V3", 40)
    plain = m.ModelArgs(**sizes, yarn=m.YarnScaling(**TURNS))
    yield equal("with YaRN as its paper has it", logits(m.FullTransformer, plain, rng, 40), PARITY)
    dense = m.ModelArgs(**SIZES, **LATENT, n_dense_layers=2)
    yield equal("with none of the three", logits(m.FullTransformer, dense, rng), PARITY)


@check("2.mixtral")
def equals_mixtral(m: Any, rng: Any) -> Any:
    args = m.ModelArgs(**SIZES, **GROUPED, **EXPERTS)
    yield from claims(m.FullTransformer, args, rng, "Mixtral")
    one = m.ModelArgs(**SIZES, **GROUPED, **(EXPERTS | {"n_experts_per_tok": 1}))
    yield equal("with one expert for each token", logits(m.FullTransformer, one, rng), PARITY)


def shared_config(args: Any) -> dict[str, Any]:
    """Return what the configurations of all families in `transformers` have in common."""
    names = {"hidden_size": "d_model", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
    names |= {"num_key_value_heads": "n_kv_heads", "intermediate_size": "intermediate_size"}
    names |= {"vocab_size": "vocab_size", "max_position_embeddings": "max_seq_len"}
    found = {theirs: getattr(args, ours) for theirs, ours in names.items()}
    found["rope_parameters"] = {"rope_type": "default", "rope_theta": args.rope_theta}
    found |= {"rms_norm_eps": getattr(args, "norm_eps", 1e-6)}
    found["tie_word_embeddings"] = getattr(args, "tie_embeddings", False)
    found |= {"attn_implementation": "eager", "experts_implementation": "eager"}
    return found | {"bos_token_id": 0, "eos_token_id": 0}


class Published(nn.Module):
    """A model of `transformers` under the names that the probe uses."""

    def __init__(self, model: Any, is_tied: bool) -> None:
        super().__init__()
        self.inner, self.is_tied = model, is_tied

    def state_dict(self, *_: Any, **__: Any) -> Any:
        """Return the state of the model inside, in which a tied head counts once."""
        state = dict(self.inner.state_dict())
        if self.is_tied:
            state.pop("lm_head.weight", None)
        return state

    def forward(self, ids: torch.Tensor, cache: Any = None) -> Any:
        return self.inner(input_ids=ids, past_key_values=cache, use_cache=cache is not None)

    def new_cache(self) -> Any:
        """Return an empty cache of the library's own."""
        from transformers import DynamicCache

        return DynamicCache(config=self.inner.config)


def published(build: Callable[[Any], Any]) -> Any:
    """Return an implementation whose models are the library's, built by `build` from our arguments."""

    def kind(args: Any) -> Published:
        return Published(build(args), getattr(args, "tie_embeddings", False))

    names: Mapping[str, Any] = {"Transformer": kind, "FullTransformer": kind}
    return SimpleNamespace(ModelArgs=SimpleNamespace, YarnScaling=SimpleNamespace, **names)


@reference("2.llama")
def transformers_llama() -> Any:
    """Return an implementation whose decoder is transformers' own LlamaForCausalLM."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return published(lambda args: LlamaForCausalLM(LlamaConfig(**shared_config(args))))


@reference("2.mixtral")
def transformers_mixtral() -> Any:
    """Return an implementation whose decoder is transformers' own MixtralForCausalLM."""
    from transformers import MixtralConfig, MixtralForCausalLM

    def build(args: Any) -> Any:
        experts = {"num_local_experts": args.n_experts, "num_experts_per_tok": args.n_experts_per_tok}
        width = {"intermediate_size": args.moe_intermediate_size, "sliding_window": None}
        return MixtralForCausalLM(MixtralConfig(**(shared_config(args) | experts | width)))

    return published(build)


def build_deepseek(args: Any) -> Any:
    """Return transformers' own DeepSeek-V3 of these sizes, whose rotary pairs lie half a width apart."""
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    names = ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
    config = shared_config(args) | {name: getattr(args, name) for name in names}
    config |= {"rope_interleave": False, "q_lora_rank": getattr(args, "q_lora_rank", None)}
    config["first_k_dense_replace"] = getattr(args, "n_dense_layers", args.n_layers)
    if hasattr(args, "n_experts"):
        config |= {"n_routed_experts": args.n_experts, "n_group": args.n_groups}
        config |= {"topk_group": args.topk_groups, "norm_topk_prob": True}
        same = ("num_experts_per_tok", "moe_intermediate_size", "n_shared_experts", "routed_scaling_factor")
        ours = {"num_experts_per_tok": "n_experts_per_tok"}
        config |= {name: getattr(args, ours.get(name, name)) for name in same}
    if hasattr(args, "yarn"):
        turns = {k: v for k, v in vars(args.yarn).items() if k != "original_max_seq_len"}
        length = {"original_max_position_embeddings": args.yarn.original_max_seq_len}
        config["rope_parameters"] = {"rope_type": "yarn", "rope_theta": args.rope_theta} | turns | length
    return DeepseekV3ForCausalLM(DeepseekV3Config(**config))


@reference("2.deepseek")
def transformers_deepseek() -> Any:
    """Return an implementation whose decoder is transformers' own DeepseekV3ForCausalLM, without experts."""
    return published(build_deepseek)


@reference("2.deepseek-full")
def transformers_whole_deepseek() -> Any:
    """Return an implementation whose decoder is transformers' own DeepseekV3ForCausalLM, with all it has."""
    return published(build_deepseek)
