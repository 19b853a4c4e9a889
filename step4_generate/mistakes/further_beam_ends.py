"""4.11, beam search: known mistakes with the end of beams and of the search."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step4_generate.further_solution import Beam, beam_search
from step4_generate.mistakes.further_beams import Search, log_law


class Impatient(Search):
    """Stops as soon as enough beams have finished."""

    def is_done(self, beams: list[Beam], finished: list[Beam], length: int) -> bool:
        return len(finished) == self.num_beams


class AtTheFirst(Search):
    """Stops as soon as one beam has finished."""

    def is_done(self, beams: list[Beam], finished: list[Beam], length: int) -> bool:
        return bool(finished)


class Endless(Search):
    """Never stops before the end."""

    def is_done(self, beams: list[Beam], finished: list[Beam], length: int) -> bool:
        return False


@mistake("4.11", called="The search stops as soon as num_beams beams have finished")
def impatient(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You stop as soon as `num_beams` beams have finished. An open one may still become better than they are:
    compare the best it can come to with the worst of them.
    """
    return Impatient(num_beams, max_new_tokens, end_of_text, length_penalty).run(model, ids)


@mistake("4.11", called="The search stops with the first beam that ends")
def stops_at_the_first(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You stop with the first beam that ends, and return no other."""
    return AtTheFirst(num_beams, max_new_tokens, end_of_text, length_penalty).run(model, ids)


@mistake("4.11", called="The search goes on to the end, whatever has finished")
def never_stops(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You go on although no open beam can win any more: its sum only falls."""
    return Endless(num_beams, max_new_tokens, end_of_text, length_penalty).run(model, ids)


@mistake("4.11", called="Finished beams are dropped at the next step")
def finished_dropped(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You lose beams that have finished: only those of the last step are left. Keep them in a list of their
    own, where they compete with what finishes later.
    """
    search = Search(num_beams, max_new_tokens, end_of_text, length_penalty, keeps_finished=False)
    return search.run(model, ids)


@mistake("4.11", called="Only num_beams candidates are looked at")
def too_few_candidates(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You look at `num_beams` candidates only: each one that ends leaves a beam less to go on with. Of twice
    as many at least `num_beams` do not end.
    """
    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, candidates=1).run(model, ids)


@mistake("4.11", called="The end is a token like any other: beams go on behind it")
def goes_on_behind_the_end(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Your beams go on behind `end_of_text`. A beam that ends is finished: take it out of the open ones."""
    return beam_search(model, ids, num_beams, max_new_tokens, -1, length_penalty)


@mistake("4.11", called="The end is left out of what is returned")
def end_left_out(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Your beams lack their `end_of_text`: it is one of the new ids, and says that the beam has finished."""
    found = beam_search(model, ids, num_beams, max_new_tokens, end_of_text, length_penalty)
    return [Beam([token for token in beam.ids if token != end_of_text], beam.score) for beam in found]


@mistake("4.11", called="The prompt is returned with the new ids")
def with_prompt(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You return the prompt with each beam. Its ids are the new ones alone."""
    found = beam_search(model, ids, num_beams, max_new_tokens, end_of_text, length_penalty)
    return [Beam([*ids.tolist(), *beam.ids], beam.score) for beam in found]


@mistake("4.11", called="The beams come worst first")
def worst_first(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Your beams are sorted the wrong way: the best comes first."""
    return beam_search(model, ids, num_beams, max_new_tokens, end_of_text, length_penalty)[::-1]


@mistake("4.11", called="The model is asked for each beam by itself")
def beam_by_beam(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You ask the model for each beam by itself. All open beams are one batch, which costs little more than
    one of them.
    """

    def scores(model: Any, ids: Tensor, beams: list[Beam]) -> Tensor:
        return torch.cat([log_law(model, ids, [beam]) for beam in beams])

    return Search(num_beams, max_new_tokens, end_of_text, length_penalty, scores=scores).run(model, ids)


@mistake("4.11", called="The model trains meanwhile: dropout is on, gradients are kept")
def in_training(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """You ask the model as it is, without `reading`: one that was training drops out parts of its answers."""
    return Search(num_beams, max_new_tokens, end_of_text, length_penalty).search(model, ids)
