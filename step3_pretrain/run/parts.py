"""Which exercises a run is made of: those whose code it passes through, for its options and its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coursekit.mine import State
from step3_pretrain.trainer.building import needs_more
from step3_pretrain.trainer.options import Options

TEXT = ("1.1", "1.5", "1.6", "1.7", "1.8")
SLOW, FAST = ("1.2", "1.3", "1.4"), ("1.10",)
DECODER = ("2.4d", "2.5a", "2.5b", "2.6a", "2.6b", "2.7", "2.8", "2.10a", "2.10b")
ATTENTION = {"gqa": ("2.9",), "mla": ("2.11a", "2.11b")}
TRAINING = ("3.1", "3.4", "3.6", "3.7", "3.8")


def used(options: Options, args: Any, states: Mapping[str, str]) -> list[str]:
    """Return the ids of the exercises that a run passes through, in the order of the course.

    `states` says whose each exercise was; without it the run was the reference's, which trains its tokenizer
    fast.
    """
    found = {*TEXT, *DECODER, *ATTENTION[args.attention], *TRAINING}
    if options.tokenizer == "own":
        is_fast = not states or states.get("1.10") in (State.YOURS.value, State.SOLVED.value)
        found |= {*(FAST if is_fast else SLOW)}
    found |= {"3.2"} if options.rows != "documents" else set()
    found |= {"3.13" if options.schedule == "stable" else "3.5"}
    has_own_step = options.accumulate == 1 and options.dtype == "float32" and not args.n_experts
    found |= {"3.3"} if has_own_step else set()
    found |= {"3.9"} if options.accumulate > 1 else set()
    found |= {"3.10a", "3.10b"} if options.dtype != "float32" else set()
    found |= {"3.12a", "3.12b", "3.14"} if options.optimizer == "muon" else set()
    router = "2.13a" if args.router == "softmax" else "2.13b"
    found |= {"2.13c", "2.13d", router} if args.n_experts else set()
    found |= {"2.12a"} if args.attention == "mla" and needs_more(args) else set()
    found |= {"2.14b"} if args.yarn else set()
    return sorted(found, key=_place)


def by_author(ids: list[str], states: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the exercises by whose code they were: yours, solved for you, yours as it was saved; or the
    reference's.
    """
    found: dict[str, list[str]] = {}
    for each in ids:
        state = states.get(each)
        if state is None:
            author = "the reference's"
        elif state == State.YOURS.value:
            author = "the learner's own"
        elif state == State.SOLVED.value:
            author = "solved for the learner"
        else:
            author = "the learner's, not passed when the run began"
        found.setdefault(author, []).append(each)
    return found


def _place(item_id: str) -> tuple[int, int, str]:
    step, _, rest = item_id.partition(".")
    digits = "".join(each for each in rest if each.isdigit())
    return int(step), int(digits), rest
