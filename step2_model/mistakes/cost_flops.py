"""2.17b, FLOPs of a decoder: known mistakes, and accepted variants of both counts."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import mistake, variant
from step2_model.further_solution import FullTransformer
from step2_model.mistakes.costs import Count, flops_of, of, pair


@mistake("2.17b")
def one_for_each() -> dict[str, Any]:
    """Your FLOPs count 1 for each multiply-add. It is two operations, a multiplication and an addition."""

    class Wrong(Count):
        def flops(self) -> int:
            return super().flops() // 2

    return flops_of(Wrong)


@mistake("2.17b", called="The past is ignored")
def past_ignored() -> dict[str, Any]:
    """Your FLOPs leave out the past. New tokens read all S positions, past and new; a long past is what makes
    a token expensive.
    """

    class Wrong(Count):
        @property
        def total(self) -> int:
            return self.new

    return flops_of(Wrong)


@mistake("2.17b", called="The past is ignored in the scores, not in the expansion of latents")
def past_not_scored() -> dict[str, Any]:
    """Your scores and mixtures are T × T. Each of the T new queries reads all S = T + past positions."""

    class Wrong(Count):
        def scoring(self) -> int:
            return self.new * self.new * self.score_width()

    return flops_of(Wrong)


@mistake("2.17b", called="All past positions go through the whole model again")
def past_computed_again() -> dict[str, Any]:
    """Your FLOPs send all S positions through the model, as if there were no cache. Only the T new tokens are
    computed; of the past only keys and values are read.
    """

    class Wrong(Count):
        def flops(self) -> int:
            return Count(self.args, self.new + self.past).flops()

    return flops_of(Wrong)


@mistake("2.17b")
def mask_saves_half() -> dict[str, Any]:
    """Your FLOPs leave out the scores that the mask hides. Here they count in full, T × S, as the matrix
    product computes them.
    """

    class Wrong(Count):
        def scoring(self) -> int:
            seen = self.new * self.past + self.new * (self.new + 1) // 2
            return seen * self.score_width()

    return flops_of(Wrong)


@mistake("2.17b")
def no_scores() -> dict[str, Any]:
    """Your FLOPs leave out attention itself: the scores, and the mixtures of values. They have no parameters,
    but T × S dot products for every head.
    """

    class Wrong(Count):
        def scoring(self) -> int:
            return 0

    return flops_of(Wrong)


@mistake("2.17b")
def scores_without_mixtures() -> dict[str, Any]:
    """Your FLOPs count the scores and forget the mixtures: the weighted sum of S values for each of T
    queries.
    """

    class Wrong(Count):
        def score_width(self) -> int:
            a = self.args
            mixed = a.d_model if a.attention == "gqa" else a.n_heads * a.v_head_dim
            return super().score_width() - mixed

    return flops_of(Wrong)


@mistake("2.17b", called="Scores are counted for key/value heads alone")
def scores_per_group() -> dict[str, Any]:
    """Your FLOPs score once for each key/value head. Every query head has scores of its own, also where
    several read the same keys: grouping saves memory, not scores.
    """

    class Wrong(Count):
        def score_width(self) -> int:
            a = self.args
            return 2 * a.n_kv_heads * a.head_dim if a.attention == "gqa" else super().score_width()

    return flops_of(Wrong)


@mistake("2.17b", called="MLA's latents are expanded for the new tokens alone")
def expands_new_alone() -> dict[str, Any]:
    """Your FLOPs expand only the T new latents. `MLA.forward` keeps none of what it expands: it does so for
    all S at every step, which is what absorbing saves.
    """

    class Wrong(Count):
        def projecting(self) -> int:
            return self.new * self.attention()

    return flops_of(Wrong)


@mistake("2.17b", called="MLA's scores leave out the rotary part")
def no_rotary_scores() -> dict[str, Any]:
    """Your scores in MLA are Dn wide. Queries and keys have Dn + Dr features: the rotary part is scored,
    too.
    """

    class Wrong(Count):
        def score_width(self) -> int:
            a = self.args
            rotary = a.n_heads * a.qk_rope_head_dim if a.attention == "mla" else 0
            return super().score_width() - rotary

    return flops_of(Wrong)


@mistake("2.17b", called="q_lora_rank is ignored in the FLOPs")
def one_query_product() -> dict[str, Any]:
    """Your FLOPs ignore q_lora_rank: queries go through two narrow matrices then."""

    class Wrong(Count):
        def queries(self) -> int:
            a = self.args
            return a.d_model * a.n_heads * (a.qk_nope_head_dim + a.qk_rope_head_dim)

    return flops_of(Wrong)


@mistake("2.17b", called="All experts work on every token")
def all_experts() -> dict[str, Any]:
    """Your FLOPs let all experts work on every token. Only the n_experts_per_tok chosen ones and the shared
    ones run; that is what experts are for.
    """

    class Wrong(Count):
        def running(self) -> int:
            return self.held()

    return flops_of(Wrong)


@mistake("2.17b", called="Shared experts are forgotten in the FLOPs")
def shared_idle() -> dict[str, Any]:
    """Your FLOPs forget the shared experts, which work on every token beside the chosen ones."""

    class Wrong(Count):
        def running(self) -> int:
            return self.args.n_experts_per_tok

    return flops_of(Wrong)


@mistake("2.17b", called="The router is forgotten in the FLOPs")
def free_router() -> dict[str, Any]:
    """Your FLOPs forget the router, which scores every expert for every token."""

    class Wrong(Count):
        def router(self) -> int:
            return 0

    return flops_of(Wrong)


@mistake("2.17b")
def no_head() -> dict[str, Any]:
    """Your FLOPs leave out the head: C × V multiply-adds for every token, tied or not."""

    class Wrong(Count):
        def head(self) -> int:
            return 0

    return flops_of(Wrong)


@mistake("2.17b", called="A tied head is taken for free in the FLOPs")
def tied_head_free() -> dict[str, Any]:
    """Your FLOPs take a tied head for free. It shares its numbers with the embedding, not its work."""

    class Wrong(Count):
        def head(self) -> int:
            return 0 if self.args.tie_embeddings else super().head()

    return flops_of(Wrong)


@mistake("2.17b", called="The embedding is counted as a matrix product")
def embedding_multiplied() -> dict[str, Any]:
    """Your FLOPs count the embedding as a product of C × V. A row is looked up; nothing is multiplied."""

    class Wrong(Count):
        def head(self) -> int:
            return 2 * super().head()

    return flops_of(Wrong)


@variant("2.17b")
def part_by_part() -> dict[str, Any]:
    """Each part of the model as a method of its own."""
    return of(Count)


@variant("2.17b")
def on_meta() -> dict[str, Any]:
    """Parameters of a model on torch's meta device, which holds shapes without numbers; FLOPs by layers."""

    def parameters(args: Any) -> int:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in FullTransformer(args).parameters())

    def flops(args: Any, new: int, past: int = 0) -> int:
        count, total = Count(args, new, past), 0
        for layer in range(args.n_layers):
            is_sparse = args.n_experts > 0 and layer >= args.n_dense_layers
            feed = count.router() + count.running() * count.expert() if is_sparse else count.dense()
            total += count.projecting() + count.scoring() + new * feed
        return 2 * (total + new * args.vocab_size * args.d_model)

    return pair(parameters, flops)
