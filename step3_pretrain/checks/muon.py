"""Probes of Muon: a matrix whose directions are made equally large (3.12a), and the step with it (3.12b)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.chain import Chain
from coursekit.probe import at_most, cases, check, equal, steps
from step2_model.checks.counting import Largest
from step2_model.checks.observe import DEEP

SHAPES = ((5, 5), (4, 9), (9, 4))


def well_conditioned(rng: Any, rows: int, columns: int) -> Any:
    """Return a matrix with singular values between 0.5 and 2 and random directions.

    Five steps lift the smallest number by a factor of hundreds, rounding with it: where no singular value is
    small, float32 is enough to tell right from wrong.
    """
    left, right = (torch.linalg.qr(rng.normal(n, n))[0] for n in (rows, columns))
    least = min(rows, columns)
    return left[:, :least] @ torch.diag(rng.uniform(0.5, 2, least)) @ right[:, :least].T


def largest_made(m: Any, matrix: Any) -> int:
    """Return how many numbers the largest tensor has that is made on the way."""
    with Largest() as largest:
        m.orthogonalize(matrix)
    return largest.numel


@check("3.12a")
def orthogonalize(m: Any, rng: Any) -> Any:
    square, wide, tall = (well_conditioned(rng, *shape) for shape in SHAPES)
    yield equal("no step: the matrix over its Frobenius norm", m.orthogonalize(wide, 0), DEEP)
    yield equal("one step: a·X + (b·A + c·A²)·X", m.orthogonalize(wide, 1), DEEP)
    yield equal("two steps", m.orthogonalize(wide, 2), DEEP)
    for told, matrix in (("square", square), ("wide", wide), ("tall", tall)):
        given = matrix.clone()
        yield equal(f"five steps, a {told} matrix", m.orthogonalize(given), DEEP)
        yield f"the {told} matrix is left as it was", given
    sizes = [m.orthogonalize(factor * tall) for factor in (1e4, 0.3)]
    yield equal("how large the matrix is does not matter", sizes, DEEP)
    yield "float64 stays float64", m.orthogonalize(wide.double())
    yield "zeros stay zeros: nothing is divided by 0", m.orthogonalize(torch.zeros(3, 2))
    yield equal("a single row: its direction", m.orthogonalize(wide[:1]), DEEP)
    yield equal("a single column", m.orthogonalize(tall[:, :1]), DEEP)
    long = rng.normal(64, 2)
    yield at_most("64 rows of 2: no tensor is larger than the matrix", largest_made(m, long), long.numel())
    yield at_most("2 rows of 64: neither here", largest_made(m, long.T.contiguous()), long.numel())


@cases("3.12a")
def small_matrices(m: Any) -> Any:
    for matrix, count in (
        ([[2.0]], 0),
        ([[2.0]], 1),
        ([[-2.0]], 2),
        ([[3.0, 4.0]], 1),
        ([[3.0], [4.0]], 1),
        ([[3.0, 0.0], [0.0, 4.0]], 0),
        ([[3.0, 0.0], [0.0, 4.0]], 1),
        ([[1.0, 1.0], [0.0, 1.0]], 1),
        ([[3.0, 0.0], [0.0, 4.0]], 5),
        ([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]], 6),
        ([[0.0, 0.0]], 1),
    ):
        given = torch.tensor(matrix)
        output = m.orthogonalize(given, count)
        yield {"matrix": torch.tensor(matrix), "steps": count}, (output, given)


class Walk:
    """A weight that takes steps of Muon, one after another."""

    def __init__(self, m: Any, weight: Any, **settings: float) -> None:
        self.m, self.weight, self.settings = m, weight.clone(), settings
        self.state: dict[str, Any] = {}

    def take(self, *gradients: Any) -> Any:
        """Take a step for each gradient, and return the weight after the last."""
        for gradient in gradients:
            self.m.muon_step(self.weight, gradient.clone(), self.state, **self.settings)
        return self.weight


@check("3.12b")
def muon_step(m: Any, rng: Any) -> Any:
    drawn = {
        shape: [rng.normal(*shape), *(well_conditioned(rng, *shape) for _ in range(4))] for shape in SHAPES
    }
    weight, *gradients = drawn[5, 5]
    yield equal(
        "the first step, without decay: the gradient's directions, all equally large, times lr",
        Walk(m, weight, lr=0.3, weight_decay=0.0).take(gradients[0]),
        DEEP,
    )
    yield equal(
        "a wide matrix moves no less",
        Walk(m, drawn[4, 9][0], lr=0.3, weight_decay=0.0).take(drawn[4, 9][1]),
        DEEP,
    )
    yield equal(
        "a tall matrix moves further, by the root of rows over columns",
        Walk(m, drawn[9, 4][0], lr=0.3, weight_decay=0.0).take(drawn[9, 4][1]),
        DEEP,
    )
    decays = [Walk(m, drawn[s][0], lr=0.3, weight_decay=0.4).take(drawn[s][1]) for s in ((5, 5), (9, 4))]
    yield equal("the weight is shrunk by 1 - lr · weight_decay, then moves", decays, DEEP)
    yield from later_steps(m, drawn)
    yield from around(m, drawn)


def later_steps(m: Any, drawn: Any) -> Any:
    """Yield what the running mean of the gradients is for."""
    for count in (2, 4):
        for (rows, columns), (start, *given) in drawn.items():
            walked = Walk(m, start, lr=0.2, weight_decay=0.0).take(*given[:count])
            told = f"{count} steps of {rows} × {columns}: the direction is that of gradient and running mean"
            yield equal(told, walked, DEEP)
    weight, *gradients = drawn[4, 9]
    others = [Walk(m, weight, lr=0.2, momentum=mu).take(*gradients[:2]) for mu in (0.0, 0.5, 0.99)]
    yield equal("another momentum; without any, the gradient alone", others, DEEP)
    yield equal("four steps with what is usual: 0.95, 0.1", Walk(m, weight, lr=0.2).take(*gradients), DEEP)
    scaled = [1000 * gradients[0], gradients[1]]
    yield equal("a gradient that was large is still in the mean", Walk(m, weight, lr=0.2).take(*scaled), DEEP)


def around(m: Any, drawn: Any) -> Any:
    """Yield what must not change, or must not hang together."""
    weight, *gradients = drawn[9, 4]
    given, state = gradients[0].clone(), dict[str, Any]()
    moved = weight.clone()
    returned = m.muon_step(moved, given, state, 0.2)
    yield (
        "it is the weight itself that changes, and nothing is returned",
        (returned, torch.equal(moved, weight)),
    )
    yield "the gradient stays as it is", given
    m.muon_step(moved, given, state, 0.2)
    yield "and stays at the second step", given
    one, two = Walk(m, weight, lr=0.2), Walk(m, weight, lr=0.2)
    one.take(gradients[0])
    two.take(gradients[1])
    yield equal("two weights: each has a state of its own", (one.take(gradients[2]), two.weight), DEEP)


@cases("3.12b")
def small_muon_steps(m: Any) -> Any:
    """Outputs are the weight after the last step, and the last gradient."""
    for weight, gradients, changed in (
        ([[0.0]], [[[5.0]]], {"weight_decay": 0.0}),
        ([[2.0]], [[[5.0]]], {"weight_decay": 0.5}),
        ([[0.0]], [[[5.0]], [[-1.0]]], {"weight_decay": 0.0}),
        ([[0.0]], [[[1.0]], [[-3.0]]], {"weight_decay": 0.0, "momentum": 0.5}),
        ([[0.0], [0.0]], [[[3.0], [4.0]]], {"weight_decay": 0.0}),
        ([[0.0, 0.0]], [[[3.0, 4.0]]], {"weight_decay": 0.0}),
        ([[2.0], [0.0]], [[[3.0], [4.0]]], {"weight_decay": 0.5}),
        ([[0.0, 0.0]], [[[1.0, 0.0]], [[0.0, 1.0]]], {"weight_decay": 0.0, "momentum": 0.5}),
        ([[2.0, 1.0]], [[[1.0, 0.0]], [[0.0, 1.0]]], {"weight_decay": 0.5, "momentum": 0.75}),
        ([[0.0, 0.0]], [[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]], {"weight_decay": 0.0}),
    ):
        given = [torch.tensor(gradient) for gradient in gradients]
        shown = {f"gradient {i}": gradient.clone() for i, gradient in enumerate(given, start=1)}
        inputs = {"weight": torch.tensor(weight), **shown, "lr": 0.5, **changed}
        walked, state = torch.tensor(weight), dict[str, Any]()
        for gradient in given:
            m.muon_step(walked, gradient, state, 0.5, **changed)
        yield inputs, (walked, given[-1])


@steps("3.12b")
def chain_of_second_step(m: Any, rng: Any) -> Any:
    """at the second step"""
    weight, *gradients = rng.normal(6, 3), *(well_conditioned(rng, 6, 3) for _ in range(2))
    walk = Walk(m, weight, lr=0.3, weight_decay=0.4)
    walk.take(gradients[0])
    chain = Chain(DEEP)
    chain.calls(m, "orthogonalize", returns="the direction that orthogonalize returns")
    yield from chain.of(lambda: walk.take(gradients[1]), "the weight")
