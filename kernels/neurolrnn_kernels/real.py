"""The primitives in real arithmetic (float32 and float64): plain Python, compiled where a kernel uses them.

Every primitive works on all lanes (the sequences of a batch) at once: vectors are (lanes, n). ``v`` is the row of
the grid that says where a result lands; real numbers land as they are, so it is not read here.
Sums run in index order, four terms to a pass over the accumulator.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn_kernels.simd import dot


def clear(acc: Any) -> None:
    for b in range(acc.shape[0]):
        for i in range(acc.shape[1]):
            acc[b, i] = 0.0


def matvec(v: Any, term: int, acc: Any, Wt: Any, x: Any) -> None:
    rows = Wt.shape[0]
    columns = Wt.shape[1]
    whole = rows - rows % 4
    for b in range(acc.shape[0]):
        a = acc[b]
        for j in range(0, whole, 4):
            x0 = x[b, j]
            x1 = x[b, j + 1]
            x2 = x[b, j + 2]
            x3 = x[b, j + 3]
            w0 = Wt[j]
            w1 = Wt[j + 1]
            w2 = Wt[j + 2]
            w3 = Wt[j + 3]
            for i in range(columns):
                s = a[i] + w0[i] * x0
                s += w1[i] * x1
                s += w2[i] * x2
                a[i] = s + w3[i] * x3
        for j in range(whole, rows):
            x0 = x[b, j]
            w0 = Wt[j]
            for i in range(columns):
                a[i] += w0[i] * x0


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
    for j in range(Wt.shape[0]):
        row = Wt[j]
        for b in range(p.shape[0]):
            pj = p[b, j]
            gb = g[b]
            for i in range(Wt.shape[1]):
                row[i] -= pj * gb[i]


def descend_matvec(v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int) -> None:
    rows = Wt.shape[0]
    columns = Wt.shape[1]
    terms = p.shape[0]
    lanes = h.shape[0]
    whole = rows - rows % 4
    for j in range(0, whole, 4):
        w0 = Wt[j]
        w1 = Wt[j + 1]
        w2 = Wt[j + 2]
        w3 = Wt[j + 3]
        for b in range(terms - 1):
            p0 = p[b, j]
            p1 = p[b, j + 1]
            p2 = p[b, j + 2]
            p3 = p[b, j + 3]
            gb = g[b]
            for i in range(columns):
                w0[i] -= p0 * gb[i]
                w1[i] -= p1 * gb[i]
                w2[i] -= p2 * gb[i]
                w3[i] -= p3 * gb[i]
        # the last term of the update and the first lane of the next product share a pass over the rows
        p0 = p[terms - 1, j]
        p1 = p[terms - 1, j + 1]
        p2 = p[terms - 1, j + 2]
        p3 = p[terms - 1, j + 3]
        gb = g[terms - 1]
        h0 = h[0, j]
        h1 = h[0, j + 1]
        h2 = h[0, j + 2]
        h3 = h[0, j + 3]
        a = acc[0]
        for i in range(columns):
            u0 = w0[i] - p0 * gb[i]
            u1 = w1[i] - p1 * gb[i]
            u2 = w2[i] - p2 * gb[i]
            u3 = w3[i] - p3 * gb[i]
            w0[i] = u0
            w1[i] = u1
            w2[i] = u2
            w3[i] = u3
            s = a[i] + u0 * h0
            s += u1 * h1
            s += u2 * h2
            a[i] = s + u3 * h3
        for b in range(1, lanes):
            h0 = h[b, j]
            h1 = h[b, j + 1]
            h2 = h[b, j + 2]
            h3 = h[b, j + 3]
            a = acc[b]
            for i in range(columns):
                s = a[i] + w0[i] * h0
                s += w1[i] * h1
                s += w2[i] * h2
                a[i] = s + w3[i] * h3
    for j in range(whole, rows):
        w0 = Wt[j]
        for b in range(terms):
            p0 = p[b, j]
            gb = g[b]
            for i in range(columns):
                w0[i] -= p0 * gb[i]
        for b in range(lanes):
            h0 = h[b, j]
            a = acc[b]
            for i in range(columns):
                a[i] += w0[i] * h0


def accumulate(v: Any, G: Any, p: Any, g: Any) -> None:
    for j in range(G.shape[0]):
        row = G[j]
        for b in range(p.shape[0]):
            pj = p[b, j]
            gb = g[b]
            for i in range(G.shape[1]):
                row[i] += pj * gb[i]


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
                total += 0.5 * float(w) * float(d) * float(d)
        else:  # cross-entropy of the softmax
            top = y[b, 0]
            for k in range(1, e.shape[1]):
                top = max(top, y[b, k])
            norm = 0.0
            for k in range(e.shape[1]):
                norm += np.exp(float(y[b, k]) - float(top))
            for k in range(e.shape[1]):
                logit = float(y[b, k]) - float(top)
                goal = float(target[b, k])
                e[b, k] = float(w) * (np.exp(logit) / norm - goal)
                if goal != 0.0:
                    total -= float(w) * goal * (logit - np.log(norm))
    return total


def within(y: Any, limit: float) -> bool:
    for b in range(y.shape[0]):
        for k in range(y.shape[1]):
            if not abs(y[b, k]) <= limit:  # false for NaN too
                return False
    return True
