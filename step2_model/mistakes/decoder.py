"""2.10a, the modern block: known mistakes with its sums and norms."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from coursekit.probe import mistake


def attention(self: Any, x: Tensor, *given: Any) -> Tensor:
    """Return attention's answer to x, after the norm and with dropout."""
    out: Tensor = self.dropout(self.self_attn(self.input_layernorm(x), *given))
    return out


def feed(self: Any, x: Tensor) -> Tensor:
    """Return the feed-forward layer's answer to x, after the norm and with dropout."""
    out: Tensor = self.dropout(self.mlp(self.post_attention_layernorm(x)))
    return out


@mistake("2.10a")
def no_residuals(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block returns what its two parts answer instead of adding the answers to x: every block would
    overwrite the one before.
    """
    return feed(self, attention(self, x, rope, mask, cache))


@mistake("2.10a")
def no_attention_residual(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block puts attention's answer in place of x instead of adding it to x."""
    x = attention(self, x, rope, mask, cache)
    return x + feed(self, x)


@mistake("2.10a")
def no_mlp_residual(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block returns the MLP's answer alone: what was in the stream, and what attention brought, is
    lost.
    """
    return feed(self, x + attention(self, x, rope, mask, cache))


@mistake("2.10a")
def wrong_base(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block adds the MLP's answer to the x that came in, not to the x that attention has changed:
    attention's answer reaches the MLP and then is thrown away.
    """
    return x + feed(self, x + attention(self, x, rope, mask, cache))


@mistake("2.10a")
def reads_the_answer(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your MLP reads attention's answer without the x that it was added to. It reads the whole new stream."""
    answer = attention(self, x, rope, mask, cache)
    return x + answer + feed(self, answer)


@mistake("2.10a")
def parallel(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your MLP reads the x that came in (or a copy that was normalized too early), beside attention instead
    of after it. Some models are built so (GPT-J, PaLM); Llama and DeepSeek are not, and their weights expect
    the new x.
    """
    return x + attention(self, x, rope, mask, cache) + feed(self, x)


@mistake("2.10a")
def mlp_first(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block lets the MLP work first and attention second. Attention comes first: the MLP works on what
    it has brought.
    """
    x = x + feed(self, x)
    return x + attention(self, x, rope, mask, cache)


@mistake("2.10a")
def post_norm(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block normalizes the sum, after the addition (post-norm, as the first transformer did). Here each
    part reads a normalized copy, and the stream itself is never normalized.
    """
    x = self.input_layernorm(x + self.dropout(self.self_attn(x, rope, mask, cache)))
    out: Tensor = self.post_attention_layernorm(x + self.dropout(self.mlp(x)))
    return out


@mistake("2.10a")
def norm_on_answers(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block normalizes the answers instead of what the parts read. The norms stand in front of the
    parts.
    """
    x = x + self.dropout(self.input_layernorm(self.self_attn(x, rope, mask, cache)))
    return x + self.dropout(self.post_attention_layernorm(self.mlp(x)))


@mistake("2.10a")
def adds_to_normalized(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block adds attention's answer to the normalized x (x = norm(x), then x + ...). The copy is for
    reading; the sum is made with x itself, or the stream loses its size in every block.
    """
    x = self.input_layernorm(x)
    x = x + self.dropout(self.self_attn(x, rope, mask, cache))
    return x + feed(self, x)


@mistake("2.10a")
def adds_to_normalized_twice(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block adds both answers to normalized copies (x = norm(x), twice): nothing of the stream's own
    size is left, and no straight road for the gradient.
    """
    x = self.input_layernorm(x)
    x = x + self.dropout(self.self_attn(x, rope, mask, cache))
    x = self.post_attention_layernorm(x)
    return x + self.dropout(self.mlp(x))


@mistake("2.10a")
def adds_to_second_normalized(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block adds the MLP's answer to the normalized x instead of to x itself."""
    x = self.post_attention_layernorm(x + attention(self, x, rope, mask, cache))
    return x + self.dropout(self.mlp(x))


@mistake("2.10a")
def norms_swapped(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your two norms are swapped: input_layernorm stands in front of attention, post_attention_layernorm
    (which is named after where it comes) in front of the MLP.
    """
    x = x + self.dropout(self.self_attn(self.post_attention_layernorm(x), rope, mask, cache))
    return x + self.dropout(self.mlp(self.input_layernorm(x)))


@mistake("2.10a")
def first_norm_twice(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block uses input_layernorm for both parts. Each has a norm of its own, with its own gains."""
    x = x + attention(self, x, rope, mask, cache)
    return x + self.dropout(self.mlp(self.input_layernorm(x)))


@mistake("2.10a")
def second_norm_twice(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your block uses post_attention_layernorm for both parts. Each has a norm of its own, with its own
    gains.
    """
    x = x + self.dropout(self.self_attn(self.post_attention_layernorm(x), rope, mask, cache))
    return x + feed(self, x)


@mistake("2.10a")
def no_first_norm(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your attention reads x itself: input_layernorm is missing in front of it, so that it has to cope with a
    stream that grows from block to block.
    """
    x = x + self.dropout(self.self_attn(x, rope, mask, cache))
    return x + feed(self, x)


@mistake("2.10a")
def no_second_norm(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
    """Your MLP reads the stream itself: post_attention_layernorm is missing in front of it."""
    x = x + attention(self, x, rope, mask, cache)
    return x + self.dropout(self.mlp(x))
