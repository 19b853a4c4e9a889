"""Reading any text as a story: each kind of corruption is found and told apart, and losses are split."""

from __future__ import annotations

import math
import random
import re
from collections import Counter

import pytest

from coursekit.corpora.storyworld import (
    ASSISTANT,
    END,
    USER,
    Excess,
    held_out_story,
    log_prob,
    questions,
    read,
    requests,
    split,
    story,
)

TOLD = (
    "One day, Ada wanted a red bike. But Ben had hidden the red bike near the barn. So Ada went to the barn"
    " with Carl. There, the barn was dark, so Ada got a lamp. Now Ada had the red bike. Ada was glad. At"
    " night, Ben put the red bike near the cave. <|user|> Where is the bike? <|assistant|> Near"
    " the cave.<|end|>\n"
)


def test_a_story_is_covered_by_its_spans() -> None:
    reading = read(TOLD)
    assert reading.is_grammatical
    assert reading.is_true
    assert "".join(TOLD[span.start : span.end] for span in reading.spans) == TOLD
    assert "".join(span.said for span in reading.spans) == TOLD
    assert math.fsum(span.log_prob for span in reading.spans) == log_prob(TOLD) < -20
    kinds = {
        kind: [span.said for span in reading.spans if span.kind == kind] for kind in ("choice", "recall")
    }
    assert " ".join(said.strip() for said in kinds["recall"]) == (
        "red bike Ada barn barn Ada red bike Ada red bike cave"
    )
    assert kinds["choice"][:5] == ["One day", " Ada", " red", " bike", " But"]


def test_an_answer_says_what_was_asked_and_what_is_right() -> None:
    (answer,) = read(TOLD).answers
    assert (answer.question, answer.said, answer.right) == (
        "Where is the bike?",
        "cave",
        "cave",
    )
    assert TOLD[answer.span.start : answer.span.end] == " cave"
    assert read(TOLD).is_right is True
    assert read(TOLD[: TOLD.index(" " + USER)] + "\n").is_right is None


def test_a_recalled_fact_knows_how_far_back_it_was_said() -> None:
    distances = [(span.said, distance) for span, distance in read(TOLD).recalls()]
    assert distances[0] == (" red", len("red bike. But Ben had hidden the"))
    assert distances[3] == (" barn", len("barn. So Ada went to the"))
    assert distances[-1] == (" cave", len("cave. <|user|> Where is the bike? <|assistant|> Near the"))


CORRUPTIONS = {
    "a name swapped where it is recalled": ("So Ada went", "So Ben went", "false"),
    "a thing swapped": ("had the red bike", "had the red sled", "false"),
    "a place swapped": ("went to the barn", "went to the mill", "false"),
    "a name that is taken": ("with Carl", "with Ben", "false"),
    "a wrong answer": ("Near the cave.<", "Near the barn.<", "wrong"),
    "an answer of another kind": ("Near the cave.<", "Near Ben.<", "broken"),
    "a word dropped": ("had hidden the", "had the", "broken"),
    "a word of another kind": ("So Ada went", "So barn went", "broken"),
    "an unknown word": ("a red bike", "a purple bike", "broken"),
    "the wrong hardship": ("was dark", "was steep", "broken"),
    "a wrong place with its own hardship": (
        "the barn was dark, so Ada got a lamp",
        "the hill was steep, so Ada got a rope",
        "false",
    ),
    "another tool": ("got a lamp", "got a rope", "broken"),
    "somebody who is not there": ("so Ada got", "so Vera got", "false"),
    "a question that nobody asks": ("Where is the bike", "When is the bike", "broken"),
    "a dialogue without its end": (END, "", "broken"),
    "text after the end": ("\n", "\nOne day", "broken"),
    "two spaces": (" So Ada", "  So Ada", "broken"),
}


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_a_corruption_is_found_and_told_apart(what: str) -> None:
    old, new, verdict = CORRUPTIONS[what]
    assert TOLD.count(old) == 1
    text = TOLD.replace(old, new)
    reading = read(text)
    found = "broken" if not reading.is_grammatical else "true" if reading.is_true else "false"
    if found == "false" and reading.is_right is False:
        found = "wrong"
    assert found == verdict
    assert reading.log_prob == -math.inf
    assert not reading.is_partial
    if found == "broken":
        assert reading.broken_at is not None
        assert text[: reading.broken_at] == TOLD[: reading.broken_at]
        assert reading.broken_at >= TOLD.index(old) - 1
    else:
        assert reading.broken_at is None
        (wrong,) = [span for span in reading.spans if not span.is_true]
        assert text[wrong.start : wrong.end] == wrong.said
        assert wrong.start >= TOLD.index(old) - 1


def test_who_asks_for_a_thing_that_is_not_there_is_wrong_and_not_ungrammatical() -> None:
    told = "One day, Ada wanted a red bike. But Ben had kept the red bike near the barn."
    told += " So Ada went to the barn."
    found = " On the way, Ada found a flute. The flute was pink."
    got, asked = " There, Ben got the flute from Ada.", " There, Ben asked Ada to sing."
    end = " Now Ada had the red bike. Ada was glad.\n"
    for text, is_true in ((found + got, True), (asked, True), (got, False), (found + asked, False)):
        reading = read(told + text + end)
        assert reading.is_grammatical, text
        assert reading.is_true is is_true, text


def test_what_was_not_told_can_be_asked_but_not_answered() -> None:
    reading = read(TOLD.replace("Where is the bike", "Where is the drum"))
    assert reading.is_grammatical
    assert [span.said for span in reading.spans if not span.is_true] == [
        " Where is the drum?",
        " cave",
    ]
    assert reading.is_right is False
    assert reading.log_prob == -math.inf
    assert all(distance > 0 for _, distance in reading.recalls())


def test_one_false_fact_leaves_the_others_true() -> None:
    reading = read(TOLD.replace("So Ada went", "So Ben went"))
    assert [span.said for span in reading.spans if not span.is_true] == [" Ben"]
    assert reading.is_right is True


@pytest.mark.parametrize("number", range(3))
def test_a_text_that_breaks_off_is_partial_wherever_it_does(number: int) -> None:
    text = story(number, seed=6)
    for end in range(len(text)):
        reading = read(text[:end])
        assert reading.is_partial, text[:end]
        assert not reading.is_grammatical
        assert reading.broken_at is None
        assert reading.is_true
        assert reading.log_prob == -math.inf
    assert not read(text).is_partial


def test_where_a_text_breaks_says_what_could_stand_there() -> None:
    reading = read("One day, Ada wanted a plaid kite.")
    assert reading.broken_at == len("One day, Ada wanted a")
    assert " red" in reading.expected
    assert " plaid" not in reading.expected


def test_no_mixture_of_stories_stops_the_reader() -> None:
    rng = random.Random(1)
    verdicts: Counter[str] = Counter()
    for number in range(400):
        words = story(number, seed=7).split(" ")
        others = story(number, seed=8).split(" ")
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(min(len(words), len(others)))
            words[at] = others[at]
        reading = read(" ".join(words))
        assert (reading.broken_at is None) == (reading.is_grammatical or reading.is_partial)
        assert (reading.log_prob > -math.inf) == (reading.is_grammatical and reading.is_true)
        verdicts[
            "true" if reading.log_prob > -math.inf else "false" if reading.is_grammatical else "broken"
        ] += 1
    assert min(verdicts[verdict] for verdict in ("true", "false", "broken")) >= 3, verdicts


@pytest.mark.parametrize("text", ["", "x", "\n", END, USER, "äöü", TOLD[5:], TOLD + TOLD, "One day, Ada"])
def test_what_is_no_story_has_no_probability(text: str) -> None:
    assert log_prob(text) == -math.inf


def pieces(text: str, surprise: float) -> list[tuple[int, float]]:
    """Cut a text as a tokenizer does, each word with the space in front of it, every piece as surprising."""
    words = re.findall(r"<\|\w+\|>| ?\w+| ?[^\w\s<]+|\s", text)
    assert "".join(words) == text
    return [(len(word), surprise) for word in words]


def test_the_excess_of_the_law_itself_is_zero() -> None:
    spans = read(TOLD).spans
    law = [(span.end - span.start, -span.log_prob) for span in spans]
    excess = split(TOLD, [*law, (0, 0.0)])
    assert excess.total == pytest.approx(0, abs=1e-9)
    assert excess.share == pytest.approx(0, abs=1e-9)
    assert excess.bits_per_byte == pytest.approx(excess.floor_bits_per_byte)


def test_a_loss_is_split_by_what_the_text_is() -> None:
    parts = pieces(TOLD, 0.0)
    clean = split(TOLD, parts)
    place = TOLD.index(" went to the barn")
    starts = [sum(size for size, _ in parts[:i]) for i in range(len(parts))]

    def surprised_at(start: int) -> Excess:
        assert start in starts
        return split(TOLD, [(size, 2.0 * (at == start)) for at, (size, _) in zip(starts, parts)])

    barn = TOLD.index(" barn with")
    assert surprised_at(barn).recall - clean.recall == pytest.approx(2)
    assert surprised_at(place).form - clean.form == pytest.approx(2)
    assert surprised_at(TOLD.index(" Carl")).choice - clean.choice == pytest.approx(2)
    assert surprised_at(barn).by_name["recall of place"] - clean.by_name["recall of place"] == pytest.approx(
        2
    )
    end = split(TOLD, [*parts, (0, 0.7)])
    assert end.form - clean.form == pytest.approx(0.7)
    assert clean.num_recalls == 12
    assert clean.num_bytes == len(TOLD)
    assert surprised_at(barn).nats_per_recall == pytest.approx(2 / 12)


def test_excesses_add_up() -> None:
    texts = [held_out_story(number) for number in range(20)]
    parts = [split(text, pieces(text, 0.6)) for text in texts]
    total = sum(parts, Excess())
    assert total.num_bytes == sum(map(len, texts))
    assert total.floor == pytest.approx(-math.fsum(map(log_prob, texts)))
    assert total.total == pytest.approx(math.fsum(part.total for part in parts))
    loss = 0.6 * sum(len(pieces(text, 0.6)) for text in texts) / total.num_bytes / math.log(2)
    assert total.bits_per_byte == pytest.approx(loss)
    by_name = math.fsum(total.by_name.values())
    assert by_name == pytest.approx(total.choice + total.recall)


@pytest.mark.parametrize(("text", "size", "message"), [("no story", 8, "can be drawn"), (TOLD, 3, "got 3")])
def test_a_split_needs_a_story_and_all_of_its_tokens(text: str, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(text, [(size, 0.1)])


def test_questions_are_asked_of_held_out_stories_and_have_one_right_answer() -> None:
    found = list(questions(60, seed=4))
    assert len(found) == 60
    assert [question.prompt for question in found] == [question.prompt for question in questions(60, seed=4)]
    for question in found:
        assert question.prompt.endswith(ASSISTANT)
        assert question.question in question.prompt
        whole = read(f"{question.prompt}{question.answer}{END}\n")
        assert whole.is_grammatical
        assert whole.is_right
        assert question.is_right(f"{question.answer}{END}\n")
        assert not question.is_right(" Nobody." + END)
        last = question.answer.strip(" .").split()[-1]
        looked_back = len(question.prompt) - question.prompt.rindex(f" {last}") - 1
        assert looked_back <= question.distance <= looked_back + len(" Near the")
    assert len({question.question.split()[0] for question in found}) == 3


def test_requests_are_what_documents_begin_with() -> None:
    for prompt in requests(10):
        assert re.fullmatch(
            rf"{re.escape(USER)} Tell me about \w+, \w+ and a \w+ \w+\. {re.escape(ASSISTANT)}", prompt
        )
        assert read(prompt).is_partial
