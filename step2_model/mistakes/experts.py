"""2.13c, running experts: known mistakes inside `Experts.forward`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake
from step2_model.further_solution import Experts, MoE

Both = dict[str, Callable[..., Any]]


def both(experts: Any = Experts.forward, layer: Any = MoE.forward) -> Both:
    """Return an implementation of the pair; what is not given is right."""
    return {"Experts.forward": experts, "MoE.forward": layer}


def expert(self: Any, e: int, rows: Tensor) -> Tensor:
    """Return SwiGLU number e of these rows."""
    gate, up = F.linear(rows, self.gate_up_proj[e]).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, self.down_proj[e])


def weigh(weights: Tensor, token: Tensor, rank: Tensor) -> Tensor:
    """Return the weights of these choices as a column."""
    return weights[token, rank, None]


def running(
    expert: Callable[[Any, int, Tensor], Tensor] = expert,
    weigh: Callable[[Tensor, Tensor, Tensor], Tensor] = weigh,
    used: Callable[[Any, Tensor], list[int]] = lambda self, experts: experts.unique().tolist(),
) -> Both:
    """Return the pair with one part of running the experts exchanged."""

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for e in used(self, experts):
            token, rank = (experts == e).nonzero(as_tuple=True)
            found = expert(self, e, x[token]) * weigh(weights, token, rank)
            y = y.index_add(0, token, found.to(x.dtype))
        return y

    return both(experts=forward)


@mistake("2.13c")
def unweighted() -> Both:
    """Your experts' answers are added without their weights. The router could then not say how much each of
    the chosen has to say, and would not learn: its only gradient comes through the weights.
    """
    return running(weigh=lambda weights, token, rank: torch.ones(len(token), 1))


@mistake("2.13c")
def first_weight() -> Both:
    """Your experts are weighed by the token's first weight, whichever of its choices they are. An expert that
    is a token's second choice has its second weight: keep the rank that nonzero returns.
    """
    return running(weigh=lambda weights, token, rank: weights[token, 0, None])


@mistake("2.13c", called="The weights are cut off from the gradient")
def weights_detached() -> Both:
    """Your weights carry no gradient (detach, .data or torch.no_grad). They are the only way by which the
    router learns which expert was worth choosing.
    """
    return running(weigh=lambda weights, token, rank: weights.detach()[token, rank, None])


@mistake("2.13c", called="Gate and features are swapped")
def halves_swapped() -> Both:
    """Your experts take the first F rows of gate_up_proj for the features and the last F for the gate. The
    name says the order: the gate comes first, and silu acts on it alone.
    """

    def swapped(self: Any, e: int, rows: Tensor) -> Tensor:
        up, gate = F.linear(rows, self.gate_up_proj[e]).chunk(2, dim=-1)
        return F.linear(F.silu(gate) * up, self.down_proj[e])

    return running(swapped)


@mistake("2.13c")
def interleaved() -> Both:
    """Your experts take every other row of gate_up_proj for the gate. It is stacked: F rows of the gate, then
    F rows of the features.
    """

    def every_other(self: Any, e: int, rows: Tensor) -> Tensor:
        h = F.linear(rows, self.gate_up_proj[e])
        return F.linear(F.silu(h[:, ::2]) * h[:, 1::2], self.down_proj[e])

    return running(every_other)


@mistake("2.13c", called="The experts bend their gate with GELU")
def gelu() -> Both:
    """Your experts bend the gate with GELU. SwiGLU has silu there; the two look alike, but trained weights of
    one do not fit the other.
    """

    def bent(self: Any, e: int, rows: Tensor) -> Tensor:
        gate, up = F.linear(rows, self.gate_up_proj[e]).chunk(2, dim=-1)
        return F.linear(F.gelu(gate) * up, self.down_proj[e])

    return running(bent)


@mistake("2.13c")
def no_silu() -> Both:
    """Your experts multiply gate and features without silu: the gate is not bent at all."""

    def straight(self: Any, e: int, rows: Tensor) -> Tensor:
        gate, up = F.linear(rows, self.gate_up_proj[e]).chunk(2, dim=-1)
        return F.linear(gate * up, self.down_proj[e])

    return running(straight)


@mistake("2.13c")
def one_expert_for_all() -> Both:
    """Your experts all use the matrices of expert 0, perhaps those of the rank instead of the number.
    Expert e has gate_up_proj[e] and down_proj[e].
    """
    return running(lambda self, e, rows: expert(self, 0, rows))


@mistake("2.13c")
def numbers_shifted() -> Both:
    """Your loop counts the experts that are used instead of taking their numbers: with experts 1, 4 and 6 in
    use it would run 0, 1 and 2. Where all are used it makes no difference.
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for place, e in enumerate(experts.unique().tolist()):
            token, rank = (experts == e).nonzero(as_tuple=True)
            found = expert(self, place, x[token]) * weights[token, rank, None]
            y = y.index_add(0, token, found.to(x.dtype))
        return y

    return both(experts=forward)


@mistake("2.13c")
def weighed_before() -> Both:
    """Your weights multiply what the experts read, not what they answer. An expert is not linear: half the
    input is not half the answer.
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for e in experts.unique().tolist():
            token, rank = (experts == e).nonzero(as_tuple=True)
            found = expert(self, e, (x[token] * weights[token, rank, None]).to(x.dtype))
            y = y.index_add(0, token, found)
        return y

    return both(experts=forward)


@mistake("2.13c")
def first_choice_alone() -> Both:
    """Your layer runs only the first choice of each token. The others have their weights, and their share of
    the answer, too.
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        found: Tensor = Experts.forward(self, x, weights[:, :1], experts[:, :1])
        return found

    return both(experts=forward)


@mistake("2.13c", called="The layer keeps only the last answer for each token")
def assigned() -> Both:
    """Your layer keeps only the last answer for each token: y[token] = ... writes over what earlier experts
    said. So does y[tokens] += ... for all choices at once: where a token is repeated, indexing adds only one
    of its answers. index_add adds them all.
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for e in experts.unique().tolist():
            token, rank = (experts == e).nonzero(as_tuple=True)
            y[token] = (expert(self, e, x[token]) * weights[token, rank, None]).to(x.dtype)
        return y

    return both(experts=forward)
