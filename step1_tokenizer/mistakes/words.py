"""1.5, words: known mistakes and accepted variants."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import LETTERS, NUMBERS, OTHERS, SPACE

SHORT = "'(?:s|t|re|ve|m|ll|d)"


def split(
    text: str,
    short: str = SHORT,
    letters: str = f" ?{LETTERS}",
    numbers: str = f" ?{NUMBERS}",
    others: str = f" ?{OTHERS}",
    before: str = f"[{SPACE}]+(?![^{SPACE}])",
    space: str = f"[{SPACE}]+",
) -> list[str]:
    """Return the words of a text by six alternatives, each of which may be exchanged."""
    return re.findall("|".join(filter(None, (short, letters, numbers, others, before, space))), text)


@mistake("1.5")
def spaces_lost(text: str) -> list[str]:
    """Your function loses the white space, as text.split() does. Joined, the words must be the text again: a
    tokenizer that drops spaces cannot bring any text back.
    """
    return text.split()


@mistake("1.5")
def spaces_apart(text: str) -> list[str]:
    """Your spaces are words of their own. One space in front of a word belongs to it, so that most texts need
    no token for spaces at all: write " ?" before letters, numbers and the rest.
    """
    return split(text, letters=LETTERS, numbers=NUMBERS, others=OTHERS)


@mistake("1.5")
def spaces_behind(text: str) -> list[str]:
    """Your space belongs to the word before it. It belongs to the one that follows: " ?" stands in front."""
    return split(text, letters=f"{LETTERS} ?", numbers=f"{NUMBERS} ?", others=f"{OTHERS} ?")


@mistake("1.5")
def signs_without_space(text: str) -> list[str]:
    """Your signs take no space in front of them. Letters, numbers and everything else may have one."""
    return split(text, others=OTHERS)


@mistake("1.5")
def all_spaces_taken(text: str) -> list[str]:
    """Your run of white space keeps its last space, though a word follows. It leaves its last character, so
    that the word after "a " is the same as after "a ": the fifth alternative looks ahead.
    """
    return split(text, before="")


@mistake("1.5")
def any_space_before(text: str) -> list[str]:
    """Your words take any white space in front of them, tabs and line ends too. Only a space, U+0020, stays
    with a word.
    """
    return split(
        text, letters=f"[{SPACE}]?{LETTERS}", numbers=f"[{SPACE}]?{NUMBERS}", others=f"[{SPACE}]?{OTHERS}"
    )


@mistake("1.5")
def many_spaces_before(text: str) -> list[str]:
    """Your words take all the spaces in front of them. At most one stays with a word: " ?", not " *"."""
    return split(text, letters=f" *{LETTERS}", numbers=f" *{NUMBERS}", others=f" *{OTHERS}")


@mistake("1.5")
def no_contractions(text: str) -> list[str]:
    """Your function finds no contractions: 's, 't and the others fall apart into a sign and letters. They are
    the first alternative, because the first that fits is taken: behind the signs they would come too late.
    """
    return split(text, short="")


@mistake("1.5")
def contractions_in_capitals(text: str) -> list[str]:
    """Your contractions are found in capitals, too. GPT-2 knows them in lower case only: IT'S is cut into IT,
    ' and S.
    """
    return split(text, short="'(?i:s|t|re|ve|m|ll|d)")


@mistake("1.5")
def curly_apostrophes(text: str) -> list[str]:
    """Your contractions may have the apostrophe ’, U+2019. GPT-2 knows U+0027 only; ’ is a sign."""
    return split(text, short="['\u2019](?:s|t|re|ve|m|ll|d)")


@mistake("1.5")
def only_whole_contractions(text: str) -> list[str]:
    """Your contractions are found only where a word ends behind them. GPT-2's pattern does not look:
    o'sullivan holds 's.
    """
    return split(text, short=rf"{SHORT}(?!{LETTERS})")


@mistake("1.5")
def ascii_letters(text: str) -> list[str]:
    """Your letters are A to Z. Those of other scripts, and é, fall among the signs; LETTERS has them."""
    others = f" ?(?:(?![A-Za-z])(?:{LETTERS}|{OTHERS})(?<![A-Za-z]))"
    return split(text, letters=" ?[A-Za-z]+", others=others if not text.isascii() else f" ?{OTHERS}")


@mistake("1.5")
def python_words(text: str) -> list[str]:
    r"""Your words are Python's \w: digits and the underscore count as letters. In "x2" and "x_y" there are
    two and three words; LETTERS and NUMBERS keep them apart.
    """
    return split(text, letters=r" ?\w+", others=rf" ?[^{SPACE}\w]+")


@mistake("1.5")
def python_digits(text: str) -> list[str]:
    r"""Your numbers are Python's \d: ², ½ and Ⅷ are no digits and fall among the signs. Unicode calls them
    numbers, and so does NUMBERS.
    """
    return split(text, numbers=r" ?\d+", others=rf" ?(?:(?!\d)(?:{OTHERS}|(?!\d){NUMBERS}))+")


@mistake("1.5")
def python_spaces(text: str) -> list[str]:
    r"""Your white space is Python's \s, which takes U+001C to U+001F for white space. Unicode does not; SPACE
    has what is meant.
    """
    return split(
        text, others=r" ?(?:(?!\s)" + OTHERS.removesuffix("++") + ")+", before=r"\s+(?!\S)", space=r"\s+"
    )


@mistake("1.5")
def three_digits(text: str) -> list[str]:
    """Your numbers are cut after three digits. That is GPT-4's way; GPT-2 takes as many as there are."""
    return split(text, numbers=f" ?(?:(?={NUMBERS}).){{1,3}}")


@mistake("1.5")
def numbers_with_letters(text: str) -> list[str]:
    """Your letters and numbers are one kind, so that "x2" is one word. They are two alternatives."""
    return split(text, letters=f" ?(?:{LETTERS}|{NUMBERS})+", numbers="")


@variant("1.5")
def by_finditer(text: str) -> Any:
    """re.finditer over a pattern of several lines; a tuple comes back."""
    pattern = re.compile(
        rf"""'s|'t|'re|'ve|'m|'ll|'d
            |[ ]?{LETTERS}|[ ]?{NUMBERS}|[ ]?{OTHERS}
            |[{SPACE}]+(?![^{SPACE}])|[{SPACE}]+""",
        re.VERBOSE,
    )
    return tuple(match.group() for match in pattern.finditer(text))


def kind(character: str) -> str:
    """Return "L" for a letter, "N" for a number, "S" for white space, "O" for the rest."""
    if character in "\t\n\v\f\r\u0085" or unicodedata.category(character).startswith("Z"):
        return "S"
    return category if (category := unicodedata.category(character)[0]) in "LN" else "O"


@variant("1.5")
def by_hand(text: str) -> Any:
    """A scanner: the kind of each character decides where a word ends."""
    words, i = [], 0
    while i < len(text):
        short = next(
            (s for s in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d") if text.startswith(s, i)), None
        )
        first = i + (text[i] == " " and i + 1 < len(text) and kind(text[i + 1]) != "S")
        end = first
        while end < len(text) and kind(text[end]) == kind(text[first]):
            end += 1
        if short:
            end = i + len(short)
        elif kind(text[first]) == "S" and end < len(text) and end - i > 1:
            end -= 1
        words.append(text[i:end])
        i = end
    return words
