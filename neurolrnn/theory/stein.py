"""Sums of the form Σ_l left^l middle right^l, finite and infinite (Stein equations)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError

Matrix = NDArray[np.float64]


def geometric_sum(left: Matrix, middle: Matrix, right: Matrix, count: float = math.inf) -> Matrix:
    """Return ``Σ_{l=0}^{count-1} left^l middle right^l``, by doubling.

    Parameters
    ----------
    left : (p, p)
    middle : (p, q)
    right : (q, q)
    count : int or inf
        Number of terms. With ``math.inf`` the sum solves the Stein equation ``X = left X right + middle``; the
        product of the spectral radii of `left` and `right` must be below 1.

    Returns
    -------
    (p, q)

    Raises
    ------
    InputError
        If infinitely many terms do not converge.

    Notes
    -----
    From S_k, the sum of k terms, and the k-th powers follows ``S_2k = S_k + left^k S_k right^k``: quadratic
    convergence where the sum is infinite, log2(count) products where it is not. Source: the squared Smith method
    for Stein equations (see Benner, El Khoury & Sadkane, "On the squared Smith method for large-scale Stein
    equations", 2014); the finite count is added here.
    """
    if count == math.inf:
        S = middle
        for _ in range(64):
            S = S + left @ S @ right
            left, right = left @ left, right @ right
            # Norms bound every later term, also where a non-normal matrix makes the terms grow before they shrink.
            if float(np.linalg.norm(left)) * float(np.linalg.norm(right)) < 1e-20:
                return S
        raise InputError("the infinite sum does not converge: the spectral radii are too near 1. Give a finite T")
    # Binary expansion of count, highest bit first; the powers always match the number of terms in `total`.
    total, power_left, power_right = np.zeros_like(middle), np.eye(len(left)), np.eye(len(right))
    for bit in f"{int(count):b}":
        total = total + power_left @ total @ power_right
        power_left, power_right = power_left @ power_left, power_right @ power_right
        if bit == "1":
            total = middle + left @ total @ right
            power_left, power_right = left @ power_left, right @ power_right
    return total
