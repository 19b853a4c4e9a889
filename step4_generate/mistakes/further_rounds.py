"""Speculative decoding in parts that can be exchanged, for the known mistakes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from step4_generate.further_solution import (
    SamplingArgs,
    accept_drafts,
    context_length,
    cut_cache,
    probabilities,
    reading,
)


@dataclass
class Rounds:
    """Speculative decoding with parts that can be exchanged; as it is, it is right."""

    model: Any
    draft_model: Any
    num_drafts: int
    args: SamplingArgs
    generator: Generator | None

    def run(self, ids: Tensor, max_new_tokens: int) -> Tensor:
        end = ids.shape[1] + max_new_tokens
        if end > min(context_length(self.model), context_length(self.draft_model)):
            raise ValueError("prompt and new tokens must fit into both models")
        with reading(self.model), reading(self.draft_model):
            return self.rounds(ids, end)

    def rounds(self, ids: Tensor, end: int) -> Tensor:
        self.cache, self.draft_cache = self.model.new_cache(), self.draft_model.new_cache()
        while ids.shape[1] < end:
            drafts, q = self.draft(ids, self.count(end - ids.shape[1]))
            p = self.laws(torch.cat([ids, drafts[None]], dim=1), len(drafts))
            ids = torch.cat([ids, self.accept(drafts, q, p)[None]], dim=1)
            self.cut(ids)
        return self.finish(ids, end)

    def count(self, wanted: int) -> int:
        return min(self.num_drafts, wanted - 1)

    def draft(self, ids: Tensor, count: int) -> tuple[Tensor, Tensor]:
        text, laws = ids, []
        for _ in range(count):
            logits = self.draft_model(text[:, len(self.draft_cache[0]) :], cache=self.draft_cache).logits
            laws.append(self.draft_law(logits[:, -1]))
            text = torch.cat([text, self.draw(logits[:, -1], laws[-1])], dim=1)
        V = self.draft_model.table.shape[-1]
        return text[0, ids.shape[1] :], torch.cat(laws) if laws else torch.zeros(0, V)

    def draw(self, logits: Tensor, law: Tensor) -> Tensor:
        return torch.multinomial(law, 1, generator=self.generator)

    def draft_law(self, logits: Tensor) -> Tensor:
        return probabilities(logits, self.args)

    def laws(self, text: Tensor, count: int) -> Tensor:
        logits = self.model(text[:, len(self.cache[0]) :], cache=self.cache).logits[0]
        return self.target_law(logits[-count - 1 :])

    def target_law(self, logits: Tensor) -> Tensor:
        return probabilities(logits, self.args)

    def accept(self, drafts: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return accept_drafts(drafts, q, p, self.generator)

    def cut(self, ids: Tensor) -> None:
        for cache in (self.cache, self.draft_cache):
            cut_cache(cache, ids.shape[1] - 1)

    def finish(self, ids: Tensor, end: int) -> Tensor:
        return ids
