"""What `course bench mla` runs: one attention layer, the requests it serves, where and how it computes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from step2_model.finale.device import NAMES, device_named
from step2_model.model_solution import ModelArgs, ModelConfigs

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CONFIG = "base,d_model=2048"
# Four requests of which two have a past; then sixteen that write one token each at every round.
PREFILL = "64/512,128/0,256/0,256/256"
DECODE = ",".join(str(past) for past in (50, 100, 200, 400) for _ in range(4))
CONTEXTS = "2048,8192"


@dataclass(frozen=True)
class Workload:
    """The layer, its requests and the machine: `prefill` is (new, past) for each request, `decode` and
    `contexts` are pasts.

    `rounds` is how often the decoded requests grow by a token; what does not grow is repeated a fifth as
    often.
    """

    args: ModelArgs
    prefill: tuple[tuple[int, int], ...]
    decode: tuple[int, ...]
    contexts: tuple[int, ...]
    rounds: int
    warmup: int
    device: torch.device
    dtype: torch.dtype

    @property
    def repeats(self) -> int:
        return max(3, self.rounds // 5)

    @property
    def described(self) -> dict[str, Any]:
        """What stands beside every figure: sizes, rounds, device, dtype, threads."""
        a = self.args
        sizes: dict[str, Any] = {
            "width": a.d_model,
            "heads": a.n_heads,
            "latent": a.kv_lora_rank,
            "queries": a.q_lora_rank,
        }
        sizes["widths_of_a_head"] = (a.qk_nope_head_dim, a.qk_rope_head_dim, a.v_head_dim)
        where = {"device": _device_name(self.device), "dtype": str(self.dtype).removeprefix("torch.")}
        return {**sizes, **where, "threads": torch.get_num_threads(), "warmup": self.warmup}


def parse(words: Sequence[str]) -> Workload:
    """Return the workload that the words of a command line describe; ends the program where they cannot."""
    parser = argparse.ArgumentParser("course bench mla", description="MLA against transformers, one layer.")
    add = parser.add_argument
    add("--config", default=CONFIG, help="a preset, changes to it, or both: %(default)s")
    add("--prefill", default=PREFILL, metavar="NEW/PAST,...", help="requests: %(default)s")
    add("--decode", default=DECODE, metavar="PAST,...", help="requests of one new token: %(default)s")
    add("--context", default=CONTEXTS, metavar="PAST,...", help="rows 'decode PAST': %(default)s")
    add("--rounds", type=_at_least(1), default=100, help="tokens that each request grows by (%(default)s)")
    add("--warmup", type=_at_least(1), default=3, help="rounds that are not counted (%(default)s)")
    add("--device", choices=NAMES, default="cpu", help="%(choices)s (%(default)s)")
    add("--dtype", choices=DTYPES, default="float32", help="%(choices)s (%(default)s)")
    told = parser.parse_args(list(words))
    try:
        pairs = tuple(_pair(word) for word in told.prefill.split(","))
        decode, contexts = (_numbers(text) for text in (told.decode, told.context))
        args, device = config_named(told.config), torch.device(device_named(told.device))
    except ValueError as error:
        parser.error(str(error))
    return Workload(args, pairs, decode, contexts, told.rounds, told.warmup, device, DTYPES[told.dtype])


def config_named(text: str) -> ModelArgs:
    """Return the configuration of a preset's name, of changes such as n_heads=8, or of both, with commas.

    Raises ValueError for a preset or a field that does not exist, and for a model that is not MLA.
    """
    first, *rest = text.split(",")
    words = rest if "=" not in first else [first, *rest]
    preset = "base" if "=" in first else first
    presets = [name for name in vars(ModelConfigs) if not name.startswith("_")]
    if preset not in presets:
        raise ValueError(f"a preset must be one of {', '.join(presets)}, got {preset!r}")
    known = {field.name: field.type for field in fields(ModelArgs) if "int" in str(field.type)}
    changes: dict[str, Any] = {}
    for name, _, value in (word.partition("=") for word in words):
        if name not in known or not value.isdigit():
            raise ValueError(f"a change must be NAME=NUMBER with a size of the model, got {name}={value}")
        changes[name] = int(value)
    if "n_heads" in changes:
        # Latent attention has no key/value heads of its own; a configuration wants them to divide the heads.
        changes.setdefault("n_kv_heads", changes["n_heads"])
    args = replace(getattr(ModelConfigs, preset)(), **changes)
    if args.attention != "mla" or args.yarn is not None:
        raise ValueError(f"the model must have latent attention and no YaRN, got {preset}")
    return args


def _pair(word: str) -> tuple[int, int]:
    new, _, past = word.partition("/")
    if not (new.isdigit() and past.isdigit() and int(new) > 0):
        raise ValueError(f"a request must be NEW/PAST with at least one new token, got {word!r}")
    return int(new), int(past)


def _numbers(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.isdigit() and int(word) > 0 for word in words):
        raise ValueError(f"pasts must be whole numbers of at least 1 with commas between, got {text!r}")
    return tuple(int(word) for word in words)


def _at_least(least: int) -> Any:
    def whole_number(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)

    return whole_number


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
