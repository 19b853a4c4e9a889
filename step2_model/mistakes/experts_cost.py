"""2.13c, running experts: what is right, and costs more than it should."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.experts import Both, both, expert, running


@mistake("2.13c")
def all_on_all() -> Both:
    """Your layer runs every expert on every token and picks the chosen answers afterwards. The result is
    right, but the work is E/K times what it should be: that experts are not all run is the reason to have
    them.
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        shares = weights.new_zeros(len(x), len(self.down_proj)).scatter_add(1, experts, weights)
        answers = torch.stack([expert(self, e, x) for e in range(len(self.down_proj))], dim=1)
        return (answers * shares.unsqueeze(-1)).sum(dim=1).to(x.dtype)

    return both(experts=forward)


@mistake("2.13c", called="Each expert that is used runs on all tokens")
def used_on_all() -> Both:
    """Your layer runs each expert that is used on all tokens, and hides the answers of those that did not
    choose it. Gather the tokens first: x[token].
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for e in experts.unique().tolist():
            share = ((experts == e) * weights).sum(dim=-1, keepdim=True)
            y = y + (expert(self, e, x) * share).to(x.dtype)
        return y

    return both(experts=forward)


@mistake("2.13c")
def unused_run() -> Both:
    """Your loop goes over all experts and runs those that nobody chose on nothing. With 256 experts and one
    token, 248 of the calls are for nothing: go over those that are used.
    """
    return running(used=lambda self, experts: list(range(len(self.down_proj))))


@mistake("2.13c")
def token_by_token() -> Both:
    """Your layer goes token by token, and begins an expert anew for each. The result is right, but
    matrices are read from memory once for each token instead of once for all that chose them.
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        rows = []
        for row, shares, numbers in zip(x, weights, experts):
            found = [expert(self, e, row[None]) * share for e, share in zip(numbers.tolist(), shares)]
            rows.append(torch.cat(found).sum(dim=0).to(x.dtype))
        return torch.stack(rows)

    return both(experts=forward)


@mistake("2.13c")
def rank_by_rank() -> Both:
    """Your layer goes through the first choices of all tokens, then through the second ones, and so on: an
    expert is begun K times. Find all tokens that chose it at once, as whichever of their choices: nonzero of
    experts == e gives token and rank.
    """

    def forward(self: Any, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for chosen, share in zip(experts.unbind(1), weights.unbind(1)):
            for e in chosen.unique().tolist():
                token = (chosen == e).nonzero().squeeze(-1)
                y = y.index_add(0, token, (expert(self, e, x[token]) * share[token, None]).to(x.dtype))
        return y

    return both(experts=forward)
