"""The learner's path: what belongs to quick, core or all, what is next on it, how long it takes."""

from __future__ import annotations

from collections.abc import Iterable

from coursekit.registry import Exercise, Milestone, Step

Item = Exercise | Milestone

PATHS = ("quick", "core", "all")


def in_path(item: Item, path: str) -> bool:
    """Tell whether an exercise belongs to a path: "quick", "core" (quick included) or "all"."""
    if path == "all":
        return True
    if path == "quick":
        return isinstance(item, Exercise) and item.quick
    return item.trio == "model"


def next_open(step: Step, done: set[str], path: str = "core", after: str = "") -> Item | None:
    """Return the next item of the path that is not done: after this one, else from the start.

    What needs open exercises of the path waits for them; the reference stands in for those of other paths.
    """
    items = [item for item in step.items if in_path(item, path)]
    place = next((i for i, item in enumerate(items) if item.id == after), -1)
    ordered = items[place + 1 :] + items[: place + 1]
    undone = [item for item in ordered if item.id not in done]
    waiting = {item.id for item in undone}
    ready = [item for item in undone if not waiting & set(item.needs)]
    return next(iter(ready + undone), None)


def minutes_of(items: Iterable[Item]) -> str:
    """Return how long exercises take together, "about 45 minutes"; nothing where there are none."""
    minutes = sum(getattr(item, "minutes", 0) for item in items)
    if not minutes:
        return ""
    if minutes < 90:
        return f"about {minutes} minute{'' if minutes == 1 else 's'}"
    return f"about {minutes / 60:.1f} hours"
