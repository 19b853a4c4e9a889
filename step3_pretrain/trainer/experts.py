"""How busy the experts of a model are, and the bias that sends tokens from busy ones to idle ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from step3_pretrain.parallel.world import ALONE, World


class Loads:
    """Counts, while a model trains, how often each expert of each layer is chosen.

    The counts hold from one `settle` to the next.
    """

    def __init__(self, model: nn.Module, rate: float, world: World = ALONE) -> None:
        self.rate, self.world = rate, world
        self.gates: list[Any] = [module.gate for module in model.modules() if hasattr(module, "experts")]
        self.counts = [torch.zeros(gate.weight.shape[0], device=gate.weight.device) for gate in self.gates]
        for gate, count in zip(self.gates, self.counts, strict=True):
            gate.register_forward_hook(_counting(count))

    def settle(self) -> list[list[float]]:
        """Return each expert's share of its layer's choices, move the biases by it, and count anew.

        The bias of an expert that was chosen more often than the mean goes down by `rate`, of one that was
        chosen less often up. Source: DeepSeek-AI, "DeepSeek-V3 Technical Report" (2024), section 2.1.2.
        """
        for count in self.counts:
            count.copy_(self.world.sum(count))
        shares = [count / count.sum().clamp(min=1) for count in self.counts]
        for gate, count in zip(self.gates, self.counts, strict=True):
            bias = getattr(gate, "e_score_correction_bias", None)
            if bias is not None:
                with torch.no_grad():
                    bias.add_(torch.sign(count.mean() - count), alpha=self.rate)
            count.zero_()
        return [share.tolist() for share in shares]


def _counting(count: Tensor) -> Any:
    def hook(gate: nn.Module, _: Any, output: tuple[Tensor, Tensor, Tensor]) -> None:
        if gate.training:
            chosen = output[2].flatten()
            count.index_add_(0, chosen, torch.ones_like(chosen, dtype=count.dtype))

    return hook
