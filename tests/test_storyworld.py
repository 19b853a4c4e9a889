"""The law of the stories: listed whole for a small world, and drawn, weighed and read in the large one."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import NormalDist

import pytest

from coursekit.corpora.storyworld import (
    DEFAULT_WORLD,
    END,
    SPECIAL_TOKENS,
    USER,
    World,
    draw,
    every_story,
    floor,
    held_out_story,
    is_held_out,
    log_prob,
    read,
    stories,
    story,
    story_corpus,
)
from coursekit.corpora.storyworld.law import Floor
from coursekit.corpora.storyworld.plot import tell
from coursekit.corpora.storyworld.telling import Options, Weighing

FALSE_ALARM = 1e-9


def small_world(num_questions: int = 0) -> World:
    """A world of 3 people and 2 things, with few enough stories to list."""
    return World(
        names=("Ada", "Ben", "Cleo"),
        colors=("red",),
        things=("bike", "pie"),
        places={"dark": ("barn", "cave")},
        tools={"dark": "lamp"},
        damages={"wet": ("dried", "towel")},
        times=("One day",),
        fates=("hidden",),
        takings=("kept",),
        deeds=("sing",),
        joys=("happy",),
        sorrows=("sad",),
        num_events=0,
        num_questions=num_questions,
    )


SMALL = small_world()


@cache
def listed() -> dict[str, float]:
    """All stories of the small world with their probabilities."""
    found = [(text, math.exp(log)) for text, log in every_story(SMALL)]
    assert len(dict(found)) == len(found), "two derivations make the same text"
    return dict(found)


def test_the_probabilities_of_all_stories_of_a_small_world_sum_to_one() -> None:
    assert 1_000 < len(listed()) < 20_000
    assert math.fsum(listed().values()) == pytest.approx(1, abs=1e-12)


def test_reading_gives_every_story_of_a_small_world_its_probability() -> None:
    for text, share in list(listed().items())[::7]:
        assert log_prob(text, SMALL) == pytest.approx(math.log(share), abs=1e-9), text


def test_the_floor_by_monte_carlo_is_the_entropy_of_the_list() -> None:
    entropy = -math.fsum(share * math.log(share) for share in listed().values())
    size = math.fsum(share * len(text) for text, share in listed().items())
    found = floor(4_000, world=SMALL)
    exact = entropy / size / math.log(2)
    assert abs(found.bits_per_byte - exact) < 5 * found.standard_error
    assert 0 < found.standard_error < exact / 50
    assert found.nats_per_story == pytest.approx(entropy, rel=0.02)
    assert found.bytes_per_story == pytest.approx(size, rel=0.02)


def test_stories_are_drawn_as_often_as_they_are_likely() -> None:
    statistic, degrees = drawn_against(listed())
    assert statistic < chi_square_limit(degrees)


def test_the_test_of_the_law_rejects_a_wrong_law() -> None:
    wrong = {text: share * (1.5 if "kept" in text else 1.0) for text, share in listed().items()}
    total = sum(wrong.values())
    statistic, degrees = drawn_against({text: share / total for text, share in wrong.items()})
    assert statistic > chi_square_limit(degrees)


def chi_square_limit(degrees: int) -> float:
    """Return what chi-square passes with probability FALSE_ALARM (Wilson and Hilferty's approximation)."""
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + NormalDist().inv_cdf(1 - FALSE_ALARM) * math.sqrt(spread)) ** 3


def drawn_against(shares: dict[str, float], num_drawn: int = 20_000) -> tuple[float, int]:
    """Return Pearson's statistic of drawn stories, in bins of at least 20 expected each, and its degrees."""
    rng = random.Random(5)
    drawn = Counter(draw(rng, SMALL) for _ in range(num_drawn))
    assert set(drawn) <= set(shares)
    statistic, num_bins, expected, found = 0.0, 0, 0.0, 0
    for text, share in sorted(shares.items()):
        expected, found = expected + share * num_drawn, found + drawn[text]
        if expected >= 20:
            statistic += (found - expected) ** 2 / expected
            num_bins, expected, found = num_bins + 1, 0.0, 0
    return statistic, num_bins - 1


def test_the_probability_of_a_story_is_the_product_of_its_choices() -> None:
    text = (
        "One day, Ada wanted a red bike. But Ben had hidden the red bike near the barn. So Ada went to the"
        " barn with Anton. On the way, Anton found a flute. The flute was pink. Then Anton gave the flute"
        " to Emma. There, the barn was dark, so Ada got a lamp. Now Ada had the red bike. Ada was glad. At"
        " night, Ben put the red bike near the cave. <|user|> Who found the flute?"
        " <|assistant|> Anton.<|end|>\n"
    )
    # Thirty names are dealt out to six roles, 24 things to four.
    chances = [8 / 9 / 6, 1 / 5, 1 / 8, 1 / 6, 7 / 10, 1 / 5, 1 / 9, 1 / 20]
    chances += [7 / 10, 1 / 2, 1 / 5, 4 / 5, 1 / 2, 1 / 2, 1 / 6, 1 / 8]
    chances += [3 / 5, 1 / 2, 2 / 7, 1 / 5, 2 / 5, 1 / 2, 3 / 4, 1 / 2, 1 / 4, 6 / 10, 1 / 3, 1 / 20]
    # Twelve can be asked: what was wanted, by whom, its color, who had it first, where it was, who went with
    # Ada, who found the flute, its color, who has it, who got a lamp, who put the bike away, and where.
    chances += [1 / 4, 1 / 12, 2 / 5]
    assert log_prob(text) == pytest.approx(math.fsum(map(math.log, chances)), abs=1e-9)


def test_what_is_drawn_reads_with_the_probability_that_it_was_drawn_with() -> None:
    for number in range(300):
        drawn = Normal(random.Random(number))
        tell(drawn, DEFAULT_WORLD)
        assert log_prob(drawn.text) == pytest.approx(-drawn.total, abs=1e-9)


class Normal(Weighing):
    """Draws, and looks whether the shares of what can be chosen sum to one."""

    def choose(self, options: Options, without: Sequence[str] = (), only: Sequence[str] = ()) -> str:
        shares = [math.exp(options.log_share(text, without, only)) for text in options.texts]
        assert math.fsum(shares) == pytest.approx(1, abs=1e-12), options.kind
        return super().choose(options, without, only)


@cache
def large_floor() -> Floor:
    return floor(2_000)


def test_at_least_half_of_the_entropy_is_in_choices_that_change_what_happens() -> None:
    assert large_floor().mattering_share >= 0.5
    assert sum(large_floor().by_kind.values()) == pytest.approx(large_floor().nats_per_story)


def test_the_floor_agrees_with_the_mean_log_prob_of_other_stories() -> None:
    texts = [held_out_story(number, seed=3) for number in range(700)]
    mean = -math.fsum(map(log_prob, texts)) / sum(map(len, texts)) / math.log(2)
    assert abs(mean - large_floor().bits_per_byte) < 7 * large_floor().standard_error


def test_thousands_of_stories_read_as_grammatical_true_and_rightly_answered() -> None:
    answered = 0
    for number in range(1_500):
        reading = read(story(number, seed=9))
        assert reading.is_grammatical
        assert reading.is_true
        assert not reading.is_partial
        assert reading.is_right is not False
        assert reading.log_prob > -200
        answered += reading.is_right is True
    assert 0.2 < answered / 1_500 < 0.3


def test_a_third_of_the_stories_hold_a_dialogue() -> None:
    texts = [story(number, seed=1) for number in range(3_000)]
    assert sum(USER in text for text in texts) / 3_000 == pytest.approx(1 / 3, abs=0.05)
    assert {text.endswith(f"{END}\n") for text in texts if USER in text} == {True}
    assert all(text.count("\n") == 1 for text in texts)


def test_no_held_out_story_equals_a_training_story() -> None:
    for number in range(200):
        assert not is_held_out(story(number, seed=2))
        assert is_held_out(held_out_story(number, seed=2))
    assert story(3, seed=2) != held_out_story(3, seed=2)


def test_a_corpus_has_its_two_sides_from_the_two_sides() -> None:
    corpus = story_corpus(200)
    assert (len(corpus.train), len(corpus.held_out)) == (180, 20)
    assert all(is_held_out(file.data.decode()) for file in corpus.held_out)
    assert corpus.train[7].data.decode() == story(7)
    found = stories()
    assert [next(found), next(found)] == [story(0), story(1)]


def test_every_story_fits_the_smallest_context_with_a_small_tokenizer() -> None:
    from step1_tokenizer.model_solution import Tokenizer  # a learner's, of as many tokens as the preset has

    special = ["<|endoftext|>", *SPECIAL_TOKENS]
    tokenizer = Tokenizer.train((story(number) for number in range(1_000)), 1_024, special)
    sizes = [len(tokenizer.encode(story(number, seed=4), special)) for number in range(400)]
    assert max(sizes) + 2 <= 256
    assert sum(sizes) / 400 < 110
    words = {word for row in DEFAULT_WORLD.places.values() for word in row}
    for word in (*words, *DEFAULT_WORLD.things, *DEFAULT_WORLD.names, *DEFAULT_WORLD.colors):
        assert len(tokenizer.encode_ordinary(f" {word}")) == 1, word


def broken_worlds() -> Iterator[tuple[dict[str, object], str]]:
    yield {"names": ("Ada", "Ben")}, "names must be at least 6 for 3 events, got 2"
    yield {"colors": ("dark red",)}, "a word must be ASCII letters, got 'dark red'"
    yield {"places": {"dark": ()}}, "places must be at least 1 for 3 events, got 0"
    yield {"things": ("pie",)}, "things must be at least 4 for 3 events, got 1"


@pytest.mark.parametrize(("changes", "message"), list(broken_worlds()))
def test_a_world_that_could_run_out_of_words_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        World(**changes)  # type: ignore[arg-type]


def test_options_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="no option may begin another, got ' cart' and ' cartoon'"):
        Options("thing", (" cartoon", " cart"))


def test_a_floor_needs_two_stories() -> None:
    with pytest.raises(ValueError, match="at least 2, for a standard error, got 1"):
        floor(1)
