"""The primitives in fixed-point arithmetic: integers throughout, each result rounded once, where it lands.

docs/numerics.md is the contract; :mod:`neurolrnn_kernels.landing` brings results to rest. The working type is the
accumulator's (int32 or int64), taken from an array, so one source serves every storage width.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.jit import inlined
from neurolrnn_kernels.landing import hidden_index, land_row, store_row, update_row
from neurolrnn_kernels.simd import shift_left

LOG2_E = 23637
"""log2 e with 14 fraction bits."""
EXP2 = np.array([round(2.0 ** (16.0 - i / 256.0)) for i in range(256)], np.int64)
"""2^(16 - i/256), for the softmax in integers."""


def clear(acc: Any) -> None:
    for b in range(acc.shape[0]):
        for i in range(acc.shape[1]):
            acc[b, i] = 0


@inlined
def add_rows(acc: Any, Wt: Any, x: Any, first: int, last: int, lift: int) -> None:
    """Add ``Σ_j x[j] Wt[j]`` for j from first to last to a vector, four rows to a pass; exact."""
    I = acc.dtype.type
    whole = first + (last - first) // 4 * 4
    for j in range(first, whole, 4):
        x0 = shift_left(I(x[j]), lift)
        x1 = shift_left(I(x[j + 1]), lift)
        x2 = shift_left(I(x[j + 2]), lift)
        x3 = shift_left(I(x[j + 3]), lift)
        w0 = Wt[j]
        w1 = Wt[j + 1]
        w2 = Wt[j + 2]
        w3 = Wt[j + 3]
        for i in range(acc.shape[0]):
            s = I(acc[i] + I(I(w0[i]) * x0))
            s = I(s + I(I(w1[i]) * x1))
            s = I(s + I(I(w2[i]) * x2))
            acc[i] = I(s + I(I(w3[i]) * x3))
    for j in range(whole, last):
        x0 = shift_left(I(x[j]), lift)
        w0 = Wt[j]
        for i in range(acc.shape[0]):
            acc[i] = I(acc[i] + I(I(w0[i]) * x0))


@inlined
def add_blocks(acc: Any, part: Any, Wt: Any, x: Any, first: int, last: int, lift: int, block: int) -> None:
    """Do the same through sums of ``block`` terms in the narrower type of ``part``, which are proved to fit it."""
    I = acc.dtype.type
    for j in range(first, last, block):
        for i in range(part.shape[0]):
            part[i] = 0
        add_rows(part, Wt, x, j, min(j + block, last), lift)
        for i in range(part.shape[0]):
            acc[i] = I(acc[i] + I(part[i]))


@inlined
def add_rows_bounded(v: Any, acc: Any, Wt: Any, x: Any, first: int, last: int, lift: int) -> None:
    """Do the same with an accumulator of a declared width, which saturates or wraps after every term."""
    I = acc.dtype.type
    low, high = I(v[at.ACC_LO]), I(v[at.ACC_HI])
    mask = I(v[at.ACC_HI] - v[at.ACC_LO])
    events = 0
    for b in range(acc.shape[0]):
        a = acc[b]
        for j in range(first, last):
            x0 = shift_left(I(x[b, j]), lift)
            w0 = Wt[j]
            if v[at.ACCUMULATOR] == at.ACC_SATURATE:
                for i in range(Wt.shape[1]):
                    s = I(a[i] + I(I(w0[i]) * x0))
                    c = min(max(s, low), high)
                    events += c != s
                    a[i] = c
            else:
                for i in range(Wt.shape[1]):
                    s = I(a[i] + I(I(w0[i]) * x0))
                    c = I(I(I(s - low) & mask) + low)
                    events += c != s
                    a[i] = c
    v[at.ACC_EVENTS] += events


@inlined
def add_part(v: Any, work: Any, term: int, acc: Any, Wt: Any, x: Any, first: int, last: int) -> None:
    """Add ``Σ_j x[j] Wt[j]`` for j from first to last in the way that row ``v`` asks for."""
    lift = v[at.LIFT_0 + term]
    block = v[at.BLOCK_0 + term]
    if v[at.ACCUMULATOR] != at.EXACT:
        add_rows_bounded(v, acc, Wt, x, first, last, lift)
        return
    part = work[: acc.shape[1]]
    for b in range(acc.shape[0]):
        if block > 0:
            add_blocks(acc[b], part, Wt, x[b], first, last, lift, block)
        else:
            add_rows(acc[b], Wt, x[b], first, last, lift)


def matvec(v: Any, work: Any, term: int, acc: Any, Wt: Any, x: Any) -> None:
    add_part(v, work, term, acc, Wt, x, 0, Wt.shape[0])


def matvec_ahead(acc: Any, Wt: Any, x: Any) -> None:
    """Nothing: a sum of a declared width depends on its order."""


def add_block(acc: Any, ahead: Any, first: int) -> None:
    """Nothing, see :func:`matvec_ahead`."""


def recur_dense(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h for W held whole."""
    add_part(v, work, 0, acc, W, h, 0, W.shape[0])


def recur_blocks(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h for W held as blocks of one and two units."""
    I = acc.dtype.type
    n = W.own.shape[0]
    lift = v[at.LIFT_0]
    low, high = I(v[at.ACC_LO]), I(v[at.ACC_HI])
    mask = I(v[at.ACC_HI] - v[at.ACC_LO])
    events = 0
    for b in range(acc.shape[0]):
        a = acc[b]
        x = h[b]
        for i in range(n):
            s = a[i]
            for k in range(max(i - 1, 0), min(i + 2, n)):
                w = W.before[i] if k < i else W.own[i] if k == i else W.after[i]
                raw = I(s + shift_left(I(I(w) * I(x[k])), lift))
                if v[at.ACCUMULATOR] == at.EXACT:
                    s = raw
                else:
                    s = (
                        min(max(raw, low), high)
                        if v[at.ACCUMULATOR] == at.ACC_SATURATE
                        else I(I(I(raw - low) & mask) + low)
                    )
                    events += s != raw
            a[i] = s
    v[at.ACC_EVENTS] += events


def inner(v: Any, term: int, acc: Any, A: Any, h: Any) -> None:
    I = acc.dtype.type
    lift = v[at.LIFT_0 + term]
    events = 0
    for b in range(acc.shape[0]):
        for k in range(A.shape[0]):
            s = acc[b, k]
            row = A[k]
            x = h[b]
            if v[at.ACCUMULATOR] == at.EXACT:
                total = I(0)
                for i in range(row.shape[0]):
                    total = I(total + I(I(row[i]) * I(x[i])))
                s = I(s + shift_left(total, lift))
            else:
                low, high = I(v[at.ACC_LO]), I(v[at.ACC_HI])
                mask = I(v[at.ACC_HI] - v[at.ACC_LO])
                for i in range(row.shape[0]):
                    raw = I(s + shift_left(I(I(row[i]) * I(x[i])), lift))
                    s = (
                        min(max(raw, low), high)
                        if v[at.ACCUMULATOR] == at.ACC_SATURATE
                        else I(I(I(raw - low) & mask) + low)
                    )
                    events += s != raw
            acc[b, k] = s
    v[at.ACC_EVENTS] += events


def land(v: Any, work: Any, out: Any, acc: Any, t: int) -> None:
    for b in range(out.shape[0]):
        land_row(v, out[b], acc[b], t, b * out.shape[1])


def blend(v: Any, work: Any, out: Any, keep: Any, x: Any, gain: Any, y: Any, t: int) -> None:
    I = work.dtype.type
    a = shift_left(I(keep), v[at.LIFT_0])
    c = shift_left(I(gain), v[at.LIFT_1])
    n = out.shape[1]
    row = work[:n]
    for b in range(out.shape[0]):
        for i in range(n):
            row[i] = I(I(a * I(x[b, i])) + I(c * I(y[b, i])))
        land_row(v, out[b], row, t, b * n)


def scale(v: Any, work: Any, out: Any, rate: Any, x: Any, t: int) -> None:
    I = work.dtype.type
    a = I(rate)
    n = out.shape[1]
    row = work[:n]
    for b in range(out.shape[0]):
        for i in range(n):
            row[i] = I(a * I(x[b, i]))
        land_row(v, out[b], row, t, b * n)


@inlined
def outer_row(row: Any, p: Any, g: Any, j: int) -> None:
    """Set ``row`` to ``Σ_b p[b, j] g[b]``."""
    I = row.dtype.type
    pj = I(p[0, j])
    gb = g[0]
    for i in range(row.shape[0]):
        row[i] = I(pj * I(gb[i]))
    for b in range(1, p.shape[0]):
        pj = I(p[b, j])
        gb = g[b]
        for i in range(row.shape[0]):
            row[i] = I(row[i] + I(pj * I(gb[i])))


def descend(v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, t: int) -> None:
    n = Wt.shape[1]
    row = work[:n]
    for j in range(Wt.shape[0]):
        outer_row(row, p, g, j)
        update_row(v, Wt[j], H[hidden_index(H, j)], row, t, j * n)


def descend_matvec(v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int) -> None:
    # The rows of a block are updated and multiplied while they are in the first cache: one pass over W.
    n = Wt.shape[1]
    rows = Wt.shape[0]
    row = work[:n]
    for first in range(0, rows, 8):
        last = min(first + 8, rows)
        for j in range(first, last):
            outer_row(row, p, g, j)
            update_row(v, Wt[j], H[hidden_index(H, j)], row, t, j * n)
        add_part(vd, work, 0, acc, Wt, h, first, last)


def accumulate(v: Any, G: Any, p: Any, g: Any) -> None:
    for j in range(G.shape[0]):
        row = G[j]
        for b in range(p.shape[0]):
            pj = np.int64(p[b, j])
            gb = g[b]
            for i in range(G.shape[1]):
                row[i] += pj * np.int64(gb[i])


def apply(v: Any, work: Any, W: Any, H: Any, G: Any, V: Any, momentum: Any, rate: Any, t: int) -> None:
    n = W.shape[1]
    a = np.int64(rate)
    for j in range(W.shape[0]):
        row = G[j]
        for i in range(n):
            row[i] = a * row[i]
        update_row(v, W[j], H[hidden_index(H, j)], row, t, j * n)
        for i in range(n):
            row[i] = 0


def clip(v: Any, W: Any, bound: Any) -> None:
    """Nothing: a clamp narrows the range the weights saturate to."""


@inlined
def decay_traces(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int) -> None:
    I = work.dtype.type
    n = E.shape[2]
    row = work[:n]
    lift = v[at.LIFT_0]
    a = shift_left(I(gain), v[at.LIFT_1])
    for b in range(E.shape[0]):
        for j in range(E.shape[1]):
            e = E[b, j]
            c = I(a * I(x[b, j]))
            for i in range(n):
                row[i] = I(shift_left(I(I(d[i]) * I(e[i])), lift) + c)
            land_row(v, e, row, t, (b * E.shape[1] + j) * n)


@inlined
def descend_traces(v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, t: int) -> None:
    I = work.dtype.type
    n = Wt.shape[1]
    row = work[:n]
    for j in range(Wt.shape[0]):
        e = E[0, j]
        gb = g[0]
        for i in range(n):
            row[i] = I(I(e[i]) * I(gb[i]))
        for b in range(1, E.shape[0]):
            e = E[b, j]
            gb = g[b]
            for i in range(n):
                row[i] = I(row[i] + I(I(e[i]) * I(gb[i])))
        update_row(v, Wt[j], H[hidden_index(H, j)], row, t, j * n)


def traces_matvec(
    v: Any, ve: Any, vd: Any, work: Any, Wt: Any, H: Any, E: Any, d: Any, gain: Any, x: Any, g: Any, acc: Any, h: Any,
    t: int,
) -> None:  # fmt: skip
    decay_traces(ve, work, E, d, gain, x, t)
    descend_traces(v, work, Wt, H, E, g, t)
    add_part(vd, work, 0, acc, Wt, h, 0, Wt.shape[0])


def accumulate_traces(v: Any, G: Any, E: Any, g: Any) -> None:
    for j in range(G.shape[0]):
        row = G[j]
        for b in range(E.shape[0]):
            e = E[b, j]
            gb = g[b]
            for i in range(G.shape[1]):
                row[i] += np.int64(e[i]) * np.int64(gb[i])


def diagonal_blend(v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: int) -> None:
    I = work.dtype.type
    row = work[: out.shape[0]]
    k = shift_left(I(keep), v[at.LIFT_0])  # keep has the fraction bits of the decays, the product those of W besides
    for i in range(out.shape[0]):
        row[i] = I(k + I(I(gain) * I(Wt[i, i])))
    land_row(v, out, row, t, 0)


def error(v: Any, work: Any, e: Any, y: Any, target: Any, weight: Any, loss: int, t: int) -> float:
    I = work.dtype.type
    n = e.shape[1]
    row = work[:n]
    total = 0.0
    for b in range(e.shape[0]):
        on = weight[b] != 0
        if loss == 0:
            unit = math.ldexp(1.0, -int(v[at.LOSS_FRAC]))
            for k in range(n):
                row[k] = I(I(y[b, k]) - I(target[b, k])) if on else I(0)
                total += 0.5 * (float(row[k]) * unit) ** 2
            land_row(v, e[b], row, t, b * n)
        else:
            if on:
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
