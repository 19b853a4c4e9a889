"""The numbers that a check draws, equal on every machine, and models whose every parameter is one of them."""

from __future__ import annotations

from typing import Any

import numpy as np


class Rng:
    """The inputs of one run of a probe: equal seeds give equal numbers on every machine (NumPy's PCG64).

    Never draw a number of values that depends on what the implementation returned: the two runs would part.
    """

    def __init__(self, seed: int) -> None:
        self.generator = np.random.Generator(np.random.PCG64(seed))

    def normal(self, *shape: int, std: float = 1.0) -> Any:
        """Return a float32 tensor of independent normal numbers; `a, b = rng.normal(2, 3, 4)` draws two."""
        import torch

        return torch.from_numpy((std * self.generator.standard_normal(shape)).astype(np.float32))

    def integers(self, low: int, high: int, *shape: int) -> Any:
        """Return an int64 tensor of whole numbers from low to high - 1."""
        import torch

        return torch.from_numpy(self.generator.integers(low, high, shape, dtype=np.int64))

    def uniform(self, low: float, high: float, *shape: int) -> Any:
        """Return a float32 tensor of numbers between low and high."""
        import torch

        return torch.from_numpy(self.generator.uniform(low, high, shape).astype(np.float32))

    def integer(self, low: int, high: int) -> int:
        """Return one whole number from low to high - 1."""
        return int(self.generator.integers(low, high))


def redraw(module: Any, rng: Rng) -> Any:
    """Redraw every parameter of a torch module, so that no gain is 1 and no bias 0, and return the module.

    Matrices get the standard deviation 1/√fan_in, embeddings 1, gains 1 + 0.3·N(0, 1), biases 0.3·N(0, 1). A
    library's own initialization hides faults: what is 0 or 1 can be left out unseen. Parameters are filled in
    the order of their names, so that two implementations with the same names get the same numbers.
    """
    import torch

    kinds = {id(p): type(m).__name__ for m in module.modules() for p in m.parameters(recurse=False)}
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters(), key=lambda pair: pair[0]):
            draw = rng.normal(*parameter.shape)
            if parameter.dim() >= 2:
                is_embedding = kinds[id(parameter)] == "Embedding"
                parameter.copy_(draw if is_embedding else draw / parameter.shape[-1] ** 0.5)
            elif name.endswith("bias"):
                parameter.copy_(0.3 * draw)
            else:
                parameter.copy_(1 + 0.3 * draw)
    return module
