"""1.merges, 1.everywhere and 1.roundtrip: whole tokenizers that are wrong in one place, each of which the
milestones must refuse.

A learner sees a milestone only when every exercise passes; these show that the milestones bite by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.mistakes import (
    bytes as data,
)
from step1_tokenizer.mistakes import (
    counting,
    encoding_word,
    merging,
    special,
    text_and_ids,
    training,
    words,
)
from step1_tokenizer.model_solution import Tokenizer

Patches = dict[str, Callable[..., Any]]


@mistake("1.merges")
def distinct_words() -> Patches:
    """Your training counts each distinct word once."""
    return {"count_pairs": counting.once_per_distinct_word}


@mistake("1.merges")
def ties_by_first_seen() -> Patches:
    """Your training breaks ties by what it saw first."""
    return {"train_bpe": training.ties_by_first_seen}


@mistake("1.merges")
def ties_by_bytes() -> Patches:
    """Your training breaks ties by the bytes behind a pair."""
    return {"train_bpe": training.ties_by_bytes}


@mistake("1.merges")
def overlaps_without_counting() -> Patches:
    """Your training does not count pairs of equal ids that overlap."""
    return {"count_pairs": counting.without_overlaps}


@mistake("1.merges")
def merged_from_the_right() -> Patches:
    """Your training merges from right to left."""
    return {"merge_pair": merging.from_the_right}


@mistake("1.merges")
def one_too_many() -> Patches:
    """Your vocabulary has one token more than was asked for."""
    return {"train_bpe": training.one_too_many}


@mistake("1.merges")
def trained_on_python_words() -> Patches:
    r"""Your words are cut by Python's \w."""
    return {"split_words": words.python_words}


@mistake("1.merges")
def trained_without_spaces() -> Patches:
    """Your words have lost their spaces."""
    return {"split_words": words.spaces_lost}


@variant("1.merges")
def merges_by_other_means() -> Patches:
    """Counters, strings, two steps."""
    return {
        "count_pairs": counting.by_counter,
        "merge_pair": merging.by_characters,
        "train_bpe": training.in_two_steps,
        "split_words": words.by_finditer,
    }


@mistake("1.everywhere")
def leftmost() -> Patches:
    """Your words are merged from the left."""
    return {"encode_word": encoding_word.leftmost}


@mistake("1.everywhere")
def longest_match() -> Patches:
    """Your words are cut into the longest tokens that fit."""
    return {"encode_word": encoding_word.longest_match}


@mistake("1.everywhere")
def special_tokens_merged() -> Patches:
    """Your special tokens are cut like other text."""
    return {"Tokenizer.encode": special.merged_by_bpe}


@mistake("1.everywhere")
def other_contractions() -> Patches:
    """Your words have no contractions."""
    return {"split_words": words.no_contractions}


@mistake("1.everywhere")
def decoded_one_by_one() -> Patches:
    """Your tokens are decoded each alone."""
    return {"Tokenizer.decode": text_and_ids.each_token_alone()["Tokenizer.decode"]}


@mistake("1.everywhere")
def saved_without_merges() -> Patches:
    """Your saved folder has lost its merges."""

    def save(self: Any, folder: Any) -> None:
        Tokenizer.save(self, folder)
        path = Path(folder) / "tokenizer.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["model"]["merges"] = []
        path.write_text(json.dumps(content), encoding="utf-8")

    return {"Tokenizer.save": save}


@variant("1.everywhere")
def encoded_by_other_means() -> Patches:
    """Places, memory, all merges in their order."""
    return {
        "encode_word": encoding_word.training_again,
        "Tokenizer.encode": special.by_places,
        "split_words": words.by_finditer,
        **text_and_ids.with_memory(),
    }


@mistake("1.roundtrip")
def spaces_lost() -> Patches:
    """Your words lose their spaces."""
    return {"split_words": words.spaces_lost}


@mistake("1.roundtrip")
def ascii_only() -> Patches:
    """Your bytes are those of the ASCII characters alone."""
    return data.ascii_only()


@mistake("1.roundtrip")
def characters_for_bytes() -> Patches:
    """Your bytes are numbers of characters."""
    return data.characters_for_bytes()


@mistake("1.roundtrip")
def read_one_by_one() -> Patches:
    """Your tokens are decoded each alone."""
    return {"Tokenizer.decode": text_and_ids.each_token_alone()["Tokenizer.decode"]}


@mistake("1.roundtrip")
def last_id_lost() -> Patches:
    """Your merging loses the last id of a word."""
    return {"merge_pair": merging.last_id_lost}


@variant("1.roundtrip")
def back_by_other_means() -> Patches:
    """Bits, recursion, places."""
    return {
        **data.by_bits(),
        "merge_pair": merging.by_iterator,
        "encode_word": encoding_word.place_by_place,
        "Tokenizer.encode": special.refused_first,
    }
