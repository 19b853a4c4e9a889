"""The explorer of the next token shows what the model says and what the learner's cut keeps of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from step4_generate import explorers, model_solution

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, -6.0], [0.0, 5.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
NAMES, VOCABULARY = ["‖", "a", "b"], ["a", "b", "c", "d", "e"]


def shown(mine: Any = model_solution, **changes: Any) -> Any:
    return explorers.next_token(mine, NAMES, LOGITS, VOCABULARY, **changes)


def array(widget: Any, name: str) -> torch.Tensor:
    found = widget.arrays[name]
    return torch.from_numpy(np.frombuffer(found["data"], "<f4").reshape(found["shape"]).copy())


def test_the_explorer_leaves_a_picture_and_words_behind_and_says_who_computed() -> None:
    widget = shown(position=1)
    data, _ = widget._repr_mimebundle_()
    assert data["image/png"]
    assert widget.says in data["text/plain"]
    assert 'alt="' in data["text/html"]
    assert widget.whose == "Computed by the reference."
    assert widget.says == (
        "After '‖a' the likeliest token is 'b' with 97.4%; a top-p of 0.9 keeps 1 of 5 tokens."
    )


def test_the_page_gets_the_models_logits_and_what_the_modules_own_cut_keeps() -> None:
    widget = shown()
    torch.testing.assert_close(array(widget, "logits"), LOGITS)
    # 0.64, 0.24 and 0.09 are needed to reach 0.9; one token that has 0.97; all five that are tied.
    assert array(widget, "kept").tolist() == [3, 1, 5]
    assert widget.values["position"] == 2
    assert widget.values["ks"] == [1, 2, 3, 5]


def test_a_cut_that_keeps_everything_is_seen_to_do_so() -> None:
    module = SimpleNamespace(**{**vars(model_solution), "keep_top_p": lambda logits, p: logits})
    assert array(shown(module), "kept").tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    ("names", "vocabulary", "position"),
    [(NAMES[:2], VOCABULARY, 0), (NAMES, VOCABULARY[:4], 0), (NAMES, VOCABULARY, 3), (NAMES, VOCABULARY, -4)],
)
def test_logits_that_do_not_fit_their_text_are_refused_in_a_sentence(
    names: list[str], vocabulary: list[str], position: int
) -> None:
    with pytest.raises(ValueError, match=r"logits must be \(T, V\) for T names and V of the vocabulary"):
        explorers.next_token(model_solution, names, LOGITS, vocabulary, position)
