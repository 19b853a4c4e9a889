"""Step 3, further: accumulation, mixed precision, document masks, Muon and costs agree with libraries."""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import get_wsd_schedule

import step3_pretrain.further_solution as further
from coursekit.judging.loader import implementation, load_marked
from coursekit.judging.smallest import named, smallest_failing
from coursekit.probe import Rng, marked, redraw
from coursekit.registry import load_step
from coursekit.workers.tasks import _cases as run_cases
from step2_model.model_solution import ModelArgs, Transformer, next_token_loss
from step3_pretrain.checks.muon import well_conditioned

STEP3 = load_step(Path(__file__).parent.parent / "step3_pretrain")
EXERCISES = [exercise.id for exercise in STEP3.of_trio("further")]
EXAMPLES = settings(max_examples=30, deadline=None)
KINDS: tuple[dict[str, Any], ...] = (
    {"attention": "gqa", "n_kv_heads": 3},
    {"attention": "gqa", "n_kv_heads": 2, "tie_embeddings": True},
    {"attention": "gqa", "n_kv_heads": 1, "n_layers": 3},
)
END = 0


def configuration(**changes: Any) -> ModelArgs:
    sizes = {"vocab_size": 19, "d_model": 24, "n_layers": 2, "n_heads": 6, "n_kv_heads": 6}
    sizes |= {"intermediate_size": 40, "max_seq_len": 32}
    return ModelArgs(**(sizes | {"attention": "gqa"} | changes))


def decoder(kind: type[Transformer] = Transformer, seed: int = 0, **changes: Any) -> Transformer:
    model: Transformer = redraw(kind(configuration(**changes)), Rng(seed))
    return model


# --- 3.9


def table_loss(table: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of a model that is one table."""
    return next_token_loss(table[ids], labels)


@EXAMPLES
@given(
    st.integers(0, 2**31),
    st.lists(st.tuples(st.integers(1, 4), st.integers(2, 6)), min_size=1, max_size=4),
    st.floats(0, 0.6),
)
def test_parts_add_up_to_the_gradient_of_one_large_batch(
    seed: int, shapes: list[tuple[int, int]], gap: float
) -> None:
    rng = Rng(seed)
    table = rng.normal(7, 7).double().requires_grad_()
    batches = []
    for B, T in shapes:
        ids = rng.integers(0, 7, B, T)
        batches.append((ids, ids.where(rng.uniform(0, 1, B, T) >= gap, -100)))
    batches[0][1][0, 1] = 3  # at least one token is predicted
    loss = further.accumulate_gradients(partial(table_loss, table), batches)
    found, table.grad = table.grad, None
    width = max(T for _, T in shapes)
    ids, labels = (
        torch.cat([F.pad(batch[part], (0, width - batch[part].shape[1]), value=fill) for batch in batches])
        for part, fill in ((0, 0), (1, -100))
    )
    whole = F.cross_entropy(table[ids][:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    whole.backward()
    torch.testing.assert_close(loss.double(), whole.detach(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found, table.grad, rtol=1e-9, atol=1e-12)


def test_the_means_of_unequal_parts_are_not_the_mean_of_the_batch() -> None:
    from step3_pretrain.mistakes.accumulation import mean_of_means

    rng, found = Rng(0), []
    start, parts = (
        rng.normal(7, 7),
        [(ids, ids) for ids in (rng.integers(0, 7, 4, 6), rng.integers(0, 7, 1, 2))],
    )
    for accumulate in (further.accumulate_gradients, mean_of_means):
        table = start.clone().requires_grad_()
        accumulate(partial(table_loss, table), parts)
        found.append(table.grad)
    assert (found[0] - found[1]).abs().max() > 0.1 * found[0].abs().max()


# --- 3.10


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_decoder_in_mixed_precision_is_that_of_torch(dtype: torch.dtype) -> None:
    model = decoder()
    ids = Rng(1).integers(0, 19, 2, 9)
    found = further.forward_mixed(model, ids, ids, dtype)
    with torch.autocast("cpu", torch.bfloat16 if dtype == torch.float32 else dtype, dtype != torch.float32):
        logits = model(ids).logits
    assert logits.dtype == dtype
    loss = F.cross_entropy(logits.float()[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    torch.testing.assert_close(found.logits, logits.float(), rtol=0, atol=0)
    torch.testing.assert_close(found.loss, loss)
    assert found.loss is not None
    found.loss.backward()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


def test_half_precision_loses_a_thousandth_of_a_weight_and_float32_does_not() -> None:
    one = torch.ones(())
    assert (one.bfloat16() + torch.tensor(1e-3).bfloat16()) == 1
    assert (one + 1e-3) > 1
    least = [torch.finfo(dtype).smallest_normal for dtype in (torch.float32, torch.bfloat16)]
    assert least[0] == least[1]
    assert torch.tensor(6e-8).half() > 0
    assert torch.tensor(2e-8).half() == 0


@pytest.mark.parametrize("is_enabled", [True, False])
def test_steps_behind_a_scaler_are_those_of_torch(is_enabled: bool) -> None:
    model, theirs = (nn.Linear(4, 3), nn.Linear(4, 3))
    theirs.load_state_dict(model.state_dict())
    rng = Rng(0)
    runs = []
    for net in (model, theirs):
        scaler = torch.amp.GradScaler("cpu", 1024.0, growth_interval=2, enabled=is_enabled)
        runs.append((net, torch.optim.AdamW(net.parameters(), lr=0.1), scaler))
    for step in range(8):
        x = rng.normal(5, 4)
        norms, before = [], [p.detach().clone() for p in model.parameters()]
        for net, optimizer, scaler in runs:
            optimizer.zero_grad()
            scaler.scale(net(x).square().mean()).backward()
            if step == 4 and is_enabled:
                net.bias.grad = torch.full_like(net.bias, float("inf"))
            if net is model:
                norms.append(further.scaled_step(optimizer, scaler, list(net.parameters()), 0.5))
            else:
                scaler.unscale_(optimizer)
                norms.append(nn.utils.clip_grad_norm_(net.parameters(), 0.5))
                scaler.step(optimizer)
                scaler.update()
        torch.testing.assert_close(norms[0], norms[1])
        has_moved = any(not torch.equal(p, q) for p, q in zip(model.parameters(), before))
        assert has_moved == (step != 4 or not is_enabled)
        assert runs[0][2].get_scale() == runs[1][2].get_scale()
    for ours, other in zip(model.parameters(), theirs.parameters()):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-6)


# --- 3.11


@EXAMPLES
@given(st.integers(0, 2**31), st.lists(st.integers(1, 6), min_size=1, max_size=5), st.sampled_from(KINDS))
def test_documents_in_one_row_are_documents_one_by_one(
    seed: int, lengths: list[int], changes: dict[str, Any]
) -> None:
    model = decoder(further.DocumentTransformer, **changes).eval()
    rng = Rng(seed)
    documents = [torch.cat([rng.integers(1, 19, n), torch.tensor([END])]) for n in lengths]
    row = torch.cat(documents)[None, :32]
    labels = further.document_labels(row, END)
    with torch.no_grad():
        whole = model(row, labels=labels)
        alone, nats, count = [], 0.0, 0
        for ids in row[0].split(
            [n + 1 for n in lengths] if sum(lengths) + len(lengths) <= 32 else len(row[0])
        ):
            output = model(ids[None], labels=ids[None])
            alone.append(output.logits)
            nats += output.loss.item() * (len(ids) - 1)
            count += len(ids) - 1
    torch.testing.assert_close(whole.logits, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-4)
    assert float(whole.loss) == pytest.approx(nats / count, rel=1e-5)


def test_without_the_mask_documents_in_one_row_read_each_other() -> None:
    masked, plain = decoder(further.DocumentTransformer).eval(), decoder().eval()
    row = torch.tensor([[5, 6, END, 7, 8, 9]])
    with torch.no_grad():
        same, other = (model(row).logits[:, 3:] - model(row[:, 3:]).logits for model in (masked, plain))
    assert same.abs().max() < 1e-4
    assert other.abs().max() > 0.1


def test_generation_with_a_cache_is_that_of_the_plain_decoder() -> None:
    masked, plain = decoder(further.DocumentTransformer).eval(), decoder().eval()
    caches = masked.new_cache(), plain.new_cache()
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        for piece in (ids, torch.tensor([[8]])):
            found, wanted = (
                model(piece, cache=cache).logits for model, cache in zip((masked, plain), caches)
            )
            torch.testing.assert_close(found, wanted)


# --- 3.12


def test_five_steps_bring_every_singular_value_from_0_003_on_near_1() -> None:
    values = torch.logspace(math.log10(0.003), 0, 20_001, dtype=torch.float64)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    assert values.min() > 0.68
    assert values.max() < 1.21
    assert values.min() < 0.69
    assert values.max() > 1.20


@EXAMPLES
@given(st.integers(0, 2**31), st.sampled_from([(6, 6), (5, 12), (12, 5), (40, 3)]))
def test_orthogonalization_keeps_directions_and_levels_their_lengths(
    seed: int, shape: tuple[int, int]
) -> None:
    matrix = 100 * well_conditioned(Rng(seed), *shape)
    U, _, Vh = torch.linalg.svd(matrix, full_matrices=False)
    inside = U.mT @ further.orthogonalize(matrix) @ Vh.mT
    lengths = inside.diagonal()
    torch.testing.assert_close(inside, lengths.diag(), rtol=0, atol=1e-3)
    assert (lengths > 0.68).all()
    assert (lengths < 1.21).all()
    far = (further.orthogonalize(matrix) - U @ Vh).norm() / math.sqrt(min(shape))
    assert far < 0.33


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_muon_is_that_of_torch_within_the_rounding_of_bfloat16(shape: tuple[int, int]) -> None:
    rng = Rng(3)
    weight = rng.normal(*shape)
    theirs = nn.Parameter(weight.clone())
    optimizer = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.1, momentum=0.95)
    ours, state = weight.clone(), dict[str, Any]()
    for _ in range(4):
        before = ours.clone()
        theirs.data.copy_(ours)
        theirs.grad = well_conditioned(rng, *shape)
        optimizer.step()
        further.muon_step(ours, theirs.grad.clone(), state, 0.1)
        moved = (ours - before).norm()
        # torch iterates in bfloat16, which has 8 bits; the steps lift its rounding.
        assert (ours - theirs.detach()).norm() < 0.03 * moved
        plain = before * (1 - 0.1 * 0.1) - 0.1 * theirs.grad
        assert (plain - theirs.detach()).norm() > 0.1 * moved


def test_muon_takes_the_matrices_of_the_layers_and_adamw_the_rest() -> None:
    model, theirs = decoder(n_kv_heads=2), decoder(n_kv_heads=2)
    groups = further.muon_groups(model, lr=0.02, other_lr=1e-3)
    taken = [p for group in groups for p in group["params"]]
    assert sorted(map(id, taken)) == sorted(map(id, model.parameters()))
    names = {id(p): name for name, p in model.named_parameters()}
    hidden = [names[id(p)] for p in groups[0]["params"]]
    assert all(name.startswith("layers.") and name.endswith("proj.weight") for name in hidden)
    assert {names[id(p)] for p in groups[1]["params"]} == {"embed_tokens.weight", "lm_head.weight"}
    optimizer = further.Muon(groups)
    others = [p for name, p in theirs.named_parameters() if name not in hidden]
    adamw = torch.optim.AdamW(further.parameter_groups(nn.ParameterList(others), 0.1), 1e-3, (0.9, 0.95))
    ids = Rng(5).integers(0, 19, 3, 8)
    losses = []
    for _ in range(3):
        for net, opt in ((model, optimizer), (theirs, adamw)):
            opt.zero_grad()
            loss = net(ids, labels=ids).loss
            loss.backward()
            if net is model:
                losses.append(loss.item())
                gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
            else:
                for p, gradient in zip(theirs.parameters(), gradients, strict=True):
                    p.grad = gradient
            opt.step()
    assert losses[0] > losses[1] > losses[2]
    for name, parameter in theirs.named_parameters():
        if name not in hidden:
            torch.testing.assert_close(model.get_parameter(name), parameter, rtol=1e-5, atol=1e-7)


# --- 3.13 to 3.15


@pytest.mark.parametrize(("warmup", "decay", "total"), [(5, 10, 40), (0, 7, 20), (3, 17, 20)])
def test_the_stable_schedule_is_that_of_transformers_behind_the_warm_up(
    warmup: int, decay: int, total: int
) -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.25)
    options: dict[str, Any] = {
        "num_stable_steps": total - warmup - decay,
        "decay_type": "linear",
        "min_lr_ratio": 0.0,
    }
    schedule = get_wsd_schedule(optimizer, warmup, decay, **options)
    for step in range(total + 3):
        rate = further.stable_learning_rate(step, 0.25, warmup, decay, total)
        if step >= warmup:
            assert rate == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("changes", KINDS)
def test_groups_of_a_decoder_hold_each_parameter_once_and_torch_takes_them(changes: dict[str, Any]) -> None:
    model = decoder(**changes)
    decaying, still = further.parameter_groups(model, 0.1)
    assert {p.dim() for p in decaying["params"]} == {2}
    assert {p.dim() for p in still["params"]} == {1}
    assert len(decaying["params"]) + len(still["params"]) == len(list(model.parameters()))
    before = copy.deepcopy(model.state_dict())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    torch.optim.AdamW([decaying, still], lr=0.5).step()
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.dim() == 2 else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name])


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize(("B", "T"), [(1, 5), (3, 16)])
def test_flops_of_a_token_are_those_that_torch_counts(changes: dict[str, Any], B: int, T: int) -> None:
    model = decoder(**changes)
    ids = Rng(0).integers(0, 19, B, T)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(ids, labels=ids).loss.backward()
    # An embedding is looked up; the matrix of a tied one is multiplied by as the head.
    matrices = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    if model.lm_head is not None:
        matrices -= model.embed_tokens.weight.numel()
    args = model.args
    counted = further.flops_per_token(matrices, args.n_layers, args.n_heads * args.head_dim, T)
    assert counter.get_total_flops() == B * T * counted


def test_utilization_of_a_published_training_is_the_published_one() -> None:
    """PaLM 540B: 238.3 thousand tokens per second on 6,144 chips of 275e12; the paper says 46.2 %."""
    flops = further.flops_per_token(540_350_000_000, 118, 48 * 256, 2_048)
    assert further.utilization(238_300, flops, 6_144 * 275e12) == pytest.approx(0.462, abs=0.0005)


# --- the small cases


@pytest.mark.parametrize("item_id", EXERCISES)
def test_right_code_in_any_style_agrees_on_every_small_case_and_every_case_is_small(item_id: str) -> None:
    (item,) = (item for item in STEP3.exercises if item.id == item_id)
    checks, mistakes = load_marked(STEP3, "checks"), load_marked(STEP3, "mistakes")
    want = run_cases(implementation(STEP3, item, None), item, checks)
    assert all("output" in case for case in want)
    for case in want:
        text = "\n".join(named(f"{name} = ", value) for name, value in case["inputs"].items())
        assert text.count("\n") < 12, text
        assert max(map(len, text.split("\n"))) <= 76, text
    for variant in marked(mistakes, "variant", item_id):
        got = run_cases(implementation(STEP3, item, variant), item, checks)
        assert smallest_failing(want, got) is None, variant.__name__
    wrong = [
        run_cases(implementation(STEP3, item, f), item, checks) for f in marked(mistakes, "mistake", item_id)
    ]
    assert sum(smallest_failing(want, got) is not None for got in wrong) >= 0.8 * len(wrong)
