"""BPTT: the exact gradient of an episode, from its whole history. A reference, in real arithmetic only.

Source: Werbos, Proceedings of the IEEE 1990. ``δ_t = Aᵀε_t + ((1-α) I + α Wᵀ) δ_{t+1}``,
``ΔW = α Σ_t δ_t h_{t-1}ᵀ``, ``ΔB = α Σ_t δ_t x_tᵀ``, made at END.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import accumulate, blend, clear, error, inner, matvec, scale, within
from neurolrnn_kernels.forward import advance, forward, gather, rest
from neurolrnn_kernels.jit import kernel, part
from neurolrnn_kernels.structs import END, START, Array
from neurolrnn_kernels.update import learn_readout, step_down


class History(NamedTuple):
    """All steps of one episode."""

    h: Array
    """(steps, lanes, n), h_{t-1}."""
    x: Array
    """(steps, lanes, n_in), x_t."""
    e: Array
    """(steps, lanes, n_out), ε_t."""
    delta: Array
    """(lanes, n)."""
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
    """Sum the gradients of W and B over the stored episode, last step first."""
    clear(past.delta)
    for k in range(past.at[0] - 1, -1, -1):
        clear(lane.acc_rec)  # Wᵀδ_{t+1}
        inner(grid[at.STATE], 0, lane.acc_rec, net.Wt, past.delta)
        blend(grid[at.STATE], lane.work, past.delta, c.keep, past.delta, c.gain, lane.acc_rec, 0)
        matvec(grid[at.SIGNAL], lane.work, 0, past.delta, net.A, past.e[k])
        scale(grid[at.STATE], lane.work, lane.g_rec, c.gain, past.delta, 0)
        if c.learn_W:
            accumulate(grid[at.W], grad.W, past.h[k], lane.g_rec)
        if c.learn_B:
            accumulate(grid[at.B], grad.B, past.x[k], lane.g_rec)


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
        store(past.h[k], lane.h)
        store(past.x[k], lane.x)
        forward(net, c, grid, lane, t)
        loss[s] = error(grid[at.ERROR], lane.work, lane.e, lane.y, lane.target, lane.weight, c.loss, t)
        if not within(lane.y, c.limit):
            return s
        store(past.e[k], lane.e)
        past.at[0] = k + 1
        learn_readout(net, c, grid, lane, grad, t)
        if data.flags[s] & END:
            back(past, net, c, grid, lane, grad)
            past.at[0] = 0
            step_down(net.Wt, net.Bt, net, c, grid, lane, grad, t)
        if not data.flags[s] & END:
            advance(net, grid, lane)
    return data.rows.shape[0]
