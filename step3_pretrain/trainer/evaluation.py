"""What a model is worth on the way: bits per byte of held-out documents, and what it writes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.data import Data, batches_on
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.samples import continuations

ROWS = 16


def bits_per_byte(chain: Chain, model: nn.Module, data: Data, num_bytes: int) -> float:
    """Return bits per byte over whole held-out documents, of so many bytes or a little more.

    The balance loss has no part in it: `evaluate` reads the loss alone.
    """
    documents, size = data.sample(num_bytes)
    args: Any = model.args
    batches = chain.core.document_batches(documents, data.end_of_text, args.max_seq_len, ROWS)
    device = str(next(model.parameters()).device)
    return float(chain.core.evaluate(model, batches_on(device, batches), size))


def written(model: nn.Module, tokenizer: Any, end_of_text: int, options: Options, step: int) -> list[str]:
    """Return documents that the model writes from nothing, the same ones for the same seed and step."""
    if not options.samples:
        return []
    generator = torch.Generator().manual_seed(1_000_003 * options.seed + step)
    prompts = [[end_of_text]] * options.samples
    return [tokenizer.decode(ids) for ids in continuations(model, prompts, end_of_text, generator)]
