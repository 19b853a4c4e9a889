"""What the tutorial of step 2 measures of latent attention: operations, distances, losses without a part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from coursekit.budget import Budget
from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas
from step2_model.experiments.ablation import KnownText, start_large, train
from step2_model.model_solution import KVCache, ModelArgs, rope_at


def layer_of(kind: Any, args: ModelArgs, seed: int = 0) -> Any:
    """Return an attention layer of this kind with matrices of standard deviation 1/√fan_in."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return start_large(kind(args))


def operations(run: Callable[[], Any]) -> int:
    """Return the operations of all matrix products in a run, 2 for each multiply-add."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def past_of(args: ModelArgs, S: int, B: int = 1, seed: int = 0) -> KVCache:
    """Return a cache with S random latents and rotary keys in each of B rows."""
    generator, cache = torch.Generator().manual_seed(seed), KVCache()
    cache.append(
        torch.randn(B, S, args.kv_lora_rank, generator=generator),
        torch.randn(B, S, args.qk_rope_head_dim, generator=generator),
    )
    return cache


def read_on(attend: Callable[..., Tensor], args: ModelArgs, new: int, past: int) -> Callable[[], Tensor]:
    """Return a run of `attend` on `new` random vectors behind `past` cached positions."""
    x = torch.randn(1, new, args.d_model, generator=torch.Generator().manual_seed(new))
    rope = rope_at(torch.arange(past, past + new).unsqueeze(0), args.qk_rope_head_dim, args.rope_theta)
    return lambda: attend(x, rope, None, past_of(args, past) if past else None)


def carried(K: Tensor, query: Tensor, distances: Sequence[int]) -> Tensor:
    """Return what a query (Dn) becomes in the space of latents if the keys K c are rotated, at each distance.

    (R_t q) · (R_s K c) = (Kᵀ R_(t-s) q) · c: one row (R) for each t - s.
    """
    cos, sin = rope_at(torch.tensor([list(distances)]), len(query))
    a, b = query.chunk(2)
    turned = torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)[0]
    return turned @ K


def losses_of(module: ModuleType, text: KnownText, steps: int = 250) -> list[float]:
    """Return the losses of a small decoder of this module with latent attention, on stretches of 24 symbols.

    It has 2 layers of width 64. COURSE_BUDGET cuts the steps down.
    """
    torch.manual_seed(0)
    args = module.ModelArgs(
        d_model=64,
        n_layers=2,
        n_heads=4,
        n_kv_heads=4,
        kv_lora_rank=32,
        qk_rope_head_dim=8,
        qk_nope_head_dim=16,
        v_head_dim=16,
        intermediate_size=170,
        vocab_size=len(text.table),
        max_seq_len=24,
    )
    model: nn.Module = start_large(module.Transformer(args))
    steps = Budget(steps=steps).within_environment().steps
    return train(model, lambda generator: text.batch(32, 24, generator), steps)


def by_past(rows: Mapping[str, Sequence[float]], pasts: Sequence[int], ylabel: str) -> Figure:
    """Draw one quantity over the length of the past for each label, both axes logarithmic."""
    figure, (ax,) = canvas(height=2.9)
    for i, (label, values) in enumerate(rows.items()):
        ax.plot(pasts, values, color=COLORS[i], linestyle=STYLES[i], marker=MARKERS[i], ms=4, label=label)
    ax.set(xlabel="positions in the cache", ylabel=ylabel, xscale="log", yscale="log")
    ax.set_xticks(pasts, [f"{past:,}" for past in pasts])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=9)
    return figure
