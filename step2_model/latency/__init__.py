"""`course bench mla`: latent attention that decodes and reads, against `transformers`' DeepseekV3Attention.

One layer, the same weights on both sides, request by request with its cache on the peer's. What both
compute is compared before anything is timed. The rows: one token over a long past (`decode 2048`, `decode
8192`), and the workload of a serving challenge, `challenge decode absorbed` (request by request),
`challenge decode batched` (all in one step) and `challenge prefill`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from coursekit import bench
from step2_model.latency.layers import PeerLayer, Requests, our_layer
from step2_model.latency.serving import Batched, OneByOne, Steps, reading
from step2_model.latency.workload import Workload, parse

__all__ = ["PEER", "TOLERANCE", "parse", "rows"]
PEER = "transformers DeepseekV3Attention (sdpa)"
# Of the largest number. In float32 sums of thousands of products in another order; in bfloat16, which keeps
# 8 bits, every intermediate is rounded besides.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 5e-2}
COMPARED_ROUNDS = 3
CHALLENGE = ("challenge decode absorbed", "challenge decode batched", "challenge prefill")
# A bfloat16 product must beat a float32 one by so much before timing anything in bfloat16 says something.
WORTH = 1.5


def rows(work: Workload | None = None) -> list[bench.Row]:
    """Return the rows of one workload; all skipped, with the reason, where bfloat16 is asked for and slow.

    Raises RuntimeError where two of the ways do not compute the same.
    """
    work = work or parse([])
    names = [*(f"decode {past}" for past in work.contexts), *CHALLENGE]
    if work.dtype is torch.bfloat16 and (gain := bfloat16_gain(work.device)) < WORTH:
        why = f"a bfloat16 matrix product is {gain:.2f} times as fast as a float32 one here, not {WORTH}"
        return [bench.Row(name, None, None, None, PEER, skipped=why) for name in names]
    with torch.inference_mode():
        ours = our_layer(work)
        peers = {kind: PeerLayer(ours, work, kind) for kind in ("sdpa", "eager")}
        long = [_context(name, past, work, ours, peers) for name, past in zip(names, work.contexts)]
        return [*long, *_writing(work, ours, peers), _reading(work, ours, peers)]


def bfloat16_gain(device: torch.device, size: int = 1024) -> float:
    """Return how many times as fast as in float32 a matrix product is in bfloat16."""
    a, b = torch.randn(2, size, size, device=device)
    half = a.bfloat16(), b.bfloat16()
    seconds = bench.interleaved({"full": synced(lambda: a @ b), "half": synced(lambda: half[0] @ half[1])}, 5)
    middle = bench.medians(seconds)
    return middle["full"] / middle["half"]


def _context(name: str, past: int, work: Workload, ours: Any, peers: Mapping[str, PeerLayer]) -> bench.Row:
    steps = Steps(Requests(work, [1], [past]))
    runs = {"ours": steps.ours(ours), **{kind: steps.peer(peer) for kind, peer in peers.items()}}
    found = {name: run() for name, run in runs.items()}
    error = compare({**found, "naive": steps.ours(ours, naive=True)()}, work)
    return _row(name, _timed(runs, work, work.repeats), "ours", 1, error, work, past=past)


def _writing(work: Workload, ours: Any, peers: Mapping[str, PeerLayer]) -> list[bench.Row]:
    """Return the two rows of decoding, timed side by side, round by round."""
    requests = Requests(work, [1] * len(work.decode), work.decode)

    def fresh() -> dict[str, Callable[[], Tensor]]:
        one_by_one = {kind: OneByOne(requests, peer) for kind, peer in peers.items()}
        return {"absorbed": OneByOne(requests, ours), "batched": Batched(requests, ours), **one_by_one}

    compared = fresh()
    rounds = range(min(COMPARED_ROUNDS, work.warmup + work.rounds))
    error = max(compare({name: run() for name, run in compared.items()}, work) for _ in rounds)
    seconds = _timed(fresh(), work, work.rounds)
    told = {"past": work.decode, "rounds": work.rounds}
    return [
        _row(f"challenge decode {way}", seconds, way, len(work.decode), error, work, **told)
        for way in ("absorbed", "batched")
    ]


def _reading(work: Workload, ours: Any, peers: Mapping[str, PeerLayer]) -> bench.Row:
    requests = Requests(work, *([pair[part] for pair in work.prefill] for part in (0, 1)))
    runs = {"ours": reading(requests, ours), **{k: reading(requests, peer) for k, peer in peers.items()}}
    error = compare({name: run() for name, run in runs.items()}, work)
    seconds = _timed(runs, work, work.repeats)
    tokens = sum(new for new, _ in work.prefill)
    return _row("challenge prefill", seconds, "ours", tokens, error, work, requests=work.prefill)


def compare(found: Mapping[str, Tensor], work: Workload) -> float:
    """Return the largest difference from the peer's answer, relative to its largest number.

    Raises RuntimeError where it exceeds the tolerance of the dtype, or an answer is not finite.
    """
    wanted, worst = found["sdpa"].double(), 0.0
    for name, value in found.items():
        error = float((value.double() - wanted).abs().max() / wanted.abs().max())
        if not error <= TOLERANCE[work.dtype]:
            raise RuntimeError(
                f"{name} must be within {TOLERANCE[work.dtype]:g} of transformers before anything is timed, "
                f"got {error:.2g}"
            )
        worst = max(worst, error)
    return worst


def _timed(runs: Mapping[str, Callable[[], Tensor]], work: Workload, repeats: int) -> dict[str, float]:
    """Return the median seconds of each way, timed in turn, after `warmup` rounds that do not count."""
    seconds = bench.interleaved({name: synced(run) for name, run in runs.items()}, repeats + work.warmup - 1)
    return bench.medians({name: times[-repeats:] for name, times in seconds.items()})


def synced(run: Callable[[], Tensor]) -> Callable[[], None]:
    """Return the run as one that ends when the device has computed what it returns."""

    def run_to_the_end() -> None:
        if run().device.type != "cpu":
            torch.accelerator.synchronize()

    return run_to_the_end


def _row(
    what: str, seconds: Mapping[str, float], way: str, tokens: int, error: float, work: Workload, **told: Any
) -> bench.Row:
    ours, peer = seconds[way], seconds["sdpa"]
    told |= {"ratio_eager": seconds["eager"] / ours, "tokens_per_s": tokens / ours}
    told |= {"peer_tokens_per_s": tokens / peer, "error": error, "tolerance": TOLERANCE[work.dtype]}
    return bench.lower_is_better(what, ours, peer, PEER, **told, **work.described)
