"""4.equal and 4.answers: whole chains that are wrong in one place, each of which the milestones must refuse.

A learner sees a milestone only when every exercise passes; these show that the milestones bite by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from coursekit.probe import mistake, variant
from step2_model.model_solution import Transformer
from step4_generate import model_solution as solution
from step4_generate.mistakes import (
    core_cached,
    core_cached_ends,
    core_generate,
    core_next_token,
    core_sample,
    core_stream,
    core_stream_stops,
    core_temperature,
    core_top_k,
    core_top_p,
    core_top_p_ends,
)

Patches = dict[str, Callable[..., Any]]


class Forgetful(Transformer):
    """Its cache is read as if it were empty: what is new begins at position 0 again."""

    def place(self, ids: Any, start: int, padding: Any) -> Any:
        return super().place(ids, 0, padding)


@mistake("4.equal")
def equal_but_for_the_prompt() -> Patches:
    """Your text does not begin with the prompt."""
    return {"generate": core_generate.only_what_is_new}


@mistake("4.equal")
def equal_newest_token_alone() -> Patches:
    """Your model reads the newest token alone."""
    return {"generate": core_generate.newest_token_alone}


@mistake("4.equal")
def equal_current_token_left_out() -> Patches:
    """Your newest token is never read."""
    return {"generate_cached": core_cached.newest_token_left_out}


@mistake("4.equal")
def equal_positions_lost() -> Patches:
    """Your decoder counts positions from 0 again, behind a cache."""
    return {"Transformer": Forgetful}


@mistake("4.equal")
def equal_temperature_ignored() -> Patches:
    """Your temperature has no effect."""
    return {"apply_temperature": core_temperature.ignored()["apply_temperature"]}


@mistake("4.equal")
def equal_softmax_twice() -> Patches:
    """Your draw takes the softmax twice."""
    return {"sample": core_sample.softmax_twice()["sample"]}


@mistake("4.equal")
def equal_one_token_more() -> Patches:
    """Your top-k keeps one token more."""
    return {"keep_top_k": core_top_k.one_more}


@mistake("4.equal")
def equal_crossing_dropped() -> Patches:
    """Your top-p drops the token that crosses."""
    return {"keep_top_p": core_top_p.crossing_dropped_but_the_first}


@mistake("4.equal")
def equal_top_p_first() -> Patches:
    """Your top-p comes before top-k."""
    return {"next_token": core_next_token.top_p_first}


@mistake("4.equal")
def equal_choice_not_read() -> Patches:
    """Your model reads another token than the one that was drawn."""
    return {"generate_cached": core_cached_ends.reads_its_own_choice}


@variant("4.equal")
def equal_by_noise() -> Patches:
    """Gumbel noise draws other tokens by the same law."""
    return {"sample": core_sample.by_gumbel()["sample"], "keep_top_p": core_top_p_ends.shifted}


@variant("4.equal")
def equal_otherwise() -> Patches:
    """Everything in another style."""
    return {
        "generate": core_generate.into_a_text_made_before,
        "generate_cached": core_cached_ends.by_class,
        "keep_top_k": core_top_k.by_counting,
        "keep_top_p": core_top_p_ends.from_below,
        "next_token": core_next_token.top_k_before_the_temperature,
    }


def taught(change: Callable[[Sequence[str]], Sequence[str]], steps: int | None = None) -> Callable[..., Any]:
    """Return a training on changed texts, or with fewer steps."""

    def pretrain(texts: Sequence[str], vocab_size: int, args: Any, **changes: Any) -> Any:
        shorter = solution.TrainingArgs(**(vars(args) | {"steps": steps or args.steps, "warmup": 1}))
        return solution.pretrain(change(texts), vocab_size, shorter, **changes)

    return pretrain


@mistake("4.answers")
def answers_untaught() -> Patches:
    """Your model is not trained."""
    return {"pretrain": taught(lambda texts: texts, steps=1)}


@mistake("4.answers")
def answers_half_of_it() -> Patches:
    """Your model has seen three of the six texts."""
    return {"pretrain": taught(lambda texts: texts[::2])}


@mistake("4.answers")
def answers_in_halves() -> Patches:
    """Your text shows half characters."""
    return {"stream_text": core_stream.token_by_token}


@mistake("4.answers")
def answers_all_at_once() -> Patches:
    """Your text comes in one piece."""
    return {"stream_text": core_stream.all_at_the_end}


@mistake("4.answers")
def answers_without_end() -> Patches:
    """Your answer does not end with the turn."""
    return {"stream_text": core_stream_stops.never_stops}


@mistake("4.answers")
def answers_from_a_lost_cache() -> Patches:
    """Your model forgets the question."""
    return {"generate_cached": core_cached.cache_lost}


@mistake("4.answers")
def answers_flattened() -> Patches:
    """Your draw takes the softmax twice."""
    return {"sample": core_sample.softmax_twice()["sample"]}


@mistake("4.answers")
def answers_in_another_window() -> Patches:
    """Your window is cut at the wrong end."""
    return {"generate": core_generate.cut_at_the_wrong_end}


@variant("4.answers")
def answers_otherwise() -> Patches:
    """Everything in another style."""
    return {
        "generate": core_generate.columns_in_a_list,
        "generate_cached": core_cached_ends.by_lengths,
        "stream_text": core_stream_stops.character_by_character,
        "next_token": core_next_token.by_noise,
    }
