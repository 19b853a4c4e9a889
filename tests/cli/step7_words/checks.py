"""What the step asks."""

from __future__ import annotations

from coursekit.probe import cases, check


@check("7.1a")
def shouting(m, rng):
    yield "a shout has upper case and a mark [!]", m.shout("abc"[: rng.integer(2, 4)])


@cases("7.1a")
def small_shouts(m):
    yield {"text": "a"}, m.shout("a")


@check("7.1b")
def counting(m, rng):
    yield "words are counted", m.count(["a", "b", "a"])
    yield "words in any case are one", m.count(["a", "A"])


@check("7.2")
def echoing(m, rng):
    yield "an echo says it twice", m.Echo().say("ab" * rng.integer(1, 4))


@check("7.all")
def together(m, rng):
    yield "an echo that shouts", m.call("a")
