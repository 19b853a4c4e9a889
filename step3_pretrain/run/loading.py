"""A run read again: its model, its configuration, its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from step2_model.exchange.loading import fill, read_json, stored
from step3_pretrain.run.folder import CONFIG, TRAINING, WEIGHTS
from step3_pretrain.run.record import read_options
from step3_pretrain.trainer.building import needs_more
from step3_pretrain.trainer.chain import Chain


def load_run(path: str | Path, chain: Chain | None = None) -> tuple[Any, Any, Any]:
    """Return the model of a run in evaluation mode, its configuration, and its tokenizer.

    They are built from the code that trained it: your files as they are saved now, or the reference for a run
    with --solution. `chain` says otherwise. Raises ValueError, rule first, for what is no run or is damaged;
    nothing in the folder is run.

    Tutorial: docs/tutorials/step3_pretrain.md#38-checkpoints
    """
    folder = Path(path).expanduser()
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).exists():
        raise ValueError(f"a run must hold {CONFIG} and {WEIGHTS}, got {folder}")
    chain = Chain(was_reference(folder)) if chain is None else chain
    args = args_of(chain, folder)
    family = chain.full_model.FullTransformer if needs_more(args) else chain.model.Transformer
    model = family(args)
    fill(model, stored(folder))
    return model.eval(), args, chain.text.Tokenizer.load(folder)


def was_reference(folder: Path) -> bool:
    """Return whether a run was one of the reference."""
    return (folder / TRAINING).is_file() and bool(read_options(folder).get("solution"))


def args_of(chain: Chain, folder: Path) -> Any:
    """Return the configuration of a run's model. Raises ValueError where the file holds another thing."""
    config = read_json(folder / CONFIG)
    try:
        yarn = config.get("yarn")
        if yarn is not None:
            config = config | {"yarn": chain.model.YarnScaling(**yarn)}
        return chain.model.ModelArgs(**config)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{folder / CONFIG} must be that of a run of this course, got: {error}") from None
