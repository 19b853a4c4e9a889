"""2.1, the feed-forward layer: known mistakes and accepted variants."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.probe import mistake, variant


@mistake("2.1")
def no_gelu(self: Any, x: Tensor) -> Tensor:
    """Your layer does not bend the activations: GELU is missing between c_fc and c_proj. Two linear
    layers in a row are one linear layer, so the 4C features in between add nothing that the model could
    not do without them.
    """
    return self.dropout(self.c_proj(self.c_fc(x)))


@mistake("2.1")
def exact_gelu(self: Any, x: Tensor) -> Tensor:
    """Your layer uses GELU in its exact form, x · Φ(x), which is what `F.gelu(x)` computes by default.
    GPT-2 was trained with the tanh form; the two differ by up to 0.0005, and every layer adds to the
    difference.
    """
    return self.dropout(self.c_proj(F.gelu(self.c_fc(x))))


@mistake("2.1")
def relu(self: Any, x: Tensor) -> Tensor:
    """Your layer bends the activations with ReLU. GELU lets small negative values through, and their
    gradients with them; ReLU cuts them to exactly 0.
    """
    return self.dropout(self.c_proj(F.relu(self.c_fc(x))))


@mistake("2.1")
def silu(self: Any, x: Tensor) -> Tensor:
    """Your layer bends the activations with SiLU, x · sigmoid(x). It looks like GELU but is flatter:
    weights trained with one do not fit the other.
    """
    return self.dropout(self.c_proj(F.silu(self.c_fc(x))))


@mistake("2.1")
def tanh(self: Any, x: Tensor) -> Tensor:
    """Your layer bends the activations with tanh itself. GELU's tanh form has tanh inside, as a smooth
    switch that multiplies x; tanh alone squeezes everything between -1 and 1.
    """
    return self.dropout(self.c_proj(torch.tanh(self.c_fc(x))))


@mistake("2.1")
def sigmoid_gelu(self: Any, x: Tensor) -> Tensor:
    """Your layer uses the sigmoid approximation of GELU, x · sigmoid(1.702 x). GPT-2 uses the tanh
    form, which is forty times closer to the exact one.
    """
    h = self.c_fc(x)
    return self.dropout(self.c_proj(h * torch.sigmoid(1.702 * h)))


@mistake("2.1")
def gelu_after_projection(self: Any, x: Tensor) -> Tensor:
    """Your layer applies GELU to the result of c_proj. It belongs between the two linear layers; at the
    end the two collapse into one, and the layer can hardly answer anything negative.
    """
    return self.dropout(F.gelu(self.c_proj(self.c_fc(x)), approximate="tanh"))


@mistake("2.1")
def gelu_before_widening(self: Any, x: Tensor) -> Tensor:
    """Your layer applies GELU to x, before c_fc widens it. It belongs on the 4C features behind c_fc;
    before them it bends only C numbers, and c_fc and c_proj collapse into one linear layer.
    """
    return self.dropout(self.c_proj(self.c_fc(F.gelu(x, approximate="tanh"))))


@mistake("2.1")
def gelu_twice(self: Any, x: Tensor) -> Tensor:
    """Your layer applies GELU twice, before c_proj and again after it. What a layer adds to the
    residual stream must be free to have any sign; the last step before dropout is c_proj alone.
    """
    h = self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))
    return self.dropout(F.gelu(h, approximate="tanh"))


@mistake("2.1")
def gelu_without_half(self: Any, x: Tensor) -> Tensor:
    """Your GELU lacks the factor 1/2: 1 + tanh(...) runs from 0 to 2, so that large activations come
    out twice as large as they went in.
    """
    h = self.c_fc(x)
    return self.dropout(self.c_proj(h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))))


@mistake("2.1", called="The GELU lacks the cubic term inside tanh")
def gelu_without_cube(self: Any, x: Tensor) -> Tensor:
    """Your GELU lacks the cubic term: inside tanh stands x + 0.044715 · x³. Without it the switch opens
    too slowly for large x.
    """
    h = self.c_fc(x)
    return self.dropout(self.c_proj(0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * h))))


@mistake("2.1")
def no_dropout(self: Any, x: Tensor) -> Tensor:
    """Your layer never applies self.dropout. A model with dropout in its configuration would train as
    if it had none.
    """
    return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


@mistake("2.1")
def dropout_before_projection(self: Any, x: Tensor) -> Tensor:
    """Your layer drops out the 4C features before c_proj. GPT-2 drops out the result, after c_proj:
    whole numbers of the layer's answer, bias included.
    """
    return self.c_proj(self.dropout(F.gelu(self.c_fc(x), approximate="tanh")))


@mistake("2.1")
def dropout_on_input(self: Any, x: Tensor) -> Tensor:
    """Your layer drops out x, before anything is computed. Dropout belongs on the result, after c_proj."""
    return self.c_proj(F.gelu(self.c_fc(self.dropout(x)), approximate="tanh"))


@mistake("2.1")
def dropout_twice(self: Any, x: Tensor) -> Tensor:
    """Your layer applies dropout twice, to the 4C features and to the result. Once, after c_proj, is
    what the probability in the configuration means.
    """
    return self.dropout(self.c_proj(self.dropout(F.gelu(self.c_fc(x), approximate="tanh"))))


@mistake("2.1")
def dropout_always(self: Any, x: Tensor) -> Tensor:
    """Your layer drops out in evaluation too. `F.dropout` drops by default, whatever mode the model is
    in; self.dropout knows the mode.
    """
    return F.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")), self.dropout.p)


@mistake("2.1")
def adds_x(self: Any, x: Tensor) -> Tensor:
    """Your layer adds x to its answer. The residual belongs to the block, which adds x itself: here it
    would be added twice.
    """
    return x + self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


@mistake("2.1")
def no_projection_bias(self: Any, x: Tensor) -> Tensor:
    """Your layer multiplies by the weights of c_proj without adding its bias. Call self.c_proj(...): it
    does both.
    """
    return self.dropout(F.gelu(self.c_fc(x), approximate="tanh") @ self.c_proj.weight.T)


@mistake("2.1")
def no_widening_bias(self: Any, x: Tensor) -> Tensor:
    """Your layer multiplies by the weights of c_fc without adding its bias. Call self.c_fc(...): it
    does both.
    """
    return self.dropout(self.c_proj(F.gelu(x @ self.c_fc.weight.T, approximate="tanh")))


@mistake("2.1")
def detached(self: Any, x: Tensor) -> Tensor:
    """Your layer cuts the gradient between GELU and c_proj (detach, .data or torch.no_grad): c_fc would
    never learn.
    """
    return self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh").detach()))


@variant("2.1")
def one_line(self: Any, x: Tensor) -> Tensor:
    """nn.GELU as a module, everything in one expression."""
    return self.dropout(self.c_proj(nn.GELU(approximate="tanh")(self.c_fc(x))))


@variant("2.1")
def written_out(self: Any, x: Tensor) -> Tensor:
    """The tanh form written out."""
    h = self.c_fc(x)
    h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h.pow(3))))
    return self.dropout(self.c_proj(h))


@variant("2.1")
def as_a_sigmoid(self: Any, x: Tensor) -> Tensor:
    """(1 + tanh z) / 2 is sigmoid(2z)."""
    h = self.c_fc(x)
    h = h * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (h + 0.044715 * h * h * h))
    return self.dropout(self.c_proj(h))


@variant("2.1")
def functional(self: Any, x: Tensor) -> Tensor:
    """Functions in place of modules; dropout follows the mode of the model."""
    h = F.gelu(F.linear(x, self.c_fc.weight, self.c_fc.bias), approximate="tanh")
    h = F.linear(h, self.c_proj.weight, self.c_proj.bias)
    return F.dropout(h, p=self.dropout.p, training=self.training)


@variant("2.1")
def flat_float64(self: Any, x: Tensor) -> Tensor:
    """Positions in one long list, matrix products in float64."""
    rows = x.reshape(-1, x.shape[-1]).double()
    h = F.gelu(rows @ self.c_fc.weight.double().T + self.c_fc.bias.double(), approximate="tanh")
    y = h @ self.c_proj.weight.double().T + self.c_proj.bias.double()
    return self.dropout(y.to(x.dtype).reshape(x.shape))
