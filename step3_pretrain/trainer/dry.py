"""What a run would cost, without training it: parameters, memory, arithmetic, time."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from step3_pretrain.further_solution import flops_per_token
from step3_pretrain.trainer.building import balance_of, model_args, new_model, new_optimizer
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.data import data_for, rows_of, tokens_a_step
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.plan import Plan, plan
from step3_pretrain.trainer.precision import (
    DTYPES,
    SIZE,
    choose_device,
    choose_dtype,
    seconds_of_product,
    wait_for,
)
from step3_pretrain.trainer.stepping import Stepper
from step3_pretrain.trainer.tokenizers import BYTES, OWN, tokenizer_for
from step3_pretrain.trainer.view import View, in_words

FLOAT = 4
# A step is tried where its products alone take at most so many seconds; the first of the steps is not timed.
LONGEST_TRIAL = 4.0
TRIALS = 3


def dry_run(options: Options, view: View) -> str:
    """Return the bill of a run. Data is read only for --epochs, whose length is that of the data."""
    chain = Chain(options.solution)
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device)
    args = model_args(chain, options, options.vocab_size)
    length = plan(replace(options, epochs=None), 1, 1)
    if options.epochs is not None or options.tokenizer not in (OWN, BYTES):
        tokenizer = tokenizer_for(chain, options, args.vocab_size)
        args = model_args(chain, options, len(tokenizer))
        if options.epochs is not None:
            data = data_for(chain, tokenizer, options, view)
            length = plan(options, len(data.stream), tokens_a_step(options, data, args.max_seq_len))
    elif options.tokenizer == BYTES:
        args = model_args(chain, options, 256 + len(chain.core.SPECIAL_TOKENS))
    # The bill is the same whoever has written the model: the reference's needs nothing to be finished.
    with torch.device("meta"):
        model = new_model(Chain(is_reference=True), args, options.seed)
    lines = [*sizes(model, options, device, dtype), *costs(chain, model, options, length, device, dtype)]
    if rows_of(options) == "documents":
        lines.append("Rows of documents are shorter than the whole blocks that are counted here.")
    return "\n".join(lines)


def sizes(model: Any, options: Options, device: str, dtype: torch.dtype) -> list[str]:
    """Return what is kept in memory: weights, gradients, the optimizer's state, activations."""
    count = sum(parameter.numel() for parameter in model.parameters())
    hidden = sum(p.numel() for p in model.layers.parameters() if p.dim() == 2)
    states = 2 * count - (hidden if options.optimizer == "muon" else 0)
    rows = options.batch_size // options.accumulate
    activations = activation_bytes(model.args, rows, dtype, device)
    whole = FLOAT * (2 * count + states) + activations
    parts = f"weights {in_bytes(FLOAT * count)}, gradients {in_bytes(FLOAT * count)}"
    return [
        f"parameters  {count:,} ({type(model).__name__}, {options.preset})",
        f"memory      {in_bytes(whole)}: {parts}, optimizer {in_bytes(FLOAT * states)}, "
        f"activations of {rows} x {model.args.max_seq_len} tokens {in_bytes(activations)}",
    ]


def costs(
    chain: Chain, model: Any, options: Options, length: Plan, device: str, dtype: torch.dtype
) -> list[str]:
    """Return the arithmetic of the run and how long it takes here."""
    args = model.args
    block_size = args.max_seq_len
    flops = flops_per_token(multiplied(model), args.n_layers, attention_width(args), block_size)
    tokens = options.batch_size * block_size
    at_best = tokens * flops * seconds_of_product(device, dtype) / (2 * SIZE**3)
    name = next(name for name, each in DTYPES.items() if each == dtype)
    lines = [f"FLOPs       {flops:.3g} a token, {tokens * flops:.3g} a step of {tokens:,} tokens"]
    if at_best <= LONGEST_TRIAL:
        seconds = trial(chain, args, options, device, dtype)
        how = f"{seconds:.3g} s a step, tried in {name} on {device}"
    else:
        seconds = at_best
        how = f"at least {seconds:.3g} s a step, the time of its products in {name} on {device}"
    if length.by_clock:
        steps = math.floor(length.total / 1000 / seconds)
        return [*lines, f"time        {in_words(length.total / 1000)}, about {steps:,} steps: {how}"]
    num = length.total * tokens
    whole = f"{length.total:,} steps, {num:.3g} tokens, {num * flops:.3g} FLOPs"
    return [*lines, f"run         {whole}", f"time        {in_words(length.total * seconds)}: {how}"]


def multiplied(model: Any) -> int:
    """Return the weights of matrices that a token is multiplied by: of experts, those that it uses."""
    args = model.args
    count = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    if not args.tie_embeddings:
        count -= model.embed_tokens.weight.numel()
    experts = sum(p.numel() for p in model.parameters() if p.dim() == 3)
    return count + (experts * args.n_experts_per_tok // args.n_experts if args.n_experts else 0)


def attention_width(args: Any) -> int:
    """Return the features over which a token's scores and mixtures run, all heads together."""
    if args.attention != "mla":
        return int(args.d_model)
    return args.n_heads * (args.qk_nope_head_dim + args.qk_rope_head_dim + args.v_head_dim) // 2


def activation_bytes(args: Any, rows: int, dtype: torch.dtype, device: str) -> int:
    """Return the bytes that the backward pass needs of the forward pass, counted on tensors without storage.

    Experts choose by what the numbers are: the dense layer of as many features as a token uses stands for
    them.
    """
    if args.n_experts:
        width = (args.n_experts_per_tok + args.n_shared_experts) * args.moe_intermediate_size
        args = replace(args, n_experts=0, intermediate_size=width)
    # Fake tensors have a device, and attention saves other things on one than on another.
    with FakeTensorMode(), torch.device(device):
        return _saved_bytes(new_model(Chain(is_reference=True), args, 0), rows, dtype)


def _saved_bytes(model: Any, rows: int, dtype: torch.dtype) -> int:
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    seen: dict[int, int] = {}
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            seen[storage._cdata] = storage.nbytes()
            kept.append(tensor)
        return tensor

    ids = torch.zeros(rows, model.args.max_seq_len, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train()(ids)
    half = 0.5 if dtype != torch.float32 else 1.0
    # The loss keeps the logits and their log-probabilities, in float32 whatever the rest is in.
    return round(half * sum(seen.values())) + 2 * FLOAT * ids.numel() * model.args.vocab_size


def trial(chain: Chain, args: Any, options: Options, device: str, dtype: torch.dtype) -> float:
    """Return the seconds of a step, the median of a few on numbers drawn by lot, after one for warming up."""
    model: nn.Module = new_model(chain, args, options.seed).to(device)
    optimizer = new_optimizer(chain, options, model)
    balance = balance_of(options, args) if args.n_experts else None
    stepper = Stepper(chain, model, optimizer, dtype, options.accumulate, options.max_norm, balance)
    generator = torch.Generator().manual_seed(options.seed)
    shape = (options.batch_size, args.max_seq_len)
    ids = torch.randint(args.vocab_size, shape, generator=generator).to(device)
    found = []
    for _ in range(1 + TRIALS):
        begin = time.perf_counter()
        stepper(ids, ids)
        wait_for(device)
        found.append(time.perf_counter() - begin)
    return sorted(found[1:])[TRIALS // 2]


def in_bytes(count: float) -> str:
    """Return a number of bytes as one says it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
