"""A run's report and its model card, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from step3_pretrain.run.inspecting import Seen

SHOWN = 4


def report(seen: Seen) -> str:
    """Return what was seen of a run: where it stands, its curves, what it writes and answers."""
    training, last = seen.training, seen.last
    losses = [line for line in seen.lines if "loss" in line]
    lines = [f"# The run {seen.name}", "", *facts(training), ""]
    if losses:
        first, final = losses[0], losses[-1]
        lines.append(
            f"Loss {first['loss']:.3f} nats at the first step, {final['loss']:.3f} at step {final['step']:,}."
        )
    if last:
        lines.append(f"Held out: {last['bits_per_byte']:.4f} bits per byte after {last['step']:,} steps.")
    lines += ["", "![Loss, held-out bits per byte, learning rate and gradients by step](curves.png)", ""]
    if seen.judged:
        lines += [*told(seen.judged), ""]
    lines += ["## What it writes", ""]
    for text in seen.samples[:SHOWN]:
        lines += [*quoted(text), ""]
    return "\n".join(lines).rstrip() + "\n"


def facts(training: dict[str, Any]) -> list[str]:
    """Return in a sentence each what was trained, on what, and how long."""
    options, plan = training["options"], training["plan"]
    length = f"{plan['total'] / 60_000:g} minutes" if plan["by_clock"] else f"{plan['total']:,} steps"
    return [
        f"{training['num_parameters']:,} parameters ({options['preset']}), {options['optimizer']}, "
        f"{options['dtype']}, seed {options['seed']}.",
        f"Corpus {options['corpus']}: {training['num_tokens']:,} tokens, {training['num_bytes']:,} bytes; "
        f"planned for {length}.",
    ]


def told(judged: dict[str, Any]) -> Iterator[str]:
    """Yield what the parser of the stories says."""
    samples, answers, loss = judged["samples"], judged["answers"], judged["loss"]
    yield "## What it has learned"
    yield ""
    yield f"Of its samples {samples['grammatical']:.0%} are grammatical; of these {samples['true']:.0%} are"
    yield "true to their own facts."
    yield f"On held-out stories it needs {loss['bits_per_byte']:.4f} bits per byte; the law itself needs"
    yield f"{loss['floor']:.4f}, and no model less. It is {loss['above']:.1%} above the floor: form"
    yield f"{loss['form']:.1%}, choice {loss['choice']:.1%}, recall {loss['recall']:.1%}."
    yield "A recalled fact costs"
    yield f"{loss['nats_per_recall']:.3f} nats; whoever remembers pays 0."
    yield ""
    yield f"Of {answers['asked']} questions {answers['right']:.0%} are answered right:"
    yield ""
    yield from table(
        ("distance of the fact (bytes)", "asked", "right"),
        [
            (f"{group['nearest']} to {group['farthest']}", str(group["asked"]), f"{group['right']:.0%}")
            for group in answers["by_distance"]
        ],
    )


def card(seen: Seen) -> str:
    """Return the model card: what it is, whose code made it, what it was measured by, what it is not for."""
    lines = [f"# Model card: {seen.name}", "", *facts(seen.training), "", "## Whose code it is", ""]
    rows = [(author, str(len(ids)), ", ".join(ids)) for author, ids in seen.parts.items()]
    lines += [*table(("by", "parts", "exercises"), rows), ""]
    lines += ["## Measured", ""]
    if seen.last:
        lines.append(f"- {seen.last['bits_per_byte']:.4f} bits per byte of held-out documents")
    if seen.judged:
        lines.append(f"- {seen.judged['loss']['above']:.1%} above the floor of its corpus")
        right = seen.judged["answers"]["right"]
        lines.append(f"- {right:.0%} of questions about held-out stories answered right")
        lines.append(f"- {seen.judged['samples']['grammatical']:.0%} of its samples grammatical")
    lines += ["", "## Not for", ""]
    lines.append(
        "It knows nothing but its corpus. It is made to learn from, not to be relied on for facts, advice or "
        "code."
    )
    return "\n".join(lines) + "\n"


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| {' | '.join(names)} |"
    yield "|---" * len(names) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def quoted(text: str) -> list[str]:
    """Return a text as an indented block, in which nothing is Markdown; what cannot be shown is escaped."""
    shown = "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)
    return ["    " + line for line in shown.strip("\n").split("\n")]
