"""Benchmarks and evidence by name: what is typed wrong is answered in a sentence that says what there is."""

from __future__ import annotations

import pytest

from coursekit.naming import Help, WrongArguments, read_arguments

ENTRIES = {"speed": "How fast it is.", "size": "How large it is."}


def test_one_name_and_known_switches_are_taken() -> None:
    taken = read_arguments("course bench", "benchmark", ENTRIES, ["speed", "--json"], ["--json", "--all"])
    assert taken == ("speed", {"--json"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a benchmark: course bench NAME [--json]\n  speed  How fast"),
        (["spead"], "there is no benchmark 'spead'; there is speed, size"),
        (["speed", "size"], "course bench runs one benchmark at a time, got speed and size"),
        (["speed", "--jsn"], "course bench knows --json and --help, got '--jsn'"),
    ],
)
def test_what_is_typed_wrong_is_answered_with_what_there_is(arguments: list[str], words: str) -> None:
    with pytest.raises(WrongArguments) as error:
        read_arguments("course bench", "benchmark", ENTRIES, arguments, ["--json"])
    assert str(error.value).startswith(words)


def test_help_names_everything() -> None:
    with pytest.raises(Help, match="speed  How fast it is"):
        read_arguments("course bench", "benchmark", ENTRIES, ["--help"])


def test_without_entries_it_is_said_that_there_are_none() -> None:
    with pytest.raises(WrongArguments, match="there is none yet"):
        read_arguments("course bench", "benchmark", {}, ["speed"])
