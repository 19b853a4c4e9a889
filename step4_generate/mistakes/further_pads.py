"""4.9a, left padding: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from coursekit.probe import mistake, variant
from step4_generate.further_solution import pad_left

Prompts = Sequence[Sequence[int]]


def shortage(prompts: Prompts) -> list[int]:
    """Return how much each prompt is shorter than the longest."""
    longest = max(map(len, prompts))
    return [longest - len(prompt) for prompt in prompts]


@mistake("4.9a")
def padded_right(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """Your fillers stand at the right. What is generated would follow the fillers of a short row, not its
    prompt.
    """
    padding = shortage(prompts)
    rows = [[*prompt, *[filler] * count] for count, prompt in zip(padding, prompts, strict=True)]
    return torch.tensor(rows), torch.tensor(padding)


@mistake("4.9a")
def lengths_returned(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """Your second result holds the lengths of the prompts. The model asks how many places at the left do not
    count: the number of fillers.
    """
    return pad_left(prompts, filler)[0], torch.tensor([len(prompt) for prompt in prompts])


@mistake("4.9a")
def mask_returned(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """Your second result is a mask (B, T), found by comparing with the filler. A number for each row is asked
    for; and a prompt may contain the filler's id itself.
    """
    ids = pad_left(prompts, filler)[0]
    return ids, (ids != filler).long()


@mistake("4.9a", called="The padding is counted by the filler's id")
def counted_by_id(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """You count the filler's id in each row. Where a prompt contains it, more is taken for padding than is:
    count what you have added.
    """
    ids = pad_left(prompts, filler)[0]
    return ids, (ids == filler).sum(dim=1)


@mistake("4.9a", called="The filler is 0, whatever is asked for")
def always_zero(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """You fill up with 0, whatever filler is asked for."""
    return pad_left(prompts, 0)


@mistake("4.9a")
def one_filler_too_many(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """Even your longest prompt has a filler: a column that no row needs is computed for all of them."""
    ids, padding = pad_left([*prompts, [filler] * (max(map(len, prompts)) + 1)], filler)
    return ids[:-1], padding[:-1]


@mistake("4.9a", called="The prompts are cut to the length of the shortest")
def cut_to_the_shortest(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """You cut all prompts to the length of the shortest: their beginnings are lost."""
    shortest = min(map(len, prompts))
    return pad_left([prompt[len(prompt) - shortest :] for prompt in prompts], filler)


@mistake("4.9a")
def sorted_by_length(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """Your rows come longest first, not in the order of the prompts: answers would go to the wrong
    questions.
    """
    return pad_left(sorted(prompts, key=len, reverse=True), filler)


@mistake("4.9a", called="The fillers are inserted into the caller's own lists")
def prompts_changed(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """You insert the fillers into the caller's own lists: the next call would find longer prompts."""
    padding = shortage(prompts)
    for prompt, count in zip(prompts, padding, strict=True):
        if isinstance(prompt, list):
            prompt[:0] = [filler] * count
    return pad_left(prompts, filler)[0], torch.tensor(padding)


@variant("4.9a")
def with_pad_sequence(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """torch's own padding, asked to do it at the left."""
    rows = [torch.tensor(list(prompt)) for prompt in prompts]
    lengths = torch.tensor([len(row) for row in rows])
    ids = pad_sequence(rows, batch_first=True, padding_value=filler, padding_side="left")
    return ids, lengths.max() - lengths


@variant("4.9a")
def into_a_full_tensor(prompts: Prompts, filler: int) -> tuple[Tensor, Tensor]:
    """A tensor full of fillers, into whose right end each prompt is written."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), filler)
    padding = torch.zeros(len(prompts), dtype=torch.int64)
    for b, prompt in enumerate(prompts):
        padding[b] = longest - len(prompt)
        ids[b, int(padding[b]) :] = torch.tensor(list(prompt))
    return ids, padding
