"""Step 2's modern decoder: it runs beside untouched further exercises, refuses what cannot be, and has the
size that is counted.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from coursekit.probe import Rng, as_claims, redraw
from coursekit.registry import COURSE_ROOT, load_step
from coursekit.source import exercise_text, find_spans, stub_text
from step2_model import further_solution, model_solution
from step2_model.checks import parity
from step2_model.model_solution import ModelArgs, ModelConfigs, Transformer, YarnScaling

PRESETS = ["tiny", "small", "base", "large", "tiny_moe", "tiny_long"]
STEP = load_step(COURSE_ROOT / "step2_model")
FURTHER = [target for item in STEP.exercises if item.trio == "further" for target in item.targets]
SMALL = {"d_model": 24, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "kv_lora_rank": 10, "v_head_dim": 7}
SMALL |= {"qk_rope_head_dim": 6, "qk_nope_head_dim": 5, "intermediate_size": 20, "vocab_size": 13}


def write_files(folder: Path, core: str, further: str) -> None:
    """Write both files of a step as a package of its own, `fresh_step2`."""
    package = folder / "fresh_step2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, text in (("model", core), ("further", further)):
        path = package / f"{name}_exercise.py"
        path.write_text(text.replace("step2_model.", "fresh_step2."), encoding="utf-8")


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A core file that is all written, and beside it a further file in which nothing is."""
    core = Path(str(model_solution.__file__)).read_text(encoding="utf-8")
    further = Path(str(further_solution.__file__)).read_text(encoding="utf-8")
    write_files(tmp_path, exercise_text(core, STEP, "model"), stub_text(further, STEP, "further"))
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("model", "further")
    yield SimpleNamespace(**{n: importlib.import_module(f"fresh_step2.{n}_exercise") for n in names})
    for name in [name for name in sys.modules if name.startswith("fresh_step2")]:
        del sys.modules[name]


def whole(sentence: str) -> str:
    """Return a pattern for this message, all of it."""
    return f"^{re.escape(sentence)}$"


def decoder_of(module: ModuleType, **changes: Any) -> Any:
    return redraw(module.Transformer(module.ModelArgs(**(SMALL | changes))), Rng(0))


def test_no_further_exercise_is_written_in_the_fresh_file(fresh: SimpleNamespace) -> None:
    source = Path(fresh.further.__file__).read_text(encoding="utf-8")
    spans = find_spans(source, FURTHER)
    lines = source.splitlines()
    assert len(FURTHER) >= 15
    for target in FURTHER:
        body = "\n".join(lines[spans[target].body_first - 1 : spans[target].last])
        assert "raise NotImplementedError" in body, target


@pytest.mark.parametrize("attention", ["mla", "gqa"])
def test_five_steps_of_training_need_no_further_exercise(fresh: SimpleNamespace, attention: str) -> None:
    model, ids = decoder_of(fresh.model, attention=attention), Rng(1).integers(0, 13, 4, 9)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(5):
        loss = model(ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(after < before for before, after in pairwise(losses)), losses
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


@pytest.mark.parametrize("attention", ["mla", "gqa"])
def test_cached_generation_needs_no_further_exercise(fresh: SimpleNamespace, attention: str) -> None:
    model, ids = decoder_of(fresh.model, attention=attention), Rng(2).integers(0, 13, 2, 5)
    cache, new, whole = model.new_cache(), ids, ids
    with torch.no_grad():
        for _ in range(8):
            cached, plain = model(new, cache=cache).logits[:, -1], model(whole).logits[:, -1]
            torch.testing.assert_close(cached, plain, atol=1e-4, rtol=1e-4)
            new = cached.argmax(dim=-1, keepdim=True)
            whole = torch.cat([whole, new], dim=1)
    assert len(cache[0]) == 12


@pytest.mark.parametrize("probe", [parity.equals_llama, parity.equals_deepseek], ids=lambda p: p.__name__)
def test_core_milestones_run_beside_untouched_further_exercises(fresh: SimpleNamespace, probe: Any) -> None:
    assert len(list(as_claims(probe(fresh.model, Rng(0))))) >= 2


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds_its_counted_parameters(preset: str) -> None:
    args = getattr(ModelConfigs, preset)()
    with torch.device("meta"):
        model = further_solution.FullTransformer(args)
    built = sum(weight.numel() for weight in model.parameters())
    assert built == further_solution.transformer_parameters(args)
    if not (args.n_experts or args.yarn):
        with torch.device("meta"):
            assert sum(weight.numel() for weight in Transformer(args).parameters()) == built


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"d_model": 0}, "d_model must be a whole number of at least 1, got 0"),
        ({"n_layers": 2.0}, "n_layers must be a whole number of at least 1, got 2.0"),
        ({"vocab_size": -5}, "vocab_size must be a whole number of at least 1, got -5"),
        ({"n_experts": -1}, "n_experts must be a whole number of at least 0, got -1"),
        ({"q_lora_rank": 0}, "q_lora_rank must be None or at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"attention": "mha"}, "attention must be one of mla, gqa, got 'mha'"),
        ({"router": "top2"}, "router must be one of softmax, sigmoid, got 'top2'"),
        ({"n_kv_heads": 3}, "n_heads must be a multiple of n_kv_heads, got 16 and 3"),
        (
            {"attention": "gqa", "d_model": 130, "n_heads": 4, "n_kv_heads": 4},
            "d_model must be a multiple of n_heads, got 130 and 4",
        ),
        ({"qk_rope_head_dim": 7}, "the width that is rotated must be even, got 7"),
        (
            {"qk_rope_head_dim": 0, "qk_nope_head_dim": 0},
            "qk_rope_head_dim + qk_nope_head_dim must be at least 1, got 0 and 0",
        ),
        ({"n_experts": 4}, "moe_intermediate_size must be at least 1 with experts, got 0"),
        (
            {"n_experts": 4, "moe_intermediate_size": 8, "n_groups": 3},
            "n_experts must be a multiple of n_groups, got 4 and 3",
        ),
        (
            {"n_experts": 4, "moe_intermediate_size": 8, "n_groups": 2, "topk_groups": 3},
            "topk_groups must be from 1 to n_groups 2, got 3",
        ),
        (
            {"n_experts": 4, "moe_intermediate_size": 8, "n_groups": 2, "n_experts_per_tok": 3},
            "n_experts_per_tok must be from 1 to the 2 experts that can be chosen, got 3",
        ),
    ],
)
def test_numbers_that_cannot_describe_a_model_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=whole(sentence)):
        ModelArgs(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"factor": 0.5}, "factor must be at least 1, got 0.5"),
        ({"factor": float("nan")}, "factor must be at least 1, got nan"),
        ({"original_max_seq_len": 0}, "original_max_seq_len must be at least 1, got 0"),
        (
            {"beta_fast": 1.0, "beta_slow": 32.0},
            "beta_fast must be greater than beta_slow, and both greater than 0, got 1.0 and 32.0",
        ),
        (
            {"beta_slow": 0.0},
            "beta_fast must be greater than beta_slow, and both greater than 0, got 32.0 and 0.0",
        ),
    ],
)
def test_a_stretch_that_cannot_be_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=whole(sentence)):
        YarnScaling(**({"factor": 4.0, "original_max_seq_len": 256} | changes))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"q_lora_rank": 8}, "q_lora_rank"),
        ({"yarn": YarnScaling(factor=2.0, original_max_seq_len=64)}, "yarn"),
        ({"n_experts": 4, "moe_intermediate_size": 8}, "n_experts"),
    ],
)
def test_the_core_decoder_says_what_only_the_further_one_builds(changes: dict[str, Any], name: str) -> None:
    args = ModelArgs(**(SMALL | changes))
    sentence = f"{name} must be off in Transformer, got {getattr(args, name)}: FullTransformer has it"
    with pytest.raises(ValueError, match=whole(sentence)):
        Transformer(args)


def test_tokens_that_do_not_fit_are_refused() -> None:
    model = decoder_of(model_solution, max_seq_len=6)
    cache, ids = model.new_cache(), torch.zeros(1, 4, dtype=torch.long)
    model(ids, cache=cache)
    sentence = "past and new tokens must fit into max_seq_len 6, got 4 and 4"
    with pytest.raises(ValueError, match=whole(sentence)):
        model(ids, cache=cache)
