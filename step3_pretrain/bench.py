"""`course bench train`: one step of training, against `transformers`' Llama of equal size and equal weights.

The decoder of step 2 and the library's Llama begin with the same weights and read the same batches, cut from
a stream of random ids: what is learned plays no part in the time of a step. Both clip, both take a step of
AdamW, the library with torch's fused one. Their losses are compared before anything is timed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from coursekit import bench
from step2_model.exchange.export import export
from step2_model.latency import WORTH, bfloat16_gain, synced
from step2_model.model_solution import ModelArgs, Transformer
from step3_pretrain.further_solution import forward_mixed
from step3_pretrain.model_solution import AdamW, clip_gradients, sample_blocks, training_step

PEER = "transformers Llama (sdpa), float32, fused AdamW"
ARGS = ModelArgs(
    d_model=256,
    n_layers=6,
    n_heads=8,
    n_kv_heads=8,
    attention="gqa",
    intermediate_size=688,
    vocab_size=4_096,
    max_seq_len=256,
    tie_embeddings=True,
)
BATCH = 16
STREAM = 1_000_000
REPEATS = 7
RATE = 1e-3
MAX_NORM = 1.0
# In float32, sums of thousands of products in another order.
TOLERANCE = 1e-5


def rows(args: ModelArgs = ARGS, batch_size: int = BATCH, repeats: int = REPEATS) -> list[bench.Row]:
    """Return the rows "fp32" and "bf16" (both compiled; bf16 under autocast, skipped where it is no faster),
    and "fp32 eager".

    Each holds what of a step goes into the data, and the bytes that the forward pass keeps for the backward
    pass, ours and the peer's. Raises RuntimeError where the two do not compute the same loss.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stream = torch.randint(args.vocab_size, (STREAM,), generator=torch.Generator().manual_seed(0))
    data = Data(stream, args.max_seq_len, batch_size, device)
    ours, peer = models(args, device)
    error = compare(ours, peer, data)
    told: dict[str, Any] = {
        "batch_size": batch_size,
        "block_size": args.max_seq_len,
        "repeats": repeats,
        "error": error,
    }
    told |= {"parameters": sum(parameter.numel() for parameter in ours.parameters())}
    told |= {"peer_kept_bytes": kept_bytes(lambda: peer(data.ids, labels=data.ids).loss)}
    gain = bfloat16_gain(device)
    steps = {"peer": data.then(peer_step(peer)), "data": data.draw, "fp32 eager": data.then(our_step(ours))}
    steps["fp32"] = data.then(our_step(compiled(args, device)))
    if gain >= WORTH:
        steps["bf16"] = data.then(our_step(compiled(args, device), torch.bfloat16))
    middle = bench.medians(bench.interleaved({name: synced(run) for name, run in steps.items()}, repeats))
    kept = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp32 eager": torch.float32}
    found = []
    for name, dtype in kept.items():
        if name not in middle:
            why = f"a bfloat16 matrix product is {gain:.2f} times as fast as a float32 one here, not {WORTH}"
            found.append(bench.Row(name, None, None, None, PEER, skipped=why))
            continue
        more: dict[str, Any] = {**told, "is_compiled": name != "fp32 eager"}
        more["data_share"] = middle["data"] / middle[name]
        more["tokens_per_s"] = batch_size * args.max_seq_len / middle[name]
        # What eager code keeps; what the compiler keeps of it is its own affair.
        forward = partial(forward_mixed, ours, data.ids, data.ids, dtype)
        more["kept_bytes"] = kept_bytes(forward)
        found.append(bench.lower_is_better(name, middle[name], middle["peer"], PEER, **more))
    return found


class Data:
    """The batches of one run, a new one at each step, as the training loop draws them."""

    def __init__(self, stream: Tensor, block_size: int, batch_size: int, device: torch.device) -> None:
        self.stream, self.block_size, self.batch_size = stream, block_size, batch_size
        self.device, self.step = device, 0
        self.ids = self.draw()

    def draw(self) -> Tensor:
        """Return the next batch, on the device."""
        self.step += 1
        ids = sample_blocks(self.stream, self.block_size, self.batch_size, 0, self.step)
        self.ids = ids.to(self.device)
        return self.ids

    def then(self, step: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        """Return a whole step: the next batch is drawn, and learned from."""
        return lambda: step(self.draw())


def models(args: ModelArgs, device: torch.device) -> tuple[nn.Module, Any]:
    """Return the decoder of step 2 and the library's Llama with its weights."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    ours = Transformer(args)
    peer: Any
    with tempfile.TemporaryDirectory() as folder:
        export(ours, folder)
        peer = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32)
    ours.to(device)
    peer.to(device)
    return ours, peer


def compiled(args: ModelArgs, device: torch.device) -> Any:
    """Return the decoder of step 2, compiled when it first runs."""
    return torch.compile(models(args, device)[0])


def compare(ours: nn.Module, peer: Any, data: Data) -> float:
    """Return how far the two losses are apart, relative. Raises RuntimeError above the tolerance."""
    with torch.no_grad():
        mine, theirs = (float(model(data.ids, labels=data.ids).loss) for model in (ours, peer))
    error = abs(mine - theirs) / theirs
    if not error <= TOLERANCE:
        raise RuntimeError(f"both losses must agree within {TOLERANCE:g}, got {mine} and {theirs}")
    return error


def our_step(model: Any, dtype: torch.dtype = torch.float32) -> Callable[[Tensor], Tensor]:
    """Return the step of the course: the core's in float32, the further file's in another dtype."""
    optimizer = AdamW(model.parameters(), RATE)
    if dtype == torch.float32:
        return lambda ids: training_step(model, optimizer, ids, MAX_NORM)

    def step(ids: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = forward_mixed(model, ids, ids, dtype).loss
        assert loss is not None
        loss.backward()
        clip_gradients(model.parameters(), MAX_NORM)
        optimizer.step()
        return loss.detach()

    return step


def peer_step(model: Any) -> Callable[[Tensor], Tensor]:
    """Return the step of somebody who uses the libraries alone."""
    model.train()
    settings: dict[str, Any] = {"betas": (0.9, 0.95), "weight_decay": 0.1, "fused": True}
    optimizer = torch.optim.AdamW(model.parameters(), RATE, **settings)

    def step(ids: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = model(ids, labels=ids).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        return loss.detach()

    return step


def kept_bytes(forward: Callable[[], object]) -> int:
    """Return how many bytes a forward pass keeps for the backward pass, its parameters included."""
    storages: dict[int, int] = {}
    alive = []

    def pack(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(storages.values())
