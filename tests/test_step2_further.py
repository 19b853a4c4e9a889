"""Step 2, further: layouts, YaRN, RMSNorm's gradient, gates and counts agree with libraries."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

import step2_model.further_solution as further
from coursekit.probe import Rng, redraw
from coursekit.registry import COURSE_ROOT
from step2_model.checks.costs import SPARSE, V3
from step2_model.checks.modern import build_args
from step2_model.experiments.longer import rotate_neighbors
from step2_model.mistakes import costs
from step2_model.model_solution import (
    ModelArgs,
    ModelConfigs,
    RMSNorm,
    YarnScaling,
    rope_at,
    rotate,
)

EXAMPLES = settings(max_examples=40, deadline=None)
PRESETS = ("tiny", "tiny_moe", "tiny_long", "small", "base", "large")
KINDS: tuple[dict[str, Any], ...] = (
    {"attention": "gqa"},
    {"attention": "gqa", "n_kv_heads": 6},
    {"attention": "gqa", "n_kv_heads": 1, "tie_embeddings": True},
    {"attention": "mla"},
    {"attention": "mla", "q_lora_rank": 10},
    {"attention": "mla", "q_lora_rank": 10, "router": "sigmoid", **SPARSE},
    {"attention": "gqa", **SPARSE, "n_shared_experts": 0, "n_dense_layers": 0},
)


def configuration(**changes: Any) -> ModelArgs:
    args: ModelArgs = build_args(SimpleNamespace(ModelArgs=ModelArgs), **({"max_seq_len": 40} | changes))
    return args


def published_yarn(dim: int, theta: float, yarn: YarnScaling) -> tuple[torch.Tensor, float]:
    """Return what transformers computes for the same numbers."""
    names = {"factor": yarn.factor, "beta_fast": yarn.beta_fast, "beta_slow": yarn.beta_slow}
    names |= {"mscale": yarn.mscale, "mscale_all_dim": yarn.mscale_all_dim}
    names |= {"original_max_position_embeddings": yarn.original_max_seq_len}
    config = LlamaConfig(
        hidden_size=dim,
        num_attention_heads=1,
        head_dim=dim,
        max_position_embeddings=int(yarn.factor * yarn.original_max_seq_len),
        rope_parameters={"rope_type": "yarn", "rope_theta": theta, **names},
    )
    frequencies, growth = ROPE_INIT_FUNCTIONS["yarn"](config, torch.device("cpu"))
    return frequencies, growth


@pytest.mark.parametrize("dim", [16, 64, 128])
@pytest.mark.parametrize("theta", [1e4, 5e5])
@pytest.mark.parametrize(
    "yarn",
    [
        YarnScaling(40.0, 4_096),
        YarnScaling(4.0, 256),
        YarnScaling(8.0, 60),
        YarnScaling(2.5, 8_192, beta_fast=20.0, beta_slow=3.0),
        YarnScaling(40.0, 4_096, mscale=0.7, mscale_all_dim=1.3),
        YarnScaling(40.0, 4_096, mscale=1.0),
    ],
)
def test_yarn_is_that_of_transformers(dim: int, theta: float, yarn: YarnScaling) -> None:
    frequencies, growth = further.yarn_frequencies(dim, theta, yarn)
    wanted, wanted_growth = published_yarn(dim, theta, yarn)
    torch.testing.assert_close(frequencies, wanted, rtol=1e-5, atol=0)
    assert growth == pytest.approx(wanted_growth, rel=1e-6)


def test_yarn_leaves_fast_pairs_alone_and_slows_slow_ones() -> None:
    dim, theta, yarn = 64, 1e4, YarnScaling(8.0, 4_096)
    plain = theta ** -(torch.arange(0, dim, 2) / dim)
    turns = yarn.original_max_seq_len * plain / (2 * torch.pi)
    share = further.yarn_frequencies(dim, theta, yarn)[0] / plain
    assert (turns > 32).sum() > 3
    assert (turns < 1).sum() > 3
    torch.testing.assert_close(share[turns > 32], torch.ones_like(share[turns > 32]))
    torch.testing.assert_close(share[turns < 1], torch.full_like(share[turns < 1], 1 / 8))
    assert (share.diff() <= 1e-6).all()


@EXAMPLES
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 5), st.integers(0, 4))
def test_converted_rows_score_as_neighbors_did(seed: int, heads: int, pairs: int, still: int) -> None:
    rng, rope_dim = Rng(seed), 2 * pairs
    width = still + rope_dim
    to_q, to_k, x = rng.normal(heads * width, 6), rng.normal(heads * width, 6), rng.normal(2, 7, 6)
    rope = rope_at(torch.arange(3, 10).expand(2, 7), rope_dim)

    def scores(to_q: torch.Tensor, to_k: torch.Tensor, turn: Any) -> torch.Tensor:
        q, k = ((x @ w.T).unflatten(-1, (heads, width)).transpose(1, 2) for w in (to_q, to_k))
        q, k = (torch.cat([t[..., :still], turn(t[..., still:], *rope)], dim=-1) for t in (q, k))
        return q @ k.mT

    meant = scores(to_q, to_k, rotate_neighbors)
    converted = [further.interleaved_to_half(weight, heads, rope_dim) for weight in (to_q, to_k)]
    torch.testing.assert_close(scores(*converted, rotate), meant, rtol=1e-4, atol=1e-4)
    for weight, moved in zip((to_q, to_k), converted):
        assert torch.equal(further.half_to_interleaved(moved, heads, rope_dim), weight)
    if pairs > 1:
        assert not torch.allclose(scores(to_q, to_k, rotate), meant, atol=1e-2)


@EXAMPLES
@given(st.integers(0, 2**31), st.sampled_from([(5,), (3, 5), (2, 3, 5)]), st.sampled_from([1e-6, 0.3]))
def test_rms_norms_gradient_by_hand_is_autograds(seed: int, shape: tuple[int, ...], eps: float) -> None:
    rng = Rng(seed)
    x, grad, gain = rng.normal(*shape).double(), rng.normal(*shape).double(), 1 + rng.normal(5).double()
    leaves = x.clone().requires_grad_(), gain.clone().requires_grad_()
    y = leaves[0] * torch.rsqrt(leaves[0].square().mean(-1, keepdim=True) + eps) * leaves[1]
    wanted = torch.autograd.grad(y, leaves, grad)
    for found, right in zip(further.rms_norm_backward(x, gain, eps, grad), wanted):
        torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-9)


def test_rms_norms_gradient_belongs_to_the_module_of_the_core() -> None:
    norm = redraw(RMSNorm(6, eps=1e-3), Rng(0))
    x, grad = Rng(1).normal(2, 3, 4, 6)
    leaf = x.clone().requires_grad_()
    wanted = torch.autograd.grad(norm(leaf), (leaf, norm.weight), grad)
    for found, right in zip(further.rms_norm_backward(x, norm.weight.detach(), 1e-3, grad), wanted):
        torch.testing.assert_close(found, right)


def test_a_gain_outside_of_the_mean_is_right_with_gains_of_one_alone() -> None:
    from step2_model.mistakes.rms_backward import gain_outside

    x, grad = Rng(0).normal(2, 3, 4, 6)
    gain = 1 + 0.5 * Rng(1).normal(6)
    ones = torch.ones(6)
    torch.testing.assert_close(
        gain_outside(x, ones, 1e-6, grad)[0], further.rms_norm_backward(x, ones, 1e-6, grad)[0]
    )
    wrong = gain_outside(x, gain, 1e-6, grad)[0] - further.rms_norm_backward(x, gain, 1e-6, grad)[0]
    assert wrong.abs().max() > 0.1


@pytest.mark.parametrize("preset", PRESETS)
def test_three_feed_forward_layers_cost_the_same_within_a_hundredth(preset: str) -> None:
    args = getattr(ModelConfigs, preset)()
    with torch.device("meta"):
        layers = [further.get_ffn(args, kind) for kind in ("swiglu", "geglu", "standard")]
    counts = [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]
    assert max(counts) - min(counts) <= 0.01 * min(counts)
    assert len({type(layer) for layer in layers}) == 3


def test_an_unknown_feed_forward_layer_is_refused_with_the_three_names() -> None:
    with pytest.raises(ValueError, match=r"swiglu, geglu, standard, got 'relu'"):
        further.get_ffn(configuration(), "relu")


@pytest.mark.parametrize("changes", KINDS)
def test_parameters_are_those_of_the_model_that_is_built(changes: dict[str, Any]) -> None:
    args = configuration(**changes)
    built = sum(parameter.numel() for parameter in further.FullTransformer(args).parameters())
    assert further.transformer_parameters(args) == built


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize(("new", "past"), [(1, 0), (9, 0), (5, 7)])
def test_flops_are_those_that_torch_counts(changes: dict[str, Any], new: int, past: int) -> None:
    args = configuration(**changes)
    model = further.FullTransformer(args).eval()
    cache = model.new_cache()
    ids = torch.arange(new + past).expand(1, -1) % args.vocab_size
    if args.attention == "mla" and past:
        # The count is that of MLA.forward, which expands all latents; with a past FullTransformer absorbs.
        for layer in model.layers:
            attention = layer.self_attn
            attention.forward = further.MLA.forward.__get__(attention)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        if past:
            model(ids[:, :past], cache=cache)
        with FlopCounterMode(display=False) as counter:
            model(ids[:, past:], cache=cache)
    assert further.transformer_flops(args, new, past) == counter.get_total_flops()


@pytest.mark.parametrize("changes", KINDS)
def test_a_token_grows_the_cache_by_the_bytes_that_are_told(changes: dict[str, Any]) -> None:
    args = configuration(**changes)
    model = further.FullTransformer(args).eval()
    cache = model.new_cache()
    with torch.no_grad():
        model(torch.zeros(1, 8, dtype=torch.long), cache=cache)
    kept = [tensor for layer in cache for tensor in layer.read()]
    assert sum(tensor.nbytes for tensor in kept) == 8 * further.cache_bytes_per_token(args, 4)


def test_deepseek_v3_has_the_published_number_of_parameters_and_cache() -> None:
    args = ModelArgs(**V3)
    assert round(further.transformer_parameters(args) / 1e9) == 671
    assert further.cache_bytes_per_token(args) == 61 * 576 * 2
    assert 36e9 < further.transformer_flops(args, 1) / 2 < 38e9


def test_the_published_cache_example_is_computed_as_the_chapter_says() -> None:
    args = ModelArgs(d_model=4_096, n_layers=40, n_heads=32, n_kv_heads=32, attention="gqa")
    assert 2_048 * further.cache_bytes_per_token(args) == 1_342_177_280
    assert 2_048 * further.cache_bytes_per_token(replace(args, n_kv_heads=8)) == 335_544_320


@pytest.mark.parametrize("preset", PRESETS)
def test_the_table_of_presets_is_what_the_functions_say(preset: str) -> None:
    text = (COURSE_ROOT / "docs" / "tutorials" / "step2_model_further.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| `{preset}` \|(.+)\|$", text, re.MULTILINE)
    assert found is not None
    args = getattr(ModelConfigs, preset)()
    heads = replace(args, attention="gqa", n_kv_heads=args.n_heads)
    wanted = [
        further.transformer_parameters(args),
        further.cache_bytes_per_token(args),
        further.cache_bytes_per_token(heads),
        further.transformer_flops(args, 1, args.max_seq_len - 1),
    ]
    assert [int(cell.replace(",", "")) for cell in found[1].split("|")] == wanted


def test_the_parts_that_mistakes_are_made_of_add_up_to_the_right_counts() -> None:
    for changes in KINDS:
        args = configuration(**changes)
        assert costs.Count(args).parameters() == further.transformer_parameters(args)
        assert costs.Count(args, 5, 7).flops() == further.transformer_flops(args, 5, 7)
