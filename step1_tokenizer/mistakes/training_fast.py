"""1.10, training, fast: known mistakes with what is kept between merges."""

from __future__ import annotations

import heapq

from coursekit.probe import mistake
from step1_tokenizer.further_solution import changed_pairs
from step1_tokenizer.mistakes.trainer import Patches, Trainer, by, pairs_of


@mistake("1.10")
def broken_pairs_still_count() -> Patches:
    """Your counts go stale after a merge: pairs that it broke keep their old counts. Where "x er y" stood as
    x, e, r, y, the pairs (x, e) and (r, y) are gone and must count less.
    """

    class Stale(Trainer):
        def recount(self, i: int, before: str, new: str) -> set[str]:
            fresh = {pair for pair in pairs_of(self.words[i]) if new in pair}
            for pair in pairs_of(self.words[i]):
                self.counts[pair] += self.numbers[i] * (new in pair)
                self.note(pair, i)
            return fresh

        def merge(self, pair: str, new: str) -> None:
            super().merge(pair, new)
            self.counts[pair] = 0

    return by(Stale)


@mistake("1.10")
def new_pairs_not_counted() -> Patches:
    """Your function never counts pairs that hold a new token, so that no token is ever merged on. A merge
    makes pairs with its neighbors to the left and to the right.
    """

    class OnlyOld(Trainer):
        def recount(self, i: int, before: str, new: str) -> set[str]:
            super().recount(i, before, new)
            return set()

    return by(OnlyOld)


@mistake("1.10")
def promises_believed() -> Patches:
    """Your heap's entries are taken at their word. A count may have fallen since its entry went in: compare
    the two, and put the pair back with its count if they differ.
    """

    class Believing(Trainer):
        def best(self) -> str | None:
            while self.heap:
                pair = heapq.heappop(self.heap)[-1]
                if self.counts[pair] > 0:
                    return pair
            return None

    return by(Believing)


@mistake("1.10")
def stale_entries_thrown_away() -> Patches:
    """Your function throws a heap entry away when the pair's count has fallen. The pair is still there and
    may come next: put it back with its count.
    """

    class Wasteful(Trainer):
        def best(self) -> str | None:
            while self.heap:
                promised, pair = heapq.heappop(self.heap)
                if self.counts[pair] == -promised and promised:
                    return pair
            return None

    return by(Wasteful)


@mistake("1.10")
def index_forgets_new_words() -> Patches:
    """Your index knows only the pairs of the beginning: words that come to hold a pair with a new token are
    not noted, so that the pair is chosen and merged nowhere.
    """

    class Forgetful(Trainer):
        def note(self, pair: str, i: int) -> None:
            pass

        def merge(self, pair: str, new: str) -> None:
            super().merge(pair, new)
            self.counts[pair] = 0

    return by(Forgetful)


@mistake("1.10")
def left_neighbor_missed() -> Patches:
    """Your function lets only the right neighbors of a new token change. The pair on its left is another one
    now, too: (x, first) became (x, new).
    """

    def changed(word: str, pair: str, new: str) -> tuple[list[str], list[str]]:
        right = [word[i + 1] for i in range(len(word) - 1) if word[i] == new]
        return [pair[1] + one for one in right], [new + one for one in right]

    return {"changed_pairs": changed}


@mistake("1.10")
def token_after_token() -> Patches:
    """Your function takes the old neighbor of a new token for the new token itself. Where two stand side by
    side, the second half of the one stood before the first half of the other: that is the pair that is lost.
    """

    def changed(word: str, pair: str, new: str) -> tuple[list[str], list[str]]:
        lost, gained = changed_pairs(word, pair, new)
        return [new + one[1] if pair[::-1] == one else one for one in lost], gained

    return {"changed_pairs": changed}
