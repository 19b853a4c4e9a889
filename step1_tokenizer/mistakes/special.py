"""1.8, special tokens: known mistakes and accepted variants."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import Tokenizer

RULE = "the text must not hold the special token {!r} unless it is allowed"


def encode_with(
    own: Any,
    text: str,
    allowed: Collection[str],
    refuse: bool,
    order: Callable[[Iterable[str]], list[str]] = lambda tokens: sorted(tokens, key=len, reverse=True),
    escape: Callable[[str], str] = re.escape,
    looked_for: Callable[[Any], Iterable[str]] = lambda special: special,
    around: Callable[[str], str] = lambda plain: plain,
) -> list[int]:
    """Return the ids as the solution does, with its parts to be exchanged."""
    tokens = order(looked_for(own.special_tokens))
    if not tokens:
        return own.encode_ordinary(text)
    ids: list[int] = []
    plain = ""
    for piece in re.split(f"({'|'.join(map(escape, tokens))})", text):
        if piece in own.special_tokens and piece in allowed:
            ids += [*own.encode_ordinary(around(plain)), own.special_tokens[piece]]
            plain = ""
        elif piece in own.special_tokens and refuse:
            raise ValueError(RULE.format(piece))
        else:
            plain += piece or ""
    return ids + own.encode_ordinary(around(plain))


@mistake("1.8")
def merged_by_bpe(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your special tokens are cut and merged like other text. An allowed one is a single id, and no merge
    makes it or breaks it.
    """
    return self.encode_ordinary(text)


@mistake("1.8", called="Of several special tokens at one place, the shortest is taken")
def shortest_first(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Where several special tokens begin at one place, yours is the shortest. The longest is meant; otherwise
    one that begins with another could never be found.
    """
    return encode_with(self, text, allowed_special, refuse, order=lambda tokens: sorted(tokens, key=len))


@mistake("1.8", called="Of several special tokens at one place, the one listed first is taken")
def as_they_are_listed(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Where several special tokens begin at one place, yours is the one that is listed first: a regular
    expression takes the first alternative that fits. Put the longest first.
    """
    return encode_with(self, text, allowed_special, refuse, order=list)


@mistake("1.8")
def not_escaped(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your special tokens stand in a regular expression as they are. The | in "<|end|>" means "or" there, and
    brackets have a meaning, too: re.escape takes it from them.
    """
    return encode_with(self, text, allowed_special, refuse, escape=lambda token: f"(?:{token})")


@mistake("1.8", called="Only allowed special tokens are looked for")
def only_allowed_ones(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your function looks for the allowed tokens only, so that others are taken for plain text, or in part
    for one that is allowed. Find all of them; then ask which are allowed.
    """
    return encode_with(
        self,
        text,
        allowed_special,
        refuse,
        looked_for=lambda tokens: [t for t in tokens if t in allowed_special],
    )


@mistake("1.8")
def never_refuses(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your function lets a special token that is not allowed pass as text even where it must refuse it. Text
    from strangers must not go through in silence: raise ValueError.
    """
    return encode_with(self, text, allowed_special, refuse=False)


@mistake("1.8")
def always_refuses(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your function raises even with refuse=False. Then a special token that is not allowed is text like
    other text.
    """
    return encode_with(self, text, allowed_special, refuse=True)


@mistake("1.8")
def all_allowed(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your function makes a special token of everything that looks like one. Only those in allowed_special
    are meant: whoever types <|end|> into a form would end the conversation.
    """
    return encode_with(self, text, self.special_tokens, refuse)


@mistake("1.8")
def one_allowed_allows_all(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your function asks only whether anything is allowed; if so, every special token is. Look each one up in
    allowed_special.
    """
    return encode_with(self, text, self.special_tokens if allowed_special else (), refuse)


@mistake("1.8", called="With refuse=False, special tokens that are not allowed are special")
def special_without_refusal(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """With refuse=False your function makes special tokens of those that are not allowed. It means the
    contrary: they are encoded as the text that they look like.
    """
    return encode_with(self, text, allowed_special if refuse else self.special_tokens, refuse)


@mistake("1.8", called="A special token that is plain text is encoded by itself")
def cut_where_it_is_text(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Where a special token is plain text, your function encodes it, and what stands beside it, by itself.
    Plain text is one text: cut into words and merged as if nothing had been found.
    """
    tokens = sorted(self.special_tokens, key=len, reverse=True)
    if not tokens:
        return self.encode_ordinary(text)
    ids: list[int] = []
    for piece in re.split(f"({'|'.join(map(re.escape, tokens))})", text):
        if piece in self.special_tokens and piece in allowed_special:
            ids.append(self.special_tokens[piece])
        elif piece in self.special_tokens and refuse:
            raise ValueError(RULE.format(piece))
        else:
            ids += self.encode_ordinary(piece)
    return ids


@mistake("1.8")
def spaces_eaten(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your function strips white space around special tokens. It belongs to the text and must come back."""
    return encode_with(self, text, allowed_special, refuse, around=str.strip)


@mistake("1.8")
def end_lost(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your function loses what stands behind the last special token. When all are found, some text may be
    left.
    """
    ids = encode_with(self, text, allowed_special, refuse)
    special = [i for i, token in enumerate(ids) if token in self.special_tokens.values()]
    return ids[: special[-1] + 1] if special else ids


@mistake("1.8")
def another_exception(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Your function refuses with another exception than ValueError, which is what callers wait for: KeyError
    says that a key is missing, AssertionError that the program is wrong.
    """
    try:
        return encode_with(self, text, allowed_special, refuse)
    except ValueError as error:
        raise AssertionError(str(error)) from None


@mistake("1.8")
def cache_ignores_what_is_allowed(
    self: Any, text: str, allowed_special: Any = (), refuse: bool = True
) -> Any:
    """Your function remembers the ids of a text, whatever was allowed when it first saw it. The same text
    with other tokens allowed has other ids: what a cache is asked with must hold all that the answer depends
    on.
    """
    known = self.__dict__.setdefault("_known", {})
    if text not in known:
        known[text] = encode_with(self, text, allowed_special, refuse)
    return known[text]


@variant("1.8")
def by_places(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """Place by place with startswith; plain text is encoded when an allowed token comes, and at the end."""
    ids: list[int] = []
    begin = i = 0
    while i < len(text):
        here = max((t for t in self.special_tokens if text.startswith(t, i)), key=len, default="")
        if here and here in allowed_special:
            ids += [*self.encode_ordinary(text[begin:i]), self.special_tokens[here]]
            begin = i + len(here)
        elif here and refuse:
            raise ValueError(f"{here} is not allowed")
        i += len(here) or 1
    return (*ids, *self.encode_ordinary(text[begin:]))


@variant("1.8")
def refused_first(self: Any, text: str, allowed_special: Any = (), refuse: bool = True) -> Any:
    """All occurrences by finditer, refused before anything is encoded."""
    longest_first = sorted(self.special_tokens, key=lambda token: (-len(token), token))
    pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
    found = [(match.span(), match.group()) for match in pattern.finditer(text)]
    if refuse and (wrong := [token for _, token in found if token not in set(allowed_special)]):
        raise ValueError(RULE.format(wrong[0]))
    ids, begin = [], 0
    for (first, end), token in found:
        if token in allowed_special:
            ids.extend(Tokenizer.encode_ordinary(self, text[begin:first]))
            ids.append(self.special_tokens[token])
            begin = end
    ids.extend(Tokenizer.encode_ordinary(self, text[begin:]))
    return ids
