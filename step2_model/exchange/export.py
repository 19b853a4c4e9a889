"""Write one of our models as a folder that `transformers` opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from step2_model.exchange.configs import Config, write_config, write_gpt
from step2_model.exchange.layouts import to_disk

# The special token that ends a text, if the tokenizer has one.
END = "<|endoftext|>"


def export(model: Any, folder: str | Path, tokenizer: Any = None) -> Path:
    """Write config.json and model.safetensors for `AutoModelForCausalLM.from_pretrained`; return the folder.

    `model` is a GPT, Transformer or FullTransformer, yours or the reference's, in any dtype. With a tokenizer
    of step 1 its files are written too. Raises ValueError, naming the field, for what no class of
    `transformers` computes.

    Tutorial: docs/parity.md
    """
    from safetensors.torch import save_file

    config = write_config(model.args) if hasattr(model, "args") else write_gpt(model.config)
    weights = to_disk(model.state_dict(), config["model_type"])
    config["dtype"] = str(next(model.parameters()).dtype).removeprefix("torch.")
    config |= ends(tokenizer, config)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(folder)
    return folder


def ends(tokenizer: Any, config: Config) -> Config:
    """Return the ids at which texts begin and end: those of <|endoftext|>, or none.

    Raises ValueError where the tokenizer has more tokens than the model.
    """
    if tokenizer is not None and len(tokenizer) > config["vocab_size"]:
        got = f"{len(tokenizer)} and {config['vocab_size']}"
        raise ValueError(f"a tokenizer must have no more tokens than its model, got {got}")
    end = None if tokenizer is None else tokenizer.special_tokens.get(END)
    return {"bos_token_id": end, "eos_token_id": end}
