"""One optimizer step on one global batch, composed of the learner's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from step3_pretrain.parallel.world import ALONE, World, whole
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.errors import BrokenLoss


class Stepped(NamedTuple):
    """What a step saw: the loss in nats, the balance loss or None, how long the gradients were."""

    loss: float
    aux_loss: float | None
    norm: float


class Stepper:
    """Takes steps. In float32, on the whole batch at once, with a dense model, it is `training_step`; what
    an option adds is composed of the further parts: parts of a batch, half precision, the balance loss.

    Gradients that are no numbers stop it before the optimizer moves a weight.
    """

    def __init__(
        self,
        chain: Chain,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        dtype: torch.dtype,
        accumulate: int,
        max_norm: float,
        balance: float | None,
        world: World = ALONE,
    ) -> None:
        self.world = world
        self.chain, self.model, self.optimizer = chain, model, optimizer
        self.dtype, self.accumulate, self.max_norm, self.balance = dtype, accumulate, max_norm, balance
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.is_mixed = dtype != torch.float32
        device = self.parameters[0].device.type
        needs_scaler = self.is_mixed and chain.further.needs_scaler(dtype)
        self.scaler = torch.amp.GradScaler(device, enabled=needs_scaler)
        self.norm = torch.zeros(())
        if not needs_scaler:
            optimizer.register_step_pre_hook(self._clip)

    def _clip(self, *_: Any) -> None:
        """Clip right before the optimizer steps, and stop where there is nothing to step along."""
        self.norm = whole(self.chain.core.clip_gradients(self.parameters, self.max_norm))
        if not torch.isfinite(self.norm):
            raise BrokenLoss(f"the gradients must be numbers, got a length of {self.norm.item()}")

    def __call__(self, ids: Tensor, labels: Tensor) -> Stepped:
        """Change the weights once and return what was seen. Raises BrokenLoss before weights are spoiled."""
        is_plain = self.accumulate == 1 and not self.is_mixed and self.balance is None
        if is_plain and self.world.is_alone:
            # The limit is kept by `_clip`, which tells how long the gradients were.
            loss = self.chain.core.training_step(self.model, self.optimizer, ids, None, labels)
            aux = None
        else:
            loss, aux = self._composed(ids, labels)
        loss, aux = self.world.mean(loss), None if aux is None else self.world.mean(aux)
        if not torch.isfinite(loss):
            raise BrokenLoss(f"the loss must be a number, got {loss.item()}")
        return Stepped(loss.item(), None if aux is None else aux.item(), float(self.norm))

    def _composed(self, ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        seen: list[tuple[Tensor, Tensor]] = []
        self.model.train()
        self.optimizer.zero_grad()
        counts = torch.stack([(part[:, 1:] != -100).sum() for part in labels.chunk(self.accumulate)])
        # The gradient is the mean over the processes: one whose rows predict more counts more.
        share = self.world.share(counts.sum())
        loss_of = self._loss_of(seen, share)
        parts = list(zip(ids.chunk(self.accumulate), labels.chunk(self.accumulate), strict=True))
        if len(parts) > 1:
            self.chain.further.accumulate_gradients(loss_of, parts)
        else:
            loss_of(ids, labels).backward()
        if self.scaler.is_enabled():
            self.norm = self.chain.further.scaled_step(
                self.optimizer, self.scaler, self.parameters, self.max_norm
            )
        else:
            self.optimizer.step()
        # Each part counts by its share of the tokens that are predicted, as in 3.9.
        shares = share * counts / counts.sum()
        loss, aux = ((torch.stack(each) * shares).sum() for each in zip(*seen, strict=True))
        return loss, None if self.balance is None else aux

    def _loss_of(self, seen: list[tuple[Tensor, Tensor]], share: float) -> Callable[[Tensor, Tensor], Tensor]:
        """Return what is to be made small: the loss, with the balance loss at its coefficient, scaled where
        gradients would be lost. The two are kept apart in `seen`.
        """

        def loss_of(ids: Tensor, labels: Tensor) -> Tensor:
            if self.is_mixed:
                output = self.chain.further.forward_mixed(self.model, ids, labels, self.dtype)
            else:
                output = self.model(ids, labels=labels)
            whole = output.loss
            aux = torch.zeros_like(whole) if self.balance is None else output.aux_loss
            seen.append((output.loss.detach(), aux.detach()))
            if self.balance is not None:
                whole = whole + self.balance * aux
            return self.scaler.scale(share * whole)

        return loss_of
