"""RTRL: the exact gradient carried forward in time. A reference, in real arithmetic only.

Source: Williams & Zipser, Neural Computation 1989. The influence of W_ij on the state,
``J_t = ((1-α) I + α W) J_{t-1} + α e_i h_{t-1,j}``, is stored whole: n values for each of n(n + n_in) weights.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import blend, clear, error, matvec, within
from neurolrnn_kernels.forward import advance, forward, gather, rest
from neurolrnn_kernels.jit import kernel, part
from neurolrnn_kernels.simd import dot
from neurolrnn_kernels.structs import END, START, Array
from neurolrnn_kernels.update import learn_readout, signal, step_down, update_due


class Influence(NamedTuple):
    """How the state moves with each weight."""

    J: Array
    """(lanes·(n + n_in)·n, n); row (b·(n + n_in) + j)·n + i is ∂h/∂(weight from j to i), units first, then inputs."""
    next: Array
    """The same shape, an accumulator."""


@part
def carry(data: Any, net: Any, c: Any, grid: Any, lane: Any, influence: Any, t: int) -> None:
    """Advance the influences by one step; needs h_{t-1} in ``lane.h``."""
    n = lane.h.shape[1]
    sources = n + lane.x.shape[1]
    clear(influence.next)
    matvec(grid[at.STATE], lane.work, 0, influence.next, net.Wt, influence.J)
    blend(grid[at.STATE], lane.work, influence.J, c.keep, influence.J, c.gain, influence.next, t)
    for b in range(lane.h.shape[0]):
        for j in range(sources):
            pre = lane.h[b, j] if j < n else lane.x[b, j - n]
            for i in range(n):
                influence.J[(b * sources + j) * n + i, i] += c.gain * pre


@kernel
def rtrl(data: Any, net: Any, c: Any, grid: Any, lane: Any, influence: Any, grad: Any, loss: Any) -> int:
    """Run and learn by RTRL, in place.

    Returns the number of steps done: fewer than asked if an output exceeded ``c.limit``.
    """
    n = lane.h.shape[1]
    n_in = lane.x.shape[1]
    for s in range(data.rows.shape[0]):
        t = c.first + s
        if data.flags[s] & START:
            rest(lane)
            clear(influence.J)
        active = gather(data, s, lane)
        for b in range(data.rows.shape[1]):
            if data.rows[s, b] < 0:
                clear(influence.J[b * (n + n_in) * n : (b + 1) * (n + n_in) * n])
        carry(data, net, c, grid, lane, influence, t)
        forward(net, c, grid, lane, t, -1)
        loss[s] = error(grid[at.ERROR], lane.work, lane.e, lane.y, lane.target, lane.weight, c.loss, t)
        if not within(lane.y, c.limit):
            return s
        if active:
            signal(net, c, grid, lane, t)
            learn_readout(net, c, grid, lane, grad, t)
            for b in range(lane.h.shape[0]):
                first = b * (n + n_in) * n
                if c.learn_W:
                    for j in range(n):
                        for i in range(n):
                            grad.W[j, i] += dot(lane.L[b], influence.J[first + j * n + i])
                if c.learn_B:
                    for j in range(n_in):
                        for i in range(n):
                            grad.B[j, i] += dot(lane.L[b], influence.J[first + (n + j) * n + i])
        if update_due(data, s, c):
            step_down(net.Wt, net.Bt, net, c, grid, lane, grad, t)
        if not data.flags[s] & END:
            advance(net, grid, lane)
    return data.rows.shape[0]
