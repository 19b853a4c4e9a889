"""Pretraining, written out: documents become a stream of ids, the stream batches, batches a trained model.

The file reads in the order of the tutorial: the data, one step of training, the measure, then what makes a
run fast and safe (the schedule, clipping, AdamW), then checkpoints. Each part is a function of its own; the
last part of the file puts them together with the tokenizer of step 1 and the decoder of step 2.

Shape letters, the same in the whole course:

    B batch    T tokens of a block    N tokens of the whole stream    V vocabulary
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from step1_tokenizer.model_exercise import Tokenizer
from step2_model.model_exercise import ModelArgs, Transformer

END_OF_TEXT = "<|endoftext|>"
# What a tokenizer of this step keeps apart from text: the end of a document, and the turns of a dialogue.
SPECIAL_TOKENS = (END_OF_TEXT, "<|user|>", "<|assistant|>", "<|end|>")


def pack(documents: Iterable[Sequence[int]], end_of_text: int) -> Int[Tensor, " N"]:
    """Return all documents as one stream of ids, each document followed by `end_of_text`, the last one too.

    Documents have any length; in one stream none is cut off or filled up, and the model sees where each ends.
    An empty document adds nothing, not even an end. The result is of dtype int64; without any document it is
    empty.

    Source: Brown et al., "Language Models are Few-Shot Learners" (2020), appendix B.
    Tutorial: docs/tutorials/step3_pretrain.md#31-one-stream
    """
    # 1. Put the ids of all documents in a row, with end_of_text behind each that is not empty.
    # 2. Return them as a tensor of int64.
    # TODO 3.1: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.1 is not written yet: pack in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.1"
    )


def sample_blocks(
    stream: Int[Tensor, " N"], block_size: int, batch_size: int, seed: int, step: int
) -> Int[Tensor, "B T"]:
    """Return `batch_size` blocks of `block_size` neighboring ids, as a function of seed and step alone.

    A block begins anywhere where it fits, every place with the same probability, the first and the last
    included, wherever the other blocks begin; blocks may overlap. The same seed and step give the same batch,
    in any process, whatever was drawn before; another seed or another step gives another one. So the number
    of the step is all that a run has to remember of its data. No global generator is read or moved. Returns
    int64.

    `torch.Generator` keeps only the lower 32 bits of its seed: two numbers do not fit into it by shifting.
    `random.Random` takes a text of any length.

    A stream on disk is no tensor, but it gives what one gives for len(), for a slice and for a tensor of
    places.

    Raises ValueError for a stream shorter than a block.

    Tutorial: docs/tutorials/step3_pretrain.md#32-blocks
    """
    num_places = len(stream) - block_size + 1  # given
    if num_places < 1:  # given
        rule = f"the stream must hold at least one block of {block_size} ids"  # given
        raise ValueError(f"{rule}, got {len(stream)}")  # given
    # 1. A generator of its own for this seed and this step.
    # 2. Draw where each block begins, (B, 1), among the num_places places where one fits.
    # 3. Read block_size neighbors from each place.
    # TODO 3.2: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.2 is not written yet: sample_blocks in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.2"
    )


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    ids: Int[Tensor, "B T"],
    max_norm: float | None = None,
    labels: Int[Tensor, "B T"] | None = None,
) -> Float[Tensor, ""]:
    """Change the model's weights once, so that it predicts this batch better, and return its loss before.

    The loss is what `model(ids, labels=labels).loss` returns: the model shifts the labels itself, so that
    they are the ids, unless others are given (-100 where nothing is to be predicted). Gradients of an earlier
    step play no part; the model is put into training mode, so that dropout acts. The returned loss is
    detached: it holds no graph and cannot be changed by the step. With `max_norm` the gradients are clipped
    before the step (3.6).

    Tutorial: docs/tutorials/step3_pretrain.md#33-one-step
    """
    labels = ids if labels is None else labels  # given
    # 1. Training mode; forget the gradients of the step before.
    # 2. The loss of predicting every next token of the batch.
    # 3. Its gradient with respect to every parameter.
    # 4. With a limit, clip the gradients.
    # TODO 3.3: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.3 is not written yet: training_step in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.3"
    )
    if max_norm is not None:  # given
        clip_gradients(model.parameters(), max_norm)  # given
    # 5. Let the optimizer change the parameters, and return the loss without its graph.


def document_batches(
    documents: Iterable[Sequence[int]], end_of_text: int, block_size: int, batch_size: int = 16
) -> Iterator[tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]]:
    """Yield whole documents as rows of ids and labels, so that each of their tokens is predicted once.

    A row begins with `end_of_text`, from which the first token is predicted, and ends with it: a model has to
    say where a document ends, too. A document that is longer than a block becomes several rows, each of which
    begins with the last token of the row before. Rows are filled up with `end_of_text`, whose labels are
    -100: they do not count.
    """
    rows: list[list[int]] = []
    for document in documents:
        whole = [end_of_text, *document, end_of_text]
        rows += [whole[i : i + block_size] for i in range(0, len(whole) - 1, block_size - 1)]
        while len(rows) >= batch_size:
            yield _filled_up(rows[:batch_size], end_of_text)
            del rows[:batch_size]
    if rows:
        yield _filled_up(rows, end_of_text)


def sample_documents(
    documents: Sequence[Sequence[int]],
    end_of_text: int,
    block_size: int,
    batch_size: int,
    seed: int,
    step: int,
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Return `batch_size` whole documents as rows of ids and labels, as a function of seed and step alone.

    What `sample_blocks` is for one stream, this is for documents that fit into a block (a longer one is cut
    off): no row begins in the middle of something, and none holds a second document that has nothing to do
    with the first. The price is padding. To keep it low, the documents of eight steps are drawn at once, and
    those of about one length share a batch. A row is laid out as in `document_batches`.
    """
    at_once = 8
    draw = random.Random(f"{seed}/{step // at_once}")
    drawn = [documents[draw.randrange(len(documents))] for _ in range(at_once * batch_size)]
    drawn.sort(key=len)
    first = draw.sample(range(at_once), at_once)[step % at_once] * batch_size
    rows = [[end_of_text, *document, end_of_text] for document in drawn[first : first + batch_size]]
    return _filled_up([row[:block_size] for row in rows], end_of_text)


def _filled_up(rows: Sequence[Sequence[int]], end_of_text: int) -> tuple[Tensor, Tensor]:
    """Return rows of unequal length as ids and labels of one length."""
    T = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[end_of_text] * (T - len(row))] for row in rows])
    labels = torch.tensor([[*row, *[-100] * (T - len(row))] for row in rows])
    return ids, labels


def evaluate(
    model: nn.Module, batches: Iterable[tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]], num_bytes: int
) -> float:
    """Return how many bits the model spends on each byte of a text, whatever its tokens are.

    `batches` are ids and labels as `document_batches` makes them, `num_bytes` is the length of the text that
    they stand for. The loss of a batch is a mean over its predicted tokens (the labels from the second on
    that are not -100), and batches hold unequally many of them: what counts is the sum over all tokens, in
    bits, divided by the bytes. Tokenizers that cut differently can be compared by it, and gzip with them.

    Evaluation changes nothing: dropout is off while it lasts, no gradient is kept, no generator is moved, and
    the model is in the mode afterwards in which it was before.

    Tutorial: docs/tutorials/step3_pretrain.md#34-bits-per-byte
    """
    # 1. Remember the mode, and switch to evaluation; nothing here needs a gradient.
    # 2. A batch's mean times the number of tokens that were predicted is its sum of surprise, in
    #    nats.
    # 3. Back to the mode of before; the sum in bits (1 bit is ln 2 nats), for each byte.
    # TODO 3.4: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.4 is not written yet: evaluate in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.4"
    )


def learning_rate(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Return the rate of a step (the first is 0): up in a straight line, then down along half a cosine.

    Each of the first `warmup` steps raises it by peak/warmup, so that step 0 has peak/warmup, not 0, and step
    warmup - 1 has the peak. From step `warmup` on, which has the peak as well, it follows half a turn of the
    cosine, and at step `total` and after it is `floor` times the peak. `warmup` may be 0.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), equation 5,
    without restarts; Brown et al. (2020), appendix B.
    Tutorial: docs/tutorials/step3_pretrain.md#35-the-schedule
    """
    # 1. Warm-up: the fraction of the peak that has been reached after this step.
    # 2. How much of the way from `warmup` to `total` is done, from 0 to 1.
    # 3. Half a turn of the cosine falls from 1 to 0; let it fall from the peak to floor times the peak.
    # TODO 3.5: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.5 is not written yet: learning_rate in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.5"
    )


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Float[Tensor, ""]:
    """Scale all gradients by one factor, so that together they are at most `max_norm` long; return how long
    they were.

    The length is that of all gradients laid out as one vector: the root of the sum of all their squares.
    Where it is within the limit nothing changes. Gradients are changed in place; parameters without one do
    not count. `parameters` may be an iterator that can be read only once.

    Source: Pascanu et al., "On the difficulty of training Recurrent Neural Networks" (2013), section 3.2.
    Tutorial: docs/tutorials/step3_pretrain.md#36-clipping
    """
    # 1. Collect the gradients that there are.
    # 2. The length of all of them as one vector.
    # 3. If that is above the limit, scale every gradient, in place, by the same factor.
    # TODO 3.6: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.6 is not written yet: clip_gradients in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.6"
    )


def adamw_step(
    weight: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Change one weight tensor in place by one step of AdamW; `state` is what the steps before have kept.

    With gradient g at step t = 1, 2, ...: m is the running mean of g, m ← β1·m + (1 - β1)·g, and v that of
    its square, v ← β2·v + (1 - β2)·g². Both begin at 0 and are too small at first: divided by 1 - β1^t and
    1 - β2^t they are not. The weight moves by -lr · m̂ / (√v̂ + eps). The decay does not go through m and v:
    the weight is shrunk by the factor 1 - lr · weight_decay, before it moves.

    `state` is empty at the first step. What is kept in it is up to you, as long as it is tensors and whole
    numbers, under names that are texts. The gradient stays as it is.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1; Loshchilov and
    Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.
    Tutorial: docs/tutorials/step3_pretrain.md#37-adamw
    """
    # 1. At the first step both means are zeros of the weight's shape, and no step has been counted.
    # 2. Move both running means toward the gradient and its square.
    # 3. What they would be if they had not begun at 0.
    # 4. Decay: shrink the weight itself.
    # 5. Move it against the mean, in units of the root of the mean square.
    # TODO 3.7: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.7 is not written yet: adamw_step in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.7"
    )


class AdamW(torch.optim.Optimizer):
    """The optimizer whose step is `adamw_step`, for each parameter that has a gradient."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change every parameter once; there is no closure to call."""
        for group in self.param_groups:
            settings = {name: group[name] for name in ("lr", "betas", "eps", "weight_decay")}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    adamw_step(parameter, parameter.grad, self.state[parameter], **settings)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write all that a run needs to go on as if it had never stopped into one file, whole or not at all.

    Weights and buffers of the model, the optimizer's state and settings, the states of all random generators,
    the number of the next step, and `extra`, anything that JSON can hold. Nothing else is needed of the data:
    `sample_blocks` is a function of the step.

    `path` holds either what it held before or all of the new checkpoint, whatever happens while it is
    written: the new one is written under another name in the same folder, and put in place when it is whole
    on the disk. Where that fails, nothing of it stays behind. No pickle: to read one is to run it.

    Tutorial: docs/tutorials/step3_pretrain.md#38-checkpoints
    """
    # 1. The tensors: those of the model, of the optimizer's state, and the states of the generators. Each
    #    needs a name of its own.
    # 2. All else as JSON.
    # 3. Write under another name, make sure that it is on the disk, then put it in place in one move.
    # 4. What is left of a draft that never became whole goes.
    # TODO 3.8: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.8 is not written yet: save_checkpoint in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.8"
    )


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, Any]]:
    """Bring model, optimizer and all generators into the state of the checkpoint; return step and extra.

    The next losses are those of the run that wrote it, bit for bit, with dropout too. `optimizer` was made
    with as many parameter groups, of as many parameters; its settings become those that were saved.

    Raises ValueError, with the path, for a file that is damaged, that is no checkpoint, or whose weights have
    other names or shapes than the model's. Then nothing has changed. Nothing in the file is run.

    Tutorial: docs/tutorials/step3_pretrain.md#38-checkpoints
    """
    # 1. Read tensors and JSON; whatever cannot be read is a damaged file.
    # 2. Compare the weights with the model's before anything is changed.
    # 3. The optimizer (it compares its groups itself), the model, the generators.
    # TODO 3.8: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.8 is not written yet: load_checkpoint in step3_pretrain/model_exercise.py. "
        "Write it, or run: course solve 3.8"
    )


def generator_states() -> dict[str, Tensor]:
    """Return the state of every random generator that a training step draws from: the CPU's, each GPU's."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_generators(states: Mapping[str, Tensor]) -> None:
    """Put back the states that `generator_states` returned; those of GPUs that are not here are left out."""
    for name, state in states.items():
        if name == "cpu":
            torch.set_rng_state(state)
        elif int(name.removeprefix("cuda.")) < torch.cuda.device_count():
            torch.cuda.set_rng_state(state, int(name.removeprefix("cuda.")))


# Everything together: the whole of a small run in a few lines. `python -m step3_pretrain.train` does the same
# for large ones.


@dataclass(frozen=True)
class TrainingArgs:
    """The numbers that decide a run. Raises ValueError where they cannot describe one."""

    steps: int = 1_000
    batch_size: int = 16
    block_size: int = 256
    learning_rate: float = 3e-3
    warmup: int = 50
    max_norm: float = 1.0
    weight_decay: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch_size": 1, "block_size": 2, "warmup": 0, "weight_decay": 0}
        for name, lowest in least.items():
            if not getattr(self, name) >= lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {getattr(self, name)!r}")
        for name in ("learning_rate", "max_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)!r}")


def spread_embeddings(model: Transformer) -> None:
    """Redraw the token vectors with a standard deviation of 1/√C, so that each has a length of about 1.

    Step 2 draws them with 0.02, as GPT-2 does, whose width is 768. In a narrow model such vectors are short
    beside what the first blocks add to the stream, and which token stands somewhere is soon hard to read from
    it: copying a name from the context sets in several times later. The model should have a head of its own:
    a tied one, whose vectors point to themselves, would begin by expecting every token to come once more.
    """
    nn.init.normal_(model.embed_tokens.weight, std=model.args.d_model**-0.5)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    stream: Int[Tensor, " N"],
    args: TrainingArgs,
    start: int = 0,
) -> Iterator[float]:
    """Take the steps from `start` on, and yield the loss in nats before each; the caller may stop anywhere.

    Every group of the optimizer follows the schedule up to the rate that it was made with.
    """
    device = next(model.parameters()).device
    for step in range(start, args.steps):
        set_rates(optimizer, step, args)
        ids = sample_blocks(stream, args.block_size, args.batch_size, args.seed, step)
        yield training_step(model, optimizer, ids.to(device), args.max_norm).item()


def train_on_documents(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    documents: Sequence[Sequence[int]],
    end_of_text: int,
    args: TrainingArgs,
    start: int = 0,
) -> Iterator[float]:
    """Do what `train` does with rows of whole documents in place of blocks cut from a stream."""
    device = next(model.parameters()).device
    sizes = (args.block_size, args.batch_size, args.seed)
    for step in range(start, args.steps):
        set_rates(optimizer, step, args)
        ids, labels = (t.to(device) for t in sample_documents(documents, end_of_text, *sizes, step))
        yield training_step(model, optimizer, ids, args.max_norm, labels).item()


def set_rates(optimizer: torch.optim.Optimizer, step: int, args: TrainingArgs) -> None:
    """Give every group of the optimizer its rate for this step."""
    for group in optimizer.param_groups:
        peak = group.setdefault("initial_lr", group["lr"])
        group["lr"] = learning_rate(step, peak, args.warmup, args.steps)


def pretrain(
    texts: Sequence[str], vocab_size: int, args: TrainingArgs, **changes: Any
) -> tuple[Transformer, Tokenizer, list[float]]:
    """Train a tokenizer, then a decoder, on texts; return both and the loss of every step.

    `changes` are those of `ModelArgs`; the vocabulary and the context are what the rest wants them to be.
    """
    tokenizer = Tokenizer.train(texts, vocab_size, SPECIAL_TOKENS)
    end_of_text = tokenizer.special_tokens[END_OF_TEXT]
    stream = pack((tokenizer.encode(text, SPECIAL_TOKENS) for text in texts), end_of_text)
    torch.manual_seed(args.seed)
    model = Transformer(ModelArgs(vocab_size=len(tokenizer), max_seq_len=args.block_size, **changes))
    optimizer = AdamW(model.parameters(), args.learning_rate, weight_decay=args.weight_decay)
    return model, tokenizer, list(train(model, optimizer, stream, args))


if __name__ == "__main__":
    from coursekit.selfcheck import main

    main(__file__)
