"""The solution of step 2 agrees with the libraries it re-creates, and keeps its laws and its shapes."""

from __future__ import annotations

import importlib
import math
import shutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError, install_import_hook
from torch import Tensor

import step2_model.model_solution as solution
from coursekit.probe import Rng, redraw
from step2_model.checks.milestones import (
    SIZES,
    continue_greedily,
    delicate_gelu,
    gpt2_weights,
    lively,
    tiny_embeddings,
    transformers_gpt2,
)

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
NONE = -100
EXAMPLES = settings(max_examples=40, deadline=None)
seeds, sizes = st.integers(0, 2**31), st.integers(1, 6)


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The solution with the shapes in its signatures enforced at every call."""
    folder = tmp_path_factory.mktemp("shaped")
    shutil.copy(str(solution.__file__), folder / "shaped_solution.py")
    with pytest.MonkeyPatch.context() as patch, install_import_hook("shaped_solution", "beartype.beartype"):
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("shaped_solution")


def config(module: Any = solution, **changes: Any) -> Any:
    sizes = {"vocab_size": 11, "block_size": 9, "n_layer": 2, "n_head": 3, "n_embd": 12}
    return module.GPTConfig(**(sizes | changes))


def model(seed: int = 0, module: Any = solution, **changes: Any) -> Any:
    return redraw(module.GPT(config(module, **changes)), Rng(seed)).eval()


def scaled_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return what torch's fused attention gives where the queries are the last of the keys."""
    T, S = q.shape[-2], k.shape[-2]
    readable = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=readable)


@pytest.mark.parametrize("change", [dict, tiny_embeddings, delicate_gelu, lively])
@torch.no_grad()
def test_the_model_gives_the_logits_and_tokens_of_transformers_gpt2(change: Any) -> None:
    weights = change(gpt2_weights(Rng(7)))
    theirs = transformers_gpt2().GPT(config(**SIZES))
    theirs.load_gpt2(weights)
    ours = solution.GPT(config(**SIZES))
    ours.load_gpt2(weights)
    ids = Rng(8).integers(0, SIZES["vocab_size"], 2, 16)
    wanted, found = theirs.eval()(ids).logits, ours.eval()(ids).logits
    assert (found - wanted).abs().max() < 1e-4 * wanted.std()
    both = [continue_greedily(one.double(), ids[:, :3], 13)[0] for one in (ours, theirs)]
    assert torch.equal(both[0], both[1])
    assert change is not lively or len(set(both[0][0].tolist())) > 3


def test_the_milestone_draws_exactly_the_parameters_that_transformers_gpt2_has() -> None:
    theirs = transformers_gpt2().GPT(config(**SIZES)).model.state_dict()
    del theirs["lm_head.weight"]
    drawn = gpt2_weights(Rng(0))
    assert {k: v.shape for k, v in drawn.items()} == {k: v.shape for k, v in theirs.items()}
    assert all(bool((tensor != 0).all()) and bool((tensor != 1).all()) for tensor in drawn.values())


def test_the_number_of_parameters_is_that_of_the_published_gpt2() -> None:
    assert solution.count_parameters(solution.GPTConfig()) == 124_439_808
    assert solution.estimate_parameters(solution.GPTConfig()) == 12 * 12 * 768**2


@EXAMPLES
@given(st.tuples(sizes, sizes, sizes, sizes, sizes))
def test_counting_agrees_with_the_parameters_of_a_model_that_is_built(numbers: tuple[int, ...]) -> None:
    vocabulary, block, layers, heads, width = numbers
    small = solution.GPTConfig(vocabulary, block, layers, heads, heads * width)
    with torch.device("meta"):
        built = solution.GPT(small)
    assert solution.count_parameters(small) == sum(p.numel() for p in built.parameters())


@EXAMPLES
@given(seeds, sizes, sizes, sizes, st.integers(0, 4))
def test_scores_mask_and_mixture_are_torch_s_fused_attention(
    seed: int, heads: int, width: int, new: int, past: int
) -> None:
    rng = Rng(seed)
    q, k, v = rng.normal(2, heads, new, width), *rng.normal(2, 2, heads, new + past, width)
    scores = solution.apply_causal_mask(solution.attention_scores(q, k))
    y = solution.attend(scores, v, lambda weights: weights)
    torch.testing.assert_close(y, scaled_attention(q, k, v), **CLOSE)


@EXAMPLES
@given(seeds, st.integers(2, 7))
def test_no_logit_depends_on_a_later_token_and_the_last_depends_on_all(seed: int, length: int) -> None:
    gpt, ids = model(seed % 5), Rng(seed).integers(0, 11, 1, length)
    before = gpt(ids).logits
    for place in range(length):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % 11
        after = gpt(changed).logits
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.allclose(before[:, -1], after[:, -1], **CLOSE)


@EXAMPLES
@given(seeds, st.lists(st.integers(1, 3), min_size=2, max_size=3))
def test_a_text_in_pieces_with_a_cache_gives_the_logits_of_the_whole(seed: int, pieces: list[int]) -> None:
    gpt, ids = model(seed % 5), Rng(seed).integers(0, 11, 2, sum(pieces))
    cache = gpt.new_cache()
    parts = [gpt(part, cache=cache).logits for part in ids.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), gpt(ids).logits, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(parts[1], gpt(ids[:, pieces[0] : pieces[0] + pieces[1]]).logits, **CLOSE)


@EXAMPLES
@given(seeds, st.sampled_from([0.1, 1.0, 30.0, 1e4]), st.floats(0, 0.9))
def test_the_loss_and_its_gradient_are_those_of_cross_entropy(seed: int, size: float, share: float) -> None:
    rng = Rng(seed)
    logits, labels = size * rng.normal(3, 5, 8), rng.integers(0, 8, 3, 5)
    labels = labels.masked_fill(rng.uniform(0, 1, 3, 5) < share, NONE)
    labels[0, 1] = 3
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = solution.next_token_loss(ours, labels)
    wanted = F.cross_entropy(theirs[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=NONE)
    torch.testing.assert_close(found, wanted, **CLOSE)
    found.backward()
    wanted.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, **CLOSE)


@EXAMPLES
@given(seeds, st.integers(1, 4), sizes)
def test_equal_logits_cost_the_logarithm_of_the_vocabulary(seed: int, batch: int, length: int) -> None:
    labels = Rng(seed).integers(0, 8, batch, length + 1)
    loss = solution.next_token_loss(torch.full((batch, length + 1, 8), 5.0), labels)
    assert float(loss) == pytest.approx(math.log(8), rel=1e-6)


def test_the_block_passes_x_on_where_both_parts_are_silent() -> None:
    block = redraw(solution.Block(config()), Rng(1))
    with torch.no_grad():
        for layer in (block.attn.c_proj, block.mlp.c_proj):
            layer.weight.zero_()
            layer.bias.zero_()
    x = Rng(2).normal(2, 5, 12)
    assert torch.equal(block(x), x)


def test_a_new_model_is_as_uncertain_as_a_uniform_guess_and_its_stream_keeps_its_size() -> None:
    torch.manual_seed(0)
    gpt = solution.GPT(config(vocab_size=200, n_layer=8, n_embd=48, block_size=32))
    ids = Rng(3).integers(0, 200, 4, 32)
    assert float(gpt(ids, ids).loss.detach()) == pytest.approx(math.log(200), abs=0.1)
    deviations = {
        name: float(p.detach().std()) for name, p in gpt.named_parameters() if name.endswith("c_proj.weight")
    }
    assert all(value == pytest.approx(0.02 / 4, rel=0.1) for value in deviations.values())


def test_labels_make_a_loss_and_a_dense_model_has_no_other() -> None:
    gpt, ids = model(), Rng(4).integers(0, 11, 2, 6)
    assert gpt(ids).loss is None
    out = gpt(ids, ids)
    assert torch.equal(out.loss, solution.next_token_loss(out.logits, ids))
    assert out.aux_loss is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n_embd": 130, "n_head": 4}, "n_embd must be a multiple of n_head, got 130 and 4"),
        ({"n_layer": 0}, "n_layer must be a whole number of at least 1, got 0"),
        ({"vocab_size": 2.5}, "vocab_size must be a whole number of at least 1, got 2.5"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_a_configuration_that_describes_no_model_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        config(**changes)


def test_what_a_model_cannot_take_is_refused_with_the_rule_and_the_value() -> None:
    gpt = model()
    with pytest.raises(ValueError, match="must fit into block_size 9, got 0 and 10"):
        gpt(torch.zeros(1, 10, dtype=torch.long))
    with pytest.raises(ValueError, match="at least one position before it is read"):
        solution.GrowingCache().read()
    weights = gpt2_weights(Rng(0))
    ours = solution.GPT(config(**SIZES))
    with pytest.raises(ValueError, match=r"must hold transformer\.ln_f\.bias"):
        ours.load_gpt2({k: v for k, v in weights.items() if k != "transformer.ln_f.bias"})
    with pytest.raises(ValueError, match=r"wte\.weight must have shape \(23, 12\), got \(24, 12\)"):
        ours.load_gpt2(weights | {"transformer.wte.weight": torch.zeros(24, 12)})


def test_every_shape_in_the_signatures_is_kept_on_the_way_through_the_model(shaped: ModuleType) -> None:
    gpt, ids = model(0, shaped), Rng(5).integers(0, 11, 2, 6)
    cache = gpt.new_cache()
    gpt(ids[:, :4], cache=cache)
    assert gpt(ids[:, 4:], cache=cache).logits.shape == (2, 2, 11)
    assert gpt(ids, ids).loss.shape == ()
    with pytest.raises(TypeCheckError):
        shaped.next_token_loss(torch.zeros(2, 6, 11), torch.zeros(2, 5, dtype=torch.long))
