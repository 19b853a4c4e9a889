"""The commands of `course`, in the order in which `course --help` lists them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer

from coursekit.cli import check, debug, doctor, hunt, learn, overview, programs
from coursekit.registry import load_course

# Everything behind such a command's name is handed on as it is, `--help` too.
_PASS_ON: dict[str, Any] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}

app = typer.Typer(
    name="course",
    help="Build a Language Model in Four Steps: check what you wrote, ask for a hint, see where you stand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.callback()(overview.course)
app.command("list")(overview.list_)
app.command()(check.check)
app.command()(check.watch)
app.command()(learn.hint)
app.command()(debug.debug)
app.command()(learn.show)
app.command()(learn.solve)
app.command()(learn.reset)
app.command()(hunt.hunt)
app.command()(overview.progress)
app.command()(overview.path)
app.command()(overview.compare)
app.command()(doctor.doctor)
app.command("bench", context_settings=_PASS_ON)(programs.bench)
app.command("evidence", context_settings=_PASS_ON)(programs.evidence)


def _add_group(name: str, module: str, text: str) -> None:
    """Add a group of commands whose module is loaded only when one of them is called."""

    def run(ctx: typer.Context) -> None:
        group: typer.Typer = import_module(module).app
        status = group(args=ctx.args or ["--help"], prog_name=f"course {name}", standalone_mode=False)
        raise typer.Exit(status or 0)

    app.command(name, help=text, context_settings=_PASS_ON)(run)


_add_group("classroom", "coursekit.cli.classroom", "For teachers: hand out, collect and grade with nbgrader.")
_add_group("dev", "coursekit.cli.dev", "For authors: build, check, audit, new.")


def add_programs() -> None:
    """Add the commands that the steps register; a name that `course` itself uses stays with `course`."""
    taken = {command.name for command in app.registered_commands}
    entries = [entry for step in load_course() for entry in step.entries if entry.kind == "command"]
    for entry in entries:
        if entry.name not in taken:
            taken.add(entry.name)
            _add_program(entry.name, entry.module, entry.help)


def _add_program(name: str, module: str, text: str) -> None:
    def run(ctx: typer.Context) -> None:
        programs.run_module(module, f"course {name}", ctx.args)

    app.command(name, help=text, context_settings=_PASS_ON)(run)
