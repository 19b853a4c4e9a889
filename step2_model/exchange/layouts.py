"""Weights as `save_pretrained` stores them, and as our models hold them.

Names differ by a prefix. GPT-2 stores matrices as (in, out); experts lie in a file one by one and in memory
in two tensors; DeepSeek's rotary pairs are neighbors where the configuration says `rope_interleave`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from step2_model.exchange.configs import DEEPSEEK, GPT2, MIXTRAL

Weights = dict[str, Tensor]
PREFIX = {GPT2: "transformer."}
TURNED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
# Where the layer with experts stands, and what gate, features and down are called there.
EXPERTS = {
    DEEPSEEK: ("mlp", ("gate_proj", "up_proj", "down_proj")),
    MIXTRAL: ("block_sparse_moe", ("w1", "w3", "w2")),
}
# Buffers that old files hold beside the weights.
IGNORED = re.compile(r"(\.attn\.(masked_)?bias|rotary_emb\.inv_freq)$")
LAYER = re.compile(r"^layers\.(\d+)\.")


def to_disk(state: Mapping[str, Tensor], family: str) -> Weights:
    """Return the weights of one of our models under the names, and in the shapes, of the files."""
    found: Weights = {}
    for name, value in state.items():
        tensor = value.detach().cpu()
        if family == GPT2 and name.endswith(TURNED):
            tensor = tensor.T
        if name.endswith((".experts.gate_up_proj", ".experts.down_proj")):
            found |= one_by_one(name, tensor, family)
        else:
            found[name if name.startswith("lm_head") else PREFIX.get(family, "model.") + name] = tensor
    if family == MIXTRAL:
        found = {name.replace(".mlp.gate.", ".block_sparse_moe.gate."): t for name, t in found.items()}
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in found.items()}


def one_by_one(name: str, tensor: Tensor, family: str) -> Weights:
    """Return the experts of one fused tensor apart: gate and features, (E, 2F, C), or down, (E, C, F)."""
    if family not in EXPERTS:
        raise ValueError(f"a family must have experts to store {name}, got {family}")
    where, (gate, up, down) = EXPERTS[family]
    folder = "model." + name.rpartition(".experts.")[0].replace(".mlp", f".{where}") + ".experts"
    found: Weights = {}
    for e, expert in enumerate(tensor):
        if name.endswith("down_proj"):
            found[f"{folder}.{e}.{down}.weight"] = expert
        else:
            found[f"{folder}.{e}.{gate}.weight"], found[f"{folder}.{e}.{up}.weight"] = expert.chunk(2)
    return found


def from_disk(
    stored: Mapping[str, Tensor],
    family: str,
    n_layers: int,
    reorder: Callable[[str, Tensor], Tensor] | None = None,
) -> Weights:
    """Return the weights of a file under our names and in our shapes.

    `reorder`, where given, gets every weight and returns it with its rotary rows in order. Layers from
    `n_layers` on, such as those with which DeepSeek predicts further tokens, are left out.
    """
    found: Weights = {}
    prefix = PREFIX.get(family, "model.")
    for name, tensor in stored.items():
        own = name.removeprefix(prefix)
        layer = LAYER.match(own)
        if IGNORED.search(own) or (layer and int(layer[1]) >= n_layers):
            continue
        if family == GPT2 and own.endswith(TURNED):
            tensor = tensor.T
        if reorder is not None:
            tensor = reorder(own, tensor)
        found[own] = tensor
    if family == GPT2:
        found.pop("lm_head.weight", None)
    return together(found, family) if family in EXPERTS else found


def together(weights: Weights, family: str) -> Weights:
    """Return the weights with the experts of each layer in two tensors, in the order of their numbers."""
    where, names = EXPERTS[family]
    single = re.compile(rf"^(layers\.\d+)\.{where}\.experts\.(\d+)\.({'|'.join(names)})\.weight$")
    found: Weights = {}
    experts: dict[str, dict[tuple[int, str], Tensor]] = {}
    for name, tensor in weights.items():
        match = single.match(name)
        if match is None:
            found[name.replace(f".{where}.", ".mlp.")] = tensor
        else:
            experts.setdefault(match[1], {})[int(match[2]), match[3]] = tensor
    gate, up, down = names
    for layer, parts in experts.items():
        count = 1 + max(e for e, _ in parts)
        missing = [f"{e}.{name}" for e in range(count) for name in names if (e, name) not in parts]
        if missing:
            raise ValueError(f"{layer}.{where}.experts must hold {missing[0]}, got no such weight")
        both = [torch.cat([parts[e, gate], parts[e, up]]) for e in range(count)]
        found[f"{layer}.mlp.experts.gate_up_proj"] = torch.stack(both)
        found[f"{layer}.mlp.experts.down_proj"] = torch.stack([parts[e, down] for e in range(count)])
    return found


def halves(reorder: Callable[[Tensor, int, int], Tensor], args: Any) -> Callable[[str, Tensor], Tensor]:
    """Return what reorders the rotary rows of DeepSeek's projections from neighbors to halves.

    `reorder` is `interleaved_to_half`. Queries have Dr rotary rows in every head, the shared key has Dr
    behind the latent.
    """

    def rows(name: str, weight: Tensor) -> Tensor:
        if name.endswith((".q_proj.weight", ".q_b_proj.weight")):
            return reorder(weight, args.n_heads, args.qk_rope_head_dim)
        if name.endswith(".kv_a_proj_with_mqa.weight"):
            return reorder(weight, 1, args.qk_rope_head_dim)
        return weight

    return rows
