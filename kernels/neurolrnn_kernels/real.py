"""The primitives in real arithmetic (float32 and float64): plain Python, compiled where a kernel uses them.

Every primitive works on all lanes (the sequences of a batch) at once: vectors are (lanes, n). ``v`` is the row of
the grid that says where a result lands; real numbers land as they are, so it is not read here.
Sums run in index order, eight terms to a pass over the accumulator.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn_kernels.jit import inlined
from neurolrnn_kernels.simd import dot
from neurolrnn_kernels.tile_nests import WIDE
from neurolrnn_kernels.tiles import add_outer, add_rows, add_rows_at, move_and_add, subtract_outer, trace_and_add

FEW = 4
"""Most rows that are not worth setting up tiles for."""
BAND = 128
"""Rows of a matrix that are multiplied at a time: few enough to stream, enough to keep the sums in registers."""
SHALLOW = BAND if WIDE else 8
"""The same on processors with 32-byte vectors, where a row is longer than a tile: a tile there is so narrow that more
rows would be read with jumps, which costs more than loading the sums anew."""
LONG = 512
"""Columns from which that holds for many rows of sums, too."""
THIN = 4
"""The same where what is written back no longer fits the second cache."""


@inlined
def clear(acc: Any) -> None:
    for b in range(acc.shape[0]):
        for i in range(acc.shape[1]):
            acc[b, i] = 0.0


@inlined
def add_all(acc: Any, W: Any, x: Any, first: int, last: int) -> None:
    """Add ``Σ_j x[:, j] W[j]``, j from first to last, a band of rows of W after the other."""
    columns = W.shape[1]
    band = SHALLOW if columns > (64 if acc.shape[0] < 8 else LONG) else BAND
    for j in range(first, last, band):
        add_rows(acc, x, W, j, min(j + band, last), columns)


def matvec(v: Any, work: Any, term: int, acc: Any, Wt: Any, x: Any) -> None:
    if Wt.shape[0] <= FEW:
        for b in range(acc.shape[0]):
            a = acc[b]
            for j in range(Wt.shape[0]):
                xj = x[b, j]
                row = Wt[j]
                for i in range(row.shape[0]):
                    a[i] += xj * row[i]
    else:
        add_all(acc, Wt, x, 0, Wt.shape[0])


def matvec_ahead(acc: Any, Wt: Any, x: Any) -> None:
    clear(acc)
    add_all(acc, Wt, x, 0, Wt.shape[0])


def add_block(acc: Any, ahead: Any, first: int) -> None:
    for b in range(acc.shape[0]):
        for i in range(acc.shape[1]):
            acc[b, i] += ahead[first + b, i]


def recur_dense(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h for W held whole."""
    add_all(acc, W, h, 0, W.shape[0])


def recur_triangle(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h for W held as a quasi-triangle."""
    n = h.shape[1]
    width = W.tiles.shape[1]
    row = 0
    for column in range(0, n, width):
        sender = max(column - 1, 0)  # no earlier unit reaches these columns
        add_rows_at(acc, h, W.tiles, sender, n, min(width, n - column), column, row - sender)
        row += n - sender


def recur_blocks(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h for W held as blocks of one and two units."""
    n = W.own.shape[0]
    for b in range(acc.shape[0]):
        a = acc[b]
        x = h[b]
        if n == 1:
            a[0] += W.own[0] * x[0]
            continue
        a[0] = (a[0] + W.own[0] * x[0]) + W.after[0] * x[1]
        for i in range(1, n - 1):
            s = a[i] + W.before[i] * x[i - 1]
            s += W.own[i] * x[i]
            a[i] = s + W.after[i] * x[i + 1]
        a[n - 1] = (a[n - 1] + W.before[n - 1] * x[n - 2]) + W.own[n - 1] * x[n - 1]


def inner(v: Any, term: int, acc: Any, A: Any, h: Any) -> None:
    for b in range(acc.shape[0]):
        for k in range(A.shape[0]):
            acc[b, k] += dot(A[k], h[b])


def land(v: Any, work: Any, out: Any, acc: Any, t: int) -> None:
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[b, i] = acc[b, i]


def blend(v: Any, work: Any, out: Any, keep: Any, x: Any, gain: Any, y: Any, t: int) -> None:
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[b, i] = keep * x[b, i] + gain * y[b, i]


def scale(v: Any, work: Any, out: Any, rate: Any, x: Any, t: int) -> None:
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[b, i] = rate * x[b, i]


def descend(v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, t: int) -> None:
    if p.shape[0] == 1 and Wt.shape[0] <= FEW:
        for j in range(Wt.shape[0]):
            pj = p[0, j]
            row = Wt[j]
            for i in range(row.shape[0]):
                row[i] -= pj * g[0, i]
    else:
        subtract_outer(Wt, p, g)


def descend_matvec(v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int) -> None:
    # The rows of a band are updated and multiplied while they are in the first cache: one pass over W.
    rows = Wt.shape[0]
    if p.shape[0] == 1 and acc.shape[0] == 1:
        band = SHALLOW if rows <= 1024 else 2 * THIN
        for first in range(0, rows, band):
            move_and_add(acc, h, Wt, p, g, first, min(first + band, rows))
        return
    for first in range(0, rows, 16):
        last = min(first + 16, rows)
        subtract_outer(Wt[first:last], p[:, first:last], g)
        add_rows(acc, h, Wt, first, last, Wt.shape[1])


def accumulate(v: Any, G: Any, p: Any, g: Any) -> None:
    add_outer(G, p, g)


def apply(v: Any, work: Any, W: Any, H: Any, G: Any, V: Any, momentum: Any, rate: Any, t: int) -> None:
    if momentum != 0:
        for j in range(W.shape[0]):
            for i in range(W.shape[1]):
                V[j, i] = momentum * V[j, i] + G[j, i]
                W[j, i] -= rate * V[j, i]
                G[j, i] = 0.0
    else:
        for j in range(W.shape[0]):
            for i in range(W.shape[1]):
                W[j, i] -= rate * G[j, i]
                G[j, i] = 0.0


def clip(v: Any, W: Any, bound: Any) -> None:
    if bound == np.inf:
        return
    for j in range(W.shape[0]):
        for i in range(W.shape[1]):
            W[j, i] = min(max(W[j, i], -bound), bound)


def decay_traces(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int) -> None:
    for b in range(E.shape[0]):
        for j in range(E.shape[1]):
            e = E[b, j]
            gx = gain * x[b, j]
            for i in range(E.shape[2]):
                e[i] = d[i] * e[i] + gx


def descend_traces(v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, t: int) -> None:
    for j in range(Wt.shape[0]):
        row = Wt[j]
        for b in range(E.shape[0]):
            e = E[b, j]
            gb = g[b]
            for i in range(Wt.shape[1]):
                row[i] -= e[i] * gb[i]


def traces_matvec(
    v: Any, ve: Any, vd: Any, work: Any, Wt: Any, H: Any, E: Any, d: Any, gain: Any, x: Any, g: Any, acc: Any, h: Any,
    t: int,
) -> None:  # fmt: skip
    n = Wt.shape[0]
    for j in range(n):
        work[j] = gain * x[0, j]
    band = SHALLOW if n <= 512 else THIN
    for first in range(0, n, band):
        trace_and_add(acc, h, Wt, E[0], d, work, g[0], first, min(first + band, n))


def accumulate_traces(v: Any, G: Any, E: Any, g: Any) -> None:
    for j in range(G.shape[0]):
        row = G[j]
        for b in range(E.shape[0]):
            e = E[b, j]
            gb = g[b]
            for i in range(G.shape[1]):
                row[i] += e[i] * gb[i]


def diagonal_blend(v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: int) -> None:
    for i in range(out.shape[0]):
        out[i] = keep + gain * Wt[i, i]


def error(v: Any, work: Any, e: Any, y: Any, target: Any, weight: Any, loss: int, t: int) -> float:
    total = 0.0
    for b in range(e.shape[0]):
        w = weight[b]
        if w == 0:
            for k in range(e.shape[1]):
                e[b, k] = 0.0
            continue
        if loss == 0:  # squared error
            for k in range(e.shape[1]):
                d = y[b, k] - target[b, k]
                e[b, k] = w * d
                total += 0.5 * np.float64(w) * np.float64(d) * np.float64(d)
        else:  # cross-entropy of the softmax
            top = y[b, 0]
            for k in range(1, e.shape[1]):
                top = max(top, y[b, k])
            norm = 0.0
            for k in range(e.shape[1]):
                norm += np.exp(np.float64(y[b, k]) - np.float64(top))
            for k in range(e.shape[1]):
                logit = np.float64(y[b, k]) - np.float64(top)
                goal = np.float64(target[b, k])
                e[b, k] = np.float64(w) * (np.exp(logit) / norm - goal)
                if goal != 0.0:
                    total -= np.float64(w) * goal * (logit - np.log(norm))
    return total


def within(y: Any, limit: float) -> bool:
    for b in range(y.shape[0]):
        for k in range(y.shape[1]):
            if not abs(y[b, k]) <= limit:  # false for NaN too
                return False
    return True
