"""Many expected updates in a row, θ ← θ - η E[Δθ], for a stack of students: the loop of a theory, compiled.

The formulas are those of ``neurolrnn.theory.expected``: lag sums by Horner's scheme for finite T, Stein equations by
doubling for T = inf. Input that has a colour is white noise with a filter in front; the filter's state s joins that
of the network, z = (h, s), and the same formulas hold for z. Without colour s has no entries.

float64 only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn_kernels.expected_structs import DENSE, DIAGONAL, SCALAR
from neurolrnn_kernels.jit import kernel
from neurolrnn_kernels.matrices import (
    add,
    clear_matrix,
    copy,
    inner_sum,
    multiply,
    scale_rows,
    subtract,
    transpose,
)

MOST_DOUBLINGS = 64
NEGLIGIBLE = 1e-40
"""Squared norm of the powers of both sides of a term at which an infinite sum ends."""


@kernel
def prepare(who: int, net: Any, src: Any, c: Any, w: Any) -> None:
    """Lay out one student: A, V, N of network and filter, what the error enters by, and what carries it back."""
    n, o, p = w.f.shape[0], w.f.shape[1], w.V.shape[0]
    alpha = net.leak[who]
    clear_matrix(w.V)
    clear_matrix(w.A)
    for i in range(n):
        for j in range(n):
            w.V[i, j] = alpha * net.W[who, i, j]
        w.V[i, i] += 1.0 - alpha
        for j in range(w.B.shape[1]):
            w.B[i, j] = alpha * net.B[who, i, j]
        for k in range(o):
            w.A[k, i] = net.A[who, k, i]
            w.f[i, k] = net.A[who, k, i] if c.symmetric else net.R[who, k, i]
        if c.carry == SCALAR:
            w.u[i] = net.decay[who]
        elif c.carry == DIAGONAL:
            w.u[i] = w.V[i, i]
    multiply(w.Bk, w.B, src.CG)
    multiply(w.Es, w.B, src.CF)
    for i in range(n):
        for j in range(p - n):
            w.V[i, n + j] = w.Es[i, j]
        for j in range(w.N.shape[1]):
            w.N[i, j] = w.Bk[i, j]
    for i in range(n, p):
        for j in range(n, p):
            w.V[i, j] = src.F[i - n, j - n]
        for j in range(w.N.shape[1]):
            w.N[i, j] = src.G[i - n, j]
    transpose(w.Nt, w.N)


@kernel
def carry_back(out: Any, c: Any, u: Any, Vt: Any, X: Any) -> None:
    """Carry X one step back: ``out`` = U X."""
    if c.carry == DENSE:
        multiply(out, Vt, X)
    else:
        scale_rows(out, u, X)


@kernel
def input_part(w: Any, src: Any) -> None:
    """Read ΔB/α = (E[ε sᵀ] part) Cᵀ from E."""
    n = w.f.shape[0]
    for i in range(n):
        for j in range(w.Es.shape[1]):
            w.Es[i, j] = w.E[i, n + j]
    multiply(w.B, w.Es, src.Ct)


@kernel
def finite(src: Any, c: Any, w: Any) -> float:
    """Sum over the lags of T steps; leaves ΔA in D, ΔW/α in X and ΔB/α in B, and returns the loss."""
    steps = c.steps
    coloured = src.F.shape[0] > 0
    transpose(w.Vt, w.V)
    copy(w.reach, w.N)
    copy(w.star, src.N)
    loss = 0.0
    for j in range(steps):
        K = w.K[j]
        multiply(K, w.A, w.reach)
        multiply(w.K1, src.A, w.star)
        subtract(K, w.K1)
        for i in range(K.shape[0]):
            for k in range(K.shape[1]):
                value = K[i, k]
                K[i, k] *= c.share[j, k]
                loss += value * K[i, k]
        copy(w.reach1, w.reach)
        multiply(w.reach, w.V, w.reach1)
        copy(w.star1, w.star)
        multiply(w.star, src.V, w.star1)

    # Horner, from the longest lag to the shortest.
    last = steps if c.lags == 0 else min(c.lags, steps)
    clear_matrix(w.D)
    clear_matrix(w.X)
    clear_matrix(w.E)
    clear_matrix(w.Bk)
    for lag in range(steps, -1, -1):
        if lag < steps:
            multiply(w.D1, w.D, w.Vt)
            multiply(w.D, w.K[lag], w.Nt)
            add(w.D, w.D1)
        if coloured and lag < last:
            carry_back(w.S1, c, w.u, w.Vt, w.E)
            multiply(w.E, w.f, w.D)
            add(w.E, w.S1)
        if 1 <= lag <= last:
            carry_back(w.S1, c, w.u, w.Vt, w.X)
            multiply(w.X, w.f, w.D)
            add(w.X, w.S1)
            if not coloured:
                carry_back(w.Bk1, c, w.u, w.Vt, w.Bk)
                multiply(w.Bk, w.f, w.K[lag - 1])
                add(w.Bk, w.Bk1)
    if coloured:
        input_part(w, src)
    else:
        copy(w.B, w.Bk)
    return 0.5 * loss


@kernel
def grow(S: Any, S1: Any, S2: Any, c: Any, u: Any, back: Any, right: Any) -> None:
    """S ← S + U^k S right^k, from the k-th powers."""
    carry_back(S1, c, u, back, S)
    multiply(S2, S1, right)
    add(S, S2)


@kernel
def horner(S: Any, S1: Any, S2: Any, f: Any, A: Any, Vt: Any, right: Any) -> None:
    """S ← f A + Vᵀ S right."""
    multiply(S1, Vt, S)
    multiply(S2, S1, right)
    multiply(S, f, A)
    add(S, S2)


@kernel
def raise_power(L: Any, V: Any, room: Any) -> None:
    """L ← L V; V may be L."""
    multiply(room, L, V)
    copy(L, room)


@kernel
def few_lags(src: Any, c: Any, w: Any) -> None:
    """Sum the first ``c.lags`` terms of S and Z, which hold the first, by the bits of their number."""
    copy(w.L, w.V)
    copy(w.M, src.V)
    copy(w.Lt, w.Vt)
    bit = 1
    while 2 * bit <= c.lags:
        bit *= 2
    while bit > 1:
        bit //= 2
        grow(w.S, w.S1, w.S2, c, w.u, w.Lt, w.L)
        grow(w.Z, w.Z1, w.Z2, c, w.u, w.Lt, w.M)
        raise_power(w.L, w.L, w.P1)
        raise_power(w.M, w.M, w.M1)
        if c.lags & bit:
            horner(w.S, w.S1, w.S2, w.f, w.A, w.Vt, w.V)
            horner(w.Z, w.Z1, w.Z2, w.f, src.A, w.Vt, src.V)
            raise_power(w.L, w.V, w.P1)
            raise_power(w.M, src.V, w.M1)
        transpose(w.Lt, w.L)


@kernel
def stationary(src: Any, c: Any, w: Any) -> float:
    """Solve for T = inf; leaves ΔA in D, ΔW/α in X and ΔB/α in B, and returns the loss, or NaN if there is none."""
    transpose(w.Vt, w.V)
    copy(w.L, w.V)
    copy(w.M, src.V)
    multiply(w.P, w.N, w.Nt)  # becomes E[z zᵀ]
    multiply(w.Q, src.N, w.Nt)  # E[z* zᵀ]
    multiply(w.S, w.f, w.A)  # Σ U^l f A V^l
    multiply(w.Z, w.f, src.A)  # Σ U^l f A* V*^l
    every = c.lags == 0
    for doubling in range(MOST_DOUBLINGS + 1):
        own, star = inner_sum(w.L, w.L), inner_sum(w.M, w.M)
        back = own
        if c.carry != DENSE:
            back = 0.0
            for i in range(w.u.shape[0]):
                back += w.u[i] * w.u[i]
        rest = own * max(own, star)
        if every:
            rest = max(rest, back * max(own, star))
        # Norms bound every later term, also where a non-normal matrix makes the terms grow before they shrink.
        if doubling and rest < NEGLIGIBLE:
            break
        if doubling == MOST_DOUBLINGS or not rest < np.inf:
            return np.nan
        transpose(w.Lt, w.L)
        multiply(w.P1, w.L, w.P)
        multiply(w.P2, w.P1, w.Lt)
        add(w.P, w.P2)
        multiply(w.Q1, w.M, w.Q)
        multiply(w.Q2, w.Q1, w.Lt)
        add(w.Q, w.Q2)
        if every:
            grow(w.S, w.S1, w.S2, c, w.u, w.Lt, w.L)
            grow(w.Z, w.Z1, w.Z2, c, w.u, w.Lt, w.M)
        raise_power(w.L, w.L, w.P1)
        raise_power(w.M, w.M, w.M1)
        if c.carry != DENSE:
            for i in range(w.u.shape[0]):
                w.u[i] *= w.u[i]
    if not every:
        few_lags(src, c, w)
    multiply(w.D, w.A, w.P)
    own = inner_sum(w.D, w.A)
    multiply(w.D1, src.A, w.Q)
    mixed = inner_sum(w.D1, w.A)
    subtract(w.D, w.D1)
    multiply(w.S1, w.S, w.V)
    multiply(w.X, w.S1, w.P)
    multiply(w.Z1, w.Z, src.V)
    multiply(w.S2, w.Z1, w.Q)
    subtract(w.X, w.S2)
    if src.F.shape[0]:
        multiply(w.E, w.S, w.P)
        multiply(w.S2, w.Z, w.Q)
        subtract(w.E, w.S2)
        input_part(w, src)
    else:
        multiply(w.B, w.S, w.N)
        multiply(w.Bk, w.Z, src.N)
        subtract(w.B, w.Bk)
    # A difference of powers: rounding can take it below 0.
    return max(0.5 * (own - 2.0 * mixed + src.power), 0.0)


@kernel
def step(weights: Any, velocity: Any, delta: Any, gain: float, group: int, c: Any) -> None:
    """θ ← θ - η v, v ← μ v + gain Δ, held within its bound."""
    bound = c.bounds[group]
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            v = gain * delta[i, j]
            if c.momentum != 0.0:
                v += c.momentum * velocity[i, j]
                velocity[i, j] = v
            weights[i, j] = min(max(weights[i, j] - c.rates[group] * v, -bound), bound)


@kernel
def learn_expected(net: Any, src: Any, c: Any, w: Any, updates: int, first: int, points: Any, loss: Any) -> None:
    """Make ``updates`` expected updates of every student that has not diverged.

    ``loss[i, s]`` becomes the loss of student s after ``points[i]`` of them, points rising; what is beyond a student's
    end is left as it is. ``first`` is the number of updates made before, for ``net.lost``.
    """
    fastest = max(c.rates[0], c.rates[1], c.rates[2]) ** 2
    for s in range(net.A.shape[0]):
        at = 0
        k = 0
        while net.lost[s] < 0 and (k < updates or at < points.shape[0]):
            prepare(s, net, src, c, w)
            now = stationary(src, c, w) if c.steps == 0 else finite(src, c, w)
            size = inner_sum(w.D, w.D) + inner_sum(w.X, w.X) + inner_sum(w.B, w.B)
            if not now <= c.limit or not size * fastest * c.scale**2 < np.inf:
                net.lost[s] = first + k
                break
            while at < points.shape[0] and points[at] == k:
                loss[at, s] = now
                at += 1
            if k < updates:
                alpha = net.leak[s] * c.scale
                if c.rates[0] != 0.0:
                    step(net.A[s], net.velocity_A[s], w.D, c.scale, 0, c)
                if c.rates[1] != 0.0:
                    step(net.W[s], net.velocity_W[s], w.X, alpha, 1, c)
                if c.rates[2] != 0.0:
                    step(net.B[s], net.velocity_B[s], w.B, alpha, 2, c)
            k += 1
