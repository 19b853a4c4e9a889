"""1.7, encoding and decoding: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import (
    Tokenizer,
    bytes_to_text,
    encode_word,
    split_words,
    text_to_bytes,
)

Both = dict[str, Callable[..., Any]]


def both(encode: Any = Tokenizer.encode_ordinary, decode: Any = Tokenizer.decode) -> Both:
    """Return an implementation of the pair; what is not given is right."""
    return {"Tokenizer.encode_ordinary": encode, "Tokenizer.decode": decode}


def encoding(
    words: Callable[[str], Iterable[str]] = split_words,
    data: Callable[[str], Iterable[int]] = text_to_bytes,
    start: Callable[[Any, Iterable[int]], Iterable[int]] = lambda own, data: map(
        own.byte_ids.__getitem__, data
    ),
    merge: Callable[[Any, tuple[int, ...]], Iterable[int]] = lambda own, word: encode_word(word, own.ranks),
) -> Both:
    """Return the pair with one part of encoding exchanged."""

    def encode_ordinary(self: Any, text: str) -> list[int]:
        rows = (merge(self, tuple(start(self, data(word)))) for word in words(text))
        return list(chain.from_iterable(rows))

    return both(encode=encode_ordinary)


def decoding(join: Callable[[Any, list[int]], str]) -> Both:
    """Return the pair with another way to decode ids that are all in the vocabulary."""

    def decode(self: Any, ids: Iterable[int]) -> str:
        ids = list(ids)
        for token in ids:
            if not 0 <= token < len(self.vocab):
                raise ValueError(f"an id must be at least 0 and below {len(self.vocab)}, got {token}")
        return join(self, ids)

    return both(decode=decode)


@mistake("1.7", called="Merges run over the whole text, not inside words")
def not_cut_into_words() -> Both:
    """Your encode_ordinary merges over the whole text at once, without split_words, so that tokens cross from
    word to word. Training has never made such a token where words end.
    """
    return encoding(words=lambda text: [text])


@mistake("1.7")
def spaces_lost() -> Both:
    """Your encode_ordinary loses white space: it cuts the text with str.split. split_words keeps every
    character.
    """
    return encoding(words=lambda text: text.split())


@mistake("1.7")
def space_added() -> Both:
    """Your encode_ordinary puts a space in front of the text. Some tokenizers do; then decoding cannot tell
    whether there was one.
    """
    return encoding(words=lambda text: split_words(" " + text if text else text))


@mistake("1.7")
def stripped() -> Both:
    """Your encode_ordinary strips white space at the ends of the text. Nothing may be lost on the way."""
    return encoding(words=lambda text: split_words(text.strip()))


@mistake("1.7")
def characters_for_bytes() -> Both:
    """Your encode_ordinary takes the numbers of characters (ord) for bytes. é would become the id 233, which
    stands for another byte; text_to_bytes gives the right ones.
    """
    return encoding(data=lambda word: [ord(character) % 256 for character in word])


@mistake("1.7")
def byte_ids_ignored() -> Both:
    """Your encode_ordinary takes each byte for its own id. That holds as long as byte b has the id b; in
    GPT-2's vocabulary it does not. self.byte_ids[b] says.
    """
    return encoding(start=lambda own, data: data)


@mistake("1.7")
def not_merged() -> Both:
    """Your encode_ordinary gives the ids of bytes and merges nothing: encode_word is missing."""
    return encoding(merge=lambda own, word: word)


@mistake("1.7")
def special_here_too() -> Both:
    """Your encode_ordinary makes special tokens of text that looks like them. Here nothing is special;
    `encode` is the one that asks what is allowed.
    """

    def encode_ordinary(self: Any, text: str) -> list[int]:
        for token, number in sorted(self.special_tokens.items(), key=lambda item: -len(item[0])):
            before, found, after = text.partition(token)
            if found:
                return [*encode_ordinary(self, before), number, *encode_ordinary(self, after)]
        return Tokenizer.encode_ordinary(self, text)

    return both(encode=encode_ordinary)


@mistake("1.7")
def each_token_alone() -> Both:
    """Your decode reads each token by itself and joins the texts. A character whose bytes are spread over
    tokens is lost that way: join the bytes first, then read them.
    """
    return decoding(lambda own, ids: "".join(bytes_to_text(own.vocab[token]) for token in ids))


@mistake("1.7")
def joined_with_spaces() -> Both:
    """Your decode puts spaces between tokens. Spaces are in the tokens already, where the text had them."""
    return decoding(lambda own, ids: bytes_to_text(b" ".join(own.vocab[token] for token in ids)))


@mistake("1.7")
def decoding_raises() -> Both:
    """Your decode raises UnicodeDecodeError where the bytes are no UTF-8. A model may write any ids:
    bytes_to_text puts U+FFFD there.
    """
    return decoding(lambda own, ids: b"".join(own.vocab[token] for token in ids).decode())


@mistake("1.7")
def decoding_drops() -> Both:
    """Your decode drops bytes that spell no character. U+FFFD must show that something was there."""
    return decoding(lambda own, ids: b"".join(own.vocab[token] for token in ids).decode(errors="ignore"))


@mistake("1.7")
def decoding_strips() -> Both:
    """Your decode strips white space at the ends. It belongs to the text."""
    return decoding(lambda own, ids: bytes_to_text(b"".join(own.vocab[token] for token in ids)).strip())


@mistake("1.7")
def special_tokens_skipped() -> Both:
    """Your decode leaves special tokens out. Their text stands at the end of self.vocab, and belongs to what
    is decoded.
    """
    count = 256
    return decoding(
        lambda own, ids: bytes_to_text(
            b"".join(own.vocab[token] for token in ids if token < count + len(own.merges))
        )
    )


@mistake("1.7")
def bytes_are_ids() -> Both:
    """Your decode takes ids below 256 for bytes. Where bytes are numbered otherwise, only self.vocab knows
    which byte an id stands for.
    """
    return decoding(
        lambda own, ids: bytes_to_text(b"".join(bytes([t]) if t < 256 else own.vocab[t] for t in ids))
    )


@variant("1.7")
def by_parts() -> Both:
    """A comprehension with two loops; a bytearray that grows."""

    def encode_ordinary(self: Any, text: str) -> Any:
        starts = (tuple(map(self.byte_ids.__getitem__, text_to_bytes(word))) for word in split_words(text))
        return tuple(token for start in starts for token in encode_word(start, self.ranks))

    def join(own: Any, ids: list[int]) -> str:
        data = bytearray()
        for token in ids:
            data += own.vocab[token]
        return data.decode("utf-8", errors="replace")

    return both(encode_ordinary) | {"Tokenizer.decode": decoding(join)["Tokenizer.decode"]}


@variant("1.7")
def with_memory() -> Both:
    """Every distinct word is encoded once; chain over lists."""

    def encode_ordinary(self: Any, text: str) -> Any:
        words = split_words(text)
        known = {word: [self.byte_ids[byte] for byte in text_to_bytes(word)] for word in set(words)}
        known = {word: list(encode_word(tuple(start), self.ranks)) for word, start in known.items()}
        return [*chain(*(known[word] for word in words))]

    return both(
        encode_ordinary,
        decoding(lambda own, ids: bytes_to_text(b"".join(map(own.vocab.__getitem__, ids))))[
            "Tokenizer.decode"
        ],
    )
