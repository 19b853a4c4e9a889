"""A GPT, written out: token ids (B, T) go in, logits (B, T, V) for the next token come out.

The file reads from the smallest part to the whole model, in the order of the tutorial: the feed-forward
layer, the block, causal attention in four parts, the model in five. Pure functions come before the modules
that use them, and parameters carry GPT-2's own names, so that GPT-2's weights load into it unchanged.

Shape letters, the same in the whole course:

    B batch        T new tokens     S attended positions (S >= T: past and new)
    C model width  H query heads    D head width, C = H * D        V vocabulary
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class GPTConfig:
    """The numbers that decide a GPT's shape; the defaults are GPT-2's smallest published model.

    Raises ValueError where a number cannot describe a model.

    Tutorial: docs/tutorials/step2_model.md
    """

    vocab_size: int = 50_257
    block_size: int = 1_024
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd must be a multiple of n_head, got {self.n_embd} and {self.n_head}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout!r}")


class ModelOutput(NamedTuple):
    """What a model returns: logits (B, T, V), the mean loss in nats or None, an auxiliary loss or None."""

    logits: Tensor
    loss: Tensor | None
    aux_loss: Tensor | None


class KVCache:
    """The keys and values that one attention layer has seen so far, each (B, H, S, D).

    This first version grows by concatenation, which copies the whole past at every step.
    """

    def __init__(self) -> None:
        self.k: Tensor | None = None
        self.v: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.k is None else self.k.shape[2]

    def append(self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"]) -> None:
        """Add the keys and values of T new positions behind those already kept."""
        self.k = k if self.k is None else torch.cat([self.k, k], dim=2)
        self.v = v if self.v is None else torch.cat([self.v, v], dim=2)

    def read(self) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Return the keys and values of all positions so far."""
        if self.k is None or self.v is None:
            raise ValueError("a cache must hold at least one position before it is read, got an empty one")
        return self.k, self.v


class MLP(nn.Module):
    """The feed-forward layer: each position by itself is widened to 4C, bent by GELU, brought back to C."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Widen each position to 4C, apply GELU, project back to C, then drop out.

        GELU is taken in its tanh form, as GPT-2 was trained with it:
        GELU(x) = x/2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))), which `F.gelu(x, approximate="tanh")`
        computes. It differs from the exact form, x · Φ(x), by less than 0.0005 anywhere, and weights trained
        with one form expect that form.

        Source: Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016), section 2; Radford et al. (2019).
        Tutorial: docs/tutorials/step2_model.md#21-the-feed-forward-layer
        """
        # 1. Widen every position from C to 4C features with c_fc.
        h = self.c_fc(x)
        # 2. Bend them with GELU in its tanh form: without it two linear layers would be only one.
        h = F.gelu(h, approximate="tanh")
        # 3. Project back to C with c_proj, and drop out.
        return self.dropout(self.c_proj(h))


class Block(nn.Module):
    """One layer of the model: attention moves information between positions, the MLP works on each."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x: Float[Tensor, "B T C"], cache: KVCache | None = None) -> Float[Tensor, "B T C"]:
        """Add to x what attention says about it, then add what the MLP says about that.

        Each part reads a normalized copy of the residual stream ("pre-norm") and *adds* its answer to the
        stream itself, so that the identity path from the first block to the last is never normalized or
        overwritten. The cache goes to attention, which is the only part that looks at other positions.

        Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 2.3.
        Tutorial: docs/tutorials/step2_model.md#22-the-block
        """
        # 1. Normalize with ln_1, let attention read the result (and its cache), add the answer to x.
        x = x + self.attn(self.ln_1(x), cache)
        # 2. Normalize the new x with ln_2, let the MLP read the result, add the answer to the new x.
        return x + self.mlp(self.ln_2(x))


def attention_scores(q: Float[Tensor, "*B T D"], k: Float[Tensor, "*B S D"]) -> Float[Tensor, "*B T S"]:
    """Score every query against every key: scores[t, s] = q[t] · k[s] / √D, with D the width of one head.

    The dot product of two vectors of D independent numbers of variance 1 has variance D; dividing by √D keeps
    the scores at variance 1 for every D, so that softmax starts out soft. All leading dimensions (batch,
    heads) are kept.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1.
    Tutorial: docs/tutorials/step2_model.md#23a-scores
    """
    # 1. Take the dot product of every query with every key: (T, D) times (D, S) gives (T, S).
    scores = q @ k.transpose(-2, -1)
    # 2. Divide by the square root of the head width D.
    return scores / math.sqrt(q.shape[-1])


def apply_causal_mask(scores: Float[Tensor, "*B T S"]) -> Float[Tensor, "*B T S"]:
    """Hide the future: the score of every key that comes after its query becomes minus infinity.

    The T queries are the *last* T of the S positions (S = T without a cache, S > T with one): query t stands
    at position S - T + t and may read the keys 0 to S - T + t, itself included. Returns a new tensor and
    leaves the argument as it was.

    Tutorial: docs/tutorials/step2_model.md#23b-the-causal-mask
    """
    # 1. Read off how many queries T and keys S there are; the first query stands at position S - T.
    T, S = scores.shape[-2:]
    # 2. Mark every pair whose key position is greater than its query position.
    future = torch.ones(T, S, dtype=torch.bool, device=scores.device).triu(S - T + 1)
    # 3. Put minus infinity there, so that softmax gives these keys a weight of exactly 0.
    return scores.masked_fill(future, float("-inf"))


def attend(
    scores: Float[Tensor, "*B T S"], v: Float[Tensor, "*B S D"], dropout: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*B T D"]:
    """Mix the values: each query's scores become weights that sum to 1, and weigh the rows of v.

    `dropout` is any function from weights to weights; it is applied once, to the weights after the softmax.

    Source: Vaswani et al. (2017), section 3.2.1.
    Tutorial: docs/tutorials/step2_model.md#23c-the-mixture
    """
    # 1. Turn each query's scores into weights over the keys: softmax over the last dimension.
    weights = scores.softmax(dim=-1)
    # 2. Drop out some weights, then take the weighted sum of the values: (T, S) times (S, D).
    return dropout(weights) @ v


class CausalSelfAttention(nn.Module):
    """Several heads of causal attention side by side, each on its own slice of D = C / H features."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)
        self.attn_dropout = nn.Dropout(config.dropout)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "B T C"], cache: KVCache | None = None) -> Float[Tensor, "B T C"]:
        """Let every position read from itself and the positions before it, with H heads in parallel.

        `c_attn` holds the three projections in one matrix: of its 3C outputs the first C are the queries, the
        next C the keys, the last C the values. Head h owns features h·D to (h+1)·D of each. With a cache, the
        T positions of x follow those that the cache already holds, and read them too. `attn_dropout` acts on
        the weights, `resid_dropout` on the result.

        Source: Vaswani et al. (2017), section 3.2.2; Radford et al. (2019).
        Tutorial: docs/tutorials/step2_model.md#23d-heads
        """
        # 1. Project x to queries, keys and values, each (B, T, C).
        q, k, v = self.c_attn(x).chunk(3, dim=-1)
        # 2. Split the C features of each into H heads of D: (B, T, C) becomes (B, H, T, D).
        q, k, v = (rearrange(t, "B T (H D) -> B H T D", H=self.n_head) for t in (q, k, v))
        # 3. The past: with a cache, append the new keys and values and read all of them back.
        if cache is not None:  # given
            cache.append(k, v)  # given
            k, v = cache.read()  # given
        # 4. Score, mask and mix with the three functions above; attn_dropout acts on the weights.
        y = attend(apply_causal_mask(attention_scores(q, k)), v, self.attn_dropout)
        # 5. Put the heads side by side again, project with c_proj, and apply resid_dropout.
        return self.resid_dropout(self.c_proj(rearrange(y, "B H T D -> B T (H D)")))


class GPT(nn.Module):
    """The whole model: embeddings, n_layer blocks, a final norm, and a head tied to the token embedding.

    Initialization is GPT-2's: normal with standard deviation 0.02, and the projections that write into the
    residual stream scaled down by √(2 · n_layer), so that the stream keeps its size however many blocks add
    to it.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                std = 0.02 / math.sqrt(2 * config.n_layer) if name.endswith("c_proj.weight") else 0.02
                nn.init.normal_(parameter, std=std)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def embed(self, ids: Int[Tensor, "B T"], start: int = 0) -> Float[Tensor, "B T C"]:
        """Give every token the vector of its id plus the vector of its position, then drop out.

        The T tokens stand at positions start to start + T - 1: `start` is the number of tokens that came
        before and are already in a cache.

        Source: Radford et al., "Improving Language Understanding by Generative Pre-Training" (2018), section
        3.1. Tutorial: docs/tutorials/step2_model.md#24a-embeddings
        """
        # 1. Number the positions start, start + 1, ..., one for each of the T tokens (on the device of ids).
        positions = torch.arange(start, start + ids.shape[1], device=ids.device)
        # 2. Add the token vectors (wte) and the position vectors (wpe), and drop out.
        return self.drop(self.wte(ids) + self.wpe(positions))

    def transform(
        self, x: Float[Tensor, "B T C"], cache: Sequence[KVCache] | None = None
    ) -> Float[Tensor, "B T C"]:
        """Send the residual stream through every block in turn; block i gets cache[i], or None without a
        cache.

        Tutorial: docs/tutorials/step2_model.md#24b-all-blocks
        """
        # 1. Apply the blocks of self.h one after another, each to what the one before returned.
        for i, block in enumerate(self.h):
            # 2. Hand block i its own cache, or None if there is none.
            x = block(x, None if cache is None else cache[i])
        return x

    def logits(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T V"]:
        """Score every token of the vocabulary as the next one: final norm, then the dot product with each
        token's vector.

        The head is tied: its matrix *is* `wte.weight` (V, C), without a bias.

        Source: Press and Wolf, "Using the Output Embedding to Improve Language Models" (2017).
        Tutorial: docs/tutorials/step2_model.md#24c-logits
        """
        # 1. Normalize the residual stream with ln_f.
        x = self.ln_f(x)
        # 2. Take the dot product of every position with every row of the token embedding: (T, C) times (C,
        # V).
        return x @ self.wte.weight.T

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        labels: Int[Tensor, "B T"] | None = None,
        cache: Sequence[KVCache] | None = None,
    ) -> ModelOutput:
        """Return the logits for every position and, with labels, the mean loss of predicting each next token.

        `labels` are the ids themselves, -100 where nothing is to be predicted; the shift by one happens in
        `next_token_loss`. With a cache (`new_cache()`), ids are the tokens after those already seen. Raises
        ValueError where the tokens do not fit into block_size.
        """
        start = 0 if cache is None else len(cache[0])
        if start + ids.shape[1] > self.config.block_size:
            raise ValueError(
                f"past and new tokens must fit into block_size {self.config.block_size}, "
                f"got {start} and {ids.shape[1]}"
            )
        logits = self.logits(self.transform(self.embed(ids, start), cache))
        loss = None if labels is None else next_token_loss(logits, labels)
        return ModelOutput(logits, loss, None)

    def new_cache(self) -> list[KVCache]:
        """Return one empty cache for each block."""
        return [KVCache() for _ in self.h]

    def load_gpt2(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the weights of a GPT-2 from `transformers` (`GPT2LMHeadModel.state_dict()`) into this model.

        The names agree but for the prefix; GPT-2 stores the four matrices of a block as (in, out), the
        transpose of nn.Linear. Raises ValueError, naming the parameter, where one is missing or of another
        shape.
        """
        own = self.state_dict()
        with torch.no_grad():
            for name, parameter in own.items():
                source = weights.get(f"transformer.{name}")
                if source is None:
                    raise ValueError(f"the weights must hold transformer.{name}, got none of that name")
                if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
                    source = source.T
                if source.shape != parameter.shape:
                    raise ValueError(
                        f"{name} must have shape {tuple(parameter.shape)}, got {tuple(source.shape)}"
                    )
                parameter.copy_(source)


def next_token_loss(logits: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean surprise, in nats, at each next token: position t is asked for the label at t + 1.

    The surprise at a token is -log softmax(logits)[token] = logsumexp(logits) - logits[token]. The last
    position has no next token, and pairs whose label is -100 do not count, neither in the sum nor in the
    number that divides it. Logits of any size are safe: the largest is subtracted before anything is
    exponentiated. `F.cross_entropy` is not allowed here: this function is what it does.

    Tutorial: docs/tutorials/step2_model.md#24d-the-loss
    """
    # 1. Shift: the logits of positions 0 to T-2 are asked for the labels of positions 1 to T-1.
    logits, labels = logits[:, :-1], labels[:, 1:]
    # 2. Find the pairs that count (label not -100); put any valid id where they do not, so that it can be
    # looked up.
    counted = labels != -100
    targets = labels.where(counted, 0)
    # 3. Log-sum-exp over the vocabulary, with the largest logit taken out first.
    largest = logits.amax(dim=-1, keepdim=True)
    logsumexp = largest.squeeze(-1) + (logits - largest).exp().sum(dim=-1).log()
    # 4. Surprise = log-sum-exp minus the logit of the token that came.
    surprise = logsumexp - logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    # 5. Average over the pairs that count.
    return surprise[counted].mean()


def count_parameters(config: GPTConfig) -> int:
    """Return how many numbers a GPT of this configuration learns, computed from the configuration alone.

    Every weight, bias, gain and embedding counts; the head shares the token embedding and counts once.

    Tutorial: docs/tutorials/step2_model.md#24e-counting-parameters
    """
    # 1. Embeddings: one vector of C for each token and for each position.
    C = config.n_embd
    embeddings = (config.vocab_size + config.block_size) * C
    # 2. One block: two norms, attention's two layers and the MLP's two layers, each with its bias.
    norms = 2 * 2 * C
    attention = (C * 3 * C + 3 * C) + (C * C + C)
    mlp = (C * 4 * C + 4 * C) + (4 * C * C + C)
    # 3. Add n_layer blocks and the final norm; the head is tied and adds nothing.
    return embeddings + config.n_layer * (norms + attention + mlp) + 2 * C


def estimate_parameters(config: GPTConfig) -> int:
    """Return 12 · L · C², the usual estimate of a model's size: the matrices of its blocks, nothing else."""
    return 12 * config.n_layer * config.n_embd**2
