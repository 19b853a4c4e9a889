"""Known mistakes of the step."""

from __future__ import annotations

from coursekit.probe import mistake


@mistake("7.1a")
def no_mark(text):
    """The mark is missing: <nobody> hears [it]."""
    return text.upper()
