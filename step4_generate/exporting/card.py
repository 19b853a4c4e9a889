"""The model card of an exported folder: what it is, whose code made it, what was measured, how to use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from step2_model.exchange.loading import read_json
from step3_pretrain.run.folder import METRICS, TRAINING, WEIGHTS, RunFolder
from step3_pretrain.run.inspecting import FOUND, Seen
from step3_pretrain.run.pages import card
from step3_pretrain.run.parts import by_author, used
from step3_pretrain.run.record import read_record
from step3_pretrain.trainer.options import Options
from step4_generate.talk.opening import Opened

HEAD = "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n\n"
USE = """
## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(FOLDER)  # {kind}
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
ids = {ids}
print(tokenizer.decode(model.generate(**ids, max_new_tokens=60)[0]))
```
"""
PLAIN = 'tokenizer({start}"One day", return_tensors="pt")'
DIALOGUE = """tokenizer.apply_chat_template(
    [{"role": "system", "content": STORY}, {"role": "user", "content": QUESTION}],
    add_generation_prompt=True, return_tensors="pt", return_dict=True,
)"""


def card_of(opened: Opened, kind: str) -> str:
    """Return the card as Markdown; a folder that is no run has only what its model shows."""
    path = opened.path / TRAINING
    told = card(seen_of(opened)) if path.is_file() and "plan" in read_json(path) else plain_card(opened)
    start = "" if opened.end_of_text is None else "tokenizer.bos_token + "
    ids = DIALOGUE if opened.has_dialogue else PLAIN.format(start=start)
    return HEAD + told + USE.format(kind=kind, ids=ids)


def seen_of(opened: Opened) -> Seen:
    """Return what a run says of itself; what `course run inspect` found counts if the model is not newer."""
    run = RunFolder(opened.path)
    training = read_record(run.path)
    options, states = Options.from_json(training["options"]), training["parts"]
    parts = by_author(used(options, opened.model.args, states), states)
    judged = found_by_inspection(run.path)
    return Seen(run.path.resolve().name, training, run.lines(METRICS), [], parts, judged)


def found_by_inspection(folder: Path) -> dict[str, Any] | None:
    """Return what the parser said of this very model, or None."""
    report, weights = folder / FOUND, folder / WEIGHTS
    if not report.is_file() or report.stat().st_mtime < weights.stat().st_mtime:
        return None
    found: dict[str, Any] | None = read_json(report).get("judged")
    return found


def plain_card(opened: Opened) -> str:
    """Return the card of a model whose training left no record."""
    size = sum(parameter.numel() for parameter in opened.model.parameters())
    who = "the reference's" if opened.made_by.is_reference else "the learner's own"
    lines = [f"# Model card: {opened.path.resolve().name}", ""]
    lines += [f"{type(opened.model).__name__}, {size:,} parameters. Classes: {who}.", ""]
    lines += ["How it was trained is not recorded, and nothing was measured.", "", "## Not for", ""]
    return (
        "\n".join([*lines, "It is made to learn from, not to be relied on for facts, advice or code."]) + "\n"
    )
