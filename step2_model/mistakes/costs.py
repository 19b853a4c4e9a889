"""2.17b, the right counts of parameters and FLOPs, taken apart: each mistake changes one part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from step2_model.further_solution import transformer_flops, transformer_parameters


def pair(parameters: Any = transformer_parameters, flops: Any = transformer_flops) -> dict[str, Any]:
    """Return an implementation of the pair; what is not given is right."""
    return {"transformer_parameters": parameters, "transformer_flops": flops}


@dataclass
class Count:
    """Multiply-adds, or parameters where every weight is used once, of the parts of a decoder."""

    args: Any
    new: int = 1
    past: int = 0

    @property
    def total(self) -> int:
        """All positions that are attended to."""
        return self.new + self.past

    def queries(self) -> int:
        """The weights that make queries, without the norm between them."""
        a = self.args
        width = a.n_heads * (a.qk_nope_head_dim + a.qk_rope_head_dim)
        return a.d_model * width if a.q_lora_rank is None else a.q_lora_rank * (a.d_model + width)

    def down(self) -> int:
        """The weights from x to latent and rotary key."""
        return self.args.d_model * (self.args.kv_lora_rank + self.args.qk_rope_head_dim)

    def up(self) -> int:
        """The weights from the latent to keys and values."""
        a = self.args
        return a.kv_lora_rank * a.n_heads * (a.qk_nope_head_dim + a.v_head_dim)

    def out(self) -> int:
        """The weights of o_proj in MLA."""
        return self.args.n_heads * self.args.v_head_dim * self.args.d_model

    def grouped(self) -> int:
        """The weights of grouped attention."""
        a = self.args
        return 2 * a.d_model**2 + 2 * a.d_model * a.n_kv_heads * a.head_dim

    def inner_norms(self) -> int:
        """The gains of the norms inside of MLA."""
        a = self.args
        return (a.kv_lora_rank + (a.q_lora_rank or 0)) if a.attention == "mla" else 0

    def attention(self) -> int:
        """The weights of attention."""
        if self.args.attention == "gqa":
            return self.grouped()
        return self.queries() + self.down() + self.up() + self.out()

    def dense(self) -> int:
        """The weights of SwiGLU."""
        return 3 * self.args.d_model * self.args.intermediate_size

    def expert(self) -> int:
        """The weights of one expert."""
        return 3 * self.args.d_model * self.args.moe_intermediate_size

    def router(self) -> int:
        """The weights of the router."""
        return self.args.d_model * self.args.n_experts

    def n_sparse(self) -> int:
        """How many layers have experts."""
        return max(self.args.n_layers - self.args.n_dense_layers, 0) if self.args.n_experts else 0

    def held(self) -> int:
        """How many experts are there in a layer."""
        return self.args.n_experts + self.args.n_shared_experts

    def running(self) -> int:
        """How many experts work on a token."""
        return self.args.n_experts_per_tok + self.args.n_shared_experts

    def layer_norms(self) -> int:
        """The gains of the two norms of a layer."""
        return 2 * self.args.d_model

    def final_norm(self) -> int:
        """The gains of the norm behind all layers."""
        return self.args.d_model

    def tables(self) -> int:
        """The weights of embedding and head."""
        return self.args.vocab_size * self.args.d_model * (1 if self.args.tie_embeddings else 2)

    def extra(self) -> int:
        """What a mistake adds to the parameters."""
        return 0

    def parameters(self) -> int:
        """All parameters."""
        sparse = self.router() + self.held() * self.expert()
        layers = self.args.n_layers * (self.attention() + self.inner_norms() + self.layer_norms())
        feed = (self.args.n_layers - self.n_sparse()) * self.dense() + self.n_sparse() * sparse
        return layers + feed + self.final_norm() + self.tables() + self.extra()

    def projecting(self) -> int:
        """The multiply-adds of a layer's projections."""
        if self.args.attention == "gqa":
            return self.new * self.grouped()
        return self.new * (self.queries() + self.down() + self.out()) + self.total * self.up()

    def score_width(self) -> int:
        """The features of a head's queries and of its values, of all heads."""
        a = self.args
        if a.attention == "gqa":
            return 2 * a.d_model
        return a.n_heads * (a.qk_nope_head_dim + a.qk_rope_head_dim + a.v_head_dim)

    def scoring(self) -> int:
        """The multiply-adds of a layer's scores and mixtures."""
        return self.new * self.total * self.score_width()

    def feeding(self) -> int:
        """The multiply-adds of all feed-forward layers."""
        sparse = self.router() + self.running() * self.expert()
        each = (self.args.n_layers - self.n_sparse()) * self.dense() + self.n_sparse() * sparse
        return self.new * each

    def head(self) -> int:
        """The multiply-adds of the head."""
        return self.new * self.args.d_model * self.args.vocab_size

    def flops(self) -> int:
        """All operations."""
        return 2 * (self.args.n_layers * (self.projecting() + self.scoring()) + self.feeding() + self.head())


def of(kind: type[Count]) -> dict[str, Any]:
    """Return the pair as this kind of Count counts, both of them."""
    return pair(lambda args: kind(args).parameters(), lambda args, new, past=0: kind(args, new, past).flops())


def parameters_of(kind: type[Count]) -> dict[str, Any]:
    """Return the pair with the parameters as this kind of Count counts them, and right FLOPs."""
    return pair(parameters=lambda args: kind(args).parameters())


def flops_of(kind: type[Count]) -> dict[str, Any]:
    """Return the pair with the FLOPs as this kind of Count counts them, and right parameters."""
    return pair(flops=lambda args, new, past=0: kind(args, new, past).flops())
