"""Probes of what a token costs in the cache (2.17a), and of counting parameters and FLOPs (2.17b)."""

from __future__ import annotations

from typing import Any

from coursekit.probe import cases, check
from step2_model.checks.modern import build_args

# Experts beside shared ones, behind a dense layer, with sizes of which no two are equal.
SPARSE: dict[str, Any] = {"n_layers": 5, "n_experts": 14, "n_experts_per_tok": 3, "n_shared_experts": 2}
SPARSE |= {"moe_intermediate_size": 10, "n_dense_layers": 1}
# DeepSeek-V3 as published, 671 billion parameters of which 37 billion work on a token.
V3: dict[str, Any] = {"attention": "mla", "d_model": 7_168, "n_layers": 61, "n_heads": 128, "n_kv_heads": 128}
V3 |= {"kv_lora_rank": 512, "q_lora_rank": 1_536, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128}
V3 |= {"v_head_dim": 128, "intermediate_size": 18_432, "vocab_size": 129_280, "max_seq_len": 163_840}
V3 |= {"n_experts": 256, "n_experts_per_tok": 8, "n_shared_experts": 1, "moe_intermediate_size": 2_048}
V3 |= {"n_dense_layers": 3, "router": "sigmoid"}


def wider(m: Any, rng: Any, **changes: Any) -> Any:
    """Return a configuration of sizes drawn at random; heads of an even width, as rotation wants them."""
    heads, groups = ((6, 3), (8, 2), (12, 4))[rng.integer(0, 3)]
    sizes = {"n_heads": heads, "n_kv_heads": groups, "d_model": heads * 2 * rng.integer(2, 9)}
    sizes |= {"n_layers": rng.integer(3, 9), "kv_lora_rank": rng.integer(20, 90)}
    sizes |= {"qk_rope_head_dim": 2 * rng.integer(2, 9), "qk_nope_head_dim": rng.integer(20, 40)}
    sizes |= {"v_head_dim": rng.integer(41, 60), "intermediate_size": rng.integer(100, 300)}
    return build_args(m, **(sizes | {"vocab_size": rng.integer(100, 900)} | changes))


@check("2.17a")
def cache_bytes(m: Any, rng: Any) -> Any:
    alone = {"n_layers": 1, "n_kv_heads": 6}
    yield (
        "one layer of multi-head attention: a key and a value for each head",
        m.cache_bytes_per_token(build_args(m, **alone)),
    )
    yield "six layers: six times as much", m.cache_bytes_per_token(build_args(m, **(alone | {"n_layers": 6})))
    yield (
        "shared keys and values, down to one for all heads: only theirs are kept",
        [m.cache_bytes_per_token(build_args(m, n_kv_heads=groups)) for groups in (3, 2, 1)],
    )
    yield (
        "MLA: one latent and one rotary key for all heads",
        m.cache_bytes_per_token(build_args(m, attention="mla")),
    )
    yield (
        "MLA with more heads, or wider ones: as much as before",
        [
            m.cache_bytes_per_token(build_args(m, attention="mla", **change))
            for change in ({"n_heads": 9}, {"qk_nope_head_dim": 30}, {"v_head_dim": 31}, {"n_kv_heads": 1})
        ],
    )
    yield (
        "numbers of 4 bytes and of 1, in both kinds of attention",
        [
            m.cache_bytes_per_token(build_args(m, attention=kind), size)
            for kind in ("gqa", "mla")
            for size in (4, 1)
        ],
    )
    yield from bytes_of_models(m, rng)


def bytes_of_models(m: Any, rng: Any) -> Any:
    """Yield what does not count, sizes drawn at random, and a published model."""
    yield (
        "what is not kept costs nothing: context, vocabulary, experts, queries",
        [
            m.cache_bytes_per_token(build_args(m, attention="mla", **change))
            for change in (
                {"max_seq_len": 99},
                {"vocab_size": 70},
                SPARSE | {"n_layers": 2},
                {"q_lora_rank": 8},
            )
        ],
    )
    for kind in ("gqa", "mla"):
        yield f"sizes drawn at random, {kind}", m.cache_bytes_per_token(wider(m, rng, attention=kind))
    yield "DeepSeek-V3 in bfloat16: 68.6 KiB", m.cache_bytes_per_token(m.ModelArgs(**V3))


@cases("2.17a")
def small_caches(m: Any) -> Any:
    least = {"d_model": 4, "n_layers": 1, "n_heads": 2, "kv_lora_rank": 3, "qk_rope_head_dim": 2}
    for changes, size in (
        ({"attention": "gqa", "n_kv_heads": 2}, 1),
        ({"attention": "gqa", "n_kv_heads": 1}, 1),
        ({"attention": "mla", "n_kv_heads": 2}, 1),
        ({"attention": "mla", "n_kv_heads": 2}, 2),
        ({"attention": "mla", "n_kv_heads": 2, "n_layers": 3}, 2),
    ):
        shape = least | changes
        yield {**shape, "bytes_per_number": size}, m.cache_bytes_per_token(build_args(m, **shape), size)


@check("2.17b")
def sizes_and_work(m: Any, rng: Any) -> Any:
    yield from parameters_of(m, rng)
    yield from flops_of(m, rng)


def parameters_of(m: Any, rng: Any) -> Any:
    """Yield the parameters of ever fuller decoders."""

    def count(**changes: Any) -> Any:
        return m.transformer_parameters(build_args(m, **changes))

    yield "parameters: grouped attention, SwiGLU, norms, embedding and head", count()
    yield "one layer more, one group less: what each of them holds", [count(n_layers=3), count(n_kv_heads=2)]
    yield "the tied head counts once", count(tie_embeddings=True)
    yield "MLA: four projections and the norm of the latent", count(attention="mla")
    yield (
        "MLA with queries through a bottleneck, which has a norm, too",
        count(attention="mla", q_lora_rank=10),
    )
    yield (
        "experts in all layers: a router and E experts instead of the one",
        count(**(SPARSE | {"n_dense_layers": 0, "n_shared_experts": 0})),
    )
    yield "shared experts beside them", count(**(SPARSE | {"n_dense_layers": 0}))
    yield "the first layers dense", [count(**(SPARSE | {"n_dense_layers": dense})) for dense in (1, 3, 9)]
    yield "DeepSeek's router: its bias is not learned", count(**(SPARSE | {"router": "sigmoid"}))
    for kind in ("gqa", "mla"):
        args = wider(m, rng, attention=kind, **{k: v for k, v in SPARSE.items() if k != "n_layers"})
        yield f"parameters for sizes drawn at random, {kind}", m.transformer_parameters(args)
    yield "DeepSeek-V3: 671 billion", m.transformer_parameters(m.ModelArgs(**V3))


def flops_of(m: Any, rng: Any) -> Any:
    """Yield the operations of ever fuller decoders."""

    def work(new: int, past: int = 0, **changes: Any) -> Any:
        return m.transformer_flops(build_args(m, **changes), new, past)

    yield "FLOPs: one token, grouped attention", work(1)
    yield "seven tokens: scores and mixtures grow with the square", work(7)
    yield "one token after 9 others, three after 4", [work(1, 9), work(3, 4)]
    yield "fewer groups: less to project, as much to score", work(3, 4, n_kv_heads=1)
    yield "a tied head works like any other", work(3, 4, tie_embeddings=True)
    yield (
        "MLA: the latents of all S positions are expanded",
        [
            work(7, attention="mla"),
            work(3, 4, attention="mla"),
        ],
    )
    yield "MLA with queries through a bottleneck", work(3, 4, attention="mla", q_lora_rank=10)
    yield (
        "experts: only the chosen ones run, and the router",
        work(3, 4, **(SPARSE | {"n_dense_layers": 0, "n_shared_experts": 0})),
    )
    yield (
        "shared experts and dense layers",
        [work(3, 4, **(SPARSE | {"n_dense_layers": dense})) for dense in (0, 1, 9)],
    )
    for kind in ("gqa", "mla"):
        args = wider(m, rng, attention=kind, **{k: v for k, v in SPARSE.items() if k != "n_layers"})
        yield f"FLOPs for sizes drawn at random, {kind}", m.transformer_flops(args, 11, 30)


SMALLEST = {"d_model": 2, "n_layers": 1, "n_heads": 1, "n_kv_heads": 1, "kv_lora_rank": 1}
SMALLEST |= {"qk_rope_head_dim": 2, "qk_nope_head_dim": 1, "v_head_dim": 1}
SMALLEST |= {"intermediate_size": 1, "vocab_size": 1, "tie_embeddings": True}


@cases("2.17b")
def small_costs(m: Any) -> Any:
    experts = {"n_experts": 3, "n_experts_per_tok": 1, "moe_intermediate_size": 1}
    changed: tuple[dict[str, Any], ...] = (
        {},
        {"tie_embeddings": False},
        {"n_layers": 2},
        {"n_heads": 2, "d_model": 4},
        {"attention": "mla"},
        {"attention": "mla", "q_lora_rank": 1},
        experts,
        experts | {"n_shared_experts": 1},
        experts | {"n_layers": 2, "n_dense_layers": 1},
    )
    for change in changed:
        args = build_args(m, **(SMALLEST | change))
        shown = {"changed": str(change or "nothing"), "sizes": "1, rotary ones and d_model 2, the head tied"}
        yield {"function": "transformer_parameters", **shown}, m.transformer_parameters(args)
        for new, past in ((1, 0), (2, 0), (1, 2)):
            inputs = {"function": "transformer_flops", **shown, "new": new, "past": past}
            yield inputs, m.transformer_flops(args, new, past)
