"""The loop: rates, batch, step, what is seen, and from time to time an evaluation, samples, a checkpoint."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError

from step3_pretrain.parallel.world import ALONE, World, spread
from step3_pretrain.run.folder import METRICS, WEIGHTS, RunFolder
from step3_pretrain.trainer.building import balance_of, new_optimizer
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.checkpoints import Checkpoints
from step3_pretrain.trainer.data import Data, Documents
from step3_pretrain.trainer.errors import BrokenLoss, CannotTrain
from step3_pretrain.trainer.evaluation import bits_per_byte, written
from step3_pretrain.trainer.experts import Loads
from step3_pretrain.trainer.metrics import Metrics, Unseen
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.plan import Plan
from step3_pretrain.trainer.precision import DTYPES
from step3_pretrain.trainer.stepping import Stepped, Stepper
from step3_pretrain.trainer.stopping import listening
from step3_pretrain.trainer.view import View, in_words

# The load of experts is kept every so many steps.
LOAD_EVERY = 10
# How many times as many bytes the last evaluation measures.
FINAL = 5


@dataclass
class Trainer:
    """One run in one process, from its last good checkpoint to its end or to Ctrl-C."""

    chain: Chain
    options: Options
    plan: Plan
    data: Data
    run: RunFolder
    model: Any
    tokenizer: Any
    device: str
    identity: dict[str, str]
    view: View
    world: World = ALONE
    step: int = 0
    # Seconds of training before this process, and when it began.
    earlier: float = 0.0
    begun: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        options, args = self.options, self.model.args
        self.model.to(self.device)
        spread_out = spread(self.model, options.parallel, self.world, self.device)
        self.optimizer = new_optimizer(self.chain, options, self.model)
        self.documents = Documents(self.data.stream)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.loads = Loads(self.model, options.bias_rate, self.world) if args.n_experts else None
        trained: Any = torch.compile(spread_out) if options.compile else spread_out
        balance = balance_of(options, args) if args.n_experts else None
        dtype = DTYPES[options.dtype]
        self.stepper = Stepper(
            self.chain,
            trained,
            self.optimizer,
            dtype,
            options.accumulate,
            options.max_norm,
            balance,
            self.world,
        )
        self.checkpoints = Checkpoints(self.chain, self.run, options.keep, self.identity, self.world)

    @property
    def seconds(self) -> float:
        """How long the run has trained, now and before it was resumed, by the first process's clock."""
        return self.world.first(self.earlier + time.perf_counter() - self.begun, self.device)

    @property
    def fraction(self) -> float:
        """Which share of the run is done."""
        return self.plan.fraction(self.step, self.seconds)

    def restore(self) -> None:
        """Go on where the newest good checkpoint stands."""
        self.step, extra = self.checkpoints.restore(self.model, self.optimizer, self.view)
        self.earlier = extra.get("seconds", 0.0)
        if extra.get("scaler"):
            self.stepper.scaler.load_state_dict(extra["scaler"])

    def train(self) -> int:
        """Take all steps that are left; return the exit status: 0 at the end, 130 after Ctrl-C.

        Raises CannotTrain where the loss is no number any more or the disk is full; what was saved stands.
        """
        if self.world.is_first:
            self.run.sweep()
        self.begun = time.perf_counter()
        try:
            metrics = Metrics(self.run, self.step) if self.world.is_first else Unseen()
            try:
                with listening() as stop, self.view.training(self.fraction):
                    while self.fraction < 1 and not self.world.any(bool(stop), self.device):
                        self._one_step(metrics)
                    is_missing = not (self.run.path / WEIGHTS).exists()
                    if self.checkpoints.last != self.step or self.world.any(is_missing, self.device):
                        self._save()
                    if not self.world.any(bool(stop), self.device):
                        self._finish(metrics)
            finally:
                metrics.close()
        except (OSError, SafetensorError) as error:
            raise self.checkpoints.cannot_write(self.run.path / METRICS, error) from None
        if stop:
            self.view.say(f"Stopped and saved after step {self.step}. Go on with: --resume {self.run.path}")
        return stop.status

    def _one_step(self, metrics: Metrics | Unseen) -> None:
        begin = self.seconds
        before = (self.step, begin)
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = self.plan.rate(self.chain, self.step, begin, peak)
        ids, labels = self.batch(self.step)
        try:
            stepped = self.stepper(self.world.rows(ids), self.world.rows(labels))
        except BrokenLoss as error:
            raise self._broken(error, ids) from None
        self.step += 1
        now = (self.step, self.seconds)
        metrics.add(self.step, self._seen(stepped, int((labels != -100).sum()) / (now[1] - begin)))
        left = self.plan.left(self.step, now[1], now[1] / self.step)
        self.view.step(self.fraction, left, f"loss {stepped.loss:.3f}")
        if self.plan.is_due(self.options.eval_every, before, now) and self.fraction < 1:
            self._evaluate(metrics, stepped, in_words(left))
        if self.plan.is_due(self.options.save_every, before, now):
            self._save()

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and labels of the global batch of a step: a function of the seed and the step alone."""
        options, core = self.options, self.chain.core
        sizes = (self.model.args.max_seq_len, options.batch_size, options.seed, step)
        if options.rows == "blocks":
            ids = labels = core.sample_blocks(self.data.stream, *sizes)
        else:
            ids, labels = core.sample_documents(self.documents, self.data.end_of_text, *sizes)
        if options.compile:
            ids, labels = at_full_length(ids, labels, sizes[0], self.data.end_of_text)
        return ids.to(self.device), labels.to(self.device)

    def _seen(self, stepped: Stepped, speed: float) -> dict[str, Any]:
        seen: dict[str, Any] = {"loss": stepped.loss, "lr": self.optimizer.param_groups[0]["lr"]}
        seen |= {"norm": stepped.norm, "tokens_per_second": round(speed), "seconds": round(self.seconds, 3)}
        if self.loads is not None:
            shares = self.loads.settle()
            seen["aux_loss"] = stepped.aux_loss
            if self.step % LOAD_EVERY == 0:
                seen["load"] = [[round(share, 4) for share in layer] for layer in shares]
        return seen

    def _evaluate(self, metrics: Metrics | Unseen, stepped: Stepped, left: str) -> None:
        bits = bits_per_byte(self.chain, self.model, self.data, self.options.eval_bytes)
        metrics.add(self.step, {"bits_per_byte": bits})
        texts = written(self.model, self.tokenizer, self.data.end_of_text, self.options, self.step)
        metrics.add_samples(self.step, texts)
        of = "" if self.plan.by_clock else f" of {self.plan.total:,}"
        self.view.say(
            f"step {self.step:,}{of}: loss {stepped.loss:.3f}, {bits:.4f} bits per byte held out, {left} left"
        )

    def _finish(self, metrics: Metrics | Unseen) -> None:
        """Measure on more text, once."""
        if any("final" in line for line in self.run.lines(METRICS) if line.get("step") == self.step):
            self.view.say(
                f"The run is finished after step {self.step}; --resume with more --steps prolongs it."
            )
            return
        bits = bits_per_byte(self.chain, self.model, self.data, FINAL * self.options.eval_bytes)
        metrics.add(self.step, {"bits_per_byte": bits, "final": True, "seconds": round(self.seconds, 3)})
        texts = written(self.model, self.tokenizer, self.data.end_of_text, self.options, self.step)
        metrics.add_samples(self.step, texts)
        for text in texts:
            self.view.say(f"    {text!r}")
        self.view.say(f"{self.step:,} steps, {bits:.4f} bits per byte held out. Kept in {self.run.path}")

    def _save(self) -> None:
        extra = {"seconds": self.seconds, "scaler": self.stepper.scaler.state_dict()}
        self.checkpoints.save(self.step, self.model, self.optimizer, extra)

    def _broken(self, error: BrokenLoss, ids: torch.Tensor) -> CannotTrain:
        """Keep the batch that broke the run, and say where it went wrong and what stands."""
        name = f"failed-step-{self.step:08}.json"
        if self.world.is_first:
            self.run.write_json(name, {"step": self.step, "error": str(error), "ids": ids.tolist()})
        last = self.checkpoints.last
        stands = (
            "nothing was saved yet" if last is None else f"the last good checkpoint is that of step {last}"
        )
        rate = max(self.peaks)
        return BrokenLoss(
            f"step {self.step} was not taken: {error}. Its batch, of sample_{self.options.rows} with "
            f"seed={self.options.seed} and step={self.step}, is in {self.run.path / name}; "
            f"{stands}. "
            f"A lower --lr than {rate:g}, or --dtype float32, in another run is the usual cure"
        )


def at_full_length(
    ids: torch.Tensor, labels: torch.Tensor, block_size: int, end_of_text: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fill rows up to a whole block: what is compiled once for all shapes computes other bits than what is
    compiled for one, so that a run that goes on would differ.
    """
    room = (0, block_size - ids.shape[1])
    filled = torch.nn.functional.pad(ids, room, value=end_of_text)
    return filled, torch.nn.functional.pad(labels, room, value=-100)
