"""1.11, encoding, fast: known mistakes of the part that remembers words."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from coursekit.probe import mistake
from step1_tokenizer.further_solution import encode_fast, encode_word_fast
from step1_tokenizer.model_solution import split_words, text_to_bytes

Both = dict[str, Callable[..., Any]]
Cache = MutableMapping[str, Any]


def both(text: Any = encode_fast, word: Any = encode_word_fast) -> Both:
    """Return an implementation of the pair; what is not given is right."""
    return {"encode_fast": text, "encode_word_fast": word}


def with_word(word: Callable[..., Any], cut: Callable[[str], list[str]] = split_words) -> Both:
    """Return the pair with another way to encode a word."""

    def encode(text: str, ranks: Any, cache: Cache, byte_ids: Sequence[int] = range(256)) -> list[int]:
        ids: list[int] = []
        for one in cut(text):
            if one not in cache:
                cache[one] = word([byte_ids[byte] for byte in text_to_bytes(one)], ranks)
            ids += cache[one]
        return ids

    return both(encode, word)


def start(word: str, byte_ids: Sequence[int]) -> list[int]:
    """Return the ids of a word's bytes."""
    return [byte_ids[byte] for byte in text_to_bytes(word)]


@mistake("1.11")
def nothing_remembered() -> Both:
    """Your encode_fast puts nothing into the cache. The next text has most of these words again."""

    def encode(text: str, ranks: Any, cache: Cache, byte_ids: Sequence[int] = range(256)) -> list[int]:
        rows = (cache.get(w) or encode_word_fast(start(w, byte_ids), ranks) for w in split_words(text))
        return [token for row in rows for token in row]

    return both(encode)


@mistake("1.11")
def cache_not_asked() -> Both:
    """Your encode_fast fills the cache and never looks into it: each word is encoded every time that it
    comes.
    """

    def encode(text: str, ranks: Any, cache: Cache, byte_ids: Sequence[int] = range(256)) -> list[int]:
        ids: list[int] = []
        for word in split_words(text):
            cache[word] = encode_word_fast(start(word, byte_ids), ranks)
            ids += cache[word]
        return ids

    return both(encode)


@mistake("1.11")
def texts_remembered() -> Both:
    """Your encode_fast remembers whole texts, not words. Texts hardly ever come twice; their words do."""

    def encode(text: str, ranks: Any, cache: Cache, byte_ids: Sequence[int] = range(256)) -> list[int]:
        if text not in cache:
            rows = (encode_word_fast(start(word, byte_ids), ranks) for word in split_words(text))
            cache[text] = [token for row in rows for token in row]
        return list(cache[text])

    return both(encode)


@mistake("1.11")
def cache_written_into() -> Both:
    """Your encode_fast adds to a list that is in the cache: the first word's ids become those of the whole
    text, and the next text that holds this word gets them. Begin with a list of your own.
    """

    def encode(text: str, ranks: Any, cache: Cache, byte_ids: Sequence[int] = range(256)) -> list[int]:
        ids = None
        for word in split_words(text):
            if word not in cache:
                cache[word] = encode_word_fast(start(word, byte_ids), ranks)
            if ids is None:
                ids = cache[word]
            else:
                ids += cache[word]
        return ids or []

    return both(encode)


@mistake("1.11", called="The whole text is taken for one word")
def not_cut_into_words() -> Both:
    """Your encode_fast takes the whole text for one word, so that tokens cross from word to word and nothing
    is ever found in the cache.
    """
    return with_word(encode_word_fast, cut=lambda text: [text] if text else [])


@mistake("1.11")
def byte_ids_ignored() -> Both:
    """Your encode_fast takes each byte for its own id. Where bytes are numbered otherwise, byte_ids[b] is the
    id of byte b.
    """

    def encode(text: str, ranks: Any, cache: Cache, byte_ids: Sequence[int] = range(256)) -> list[int]:
        return encode_fast(text, ranks, cache)

    return both(encode)


@mistake("1.11")
def order_of_words_lost() -> Both:
    """Your encode_fast returns the ids of distinct words, each once. The text has its words in their order,
    and as often as they occur.
    """

    def encode(text: str, ranks: Any, cache: Cache, byte_ids: Sequence[int] = range(256)) -> list[int]:
        words = dict.fromkeys(split_words(text))
        encode_fast(text, ranks, cache, byte_ids)
        return [token for word in words for token in cache[word]]

    return both(encode)
