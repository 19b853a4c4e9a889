"""What the questions of step 2's second and third chapter say in numbers is what comes out when computed."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from coursekit.probe import Rng
from coursekit.registry import Choice, find_step
from step2_model import further_solution as further
from step2_model import model_solution as reference
from step2_model.checks.costs import V3
from step2_model.experiments import caching, decoder
from step2_model.experiments.compare import compare_attention
from step2_model.ladder import rungs

QUESTIONS = {question.id: question for question in find_step("2").questions}
BASE = reference.ModelConfigs.base()
LLAMA_2_70B: dict[str, Any] = {
    "d_model": 8_192,
    "n_layers": 80,
    "n_heads": 64,
    "attention": "gqa",
    "vocab_size": 32_000,
}
LLAMA_2_70B |= {"intermediate_size": 28_672, "max_seq_len": 4_096}


def right(name: str) -> Choice:
    """Return the right choice of a question."""
    (choice,) = [choice for choice in QUESTIONS[f"2.q-{name}"].choices if choice.right]
    return choice


def said(name: str) -> str:
    """Return everything that a question says."""
    question = QUESTIONS[f"2.q-{name}"]
    return " ".join([question.prompt, *(f"{c.text} {c.response}" for c in question.choices)])


# What the computations below start from: the numbers of the prompts, in their order.
GIVEN = {
    "absorbed-root": [576, 192],
    "better": [120, 2, 64, 64],
    "cache": [2, 80, 64, 128, 2, 4_096],
    "chunks": [8_192, 16, 512],
    "corner": [2, 6],
    "even": [8, 2],
    "fits": [100, 8, 32],
    "fixed": [1_000],
    "groups": [16, 8],
    "held": [3, 8, 256, 671],
    "kept-numbers": [128, 4_096, 512, 64],
    "many-experts": [64],
    "once": [8, 16],
    "order-of-products": [128, 512, 1_000],
    "prefill": [1_024],
    "price": [1, 0.8, 0.15, 0.05, 1, 3],
    "quarter": [4, 1, 2, 3, 4, 0, 1, 2],
    "rescale": [2, 1, 0, 1],
    "rescaling": [1, 1.5, 3, 1, 2, 10],
    "round": [63, 5, 68],
    "rung-price": [2_047],
    "same-rank": [16, 128, 2_048, 512, 16],
    "shut": [20, 3],
    "square": [4_096, 1_000, 10_000],
    "steer": [0.8, 0.4, 0.1],
    "theta": [3, 500_000, 10_000],
    "twenty": [20, 3, 22, 250],
    "twice": [0.6, 0.2],
    "unseen": [4_096, 16_384],
    "which-root": [512, 128, 64, 128],
    "work": [512, 8],
}


@pytest.mark.parametrize("name", GIVEN)
def test_the_numbers_of_a_prompt_are_those_that_are_computed_with(name: str) -> None:
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", QUESTIONS[f"2.q-{name}"].prompt)
    assert [float(number.replace(",", "")) for number in found] == GIVEN[name]


def worth(product: str) -> float:
    """Return what a product or quotient comes to that is written as in a question."""
    total = 1.0
    for factor in product.replace(",", "").split(" · "):
        over, _, under = factor.partition(" / ")
        total *= float(over) / float(under or 1)
    return total


def rounded(*numbers: float) -> list[str]:
    """Return the numbers with two decimals."""
    return [f"{number:.2f}" for number in numbers]


def test_a_rotation_by_a_quarter_turn_gives_each_answer_by_its_own_rule() -> None:
    x, cos, sin = torch.tensor([1.0, 2, 3, 4]).view(1, 1, 1, 4), torch.zeros(1, 1, 2), torch.ones(1, 1, 2)

    def written(y: torch.Tensor) -> str:
        return f"({', '.join(f'{value:.0f}' for value in y.flatten().tolist())})"

    a, b = x[..., 0::2], x[..., 1::2]
    assert right("quarter").text == written(reference.rotate(x, cos, sin))
    assert written(torch.stack([-b, a], dim=-1)) in said("quarter")
    assert written(reference.rotate(x, cos, -sin)) in said("quarter")


def test_a_larger_theta_leaves_the_first_pair_and_slows_the_last_most() -> None:
    old, new = (theta ** -(torch.arange(0, 64, 2) / 64) for theta in (10_000.0, 500_000.0))
    slower = old / new
    assert slower[0] == 1
    assert bool((slower.diff() > 0).all())
    assert "All pairs turn 50 times as slowly." in said("theta")
    assert 500_000 / 10_000 == 50
    assert "near 1/θ at the end" in said("theta")
    assert new[-1] * 500_000 == pytest.approx(1.5, abs=0.1)


def test_a_pair_that_turns_once_in_63_positions_scores_5_and_68_alike() -> None:
    likeness = [math.cos(2 * math.pi / 63 * distance) for distance in (5, 68)]
    assert likeness[0] == pytest.approx(likeness[1])
    assert "once in 63 positions" in said("round")
    assert "5 and 68 positions" in said("round")
    assert right("round").text == "Alike."


def test_fast_pairs_have_turned_hundreds_of_times_in_4096_positions_and_slow_ones_not_once() -> None:
    turns = 4_096 * 10_000.0 ** -(torch.arange(0, 128, 2) / 128) / (2 * math.pi)
    assert turns[0] > 600
    assert turns[-1] < 0.1
    assert "turned hundreds of times" in said("unseen")


def test_appending_a_thousand_positions_copies_what_the_question_says() -> None:
    rows = caching.copied_rows(reference.KVCache, 1_000)[-1]
    assert f"1 + 2 + 4 + ... + 512 = {rows:,}." in right("doubling").response
    assert right("doubling").text == f"About {round(rows, -2):,}."
    assert rows == 1_023
    assert sum(range(1_000)) == pytest.approx(500_000, rel=0.01)
    assert "About 500,000." in said("doubling")
    fixed = list(range(1_000, 100_000, 1_000))
    assert (len(fixed) + 1, sum(fixed) / len(fixed)) == (100, 50_000)
    grown = f"At 100,000 positions it has grown a hundred times and copied {fixed[len(fixed) // 2]:,} rows"
    assert grown in said("fixed")
    assert f"Doubling has grown {math.ceil(math.log2(100_000))} times" in said("fixed")


def test_two_queries_behind_four_tokens_read_five_and_six_keys() -> None:
    first, second = reference.causal_mask(2, 6).sum(dim=-1).tolist()
    assert right("corner").text == f"The first {first}, the second {second}."
    assert 16 * 512 == 8_192
    assert "8,192 tokens is read in 16 chunks of 512" in said("chunks")


def test_writing_twenty_tokens_after_three_reads_22_with_a_cache_and_250_without() -> None:
    model = reference.Transformer(decoder.small_args(reference)).eval()
    work = [decoder.greedy(model, torch.tensor([[1, 2, 3]]), 20, is_cached)[1] for is_cached in (True, False)]
    assert f"With the cache {work[0]} tokens went through the layers, without it {work[1]}." in said("twenty")
    assert f"The factor of {work[1] // work[0]} " in said("twenty")


def test_a_stream_ten_times_as_long_has_scores_a_hundred_times_as_large() -> None:
    x, w, u = torch.randn(3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scores = [(size * x @ w) @ (size * x @ u).mT for size in (1, 10)]
    torch.testing.assert_close(scores[1], 100 * scores[0])
    assert right("tenfold").text == "By 100."


def test_a_norm_keeps_its_answer_when_a_gain_moves_and_loses_it_when_all_features_shift() -> None:
    x, weight = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    norm = reference.RMSNorm(4)
    before = norm(x) @ weight
    with torch.no_grad():
        norm.weight.mul_(0.5)
    torch.testing.assert_close(norm(x) @ (2 * weight), before)
    assert not torch.allclose(F.rms_norm(x, (4,)), F.rms_norm(x + 5, (4,)), atol=0.1)
    torch.testing.assert_close(F.layer_norm(x, (4,)), F.layer_norm(x + 5, (4,)), atol=1e-4, rtol=1e-4)


def test_silu_at_minus_20_and_its_slope_are_as_small_as_the_question_says() -> None:
    z = torch.tensor(-20.0, dtype=torch.float64, requires_grad=True)
    F.silu(z).backward()
    assert z.grad is not None
    for number in (F.silu(z).item(), z.grad.item()):
        assert f"{number:.0e}" == "-4e-08"
    assert "about −4 · 10⁻⁸, and its slope is as small" in right("shut").response


def test_a_bilinear_layer_answers_four_times_as_much_to_twice_the_input() -> None:
    layer, x = reference.SwiGLU(4, 6), torch.ones(1, 4)
    ungated = [layer.down_proj(layer.gate_proj(size * x) * layer.up_proj(size * x)) for size in (1, 2)]
    torch.testing.assert_close(ungated[1], 4 * ungated[0])
    assert "four times as large" in right("product").response


def test_three_matrices_of_two_thirds_the_width_hold_what_two_held() -> None:
    C = 12

    def held(matrices: int, width: int) -> float:
        return matrices * width / C

    assert held(3, 8 * C // 3) == held(2, 4 * C) == 8
    for name in ("narrower", "fair", "eight-thirds"):
        assert "8C/3" in right(name).text + right(name).response
    assert held(3, 4 * C // 3) == 4
    assert "hold 4C², half" in said("narrower")
    assert held(3, 2 * C) == 6
    assert "hold 6C²." in said("narrower")
    assert held(3, 4 * C) == 12
    assert "12C² parameters in place of 8C²" in said("fair")
    assert "8C² both times" in said("eight-thirds")
    assert right("eight-thirds").text == "Three matrices of C × 8C/3 have as many numbers as two of C × 4C."
    assert right("fair").response.startswith("Right: 3 · C · W = 2 · C · 4C.")
    assert right("fair").text.startswith("8C/3:")
    assert right("narrower").text == "8C/3: two thirds of 4C."
    assert right("narrower").response.startswith("Right: 3 · C · 8C/3 = 8C².")


def test_the_cache_of_llama_2_with_a_key_for_every_head_weighs_what_the_question_says() -> None:
    every_head = reference.ModelArgs(**LLAMA_2_70B, n_kv_heads=64)
    token = further.cache_bytes_per_token(every_head)
    product = f"2 · {every_head.n_layers} · {every_head.n_heads} · {every_head.head_dim}"
    assert f"{product} numbers of 2 bytes are {token / 1e6:.1f} megabytes for *each* token" in said("cache")
    assert f"{product} · 2 bytes · 4,096 = {4_096 * token / 1e9:.1f} GB" in right("cache").response
    assert right("cache").text == "About 10 gigabytes."
    assert 4 * token > 10e6 > 3 * token
    assert "About 10 megabytes. That is a few tokens' worth" in said("cache")
    weights = 2 * further.transformer_parameters(reference.ModelArgs(**LLAMA_2_70B, n_kv_heads=8))
    assert f"take {weights / 1e9:.0f} GB" in right("cache").response


def test_a_quarter_of_the_key_heads_serves_four_times_as_many_conversations() -> None:
    many, few = (
        further.cache_bytes_per_token(
            reference.ModelArgs(d_model=4_096, n_heads=32, n_kv_heads=G, attention="gqa")
        )
        for G in (32, 8)
    )
    assert right("fits").text.startswith(f"{100 * many // few},")
    assert "multi-head attention" in said("fits")
    assert "8 key/value heads in place of 32" in said("fits")


def test_the_cache_of_latent_attention_is_counted_as_the_questions_count_it() -> None:
    R, Dr, H, width = BASE.kv_lora_rank, BASE.qk_rope_head_dim, 16, 128
    kept = further.cache_bytes_per_token(BASE, 1) // BASE.n_layers
    assert right("kept-numbers").text.startswith(f"{kept},")
    said_there = said("kept-numbers")
    for number in (2 * H * width, H * (R + Dr), 2 * R + Dr, 2 * 128 * width):
        assert f"{number:,}" in said_there
    expanded = H * (BASE.qk_nope_head_dim + BASE.v_head_dim) + Dr
    assert f"16 · (128 + 128) + 64 = {expanded:,}, seven times as many" in right("expanded-cache").response
    assert round(expanded / kept) == 7
    assert right("expanded-cache").text.startswith(f"About {round(expanded, -2):,}: keys and values of 128")
    twice = f"A model with 128 heads would keep the same {kept}, where 128 heads of width 128 would keep"
    assert f"{twice} {2 * 128 * width:,}." in right("kept-numbers").response
    assert f"The latent has {R}, with the rotary key {kept}." in said("expanded-cache")


def test_scores_of_latent_attention_are_divided_by_the_root_of_192() -> None:
    sizes = BASE.kv_lora_rank, BASE.qk_nope_head_dim, BASE.qk_rope_head_dim, BASE.v_head_dim
    assert "Latent width R = {}, Dn = {}, Dr = {}, Dv = {}.".format(*sizes) in said("which-root")
    whole, compared = sizes[1] + sizes[2], sizes[0] + sizes[2]
    assert right("which-root").text.startswith(f"√{whole},")
    assert right("absorbed-root").text == f"√{whole}."
    assert f"√{compared}" in said("which-root")
    assert f"= {compared} wide" in said("absorbed-root")
    assert 1_024 // 16 == 64
    assert BASE.d_model == 1_024
    assert BASE.n_heads == 16
    assert f"{BASE.n_heads * sizes[1]:,} in all" in said("same-rank")


def test_one_query_over_a_thousand_latents_takes_65_or_0_6_million_multiplications() -> None:
    expanding, carrying, dots = 1_000 * 512 * 128, 128 * 512, 1_000 * 512
    first, second = f"{(expanding + 1_000 * 128) / 1e6:.1f}", f"{(carrying + dots) / 1e6:.1f}"
    assert (first, second) == ("65.7", "0.6")
    written = "1,000 · 512 · 128", "128 · 512", "1,000 · 512"
    assert [worth(product) for product in written] == [expanding, carrying, dots]
    told = "Right: {}, against {} once and {} for the dot products.".format(*written)
    assert right("order-of-products").response == told
    assert right("order-of-products").text == "65 million, then 0.6 million."
    assert f"{carrying / 1e6:.2f} million" in said("order-of-products")


def test_reading_a_prompt_takes_fewer_operations_when_latents_are_expanded() -> None:
    H, R, T = BASE.n_heads, BASE.kv_lora_rank, 1_024
    Dn, Dr, Dv = BASE.qk_nope_head_dim, BASE.qk_rope_head_dim, BASE.v_head_dim
    expanded = T * R * H * (Dn + Dv) + T * T * H * (Dn + Dr + Dv)
    absorbed = T * R * H * (Dn + Dv) + T * T * H * (2 * R + Dr)
    assert expanded < absorbed
    assert right("prefill").text == "Expanded."
    assert f"compare {Dn + Dr} features and not {R + Dr}" in right("prefill").response


def test_deepseek_v3_has_the_sizes_that_the_questions_say() -> None:
    v3 = reference.ModelArgs(**V3)
    held, work = further.transformer_parameters(v3) / 1e9, further.transformer_flops(v3, 1) / 2e9
    assert f"Its parameters are {held:.0f} billion." in said("held")
    assert right("held").text == f"{work:.0f} billion: attention, dense layers, 9 experts."
    assert v3.n_experts_per_tok + v3.n_shared_experts == 9
    assert round(held / work) == 18
    assert f"{held * 8 / 256:.0f} billion: 8/256 of them all." in said("held")
    C, Q, queries = v3.d_model, v3.q_lora_rank, v3.n_heads * (v3.qk_nope_head_dim + v3.qk_rope_head_dim)
    assert f"q_a_proj is ({Q:,}, {C:,}), q_b_proj is ({queries:,}, {Q:,})." in said("two-matrices")
    assert right("two-matrices").text == f"One of ({queries:,}, {C:,}) with rank {Q:,} at most."
    assert v3.qk_nope_head_dim + v3.qk_rope_head_dim == 192


def test_the_work_of_a_text_ten_times_as_long_is_somewhat_more_than_tenfold() -> None:
    C = 4_096

    def work(S: int) -> float:  # multiply-adds of a layer; half of the scores is hidden, on average
        return S * (12 * C * C + 2 * (S / 2) * C)

    assert 10 < work(10_000) / work(1_000) < 14
    wide = "about 12 · C² weights in a layer, and 2 · S · C products of scores and mixtures"
    assert f"{wide}. The two are equal at S = 6C, here {6 * C:,}." in right("square").response
    assert 2 * (6 * C) * C == 12 * C * C


def test_the_weights_of_two_chosen_experts_are_what_the_questions_say() -> None:
    weights, _ = further.softmax_router(torch.tensor([[2.0, 1.0, 0.0, -1.0]]), 2)
    assert "about {} and {}".format(*rounded(*weights[0].tolist())) in right("rescale").response
    twice = torch.tensor([0.6, 0.2]).softmax(dim=0).tolist()
    assert right("twice").text == "About {} and {}.".format(*rounded(*twice))
    most = torch.tensor([1.0, 0.0]).softmax(dim=0).tolist()
    assert "e to 1, {} to {}.".format(*rounded(*most)) in said("twice")
    assert pytest.approx((0.75, 0.25)) == (0.6 / 0.8, 0.2 / 0.8)
    assert "0.75 and 0.25" in said("twice")


def test_a_bias_moves_the_choice_and_no_weight() -> None:
    logits = torch.logit(torch.tensor([[0.8, 0.4, 0.1]]))
    for raised in (0.0, 0.1):
        weights, experts = further.sigmoid_router(logits, torch.tensor([0.0, raised, 0.0]), 2)
        chosen = dict(zip(experts[0].tolist(), weights[0].tolist()))
        assert chosen == pytest.approx({0: 2 / 3, 1: 1 / 3})
    assert right("steer").text == "2/3 and 1/3, as before."
    wrong = rounded(0.8 / 1.3, 0.5 / 1.3)
    assert "About {} and {}: the second counts as 0.5.".format(*wrong) in said("steer")


def test_closed_groups_that_are_set_to_0_win_against_biased_scores_below_0() -> None:
    logits = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    closed = torch.arange(8) < 4
    biased = (logits.sigmoid() - 1.1).masked_fill(closed, 0.0)
    assert closed[biased.topk(2, dim=-1).indices].all()
    assert right("closed").text == "Closed experts are chosen."


def test_rows_and_parameters_of_experts_are_what_the_questions_count() -> None:
    layers, widths = 64 * 0.5, 2 * 0.5
    assert (layers, widths) == (32, 1)
    assert right("many-experts").text.startswith("Parameters grow 32-fold")
    rows = 512 * 2 // 8
    assert right("work").text == f"{rows}."
    assert right("work").response.startswith("Right: 512 · 2 / 8.")
    assert worth("512 · 2 / 8") == rows
    halves = f"Right: 64 halves are {layers:.0f} layers to store, two halves are one layer to run."
    assert right("many-experts").response.startswith(halves)
    assert f"{512 // 8}. 512 / 8 would be it" in said("work")
    assert f"read {8 * rows:,} rows instead of {8 * 512:,}" in said("work")
    read = 8 * (1 - (1 - 2 / 8) ** 16)
    assert 7.5 < read < 8
    assert "want nearly all eight" in said("once")


def test_two_groups_of_two_leave_four_experts_nothing_to_choose() -> None:
    logits = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    _, experts = further.sigmoid_router(logits, torch.zeros(16), 4, n_groups=8, topk_groups=2)
    groups = [set((row // 2).tolist()) for row in experts]
    assert all(len(found) == 2 for found in groups)
    assert right("groups").text == "By the groups alone."


def test_an_even_load_costs_k_and_an_uneven_one_pushes_the_busy_expert_down() -> None:
    experts = torch.arange(16).view(8, 2) % 8
    loss = further.load_balance_loss(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)), experts)
    assert loss.item() == pytest.approx(2)
    assert right("even").text.startswith("2,")
    assert "Each f is 2/8, so that the sum is 2/8 · Σ P, and the probabilities sum to 1. Times 8" in said(
        "even"
    )
    assert 8 * (2 / 8) * 1 == 2
    f, logits = torch.tensor([0.8, 0.15, 0.05]), torch.zeros(3, requires_grad=True)
    (f * logits.softmax(dim=0)).sum().backward()
    assert logits.grad is not None
    assert (logits.grad > 0).tolist() == [True, False, False]
    assert right("price").text == "The first falls, the others rise."
    assert "f is 0.8 for the first" in said("price")


def test_indexing_keeps_the_last_of_two_additions_to_one_row() -> None:
    y, tokens, values = torch.zeros(3), torch.tensor([0, 2, 2]), torch.tensor([1.0, 10.0, 100.0])
    added = torch.zeros(3).index_add(0, tokens, values)
    y[tokens] += values
    assert right("repeated").text == f"[{', '.join(f'{value:.0f}' for value in y.tolist())}]."
    assert f"[{', '.join(f'{value:.0f}' for value in added.tolist())}]." in said("repeated")


def test_the_online_softmax_after_two_blocks_is_what_the_question_says() -> None:
    largest, total, mixture = 1.0, 1.5, 3.0
    new = 1 + math.log(2)
    shrink = math.exp(largest - new)
    found = total * shrink + 1, mixture * shrink + 10
    assert right("rescaling").text == "{:.2f} and {:.1f}.".format(*found)
    assert f"{found[1]:g} / {found[0]:g}, about {found[1] / found[0]:.1f}" in right("rescaling").response
    halves = f"e^(−ln 2) = 1/2, to {total * shrink:g} and {mixture * shrink:g};"
    assert halves in right("rescaling").response
    assert f"{total + 1:g} and {mixture + 10:g}." in said("rescaling")
    assert f"{total / shrink + 1:g} and {mixture / shrink + 10:g}: the old ones grow." in said("rescaling")


def test_eight_times_the_text_has_sixty_four_times_the_scores() -> None:
    assert right("tiles").text == f"By 8, and by {8 * 8}."


def test_rms_norm_backward_gives_nothing_along_y_and_a_tenth_for_ten_times_the_input() -> None:
    x, grad = torch.randn(2, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gain = torch.ones(8, dtype=torch.float64)
    y = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True))
    along = further.rms_norm_backward(x, gain, 0.0, y)[0]
    assert along.abs().max() < 1e-12
    assert right("radial").text.startswith("Zero:")
    once, tenfold = (further.rms_norm_backward(size * x, gain, 0.0, grad)[0] for size in (1, 10))
    torch.testing.assert_close(10 * tenfold, once)
    assert right("larger-input").text == "A tenth."


def test_the_modern_decoder_of_equal_size_is_as_wide_as_the_question_says() -> None:
    models = decoder.two_decoders(reference, reference)
    sizes = [sum(p.numel() for p in model.parameters()) for model in models.values()]
    assert [round(size / 1e3, -1) for size in sizes] == [120, 120]
    assert "120 thousand" in said("better")
    table, args = models["the GPT of part one"].wpe.weight, decoder.small_args(reference)
    assert right("better").text == f"Its {table.numel():,} parameters go into the stack."
    wider = f"{args.intermediate_size} features instead of the {8 * args.d_model // 3} that 8C/3 would give"
    assert wider in right("better").response


def test_what_the_ladder_costs_is_what_its_questions_say() -> None:
    costs = {cost.name: cost for cost in compare_attention(BASE, past=2_047)}
    full, latent = costs["MHA"], costs["MLA, absorbed"]
    assert round(latent.flops / full.flops) == 5
    assert "computes five times as much" in said("rung-price")
    millions = [BASE.n_layers * cost.parameters / 1e6 for cost in (latent, full)]
    assert "{:.0f} against {:.0f} million".format(*millions) in said("rung-price")
    kept = [BASE.n_layers * cost.cache_bytes for cost in (latent, full)]
    assert "{:,} bytes a token against {:,}".format(*kept) in right("rung-price").response
    assert 3 * kept[0] < kept[1]
    assert "less than a third" in right("rung-price").text
    assert BASE.d_model // BASE.n_heads == 64
    assert "wider than the 64" in said("rung-price")


def test_the_norm_of_the_latent_parts_two_layers_by_a_third() -> None:
    apart = rungs.gqa_is_mla(reference, Rng(0), has_norm=True).apart
    assert apart == pytest.approx(1 / 3, abs=0.05)
    assert "differ by a third" in said("rung-norm")


def test_training_on_a_token_takes_three_times_the_products_of_reading_it() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    layer, x = torch.nn.Linear(8, 8, bias=False), torch.randn(4, 8, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        y = layer(x)
    with FlopCounterMode(display=False) as backward:
        y.sum().backward()
    assert forward.get_total_flops() == 2 * 8 * 8 * 4
    assert backward.get_total_flops() == 2 * forward.get_total_flops()
    assert "2 + 4 makes 6" in said("six")
