"""The primitives in fixed-point arithmetic: integers throughout, each result rounded once, where it lands.

docs/numerics.md is the contract; :mod:`neurolrnn_kernels.products` sums, :mod:`neurolrnn_kernels.landing` brings
results to rest, :mod:`neurolrnn_kernels.updates` moves weights. The working type is the accumulator's (int32 or
int64), taken from an array, so one source serves every storage width.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.jit import inlined
from neurolrnn_kernels.landing import (
    land_blend,
    land_diagonal,
    land_error,
    land_scaled,
    land_sums,
    land_traces,
    store_row,
)
from neurolrnn_kernels.products import add_dots, add_neighbours, add_products
from neurolrnn_kernels.updates import descend_gradient, descend_outer, descend_sums

BAND = 16
"""Rows of weights that are updated and multiplied while they are in the first cache."""
LOG2_E = 23637
"""log2 e with 14 fraction bits."""
EXP2 = np.array([round(2.0 ** (16.0 - i / 256.0)) for i in range(256)], np.int64)
"""2^(16 - i/256), for the softmax in integers."""


def clear(acc: Any) -> None:
    for b in range(acc.shape[0]):
        for i in range(acc.shape[1]):
            acc[b, i] = 0


def matvec(v: Any, work: Any, term: int, acc: Any, Wt: Any, x: Any) -> None:
    add_products(v, term, acc, Wt, x, 0, Wt.shape[0])


def matvec_ahead(acc: Any, Wt: Any, x: Any) -> None:
    """Nothing: a sum of a declared width depends on its order."""


def add_block(acc: Any, ahead: Any, first: int) -> None:
    """Nothing, see :func:`matvec_ahead`."""


def recur_dense(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h for W held whole."""
    add_products(v, 0, acc, W, h, 0, W.shape[0])


def recur_blocks(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h for W held as blocks of one and two units."""
    add_neighbours(v, acc, W.before, W.own, W.after, h)


def inner(v: Any, term: int, acc: Any, A: Any, h: Any) -> None:
    add_dots(v, term, acc, A, h)


def land(v: Any, work: Any, out: Any, acc: Any, t: int) -> None:
    land_sums(v, out, acc, t)


def blend(v: Any, work: Any, out: Any, keep: Any, x: Any, gain: Any, y: Any, t: int) -> None:
    land_blend(v, work, out, keep, x, gain, y, t)


def scale(v: Any, work: Any, out: Any, rate: Any, x: Any, t: int) -> None:
    land_scaled(v, work, out, rate, x, t)


def descend(v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, t: int) -> None:
    descend_outer(v, work, Wt, H, p, g, 0, Wt.shape[0], t)


def descend_matvec(v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int) -> None:
    # One pass over W.
    rows = Wt.shape[0]
    for first in range(0, rows, BAND):
        last = min(first + BAND, rows)
        descend_outer(v, work, Wt, H, p, g, first, last, t)
        add_products(vd, 0, acc, Wt, h, first, last)


def accumulate(v: Any, G: Any, p: Any, g: Any) -> None:
    for j in range(G.shape[0]):
        row = G[j]
        for b in range(p.shape[0]):
            pj = np.int64(p[b, j])
            gb = g[b]
            for i in range(G.shape[1]):
                row[i] += pj * np.int64(gb[i])


def apply(v: Any, work: Any, W: Any, H: Any, G: Any, V: Any, momentum: Any, rate: Any, t: int) -> None:
    descend_gradient(v, W, H, G, rate, t)


def clip(v: Any, W: Any, bound: Any) -> None:
    """Nothing: a clamp narrows the range the weights saturate to."""


def decay_traces(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int) -> None:
    land_traces(v, work, E, d, gain, x, 0, E.shape[0] * E.shape[1], t)


def descend_traces(v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, t: int) -> None:
    descend_sums(v, work, Wt, H, E, g, 0, Wt.shape[0], t)


def accumulate_traces(v: Any, G: Any, E: Any, g: Any) -> None:
    for j in range(G.shape[0]):
        row = G[j]
        for b in range(E.shape[0]):
            e = E[b, j]
            gb = g[b]
            for i in range(G.shape[1]):
                row[i] += np.int64(e[i]) * np.int64(gb[i])


def diagonal_blend(v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: int) -> None:
    land_diagonal(v, work, out, keep, gain, Wt, t)


def error(v: Any, work: Any, e: Any, y: Any, target: Any, weight: Any, loss: int, t: int) -> float:
    I = work.dtype.type
    n = e.shape[1]
    total = 0.0
    if loss == 0:
        unit = math.ldexp(1.0, -int(v[at.LOSS_FRAC]))
        for b in range(e.shape[0]):
            if weight[b] != 0:
                for k in range(n):
                    total += 0.5 * (float(I(y[b, k]) - I(target[b, k])) * unit) ** 2
        land_error(v, work, e, y, target, weight, t)
        return total
    row = work[:n]
    for b in range(e.shape[0]):
        if weight[b] != 0:
            total += _softmax_error(v, row, y[b], target[b])
        else:
            for k in range(n):
                row[k] = 0
        store_row(v, e[b], row, v[at.LO], v[at.HI])
    return total


@inlined
def _softmax_error(v: Any, row: Any, y: Any, target: Any) -> float:
    """Set ``row`` to softmax(y) - target in integers, and return the cross-entropy (a report, in floating point)."""
    f = int(v[at.LOSS_FRAC])
    fe = int(v[at.FRAC])
    top = np.int64(y[0])
    for k in range(1, y.shape[0]):
        top = max(top, np.int64(y[k]))
    norm = np.int64(0)
    for k in range(y.shape[0]):
        norm += _exp2(top - np.int64(y[k]), f)
    sharp = 0.0
    for k in range(y.shape[0]):
        sharp += math.exp(-math.ldexp(float(top - np.int64(y[k])), -f))
    total = 0.0
    for k in range(y.shape[0]):
        goal = np.int64(target[k])
        p = (((2 * _exp2(top - np.int64(y[k]), f)) << fe) + norm) // (2 * norm)
        row[k] = p - goal
        if goal != 0:
            total += math.ldexp(float(goal), -fe) * (math.ldexp(float(top - np.int64(y[k])), -f) + math.log(sharp))
    return total


@inlined
def _exp2(d: int, f: int) -> int:
    """Return e^-d, d ≥ 0 with f fraction bits, in units of 2^-16."""
    z = d * LOG2_E
    s = f + 6
    z = z >> s if s >= 0 else z << -s  # 8 fraction bits are left
    return EXP2[z & 255] >> min(z >> 8, 31)


def within(y: Any, limit: float) -> bool:
    return True


def traces_matvec(
    v: Any, ve: Any, vd: Any, work: Any, Wt: Any, H: Any, E: Any, d: Any, gain: Any, x: Any, g: Any, acc: Any, h: Any,
    t: int,
) -> None:  # fmt: skip
    rows = Wt.shape[0]
    for first in range(0, rows, BAND):
        last = min(first + BAND, rows)
        land_traces(ve, work, E, d, gain, x, first, last, t)
        descend_sums(v, work, Wt, H, E, g, first, last, t)
        add_products(vd, 0, acc, Wt, h, first, last)
