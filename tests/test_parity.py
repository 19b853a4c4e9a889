"""Our models are those of `transformers`: four families, two dtypes, cached or not; and what docs/parity.md
says of it is what was measured.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from coursekit.evidence import file_of
from coursekit.probe import Rng
from step2_model import further_solution, model_solution
from step2_model.checks import parity as probes
from step2_model.parity import LIMIT, ROUNDING, __main__, families, measuring
from step2_model.parity.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The library's notices about its own configurations are not ours to mend."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    yield
    logging.disable(before)


@pytest.mark.parametrize("is_cached", [False, True], ids=["whole", "cached"])
@pytest.mark.parametrize("family", FAMILIES)
def test_in_float32_logits_and_greedy_tokens_are_the_librarys(family: str, is_cached: bool) -> None:
    row = measuring.measure(family, "float32", is_cached)
    assert row["error"] < LIMIT
    assert row["tokens_equal"] == row["tokens"]


@pytest.mark.parametrize("is_cached", [False, True], ids=["whole", "cached"])
@pytest.mark.parametrize("family", FAMILIES)
def test_in_bfloat16_they_differ_by_rounding_alone(family: str, is_cached: bool) -> None:
    row = measuring.measure(family, "bfloat16", is_cached)
    assert row["error"] <= ROUNDING * row["own_error"]
    assert row["lead"] <= ROUNDING * row["own_error"]


def test_texts_of_the_measurement_vary() -> None:
    """A model that says one word for ever would agree with many others."""
    for family in FAMILIES:
        model = families.redraw(FAMILIES[family]())
        written = [measuring.generated(model, row) for row in measuring.texts().tolist()]
        assert len({token for text in written for token in text}) >= 12, family
        assert len({tuple(text) for text in written}) >= 2, family


def test_a_wrong_model_is_far_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_solution, "rotate", lambda x, cos, sin: x)
    row = measuring.measure("Llama", "float32", False)
    assert row["error"] > 1000 * LIMIT
    assert row["tokens_equal"] < row["tokens"]


def test_a_cache_that_forgets_shows_in_the_cached_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def append(self: Any, k: torch.Tensor, v: torch.Tensor) -> None:
        self.k, self.v, self.length = k, v, self.length + k.shape[-2]

    monkeypatch.setattr(model_solution.KVCache, "append", append)
    assert measuring.measure("Llama", "float32", False)["error"] < LIMIT
    assert measuring.measure("Llama", "float32", True)["error"] > 1000 * LIMIT


def test_the_page_shows_what_was_measured() -> None:
    text = __main__.PAGE.read_text(encoding="utf-8")
    assert __main__.page(text) == text, "run `python -m step2_model.parity`"
    kept = json.loads(file_of("parity").read_text(encoding="utf-8"))
    assert len(kept["results"]) == 2 * 2 * len(FAMILIES)
    assert all(kept["claims"].values())


def test_a_page_without_the_marks_is_told_so() -> None:
    with pytest.raises(ValueError, match="must hold the marks of its table, got none"):
        __main__.page("# Parity\n")


@pytest.mark.parametrize(
    ("probe", "reference", "module"),
    [
        (probes.equals_llama, probes.transformers_llama, model_solution),
        (probes.equals_deepseek, probes.transformers_deepseek, model_solution),
        (probes.equals_whole_deepseek, probes.transformers_whole_deepseek, further_solution),
        (probes.equals_mixtral, probes.transformers_mixtral, further_solution),
    ],
)
def test_milestones_compare_with_the_library_itself(probe: Any, reference: Any, module: Any) -> None:
    """Both sides are asked the same, and no claim is empty: logits are of order one, and vary."""
    for own, theirs in zip(probe(module, Rng(5)), probe(reference(), Rng(5)), strict=True):
        assert own.label == theirs.label
        if own.kind == "equal":
            assert 0.5 < float(theirs.value.std()) < 20
            assert float(theirs.value.std(dim=1).min()) > 0.1
            assert float((own.value - theirs.value).abs().max()) < LIMIT * float(theirs.value.std())


def test_the_yarn_of_the_milestone_has_pairs_of_all_three_kinds() -> None:
    yarn = model_solution.YarnScaling(**probes.TURNS)
    dim, theta = probes.LONG["qk_rope_head_dim"], probes.LONG["rope_theta"]
    found, _ = further_solution.yarn_frequencies(dim, theta, yarn)
    plain = theta ** -(torch.arange(0, dim, 2) / dim)
    ratio = (found / plain).tolist()
    assert [round(r, 4) for r in ratio[:2]] == [1.0, 1.0]
    assert [round(r, 4) for r in ratio[5:]] == [0.25] * 3
    assert all(0.26 < r < 0.99 for r in ratio[2:5])
