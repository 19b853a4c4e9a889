"""4.10, scoring and perplexity: right code in other styles, each a pair of functions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import variant
from step4_generate.further_solution import reading
from step4_generate.mistakes.further_scores import Pair, check_stride


@variant("4.10")
def by_cross_entropy() -> Pair:
    """Windows by range, scores by cross_entropy; exp in torch."""

    def score(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        check_stride(window, stride)
        scores, end = torch.zeros(len(ids) - 1), 1
        with reading(model):
            for start in range(0, max(1, len(ids) - window + stride), stride):
                text = ids[start : start + window]
                if len(text) > 1:
                    logits = model(text[None]).logits[0, end - start - 1 : -1]
                    scores[end - 1 : start + len(text) - 1] = -F.cross_entropy(
                        logits, text[end - start :], reduction="none"
                    )
                    end = start + len(text)
        return scores

    return {"score": score, "perplexity": lambda scores: _exp_of_mean(scores)}


@variant("4.10")
def token_by_token() -> Pair:
    """For each token the first window that holds it, read once; sums in float64."""

    def score(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        check_stride(window, stride)
        laws: dict[int, Tensor] = {}
        found = []
        for t in range(1, len(ids)):
            start = stride * max(0, -((window - 1 - t) // stride))
            if start not in laws:
                with reading(model):
                    laws[start] = model(ids[None, start : start + window]).logits[0].double().log_softmax(-1)
            found.append(laws[start][t - start - 1, ids[t]])
        return torch.stack(found).float() if found else torch.zeros(0)

    return {"score": score, "perplexity": lambda scores: _exp_of_mean(scores.double())}


def _exp_of_mean(scores: Tensor) -> float:
    if scores.numel() < 1:
        raise ValueError("nothing to average")
    return float(scores.neg().mean().exp())
