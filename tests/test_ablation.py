"""What the chapter shows with a part exchanged: the floor, the leak, the collapse, the reach of a mask."""

from __future__ import annotations

import math

import pytest
import torch

from step2_model import model_solution
from step2_model.experiments import ablation, measure


def no_mask(scores: torch.Tensor) -> torch.Tensor:
    return scores


def test_an_exchanged_part_changes_the_copy_and_leaves_the_reference_alone() -> None:
    copy = ablation.reference_with({"apply_causal_mask": no_mask})
    assert copy.apply_causal_mask is no_mask
    assert model_solution.apply_causal_mask(torch.zeros(2, 2))[0, 1] == float("-inf")


@pytest.mark.parametrize("name", ["aply_causal_mask", "Block.forwards", "Blocks.forward"])
def test_a_part_that_the_reference_does_not_have_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"got '{name}'"):
        ablation.reference_with({name: no_mask})


def test_the_floor_of_a_text_without_law_is_guessing_and_a_longer_past_never_raises_it() -> None:
    uniform = ablation.KnownText(torch.full((4, 4, 4), 0.25))
    assert math.isclose(uniform.floor(10), math.log(4), rel_tol=1e-5)
    text = ablation.KnownText.drawn()
    assert text.floor(10) < math.log(8)
    assert text.floor(1000) < text.floor(3)


def test_the_floor_is_the_mean_surprise_of_the_law_itself_at_what_it_draws() -> None:
    text = ablation.KnownText.drawn()
    ids = text.batch(4000, 6, torch.Generator().manual_seed(0))
    second = text.pairs / text.pairs.sum(dim=1, keepdim=True)
    surprise = [-second[ids[:, 0], ids[:, 1]].log()]
    surprise += [-text.table[ids[:, t - 2], ids[:, t - 1], ids[:, t]].log() for t in range(2, 6)]
    measured = torch.stack(surprise)
    error = measured.mean(dim=0).std().item() / math.sqrt(len(ids))
    assert abs(measured.mean().item() - text.floor(6)) < 5 * error


@pytest.mark.slow
def test_without_the_mask_the_loss_falls_below_what_is_possible_and_with_it_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COURSE_BUDGET", raising=False)
    text = ablation.KnownText.drawn()
    leaking = ablation.curve(ablation.reference_with({"apply_causal_mask": no_mask}), text, steps=100)
    masked = ablation.curve(model_solution, text, steps=250)
    assert leaking[-1] < 0.1 * text.floor(24)
    assert text.floor(24) < sum(masked[-20:]) / 20 < masked[0] - 0.5


def test_the_budget_of_the_environment_cuts_a_curve_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=3")
    assert len(ablation.curve(model_solution, ablation.KnownText.drawn())) == 3


def test_a_chain_of_blocks_makes_positions_alike_and_additions_keep_them_apart() -> None:
    def chain(block, x, cache=None):  # type: ignore[no-untyped-def]
        return block.mlp(block.ln_2(block.attn(block.ln_1(x), cache)))

    chained = measure.sizes_by_block(ablation.reference_with({"Block.forward": chain}))
    added = measure.sizes_by_block(model_solution)
    assert chained["differs"][-1] < 1e-4
    assert added["differs"][-1] > 0.2
    assert added["stream"][-1] > 2 * added["added"][-1]


def test_scores_without_the_division_lose_their_entropy_as_heads_grow_wider() -> None:
    plain = measure.entropies(lambda q, k: q @ k.transpose(-2, -1), [4, 256])
    scaled = measure.entropies(model_solution.attention_scores, [4, 256])
    assert plain[1] < 1 < plain[0]
    assert min(scaled) > 5


def test_influence_is_what_the_mask_lets_through() -> None:
    config = model_solution.GPTConfig(n_embd=8, n_head=2)
    masked = measure.influence(ablation.start_large(model_solution.CausalSelfAttention(config)), 5, 8)
    leaking = ablation.reference_with({"apply_causal_mask": no_mask}).CausalSelfAttention(config)
    open_book = measure.influence(ablation.start_large(leaking), 5, 8)
    assert masked.triu(1).abs().max() == 0
    assert masked.diagonal().min() > 0
    assert open_book.min() > 0


def test_the_loss_after_the_last_block_is_that_of_the_whole_model() -> None:
    torch.manual_seed(0)
    model = model_solution.GPT(model_solution.GPTConfig(16, 8, n_layer=3, n_head=2, n_embd=8))
    ids = torch.randint(16, (2, 8))
    losses = measure.losses_by_depth(model, ids, model_solution.next_token_loss)
    assert len(losses) == 4
    assert math.isclose(losses[-1], model(ids, labels=ids).loss.item(), rel_tol=1e-6)
