"""2.16b, three feed-forward layers at one price: known mistakes and accepted variants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.probe import mistake, variant
from step2_model.further_solution import GeGLU, StandardFFN
from step2_model.model_solution import SwiGLU


def three_halves(width: int) -> int:
    """Return the right width of the standard layer."""
    return (3 * width + 1) // 2


def layer_of(
    args: Any,
    ffn_type: str,
    middle: Callable[[int], int] = three_halves,
    gated: Callable[[int], int] = lambda width: width,
    kinds: dict[str, Any] | None = None,
) -> nn.Module:
    """Return the right layer but for the widths or classes that are given."""
    C, width = args.d_model, args.intermediate_size
    makers = {"swiglu": SwiGLU, "geglu": GeGLU, "standard": StandardFFN} | (kinds or {})
    if ffn_type not in makers:
        raise ValueError(f"ffn_type must be one of swiglu, geglu, standard, got {ffn_type!r}")
    return makers[ffn_type](C, middle(width) if ffn_type == "standard" else gated(width))


@mistake("2.16b", called="The standard layer has F features in the middle")
def standard_too_narrow(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your standard layer has F features in the middle, as the gated ones have. It has two matrices where
    they have three, so it would be compared with a third of its parameters missing.
    """
    return layer_of(args, ffn_type, middle=lambda width: width)


@mistake("2.16b", called="The standard layer has 2F features in the middle")
def standard_too_wide(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your standard layer has 2F features in the middle: 4CF parameters against 3CF of the gated ones. With
    two matrices instead of three the width is 3F/2.
    """
    return layer_of(args, ffn_type, middle=lambda width: 2 * width)


@mistake("2.16b", called="The standard layer has 2F/3 features in the middle")
def standard_upside_down(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your standard layer has 2F/3 features in the middle. That is the way from a standard layer to a gated
    one; here F is the gated one's, and two matrices must hold what three hold: 3F/2.
    """
    return layer_of(args, ffn_type, middle=lambda width: round(2 * width / 3))


@mistake("2.16b", called="The standard layer has 4C features in the middle, whatever F is")
def four_times(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your standard layer is 4 · d_model wide, as GPT-2's. The price is set by the configuration: 3F/2."""
    return layer_of(args, ffn_type, middle=lambda width: 4 * args.d_model)


@mistake("2.16b", called="3F/2 is rounded down")
def rounded_down(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your 3F/2 is rounded down. With an odd F it ends in one half, which goes up: (3F + 1) // 2."""
    return layer_of(args, ffn_type, middle=lambda width: 3 * width // 2)


@mistake("2.16b", called="3F/2 is rounded to the nearest even number")
def rounded_to_even(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your 3F/2 is rounded with Python's round, which takes one half to the nearest even number: 7.5 to 8,
    but 10.5 to 10. It shall go up each time: (3F + 1) // 2.
    """
    return layer_of(args, ffn_type, middle=lambda width: round(1.5 * width))


@mistake("2.16b", called="The gated layers are narrowed to 2F/3")
def gated_narrowed(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your gated layers are 2F/3 wide and your standard one F. intermediate_size is the width of the gated
    ones: they keep it, and the standard layer is widened.
    """
    return layer_of(args, ffn_type, middle=lambda width: width, gated=lambda width: round(2 * width / 3))


@mistake("2.16b", called="All three kinds are 3F/2 wide")
def all_widened(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your gated layers are 3F/2 wide, too. Only the standard one is: it has a matrix less."""
    return layer_of(args, ffn_type, gated=three_halves)


@mistake("2.16b", called='"geglu" returns a SwiGLU')
def geglu_is_swiglu(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your function returns a SwiGLU for "geglu". The two have equal sizes, so that nothing would warn you:
    a comparison would compare a layer with itself.
    """
    return layer_of(args, ffn_type, kinds={"geglu": SwiGLU})


@mistake("2.16b", called='"swiglu" returns a GeGLU, and "geglu" a SwiGLU')
def kinds_swapped(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your function has the two gated kinds swapped: "swiglu" bends its gate with SiLU, "geglu" with GELU."""
    return layer_of(args, ffn_type, kinds={"geglu": SwiGLU, "swiglu": GeGLU})


class BentUp(GeGLU):
    """GeGLU with the bend in the wrong branch."""

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.gate_proj(x) * F.gelu(self.up_proj(x)))


@mistake("2.16b", called="In GeGLU the features are bent, not the gate")
def branches_swapped(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your GeGLU bends up_proj's features and leaves the gate straight. Weights that others trained would be
    read with the two exchanged.
    """
    return layer_of(args, ffn_type, kinds={"geglu": BentUp})


@mistake("2.16b", called='An unknown kind is taken for "swiglu"')
def unknown_is_swiglu(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your function returns a SwiGLU for every name that it does not know. A misspelled "geglu" would be
    trained for a night before anybody saw it; raise ValueError.
    """
    return layer_of(args, ffn_type if ffn_type in ("geglu", "standard") else "swiglu")


@mistake("2.16b", called='An unknown kind is taken for "standard"')
def unknown_is_standard(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your function returns the standard layer for every name that it does not know, from an `else`. A
    misspelled name should be an error; raise ValueError.
    """
    return layer_of(args, ffn_type if ffn_type in ("geglu", "swiglu") else "standard")


@mistake("2.16b", called="An unknown kind is a KeyError")
def unknown_is_key_error(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your function answers an unknown name with a KeyError, which says neither what was expected nor where.
    Raise a ValueError that names the three kinds.
    """
    if ffn_type not in ("swiglu", "geglu", "standard"):
        raise KeyError(ffn_type)
    return layer_of(args, ffn_type)


@mistake("2.16b", called="The error does not name the three kinds")
def error_without_names(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """Your ValueError does not name the three kinds. Whoever misspells one wants to read the right spelling
    there.
    """
    if ffn_type not in ("swiglu", "geglu", "standard"):
        raise ValueError(f"unknown ffn_type {ffn_type!r}")
    return layer_of(args, ffn_type)


@variant("2.16b")
def by_table(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """A table of classes and widths."""
    table = {
        "swiglu": (SwiGLU, 2),
        "geglu": (GeGLU, 2),
        "standard": (StandardFFN, 3),
    }
    try:
        kind, halves = table[ffn_type]
    except KeyError:
        raise ValueError(f"ffn_type is none of {sorted(table)}: {ffn_type}") from None
    return kind(args.d_model, math.floor(halves * args.intermediate_size / 2 + 0.5))


@variant("2.16b")
def by_match(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """A match statement; the width by a ceiling."""
    match ffn_type:
        case "swiglu" | "geglu":
            kind = SwiGLU if ffn_type == "swiglu" else GeGLU
            return kind(d_model=args.d_model, intermediate_size=args.intermediate_size)
        case "standard":
            return StandardFFN(args.d_model, math.ceil(args.intermediate_size * 3 / 2))
    raise ValueError("use swiglu, geglu or standard")


class OwnGeGLU(nn.Module):
    """GeGLU as a module of its own."""

    def __init__(self, C: int, width: int) -> None:
        super().__init__()
        self.up_proj = nn.Linear(C, width, bias=False)
        self.gate_proj = nn.Linear(C, width, bias=False)
        self.down_proj = nn.Linear(width, C, bias=False)
        self.bend = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.bend(self.gate_proj(x)) * self.up_proj(x))


@variant("2.16b")
def own_class(args: Any, ffn_type: str = "swiglu") -> nn.Module:
    """A GeGLU that was written anew, with the same names."""
    return layer_of(args, ffn_type, kinds={"geglu": OwnGeGLU})
