"""Products of small float64 matrices, written into arrays of the caller. Sums run in a fixed order.

A library's matrix product costs a microsecond before it has multiplied anything; for the networks of mode theory, of a
few units, that is more than the product.
"""

from __future__ import annotations

from typing import Any

from neurolrnn_kernels.jit import kernel

BLOCK = 8


@kernel
def clear_matrix(out: Any) -> None:
    """Set every entry to 0."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0.0


@kernel
def copy(out: Any, X: Any) -> None:
    """Set ``out`` to X."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = X[i, j]


@kernel
def transpose(out: Any, X: Any) -> None:
    """Set ``out`` to Xᵀ."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = X[j, i]


@kernel
def add(out: Any, X: Any) -> None:
    """Add X to ``out``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] += X[i, j]


@kernel
def subtract(out: Any, X: Any) -> None:
    """Subtract X from ``out``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] -= X[i, j]


@kernel
def inner_sum(X: Any, Y: Any) -> float:
    """Return Σ_ij X_ij Y_ij."""
    total = 0.0
    for i in range(X.shape[0]):
        row = 0.0
        for j in range(X.shape[1]):
            row += X[i, j] * Y[i, j]
        total += row
    return total


@kernel
def scale_rows(out: Any, u: Any, X: Any) -> None:
    """Set ``out`` to diag(u) X."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = u[i] * X[i, j]


@kernel
def multiply(out: Any, X: Any, Y: Any) -> None:
    """Set ``out`` to the product of the first ``len(Y)`` columns of the first ``len(out)`` rows of X, and Y.

    ``out`` must be another array than X and Y.
    """
    terms, columns = Y.shape[0], Y.shape[1]
    rest = terms % BLOCK
    for i in range(out.shape[0]):
        o = out[i]
        x = X[i]
        if rest or not terms:
            for j in range(columns):
                o[j] = 0.0
            for k in range(rest):
                x0 = x[k]
                y0 = Y[k]
                for j in range(columns):
                    o[j] += x0 * y0[j]
        for k in range(rest, terms, BLOCK):
            x0 = x[k]
            x1 = x[k + 1]
            x2 = x[k + 2]
            x3 = x[k + 3]
            x4 = x[k + 4]
            x5 = x[k + 5]
            x6 = x[k + 6]
            x7 = x[k + 7]
            y0 = Y[k]
            y1 = Y[k + 1]
            y2 = Y[k + 2]
            y3 = Y[k + 3]
            y4 = Y[k + 4]
            y5 = Y[k + 5]
            y6 = Y[k + 6]
            y7 = Y[k + 7]
            if k == 0:
                for j in range(columns):
                    left = (x0 * y0[j] + x1 * y1[j]) + (x2 * y2[j] + x3 * y3[j])
                    o[j] = left + ((x4 * y4[j] + x5 * y5[j]) + (x6 * y6[j] + x7 * y7[j]))
            else:
                for j in range(columns):
                    left = (x0 * y0[j] + x1 * y1[j]) + (x2 * y2[j] + x3 * y3[j])
                    o[j] += left + ((x4 * y4[j] + x5 * y5[j]) + (x6 * y6[j] + x7 * y7[j]))
