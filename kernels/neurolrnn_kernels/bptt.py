"""BPTT: the exact gradient of an episode, from its whole history. A reference, in real arithmetic only.

Source: Werbos, Proceedings of the IEEE 1990. ``δ_t = Aᵀε_t + ((1-α) I + α Wᵀ) δ_{t+1}``,
``ΔW = α Σ_t δ_t h_{t-1}ᵀ``, ``ΔB = α Σ_t δ_t x_tᵀ``, made at END.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import accumulate, blend, clear, error, matvec, scale, within
from neurolrnn_kernels.forward import advance, forward, gather, rest
from neurolrnn_kernels.jit import kernel, part
from neurolrnn_kernels.sparse import output_major
from neurolrnn_kernels.structs import END, START, Array
from neurolrnn_kernels.update import learn_readout, step_down


class History(NamedTuple):
    """All steps of one episode."""

    h: Array
    """(steps·lanes, n), h_{t-1}; step k holds rows k·lanes to (k + 1)·lanes of each array."""
    x: Array
    """(steps·lanes, n_in), x_t."""
    e: Array
    """(steps·lanes, n_out), ε_t."""
    delta: Array
    """(lanes, n)."""
    g: Array
    """(block·lanes, n), α δ of some steps: their outer products are summed in one pass over the gradient."""
    W: Array
    """(n, n) recurrent weights of the episode, output-major, to go back through them."""
    at: NDArray[np.int64]
    """(1,): steps since the last update."""


@part
def store(out: Any, x: Any) -> None:
    """Keep one step."""
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            out[b, i] = x[b, i]


@part
def back(past: Any, net: Any, c: Any, grid: Any, lane: Any, grad: Any) -> None:
    """Sum the gradients of W and B over the stored episode, last steps first."""
    lanes = lane.h.shape[0]
    block = past.g.shape[0] // lanes
    output_major(past.W, net.Wt)
    clear(past.delta)
    end = past.at[0]
    while end > 0:
        begin = max(end - block, 0)
        for k in range(end - 1, begin - 1, -1):
            clear(lane.acc_rec)  # Wᵀδ_{t+1}
            matvec(grid[at.STATE], lane.work, 0, lane.acc_rec, past.W, past.delta)
            blend(grid[at.STATE], lane.work, past.delta, c.keep, past.delta, c.gain, lane.acc_rec, 0)
            matvec(grid[at.SIGNAL], lane.work, 0, past.delta, net.A, past.e[k * lanes : (k + 1) * lanes])
            row = (k - begin) * lanes
            scale(grid[at.STATE], lane.work, past.g[row : row + lanes], c.gain, past.delta, 0)
        g = past.g[: (end - begin) * lanes]
        if c.learn_W:
            accumulate(grid[at.W], grad.W, past.h[begin * lanes : end * lanes], g)
        if c.learn_B:
            accumulate(grid[at.B], grad.B, past.x[begin * lanes : end * lanes], g)
        end = begin


@kernel
def bptt(data: Any, net: Any, c: Any, grid: Any, lane: Any, past: Any, grad: Any, loss: Any) -> int:
    """Run, and learn by BPTT at the end of each episode, in place.

    Returns the number of steps done: fewer than asked if an output exceeded ``c.limit``.
    """
    for s in range(data.rows.shape[0]):
        t = c.first + s
        if data.flags[s] & START:
            rest(lane)
            past.at[0] = 0
        gather(data, s, lane)
        k = past.at[0]
        now = slice(k * lane.h.shape[0], (k + 1) * lane.h.shape[0])
        store(past.h[now], lane.h)
        store(past.x[now], lane.x)
        forward(net, c, grid, lane, t, -1)
        loss[s] = error(grid[at.ERROR], lane.work, lane.e, lane.y, lane.target, lane.weight, c.loss, t)
        if not within(lane.y, c.limit):
            return s
        store(past.e[now], lane.e)
        past.at[0] = k + 1
        learn_readout(net, c, grid, lane, grad, t)
        if data.flags[s] & END:
            back(past, net, c, grid, lane, grad)
            past.at[0] = 0
            step_down(net.Wt, net.Bt, net, c, grid, lane, grad, t)
        if not data.flags[s] & END:
            advance(net, grid, lane)
    return data.rows.shape[0]
