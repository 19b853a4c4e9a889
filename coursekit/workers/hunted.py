"""What a hunt asks of a worker: the small cases of every known mistake, a training with one of them.

All of it is trusted code of the registry, wrong on purpose: it may raise, hang or end its process like a
learner's.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from coursekit.judging import wire
from coursekit.judging.loader import implementation, load_marked
from coursekit.judging.runs import chains_to_data, run_chains
from coursekit.probe import MARK, marked
from coursekit.registry import Step

MAX_CASES = 40
Function = Callable[..., Any]


class Stopped:
    """Stands for the result of a call that raised, so that the cases after it are run all the same.

    Any part of it (`.logits`) is itself, too.
    """

    def __init__(self, error: Exception) -> None:
        self.text = f"{type(error).__name__}: {error}"

    def __getattr__(self, name: str) -> Stopped:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


def show_mistakes(job: dict[str, Any], step: Step, item: Any, checks: Sequence[ModuleType]) -> dict[str, Any]:
    """Run the item's small cases and chains on every known mistake.

    Beside them stands the milestone whose training rests on the item.
    """
    makers = marked(checks, "cases", item.id)
    resting = (milestone.id for milestone in step.milestones if item.id in milestone.needs)
    curve = next((name for name in resting if marked(checks, "curve", name)), "")
    found = []
    for function in marked(load_marked(step, "mistakes"), "mistake", item.id):
        m = implementation(step, item, _going_on(function, is_single=len(item.targets) == 1))
        cases = list(itertools.chain(*(_outputs(maker, m) for maker in makers)))[:MAX_CASES]
        chains = run_chains(checks, item.id, implementation(step, item, function), job["seed"])
        about = {"name": function.__name__, "called": getattr(function, MARK).called}
        found.append(about | {"cases": cases, "chains": chains_to_data(chains)})
    return {"curve": curve, "known": found}


def _outputs(maker: Function, m: Any) -> Iterator[dict[str, Any]]:
    """Yield the output of every case; where the cases themselves stop, that is the last one."""
    try:
        for _, output in itertools.islice(maker(m), MAX_CASES):
            value = wire.Opaque(output.text) if isinstance(output, Stopped) else wire.freeze(output)
            yield {"output": value}
    except Exception as error:  # noqa: BLE001 - whatever a mistake makes of a case is what it shows
        yield {"output": wire.Opaque(Stopped(error).text)}


def _going_on(function: Function, is_single: bool) -> Function:
    """Return a mistake whose calls return Stopped where they raise."""
    if is_single:
        return _caught(function)
    return lambda: {target: _caught(body) for target, body in function().items()}


def _caught(function: Function) -> Function:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except Exception as error:  # noqa: BLE001 - whatever it raises is what it shows
            return Stopped(error)

    return call


def loss_curve(job: dict[str, Any], step: Step, item: Any, checks: Sequence[ModuleType]) -> dict[str, Any]:
    """Train with one known mistake of the item and return the losses, and what ended them if anything did.

    Without a name right code is trained.
    """
    (trained,) = marked(checks, "curve", job["curve"])
    known = marked(load_marked(step, "mistakes"), "mistake", item.id)
    function = next((f for f in known if f.__name__ == job["name"]), None)
    losses: list[float] = []
    try:
        for loss in trained(implementation(step, item, function)):
            losses.append(float(loss))
    except Exception as error:  # noqa: BLE001 - whatever a mistake makes of a training is what it shows
        return {"losses": losses, "stopped": Stopped(error).text}
    return {"losses": losses, "stopped": ""}
