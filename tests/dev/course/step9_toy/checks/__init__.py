"""What step 9 asks."""

from coursekit.probe import cases, check


@check("9.1")
def double(m, rng):
    yield "twice", m.double(rng.integer(1, 9))


@cases("9.1")
def small(m):
    yield {"x": 1}, m.double(1)


@check("9.2")
def box(m, rng):
    yield "shown", m.Box(3).show()


@cases("9.2")
def small_box(m):
    yield {"x": 1}, m.Box(1).show()


@check("9.all")
def everything(m, rng):
    yield "all", m.Box(m.double(2)).show()
