"""What four kinds of attention cost at the same width: parameters, cache, operations for one more token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from step2_model.model_solution import ModelArgs


@dataclass(frozen=True)
class AttentionCost:
    """One layer of one kind: what it learns, what it keeps of a token, what a token costs over a past.

    `flops` are those of one token that is decoded, itself and `past` others to read; a multiply-add
    counts 2. Norms, rotations and softmax do not count.
    """

    name: str
    parameters: int
    cache_bytes: int
    flops: int
    past: int


def compare_attention(config: ModelArgs, past: int = 2_047, bytes_per_number: int = 2) -> list[AttentionCost]:
    """Return the costs of multi-head, grouped, multi-query and latent attention of this width and these
    heads.

    Grouped attention has the configuration's key/value heads; where that is H or 1, it has H/4 or H/2, and
    no row if neither is a whole number between. Latent attention stands there twice: expanding every latent,
    as `MLA.forward` does, and absorbed.

    Raises ValueError where a head of grouped attention would have no whole width.

    Write-up: docs/step2/ladder.md#what-each-rung-costs
    """
    C, H = config.d_model, config.n_heads
    if C % H:
        raise ValueError(f"d_model must be a multiple of n_heads, got {C} and {H}")
    between = [G for G in (config.n_kv_heads, H // 4, H // 2) if 1 < G < H and H % G == 0][:1]
    kinds = {"MHA": H, **{f"GQA, {G} key/value heads": G for G in between}, "MQA": 1}
    rows = []
    for name, G in kinds.items():
        parameters = 2 * C * C + 2 * C * G * (C // H)
        # Every matrix is used once; then S scores and S mixtures over all H · D = C features.
        flops = 2 * (parameters + (past + 1) * 2 * C)
        rows.append(AttentionCost(name, parameters, 2 * G * (C // H) * bytes_per_number, flops, past))
    return [*rows, *_latent(config, past, bytes_per_number)]


def _latent(config: ModelArgs, past: int, bytes_per_number: int) -> list[AttentionCost]:
    C, H, R, Q = config.d_model, config.n_heads, config.kv_lora_rank, config.q_lora_rank
    Dn, Dr, Dv = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
    queries = C * H * (Dn + Dr) if Q is None else Q * (C + H * (Dn + Dr))
    others = C * (R + Dr) + H * Dv * C
    expansion = R * H * (Dn + Dv)
    S, norms = past + 1, R + (Q or 0)
    parameters = queries + others + expansion + norms
    # Expanded: kv_b_proj for each of S latents. Absorbed: once, on the query and the mixture.
    naive = queries + others + S * expansion + S * H * (Dn + Dr + Dv)
    absorbed = queries + others + expansion + S * H * (R + Dr + R)
    kept = (R + Dr) * bytes_per_number
    return [
        AttentionCost("MLA, expanded", parameters, kept, 2 * naive, past),
        AttentionCost("MLA, absorbed", parameters, kept, 2 * absorbed, past),
    ]


def table(costs: Sequence[AttentionCost], layers: int = 1) -> str:
    """Return the costs as lines of text, for this many layers."""
    width = max(len(cost.name) for cost in costs)
    title = f"{'':{width}}  {'parameters':>14}  {'cache a token':>14}  {'one more token':>15}"
    lines = [
        f"{cost.name:{width}}  {layers * cost.parameters:>14,}  {layers * cost.cache_bytes:>8,} bytes  "
        f"{layers * cost.flops / 1e6:>9,.1f} MFLOP"
        for cost in costs
    ]
    of = f"{layers} layers" if layers > 1 else "one layer"
    return "\n".join([title, *lines, f"one more token: after {costs[0].past:,} others; {of}"])
