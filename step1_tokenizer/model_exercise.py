"""A byte-level BPE tokenizer, written out: text goes in, token ids come out, and every text comes back.

The file reads in the order of the tutorial: text and bytes, pairs and merges, training, words, encoding,
decoding, special tokens. Pure functions come before the class that holds them together.

Words of this step:

    byte       one of 256 values; every text is a row of them
    word       a piece of text that tokens never cross, as a tuple of ids: at first one id for each byte
    pair       two neighboring ids of a word
    merge      the rule that replaces a pair by one new id
    rank       the place of a merge in the order in which merges were learned: 0 was learned first
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

Pair = tuple[int, int]
Word = tuple[int, ...]


def text_to_bytes(text: str) -> bytes:
    """Return the text in UTF-8: one byte for each ASCII character, two to four for every other.

    A lone surrogate (U+D800 to U+DFFF) is half of a character and has no UTF-8; it is encoded as U+FFFD, the
    replacement character. Never raises.

    Source: The Unicode Standard, chapter 3.9; RFC 3629.
    Tutorial: docs/tutorials/step1_tokenizer.md#11-bytes
    """
    # 1. Put U+FFFD in the place of every lone surrogate.
    # 2. Encode what is left in UTF-8.
    # TODO 1.1: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 1.1 is not written yet: text_to_bytes in step1_tokenizer/model_exercise.py. "
        "Write it, or run: course solve 1.1"
    )


def bytes_to_text(data: bytes) -> str:
    """Return the text that these bytes spell in UTF-8, with U+FFFD for bytes that spell none.

    A token may end within a character, so that any bytes at all can arrive here. Never raises.

    Source: The Unicode Standard, chapter 3.9, "U+FFFD Substitution of Maximal Subparts".
    Tutorial: docs/tutorials/step1_tokenizer.md#11-bytes
    """
    # 1. Decode; where bytes are no UTF-8, let the replacement character stand.
    # TODO 1.1: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 1.1 is not written yet: bytes_to_text in step1_tokenizer/model_exercise.py. "
        "Write it, or run: course solve 1.1"
    )


def count_pairs(word_counts: Mapping[Word, int]) -> dict[Pair, int]:
    """Return how often each pair of neighbors occurs in a text, given how often each of its words does.

    A pair counts once for every place at which it stands, so (a, a) stands twice in (a, a, a), times the
    number of times that the word occurs. Pairs that occur nowhere are not in the result.

    Tutorial: docs/tutorials/step1_tokenizer.md#12-counting-pairs
    """
    # 1. Start with no pair counted.
    # 2. For each word, go through its neighbors; each place adds the word's count.
    # TODO 1.2: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 1.2 is not written yet: count_pairs in step1_tokenizer/model_exercise.py. "
        "Write it, or run: course solve 1.2"
    )


def merge_pair(ids: Word, pair: Pair, new_id: int) -> Word:
    """Return the word with every occurrence of the pair replaced by `new_id`, from left to right.

    Occurrences do not overlap: in (a, a, a) the first two become one, and the third stays.

    Tutorial: docs/tutorials/step1_tokenizer.md#13-merging-a-pair
    """
    # 1. Walk from left to right with an index that you move yourself.
    # 2. Where the pair stands, put the new id and step over both of its halves.
    # 3. Elsewhere keep the id and go one further.
    # TODO 1.3: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 1.3 is not written yet: merge_pair in step1_tokenizer/model_exercise.py. "
        "Write it, or run: course solve 1.3"
    )


def train_bpe(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Return the merges that BPE learns, in order: merge number i makes the token with id 256 + i.

    Each merge takes the pair that occurs most often; of several, the smallest, comparing first ids and then
    second ids. There are `vocab_size` - 256 merges, or fewer where no pair is left. Raises ValueError for a
    vocabulary without room for the 256 bytes.

    Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016), 3.2.
    Tutorial: docs/tutorials/step1_tokenizer.md#14-training
    """
    if vocab_size < 256:  # given
        raise ValueError(f"vocab_size must be at least 256, one for each byte, got {vocab_size}")  # given
    # 1. Begin with the words as they come, in a dict of your own, and with no merges.
    # 2. Go on until the vocabulary is full.
    # 3. Count all pairs; if there is none, stop: what cannot be merged is not invented.
    # 4. Take the pair with the highest count; of several, the smallest.
    # 5. Merge it in every word. Two words may become one only if they were one before.
    # TODO 1.4: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 1.4 is not written yet: train_bpe in step1_tokenizer/model_exercise.py. "
        "Write it, or run: course solve 1.4"
    )


def split_words(text: str) -> list[str]:
    r"""Cut a text into words as GPT-2 does: contractions, letters, numbers, the rest, white space.

    At each place the first of these that fits is taken, and as much of it as fits:

    1. one of 's 't 're 've 'm 'll 'd, as it stands: in lower case, with the apostrophe U+0027
    2. letters, with one space in front of them if there is one
    3. numbers, likewise
    4. anything else that is no white space, likewise
    5. white space, but for its last character if something other than white space follows
    6. white space

    Nothing is lost: the words, joined, are the text. "One space" is U+0020. The end of this file holds what
    Unicode calls letters, numbers and white space, ready for a regular expression: `LETTERS`, `NUMBERS` and
    `OTHERS` each match a run of at least one, as long as possible; `SPACE` goes between brackets. Python's
    own \w, \d and \s know other characters.

    Source: Radford et al. (2019), section 2.2, and the pattern published with their code.
    Tutorial: docs/tutorials/step1_tokenizer.md#15-words
    """
    # 1. Write the six alternatives as one regular expression, in this order.
    # 2. Find all its matches, from left to right.
    # TODO 1.5: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 1.5 is not written yet: split_words in step1_tokenizer/model_exercise.py. "
        "Write it, or run: course solve 1.5"
    )


def encode_word(word: Word, ranks: Mapping[Pair, int]) -> Word:
    """Return the ids of a word: of all pairs that it holds, the one learned first is merged, again and again.

    `ranks` gives each pair that was merged in training the id of the new token. Tokens are numbered as they
    were learned, so the smallest id belongs to the earliest merge. Merging in this order, and not from the
    left or the longest first, repeats what training did to the word.

    Source: Sennrich et al. (2016), section 3.2.
    Tutorial: docs/tutorials/step1_tokenizer.md#16-encoding-a-word
    """
    # 1. Look at all pairs of the word that have a rank; when there is none, the word is done.
    # 2. Merge the one that was learned first, wherever it stands.
    # TODO 1.6: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 1.6 is not written yet: encode_word in step1_tokenizer/model_exercise.py. "
        "Write it, or run: course solve 1.6"
    )


class Tokenizer:
    """A trained tokenizer: the 256 bytes, then merges in the order they were learned, then special tokens.

    `byte_ids[b]` is the id of byte b: b itself, unless the vocabulary comes from elsewhere (GPT-2 numbers the
    bytes in another order). Raises ValueError where merges or special tokens contradict each other.

    Tutorial: docs/tutorials/step1_tokenizer.md#17-encoding-and-decoding
    """

    def __init__(
        self, merges: Iterable[Pair], special_tokens: Sequence[str] = (), byte_ids: Sequence[int] = range(256)
    ) -> None:
        if sorted(byte_ids) != list(range(256)):
            raise ValueError("byte_ids must hold each of 0 to 255 once")
        self.byte_ids = tuple(byte_ids)
        self.merges = list(merges)
        self.vocab: list[bytes] = [b""] * 256
        for byte, token in enumerate(self.byte_ids):
            self.vocab[token] = bytes([byte])
        self.ranks: dict[Pair, int] = {}
        for first, second in self.merges:
            if not 0 <= min(first, second) <= max(first, second) < len(self.vocab):
                raise ValueError(f"a merge must join two tokens that are there, got {first} and {second}")
            if (first, second) in self.ranks:
                raise ValueError(f"a pair can be merged once, got {first} and {second} again")
            self.ranks[first, second] = len(self.vocab)
            self.vocab.append(self.vocab[first] + self.vocab[second])
        for text in special_tokens:
            if not text or special_tokens.count(text) > 1:
                raise ValueError(f"special tokens must be different texts and not empty, got {text!r}")
        self.special_tokens = {text: len(self.vocab) + i for i, text in enumerate(special_tokens)}
        self.vocab += [text_to_bytes(text) for text in special_tokens]

    def __len__(self) -> int:
        return len(self.vocab)

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the ids of a text in which nothing is special: text -> words -> bytes -> ids.

        What looks like a special token is plain text here.

        Tutorial: docs/tutorials/step1_tokenizer.md#17-encoding-and-decoding
        """
        # 1. Cut the text into words; each word becomes bytes, each byte its id.
        # 2. Merge inside each word alone, and put all ids in a row.
        # TODO 1.7: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 1.7 is not written yet: "
            "Tokenizer.encode_ordinary in step1_tokenizer/model_exercise.py. "
            "Write it, or run: course solve 1.7"
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of these ids, special tokens included.

        Characters can be spread over tokens, so bytes are joined first and decoded together: token by token
        would lose every character that is. Raises ValueError for an id that the vocabulary does not have.

        Tutorial: docs/tutorials/step1_tokenizer.md#17-encoding-and-decoding
        """
        ids = list(ids)  # given
        for token in ids:  # given
            if not 0 <= token < len(self.vocab):  # given
                raise ValueError(f"an id must be from 0 to {len(self.vocab) - 1}, got {token}")  # given
        # 1. Look up the bytes of every id and join them.
        # 2. Decode all of them at once.
        # TODO 1.7: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 1.7 is not written yet: Tokenizer.decode in step1_tokenizer/model_exercise.py. "
            "Write it, or run: course solve 1.7"
        )

    def encode(self, text: str, allowed_special: Collection[str] = (), refuse: bool = True) -> list[int]:
        """Return the ids of a text in which the special tokens named in `allowed_special` are one id each.

        Where several special tokens begin at one place, the longest is meant. A special token that is in the
        text but not allowed is refused with ValueError: text from strangers must not end a conversation.
        With `refuse=False` it is encoded as the text that it looks like.

        Tutorial: docs/tutorials/step1_tokenizer.md#18-special-tokens
        """
        # 1. Find special tokens in the text, at each place the longest one first.
        # 2. An allowed one is one id; the text before it is ordinary and ends there.
        # 3. One that is not allowed is refused, or is ordinary text like what stands around it.
        # TODO 1.8: write the numbered steps, then delete the next statement.
        raise NotImplementedError(
            "exercise 1.8 is not written yet: Tokenizer.encode in step1_tokenizer/model_exercise.py. "
            "Write it, or run: course solve 1.8"
        )

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()) -> Tokenizer:
        """Return a tokenizer trained on texts: at most `vocab_size` tokens, bytes and special ones included.

        Raises ValueError for a vocabulary without room for the bytes and the special tokens.
        """
        if vocab_size < 256 + len(special_tokens):
            rule = f"vocab_size must be at least 256 + {len(special_tokens)} special tokens"
            raise ValueError(f"{rule}, got {vocab_size}")
        merges = train_bpe(count_words(texts), vocab_size - len(special_tokens))
        return cls(merges, special_tokens)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as `tokenizers` and `transformers` read them.

        Each file is there whole or not at all. Two tokens of equal bytes cannot be told apart in this format:
        raises ValueError for them.
        """
        shown = [_as_characters(data) for data in self.vocab[: 256 + len(self.merges)]]
        if len(set(shown)) < len(shown):
            twice = next(data for data, count in Counter(shown).items() if count > 1)
            raise ValueError(f"every token must have bytes of its own to be saved, got {twice!r} twice")
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        added = [{"id": i, "content": text, **flags} for text, i in self.special_tokens.items()]
        model = {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {characters: i for i, characters in enumerate(shown)},
            "merges": [[shown[first], shown[second]] for first, second in self.merges],
        }
        content = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": None,
            "decoder": byte_level,
            "model": model,
        }
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        _write_json(Path(folder) / "tokenizer.json", content)
        _write_json(Path(folder) / "tokenizer_config.json", config)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Tokenizer:
        """Return the tokenizer that a folder holds: one that was saved, or GPT-2's published one.

        Reads `tokenizer.json`, or else `vocab.json` with `merges.txt`. Raises ValueError, rule first, for a
        file that is damaged or describes another kind of tokenizer; nothing is guessed.
        """
        folder = Path(folder)
        if (folder / "tokenizer.json").is_file():
            return _from_tokenizer_json(cls, folder / "tokenizer.json")
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return _from_vocab_and_merges(cls, folder)
        raise ValueError(f"a folder must hold tokenizer.json, or vocab.json and merges.txt, got {folder}")


def count_words(texts: Iterable[str]) -> dict[Word, int]:
    """Return how often each word occurs in the texts, a word being the tuple of its bytes.

    A long text costs as little as its distinct words: BPE asks no more of it.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(text))
    by_bytes: dict[Word, int] = {}
    for word, count in counts.items():
        # Two words can have the same bytes: a lone surrogate and U+FFFD.
        key = tuple(text_to_bytes(word))
        by_bytes[key] = by_bytes.get(key, 0) + count
    return by_bytes


@functools.cache
def byte_characters() -> tuple[str, ...]:
    """Return the character by which files show each byte: itself if it is visible, else one from U+0100 on.

    JSON cannot hold bytes. GPT-2 drew this table, and every byte-level tokenizer.json uses it.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in visible else next(hidden)) for byte in range(256))


def _as_characters(data: bytes) -> str:
    table = byte_characters()
    return "".join(table[byte] for byte in data)


def _write_json(path: Path, content: Any) -> None:
    """Write a file that is there whole or, whatever happens, as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} must be JSON in UTF-8, got: {error}") from None


def _from_tokenizer_json(cls: type[Tokenizer], path: Path) -> Tokenizer:
    content = _read_json(path)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or "merges" not in model:
        raise ValueError(f"{path} must hold a BPE model with vocab and merges")
    splits = content.get("pre_tokenizer") or {}
    if (
        splits.get("type") != "ByteLevel"
        or splits.get("add_prefix_space")
        or not splits.get("use_regex", True)
    ):
        raise ValueError(f"{path} must cut words as GPT-2 does (ByteLevel, no prefix space), got {splits}")
    if content.get("normalizer") is not None:
        raise ValueError(f"{path} must not change the text first, got normalizer {content['normalizer']}")
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    added = {entry["content"]: entry["id"] for entry in content.get("added_tokens") or []}
    return _from_parts(cls, path, dict(model["vocab"]), merges, added)


def _from_vocab_and_merges(cls: type[Tokenizer], folder: Path) -> Tokenizer:
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    return _from_parts(cls, folder / "vocab.json", _read_json(folder / "vocab.json"), merges, {})


def _from_parts(
    cls: type[Tokenizer],
    path: Path,
    vocab: dict[str, int],
    merges: Sequence[tuple[str, ...]],
    added: dict[str, int],
) -> Tokenizer:
    """Return the tokenizer that a file describes, or say in which rule the file breaks."""
    table = byte_characters()
    missing = [character for character in table if character not in vocab]
    if missing:
        raise ValueError(f"{path} must have a token for each of the 256 bytes, {len(missing)} are missing")
    byte_ids = [vocab[character] for character in table]
    for number, merge in enumerate(merges):
        if len(merge) != 2 or not {merge[0], merge[1]} <= vocab.keys() or "".join(merge) not in vocab:
            raise ValueError(f"{path}: merge {number} must join two tokens to a third, got {' '.join(merge)}")
        if vocab["".join(merge)] != 256 + number:
            rule = "tokens must be numbered as they were learned, after the 256 bytes"
            raise ValueError(f"{path}: {rule}, got id {vocab[''.join(merge)]} for merge {number}")
    pairs = [(vocab[first], vocab[second]) for first, second in merges]
    # What is neither a byte nor made by a merge is special: so <|endoftext|> stands in GPT-2's vocab.json.
    made = {*table, *("".join(merge) for merge in merges)}
    special = {text: i for text, i in vocab.items() if text not in made} | added
    expected = range(256 + len(merges), 256 + len(merges) + len(special))
    if sorted(special.values()) != list(expected):
        raise ValueError(f"{path}: special tokens must have the ids after all others, got {special}")
    return cls(pairs, sorted(special, key=lambda text: special[text]), byte_ids)


def _ranges(text: str) -> list[tuple[int, int]]:
    """Return the ranges of code points that a text gives in hexadecimal: "41-5A AA" is A to Z and U+00AA."""
    ends = (span.partition("-") for span in text.split())
    return [(int(first, 16), int(last or first, 16)) for first, _, last in ends]


def _inside(ranges: Iterable[tuple[int, int]], first: int = 0, last: int = 0x10FFFF) -> str:
    """Return the inside of the brackets of a character class, for the part of the ranges in this range."""
    cut = ((max(a, first), min(b, last)) for a, b in ranges)
    return "".join(f"\\U{a:08X}-\\U{b:08X}" for a, b in cut if a <= b)


def _run(one: str, ranges: Sequence[tuple[int, int]], negated: bool = False) -> str:
    """Return a pattern for a run of characters within (or, negated, outside of) the ranges.

    `one` is tried first and matches a run itself. Characters beyond U+FFFF are asked for apart: a class that
    holds both is searched range by range, which makes the common case slow.
    """
    beyond = "\\U00010000-\\U0010FFFF"
    low, high = _inside(ranges, last=0xFFFF), _inside(ranges, first=0x10000)
    not_ = "^" if negated else ""
    low = f"[^{low}{beyond}]" if negated else f"[{low}]"
    return f"(?:{one}{low}|(?=[{beyond}])[{not_}{high}])++"


# Letters (L), numbers (N) and white space of Unicode 17.0, as the library tokenizers 0.23.3 knows them.
# Written by step1_tokenizer/code_points.py on 2026-11-21; a test compares every code point.
_LETTERS = _ranges(
    """
    41-5A 61-7A AA B5 BA C0-D6 D8-F6 F8-2C1 2C6-2D1 2E0-2E4 2EC 2EE 370-374 376-377 37A-37D 37F 386
    388-38A 38C 38E-3A1 3A3-3F5 3F7-481 48A-52F 531-556 559 560-588 5D0-5EA 5EF-5F2 620-64A 66E-66F
    671-6D3 6D5 6E5-6E6 6EE-6EF 6FA-6FC 6FF 710 712-72F 74D-7A5 7B1 7CA-7EA 7F4-7F5 7FA 800-815 81A 824
    828 840-858 860-86A 870-887 889-88E 8A0-8C9 904-939 93D 950 958-961 971-980 985-98C 98F-990 993-9A8
    9AA-9B0 9B2 9B6-9B9 9BD 9CE 9DC-9DD 9DF-9E1 9F0-9F1 9FC A05-A0A A0F-A10 A13-A28 A2A-A30 A32-A33
    A35-A36 A38-A39 A59-A5C A5E A72-A74 A85-A8D A8F-A91 A93-AA8 AAA-AB0 AB2-AB3 AB5-AB9 ABD AD0 AE0-AE1
    AF9 B05-B0C B0F-B10 B13-B28 B2A-B30 B32-B33 B35-B39 B3D B5C-B5D B5F-B61 B71 B83 B85-B8A B8E-B90
    B92-B95 B99-B9A B9C B9E-B9F BA3-BA4 BA8-BAA BAE-BB9 BD0 C05-C0C C0E-C10 C12-C28 C2A-C39 C3D C58-C5A
    C5D C60-C61 C80 C85-C8C C8E-C90 C92-CA8 CAA-CB3 CB5-CB9 CBD CDD-CDE CE0-CE1 CF1-CF2 D04-D0C D0E-D10
    D12-D3A D3D D4E D54-D56 D5F-D61 D7A-D7F D85-D96 D9A-DB1 DB3-DBB DBD DC0-DC6 E01-E30 E32-E33 E40-E46
    E81-E82 E84 E86-E8A E8C-EA3 EA5 EA7-EB0 EB2-EB3 EBD EC0-EC4 EC6 EDC-EDF F00 F40-F47 F49-F6C F88-F8C
    1000-102A 103F 1050-1055 105A-105D 1061 1065-1066 106E-1070 1075-1081 108E 10A0-10C5 10C7 10CD
    10D0-10FA 10FC-1248 124A-124D 1250-1256 1258 125A-125D 1260-1288 128A-128D 1290-12B0 12B2-12B5
    12B8-12BE 12C0 12C2-12C5 12C8-12D6 12D8-1310 1312-1315 1318-135A 1380-138F 13A0-13F5 13F8-13FD
    1401-166C 166F-167F 1681-169A 16A0-16EA 16F1-16F8 1700-1711 171F-1731 1740-1751 1760-176C 176E-1770
    1780-17B3 17D7 17DC 1820-1878 1880-1884 1887-18A8 18AA 18B0-18F5 1900-191E 1950-196D 1970-1974
    1980-19AB 19B0-19C9 1A00-1A16 1A20-1A54 1AA7 1B05-1B33 1B45-1B4C 1B83-1BA0 1BAE-1BAF 1BBA-1BE5
    1C00-1C23 1C4D-1C4F 1C5A-1C7D 1C80-1C8A 1C90-1CBA 1CBD-1CBF 1CE9-1CEC 1CEE-1CF3 1CF5-1CF6 1CFA
    1D00-1DBF 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4
    1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2071 207F
    2090-209C 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 212A-212D 212F-2139 213C-213F 2145-2149
    214E 2183-2184 2C00-2CE4 2CEB-2CEE 2CF2-2CF3 2D00-2D25 2D27 2D2D 2D30-2D67 2D6F 2D80-2D96 2DA0-2DA6
    2DA8-2DAE 2DB0-2DB6 2DB8-2DBE 2DC0-2DC6 2DC8-2DCE 2DD0-2DD6 2DD8-2DDE 2E2F 3005-3006 3031-3035
    303B-303C 3041-3096 309D-309F 30A1-30FA 30FC-30FF 3105-312F 3131-318E 31A0-31BF 31F0-31FF 3400-4DBF
    4E00-A48C A4D0-A4FD A500-A60C A610-A61F A62A-A62B A640-A66E A67F-A69D A6A0-A6E5 A717-A71F A722-A788
    A78B-A7CD A7D0-A7D1 A7D3 A7D5-A7DC A7F2-A801 A803-A805 A807-A80A A80C-A822 A840-A873 A882-A8B3
    A8F2-A8F7 A8FB A8FD-A8FE A90A-A925 A930-A946 A960-A97C A984-A9B2 A9CF A9E0-A9E4 A9E6-A9EF A9FA-A9FE
    AA00-AA28 AA40-AA42 AA44-AA4B AA60-AA76 AA7A AA7E-AAAF AAB1 AAB5-AAB6 AAB9-AABD AAC0 AAC2 AADB-AADD
    AAE0-AAEA AAF2-AAF4 AB01-AB06 AB09-AB0E AB11-AB16 AB20-AB26 AB28-AB2E AB30-AB5A AB5C-AB69 AB70-ABE2
    AC00-D7A3 D7B0-D7C6 D7CB-D7FB F900-FA6D FA70-FAD9 FB00-FB06 FB13-FB17 FB1D FB1F-FB28 FB2A-FB36
    FB38-FB3C FB3E FB40-FB41 FB43-FB44 FB46-FBB1 FBD3-FD3D FD50-FD8F FD92-FDC7 FDF0-FDFB FE70-FE74
    FE76-FEFC FF21-FF3A FF41-FF5A FF66-FFBE FFC2-FFC7 FFCA-FFCF FFD2-FFD7 FFDA-FFDC 10000-1000B
    1000D-10026 10028-1003A 1003C-1003D 1003F-1004D 10050-1005D 10080-100FA 10280-1029C 102A0-102D0
    10300-1031F 1032D-10340 10342-10349 10350-10375 10380-1039D 103A0-103C3 103C8-103CF 10400-1049D
    104B0-104D3 104D8-104FB 10500-10527 10530-10563 10570-1057A 1057C-1058A 1058C-10592 10594-10595
    10597-105A1 105A3-105B1 105B3-105B9 105BB-105BC 105C0-105F3 10600-10736 10740-10755 10760-10767
    10780-10785 10787-107B0 107B2-107BA 10800-10805 10808 1080A-10835 10837-10838 1083C 1083F-10855
    10860-10876 10880-1089E 108E0-108F2 108F4-108F5 10900-10915 10920-10939 10980-109B7 109BE-109BF
    10A00 10A10-10A13 10A15-10A17 10A19-10A35 10A60-10A7C 10A80-10A9C 10AC0-10AC7 10AC9-10AE4
    10B00-10B35 10B40-10B55 10B60-10B72 10B80-10B91 10C00-10C48 10C80-10CB2 10CC0-10CF2 10D00-10D23
    10D4A-10D65 10D6F-10D85 10E80-10EA9 10EB0-10EB1 10EC2-10EC4 10F00-10F1C 10F27 10F30-10F45
    10F70-10F81 10FB0-10FC4 10FE0-10FF6 11003-11037 11071-11072 11075 11083-110AF 110D0-110E8
    11103-11126 11144 11147 11150-11172 11176 11183-111B2 111C1-111C4 111DA 111DC 11200-11211
    11213-1122B 1123F-11240 11280-11286 11288 1128A-1128D 1128F-1129D 1129F-112A8 112B0-112DE
    11305-1130C 1130F-11310 11313-11328 1132A-11330 11332-11333 11335-11339 1133D 11350 1135D-11361
    11380-11389 1138B 1138E 11390-113B5 113B7 113D1 113D3 11400-11434 11447-1144A 1145F-11461
    11480-114AF 114C4-114C5 114C7 11580-115AE 115D8-115DB 11600-1162F 11644 11680-116AA 116B8
    11700-1171A 11740-11746 11800-1182B 118A0-118DF 118FF-11906 11909 1190C-11913 11915-11916
    11918-1192F 1193F 11941 119A0-119A7 119AA-119D0 119E1 119E3 11A00 11A0B-11A32 11A3A 11A50
    11A5C-11A89 11A9D 11AB0-11AF8 11BC0-11BE0 11C00-11C08 11C0A-11C2E 11C40 11C72-11C8F 11D00-11D06
    11D08-11D09 11D0B-11D30 11D46 11D60-11D65 11D67-11D68 11D6A-11D89 11D98 11EE0-11EF2 11F02
    11F04-11F10 11F12-11F33 11FB0 12000-12399 12480-12543 12F90-12FF0 13000-1342F 13441-13446
    13460-143FA 14400-14646 16100-1611D 16800-16A38 16A40-16A5E 16A70-16ABE 16AD0-16AED 16B00-16B2F
    16B40-16B43 16B63-16B77 16B7D-16B8F 16D40-16D6C 16E40-16E7F 16F00-16F4A 16F50 16F93-16F9F
    16FE0-16FE1 16FE3 17000-187F7 18800-18CD5 18CFF-18D08 1AFF0-1AFF3 1AFF5-1AFFB 1AFFD-1AFFE
    1B000-1B122 1B132 1B150-1B152 1B155 1B164-1B167 1B170-1B2FB 1BC00-1BC6A 1BC70-1BC7C 1BC80-1BC88
    1BC90-1BC99 1D400-1D454 1D456-1D49C 1D49E-1D49F 1D4A2 1D4A5-1D4A6 1D4A9-1D4AC 1D4AE-1D4B9 1D4BB
    1D4BD-1D4C3 1D4C5-1D505 1D507-1D50A 1D50D-1D514 1D516-1D51C 1D51E-1D539 1D53B-1D53E 1D540-1D544
    1D546 1D54A-1D550 1D552-1D6A5 1D6A8-1D6C0 1D6C2-1D6DA 1D6DC-1D6FA 1D6FC-1D714 1D716-1D734
    1D736-1D74E 1D750-1D76E 1D770-1D788 1D78A-1D7A8 1D7AA-1D7C2 1D7C4-1D7CB 1DF00-1DF1E 1DF25-1DF2A
    1E030-1E06D 1E100-1E12C 1E137-1E13D 1E14E 1E290-1E2AD 1E2C0-1E2EB 1E4D0-1E4EB 1E5D0-1E5ED 1E5F0
    1E7E0-1E7E6 1E7E8-1E7EB 1E7ED-1E7EE 1E7F0-1E7FE 1E800-1E8C4 1E900-1E943 1E94B 1EE00-1EE03
    1EE05-1EE1F 1EE21-1EE22 1EE24 1EE27 1EE29-1EE32 1EE34-1EE37 1EE39 1EE3B 1EE42 1EE47 1EE49 1EE4B
    1EE4D-1EE4F 1EE51-1EE52 1EE54 1EE57 1EE59 1EE5B 1EE5D 1EE5F 1EE61-1EE62 1EE64 1EE67-1EE6A
    1EE6C-1EE72 1EE74-1EE77 1EE79-1EE7C 1EE7E 1EE80-1EE89 1EE8B-1EE9B 1EEA1-1EEA3 1EEA5-1EEA9
    1EEAB-1EEBB 20000-2A6DF 2A700-2B739 2B740-2B81D 2B820-2CEA1 2CEB0-2EBE0 2EBF0-2EE5D 2F800-2FA1D
    30000-3134A 31350-323AF
    """
)
_NUMBERS = _ranges(
    """
    30-39 B2-B3 B9 BC-BE 660-669 6F0-6F9 7C0-7C9 966-96F 9E6-9EF 9F4-9F9 A66-A6F AE6-AEF B66-B6F B72-B77
    BE6-BF2 C66-C6F C78-C7E CE6-CEF D58-D5E D66-D78 DE6-DEF E50-E59 ED0-ED9 F20-F33 1040-1049 1090-1099
    1369-137C 16EE-16F0 17E0-17E9 17F0-17F9 1810-1819 1946-194F 19D0-19DA 1A80-1A89 1A90-1A99 1B50-1B59
    1BB0-1BB9 1C40-1C49 1C50-1C59 2070 2074-2079 2080-2089 2150-2182 2185-2189 2460-249B 24EA-24FF
    2776-2793 2CFD 3007 3021-3029 3038-303A 3192-3195 3220-3229 3248-324F 3251-325F 3280-3289 32B1-32BF
    A620-A629 A6E6-A6EF A830-A835 A8D0-A8D9 A900-A909 A9D0-A9D9 A9F0-A9F9 AA50-AA59 ABF0-ABF9 FF10-FF19
    10107-10133 10140-10178 1018A-1018B 102E1-102FB 10320-10323 10341 1034A 103D1-103D5 104A0-104A9
    10858-1085F 10879-1087F 108A7-108AF 108FB-108FF 10916-1091B 109BC-109BD 109C0-109CF 109D2-109FF
    10A40-10A48 10A7D-10A7E 10A9D-10A9F 10AEB-10AEF 10B58-10B5F 10B78-10B7F 10BA9-10BAF 10CFA-10CFF
    10D30-10D39 10D40-10D49 10E60-10E7E 10F1D-10F26 10F51-10F54 10FC5-10FCB 11052-1106F 110F0-110F9
    11136-1113F 111D0-111D9 111E1-111F4 112F0-112F9 11450-11459 114D0-114D9 11650-11659 116C0-116C9
    116D0-116E3 11730-1173B 118E0-118F2 11950-11959 11BF0-11BF9 11C50-11C6C 11D50-11D59 11DA0-11DA9
    11F50-11F59 11FC0-11FD4 12400-1246E 16130-16139 16A60-16A69 16AC0-16AC9 16B50-16B59 16B5B-16B61
    16D70-16D79 16E80-16E96 1CCF0-1CCF9 1D2C0-1D2D3 1D2E0-1D2F3 1D360-1D378 1D7CE-1D7FF 1E140-1E149
    1E2F0-1E2F9 1E4F0-1E4F9 1E5F1-1E5FA 1E8C7-1E8CF 1E950-1E959 1EC71-1ECAB 1ECAD-1ECAF 1ECB1-1ECB4
    1ED01-1ED2D 1ED2F-1ED3D 1F100-1F10C 1FBF0-1FBF9
    """
)
_SPACES = _ranges(
    """
    9-D 20 85 A0 1680 2000-200A 2028-2029 202F 205F 3000
    """
)
LETTERS = _run("[A-Za-z]++|", _LETTERS)
NUMBERS = _run("[0-9]++|", _NUMBERS)
OTHERS = _run("", [*_SPACES, *_LETTERS, *_NUMBERS], negated=True)
SPACE = _inside(_SPACES)


if __name__ == "__main__":
    from coursekit.selfcheck import main

    main(__file__)
