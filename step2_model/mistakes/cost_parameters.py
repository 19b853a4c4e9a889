"""2.17b, parameters of a decoder: known mistakes."""

from __future__ import annotations

from typing import Any

from coursekit.probe import mistake
from step2_model.mistakes.costs import Count, parameters_of


@mistake("2.17b")
def tied_head_twice() -> dict[str, Any]:
    """Your number counts a tied head as a matrix of its own. It is the embedding's, which is counted
    already.
    """

    class Wrong(Count):
        def tables(self) -> int:
            return 2 * self.args.vocab_size * self.args.d_model

    return parameters_of(Wrong)


@mistake("2.17b")
def head_never_counted() -> dict[str, Any]:
    """Your number leaves the head out where it is not tied: a matrix of V × C beside the embedding."""

    class Wrong(Count):
        def tables(self) -> int:
            return self.args.vocab_size * self.args.d_model

    return parameters_of(Wrong)


@mistake("2.17b")
def no_embedding() -> dict[str, Any]:
    """Your number leaves the embedding out: vocab_size learned vectors of d_model numbers."""

    class Wrong(Count):
        def tables(self) -> int:
            return super().tables() - self.args.vocab_size * self.args.d_model

    return parameters_of(Wrong)


@mistake("2.17b")
def no_norms() -> dict[str, Any]:
    """Your number leaves out all norms. Every RMSNorm learns a gain for each feature: two in a layer, one at
    the end, and inside MLA that of the latent.
    """

    class Wrong(Count):
        def inner_norms(self) -> int:
            return 0

        def layer_norms(self) -> int:
            return 0

        def final_norm(self) -> int:
            return 0

    return parameters_of(Wrong)


@mistake("2.17b")
def no_layer_norms() -> dict[str, Any]:
    """Your number leaves out the two norms of every layer: C gains each."""

    class Wrong(Count):
        def layer_norms(self) -> int:
            return 0

    return parameters_of(Wrong)


@mistake("2.17b")
def no_final_norm() -> dict[str, Any]:
    """Your number leaves out the norm behind the last layer: C gains."""

    class Wrong(Count):
        def final_norm(self) -> int:
            return 0

    return parameters_of(Wrong)


@mistake("2.17b", called="Norms are counted with a bias, as LayerNorm has one")
def norms_with_bias() -> dict[str, Any]:
    """Your number counts two numbers for each feature of a layer's norms. That is LayerNorm; RMSNorm has a
    gain and no bias.
    """

    class Wrong(Count):
        def layer_norms(self) -> int:
            return 2 * super().layer_norms()

        def final_norm(self) -> int:
            return 2 * super().final_norm()

    return parameters_of(Wrong)


@mistake("2.17b")
def no_latent_norm() -> dict[str, Any]:
    """Your number leaves out the norm of MLA's latent: kv_lora_rank gains in every layer."""

    class Wrong(Count):
        def inner_norms(self) -> int:
            return super().inner_norms() - (self.args.kv_lora_rank if self.args.attention == "mla" else 0)

    return parameters_of(Wrong)


@mistake("2.17b")
def no_query_norm() -> dict[str, Any]:
    """Your number leaves out the norm between the two matrices of the queries: q_lora_rank gains in every
    layer.
    """

    class Wrong(Count):
        def inner_norms(self) -> int:
            return self.args.kv_lora_rank if self.args.attention == "mla" else 0

    return parameters_of(Wrong)


@mistake("2.17b", called="q_lora_rank is ignored in the parameters")
def one_query_matrix() -> dict[str, Any]:
    """Your number of parameters ignores q_lora_rank: queries through a bottleneck have two narrow matrices
    and a norm in place of one matrix of C × H·(Dn + Dr).
    """

    class Wrong(Count):
        def queries(self) -> int:
            a = self.args
            return a.d_model * a.n_heads * (a.qk_nope_head_dim + a.qk_rope_head_dim)

        def inner_norms(self) -> int:
            return self.args.kv_lora_rank if self.args.attention == "mla" else 0

    return parameters_of(Wrong)


@mistake("2.17b", called="Each head has a rotary key projection in the parameters")
def rotary_key_per_head() -> dict[str, Any]:
    """Your number projects a rotary key for every head. kv_a_proj_with_mqa makes R + Dr features: one rotary
    key for all.
    """

    class Wrong(Count):
        def down(self) -> int:
            a = self.args
            return a.d_model * (a.kv_lora_rank + a.n_heads * a.qk_rope_head_dim)

    return parameters_of(Wrong)


@mistake("2.17b", called="Keys and values are as wide as queries, whatever n_kv_heads says")
def full_key_heads() -> dict[str, Any]:
    """Your number counts 4C² for grouped attention. Keys and values have G heads, not H: C × G·D each."""

    class Wrong(Count):
        def grouped(self) -> int:
            return 4 * self.args.d_model**2

    return parameters_of(Wrong)


@mistake("2.17b", called="Two matrices are counted in SwiGLU and in every expert")
def two_matrices() -> dict[str, Any]:
    """Your number counts two matrices for each feed-forward layer and expert. SwiGLU has three: gate, up,
    down.
    """

    class Wrong(Count):
        def dense(self) -> int:
            return super().dense() * 2 // 3

        def expert(self) -> int:
            return super().expert() * 2 // 3

    return parameters_of(Wrong)


@mistake("2.17b")
def shared_forgotten() -> dict[str, Any]:
    """Your number leaves out the shared experts, which stand beside the E that are chosen from."""

    class Wrong(Count):
        def held(self) -> int:
            return self.args.n_experts

    return parameters_of(Wrong)


@mistake("2.17b", called="Only the experts that a token chooses are counted as parameters")
def chosen_alone() -> dict[str, Any]:
    """Your number of parameters counts only the experts that a token chooses. All of them are learned, and
    all must be in memory; what saves work does not save parameters.
    """

    class Wrong(Count):
        def held(self) -> int:
            return self.running()

    return parameters_of(Wrong)


@mistake("2.17b")
def no_router() -> dict[str, Any]:
    """Your number of parameters leaves out the router: C numbers for every expert of a layer."""

    class Wrong(Count):
        def router(self) -> int:
            return 0

    return parameters_of(Wrong)


@mistake("2.17b", called="The bias of DeepSeek's router is counted among the parameters")
def router_bias() -> dict[str, Any]:
    """Your number counts the bias of DeepSeek's router. It is a buffer that is set by hand: no gradient
    reaches it.
    """

    class Wrong(Count):
        def extra(self) -> int:
            return self.n_sparse() * self.args.n_experts * (self.args.router == "sigmoid")

    return parameters_of(Wrong)


@mistake("2.17b", called="n_dense_layers is ignored in the parameters")
def all_sparse() -> dict[str, Any]:
    """Your number of parameters gives every layer experts. The first n_dense_layers have a plain SwiGLU."""

    class Wrong(Count):
        def n_sparse(self) -> int:
            return self.args.n_layers if self.args.n_experts else 0

    return parameters_of(Wrong)
