"""What a run is asked for, as the command line says it and as the run folder keeps it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from step3_pretrain.trainer.errors import CannotTrain

PRESETS = ("tiny", "small", "base", "large", "tiny_moe", "tiny_long")
ATTENTION = ("mha", "gqa", "mla")
OPTIMIZERS = ("adamw", "muon")
DTYPES = ("auto", "float32", "bfloat16", "float16")
SCHEDULES = ("cosine", "stable")
ROWS = ("blocks", "documents")
# Corpora whose documents are short and whole: rows of one document each teach sooner to copy from it.
BY_DOCUMENT = ("storyworld",)
PARALLEL = ("ddp", "fsdp")
LENGTHS = ("steps", "epochs", "minutes")
# Stories of `storyworld` that are trained on where nothing else is said: some 3 million tokens.
ENDLESS_DOCUMENTS = 20_000
DEFAULT_STEPS = 1_000
# What a run that goes on may change: where and how often, never what decides its losses.
FREE = frozenset(
    ["device", "parallel", "keep", "save_every", "eval_every", "eval_bytes", "samples", "log_every", *LENGTHS]
)
ABOVE_ZERO = ("steps", "epochs", "minutes", "max_documents", "lr", "other_lr", "max_norm", "eval_bytes",
              "save_every", "eval_every", "vocab_size", "batch_size", "accumulate", "keep")  # fmt: skip
NOT_BELOW_ZERO = ("warmup", "weight_decay", "balance", "bias_rate", "samples", "dropout")


@dataclass(frozen=True)
class Options:
    """All options of a run; None stands for what the preset, the corpus or the machine decides.

    Raises CannotTrain, rule first, for what no run can have.
    """

    corpus: str = "storyworld"
    tokenizer: str = "own"
    vocab_size: int | None = None
    max_documents: int | None = None
    preset: str = "tiny"
    attention: str | None = None
    moe: bool = False
    block_size: int | None = None
    dropout: float = 0.0
    changes: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    rows: str | None = None
    batch_size: int = 16
    accumulate: int = 1
    optimizer: str = "adamw"
    lr: float | None = None
    other_lr: float | None = None
    schedule: str = "cosine"
    warmup: int | None = None
    max_norm: float = 1.0
    weight_decay: float = 0.1
    balance: float | None = None
    bias_rate: float = 0.001
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    compile: bool = False
    parallel: str = "ddp"
    eval_every: int | None = None
    eval_bytes: int = 60_000
    save_every: int | None = None
    keep: int = 3
    samples: int = 2
    solution: bool = False

    def __post_init__(self) -> None:
        choices: dict[str, tuple[str | None, ...]] = {
            "preset": PRESETS,
            "optimizer": OPTIMIZERS,
            "dtype": DTYPES,
            "schedule": SCHEDULES,
            "parallel": PARALLEL,
        }
        choices |= {"attention": (None, *ATTENTION), "rows": (None, *ROWS)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                rule = f"--{name} must be one of {', '.join(filter(None, allowed))}"
                raise CannotTrain(f"{rule}, got {getattr(self, name)!r}")
        for name in (*ABOVE_ZERO, *NOT_BELOW_ZERO):
            value = getattr(self, name)
            least = 0 if name in NOT_BELOW_ZERO else None
            if value is not None and not (value >= 0 if least == 0 else value > 0):
                rule = "at least 0" if least == 0 else "above 0"
                raise CannotTrain(f"--{name.replace('_', '-')} must be {rule}, got {value!r}")
        given = [f"--{name}" for name in LENGTHS if getattr(self, name) is not None]
        if len(given) > 1:
            raise CannotTrain(f"a run must have one length, got {' and '.join(given)}")
        if self.batch_size % self.accumulate:
            got = f"{self.batch_size} and {self.accumulate}"
            raise CannotTrain(f"--batch-size must be a multiple of --accumulate, got {got}")
        if self.minutes is not None and self.warmup is not None:
            raise CannotTrain(f"--warmup counts steps and goes with --steps or --epochs, got {self.warmup}")

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON keeps them."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Options:
        """Return the options of a run folder; those of other versions of the script are left out."""
        names = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in found.items() if name in names})

    def identity(self) -> str:
        """Return a fingerprint of all that decides the losses of a run; its length is not among it."""
        decisive = {name: value for name, value in self.to_json().items() if name not in FREE}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    def going_on(self, given: Mapping[str, Any]) -> Options:
        """Return these options with those that a run may change on its way.

        Raises CannotTrain, naming the first option that would make it another run.
        """
        for name, value in given.items():
            old = getattr(self, name)
            if name not in FREE and value != old:
                raise CannotTrain(
                    f"--{name.replace('_', '-')} must be that of the run, {old!r}, got {value!r}: leave it "
                    "out to go on with this run, or begin another without --resume"
                )
        free = {name: value for name, value in given.items() if name in FREE}
        if any(name in free for name in LENGTHS):
            free = dict.fromkeys(LENGTHS) | free
        return replace(self, **free)
