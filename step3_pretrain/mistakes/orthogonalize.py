"""3.12a, orthogonalization: known mistakes with the norm, the iteration and the shape; accepted variants."""

from __future__ import annotations

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step3_pretrain.further_solution import orthogonalize

A, B, C = 3.4445, -4.7750, 2.0315


def is_tall(matrix: Tensor) -> bool:
    """Tell whether a matrix has more rows than columns."""
    return matrix.shape[0] > matrix.shape[1]


def unit(matrix: Tensor) -> Tensor:
    """Return the matrix over its Frobenius norm."""
    return matrix / matrix.norm().clamp(min=1e-7)


def iterate(X: Tensor, steps: int, a: float = A, b: float = B, c: float = C) -> Tensor:
    """Return a wide matrix after so many steps."""
    for _ in range(steps):
        square = X @ X.mT
        X = a * X + (b * square + c * square @ square) @ X
    return X


def laid(matrix: Tensor) -> Tensor:
    """Return the matrix on its longer side."""
    return matrix.mT if is_tall(matrix) else matrix


def back(X: Tensor, matrix: Tensor) -> Tensor:
    """Return the result in the shape of the matrix."""
    return X.mT if is_tall(matrix) else X


@mistake("3.12a")
def never_transposed(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your tall matrices are not transposed. The numbers are right, but X Xᵀ has a row and a column for each
    row of the matrix: 64 rows of 2 make 4096 numbers where 4 would do.
    """
    return iterate(unit(matrix), steps)


@mistake("3.12a", called="Wide matrices are transposed, and tall ones are not")
def wide_transposed(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your function transposes wide matrices and leaves tall ones: the wrong way round. X Xᵀ is small where X
    has few rows.
    """
    is_wide = matrix.shape[0] < matrix.shape[1]
    X = iterate(unit(matrix.mT if is_wide else matrix), steps)
    return X.mT if is_wide else X


@mistake("3.12a")
def not_back(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your tall matrices come back lying: transposed before the iteration, and not after it."""
    return iterate(unit(laid(matrix)), steps)


@mistake("3.12a")
def not_normalized(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your matrix is not divided by its norm first. Singular values far above 1 grow without end: s⁵ of them
    is larger still.
    """
    return back(iterate(laid(matrix), steps), matrix)


@mistake("3.12a", called="The matrix is divided by its largest singular value")
def spectral_norm(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your matrix is divided by its largest singular value (the spectral norm). That is as good a start and a
    dear one, and other numbers come out: the Frobenius norm is asked for, the root of the sum of squares.
    """
    X = laid(matrix)
    return back(iterate(X / torch.linalg.matrix_norm(X, ord=2).clamp(min=1e-7), steps), matrix)


@mistake("3.12a")
def squared_norm(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your matrix is divided by the sum of its squares: the root is missing. A small gradient would blow up,
    a large one all but vanish.
    """
    X = laid(matrix)
    return back(iterate(X / X.square().sum().clamp(min=1e-7), steps), matrix)


@mistake("3.12a")
def largest_entry(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your matrix is divided by its largest entry. Its singular values can still be above 1, up to the root
    of rows times columns, where the iteration runs away.
    """
    X = laid(matrix)
    return back(iterate(X / X.abs().max().clamp(min=1e-7), steps), matrix)


@mistake("3.12a", called="Each row is divided by its own norm")
def row_norms(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your rows are divided each by its own norm. That turns the directions of the matrix: one number divides
    all of it.
    """
    X = laid(matrix)
    return back(iterate(X / X.norm(dim=1, keepdim=True).clamp(min=1e-7), steps), matrix)


@mistake("3.12a")
def nan_of_zeros(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your norm may be 0, and 0/0 is NaN: a matrix whose gradients are all 0 would never be a number again.
    Divide by at least 1e-7.
    """
    X = laid(matrix)
    return back(iterate(X / X.norm(), steps), matrix)


@mistake("3.12a", called="The coefficients are 1.5 and -0.5")
def classical(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your coefficients are those of the classical iteration, 1.5·X - 0.5·A·X. It comes nearer to 1 in the
    end, but five steps of it leave small directions small.
    """
    return back(iterate(unit(laid(matrix)), steps, 1.5, -0.5, 0.0), matrix)


@mistake("3.12a", called="The term c·A²·X is missing")
def no_fifth_power(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your step has no c·A²: what is left, a·s + b·s³, throws singular values near 1 to -1.3 and further."""
    return back(iterate(unit(laid(matrix)), steps, c=0.0), matrix)


@mistake("3.12a", called="A is not squared: the step is a·X + (b + c)·A·X")
def not_squared(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your step has c·A where c·A² belongs."""
    return back(iterate(unit(laid(matrix)), steps, b=B + C, c=0.0), matrix)


@mistake("3.12a", called="A is squared number by number")
def squared_by_entry(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your A² squares each number of A. It is the matrix times itself: A @ A."""
    X = unit(laid(matrix))
    for _ in range(steps):
        square = X @ X.mT
        X = A * X + (B * square + C * square**2) @ X
    return back(X, matrix)


@mistake("3.12a")
def gram_kept(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your A is computed once, from the first X. It belongs to the X of each step."""
    X = unit(laid(matrix))
    square = X @ X.mT
    for _ in range(steps):
        X = A * X + (B * square + C * square @ square) @ X
    return back(X, matrix)


@mistake("3.12a", called="The number of steps is always 5")
def always_five(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your function takes five steps, whatever `steps` says."""
    return orthogonalize(matrix, 5)


@mistake("3.12a", called="One step too few is taken")
def one_too_few(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your function takes one step less than `steps` says (range(1, steps))."""
    return orthogonalize(matrix, max(steps - 1, 0))


@mistake("3.12a", called="The result is U Vᵀ itself")
def exact(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your result is exactly U Vᵀ, by a singular value decomposition. That is where the iteration leads, but
    it costs many times as much, and exactly 1 is not needed.
    """
    U, _, Vh = torch.linalg.svd(matrix, full_matrices=False)
    return U @ Vh


@mistake("3.12a")
def in_bfloat16(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your iteration runs in bfloat16, whatever the dtype of the matrix. That is usual, and fast on a GPU;
    but here the caller decides, by the matrix that is handed in.
    """
    return orthogonalize(matrix.bfloat16(), steps).to(matrix.dtype)


@mistake("3.12a")
def in_place(matrix: Tensor, steps: int = 5) -> Tensor:
    """Your function divides the matrix itself by its norm (/=, div_). In Muon that is the gradient, or its
    running mean: make a new tensor.
    """
    matrix.div_(matrix.norm().clamp(min=1e-7))
    return orthogonalize(matrix, steps)


@variant("3.12a")
def by_columns(matrix: Tensor, steps: int = 5) -> Tensor:
    """Tall matrices as they are, from the right: X·(a + b·G + c·G²) with G = Xᵀ X."""
    X = matrix / max(float(matrix.norm()), 1e-7)
    for _ in range(steps):
        if matrix.shape[0] > matrix.shape[1]:
            gram = X.mT @ X
            X = A * X + X @ (B * gram + C * gram @ gram)
        else:
            gram = X @ X.mT
            X = A * X + (B * gram + C * gram @ gram) @ X
    return X


@variant("3.12a")
def by_horner(matrix: Tensor, steps: int = 5) -> Tensor:
    """The polynomial from the inside out; 1e-7 added to the norm, so that it is at least that."""
    X = laid(matrix) / (torch.sqrt((matrix * matrix).sum()) + 1e-7)
    for _ in range(steps):
        gram = torch.einsum("ik,jk->ij", X, X)
        X = A * X + gram @ (B * X + C * (gram @ X))
    return back(X, matrix)


@variant("3.12a")
def in_double(matrix: Tensor, steps: int = 5) -> Tensor:
    """Computed in float64, and brought back."""
    return back(iterate(unit(laid(matrix.double())), steps), matrix).to(matrix.dtype)
