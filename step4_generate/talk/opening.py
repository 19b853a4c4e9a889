"""Opens what can write: the folder of a run, or of a model exported for `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from coursekit.registry import COURSE_ROOT
from step2_model.exchange.configs import CLASSES
from step2_model.exchange.loading import fill, load, read_json, stored
from step3_pretrain.run.folder import CONFIG, TRAINING, WEIGHTS
from step3_pretrain.run.loading import load_run, was_reference
from step3_pretrain.run.record import read_options
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.precision import choose_device
from step3_pretrain.trainer.tokenizers import WITH_DIALOGUES
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.template import TEMPLATE

STEP = "step4_generate"
BYTES = 256
RUNS = COURSE_ROOT / "runs"


class Code(Protocol):
    """Whose code computes: `Chain` loads it, a notebook has it in hand."""

    @property
    def is_reference(self) -> bool:
        """Whether it is the reference."""

    def file(self, step: str, trio: str = "model") -> Any:
        """Return one file of a step as a module."""


@dataclass(frozen=True)
class Opened:
    """A model that can write, with its tokenizer; `code` is whose code chooses its tokens."""

    path: Path
    model: Any
    tokenizer: Any
    made_by: Code
    code: Code
    has_dialogue: bool

    @property
    def core(self) -> Any:
        """The core of step 4, by whom the text is written."""
        return self.code.file(STEP)

    @property
    def further(self) -> Any:
        """What lies beyond it."""
        return self.code.file(STEP, "further")

    @property
    def context(self) -> int:
        """How many tokens the model reads at once."""
        return int(self.core.context_length(self.model))

    @property
    def device(self) -> Any:
        """Where the model computes."""
        return next(self.model.parameters()).device

    def special(self, text: str) -> int | None:
        """Return the id of a special token, or None."""
        found: int | None = self.tokenizer.special_tokens.get(text)
        return found

    @property
    def end_of_text(self) -> int | None:
        """The id of the token between two documents, or None."""
        return self.special("<|endoftext|>")

    def __str__(self) -> str:
        size = sum(parameter.numel() for parameter in self.model.parameters())
        names = {True: "the reference", False: "your files as they are saved"}
        model, code = names[self.made_by.is_reference], names[self.code.is_reference]
        by = f"by {model}" if model == code else f"by {model}, its text by {code}"
        return f"{type(self.model).__name__} with {size:,} parameters from {self.path}, {by}"


def open_folder(path: Path, solution: bool = False, device: str = "auto") -> Opened:
    """Return the model of a folder in evaluation mode: of a run of step 2 or 3, or an exported one.

    The model is built from the code that trained it, or from your files for a folder that does not say; the
    text is written by your files. `solution` takes the reference for both. Raises CannotWrite or ValueError,
    in one sentence, for what is neither, is damaged, or has a tokenizer that is not the model's.
    """
    folder = path.expanduser()
    if not (folder / CONFIG).is_file():
        raise CannotWrite(
            f"RUN must be the folder of a run or of an exported model, with {CONFIG}, got {path}{there()}"
        )
    made_by = Chain(solution or was_reference(folder))
    config = config_of(folder)
    model, tokenizer = parts_of(folder, config, made_by)
    check_fit(folder, config, model, tokenizer)
    where = choose_device(device)
    code = made_by if made_by.is_reference == solution else Chain(solution)
    return Opened(folder, model.to(where).eval(), tokenizer, made_by, code, has_dialogue(folder))


def config_of(folder: Path) -> dict[str, Any]:
    """Return what a folder says of its model. Raises CannotWrite where it is no configuration of one."""
    config: Any = read_json(folder / CONFIG)
    size = config.get("vocab_size") if isinstance(config, dict) else None
    if not isinstance(size, int):
        got = f"vocab_size {size!r}" if isinstance(config, dict) else f"a {type(config).__name__}"
        raise CannotWrite(f"{folder / CONFIG} must be the configuration of a model, got {got}")
    return config


def there() -> str:
    """Say which runs there are, if there are any."""
    names = sorted(each.parent.name for each in RUNS.glob(f"*/{WEIGHTS}"))
    return f"; in {RUNS.name}/ there are {', '.join(names[:8])}" if names else "; course train makes a run"


def parts_of(folder: Path, config: dict[str, Any], chain: Chain) -> tuple[Any, Any]:
    """Return the model and the tokenizer of a folder, by whatever program it was written."""
    is_exported, is_gpt = config.get("model_type") in CLASSES, "block_size" in config
    if not (is_exported or is_gpt):
        model, _, tokenizer = load_run(folder, chain)
        return model, tokenizer
    tokenizer = tokenizer_of(folder, config, chain)
    if is_exported:
        return load(folder, core=chain.model, further=chain.full_model)[0], tokenizer
    try:
        model = chain.model.GPT(chain.model.GPTConfig(**config))
    except TypeError as error:
        raise CannotWrite(f"{folder / CONFIG} must be that of a GPT of this course, got: {error}") from None
    fill(model, stored(folder))
    return model, tokenizer


def tokenizer_of(folder: Path, config: dict[str, Any], chain: Chain) -> Any:
    """Return the tokenizer of a folder; a model of 256 tokens without one reads bytes."""
    has_one = any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json"))
    if not has_one and config["vocab_size"] == BYTES:
        return chain.text.Tokenizer([])
    return chain.text.Tokenizer.load(folder)


def check_fit(folder: Path, config: dict[str, Any], model: Any, tokenizer: Any) -> None:
    """Raise CannotWrite where the tokenizer is not the model's.

    An exported model may have rows that no token uses, as published ones have; a run has none.
    """
    size: int = config["vocab_size"]
    may_be_fewer = "model_type" in config
    if len(tokenizer) > size or (len(tokenizer) < size and not may_be_fewer):
        rule = "no more tokens than its model" if may_be_fewer else "as many tokens as its model"
        raise CannotWrite(f"the tokenizer of {folder} must have {rule}, got {len(tokenizer):,} and {size:,}")


def has_dialogue(folder: Path) -> bool:
    """Return whether the model has seen the markers of a dialogue: its corpus had them, or its template
    says so.
    """
    if (folder / TRAINING).is_file():
        return read_options(folder).get("corpus") in WITH_DIALOGUES
    path = folder / "tokenizer_config.json"
    return path.is_file() and read_json(path).get("chat_template") == TEMPLATE
