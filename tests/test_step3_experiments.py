"""What the core chapter of step 3 shows: faults that curves tell, runs that resume, a loss taken apart."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.budget import Budget
from coursekit.corpora import storyworld
from step3_pretrain import model_solution as reference
from step3_pretrain.experiments import faults, finale, learning, live, optimizing, resuming, small, watching


@pytest.fixture(scope="module")
def lesson() -> small.Lesson:
    """As many stories as the chapter has."""
    return small.prepare(reference, num_held_out=20)


class Quiet:
    """A view that shows nothing, and stops after so many points."""

    def __init__(self, most: int = 1_000) -> None:
        self.most, self.points, self.ended = most, 0, ""

    def __call__(self, levels: dict[str, float]) -> Quiet:
        return self

    @property
    def stopped(self) -> bool:
        return self.points >= self.most

    def add(self, *_: Any) -> None:
        self.points += 1

    def finish(self, text: str) -> None:
        self.ended = text


def test_the_encoder_that_keeps_words_gives_what_the_tokenizer_gives(lesson: small.Lesson) -> None:
    encode = small.encoder(lesson.tokenizer)
    for text in [*lesson.train[:40], "no story, and  spaces\n<|user|> too <|user|>"]:
        assert encode(text) == lesson.tokenizer.encode(text, reference.SPECIAL_TOKENS)


def test_no_held_out_story_is_among_those_to_learn_from(lesson: small.Lesson) -> None:
    assert not set(lesson.train) & set(lesson.held_out)
    assert all(storyworld.is_held_out(text) for text in lesson.held_out)


def test_padding_is_what_rows_lack_to_the_longest_of_their_batch() -> None:
    assert small.padded_share([4, 2, 3, 3], 2) == pytest.approx(2 / 14)
    assert small.padded_share([4, 2, 3, 3], 1) == 0


def test_a_planted_fault_changes_the_copy_and_leaves_the_reference_alone() -> None:
    before = dict(vars(reference))
    for fault in (*faults.FAULTS, *faults.UNSEEN):
        copy = faults.plant(faults.reference_copy(), fault)
        changed = [name for name in fault.parts(faults.reference_copy()) if getattr(copy, name)]
        assert changed
    assert {name: value for name, value in vars(reference).items() if before[name] is not value} == {}


def test_a_case_is_drawn_by_its_seed_and_every_fault_and_none_can_come(lesson: small.Lesson) -> None:
    found = {live.draw(faults.reference_copy(), lesson, seed).fault for seed in range(60)}
    assert found == {*faults.FAULTS, None}
    case = live.draw(faults.reference_copy(), lesson, 1)
    asked = case.ask().question
    (right,) = [choice.text for choice in asked.choices if choice.right]
    assert right == (case.fault.name if case.fault else live.SOUND)
    assert case.fault is None or case.fault.name not in repr(case)


def test_a_case_ends_where_it_is_stopped(lesson: small.Lesson) -> None:
    case = live.Case(faults.reference_copy(), lesson, None)
    view = Quiet(most=3)
    case.train(view)
    assert len(case.record.losses) == 3
    assert view.ended.startswith("Training ended (stopped): step 3:")


def test_a_run_resumed_from_everything_is_the_run_and_from_less_is_another(
    lesson: small.Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "STEPS", 12)
    state = torch.get_rng_state()
    found = resuming.compare(reference, lesson)
    assert torch.equal(state, torch.get_rng_state())
    whole = found.pop("never stopped")
    assert len(whole) == 12
    assert {way for way, run in found.items() if run == whole} == {"everything"}
    straight, resumed = resuming.stopped_and_resumed(reference, lesson)
    assert straight == resumed
    assert len(straight) == 6


def test_the_parts_of_a_loss_add_up_to_the_loss_and_to_bits_per_byte(lesson: small.Lesson) -> None:
    model = small.decoder(len(lesson.tokenizer), max_seq_len=watching.CONTEXT)
    encode = small.encoder(lesson.tokenizer)
    texts, documents = lesson.held_out[:6], lesson.held_out_documents[:6]
    found = watching.parts(model, lesson.tokenizer, encode, texts, lesson.end_of_text)
    rows = reference.document_batches(documents, lesson.end_of_text, watching.CONTEXT)
    bits = reference.evaluate(model, rows, sum(len(text.encode()) for text in texts))
    assert found.bits_per_byte == pytest.approx(bits, rel=1e-5)
    assert found.form > 0
    assert found.recall > 0
    with pytest.raises(ValueError, match="a document must fit into the context of 64 tokens"):
        watching.surprises(small.decoder(512), range(64), lesson.end_of_text)


def test_what_is_written_ends_at_the_end_of_text_and_the_same_seed_writes_it_again(
    lesson: small.Lesson,
) -> None:
    model = small.decoder(len(lesson.tokenizer))
    first, again, other = (
        watching.write(model, lesson.tokenizer, lesson.end_of_text, 3, seed) for seed in (0, 0, 1)
    )
    assert first == again != other
    assert all("<|endoftext|>" not in text for text in first)


def test_stories_are_judged_grammatical_and_true_and_a_lie_is_not() -> None:
    text = next(text for text in lesson_texts() if "<|assistant|>" not in text)
    span = next(
        span for span in storyworld.read(text).spans if span.kind == "recall" and span.name == "person"
    )
    others = [name for name in (" Ida", " Leo", " Mia") if name not in text]
    lie = text[: span.start] + others[0] + text[span.end :]
    assert watching.judged([text])["true to their own facts"] == 1
    assert watching.judged([text, lie])["true to their own facts"] == 0.5
    assert watching.judged(["no story"])["true to their own facts"] is None


def lesson_texts() -> Any:
    return storyworld.stories(3)


def test_the_finale_trains_and_measures_within_its_budget() -> None:
    run = finale.prepare(
        reference, budget=Budget(steps=3, held_out_bytes=2_000), num_stories=60, n_layers=1, d_model=32
    )
    finale.train(run, Quiet())
    assert run.ended == "budget used up"
    assert len(run.losses) == 3
    assert run.looks[0][0] == 0
    assert run.looks[-1][0] == 3
    levels = finale.measure(run)
    assert levels["the decoder"] > levels["the floor"]
    assert "above the floor" in str(finale.compare(run))
    assert "pretraining" not in str(run)  # the reference has no parts that are anyone's
    again = finale.prepare(
        reference, budget=Budget(steps=3, held_out_bytes=2_000), num_stories=60, n_layers=1, d_model=32
    )
    finale.train(again, Quiet())
    assert again.losses == run.losses


@pytest.mark.slow
def test_the_curves_of_the_hunt_show_what_is_said_of_them(
    lesson: small.Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COURSE_BUDGET", raising=False)
    found = faults.exhibits(lesson)
    guessing, floor = math.log(len(lesson.tokenizer)), small.floor_nats(lesson)
    last = {name: small.mean_of_last(run.losses) for name, run in found.items()}
    sound, dots = last["sound"], {name: run.held_out for name, run in found.items()}
    assert floor < sound < dots["sound"][0]
    assert last["A"] > 2 * sound
    steps = [found["A"].losses[i] - found["A"].losses[i + 25] for i in range(0, 125, 25)]
    assert max(steps) < 3 * min(steps)  # almost a straight line
    assert last["B"] < floor / 2
    assert dots["B"][-1] > min(dots["B"])
    assert last["C"] > 0.97 * guessing > 0.97 * min(found["C"].losses)
    assert found["D"].losses == found["sound"].losses
    factors = [d / s for d, s in zip(dots["D"], dots["sound"])]
    assert min(factors) > 1.2
    assert max(found["E"].losses) > 2 * guessing
    assert last["E"] > 0.9 * small.unigram_entropy(lesson.stream)
    assert 1.2 * sound < last["F"] < 0.7 * guessing
    assert dots["F"][-1] > min(dots["F"]) + 0.3
    assert dots["F"][-1] > 1.3 * last["F"]
    assert all(run.losses[0] == pytest.approx(guessing, abs=0.1) for run in found.values())


@pytest.mark.slow
def test_a_limit_saves_gradient_descent_and_a_schedule_gains_late(
    lesson: small.Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COURSE_BUDGET", raising=False)
    free, clipped = (optimizing.with_a_bad_batch(reference, lesson, limit)[0] for limit in (math.inf, 1.0))
    assert small.mean_of_last(free) > 1.5 * small.mean_of_last(clipped)
    rates = (
        lambda step, total: 5e-2,
        lambda step, total: 5e-2 * min(1, (step + 1) / 15),
        lambda step, total: reference.learning_rate(step, 5e-2, 15, total),
    )
    runs = [optimizing.by_schedule(reference, lesson, rate) for rate in rates]
    constant, warmed, cosine = (small.mean_of_last(run, 20) for run in runs)
    assert cosine < warmed < constant
    halfway = [small.mean_of_last(run[:100], 20) for run in runs[1:]]
    assert halfway[1] > 0.97 * halfway[0]


def test_what_five_minutes_teach_is_measured_by_a_run_of_the_script_and_held_to_its_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = partial(
        learning.learned, answers=4, samples=4, minutes=None, steps=4, batch_size=4, max_documents=120
    )
    monkeypatch.setattr(learning, "learned", short)
    monkeypatch.setattr(learning, "SEEDS", (3,))
    monkeypatch.setattr(learning, "PICTURE", tmp_path / "curves.png")
    found = learning.evidence()
    (run,) = found["results"]["runs"].values()
    assert (run["steps"], len(run["curve"]), found["seeds"]) == (4, 4, [3])
    assert run["curve"][-1][1] > 5 * run["judged"]["floor"]["bits_per_byte"]
    parts = sum(run["judged"]["loss"][kind] for kind in ("form", "choice", "recall"))
    assert parts == pytest.approx(run["judged"]["loss"]["above"])
    assert len(found["claims"]) == 4
    assert not any(found["claims"].values()), "four steps teach nothing"
    assert {len(row) for row in found["table"]["rows"]} == {len(found["table"]["head"])} == {2}
    assert (tmp_path / "curves.png").stat().st_size > 1_000
