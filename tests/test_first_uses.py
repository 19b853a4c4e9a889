"""What the chapter shows of rotary positions and the cache in part one's GPT holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from step2_model import model_solution as reference
from step2_model.experiments import ablation, caching, rotary


def test_with_a_cache_the_same_tokens_are_written_for_a_fraction_of_the_work() -> None:
    model: Any = caching.small_gpt(reference)
    prompt = torch.tensor([list(b"def ")])
    tokens, whole = caching.continue_greedily(model, prompt, 30)
    for kind in (reference.GrowingCache, reference.KVCache):
        caches = [kind() for _ in model.h]
        same, step = caching.continue_greedily(model, prompt, 30, caches)
        assert same == tokens
        assert step[0] == whole[0]
        assert max(step[1:]) < whole[0] / 3
        assert [len(cache) for cache in caches] == [33, 33]


def test_concatenation_copies_a_square_of_the_positions_and_doubling_fewer_than_two_for_each() -> None:
    for count in (1, 2, 64, 65, 200):
        assert caching.copied_rows(reference.GrowingCache, count)[-1] == count * (count - 1) // 2
        assert caching.copied_rows(reference.KVCache, count)[-1] < 2 * count
    assert caching.copied_rows(reference.KVCache, 200)[-1] == 255


def test_a_gpt_with_rotary_positions_reads_a_text_in_pieces_as_it_reads_it_whole() -> None:
    built = ablation.reference_with(rotary.rotary_parts(reference))
    torch.manual_seed(0)
    model: Any = ablation.start_large(
        built.GPT(built.GPTConfig(16, 32, n_layer=2, n_head=4, n_embd=64))
    ).eval()
    ids = torch.randint(16, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, caches = model(ids).logits, model.new_cache()
        pieces = [model(piece, cache=caches).logits for piece in ids.split([4, 1, 4], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    assert (whole - model(ids.flip(1)).logits.flip(1)).abs().max() > 0.1


@pytest.mark.parametrize("turn", ["reference", "nothing"])
def test_without_rotation_the_order_of_the_past_is_unknown(turn: str) -> None:
    still = ablation.reference_with({"rotate": lambda x, cos, sin: x})
    module = reference if turn == "reference" else still
    built = ablation.reference_with(rotary.rotary_parts(module))
    torch.manual_seed(0)
    model: Any = ablation.start_large(
        built.GPT(built.GPTConfig(16, 32, n_layer=1, n_head=4, n_embd=64))
    ).eval()
    ids = torch.tensor([[1, 2, 3, 4, 5], [3, 1, 4, 2, 5]])
    with torch.no_grad():
        one, other = model(ids).logits[:, -1]
    assert ((one - other).abs().max() > 0.01) == (turn == "reference")


def test_two_equal_vectors_are_most_alike_at_no_distance() -> None:
    values = rotary.likeness(reference, 64, 300, 10_000.0)
    assert values[0] == pytest.approx(1.0)
    assert max(values[1:]) < 0.99
    assert sum(values[200:]) / 100 < sum(values[:100]) / 100


@pytest.mark.slow
def test_beyond_the_trained_length_rotary_positions_hold_on_longer_than_a_table() -> None:
    text = ablation.KnownText.drawn()
    built = ablation.reference_with(rotary.rotary_parts(reference))
    table, turned = (
        rotary.losses_by_position(rotary.learn_short(module, text), text) for module in (reference, built)
    )
    trained, further = slice(2, 23), slice(23, 47)
    assert sum(table[trained]) / 21 == pytest.approx(sum(turned[trained]) / 21, abs=0.1)
    assert sum(table[further]) / 24 > sum(turned[further]) / 24 + 0.4
    figure = rotary.over_positions({"table": table, "rotary": turned}, text.floor(24))
    assert len(figure.axes[0].lines) == 4
