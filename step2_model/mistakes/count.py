"""2.4e, counting parameters: known mistakes and accepted variants."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import mistake, variant
from step2_model.model_solution import GPT


def exact(config: Any) -> int:
    """Return the right number; the mistakes below add to it or take from it what they get wrong."""
    V, P, L, C = config.vocab_size, config.block_size, config.n_layer, config.n_embd
    return (V + P) * C + L * (12 * C * C + 13 * C) + 2 * C


@mistake("2.4e")
def estimate(config: Any) -> int:
    """Your number is the estimate 12·L·C². It counts the blocks' matrices alone: embeddings, biases and
    norms are missing.
    """
    return 12 * config.n_layer * config.n_embd**2


@mistake("2.4e")
def estimate_with_embeddings(config: Any) -> int:
    """Your number is the embeddings plus 12·L·C²: every bias and every norm is missing."""
    return (config.vocab_size + config.block_size) * config.n_embd + 12 * config.n_layer * config.n_embd**2


@mistake("2.4e")
def head_twice(config: Any) -> int:
    """Your number counts the head once more. It is tied: its matrix is the token embedding, which is
    counted already.
    """
    return exact(config) + config.vocab_size * config.n_embd


@mistake("2.4e")
def head_with_bias(config: Any) -> int:
    """Your number counts a bias for the head. The head is wte.weight and nothing else."""
    return exact(config) + config.vocab_size


@mistake("2.4e")
def no_tokens(config: Any) -> int:
    """Your number leaves out the token embedding: vocab_size vectors of n_embd numbers. The head shares
    them, but once they must be counted.
    """
    return exact(config) - config.vocab_size * config.n_embd


@mistake("2.4e")
def no_positions(config: Any) -> int:
    """Your number leaves out the position embedding: block_size vectors of n_embd numbers. They are
    learned too.
    """
    return exact(config) - config.block_size * config.n_embd


@mistake("2.4e")
def no_embeddings(config: Any) -> int:
    """Your number leaves out both embeddings, of tokens and of positions. They are learned too."""
    return exact(config) - (config.vocab_size + config.block_size) * config.n_embd


@mistake("2.4e")
def no_biases(config: Any) -> int:
    """Your number leaves out the biases of the linear layers: 3C and C in attention, 4C and C in the
    MLP, for each block.
    """
    return exact(config) - 9 * config.n_layer * config.n_embd


@mistake("2.4e")
def no_norms(config: Any) -> int:
    """Your number leaves out the norms. Every LayerNorm learns C gains and C biases; there are two in a
    block and one at the end.
    """
    return exact(config) - (4 * config.n_layer + 2) * config.n_embd


@mistake("2.4e")
def no_biases_and_norms(config: Any) -> int:
    """Your number counts embeddings and the blocks' matrices with a final norm: the blocks' biases and
    norms are missing.
    """
    return exact(config) - 13 * config.n_layer * config.n_embd


@mistake("2.4e")
def no_final_norm(config: Any) -> int:
    """Your number leaves out the final norm ln_f: C gains and C biases."""
    return exact(config) - 2 * config.n_embd


@mistake("2.4e")
def four_widths_short(config: Any) -> int:
    """Your number is 4C too low for each block. So much the two norms ln_1 and ln_2 hold together, 2C
    each, and so much the biases of attention, 3C in c_attn and C in c_proj: one of the two is missing.
    """
    return exact(config) - 4 * config.n_layer * config.n_embd


@mistake("2.4e")
def two_widths_short(config: Any) -> int:
    """Your number is 2C too low for each block. So much a norm holds, and a block has two; and so much
    c_attn's bias is short if you give it C numbers in place of 3C.
    """
    return exact(config) - 2 * config.n_layer * config.n_embd


@mistake("2.4e")
def norms_without_bias(config: Any) -> int:
    """Your number counts C for each norm. A LayerNorm learns C gains and C biases."""
    return exact(config) - (2 * config.n_layer + 1) * config.n_embd


@mistake("2.4e")
def final_norm_in_every_block(config: Any) -> int:
    """Your number counts three norms for each block. A block has two; the final norm stands once behind
    all of them.
    """
    return exact(config) + 2 * (config.n_layer - 1) * config.n_embd


@mistake("2.4e")
def no_mlp_biases(config: Any) -> int:
    """Your number leaves out the biases of the MLP: 4C in c_fc and C in c_proj, for each block."""
    return exact(config) - 5 * config.n_layer * config.n_embd


@mistake("2.4e")
def one_projection(config: Any) -> int:
    """Your number counts c_attn as one C·C matrix. It holds three, for queries, keys and values: C·3C."""
    return exact(config) - 2 * config.n_layer * config.n_embd**2


@mistake("2.4e")
def no_output_projection(config: Any) -> int:
    """Your number leaves out attention's c_proj: C·C weights and C biases for each block."""
    return exact(config) - config.n_layer * (config.n_embd**2 + config.n_embd)


@mistake("2.4e")
def no_way_back(config: Any) -> int:
    """Your number leaves out the MLP's c_proj, the way back from 4C to C: 4C·C weights and C biases for
    each block.
    """
    return exact(config) - config.n_layer * (4 * config.n_embd**2 + config.n_embd)


@mistake("2.4e")
def no_attention(config: Any) -> int:
    """Your number leaves out attention: c_attn and c_proj, 4C² weights and 4C biases for each block."""
    return exact(config) - config.n_layer * (4 * config.n_embd**2 + 4 * config.n_embd)


@mistake("2.4e")
def no_mlp(config: Any) -> int:
    """Your number leaves out the MLP: c_fc and c_proj, 8C² weights and 5C biases for each block."""
    return exact(config) - config.n_layer * (8 * config.n_embd**2 + 5 * config.n_embd)


@mistake("2.4e")
def narrow_mlp(config: Any) -> int:
    """Your number takes the MLP to be C wide inside. It is 4C wide: c_fc is C·4C, c_proj 4C·C, and c_fc
    has 4C biases.
    """
    return exact(config) - config.n_layer * (6 * config.n_embd**2 + 3 * config.n_embd)


@mistake("2.4e")
def one_block(config: Any) -> int:
    """Your number counts one block. There are n_layer of them, each with weights of its own."""
    return exact(config) - (config.n_layer - 1) * (12 * config.n_embd**2 + 13 * config.n_embd)


@mistake("2.4e")
def mask_counted(config: Any) -> int:
    """Your number counts a mask of block_size² for each block. The mask is not learned."""
    return exact(config) + config.n_layer * config.block_size**2


@mistake("2.4e")
def heads_multiply(config: Any) -> int:
    """Your number multiplies attention by the number of heads. Heads share the C features among them,
    C/H each: their number changes no count.
    """
    C = config.n_embd
    return exact(config) + (config.n_head - 1) * config.n_layer * (4 * C * C + 4 * C)


@mistake("2.4e")
def projections_by_heads(config: Any) -> int:
    """Your number multiplies c_attn by the number of heads. All heads together own 3C outputs: their
    number changes no count.
    """
    C = config.n_embd
    return exact(config) + (config.n_head - 1) * config.n_layer * (3 * C * C + 3 * C)


@mistake("2.4e")
def as_float(config: Any) -> float:
    """Your number is right but a float: a division with / made it one. Counts are whole numbers; use //
    where you divide, or multiply instead.
    """
    return float(exact(config))


@variant("2.4e")
def closed_form(config: Any) -> int:
    """One polynomial."""
    return config.n_embd * (
        config.vocab_size + config.block_size + 2 + config.n_layer * (12 * config.n_embd + 13)
    )


@variant("2.4e")
def by_shapes(config: Any) -> int:
    """A list of shapes, multiplied out."""
    C, F = config.n_embd, 4 * config.n_embd
    block = [(C,), (C,), (C, 3 * C), (3 * C,), (C, C), (C,), (C,), (C,), (C, F), (F,), (F, C), (C,)]
    shapes = [(config.vocab_size, C), (config.block_size, C), *block * config.n_layer, (C,), (C,)]
    return sum(torch.Size(shape).numel() for shape in shapes)


@variant("2.4e")
def layer_by_layer(config: Any) -> int:
    """A running sum over the blocks, linear layer by linear layer."""

    def linear(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs

    C = config.n_embd
    total = config.vocab_size * C + config.block_size * C
    for _ in range(config.n_layer):
        total += 2 * C + linear(C, 3 * C) + linear(C, C) + 2 * C + linear(C, 4 * C) + linear(4 * C, C)
    return total + C + C


@variant("2.4e")
def on_the_meta_device(config: Any) -> int:
    """The model itself, built without memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in GPT(config).parameters())
