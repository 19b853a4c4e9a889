"""Explorers of step 3 show what the functions compute, and say what cannot be shown."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from step3_pretrain import explorers, model_solution
from step3_pretrain.explorers.blocks import SEEDS, STEPS
from step3_pretrain.explorers.optimizer import DECAY, START, slope
from step3_pretrain.explorers.schedule import FLOORS, TOTALS, WARMUPS, steps_of

DOCUMENTS = [[f"w{i} " for i in range(length)] for length in (30, 50, 20)]
ALL = {
    "blocks": lambda: explorers.blocks(model_solution, DOCUMENTS),
    "optimizer": lambda: explorers.optimizer(model_solution),
    "schedule": lambda: explorers.schedule(model_solution),
}


def arrays_of(widget: Any) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(np.frombuffer(a["data"], "<f4").reshape(a["shape"]).copy())
        for name, a in widget.arrays.items()
    }


def with_parts(**parts: Any) -> SimpleNamespace:
    """Return the reference with other functions."""
    return SimpleNamespace(**{**vars(model_solution), **parts})


@pytest.mark.parametrize("name", ALL)
def test_every_explorer_leaves_a_picture_and_words_behind_and_says_who_computed(name: str) -> None:
    shown = ALL[name]()
    data, _ = shown._repr_mimebundle_()
    assert data["image/png"]
    assert shown.says in data["text/plain"]
    assert 'alt="' in data["text/html"]
    assert shown.whose == "Computed by the reference."


def test_the_blocks_of_the_page_are_those_that_the_module_draws() -> None:
    shown = ALL["blocks"]()
    starts = arrays_of(shown)["starts"]
    assert tuple(starts.shape) == (SEEDS, STEPS, 4)
    stream = torch.arange(103)
    for seed, step in ((0, 0), (2, 17)):
        drawn = model_solution.sample_blocks(stream, 32, 4, seed, step)
        assert starts[seed, step].tolist() == drawn[:, 0].tolist()
    assert shown.values["ends"] == [30, 81, 102]
    assert [shown.values["texts"][end] for end in shown.values["ends"]] == ["‖"] * 3


def test_a_module_that_draws_one_batch_for_all_steps_is_seen_to_do_so() -> None:
    def stuck(stream: Any, T: int, B: int, seed: int, step: int) -> Any:
        return model_solution.sample_blocks(stream, T, B, seed, 0)

    starts = arrays_of(explorers.blocks(with_parts(sample_blocks=stuck), DOCUMENTS))["starts"]
    assert torch.equal(starts, starts[:, :1].expand_as(starts))
    sound = arrays_of(ALL["blocks"]())["starts"]
    assert not torch.equal(sound, sound[:, :1].expand_as(sound))


def test_rates_of_the_page_are_those_of_the_module_at_every_warm_up_floor_and_length() -> None:
    rates = arrays_of(ALL["schedule"]())["rates"]
    for t, total in enumerate(TOTALS):
        for w, warmup in enumerate(WARMUPS):
            for f, floor in enumerate(FLOORS):
                wanted = [
                    model_solution.learning_rate(step, 1.0, warmup, total, floor) for step in steps_of(total)
                ]
                torch.testing.assert_close(rates[t, w, f], torch.tensor(wanted))
    assert steps_of(500)[0] == 0
    assert steps_of(500)[-1] == 499


def test_another_schedule_shows_another_curve() -> None:
    flat = explorers.schedule(with_parts(learning_rate=lambda step, peak, *rest: peak))
    assert (arrays_of(flat)["rates"] == 1).all()


def test_adam_on_the_page_is_torchs_adam() -> None:
    paths = arrays_of(ALL["optimizer"]())["paths"]
    for row, decay in ((2, 0.0), (3, DECAY)):
        weight = torch.nn.Parameter(torch.tensor(START))
        torchs = torch.optim.AdamW([weight], 0.2, betas=(0.9, 0.999), weight_decay=decay)
        for step in range(1, paths.shape[1]):
            weight.grad = slope(weight.detach())
            torchs.step()
            torch.testing.assert_close(paths[row, step], weight.detach(), atol=1e-5, rtol=1e-5)


def test_without_the_correction_the_first_move_is_root_ten_times_as_long() -> None:
    paths = arrays_of(ALL["optimizer"]())["paths"]
    first = (paths[:, 1] - paths[:, 0]).norm(dim=-1)
    assert first[1] / first[2] == pytest.approx(math.sqrt(10), rel=1e-3)


def test_decay_comes_to_rest_between_the_lowest_place_and_zero() -> None:
    end = arrays_of(explorers.optimizer(model_solution, 300))["paths"][:, -1]
    assert 1.0 < end[3, 0] < 1.8 < end[2, 0] < 2.2


def test_the_page_shows_the_steps_of_the_module_that_it_was_given() -> None:
    still = explorers.optimizer(with_parts(adamw_step=lambda *args, **settings: None))
    paths = arrays_of(still)["paths"]
    assert (paths[2] == torch.tensor(START)).all()
    assert not (paths[0] == torch.tensor(START)).all()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: explorers.blocks(model_solution, [["a"]]), "must hold 32 to 2,000 tokens, got 2"),
        (lambda: explorers.optimizer(model_solution, 1), "num_steps must be from 2 to 400, got 1"),
        (lambda: explorers.schedule(model_solution, warmup=7), "warmup must be one of 0, 10, .*, got 7"),
        (lambda: explorers.schedule(model_solution, total=7), "total must be one of 500, .*, got 7"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()
