"""How far our models are from those of `transformers`: logits and greedy texts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from step2_model.exchange import load
from step2_model.exchange.greedy import continued
from step2_model.parity.families import DTYPES, FAMILIES, SEED, SHARED, redraw, saved

BATCH, LENGTH, NEW = 4, 24, 16
# A text of LENGTH tokens is read in these pieces where there is a cache.
PIECES = (9, 1, 7, 1, 1, 5)


def texts() -> Tensor:
    """Return the ids (BATCH, LENGTH) that are read and continued."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(SHARED["vocab_size"], (BATCH, LENGTH), generator=generator)


def read(model: Any, ids: Tensor, is_cached: bool) -> Tensor:
    """Return our logits, in float64, of a text that is read whole, or in pieces through the cache."""
    with torch.no_grad():
        if not is_cached:
            return model(ids).logits.double()
        cache = model.new_cache()
        pieces = [model(piece, cache=cache).logits for piece in ids.split(PIECES, dim=1)]
        return torch.cat(pieces, dim=1).double()


def measure(family: str, dtype: str, is_cached: bool) -> dict[str, Any]:
    """Return how far our logits are from the library's, relative to their spread, and the greedy texts.

    `own_error` is how far the library's logits in this dtype are from its own in float32. `tokens_equal`
    counts the tokens of all texts up to the first difference; `lead` is the largest by which a token of the
    library's led the one that ours chose there.
    """
    with tempfile.TemporaryDirectory() as folder:
        theirs = saved(family, Path(folder), DTYPES[dtype])
        ours, _ = load(folder, DTYPES[dtype])
    exact = redraw(FAMILIES[family]())
    ids = texts()
    with torch.no_grad():
        wanted, best = theirs(input_ids=ids).logits.double(), exact(input_ids=ids).logits.double()
    spread = float(best.std())
    return {
        "family": family,
        "dtype": dtype,
        "cached": is_cached,
        "error": float((read(ours, ids, is_cached) - wanted).abs().max()) / spread,
        "own_error": float((wanted - best).abs().max()) / spread,
    } | greedy(ours, theirs, ids, is_cached)


def greedy(ours: Any, theirs: Any, ids: Tensor, is_cached: bool) -> dict[str, Any]:
    """Compare the greedy texts of both: how many tokens are equal, and of how many."""
    equal, leads = 0, []
    for row in ids.tolist():
        written = generated(theirs, row)
        found = list(continued(ours, row, NEW)) if is_cached else uncached(ours, row)
        agreed = next((i for i, (a, b) in enumerate(zip(found, written)) if a != b), NEW)
        equal += agreed
        if agreed < NEW:
            leads.append(lead(theirs, row + written[:agreed], found[agreed]))
    return {"tokens": BATCH * NEW, "tokens_equal": equal, "lead": max(leads, default=0.0)}


def generated(theirs: Any, ids: list[int]) -> list[int]:
    """Return the library's own greedy continuation."""
    given = torch.tensor([ids])
    settings = {"max_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}
    text = theirs.generate(given, attention_mask=torch.ones_like(given), **settings)
    continuation: list[int] = text[0, len(ids) :].tolist()
    return continuation


def uncached(ours: Any, ids: list[int]) -> list[int]:
    """Return our greedy continuation, the whole text being read again for every token."""
    text = list(ids)
    for _ in range(NEW):
        with torch.no_grad():
            text.append(int(ours(torch.tensor([text])).logits[0, -1].argmax()))
    return text[len(ids) :]


def lead(theirs: Any, ids: list[int], token: int) -> float:
    """Return by how much the library's best token leads another, relative to the spread of the logits."""
    with torch.no_grad():
        logits = theirs(input_ids=torch.tensor([ids])).logits[0, -1].double()
    return float((logits.max() - logits[token]) / logits.std())
