"""The libraries that milestones are compared with, under the names that their probes use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from step1_tokenizer.checks.inputs import Pair

Word = tuple[int, ...]


def byte_characters() -> list[str]:
    """Return the character by which `tokenizers` shows each byte, found out by asking it."""
    from tokenizers import pre_tokenizers

    shows = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    table: dict[int, str] = {}
    # Every byte of UTF-8 is in one of these; the five that never occur in it are left over, in order.
    for character in map(
        chr, (*range(0x800), *range(0x800, 0x10000, 0x40), 0x10000, 0x40000, 0x80000, 0x100000)
    ):
        if not "\ud800" <= character <= "\udfff":
            for byte, shown in zip(character.encode(), shows.pre_tokenize_str(character)[0][0]):
                table[byte] = shown
    missing = sorted(set(range(256)) - set(table))
    spare = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(table.values()))
    table.update(zip(missing, spare, strict=True))
    return [table[byte] for byte in range(256)]


def byte_order() -> list[int]:
    """Return the number that `tokenizers` gives each byte: the place of its character among all 256."""
    characters = byte_characters()
    return [sorted(characters).index(character) for character in characters]


def count_words(texts: Iterable[str]) -> dict[Word, int]:
    """Return how often each word occurs, cut by `tokenizers`, as the tuple of its bytes."""
    from tokenizers import pre_tokenizers

    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_of = {character: byte for byte, character in enumerate(byte_characters())}
    counts = Counter(word for text in texts for word, _ in cut.pre_tokenize_str(text))
    return {tuple(byte_of[character] for character in word): count for word, count in counts.items()}


def train_bpe(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Return the merges that the trainer of `tokenizers` learns from words whose bytes have its numbers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    alphabet = sorted(byte_characters())
    trained = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    shown = ("".join(alphabet[i] for i in word) for word, count in word_counts.items() for _ in range(count))
    trained.train_from_iterator(shown, trainer)
    return merges_of(trained)


def merges_of(tokenizer: Any) -> list[Pair]:
    """Return the merges of a tokenizer of the library as pairs of its ids."""
    import json

    vocab = tokenizer.get_vocab()
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(vocab[first], vocab[second]) for first, second in merges]


class Tokenizer:
    """A tokenizer of the library `tokenizers` with these merges, under the names of the course."""

    def __init__(self, merges: Sequence[Pair], special_tokens: Sequence[str] = ()) -> None:
        from tokenizers import AddedToken, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Library

        shown = byte_characters()
        self.vocab = [bytes([byte]) for byte in range(256)]
        for first, second in merges:
            shown.append(shown[first] + shown[second])
            self.vocab.append(self.vocab[first] + self.vocab[second])
        pairs = [(shown[first], shown[second]) for first, second in merges]
        self.library = Library(models.BPE(vocab={text: i for i, text in enumerate(shown)}, merges=pairs))
        self.library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.library.decoder = decoders.ByteLevel()
        self.library.add_special_tokens([AddedToken(text, normalized=False) for text in special_tokens])
        self.vocab += [text.encode() for text in special_tokens]
        self.merges = list(merges)
        self.special_tokens = {text: self.library.token_to_id(text) for text in special_tokens}

    def encode(self, text: str, allowed_special: Collection[str] = ()) -> list[int]:
        """Return the ids of a text in which every special token is allowed."""
        assert set(allowed_special) == set(self.special_tokens)
        return self.library.encode(text).ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids, special tokens included."""
        return self.library.decode(list(ids), skip_special_tokens=False)

    def save(self, folder: Path) -> None:
        """Write the folder as the library does."""
        self.library.save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')


def library() -> Any:
    """Return `tokenizers` as an implementation of what the milestones use."""
    return SimpleNamespace(count_words=count_words, train_bpe=train_bpe, Tokenizer=Tokenizer)


class Unchanged:
    """A tokenizer whose ids are the text itself: what comes back is what was sent."""

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()) -> Unchanged:
        """Return one; there is nothing to learn."""
        return cls()

    def encode(self, text: str, allowed_special: Collection[str] = (), refuse: bool = True) -> str:
        """Return the text."""
        return text

    def encode_ordinary(self, text: str) -> str:
        """Return the text."""
        return text

    def decode(self, ids: str) -> str:
        """Return the text."""
        return ids


def unchanged() -> Any:
    """Return an implementation that loses nothing because it changes nothing."""
    return SimpleNamespace(Tokenizer=Unchanged)
