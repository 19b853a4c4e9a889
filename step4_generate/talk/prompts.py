"""Prompts from a file or a pipe, and texts into a file, a line of JSON each."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, TextIO

from step4_generate.talk.completion import Completion, cut_sentence
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.terminal import shown

FIELD = "prompt"


def read_prompts(path: Path) -> list[str]:
    """Return the prompts of a file: one a line, or those of JSON lines, `{"prompt": "..."}`, in a `.jsonl`.

    Empty lines are left out. Raises CannotWrite for a file that cannot be read, is no UTF-8, or has none.
    """
    try:
        text = path.expanduser().read_bytes().decode("utf-8")
    except OSError as error:
        raise CannotWrite(f"--file must name a file that can be read, got {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CannotWrite(f"--file must be UTF-8, got {path}: {error.reason} at byte {error.start}") from None
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    found = [_prompt_of(path, n, line) if path.suffix == ".jsonl" else line for n, line in lines]
    if not found:
        raise CannotWrite(f"--file must have a prompt in it, got {path} without any")
    return found


def _prompt_of(path: Path, number: int, line: str) -> str:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not (isinstance(found, dict) and isinstance(found.get(FIELD), str)):
        raise CannotWrite(f'{path}, line {number}, must be JSON with a text as "{FIELD}", got {line[:60]!r}')
    return str(found[FIELD])


def read_pipe() -> str:
    """Return the prompt that standard input holds, without its last line break.

    Raises CannotWrite for bytes that are no UTF-8, and for nothing.
    """
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CannotWrite(f"standard input must be UTF-8, got {error.reason} at byte {error.start}") from None
    if not text.strip():
        raise CannotWrite("standard input must hold a prompt where none is given, got nothing")
    return text.removesuffix("\n").removesuffix("\r")


def piped_lines() -> list[str]:
    """Return the lines of standard input that hold something, up to /quit; each is what one would type."""
    lines = [line for line in read_pipe().splitlines() if line.strip()]
    return lines[: lines.index("/quit")] if "/quit" in lines else lines


def show(completion: Completion, prompts: Iterable[str]) -> None:
    """Stream each prompt with what follows it to standard output, an empty line between two."""
    for number, prompt in enumerate(prompts):
        if number:
            print("\n")
        following = follow(completion, number, prompt)
        as_shown = shown if sys.stdout.isatty() else str
        print(as_shown(prompt), end="", flush=True)
        for piece in following:
            print(as_shown(piece), end="", flush=True)
        if completion.cut:
            print(cut_sentence(completion.cut, completion.opened.context), file=sys.stderr)
    print()


def keep(completion: Completion, prompts: list[str], path: Path) -> None:
    """Write a line of JSON for each prompt into a file, as soon as its text is there."""
    try:
        with path.expanduser().open("w", encoding="utf-8") as file:
            for number, prompt in enumerate(prompts):
                _keep_line(file, line_of(completion, number, prompt))
    except OSError as error:
        raise CannotWrite(
            f"--output must be a file that can be written, got {path}: {error.strerror}"
        ) from None


def _keep_line(file: TextIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()


def line_of(completion: Completion, number: int, prompt: str) -> dict[str, Any]:
    """Return what is kept of a prompt: what follows, in how many tokens, why it ended, what was not read."""
    for _ in follow(completion, number, prompt):
        pass
    written = completion.writer.written
    found = {FIELD: prompt, "text": written.text, "tokens": len(written.ids), "ended": written.ended}
    return found | {"not_read": completion.cut, "seed": completion.writer.settings.seed + number}


def follow(completion: Completion, number: int, prompt: str) -> Generator[str]:
    """Yield what follows a prompt alone; it depends on the seed and its number, not on other prompts."""
    completion.text = ""
    completion.writer.restart(number)
    return completion.reply(prompt)
