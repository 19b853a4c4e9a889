"""3.8, checkpoints: known mistakes with how the file is written, and with files that must not be taken."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from coursekit.probe import mistake
from step3_pretrain.mistakes.checkpoint_parts import (
    compare,
    moments,
    pair,
    parse,
    part,
    put,
    read,
    restore,
    write,
)
from step3_pretrain.model_solution import restore_generators

Pair = dict[str, Callable[..., Any]]


@mistake("3.8")
def in_place() -> Pair:
    """Your checkpoint is written over the older one. A run that is killed meanwhile has neither: write under
    another name, then move the whole file into place.
    """

    def over(tensors: Any, rest: Any, path: Path) -> None:
        write(tensors, rest, path)

    return pair(put=over)


@mistake("3.8")
def draft_stays() -> Pair:
    """Your draft stays behind where writing or moving it fails. On a full disk every try would fill it
    further: remove it in a `finally`.
    """

    def untidy(tensors: Any, rest: Any, path: Path) -> None:
        draft = path.with_name(f"{path.name}.tmp")
        write(tensors, rest, draft)
        os.replace(draft, path)

    return pair(put=untidy)


@mistake("3.8")
def draft_elsewhere() -> Pair:
    """Your draft is written into another folder. That may be another disk, where a move is a copy that can be
    cut short, or an error: write it beside the file.
    """

    def from_afar(tensors: Any, rest: Any, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write(tensors, rest, Path(folder) / "draft")
            os.replace(Path(folder) / "draft", path)

    return pair(put=from_afar)


@mistake("3.8")
def older_removed_first() -> Pair:
    """Your older checkpoint is removed before the new one is in its place. A run that is killed between the
    two has none: os.replace puts the new one over it.
    """

    def with_gap(tensors: Any, rest: Any, path: Path) -> None:
        draft = path.with_name(f"{path.name}.tmp")
        try:
            write(tensors, rest, draft)
            path.unlink(missing_ok=True)
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)

    return pair(put=with_gap)


@mistake("3.8")
def keeps_the_older() -> Pair:
    """Your saving leaves an older checkpoint where it is and writes none. `path` is to hold the new one."""

    def if_missing(tensors: Any, rest: Any, path: Path) -> None:
        if not path.exists():
            put(tensors, rest, path)

    return pair(put=if_missing)


@mistake("3.8")
def two_files() -> Pair:
    """Your checkpoint is two files. A kill between them leaves a new one beside an old one, and whoever
    copies one alone has nothing: put JSON and tensors into one file.
    """

    def apart(tensors: Any, rest: Any, path: Path) -> None:
        put(tensors, rest, path)
        path.with_suffix(".json").write_text(json.dumps(rest))

    return pair(put=apart)


@mistake("3.8")
def another_name() -> Pair:
    """Your file has another name than was asked for: an ending is added to it. Whoever looks for the
    checkpoint under its path finds none.
    """

    def ending(path: Path) -> Path:
        return path.with_name(f"{path.name}.ckpt")

    def longer(tensors: Any, rest: Any, path: Path) -> None:
        put(tensors, rest, ending(path))

    def found(path: Path) -> Any:
        return read(path if path.exists() else ending(path))

    return pair(put=longer, read=found)


@mistake("3.8")
def fails_in_silence() -> Pair:
    """Your saving swallows its errors. A run on a full disk would go on for days, and its last checkpoint
    would be from the first: tidy up, and let the exception out.
    """

    def quietly(tensors: Any, rest: Any, path: Path) -> None:
        with contextlib.suppress(Exception):
            put(tensors, rest, path)

    return pair(put=quietly)


@mistake("3.8")
def begins_anew() -> Pair:
    """Your loading takes a damaged file for the beginning of a run: step 0, nothing changed. Days of training
    would be overwritten without a word: raise ValueError.
    """
    own = pair()

    def load(path: Path, model: Any, optimizer: Any) -> Any:
        try:
            return own["load_checkpoint"](path, model, optimizer)
        except ValueError:
            return 0, {}

    return own | {"load_checkpoint": load}


@mistake("3.8")
def any_error() -> Pair:
    """Your loading lets through whatever error a damaged file leads to. Whoever calls it cannot catch them
    all: make one ValueError of them, with the path.
    """
    return pair(read=parse)


@mistake("3.8")
def no_path_told() -> Pair:
    """Your ValueError does not say which file is damaged. A run keeps several, and the one before it may be
    whole: name the path.
    """

    def nameless(path: Path) -> Any:
        try:
            return parse(path)
        except Exception:  # noqa: BLE001 - whatever a damaged file leads to
            raise ValueError("no checkpoint") from None

    def nameless_too(path: Path, model: Any, tensors: Any) -> None:
        compare(Path("a file"), model, tensors)

    return pair(read=nameless, compare=nameless_too)


@mistake("3.8")
def half_loaded() -> Pair:
    """Your loading finds out that a file is another model's when some weights are in place already. The model
    is then neither the one nor the other: compare names and shapes first.
    """

    def too_late(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        try:
            model.load_state_dict(part(tensors, "model"))
        except RuntimeError as error:
            raise ValueError(f"{rest['path']}: {error}") from None
        moments(optimizer, tensors, rest)
        restore_generators(part(tensors, "random"))

    def with_path(path: Path) -> Any:
        tensors, rest = read(path)
        return tensors, rest | {"path": str(path)}

    return pair(read=with_path, compare=lambda *_: None, restore=too_late)


@mistake("3.8")
def repeated_to_fit() -> Pair:
    """Your loading compares names, not shapes: copy_ repeats a row until it fits. Another model's weights
    come in without an error.
    """

    def names_only(path: Path, model: Any, tensors: Any) -> None:
        if model.state_dict().keys() != part(tensors, "model").keys():
            compare(path, model, tensors)

    def repeated(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        own, there = model.state_dict(), part(tensors, "model")
        try:
            fitting = {name: there[name].expand_as(tensor) for name, tensor in own.items()}
        except RuntimeError:
            raise ValueError(f"{rest['path']} does not fit") from None
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(fitting[name])
        restore_generators(part(tensors, "random"))
        with contextlib.suppress(ValueError):
            moments(optimizer, tensors, rest)

    def with_path(path: Path) -> Any:
        tensors, rest = read(path)
        return tensors, rest | {"path": str(path)}

    return pair(read=with_path, compare=names_only, restore=repeated)


@mistake("3.8")
def generator_before_checks() -> Pair:
    """Your loading puts the generator back before it has looked at the weights. Where these do not fit, a
    file that was refused has changed the run: check all first, then change.
    """

    def too_early(path: Path, model: Any, tensors: Any) -> None:
        restore_generators(part(tensors, "random"))
        compare(path, model, tensors)

    return pair(compare=too_early, restore=restore)
