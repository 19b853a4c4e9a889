"""The data of a run: both sides of a corpus as shards, encoded once and found again by their fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from coursekit.corpora.prepared import Encoding, prepare
from coursekit.corpora.shards import Shards, fingerprint
from coursekit.corpora.sources import is_endless
from coursekit.registry import COURSE_ROOT
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import BY_DOCUMENT, ENDLESS_DOCUMENTS, Options
from step3_pretrain.trainer.tokenizers import encoder_for
from step3_pretrain.trainer.view import View

CACHE = COURSE_ROOT / ".course" / "shards"
HELD_OUT_DOCUMENTS = 1_000


@dataclass(frozen=True)
class Data:
    """What a run trains on, `stream`, and what it is measured on, `held_out`."""

    stream: Shards
    held_out: Shards
    end_of_text: int

    @property
    def tokens_of_a_document(self) -> float:
        """The mean number of tokens of a document, its end included."""
        return len(self.stream) / self.stream.num_documents

    def sample(self, num_bytes: int) -> tuple[list[list[int]], int]:
        """Return the first held-out documents, of so many bytes or a little more, and how many exactly."""
        found: list[list[int]] = []
        size = 0
        while size < num_bytes and len(found) < self.held_out.num_documents:
            size += self.held_out.document_bytes(len(found))
            found.append(self.held_out.document(len(found)).tolist())
        return found, size

    def identity(self) -> str:
        """Return a fingerprint of the stream: its tokenizer, where it came from, and how long it is."""
        index = self.stream.index
        return fingerprint([index.tokenizer, index.meta, index.num_tokens, index.num_bytes])


def data_for(chain: Chain, tokenizer: Any, options: Options, view: View, cache: Path = CACHE) -> Data:
    """Return the data that the options ask for, encoded now if they have not been before.

    Raises MissingCorpus, in one sentence, for a corpus that cannot be had.
    """
    encode = encoder_for(chain, tokenizer, options.corpus)
    end_of_text = tokenizer.special_tokens[chain.core.END_OF_TEXT]

    def packed(text: str) -> Any:
        return one_packed(chain, encode(text), end_of_text)

    name = fingerprint([tokenizer.merges, tokenizer.special_tokens, tokenizer.byte_ids, encode.allowed])
    encoding = Encoding(packed, end_of_text, len(tokenizer), name)
    limit = options.max_documents or (ENDLESS_DOCUMENTS if is_endless(options.corpus) else None)
    with view.counting("encoding") as count:
        stream = prepare(cache, options.corpus, "train", encoding, limit=limit, progress=count)
    held_out = prepare(cache, options.corpus, "held_out", encoding, limit=HELD_OUT_DOCUMENTS)
    return Data(stream, held_out, end_of_text)


def one_packed(chain: Chain, ids: list[int], end_of_text: int) -> Any:
    """Return a document as `pack` lays it into the stream, without the end, which the shards put there.

    Raises CannotTrain where `pack` puts no end.
    """
    if not ids:
        return ids
    stream = chain.core.pack([ids], end_of_text)
    if len(stream) != len(ids) + 1 or int(stream[-1]) != end_of_text:
        rule = "`pack` must put end_of_text behind a document"
        raise CannotTrain(f"{rule}, got {len(stream)} ids for one of {len(ids)}: course check 3.1")
    return stream[:-1].numpy()


def rows_of(options: Options) -> str:
    """Return what a row holds, as asked for, or as it suits the corpus."""
    return options.rows or ("documents" if options.corpus in BY_DOCUMENT else "blocks")


def tokens_a_step(options: Options, data: Data, block_size: int) -> float:
    """Return how many tokens a batch has, without padding: rows of documents differ, and have a mean."""
    row = block_size if rows_of(options) == "blocks" else min(block_size, data.tokens_of_a_document)
    return options.batch_size * row


class Documents(Sequence[list[int]]):
    """The documents of a stream as lists of ids, read when they are asked for."""

    def __init__(self, stream: Shards) -> None:
        self.stream = stream

    def __len__(self) -> int:
        return self.stream.num_documents

    def __getitem__(self, number: Any) -> Any:
        return self.stream.document(number).tolist()


def batches_on(device: str, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of ids and labels on a device."""
    for ids, labels in batches:
        yield ids.to(device), labels.to(device)
