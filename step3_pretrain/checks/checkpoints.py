"""Probes of checkpoints (3.8): whatever the format, a run goes on bit for bit, and no file is half a one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coursekit.probe import at_most, check, new_process, redraw
from step3_pretrain.checks.checkpoint_damage import refuses
from step3_pretrain.checks.checkpoint_runs import (
    FULL_DISK,
    Momentum,
    Moves,
    Tied,
    Training,
    bytes_of,
    changed,
    fails,
    folder,
    full_disk,
    names_in,
)

EXTRA = {"tokenizer": "bytes", "log": [1, 2.5, None, True], "by name": {"ä": "€", "": {}}}
DONE, MORE = 3, 4


@check("3.8")
def checkpoints(m: Any, rng: Any) -> Any:
    with folder() as place:
        path = place / "step-3.safetensors"
        run = Training(m, rng)
        run.steps(0, DONE)
        before = run.everything()
        m.save_checkpoint(path, run.model, run.optimizer, DONE, EXTRA)
        yield "the file has the name that it was given, and so many are beside it", alone(path)
        yield "saving changes nothing: this has changed", changed(before, run.everything())
        size = sum(tensor.nbytes for tensor in before["the weights"].values())
        yield at_most(
            "bytes of the file: weights, two means, and not much more", len(bytes_of(path)), 20 * size
        )
        # Handed on before anything is loaded: what the new process goes on from has never been interrupted.
        checkpoint, losses = bytes_of(path), run.steps(DONE, MORE)
        yield from comes_back(m, rng, path, run, losses)
        yield from other_models(m, rng, place)
        yield from replaces(m, path, run)
        yield from refuses(m, path, run)
        return {"checkpoint": checkpoint, "losses": json.dumps([loss.hex() for loss in losses]).encode()}


@new_process("3.8")
def resumed(m: Any, rng: Any, files: dict[str, bytes]) -> Any:
    with folder() as place:
        path = place / "moved"
        path.write_bytes(files["checkpoint"])
        # The same data, but other weights and another generator: all the rest must come from the file.
        run = Training(m, rng, lr=0.5, decay=0.0, beta=0.5)
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in run.model.parameters():
                parameter.add_(1.0)
        came = m.load_checkpoint(path, run.model, run.optimizer)
        yield "a new process, another place: step and extra", came
        losses = run.steps(DONE, MORE)
        wanted = [float.fromhex(loss) for loss in json.loads(files["losses"])]
        count = how_many_equal(losses, wanted)
        yield (
            f"of the next {MORE} losses there, so many equal those of the run that went on, bit for bit",
            count,
        )
        yield "and it ends with the same weights", run.weights()


def how_many_equal(losses: list[float], wanted: list[float]) -> int:
    """Count the losses from the first on that are the wanted ones, bit for bit."""
    return next((i for i, pair in enumerate(zip(losses, wanted)) if pair[0] != pair[1]), len(losses))


def comes_back(m: Any, rng: Any, path: Path, first: Training, went_on: list[float]) -> Iterator[Any]:
    """Yield what a run with other weights and settings gets from the file of the first, piece by piece."""
    run = Training(m, rng, lr=0.5, decay=0.0, beta=0.5)
    run.data = first.data
    run.steps(0, 2)

    def load() -> Any:
        return m.load_checkpoint(path, run.model, run.optimizer)

    yield "load_checkpoint returns the number of the next step, and extra", load()
    yield "the weights are back", run.weights()
    yield "the buffers, too", dict(run.model.named_buffers())
    yield "the optimizer's settings are those that were saved", run.settings()
    yield (
        "its state, too: a step with the same gradients leads to the same weights",
        run.step_without_chance(),
    )
    load()
    yield "the generator draws what it would have drawn", torch.rand(3)
    load()
    equal_losses = how_many_equal(run.steps(DONE, MORE), went_on)
    yield f"of the next {MORE} losses, so many equal those of the first run, bit for bit", equal_losses


def other_models(m: Any, rng: Any, place: Path) -> Iterator[Any]:
    """Yield what comes back without extra, of another optimizer, and of tensors that lie otherwise."""
    model, path = redraw(nn.Linear(3, 2), rng), place / "other"
    optimizer = Momentum(model.parameters(), lr=0.3)
    inputs = rng.normal(5, 3)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        model(inputs).square().sum().backward()
        optimizer.step()
        return model.weight.detach().clone()

    step()
    m.save_checkpoint(path, model, optimizer, 0)
    step()
    yield "without extra an empty one comes back", m.load_checkpoint(path, model, optimizer)
    yield "an optimizer with other state: it goes on in the same way", [step(), step()]
    path.unlink(missing_ok=True)
    tied, path = redraw(Tied(), rng), place.absolute() / "tied"
    optimizer = Momentum(tied.parameters(), lr=0.3)
    m.save_checkpoint(path, tied, optimizer, 1)
    wanted = {name: tensor.clone() for name, tensor in tied.state_dict().items()}
    redraw(tied, rng)
    m.load_checkpoint(path, tied, optimizer)
    yield "two names for one tensor, and one that lies column by column", wanted | dict(tied.state_dict())
    path.unlink(missing_ok=True)


def replaces(m: Any, path: Path, run: Training) -> Iterator[Any]:
    """Yield how a second checkpoint takes the place of the first, and what is there where that fails."""

    def save(step: int) -> None:
        m.save_checkpoint(path, run.model, run.optimizer, step, EXTRA)

    with Moves(path) as moves:
        save(DONE + 1)
    yield "a second one takes the place of the first", m.load_checkpoint(path, run.model, run.optimizer)[0]
    yield (
        "it comes into its place by a move, which is done at once or not at all",
        bool(moves.from_same_folder),
    )
    yield "from the same folder: between two disks a move is a copy", moves.from_same_folder
    yield "until then the older one stands there", moves.onto_older
    older = bytes_of(path)
    with Moves(path, fails=True):
        is_told = [fails(lambda: save(DONE + 2))]
    yield "where the move fails, the older one stands as it was", is_still(path, older)
    yield "and nothing of the new one stays: so many files are beside it", alone(path)
    tidy(path, older)
    if FULL_DISK:
        with full_disk(len(older) // 2):
            is_told.append(fails(lambda: save(DONE + 2)))
        yield "where the disk is full in the middle, too", (is_still(path, older), alone(path))
        tidy(path, older)
    yield "a checkpoint that could not be written is told by an exception", is_told


def alone(path: Path) -> tuple[bool, int]:
    """Return whether a file is there, and how many are beside it, under whatever names."""
    return path.is_file(), len(set(names_in(path.parent)) - {path.name})


def is_still(path: Path, data: bytes) -> bool:
    """Tell whether a file is there and holds these bytes."""
    return path.exists() and bytes_of(path) == data


def tidy(path: Path, data: bytes) -> None:
    """Leave one file in the folder, with these bytes."""
    for name in names_in(path.parent):
        (path.parent / name).unlink()
    if data:
        path.write_bytes(data)
