"""What checkpoints are asked about: small trainings, what is the same before and after, disks that fail."""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.probe import redraw

if sys.platform != "win32":
    import resource

V, C = 40, 16
FULL_DISK = sys.platform != "win32"


def spare_compiler() -> None:
    """Let torch's optimizers be made without an import of its compiler, which takes seconds.

    The import is there to keep the compiler away from them; no check compiles. Where torch does it in another
    way, nothing changes but the time.
    """
    for function in vars(torch.optim.Optimizer).values():
        inner = getattr(function, "__wrapped__", None)
        if inner is not None:
            setattr(inner, "__dynamo_disable", inner)


spare_compiler()


class Small(nn.Module):
    """A model with dropout, a buffer that the loss depends on, and a parameter that never gets a gradient."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(3))
        self.embed = nn.Embedding(V, C)
        self.layer = nn.Linear(C, C)
        self.head = nn.Linear(C, V)
        self.dropout = nn.Dropout(0.3)
        self.register_buffer("seen", torch.tensor(0))

    def forward(self, ids: Tensor) -> Tensor:
        self.seen += 1
        hidden = self.dropout(torch.tanh(self.layer(self.embed(ids[:, :-1]))))
        return F.cross_entropy(self.head(hidden * (1 + 0.1 * self.seen)).flatten(0, 1), ids[:, 1:].flatten())


class Training:
    """A small run of two parameter groups, in which the number of a step says what it reads."""

    def __init__(self, m: Any, rng: Any, lr: float = 0.05, decay: float = 0.2, beta: float = 0.8) -> None:
        self.model = redraw(Small(), rng)
        self.data = rng.integers(0, V, 12, 2, 9)
        matrices = [p for p in self.model.parameters() if p.dim() > 1]
        others = [p for p in self.model.parameters() if p.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "lr": lr / 5}]
        self.optimizer = m.AdamW(groups, lr=lr, betas=(beta, 0.9), weight_decay=0.0)
        torch.manual_seed(rng.integer(0, 2**31))

    def steps(self, start: int, count: int) -> list[float]:
        """Take steps from `start` on and return the loss before each."""
        losses = []
        for step in range(start, start + count):
            self.optimizer.zero_grad()
            loss = self.model(self.data[step % len(self.data)])
            loss.backward()
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    def step_without_chance(self) -> dict[str, Tensor]:
        """Take a step along fixed gradients and return the weights after it."""
        for parameter in self.model.parameters():
            parameter.grad = torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape)
        self.optimizer.step()
        return self.weights()

    def weights(self) -> dict[str, Tensor]:
        """Return the parameters by name, as they are now."""
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    def settings(self) -> list[list[Any]]:
        """Return what each group of the optimizer says of its steps."""
        groups = self.optimizer.param_groups
        return [[g["lr"], *g["betas"], g["eps"], g["weight_decay"]] for g in groups]

    def everything(self) -> dict[str, Any]:
        """Return all that a checkpoint is made of, as it is now."""
        return {
            "the weights": {name: tensor.clone() for name, tensor in self.model.state_dict().items()},
            "the optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "the generator": torch.get_rng_state(),
        }


class Momentum(torch.optim.Optimizer):
    """An optimizer whose state has other names and kinds than AdamW's."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr, "is_fast": True, "limit": None})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change every parameter that has a gradient, each time a little less."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    velocity = state.setdefault("velocity", torch.zeros_like(parameter))
                    state["share"] = 0.9 * state.get("share", 1.0)
                    state["count"] = state.get("count", 0) + 1
                    velocity.mul_(0.8).add_(parameter.grad)
                    parameter.sub_(group["lr"] * state["share"] * velocity / state["count"])


class Tied(nn.Module):
    """A model in which two names stand for one tensor, and one tensor lies in memory column by column."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.turned = nn.Parameter(torch.zeros(4, 2).t())


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names of what is not the same, bit for bit."""
    return [name for name, value in before.items() if not _is_same(value, after[name])]


def _is_same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(two, Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return (
            isinstance(two, dict)
            and one.keys() == two.keys()
            and all(_is_same(v, two[k]) for k, v in one.items())
        )
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(_is_same, one, two))
    return bool(one == two)


class Moves:
    """Notes the moves of files to one path while it is open; with `fails`, each of them fails instead.

    Python reports every move before it is done, whichever function asks for it: one hook for the life of the
    process hears of it.
    """

    _open: Moves | None = None
    _is_heard = False

    def __init__(self, path: Path, fails: bool = False) -> None:
        self.path, self.fails = path.resolve(), fails
        self.from_same_folder: list[bool] = []
        self.onto_older: list[bool] = []

    def __enter__(self) -> Moves:
        if not Moves._is_heard:
            sys.addaudithook(_hear)
            Moves._is_heard = True
        Moves._open = self
        return self

    def __exit__(self, *_: object) -> None:
        Moves._open = None

    def note(self, source: Any, target: Any) -> None:
        """Note a move. Raises OSError where it is to fail."""
        source, target = (Path(os.fsdecode(name)).absolute() for name in (source, target))
        if target.parent.resolve() / target.name == self.path:
            self.from_same_folder.append(source.parent.resolve() == self.path.parent)
            self.onto_older.append(self.path.exists())
            if self.fails:
                raise OSError(errno.ENOSPC, "the disk is full")


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.rename" and Moves._open is not None:
        Moves._open.note(*arguments[:2])


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond this size while the block runs (not on Windows)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Go into a folder that is gone afterwards: paths are relative, so that errors tell no name of chance."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        yield Path()


def names_in(place: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(os.listdir(place))


def fails(call: Callable[[], Any]) -> bool:
    """Tell whether a call raises."""
    try:
        call()
    except Exception:  # noqa: BLE001 - of whatever type
        return True
    return False


def bytes_of(path: Path) -> bytes:
    """Return what a file holds, nothing where none is."""
    return path.read_bytes() if path.is_file() else b""
