"""Probes of the whole model: it is GPT-2 (2.gpt2), and it learns (2.learns)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from coursekit.probe import Rng, check, curve, equal, holds, reference
from step2_model.checks.observe import build

SIZES = {"vocab_size": 23, "block_size": 16, "n_layer": 3, "n_head": 3, "n_embd": 12}
# Relative to the largest logit: the sums of three blocks and their norms, in float32.
PARITY = 1e-4


def gpt2_weights(rng: Any) -> dict[str, torch.Tensor]:
    """Return weights under the names, and in the shapes, of transformers' GPT-2, with every number
    drawn.

    Matrices are (in, out) as GPT-2 stores them and have a standard deviation of 1/√in; no gain is 1 and
    no bias 0.
    """
    C = SIZES["n_embd"]
    weights = {
        "wte.weight": rng.normal(SIZES["vocab_size"], C),
        "wpe.weight": rng.normal(SIZES["block_size"], C),
    }
    layers = {
        "attn.c_attn": (C, 3 * C),
        "attn.c_proj": (C, C),
        "mlp.c_fc": (C, 4 * C),
        "mlp.c_proj": (4 * C, C),
    }
    norms = ["ln_f"]
    for i in range(SIZES["n_layer"]):
        norms += [f"h.{i}.ln_1", f"h.{i}.ln_2"]
        for name, shape in layers.items():
            weights[f"h.{i}.{name}.weight"] = rng.normal(*shape) / shape[0] ** 0.5
            weights[f"h.{i}.{name}.bias"] = 0.3 * rng.normal(shape[1])
    for name in norms:
        weights[f"{name}.weight"] = 1 + 0.3 * rng.normal(C)
        weights[f"{name}.bias"] = 0.3 * rng.normal(C)
    return {f"transformer.{name}": tensor for name, tensor in weights.items()}


def tiny_embeddings(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights with embeddings so small that the eps of the first norms decides what they
    return.
    """
    return {k: 3e-3 * v if ".wte." in k or ".wpe." in k else v for k, v in weights.items()}


def delicate_gelu(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights with activations near -2.3, where GELU's two forms differ most, and much made
    of them.
    """
    changed = dict(weights)
    for i in range(SIZES["n_layer"]):
        mlp = f"transformer.h.{i}.mlp"
        changed[f"{mlp}.c_fc.weight"] = 0.1 * weights[f"{mlp}.c_fc.weight"]
        changed[f"{mlp}.c_fc.bias"] = torch.full_like(weights[f"{mlp}.c_fc.bias"], -2.3)
        changed[f"{mlp}.c_proj.weight"] = 40 * weights[f"{mlp}.c_proj.weight"]
    return changed


def lively(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights changed so that a greedy text varies: position counts most, no token is
    favored.
    """
    scales = {".wpe.": 3.0, ".wte.": 0.3, ".ln_f.bias": 0.0}
    return {k: v * next((s for part, s in scales.items() if part in k), 1.0) for k, v in weights.items()}


def load(m: Any, weights: dict[str, torch.Tensor]) -> Any:
    """Return a model of the implementation that holds these weights."""
    model = m.GPT(m.GPTConfig(**SIZES))
    model.load_gpt2(weights)
    return model.eval()


@check("2.gpt2")
def equals_gpt2(m: Any, rng: Any) -> Any:
    weights, ids = gpt2_weights(rng), rng.integers(0, SIZES["vocab_size"], 2, 11)
    with torch.no_grad():
        logits = load(m, weights)(ids).logits
        careful = load(m, delicate_gelu(weights))(ids).logits
        faint = load(m, tiny_embeddings(weights))(ids).logits
        tokens, gaps = continue_greedily(load(m, lively(weights)), ids[:, :3], 12)
    yield equal("GPT-2's logits for every position", logits, PARITY)
    yield equal("with embeddings so small that the norms' eps of 1e-5 counts", faint, PARITY)
    yield equal("with activations where GELU's tanh form differs from the exact one", careful, PARITY)
    greedy = "the same tokens, each the most probable one, twelve in a row"
    yield holds(greedy, tokens, follows_greedily, given=(tokens, gaps))


def continue_greedily(model: Any, ids: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the most probable next tokens, `count` of them, each read again before the next.

    Beside them stands by how much each led: its logit less the second best, relative to the largest.
    """
    gaps = []
    for _ in range(count):
        logits = model(ids).logits[:, -1]
        best = logits.topk(2, dim=-1)
        gaps.append((best.values[:, 0] - best.values[:, 1]) / logits.abs().amax(dim=-1))
        ids = torch.cat([ids, best.indices[:, :1]], dim=1)
    return ids[:, -count:], torch.stack(gaps, dim=1)


def follows_greedily(tokens: Any, given: Any) -> bool:
    """Accept each text that agrees with the trusted one up to a choice as close as rounding."""
    wanted, gaps = (array.data for array in given)
    found: Any = getattr(tokens, "data", None)
    if getattr(found, "shape", None) != wanted.shape:
        return False
    for row, right, gap in zip(found, wanted, gaps):
        wrong = (row != right).nonzero()[0]
        if len(wrong) and gap[wrong[0]] > PARITY:
            return False
    return True


@reference("2.gpt2")
def transformers_gpt2() -> Any:
    """Return an implementation whose GPT is transformers' own GPT2LMHeadModel."""
    from transformers import GPT2Config, GPT2LMHeadModel

    class GPT(nn.Module):
        """GPT-2 of `transformers` under the names that the probe uses."""

        def __init__(self, config: Any) -> None:
            super().__init__()
            renamed = {"n_positions" if k == "block_size" else k: v for k, v in vars(config).items()}
            off: dict[str, Any] = {
                "resid_pdrop": 0.0,
                "embd_pdrop": 0.0,
                "attn_pdrop": 0.0,
                "bos_token_id": 0,
                "eos_token_id": 0,
            }
            self.model = GPT2LMHeadModel(GPT2Config(**renamed, **off))

        def load_gpt2(self, weights: dict[str, torch.Tensor]) -> None:
            self.model.load_state_dict({**weights, "lm_head.weight": weights["transformer.wte.weight"]})

        def forward(self, ids: torch.Tensor) -> Any:
            return self.model(input_ids=ids)

    return SimpleNamespace(GPTConfig=SimpleNamespace, GPT=GPT)


TEXT = "a cat sat on a mat, a rat sat on a hat, a cat ran, a rat ran on."
# A rate at which the loss falls smoothly: at larger ones rounding grows with every step and right code parts.
STEPS, RATE, CURVE = 30, 0.05, 1e-4


def prepare_training(m: Any, rng: Any) -> tuple[Any, torch.Tensor]:
    """Return a small model and the ids of TEXT in two rows."""
    letters = sorted(set(TEXT))
    config = m.GPTConfig(vocab_size=len(letters), block_size=32, n_layer=2, n_head=2, n_embd=16)
    model = build(m.GPT, config, rng)
    with torch.no_grad():
        model.wte.weight.mul_(config.n_embd**-0.5)
    return model, torch.tensor([letters.index(letter) for letter in TEXT]).reshape(2, 32)


@check("2.learns")
def learns(m: Any, rng: Any) -> Any:
    model, ids = prepare_training(m, rng)
    labels = ids.clone()
    labels[1, 20:24] = -100
    curve = torch.tensor([take_step(model, ids, labels) for _ in range(STEPS)], dtype=torch.float64)
    yield equal("the loss before the first step", curve[:1], CURVE)
    yield holds("the loss falls by more than a tenth", curve, falls_by_a_tenth)
    yield equal("the loss after every step: each part learns, and none looks ahead", curve, CURVE)


# A mistake shows within a second: what is learned is compared by eye, not by a tolerance.
HUNT_STEPS, HUNT_RATE, MOMENTUM = 60, 0.06, 0.9


@curve("2.learns")
def memorizing(m: Any) -> Any:
    """Yield the losses of a small model that learns one text by heart: below 1 nat in 60 steps."""
    model, ids = prepare_training(m, Rng(0))
    # Written out: torch.optim would import for seconds what nobody here needs.
    moments = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    for _ in range(HUNT_STEPS):
        loss = model(ids, ids).loss
        yield float(loss.detach())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.grad is not None:
                    parameter -= HUNT_RATE * moments[name].mul_(MOMENTUM).add_(parameter.grad)


def take_step(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> float:
    """Take one step of plain gradient descent and return the loss before it."""
    loss = model(ids, labels).loss
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= RATE * parameter.grad
    return float(loss.detach())


def falls_by_a_tenth(curve: Any, given: Any) -> bool:
    """Accept losses whose last is below nine tenths of the first."""
    losses = getattr(curve, "data", curve)
    return bool(losses[-1] < 0.9 * losses[0])
