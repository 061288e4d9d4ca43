"""The primitives over sparse weights in real arithmetic; :mod:`neurolrnn_kernels.arithmetic` says what each does.

Every sum over senders and every update has the bits of the dense learner whose missing synapses are 0 and stay so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn_kernels.jit import inlined
from neurolrnn_kernels.slices import (
    add_slice,
    add_trace_slice,
    back_slice,
    decay_slice,
    subtract_and_sum_slice,
    subtract_slice,
    subtract_trace_slice,
    sum_slice,
)


@inlined
def sum_late(W: Any, x: Any, acc: Any) -> None:
    """Add the products of the synapses left over, one after the other."""
    late = W.starts[W.starts.shape[0] - 1]
    values = W.values[0]
    for k in range(W.late.shape[0]):
        acc[W.late[k]] += values[late + k] * x[W.sources[late + k]]


@inlined
def subtract_late(W: Any, p: Any, g: Any) -> None:
    """Subtract ``g_i p_j`` from the synapses left over."""
    late = W.starts[W.starts.shape[0] - 1]
    values = W.values[0]
    for k in range(W.late.shape[0]):
        values[late + k] -= p[W.sources[late + k]] * g[W.late[k]]


def recur_sparse(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h to ``acc``; see :func:`neurolrnn_kernels.recurrent.recur`."""
    for s in range(W.starts.shape[0] - 1):
        for b in range(acc.shape[0]):
            sum_slice(W, W.values[0], s, h[b], acc[b])
    for b in range(acc.shape[0]):
        sum_late(W, h[b], acc[b])


def inner(v: Any, term: int, acc: Any, A: Any, h: Any) -> None:
    values = A.values[0]
    late = A.starts[A.starts.shape[0] - 1]
    for b in range(acc.shape[0]):
        a = acc[b]
        x = h[b]
        for s in range(A.starts.shape[0] - 1):
            back_slice(A, values, s, x, a)
        for k in range(A.late.shape[0]):
            a[A.sources[late + k]] += values[late + k] * x[A.late[k]]


def descend(v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, t: int) -> None:
    for s in range(Wt.starts.shape[0] - 1):
        for b in range(p.shape[0]):
            subtract_slice(Wt, Wt.values[0], s, p[b], g[b])
    for b in range(p.shape[0]):
        subtract_late(Wt, p[b], g[b])


def descend_matvec(v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int) -> None:
    last = p.shape[0] - 1
    for s in range(Wt.starts.shape[0] - 1):
        for b in range(last):
            subtract_slice(Wt, Wt.values[0], s, p[b], g[b])
        subtract_and_sum_slice(Wt, Wt.values[0], s, p[last], g[last], h[0], acc[0])
        for b in range(1, acc.shape[0]):
            sum_slice(Wt, Wt.values[0], s, h[b], acc[b])
    for b in range(p.shape[0]):
        subtract_late(Wt, p[b], g[b])
    for b in range(acc.shape[0]):
        sum_late(Wt, h[b], acc[b])


def accumulate(v: Any, G: Any, p: Any, g: Any) -> None:
    values = G.values[0]
    late = G.starts[G.starts.shape[0] - 1]
    for s in range(G.starts.shape[0] - 1):
        for b in range(p.shape[0]):
            add_slice(G, values, s, p[b], g[b])
    for b in range(p.shape[0]):
        for k in range(G.late.shape[0]):
            values[late + k] += p[b, G.sources[late + k]] * g[b, G.late[k]]


def apply(v: Any, work: Any, W: Any, H: Any, G: Any, V: Any, momentum: Any, rate: Any, t: int) -> None:
    w = W.values[0]
    g = G.values[0]
    if momentum != 0:
        speed = V.values[0]
        for e in range(w.shape[0]):
            speed[e] = momentum * speed[e] + g[e]
            w[e] -= rate * speed[e]
            g[e] = 0.0
    else:
        for e in range(w.shape[0]):
            w[e] -= rate * g[e]
            g[e] = 0.0


def clip(v: Any, W: Any, bound: Any) -> None:
    if bound == np.inf:
        return
    w = W.values[0]
    for e in range(w.shape[0]):
        w[e] = min(max(w[e], -bound), bound)


def decay_traces(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int) -> None:
    late = E.starts[E.starts.shape[0] - 1]
    gx = work[: x.shape[1]]
    for b in range(x.shape[0]):
        e = E.values[b]
        for j in range(x.shape[1]):
            gx[j] = gain * x[b, j]
        for s in range(E.starts.shape[0] - 1):
            decay_slice(E, e, s, gx, d)
        for k in range(E.late.shape[0]):
            e[late + k] = d[E.late[k]] * e[late + k] + gx[E.sources[late + k]]


def descend_traces(v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, t: int) -> None:
    values = Wt.values[0]
    late = Wt.starts[Wt.starts.shape[0] - 1]
    for s in range(Wt.starts.shape[0] - 1):
        for b in range(g.shape[0]):
            subtract_trace_slice(Wt, values, s, E.values[b], g[b])
    for b in range(g.shape[0]):
        for k in range(Wt.late.shape[0]):
            values[late + k] -= E.values[b, late + k] * g[b, Wt.late[k]]


def traces_matvec(
    v: Any, ve: Any, vd: Any, work: Any, Wt: Any, H: Any, E: Any, d: Any, gain: Any, x: Any, g: Any, acc: Any, h: Any,
    t: int,
) -> None:  # fmt: skip
    # A slice is moved and multiplied while it is in the first cache.
    w = Wt.values[0]
    e = E.values[0]
    late = Wt.starts[Wt.starts.shape[0] - 1]
    gx = work[: x.shape[1]]
    for j in range(x.shape[1]):
        gx[j] = gain * x[0, j]
    for s in range(Wt.starts.shape[0] - 1):
        decay_slice(E, e, s, gx, d)
        subtract_trace_slice(Wt, w, s, e, g[0])
        sum_slice(Wt, w, s, h[0], acc[0])
    for k in range(Wt.late.shape[0]):
        i = Wt.late[k]
        e[late + k] = d[i] * e[late + k] + gx[Wt.sources[late + k]]
        w[late + k] -= e[late + k] * g[0, i]
    sum_late(Wt, h[0], acc[0])


def accumulate_traces(v: Any, G: Any, E: Any, g: Any) -> None:
    values = G.values[0]
    late = G.starts[G.starts.shape[0] - 1]
    for s in range(G.starts.shape[0] - 1):
        for b in range(g.shape[0]):
            add_trace_slice(G, values, s, E.values[b], g[b])
    for b in range(g.shape[0]):
        for k in range(G.late.shape[0]):
            values[late + k] += E.values[b, late + k] * g[b, G.late[k]]


def diagonal_blend(v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: int) -> None:
    values = Wt.values[0]
    for i in range(out.shape[0]):
        own = Wt.own[i]
        out[i] = keep + gain * values[own] if own >= 0 else keep
