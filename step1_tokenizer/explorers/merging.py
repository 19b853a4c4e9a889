"""Training, merge by merge: which pair is the most frequent, how often it stands, what the words become."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step1_tokenizer.explorers.pictures import shown_bytes, words_as_tokens

MOST_WORDS, MOST_MERGES = 24, 60


def merging(mine: Any, words: Mapping[str, int], num_merges: int = 20) -> Explorer:
    """Let the reader step through the merges that `train_bpe` of `mine` learns on these words.

    `words` gives each word the number of times it occurs. Raises ValueError for more words or merges than a
    page can show.
    """
    if not 1 <= len(words) <= MOST_WORDS:
        raise ValueError(f"words must be 1 to {MOST_WORDS} different words, got {len(words)}")
    if not 1 <= num_merges <= MOST_MERGES:
        raise ValueError(f"num_merges must be 1 to {MOST_MERGES}, got {num_merges}")
    counts: dict[tuple[int, ...], int] = {}
    for word, count in words.items():
        ids = tuple(mine.text_to_bytes(word))
        counts[ids] = counts.get(ids, 0) + count
    merges = [tuple(pair) for pair in mine.train_bpe(counts, 256 + num_merges)]
    states, worth = [list(counts)], []
    for number, pair in enumerate(merges):
        now = dict(zip(states[-1], counts.values()))
        worth.append(mine.count_pairs(now).get(pair, 0))
        states.append([tuple(mine.merge_pair(word, pair, 256 + number)) for word in states[-1]])
    vocab = [bytes([byte]) for byte in range(256)]
    for first, second in merges:
        vocab.append(vocab[first] + vocab[second])
    names = [shown_bytes(data) for data in vocab]
    label = whose(mine, "1.1", "1.2", "1.3", "1.4")
    says = (
        f"{len(merges)} merges over {len(words)} words. The first joins {names[merges[0][0]]} and "
        f"{names[merges[0][1]]}, which stand side by side {worth[0]} times."
        if merges
        else "There is no pair to merge in these words."
    )

    def picture() -> Figure:
        rows = [[names[token] for token in word] for word in states[-1]]
        return words_as_tokens(rows, list(counts.values()), says, label)

    values = {
        "names": names,
        "merges": merges,
        "worth": worth,
        "states": states,
        "counts": list(counts.values()),
    }
    return Explorer(Path(__file__).with_suffix(".js"), values, {}, whose=label, says=says, picture=picture)
