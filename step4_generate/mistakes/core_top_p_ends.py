"""4.4a, top-p: known mistakes with what is returned, and accepted variants."""

from __future__ import annotations

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.mistakes.core_top_p import INF, cut, refuse, right


@mistake("4.4a")
def zeros(logits: Tensor, p: float) -> Tensor:
    """Your cut sets logits to 0. A logit of 0 is a probability like any other: only -inf becomes exactly 0 in
    the softmax.
    """
    return cut(logits, p, right, filler=0.0)


@mistake("4.4a")
def in_place(logits: Tensor, p: float) -> Tensor:
    """Your cut writes into the logits that were passed. Whoever wants to cut the same logits otherwise, or
    only to look at them, finds them cut already.
    """
    return logits.copy_(cut(logits, p, right))


@mistake("4.4a")
def probabilities(logits: Tensor, p: float) -> Tensor:
    """Your function returns probabilities. What comes after it takes their softmax once more, and all of them
    become nearly equal.
    """
    return cut(logits, p, right).softmax(dim=-1)


@mistake("4.4a")
def log_probabilities(logits: Tensor, p: float) -> Tensor:
    """Your function returns other numbers for the tokens that stay: their logarithms of probability. They are
    drawn alike, but the logits of what stays are to be what they were: who compares them before and after
    should see the cut alone.
    """
    return cut(logits, p, right).log_softmax(dim=-1)


@mistake("4.4a")
def ties_kept(logits: Tensor, p: float) -> Tensor:
    """Your cut keeps every token that is tied with the last one needed. That is right for top-k; here the set
    is to be the smallest that reaches p, and of equal tokens any will do.
    """
    refuse(p)
    kept = cut(logits, p, right)
    return logits.masked_fill(logits < kept.masked_fill(kept == -INF, INF).amin(dim=-1, keepdim=True), -INF)


@mistake("4.4a")
def sums_in_half(logits: Tensor, p: float) -> Tensor:
    """Your sum is taken in the precision of the logits. In half precision it stands still before it is near
    1: what is added is smaller than half of its last digit, and the tail is never cut off where it should be.
    """
    refuse(p)
    if p == 1:
        return logits
    shares, tokens = logits.softmax(dim=-1).sort(dim=-1, descending=True)
    needless = shares.cumsum(dim=-1) - shares >= p
    return logits.masked_fill(needless.scatter(-1, tokens, needless), -INF)


@mistake("4.4a")
def always_in_float32(logits: Tensor, p: float) -> Tensor:
    """Your function returns float32, whatever came in. Its sums should be taken in float32; the logits that
    stay are to be what they were.
    """
    return cut(logits.float(), p, right)


@mistake("4.4a")
def overflows(logits: Tensor, p: float) -> Tensor:
    """Your probabilities overflow: exp of a logit that is not shifted first. Logits have no fixed place, only
    their differences count; softmax takes the largest out before it exponentiates.
    """
    refuse(p)
    if p == 1:
        return logits
    powers = logits.float().exp()
    shares, tokens = (powers / powers.sum(dim=-1, keepdim=True)).sort(dim=-1, descending=True)
    needless = right(shares, shares.cumsum(dim=-1), p)
    return logits.masked_fill(needless.scatter(-1, tokens, needless), -INF)


@variant("4.4a")
def from_below(logits: Tensor, p: float) -> Tensor:
    """Sorted upward, in float64: a token goes if all up to it are together at most 1 - p."""
    refuse(p)
    if p == 1.0:
        return logits.clone()
    ranked, tokens = logits.double().sort(dim=-1)
    is_needless = ranked.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    is_needless[..., -1] = False
    goes = torch.zeros_like(is_needless).scatter(-1, tokens, is_needless)
    return torch.where(goes, torch.full_like(logits, -INF), logits)


@variant("4.4a")
def token_by_token(logits: Tensor, p: float) -> Tensor:
    """Row by row: take the most probable that is left until p is reached."""
    refuse(p)
    kept = torch.full_like(logits, -INF).reshape(-1, logits.shape[-1])
    for row, old in zip(kept, logits.reshape(-1, logits.shape[-1])):
        shares, total = old.double().softmax(dim=-1), 0.0
        for token in shares.argsort(descending=True, stable=True).tolist():
            if total >= p and p < 1:
                break
            row[token] = old[token]
            total += float(shares[token])
    return kept.reshape(logits.shape)


@variant("4.4a")
def shifted(logits: Tensor, p: float) -> Tensor:
    """The sum shifted by one place, and the places back by sorting the places."""
    refuse(p)
    shares, tokens = torch.softmax(logits.to(torch.float32), -1).sort(dim=-1, descending=True, stable=True)
    sums = torch.cat([torch.zeros_like(shares[..., :1]), shares.cumsum(dim=-1)[..., :-1]], dim=-1)
    is_kept = (sums < p) | (torch.tensor(p) == 1)
    return logits.masked_fill(~is_kept.gather(-1, tokens.argsort(dim=-1)), -INF)
