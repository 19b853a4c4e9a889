"""Known mistakes of step 9."""

from coursekit.probe import mistake, variant


@mistake("9.1")
def once(x):
    """You return x itself."""
    return x


@mistake("9.1")
def thrice(x):
    """You add one too many."""
    return 3 * x


@mistake("9.1")
def squared(x):
    """You square."""
    return x**2


@variant("9.1")
def by_product(x):
    """A product."""
    return 2 * x


def _box(show):
    return {"Box.show": show, "Box.hide": lambda self: None}


@mistake("9.2")
def not_doubled():
    """You show it as it is."""
    return _box(lambda self: self.x)


@mistake("9.2")
def nothing():
    """You show nothing."""
    return _box(lambda self: None)


@mistake("9.2")
def zero():
    """You show zero."""
    return _box(lambda self: 0)


@variant("9.2")
def by_hand():
    """Added by hand."""
    return _box(lambda self: self.x + self.x)


@mistake("9.all")
def halves():
    """You halve."""
    return {"double": lambda x: x / 2}
