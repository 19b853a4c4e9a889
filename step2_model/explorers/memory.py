"""What the cache of a model costs: bytes for each token and context, as MHA, GQA, MQA and MLA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step2_model.explorers.modern_pictures import bytes_by_context

# Layers, query heads, key/value heads, head width, latent, rotary key (0 where there is no latent): the
# defaults of the configuration classes of transformers 5.23, which are those of the models named.
PUBLISHED = {
    "GPT-2 (124M)": (12, 12, 12, 64, 0, 0),
    "Llama 7B": (32, 32, 32, 128, 0, 0),
    "Mistral 7B": (32, 32, 8, 128, 0, 0),
    "DeepSeek-V3": (61, 128, 128, 128, 512, 64),
}
FIELDS = ("n_layers", "n_heads", "n_kv_heads", "head_dim", "kv_lora_rank", "qk_rope_head_dim")


def memory(mine: Any, own: Mapping[str, Any] | None = None, chosen: str = "") -> Explorer:
    """Let the reader choose a model or any numbers, a context and a number format, and see the cache.

    `own` are further configurations by name (`ModelArgs`). Each model is shown as it is, and as it would be
    with other attention of the same heads. Raises ValueError for a name that is not there.
    """
    models = dict(PUBLISHED)
    for name, args in (own or {}).items():
        is_latent = args.attention == "mla"
        latent = (args.kv_lora_rank, args.qk_rope_head_dim) if is_latent else (0, 0)
        width = args.v_head_dim if is_latent else args.head_dim
        models[name] = (args.n_layers, args.n_heads, args.n_kv_heads, width, *latent)
    chosen = chosen or next(iter(models))
    if chosen not in models:
        raise ValueError(f"chosen must be one of {', '.join(models)}, got {chosen!r}")
    numbers = per_token(*models[chosen])
    kind = "MLA" if models[chosen][4] else "GQA"
    says = (
        f"{chosen} keeps {2 * numbers[kind]:,} bytes for each token in 16 bits, "
        f"{2 * numbers['MHA']:,} if each of its heads had keys and values of its own."
    )
    label = whose(mine, "2.17a") if hasattr(mine, "cache_bytes_per_token") else "Computed in the page."

    def picture() -> Figure:
        return bytes_by_context({name: 2 * max(n, 1) for name, n in numbers.items() if n}, chosen, label)

    return Explorer(
        Path(__file__).with_suffix(".js"),
        {"models": [[name, *sizes] for name, sizes in models.items()], "chosen": list(models).index(chosen)},
        {},
        whose=label,
        says=says,
        picture=picture,
    )


def per_token(layers: int, heads: int, kv_heads: int, width: int, latent: int, rotary: int) -> dict[str, int]:
    """Return how many numbers all layers keep for each token, by kind of attention (MLA: 0 without one)."""
    kinds = {"MHA": heads, "GQA": kv_heads, "MQA": 1}
    kept = {kind: 2 * count * width * layers for kind, count in kinds.items()}
    return kept | {"MLA": (latent + rotary) * layers if latent else 0}
