"""What the further chapter counts: bytes kept for the backward pass, weights that move, operations."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from step2_model.model_solution import next_token_loss
from step3_pretrain.experiments import further_runs as runs
from step3_pretrain.model_solution import AdamW

OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "x @ w": lambda x, w: x @ w,
    "x + x": lambda x, w: x + x,
    "softmax(x)": lambda x, w: x.softmax(dim=-1),
    "exp(x)": lambda x, w: x.exp(),
    "cross entropy": lambda x, w: nn.functional.cross_entropy(x, torch.arange(len(x))),
    "(x @ w) squared": lambda x, w: (x @ w).square(),
}


def kept_bytes(run: Callable[[], object], model: nn.Module) -> int:
    """Return how many bytes `run` makes autograd keep for the backward pass at the same time, at most.

    Storages count once, the model's own weights not at all.
    """
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    alive: dict[int, tuple[int, int]] = {}  # storage -> (bytes, how often it is kept)
    most = 0

    class Kept:
        """A saved tensor, counted until autograd lets go of it."""

        def __init__(self, tensor: Tensor) -> None:
            nonlocal most
            self.tensor, self.place = tensor, tensor.untyped_storage().data_ptr()
            if self.place not in weights:
                size, times = alive.get(self.place, (tensor.untyped_storage().nbytes(), 0))
                alive[self.place] = (size, times + 1)
                most = max(most, sum(size for size, _ in alive.values()))

        def __del__(self) -> None:
            if self.place in alive:
                size, times = alive.pop(self.place)
                if times > 1:
                    alive[self.place] = (size, times - 1)

    with saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        run()
    return most


def dtypes_under(dtype: torch.dtype) -> dict[str, str]:
    """Return in which dtype each of `OPERATIONS` gives its result under autocast on the CPU."""
    x, w = torch.randn(4, 8), torch.randn(8, 8)
    with torch.autocast("cpu", dtype):
        return {name: str(run(x, w).dtype).removeprefix("torch.") for name, run in OPERATIONS.items()}


def moved(lr: float, dtype: torch.dtype) -> tuple[float, float]:
    """Return which share of the matrices' weights, and of the gains, one step of AdamW changes where they are
    kept in `dtype`; the small model after 20 steps of training.
    """
    model = runs.small_model()
    optimizer = AdamW(model.parameters(), 1e-2, weight_decay=0.0)
    runs.learn(model, optimizer, range(runs.budgeted(20)))
    before = [parameter.detach().clone().to(dtype) for parameter in model.parameters()]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), before, strict=True):
            parameter.copy_(value)
    for group in optimizer.param_groups:
        group["initial_lr"] = lr
    runs.learn(model, optimizer, [20])
    shares = []
    for is_matrix in (True, False):
        pairs = [
            (p, b) for p, b in zip(model.parameters(), before, strict=True) if (p.dim() > 1) == is_matrix
        ]
        changed = sum(int((p.to(dtype) != b).sum()) for p, b in pairs)
        shares.append(changed / sum(b.numel() for _, b in pairs))
    return shares[0], shares[1]


def late(dtype: torch.dtype | None, steps: int = 60, seed: int = 0) -> float:
    """Return the bits per byte of a model that has learned for `steps` steps at 0.01, and then for as many
    at a twentieth of that, its only weights rounded to `dtype` after each; without a dtype, before those.

    All else is float32. COURSE_BUDGET cuts the steps down.
    """
    model, steps = runs.small_model(seed), runs.budgeted(steps)
    optimizer = AdamW(model.parameters(), 1e-2)
    runs.learn(model, optimizer, range(steps), seed=seed)

    @torch.no_grad()
    def round_weights() -> None:
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))

    if dtype is not None:
        later = range(steps, 2 * steps)
        runs.learn(model, optimizer, later, lambda step: 0.05, seed=seed, after=round_weights)
    return runs.bits_per_byte(model)


def gradients(steps: int = 100) -> dict[str, Tensor]:
    """Return the gradients of a batch's loss with respect to the logits and to all weights of the small
    model, after so many steps of training; COURSE_BUDGET cuts them down.
    """
    model = runs.small_model()
    runs.learn(model, AdamW(model.parameters(), 1e-2), range(runs.budgeted(steps)))
    model.zero_grad()
    ids = runs.text().blocks(10_000, batch=16, size=128)
    logits = model(ids).logits
    logits.retain_grad()
    next_token_loss(logits, ids).backward()
    assert logits.grad is not None
    weights = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return {"logits": logits.grad[:, :-1].flatten(), "weights": torch.cat(weights)}


def lost(gradient: Tensor, dtype: torch.dtype, scale: float = 1.0) -> float:
    """Return which share of the numbers that are not 0 becomes 0, or infinite, in `dtype` when scaled."""
    kept = (gradient[gradient != 0] * scale).to(dtype)
    return float(((kept == 0) | ~kept.isfinite()).float().mean())


def hidden_matrix(steps: int = 20) -> Tensor:
    """Return the gradient of one matrix of the small model, (160, 64), early in its training."""
    model = runs.small_model()
    runs.learn(model, AdamW(model.parameters(), 1e-2), range(runs.budgeted(steps)))
    model.zero_grad()
    runs.loss_of(model, runs.text().blocks(10_000)).backward()
    gradient = model.get_parameter("layers.0.mlp.gate_proj.weight").grad
    assert gradient is not None
    return gradient.clone()


def seconds(run: Callable[[], object], times: int = 5) -> float:
    """Return how long `run` takes by the clock: the shortest of so many times, after one for warming up."""
    run()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def peak_flops(size: int = 1_024, dtype: torch.dtype = torch.float32) -> float:
    """Return how many operations in a second this machine does in a product of two square matrices."""
    a, b = torch.randn(2, size, size, dtype=dtype)
    return 2 * size**3 / seconds(lambda: a @ b)


def multiplied_weights(model: Any) -> int:
    """Return how many weights every token is multiplied by: all matrices, but for a table that is only
    looked up.
    """
    matrices = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    return matrices if model.lm_head is None else matrices - model.embed_tokens.weight.numel()


def mean_of(values: Sequence[float], last: int = 20) -> float:
    """Return the mean of the last values."""
    return sum(values[-last:]) / len(values[-last:])
