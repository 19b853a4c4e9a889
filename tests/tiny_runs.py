"""Small run folders that are made in a moment: an untrained model with the vocabulary of some stories."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from coursekit.corpora.storyworld import stories
from step1_tokenizer.model_solution import Tokenizer
from step2_model.further_solution import FullTransformer
from step2_model.model_solution import GPT, GPTConfig, ModelConfigs, Transformer
from step3_pretrain.model_solution import SPECIAL_TOKENS
from step3_pretrain.trainer.options import Options

SMALL = {"n_layers": 2, "d_model": 32, "intermediate_size": 48, "max_seq_len": 256}


def tokenizer(vocab_size: int = 420) -> Tokenizer:
    """Return a tokenizer of a few stories."""
    return Tokenizer.train(islice(stories(0), 30), vocab_size, SPECIAL_TOKENS)


def write_run(folder: Path, corpus: str = "storyworld", **changes: Any) -> Any:
    """Write a run folder of the reference as training leaves one; return its model.

    Weights are larger than new ones are, so that what it writes varies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    words.save(folder)
    args = ModelConfigs.tiny(**(SMALL | {"vocab_size": len(words)} | changes))
    torch.manual_seed(0)
    further = args.n_experts or args.yarn or args.q_lora_rank
    model = FullTransformer(args) if further else Transformer(args)
    write_model(folder, model, asdict(args))
    options = Options(corpus=corpus, solution=True, dtype="float32").to_json()
    plan = {"total": 12, "by_clock": False}
    training = {"options": options, "plan": plan, "parts": {}, "num_tokens": 3_000, "num_bytes": 9_000}
    size = sum(parameter.numel() for parameter in model.parameters())
    (folder / "training.json").write_text(json.dumps(training | {"num_parameters": size}), encoding="utf-8")
    return model.eval()


def write_gpt(folder: Path) -> Any:
    """Write the folder that the finale of step 2 leaves: a GPT that reads bytes, and no tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = GPTConfig(vocab_size=256, block_size=32, n_layer=1, n_head=2, n_embd=16)
    torch.manual_seed(0)
    model = GPT(config)
    write_model(folder, model, asdict(config))
    return model.eval()


def write_model(folder: Path, model: Any, config: dict[str, Any]) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
