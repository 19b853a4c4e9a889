"""Step 2 in a class: nothing has no points, the solution has all of them, in another style too."""

from __future__ import annotations

from typing import Any

import pytest

from coursekit.source import solve

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
    "rope_at": """
        pairs = torch.arange(dim // 2, device=positions.device)
        angles = positions.float().unsqueeze(-1) * torch.exp(-2 * math.log(theta) / dim * pairs)
        return torch.cos(angles), torch.sin(angles)
    """,
    "rotate": """
        half = x.shape[-1] // 2
        both = torch.complex(x[..., :half].float(), x[..., half:].float())
        both = both * torch.complex(cos, sin).unsqueeze(1)
        return torch.cat((both.real, both.imag), dim=-1).to(x.dtype)
    """,
    "RMSNorm.forward": """
        wide = x.float()
        size = wide.norm(dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        return (wide / (size**2 + self.eps).sqrt()).type_as(x) * self.weight
    """,
    "SwiGLU.forward": """
        gate, up = self.gate_proj(x), self.up_proj(x)
        return self.down_proj(gate * torch.sigmoid(gate) * up)
    """,
    "grouped_attention": """
        B, H, T, D = q.shape
        G, S = k.shape[1:3]
        if mask is None:
            mask = torch.arange(S) <= torch.arange(S - T, S)[:, None]
        scores = torch.einsum("bgntd,bgsd->bgnts", q.view(B, G, H // G, T, D), k) / math.sqrt(D)
        scores = scores.masked_fill(~(mask if mask.dim() == 2 else mask.unsqueeze(-3)), -math.inf)
        return torch.einsum("bgnts,bgsd->bgntd", scores.softmax(-1), v).reshape(B, H, T, -1)
    """,
}
OTHER_STYLE_FURTHER = {
    "softmax_router": """
        best, experts = torch.sort(logits, dim=-1, descending=True, stable=True)
        return torch.softmax(best[:, :k].float(), dim=-1), experts[:, :k]
    """,
    "load_balance_loss": """
        N, E = logits.shape
        share = torch.bincount(experts.flatten(), minlength=E) / N
        return E * torch.dot(share, logits.log_softmax(-1).exp().mean(0))
    """,
    "interleaved_to_half": """
        width = len(weight) // n_heads
        first = width - rope_dim
        order = [*range(first), *range(first, width, 2), *range(first + 1, width, 2)]
        return weight[[head * width + row for head in range(n_heads) for row in order]]
    """,
}
# Right while there are as many queries as keys, which is what the partial credit is for.
SQUARE_MASK = """
    T = scores.shape[-2]
    return scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), float("-inf"))
"""


@pytest.mark.slow
def test_nothing_earns_0_the_solutions_everything_in_any_style_and_a_part_its_part(
    teach: Any, with_bodies: Any
) -> None:
    taught = teach("2")
    stubs, solutions = taught.stubs, taught.solutions
    core, further = "model_exercise.py", "further_exercise.py"
    part = solve(stubs[core], solutions[core], ["MLP.forward", "attention_scores"])
    styled = {
        core: with_bodies(solutions[core], OTHER_STYLE),
        further: with_bodies(solutions[further], OTHER_STYLE_FURTHER),
    }
    scores = taught.grade(
        {
            "untouched": stubs,
            "solution": solutions,
            "core-only": stubs | {core: solutions[core]},
            "other-style": styled,
            "part": stubs | {core: with_bodies(part, {"apply_causal_mask": SQUARE_MASK})},
        }
    )
    by_id = {exercise.id: exercise for exercise in taught.step.exercises}
    partial = by_id["2.3b"].partial
    assert partial is not None
    points = sum(taught.points.values())
    assert scores == {
        "untouched": 0.0,
        "solution": points,
        "core-only": taught.points["model"],
        "other-style": points,
        "part": by_id["2.1"].points + by_id["2.3a"].points + partial.points,
    }
