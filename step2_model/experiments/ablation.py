"""Models with a part exchanged, trained on a text of known entropy, to see what the part is for.

The text is drawn from a table of probabilities, so that the lowest loss that any model can reach by reading
the past is a number one can compute. A curve that falls below it is no success: it reads what it should
predict.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.budget import Budget
from coursekit.corpora import join
from coursekit.corpora.python import python_library
from step2_model import model_solution
from step2_model.finale import training

COPY = "step2_model.ablated_solution"


def reference_with(parts: Mapping[str, Callable[..., Any]]) -> ModuleType:
    """Return a new copy of the reference in which the named functions and methods are exchanged.

    `parts` maps "apply_causal_mask" or "Block.forward" to what takes its place; the reference itself does
    not change. Raises ValueError for a name that the reference does not have.
    """
    spec = importlib.util.spec_from_file_location(COPY, model_solution.__file__)
    if spec is None or spec.loader is None:
        raise ValueError(f"the reference must be a Python file, got {model_solution.__file__!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[COPY] = module  # dataclasses look their own module up while it is being loaded
    spec.loader.exec_module(module)
    for name, part in parts.items():
        owner, _, attribute = name.rpartition(".")
        holder = getattr(module, owner, None) if owner else module
        if not hasattr(holder, attribute):
            raise ValueError(f"a part must be a function or method of model_solution.py, got {name!r}")
        setattr(holder, attribute, part)
    return module


@dataclass(frozen=True)
class KnownText:
    """A text in which each symbol depends on the two before it; `table` (V, V, V) holds the probabilities."""

    table: Tensor

    @classmethod
    def drawn(cls, num_symbols: int = 8, seed: int = 0) -> KnownText:
        """Return a text with a random table: softmax of normal numbers with standard deviation 2."""
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(num_symbols, num_symbols, num_symbols, generator=generator)
        return cls(logits.softmax(dim=-1))

    @cached_property
    def pairs(self) -> Tensor:
        """The probability (V, V) of each pair of neighbors: the table applied until it settles."""
        num_symbols = len(self.table)
        pairs = torch.full((num_symbols, num_symbols), 1 / num_symbols**2)
        for _ in range(500):
            pairs = torch.einsum("ab,abc->bc", pairs, self.table)
        return pairs

    def batch(self, size: int, length: int, generator: torch.Generator) -> Tensor:
        """Draw `size` stretches of the text, each `length` symbols long, as ids (size, length)."""
        start = torch.multinomial(self.pairs.flatten(), size, replacement=True, generator=generator)
        symbols = [start // len(self.table), start % len(self.table)]
        while len(symbols) < length:
            law = self.table[symbols[-2], symbols[-1]]
            symbols.append(torch.multinomial(law, 1, generator=generator).squeeze(1))
        return torch.stack(symbols, dim=1)

    def floor(self, length: int) -> float:
        """Return the lowest mean loss, in nats, that a model can have which reads the past of such stretches.

        It is the entropy of the second symbol given the first, and of each further one given the two before
        it.
        """
        second = self.pairs / self.pairs.sum(dim=1, keepdim=True)
        first_step = -(self.pairs * second.log()).sum()
        other_steps = -(self.pairs.unsqueeze(-1) * self.table * self.table.log()).sum()
        return float((first_step + (length - 2) * other_steps) / (length - 1))


def start_large(module: nn.Module) -> nn.Module:
    """Redraw every matrix with standard deviation 1/√fan_in: inputs of order 1 give outputs of order 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
    return module


def train(model: nn.Module, batch: Callable[[torch.Generator], Tensor], steps: int) -> list[float]:
    """Train the model with AdamW at one rate and return the loss of every step, in nats.

    `batch(generator)` gives the ids of one step. The generator starts from the same seed in every call, so
    that two curves differ by their models alone.
    """
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0)
    losses = []
    for _ in range(steps):
        ids = batch(generator)
        loss = model(ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def learn(
    module: ModuleType, text: KnownText, *, steps: int = 250, n_head: int = 4, large: bool = False
) -> tuple[nn.Module, list[float]]:
    """Train a small GPT of this module on stretches of 24 symbols; return it and its losses in nats.

    It has 2 layers of width 64. Every call starts from the same numbers; `large` redraws them with
    `start_large`. COURSE_BUDGET cuts the steps down.
    """
    torch.manual_seed(0)
    model = module.GPT(module.GPTConfig(len(text.table), 24, n_layer=2, n_head=n_head, n_embd=64))
    if large:
        start_large(model)
    steps = Budget(steps=steps).within_environment().steps
    return model, train(model, lambda generator: text.batch(32, 24, generator), steps)


def curve(module: ModuleType, text: KnownText, **settings: Any) -> list[float]:
    """Return the losses of `learn` alone."""
    return learn(module, text, **settings)[1]


def first_model(seconds: float = 12.0) -> tuple[nn.Module, Tensor, list[float]]:
    """Train the reference on the source of Python's library for some seconds, bytes as tokens.

    It has 2 layers of width 64 and windows of 64 bytes. Returns the model, the held-out bytes as ids, and the
    loss of every step in nats. 300 steps, or COURSE_BUDGET, end it earlier.
    """
    corpus = python_library()
    ids, held_out = (
        torch.frombuffer(bytearray(join(files)), dtype=torch.uint8)
        for files in (corpus.train, corpus.held_out)
    )
    torch.manual_seed(0)
    model = model_solution.GPT(model_solution.GPTConfig(256, 64, n_layer=2, n_head=4, n_embd=64))
    budget = Budget(seconds, steps=300).within_environment()
    losses = [step.loss for step in training.train(model, ids, budget)]
    return model.eval(), held_out, losses
