"""Many factored RFLO learners of one W0 and B0, side by side: W0 meets all their states in one matrix product a step.

Real arithmetic only. Every sum is taken in the order of :func:`neurolrnn_kernels.rflo.rflo_factored`, so each learner
gets the bits it would get alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import add_block, blend, clear, clip, error, matvec_ahead, within
from neurolrnn_kernels.jit import kernel, part
from neurolrnn_kernels.recurrent import recur
from neurolrnn_kernels.simd import dot
from neurolrnn_kernels.structs import START, Array


class Learners(NamedTuple):
    """Weights and activity of all learners; the first axis counts them."""

    A: Array
    """(learners, n_out, n)."""
    R: Array
    """(learners, n_out, n)."""
    M: Array
    """(learners, n_out, n)."""
    N: Array
    """(learners, n_out, n_in)."""
    rates: Array
    """(learners, 3) of A, W and B."""
    x: Array
    target: Array
    weight: Array
    h: Array
    drive: Array
    """(learners, n); between steps it holds W0 h."""
    ahead: Array
    """(learners, n) B0 x."""
    p: Array
    q: Array
    y: Array
    e: Array
    z: Array
    """(learners, n_out) M h + N x."""
    last_h: Array
    """(learners, n) state at the step at which a learner diverged."""
    last_y: Array
    diverged: NDArray[np.int64]
    """(learners,) step at which an output exceeded the limit, -1 before that."""


@part
def rest(many: Any, b: int) -> None:
    """Set learner b to its state before a sequence."""
    clear(many.h[b : b + 1])
    clear(many.drive[b : b + 1])
    clear(many.p[b : b + 1])
    clear(many.q[b : b + 1])


@part
def take(data: Any, s: int, many: Any) -> None:
    """Copy what each learner reads at step s; a learner that has diverged reads nothing more."""
    for b in range(many.h.shape[0]):
        if data.flags[s, b] & START or many.diverged[b] >= 0:
            rest(many, b)
        row = data.rows[s, b]
        for i in range(many.x.shape[1]):
            many.x[b, i] = data.x[row, i]
        for k in range(many.target.shape[1]):
            many.target[b, k] = data.target[row, k]
        many.weight[b] = data.weight[row] if many.diverged[b] < 0 else 0


@part
def run(many: Any, Wt: Any, Bt: Any, c: Any, grid: Any, work: Any, t: int) -> None:
    """Traces, states and outputs of one step."""
    n_out = many.A.shape[1]
    blend(grid[at.TRACE], work, many.p, c.decay, many.p, c.gain, many.h, t)
    blend(grid[at.INPUT_TRACE], work, many.q, c.decay, many.q, c.gain, many.x, t)
    matvec_ahead(many.ahead, Bt, many.x)
    add_block(many.drive, many.ahead, 0)
    clear(many.z)
    for b in range(many.h.shape[0]):
        for k in range(n_out):
            many.z[b, k] += dot(many.M[b, k], many.h[b])
        for k in range(n_out):
            many.z[b, k] += dot(many.N[b, k], many.x[b])
        drive = many.drive[b]
        for k in range(n_out):
            row = many.R[b, k]
            z = many.z[b, k]
            for i in range(drive.shape[0]):
                drive[i] += z * row[i]
    blend(grid[at.STATE], work, many.h, c.keep, many.h, c.gain, many.drive, t)
    clear(many.y)
    for b in range(many.h.shape[0]):
        for k in range(n_out):
            many.y[b, k] += dot(many.A[b, k], many.h[b])


@part
def descend(weights: Any, rate: Any, e: Any, x: Any) -> None:
    """Subtract ``rate e xᵀ`` from one learner's weights (n_out, n)."""
    for k in range(weights.shape[0]):
        row = weights[k]
        g = rate * e[k]
        for i in range(row.shape[0]):
            row[i] -= g * x[i]


@part
def learn(many: Any, b: int, c: Any, grid: Any, active: bool) -> None:
    """Update learner b."""
    if c.learn_A:
        if active:
            descend(many.A[b], many.rates[b, 0], many.e[b], many.h[b])
        clip(grid[at.A], many.A[b], c.clip_A)
    if c.learn_W:
        if active:
            descend(many.M[b], many.rates[b, 1], many.e[b], many.p[b])
        clip(grid[at.W], many.M[b], c.clip_W)
    if c.learn_B:
        if active:
            descend(many.N[b], many.rates[b, 2], many.e[b], many.q[b])
        clip(grid[at.B], many.N[b], c.clip_B)


@part
def keep(out: Any, x: Any) -> None:
    """Copy one row."""
    for i in range(x.shape[0]):
        out[i] = x[i]


@kernel
def rflo_many(data: Any, Wt: Any, Bt: Any, many: Any, c: Any, grid: Any, work: Any, loss: Any) -> None:
    """Run and learn all steps of ``data.rows`` (steps, learners), in place; ``loss`` is (steps, learners).

    A learner whose output exceeds ``c.limit`` stops there, with its weights as they were before that step; its step is
    written to ``many.diverged``, and its loss is 0 from there on.
    """
    for s in range(data.rows.shape[0]):
        t = c.first + s
        take(data, s, many)
        run(many, Wt, Bt, c, grid, work, t)
        for b in range(many.h.shape[0]):
            if many.diverged[b] >= 0:
                loss[s, b] = 0.0
                continue
            one = slice(b, b + 1)
            loss[s, b] = error(
                grid[at.ERROR], work, many.e[one], many.y[one], many.target[one], many.weight[one], c.loss, t
            )
            if not within(many.y[one], c.limit):
                many.diverged[b] = t
                keep(many.last_h[b], many.h[b])
                keep(many.last_y[b], many.y[b])
                loss[s, b] = 0.0
                continue
            learn(many, b, c, grid, many.weight[b] != 0)
        clear(many.drive)
        recur(grid[at.CURRENT], work, many.drive, Wt, many.h)
