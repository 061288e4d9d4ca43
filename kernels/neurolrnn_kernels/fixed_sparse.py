"""The primitives over sparse weights in fixed point; :mod:`neurolrnn_kernels.arithmetic` says what each does.

Bit for bit the dense learner whose missing synapses are 0, never land and draw no random number: an existing synapse
has the element number it would have in the dense array (docs/numerics.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.jit import inlined
from neurolrnn_kernels.landing import land_elements, land_row
from neurolrnn_kernels.simd import shift_left
from neurolrnn_kernels.updates import update_elements


@inlined
def add_column(v: Any, acc: Any, W: Any, h: Any, j: int) -> int:
    """Add what unit j sends to ``acc`` (lanes, n); return how often a declared accumulator overflowed."""
    I = acc.dtype.type
    lift = v[at.LIFT_0]
    low, high = I(v[at.ACC_LO]), I(v[at.ACC_HI])
    mask = I(v[at.ACC_HI] - v[at.ACC_LO])
    values = W.values[0]
    events = 0
    for b in range(acc.shape[0]):
        a = acc[b]
        x = shift_left(I(h[b, j]), lift)
        if v[at.ACCUMULATOR] == at.EXACT:
            for e in range(W.starts[j], W.starts[j + 1]):
                i = W.receivers[e]
                a[i] = I(a[i] + I(I(values[e]) * x))
        else:
            for e in range(W.starts[j], W.starts[j + 1]):
                i = W.receivers[e]
                raw = I(a[i] + I(I(values[e]) * x))
                s = (
                    min(max(raw, low), high)
                    if v[at.ACCUMULATOR] == at.ACC_SATURATE
                    else I(I(I(raw - low) & mask) + low)
                )
                events += s != raw
                a[i] = s
    return events


def recur_sparse(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h to ``acc``; see :func:`neurolrnn_kernels.recurrent.recur`."""
    for j in range(h.shape[1]):
        v[at.ACC_EVENTS] += add_column(v, acc, W, h, j)


def inner(v: Any, term: int, acc: Any, A: Any, h: Any) -> None:
    I = acc.dtype.type
    lift = v[at.LIFT_0 + term]
    low, high = I(v[at.ACC_LO]), I(v[at.ACC_HI])
    mask = I(v[at.ACC_HI] - v[at.ACC_LO])
    values = A.values[0]
    events = 0
    for b in range(acc.shape[0]):
        x = h[b]
        for j in range(acc.shape[1]):
            s = acc[b, j]
            for e in range(A.starts[j], A.starts[j + 1]):
                raw = I(s + shift_left(I(I(values[e]) * I(x[A.receivers[e]])), lift))
                if v[at.ACCUMULATOR] == at.EXACT:
                    s = raw
                else:
                    s = (
                        min(max(raw, low), high)
                        if v[at.ACCUMULATOR] == at.ACC_SATURATE
                        else I(I(I(raw - low) & mask) + low)
                    )
                    events += s != raw
            acc[b, j] = s
    v[at.ACC_EVENTS] += events


@inlined
def outer_column(row: Any, p: Any, g: Any, j: int, units: Any) -> None:
    """Set ``row`` to ``Σ_b p[b, j] g[b, units]``."""
    I = row.dtype.type
    for k in range(row.shape[0]):
        row[k] = 0
    for b in range(p.shape[0]):
        pj = I(p[b, j])
        gb = g[b]
        for k in range(row.shape[0]):
            row[k] = I(row[k] + I(pj * I(gb[units[k]])))


@inlined
def descend_column(v: Any, work: Any, W: Any, H: Any, p: Any, g: Any, t: int, j: int) -> None:
    """Subtract the landed ``Σ_lanes p gᵀ`` from what unit j sends."""
    first, last = W.starts[j], W.starts[j + 1]
    row = work[: last - first]
    units = W.receivers[first:last]
    outer_column(row, p, g, j, units)
    update_elements(v, W.values[0, first:last], H[0, first:last], row, t, j * W.own.shape[0], units)


def descend(v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, t: int) -> None:
    for j in range(Wt.own.shape[0]):
        descend_column(v, work, Wt, H, p, g, t, j)


def descend_matvec(v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int) -> None:
    for j in range(Wt.own.shape[0]):
        descend_column(v, work, Wt, H, p, g, t, j)
        vd[at.ACC_EVENTS] += add_column(vd, acc, Wt, h, j)


def accumulate(v: Any, G: Any, p: Any, g: Any) -> None:
    values = G.values[0]
    for j in range(G.own.shape[0]):
        for b in range(p.shape[0]):
            pj = np.int64(p[b, j])
            gb = g[b]
            for e in range(G.starts[j], G.starts[j + 1]):
                values[e] += pj * np.int64(gb[G.receivers[e]])


def apply(v: Any, work: Any, W: Any, H: Any, G: Any, V: Any, momentum: Any, rate: Any, t: int) -> None:
    a = np.int64(rate)
    n = W.own.shape[0]
    for j in range(n):
        first, last = W.starts[j], W.starts[j + 1]
        row = G.values[0, first:last]
        for k in range(last - first):
            row[k] = a * row[k]
        update_elements(v, W.values[0, first:last], H[0, first:last], row, t, j * n, W.receivers[first:last])
        for k in range(last - first):
            row[k] = 0


def clip(v: Any, W: Any, bound: Any) -> None:
    """Nothing: a clamp narrows the range the weights saturate to."""


@inlined
def decay_column(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int, b: int, j: int) -> None:
    """Land ``d_i E_ij + gain x_j`` in the traces of lane b of what unit j sends."""
    I = work.dtype.type
    n = E.own.shape[0]
    lift = v[at.LIFT_0]
    first, last = E.starts[j], E.starts[j + 1]
    e = E.values[b, first:last]
    units = E.receivers[first:last]
    row = work[: last - first]
    c = I(shift_left(I(gain), v[at.LIFT_1]) * I(x[b, j]))
    for k in range(last - first):
        row[k] = I(shift_left(I(I(d[units[k]]) * I(e[k])), lift) + c)
    land_elements(v, e, row, t, (b * n + j) * n, units)


@inlined
def descend_trace_column(v: Any, work: Any, W: Any, H: Any, E: Any, g: Any, t: int, j: int) -> None:
    """Subtract the landed ``Σ_lanes g_i E_ij`` from what unit j sends."""
    I = work.dtype.type
    first, last = W.starts[j], W.starts[j + 1]
    units = W.receivers[first:last]
    row = work[: last - first]
    for k in range(last - first):
        row[k] = 0
    for b in range(g.shape[0]):
        for k in range(last - first):
            row[k] = I(row[k] + I(I(E.values[b, first + k]) * I(g[b, units[k]])))
    update_elements(v, W.values[0, first:last], H[0, first:last], row, t, j * W.own.shape[0], units)


def decay_traces(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int) -> None:
    for b in range(x.shape[0]):
        for j in range(E.own.shape[0]):
            decay_column(v, work, E, d, gain, x, t, b, j)


def descend_traces(v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, t: int) -> None:
    for j in range(Wt.own.shape[0]):
        descend_trace_column(v, work, Wt, H, E, g, t, j)


def traces_matvec(
    v: Any, ve: Any, vd: Any, work: Any, Wt: Any, H: Any, E: Any, d: Any, gain: Any, x: Any, g: Any, acc: Any, h: Any,
    t: int,
) -> None:  # fmt: skip
    for j in range(Wt.own.shape[0]):
        decay_column(ve, work, E, d, gain, x, t, 0, j)
        descend_trace_column(v, work, Wt, H, E, g, t, j)
        vd[at.ACC_EVENTS] += add_column(vd, acc, Wt, h, j)


def accumulate_traces(v: Any, G: Any, E: Any, g: Any) -> None:
    values = G.values[0]
    for j in range(G.own.shape[0]):
        for b in range(g.shape[0]):
            for e in range(G.starts[j], G.starts[j + 1]):
                values[e] += np.int64(E.values[b, e]) * np.int64(g[b, G.receivers[e]])


def diagonal_blend(v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: int) -> None:
    I = work.dtype.type
    row = work[: out.shape[0]]
    values = Wt.values[0]
    k = shift_left(I(keep), v[at.LIFT_0])  # keep has the fraction bits of the decays, the product those of W besides
    for i in range(out.shape[0]):
        own = Wt.own[i]
        row[i] = I(k + I(I(gain) * I(values[own]))) if own >= 0 else k
    land_row(v, out, row, t, 0)
