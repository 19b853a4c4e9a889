"""What the tutorial of step 2 measures in models: gradients, sizes, entropies, and who reads whom."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from step2_model.experiments.ablation import start_large


def fit_wave(activation: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Fit two linear layers with `activation` between them to a sine wave; return x, the wave and the fit."""
    torch.manual_seed(0)
    x = torch.linspace(-3, 3, 121).unsqueeze(1)
    wave = torch.sin(2 * x)
    widen, narrow = nn.Linear(1, 32), nn.Linear(32, 1)
    optimizer = torch.optim.Adam([*widen.parameters(), *narrow.parameters()], lr=0.02)
    for _ in range(400):
        loss = (narrow(activation(widen(x))) - wave).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fit = narrow(activation(widen(x))).detach()
    return x.squeeze(1), wave.squeeze(1), fit.squeeze(1)


def sizes_by_block(module: ModuleType, n_layer: int = 24) -> dict[str, list[float]]:
    """Return sizes for each of n_layer blocks: the stream, what the block added, what differs by position.

    A size is the root mean square over all features; what differs by position is a share of the stream. The
    stream starts as random vectors of size 1, and the matrices are redrawn with `start_large`.
    """
    torch.manual_seed(0)
    config = module.GPTConfig(64, 16, n_layer=1, n_head=4, n_embd=64)
    x = torch.randn(4, 16, 64)
    sizes: dict[str, list[float]] = {"stream": [], "added": [], "differs": []}
    with torch.no_grad():
        for _ in range(n_layer):
            y = start_large(module.Block(config))(x)
            sizes["stream"].append(rms(y))
            sizes["added"].append(rms(y - x))
            sizes["differs"].append(rms(y - y.mean(dim=1, keepdim=True)) / rms(y))
            x = y
    return sizes


def rms(x: Tensor) -> float:
    """Return the root mean square of all numbers in x."""
    return x.square().mean().sqrt().item()


def entropy_bits(log_weights: Tensor) -> float:
    """Return the mean entropy, in bits, of the distributions whose logarithms stand in the last dimension."""
    return -(log_weights.exp() * log_weights).sum(dim=-1).mean().item() / math.log(2)


def entropies(
    score: Callable[[Tensor, Tensor], Tensor], widths: Sequence[int], num_keys: int = 64
) -> list[float]:
    """Return, for each head width, the mean entropy in bits of softmax(score(q, k)) for random q and k."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for width in widths:
        q = torch.randn(200, 1, width, generator=generator)
        k = torch.randn(200, num_keys, width, generator=generator)
        found.append(entropy_bits(score(q, k).log_softmax(dim=-1)))
    return found


def influence(layer: Callable[[Tensor], Tensor], length: int, width: int) -> Tensor:
    """Return how strongly each output position depends on each input position: gradient norms (T, T)."""
    x = torch.randn(1, length, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    direction = torch.randn(width, generator=torch.Generator().manual_seed(1))
    y = layer(x)[0] @ direction
    rows = [torch.autograd.grad(y[t], x, retain_graph=True)[0][0].norm(dim=-1) for t in range(length)]
    return torch.stack(rows)


def attention_weights(model: Any, ids: Tensor) -> Tensor:
    """Return the weights (L, H, T, T) of every head of every layer, caught where `attn_dropout` gets them."""
    caught: list[Tensor] = []
    handles = [
        block.attn.attn_dropout.register_forward_hook(lambda _, inputs, output: caught.append(output[0]))
        for block in model.h
    ]
    with torch.no_grad():
        model(ids)
    for handle in handles:
        handle.remove()
    return torch.stack(caught)


def losses_by_depth(model: Any, ids: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> list[float]:
    """Return the loss when the head reads the stream after 0, 1, ... all blocks."""
    found = []
    with torch.no_grad():
        x = model.embed(ids)
        found.append(loss(model.logits(x), ids).item())
        for block in model.h:
            x = block(x)
            found.append(loss(model.logits(x), ids).item())
    return found
