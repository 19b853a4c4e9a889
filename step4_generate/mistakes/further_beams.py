"""4.11, beam search: known mistakes with the scores and the candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step4_generate.further_solution import Beam, best_beams, normalize, reading


def log_law(model: Any, ids: Tensor, beams: list[Beam]) -> Tensor:
    """Return the log-probabilities of what may follow each beam."""
    texts = torch.stack([torch.cat([ids, ids.new_tensor(beam.ids)]) for beam in beams])
    return model(texts).logits[:, -1].log_softmax(dim=-1)


def extend(beams: list[Beam], logprobs: Tensor, count: int) -> list[Beam]:
    """Return the `count` candidates of the largest sums, best first."""
    sums = (logprobs + torch.tensor([beam.score for beam in beams])[:, None]).flatten()
    best, V = sums.topk(min(count, len(sums))), logprobs.shape[-1]
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [Beam([*beams[place // V].ids, place % V], total) for total, place in pairs]


@dataclass
class Search:
    """A beam search with parts that can be exchanged; as it is, it is right."""

    num_beams: int
    max_new_tokens: int
    end: int
    penalty: float
    first: list[Beam] = field(default_factory=lambda: [Beam([], 0.0)])
    scores: Callable[[Any, Tensor, list[Beam]], Tensor] = log_law
    final: Callable[[Beam, float], Beam] = normalize
    candidates: int = 2
    keeps_finished: bool = True
    open_compete: bool = True

    def run(self, model: Any, ids: Tensor) -> list[Beam]:
        with reading(model):
            return self.search(model, ids)

    def search(self, model: Any, ids: Tensor) -> list[Beam]:
        beams, finished = self.first, list[Beam]()
        for length in range(1, self.max_new_tokens + 1):
            found = extend(beams, self.scores(model, ids, beams), self.candidates * self.num_beams)
            ended = [self.final(b, self.penalty) for b in found[: self.num_beams] if b.ids[-1] == self.end]
            finished = best_beams(finished * self.keeps_finished + ended, self.num_beams)
            beams = [beam for beam in found if beam.ids[-1] != self.end][: self.num_beams]
            if not beams or self.is_done(beams, finished, length):
                return finished
        left = [self.final(beam, self.penalty) for beam in beams] if self.open_compete or not finished else []
        return best_beams(finished + left, self.num_beams)

    def is_done(self, beams: list[Beam], finished: list[Beam], length: int) -> bool:
        """Tell whether no open beam can win any more."""
        suits = self.max_new_tokens if self.penalty > 0 else length
        is_full = len(finished) == self.num_beams
        return is_full and beams[0].score / suits**self.penalty <= finished[-1].score


@mistake("4.11", called="The scores are bare sums: nothing is divided by a length")
def not_normalized(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You do not divide by the length. Every token costs something, so that the shortest texts win, whatever
    they say.
    """
    return Search(num_beams, max_new_tokens, end_of_text, 0.0).run(model, ids)


@mistake("4.11")
def prompt_in_length(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Your length contains the prompt: with a long prompt all lengths are nearly equal, and the penalty does
    nothing.
    """

    def final(beam: Beam, penalty: float) -> Beam:
        return Beam(beam.ids, beam.score / (len(ids) + len(beam.ids)) ** penalty)

    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, final=final).run(model, ids)


@mistake("4.11", called="The length leaves out the end of the text")
def end_not_counted(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Your length does not count `end_of_text`, whose log-probability is in the sum: finished beams look
    worse than they are.
    """

    def final(beam: Beam, penalty: float) -> Beam:
        length = len(beam.ids) - (beam.ids[-1] == end_of_text)
        return Beam(beam.ids, beam.score / max(1, length) ** penalty)

    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, final=final).run(model, ids)


@mistake("4.11", called="The sum is multiplied by the length, not divided")
def multiplied(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You multiply by the length ** `length_penalty`. Sums are negative: long texts are punished twice."""

    def final(beam: Beam, penalty: float) -> Beam:
        return Beam(beam.ids, beam.score * len(beam.ids) ** penalty)

    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, final=final).run(model, ids)


@mistake("4.11", called="Bare logits are added up")
def bare_logits(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You add up logits. Those of two beams cannot be compared: only the log-softmax says how probable a
    token is among all.
    """

    def scores(model: Any, ids: Tensor, beams: list[Beam]) -> Tensor:
        texts = torch.stack([torch.cat([ids, ids.new_tensor(beam.ids)]) for beam in beams])
        return model(texts).logits[:, -1]

    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, scores=scores).run(model, ids)


@mistake("4.11", called="The search begins with num_beams equal beams")
def equal_beams(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You begin with `num_beams` empty beams: all have the same candidates, and the same text is found
    several times. One empty beam is enough.
    """
    first = [Beam([], 0.0)] * num_beams
    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, first=first).run(model, ids)


@mistake("4.11", called="Each beam goes on with its own best token alone")
def side_by_side(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """After the first step each of your beams takes its own most probable token. The best continuations of
    all beams together are asked for: two may come from one beam, and none from another.
    """

    def scores(model: Any, ids: Tensor, beams: list[Beam]) -> Tensor:
        logprobs = log_law(model, ids, beams)
        if not beams[0].ids:
            return logprobs
        best = logprobs.argmax(dim=-1, keepdim=True)
        return torch.full_like(logprobs, -1e9).scatter(1, best, logprobs.gather(1, best))

    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, scores=scores).run(model, ids)


@mistake("4.11", called="Only the last token's log-probability counts")
def last_token_only(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You forget the sum so far: candidates are ranked by their last token alone. A text is as probable as
    all of its tokens together.
    """

    def scores(model: Any, ids: Tensor, beams: list[Beam]) -> Tensor:
        return log_law(model, ids, beams) - torch.tensor([beam.score for beam in beams])[:, None]

    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, scores=scores).run(model, ids)


@mistake("4.11", called="The open beams are thrown away at the end, if any beam is finished")
def open_dropped(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You return finished beams alone, where there are any. After `max_new_tokens` the open ones compete with
    them.
    """
    search = Search(num_beams, max_new_tokens, end_of_text, length_penalty, open_compete=False)
    return search.run(model, ids)
