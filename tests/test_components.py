"""Components and stretched contexts are compared at equal sizes, with one difference, by the right rule."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from coursekit.registry import COURSE_ROOT
from step2_model.experiments import components, stretching
from step2_model.model_solution import ModelArgs, Transformer

SMALL = replace(components.BASE, d_model=32, intermediate_size=64, n_layers=2, max_seq_len=16)


@pytest.mark.parametrize("name", components.VARIANTS)
def test_a_variant_is_as_large_as_the_decoder_and_is_another_function(name: str) -> None:
    target = sum(parameter.numel() for parameter in Transformer(components.BASE).parameters())
    model = components.built(name, 0)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(target, rel=0.01)
    ids = torch.arange(12).view(1, 12)
    same = torch.equal(model(ids).logits, components.built("as it is", 0)(ids).logits)
    assert same == (name == "as it is")


def test_without_rotation_a_swap_of_the_past_is_seen_by_the_learned_positions_alone() -> None:
    # One layer: from the second on, the mask alone tells positions apart.
    model: Any = components.Unrotated(replace(SMALL, n_layers=1)).eval()
    ids = torch.tensor([[5, 6, 7]])
    swapped = torch.tensor([[6, 5, 7]])
    assert not torch.allclose(model(ids).logits[:, -1], model(swapped).logits[:, -1])
    with torch.no_grad():
        model.embed_tokens.places.weight.zero_()
    torch.testing.assert_close(model(ids).logits[:, -1], model(swapped).logits[:, -1])


def test_an_unknown_variant_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"name must be one of as it is, .* got 'x'"):
        components.built("x", 0)


def test_equal_seeds_give_equal_runs_and_every_row_says_what_it_is() -> None:
    rows = [components.compare(("MLA",), steps=2, seeds=(3,))[0] for _ in range(2)]
    assert rows[0] == rows[1]
    assert rows[0]["steps"] == 2
    assert components.compare(("MLA",), steps=2, seeds=(4,))[0]["held_out"] != rows[0]["held_out"]


def test_the_evidence_on_components_says_parameters_spread_and_claims() -> None:
    found = components.evidence(steps=2, seeds=(0, 1))
    assert len(found["results"]) == 2 * len(components.VARIANTS)
    assert found["spread"] > 0
    assert found["claims"]["all variants have the same parameters within 1 %"]


def test_methods_keep_fast_pairs_slow_down_slow_ones_and_agree_at_the_trained_length() -> None:
    found = stretching.frequencies_by_method(24, 10_000.0, 4.0, 64)
    plain = found["plain"][0]
    torch.testing.assert_close(found["linear"][0], plain / 4)
    for name in ("NTK-aware", "YaRN"):
        changed = plain / found[name][0]
        assert changed[0] == pytest.approx(1.0)
        assert changed[-1] == pytest.approx(4.0, rel=1e-4)
        assert (changed[1:] >= changed[:-1] - 1e-5).all()
    for frequencies, growth in stretching.frequencies_by_method(24, 10_000.0, 1.0, 64).values():
        torch.testing.assert_close(frequencies, plain)
        assert growth == 1.0


def test_a_stretched_model_reads_with_the_frequencies_that_it_is_given() -> None:
    model = stretching.Stretched(SMALL).eval()
    ids = torch.arange(16).view(1, 16)
    before = model(ids).logits
    plain = stretching.frequencies_by_method(SMALL.head_dim, SMALL.rope_theta, 2.0, 16)
    model.frequencies, model.growth = plain["plain"]
    torch.testing.assert_close(model(ids).logits, before)
    model.frequencies, model.growth = plain["linear"]
    assert not torch.allclose(model(ids).logits, before)


def test_the_evidence_on_stretching_draws_and_measures_every_length(tmp_path: Path) -> None:
    found = stretching.evidence(steps=2, seeds=(0,), picture=tmp_path / "images" / "x.png")
    assert len(found["results"]) == 4 * len(stretching.LENGTHS)
    assert found["claims"]["at the trained length all four are the same"]
    assert (tmp_path / "images" / "x.png").read_bytes().startswith(b"\x89PNG")


def test_the_base_is_a_configuration_of_its_own() -> None:
    assert isinstance(components.BASE, ModelArgs)
    assert components.BASE.head_dim * components.BASE.n_heads == components.BASE.d_model


def test_what_the_chapter_reads_from_the_table_is_in_the_evidence() -> None:
    made = json.loads((COURSE_ROOT / "docs/evidence/components.json").read_text(encoding="utf-8"))
    held_out = {
        name: [row["held_out"] for row in made["results"] if row["variant"] == name]
        for name in components.VARIANTS
    }
    assert made["spread"] == max(round(max(found) - min(found), 4) for found in held_out.values())
    worse = {name: fmean(found) - fmean(held_out["as it is"]) for name, found in held_out.items()}
    assert abs(worse["LayerNorm instead of RMSNorm"]) < made["spread"]
    assert 0 < worse["one key/value head for four"] < made["spread"]
    assert worse["learned positions instead of RoPE"] > 2 * made["spread"], "far apart from the rest"
    assert worse["GELU instead of SwiGLU"] > 2 * made["spread"], "far apart from the rest"
    assert worse["MLA"] < 0, "no worse with 56 numbers than with 192"
    base = components.BASE
    assert (base.kv_lora_rank + base.qk_rope_head_dim, 2 * base.n_kv_heads * base.head_dim) == (56, 192)
    assert {row["steps"] for row in made["results"]} == {components.STEPS}
    assert components.STEPS * components.BATCH * base.max_seq_len < 1_000_000, "bytes that a model sees"
