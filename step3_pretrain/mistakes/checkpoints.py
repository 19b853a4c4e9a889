"""3.8, checkpoints: known mistakes with what is saved and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coursekit.probe import mistake
from step3_pretrain.mistakes.checkpoint_parts import (
    compare,
    gather,
    moments,
    pair,
    part,
    put,
    restore,
)
from step3_pretrain.model_solution import restore_generators

Pair = dict[str, Callable[..., Any]]


@mistake("3.8")
def no_optimizer_state() -> Pair:
    """Your checkpoint lacks the optimizer's state. AdamW would begin anew with means of 0 and count from step
    1: the loss jumps at every resume.
    """

    def without_state(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        optimizer.load_state_dict({"state": {}, "param_groups": rest["groups"]})
        model.load_state_dict(part(tensors, "model"))
        restore_generators(part(tensors, "random"))

    return pair(restore=without_state)


@mistake("3.8")
def no_numbers_of_state() -> Pair:
    """Your checkpoint keeps the tensors of the optimizer's state and loses its numbers. Without the count of
    steps the means are corrected once more, as in the beginning.
    """

    def with_zeros(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        numbers = [[index, name, type(value)(0)] for index, name, value in rest["numbers"]]
        restore(model, optimizer, tensors, rest | {"numbers": numbers})

    return pair(restore=with_zeros)


@mistake("3.8")
def no_settings() -> Pair:
    """Your checkpoint lacks the optimizer's settings. After loading, its groups have the rates and decays
    that it was made with, not those that the schedule had come to.
    """

    def with_own_groups(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        restore(model, optimizer, tensors, rest | {"groups": optimizer.state_dict()["param_groups"]})

    return pair(restore=with_own_groups)


@mistake("3.8")
def one_group_for_all() -> Pair:
    """Your checkpoint keeps the settings of the first group only, and gives them to all. Gains that should
    not decay would decay after a resume.
    """

    def with_first_group(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        groups = [rest["groups"][0] | {"params": group["params"]} for group in rest["groups"]]
        restore(model, optimizer, tensors, rest | {"groups": groups})

    return pair(restore=with_first_group)


@mistake("3.8")
def no_generator() -> Pair:
    """Your checkpoint lacks the state of the random generator. Dropout draws other masks after a resume, and
    the run is another one.
    """

    def without_generator(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        moments(optimizer, tensors, rest)
        model.load_state_dict(part(tensors, "model"))

    return pair(restore=without_generator)


@mistake("3.8")
def seeded_again() -> Pair:
    """Your checkpoint seeds the random generator anew when it is loaded. Every resume would draw the same
    numbers as the one before; save where the generator is.
    """

    def with_seed(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        restore(model, optimizer, tensors, rest)
        torch.manual_seed(rest["step"])

    return pair(restore=with_seed)


@mistake("3.8")
def moves_generator() -> Pair:
    """Your saving draws from the random generator, for the name of a draft say. A run that saves more often
    would be another run: save must change nothing.
    """

    def with_draw(tensors: Any, rest: Any, path: Path) -> None:
        torch.randint(10**6, ())
        put(tensors, rest, path)

    return pair(put=with_draw)


@mistake("3.8")
def no_buffers() -> Pair:
    """Your checkpoint holds the parameters and lacks the buffers: named_parameters() leaves out what is kept
    but not trained. state_dict() has both.
    """

    def with_own_buffers(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        own = {f"model/{name}": buffer.clone() for name, buffer in model.named_buffers()}
        restore(model, optimizer, tensors | own, rest)

    return pair(restore=with_own_buffers)


@mistake("3.8")
def half_precision() -> Pair:
    """Your weights are saved in half precision. The file is smaller, and the run goes on from other weights:
    what is trained needs all its digits.
    """

    def rounded(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        halves = {n: t.half().float() if t.is_floating_point() else t for n, t in tensors.items()}
        restore(model, optimizer, halves, rest)

    return pair(restore=rounded)


@mistake("3.8")
def new_parameters() -> Pair:
    """Your loading gives the model new parameters. The optimizer still moves the old ones, and nothing is
    learned any more: copy the numbers into those that are there.
    """

    def assigned(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        moments(optimizer, tensors, rest)
        model.load_state_dict(part(tensors, "model"))
        for owner in list(model.modules()):
            for name, parameter in list(owner.named_parameters(recurse=False)):
                setattr(owner, name, nn.Parameter(parameter.detach().clone()))
        restore_generators(part(tensors, "random"))

    return pair(restore=assigned)


@mistake("3.8")
def a_step_too_far() -> Pair:
    """Your step comes back as one more than was saved. `step` is the number of the next step already: a batch
    would be left out at every resume.
    """

    def one_more(model: Any, optimizer: Any, step: int, extra: Any) -> Any:
        return gather(model, optimizer, step + 1, extra)

    return pair(gather=one_more)


@mistake("3.8")
def a_step_back() -> Pair:
    """Your step comes back as one less than was saved, the last one that was done. It is the next one: a
    batch would be read twice at every resume.
    """

    def one_less(model: Any, optimizer: Any, step: int, extra: Any) -> Any:
        return gather(model, optimizer, step - 1, extra)

    return pair(gather=one_less)


@mistake("3.8")
def no_step() -> Pair:
    """Your step is not saved: loading returns 0. The run would read the first batches once more, and the
    schedule would begin with its warm-up.
    """

    def from_zero(model: Any, optimizer: Any, step: int, extra: Any) -> Any:
        return gather(model, optimizer, 0, extra)

    return pair(gather=from_zero)


@mistake("3.8")
def no_extra() -> Pair:
    """Your `extra` is lost: loading returns an empty one. What a run keeps there, its configuration say,
    would be gone.
    """

    def without_extra(model: Any, optimizer: Any, step: int, extra: Any) -> Any:
        return gather(model, optimizer, step, None)

    return pair(gather=without_extra)


@mistake("3.8")
def kept_in_memory() -> Pair:
    """Your state stays in memory, and the file holds too little of it. In the process that saved, all seems
    well; in a new one it is gone, and that is what a checkpoint is for.
    """
    memory: dict[str, Any] = {}

    def remember(tensors: Any, rest: Any, path: Path) -> None:
        put(
            {name: t for name, t in tensors.items() if name.startswith("model/")},
            rest | {"numbers": []},
            path,
        )
        memory.update(tensors=tensors, numbers=rest["numbers"])

    def recall(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        tensors = {name: t.clone() for name, t in (memory.get("tensors", {}) | tensors).items()}
        restore(model, optimizer, tensors, rest | {"numbers": memory.get("numbers", [])})

    return pair(put=remember, restore=recall)


@mistake("3.8")
def strict_about_nothing() -> Pair:
    """Your loading takes what fits by name and leaves the rest as it is, as with strict=False. A model that
    is half another one would train on without a word.
    """

    def what_fits(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        model.load_state_dict(part(tensors, "model"), strict=False)
        restore_generators(part(tensors, "random"))
        if len(optimizer.state_dict()["param_groups"]) == len(rest["groups"]):
            moments(optimizer, tensors, rest)

    def shapes_only(path: Path, model: Any, tensors: Any) -> None:
        own, there = model.state_dict(), part(tensors, "model")
        if any(own[name].shape != there[name].shape for name in own.keys() & there.keys()):
            compare(path, model, tensors)

    return pair(restore=what_fits, compare=shapes_only)
