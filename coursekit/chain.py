"""What an implementation computes on its way, noted without asking it to: the points of one chain of tensors.

    @steps("2.1")
    def chain_of_mlp(m, rng):
        layer, x = build(m.MLP, config, rng), rng.normal(2, 3, 6)
        chain = Chain()
        chain.returns("c_fc(x)", layer.c_fc)
        chain.reads("GELU of that", layer.c_proj)
        yield from chain.of(lambda: layer(x), "the result")

Right code may go another way: what it never passes is `UNSEEN`, which is no fault.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from coursekit.probe import TOLERANCE, Claim, equal


class Unseen:
    """Stands for a value that the code never gave away: it went another way, or stopped before."""


UNSEEN = Unseen()


class Chain:
    """Points on the way through modules and functions, each with the value first seen there.

    `tol` is how far rounding may take right code, relative to the largest number, at every point.
    """

    def __init__(self, tol: float = TOLERANCE) -> None:
        self.tol = tol
        self.seen: dict[str, Any] = {}
        self._undo: list[Callable[[], None]] = []

    def reads(self, name: str, module: Any) -> None:
        """Note what a torch module is first called with."""
        self._expect(name)

        def note(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._note(name, next(iter([*args, *kwargs.values()]), UNSEEN))

        self._undo.append(module.register_forward_pre_hook(note, with_kwargs=True).remove)

    def returns(self, name: str, module: Any) -> None:
        """Note what a torch module first returns; of several values the first."""
        self._expect(name)

        def note(_: Any, __: Any, value: Any) -> None:
            self._note(name, value[0] if isinstance(value, tuple) and value else value)

        self._undo.append(module.register_forward_hook(note).remove)

    def calls(self, m: Any, function: str, *names: str, returns: str | None = None) -> None:
        """Note the first arguments of a function of the implementation, in order, and what it returns."""
        self._expect(*names, *([returns] if returns else []))
        inner = getattr(m, function)

        @functools.wraps(inner)
        def call(*args: Any, **kwargs: Any) -> Any:
            for name, value in zip(names, [*args, *kwargs.values()]):
                self._note(name, value)
            value = inner(*args, **kwargs)
            if returns:
                self._note(returns, value)
            return value

        setattr(m, function, call)
        self._undo.append(lambda: setattr(m, function, inner))

    def of(self, run: Callable[[], Any], last: str) -> Iterator[Claim]:
        """Run the code and yield every point in the order in which they were named, the result last.

        What the code raises is raised again behind the last point that it reached. Nothing is noted any more.
        """
        self._expect(last)
        try:
            self.seen[last] = run()
        except Exception:
            reached = list(self.seen.values())
            while reached and reached[-1] is UNSEEN:
                reached.pop()
            yield from self._points(len(reached))
            raise
        finally:
            while self._undo:
                self._undo.pop()()
        yield from self._points(len(self.seen))

    def _points(self, count: int) -> Iterator[Claim]:
        for name, value in list(self.seen.items())[:count]:
            yield equal(name, value, self.tol)

    def _expect(self, *names: str) -> None:
        for name in names:
            if name in self.seen:
                raise ValueError(f"each point of a chain must have a name of its own, got {name!r} twice")
            self.seen[name] = UNSEEN

    def _note(self, name: str, value: Any) -> None:
        """Keep the first value, as it is now: what the code does to it later must not show."""
        if self.seen[name] is UNSEEN:
            self.seen[name] = value.detach().clone() if hasattr(value, "detach") else value
