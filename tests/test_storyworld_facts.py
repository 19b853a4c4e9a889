"""What stories say, checked by patterns alone: what comes later agrees with what was said before."""

from __future__ import annotations

import re
from collections import Counter

from coursekit.corpora.storyworld import USER, story


def test_stories_say_what_they_said_before_seen_without_their_program() -> None:
    checked: Counter[str] = Counter()
    for number in range(800):
        text = story(number, seed=12)
        told = text.partition("<|assistant|> ")[2] if text.startswith(USER) else text
        told = told.partition(f" {USER}")[0]
        hero, wanted = found(r", (\w+) wanted a (\w+ \w+)\.", told)
        where = found(r" near the (\w+)\.", told)[0]
        for place in re.findall(rf"So {hero} went to the (\w+)", told):
            assert place == where
            checked["place"] += 1
        for who, thing in re.findall(r"(?:Now|Yet) (\w+) (?:had|shared|broke) the (\w+ \w+)", told):
            assert (who, thing) == (hero, wanted)
            checked["outcome"] += 1
        for other in re.findall(rf"shared the {wanted} with (\w+)\.", told):
            assert other != hero
            assert re.search(rf"\b{other}\b", told.partition(" Now")[0])
            checked["company"] += 1
        for who, thing in re.findall(r"(?:way|Then),? ([A-Z]\w+) (?:gave|lost) the (\w+)", told):
            assert re.search(rf"{who} (?:found|met .* got) a {thing}\b", told.partition(f" the {thing}")[0])
            checked["gift"] += 1
        for friend, thing, who in re.findall(r"(\w+)(?: \w+ the \w+ and)? got the (\w+) from (\w+)", told):
            assert f"{friend} had" in told
            assert re.search(rf"{who} (?:found|met .* got) a {thing}\b", told)
            checked["trade"] += 1
        for thing, who in re.findall(r"Who found the (\w+)\? <\|assistant\|> (\w+)\.", text):
            assert f" {who} found a {thing}." in told
            checked["finder"] += 1
        for place in re.findall(
            rf"Where is the {wanted.split()[1]}\? <\|assistant\|> Near the (\w+)\.", text
        ):
            assert f"put the {wanted} near the {place}." in told
            checked["question"] += 1
    assert min(checked.values()) >= 5, checked
    assert len(checked) == 7


def found(pattern: str, text: str) -> tuple[str, ...]:
    """Return what the first match of a pattern holds."""
    match = re.search(pattern, text)
    assert match, text
    return match.groups()
