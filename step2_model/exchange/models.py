"""The model of a run's folder, and a new one of a preset: for reports and for whoever exports them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from step2_model.exchange.loading import fill, read_json, stored
from step2_model.exchange.parts import CannotDo, parts

PRESETS = ("tiny", "small", "base", "large", "tiny_moe", "tiny_long")


def new_model(preset: str, seed: int, solution: bool) -> Any:
    """Return a new model of a preset."""
    further = parts(solution, "further")
    args = getattr(parts(solution).ModelConfigs, preset)()
    torch.manual_seed(seed)
    return built(args, further, parts(solution))


def trained_model(run: Path, solution: bool) -> Any:
    """Return the model of a run's folder, in which configuration and weights carry our own names."""
    core, further = parts(solution), parts(solution, "further")
    config = read_json(run / "config.json")
    try:
        if "block_size" in config:
            model = core.GPT(core.GPTConfig(**config))
        else:
            yarn = config.get("yarn")
            config["yarn"] = None if yarn is None else further.YarnScaling(**yarn)
            model = built(further.ModelArgs(**config), further, core)
    except TypeError as error:
        raise CannotDo(f"{run}/config.json must be that of a run of this course, got {error}") from None
    fill(model, stored(run))
    return model


def built(args: Any, further: ModuleType, core: ModuleType) -> Any:
    """Return a new decoder for these arguments: the core's where it suffices."""
    needs_more = args.q_lora_rank or args.yarn or args.n_experts
    return further.FullTransformer(args) if needs_more else core.Transformer(args)
