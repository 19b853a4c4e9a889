"""MLA's shapes: what is multiplied with what for one new token, expanded and absorbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from coursekit.widgets.explorer import Explorer
from step2_model.explorers.modern_pictures import work_by_context

CONTEXTS = [2**i for i in range(4, 18)]


def widths(args: Any, past: int = 2048) -> Explorer:
    """Let the reader walk through one decoded token of MLA, step by step, as it is and absorbed.

    For each step the page says the shapes and the multiply-adds, at any number of cached positions. Raises
    ValueError for a configuration without latents.
    """
    if args.attention != "mla":
        raise ValueError(f"args must describe latent attention, got attention={args.attention!r}")
    if past not in CONTEXTS:
        raise ValueError(f"past must be a power of two from {CONTEXTS[0]} to {CONTEXTS[-1]:,}, got {past}")
    H, R, C = args.n_heads, args.kv_lora_rank, args.d_model
    Dn, Dr, Dv = args.qk_nope_head_dim, args.qk_rope_head_dim, args.v_head_dim
    work = [multiply_adds(H, R, C, Dn, Dr, Dv, S) for S in CONTEXTS]
    naive, absorbed = work[CONTEXTS.index(past)]
    label = "Computed by counting, from the widths alone."
    says = (
        f"One token over {past:,} cached positions: {naive:,} multiply-adds if the latents are expanded, "
        f"{absorbed:,} if the projections are absorbed."
    )

    def picture() -> Figure:
        return work_by_context([w[0] for w in work], [w[1] for w in work], CONTEXTS, label)

    sizes = {"H": H, "R": R, "C": C, "Dn": Dn, "Dr": Dr, "Dv": Dv}
    return Explorer(
        Path(__file__).with_suffix(".js"),
        {"sizes": sizes, "contexts": CONTEXTS, "context": CONTEXTS.index(past)},
        {},
        whose=label,
        says=says,
        picture=picture,
    )


def multiply_adds(H: int, R: int, C: int, Dn: int, Dr: int, Dv: int, S: int) -> tuple[int, int]:
    """Return the multiply-adds of one decoded token over S positions, its own too: expanded, absorbed."""
    shared = C * H * (Dn + Dr) + C * (R + Dr) + H * Dv * C
    expanded = S * R * H * (Dn + Dv) + S * H * (Dn + Dr) + S * H * Dv
    absorbed = H * Dn * R + S * H * (R + Dr) + S * H * R + H * R * Dv
    return shared + expanded, shared + absorbed
