"""4.12a, accepting drafts: accepted variants."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from coursekit.probe import variant


@variant("4.12a")
def one_by_one(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """A loop that returns where a draft is refused; laws are divided by their sums."""
    for i, draft in enumerate(drafts.tolist()):
        p, q = target_probs[i], draft_probs[i]
        if torch.rand((), generator=generator) >= p[draft] / q[draft]:
            law = torch.where(p > q, p - q, torch.zeros(()))
            drawn = torch.multinomial(law / law.sum(), 1, generator=generator)
            return torch.cat([drafts[:i], drawn])
    return torch.cat([drafts, torch.multinomial(target_probs[len(drafts)], 1, generator=generator)])


@variant("4.12a")
def by_inverse(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """One law for every place, padded with zeros, and the inverse of a sum in place of multinomial."""
    padded = torch.cat([draft_probs, torch.zeros(1, target_probs.shape[1])])
    p, q = (laws.gather(1, drafts[:, None]).squeeze(1) for laws in (target_probs[:-1], draft_probs))
    refused = (torch.rand(len(drafts), generator=generator) * q >= p).nonzero()
    count = int(refused[0]) if len(refused) else len(drafts)
    mass = (target_probs[count] - padded[count]).clamp(min=0).double().cumsum(dim=0)
    u = torch.rand(1, generator=generator, dtype=torch.float64) * mass[-1]
    return torch.cat([drafts[:count], torch.searchsorted(mass, u, right=True)])
