"""What the core chapter of step 4 shows: a model that speaks, tails, work, quality, answers, and figures."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from coursekit.corpora import storyworld
from coursekit.registry import COURSE_ROOT
from step1_tokenizer.model_solution import Tokenizer
from step2_model.model_solution import ModelOutput
from step3_pretrain import model_solution as pretraining
from step3_pretrain.experiments import small
from step4_generate import model_solution as reference
from step4_generate.experiments import answering, figures, measuring, speaking, talked


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


@pytest.fixture(scope="module")
def speaker() -> speaking.Speaker:
    """A model that has learned nothing, with a tokenizer of stories."""
    found, _ = speaking.prepare(pretraining, num_stories=200)
    found.model.eval()
    return found


class Table(torch.nn.Module):
    """A model that says the same law after every token."""

    def __init__(self, *law: float) -> None:
        super().__init__()
        self.logits = torch.tensor(law).log()
        self.args = SimpleNamespace(max_seq_len=16)

    def forward(self, ids: torch.Tensor, cache: Any = None) -> ModelOutput:
        return ModelOutput(self.logits.expand(*ids.shape, -1), None, None)

    def new_cache(self) -> list[Any]:
        return []


def table(*law: float) -> speaking.Speaker:
    """Return a speaker of bytes whose law is this one at every place, 0 elsewhere."""
    tokenizer = Tokenizer([], pretraining.SPECIAL_TOKENS)
    whole = [*law, *[0.0] * (len(tokenizer) - len(law))]
    return speaking.Speaker(Table(*whole), tokenizer, 256, pretraining.SPECIAL_TOKENS)


def test_a_text_begins_behind_the_end_of_another_and_ends_where_the_model_says(
    speaker: speaking.Speaker,
) -> None:
    ids = speaker.ids("One day, <|user|>")
    assert ids[0, 0] == speaker.end_of_text
    assert ids[0, -1] == speaker.tokenizer.special_tokens["<|user|>"]
    assert speaker.text(ids) == "One day, <|user|>"
    more = torch.cat([ids, ids], dim=1)
    assert speaker.text(more) == "One day, <|user|>"
    assert speaker.text(more[0].tolist()) == "One day, <|user|>"
    assert speaker.text(speaker.ids()) == ""


def test_tokens_are_named_so_that_spaces_and_ends_of_lines_can_be_seen() -> None:
    assert speaking.shown(b" a\n") == "␣a↵"
    assert speaking.shown("é".encode()[:1]) == "\ufffd"


def test_a_speaker_learns_within_its_budget_the_same_way_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=3")
    monkeypatch.setattr(speaking, "STORIES", 100)
    state, view = torch.get_rng_state(), Quiet()
    first = speaking.learn(pretraining, view=view)
    assert view.ended.startswith("Training ended (done): step 3 of 3:")
    assert torch.equal(state, torch.get_rng_state())
    assert speaking.learn(pretraining, view=Quiet()).losses == first.losses
    assert len(first.losses) == 3
    assert not first.model.training
    stopped = Quiet(most=1)
    assert speaking.learn(pretraining, view=stopped).losses == first.losses[:1]
    assert stopped.ended.startswith("Training ended (stopped): step 1 of 3:")


def test_a_run_of_other_texts_is_refused_and_one_of_stories_speaks(
    speaker: speaking.Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = (speaker.model, None, Tokenizer([]))
    monkeypatch.setattr(speaking, "load_run", lambda path: loaded)
    with pytest.raises(ValueError, match=r"trained on stories, with the token <\|endoftext\|>, got runs/x"):
        speaking.from_run(pretraining, "runs/x")
    loaded = (speaker.model, None, speaker.tokenizer)
    found = speaking.from_run(pretraining, "runs/x")
    assert found.text(speaker.ids("In spring")) == "In spring"
    rows = dict(speaking.told(found, pretraining).rows)
    assert rows["learned"] == "in a run"
    assert rows["vocabulary"] == f"{len(speaker.tokenizer):,} tokens"


def test_held_out_stories_are_not_those_that_a_speaker_learns_from() -> None:
    _, lesson = speaking.prepare(pretraining, num_stories=300)
    assert not set(speaking.held_out(30)) & set(lesson.train)


def test_every_token_that_a_call_reads_is_counted_and_only_while_it_is_asked_for(
    speaker: speaking.Speaker,
) -> None:
    with measuring.counted(speaker.model) as calls:
        speaker.model(torch.zeros(2, 5, dtype=torch.long))
        speaker.model(ids=torch.zeros(1, 3, dtype=torch.long))
    speaker.model(torch.zeros(1, 1, dtype=torch.long))
    assert calls == [10, 3]
    assert measuring.so_far(calls) == [10, 13]


def test_the_logits_of_a_text_are_those_after_each_of_its_tokens(speaker: speaking.Speaker) -> None:
    names, logits = measuring.logits_of(speaker, "One day")
    assert names == ["‖", "One", "␣day"]
    assert tuple(logits.shape) == (3, len(speaker.names))
    torch.testing.assert_close(measuring.after(speaker, "One"), logits[1:2])


def test_entropy_is_that_of_the_softmax_and_a_token_cut_off_adds_nothing() -> None:
    logits = torch.tensor([[0.0, 0.0, -math.inf, 0.0], [5.0, -math.inf, -math.inf, -math.inf]])
    assert measuring.entropy(logits).tolist() == pytest.approx([math.log(3), 0])
    assert measuring.num_kept(logits) == [3, 1]


def test_the_tail_is_what_the_likeliest_leave() -> None:
    found = table(0.5, 0.3, 0.15, 0.05)
    assert measuring.tail(found, ["ab", "c"], 1) == pytest.approx(0.5)
    assert measuring.tail(found, ["ab", "c"], 3) == pytest.approx(0.05)
    assert measuring.expected_without(0.05, 2) == pytest.approx(0.95**2)


def test_different_phrases_are_counted_over_all_texts_together() -> None:
    assert measuring.distinct(["a b c", "a b d"], 2) == pytest.approx(3 / 4)
    assert measuring.distinct(["a b c d e"] * 4) == pytest.approx(2 / 8)
    assert measuring.distinct(["too short"]) == 0


def test_stories_of_the_corpus_are_sound_and_a_false_or_broken_one_is_not() -> None:
    told = next(text for text in speaking.held_out(40) if "<|user|>" not in text)
    assert measuring.judge([told])[:2] == (1, 1)
    hero = told.split(" wanted ")[0].split()[-1]
    place = told.rindex(hero)
    lie = told[:place] + ("Ida" if hero != "Ida" else "Leo") + told[place + len(hero) :]
    assert storyworld.read(lie).is_grammatical
    assert measuring.judge([told, lie])[:2] == (1, 0.5)
    assert measuring.judge([told, "no story"])[:2] == (0.5, 0.5)


def test_stories_end_where_the_model_ends_them_and_a_seed_tells_them_again() -> None:
    found = table(*[0.0] * 97, 0.5, *[0.0] * 158, 0.5)
    args = reference.SamplingArgs()
    first, again, other = (measuring.write_stories(reference, found, args, 8, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert {character for text in first for character in text} == {"a"}
    assert min(map(len, first)) == 0
    endless = measuring.write_stories(reference, table(*[0.0] * 97, 1.0), args, 2)
    assert endless == ["a" * 15] * 2


def test_settings_are_compared_within_the_budget(
    speaker: speaking.Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=3")
    assert measuring.num_stories() == 3
    found = measuring.compare(reference, speaker, {"0": reference.SamplingArgs(0.0)})
    assert found["0"].grammatical == 0
    assert len(str(found["0"])) == len(str(measuring.Judged(1, 1, 1)))


def test_a_reply_that_is_the_answer_and_nothing_else_is_right_and_kinds_are_told_apart(
    speaker: speaking.Speaker,
) -> None:
    asked = list(storyworld.questions(6))
    replies = iter([*(question.answer for question in asked[:5]), asked[5].answer + " Yes."])
    calls: list[tuple[Any, ...]] = []

    def write(*given: Any) -> list[str]:
        calls.append(given)
        return [next(replies)]

    mine = SimpleNamespace(SamplingArgs=reference.SamplingArgs, write=write)
    found = answering.answers(mine, speaker, 6)
    assert [each.is_right for each in found] == [True] * 5 + [False]
    assert dict(answering.told(found).rows)["all questions"] == "5 of 6"
    _, _, prompt, _, args, stops = calls[0]
    assert prompt == "<|endoftext|>" + asked[0].prompt
    assert args.temperature == 0
    assert stops == ("<|end|>", "<|endoftext|>")


def test_a_reply_ends_at_the_end_of_its_turn(speaker: speaking.Speaker) -> None:
    end = table(*[0.0] * 97, 1.0)
    assert answering.reply(reference, end, "Who?") == "a" * answering.MOST
    silent = table(*[0.0] * (256 + 3), 1.0)
    assert answering.reply(reference, silent, "Who?") == ""


def test_every_figure_shows_what_it_is_given() -> None:
    laws = figures.laws(["a", "b"], {"cold": [0.9, 0.1], "hot": [0.5, 0.5]})
    assert len(laws.axes[0].patches) == 4
    along = figures.along(["a", "b", "c"], {"top-k": [5, 5, 5], "top-p": [1, 9, 2]}, "kept")
    assert [list(line.get_ydata()) for line in along.axes[0].lines] == [[5, 5, 5], [1, 9, 2]]
    work = figures.work({"plain": [3, 7, 12]})
    assert list(work.axes[0].lines[0].get_xdata()) == [1, 2, 3]
    points = {"temperature": [("0.5", 0.4, 0.9), ("1.0", 0.6, 0.7)]}
    bargains = figures.bargains(points, ("the corpus", 0.8, 1.0))
    assert {text.get_text() for text in bargains.axes[0].texts} == {"0.5", "1.0"}
    assert [text.get_text() for text in bargains.axes[0].get_legend().get_texts()] == [
        "temperature",
        "the corpus",
    ]


def test_a_talk_is_kept_with_each_question_answer_and_verdict() -> None:
    found = talked.talked(minutes=None, steps=3, max_documents=200, vocab_size=400)
    lines = found["written"]["text"].splitlines()
    asked = [question for _, questions in talked.stories() for question in questions]
    assert sum(line.startswith("story> ") for line in lines) == talked.STORIES == len(talked.stories())
    assert [line[5:] for line in lines if line.startswith("you> ")] == [*asked, talked.REQUEST]
    assert found["results"]["judged"] == len(asked) + 1
    assert found["results"]["right"] == 0
    notes = [line for line in lines if line.startswith("  [")]
    assert len(notes) >= len(asked) + 1
    assert not any(line.startswith("  [right") for line in notes)
    assert "after 3 steps" in found["written"]["told"]
    assert max(map(len, lines)) <= 110


def test_the_talk_of_the_readme_is_one_of_its_own_stories_and_mostly_right() -> None:
    made = json.loads((COURSE_ROOT / "docs/evidence/talk.json").read_text(encoding="utf-8"))
    assert made["results"]["right"] > made["results"]["judged"] / 2
    text = " ".join(made["written"]["text"].split())
    for story, questions in talked.stories():
        assert f"story> {story}" in text
        assert all(f"you> {question}" in text for question in questions)


@pytest.fixture(scope="module")
def trained() -> speaking.Speaker:
    """The model of the chapter, as its first cell trains it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COURSE_BUDGET", raising=False)
        return speaking.learn(pretraining, view=Quiet())


@pytest.mark.slow
def test_a_greedy_model_tells_one_story_and_a_drawing_one_as_many_as_the_corpus(
    trained: speaking.Speaker,
) -> None:
    beginnings = storyworld.DEFAULT_WORLD.times
    told = [
        trained.text(reference.generate(trained.model, trained.ids(text), 120, speaking.CONTEXT))
        for text in beginnings
    ]
    others = speaking.held_out(len(told))
    assert measuring.distinct(told) < 0.6 * measuring.distinct(others)
    assert storyworld.read(told[0]).is_grammatical


@pytest.mark.slow
def test_top_p_breaks_as_few_stories_as_a_temperature_that_leaves_fewer_phrases(
    trained: speaking.Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COURSE_BUDGET", raising=False)
    corpus = measuring.judge(speaking.held_out(measuring.num_stories()))
    given: dict[str, dict[str, Any]] = {
        "plain": {},
        "hot": {"temperature": 1.2},
        "cold": {"temperature": 0.3},
    }
    given |= {"p": {"top_p": 0.9}, "k": {"top_k": 5}, "few": {"top_k": 2}, "timid": {"temperature": 0.7}}
    settings = {name: reference.SamplingArgs(**args) for name, args in given.items()}
    found = measuring.compare(reference, trained, settings)
    assert corpus[:2] == (1, 1)
    assert found["hot"].grammatical < 0.95 * found["plain"].grammatical
    assert abs(found["plain"].distinct - corpus.distinct) < 0.05
    assert found["p"].grammatical >= found["plain"].grammatical
    assert found["p"].distinct > 0.9 * corpus.distinct
    assert found["few"].distinct < found["cold"].distinct < 0.95 * found["p"].distinct
    assert found["p"].grammatical > found["timid"].grammatical - 0.06
    assert found["p"].distinct > found["timid"].distinct
    assert found["p"].sound > found["plain"].sound
    assert max(each.sound for each in found.values()) < corpus.sound


@pytest.mark.slow
def test_a_model_of_a_minute_answers_better_than_by_guessing(trained: speaking.Speaker) -> None:
    rows = dict(answering.told(answering.answers(reference, trained, 100)).rows)
    right, asked = map(int, rows["all questions"].split(" of "))
    assert asked == 100
    assert right > 30


@pytest.mark.slow
def test_the_free_places_of_a_story_have_as_many_likely_tokens_as_the_chapter_says(
    trained: speaking.Speaker,
) -> None:
    text = "One day, Ada wanted a red bike. But"
    free = [
        measuring.entropy(measuring.after(trained, f"{text}{more}")).exp().item()
        for more in ("", " Ben had", " Ben had hidden the red bike near the", " Ben had hidden the")
    ]
    assert [round(value) for value in (free[0], free[3])] == [5, 1]
    assert 8 < free[1] < 11
    assert 17 < free[2] < 24
    names, logits = measuring.logits_of(trained, f"{text} Ben had hidden the red bike near the barn. So Ada")
    kept = measuring.num_kept(reference.keep_top_p(logits, 0.9))
    assert set(kept[1:]) <= set(range(1, 20))
    assert max(kept) > 10
    assert min(kept) == 1
    assert small.mean_of_last(trained.losses) < 0.6
    assert len(names) == len(kept)
