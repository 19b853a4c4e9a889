"""4.11, beam search: accepted variants."""

from __future__ import annotations

import heapq
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import variant
from step4_generate.further_solution import Beam, best_beams, normalize, reading
from step4_generate.mistakes.further_beams import extend, log_law


@variant("4.11")
def with_a_heap(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Candidates in plain lists and a heap, sums in float64, lengths divided by at the very end."""
    beams, finished = [([], 0.0)], []  # type: ignore[var-annotated]
    with reading(model):
        for length in range(1, max_new_tokens + 1):
            texts = torch.tensor([ids.tolist() + tokens for tokens, _ in beams])
            rows = model(texts).logits[:, -1].double().log_softmax(dim=-1).tolist()
            pool = [([*t, v], s + x) for (t, s), row in zip(beams, rows) for v, x in enumerate(row)]
            best = heapq.nlargest(2 * num_beams, pool, key=lambda pair: pair[1])
            finished += [(t, s / length**length_penalty) for t, s in best[:num_beams] if t[-1] == end_of_text]
            finished = heapq.nlargest(num_beams, finished, key=lambda pair: pair[1])
            beams = [pair for pair in best if pair[0][-1] != end_of_text][:num_beams]
            bound = beams[0][1] / (max_new_tokens if length_penalty > 0 else length) ** length_penalty
            if len(finished) == num_beams and finished[-1][1] >= bound:
                return [Beam(*pair) for pair in finished]
    pool = finished + [(tokens, total / len(tokens) ** length_penalty) for tokens, total in beams]
    return [Beam(*pair) for pair in heapq.nlargest(num_beams, pool, key=lambda pair: pair[1])]


@variant("4.11")
def finished_all_kept(
    model: Any,
    ids: Tensor,
    num_beams: int,
    max_new_tokens: int,
    end_of_text: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Finished beams are all kept, and sorted when they are needed; the bound is that of every open beam."""
    beams, finished = [Beam([], 0.0)], list[Beam]()
    with reading(model):
        for length in range(1, max_new_tokens + 1):
            found = extend(beams, log_law(model, ids, beams), 2 * num_beams)
            for rank, beam in enumerate(found):
                if beam.ids[-1] == end_of_text and rank < num_beams:
                    finished.append(normalize(beam, length_penalty))
            beams = [beam for beam in found if beam.ids[-1] != end_of_text][:num_beams]
            factor = min(length**-length_penalty, max_new_tokens**-length_penalty)
            worst = [beam.score for beam in best_beams(finished, num_beams)][num_beams - 1 :]
            if worst and all(beam.score * factor <= worst[0] for beam in beams):
                beams = []
                break
    return best_beams([*finished, *(normalize(beam, length_penalty) for beam in beams)], num_beams)
