"""Step 2 in a class: nothing has no points, the solution has all of them, in another style too."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from coursekit.classroom.build import build
from coursekit.registry import find_step
from coursekit.source import exercise_text, find_spans, solve, stub_text

OTHER_STYLE = {
    "MLP.forward": """
        h = self.c_fc(x)
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        return self.dropout(F.linear(h, self.c_proj.weight, self.c_proj.bias))
    """,
    "Block.forward": """
        a = self.attn(self.ln_1(x), cache)
        y = torch.add(a, x)
        return self.mlp(self.ln_2(y)) + y
    """,
    "attention_scores": """
        return torch.einsum('...td,...sd->...ts', q * q.shape[-1] ** -0.5, k)
    """,
    "apply_causal_mask": """
        T, S = scores.shape[-2:]
        query = torch.arange(S - T, S, device=scores.device)
        key = torch.arange(S, device=scores.device)
        return torch.where(key[None] <= query[:, None], scores, -1e9)
    """,
    "attend": """
        e = torch.exp(scores - scores.max(dim=-1, keepdim=True).values)
        weights = dropout(e / e.sum(-1, keepdim=True))
        return torch.einsum('...ts,...sd->...td', weights, v)
    """,
    "CausalSelfAttention.forward": """
        B, T, C = x.shape
        q, k, v = (t.view(B, T, self.n_head, -1).transpose(1, 2) for t in self.c_attn(x).split(C, dim=2))
        if cache is not None:
            cache.append(k, v)
            k, v = cache.read()
        y = attend(apply_causal_mask(attention_scores(q, k)), v, self.attn_dropout)
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        return self.resid_dropout(self.c_proj(y))
    """,
    "GPT.embed": """
        tokens = F.embedding(ids, self.wte.weight)
        return self.drop(tokens + self.wpe.weight[start : start + ids.shape[1]])
    """,
    "GPT.transform": """
        caches = [None] * len(self.h) if cache is None else cache
        for block, own in zip(self.h, caches):
            x = block(x, own)
        return x
    """,
    "GPT.logits": """
        return F.linear(self.ln_f(x), self.wte.weight)
    """,
    "next_token_loss": """
        log_p, labels = logits[:, :-1].log_softmax(-1), labels[:, 1:]
        counted = labels != -100
        chosen = log_p.gather(2, labels.clamp(min=0)[..., None])[..., 0]
        return -(chosen * counted).sum() / counted.sum()
    """,
}
# Right while there are as many queries as keys, which is what the partial credit is for.
SQUARE_MASK = """
    T = scores.shape[-2]
    return scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), float("-inf"))
"""


def with_bodies(text: str, bodies: Mapping[str, str]) -> str:
    """Return the text with other bodies for these functions and methods."""
    for target, body in bodies.items():
        span = find_spans(text, [target])[target]
        lines = text.splitlines()
        indent = " " * (8 if "." in target else 4)
        new = textwrap.indent(textwrap.dedent(body).strip("\n"), indent).splitlines()
        lines[span.body_first - 1 : span.last] = new
        text = "\n".join(lines) + "\n"
    return text


@pytest.mark.slow
def test_nothing_earns_0_the_solution_everything_in_any_style_and_a_part_its_part(new_room: Any) -> None:
    step = find_step("2")
    points = sum(exercise.points for exercise in step.exercises)
    source = step.trio_files("model")[1].read_text(encoding="utf-8")
    solution, stub = exercise_text(source, step, "model"), stub_text(source, step, "model")
    room = new_room(step.folder, points)
    list(build(room.folder))
    room.run("-m", "nbgrader", "generate_assignment", step.folder)
    part = solve(stub, solution, ["MLP.forward", "attention_scores"])
    room.hand_in("untouched", stub)
    room.hand_in("solution", solution)
    room.hand_in("other-style", with_bodies(solution, OTHER_STYLE))
    room.hand_in("part", with_bodies(part, {"apply_causal_mask": SQUARE_MASK}))
    by_id = {exercise.id: exercise for exercise in step.exercises}
    partial = by_id["2.3b"].partial
    assert partial is not None
    earned = by_id["2.1"].points + by_id["2.3a"].points + partial.points
    scores = room.scores(room.course("grade", step.folder))
    assert {student: float(score) for student, (score, _) in scores.items()} == {
        "untouched": 0.0,
        "solution": points,
        "other-style": points,
        "part": earned,
    }
