"""The smallest checkpoints (3.8): one layer of one weight, saved and loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coursekit.probe import cases
from step3_pretrain.checks.checkpoint_damage import refusal
from step3_pretrain.checks.checkpoint_runs import Moves, bytes_of, changed, fails, folder, names_in


class Tiny:
    """A layer of `rows` weights with a buffer, and AdamW, two steps old."""

    def __init__(self, m: Any, weight: float = 2.0, rows: int = 1, lr: float = 0.5) -> None:
        self.model = nn.Linear(1, rows, bias=False)
        self.model.register_buffer("count", torch.tensor(7.0))
        nn.init.constant_(self.model.weight, weight)
        self.optimizer = m.AdamW(self.model.parameters(), lr=lr, weight_decay=0.0)
        torch.manual_seed(0)

    def step(self, gradient: float) -> torch.Tensor:
        """Take a step along this gradient and return the weights after it."""
        self.model.weight.grad = torch.full_like(self.model.weight, gradient)
        self.optimizer.step()
        return self.model.weight.detach().clone()

    def everything(self) -> dict[str, Any]:
        """Return the weights and the generator, as they are now."""
        weight = self.model.weight.detach().clone()
        return {"the weights": weight, "the generator": torch.get_rng_state()}


@cases("3.8")
def small_checkpoints(m: Any) -> Iterator[Any]:
    run = {"weight": 2.0, "lr": 0.5, "step": 3, "extra": "{'a': 1}"}
    with folder() as place:
        path = place / "c"
        one, other = Tiny(m), Tiny(m, weight=0.0, lr=0.25)
        one.step(1.0)
        was = one.everything()
        m.save_checkpoint(path, one.model, one.optimizer, 3, {"a": 1})
        yield run | {"path": "c", "shown": "the files in its folder"}, names_in(place)
        yield run | {"shown": "what saving has changed"}, changed(was, one.everything())
        other.model.get_buffer("count").zero_()
        torch.manual_seed(1)
        yield (
            run | {"shown": "what load_checkpoint returns"},
            m.load_checkpoint(path, other.model, other.optimizer),
        )
        seeds = {"torch's seed at saving": 0, "and at loading": 1}
        yield run | seeds | {"shown": "torch.rand(1) afterwards"}, torch.rand(1)
        yield run | {"shown": "the weight"}, other.model.weight.detach().clone()
        yield run | {"buffer": 7.0, "shown": "the buffer"}, other.model.get_buffer("count").clone()
        yield run | {"loaded into": "AdamW of lr 0.25", "shown": "lr"}, other.optimizer.param_groups[0]["lr"]
        yield run | {"shown": "the weight a step later"}, other.step(-1.0)
        yield from small_files(m, run, one, path)


def small_files(m: Any, run: dict[str, Any], one: Tiny, path: Path) -> Iterator[Any]:
    """Yield what becomes of the file when it is replaced, and what is said of files that are damaged."""
    save: Callable[[], None] = lambda: m.save_checkpoint(path, one.model, one.optimizer, 4)  # noqa: E731
    yield (
        run | {"extra": None, "shown": "what load_checkpoint returns"},
        loaded_again(m, one, path.with_name("d")),
    )
    with Moves(path) as moves:
        save()
    inputs = run | {"step": 4, "path": "c, where an older one is"}
    yield inputs | {"shown": "moves to c; True is from the same folder"}, moves.from_same_folder
    yield inputs | {"shown": "moves to c; True is onto the older one"}, moves.onto_older
    older = bytes_of(path)
    with Moves(path, fails=True):
        told = fails(save)
    yield inputs | {"where": "the move fails", "shown": "an exception"}, told
    yield inputs | {"where": "the move fails", "shown": "files"}, names_in(path.parent)
    for name, data in (("empty", b""), ("cut off in the middle", older[: len(older) // 2])):
        path.write_bytes(data)
        yield {"the file": name, "shown": "what load_checkpoint does"}, refusal(m, path, one)
    for rows in (1, 2):
        wide = Tiny(m, rows=3 - rows)
        m.save_checkpoint(path, wide.model, wide.optimizer, 1)
        inputs = {"rows of the saved": 3 - rows, "rows of the model": rows}
        into = Tiny(m, weight=5.0, rows=rows)
        yield inputs | {"shown": "what load_checkpoint does"}, refusal(m, path, into)
    bare = Tiny(m)
    del bare.model.count
    m.save_checkpoint(path, bare.model, bare.optimizer, 1)
    yield {"the file": "of a model without the buffer", "shown": "what it does"}, refusal(m, path, one)


def loaded_again(m: Any, run: Tiny, path: Path) -> Any:
    """Save without extra, load, and return what came back."""
    m.save_checkpoint(path, run.model, run.optimizer, 3)
    came = m.load_checkpoint(path, run.model, run.optimizer)
    path.unlink(missing_ok=True)
    return came
