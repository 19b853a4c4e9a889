"""`course tokenizer`: train, use and look at a tokenizer from a shell.

Your own code does the work where it has passed its checks; for the rest the reference stands in, and it is
said which. `--solution` takes the reference alone.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from coursekit.corpora import MissingCorpus
from coursekit.corpora.sources import NAMES, open_corpus
from coursekit.loading import CannotLoad, load
from coursekit.registry import find_step
from coursekit.whose import whose
from step1_tokenizer import further_solution, model_solution
from step1_tokenizer.published import NotThere, folder_of

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Train, use and look at a tokenizer.")
errors = Console(stderr=True, highlight=False, soft_wrap=True)
LONGEST = 12
# How typer ends a command at Ctrl-C.
INTERRUPTED = 130

Folder = Annotated[str, typer.Argument(help="The folder of a tokenizer, or hub:NAME.")]
Solution = Annotated[bool, typer.Option("--solution", help="Use the reference, not your own code.")]


class CannotDo(Exception):
    """What keeps a command from being done; the message is one sentence: rule, value, next step."""


def parts(solution: bool, trio: str = "model") -> ModuleType:
    """Return the learner's file of a trio with the reference standing in, or the reference."""
    if solution:
        return further_solution if trio == "further" else model_solution
    step = find_step("step1_tokenizer")
    path = step.trio_files(trio)[0]
    if not path.exists():
        raise CannotDo(
            f"{path.name} is missing: `course reset` puts a fresh one there; --solution does without"
        )
    return load(path, step, trio)


@app.command()
def train(
    corpus: Annotated[str, typer.Argument(help=f"What to train on: {', '.join(NAMES)}.")],
    vocab_size: Annotated[
        int, typer.Option(help="How many tokens, bytes and special tokens included.")
    ] = 4096,
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("runs/tokenizer"),
    special: Annotated[list[str] | None, typer.Option(help="A special token; may be given again.")] = None,
    solution: Solution = False,
) -> None:
    """Learn a vocabulary from a corpus and write it as a folder that other programs open."""
    specials = special or []
    room = vocab_size - 256 - len(specials)
    if room < 0:
        need = f"256 bytes + {len(specials)} special tokens"
        raise CannotDo(f"--vocab-size must be at least {need}, got {vocab_size}")
    core, fast = parts(solution), parts(solution, "further")
    if not solution:
        errors.print(f"{whose(core, '1.1', '1.5')}\n{whose(fast, '1.10')}", style="dim", markup=False)
    counts = Counter(word for text in open_corpus(corpus) for word in core.split_words(text))
    packed: Counter[str] = Counter()
    for word, count in counts.items():
        packed[bytes(core.text_to_bytes(word)).decode("latin-1")] += count
    merges = with_progress(fast.train_bpe_fast, packed, room)
    tokenizer = core.Tokenizer(merges, specials)
    try:
        tokenizer.save(out)
    except OSError as error:
        raise CannotDo(f"{out} cannot be written: {error.strerror or error}; name another --out") from None
    print(f"{len(tokenizer):,} tokens in {out}: tokenizer.json, tokenizer_config.json")
    if len(merges) < room:
        missing = vocab_size - len(tokenizer)
        print(f"The text had no more pairs to merge: {missing:,} tokens fewer than asked for.")


def with_progress(learn: Callable[..., Any], packed: Counter[str], room: int) -> Sequence[tuple[int, int]]:
    """Return what the trainer learns, with a bar that follows the newest token that it merges."""
    columns = TextColumn("merges"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("merges", total=room)
        newest = ""

        def merge_word(word: str, pair: str, new: str) -> str:
            nonlocal newest
            if new != newest:
                newest = new
                bar.update(task, completed=ord(new) - 255)
            return word.replace(pair, new)

        merges: Sequence[tuple[int, int]] = learn(packed, 256 + room, merge_word)
    return merges


@app.command()
def encode(
    folder: Folder,
    text: Annotated[str | None, typer.Argument(help="The text; without one, standard input.")] = None,
    special: Annotated[bool, typer.Option(help="Let special tokens in the text be special.")] = False,
    solution: Solution = False,
) -> None:
    """Print the ids of a text, in one line."""
    tokenizer = opened(folder, solution)
    given = read_input() if text is None else text
    allowed = tokenizer.special_tokens if special else ()
    print(*tokenizer.encode(given, allowed_special=allowed, refuse=False))


@app.command()
def decode(
    folder: Folder,
    ids: Annotated[list[str] | None, typer.Argument(help="The ids; without any, standard input.")] = None,
    solution: Solution = False,
) -> None:
    """Write the text of ids, and nothing else."""
    tokenizer = opened(folder, solution)
    numbers = []
    for word in ids if ids else read_input().split():
        try:
            numbers.append(int(word))
        except ValueError:
            raise CannotDo(f"ids must be whole numbers with spaces between them, got {word!r}") from None
    sys.stdout.write(tokenizer.decode(numbers))


@app.command()
def inspect(
    folder: Folder, text: Annotated[str | None, typer.Argument(help="A text to cut.")] = None
) -> None:
    """Say what a tokenizer has learned: size, first merges, longest tokens; and how it cuts a text."""
    tokenizer = opened(folder, solution=True)
    learned = tokenizer.vocab[256 : 256 + len(tokenizer.merges)]
    num_special = len(tokenizer.special_tokens)
    print(f"{len(tokenizer):,} tokens: 256 bytes, {len(learned):,} merges, {num_special} special")
    for name, token in tokenizer.special_tokens.items():
        print(f"  {token:>7}  {name}")
    print("first merges:", shown(learned[:LONGEST]))
    print("longest:", shown(sorted(learned, key=len, reverse=True)[:LONGEST]))
    if text is not None:
        ids = tokenizer.encode(text, tokenizer.special_tokens)
        print("this text:", shown(tokenizer.vocab[token] for token in ids))
        print(f"{len(text.encode('utf-8', 'replace'))} bytes, {len(ids)} tokens")


def shown(tokens: Iterable[bytes]) -> str:
    """Return tokens as one can read them: as text where they are one, else byte by byte."""
    return " ".join(ascii(t)[1:] if not t.isascii() and not _is_text(t) else repr(t.decode()) for t in tokens)


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def opened(folder: str, solution: bool) -> Any:
    """Return the tokenizer of a folder or the hub, in the learner's own class unless told otherwise."""
    return parts(solution).Tokenizer.load(folder_of(folder))


def read_input() -> str:
    """Return what arrives on standard input, as text; bytes that are none become U+FFFD."""
    if sys.stdin.isatty():
        errors.print("Type, then end with Ctrl-D (Windows: Ctrl-Z and Enter).", style="dim")
    return sys.stdin.buffer.read().decode("utf-8", errors="replace")


def main() -> int:
    """Do what the command line says; 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    # typer names one way of typing a command wrong, BadParameter; what it derives from is all of them.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        status = int(app(prog_name="course tokenizer", standalone_mode=False) or 0)
        if status == INTERRUPTED:
            print("Stopped: nothing was written.", file=sys.stderr)
        return status
    except usage_error as error:
        print(getattr(error, "format_message", error.__str__)(), file=sys.stderr)
        return 2
    except (CannotDo, CannotLoad, MissingCorpus, NotThere, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
