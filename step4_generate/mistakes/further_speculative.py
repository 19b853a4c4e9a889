"""4.12b, speculative decoding: known mistakes with caches and rounds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from coursekit.probe import mistake
from step4_generate.further_solution import SamplingArgs, cut_cache
from step4_generate.mistakes.further_rounds import Rounds


class TargetCutAlone(Rounds):
    """Cuts the target's cache alone."""

    def cut(self, ids: Tensor) -> None:
        cut_cache(self.cache, ids.shape[1] - 1)


class CacheBegunAnew(Rounds):
    """Begins new caches after each round."""

    def cut(self, ids: Tensor) -> None:
        self.cache, self.draft_cache = self.model.new_cache(), self.draft_model.new_cache()


class TooManyDrafts(Rounds):
    """Drafts as many tokens as ever, and cuts the text at the end."""

    def count(self, wanted: int) -> int:
        return self.num_drafts

    def finish(self, ids: Tensor, end: int) -> Tensor:
        return ids[:, :end]


class OneTooMany(Rounds):
    """Drafts as many tokens as are still wanted."""

    def count(self, wanted: int) -> int:
        return min(self.num_drafts, wanted)


class PlaceBefore(Rounds):
    """Takes the laws of the places before."""

    def laws(self, text: Tensor, count: int) -> Tensor:
        start = len(self.cache[0])
        logits = self.model(text[:, start:], cache=self.cache).logits[0]
        shifted = torch.cat([logits[:1], logits[:-1]])
        return self.target_law(shifted[-count - 1 :])


class OneByOne(Rounds):
    """Asks the target for each draft by itself."""

    def laws(self, text: Tensor, count: int) -> Tensor:
        start, rows = len(self.cache[0]), []
        for at in range(text.shape[1] - count, text.shape[1] + 1):
            rows.append(self.model(text[:, start:at], cache=self.cache).logits[0, -1])
            start = at
        return self.target_law(torch.stack(rows))


class ByArgmax(Rounds):
    """Accepts what the target finds most probable."""

    def accept(self, drafts: Tensor, q: Tensor, p: Tensor) -> Tensor:
        best = p.argmax(dim=-1)
        count = int((drafts == best[:-1]).long().cumprod(dim=0).sum())
        return torch.cat([drafts[:count], best[count : count + 1]])


@mistake("4.12b", called="The draft model's cache is not cut")
def target_cut_alone(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You leave refused drafts in the draft model's cache. It goes on from them: its drafts become bad, until
    it has no text left to read.
    """
    return TargetCutAlone(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="The caches are begun anew after each round")
def begun_anew(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You begin new caches after each round: the text is right, but is read from its beginning each time. Cut
    the caches to what still stands.
    """
    return CacheBegunAnew(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="A round drafts beyond the end, and the text is cut there")
def too_many_drafts(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You draft `num_drafts` tokens in every round, also where fewer are wanted, and cut the text at the end:
    near it both models read for nothing, and beyond their contexts.
    """
    return TooManyDrafts(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="The text may become one token too long")
def one_too_many(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """Your text becomes a token too long: a round brings one more than its drafts where all are accepted."""
    return OneTooMany(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="Each draft is judged by the law of the place before it")
def place_before(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You take the target's laws one place too early: position t says what stands at t + 1, and the last
    position what follows all drafts.
    """
    return PlaceBefore(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="The large model is asked for each draft by itself")
def one_by_one(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You ask the large model for each draft by itself: that is as much work as without drafts. It reads all
    of them at once.
    """
    return OneByOne(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="A draft is accepted where it is the target's most probable token")
def by_argmax(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You accept drafts that are the target's most probable token, and put that in place of others: the text
    is greedy at every temperature. Let `accept_drafts` decide.
    """
    return ByArgmax(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)
