"""Explorers of step 2's second part show what the functions compute, and say what cannot be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from step2_model import explorers, further_solution, model_solution
from step2_model.explorers.memory import PUBLISHED, per_token
from step2_model.explorers.widths import multiply_adds

LOGITS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
BIAS = torch.tensor([0.0, 0.4, -0.4, 0.0, 0.2])
TINY = model_solution.ModelConfigs.tiny()
ALL = {
    "turning": lambda: explorers.turning(model_solution),
    "memory": lambda: explorers.memory(further_solution, {"tiny": TINY}),
    "routing": lambda: explorers.routing(further_solution, LOGITS, list("abcdef"), 2, BIAS),
    "widths": lambda: explorers.widths(TINY),
}


def arrays_of(widget: Any) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(np.frombuffer(a["data"], "<f4").reshape(a["shape"]).copy())
        for name, a in widget.arrays.items()
    }


@pytest.mark.parametrize("name", ALL)
def test_every_explorer_leaves_a_picture_and_words_behind_and_says_who_computed(name: str) -> None:
    shown = ALL[name]()
    data, _ = shown._repr_mimebundle_()
    assert data["image/png"]
    assert shown.says in data["text/plain"]
    assert 'alt="' in data["text/html"]
    assert shown.whose.startswith("Computed by ")


def test_a_rotated_product_is_the_same_at_every_place_of_the_same_distance_and_no_other() -> None:
    scores = arrays_of(explorers.turning(model_solution, dim=8, length=20))["scores"]
    for distance in range(-10, 11):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-5, rtol=0)
    assert scores[:, 0].std() > 0.05


def test_the_dials_show_what_the_given_module_rotates() -> None:
    class Still:
        rope_at = staticmethod(model_solution.rope_at)
        rotate = staticmethod(lambda x, cos, sin: x)

    queries = arrays_of(explorers.turning(Still))["queries"]
    assert torch.equal(queries, queries[:1].expand_as(queries))


def test_published_models_are_those_of_the_librarys_configurations() -> None:
    from transformers import DeepseekV3Config, GPT2Config, LlamaConfig, MistralConfig

    gpt2, llama, mistral, deepseek = GPT2Config(), LlamaConfig(), MistralConfig(), DeepseekV3Config()
    width = {name: c.hidden_size // c.num_attention_heads for name, c in (("l", llama), ("m", mistral))}
    heads = (gpt2.n_layer, gpt2.n_head, gpt2.n_head, gpt2.n_embd // gpt2.n_head)
    assert PUBLISHED["GPT-2 (124M)"] == (*heads, 0, 0)
    for name, c, d in (("Llama 7B", llama, width["l"]), ("Mistral 7B", mistral, width["m"])):
        counts = (c.num_hidden_layers, c.num_attention_heads, c.num_key_value_heads)
        assert PUBLISHED[name] == (*counts, d, 0, 0)
    counts = (deepseek.num_hidden_layers, deepseek.num_attention_heads, deepseek.num_key_value_heads)
    latent = (deepseek.kv_lora_rank, deepseek.qk_rope_head_dim)
    assert PUBLISHED["DeepSeek-V3"] == (*counts, deepseek.v_head_dim, *latent)


def test_the_bytes_of_the_calculator_are_those_of_the_solution() -> None:
    grouped = model_solution.ModelConfigs.tiny(attention="gqa", n_kv_heads=2)
    for args, kind in ((TINY, "MLA"), (grouped, "GQA")):
        widget = explorers.memory(further_solution, {"it": args}, "it")
        row = next(row for row in widget.values["models"] if row[0] == "it")
        assert per_token(*row[1:])[kind] * 2 == further_solution.cache_bytes_per_token(args)


def test_routes_are_those_of_the_routers_and_the_bias_is_in_the_choice_alone() -> None:
    found = arrays_of(ALL["routing"]())
    for name in ("softmax", "sigmoid"):
        weights = found[f"{name}_weights"]
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(6))
        assert ((weights > 0).sum(dim=-1) == 2).all()
    best = (LOGITS.sigmoid() + BIAS).topk(2, dim=-1).indices.sort().values
    chosen = (found["sigmoid_weights"] > 0).nonzero()[:, 1].view(6, 2)
    assert torch.equal(chosen, best)
    assert not torch.equal(chosen, (found["softmax_weights"] > 0).nonzero()[:, 1].view(6, 2))


def test_the_counted_work_is_what_torch_counts() -> None:
    args = model_solution.ModelConfigs.tiny(n_layers=1)
    layer = further_solution.LatentAttention(args)
    past = 16
    x = torch.randn(1, past, args.d_model)
    rope = model_solution.rope_at(torch.arange(past)[None], args.qk_rope_head_dim)
    found = []
    for attend in (model_solution.MLA.forward, further_solution.LatentAttention.attend_absorbed):
        cache = model_solution.KVCache()
        with torch.no_grad():
            attend(layer, x[:, :-1], tuple(part[:, :-1] for part in rope), None, cache)
            with FlopCounterMode(display=False) as counter:
                attend(layer, x[:, -1:], tuple(part[:, -1:] for part in rope), None, cache)
        found.append(counter.get_total_flops() // 2)
    H, R, C = args.n_heads, args.kv_lora_rank, args.d_model
    widths = (args.qk_nope_head_dim, args.qk_rope_head_dim, args.v_head_dim)
    expanded, absorbed = multiply_adds(H, R, C, *widths, past)
    attention = past * H * sum(widths)
    assert found[0] in (expanded, expanded - attention)  # a fused kernel of the CPU is not counted
    assert found[1] == absorbed


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: explorers.turning(model_solution, dim=7), "dim must be even and at least 2, got 7"),
        (lambda: explorers.turning(model_solution, length=1), "length must be from 2 to 256, got 1"),
        (lambda: explorers.memory(further_solution, chosen="x"), "chosen must be one of GPT-2 .*, got 'x'"),
        (lambda: explorers.routing(further_solution, LOGITS, ["a"]), "a row for each of the 1 tokens, got"),
        (
            lambda: explorers.routing(further_solution, LOGITS, list("abcdef"), 6),
            "at least k experts, got 6, k = 6",
        ),
        (lambda: explorers.widths(model_solution.ModelArgs(attention="gqa")), "got attention='gqa'"),
        (lambda: explorers.widths(TINY, past=100), "past must be a power of two from 16 to 131,072, got 100"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()
