"""What the further chapter writes and counts: stories by any choice, questions in a batch, laws of drafts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from coursekit.corpora.storyworld import held_out_stories
from step3_pretrain.experiments import small
from step4_generate.experiments.speaking import Speaker
from step4_generate.model_solution import apply_temperature, context_length, generate_cached, sample

ROOM = 160
ANSWER = "<|assistant|>"


def written(
    speaker: Speaker, choose: Callable[[Tensor], Tensor], count: int, prompt: Tensor | None = None
) -> list[str]:
    """Return `count` stories written side by side with this choice, each up to the end that it has set."""
    model: Any = speaker.model
    ids = speaker.ids().expand(count, -1) if prompt is None else prompt
    window = context_length(model)
    new = small.steps(min(ROOM, window - ids.shape[1]))
    columns = generate_cached(model, ids, new, window, choose)
    return [speaker.text(row.tolist()) for row in torch.stack(list(columns), dim=1)]


def hot(temperature: float, cut: Callable[[Tensor], Tensor], seed: int = 0) -> Callable[[Tensor], Tensor]:
    """Return a choice at this temperature from what the cut leaves."""
    generator = torch.Generator().manual_seed(seed)
    return lambda logits: sample(cut(apply_temperature(logits, temperature)), generator=generator)


def sampled(mine: Any, speaker: Speaker, options: Any, count: int, seed: int = 0) -> list[str]:
    """Return stories that `mine`'s sampler writes with these options."""
    prompt = speaker.ids().expand(count, -1)
    choose = mine.Sampler(options, prompt, torch.Generator().manual_seed(seed))
    return written(speaker, choose, count, prompt)


def questions(speaker: Speaker, count: int, seed: int = 0) -> list[list[int]]:
    """Return the ids of held-out stories with a question, up to where the answer begins."""
    asked = (
        story[: story.rindex(ANSWER) + len(ANSWER)]
        for story in held_out_stories(seed)
        if ANSWER in story and not story.startswith("<|user|>")
    )
    return [speaker.ids(text)[0].tolist() for text in islice(asked, count)]


def without_residual(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Accept drafts that the target finds as likely as the draft did, and draw from the target otherwise."""
    for i, token in enumerate(drafts):
        if target_probs[i, token] < draft_probs[i, token]:
            return torch.cat([drafts[:i], torch.multinomial(target_probs[i], 1, generator=generator)])
    return torch.cat([drafts, torch.multinomial(target_probs[-1], 1, generator=generator)])


def law_of_first(rule: Callable[..., Tensor], p: Tensor, q: Tensor, draws: int, seed: int = 0) -> list[float]:
    """Return how often each token comes first, where drafts of the law q are judged by the law p."""
    generator = torch.Generator().manual_seed(seed)
    drafts = torch.multinomial(q, draws, replacement=True, generator=generator)
    laws = p.expand(2, -1)
    found = [int(rule(draft[None], q[None], laws, generator)[0]) for draft in drafts]
    return (torch.tensor(found).bincount(minlength=len(p)) / draws).tolist()
