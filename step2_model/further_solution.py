"""What goes beyond the core: MLA on the latents themselves, experts, longer contexts, attention in tiles.

The parts can be read in any order; each says which part of `model_solution.py` it does faster, larger or
further. `FullTransformer`, at the end, is the decoder of the core with all of them: DeepSeek-V3 and Mixtral.

Shape letters as in `model_solution.py`, and

    E experts    K experts chosen for a token    N tokens, whatever batch and row they come from
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from step2_model.model_solution import (
    MLA,
    DecoderBlock,
    GroupedQueryAttention,
    GrowingCache,
    ModelArgs,
    ModelOutput,
    RMSNorm,
    Rope,
    SwiGLU,
    Transformer,
    YarnScaling,
    causal_mask,
    rotate,
)


class RaggedCache:
    """The latents and rotary keys of B requests, each with a past of its own length.

    The storage is (B, capacity, R) and (B, capacity, Dr); `lengths` (B,) says how many positions of each row
    are filled.
    """

    def __init__(self, latents: Sequence[Tensor], keys: Sequence[Tensor], room: int) -> None:
        """Lay requests side by side, `latents[b]` (S_b, R) and `keys[b]` (S_b, Dr), with room for more
        tokens.
        """
        longest = max(len(latent) for latent in latents)
        self.lengths = torch.tensor([len(latent) for latent in latents], device=latents[0].device)
        self.latent = latents[0].new_zeros(len(latents), longest + room, latents[0].shape[-1])
        self.key = keys[0].new_zeros(len(keys), longest + room, keys[0].shape[-1])
        for b, (latent, key) in enumerate(zip(latents, keys, strict=True)):
            self.latent[b, : len(latent)] = latent
            self.key[b, : len(key)] = key

    def append(self, latent: Float[Tensor, "B 1 R"], key: Float[Tensor, "B 1 Dr"]) -> None:
        """Write one new position of every request behind its own past.

        Raises ValueError where a request has no room left.
        """
        if int(self.lengths.max()) >= self.latent.shape[1]:
            raise ValueError(
                f"a request must have room for one more token, got {int(self.lengths.max())} "
                f"of {self.latent.shape[1]} positions filled"
            )
        rows = torch.arange(len(self.lengths), device=self.lengths.device)
        self.latent[rows, self.lengths] = latent[:, 0].detach()
        self.key[rows, self.lengths] = key[:, 0].detach()
        self.lengths = self.lengths + 1

    def read(self) -> tuple[Float[Tensor, "B S R"], Float[Tensor, "B S Dr"]]:
        """Return latents and keys up to the longest request; rows hold nothing of worth after their own
        length.
        """
        longest = int(self.lengths.max())
        return self.latent[:, :longest], self.key[:, :longest]


class LatentAttention(MLA):
    """MLA as DeepSeek runs it: queries through a bottleneck, and decoding on the latents themselves.

    Its parameters are those of the core's MLA; with `q_lora_rank`, `q_a_proj`, `q_a_layernorm` and `q_b_proj`
    stand in place of `q_proj`. All queries are multiplied by `sharpness`: 1, unless YaRN asks for more.
    """

    def __init__(self, args: ModelArgs) -> None:
        super().__init__(args)
        self.sharpness = 1.0
        if args.yarn is not None and args.yarn.mscale_all_dim:
            self.sharpness = yarn_mscale(args.yarn.factor, args.yarn.mscale_all_dim) ** 2
        if args.q_lora_rank is not None:
            width = args.n_heads * (args.qk_nope_head_dim + args.qk_rope_head_dim)
            del self.q_proj
            self.q_a_proj = nn.Linear(args.d_model, args.q_lora_rank, bias=False)
            self.q_a_layernorm = RMSNorm(args.q_lora_rank, args.norm_eps)
            self.q_b_proj = nn.Linear(args.q_lora_rank, width, bias=False)

    def queries(
        self, x: Float[Tensor, "B T C"], rope: Rope
    ) -> tuple[Float[Tensor, "B H T Dn"], Float[Tensor, "B H T Dr"]]:
        """Return the plain and the rotated part of every query, computed through the narrow `q_lora_rank`.

        x goes down to `q_lora_rank` features (`q_a_proj`), is normalized there (`q_a_layernorm`) and goes up
        to H heads of Dn + Dr features (`q_b_proj`), which are multiplied by `self.sharpness`. This saves
        parameters and activations in training; the cache holds no queries and is as large as before.

        Source: DeepSeek-V2 (2024), section 2.1.2, equations 12 and 13.
        Tutorial: docs/tutorials/step2_model_further.md#212a-queries-through-a-bottleneck
        """
        if self.args.q_lora_rank is None:  # given
            plain, rotary = super().queries(x, rope)  # given
            return self.sharpness * plain, self.sharpness * rotary  # given
        # 1. Down, normalize, up, sharpen: (B, T, C) becomes (B, T, H·(Dn + Dr)).
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))) * self.sharpness
        # 2. Split into heads, and each head into its plain and its rotary part, in this order.
        q = rearrange(q, "B T (H D) -> B H T D", H=self.args.n_heads)
        plain, rotary = q.split([self.args.qk_nope_head_dim, self.args.qk_rope_head_dim], dim=-1)
        # 3. Rotate the rotary part alone.
        return plain, rotate(rotary, *rope)

    def factors(self) -> tuple[Float[Tensor, "H Dn R"], Float[Tensor, "H Dv R"]]:
        """Return the two matrices of each head that `kv_b_proj` holds: latent to key, latent to value."""
        widths = [self.args.qk_nope_head_dim, self.args.v_head_dim]
        weight = rearrange(self.kv_b_proj.weight, "(H D) R -> H D R", H=self.args.n_heads)
        to_key, to_value = weight.split(widths, dim=1)
        return to_key, to_value

    def attend_absorbed(
        self,
        x: Float[Tensor, "B T C"],
        rope: Rope,
        mask: Tensor | None = None,
        cache: GrowingCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        """The same attention as `MLA.forward`, without expanding a single latent.

        A plain score is q · (K c) = (Kᵀ q) · c: the factor that would expand the latent c of every past
        position is applied to the one query instead. A value is V c, and the weighted sum of V c is V times
        the weighted sum of c. So every head reads the latents themselves, as one shared key and value, and
        the work for each past position no longer has the widths of the heads in it. `self.factors()` gives K
        (H, Dn, R) and V (H, Dv, R). Scores are divided by √(Dn + Dr), as before, though queries are R + Dr
        wide now.

        Source: DeepSeek-V2 (2024), section 2.1.2, the remark on absorbing.
        Tutorial: docs/tutorials/step2_model_further.md#212b-absorbed-attention
        """
        # 1. Queries, latents and keys as in the core; the cache holds what it always held.
        q_plain, q_rotary = self.queries(x, rope)
        latent, key = self.compress(x, rope)
        if cache is not None:  # given
            cache.append(latent, key)  # given
            latent, key = cache.read()  # given
        # 2. Carry every plain query into the space of latents: (B, H, T, Dn) becomes (B, H, T, R).
        to_key, to_value = self.factors()
        q_latent = q_plain @ to_key
        # 3. All heads share one key: as rows (B, H·T, ...) of one product, they read the cache only once. Add
        #    the scores over latents and over rotary keys, and divide by the root of Dn + Dr.
        rows, heads = "B H T D -> B (H T) D", "B (H T) D -> B H T D"
        scores = rearrange(q_latent, rows) @ latent.mT + rearrange(q_rotary, rows) @ key.mT
        scores = scores / math.sqrt(self.args.qk_nope_head_dim + self.args.qk_rope_head_dim)
        # 4. As heads again, hide what may not be read: as `mask` says, else all that comes after the query.
        scores = rearrange(scores, heads, H=self.args.n_heads)
        if mask is None:
            mask = causal_mask(scores.shape[-2], scores.shape[-1], scores.device)
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1, dtype=torch.float32)
        # 5. Mix latents (as rows once more), expand the mixtures, not the latents, into values, and project.
        mixed = rearrange(weights.to(latent.dtype), rows) @ latent
        y = rearrange(mixed, heads, H=self.args.n_heads) @ to_value.mT
        return self.o_proj(rearrange(y, "B H T Dv -> B T (H Dv)"))

    def decode_ragged(
        self, x: Float[Tensor, "B 1 C"], rope: Rope, cache: RaggedCache
    ) -> Float[Tensor, "B 1 C"]:
        """One absorbed step of generation for many requests at once, without a loop over them.

        Row b of x is the next token of request b, and `rope` belongs to its own position. Its latent and key
        go to the cache behind its own past; it reads its own positions and none of the room behind them,
        where other rows are longer.

        Tutorial: docs/tutorials/step2_model_further.md#212c-many-requests-at-once
        """
        # 1. Queries, latents and keys of the new tokens; the cache takes them (append) and gives all (read).
        q_plain, q_rotary = self.queries(x, rope)
        cache.append(*self.compress(x, rope))
        latent, key = cache.read()
        # 2. Queries in the space of latents, side by side with the heads as rows: (B, H, R).
        to_key, to_value = self.factors()
        q_latent = torch.einsum("bhtd,hdr->bhr", q_plain, to_key)
        # 3. Scores (B, H, S), divided by the root of Dn + Dr.
        scores = q_latent @ latent.mT + q_rotary.squeeze(2) @ key.mT
        scores = scores / math.sqrt(self.args.qk_nope_head_dim + self.args.qk_rope_head_dim)
        # 4. Hide, for every request, the positions from its own length on.
        unfilled = torch.arange(latent.shape[1], device=x.device) >= cache.lengths[:, None]
        scores = scores.masked_fill(unfilled[:, None], float("-inf"))
        # 5. Mix latents (B, H, R), expand the mixtures into values, project the heads.
        mixed = scores.softmax(dim=-1, dtype=torch.float32).to(latent.dtype) @ latent
        y = torch.einsum("bhr,hdr->bhd", mixed, to_value)
        return self.o_proj(rearrange(y, "B H Dv -> B 1 (H Dv)"))

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        rope: Rope,
        mask: Tensor | None = None,
        cache: GrowingCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Expand the latents where all positions are new, as in training; absorb where there is a past."""
        has_past = cache is not None and len(cache) > 0
        return (
            self.attend_absorbed(x, rope, mask, cache) if has_past else super().forward(x, rope, mask, cache)
        )


def softmax_router(logits: Float[Tensor, "N E"], k: int) -> tuple[Float[Tensor, "N K"], Int[Tensor, "N K"]]:
    """Choose the k experts with the largest probabilities, and weigh them by these, rescaled to sum to 1.

    Returns the weights and the numbers of the experts; probabilities are taken in float32.

    Source: Jiang et al., "Mixtral of Experts" (2024), section 2.1.
    Tutorial: docs/tutorials/step2_model_further.md#213a-choosing-experts
    """
    # 1. Probabilities over all experts, then the k largest of each token.
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    # 2. Rescale the chosen ones so that they sum to 1.
    return weights / weights.sum(dim=-1, keepdim=True), experts


def sigmoid_router(
    logits: Float[Tensor, "N E"],
    bias: Float[Tensor, " E"],
    k: int,
    n_groups: int = 1,
    topk_groups: int = 1,
    scale: float = 1.0,
) -> tuple[Float[Tensor, "N K"], Int[Tensor, "N K"]]:
    """Choose k experts by sigmoid plus bias, within the best groups; weigh them by their sigmoids alone.

    DeepSeek-V3's router. A group, E/n_groups neighbors, is as good as the sum of its two best biased scores;
    the experts of all but the best `topk_groups` groups cannot be chosen. The bias steers the choice, so that
    experts can be kept equally busy without a loss, and must not touch the weights: these are the sigmoids of
    the chosen experts, rescaled to sum to `scale`.

    Source: DeepSeek-AI, "DeepSeek-V3 Technical Report" (2024), section 2.1.2.
    Tutorial: docs/tutorials/step2_model_further.md#213b-deepseeks-router
    """
    # 1. Scores are sigmoids (float32); what decides the choice is the score plus the expert's bias.
    scores = logits.float().sigmoid()
    choice = scores + bias
    # 2. A group is worth the sum of its two best: find the groups that are not among the best topk_groups.
    groups = rearrange(choice, "N (G E) -> N G E", G=n_groups)
    worth = groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(dim=-1)
    best = worth.topk(topk_groups, dim=-1).indices
    is_open = torch.zeros_like(worth, dtype=torch.bool).scatter(1, best, True)
    # 3. Their experts get minus infinity; choose the k best of the others.
    choice = groups.masked_fill(~is_open.unsqueeze(-1), float("-inf")).flatten(1)
    experts = choice.topk(k, dim=-1).indices
    # 4. Weights: the scores without bias of the chosen experts, rescaled to sum to `scale`.
    weights = scores.gather(1, experts)
    return weights / (weights.sum(dim=-1, keepdim=True) + 1e-20) * scale, experts


class Experts(nn.Module):
    """E feed-forward layers in two tensors: gate and up stacked, (E, 2F, C), and down, (E, C, F)."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        E, width, C = args.n_experts, args.moe_intermediate_size, args.d_model
        self.gate_up_proj = nn.Parameter(torch.empty(E, 2 * width, C))
        self.down_proj = nn.Parameter(torch.empty(E, C, width))

    def forward(
        self, x: Float[Tensor, "N C"], weights: Float[Tensor, "N K"], experts: Int[Tensor, "N K"]
    ) -> Float[Tensor, "N C"]:
        """Return for each token the weighted sum of what its chosen experts make of it.

        Each expert runs once, on the tokens that chose it and on no others; an expert that nobody chose does
        not run. Expert e is SwiGLU with `gate_up_proj[e]`, whose first F rows are the gate and whose last F
        rows the features, and `down_proj[e]`.

        Source: Shazeer et al., "Outrageously Large Neural Networks" (2017), section 2.
        Tutorial: docs/tutorials/step2_model_further.md#213c-running-experts
        """
        # 1. Begin with zeros: every expert adds its share.
        y = torch.zeros_like(x)
        for e in experts.unique().tolist():
            # 2. Which tokens chose expert e, and as which of their K choices? Gather these tokens.
            token, rank = (experts == e).nonzero(as_tuple=True)
            # 3. SwiGLU on the gathered tokens: gate and features in one product, then down.
            gate, up = F.linear(x[token], self.gate_up_proj[e]).chunk(2, dim=-1)
            found = F.linear(F.silu(gate) * up, self.down_proj[e])
            # 4. Weigh the answers, and add each to its token's row (index_add).
            y = y.index_add(0, token, found * weights[token, rank, None].to(found.dtype))
        return y


class Router(nn.Module):
    """The scores of every expert for a token; the bias, a buffer, belongs to DeepSeek's router alone."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        self.weight = nn.Parameter(torch.empty(args.n_experts, args.d_model))
        if args.router == "sigmoid":
            self.e_score_correction_bias = nn.Buffer(torch.zeros(args.n_experts))

    def forward(
        self, x: Float[Tensor, "N C"]
    ) -> tuple[Float[Tensor, "N E"], Float[Tensor, "N K"], Int[Tensor, "N K"]]:
        """Return the logits (N, E) in float32, and weights and numbers (N, K) of the chosen experts."""
        args = self.args
        logits = F.linear(x.float(), self.weight.float())
        if args.router == "softmax":
            return logits, *softmax_router(logits, args.n_experts_per_tok)
        chosen = sigmoid_router(
            logits,
            self.e_score_correction_bias,
            args.n_experts_per_tok,
            args.n_groups,
            args.topk_groups,
            args.routed_scaling_factor,
        )
        return logits, *chosen


class MoE(nn.Module):
    """A feed-forward layer of many experts, of which each token uses K, and of shared ones that all use.

    After a forward pass `balance` holds the load-balance loss of that pass.
    """

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.gate = Router(args)
        self.experts = Experts(args)
        shared = args.n_shared_experts * args.moe_intermediate_size
        self.shared_experts = SwiGLU(args.d_model, shared) if shared else None
        self.balance = torch.zeros(())

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Route every token by itself, run the chosen experts on it, and add what the shared experts say.

        The shared experts read every token and have no weight. The loss of `load_balance_loss` is left in
        `balance`.

        Source: Dai et al., "DeepSeekMoE" (2024), section 3.
        Tutorial: docs/tutorials/step2_model_further.md#213c-running-experts
        """
        # 1. Lay all tokens of the batch in one list (N, C), and let the router choose.
        tokens = x.flatten(0, 1)
        logits, weights, experts = self.gate(tokens)
        self.balance = load_balance_loss(logits, experts)  # given
        # 2. The chosen experts' answers, back in the shape of x.
        y = self.experts(tokens, weights, experts).view_as(x)
        # 3. Add the shared experts' answer to x, if there are any.
        return y if self.shared_experts is None else y + self.shared_experts(x)


def load_balance_loss(logits: Float[Tensor, "N E"], experts: Int[Tensor, "N K"]) -> Float[Tensor, ""]:
    """Return E · Σ f(e) · P(e): f, how many choices of expert e there are per token; P, its mean probability.

    P is the mean of softmax(logits) over the tokens, f a count without a gradient. If all experts are equally
    busy, f is K/E and the loss K, whatever the probabilities; where choices and probabilities gather on few
    experts, it is larger, and its gradient lowers the probabilities of the busy ones.

    Source: Fedus et al., "Switch Transformers" (2021), section 2.2, equations 4 to 6, for K choices.
    Tutorial: docs/tutorials/step2_model_further.md#213d-keeping-experts-busy
    """
    # 1. f: how often each expert is among the choices, divided by the number of tokens.
    E = logits.shape[-1]
    f = F.one_hot(experts, E).sum(dim=(0, 1)) / len(logits)
    # 2. P: the mean over the tokens of each expert's probability.
    P = logits.softmax(dim=-1).mean(dim=0)
    # 3. E times the sum of their products.
    return E * (f * P).sum()


def interleaved_to_half(weight: Float[Tensor, "O C"], n_heads: int, rope_dim: int) -> Float[Tensor, "O C"]:
    """Reorder the rows of a projection whose rotary pairs are neighbors, so that they lie half a width apart.

    The rows form `n_heads` heads of equal width; the last `rope_dim` of each are rotated. Row 2i of these
    goes to i and row 2i + 1 to i + rope_dim/2, and all other rows stay. With queries and keys reordered
    alike, `rotate` computes the very scores that rotation of neighbors would have given.

    Tutorial: docs/tutorials/step2_model_further.md#214a-two-layouts-of-one-rotation
    """
    # 1. Split the rows into heads, and off each head the last rope_dim rows.
    heads = rearrange(weight, "(H D) C -> H D C", H=n_heads)
    still, rotary = heads[:, : heads.shape[1] - rope_dim], heads[:, heads.shape[1] - rope_dim :]
    # 2. Pairs of neighbors (i, 2) become halves (2, i).
    rotary = rearrange(rotary, "H (pair half) C -> H (half pair) C", half=2)
    # 3. Put the heads together again.
    return rearrange(torch.cat([still, rotary], dim=1), "H D C -> (H D) C")


def half_to_interleaved(weight: Float[Tensor, "O C"], n_heads: int, rope_dim: int) -> Float[Tensor, "O C"]:
    """Undo `interleaved_to_half`: row i of each head's rotary rows goes to 2i, row i + rope_dim/2 to 2i + 1.

    Tutorial: docs/tutorials/step2_model_further.md#214a-two-layouts-of-one-rotation
    """
    # 1. As above, with the two halves becoming neighbors again.
    heads = rearrange(weight, "(H D) C -> H D C", H=n_heads)
    still, rotary = heads[:, : heads.shape[1] - rope_dim], heads[:, heads.shape[1] - rope_dim :]
    rotary = rearrange(rotary, "H (half pair) C -> H (pair half) C", half=2)
    return rearrange(torch.cat([still, rotary], dim=1), "H D C -> (H D) C")


def yarn_mscale(factor: float, mscale: float = 1.0) -> float:
    """Return 0.1 · mscale · ln(factor) + 1, by which YaRN sharpens attention over a stretched context."""
    return 0.1 * mscale * math.log(factor) + 1.0


def yarn_frequencies(dim: int, theta: float, yarn: YarnScaling) -> tuple[Float[Tensor, " dim//2"], float]:
    """Return the dim/2 frequencies of a stretched RoPE, and the factor by which cos and sin grow.

    Pairs that turn often over the original length, `beta_fast` times or more, tell near positions apart: they
    keep their frequency. Pairs that turn less than `beta_slow` times would come to angles never seen in
    training: their frequency is divided by `factor`. In between the share of the original frequency falls
    linearly with the number of the pair, from the pair where it is 1, rounded down but at least 0, to the
    pair where it is 0, rounded up but at most dim - 1 (the published code's bound, though pairs end before
    it). Pair i turns L · θ^(-2i/dim) / 2π times over L positions.

    cos and sin grow by `yarn_mscale(factor)`, or where both mscales are given, as in DeepSeek's models, by
    `yarn_mscale(factor, mscale) / yarn_mscale(factor, mscale_all_dim)`.

    Source: Peng et al., "YaRN" (2023), sections 3.2 to 3.4.
    Tutorial: docs/tutorials/step2_model_further.md#214b-yarn
    """
    # 1. The plain frequencies θ^(-2i/dim), and the same divided by factor.
    plain = theta ** -(torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    slowed = plain / yarn.factor

    # 2. Which pair, as a fraction, makes so many turns over the original length?
    def pair_with(turns: float) -> float:
        return dim * math.log(yarn.original_max_seq_len / (turns * 2 * math.pi)) / (2 * math.log(theta))

    # 3. The ramp begins at the pair of beta_fast, rounded down, and ends at that of beta_slow, rounded up.
    low = max(math.floor(pair_with(yarn.beta_fast)), 0)
    high = min(math.ceil(pair_with(yarn.beta_slow)), dim - 1)
    # 4. From 0 (plain) to 1 (slowed) along the ramp, pair by pair (a ramp of no length is a step: divide by
    #    0.001 then); mix the two by it.
    ramp = ((torch.arange(dim // 2) - low) / max(high - low, 0.001)).clamp(0, 1)
    frequencies = plain * (1 - ramp) + slowed * ramp
    # 5. How much cos and sin grow.
    if yarn.mscale and yarn.mscale_all_dim:
        grown = yarn_mscale(yarn.factor, yarn.mscale) / yarn_mscale(yarn.factor, yarn.mscale_all_dim)
        return frequencies, grown
    return frequencies, yarn_mscale(yarn.factor)


def attend_tiled(
    q: Float[Tensor, "*B T D"], k: Float[Tensor, "*B S D"], v: Float[Tensor, "*B S Dv"], block: int
) -> Float[Tensor, "*B T Dv"]:
    """Causal attention that looks at `block` keys at a time and never holds the whole matrix of scores.

    Queries are the last T of S positions. For every query three things are kept: the largest score so far,
    the sum of the exponentials, and the mixture that belongs to them. When a larger score turns up, the other
    two are rescaled by e^(old - new largest). No intermediate has more than T times the larger of `block`
    and Dv numbers for each head.

    Source: Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018); Dao et al.,
    "FlashAttention" (2022), algorithm 1.
    Tutorial: docs/tutorials/step2_model_further.md#215-attention-in-tiles
    """
    T, S = q.shape[-2], k.shape[-2]
    position = torch.arange(S - T, S, device=q.device)
    # 1. Nothing seen yet: largest -inf, sum 0, mixture 0.
    largest = q.new_full((*q.shape[:-1], 1), float("-inf"))
    total = q.new_zeros((*q.shape[:-1], 1))
    mixture = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, S, block):
        # 2. The scores of this block of keys, divided by √D, with the future hidden.
        keys = k[..., start : start + block, :]
        scores = q @ keys.mT / math.sqrt(q.shape[-1])
        number = torch.arange(start, start + keys.shape[-2], device=q.device)
        scores = scores.masked_fill(number > position[:, None], float("-inf"))
        # 3. The new largest, and what the old sum and mixture shrink by.
        larger = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink = (largest - larger).exp()
        # 4. Add this block's exponentials to the sum, and its share to the mixture.
        weights = (scores - larger).exp()
        total = total * shrink + weights.sum(dim=-1, keepdim=True)
        mixture = mixture * shrink + weights @ v[..., start : start + block, :]
        largest = larger
    # 5. Divide once, at the end.
    return mixture / total


def rms_norm_backward(
    x: Float[Tensor, "*B C"], weight: Float[Tensor, " C"], eps: float, grad: Float[Tensor, "*B C"]
) -> tuple[Float[Tensor, "*B C"], Float[Tensor, " C"]]:
    """Return the gradients of x and of the gain, given that of y = x / r · weight, r = √(mean(x²) + eps).

    With n = x / r and g = grad · weight, the gradient of x is (g - n · mean(g · n)) / r: the gain belongs
    inside, before the mean. The gradient of the gain is the sum of grad · n over all positions.

    Tutorial: docs/tutorials/step2_model_further.md#216a-the-backward-pass-by-hand
    """
    # 1. What the forward pass computed: 1/r, and the normalized x.
    inverse = torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)
    normalized = x * inverse
    # 2. The gain: its gradient sums over everything but the features.
    grad_weight = (grad * normalized).reshape(-1, x.shape[-1]).sum(dim=0)
    # 3. x: what arrives at the normalized x, less its part along the normalized x, divided by r.
    arriving = grad * weight
    along = (arriving * normalized).mean(dim=-1, keepdim=True)
    return inverse * (arriving - normalized * along), grad_weight


class GeGLU(SwiGLU):
    """SwiGLU with GELU (exact form) in the gate."""

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B C"]:
        """Return down(gelu(gate(x)) · up(x))."""
        return self.down_proj(F.gelu(self.gate_proj(x)) * self.up_proj(x))


class StandardFFN(nn.Module):
    """Widen, bend with GELU (exact form), bring back: two matrices, no gate, no biases."""

    def __init__(self, d_model: int, intermediate_size: int) -> None:
        super().__init__()
        self.up_proj = nn.Linear(d_model, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, d_model, bias=False)

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B C"]:
        """Return down(gelu(up(x)))."""
        return self.down_proj(F.gelu(self.up_proj(x)))


def get_ffn(args: ModelArgs, ffn_type: str = "swiglu") -> nn.Module:
    """Return a feed-forward layer of one of three kinds, all with the parameters of `args`' SwiGLU.

    "swiglu" and "geglu" have three matrices of C × F; "standard" has two, so its middle is 3F/2 wide, rounded
    to the nearest whole number (up at one half). Raises ValueError for another kind.

    Source: Shazeer, "GLU Variants Improve Transformer" (2020), section 2.
    Tutorial: docs/tutorials/step2_model_further.md#216b-three-feed-forward-layers-at-one-price
    """
    # 1. The gated kinds have the width that the configuration says.
    C, width = args.d_model, args.intermediate_size
    if ffn_type == "swiglu":
        return SwiGLU(C, width)
    if ffn_type == "geglu":
        return GeGLU(C, width)
    # 2. Two matrices instead of three: half as wide again.
    if ffn_type == "standard":
        return StandardFFN(C, (3 * width + 1) // 2)
    # 3. Anything else is an error that names the three.
    raise ValueError(f"ffn_type must be one of swiglu, geglu, standard, got {ffn_type!r}")


def cache_bytes_per_token(args: ModelArgs, bytes_per_number: int = 2) -> int:
    """Return how many bytes the cache of all layers grows by with each token.

    Grouped attention keeps a key and a value for each of its G heads; MLA one latent and one rotary key.

    Source: DeepSeek-V2 (2024), table 1.
    Tutorial: docs/tutorials/step2_model_further.md#217a-what-a-token-costs
    """
    # 1. Numbers for each layer: R + Dr for MLA, else 2 · G · D.
    if args.attention == "mla":
        numbers = args.kv_lora_rank + args.qk_rope_head_dim
    else:
        numbers = 2 * args.n_kv_heads * args.head_dim
    # 2. Times layers, times bytes.
    return numbers * args.n_layers * bytes_per_number


def transformer_parameters(args: ModelArgs) -> int:
    """Return how many numbers a `FullTransformer` of this configuration learns, without building it.

    The buffer of DeepSeek's router is not learned and does not count.

    Tutorial: docs/tutorials/step2_model_further.md#217b-parameters-and-flops
    """
    C, H = args.d_model, args.n_heads
    # 1. Attention: the projections of MLA with its norms, or the four of grouped attention.
    if args.attention == "mla":
        R, Dn, Dr, Dv = args.kv_lora_rank, args.qk_nope_head_dim, args.qk_rope_head_dim, args.v_head_dim
        Q, width = args.q_lora_rank, H * (Dn + Dr)
        queries = C * width if Q is None else C * Q + Q + Q * width
        attention = queries + C * (R + Dr) + R + R * H * (Dn + Dv) + H * Dv * C
    else:
        attention = 2 * C * C + 2 * C * args.n_kv_heads * args.head_dim
    # 2. Feed-forward: three matrices; with experts a router, E experts and the shared ones.
    dense = 3 * C * args.intermediate_size
    one_expert = 3 * C * args.moe_intermediate_size
    sparse = C * args.n_experts + (args.n_experts + args.n_shared_experts) * one_expert
    n_sparse = max(args.n_layers - args.n_dense_layers, 0) if args.n_experts else 0
    # 3. Layers with their two norms, the final norm, the embedding, and the head where it is not tied.
    layers = args.n_layers * (attention + 2 * C) + (args.n_layers - n_sparse) * dense + n_sparse * sparse
    return layers + C + args.vocab_size * C * (1 if args.tie_embeddings else 2)


def transformer_flops(args: ModelArgs, new: int, past: int = 0) -> int:
    """Return the floating-point operations of all matrix products for `new` tokens after `past` others.

    A multiply-add counts 2. Scores and mixtures count in full, T × S of them, with the masked ones; norms,
    rotations and softmax do not count. MLA expands all S latents, as `MLA.forward` does.

    Source: Kaplan et al., "Scaling Laws for Neural Language Models" (2020), section 2.1.
    Tutorial: docs/tutorials/step2_model_further.md#217b-parameters-and-flops
    """
    C, H, T, S = args.d_model, args.n_heads, new, new + past
    # 1. Attention: each weight of a projection once for each token it sees, then T · S scores and mixtures.
    if args.attention == "mla":
        R, Dn, Dr, Dv = args.kv_lora_rank, args.qk_nope_head_dim, args.qk_rope_head_dim, args.v_head_dim
        Q, width = args.q_lora_rank, H * (Dn + Dr)
        queries = C * width if Q is None else Q * (C + width)
        attention = (
            T * (queries + C * (R + Dr) + H * Dv * C) + S * R * H * (Dn + Dv) + T * S * H * (Dn + Dr + Dv)
        )
    else:
        attention = T * (2 * C * C + 2 * C * args.n_kv_heads * args.head_dim) + T * S * 2 * C
    # 2. Feed-forward: of the experts only those that a token chooses, and the shared ones.
    dense = T * 3 * C * args.intermediate_size
    running = args.n_experts_per_tok + args.n_shared_experts
    sparse = T * C * (args.n_experts + running * 3 * args.moe_intermediate_size)
    n_sparse = max(args.n_layers - args.n_dense_layers, 0) if args.n_experts else 0
    # 3. All layers and the head; two operations for each multiply-add.
    layers = args.n_layers * attention + (args.n_layers - n_sparse) * dense + n_sparse * sparse
    return 2 * (layers + T * C * args.vocab_size)


class FullTransformer(Transformer):
    """The decoder of the core with all of this file: query compression, absorbed decoding, experts, YaRN.

    It has the parameters of `transformers`' DeepSeek-V3 and Mixtral, less the prefix.
    """

    def __init__(self, args: ModelArgs) -> None:
        super().__init__(args)
        if args.yarn is not None:
            self.yarn_frequencies, self.yarn_growth = yarn_frequencies(
                args.rope_dim, args.rope_theta, args.yarn
            )

    def make_block(self, layer: int) -> DecoderBlock:
        """Return the block of this layer: with experts from layer `n_dense_layers` on, if there are any."""
        args = self.args
        attention = LatentAttention(args) if args.attention == "mla" else GroupedQueryAttention(args)
        has_experts = args.n_experts > 0 and layer >= args.n_dense_layers
        return DecoderBlock(
            args, attention, MoE(args) if has_experts else SwiGLU(args.d_model, args.intermediate_size)
        )

    def rope(self, positions: Int[Tensor, "B T"]) -> Rope:
        """Return cos and sin of the features that are rotated; with YaRN slower and larger ones."""
        if self.args.yarn is None:
            return super().rope(positions)
        angles = positions.unsqueeze(-1).float() * self.yarn_frequencies.to(positions.device)
        return angles.cos() * self.yarn_growth, angles.sin() * self.yarn_growth

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        labels: Int[Tensor, "B T"] | None = None,
        cache: Sequence[GrowingCache] | None = None,
        padding: Int[Tensor, " B"] | None = None,
    ) -> ModelOutput:
        """Return what `Transformer.forward` returns; `aux_loss` is the mean load-balance loss of the
        layers with experts.
        """
        output = super().forward(ids, labels, cache, padding)
        balances = [layer.mlp.balance for layer in self.layers if isinstance(layer.mlp, MoE)]
        return output._replace(aux_loss=torch.stack(balances).mean()) if balances else output
