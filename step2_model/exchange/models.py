"""`course export`: one of your models as a folder that `transformers` opens."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from coursekit.loading import CannotLoad
from step1_tokenizer.published import NotThere
from step2_model.exchange.export import export
from step2_model.exchange.loading import fill, read_json, stored, tokenizer_of
from step2_model.exchange.parts import CannotDo, parts

PRESETS = ("tiny", "small", "base", "large", "tiny_moe", "tiny_long")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says: 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="course export", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder to write")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--run", type=Path, help="the folder of a run, with config.json and model.safetensors"
    )
    source.add_argument("--preset", choices=PRESETS, help="a new model of this configuration, not trained")
    parser.add_argument("--tokenizer", type=Path, help="the folder of a tokenizer; by default the run's own")
    parser.add_argument("--seed", type=int, default=0, help="of a new model (%(default)s)")
    parser.add_argument("--solution", action="store_true", help="use the reference, not your own code")
    chosen = parser.parse_args(arguments)
    try:
        model = new_model(chosen) if chosen.preset else trained_model(chosen.run, chosen.solution)
        tokens = chosen.tokenizer or chosen.run
        tokenizer = None if tokens is None else tokenizer_of(tokens)
        if chosen.tokenizer is not None and tokenizer is None:
            raise CannotDo(f"--tokenizer must name a folder with tokenizer.json, got {chosen.tokenizer}")
        folder = export(model, chosen.folder, tokenizer)
    except KeyboardInterrupt:
        return 130
    except (CannotDo, CannotLoad, NotThere, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{chosen.folder} cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    kind = read_json(folder / "config.json")["architectures"][0]
    print(f"{folder} opens in transformers as {kind}: AutoModelForCausalLM.from_pretrained({str(folder)!r})")
    return 0


def new_model(chosen: argparse.Namespace) -> Any:
    """Return a new model of a preset."""
    further = parts(chosen.solution, "further")
    args = getattr(parts(chosen.solution).ModelConfigs, chosen.preset)()
    torch.manual_seed(chosen.seed)
    return built(args, further, parts(chosen.solution))


def trained_model(run: Path, solution: bool) -> Any:
    """Return the model of a run's folder, in which configuration and weights carry our own names."""
    core, further = parts(solution), parts(solution, "further")
    config = read_json(run / "config.json")
    try:
        if "block_size" in config:
            model = core.GPT(core.GPTConfig(**config))
        else:
            yarn = config.get("yarn")
            config["yarn"] = None if yarn is None else further.YarnScaling(**yarn)
            model = built(further.ModelArgs(**config), further, core)
    except TypeError as error:
        raise CannotDo(f"{run}/config.json must be that of a run of this course, got {error}") from None
    fill(model, stored(run))
    return model


def built(args: Any, further: ModuleType, core: ModuleType) -> Any:
    """Return a new decoder for these arguments: the core's where it suffices."""
    needs_more = args.q_lora_rank or args.yarn or args.n_experts
    return further.FullTransformer(args) if needs_more else core.Transformer(args)


if __name__ == "__main__":
    raise SystemExit(main())
