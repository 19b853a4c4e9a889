"""The tokenizer of a run: trained on its corpus, bytes alone, or one that is there already."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from coursekit.corpora.sources import documents
from coursekit.mine import State
from step1_tokenizer.published import HUB, NotThere, folder_of
from step3_pretrain.trainer.chain import TEXT, Chain
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import Options

OWN, BYTES = "own", "bytes"
# A vocabulary is learned from so many characters of the training side: more would change few merges.
SAMPLE = 4_000_000
# The plain training of 1.4 counts all pairs anew for every merge, so that it gets only the commonest words.
MOST_WORDS = 3_000
# Words whose ids are remembered at most: a large corpus has new ones without end.
MOST_REMEMBERED = 1_000_000
# Documents on which the memory of words is compared with the tokenizer itself.
COMPARED = 20
# Corpora that write their own dialogues; in texts of others these tokens are plain text.
WITH_DIALOGUES = ("storyworld",)


def tokenizer_for(chain: Chain, options: Options, vocab_size: int) -> Any:
    """Return the tokenizer that the options ask for, in the chain's own class.

    Raises CannotTrain for one that is not there or has no token for the end of a text.
    """
    special = chain.core.SPECIAL_TOKENS
    if options.tokenizer == BYTES:
        return chain.text.Tokenizer([], special)
    if options.tokenizer == OWN:
        return _trained(chain, options, vocab_size, special)
    name = options.tokenizer
    is_here = Path(name).expanduser().is_dir()
    try:
        folder = folder_of(
            str(Path(name).expanduser()) if is_here or name.startswith(HUB) else f"{HUB}{name}"
        )
        tokenizer = chain.text.Tokenizer.load(folder)
    except (NotThere, ValueError) as error:
        raise CannotTrain(f"--tokenizer must be own, bytes, a folder or a name of the hub: {error}") from None
    if chain.core.END_OF_TEXT not in tokenizer.special_tokens:
        rule = f"a tokenizer must have the special token {chain.core.END_OF_TEXT}"
        raise CannotTrain(f"{rule}, which ends a document, got {name} without it")
    return tokenizer


def _trained(chain: Chain, options: Options, vocab_size: int, special: tuple[str, ...]) -> Any:
    room = vocab_size - len(special)
    if room < 256:
        rule = f"--vocab-size must be at least 256 bytes + {len(special)} special tokens"
        raise CannotTrain(f"{rule}, got {vocab_size}")
    texts = islice(documents(options.corpus, "train"), options.max_documents)
    counts = Counter(word for text in _sample(texts) for word in chain.text.split_words(text))
    if _has_fast_training(chain):
        packed: Counter[str] = Counter()
        for word, count in counts.items():
            packed[bytes(chain.text.text_to_bytes(word)).decode("latin-1")] += count
        merges = chain.file(TEXT, "further").train_bpe_fast(packed, room)
    else:
        words: Counter[tuple[int, ...]] = Counter()
        for word, count in counts.most_common(MOST_WORDS):
            words[tuple(chain.text.text_to_bytes(word))] += count
        merges = chain.text.train_bpe(words, room)
    return chain.text.Tokenizer(merges, special)


def _sample(texts: Iterable[str]) -> Iterable[str]:
    """Yield the first texts, of SAMPLE characters together or a little more."""
    size = 0
    for text in texts:
        yield text
        size += len(text)
        if size >= SAMPLE:
            return


def _has_fast_training(chain: Chain) -> bool:
    """Return whether 1.10 is the chain's own: the reference's, or the learner's and passed."""
    if chain.is_reference:
        return True
    parts = chain.file(TEXT, "further").__parts__
    return any(part.id == "1.10" for part in parts.of(State.YOURS, State.SOLVED))


@dataclass
class Encoder:
    """Encodes documents as the tokenizer does, and remembers the ids of the words that it has met.

    What a word becomes does not depend on its neighbors. A tokenizer of which this does not hold shows it on
    the first documents, and is asked for whole texts from then on.
    """

    chain: Chain
    tokenizer: Any
    allowed: tuple[str, ...]
    words: dict[str, list[int]] = field(default_factory=dict)
    compared: int = 0
    has_memory: bool = True

    def __call__(self, text: str) -> list[int]:
        """Return the ids of a document; special tokens that are not allowed in it are plain text."""
        if self.has_memory and self.compared >= COMPARED:
            return self._remembered(text)
        whole: list[int] = list(self.tokenizer.encode(text, self.allowed, refuse=False))
        self.has_memory = self.has_memory and self._remembered(text) == whole
        self.compared += 1
        return whole

    def _remembered(self, text: str) -> list[int]:
        ids: list[int] = []
        special = "|".join(map(re.escape, self.allowed))
        for piece in re.split(f"({special})", text) if special else [text]:
            if piece in self.allowed:
                ids.append(self.tokenizer.special_tokens[piece])
                continue
            for word in self.chain.text.split_words(piece):
                known = self.words.get(word)
                if known is None:
                    known = list(self.tokenizer.encode_ordinary(word))
                    if len(self.words) < MOST_REMEMBERED:
                        self.words[word] = known
                ids += known
        return ids


def encoder_for(chain: Chain, tokenizer: Any, corpus: str) -> Encoder:
    """Return the encoder of a corpus: only the dialogues of our own corpora have tokens for their turns."""
    own = [token for token in chain.core.SPECIAL_TOKENS if token in tokenizer.special_tokens]
    longest_first = tuple(sorted(own, key=len, reverse=True))
    return Encoder(chain, tokenizer, longest_first if corpus in WITH_DIALOGUES else ())
