"""What each part of the modern decoder is worth: one exchanged at a time, at equal parameters and steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.budget import Budget
from coursekit.corpora import join
from coursekit.corpora.python import python_library
from step2_model.experiments import ablation
from step2_model.finale.scoring import as_ids
from step2_model.finale.training import windows
from step2_model.further_solution import get_ffn
from step2_model.model_solution import ModelArgs, RMSNorm, Rope, Transformer

STEPS, BATCH = 600, 16
BASE = ModelArgs(
    d_model=96,
    n_layers=3,
    n_heads=4,
    n_kv_heads=4,
    attention="gqa",
    intermediate_size=256,
    vocab_size=256,
    max_seq_len=96,
    tie_embeddings=True,
    kv_lora_rank=48,
    qk_rope_head_dim=8,
    qk_nope_head_dim=16,
    v_head_dim=24,
)


class LearnedPositions(nn.Embedding):
    """A token table that adds the vector of a token's place in the row."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__(args.vocab_size, args.d_model)
        self.places = nn.Embedding(args.max_seq_len, args.d_model)
        nn.init.normal_(self.places.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = super().forward(ids) + self.places.weight[: ids.shape[1]]
        return found


class Unrotated(Transformer):
    """The decoder with learned positions added at the beginning, and no rotation."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__(args)
        table = LearnedPositions(args)
        table.weight = self.embed_tokens.weight
        self.embed_tokens = table

    def rope(self, positions: Tensor) -> Rope:
        cos, sin = super().rope(positions)
        return torch.ones_like(cos), torch.zeros_like(sin)


def with_layer_norm(model: Transformer) -> Transformer:
    """Put LayerNorm in place of every RMSNorm of the model."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, RMSNorm):
                setattr(module, name, nn.LayerNorm(len(child.weight), eps=child.eps))
    return model


def with_gelu(model: Transformer) -> Transformer:
    """Put the feed-forward layer of GPT-2's kind, at the same price, in place of every SwiGLU."""
    for layer in model.layers:
        ffn: Any = get_ffn(model.args, "standard")
        nn.init.normal_(ffn.up_proj.weight, std=0.02)
        nn.init.normal_(ffn.down_proj.weight, std=0.02 / (2 * len(model.layers)) ** 0.5)
        layer.mlp = ffn
    return model


Build = Callable[[ModelArgs], Transformer]
VARIANTS: Mapping[str, Build] = {
    "as it is": Transformer,
    "learned positions instead of RoPE": Unrotated,
    "LayerNorm instead of RMSNorm": lambda args: with_layer_norm(Transformer(args)),
    "GELU instead of SwiGLU": lambda args: with_gelu(Transformer(args)),
    "one key/value head for four": lambda args: Transformer(replace(args, n_kv_heads=1)),
    "MLA": lambda args: Transformer(replace(args, attention="mla")),
    "GPT-2's three": lambda args: with_gelu(with_layer_norm(Unrotated(args))),
}


def size_of(build: Build, args: ModelArgs) -> int:
    """Return how many numbers a model learns, without memory for it."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(args).parameters())


def matched(build: Build, args: ModelArgs, target: int) -> ModelArgs:
    """Return `args` with the feed-forward width at which the model comes nearest to `target` parameters."""
    here, there = (size_of(build, replace(args, intermediate_size=width)) for width in (100, 200))
    width = 100 + round(100 * (target - here) / (there - here))
    return replace(args, intermediate_size=width)


def built(name: str, seed: int, args: ModelArgs = BASE) -> Transformer:
    """Return the variant of this name, new from this seed, as large as the decoder itself (within 1 %)."""
    if name not in VARIANTS:
        raise ValueError(f"name must be one of {', '.join(VARIANTS)}, got {name!r}")
    fitting = matched(VARIANTS[name], args, size_of(Transformer, args))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VARIANTS[name](fitting)


def learn(model: Transformer, text: Tensor, steps: int, seed: int) -> list[float]:
    """Train the model on windows of the text and return its losses in nats; equal seeds see equal windows."""
    chance = torch.Generator().manual_seed(seed)
    size = model.args.max_seq_len
    return ablation.train(model, lambda _: windows(text, size, BATCH, chance), steps)


@torch.no_grad()
def held_out_loss(model: Transformer, text: Tensor, count: int = 64) -> float:
    """Return the mean loss in nats over windows that the model has not seen, the same for every model."""
    ids = windows(text, model.args.max_seq_len, count, torch.Generator().manual_seed(0))
    loss: Tensor = model.eval()(ids, labels=ids).loss
    return loss.item()


def compare(
    names: tuple[str, ...], steps: int = STEPS, seeds: tuple[int, ...] = (0,)
) -> list[dict[str, Any]]:
    """Train each variant with each seed and return parameters, losses and held-out loss.

    COURSE_BUDGET cuts the steps down.
    """
    steps = Budget(steps=steps).within_environment().steps
    corpus = python_library()
    text, held_out = as_ids(join(corpus.train)), as_ids(join(corpus.held_out))
    rows = []
    for name in names:
        for seed in seeds:
            model = built(name, seed)
            losses = learn(model, text, steps, seed)
            size = sum(parameter.numel() for parameter in model.parameters())
            row = {"variant": name, "seed": seed, "parameters": size, "steps": len(losses)}
            rows.append(row | {"held_out": held_out_loss(model, held_out), "losses": losses})
            print(f"{name}, seed {seed}: {rows[-1]['held_out']:.4f} nats on held-out text", flush=True)
    return rows


def evidence(steps: int = STEPS, seeds: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    """Train every variant with two seeds; return the losses, their spread, and what holds of them."""
    rows = compare(tuple(VARIANTS), steps, seeds)
    sizes = [row["parameters"] for row in rows]
    table = {name: [round(row["held_out"], 4) for row in rows if row["variant"] == name] for name in VARIANTS}
    mean = {name: sum(found) / len(found) for name, found in table.items()}
    spread = max(max(found) - min(found) for found in table.values())
    claims = {
        "all variants have the same parameters within 1 %": max(sizes) <= 1.01 * min(sizes),
        "with GPT-2's three parts the loss is higher than as it is": mean["GPT-2's three"] > mean["as it is"],
    }
    results = [{name: value for name, value in row.items() if name != "losses"} for row in rows]
    for result in results:
        result["held_out"] = round(result["held_out"], 4)
    return {"seeds": list(seeds), "results": results, "spread": round(spread, 4), "claims": claims}
