"""Export a model: `course export RUN DIR`.

DIR becomes a folder that `transformers` opens with AutoModelForCausalLM and AutoTokenizer: weights under its
names, tokenizer, chat template, model card. Where the library is installed both write beside each other.
RUN may be a preset, for a new model that is not trained.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from step2_model.exchange.models import PRESETS
from step3_pretrain.trainer.chain import Chain
from step4_generate.exporting.folder import exported
from step4_generate.talk.arguments import finished, model_of
from step4_generate.talk.opening import Opened

app = typer.Typer(add_completion=False)
RUN_HELP = f"The folder of a run, or a preset ({', '.join(PRESETS)})."
Run = Annotated[Path, typer.Argument(help=RUN_HELP, show_default=False)]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Of a preset's new weights.")]
Compared = Annotated[bool, typer.Option("--compare/--no-compare", help="Open it in transformers too.")]
Solution = Annotated[bool, typer.Option("--solution", help="Use the reference, not your code.")]


@app.command(help=__doc__.partition("\n\n")[0])
def export(
    run: Run, folder: Folder, seed: Seed = 0, compare: Compared = True, solution: Solution = False
) -> int:
    """Write the folder, and open it again."""
    opened = new_model(str(run), seed, solution) if str(run) in PRESETS else None
    opened = opened or model_of({"run": run, "solution": solution, "device": "cpu"})
    kind = exported(opened, folder)
    print(f"{folder} opens in transformers as {kind}: AutoModelForCausalLM.from_pretrained({str(folder)!r})")
    if not compare or find_spec("transformers") is None:
        return 0
    from step4_generate.exporting.beside import beside

    found = beside(opened, folder)
    print(found)
    return 0 if found.is_equal else 1


def new_model(preset: str, seed: int, solution: bool) -> Opened:
    """Return a new model of a preset, which reads bytes and the special tokens of the course."""
    from step3_pretrain.trainer.building import new_model as built

    chain = Chain(solution)
    tokenizer = chain.text.Tokenizer([], chain.core.SPECIAL_TOKENS)
    args = getattr(chain.model.ModelConfigs, preset)()
    model = built(chain, args, seed).eval()
    print(f"A new {type(model).__name__}, not trained", file=sys.stderr)
    return Opened(Path(preset), model, tokenizer, chain, chain, has_dialogue=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says: 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    return finished(app, "course export", arguments)


if __name__ == "__main__":
    raise SystemExit(main())
