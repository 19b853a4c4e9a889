"""Read a model that `transformers` or others have written: GPT-2, Llama, DeepSeek-V3, Mixtral."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from step2_model import further_solution, model_solution
from step2_model.exchange.configs import DEEPSEEK, GPT2, read_config
from step2_model.exchange.hub import folder_of
from step2_model.exchange.layouts import from_disk, halves


def load(
    name: str | Path,
    dtype: torch.dtype = torch.float32,
    core: Any = model_solution,
    further: Any = further_solution,
) -> tuple[Any, Any]:
    """Return the model of a folder, or of a name on the Hugging Face hub, and its tokenizer, or None.

    `core` and `further` are the modules whose classes the model is built from: the reference's, or your own
    files. The tokenizer is step 1's, or, where its kind is another, the one of `transformers`. Raises
    ValueError, naming the field or the weight, for what our models do not compute, and NotThere where nothing
    is found.

    Tutorial: docs/parity.md
    """
    folder = folder_of(name)
    config = read_json(folder / "config.json")
    family, found = read_config(config)
    model = build(family, found, core, further)
    n_layers = found["n_layer"] if family == GPT2 else found["n_layers"]
    is_interleaved = family == DEEPSEEK and config.get("rope_interleave", True)
    reorder = halves(further.interleaved_to_half, model.args) if is_interleaved else None
    fill(model, from_disk(stored(folder), family, n_layers, reorder))
    return as_dtype(model, dtype).eval(), tokenizer_of(folder)


def as_dtype(model: Any, dtype: torch.dtype) -> Any:
    """Return the model with its parameters in a dtype; buffers, which steer DeepSeek's router, stay exact."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.to(dtype)
    for name, buffer in buffers.items():
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, buffer)
    return model


def build(family: str, found: dict[str, Any], core: Any, further: Any) -> Any:
    """Return a new model for these arguments: core classes where they suffice."""
    if family == GPT2:
        return core.GPT(core.GPTConfig(**found))
    needs_more = any(found.get(name) for name in ("q_lora_rank", "yarn", "n_experts"))
    module = further if needs_more else core
    if "yarn" in found:
        found = found | {"yarn": module.YarnScaling(**found["yarn"])}
    args = module.ModelArgs(**found)
    return module.FullTransformer(args) if needs_more else module.Transformer(args)


def fill(model: Any, weights: dict[str, Tensor]) -> None:
    """Copy weights into the model, whatever their dtype.

    Raises ValueError, naming the weight, where one is missing, has another shape, or has no place.
    """
    own = model.state_dict()
    # A tied head may be stored beside the embedding.
    if "lm_head.weight" not in own:
        weights = {name: weight for name, weight in weights.items() if name != "lm_head.weight"}
    if missing := sorted(own.keys() - weights.keys()):
        raise ValueError(f"the weights must hold {missing[0]}, got none of that name")
    if more := sorted(weights.keys() - own.keys()):
        raise ValueError(f"the weights must be those of the model, got {more[0]}, which has no place in it")
    with torch.no_grad():
        for name, value in own.items():
            if value.shape != weights[name].shape:
                got = tuple(weights[name].shape)
                raise ValueError(f"{name} must have shape {tuple(value.shape)}, got {got}")
            value.copy_(weights[name])


def stored(folder: Path) -> dict[str, Tensor]:
    """Return all weights of a folder, from one file or from the files that its index names."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    index = folder / "model.safetensors.index.json"
    whole = folder / "model.safetensors"
    names = sorted(set(read_json(index)["weight_map"].values())) if index.exists() else [whole.name]
    found: dict[str, Tensor] = {}
    for name in names:
        if not (folder / name).is_file():
            raise ValueError(f"a folder must hold its weights as {name}, got {folder}")
        try:
            found |= load_file(folder / name)
        except SafetensorError as error:
            raise ValueError(f"{folder / name} must be a whole safetensors file, got {error}") from None
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds. Raises ValueError where it is missing or damaged."""
    if not path.is_file():
        raise ValueError(f"a folder must hold {path.name}, got {path.parent}")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON, got {error}") from None
    return found


def tokenizer_of(folder: Path) -> Any:
    """Return the folder's tokenizer: step 1's, the library's where its kind is another, or None."""
    from step1_tokenizer.model_solution import Tokenizer

    has_pair = (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    if not (folder / "tokenizer.json").is_file() and not has_pair:
        return None
    try:
        return Tokenizer.load(folder)
    except ValueError:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder)
