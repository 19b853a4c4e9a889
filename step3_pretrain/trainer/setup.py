"""How a run begins: a new one in a new folder, or one that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from coursekit.corpora.shards import fingerprint
from coursekit.registry import COURSE_ROOT
from step3_pretrain.parallel.world import ALONE, World
from step3_pretrain.run.folder import CONFIG, TRAINING, RunFolder, free_name
from step3_pretrain.run.loading import args_of
from step3_pretrain.run.record import read_record
from step3_pretrain.trainer.building import model_args, new_model
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.data import CACHE, data_for, rows_of, tokens_a_step
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.loop import Trainer
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.plan import plan
from step3_pretrain.trainer.precision import DTYPES, choose_device, choose_dtype
from step3_pretrain.trainer.tokenizers import tokenizer_for
from step3_pretrain.trainer.view import View

RUNS = COURSE_ROOT / "runs"


def new_run(
    options: Options, output: Path | None, view: View, cache: Path = CACHE, world: World = ALONE
) -> Trainer:
    """Return the trainer of a new run, whose folder is made and holds all but what training adds.

    Raises CannotTrain for a folder that holds a run, and whatever tokenizer and corpus raise.
    """
    if output is None and not world.is_alone:
        raise CannotTrain("several processes need one folder for all of them: --output FOLDER")
    path = output or free_name(RUNS, (options.preset, options.corpus))
    run = RunFolder(path.expanduser())
    if run.is_run and world.is_first:
        raise CannotTrain(f"--output must be a new folder, got {path}, which holds a run: --resume {path}")
    chain = Chain(options.solution)
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device)
    name = next(name for name, each in DTYPES.items() if each == dtype)
    options = replace(options, dtype=name, rows=rows_of(options))
    wanted = model_args(chain, options, options.vocab_size)
    with world.first_alone():
        if world.is_first:
            tokenizer = tokenizer_for(chain, options, wanted.vocab_size)
            _hand_on(tokenizer, run, world)
        else:
            tokenizer = chain.text.Tokenizer.load(run.path)
    args = model_args(chain, options, len(tokenizer))
    return _trainer(chain, options, args, tokenizer, run, device, view, cache, world)


def _hand_on(tokenizer: Any, run: RunFolder, world: World) -> None:
    """Put the tokenizer where the other processes of the run find it."""
    try:
        if not world.is_alone:
            run.path.mkdir(parents=True, exist_ok=True)
            tokenizer.save(run.path)
    except OSError as error:
        raise not_writable(run, error) from None


def not_writable(run: RunFolder, error: OSError) -> CannotTrain:
    """Return what to say of a folder that takes no file."""
    why = error.strerror or error
    return CannotTrain(f"the folder of a run must be writable, got {run.path}: {why}")


def resumed(
    path: Path, given: Mapping[str, Any], view: View, cache: Path = CACHE, world: World = ALONE
) -> Trainer:
    """Return the trainer of a run that goes on, at its newest good checkpoint.

    `given` are options of the command line; those that would make it another run are refused. Raises
    CannotTrain where the folder is no run or damaged, or its corpus or model is another by now.
    """
    run = RunFolder(path.expanduser())
    if not run.is_run:
        raise CannotTrain(f"--resume must name the folder of a run, with {TRAINING}, got {path}")
    try:
        kept = read_record(run.path)
        options = Options.from_json(kept["options"]).going_on(given)
        chain = Chain(options.solution)
        args = args_of(chain, run.path)
        tokenizer = chain.text.Tokenizer.load(run.path)
    except ValueError as error:
        raise CannotTrain(str(error)) from None
    device = choose_device(options.device)
    trainer = _trainer(chain, options, args, tokenizer, run, device, view, cache, world, kept["identity"])
    trainer.restore()
    return trainer


def _trainer(
    chain: Chain,
    options: Options,
    args: Any,
    tokenizer: Any,
    run: RunFolder,
    device: str,
    view: View,
    cache: Path,
    world: World,
    kept: Mapping[str, str] | None = None,
) -> Trainer:
    if options.batch_size % (world.size * options.accumulate):
        got = f"{options.batch_size}, {world.size} and {options.accumulate}"
        rule = "--batch-size must be a multiple of processes times --accumulate"
        raise CannotTrain(f"{rule}, got {got}")
    with world.first_alone():
        data = data_for(chain, tokenizer, options, view, cache)
    identity = {"options": options.identity(), "model": fingerprint(asdict(args)), "data": data.identity()}
    for name in identity:
        if kept is not None and kept.get(name) != identity[name]:
            raise CannotTrain(
                f"a run must go on with the {name} that it began with, got another by now: begin another run"
            )
    length = plan(options, len(data.stream), tokens_a_step(options, data, args.max_seq_len))
    model = new_model(chain, args, options.seed)
    trainer = Trainer(chain, options, length, data, run, model, tokenizer, device, identity, view, world)
    if not world.is_first:
        # Dropout draws other numbers in every process.
        torch.manual_seed(options.seed + world.rank * 1_000_003)
    if world.is_first:
        keep(trainer)
    view.say(summary(trainer))
    return trainer


def keep(trainer: Trainer) -> None:
    """Write what stands before the first step; `training.json`, the last of it, makes the folder a run."""
    run = trainer.run
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        if not run.is_run:
            trainer.tokenizer.save(run.path)
            run.write_json(CONFIG, asdict(trainer.model.args))
        run.write_json(TRAINING, record(trainer))
    except OSError as error:
        raise not_writable(run, error) from None


def record(trainer: Trainer) -> dict[str, Any]:
    """Return what `training.json` says of a run."""
    num_parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    stream = trainer.data.stream
    return {
        "options": trainer.options.to_json(),
        "identity": trainer.identity,
        "plan": asdict(trainer.plan),
        "device": trainer.device,
        "processes": trainer.world.size,
        "num_parameters": num_parameters,
        "num_tokens": len(stream),
        "num_bytes": stream.num_bytes,
        "parts": {part.id: part.state.value for part in trainer.chain.parts()},
        "versions": {"torch": version("torch")},
    }


def summary(trainer: Trainer) -> str:
    """Say in three lines what is about to be trained, and whose code it is."""
    options, stream = trainer.options, trainer.data.stream
    num_parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    tokens = tokens_a_step(options, trainer.data, trainer.model.args.max_seq_len)
    length = (
        f"{trainer.plan.total / 60_000:g} minutes"
        if trainer.plan.by_clock
        else f"{trainer.plan.total:,} steps, {trainer.plan.total * tokens / len(stream):.2f} epochs"
    )
    name = type(trainer.model).__name__.removeprefix("FSDP")
    whose = "the reference" if trainer.chain.is_reference else "your files as they are saved"
    return (
        f"{name} with {num_parameters:,} parameters, by {whose}\n"
        f"{len(stream):,} tokens of {options.corpus}, {stream.num_bytes / len(stream):.2f} bytes a token\n"
        f"{length} of {options.batch_size} {options.rows}, about {tokens:,.0f} tokens, "
        f"{options.dtype} on {trainer.device}"
    )
