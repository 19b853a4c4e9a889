"""What goes beyond the core of pretraining: larger batches, fewer bits, whole documents, Muon, and the bill.

The parts can be read in any order; each says which part of `model_solution.py` it takes further. The last
part of the file holds the optimizer and the model that use them.

Shape letters as in `model_solution.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from step2_model.model_exercise import ModelOutput, Rope, Transformer, next_token_loss
from step3_pretrain.model_exercise import adamw_step, clip_gradients


def accumulate_gradients(
    loss_of: Callable[[Tensor, Tensor], Tensor],
    batches: Sequence[tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]],
) -> Float[Tensor, ""]:
    """Add to the gradients what one large batch would add, from parts of it one after another.

    `loss_of(ids, labels)` is the mean loss over the predicted tokens of a part: its labels from the second on
    that are not -100. Parts predict unequally many tokens, so that the mean over all of them is not the mean
    of the parts' means: each part counts by its share of the tokens, and one that predicts none adds nothing
    (its own mean would be NaN). Only one part's graph is alive at a time; gradients that are there already
    stay and are added to. Returns the mean loss of the large batch, detached.

    Tutorial: docs/tutorials/step3_pretrain_further.md#39-gradient-accumulation
    """
    # 1. How many tokens does each part predict, and how many all of them?
    # 2. The part's share of the mean over all tokens; a part that predicts none is left out.
    # 3. Its gradient is added to what is there; its graph goes before the next part comes.
    # TODO 3.9: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.9 is not written yet: accumulate_gradients in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.9"
    )


def forward_mixed(
    model: nn.Module, ids: Int[Tensor, "B T"], labels: Int[Tensor, "B T"], dtype: torch.dtype
) -> ModelOutput:
    """Run the model with matrix products in `dtype`, weights and loss in float32.

    `torch.autocast` makes of each operation what it can bear: products in `dtype`, sums that would lose too
    much in float32. The weights stay float32: a step of a thousandth of a weight is less than bfloat16 can
    add to it. The model's own loss is not asked for: the logits are brought to float32 first, outside of
    autocast, and `next_token_loss` computes it from them. In float32 nothing is cast at all.

    Returns logits and loss in float32; `aux_loss` is what the model returns.

    Source: Micikevicius et al., "Mixed Precision Training" (2018), section 3.
    Tutorial: docs/tutorials/step3_pretrain_further.md#310a-autocast
    """
    # 1. The model under autocast for the device of ids, unless dtype is float32.
    # 2. Logits in float32, and the loss from them.
    # TODO 3.10a: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.10a is not written yet: forward_mixed in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.10a"
    )


def needs_scaler(dtype: torch.dtype) -> bool:
    """Whether gradients would be lost below the smallest number of `dtype`, so that the loss must be scaled.

    float16 ends at 6e-8, where gradients often are; bfloat16 has the exponents of float32.

    Tutorial: docs/tutorials/step3_pretrain_further.md#310b-a-scaler
    """
    # 1. Only float16 has too few exponents.
    # TODO 3.10b: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.10b is not written yet: needs_scaler in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.10b"
    )


def scaled_step(
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    parameters: Sequence[nn.Parameter],
    max_norm: float,
) -> Float[Tensor, ""]:
    """Take the optimizer's step on gradients of a scaled loss; return their length, unscaled, before
    clipping.

    The loss was multiplied by `scaler.scale` before `backward`. The gradients are divided by it first, then
    clipped: a limit on scaled gradients would be another limit. The scaler leaves the step out where a
    gradient is infinite or no number, and chooses the scale of the next step. A scaler that is not enabled
    does nothing, and the step is an ordinary one.

    Source: Micikevicius et al. (2018), section 3.2.
    Tutorial: docs/tutorials/step3_pretrain_further.md#310b-a-scaler
    """
    # 1. Divide the gradients by the scale.
    # 2. Clip them to max_norm.
    # 3. Step, unless a gradient is infinite, and choose the next scale.
    # TODO 3.10b: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.10b is not written yet: scaled_step in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.10b"
    )


def document_mask(ids: Int[Tensor, "B T"], end_of_text: int) -> Bool[Tensor, "B 1 T T"]:
    """Return which position may read which: itself and those before it, within its own document.

    A document's `end_of_text` belongs to it, as its last token. True stands for "may read"; the dimension of
    size 1 is for the heads, which all have the same mask.

    Source: Grattafiori et al., "The Llama 3 Herd of Models" (2024), section 3.2.
    Tutorial: docs/tutorials/step3_pretrain_further.md#311a-a-mask-for-attention
    """
    # 1. Number the documents of each row: the number grows behind every end_of_text.
    # 2. A pair may meet if both stand in the same document ...
    # 3. ... and the one that is read does not come after the one that reads.
    # TODO 3.11a: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.11a is not written yet: document_mask in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.11a"
    )


def document_labels(ids: Int[Tensor, "B T"], end_of_text: int) -> Int[Tensor, "B T"]:
    """Return the ids as labels, -100 for the first token of every document that begins within the row.

    Under `document_mask` the position before it, the end of another document, may read nothing of the new
    one: the guess would be of a document of which nothing is known, learned from the end of another one. All
    other tokens count, `end_of_text` among them; the first of a row stays too, since nothing stands before
    it. The ids stay as they are.

    Tutorial: docs/tutorials/step3_pretrain_further.md#311b-a-mask-for-the-loss
    """
    # 1. Copy the ids, and leave out what stands behind an end_of_text.
    # TODO 3.11b: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.11b is not written yet: document_labels in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.11b"
    )


def orthogonalize(matrix: Float[Tensor, "O I"], steps: int = 5) -> Float[Tensor, "O I"]:
    """Return a matrix with the directions of this one, all about equally large: near U Vᵀ for U S Vᵀ.

    Newton-Schulz iteration. The matrix is divided by its Frobenius norm, so that no singular value is above
    1. Each step replaces X by a·X + (b·A + c·A²)·X, where A = X Xᵀ: every singular value s becomes
    a·s + b·s³ + c·s⁵, and the directions stay. With a, b, c = 3.4445, -4.7750, 2.0315 five steps bring all
    from 0.003 on to between 0.68 and 1.21; exactly 1 is not wanted, only quickly near it. The smaller side of
    the matrix must be the first for A to be small: transpose before and after if it is not. Computed in the
    dtype of the matrix.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
    Tutorial: docs/tutorials/step3_pretrain_further.md#312a-orthogonalization
    """
    # 1. Lay the matrix on its longer side, and make its Frobenius norm 1 (divide by at least 1e-7).
    # 2. Iterate: A = X Xᵀ, then X becomes a·X + (b·A + c·A²)·X.
    # 3. Back to the shape it came in.
    # TODO 3.12a: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.12a is not written yet: orthogonalize in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.12a"
    )


def muon_step(
    weight: Float[Tensor, "O I"],
    gradient: Float[Tensor, "O I"],
    state: dict[str, Any],
    lr: float,
    momentum: float = 0.95,
    weight_decay: float = 0.1,
) -> None:
    """Change one weight matrix in place by one step of Muon; `state` is what the steps before have kept.

    A running mean of the gradients, m ← μ·m + (1 - μ)·g, begins at 0. The direction looks one step ahead
    (Nesterov): (1 - μ)·g + μ·m, with the new m, orthogonalized. The weight is shrunk by the factor
    1 - lr · weight_decay, then moves against the direction by lr · √max(1, rows/columns). `state` is empty
    at the first step; the gradient stays as it is.

    Source: Jordan et al. (2024). Tutorial: docs/tutorials/step3_pretrain_further.md#312b-muon
    """
    # 1. At the first step the mean is zeros of the weight's shape; move it toward the gradient.
    # 2. Look ahead: once more from the gradient toward the mean; then make all directions equally large.
    # 3. Decay; then move, tall matrices further.
    # TODO 3.12b: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.12b is not written yet: muon_step in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.12b"
    )


def stable_learning_rate(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Return the rate of a step (the first is 0): up, then level, then down to 0 within the last `decay`
    steps.

    Each of the first `warmup` steps raises it by peak/warmup, as in 3.5. Then it stays at the peak, up to and
    including step total - decay; from there it falls in a straight line and is 0 at step `total` and after.
    A run can be made longer at any time before the decay, which no cosine allows: its whole course depends on
    the end.

    Source: Hu et al., "MiniCPM" (2024), section 4; Hägele et al., "Scaling Laws and Compute-Optimal Training
    Beyond Fixed Training Durations" (2024), section 3.
    Tutorial: docs/tutorials/step3_pretrain_further.md#313-warm-up-stable-decay
    """
    # 1. Warm-up as before.
    # 2. Level until `decay` steps are left; then the share of them that is still left.
    # TODO 3.13: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.13 is not written yet: stable_learning_rate in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.13"
    )


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return two groups for an optimizer: what decays, with `weight_decay`, and what does not, with 0.

    Whatever has two dimensions or more decays: the matrices, embeddings and experts among them. Gains and
    biases do not: they are few, and a gain that decays pulls the stream toward 0, not toward simplicity.
    Parameters that are frozen (`requires_grad` is False) are in neither group, those with two names in one,
    once.

    Tutorial: docs/tutorials/step3_pretrain_further.md#314-what-decays
    """
    # 1. All parameters that are trained, each once.
    # 2. Two dimensions or more decay, vectors do not.
    # TODO 3.14: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.14 is not written yet: parameter_groups in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.14"
    )


def flops_per_token(num_weights: int, n_layers: int, width: int, block_size: int) -> int:
    """Return how many floating-point operations training spends on a token: 6 · N + 12 · L · W · T.

    N counts the weights of matrices that every token is multiplied by: forward a multiplication and an
    addition for each, backward twice as much. Attention has no weights: in each of L layers a token's
    query meets T keys and mixes T values, over the W = heads · head width features, forward and backward. As
    is the custom, the half that the causal mask hides is counted too.

    Source: Chowdhery et al., "PaLM" (2022), appendix B.
    Tutorial: docs/tutorials/step3_pretrain_further.md#315-what-a-token-costs
    """
    # 1. The matrices: 2 operations forward, 4 backward, for each weight.
    # 2. Attention: scores and mixture, 2 · W · T each forward, three times that with backward, in each layer.
    # TODO 3.15: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.15 is not written yet: flops_per_token in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.15"
    )


def utilization(tokens_per_second: float, flops: float, peak: float) -> float:
    """Return which share of the machine's arithmetic training uses: what is spent in a second over `peak`.

    `flops` is what a token costs, `peak` what the machine can do in a second, in the same precision. Work
    that is done twice, to save memory, does not count as done.

    Source: Chowdhery et al. (2022), section 4.1.
    Tutorial: docs/tutorials/step3_pretrain_further.md#315-what-a-token-costs
    """
    # 1. Operations in a second, over what is possible in one.
    # TODO 3.15: write the numbered steps, then delete the next statement.
    raise NotImplementedError(
        "exercise 3.15 is not written yet: utilization in step3_pretrain/further_exercise.py. "
        "Write it, or run: course solve 3.15"
    )


class Muon(torch.optim.Optimizer):
    """Muon for the groups that say `use_muon`, AdamW for the others: one optimizer, one checkpoint."""

    def __init__(self, groups: Sequence[dict[str, Any]], lr: float = 0.02, momentum: float = 0.95) -> None:
        settings = {"lr": lr, "momentum": momentum, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
        super().__init__(list(groups), settings | {"use_muon": False})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change every parameter once; there is no closure to call."""
        for group in self.param_groups:
            names = ("lr", "momentum") if group["use_muon"] else ("lr", "betas", "eps")
            settings = {name: group[name] for name in (*names, "weight_decay")}
            change = muon_step if group["use_muon"] else adamw_step
            for parameter in group["params"]:
                if parameter.grad is not None:
                    change(parameter, parameter.grad, self.state[parameter], **settings)


def muon_groups(
    model: nn.Module, lr: float, other_lr: float, weight_decay: float = 0.1
) -> list[dict[str, Any]]:
    """Return the groups of `Muon`: the matrices of the layers with `lr`; embeddings, head and vectors with
    AdamW and `other_lr`, the vectors without decay.

    Embeddings are rows that are looked up one by one, no map from features to features: Muon is not for them.
    """
    layers = getattr(model, "layers", model)
    hidden = {id(p) for p in layers.parameters() if p.dim() == 2}
    decaying, still = parameter_groups(model, weight_decay)
    matrices = [p for p in decaying["params"] if id(p) in hidden]
    others = [p for p in decaying["params"] if id(p) not in hidden]
    return [
        {"params": matrices, "lr": lr, "use_muon": True, "weight_decay": weight_decay},
        {"params": others, "lr": other_lr, "weight_decay": weight_decay},
        {**still, "lr": other_lr},
    ]


class DocumentTransformer(Transformer):
    """The decoder of step 2, in which no position reads another document, for rows of whole blocks."""

    end_of_text = 0

    def place(
        self, ids: Int[Tensor, "B T"], start: int, padding: Int[Tensor, " B"] | None
    ) -> tuple[Rope, Tensor | None]:
        """Return rope and mask of T tokens; without a past the mask is that of their documents.

        Positions need not begin anew: attention sees only how far two are apart.
        """
        rope, mask = super().place(ids, start, padding)
        is_training = start == 0 and padding is None
        return rope, document_mask(ids, self.end_of_text) if is_training else mask


if __name__ == "__main__":
    from coursekit.selfcheck import main

    main(__file__)
