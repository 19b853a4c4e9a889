"""Step 4 in a class: any style has all points, and a mistake costs its exercise, or a part of it."""

from __future__ import annotations

from typing import Any

import pytest

CORE, FURTHER = "model_exercise.py", "further_exercise.py"
OTHER_STYLE = {
    "generate": """
        was_training, columns = model.training, list(ids.unbind(1))
        model.train(False)
        with torch.inference_mode():
            while len(columns) < ids.shape[1] + max_new_tokens:
                logits = model(torch.stack(columns[-window:], 1)).logits
                columns.append(logits[:, -1].topk(1).indices.flatten())
        model.train(was_training)
        return torch.stack(columns, dim=1)
    """,
    "apply_temperature": """
        if not temperature > 0:
            raise ValueError(f"a temperature is above 0, got {temperature}")
        temperature = max(1e-30, min(1e30, temperature))
        logits = logits.float()
        return ((logits - logits.max(-1, keepdim=True).values) * (1 / temperature)).log_softmax(-1)
    """,
    "sample": """
        if temperature == 0:
            return logits.max(-1).indices
        u = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
        return (apply_temperature(logits, temperature).double() - (-u.log()).log()).argmax(-1)
    """,
    "keep_top_k": """
        if k < 1:
            raise ValueError(f"k is at least 1, got {k}")
        above = (logits.unsqueeze(-2) > logits.unsqueeze(-1)).sum(-1)
        return torch.where(above < k, logits, -torch.inf)
    """,
    "keep_top_p": """
        if not 0 < p <= 1:
            raise ValueError(f"p is a share above 0, got {p}")
        kept = torch.full_like(logits, -torch.inf).reshape(-1, logits.shape[-1])
        for row, old in zip(kept, logits.reshape(kept.shape)):
            shares, total = old.double().softmax(-1), 0.0
            for token in shares.argsort(descending=True).tolist():
                if total < p or p == 1:
                    row[token] = old[token]
                total += shares[token].item()
        return kept.reshape(logits.shape)
    """,
    "next_token": """
        logits = apply_temperature(logits, args.temperature or 1e-30)
        logits = keep_top_k(logits, args.top_k or logits.shape[-1])
        return sample(keep_top_p(logits, args.top_p or 1.0), 1.0, generator)
    """,
    "generate_cached": """
        text, cache, read = ids[:, -window:], model.new_cache(), 0
        for _ in range(max_new_tokens):
            with reading(model):
                output = model(text[:, read:], cache=cache)
            column = choose(output.logits[:, -1])
            yield column
            read = text.shape[1]
            text = torch.cat((text, column[:, None]), 1)
            if read == window:
                text, cache, read = text[:, 1:], model.new_cache(), 0
    """,
    "stream_text": """
        if "" in stops:
            raise ValueError("no stop string is empty, got ''")
        decoder, held = codecs.getincrementaldecoder("utf-8")("replace"), ""
        for data in chain((vocab[token] for token in ids), [None]):
            for character in decoder.decode(data or b"", data is None):
                held += character
                ending = [len(stop) for stop in stops if held.endswith(stop)]
                if ending:
                    if held[: -max(ending)]:
                        yield held[: -max(ending)]
                    return
                while held and not any(stop.startswith(held) for stop in stops):
                    yield held[0]
                    held = held[1:]
        if held:
            yield held
    """,
}
# Right as far as the partial credit goes, but for two: those cost all.
FAULTS = {
    "generate": """
        for _ in range(max_new_tokens):
            with reading(model):
                logits = model(ids[:, :window]).logits[:, -1]
            ids = torch.cat([ids, greedy(logits).unsqueeze(1)], dim=1)
        return ids
    """,
    "sample": "return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)",
    "keep_top_k": """
        if k < 1:
            raise ValueError(f"k is at least 1, got {k}")
        places = logits.topk(min(k, logits.shape[-1])).indices
        return torch.full_like(logits, -torch.inf).scatter(-1, places, logits.gather(-1, places))
    """,
    "next_token": """
        if args.top_k is not None:
            logits = keep_top_k(logits, args.top_k)
        if args.top_p is not None:
            logits = keep_top_p(logits, args.top_p)
        return sample(logits, args.temperature, generator)
    """,
    "generate_cached": """
        for _ in range(max_new_tokens):
            with reading(model):
                logits = model(ids[:, -window:]).logits[:, -1]
            yield choose(logits)
            ids = torch.cat([ids, choose(logits).unsqueeze(1)], dim=1)
    """,
    "stream_text": """
        if "" in stops:
            raise ValueError("no stop string is empty, got ''")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for data in chain((vocab[token] for token in ids), [None]):
            text = decoder.decode(data or b"", data is None)
            at = min((text.find(stop) for stop in stops if stop in text), default=len(text))
            if text[:at]:
                yield text[:at]
            if at < len(text):
                return
    """,
}
COSTS_ALL = ("4.2", "4.5")
COSTS_A_PART = ("4.1", "4.3", "4.4b", "4.6")


@pytest.mark.slow
def test_any_style_has_all_points_and_a_mistake_costs_its_exercise_or_a_part_of_it(
    teach: Any, with_bodies: Any
) -> None:
    taught = teach("4")
    solutions = taught.solutions
    styled = {**solutions, CORE: with_bodies(solutions[CORE], OTHER_STYLE)}
    faulty = {**solutions, CORE: with_bodies(solutions[CORE], FAULTS)}
    points = {exercise.id: exercise.points for exercise in taught.step.exercises}
    parts = {e.id: e.partial.points for e in taught.step.exercises if e.partial}
    left = points | dict.fromkeys(COSTS_ALL, 0) | {item_id: parts[item_id] for item_id in COSTS_A_PART}
    handed_in = {"untouched": taught.stubs, "solution": solutions, "other-style": styled, "faulty": faulty}
    scores = taught.grade(handed_in)
    assert taught.scores_of("other-style") == points
    assert taught.scores_of("faulty") == left
    assert scores == {
        "untouched": 0.0,
        "solution": sum(points.values()),
        "other-style": sum(points.values()),
        "faulty": sum(left.values()),
    }
