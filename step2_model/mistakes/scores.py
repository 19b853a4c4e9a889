"""2.3a, attention scores: known mistakes and accepted variants."""

from __future__ import annotations

import math

import torch
from einops import einsum
from torch import Tensor

from coursekit.probe import mistake, variant


@mistake("2.3a")
def no_scale(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are the bare dot products: they are not divided by √D. Their variance grows with D,
    so that softmax puts nearly all weight on one key and hardly any gradient comes back.
    """
    return q @ k.transpose(-2, -1)


@mistake("2.3a")
def divided_by_width(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are divided by D, not by its square root (or by √D twice, in q and in k). Dot
    products of D numbers grow like √D: divided by D they fade as heads get wider, and every key gets
    the same weight.
    """
    return q @ k.transpose(-2, -1) / q.shape[-1]


@mistake("2.3a")
def multiplied_by_root(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are multiplied by √D where they should be divided by it."""
    return q @ k.transpose(-2, -1) * math.sqrt(q.shape[-1])


@mistake("2.3a")
def root_of_keys(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of keys S. The dot product sums over the D
    features, so its size depends on D: the last dimension of q and k, not the one before.
    """
    return q @ k.transpose(-2, -1) / math.sqrt(k.shape[-2])


@mistake("2.3a")
def root_of_queries(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are divided by the root of the number of queries T. The dot product sums over the D
    features, so its size depends on D: the last dimension of q and k, not the one before.
    """
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-2])


@mistake("2.3a")
def root_of_heads(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are divided by the root of a leading dimension (such as the number of heads) where D
    belongs: the last dimension of q and k.
    """
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-3] if q.dim() > 2 else 1)


@mistake("2.3a")
def root_of_model_width(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are divided by √C, the root of the model's width H·D. One score sums over the D
    features of one head, so D is what counts: the last dimension of q and k.
    """
    heads = q.shape[-3] if q.dim() > 2 else 1
    return q @ k.transpose(-2, -1) / math.sqrt(heads * q.shape[-1])


@mistake("2.3a")
def fixed_scale(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are divided by 8, the root of GPT-2's 64 features, whatever D is. Read D off
    q.shape[-1].
    """
    return q @ k.transpose(-2, -1) / 8.0


@mistake("2.3a")
def keys_by_queries(q: Tensor, k: Tensor) -> Tensor:
    """Your scores have a row for each key and a column for each query. It is the other way round, q kᵀ:
    row t holds what query t finds, and softmax will run along it.
    """
    return k @ q.transpose(-2, -1) / math.sqrt(q.shape[-1])


@mistake("2.3a")
def cosine(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are cosines: q and k are divided by their lengths. Then no score exceeds 1, and no
    query can insist on one key.
    """
    return torch.cosine_similarity(q.unsqueeze(-2), k.unsqueeze(-3), dim=-1)


@mistake("2.3a")
def negative_distance(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are distances between q and k. GPT-2 scores by the dot product, which also counts how
    long the vectors are.
    """
    return -torch.cdist(q, k) / math.sqrt(q.shape[-1])


@mistake("2.3a")
def weights_already(q: Tensor, k: Tensor) -> Tensor:
    """Your function returns weights: softmax has been applied already. It comes later, in `attend`,
    after the mask.
    """
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1)


@mistake("2.3a")
def masked_already(q: Tensor, k: Tensor) -> Tensor:
    """Your function hides the future already. That is the next function's work; the scores here are for
    every query and every key.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    T, S = scores.shape[-2:]
    return scores.masked_fill(torch.ones(T, S, dtype=torch.bool).triu(S - T + 1), float("-inf"))


@mistake("2.3a")
def elementwise_reshape(q: Tensor, k: Tensor) -> Tensor:
    """Your keys are reshaped to (D, S) where they should be transposed: `view` and `reshape` keep the
    numbers in their order in memory and mix the features of different keys. Use k.transpose(-2, -1).
    """
    return q @ k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2]) / math.sqrt(q.shape[-1])


@mistake("2.3a")
def scales_in_place(q: Tensor, k: Tensor) -> Tensor:
    """Your function divides the caller's q: `q /= ...` writes into the tensor that was handed in. Write
    q / ...: it makes a new one.
    """
    q /= math.sqrt(q.shape[-1])
    return q @ k.transpose(-2, -1)


@mistake("2.3a")
def detached_keys(q: Tensor, k: Tensor) -> Tensor:
    """Your scores send no gradient back to k (detach, .data or torch.no_grad): the keys would never
    learn.
    """
    return q @ k.detach().transpose(-2, -1) / math.sqrt(q.shape[-1])


@mistake("2.3a")
def detached_queries(q: Tensor, k: Tensor) -> Tensor:
    """Your scores send no gradient back to q (detach, .data or torch.no_grad): the queries would never
    learn.
    """
    return q.detach() @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])


@mistake("2.3a")
def detached(q: Tensor, k: Tensor) -> Tensor:
    """Your scores carry no gradient at all (detach, .data or torch.no_grad): neither queries nor keys
    would learn.
    """
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).detach()


@mistake("2.3a")
def clamped(q: Tensor, k: Tensor) -> Tensor:
    """Your scores are cut off at some size. Nothing needs it: softmax takes any finite score, and a cut
    score carries no gradient.
    """
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).clamp(-100, 100)


@variant("2.3a")
def with_einsum(q: Tensor, k: Tensor) -> Tensor:
    """torch.einsum, any leading dimensions."""
    return torch.einsum("...td,...sd->...ts", q, k) / q.size(-1) ** 0.5


@variant("2.3a")
def named_einsum(q: Tensor, k: Tensor) -> Tensor:
    """einops.einsum with names."""
    return einsum(q, k, "... T D, ... S D -> ... T S") * q.shape[-1] ** -0.5


@variant("2.3a")
def scaled_first(q: Tensor, k: Tensor) -> Tensor:
    """The fourth root in each factor."""
    root = q.shape[-1] ** 0.25
    return torch.matmul(q / root, k.mT / root)


@variant("2.3a")
def by_sums(q: Tensor, k: Tensor) -> Tensor:
    """Products written out, summed over D."""
    return (q.unsqueeze(-2) * k.unsqueeze(-3)).sum(dim=-1) / math.sqrt(k.shape[-1])


@variant("2.3a")
def by_loops(q: Tensor, k: Tensor) -> Tensor:
    """A loop over keys."""
    columns = [(q * k[..., s : s + 1, :]).sum(-1) for s in range(k.shape[-2])]
    return torch.stack(columns, dim=-1) / torch.tensor(float(q.shape[-1])).sqrt()


@variant("2.3a")
def in_batches(q: Tensor, k: Tensor) -> Tensor:
    """torch.bmm over flattened leading dimensions."""
    flat = torch.bmm(q.reshape(-1, *q.shape[-2:]), k.reshape(-1, *k.shape[-2:]).transpose(1, 2))
    return flat.reshape(*q.shape[:-1], k.shape[-2]) / math.sqrt(q.shape[-1])


@variant("2.3a")
def in_float64(q: Tensor, k: Tensor) -> Tensor:
    """Float64 inside, cast back."""
    return (q.double() @ k.double().transpose(-1, -2) / math.sqrt(q.shape[-1])).to(q.dtype)
