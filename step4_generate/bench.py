"""`course bench generate`: cached generation, against `transformers.generate` with equal weights.

The decoder of step 2 and the library's Llama have the same weights and continue the same prompts, each with
its own cache, always with the most probable token. What they write is compared, token by token, before
anything is timed. The rows: `batch 1` and `batch 16`, as the code stands (eager), `batch 16 compiled`, and
`batch 16 compiled bf16` where the machine multiplies bfloat16 faster.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from coursekit import bench
from step2_model.exchange.export import export
from step2_model.latency import WORTH, bfloat16_gain, synced
from step2_model.model_solution import ModelArgs, Transformer
from step4_generate.model_solution import generate_cached

PEER = "transformers generate (sdpa, its cache), float32"
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
REPEATS = 5
# bfloat16 keeps 8 bits, and every intermediate is rounded: logits may differ by so much of the largest one.
TOLERANCE = 5e-2

Writing = Callable[[], Tensor]


@dataclass(frozen=True)
class Work:
    """What is written: so many prompts at once, so many random tokens each, so many new ones behind them.

    The seed is one at which, along all that is written, the two most probable tokens lie far enough apart
    for the tokens to be the same in any order of sums (a test says so).
    """

    batch_size: int = 16
    prompt: int = 64
    new: int = 192
    seed: int = 2

    def prompts(self, vocab_size: int, device: torch.device) -> Tensor:
        """Return the ids of the prompts, (batch_size, prompt)."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randint(vocab_size, (self.batch_size, self.prompt), generator=generator).to(device)


def rows(args: ModelArgs = ARGS, work: Work = Work(), repeats: int = REPEATS) -> list[bench.Row]:
    """Return the four rows; the compiled ones skipped where torch cannot compile, "bf16" where it is slow.

    Raises RuntimeError where one of the ways does not write what the library writes.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ours, peer = models(args, work.seed, device)
    ids = work.prompts(args.vocab_size, device)
    many = f"batch {work.batch_size}"
    wanted = compare({"ours": writing(ours, ids, work.new)}, peer, ids, work.new)
    compiled, skipped = compiled_ways(many, ours, wanted, work)
    ways = {many: writing(ours, ids, work.new), **compiled}
    found = measured({"batch 1": writing(ours, ids[:1], work.new)}, peer, ids[:1], work, repeats)
    found += measured(ways, peer, ids, work, repeats)
    return found + [bench.Row(name, None, None, None, PEER, skipped=why) for name, why in skipped.items()]


def measured(
    ways: Mapping[str, Writing], peer: Any, ids: Tensor, work: Work, repeats: int
) -> list[bench.Row]:
    """Return a row for each way of writing behind these prompts; what it writes is compared first."""
    exact = {name: way for name, way in ways.items() if not name.endswith("bf16")}
    compare(exact, peer, ids, work.new)
    theirs = writing_of_peer(peer, ids, work.new)
    runs = {**ways, PEER: theirs, "peer": torch.inference_mode()(theirs)}
    middle = bench.medians(bench.interleaved({name: synced(run) for name, run in runs.items()}, repeats))
    found = []
    for name in ways:
        told: dict[str, Any] = {"prompt": work.prompt, "new_tokens": work.new, "repeats": repeats}
        # The library as it is called, and within `inference_mode`, which it does not enter by itself.
        told |= {"ratio_inference_mode": middle["peer"] / middle[name]}
        told |= {"is_compiled": "compiled" in name, "tokens_per_s": len(ids) * work.new / middle[name]}
        found.append(bench.lower_is_better(name, middle[name], middle[PEER], PEER, **told))
    return found


def models(args: ModelArgs, seed: int, device: torch.device) -> tuple[Transformer, Any]:
    """Return the decoder of step 2, its weights drawn so that logits are of order one, and the library's
    Llama with the same weights.
    """
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    ours = Transformer(args).eval()
    for parameter in ours.parameters():
        std = 0.1 if parameter.dim() == 1 else parameter.shape[1] ** -0.5
        nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=std)
    peer: Any
    with tempfile.TemporaryDirectory() as folder:
        export(ours, folder)
        peer = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32)
    return ours.to(device), peer.to(device)


def writing(model: Any, ids: Tensor, new: int) -> Writing:
    """Return the writing of the course: `generate_cached`, whose columns stand behind the prompts.

    Nobody wants a gradient of what is written, which `inference_mode` makes cheaper than `no_grad` does.
    """
    window = ids.shape[1] + new

    def write() -> Tensor:
        with torch.inference_mode():
            columns = list(generate_cached(model, ids, new, window))
        return torch.cat([ids, torch.stack(columns, dim=1)], dim=1)

    return write


def writing_of_peer(peer: Any, ids: Tensor, new: int) -> Writing:
    """Return the library's writing: greedy, as many tokens, with the cache that it takes by itself."""
    settings: dict[str, Any] = {"max_new_tokens": new, "do_sample": False, "pad_token_id": 0}

    def write() -> Tensor:
        text: Tensor = peer.generate(ids, attention_mask=torch.ones_like(ids), eos_token_id=None, **settings)
        return text

    return write


def compare(ways: Mapping[str, Writing], peer: Any, ids: Tensor, new: int) -> Tensor:
    """Return what the library writes. Raises RuntimeError where one of the ways writes another token."""
    wanted = writing_of_peer(peer, ids, new)()
    for name, way in ways.items():
        found = way()
        if not torch.equal(found, wanted):
            same = "another shape" if found.shape != wanted.shape else int((found == wanted).sum())
            raise RuntimeError(
                f"{name} must write the {wanted.numel()} tokens that transformers writes, got {same}"
            )
    return wanted


def compiled_ways(
    name: str, model: Transformer, text: Tensor, work: Work
) -> tuple[dict[str, Writing], dict[str, str]]:
    """Return the compiled ways of writing behind the prompts of `text`, and why those that are left out are.

    Each has written once, so that it is compiled. In bfloat16 tokens may differ where two of them are nearly
    tied. There logits are compared, over the text that was written in float32. Raises RuntimeError where
    they are further off than the tolerance.
    """
    ids, found, skipped = text[:, : work.prompt], dict[str, Writing](), dict[str, str]()
    gain = bfloat16_gain(text.device)
    for key, dtype in {f"{name} compiled": torch.float32, f"{name} compiled bf16": torch.bfloat16}.items():
        if dtype == torch.bfloat16 and gain < WORTH:
            skipped[key] = (
                f"a bfloat16 matrix product is {gain:.2f} times as fast as a float32 one here, not {WORTH}"
            )
            continue
        other = copy.deepcopy(model).to(dtype)
        compare_logits(other, model, text)
        way = writing(torch.compile(other), ids, work.new)
        try:
            way()
        except TorchDynamoException as error:
            skipped[key] = f"torch cannot compile here: {type(error).__name__}"
            continue
        found[key] = way
    return found, skipped


def compare_logits(other: Any, model: Any, text: Tensor) -> float:
    """Return how far the logits of two models are apart, relative to the largest.

    Raises RuntimeError above the tolerance.
    """
    with torch.no_grad():
        wanted, found = model(text).logits, other(text).logits.float()
    error = float((found - wanted).abs().max() / wanted.abs().max())
    if not error <= TOLERANCE:
        raise RuntimeError(f"logits must agree within {TOLERANCE:g} of the largest, got {error:.2g}")
    return error
