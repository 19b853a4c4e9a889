"""How a text is written, as the command line says it and as `/set` changes it."""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from step4_generate.further_solution import SamplingOptions
from step4_generate.talk.errors import CannotWrite

OFF = "off"
WHOLE = ("max_new_tokens", "top_k", "seed")
SAMPLING = tuple(each.name for each in fields(SamplingOptions))
# What the core of this step cannot do.
FURTHER = ("min_p", "repetition_penalty", "frequency_penalty", "presence_penalty")


@dataclass(frozen=True)
class Settings(SamplingOptions):
    """All settings of a text: how tokens are chosen, how many at most, where it stops, what is drawn.

    Raises CannotWrite, rule first, for what cannot be.
    """

    max_new_tokens: int = 200
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except ValueError as error:
            raise CannotWrite(str(error)) from None
        if self.max_new_tokens < 1:
            raise CannotWrite(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")
        if "" in self.stop:
            raise CannotWrite("stop must not be empty, got ''")
        if not 0 <= self.seed < 2**63:
            raise CannotWrite(f"seed must be from 0 to 2**63 - 1, got {self.seed}")

    @property
    def is_further(self) -> bool:
        """Whether the further part of this step is needed."""
        return any(getattr(self, name) != getattr(USUAL, name) for name in FURTHER)

    @property
    def sampling(self) -> dict[str, Any]:
        """What a sampler is made with."""
        return {name: value for name, value in asdict(self).items() if name in SAMPLING}

    def changed(self, name: str, text: str) -> Settings:
        """Return these settings with one of another value, as one types it; `off` takes it back.

        A further stop string joins those that there are; in quotes it is as Python writes it. Raises
        CannotWrite for a setting that there is not, and for a value that it cannot have.
        """
        name = name.replace("-", "_")
        names = [each.name for each in fields(self)]
        if name not in names:
            raise CannotWrite(f"a setting must be one of {', '.join(names)}, got {name!r}")
        if text == OFF:
            return replace(self, **{name: getattr(USUAL, name)})
        if name == "stop":
            return replace(self, stop=(*self.stop, _unquoted(text)))
        try:
            value: Any = int(text) if name in WHOLE else float(text)
        except ValueError:
            what = "a whole number" if name in WHOLE else "a number"
            raise CannotWrite(f"{name} must be {what} or {OFF}, got {text!r}") from None
        return replace(self, **{name: value})

    def __str__(self) -> str:
        return "\n".join(f"  {name:<20}{_shown(value)}" for name, value in asdict(self).items())


def _unquoted(text: str) -> str:
    if not text.startswith(("'", '"')):
        return text
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        found = None
    if not isinstance(found, str):
        raise CannotWrite(f"a stop string in quotes must be as Python writes it, got {text}")
    return found


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(repr, value)) or OFF
    return OFF if value is None else str(value)


USUAL = Settings()
