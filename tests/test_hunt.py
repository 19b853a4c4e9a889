"""Hunts: every known mistake can be found with what is offered, and what is kept of it is kept right."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from coursekit.hunting import start
from coursekit.hunting.atlas import Atlas
from coursekit.hunting.called import LONGEST, call
from coursekit.hunting.draw import CANDIDATES, NothingToHunt, draw_hunt, draw_truth
from coursekit.hunting.game import Game, NoSuchMove
from coursekit.hunting.player import fewest_looks, play
from coursekit.hunting.score import keep, standing, summary
from coursekit.hunting.sights import test_sight as look_at_test
from coursekit.judging.runs import Raised, Run
from coursekit.judging.wire import freeze
from coursekit.practice import progress
from coursekit.probe import Claim
from coursekit.registry import Exercise, find_item, load_course
from coursekit.workers.hunted import Stopped

EXERCISES = [exercise for step in load_course() for exercise in step.exercises]


class Atlases(dict[str, Atlas]):
    """What is known of an exercise's mistakes, computed anew when it is first asked for."""

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.pool = pool

    def __missing__(self, item_id: str) -> Atlas:
        step, item = find_item(item_id)
        assert isinstance(item, Exercise)
        self[item_id] = Atlas(step, item, self.pool, None)
        return self[item_id]


@pytest.fixture(scope="module")
def atlases(pool: Any) -> Atlases:
    return Atlases(pool)


@pytest.fixture
def game(atlases: dict[str, Atlas]) -> Game:
    """A hunt for the missing mask, with its first look not yet taken."""
    return Game(atlases["2.3b"], draw_hunt(atlases["2.3b"], "no_mask", seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_a_player_who_only_looks_where_a_hunt_offers_names_every_mistake_at_once(
    exercise: Exercise, atlases: dict[str, Atlas]
) -> None:
    atlas = atlases[exercise.id]
    for name in atlas.names:
        hunt = draw_hunt(atlas, name, seed=7)
        game = Game(atlas, hunt)
        assert play(game) == name
        assert game.is_won, name
        assert game.looks >= fewest_looks(atlas, hunt) >= 1
        assert len(hunt.candidates) == min(CANDIDATES, len(atlas.names))


@pytest.mark.slow
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_any_two_mistakes_of_an_exercise_are_told_apart_by_what_can_be_foreseen(
    exercise: Exercise, atlases: dict[str, Atlas]
) -> None:
    atlas = atlases[exercise.id]
    alike = [pair for pair in itertools.combinations(atlas.names, 2) if not atlas.tell_apart(*pair)]
    assert not alike, "add a small input on which they differ"


@pytest.mark.slow
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_no_two_mistakes_of_an_exercise_are_called_alike_and_none_is_the_learners(
    exercise: Exercise, atlases: dict[str, Atlas]
) -> None:
    called = list(atlases[exercise.id].called.values())
    assert len(set(called)) == len(called)
    for line in called:
        assert not re.search(r"\byours?\b", line, re.IGNORECASE), line
        assert 10 < len(line) <= 1.2 * LONGEST, line


def test_a_mistake_is_called_by_the_first_sentence_of_its_text() -> None:
    assert call("Your scores lack √D. They grow.") == "The scores lack √D"
    assert call("Your scores lack √D.", called="The root is missing") == "The root is missing"
    long = f"Your scores (all of them, and more) are cut off: {'so ' * 40}. They grow."
    assert call(long) == "The scores are cut off"


def test_equal_seeds_draw_equal_hunts_and_the_last_mistake_is_not_drawn_again(
    atlases: dict[str, Atlas],
) -> None:
    atlas = atlases["2.3a"]
    assert draw_hunt(atlas, "cosine", 3) == draw_hunt(atlas, "cosine", 3)
    assert len({draw_truth(atlas, seed) for seed in range(60)}) > 10
    for seed in range(60):
        first = draw_truth(atlas, seed)
        assert draw_truth(atlas, seed) == first
        assert draw_truth(atlas, seed, last=first) != first


def test_a_look_shows_the_input_and_what_the_model_gives_and_a_clue_what_is_right(game: Game) -> None:
    inputs = [n for n, probe in enumerate(game.hunt.probes, start=1) if probe.kind == "input"]
    game.look(inputs[0])
    assert [part.label for part in game.told] == [str(inputs[0]), "This model gives"]
    game.compare(inputs[0])
    assert game.told[-1].label == "Right code gives"
    assert (game.looks, game.clues, game.effort) == (1, 1, "1 look, 1 clue")


def test_a_wrong_name_is_refuted_by_numbers_and_the_hunt_goes_on(game: Game) -> None:
    wrong = next(letter for letter in game.letters if letter != game.hunt.letter("no_mask"))
    assert game.name(wrong) is False
    assert [part.label for part in game.told][2:] == ["With that mistake", "This model"]
    assert game.told[2].text != game.told[3].text
    assert game.ended == ""
    assert wrong not in game.letters
    assert game.name(game.hunt.letter("no_mask")) is True
    assert game.ended == "found"
    assert not game.is_won
    assert game.atlas.texts["no_mask"] in [part.text for part in game.told]


def test_a_move_that_is_not_offered_is_answered_with_what_is(game: Game) -> None:
    last = len(game.hunt.probes)
    for move, said in (
        (lambda: game.look(last + 1), f"1 to {last}"),
        (lambda: game.look(0), f"1 to {last}"),
        (lambda: game.name("z"), "a, b, c, d, e"),
        (lambda: game.name(""), "a, b, c, d, e"),
        (lambda: game.compare(last), f"look at it with {last} alone"),
    ):
        with pytest.raises(NoSuchMove, match=said):
            move()
    assert game.looks == 0


def test_at_the_end_the_rows_of_a_tensor_stand_in_one_row(game: Game) -> None:
    game.give_up()
    lines = game.told[-1].text.splitlines()
    assert [line.partition(":")[0] for line in lines][:2] == ["this model", "right code"]
    assert not any(",;" in line or "  " in line for line in lines)


def test_a_training_with_a_mistake_stands_beside_one_without(game: Game, atlases: dict[str, Atlas]) -> None:
    game.train()
    table, said = game.told
    assert [line.split()[0] for line in table.text.splitlines()] == ["step", "this", "right"]
    assert said.text.startswith("They part at step 1.")
    counting = atlases["2.4e"]
    with pytest.raises(NoSuchMove, match="No training rests on this exercise"):
        Game(counting, draw_hunt(counting, "estimate", 1)).train()


@pytest.mark.parametrize(
    ("item_id", "name", "told"),
    [
        ("3.8", "no_generator", "They part at step 21."),
        ("3.4", "still_nats", "The two are the same at every step"),
    ],
)
def test_a_run_that_goes_on_from_its_checkpoint_parts_there_and_one_that_is_measured_nowhere(
    item_id: str, name: str, told: str, atlases: dict[str, Atlas]
) -> None:
    game = Game(atlases[item_id], draw_hunt(atlases[item_id], name, 1))
    game.train()
    assert game.told[-1].text.startswith(told)


def test_a_training_that_a_mistake_stops_is_told_as_such(atlases: dict[str, Atlas]) -> None:
    atlas = atlases["2.4c"]
    game = Game(atlas, draw_hunt(atlas, "last_position", 1))
    game.train()
    assert "stops after 0 steps" in game.told[-1].text


def test_a_test_that_was_not_reached_is_told_as_such() -> None:
    claims = tuple(Claim(label, freeze(1.0)) for label in "abc")
    got = Run(claims[:1], Raised("ValueError", "no"))
    seen = [look_at_test(Run(claims), got, number).text for number in range(3)]
    assert seen[0] == "as right code gives it"
    assert seen[1] == "stops with ValueError: no"
    assert seen[2].startswith("not reached")


def test_one_case_that_raises_does_not_hide_the_others(atlases: dict[str, Atlas]) -> None:
    atlas = atlases["2.4a"]
    inputs = [probe for probe in atlas.probes if probe.kind == "input"]
    shown = [atlas.sight("start_shifts_content", probe).text for probe in inputs]
    stopped = [text.startswith("stops with") for text in shown]
    assert any(stopped)
    assert not stopped[-1]


def test_a_streak_grows_with_first_names_alone(game: Game, tmp_path: Path) -> None:
    atlas = game.atlas
    right = game.hunt.letter("no_mask")
    wrong = next(letter for letter in game.letters if letter != right)

    def hunted(*moves: str, is_counted: bool = True) -> str:
        one = Game(atlas, game.hunt)
        for move in moves:
            one.look(1) if move == "look" else one.name(move)
        if not one.ended:
            one.give_up()
        assert keep(one, tmp_path, is_counted) is None
        return standing(tmp_path)

    assert hunted("look", right) == "streak 1, best 1"
    assert hunted(right) == "streak 2, best 2"
    assert hunted("look", right, is_counted=False) == "streak 2, best 2"
    assert hunted() == "streak 2, best 2"
    assert hunted(wrong, right) == "streak 0, best 2"
    assert hunted("look", right) == "streak 1, best 2"
    assert hunted("look") == "streak 0, best 2"
    hunts = progress.load(tmp_path).hunts
    assert (hunts.played, hunts.found, hunts.last) == (5, 3, "2.3b/no_mask")


def test_what_an_older_file_does_not_know_is_empty_and_the_rest_stays(tmp_path: Path) -> None:
    file = progress.progress_file(tmp_path)
    file.parent.mkdir()
    file.write_text(json.dumps({"path": "all", "hunts": {"streak": 3, "coins": 7}}), encoding="utf-8")
    known = progress.update(lambda state: None, tmp_path)
    assert (known.path, known.hunts.streak, known.hunts.best) == ("all", 3, 0)


def test_the_summary_says_what_would_have_been_enough(game: Game, tmp_path: Path) -> None:
    play(game)
    assert re.match(r"\d looks?\. Enough, well chosen: \d looks?\. Streak", summary(game, True))
    assert "not counted" in summary(game, False).lower()


def test_an_exercise_without_two_mistakes_is_nothing_to_hunt(toy: Any, pool: Any) -> None:
    with pytest.raises(NothingToHunt, match=r"got none in 8\.1"):
        draw_truth(Atlas(toy.step, toy.items["8.1"], pool, None), seed=0)


def test_a_hunt_in_a_notebook_begins_when_asked_and_says_what_was_done(
    atlases: dict[str, Atlas], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from coursekit.hunting import widget as module

    monkeypatch.setattr(start, "atlas_of", lambda item, pool=None: atlases[item.id])
    monkeypatch.setattr(module, "keep", lambda *_, **__: None)
    widget = module.hunt("2.3a", is_all=True, seed=4)
    assert widget.view["stage"] == "idle"
    widget._answer(None, {"move": "look", "with": 1}, None)
    assert widget.view["stage"] == "idle"
    widget._answer(None, {"move": "begin"}, None)
    assert widget.view["stage"] == "hunt"
    assert widget.game.hunt.truth not in json.dumps(dict(widget.view)), "the page must not know the answer"
    widget._answer(None, {"move": "look", "with": 99}, None)
    assert widget.view["problem"].startswith("Look at one of 1 to")
    widget._answer(None, {"move": "look", "with": 1}, None)
    assert widget.view["log"][0]["parts"][-1]["label"] == "This model gives"
    assert widget.view["problem"] == ""
    widget._answer(None, {"move": "name", "with": widget.game.hunt.letter(widget.game.hunt.truth)}, None)
    assert widget.view["stage"] == "over"
    count = len(widget.view["log"])
    widget._answer(None, {"move": "give up"}, None)
    assert len(widget.view["log"]) == count, "a move after the end does nothing"


def test_where_no_widget_can_live_a_hunt_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from coursekit.cells import NoSuchName
    from coursekit.hunting import widget as module

    data, _ = module.hunt("2.3a")._repr_mimebundle_()
    assert data["text/plain"].endswith("course hunt")
    assert "course hunt" in data["text/html"]
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert isinstance(module.hunt("2.3a"), module.StaticHunt)
    with pytest.raises(NoSuchName, match="there is no exercise"):
        module.hunt("nowhere")


def test_what_stands_for_a_call_that_raised_is_what_any_part_of_it_shows() -> None:
    stopped = Stopped(TypeError("too much"))
    assert stopped.logits is stopped
    assert (stopped.text, hasattr(stopped, "__len__")) == ("TypeError: too much", False)
