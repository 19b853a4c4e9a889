"""2.4c, logits: known mistakes and accepted variants."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.probe import mistake, variant


@mistake("2.4c")
def no_final_norm(self: Any, x: Tensor) -> Tensor:
    """Your logits come from the stream as it is: ln_f is missing. The stream has grown with every
    block, so the logits are far too large, and by how much changes from token to token.
    """
    return x @ self.wte.weight.T


@mistake("2.4c")
def norm_of_first_block(self: Any, x: Tensor) -> Tensor:
    """Your logits use the norm of the first block. The model has a final norm of its own, ln_f."""
    return self.h[0].ln_1(x) @ self.wte.weight.T


@mistake("2.4c")
def norm_of_last_block(self: Any, x: Tensor) -> Tensor:
    """Your logits use the norm of the last block. The model has a final norm of its own, ln_f."""
    return self.h[-1].ln_2(x) @ self.wte.weight.T


@mistake("2.4c", called="The final norm has no gains and no biases")
def norm_without_gains(self: Any, x: Tensor) -> Tensor:
    """Your final norm has no gains and biases: they are learned and stand in ln_f. Call self.ln_f(x)."""
    return F.layer_norm(x, x.shape[-1:]) @ self.wte.weight.T


@mistake("2.4c")
def norm_without_bias(self: Any, x: Tensor) -> Tensor:
    """Your final norm leaves out the bias of ln_f. Call self.ln_f(x): it applies gains and biases."""
    return F.layer_norm(x, x.shape[-1:], self.ln_f.weight) @ self.wte.weight.T


@mistake("2.4c")
def rms_norm(self: Any, x: Tensor) -> Tensor:
    """Your final norm does not subtract the mean (RMSNorm). GPT-2's ln_f is a LayerNorm: subtract the
    mean, then divide.
    """
    normal = x * (x.pow(2).mean(-1, keepdim=True) + self.ln_f.eps).rsqrt()
    return (normal * self.ln_f.weight + self.ln_f.bias) @ self.wte.weight.T


@mistake("2.4c")
def norm_with_other_eps(self: Any, x: Tensor) -> Tensor:
    """Your final norm has an eps of its own. ln_f has 1e-5 inside the root; where x is small another
    one changes the result. Call self.ln_f(x).
    """
    return F.layer_norm(x, x.shape[-1:], self.ln_f.weight, self.ln_f.bias, 1e-6) @ self.wte.weight.T


@mistake("2.4c")
def norm_twice(self: Any, x: Tensor) -> Tensor:
    """Your final norm is applied twice."""
    return self.ln_f(self.ln_f(x)) @ self.wte.weight.T


@mistake("2.4c")
def norm_after_head(self: Any, x: Tensor) -> Tensor:
    """Your logits themselves are normalized. ln_f belongs before the head; what the head returns is
    left alone.
    """
    scores = x @ self.wte.weight.T
    return F.layer_norm(scores, scores.shape[-1:])


@mistake("2.4c")
def untied(self: Any, x: Tensor) -> Tensor:
    """Your head has a matrix of its own, drawn at random. It is tied: its matrix is wte.weight, so that
    what a token means as input and as output is learned once.
    """
    return nn.Linear(x.shape[-1], self.wte.num_embeddings, bias=False)(self.ln_f(x))


@mistake("2.4c")
def position_head(self: Any, x: Tensor) -> Tensor:
    """Your head uses the position table wpe. The scores are for tokens: use wte."""
    return self.ln_f(x) @ self.wpe.weight.T


@mistake("2.4c")
def scaled_by_root(self: Any, x: Tensor) -> Tensor:
    """Your logits are divided by √C. Attention's scores are divided by √D; logits are taken as they
    are.
    """
    return self.ln_f(x) @ self.wte.weight.T / math.sqrt(x.shape[-1])


@mistake("2.4c")
def probabilities(self: Any, x: Tensor) -> Tensor:
    """Your method returns probabilities: softmax has been applied already. The loss and the sampler
    take logits and apply it themselves.
    """
    return (self.ln_f(x) @ self.wte.weight.T).softmax(dim=-1)


@mistake("2.4c")
def log_probabilities(self: Any, x: Tensor) -> Tensor:
    """Your method returns log-probabilities: log_softmax has been applied already. The loss does that
    itself; return the bare products.
    """
    return (self.ln_f(x) @ self.wte.weight.T).log_softmax(dim=-1)


@mistake("2.4c")
def last_position(self: Any, x: Tensor) -> Tensor:
    """Your method returns logits for the last position alone. Training asks every position for its next
    token: return (B, T, V).
    """
    return self.ln_f(x[:, -1:]) @ self.wte.weight.T


@mistake("2.4c")
def hidden(self: Any, x: Tensor) -> Tensor:
    """Your method returns the normalized stream: the product with the token vectors is missing."""
    return self.ln_f(x)


@mistake("2.4c")
def cosine(self: Any, x: Tensor) -> Tensor:
    """Your token vectors are scaled to length 1. The head uses them as they are: longer vectors are how
    a model says that a token is frequent.
    """
    return self.ln_f(x) @ F.normalize(self.wte.weight, dim=-1).T


@mistake("2.4c")
def bent(self: Any, x: Tensor) -> Tensor:
    """Your logits come from a stream that is normalized by ln_f and then bent once more by GELU. The
    head is linear.
    """
    return F.gelu(self.ln_f(x), approximate="tanh") @ self.wte.weight.T


@mistake("2.4c")
def detached_head(self: Any, x: Tensor) -> Tensor:
    """Your head sends no gradient to wte (detach, .data or torch.no_grad): token vectors would learn
    only from what they do as input.
    """
    return self.ln_f(x) @ self.wte.weight.detach().T


@mistake("2.4c")
def detached_stream(self: Any, x: Tensor) -> Tensor:
    """Your logits send no gradient back to x (detach, .data or torch.no_grad): no block would ever
    learn.
    """
    return self.ln_f(x.detach()) @ self.wte.weight.T


@mistake("2.4c")
def detached_norm(self: Any, x: Tensor) -> Tensor:
    """Your logits cut the gradient between ln_f and the head (detach, .data or torch.no_grad): neither
    ln_f nor any block would ever learn.
    """
    return self.ln_f(x).detach() @ self.wte.weight.T


@variant("2.4c")
def linear(self: Any, x: Tensor) -> Tensor:
    """F.linear with the embedding's matrix."""
    return F.linear(self.ln_f(x), self.wte.weight)


@variant("2.4c")
def with_einsum(self: Any, x: Tensor) -> Tensor:
    """torch.einsum."""
    return torch.einsum("btc,vc->btv", self.ln_f(x), self.wte.weight)


@variant("2.4c")
def tied_module(self: Any, x: Tensor) -> Tensor:
    """A linear layer that holds the embedding's own parameter."""
    head = nn.Linear(x.shape[-1], self.wte.num_embeddings, bias=False, device="meta")
    head.weight = self.wte.weight
    return head(self.ln_f(x))


@variant("2.4c")
def written_out(self: Any, x: Tensor) -> Tensor:
    """The norm by hand, logits position by position."""
    centered = x - x.mean(-1, keepdim=True)
    normal = centered / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + self.ln_f.eps)
    normal = normal * self.ln_f.weight + self.ln_f.bias
    return torch.stack([normal[:, t] @ self.wte.weight.t() for t in range(x.shape[1])], dim=1)


@variant("2.4c")
def in_float64(self: Any, x: Tensor) -> Tensor:
    """The product in float64, cast back."""
    return (self.ln_f(x).double() @ self.wte.weight.double().mT).to(x.dtype)
