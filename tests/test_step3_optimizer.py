"""The schedule, clipping and AdamW: equal to torch's, and what holds of them for any numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from coursekit.judging.chains import first_parting
from coursekit.judging.judge import Judge
from coursekit.judging.loader import implementation, load_marked
from coursekit.judging.runs import run_chains
from coursekit.judging.smallest import named, smallest_failing
from coursekit.judging.verdict import Status, Verdict
from coursekit.probe import Rng, marked
from coursekit.registry import COURSE_ROOT, load_step
from coursekit.source import exercise_text, find_spans
from coursekit.workers.tasks import _cases as run_cases
from step3_pretrain import model_solution as m
from step3_pretrain.mistakes import adamw, adamw_means, adamw_state

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
STEP = load_step(COURSE_ROOT / "step3_pretrain")
IDS = ("3.5", "3.6", "3.7", "3.8")
CHECKS, MISTAKES = load_marked(STEP, "checks"), load_marked(STEP, "mistakes")
ITEMS = {item.id: item for item in STEP.exercises if item.id in IDS}


# --- the schedule


def by_torch(peak: float, warmup: int, total: int, floor: float) -> list[float]:
    """Return torch's rates: a linear warm-up, then its cosine."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total - warmup, eta_min=floor * peak)
    first = optimizer.param_groups[0]["lr"]
    rates = [peak * (step + 1) / warmup for step in range(warmup)] + [first]
    for _ in range(total - warmup):
        optimizer.step()
        down.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize(("warmup", "total", "floor"), [(5, 40, 0.1), (0, 30, 0.0), (1, 9, 0.5)])
def test_the_schedule_is_torchs(warmup: int, total: int, floor: float) -> None:
    found = [m.learning_rate(step, 3e-3, warmup, total, floor) for step in range(total + 1)]
    assert found == pytest.approx(by_torch(3e-3, warmup, total, floor), rel=1e-9)


@EXAMPLES
@given(st.floats(1e-6, 10), st.integers(0, 50), st.integers(1, 200), st.floats(0, 1))
def test_the_rate_rises_then_falls_and_stays_between_its_ends(
    peak: float, warmup: int, way: int, floor: float
) -> None:
    total = warmup + way
    rates = [m.learning_rate(step, peak, warmup, total, floor) for step in range(total + 20)]
    up, down = rates[:warmup], rates[warmup:]
    assert all(one < two for one, two in itertools.pairwise(up))
    assert all(one >= two for one, two in itertools.pairwise(down))
    assert rates[warmup] == max(rates) == pytest.approx(peak)
    assert set(down[way:]) == {down[way]}
    assert down[way] == pytest.approx(floor * peak)
    assert min(rates) > 0 or floor == 0


# --- clipping


def parameters(rng: Rng, scale: float = 1.0) -> list[nn.Parameter]:
    found = [nn.Parameter(torch.zeros(shape)) for shape in ((3, 4), (5,), (2, 3, 2), (7,))]
    for parameter in found[:-1]:
        parameter.grad = scale * rng.normal(*parameter.shape)
    return found


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 5.0, 1e3])
@pytest.mark.parametrize("seed", range(3))
def test_clipping_is_torchs(max_norm: float, seed: int) -> None:
    ours, theirs = parameters(Rng(seed), 3.0), parameters(Rng(seed), 3.0)
    norm = m.clip_gradients(iter(ours), max_norm)
    wanted = nn.utils.clip_grad_norm_(theirs, max_norm)
    torch.testing.assert_close(norm, wanted, rtol=1e-6, atol=0)
    for one, two in zip(ours, theirs):
        assert (one.grad is None) == (two.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-6, atol=0)


@EXAMPLES
@given(st.integers(0, 2**31), st.floats(1e-4, 1e4), st.floats(1e-3, 1e3))
def test_clipped_gradients_are_within_the_limit_and_keep_their_direction(
    seed: int, scale: float, max_norm: float
) -> None:
    clipped = parameters(Rng(seed), scale)
    before = torch.cat([p.grad.flatten().clone() for p in clipped if p.grad is not None])
    norm = m.clip_gradients(clipped, max_norm)
    after = torch.cat([p.grad.flatten() for p in clipped if p.grad is not None])
    assert float(norm) == pytest.approx(float(before.norm()), rel=1e-5)
    assert float(after.norm()) == pytest.approx(min(max_norm, float(before.norm())), rel=1e-5)
    torch.testing.assert_close(after / after.norm(), before / before.norm(), rtol=1e-5, atol=1e-6)
    if norm <= max_norm:
        assert torch.equal(after, before)


# --- AdamW

SETTINGS: dict[str, dict[str, Any]] = {
    "the course's": {"lr": 3e-3},
    "no decay": {"lr": 1e-2, "weight_decay": 0.0},
    "strong decay": {"lr": 1e-2, "weight_decay": 0.5},
    "torch's": {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.01},
    "large eps": {"lr": 1e-2, "eps": 1e-2},
    "long memory": {"lr": 1e-2, "betas": (0.99, 0.9)},
}


def farthest(step: Callable[..., None], chosen: dict[str, Any], count: int = 50) -> float:
    """Return how far weights are from torch's within so many steps, relative to the largest of a tensor."""
    rng = Rng(3)
    # By hand, as torch's default implementation: one tensor after the other.
    ours = [rng.normal(4, 6), rng.normal(9), rng.normal(2, 3, 4)]
    theirs = [nn.Parameter(weight.clone()) for weight in ours]
    defaults = {"betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
    optimizer = torch.optim.AdamW(theirs, **(defaults | chosen), foreach=False)
    states: list[dict[str, Any]] = [{} for _ in ours]
    worst = 0.0
    for _ in range(count):
        for weight, state, other in zip(ours, states, theirs):
            gradient = rng.normal(*weight.shape) + 0.3
            other.grad = gradient.clone()
            step(weight, gradient, state, **chosen)
        optimizer.step()
        for weight, other in zip(ours, theirs):
            gap = (weight - other.detach()).abs().max() / other.detach().abs().max()
            worst = max(worst, float(gap.nan_to_num(nan=1.0)))
    return worst


@pytest.mark.parametrize("chosen", SETTINGS.values(), ids=list(SETTINGS))
def test_fifty_steps_are_torchs_to_a_millionth(chosen: dict[str, Any]) -> None:
    assert farthest(m.adamw_step, chosen) <= 1e-6


WRONG = marked([adamw, adamw_means, adamw_state], "mistake", "3.7")
# Their fault does not show in the weights where every step has a gradient tensor of its own.
UNSEEN = {"changes_gradient", "keeps_alias"}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda function: function.__name__)
def test_the_parity_with_torch_bites(wrong: Callable[..., None]) -> None:
    gaps = [farthest(wrong, SETTINGS[name], 10) for name in ("strong decay", "large eps")]
    assert (max(gaps) > 1e-4) != (wrong.__name__ in UNSEEN)


def test_the_optimizer_moves_what_has_a_gradient_with_the_settings_of_its_group() -> None:
    rng = Rng(0)
    weights = [nn.Parameter(rng.normal(3)) for _ in range(3)]
    before = [weight.detach().clone() for weight in weights]
    groups = [{"params": weights[:2], "lr": 0.1}, {"params": weights[2:], "weight_decay": 0.0}]
    optimizer = m.AdamW(groups, lr=0.2, weight_decay=0.5)
    for weight in (weights[0], weights[2]):
        weight.grad = torch.ones(3)
    optimizer.step()
    torch.testing.assert_close(weights[0].detach(), before[0] * (1 - 0.1 * 0.5) - 0.1)
    assert torch.equal(weights[1], before[1])
    torch.testing.assert_close(weights[2].detach(), before[2] - 0.2)


@EXAMPLES
@given(st.integers(0, 2**31), st.floats(1e-3, 1.0), st.floats(1e-3, 1e3))
def test_no_step_is_much_longer_than_the_rate_and_the_gradients_scale_plays_no_part(
    seed: int, lr: float, scale: float
) -> None:
    def way(factor: float) -> Tensor:
        rng, weight = Rng(seed), torch.zeros(5, dtype=torch.float64)
        state: dict[str, Any] = {}
        for _ in range(6):
            gradient = factor * rng.normal(5).double()
            m.adamw_step(weight, gradient, state, lr, eps=0.0, weight_decay=0.0)
        return weight

    # By Cauchy and Schwarz |m̂| is at most 1.004 √v̂ in the first six steps with these betas.
    assert float(way(1.0).abs().max()) <= 6 * 1.004 * lr
    torch.testing.assert_close(way(scale), way(1.0), rtol=1e-9, atol=1e-12)


# --- what is shown of a failure


@pytest.mark.parametrize("item_id", IDS)
def test_small_cases_are_small_and_right_code_in_any_style_agrees_on_them(item_id: str) -> None:
    item = ITEMS[item_id]
    want = run_cases(implementation(STEP, item, None), item, CHECKS)
    assert all("output" in case for case in want)
    for case in want:
        text = "\n".join(named(f"  {name} = ", value) for name, value in case["inputs"].items())
        assert text.count("\n") < 12, text
        assert max(map(len, text.split("\n"))) <= 76, text
    for function in marked(MISTAKES, "variant", item_id):
        got = run_cases(implementation(STEP, item, function), item, CHECKS)
        assert smallest_failing(want, got) is None, function.__name__


@pytest.mark.parametrize("item_id", IDS)
def test_most_mistakes_show_on_a_small_case(item_id: str) -> None:
    item = ITEMS[item_id]
    want = run_cases(implementation(STEP, item, None), item, CHECKS)
    known = marked(MISTAKES, "mistake", item_id)
    seen = [
        smallest_failing(want, run_cases(implementation(STEP, item, function), item, CHECKS)) is not None
        for function in known
    ]
    assert sum(seen) >= 0.8 * len(known), [f.__name__ for f, is_seen in zip(known, seen) if not is_seen]


@pytest.mark.parametrize("item_id", IDS)
def test_the_first_sentence_of_a_mistake_is_short(item_id: str) -> None:
    for function in marked(MISTAKES, "mistake", item_id):
        first = " ".join((function.__doc__ or "").split()).split(". ")[0]
        assert 10 < len(first) <= 120, first


def test_on_the_way_a_fault_of_the_decay_is_told_from_one_of_the_means() -> None:
    item = ITEMS["3.7"]
    want = run_chains(CHECKS, "3.7", implementation(STEP, item, None), 20)

    def place(name: str) -> str:
        (function,) = (f for f in marked(MISTAKES, "mistake", "3.7") if f.__name__ == name)
        trail = first_parting(want, run_chains(CHECKS, "3.7", implementation(STEP, item, function), 20))
        return "nowhere" if trail is None else f"{trail.title}: {trail.links[-1].name}"

    assert place("no_correction") == "without decay: the weight after step 1"
    assert place("forgets") == "without decay: the weight after step 2"
    assert place("no_decay") == "with decay: the weight after a step without a gradient"
    assert place("decay_afterwards") == "with decay: the weight after step 1"


# --- the judge


@pytest.fixture
def verdict_on(pool: Any, tmp_path: Any) -> Callable[..., Verdict]:
    """Judge step 3's solution with another body of one exercise."""
    solution = exercise_text((STEP.path / "model_solution.py").read_text(encoding="utf-8"), STEP, "model")

    def run(item_id: str, body: str) -> Verdict:
        (target,) = ITEMS[item_id].targets
        span, lines = find_spans(solution, [target])[target], solution.split("\n")
        lines[span.body_first - 1 : span.last] = [f"    {line}" for line in body.split("\n")]
        path = tmp_path / "model_exercise.py"
        path.write_text("\n".join(lines), encoding="utf-8")
        return Judge(pool=pool).report(STEP, [ITEMS[item_id]], path).verdicts[0]

    return run


LIBRARY = {
    "3.6": "return torch.nn.utils.clip_grad_norm_(parameters, max_norm)",
    "3.7": "torch.optim.AdamW([weight], lr).step()",
}


@pytest.mark.parametrize("item_id", LIBRARY)
def test_the_librarys_own_is_not_allowed(verdict_on: Any, item_id: str) -> None:
    assert verdict_on(item_id, LIBRARY[item_id]).status is Status.NOT_ALLOWED


WRITTEN = {
    "starts_at_zero": ("3.5", "return peak * step / warmup if step < warmup else _down(step)"),
    "scales_up": (
        "3.6",
        "grads = [p.grad for p in parameters if p.grad is not None]\n"
        "norm = torch.cat([g.flatten() for g in grads]).norm()\n"
        "[g.mul_(max_norm / max(float(norm), 1e-12)) for g in grads]\nreturn norm",
    ),
    "decay_in_gradient": (
        "3.7",
        "g = gradient + weight_decay * weight\nn = state['n'] = state.get('n', 0) + 1\n"
        "a = state['a'] = state.get('a', 0 * g) * betas[0] + g * (1 - betas[0])\n"
        "b = state['b'] = state.get('b', 0 * g) * betas[1] + g * g * (1 - betas[1])\n"
        "weight -= lr * a / (1 - betas[0] ** n) / ((b / (1 - betas[1] ** n)).sqrt() + eps)",
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_known_mistake_is_named_however_it_is_written(verdict_on: Any, name: str) -> None:
    item_id, body = WRITTEN[name]
    down = "math.cos(math.pi * min(1, (step - warmup) / max(1, total - warmup)))"
    body = body.replace("_down(step)", f"peak * (floor + (1 - floor) * (1 + {down}) / 2)")
    verdict = verdict_on(item_id, body)
    assert verdict.mistake is not None
    assert (verdict.mistake.name, verdict.mistake.is_all) == (name, True)
    assert verdict.smallest is not None
