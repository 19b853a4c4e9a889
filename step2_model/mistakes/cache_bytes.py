"""2.17a, what a token costs in the cache: known mistakes and accepted variants."""

from __future__ import annotations

from typing import Any

from coursekit.probe import mistake, variant


def grouped(args: Any) -> int:
    """Return how many numbers a layer of grouped attention keeps of a token."""
    return 2 * args.n_kv_heads * args.head_dim


def latent(args: Any) -> int:
    """Return how many numbers a layer of MLA keeps of a token."""
    return args.kv_lora_rank + args.qk_rope_head_dim


def kept(args: Any, size: float, grouped: Any = grouped, latent: Any = latent, layers: int = 0) -> int:
    """Return the right number of bytes but for the parts that are given."""
    numbers = latent(args) if args.attention == "mla" else grouped(args)
    return int(numbers * (layers or args.n_layers) * size)


@mistake("2.17a")
def keys_alone(args: Any, bytes_per_number: int = 2) -> int:
    """Your number counts keys and forgets the values: grouped attention keeps both, D numbers each for every
    key/value head.
    """
    return kept(args, bytes_per_number, grouped=lambda a: a.n_kv_heads * a.head_dim)


@mistake("2.17a", called="Query heads are counted in place of key/value heads")
def query_heads(args: Any, bytes_per_number: int = 2) -> int:
    """Your number counts all H query heads (2 · C). Only the G key/value heads are kept; that is what
    grouping is for.
    """
    return kept(args, bytes_per_number, grouped=lambda a: 2 * a.n_heads * a.head_dim)


@mistake("2.17a")
def one_head(args: Any, bytes_per_number: int = 2) -> int:
    """Your number counts one key and one value for grouped attention, as if there were a single key/value
    head. There are n_kv_heads.
    """
    return kept(args, bytes_per_number, grouped=lambda a: 2 * a.head_dim)


@mistake("2.17a", called="MLA's numbers are counted for every head")
def latent_per_head(args: Any, bytes_per_number: int = 2) -> int:
    """Your number for MLA is multiplied by the heads. The latent and the rotary key have no heads: all of
    them read the same two vectors.
    """
    return kept(args, bytes_per_number, latent=lambda a: a.n_heads * latent(a))


@mistake("2.17a", called="MLA's rotary key is counted for every head")
def rotary_per_head(args: Any, bytes_per_number: int = 2) -> int:
    """Your number for MLA has a rotary key for every head. There is one for all: it is what stands beside the
    latent because it cannot be computed from it.
    """
    return kept(args, bytes_per_number, latent=lambda a: a.kv_lora_rank + a.n_heads * a.qk_rope_head_dim)


@mistake("2.17a", called="MLA's rotary key is left out")
def no_rotary_key(args: Any, bytes_per_number: int = 2) -> int:
    """Your number for MLA is the latent's alone. The rotary key, qk_rope_head_dim numbers, cannot be computed
    from it and is kept, too.
    """
    return kept(args, bytes_per_number, latent=lambda a: a.kv_lora_rank)


@mistake("2.17a", called="MLA's latent is counted twice, as key and as value")
def latent_twice(args: Any, bytes_per_number: int = 2) -> int:
    """Your number for MLA is doubled, for keys and values. Both are expanded from the same latent, which is
    kept once.
    """
    return kept(args, bytes_per_number, latent=lambda a: 2 * latent(a))


@mistake("2.17a", called="MLA is counted with expanded keys and values")
def expanded(args: Any, bytes_per_number: int = 2) -> int:
    """Your number for MLA counts expanded keys and values of all heads. They are computed when they are read;
    kept are the latents, which is the point of MLA.
    """
    return kept(
        args,
        bytes_per_number,
        latent=lambda a: a.n_heads * (a.qk_nope_head_dim + a.qk_rope_head_dim + a.v_head_dim),
    )


@mistake("2.17a", called="MLA is counted like grouped attention")
def always_grouped(args: Any, bytes_per_number: int = 2) -> int:
    """Your number is that of grouped attention for every configuration. Ask args.attention: "mla" keeps a
    latent and a rotary key instead.
    """
    return kept(args, bytes_per_number, latent=grouped)


@mistake("2.17a")
def one_layer(args: Any, bytes_per_number: int = 2) -> int:
    """Your number is that of one layer. Every layer has a cache of its own."""
    return kept(args, bytes_per_number, layers=1)


@mistake("2.17a", called="bytes_per_number is ignored: every number has 2 bytes")
def always_two(args: Any, bytes_per_number: int = 2) -> int:
    """Your number takes 2 bytes for every number, whatever bytes_per_number says: float32 has 4, a cache in
    8 bits 1.
    """
    return kept(args, 2)


@mistake("2.17a", called="The result is in bits")
def in_bits(args: Any, bytes_per_number: int = 2) -> int:
    """Your number is eight times too large: it is in bits. bytes_per_number is in bytes already."""
    return kept(args, 8 * bytes_per_number)


@mistake("2.17a", called="The result counts numbers, not bytes")
def numbers(args: Any, bytes_per_number: int = 2) -> int:
    """Your result counts numbers. Each of them takes bytes_per_number bytes."""
    return kept(args, 1)


@mistake("2.17a", called="The result is that of the whole context")
def whole_context(args: Any, bytes_per_number: int = 2) -> int:
    """Your number is that of max_seq_len tokens. Asked is what one token adds."""
    return kept(args, bytes_per_number) * args.max_seq_len


@variant("2.17a")
def layer_by_layer(args: Any, bytes_per_number: int = 2) -> int:
    """A sum over layers, heads and the two kinds of vectors."""
    total = 0
    for _ in range(args.n_layers):
        if args.attention == "gqa":
            total += sum(args.head_dim for _ in range(args.n_kv_heads) for _ in ("key", "value"))
        else:
            total += args.kv_lora_rank + args.rope_dim
    return total * bytes_per_number


@variant("2.17a")
def one_expression(args: Any, bytes_per_number: int = 2) -> int:
    """Two widths in one expression, with C · G / H for G · D."""
    widths = {
        "mla": args.kv_lora_rank + args.qk_rope_head_dim,
        "gqa": args.d_model * args.n_kv_heads // args.n_heads * 2,
    }
    return bytes_per_number * args.n_layers * widths[args.attention]
