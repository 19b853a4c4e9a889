"""3.10a, autocast: known mistakes with what is cast and what is not, and accepted variants."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn

from coursekit.probe import mistake, variant
from step2_model.model_solution import ModelOutput, next_token_loss


def cast(ids: Tensor, dtype: torch.dtype) -> torch.autocast:
    """Return autocast as it should be."""
    return torch.autocast(ids.device.type, dtype, enabled=dtype != torch.float32)


def finish(output: ModelOutput, labels: Tensor) -> ModelOutput:
    """Return logits and loss in float32."""
    logits = output.logits.float()
    return ModelOutput(logits, next_token_loss(logits, labels), output.aux_loss)


@mistake("3.10a")
def never_cast(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your model runs without autocast: no product is in `dtype`, and nothing becomes faster."""
    return finish(model(ids), labels)


@mistake("3.10a")
def rounded_at_the_end(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your model runs in float32, and its logits are rounded to `dtype` afterwards: the loss of precision
    without the speed. The products themselves must be in `dtype`.
    """
    output = model(ids)
    return finish(output._replace(logits=output.logits.to(dtype)), labels)


@mistake("3.10a", called="The loss and the logits are those of half precision")
def all_in_half(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your result is the model's own, loss and all: the loss is computed in half precision, where a sum over
    the vocabulary keeps two or three digits. Bring the logits to float32, and compute it from them.
    """
    with cast(ids, dtype):
        output: ModelOutput = model(ids, labels)
    return ModelOutput(output.logits, output.loss, output.aux_loss)


@mistake("3.10a", called="The loss is the model's own, in half precision, beside logits in float32")
def own_loss(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your loss is the model's own, computed under autocast from logits in half precision. The logits that
    you return are float32, but the gradients come from that loss.
    """
    with cast(ids, dtype):
        output: ModelOutput = model(ids, labels)
    assert output.loss is not None
    return ModelOutput(output.logits.float(), output.loss.float(), output.aux_loss)


@mistake("3.10a")
def loss_from_half_logits(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your loss is computed from the logits before they become float32. Its sums run in half precision: bring
    the logits to float32 first.
    """
    with cast(ids, dtype):
        output = model(ids)
    loss = next_token_loss(output.logits, labels).float()
    return ModelOutput(output.logits.float(), loss, output.aux_loss)


@mistake("3.10a")
def half_logits(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your logits come back in half precision; only the loss was computed from float32. Whoever samples or
    scores with them sums in half precision.
    """
    with cast(ids, dtype):
        output = model(ids)
    loss = next_token_loss(output.logits.float(), labels)
    return ModelOutput(output.logits, loss, output.aux_loss)


@mistake("3.10a")
def master_weights_in_half(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your model itself is cast to `dtype`: its master weights are in half precision from now on. A step of a
    thousandth of a weight is less than bfloat16 can add to it, and learning stops.
    """
    return finish(model.to(dtype)(ids), labels)


@mistake("3.10a", called="The weights are cast for the run and then cast back, rounded")
def weights_there_and_back(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your model is cast to `dtype` for the run and back to float32 behind it. The weights look like float32,
    but have lost all digits that `dtype` has not. Autocast casts copies.
    """
    output = model.to(dtype)(ids)
    model.float()
    return finish(output, labels)


@mistake("3.10a")
def autocast_for_float32(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your autocast is on for float32, too. There is nothing to cast then, and torch warns at every step:
    enabled=dtype != torch.float32.
    """
    with torch.autocast(ids.device.type, dtype):
        output = model(ids)
    return finish(output, labels)


@mistake("3.10a", called="Autocast is always in bfloat16, whatever dtype says")
def always_bfloat16(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your autocast does not know of `dtype`: it runs in its default, bfloat16 on a CPU, where float16 or
    float32 was asked for.
    """
    with torch.autocast(ids.device.type):
        output = model(ids)
    return finish(output, labels)


@mistake("3.10a", called="float16 is left out: it runs in float32")
def bfloat16_alone(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your autocast is on for bfloat16 alone; float16 runs in float32. All but float32 is to be cast."""
    with torch.autocast(ids.device.type, dtype, enabled=dtype == torch.bfloat16):
        output = model(ids)
    return finish(output, labels)


@mistake("3.10a")
def backward_under_autocast(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your function calls backward, and under autocast. The caller does that, outside: backward follows the
    dtypes of the forward pass by itself, and a caller who calls it again would meet a graph used up.
    """
    with cast(ids, dtype):
        output = finish(model(ids), labels)
        assert output.loss is not None
        output.loss.backward(retain_graph=True)
    return output


@mistake("3.10a")
def no_gradient(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your model runs without a graph (torch.no_grad or torch.inference_mode): no weight could learn."""
    with cast(ids, dtype), torch.no_grad():
        output = model(ids)
    return finish(output, labels)


@mistake("3.10a")
def aux_loss_lost(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your result has no aux_loss, although the model returned one. It is what keeps experts busy."""
    with cast(ids, dtype):
        output = model(ids)
    return finish(output, labels)._replace(aux_loss=None)


@mistake("3.10a")
def aux_loss_added(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Your loss has the auxiliary loss in it. That is the loop's to add, with a coefficient; bits per byte
    are made of the loss alone.
    """
    with cast(ids, dtype):
        output = finish(model(ids), labels)
    assert output.loss is not None
    loss = output.loss if output.aux_loss is None else output.loss + output.aux_loss.float()
    return output._replace(loss=loss)


@variant("3.10a")
def chosen_context(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """A context that does nothing in place of a switch; the cast with `to`."""
    is_plain = dtype == torch.float32
    context = contextlib.nullcontext() if is_plain else torch.autocast(ids.device.type, dtype=dtype)
    with context:
        logits, _, aux_loss = model(ids)
    logits = logits.to(torch.float32)
    return ModelOutput(logits=logits, loss=next_token_loss(logits, labels), aux_loss=aux_loss)


@variant("3.10a")
def loss_under_autocast_in_float32(
    model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype
) -> ModelOutput:
    """The loss inside of autocast, but with autocast off for it."""
    kind = labels.device.type
    with torch.autocast(kind, dtype, enabled=dtype in (torch.float16, torch.bfloat16)):
        output = model(ids)
        with torch.autocast(kind, enabled=False):
            return finish(output, labels)


@variant("3.10a")
def under_one_name(model: nn.Module, ids: Tensor, labels: Tensor, dtype: torch.dtype) -> ModelOutput:
    """Switched by the size of a number; the model's result with its parts replaced."""
    with torch.amp.autocast(ids.device.type, dtype=dtype, enabled=dtype.itemsize < 4):
        output: ModelOutput = model(ids=ids)
    output = ModelOutput(*output)._replace(logits=output.logits.type(torch.float32))
    return output._replace(loss=next_token_loss(output.logits, labels))
