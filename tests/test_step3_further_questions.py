"""What the further chapter of step 3 and its questions say in numbers is what comes out when computed."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from coursekit.registry import COURSE_ROOT, Choice, find_step
from step3_pretrain import further_solution as further
from step3_pretrain import model_solution as reference
from step3_pretrain.experiments import further_documents as documents
from step3_pretrain.experiments import further_lengths as lengths
from step3_pretrain.experiments import further_measures as measure
from step3_pretrain.experiments import further_runs as runs
from step3_pretrain.experiments.further_whole import take_steps
from step3_pretrain.explorers.rounding import FORMATS, lowered, rounding
from step3_pretrain.explorers.spectrum import COEFFICIENTS, HIGH, LOW, spectrum

QUESTIONS = {question.id: question for question in find_step("3").questions}
CHAPTER = (COURSE_ROOT / "docs/tutorials/step3_pretrain_further.md").read_text(encoding="utf-8")
HALF, BRAIN = torch.float16, torch.bfloat16


def right(name: str) -> Choice:
    """Return the right choice of a question."""
    (choice,) = [choice for choice in QUESTIONS[f"3.q-{name}"].choices if choice.right]
    return choice


def said(name: str) -> str:
    """Return everything that a question says."""
    question = QUESTIONS[f"3.q-{name}"]
    return " ".join([question.prompt, *(f"{c.text} {c.response}" for c in question.choices)])


# What the computations below start from: the numbers of the prompts, in their order.
GIVEN = {
    "decay-gain": [0.001, 0.1, 1, 10_000],
    "docs-count": [5, 6, 0, 7, 8, 0, 9, 0],
    "docs-position": [4, 0],
    "docs-read": [5, 6, 0, 7, 8, 0, 7, 3],
    "half-add": [16, 8, 1, 0.001],
    "half-master": [1, 16, 0.001, 1_000],
    "muon-equal": [10, 1, 0.1],
    "muon-price": [1_024, 1_024, 524_288],
    "muon-size": [0.02, 64, 64, 1],
    "muon-tall": [160, 64],
    "muon-tiny": [0.00001],
    "parts-mean": [3, 2, 6],
    "parts-room": [32, 8, 4],
    "scale-order": [65_536, 1],
    "spent-longer": [12],
    "stable-longer": [10_000, 0, 20_000],
    "stable-steps": [10_000, 20_000, 40_000],
}


@pytest.mark.parametrize("name", GIVEN)
def test_the_numbers_of_a_prompt_are_those_that_are_computed_with(name: str) -> None:
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", QUESTIONS[f"3.q-{name}"].prompt)
    assert [float(number.rstrip(",").replace(",", "")) for number in found] == GIVEN[name]


class Stated(nn.Module):
    """A model whose losses are given beforehand: `ids` say which."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.losses = torch.tensor(losses)

    def loss_of(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.weight * self.losses[ids[0, 0]]


def test_a_part_counts_by_its_tokens() -> None:
    model = Stated([2.0, 6.0])
    part = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 1, 2, 3]])
    other = torch.tensor([[1, 1, 2, 3]]), torch.tensor([[1, 1, -100, -100]])
    assert right("parts-mean").text == f"{further.accumulate_gradients(model.loss_of, [part, other]):.0f}."
    assert {f"{(2 + 6) / 2:.0f}.", f"{2 + 6}."} < {c.text for c in QUESTIONS["3.q-parts-mean"].choices}


def test_a_factor_of_eight_hardly_shows_behind_clipping_and_adamw() -> None:
    moved = []
    for factor in (1.0, 8.0):
        torch.manual_seed(0)
        model = nn.Linear(6, 6)
        before = model.weight.detach().clone()
        optimizer = reference.AdamW(model.parameters(), 1e-2)
        (factor * model(torch.randn(5, 6)).square().sum()).backward()
        reference.clip_gradients(model.parameters(), 1.0)
        optimizer.step()
        moved.append(model.weight.detach() - before)
    torch.testing.assert_close(*moved, rtol=1e-4, atol=1e-7)
    assert right("parts-sum").text.startswith("Hardly:")


def test_half_precision_is_as_the_questions_say() -> None:
    one = torch.tensor(1.0, dtype=BRAIN)
    assert (one + 0.001).item() == float(right("half-add").text[:-1])
    assert torch.finfo(BRAIN).eps == 1 / 128
    assert f"{1 + 1 / 128:.4f}, the next number." in said("half-add")
    assert math.log2(1000) < 10
    big = torch.tensor(1e5)
    assert f"to {big.to(BRAIN).item():,.0f}." in right("half-range").response
    assert torch.isinf(big.to(HALF))
    assert f"float16 ends at {torch.finfo(HALF).max:,.0f}." in right("half-range").response
    assert torch.finfo(BRAIN).eps / torch.finfo(HALF).eps == 8
    for _ in range(1_000):
        one = one - 0.001
    assert right("half-master").text == f"At {one.item():.0f}."
    below = torch.nextafter(torch.tensor(1.0, dtype=BRAIN), torch.tensor(0.0, dtype=BRAIN))
    assert 1 - below.item() == 1 / 256
    assert "1 − 1/256, about 0.004 away" in right("half-master").response


def test_the_chapter_s_half_precision_is_what_torch_does() -> None:
    total, one = torch.tensor(0.0, dtype=BRAIN), torch.tensor(1.0, dtype=BRAIN)
    for _ in range(1_000):
        total = total + one
    assert f"The sum stops at {total.item():.0f}, because" in CHAPTER
    numbers = torch.arange(2**16 - 1, dtype=torch.int32).to(torch.int16).view(BRAIN).float()
    assert f"Between 1 and 2 bfloat16 knows {int(((numbers >= 1) & (numbers < 2)).sum())} numbers" in CHAPTER
    weight = torch.tensor(1.0, dtype=BRAIN)
    for _ in range(1_000):
        weight -= 0.0005
    assert weight == 1
    found = measure.dtypes_under(BRAIN)
    assert (found["x @ w"], found["(x @ w) squared"]) == ("bfloat16", "bfloat16")
    assert {found[name] for name in ("x + x", "softmax(x)", "exp(x)", "cross entropy")} == {"float32"}


def test_float16_ends_where_the_chapter_says() -> None:
    least = torch.tensor(2.0**-24, dtype=HALF)
    assert least > 0
    assert torch.tensor(2.0**-25, dtype=torch.float32).to(HALF) == 0
    assert float(right("scale-small").text[:-1]) == pytest.approx(least.item(), rel=0.01)
    assert torch.finfo(HALF).tiny == pytest.approx(float("0.00006"), rel=0.02)
    assert torch.finfo(HALF).tiny / least.item() == 2**10
    assert torch.finfo(BRAIN).tiny == torch.finfo(torch.float32).tiny == pytest.approx(1e-38, rel=0.2)
    assert f"float16 goes up to {torch.finfo(HALF).max:,.0f}" in CHAPTER


def test_clipping_before_dividing_leaves_the_inverse_of_the_scale() -> None:
    weight = nn.Parameter(torch.ones(9))
    weight.grad = torch.randn(9) * 65_536
    reference.clip_gradients([weight], 1.0)
    assert (weight.grad / 65_536).norm().item() == pytest.approx(1 / 65_536)
    assert right("scale-order").text == f"1/{65_536:,}."


def test_an_infinite_gradient_halves_the_scale_and_moves_nothing() -> None:
    weight = nn.Parameter(torch.ones(9))
    optimizer, scaler = torch.optim.SGD([weight], 1.0), torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(weight.sum()).backward()
    assert weight.grad is not None
    weight.grad[3] = math.inf
    further.scaled_step(optimizer, scaler, [weight], 1.0)
    assert torch.equal(weight, torch.ones(9))
    assert scaler.get_scale() == 4
    assert right("scale-inf").text == "It leaves out the whole step and halves the scale."
    weights = sum(parameter.numel() for parameter in runs.small_model().parameters())
    assert f"One gradient of {weights:,} is infinite." in said("scale-inf")


def test_documents_are_read_and_labeled_as_the_questions_say() -> None:
    mask = further.document_mask(torch.tensor([[5, 6, 0, 7, 8]]), 0)[0, 0]
    assert mask[3].tolist() == [False, False, False, True, False]
    assert right("docs-read").text == "Its own alone."
    labels = further.document_labels(torch.tensor([[5, 6, 0, 7, 8, 0, 9]]), 0)
    counted = labels[0, 1:][labels[0, 1:] != -100]
    assert right("docs-count").text == f"{len(counted)}."
    assert counted.tolist() == [6, 0, 8, 0]
    assert "Right: 6, 0, 8 and 0." in right("docs-count").response


def test_a_score_knows_only_the_distance_of_two_positions() -> None:
    from step2_model.model_solution import rope_at, rotate

    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0))

    def score(i: int, j: int) -> torch.Tensor:
        a, b = (rope_at(torch.tensor([[place]]), 8) for place in (i, j))
        return (rotate(q, *a) * rotate(k, *b)).sum()

    torch.testing.assert_close(score(7, 5), score(3, 1))
    assert not torch.isclose(score(7, 5), score(7, 1), rtol=1e-2)


def test_the_figure_of_the_mask_has_three_triangles() -> None:
    mask = further.document_mask(torch.tensor([[5, 6, 7, 0, 8, 9, 0, 4]]), 0)[0, 0]
    sizes = [4, 3, 1]
    wanted = torch.block_diag(*[torch.ones(size, size).tril() for size in sizes]).bool()
    assert torch.equal(mask, wanted)
    assert "of 4, 3 and 1 positions" in CHAPTER


def five_steps(s: torch.Tensor) -> torch.Tensor:
    a, b, c = COEFFICIENTS
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    return s


def test_five_steps_do_to_singular_values_what_the_chapter_says() -> None:
    inside = five_steps(torch.linspace(0.0016, 1, 100_000, dtype=torch.float64))
    assert (round(inside.min().item(), 2), round(inside.max().item(), 2)) == (0.68, 1.2)
    assert LOW < inside.min() < inside.max() < HIGH
    assert "Five steps are a wavy line between 0.68 and 1.2" in CHAPTER
    tiny = five_steps(torch.tensor(1e-5, dtype=torch.float64)).item()
    assert right("muon-tiny").text == f"About {tiny:.3f}."
    assert f"is {COEFFICIENTS[0] ** 5:.0f}." in right("muon-tiny").response
    generator = torch.Generator().manual_seed(0)
    U, _, V = torch.linalg.svd(
        torch.randn(6, 3, dtype=torch.float64, generator=generator), full_matrices=False
    )
    sizes = torch.tensor([10.0, 1.0, 0.1], dtype=torch.float64)
    found = U.T @ further.orthogonalize(U * sizes @ V) @ V.T
    torch.testing.assert_close(found, torch.diag(five_steps(sizes / sizes.norm())))
    assert (found.diagonal() > LOW).all()
    assert right("muon-equal").text == "Three values near 1, in the same directions."


def test_muon_costs_and_keeps_what_the_questions_say() -> None:
    assert right("muon-tall").text.startswith(f"{(160 / 64) ** 3:.1f} times")
    assert float(right("muon-size").text[:-1]) == pytest.approx(0.02 * math.sqrt(64))
    newton, training = 5 * 6 * 1_024**3, 6 * 1_024**2 * 524_288
    assert newton / training == 5 * 1_024 / 524_288
    assert right("muon-price").text == f"About {newton / training:.0%}.".replace("%", " %")
    assert 0.5 < 5 * 64 / 512 < 0.7
    kept: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    weight = torch.randn(8, 4)
    further.muon_step(weight, torch.randn(8, 4), kept[0], 0.1)
    reference.adamw_step(weight, torch.randn(8, 4), kept[1], 0.1)
    tensors = [sum(isinstance(value, torch.Tensor) for value in state.values()) for state in kept]
    assert tensors == [1, 2]
    assert right("muon-kept").text == "One number, where AdamW keeps two."


@pytest.mark.parametrize(("rows", "columns"), [(12, 8), (8, 12), (8, 8)])
def test_a_step_of_newton_schulz_is_as_many_operations_as_the_chapter_counts(rows: int, columns: int) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    m, n = min(rows, columns), max(rows, columns)
    with FlopCounterMode(display=False) as counter:
        further.orthogonalize(torch.randn(rows, columns), steps=1)
    assert counter.get_total_flops() == 4 * m**2 * n + 2 * m**3


def test_lengths_from_one_trunk_take_the_steps_that_are_said() -> None:
    totals, share = (10_000, 20_000, 40_000), 0.1
    falls = [round(share * total) for total in totals]
    taken = totals[-1] - falls[-1] + sum(falls)
    assert right("stable-steps").text == f"{taken:,}."
    told = "a trunk of {:,}, and falls of {:,}, {:,} and {:,}.".format(totals[-1] - falls[-1], *falls)
    assert told in right("stable-steps").response
    assert f"With cosines it would be {sum(totals):,}." in right("stable-steps").response
    assert "cosines take 7 in all" in CHAPTER
    assert 1 + 2 + 4 == 7
    assert "takes the trunk up to 3.6, and 0.7 for the decays" in CHAPTER
    assert (4 - 0.1 * 4, round(0.1 * 7, 1)) == (3.6, 0.7)


def test_decay_alone_is_what_the_questions_say() -> None:
    weight = torch.ones(3)
    state: dict[str, Any] = {}
    for _ in range(10_000):
        reference.adamw_step(weight, torch.zeros(3), state, lr=0.001, weight_decay=0.1)
    assert right("decay-gain").text == f"About {weight[0].item():.2f}."
    assert f"About {1 - 0.001 * 0.1:.4f}." in said("decay-gain")
    tied = runs.small_model()
    decaying, still = further.parameter_groups(tied, 0.1)
    assert sum(p is tied.embed_tokens.weight for p in decaying["params"]) == 1
    assert all(p is not tied.embed_tokens.weight for p in still["params"])


def test_attention_equals_the_matrices_at_six_times_the_width() -> None:
    C, L = 64, 3
    weights = L * 12 * C * C
    total = further.flops_per_token(weights, L, C, 6 * C)
    assert total == 2 * 6 * weights
    assert right("spent-longer").text == "From T = 6 · C on."
    assert 6 * 12 == 72


@pytest.mark.parametrize("changes", [{}, {"tie_embeddings": False}, {"n_layers": 4, "n_kv_heads": 2}])
def test_the_formula_is_what_torch_counts(changes: dict[str, Any]) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model, ids = runs.small_model(**changes), runs.text().blocks(0, size=32, batch=2)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        runs.loss_of(model, ids).backward()
    N, args = measure.multiplied_weights(model), model.args
    wanted = further.flops_per_token(N, args.n_layers, args.n_heads * args.head_dim, 32)
    assert counter.get_total_flops() == ids.numel() * wanted


def test_what_is_kept_grows_with_the_batch_and_shrinks_with_the_parts() -> None:
    model = runs.small_model()

    def kept(rows: int, parts: int) -> int:
        pairs = [(part, part) for part in runs.text().blocks(0, batch=rows).chunk(parts)]
        return measure.kept_bytes(
            lambda: further.accumulate_gradients(lambda i, y: model(i, labels=y).loss, pairs), model
        )

    assert kept(16, 1) / kept(4, 1) == pytest.approx(4, rel=0.02)
    assert kept(16, 4) == pytest.approx(kept(4, 1), rel=0.02)
    ids = runs.text().blocks(0, batch=16)
    together = measure.kept_bytes(
        lambda: torch.stack([runs.loss_of(model, part) for part in ids.chunk(4)]).sum().backward(), model
    )
    assert together == pytest.approx(kept(16, 1), rel=0.05), "one backward for all parts keeps everything"


def test_a_step_moves_all_weights_in_float32_and_gains_never_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=3")
    assert min(measure.moved(1e-3, torch.float32)) > 0.99
    of_matrices, of_gains = measure.moved(1e-4, BRAIN)
    assert of_gains == 0 < of_matrices < 0.9


def test_weights_kept_in_bfloat16_learn_less_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=30")
    before, brain, full = (measure.late(dtype) for dtype in (None, BRAIN, torch.float32))
    assert full < brain < before


def test_most_of_the_logits_gradient_is_lost_in_float16_and_none_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=40")
    found = measure.gradients()
    assert measure.lost(found["logits"], HALF) > 0.3 > 0.05 > measure.lost(found["weights"], HALF)
    assert measure.lost(found["logits"], BRAIN) == 0
    assert measure.lost(found["logits"], HALF, 2.0**16) < measure.lost(found["logits"], HALF) / 2
    assert measure.lost(found["weights"], HALF, 2.0**40) > 0.5, "too large is lost, too"


def test_first_tokens_that_are_never_asked_for_are_never_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=30")
    kinds = (None, further.document_labels)
    asked, unasked = (
        documents.first_and_rest(documents.trained(further.DocumentTransformer, labels_of))
        for labels_of in kinds
    )
    guessing = math.log(len(runs.text().tokenizer))
    assert asked[0] < guessing < unasked[0]
    assert abs(asked[1] - unasked[1]) < 0.5


def test_the_share_of_pairs_that_join_two_documents_grows_with_the_block() -> None:
    shares = [documents.share_across(further.document_mask, size, batches=4) for size in (32, 128)]
    assert 0 < shares[0] < shares[1] < 1
    causal = documents.share_across(
        lambda ids, end: torch.ones(*ids.shape, ids.shape[1]).tril(), 32, batches=1
    )
    assert causal == pytest.approx(0)


def test_a_branch_goes_on_from_the_trunk_and_leaves_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=8")
    assert lengths.lengths() == (8, 16)
    trunk, finished = lengths.by_trunk(further.stable_learning_rate, (8, 16))
    assert [run.start for run in finished] == [6, 12]
    assert [len(run.losses) for run in finished] == [2, 4]
    model = runs.small_model()
    optimizer = reference.AdamW(model.parameters(), lengths.PEAK)
    alone = runs.learn(model, optimizer, range(12), lambda step: min(1.0, (step + 1) / 2))
    assert trunk == pytest.approx(alone, rel=1e-5), "what branches off changes nothing in the trunk"
    assert finished[0].losses[0] == pytest.approx(trunk[6]), (
        "the first step of a branch begins where the trunk stands"
    )


@pytest.mark.parametrize("dtype", [torch.float32, BRAIN])
def test_all_parts_together_learn(dtype: torch.dtype) -> None:
    model = documents.model(further.DocumentTransformer)
    losses = take_steps(further, model, steps=12, parts=2, dtype=dtype)
    assert losses[0] == pytest.approx(math.log(len(runs.text().tokenizer)), abs=0.3)
    assert losses[-1] < losses[0] - 1.5


def test_parts_and_whole_take_the_same_steps() -> None:
    found = []
    for parts in (1, 4):
        model = documents.model(further.DocumentTransformer)
        found.append(take_steps(further, model, steps=3, parts=parts, dtype=torch.float32))
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_the_explorer_shows_the_module_s_own_singular_values() -> None:
    import numpy as np

    matrix = torch.randn(9, 20, generator=torch.Generator().manual_seed(0))
    shown = spectrum(further, matrix)
    values = torch.from_numpy(np.frombuffer(shown.arrays["values"]["data"], "<f4").copy()).view(6, 9)
    for k in range(6):
        torch.testing.assert_close(values[k], torch.linalg.svdvals(further.orthogonalize(matrix, k)))
    path = values[0].double()
    a, b, c = shown.values["coefficients"]
    once = (a * path + b * path**3 + c * path**5).sort(descending=True).values
    torch.testing.assert_close(once.float(), values[1], atol=1e-5, rtol=1e-4)
    data, _ = shown._repr_mimebundle_()
    assert data["image/png"]
    assert shown.says in data["text/plain"]
    assert shown.whose == "Computed by the reference."


@pytest.mark.parametrize(
    ("matrix", "start", "rule"),
    [
        (torch.zeros(3, 3), 0.1, "matrix must be"),
        (torch.ones(3), 0.1, "matrix must be"),
        (torch.eye(3), 0.0, "start must be"),
    ],
)
def test_an_explorer_of_nothing_is_refused(matrix: torch.Tensor, start: float, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        spectrum(further, matrix, start)


def test_the_explorer_of_formats_tells_how_far_torch_comes() -> None:
    shown = rounding(1.0, 5e-4)
    for name, dtype in FORMATS.items():
        kept = torch.tensor(1.0, dtype=dtype)
        for _ in range(1_000):
            kept = kept - 5e-4
        assert lowered(1.0, 5e-4, dtype)[-1] == pytest.approx(kept.item(), rel=1e-4)
        assert f"{lowered(1.0, 5e-4, dtype)[-1]:.4g} in {name}" in shown.says
    data, _ = shown._repr_mimebundle_()
    assert data["image/png"]
    assert shown.says in data["text/plain"]
    for wrong in ({"weight": 0.3}, {"step": 0.3}):
        with pytest.raises(ValueError, match=rf"{next(iter(wrong))} must be one of .*, got 0\.3"):
            rounding(**wrong)
