"""The program `course`: start what is slow, run the command, say in one sentence what was typed wrong."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from coursekit.practice.selection import WrongUsage, find, step_of
from coursekit.registry import RegistryError, UnknownName, load_course

PASSED, WRONG_USAGE, COURSE_FAULT, INTERRUPTED = 0, 2, 3, 130


def main() -> None:
    """Run `course` and end the process.

    Exit status 0; 1 where not everything passes; 2 for wrong usage; 3 where the course itself fails; 130
    for Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        # Old code pages cannot show every character of a verdict: a question mark is better than a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; what went wrong is one sentence on stderr."""
    try:
        if arguments[:1] == ["check"]:
            warm_up(arguments[1:])
        return _run(list(arguments))
    except (WrongUsage, RegistryError, UnknownName) as error:
        print(error, file=sys.stderr)
        return WRONG_USAGE
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`course list | head`): nothing is wrong, and nothing more can be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PASSED
    except OSError as error:
        print(f"The course cannot read or write what it needs: {error}. Try: course doctor", file=sys.stderr)
        return COURSE_FAULT


def warm_up(names: Sequence[str]) -> None:
    """Start the worker of the step that is meant, so that it imports torch while the rest here is loaded.

    Arguments that mean nothing are told about later, by the command itself.
    """
    steps = load_course()
    for name in names:
        with contextlib.suppress(WrongUsage):
            steps = (step_of(find(name)[0]),)
            break
    if steps and not {"-h", "--help"} & set(names):
        from coursekit.workers.pool import pool_of

        pool_of(steps[0])


def _run(arguments: list[str]) -> int:
    import typer

    from coursekit.cli.commands import add_programs, app
    from coursekit.source.stub import StubError
    from coursekit.workers import WorkerError

    add_programs()
    # typer names one way of typing a command wrong, BadParameter; what it derives from is all of them.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        return int(app(args=arguments, prog_name="course", standalone_mode=False) or PASSED)
    except typer.Exit as end:
        return end.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except usage_error as error:
        print(_with_help(error), file=sys.stderr)
        return WRONG_USAGE
    except (WorkerError, StubError) as error:
        print(error, file=sys.stderr)
        return COURSE_FAULT


def _with_help(error: Exception) -> str:
    """Return what was typed wrong, and the command that says how it is typed."""
    told = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    if context is None or not told:
        return told
    end = "" if told.endswith(("?", ".")) else "."
    return f"{told}{end} To see how it is typed: {context.command_path} --help"


if __name__ == "__main__":
    main()
