"""4.12a, accepting drafts: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from coursekit.probe import mistake


def ratio_accepts(u: Tensor, q: Tensor, p: Tensor) -> Tensor:
    """Return which drafts are accepted, from their own probabilities."""
    return u * q < p


def leading(is_accepted: Tensor) -> int:
    """Return how many are accepted before the first that is not."""
    return int(is_accepted.long().cumprod(dim=0).sum())


def residual(q: Tensor, p: Tensor) -> Tensor:
    """Return what the target has more of."""
    return (p - q).clamp(min=0)


def decide(
    drafts: Tensor,
    q: Tensor,
    p: Tensor,
    generator: Generator | None,
    accepts: Callable[[Tensor, Tensor, Tensor], Tensor] = ratio_accepts,
    count_of: Callable[[Tensor], int] = leading,
    rest: Callable[[Tensor, Tensor], Tensor] = residual,
) -> Tensor:
    """Return a round, with parts that can be exchanged; as it is, it is right."""
    places = torch.arange(len(drafts))
    u = torch.rand(len(drafts), generator=generator)
    count = count_of(accepts(u, q[places, drafts], p[places, drafts]))
    law = p[count] if count == len(drafts) else rest(q[count], p[count])
    law = law if law.sum() > 0 else p[count]
    return torch.cat([drafts[:count], torch.multinomial(law, 1, generator=generator)])


@mistake("4.12a", called="Every draft is accepted")
def accepts_all(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You accept every draft: what comes has the law of the draft model, not of the target."""
    return decide(drafts, draft_probs, target_probs, generator, lambda u, q, p: torch.ones_like(u).bool())


@mistake("4.12a", called="A draft is accepted where the target finds it possible at all")
def accepts_the_possible(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You accept whatever the target could draw. A draft that comes too often has to be refused in part: p/q
    of the times it is kept.
    """
    return decide(drafts, draft_probs, target_probs, generator, lambda u, q, p: p > 0)


@mistake("4.12a", called="A draft is accepted where the target finds it at least as probable, else never")
def without_chance(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You accept where p is at least q, and refuse everything else. A draft with p below q is kept with
    probability p/q: what is never kept comes too seldom.
    """
    return decide(drafts, draft_probs, target_probs, generator, lambda u, q, p: p >= q)


@mistake("4.12a", called="A draft is accepted with probability p, not p/q")
def accepts_with_p(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You accept with probability p. The draft has come with probability q already: p/q of the times it is
    kept, always where p is above q.
    """
    return decide(drafts, draft_probs, target_probs, generator, lambda u, q, p: u < p)


@mistake("4.12a", called="p and q are exchanged")
def exchanged(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You accept with probability q/p: drafts that the target hardly ever draws are always kept."""
    return decide(drafts, draft_probs, target_probs, generator, lambda u, q, p: u * p < q)


@mistake("4.12a", called="One uniform number decides about all drafts")
def one_number(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You draw one uniform number for all drafts: each needs its own. If the first is accepted with a small
    number, all others are accepted with it.
    """
    return decide(
        drafts, draft_probs, target_probs, generator, lambda u, q, p: (u[:1] if len(u) else u) * q < p
    )


@mistake("4.12a", called="In place of a refused draft the target's whole law is drawn from")
def target_for_residual(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """In place of a refused draft you draw from the target's law. Tokens that the draft likes get two chances
    then: draw from the residual, max(0, p - q).
    """
    return decide(drafts, draft_probs, target_probs, generator, rest=lambda q, p: p)


@mistake("4.12a", called="The residual is the absolute difference of the laws")
def absolute_difference(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """Your residual is |p - q|: it gives more to tokens that the draft has too often already. Where q is
    above p nothing is left.
    """
    return decide(drafts, draft_probs, target_probs, generator, rest=lambda q, p: (p - q).abs())


@mistake("4.12a", called="The residual is what the draft has more of")
def wrong_way(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """Your residual is max(0, q - p): the very tokens that come too often come once more."""
    return decide(drafts, draft_probs, target_probs, generator, rest=lambda q, p: residual(p, q))


@mistake("4.12a", called="Only the refused token is taken out of the target's law")
def refused_excluded(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """In place of a refused draft you draw from the target's law without that token. Other tokens may come
    too often from the draft as well: max(0, p - q) takes from each what it has had.
    """
    places = torch.arange(len(drafts))
    u = torch.rand(len(drafts), generator=generator)
    count = leading(ratio_accepts(u, draft_probs[places, drafts], target_probs[places, drafts]))
    law = target_probs[count].clone()
    if count < len(drafts):
        law[drafts[count]] = 0
    return torch.cat([drafts[:count], torch.multinomial(law, 1, generator=generator)])


@mistake("4.12a", called="The residual is not made to sum to 1, and the last token gets the rest")
def not_renormalized(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """Your residual does not sum to 1, but is searched with a number up to 1: what is missing falls to the
    last token. Divide it by its sum, or draw the number below that.
    """

    def rest(q: Tensor, p: Tensor) -> Tensor:
        law = residual(q, p)
        law[-1] += 1 - law.sum()
        return law

    return decide(drafts, draft_probs, target_probs, generator, rest=rest)


@mistake("4.12a", called="No token follows drafts that are all accepted")
def no_bonus(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You add no token where all drafts are accepted. The target has said already what follows them: its last
    law is there for nothing otherwise.
    """
    found = decide(drafts, draft_probs, target_probs, generator)
    return found[: len(drafts)] if len(drafts) else found


@mistake("4.12a", called="Nothing comes in place of a refused draft")
def no_replacement(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You put nothing in place of a refused draft. If the first is refused, nothing comes at all, and what is
    drawn again next time has the wrong law.
    """
    found = decide(drafts, draft_probs, target_probs, generator)
    return found if len(found) > len(drafts) else found[:-1]


@mistake("4.12a", called="Drafts behind a refused one are kept")
def refused_skipped(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You keep drafts that stand behind a refused one. They were drawn after a token that is not there: the
    round ends with the first refusal.
    """
    places = torch.arange(len(drafts))
    u = torch.rand(len(drafts), generator=generator)
    is_accepted = ratio_accepts(u, draft_probs[places, drafts], target_probs[places, drafts])
    count = leading(is_accepted)
    law = target_probs[count] if count == len(drafts) else residual(draft_probs[count], target_probs[count])
    return torch.cat([drafts[is_accepted], torch.multinomial(law, 1, generator=generator)])


@mistake("4.12a", called="The next place's law replaces a refused draft")
def next_place(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """In place of a refused draft you draw from the target's law of the place behind it."""
    places = torch.arange(len(drafts))
    u = torch.rand(len(drafts), generator=generator)
    count = leading(ratio_accepts(u, draft_probs[places, drafts], target_probs[places, drafts]))
    law = target_probs[min(count + 1, len(drafts))]
    return torch.cat([drafts[:count], torch.multinomial(law, 1, generator=generator)])


@mistake("4.12a", called="torch's own generator is used, not the one handed in")
def global_generator(
    drafts: Tensor, draft_probs: Tensor, target_probs: Tensor, generator: Generator | None = None
) -> Tensor:
    """You draw the uniform numbers without the generator that is handed in: equal seeds give other tokens."""
    return decide(drafts, draft_probs, target_probs, None)
