"""2.mixtral: decoders whose experts are wrong in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model import further_solution as reference
from step2_model.mistakes.llama import Patches

Chosen = tuple[Tensor, Tensor]


def run_experts(
    self: Any,
    x: Tensor,
    weights: Tensor,
    experts: Tensor,
    bend: Callable[[Tensor], Tensor] = F.silu,
    is_swapped: bool = False,
    weigh_input: bool = False,
) -> Tensor:
    """Return what the chosen experts make of the tokens; one thing may be another."""
    y = torch.zeros_like(x)
    for e in range(len(self.gate_up_proj)):
        token, rank = (experts == e).nonzero(as_tuple=True)
        weight = weights[token, rank, None]
        gate, up = F.linear(x[token] * (weight if weigh_input else 1), self.gate_up_proj[e]).chunk(2, dim=-1)
        gate, up = (up, gate) if is_swapped else (gate, up)
        found = F.linear(bend(gate) * up, self.down_proj[e])
        y = y.index_add(0, token, found if weigh_input else found * weight)
    return y


@mistake("2.mixtral")
def not_renormalized() -> Patches:
    """Your router weighs the chosen experts by their probabilities among all; Mixtral's weights sum to 1."""

    def softmax_router(logits: Tensor, k: int) -> Chosen:
        weights, experts = logits.softmax(dim=-1).topk(k, dim=-1)
        return weights, experts

    return {"softmax_router": softmax_router}


@mistake("2.mixtral")
def equal_weights() -> Patches:
    """Your router gives all chosen experts the same weight."""

    def softmax_router(logits: Tensor, k: int) -> Chosen:
        experts = logits.topk(k, dim=-1).indices
        return torch.full(experts.shape, 1 / k), experts

    return {"softmax_router": softmax_router}


@mistake("2.mixtral")
def sigmoid_weights() -> Patches:
    """Your router weighs by sigmoids, as DeepSeek does; Mixtral's weights are probabilities."""

    def softmax_router(logits: Tensor, k: int) -> Chosen:
        weights, experts = logits.sigmoid().topk(k, dim=-1)
        return weights / weights.sum(dim=-1, keepdim=True), experts

    return {"softmax_router": softmax_router}


@mistake("2.mixtral")
def softmax_twice() -> Patches:
    """Your router takes the softmax of probabilities: the weights are flatter than Mixtral's."""

    def softmax_router(logits: Tensor, k: int) -> Chosen:
        weights, experts = logits.softmax(dim=-1).topk(k, dim=-1)
        return weights.softmax(dim=-1), experts

    return {"softmax_router": softmax_router}


@mistake("2.mixtral")
def least_probable_chosen() -> Patches:
    """Your router chooses the experts with the smallest probabilities."""

    def softmax_router(logits: Tensor, k: int) -> Chosen:
        weights, experts = logits.softmax(dim=-1).topk(k, dim=-1, largest=False)
        return weights / weights.sum(dim=-1, keepdim=True), experts

    return {"softmax_router": softmax_router}


@mistake("2.mixtral")
def one_expert_fewer() -> Patches:
    """Your router leaves out the last of the chosen experts, unless there is only one."""

    def softmax_router(logits: Tensor, k: int) -> Chosen:
        return reference.softmax_router(logits, max(k - 1, 1))

    return {"softmax_router": softmax_router}


@mistake("2.mixtral")
def softmax_over_tokens() -> Patches:
    """Your router takes the softmax over the tokens of the batch and not over the experts."""

    def softmax_router(logits: Tensor, k: int) -> Chosen:
        weights, experts = logits.softmax(dim=0).topk(k, dim=-1)
        return weights / weights.sum(dim=-1, keepdim=True), experts

    return {"softmax_router": softmax_router}


@mistake("2.mixtral")
def gate_and_up_swapped() -> Patches:
    """Your experts take the first F rows of `gate_up_proj` for the features; they are the gate."""
    return {"Experts.forward": lambda self, x, w, e: run_experts(self, x, w, e, is_swapped=True)}


@mistake("2.mixtral")
def gelu_in_the_gate() -> Patches:
    """Your experts bend the gate by GELU; Mixtral's by silu."""
    return {"Experts.forward": lambda self, x, w, e: run_experts(self, x, w, e, bend=F.gelu)}


@mistake("2.mixtral")
def input_weighed() -> Patches:
    """Your router's weights scale what the experts read; they scale the answers."""
    return {"Experts.forward": lambda self, x, w, e: run_experts(self, x, w, e, weigh_input=True)}


@mistake("2.mixtral")
def answers_unweighed() -> Patches:
    """Your experts' answers are added without the router's weights."""
    return {"Experts.forward": lambda self, x, w, e: run_experts(self, x, torch.ones_like(w), e)}


@mistake("2.mixtral")
def last_expert_wins() -> Patches:
    """Your experts write their answers over one another; they are added up."""

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for e in range(len(self.gate_up_proj)):
            token, rank = (experts == e).nonzero(as_tuple=True)
            gate, up = F.linear(x[token], self.gate_up_proj[e]).chunk(2, dim=-1)
            y[token] = F.linear(F.silu(gate) * up, self.down_proj[e]) * weights[token, rank, None]
        return y

    return {"Experts.forward": forward}


@mistake("2.mixtral")
def weight_of_the_first_choice() -> Patches:
    """Your experts' answers are all scaled by the weight of the token's first choice."""

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        return run_experts(self, x, weights[:, :1].expand_as(weights), experts)

    return {"Experts.forward": forward}


@mistake("2.mixtral")
def tokens_out_of_order() -> Patches:
    """Your layer lays the tokens in a list position by position and takes them back row by row."""

    def forward(self: Any, x: Tensor) -> Tensor:
        tokens = x.transpose(0, 1).flatten(0, 1)
        logits, weights, experts = self.gate(tokens)
        self.balance = reference.load_balance_loss(logits, experts)
        answers: Tensor = self.experts(tokens, weights, experts)
        return answers.view_as(x)

    return {"MoE.forward": forward}


@variant("2.mixtral")
def softmax_of_the_chosen() -> Patches:
    """The k largest logits first, then a softmax over these alone."""

    def softmax_router(logits: Tensor, k: int) -> Chosen:
        largest, experts = logits.topk(k, dim=-1)
        return largest.softmax(dim=-1), experts

    return {"softmax_router": softmax_router}


@variant("2.mixtral")
def every_expert_runs() -> Patches:
    """All experts run on all tokens, and a dense matrix of weights, mostly 0, sums their answers."""

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        dense = torch.zeros(len(x), len(self.gate_up_proj)).scatter(1, experts, weights)
        gate, up = torch.einsum("nc,efc->enf", x, self.gate_up_proj).chunk(2, dim=-1)
        answers = torch.einsum("enf,ecf->enc", F.silu(gate) * up, self.down_proj)
        return torch.einsum("ne,enc->nc", dense, answers)

    return {"Experts.forward": forward}
