"""2.6b, attention over a cache: known mistakes and accepted variants."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.model_solution import apply_causal_mask, attend, attention_scores, causal_mask

Mask = Tensor | None


def readable(q: Tensor, k: Tensor, shift: int = 0) -> Tensor:
    """Return the mask (T, S) for the last T of S positions; `shift` moves its edge."""
    T, S = q.shape[-2], k.shape[-2]
    return torch.ones(T, S, dtype=torch.bool).tril(S - T + shift)


def mixed(q: Tensor, k: Tensor, v: Tensor, mask: Mask, scale: float | None = None) -> Tensor:
    """Return attention under exactly this mask."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


@mistake("2.6b", called="The queries are always taken for the first of the positions, a single one too")
def top_left(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention says `is_causal=True` always, which aligns query 0 with key 0: new queries are taken for
    the first positions. A step of generation would read the first token and nothing else.
    """
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)


@mistake("2.6b", called="Several queries are taken for the first of the positions")
def top_left_chunks(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention is right for a whole text and for one new token, but wrong in between: with several
    queries behind a past, is_causal aligns query 0 with key 0, while they are the *last* T of S positions.
    """
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and q.shape[-2] > 1)


@mistake("2.6b")
def mask_with_is_causal(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention hands a mask *and* is_causal to PyTorch's function, which refuses the two together. With
    a mask, is_causal must be False.
    """
    if mask is None and 1 < q.shape[-2] < k.shape[-2]:
        mask = readable(q, k)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=q.shape[-2] > 1)


@mistake("2.6b")
def no_mask(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention has no causal mask: every query reads every position. For a single new token that is
    right; in a chunk the first tokens would read the ones they are to predict.
    """
    return mixed(q, k, v, mask)


@mistake("2.6b")
def only_square(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention masks only where there is no past. Several queries behind a past must not read each
    other's future either.
    """
    if mask is None and q.shape[-2] == k.shape[-2]:
        mask = readable(q, k)
    return mixed(q, k, v, mask)


@mistake("2.6b")
def only_with_past(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention masks only behind a past. A text that is read at once needs the causal mask as well."""
    if mask is None and q.shape[-2] < k.shape[-2]:
        mask = readable(q, k)
    return mixed(q, k, v, mask)


@mistake("2.6b")
def one_ahead(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your mask lets each query read one position too far: the token that it has to predict."""
    return mixed(q, k, v, readable(q, k, 1) if mask is None else mask)


@mistake("2.6b")
def one_ahead_of_past(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your mask lets each query read one position too far where there is a past. Query t stands at position
    S - T + t and reads up to itself.
    """
    shift = int(q.shape[-2] < k.shape[-2])
    return mixed(q, k, v, readable(q, k, shift) if mask is None else mask)


@mistake("2.6b")
def not_itself(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your mask hides each query from itself where there is a past: it stops one position too early. Query t
    stands at position S - T + t and reads itself too.
    """
    shift = -int(q.shape[-2] < k.shape[-2])
    return mixed(q, k, v, readable(q, k, shift) if mask is None else mask)


@mistake("2.6b", called="The causal mask is inverted: what may be read is hidden")
def inverted(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your mask is the wrong way round: True must mean "may read", as `F.scaled_dot_product_attention` takes
    it. `masked_fill` wants the opposite, True where to hide.
    """
    if mask is None and q.shape[-2] > 1:
        mask = ~readable(q, k)
    return mixed(q, k, v, mask)


@mistake("2.6b")
def new_only(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your queries read only each other and not the past: each reads all positions up to its own."""
    T, S = q.shape[-2], k.shape[-2]
    return mixed(q, k, v, readable(q, k) & (torch.arange(S) >= S - T) if mask is None else mask)


@mistake("2.6b")
def past_only(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your new queries read only the past and nothing of their own chunk. Each reads up to its own position,
    itself included.
    """
    T, S = q.shape[-2], k.shape[-2]
    if mask is None:
        mask = readable(q, k) if T == S else (torch.arange(S) < S - T).expand(T, S)
    return mixed(q, k, v, mask)


@mistake("2.6b")
def mask_ignored(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention ignores the mask that it is given. Padding could then not be hidden: short texts in a
    batch would read what stands in front of them.
    """
    return mixed(q, k, v, readable(q, k))


@mistake("2.6b")
def mask_ignored_alone(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention ignores the mask for a single query. Without a mask one query may read everything; with
    one (padding, say) it may not.
    """
    if q.shape[-2] == 1:
        return mixed(q, k, v, None)
    return mixed(q, k, v, readable(q, k) if mask is None else mask)


@mistake("2.6b", called="The mask that is given is taken the wrong way round")
def mask_inverted(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention hides what the given mask allows: True means "may read"."""
    return mixed(q, k, v, readable(q, k) if mask is None else ~mask)


@mistake("2.6b")
def mask_and_causal(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention hides the future under a given mask, too. A mask that is given says it all, as masks for
    padding do, which contain the causal one.
    """
    return mixed(q, k, v, readable(q, k) if mask is None else mask & readable(q, k))


@mistake("2.6b")
def mask_added(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your mask is added to the scores as numbers, 1 where a key may be read and 0 elsewhere. Nothing is
    hidden: only minus infinity becomes a weight of 0.
    """
    return mixed(q, k, v, (readable(q, k) if mask is None else mask).to(q.dtype))


@mistake("2.6b")
def hidden_at_zero(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention sets hidden scores to 0, which softmax gives a weight of e⁰. Only minus infinity becomes
    a weight of 0.
    """
    scores = attention_scores(q, k).masked_fill(~(readable(q, k) if mask is None else mask), 0.0)
    return scores.softmax(dim=-1) @ v


@mistake("2.6b")
def weak(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your attention lowers hidden scores by 10. A key that scores higher than that is read all the same; put
    minus infinity there.
    """
    return mixed(q, k, v, -10.0 * ~(readable(q, k) if mask is None else mask))


@mistake("2.6b")
def no_scale(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your scores are not divided by √D, so that softmax nearly selects a single key."""
    return mixed(q, k, v, readable(q, k) if mask is None else mask, scale=1.0)


@mistake("2.6b")
def scaled_by_values(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your scores are divided by the root of the *values'* width. Dot products grow with the width of queries
    and keys; in MLA the two widths differ.
    """
    return mixed(q, k, v, readable(q, k) if mask is None else mask, scale=v.shape[-1] ** -0.5)


@mistake("2.6b")
def detached(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """Your result carries no gradient (detach, .data or torch.no_grad): queries, keys and values would never
    learn.
    """
    return mixed(q.detach(), k, v.detach(), readable(q, k) if mask is None else mask).detach()


@variant("2.6b")
def by_own_parts(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """The three functions of 2.3, one after another."""
    scores = attention_scores(q, k)
    scores = apply_causal_mask(scores) if mask is None else scores.masked_fill(~mask, -math.inf)
    return attend(scores, v, lambda weights: weights)


@variant("2.6b")
def always_masked(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """A mask in every case, for PyTorch's function."""
    mask = causal_mask(q.shape[-2], k.shape[-2], q.device) if mask is None else mask
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


@variant("2.6b")
def by_einsum(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """einsum and positions compared, in float64; -1e9 for minus infinity."""
    T, S = q.shape[-2], k.shape[-2]
    if mask is None:
        mask = torch.arange(S)[None, :] <= torch.arange(S - T, S)[:, None]
    scores = torch.einsum("bhtd,bhsd->bhts", q.double(), k.double()) / math.sqrt(q.shape[-1])
    weights = scores.where(mask, -1e9).softmax(dim=-1)
    return torch.einsum("bhts,bhsd->bhtd", weights, v.double()).to(q.dtype)


@variant("2.6b")
def query_by_query(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
    """A loop over queries, each over its own stretch of keys; with a mask, a sum of 0 and minus infinity."""
    T, S = q.shape[-2], k.shape[-2]
    if mask is not None:
        lowered = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=lowered)
    rows = []
    for t in range(T):
        end = S - T + t + 1
        rows.append(F.scaled_dot_product_attention(q[:, :, t : t + 1], k[:, :, :end], v[:, :, :end]))
    return torch.cat(rows, dim=2)
