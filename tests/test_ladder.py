"""The equivalence ladder: its rungs hold on the solution, its costs are counted, its picture is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from coursekit.probe import Rng
from coursekit.registry import COURSE_ROOT
from step2_model import further_solution, ladder, model_solution
from step2_model.experiments.compare import compare_attention, table
from step2_model.ladder import absorbed, picks, rungs
from step2_model.model_solution import KVCache, ModelArgs, ModelConfigs

# Sums of one or two layers in another order, in float32.
ROUNDING = 1e-6
SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_sides_of_every_rung_are_one_function(seed: int) -> None:
    found = [*rungs.core(model_solution, Rng(seed)), *absorbed.further(further_solution, Rng(seed))]
    assert len(found) == 17
    for rung in found:
        assert rung.apart < ROUNDING, rung.name
        # Not equal because all is nothing: answers are of order one, and differ from place to place.
        assert rung.first.std() > 0.3, rung.name


def test_what_a_rung_keeps_of_a_token_is_as_in_the_picture() -> None:
    D, groups, heads = rungs.WIDTH // rungs.HEADS, rungs.GROUPS, rungs.HEADS
    kept = [rung.kept for rung in rungs.core(model_solution, Rng(0))][:5]
    latent = rungs.LATENT["kv_lora_rank"] + rungs.LATENT["qk_rope_head_dim"]
    whole = 2 * groups * D
    assert kept == [
        (2 * heads * D, 2 * heads * D),
        (whole, 2 * heads * D),
        (2 * D, whole),
        (whole, whole + ladder.SILENT),
        (latent, latent),
    ]


def test_with_the_norm_the_latent_layer_is_another_function() -> None:
    with torch.no_grad():
        apart = [rungs.gqa_is_mla(model_solution, Rng(seed), has_norm=True).apart for seed in SEEDS]
    assert min(apart) > 0.1


def test_with_latents_of_size_one_the_norm_changes_nothing() -> None:
    """The reason of the difference: a latent is divided by its size, so that one of size 1 stays as it is."""
    m, rng = model_solution, Rng(0)
    with torch.no_grad():
        gqa = rungs.grouped_layer(m, rng, rungs.GROUPS)
        x, D = rng.normal(2, 5, rungs.WIDTH), rungs.WIDTH // rungs.HEADS
        latent = torch.cat([gqa.k_proj(x), gqa.v_proj(x)], dim=-1)
        x = x / latent.square().mean(dim=-1, keepdim=True).sqrt()
        mla = ladder.mla_from_gqa(m, gqa, has_norm=True)
        rope = m.rope_at(torch.arange(5).expand(2, 5), ladder.SILENT)
        apart = (mla(x, rope) - gqa(x, ladder.unrotated(2, 5, D))).abs().max()
    assert apart < 1e-5


def test_each_head_picks_the_key_and_value_of_its_group() -> None:
    matrix = picks(4, 2, 3)
    latent = torch.arange(12.0)
    assert (matrix @ latent).view(4, 2, 3).tolist() == [
        [[0, 1, 2], [6, 7, 8]],
        [[0, 1, 2], [6, 7, 8]],
        [[3, 4, 5], [9, 10, 11]],
        [[3, 4, 5], [9, 10, 11]],
    ]


def test_a_rung_of_different_shapes_is_infinitely_apart() -> None:
    one, two = torch.ones(2, 3), torch.ones(2, 4)
    assert rungs.Rung("", one, two, (0, 0)).apart == float("inf")


@pytest.mark.parametrize(
    "config",
    [
        ModelConfigs.base(d_model=2048),
        ModelConfigs.tiny(n_kv_heads=2),
        ModelConfigs.small(q_lora_rank=40, n_kv_heads=3),
    ],
)
def test_costs_are_those_of_the_layers(config: ModelArgs) -> None:
    costs = compare_attention(config, past=6)
    groups = [config.n_heads, _groups(config), 1]
    for cost, G in zip(costs, groups):
        changes = {"attention": "gqa", "n_kv_heads": G}
        args = ModelArgs(**{**vars(config), "q_lora_rank": None, **changes})
        layer = model_solution.GroupedQueryAttention(args)
        assert (cost.parameters, cost.cache_bytes, cost.flops) == counted(layer, args, layer.forward)
    layer = further_solution.LatentAttention(config)
    naive: Callable[..., Any] = lambda *given: model_solution.MLA.forward(layer, *given)  # noqa: E731
    for cost, attend in zip(costs[3:], (naive, layer.attend_absorbed), strict=True):
        assert (cost.parameters, cost.cache_bytes, cost.flops) == counted(layer, config, attend)


def _groups(config: ModelArgs) -> int:
    return config.n_kv_heads if 1 < config.n_kv_heads < config.n_heads else config.n_heads // 4


def counted(layer: Any, args: ModelArgs, attend: Callable[..., Any]) -> tuple[int, int, int]:
    """Return parameters, bytes kept of a token in half precision, and operations of one token after six."""
    with torch.no_grad():
        cache, x = KVCache(), torch.randn(1, 7, args.d_model)
        cos, sin = model_solution.rope_at(torch.arange(7)[None], args.rope_dim)
        layer(x[:, :6], (cos[:, :6], sin[:, :6]), None, cache)
        # Fused attention is one operation to the counter; taken apart its products are seen.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            attend(x[:, 6:], (cos[:, 6:], sin[:, 6:]), None, cache)
    parameters = sum(parameter.numel() for parameter in layer.parameters())
    return parameters, 2 * rungs.kept(cache), counter.get_total_flops()


def test_the_table_has_a_line_for_each_kind() -> None:
    text = table(compare_attention(ModelConfigs.base()), layers=24)
    lines = text.splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:-1]] == [
        "MHA",
        "GQA, 4 key/value heads",
        "MQA",
        "MLA, expanded",
        "MLA, absorbed",
    ]
    assert "98,304 bytes" in lines[1]
    assert "27,648 bytes" in lines[-2]


@pytest.mark.parametrize(("heads", "groups"), [(16, [16, 4, 1]), (4, [4, 2, 1]), (6, [6, 3, 1]), (2, [2, 1])])
def test_grouped_attention_lies_between_the_two_others_or_is_left_out(heads: int, groups: list[int]) -> None:
    costs = compare_attention(ModelArgs(d_model=48, n_heads=heads, n_kv_heads=heads))
    assert [cost.cache_bytes for cost in costs[:-2]] == [4 * G * (48 // heads) for G in groups]


def test_heads_without_a_whole_width_are_refused() -> None:
    with pytest.raises(ValueError, match="d_model must be a multiple of n_heads, got 100 and 16"):
        compare_attention(ModelConfigs.base(d_model=100))


def test_the_picture_says_in_words_what_it_shows() -> None:
    text = (COURSE_ROOT / "docs/images/ladder.svg").read_text(encoding="utf-8")
    assert 'role="img" aria-labelledby="t d"' in text
    for word in ("MHA", "GQA", "MQA", "MLA, expanded", "MLA, absorbed", "conversion", "restriction"):
        assert text.count(word) >= 2, word
