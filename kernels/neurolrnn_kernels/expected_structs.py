"""What the kernels of expected updates are given: plain named tuples of float64 arrays and numbers.

Sizes: S students, n units, p = n + states of the input's filter, o outputs, m inputs, k noise sources, T steps; what is
the teacher's has a star.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SCALAR = 0
"""The error is carried back a step by one number, ŵ."""
DIAGONAL = 1
"""By the diagonal of V = (1-α) I + α W."""
DENSE = 2
"""By Vᵀ."""

Array = NDArray[np.float64]


class Students(NamedTuple):
    """A stack of S networks of the same sizes, written in place."""

    A: Array
    """(S, o, n)"""
    W: Array
    """(S, n, n)"""
    B: Array
    """(S, n, m)"""
    velocity_A: Array
    velocity_W: Array
    velocity_B: Array
    leak: Array
    """(S,)"""
    R: Array
    """(S, o, n); not read where feedback is symmetric."""
    decay: Array
    """(S,) ŵ; read if the error is carried by SCALAR."""
    lost: NDArray[np.int64]
    """(S,) number of updates after which a student had diverged, -1 while it has not."""


class Source(NamedTuple):
    """Teacher and input. The filter is s_{t+1} = F s_t + G w_t, x_t = C s_t; without colour it has no state."""

    A: Array
    """(o, p*)"""
    V: Array
    """(p*, p*)"""
    N: Array
    """(p*, k)"""
    power: float
    """E‖y*‖² for T = inf."""
    CF: Array
    """(m, p - n)"""
    CG: Array
    """(m, k); identity without colour."""
    F: Array
    """(p - n, p - n)"""
    G: Array
    """(p - n, k)"""
    Ct: Array
    """(p - n, m)"""


class Terms(NamedTuple):
    """Rule and step sizes."""

    carry: int
    """SCALAR, DIAGONAL or DENSE."""
    symmetric: bool
    lags: int
    """Steps over which the error is carried back; 0 for all."""
    steps: int
    """T; 0 for the stationary network."""
    share: Array
    """(T, k) share of each lag and noise source in the loss."""
    rates: Array
    """(3,) η of A, W, B; 0 for a group that is not learned."""
    bounds: Array
    """(3,) clamp of A, W, B."""
    momentum: float
    scale: float
    """Factor of every update, such as the number of sequences side by side."""
    limit: float
    """Loss beyond which a student has diverged."""


class Work(NamedTuple):
    """Room to calculate in."""

    A: Array
    """(o, p)"""
    V: Array
    """(p, p)"""
    Vt: Array
    N: Array
    """(p, k)"""
    Nt: Array
    """(k, p)"""
    f: Array
    """(n, o)"""
    u: Array
    """(n,)"""
    L: Array
    """(p, p)"""
    Lt: Array
    M: Array
    """(p*, p*)"""
    P: Array
    """(p, p)"""
    P1: Array
    P2: Array
    Q: Array
    """(p*, p)"""
    Q1: Array
    Q2: Array
    M1: Array
    """(p*, p*)"""
    S: Array
    """(n, p)"""
    S1: Array
    S2: Array
    Z: Array
    """(n, p*)"""
    Z1: Array
    Z2: Array
    D: Array
    """(o, p)"""
    D1: Array
    X: Array
    """(n, p)"""
    E: Array
    """(n, p)"""
    Es: Array
    """(n, p - n)"""
    B: Array
    """(n, m)"""
    B1: Array
    Bk: Array
    """(n, k)"""
    Bk1: Array
    K: Array
    """(T, o, k)"""
    K1: Array
    """(o, k)"""
    reach: Array
    """(p, k)"""
    reach1: Array
    star: Array
    """(p*, k)"""
    star1: Array
