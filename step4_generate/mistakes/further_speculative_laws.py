"""4.12b, speculative decoding: known mistakes with laws and models; accepted variants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from coursekit.probe import mistake, variant
from step4_generate.further_solution import (
    SamplingArgs,
    accept_drafts,
    context_length,
    greedy,
    probabilities,
    reading,
)
from step4_generate.mistakes.further_rounds import Rounds


class GreedyDrafts(Rounds):
    """Drafts the most probable tokens, and says that they were drawn."""

    def draw(self, logits: Tensor, law: Tensor) -> Tensor:
        return greedy(logits)[:, None]


class OtherDraftLaw(Rounds):
    """Draws drafts with all settings, and says that they were drawn without."""

    def draw(self, logits: Tensor, law: Tensor) -> Tensor:
        return torch.multinomial(probabilities(logits, self.args), 1, generator=self.generator)

    def draft_law(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=-1)


class TargetWithoutSettings(Rounds):
    """Takes the target's bare law."""

    def target_law(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=-1)


class TemperatureAlone(Rounds):
    """Knows no other setting than the temperature."""

    def draft_law(self, logits: Tensor) -> Tensor:
        return probabilities(logits, SamplingArgs(self.args.temperature))

    def target_law(self, logits: Tensor) -> Tensor:
        return self.draft_law(logits)


class AllAccepted(Rounds):
    """Accepts every draft."""

    def accept(self, drafts: Tensor, q: Tensor, p: Tensor) -> Tensor:
        return torch.cat([drafts, torch.multinomial(p[-1], 1, generator=self.generator)])


class OwnChance(Rounds):
    """Draws drafts from torch's own generator."""

    def draw(self, logits: Tensor, law: Tensor) -> Tensor:
        return torch.multinomial(law, 1)


@mistake("4.12b", called="The drafts are the most probable tokens, but are told to be drawn")
def greedy_drafts(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """Your drafts are always the most probable tokens, while `draft_probs` says that they were drawn: they
    are refused too seldom. The law that you hand on must be the one that you have drawn from.
    """
    return GreedyDrafts(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="The drafts are drawn with the settings, but their law is told without")
def other_draft_law(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You draw drafts with all settings, but hand on their law without: the law that you hand on must be the
    one that you have drawn from.
    """
    return OtherDraftLaw(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="The settings are left out of the large model's law")
def target_without_settings(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You leave the settings out of the large model's law: the text is drawn at temperature 1, with no cut,
    whatever is asked for.
    """
    return TargetWithoutSettings(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="Of the settings only the temperature is used")
def temperature_alone(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You use the temperature alone: what top-k and top-p cut off can come all the same."""
    return TemperatureAlone(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="Every draft is accepted")
def all_accepted(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You accept every draft: it is the small model that writes."""
    return AllAccepted(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="The drafts are drawn from torch's own generator")
def own_chance(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You draw the drafts without the generator that is handed in: equal seeds give other texts."""
    return OwnChance(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@mistake("4.12b", called="The models train meanwhile: dropout is on, gradients are kept")
def in_training(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """You ask the models as they are, without `reading`: what was training drops out parts of its answers."""
    end = ids.shape[1] + max_new_tokens
    if end > min(context_length(model), context_length(draft_model)):
        raise ValueError("prompt and new tokens must fit into both models")
    return Rounds(model, draft_model, num_drafts, args, generator).rounds(ids, end)


@variant("4.12b")
def in_parts(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """Drafting, reading, accepting and cutting as methods of their own."""
    return Rounds(model, draft_model, num_drafts, args, generator).run(ids, max_new_tokens)


@variant("4.12b")
def prompt_read_first(
    model: Any,
    draft_model: Any,
    ids: Tensor,
    max_new_tokens: int,
    num_drafts: int,
    args: SamplingArgs,
    generator: Generator | None = None,
) -> Tensor:
    """Caches cut by their length alone; places are counted by hand."""
    length = ids.shape[1]
    total = length + max_new_tokens
    if total > context_length(model) or total > context_length(draft_model):
        raise ValueError("both models must have room for the whole text")
    text = torch.cat([ids, ids.new_zeros(1, max_new_tokens)], dim=1)
    caches, read = (model.new_cache(), draft_model.new_cache()), [0, 0]
    with reading(model), reading(draft_model):
        while length < total:
            laws, at = [], length
            while at < min(length + num_drafts, total - 1):
                logits = draft_model(text[:, read[1] : at], cache=caches[1]).logits[0, -1:]
                laws.append(probabilities(logits, args))
                text[:, at] = torch.multinomial(laws[-1], 1, generator=generator)[:, 0]
                read[1], at = at, at + 1
            logits = model(text[:, read[0] : at], cache=caches[0]).logits[0, length - 1 - at :]
            law = probabilities(logits, args)
            q = torch.cat(laws) if laws else law[:0]
            new = accept_drafts(text[0, length:at].clone(), q, law, generator)
            text[0, length : length + len(new)] = new
            length += len(new)
            read = [length - 1, min(read[1], length - 1)]
            for cache, count in zip(caches, read, strict=True):
                for layer in cache:
                    layer.length = count
    return text
