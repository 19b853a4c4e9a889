"""The command line of programs that run one registered entry by its name: benchmarks and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class WrongArguments(Exception):
    """Arguments that mean nothing; the message says in a sentence what there is."""


class Help(Exception):
    """Help was asked for; the message is the help."""


def read_arguments(
    program: str, kind: str, entries: Mapping[str, str], arguments: Sequence[str], options: Sequence[str] = ()
) -> tuple[str, frozenset[str]]:
    """Return the one name among the arguments and the options that are set.

    `entries` are names with what each is about; every option is a switch, such as "--json". Raises
    WrongArguments or Help.
    """
    listed = "\n".join(f"  {name}  {text}" for name, text in entries.items()) or "  (there is none yet)"
    usage = f"{program} NAME" + "".join(f" [{option}]" for option in options)
    if {"-h", "--help"} & set(arguments):
        raise Help(f"{usage}\n{listed}")
    unknown = [word for word in arguments if word.startswith("-") and word not in options]
    if unknown:
        known = " and ".join((*options, "--help"))
        raise WrongArguments(f"{program} knows {known}, got {unknown[0]!r}")
    names = [word for word in arguments if not word.startswith("-")]
    if not names:
        raise WrongArguments(f"name a {kind}: {usage}\n{listed}")
    wrong = [name for name in names if name not in entries]
    if wrong:
        there = f"there is {', '.join(entries)}" if entries else "there is none yet"
        raise WrongArguments(f"there is no {kind} {wrong[0]!r}; {there}")
    if len(names) > 1:
        raise WrongArguments(f"{program} runs one {kind} at a time, got {' and '.join(names)}")
    return names[0], frozenset(arguments) & frozenset(options)
