"""Probes of two layouts of one rotation (2.14a) and of YaRN (2.14b)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check, equal
from step2_model.checks.observe import DEEP, fix_chance


@check("2.14a")
def layouts(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    one, three = rng.normal(10, 4), rng.normal(33, 4)
    argument = one.clone()
    yield "one head, all rows rotary: 0, 2, 4, ..., then 1, 3, 5, ...", m.interleaved_to_half(argument, 1, 10)
    yield "the argument weight is left as it was", argument
    yield "one head: only the last 6 of its 10 rows move", m.interleaved_to_half(one, 1, 6)
    yield "three heads: the last 6 of each head's 11 rows move", m.interleaved_to_half(three, 3, 6)
    yield "two rotary rows are one pair: nothing moves", m.interleaved_to_half(three, 3, 2)
    yield (
        "the inverse, one head, all rows rotary: row i to 2i, row i + 5 to 2i + 1",
        m.half_to_interleaved(one, 1, 10),
    )
    argument = three.clone()
    yield (
        "the inverse, three heads: the last 6 of each head's 11 rows move",
        m.half_to_interleaved(argument, 3, 6),
    )
    yield "the inverse leaves its argument as it was", argument
    again = m.half_to_interleaved(m.interleaved_to_half(three, 3, 10), 3, 10)
    yield "there and back: every row where it was", again
    yield "one column, and weights in bfloat16", m.interleaved_to_half(three[:, :1].bfloat16(), 3, 6)


@cases("2.14a")
def small_layouts(m: Any) -> Any:
    """Row i holds the number i, so that one sees where each row went."""
    for rows, heads, rope_dim in ((2, 1, 2), (4, 1, 4), (5, 1, 4), (6, 1, 6), (10, 2, 4), (14, 2, 6)):
        weight = torch.arange(float(rows)).unsqueeze(-1)
        inputs = {"weight": weight, "n_heads": heads, "rope_dim": rope_dim}
        yield {"function": "interleaved_to_half", **inputs}, m.interleaved_to_half(**inputs)
        yield {"function": "half_to_interleaved", **inputs}, m.half_to_interleaved(**inputs)


def part(found: Any, number: int) -> Any:
    """Return one of the two results, or what came back, where it is no pair."""
    return found[number] if isinstance(found, tuple) and len(found) == 2 else found


def shares(found: Any, dim: int, theta: float) -> Any:
    """Return each frequency as a share of the plain one, so that slow pairs count as much as fast ones."""
    frequencies = part(found, 0)
    plain = theta ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    is_whole = isinstance(frequencies, torch.Tensor) and frequencies.shape == plain.shape
    return frequencies.double() / plain if is_whole else frequencies


def form(frequencies: Any) -> Any:
    """Return shape and dtype of a tensor, or what came back instead of one."""
    is_tensor = isinstance(frequencies, torch.Tensor)
    return [str(frequencies.dtype), *frequencies.shape] if is_tensor else frequencies


# The 64 rotary features of DeepSeek's models, trained on 4,096 positions and stretched to 40 times as many.
PUBLISHED = {"factor": 40.0, "original_max_seq_len": 4_096}


@check("2.14b")
def yarn(m: Any, rng: Any) -> Any:
    fix_chance(rng)

    def asked(dim: int, theta: float, **changes: Any) -> Any:
        return m.yarn_frequencies(dim, theta, m.YarnScaling(**(PUBLISHED | changes)))

    found = asked(64, 1e4)
    yield "dim/2 frequencies in float32", form(part(found, 0))
    share = shares(found, 64, 1e4)
    fits = isinstance(share, torch.Tensor)
    yield "the fastest pair keeps its frequency", share[0] if fits else share
    yield equal("the slowest pair's is divided by factor", share[-1] if fits else share, DEEP)
    yield equal("in between the share falls linearly with the number of the pair", share, DEEP)
    yield from corners(asked, rng)
    yield "cos and sin grow by 0.1 · ln(factor) + 1", part(found, 1)
    both = {"mscale": 0.7, "mscale_all_dim": 1.3}
    yield "with both mscales: by the ratio of their two yarn_mscales", part(asked(64, 1e4, **both), 1)
    yield "two equal mscales: nothing grows", part(asked(64, 1e4, mscale=1.0, mscale_all_dim=1.0), 1)
    yield (
        "one mscale alone is not used",
        [part(asked(64, 1e4, **{name: value}), 1) for name, value in both.items()],
    )
    yield "mscales do not touch the frequencies", part(asked(64, 1e4, **both), 0)


def corners(asked: Any, rng: Any) -> Any:
    """Yield shares for other numbers, and where the ramp ends outside of the pairs that there are."""
    factor = rng.uniform(2, 9, 1).item()
    yield equal("another factor", shares(asked(64, 1e4, factor=factor), 64, 1e4), DEEP)
    yield equal("another theta", shares(asked(64, 5e5), 64, 5e5), DEEP)
    yield equal("another width", shares(asked(48, 1e4, factor=factor), 48, 1e4), DEEP)
    yield equal(
        "a longer original context: the ramp begins later",
        shares(asked(64, 1e4, original_max_seq_len=16_384), 64, 1e4),
        DEEP,
    )
    yield equal("other betas", shares(asked(64, 1e4, beta_fast=20.0, beta_slow=3.0), 64, 1e4), DEEP)
    yield equal(
        "an original context in which no pair turns 32 times: the ramp begins at pair 0",
        shares(asked(32, 1e4, original_max_seq_len=60), 32, 1e4),
        DEEP,
    )
    yield equal(
        "every pair turns once: the ramp ends behind the last one",
        shares(asked(16, 100.0), 16, 100.0),
        DEEP,
    )
    yield equal(
        "a ramp ends at dim - 1 at the latest", shares(asked(16, 8.0, beta_fast=600.0), 16, 8.0), DEEP
    )
    yield equal(
        "a ramp of no length divides nothing by 0",
        shares(asked(16, 1e4, original_max_seq_len=6), 16, 1e4),
        DEEP,
    )
    yield "factor 1 changes nothing", asked(64, 1e4, factor=1.0)


@cases("2.14b")
def small_yarn(m: Any) -> Any:
    for dim, theta, changes in (
        (2, 100.0, {}),
        (4, 100.0, {}),
        (6, 100.0, {}),
        (6, 100.0, {"original_max_seq_len": 512}),
        (8, 10_000.0, {"original_max_seq_len": 4_096}),
        (4, 100.0, {"mscale": 1.0, "mscale_all_dim": 2.0}),
    ):
        numbers = {"factor": 4.0, "original_max_seq_len": 64} | changes
        inputs = {"dim": dim, "theta": theta, "yarn": f"YarnScaling{tuple(numbers.items())}"}
        yield inputs, m.yarn_frequencies(dim, theta, m.YarnScaling(**numbers))
