"""Two language models, written out: token ids (B, T) go in, logits (B, T, V) for the next token come out.

The file reads from the smallest part to the whole model, in the order of the tutorials. Part one is GPT-2:
the feed-forward layer, the block, causal attention in four parts, the model in five. Part two is the decoder
of today, whose attention is grouped or latent. Pure functions come before the modules that use them, and
parameters carry the names of the published models, so that their weights load unchanged.

Shape letters, the same in the whole course:

    B batch        T new tokens       S attended positions (S >= T: past and new)
    C model width  H query heads      G key/value heads              D head width
    V vocabulary   F feed-forward     R latent of MLA, whose heads have Dn + Dr features, and Dv of values
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
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


class GrowingCache:
    """The keys and values that one attention layer has seen so far, each (B, H, S, D).

    It grows by concatenation, which copies the whole past at every step; `KVCache`, in the second part of
    this file, does not.
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
        # 2. Bend them with GELU in its tanh form: without it two linear layers would be only one.
        # 3. Project back to C with c_proj, and drop out.
        # TODO 2.1: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.1 is not written yet: MLP.forward in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.1"
        )


class Block(nn.Module):
    """One layer of the model: attention moves information between positions, the MLP works on each."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x: Float[Tensor, "B T C"], cache: GrowingCache | None = None) -> Float[Tensor, "B T C"]:
        """Add to x what attention says about it, then add what the MLP says about that.

        Each part reads a normalized copy of the residual stream ("pre-norm") and *adds* its answer to the
        stream itself, so that the identity path from the first block to the last is never normalized or
        overwritten. The cache goes to attention, which is the only part that looks at other positions.

        Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 2.3.
        Tutorial: docs/tutorials/step2_model.md#22-the-block
        """
        # 1. Normalize with ln_1, let attention read the result (and its cache), add the answer to x.
        # 2. Normalize the new x with ln_2, let the MLP read the result, add the answer to the new x.
        # TODO 2.2: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.2 is not written yet: Block.forward in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.2"
        )


def attention_scores(q: Float[Tensor, "*B T D"], k: Float[Tensor, "*B S D"]) -> Float[Tensor, "*B T S"]:
    """Score every query against every key: scores[t, s] = q[t] · k[s] / √D, with D the width of one head.

    The dot product of two vectors of D independent numbers of variance 1 has variance D; dividing by √D keeps
    the scores at variance 1 for every D, so that softmax starts out soft. All leading dimensions (batch,
    heads) are kept.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1.
    Tutorial: docs/tutorials/step2_model.md#23a-scores
    """
    # 1. Take the dot product of every query with every key: (T, D) times (D, S) gives (T, S).
    # 2. Divide by the square root of the head width D.
    # TODO 2.3a: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.3a is not written yet: attention_scores in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.3a"
    )


def apply_causal_mask(scores: Float[Tensor, "*B T S"]) -> Float[Tensor, "*B T S"]:
    """Hide the future: the score of every key that comes after its query becomes minus infinity.

    The T queries are the *last* T of the S positions (S = T without a cache, S > T with one): query t stands
    at position S - T + t and may read the keys 0 to S - T + t, itself included. Returns a new tensor and
    leaves the argument as it was.

    Tutorial: docs/tutorials/step2_model.md#23b-the-causal-mask
    """
    # 1. Read off how many queries T and keys S there are; the first query stands at position S - T.
    # 2. Mark every pair whose key position is greater than its query position.
    # 3. Put minus infinity there, so that softmax gives these keys a weight of exactly 0.
    # TODO 2.3b: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.3b is not written yet: apply_causal_mask in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.3b"
    )


def attend(
    scores: Float[Tensor, "*B T S"], v: Float[Tensor, "*B S D"], dropout: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*B T D"]:
    """Mix the values: each query's scores become weights that sum to 1, and weigh the rows of v.

    `dropout` is any function from weights to weights; it is applied once, to the weights after the softmax.

    Source: Vaswani et al. (2017), section 3.2.1.
    Tutorial: docs/tutorials/step2_model.md#23c-the-mixture
    """
    # 1. Turn each query's scores into weights over the keys: softmax over the last dimension.
    # 2. Drop out some weights, then take the weighted sum of the values: (T, S) times (S, D).
    # TODO 2.3c: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.3c is not written yet: attend in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.3c"
    )


class CausalSelfAttention(nn.Module):
    """Several heads of causal attention side by side, each on its own slice of D = C / H features."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)
        self.attn_dropout = nn.Dropout(config.dropout)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "B T C"], cache: GrowingCache | None = None) -> Float[Tensor, "B T C"]:
        """Let every position read from itself and the positions before it, with H heads in parallel.

        `c_attn` holds the three projections in one matrix: of its 3C outputs the first C are the queries, the
        next C the keys, the last C the values. Head h owns features h·D to (h+1)·D of each. With a cache, the
        T positions of x follow those that the cache already holds, and read them too. `attn_dropout` acts on
        the weights, `resid_dropout` on the result.

        Source: Vaswani et al. (2017), section 3.2.2; Radford et al. (2019).
        Tutorial: docs/tutorials/step2_model.md#23d-heads
        """
        # 1. Project x to queries, keys and values, each (B, T, C).
        # 2. Split the C features of each into H heads of D: (B, T, C) becomes (B, H, T, D).
        # 3. The past: with a cache, append the new keys and values and read all of them back.
        # TODO 2.3d: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.3d is not written yet: CausalSelfAttention.forward in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.3d"
        )
        if cache is not None:  # given
            cache.append(k, v)  # given
            k, v = cache.read()  # given
        # 4. Score, mask and mix with the three functions above; attn_dropout acts on the weights.
        # 5. Put the heads side by side again, project with c_proj, and apply resid_dropout.


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
        # 2. Add the token vectors (wte) and the position vectors (wpe), and drop out.
        # TODO 2.4a: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.4a is not written yet: GPT.embed in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.4a"
        )

    def transform(
        self, x: Float[Tensor, "B T C"], cache: Sequence[GrowingCache] | None = None
    ) -> Float[Tensor, "B T C"]:
        """Send the residual stream through every block in turn; block i gets cache[i], or None without a
        cache.

        Tutorial: docs/tutorials/step2_model.md#24b-all-blocks
        """
        # 1. Apply the blocks of self.h one after another, each to what the one before returned.
        # 2. Hand block i its own cache, or None if there is none.
        # TODO 2.4b: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.4b is not written yet: GPT.transform in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.4b"
        )

    def logits(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T V"]:
        """Score every token of the vocabulary as the next one: final norm, then the dot product with each
        token's vector.

        The head is tied: its matrix *is* `wte.weight` (V, C), without a bias.

        Source: Press and Wolf, "Using the Output Embedding to Improve Language Models" (2017).
        Tutorial: docs/tutorials/step2_model.md#24c-logits
        """
        # 1. Normalize the residual stream with ln_f.
        # 2. Take the dot product of every position with every row of the token embedding: (T, C) times (C,
        # V).
        # TODO 2.4c: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.4c is not written yet: GPT.logits in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.4c"
        )

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        labels: Int[Tensor, "B T"] | None = None,
        cache: Sequence[GrowingCache] | None = None,
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

    def new_cache(self) -> list[GrowingCache]:
        """Return one empty cache for each block."""
        return [GrowingCache() for _ in self.h]

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
    # 2. Find the pairs that count (label not -100); put any valid id where they do not, so that it can be
    # looked up.
    # 3. Log-sum-exp over the vocabulary, with the largest logit taken out first.
    # 4. Surprise = log-sum-exp minus the logit of the token that came.
    # 5. Average over the pairs that count.
    # TODO 2.4d: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.4d is not written yet: next_token_loss in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.4d"
    )


def count_parameters(config: GPTConfig) -> int:
    """Return how many numbers a GPT of this configuration learns, computed from the configuration alone.

    Every weight, bias, gain and embedding counts; the head shares the token embedding and counts once.

    Tutorial: docs/tutorials/step2_model.md#24e-counting-parameters
    """
    # 1. Embeddings: one vector of C for each token and for each position.
    # 2. One block: two norms, attention's two layers and the MLP's two layers, each with its bias.
    # 3. Add n_layer blocks and the final norm; the head is tied and adds nothing.
    # TODO 2.4e: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.4e is not written yet: count_parameters in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.4e"
    )


def estimate_parameters(config: GPTConfig) -> int:
    """Return 12 · L · C², the usual estimate of a model's size: the matrices of its blocks, nothing else."""
    return 12 * config.n_layer * config.n_embd**2


# Part two: what changed between GPT-2 and the models of today. The same decoder, part by part: rotary
# positions, a cache that does not copy, RMSNorm, SwiGLU, shared keys and values, and DeepSeek's MLA.

Rope = tuple[Tensor, Tensor]  # cos and sin, each (B, T, D/2)


@dataclass(frozen=True)
class YarnScaling:
    """How a model trained on `original_max_seq_len` positions is made to read `factor` times as many.

    The two betas say how many turns over the original length a pair of features must make to be left alone
    (`beta_fast` or more) or to be slowed down by the whole factor (`beta_slow` or less). The two mscales are
    DeepSeek's: 0 stands for "not used".

    Source: Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models" (2023).
    """

    factor: float
    original_max_seq_len: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 0.0
    mscale_all_dim: float = 0.0

    def __post_init__(self) -> None:
        if not self.factor >= 1.0:
            raise ValueError(f"factor must be at least 1, got {self.factor!r}")
        if self.original_max_seq_len < 1:
            raise ValueError(f"original_max_seq_len must be at least 1, got {self.original_max_seq_len!r}")
        if not self.beta_fast > self.beta_slow > 0:
            raise ValueError(
                "beta_fast must be greater than beta_slow, and both greater than 0, "
                f"got {self.beta_fast!r} and {self.beta_slow!r}"
            )


@dataclass(frozen=True)
class ModelArgs:
    """The numbers that decide a modern decoder's shape; the defaults are those of `ModelConfigs.base()`.

    `attention` is "mla" (DeepSeek's, with the four widths that follow it) or "gqa" (`n_kv_heads` key/value
    heads of `d_model / n_heads` features: n_heads of them make it multi-head, one makes it multi-query).
    What the first file of this step does not build is off by default: queries through a bottleneck
    (`q_lora_rank`), experts (`n_experts`, from layer `n_dense_layers` on), a stretched context (`yarn`).

    Raises ValueError where the numbers cannot describe a model.

    Tutorial: docs/tutorials/step2_model_modern.md
    """

    d_model: int = 1_024
    n_layers: int = 24
    n_heads: int = 16
    n_kv_heads: int = 16
    attention: str = "mla"
    kv_lora_rank: int = 512
    q_lora_rank: int | None = None
    qk_rope_head_dim: int = 64
    qk_nope_head_dim: int = 128
    v_head_dim: int = 128
    intermediate_size: int = 2_816
    vocab_size: int = 32_000
    max_seq_len: int = 2_048
    dropout: float = 0.0
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    tie_embeddings: bool = False
    yarn: YarnScaling | None = None
    n_experts: int = 0
    n_experts_per_tok: int = 2
    n_shared_experts: int = 0
    moe_intermediate_size: int = 0
    n_dense_layers: int = 0
    router: str = "softmax"
    n_groups: int = 1
    topk_groups: int = 1
    routed_scaling_factor: float = 1.0

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_choices()
        if self.n_experts:
            self._check_experts()

    def _check_sizes(self) -> None:
        least = dict.fromkeys(("d_model", "n_layers", "n_heads", "n_kv_heads", "kv_lora_rank"), 1)
        least |= dict.fromkeys(("v_head_dim", "intermediate_size", "vocab_size", "max_seq_len"), 1)
        least |= dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "n_experts", "n_dense_layers"), 0)
        for name, lowest in least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < lowest:
                raise ValueError(f"{name} must be a whole number of at least {lowest}, got {value!r}")
        if self.q_lora_rank is not None and self.q_lora_rank < 1:
            raise ValueError(f"q_lora_rank must be None or at least 1, got {self.q_lora_rank!r}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout!r}")

    def _check_choices(self) -> None:
        for name, choices in (("attention", ("mla", "gqa")), ("router", ("softmax", "sigmoid"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.n_heads % self.n_kv_heads:
            got = f"{self.n_heads} and {self.n_kv_heads}"
            raise ValueError(f"n_heads must be a multiple of n_kv_heads, got {got}")
        if self.attention == "gqa" and self.d_model % self.n_heads:
            raise ValueError(f"d_model must be a multiple of n_heads, got {self.d_model} and {self.n_heads}")
        if self.rope_dim % 2:
            raise ValueError(f"the width that is rotated must be even, got {self.rope_dim}")
        if self.attention == "mla" and self.qk_rope_head_dim + self.qk_nope_head_dim == 0:
            raise ValueError("qk_rope_head_dim + qk_nope_head_dim must be at least 1, got 0 and 0")

    def _check_experts(self) -> None:
        if self.moe_intermediate_size < 1:
            raise ValueError(
                f"moe_intermediate_size must be at least 1 with experts, got {self.moe_intermediate_size}"
            )
        if self.n_experts % self.n_groups:
            raise ValueError(
                f"n_experts must be a multiple of n_groups, got {self.n_experts} and {self.n_groups}"
            )
        if not 1 <= self.topk_groups <= self.n_groups:
            raise ValueError(
                f"topk_groups must be from 1 to n_groups {self.n_groups}, got {self.topk_groups}"
            )
        open_experts = self.n_experts // self.n_groups * self.topk_groups
        if not 1 <= self.n_experts_per_tok <= open_experts:
            raise ValueError(
                f"n_experts_per_tok must be from 1 to the {open_experts} experts that can be chosen, "
                f"got {self.n_experts_per_tok}"
            )

    @property
    def head_dim(self) -> int:
        """The width D of one head of `attention="gqa"`."""
        return self.d_model // self.n_heads

    @property
    def rope_dim(self) -> int:
        """How many features of a head are rotated: all of them, or the part that MLA keeps apart."""
        return self.qk_rope_head_dim if self.attention == "mla" else self.head_dim


class ModelConfigs:
    """Named configurations, from five minutes of training to a week; each takes changes by name.

    Tutorial: docs/tutorials/step2_model_modern.md
    """

    @staticmethod
    def tiny(**changes: Any) -> ModelArgs:
        """Trains in five minutes on two cores."""
        sizes = {"d_model": 128, "n_layers": 4, "n_heads": 4, "n_kv_heads": 4, "kv_lora_rank": 64}
        sizes |= {"qk_rope_head_dim": 16, "qk_nope_head_dim": 32, "v_head_dim": 32}
        sizes |= {"intermediate_size": 352, "vocab_size": 1_024, "max_seq_len": 256}
        return ModelArgs(**(sizes | {"tie_embeddings": True} | changes))

    @staticmethod
    def small(**changes: Any) -> ModelArgs:
        """An evening on a laptop."""
        sizes = {"d_model": 384, "n_layers": 8, "n_heads": 6, "n_kv_heads": 6, "kv_lora_rank": 128}
        sizes |= {"qk_rope_head_dim": 32, "qk_nope_head_dim": 64, "v_head_dim": 64}
        sizes |= {"intermediate_size": 1_024, "vocab_size": 4_096, "max_seq_len": 512}
        return ModelArgs(**(sizes | {"tie_embeddings": True} | changes))

    @staticmethod
    def base(**changes: Any) -> ModelArgs:
        """A GPU for a few days: 24 layers of width 1,024."""
        return ModelArgs(**changes)

    @staticmethod
    def large(**changes: Any) -> ModelArgs:
        """Fills one GPU of 80 GB in bfloat16, its optimizer included."""
        sizes = {"d_model": 2_048, "n_layers": 28, "intermediate_size": 5_632, "max_seq_len": 4_096}
        return ModelArgs(**(sizes | changes))

    @staticmethod
    def tiny_moe(**changes: Any) -> ModelArgs:
        """`tiny` with eight small experts, two of them at work for each token, and one for all."""
        experts = {"n_experts": 8, "n_experts_per_tok": 2, "n_shared_experts": 1}
        experts |= {"moe_intermediate_size": 128, "n_dense_layers": 1}
        return ModelConfigs.tiny(**(experts | {"router": "sigmoid"} | changes))

    @staticmethod
    def tiny_long(**changes: Any) -> ModelArgs:
        """`tiny`, stretched by YaRN to read four times as far as it was trained."""
        longer = {"max_seq_len": 1_024, "yarn": YarnScaling(factor=4.0, original_max_seq_len=256)}
        return ModelConfigs.tiny(**(longer | changes))


def rope_at(positions: Int[Tensor, "B T"], dim: int, theta: float = 10_000.0) -> Rope:
    """Return cos and sin of the angle of every pair of features at any positions, each (B, T, dim/2).

    A head of `dim` features has dim/2 pairs; pair i turns by θ^(-2i/dim) radians for each position, so that
    at position p its angle is p · θ^(-2i/dim): the first pair turns fastest. Positions may start anywhere
    (a cache) and differ from row to row (padding on the left). Angles are computed in float32.

    Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding" (2021), section 3.2.2.
    Tutorial: docs/tutorials/step2_model_modern.md#25a-angles
    """
    # 1. One frequency for each pair: theta to the power of -2i/dim, for i = 0, 1, ..., dim/2 - 1 (float32).
    # 2. Every position times every frequency: (B, T) and (dim/2) give angles (B, T, dim/2).
    # 3. Return the cosines and the sines.
    # TODO 2.5a: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.5a is not written yet: rope_at in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.5a"
    )


def rotate(
    x: Float[Tensor, "B H T D"], cos: Float[Tensor, "B T D//2"], sin: Float[Tensor, "B T D//2"]
) -> Float[Tensor, "B H T D"]:
    """Turn every pair of features by its angle: (a, b) becomes (a cos - b sin, b cos + a sin).

    Feature i is paired with feature i + D/2, as in the models of `transformers`; other code pairs
    neighbors (2i, 2i + 1). All heads share the angles. Lengths do not change, and q · k depends on the two
    positions only through their distance. The result has the dtype of x.

    Source: Su et al. (2021), section 3.4.2. Tutorial: docs/tutorials/step2_model_modern.md#25b-rotation
    """
    # 1. Cut the features into halves a and b: pair i is (a[i], b[i]).
    # 2. Give cos and sin a dimension for the heads: (B, T, D/2) becomes (B, 1, T, D/2).
    # 3. Turn every pair, put the halves back together, and return to the dtype of x.
    # TODO 2.5b: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.5b is not written yet: rotate in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.5b"
    )


class KVCache(GrowingCache):
    """The past of one attention layer in storage that is larger than the past, so that little is copied.

    Positions are the dimension before the last, whatever stands in front: (B, H, S, D) for heads, (B, S, R)
    for MLA's latents. `k` and `v` are the storage, `length` says how many of its positions are filled. What
    is kept carries no gradient: a cache is for reading on, not for training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def __len__(self) -> int:
        return self.length

    def append(self, k: Float[Tensor, "*B T D"], v: Float[Tensor, "*B T Dv"]) -> None:
        """Write T new positions behind those already kept, in place while there is room.

        When the storage is full, it is replaced by one of twice the capacity, or of just what is needed if
        that is more, and the past is copied over. So n appends of one position copy fewer than 2n rows in
        all, and below the capacity the storage stays the very same tensor.

        Source: Cormen et al., "Introduction to Algorithms", chapter on amortized analysis (table doubling).
        Tutorial: docs/tutorials/step2_model_modern.md#26a-a-cache-that-does-not-copy
        """
        # 1. How many positions will there be, and how many fit now?
        # 2. Too little room: make storage of twice the capacity, or of `end` positions if that is more.
        # 3. Copy what was kept so far, if anything, to its beginning.
        # 4. Write the new positions behind the old ones (detached), and remember the new length.
        # TODO 2.6a: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.6a is not written yet: KVCache.append in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.6a"
        )

    def read(self) -> tuple[Float[Tensor, "*B S D"], Float[Tensor, "*B S Dv"]]:
        """Return the keys and values of all positions so far, as views of the storage: nothing is copied.

        Raises ValueError where the cache is empty. Tutorial:
        docs/tutorials/step2_model_modern.md#26a-a-cache-that-does-not-copy
        """
        k, v = super().read()  # given
        # 1. Cut the filled part out of the storage, along the dimension of positions.
        # TODO 2.6a: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.6a is not written yet: KVCache.read in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.6a"
        )


def causal_mask(T: int, S: int, device: torch.device | None = None) -> Bool[Tensor, "T S"]:
    """Return which keys each of the *last* T of S positions may read: True at and before its own."""
    return torch.ones(T, S, dtype=torch.bool, device=device).tril(S - T)


def padding_mask(T: int, padding: Int[Tensor, " B"], S: int) -> Bool[Tensor, "B 1 T S"]:
    """Return the causal mask with the first padding[b] positions of row b hidden.

    Every position may read itself, so that a padded one has something to average; nobody reads it later.
    """
    hidden = torch.arange(S, device=padding.device) < padding[:, None]
    own = torch.eye(S, dtype=torch.bool, device=padding.device)[S - T :]
    return causal_mask(T, S, padding.device) & ~hidden[:, None, None] | own


def cached_attention(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B H S D"],
    v: Float[Tensor, "B H S Dv"],
    mask: Bool[Tensor, "... T S"] | None = None,
) -> Float[Tensor, "B H T Dv"]:
    """Attention of T new queries over S positions: the queries are the last T, and each reads up to its own.

    This is what a model needs that reads a text in chunks: with S = T it is causal attention as usual, with
    T = 1 a step of generation, in between one chunk of a long prompt. `mask`, where given, says instead
    which keys each query may read (True: may). `F.scaled_dot_product_attention` may do the arithmetic;
    mind that its `is_causal` aligns query 0 with key 0, which is right for S = T alone.

    Tutorial: docs/tutorials/step2_model_modern.md#26b-attention-over-a-cache
    """
    # 1. Without a mask, and with both several queries and a past, make the one for the last T of S positions.
    # 2. Score, mask and mix: is_causal where there is no past, no mask at all for a single query.
    # TODO 2.6b: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.6b is not written yet: cached_attention in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.6b"
    )


class RMSNorm(nn.Module):
    """Bring every vector to a root mean square of 1, then scale each feature by its gain."""

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B C"]:
        """Return x / √(mean(x²) + eps) · weight, the mean over the C features of each position.

        No mean is subtracted and no bias added. The square, the mean and the root are taken in float32
        whatever the dtype of x is: squares of half precision overflow early and lose small numbers. The
        normalized x returns to its dtype before the gain is applied.

        Source: Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019), section 4.
        Tutorial: docs/tutorials/step2_model_modern.md#27-rmsnorm
        """
        # 1. Go to float32.
        # 2. Divide by the root of the mean square over the last dimension; eps stands inside the root.
        # 3. Return to the dtype of x, then scale every feature by its gain.
        # TODO 2.7: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.7 is not written yet: RMSNorm.forward in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.7"
        )


class SwiGLU(nn.Module):
    """The feed-forward layer of today's models: one projection opens or shuts each feature of another."""

    def __init__(self, d_model: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(d_model, intermediate_size, bias=False)
        self.up_proj = nn.Linear(d_model, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, d_model, bias=False)

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B C"]:
        """Return down(silu(gate(x)) · up(x)), each position by itself; silu(z) = z · sigmoid(z).

        Three matrices do the work of two: with F = 8C/3 instead of 4C the layer has as many parameters as
        GPT-2's.

        Source: Shazeer, "GLU Variants Improve Transformer" (2020), section 2.
        Tutorial: docs/tutorials/step2_model_modern.md#28-swiglu
        """
        # 1. Project to the gate, and bend it with silu.
        # 2. Project to the features, let the gate scale each of them, and project back to C.
        # TODO 2.8: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.8 is not written yet: SwiGLU.forward in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.8"
        )


def grouped_attention(
    q: Float[Tensor, "B H T D"],
    k: Float[Tensor, "B G S D"],
    v: Float[Tensor, "B G S Dv"],
    mask: Bool[Tensor, "... T S"] | None = None,
) -> Float[Tensor, "B H T Dv"]:
    """Attention in which H query heads share G key/value heads: query head h reads key/value head h // (H/G).

    Keys and values are never repeated: the queries of the H/G heads of a group become further rows over the
    group's one set of keys, (B, G, H/G · T, D). Queries are the last T of S positions, as in
    `cached_attention`; `mask` says otherwise where it is given. G = H is multi-head attention, G = 1
    multi-query attention.

    Source: Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head
    Checkpoints" (2023), section 2.2. Tutorial: docs/tutorials/step2_model_modern.md#29-shared-keys-and-values
    """
    # 1. How many query heads share a key/value head? (N = H/G) Neighbors do: heads 0 to N-1 read head 0.
    # 2. Stack the queries of a group as rows: (B, H, T, D) becomes (B, G, N·T, D).
    # 3. Every head of a group has the same mask: repeat its T rows N times (one query needs no causal mask).
    # 4. Attend, and take the rows apart into heads again.
    # TODO 2.9: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 2.9 is not written yet: grouped_attention in step2_model/model_exercise.py. "
        "Write it, or run: course solve 2.9"
    )


class GroupedQueryAttention(nn.Module):
    """H heads of queries over G heads of keys and values, with rotary positions and no biases."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        self.q_proj = nn.Linear(args.d_model, args.n_heads * args.head_dim, bias=False)
        self.k_proj = nn.Linear(args.d_model, args.n_kv_heads * args.head_dim, bias=False)
        self.v_proj = nn.Linear(args.d_model, args.n_kv_heads * args.head_dim, bias=False)
        self.o_proj = nn.Linear(args.n_heads * args.head_dim, args.d_model, bias=False)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        rope: Rope,
        mask: Tensor | None = None,
        cache: GrowingCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Project, rotate queries and keys (never values), read the past from the cache, attend, project."""
        heads = "B T (H D) -> B H T D"
        q = rotate(rearrange(self.q_proj(x), heads, H=self.args.n_heads), *rope)
        k = rotate(rearrange(self.k_proj(x), heads, H=self.args.n_kv_heads), *rope)
        v = rearrange(self.v_proj(x), heads, H=self.args.n_kv_heads)
        if cache is not None:
            cache.append(k, v)
            k, v = cache.read()
        return self.o_proj(rearrange(grouped_attention(q, k, v, mask), "B H T D -> B T (H D)"))


class MLA(nn.Module):
    """Multi-head latent attention: what is kept of a position is one short vector and one rotary key.

    Keys and values of all heads are computed from the latent (R features); positions enter through a rotary
    part of Dr features that stands beside: one for each query head, and one key shared by all heads.
    Parameters carry DeepSeek's names.

    Source: DeepSeek-AI, "DeepSeek-V2" (2024), section 2.1.
    """

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        H, R = args.n_heads, args.kv_lora_rank
        Dn, Dr, Dv = args.qk_nope_head_dim, args.qk_rope_head_dim, args.v_head_dim
        self.q_proj = nn.Linear(args.d_model, H * (Dn + Dr), bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(args.d_model, R + Dr, bias=False)
        self.kv_a_layernorm = RMSNorm(R, args.norm_eps)
        self.kv_b_proj = nn.Linear(R, H * (Dn + Dv), bias=False)
        self.o_proj = nn.Linear(H * Dv, args.d_model, bias=False)

    def queries(
        self, x: Float[Tensor, "B T C"], rope: Rope
    ) -> tuple[Float[Tensor, "B H T Dn"], Float[Tensor, "B H T Dr"]]:
        """Return the two parts of every query: one without position, and one that is rotated."""
        q = rearrange(self.q_proj(x), "B T (H D) -> B H T D", H=self.args.n_heads)
        plain, rotary = q.split([self.args.qk_nope_head_dim, self.args.qk_rope_head_dim], dim=-1)
        return plain, rotate(rotary, *rope)

    def compress(
        self, x: Float[Tensor, "B T C"], rope: Rope
    ) -> tuple[Float[Tensor, "B T R"], Float[Tensor, "B T Dr"]]:
        """Return all that is kept of each position: a normalized latent (R) and one rotated key (Dr).

        `kv_a_proj_with_mqa` holds two projections in one matrix: of its R + Dr outputs the first R are
        the latent, the last Dr the key. Only the latent goes through `kv_a_layernorm`, only the key is
        rotated. There is one key for all heads: it has no head dimension.

        Source: DeepSeek-V2 (2024), section 2.1.2 and 2.1.3, equations 9 and 15.
        Tutorial: docs/tutorials/step2_model_modern.md#211a-what-is-kept
        """
        # 1. Project x to R + Dr features, and cut them into latent and key.
        # 2. Rotate the key: `rotate` wants a dimension for heads, here one of size 1, which goes again after.
        # 3. Normalize the latent, and return both.
        # TODO 2.11a: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.11a is not written yet: MLA.compress in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.11a"
        )

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        rope: Rope,
        mask: Tensor | None = None,
        cache: GrowingCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Attention whose keys and values are expanded from the latents of all S positions.

        `kv_b_proj` makes of each latent, for every head in turn, Dn features of key and then Dv of value.
        A head's whole key is these Dn features and the Dr of the shared rotary key; its query is laid out
        likewise, and the scores are divided by √(Dn + Dr). With a cache, latents and rotary keys are what it
        keeps, never what is expanded from them.

        Source: DeepSeek-V2 (2024), section 2.1.2 and 2.1.3.
        Tutorial: docs/tutorials/step2_model_modern.md#211b-attention-from-latents
        """
        # 1. The two parts of the queries, and what is kept of the new positions.
        # 2. The past: with a cache, append latents and keys and read all of them back.
        # TODO 2.11b: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.11b is not written yet: MLA.forward in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.11b"
        )
        if cache is not None:  # given
            cache.append(latent, key)  # given
            latent, key = cache.read()  # given
        # 3. Expand the latents: H heads of Dn + Dv features each, cut into keys and values.
        # 4. Whole queries and keys: the plain part, then the rotary one (every head has the shared key).
        # 5. Attend with `cached_attention`, put the heads side by side, and project with o_proj.


class DecoderBlock(nn.Module):
    """One layer of the modern decoder: the block of part one with RMSNorm and parts that are handed in."""

    def __init__(self, args: ModelArgs, attention: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(args.d_model, args.norm_eps)
        self.self_attn = attention
        self.post_attention_layernorm = RMSNorm(args.d_model, args.norm_eps)
        self.mlp = mlp
        self.dropout = nn.Dropout(args.dropout)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        rope: Rope,
        mask: Tensor | None = None,
        cache: GrowingCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Add to x what attention says about it, then what the feed-forward layer says about that.

        As in part one, each part reads a normalized copy, and its answer, after dropout, is added to x
        itself. Attention gets rope, mask and cache, in this order.

        Source: Touvron et al., "LLaMA" (2023), section 2.2.
        Tutorial: docs/tutorials/step2_model_modern.md#210a-the-block
        """
        # 1. Normalize, attend, drop out, add.
        # 2. Normalize the new x, feed forward, drop out, add.
        # TODO 2.10a: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.10a is not written yet: DecoderBlock.forward in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.10a"
        )


class Transformer(nn.Module):
    """The modern decoder: ids in, logits out; grouped or latent attention, SwiGLU, RMSNorm, rotary positions.

    Parameters carry the names of `transformers`' Llama and DeepSeek-V3, less the prefix. Raises ValueError
    for what only the further file builds: query compression, experts, YaRN.
    """

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        self.embed_tokens = nn.Embedding(args.vocab_size, args.d_model)
        self.layers = nn.ModuleList(self.make_block(layer) for layer in range(args.n_layers))
        self.norm = RMSNorm(args.d_model, args.norm_eps)
        self.lm_head = None if args.tie_embeddings else nn.Linear(args.d_model, args.vocab_size, bias=False)
        residual = ("o_proj.weight", "down_proj.weight", "down_proj")
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                is_residual = name.endswith(residual)
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * args.n_layers) if is_residual else 0.02)

    def make_block(self, layer: int) -> DecoderBlock:
        """Return the block of this layer, as the configuration wants it."""
        args = self.args
        for name in ("q_lora_rank", "yarn", "n_experts"):
            if getattr(args, name):
                raise ValueError(
                    f"{name} must be off in Transformer, got {getattr(args, name)}: FullTransformer has it"
                )
        attention = MLA(args) if args.attention == "mla" else GroupedQueryAttention(args)
        return DecoderBlock(args, attention, SwiGLU(args.d_model, args.intermediate_size))

    def rope(self, positions: Int[Tensor, "B T"]) -> Rope:
        """Return cos and sin of the features that are rotated, at these positions."""
        return rope_at(positions, self.args.rope_dim, self.args.rope_theta)

    def place(
        self, ids: Int[Tensor, "B T"], start: int, padding: Int[Tensor, " B"] | None
    ) -> tuple[Rope, Tensor | None]:
        """Return rope and mask of T tokens after `start` others; the first padding[b] of row b do not count.

        Raises ValueError where the tokens do not fit into max_seq_len.
        """
        T = ids.shape[1]
        if start + T > self.args.max_seq_len:
            raise ValueError(
                f"past and new tokens must fit into max_seq_len {self.args.max_seq_len}, got {start} and {T}"
            )
        positions = torch.arange(start, start + T, device=ids.device).expand(len(ids), T)
        if padding is None:
            return self.rope(positions), None
        positions = (positions - padding[:, None]).clamp(min=0)
        return self.rope(positions), padding_mask(T, padding, start + T)

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        labels: Int[Tensor, "B T"] | None = None,
        cache: Sequence[GrowingCache] | None = None,
        padding: Int[Tensor, " B"] | None = None,
    ) -> ModelOutput:
        """Return the logits for every position and, with labels, the mean loss of predicting each next token.

        `labels` are the ids themselves, -100 where nothing is to be predicted (`next_token_loss` shifts
        them). With a cache (`new_cache()`, one for each layer), ids are the tokens after those it holds.
        `padding` says how many tokens at the left of each row do not count. Without an `lm_head` (tied
        embeddings) the head is the matrix of `embed_tokens`.

        Tutorial: docs/tutorials/step2_model_modern.md#210b-the-whole-decoder
        """
        # 1. How many tokens came before? From that: rope and mask, which all layers share (self.place).
        # 2. Look up the token vectors: no position is added here, rope brings it.
        # 3. Send x through all layers; layer i gets rope, mask and its own cache, or None.
        # 4. Final norm and head, tied or not.
        # 5. The loss where there are labels; there is no auxiliary loss in a dense model.
        # TODO 2.10b: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 2.10b is not written yet: Transformer.forward in step2_model/model_exercise.py. "
            "Write it, or run: course solve 2.10b"
        )

    def new_cache(self) -> list[KVCache]:
        """Return one empty cache for each layer."""
        return [KVCache() for _ in self.layers]


if __name__ == "__main__":
    from coursekit.selfcheck import main

    main(__file__)
