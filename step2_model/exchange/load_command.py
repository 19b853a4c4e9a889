"""`course load`: a published model, or one of a folder, in your own classes, completing a prompt.

Your own code computes where it has passed its checks; for the rest the reference stands in, and it is said
which. `--solution` takes the reference alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch

from coursekit.loading import CannotLoad
from coursekit.whose import whose
from step1_tokenizer.published import NotThere
from step2_model import finale
from step2_model.exchange.compare import compare
from step2_model.exchange.greedy import continued
from step2_model.exchange.hub import folder_of
from step2_model.exchange.loading import load
from step2_model.exchange.parts import CannotDo, parts

PROMPT = "The capital of France is"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says: 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="course load", description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="a folder, or a name of the Hugging Face hub such as gpt2")
    parser.add_argument("--prompt", default=PROMPT, help="what to continue (%(default)s)")
    parser.add_argument("--ids", type=int, nargs="+", help="what to continue, as ids; needs no tokenizer")
    parser.add_argument("--tokens", type=int, default=20, help="how many to add (%(default)s)")
    parser.add_argument("--compare", action="store_true", help="open it in transformers too, and compare")
    parser.add_argument("--solution", action="store_true", help="use the reference, not your own code")
    chosen = parser.parse_args(arguments)
    try:
        show(chosen)
    except KeyboardInterrupt:
        return 130
    except (CannotDo, CannotLoad, NotThere, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def show(chosen: argparse.Namespace) -> None:
    """Load, say what was loaded, and continue the prompt."""
    folder = folder_of(chosen.name)
    core, further = parts(chosen.solution), parts(chosen.solution, "further")
    model, tokenizer = load(folder, core=core, further=further)
    size = sum(parameter.numel() for parameter in model.parameters())
    module = further if type(model).__name__ == "FullTransformer" else core
    made_of = finale.PARTS if type(model).__name__ == "GPT" else ()
    print(f"{type(model).__name__} with {size:,} parameters from {chosen.name}. {whose(module, *made_of)}")
    longest = model.args.max_seq_len if hasattr(model, "args") else model.config.block_size
    ids, count = prompt_of(chosen, tokenizer), max(chosen.tokens, 0)
    if not 0 < len(ids) <= longest - count:
        raise CannotDo(f"prompt and new tokens must be 1 to {longest} tokens, got {len(ids)} and {count}")
    found = list(continued(model, ids, count))
    print(f"{ids} -> {found}" if tokenizer is None else chosen.prompt + tokenizer.decode(found))
    if chosen.compare:
        print(against_library(folder, model, ids, found))


def prompt_of(chosen: argparse.Namespace, tokenizer: Any) -> list[int]:
    """Return the ids of the prompt. Raises CannotDo where there is neither a tokenizer nor ids."""
    if chosen.ids is not None:
        return list(chosen.ids)
    if tokenizer is None:
        raise CannotDo(f"{chosen.name} has no tokenizer: give the prompt as ids, --ids 1 2 3")
    return list(tokenizer.encode(chosen.prompt))


def against_library(folder: Any, model: Any, ids: list[int], found: list[int]) -> str:
    """Return where our model and the one of `transformers` differ, and whether both write the same tokens."""
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    given = torch.tensor([ids])
    written = theirs.generate(
        given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=len(found),
        min_new_tokens=len(found),
        do_sample=False,
        pad_token_id=0,
    )
    same = "writes the same tokens" if written[0, len(ids) :].tolist() == found else "writes other tokens"
    return f"{compare(model, theirs, given)} transformers {same}."


if __name__ == "__main__":
    raise SystemExit(main())
