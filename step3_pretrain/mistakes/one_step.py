"""3.3, one step: known mistakes and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.probe import mistake, variant
from step3_pretrain.model_solution import clip_gradients


def clip(model: nn.Module, max_norm: float | None) -> None:
    """Clip the gradients where there is a limit."""
    if max_norm is not None:
        clip_gradients(model.parameters(), max_norm)


@mistake("3.3")
def not_zeroed(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your gradients are never set to zero. `backward` adds to those of the steps before, so that each step
    goes where all batches so far pointed. The loss falls at first, then swings and grows.
    """
    model.train()
    loss = model(ids, labels=ids).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    return loss.detach()


@mistake("3.3")
def zeroed_behind_the_step(
    model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None
) -> Tensor:
    """Your gradients are set to zero behind the step only. What somebody left in them before the first one, a
    test or a run that was stopped, still goes into it.
    """
    model.train()
    loss = model(ids, labels=ids).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


@mistake("3.3")
def zeroed_behind_backward(
    model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None
) -> Tensor:
    """Your gradients are set to zero between `backward` and `step`. Nothing is left for the optimizer to go
    by, and no weight ever moves.
    """
    model.train()
    loss = model(ids, labels=ids).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.zero_grad()
    optimizer.step()
    return loss.detach()


@mistake("3.3")
def no_step(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your optimizer never steps: the gradients are there, and nobody goes by them. Whoever adds to them next
    finds them still there.
    """
    model.train()
    loss = model(ids, labels=ids).loss
    loss.backward()
    clip(model, max_norm)
    return loss.detach()


@mistake("3.3")
def mode_as_it_is(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your model stays in the mode in which it is. After an evaluation dropout would be off for the rest of
    the training, and nothing would say so.
    """
    optimizer.zero_grad()
    loss = model(ids, labels=ids).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    return loss.detach()


@mistake("3.3")
def evaluating(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your model trains in evaluation mode: dropout never acts, and the model learns its text by heart sooner
    than it should.
    """
    model.eval()
    optimizer.zero_grad()
    loss = model(ids, labels=ids).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    return loss.detach()


@mistake("3.3")
def shifted_twice(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your labels are shifted twice: once by your code and once by the model. It learns to say the token
    after the next one, and its texts read like every second word.
    """
    model.train()
    optimizer.zero_grad()
    loss = model(ids[:, :-1], labels=ids[:, 1:]).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    return loss.detach()


@mistake("3.3")
def loss_after(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your loss is that after the step: the model is asked once more. It costs another forward pass and looks
    better than what the model knew when it met the batch.
    """
    model.train()
    optimizer.zero_grad()
    model(ids, labels=ids).loss.backward()
    clip(model, max_norm)
    optimizer.step()
    with torch.no_grad():
        found: Tensor = model(ids, labels=ids).loss
    return found


@mistake("3.3")
def with_graph(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your loss is returned with its graph. Whoever keeps the losses, for a curve, keeps everything that was
    computed for them, and memory grows with every step.
    """
    model.train()
    optimizer.zero_grad()
    loss: Tensor = model(ids, labels=ids).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    return loss


@mistake("3.3")
def as_number(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> float:
    """Your loss is a number of Python, not a tensor. To get it the program waits for the GPU at every step;
    `detach` waits for nothing, and whoever wants a number asks for it.
    """
    model.train()
    optimizer.zero_grad()
    loss = model(ids, labels=ids).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    return float(loss.detach())


@mistake("3.3")
def uphill(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your step makes the loss larger: its sign is turned before `backward`. Optimizers go against the
    gradient by themselves.
    """
    model.train()
    optimizer.zero_grad()
    loss = model(ids, labels=ids).loss
    (-loss).backward()
    clip(model, max_norm)
    optimizer.step()
    return loss.detach()


@mistake("3.3")
def clipped_behind_the_step(
    model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None
) -> Tensor:
    """Your gradients are clipped behind the step, when the weights have moved already. A limit that is
    applied afterwards limits nothing.
    """
    model.train()
    optimizer.zero_grad()
    loss = model(ids, labels=ids).loss
    loss.backward()
    optimizer.step()
    clip(model, max_norm)
    return loss.detach()


@mistake("3.3")
def loss_clipped(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Your limit is applied to the loss instead of the gradients. A loss above it is cut to a constant, which
    has no gradient: the batches that surprise most teach nothing.
    """
    model.train()
    optimizer.zero_grad()
    loss = model(ids, labels=ids).loss
    (loss if max_norm is None else loss.clamp(max=max_norm)).backward()
    optimizer.step()
    return loss.detach()


@variant("3.3")
def by_the_model(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """The model forgets its gradients itself, right before new ones come."""
    model.train(True)
    output = model(ids, ids)
    model.zero_grad()
    output.loss.backward()
    if max_norm is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return output.loss.detach().clone()


@variant("3.3")
def kept_zeros(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Zeros instead of None, before and behind the step."""
    optimizer.zero_grad(set_to_none=False)
    model.train()
    loss = model(ids=ids, labels=ids.clone()).loss
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.data


@variant("3.3")
def by_autograd(model: nn.Module, optimizer: Any, ids: Tensor, max_norm: float | None = None) -> Tensor:
    """Gradients asked for by name and put in place of what was there."""
    for module in model.modules():
        module.training = True
    parameters = list(model.parameters())
    loss = model(ids, labels=ids)[1]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
        parameter.grad = gradient
    clip(model, max_norm)
    optimizer.step()
    with torch.no_grad():
        return loss + 0.0
