"""The modern block in the tutorial: its parts put into part one's GPT, and the two decoders side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.budget import Budget
from coursekit.corpora import join
from coursekit.corpora.python import python_library
from step2_model.experiments.ablation import KnownText, start_large, train
from step2_model.experiments.measure import rms
from step2_model.finale.training import windows

LENGTH = 24


def with_parts(model: nn.Module, parts: Mapping[type[nn.Module], Callable[[Any], nn.Module]]) -> nn.Module:
    """Put other modules in the place of all of some kinds, each made from the one that it replaces."""
    for owner in list(model.modules()):
        for name, part in list(owner.named_children()):
            if type(part) in parts:
                setattr(owner, name, parts[type(part)](part))
    return model


def learn_gpt(
    module: ModuleType, text: KnownText, parts: Mapping[type[nn.Module], Any], steps: int = 250
) -> list[float]:
    """Train part one's GPT with some parts exchanged (`with_parts`) and return its losses in nats."""
    torch.manual_seed(0)
    config = module.GPTConfig(len(text.table), LENGTH, n_layer=2, n_head=4, n_embd=64)
    model = with_parts(module.GPT(config), parts)
    steps = Budget(steps=steps).within_environment().steps
    return train(model, lambda generator: text.batch(32, LENGTH, generator), steps)


def small_args(module: ModuleType, **changes: Any) -> Any:
    """Return the shape of a decoder as large as part one's small GPT: 2 layers of width 64, 4 heads."""
    sizes = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "attention": "gqa"}
    sizes |= {"intermediate_size": 185, "vocab_size": 256, "max_seq_len": 64, "tie_embeddings": True}
    return module.ModelArgs(**(sizes | changes))


def learn_decoder(
    module: ModuleType, text: KnownText, steps: int = 250, **changes: Any
) -> tuple[Any, list[float]]:
    """Train a small modern decoder of this module; return it and its losses in nats."""
    torch.manual_seed(0)
    args = small_args(module, vocab_size=len(text.table), max_seq_len=LENGTH, **changes)
    model = module.Transformer(args)
    steps = Budget(steps=steps).within_environment().steps
    losses = train(model, lambda generator: text.batch(32, LENGTH, generator), steps)
    return model, losses


def on_python(model: nn.Module, steps: int = 300) -> tuple[list[float], float]:
    """Train a model on the source of Python's library, bytes as tokens; return its losses and the loss on
    files that it has not seen, in nats per byte.
    """
    corpus = python_library()
    ids, held_out = (
        torch.frombuffer(bytearray(join(files)), dtype=torch.uint8)
        for files in (corpus.train, corpus.held_out)
    )
    steps = Budget(steps=steps).within_environment().steps
    losses = train(model, lambda generator: windows(ids, 64, 16, generator), steps)
    unseen = windows(held_out, 64, 256, torch.Generator().manual_seed(2))
    with torch.no_grad():
        return losses, model.eval()(unseen, labels=unseen).loss.item()


def two_decoders(gpt: ModuleType, modern: ModuleType, seed: int = 0) -> dict[str, Any]:
    """Return part one's GPT and the modern decoder, about equally large, new from the same seed."""
    torch.manual_seed(seed)
    first = gpt.GPT(gpt.GPTConfig(256, 64, n_layer=2, n_head=4, n_embd=64))
    torch.manual_seed(seed)
    return {"the GPT of part one": first, "the modern decoder": modern.Transformer(small_args(modern))}


def sizes_by_layer(module: ModuleType, n_layers: int = 24) -> dict[str, list[float]]:
    """Return the size of the stream and of what each of n_layers blocks added, as root mean squares.

    The blocks have grouped attention; matrices are redrawn with `start_large`.
    """
    torch.manual_seed(0)
    args = small_args(module)
    x = torch.randn(4, 16, 64)
    sizes: dict[str, list[float]] = {"the stream": [], "what the block adds": []}
    rope = module.rope_at(torch.arange(16).expand(4, 16), args.head_dim)
    with torch.no_grad():
        for _ in range(n_layers):
            mlp = module.SwiGLU(args.d_model, args.intermediate_size)
            block = start_large(module.DecoderBlock(args, module.GroupedQueryAttention(args), mlp))
            y = block(x, rope)
            sizes["the stream"].append(rms(y))
            sizes["what the block adds"].append(rms(y - x))
            x = y
    return sizes


def greedy(model: Any, ids: Tensor, count: int, is_cached: bool) -> tuple[Tensor, int]:
    """Continue ids (1, T) by the most probable token, `count` times; return all ids, and how many tokens
    went through the layers.
    """
    cache, read, work = (model.new_cache() if is_cached else None), 0, 0
    with torch.no_grad():
        for _ in range(count):
            new = ids[:, read:] if is_cached else ids
            best = model(new, cache=cache).logits[:, -1:].argmax(dim=-1)
            read, work = ids.shape[1], work + new.shape[1]
            ids = torch.cat([ids, best], dim=1)
    return ids, work
