"""What the tutorial of step 1 measures: words that were never seen, vocabularies and what they cost."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence

from coursekit.corpora.python import python_library
from step1_tokenizer.further_solution import encode_fast, train_bpe_fast
from step1_tokenizer.model_solution import Tokenizer, count_words, split_words

# The same sentence of the Universal Declaration of Human Rights (1948), article 1, and two pieces of code.
SAMPLES = {
    "English": "All human beings are born free and equal in dignity and rights.",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。",
    "code": "for i in range(10):\n    print(i, end=' ')",
    "emoji": "👩‍👩‍👧 👍🏽 🇳🇴",
    "numbers": "3.14159 1234567 12:30",
}


@functools.cache
def python_texts(num_bytes: int = 1_000_000, held_out: bool = False) -> tuple[str, ...]:
    """Return files of the standard library, `num_bytes` together at least; training and held-out files are
    disjoint.
    """
    corpus = python_library()
    chosen: list[str] = []
    size = 0
    for file in corpus.held_out if held_out else corpus.train:
        chosen.append(file.data.decode("utf-8"))
        size += len(file.data)
        if size >= num_bytes:
            break
    return tuple(chosen)


@functools.cache
def trained(vocab_size: int, num_bytes: int = 1_000_000) -> Tokenizer:
    """Return the reference tokenizer of this size, trained on the standard library."""
    words = count_words(python_texts(num_bytes))
    by_character = {"".join(map(chr, word)): count for word, count in words.items()}
    return Tokenizer(train_bpe_fast(by_character, vocab_size))


def unseen_share(train: Iterable[str], test: Iterable[str]) -> tuple[int, float]:
    """Return how many distinct words the training texts hold, and the share of the others' words not among
    them.
    """
    known = {word for text in train for word in split_words(text)}
    asked = [word for text in test for word in split_words(text)]
    return len(known), sum(word not in known for word in asked) / len(asked)


def bytes_per_token(tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    """Return how many bytes of these texts a token stands for on average."""
    cache: dict[str, Sequence[int]] = {}
    tokens = sum(len(encode_fast(text, tokenizer.ranks, cache, tokenizer.byte_ids)) for text in texts)
    return sum(len(text.encode()) for text in texts) / tokens


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    """Return what each token of a text looks like: its bytes as text, or as numbers where they are none."""
    shown = []
    for token in tokenizer.encode_ordinary(text):
        data = tokenizer.vocab[token]
        try:
            shown.append(data.decode("utf-8"))
        except UnicodeDecodeError:
            shown.append("".join(f"<{byte:02X}>" for byte in data))
    return shown


def repeated(texts: Iterable[str]) -> tuple[int, int]:
    """Return how many words the texts hold, and how many distinct ones."""
    counts = Counter(word for text in texts for word in split_words(text))
    return counts.total(), len(counts)
