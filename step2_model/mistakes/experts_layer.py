"""2.13c, running experts: known mistakes around the experts, and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.further_solution import load_balance_loss
from step2_model.mistakes.experts import Both, both, expert, running


@mistake("2.13c", called="The answer has the dtype of the weights")
def float32_answer() -> Both:
    """Your answer has the dtype of the weights. The router works in float32 whatever x is: bring the
    weights to the dtype of the answers, so that the stream keeps its own.
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x, dtype=weights.dtype)
        for e in experts.unique().tolist():
            token, rank = (experts == e).nonzero(as_tuple=True)
            y = y.index_add(0, token, expert(self, e, x[token]) * weights[token, rank, None])
        return y

    return both(experts=forward)


def around(self: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tokens, the experts' answer in the shape of x, and their weights; note the balance."""
    tokens = x.flatten(0, 1)
    logits, weights, experts = self.gate(tokens)
    self.balance = load_balance_loss(logits, experts)
    return tokens, self.experts(tokens, weights, experts).view_as(x), weights


@mistake("2.13c", called="The layer forgets the shared experts")
def shared_forgotten() -> Both:
    """Your layer never runs the shared experts. They read every token, so that what all texts need does not
    have to be learned by each expert again.
    """
    return both(layer=lambda self, x: around(self, x)[1])


@mistake("2.13c")
def shared_averaged() -> Both:
    """Your layer takes the mean of the chosen experts' answer and the shared ones'. The shared experts
    have no weight: add their answer as it is.
    """

    def forward(self: Any, x: Tensor) -> Tensor:
        y = around(self, x)[1]
        return y if self.shared_experts is None else (y + self.shared_experts(x)) / 2

    return both(layer=forward)


@mistake("2.13c")
def shared_scaled() -> Both:
    """Your layer multiplies the shared experts' answer by the router's scale. The scale makes the chosen ones
    hold their own beside the shared: those are added as they are.
    """

    def forward(self: Any, x: Tensor) -> Tensor:
        y, scale = around(self, x)[1], self.gate.args.routed_scaling_factor
        return y if self.shared_experts is None else y + scale * self.shared_experts(x)

    return both(layer=forward)


@mistake("2.13c")
def shared_read_answers() -> Both:
    """Your shared experts read the chosen experts' answer instead of x. The two stand side by side: both read
    x, and their answers are added.
    """

    def forward(self: Any, x: Tensor) -> Tensor:
        y = around(self, x)[1]
        return y if self.shared_experts is None else y + self.shared_experts(y)

    return both(layer=forward)


@mistake("2.13c", called="The layer with experts adds x")
def adds_x() -> Both:
    """Your layer adds x to its answer. The residual belongs to the block, which adds x itself."""

    def forward(self: Any, x: Tensor) -> Tensor:
        y = x + around(self, x)[1]
        return y if self.shared_experts is None else y + self.shared_experts(x)

    return both(layer=forward)


@mistake("2.13c")
def columns_first() -> Both:
    """Your layer lists the tokens position by position and puts the answers back row by row: they land in
    another text of the batch. Flatten and unflatten in the same order.
    """

    def forward(self: Any, x: Tensor) -> Tensor:
        y = around(self, x.transpose(0, 1))[1].reshape(x.shape)
        return y if self.shared_experts is None else y + self.shared_experts(x)

    return both(layer=forward)


@mistake("2.13c", called="The layer does not leave the load-balance loss behind")
def no_balance() -> Both:
    """Your layer does not leave the load-balance loss in self.balance: the line marked "given" does. Without
    it the model reports a balance of 0, and the experts need not be busy alike.
    """

    def forward(self: Any, x: Tensor) -> Tensor:
        tokens = x.flatten(0, 1)
        y = self.experts(tokens, *self.gate(tokens)[1:]).view_as(x)
        return y if self.shared_experts is None else y + self.shared_experts(x)

    return both(layer=forward)


@variant("2.13c")
def sorted_choices() -> Both:
    """All choices sorted by expert, one stretch of rows for each; shared experts on the list of tokens."""

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        order = experts.flatten().argsort(stable=True)
        counts = torch.bincount(experts.flatten(), minlength=len(self.down_proj)).tolist()
        token = order // experts.shape[1]
        parts = [expert(self, e, rows) for e, rows in enumerate(x[token].split(counts)) if len(rows)]
        found = torch.cat(parts) * weights.flatten()[order, None].to(x.dtype)
        return torch.zeros_like(x).index_add_(0, token, found)

    def layer(self: Any, x: Tensor) -> Tensor:
        tokens, y, _ = around(self, x)
        return (
            y if self.shared_experts is None else (y.flatten(0, 1) + self.shared_experts(tokens)).view_as(x)
        )

    return both(forward, layer)


@variant("2.13c")
def gathered_matrices() -> Both:
    """The matrices of every choice gathered, two batched products, no loop."""

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        h = torch.einsum("nkfc,nc->nkf", self.gate_up_proj[experts], x)
        gate, up = h.chunk(2, dim=-1)
        found = torch.einsum("nkcf,nkf->nkc", self.down_proj[experts], F.silu(gate) * up)
        return (found * weights.unsqueeze(-1).to(x.dtype)).sum(dim=1)

    return both(experts=forward)


@variant("2.13c")
def three_products() -> Both:
    """Gate and features apart, each token's own index, `y[token] += ...` for one expert at a time."""

    def apart(self: Any, e: int, rows: Tensor) -> Tensor:
        width = self.down_proj.shape[-1]
        gate, up = rows @ self.gate_up_proj[e, :width].T, rows @ self.gate_up_proj[e, width:].T
        return (gate * torch.sigmoid(gate) * up) @ self.down_proj[e].T

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for e in sorted(set(experts.flatten().tolist())):
            chose = experts == e
            token = chose.any(dim=-1).nonzero().squeeze(-1)
            share = (weights * chose).sum(dim=-1)[token, None]
            y[token] += (apart(self, e, x[token]) * share).to(x.dtype)
        return y

    return both(experts=forward)


@variant("2.13c")
def plain_loop() -> Both:
    """The loop over all experts, which skips those without a token."""
    return running(used=lambda self, experts: [e for e in range(len(self.down_proj)) if e in experts])
