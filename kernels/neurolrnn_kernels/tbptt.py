"""Truncated BPTT(τ): the last τ steps from a ring buffer, one update a step.

Source: Williams & Peng, Neural Computation 1990. The update of step t is
``ΔW = α Σ_{l=1..τ} δ_l h_{t-l}ᵀ``, ``ΔB = α Σ_l δ_l x_{t-l+1}ᵀ`` with ``δ_1 = Aᵀε_t``,
``δ_{l+1} = (1-α) δ_l + α Wᵀδ_l`` and the W of this step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import (
    blend,
    clear,
    error,
    inner,
    land,
    scale,
    within,
)
from neurolrnn_kernels.forward import advance, forward, gather, rest
from neurolrnn_kernels.jit import kernel, part
from neurolrnn_kernels.structs import END, START, Array
from neurolrnn_kernels.update import hold, learn_outer, learn_readout, signal, step_down, update_due


class Ring(NamedTuple):
    """The last τ steps. Slot k holds lanes k·lanes to (k + 1)·lanes of each array."""

    p: Array
    """(τ·lanes, n), α h_{t-l}."""
    q: Array
    """(τ·lanes, n_in), α x_{t-l+1}."""
    delta: Array
    """(lanes, n)."""
    L: Array
    """(τ·lanes, n), δ of each slot; 0 in slots not yet used."""
    g: Array
    """(τ·lanes, n), the same times the learning rate."""
    at: NDArray[np.int64]
    """(2,): steps since START, and the newest slot."""


@part
def remember(ring: Any, c: Any, grid: Any, lane: Any, t: int) -> None:
    """Put h_{t-1} and x_t into the ring, over the oldest."""
    lanes = lane.h.shape[0]
    slots = ring.p.shape[0] // lanes
    ring.at[0] += 1
    ring.at[1] = (ring.at[1] + 1) % slots
    first = ring.at[1] * lanes
    scale(grid[at.TRACE], lane.work, ring.p[first : first + lanes], c.gain, lane.h, t)
    scale(grid[at.INPUT_TRACE], lane.work, ring.q[first : first + lanes], c.gain, lane.x, t)


@part
def back(ring: Any, net: Any, c: Any, grid: Any, lane: Any, t: int) -> None:
    """Carry the learning signal back through the stored steps, into ``ring.L``."""
    lanes = lane.h.shape[0]
    slots = ring.p.shape[0] // lanes
    depth = min(slots, ring.at[0])
    land_copy(ring.delta, lane.L)
    for l in range(depth):
        first = ((ring.at[1] - l) % slots) * lanes
        land_copy(ring.L[first : first + lanes], ring.delta)
        if l + 1 < depth:
            clear(lane.acc_rec)
            inner(grid[at.BACK_CURRENT], 0, lane.acc_rec, net.Wt, ring.delta)
            land(grid[at.BACK_CURRENT], lane.work, lane.g_rec, lane.acc_rec, t * slots + l)
            blend(grid[at.BACK_SIGNAL], lane.work, ring.delta, c.keep, ring.delta, c.gain, lane.g_rec, t * slots + l)


@part
def land_copy(out: Any, x: Any) -> None:
    """Copy one array to another of the same format."""
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[b, i] = x[b, i]


@kernel
def tbptt(data: Any, net: Any, c: Any, grid: Any, lane: Any, ring: Any, grad: Any, loss: Any) -> int:
    """Run and learn by truncated BPTT, in place.

    Returns the number of steps done: fewer than asked if an output exceeded ``c.limit``.
    """
    for s in range(data.rows.shape[0]):
        t = c.first + s
        if data.flags[s] & START:
            rest(lane)
            clear(ring.p)
            clear(ring.q)
            clear(ring.L)
            ring.at[0] = 0
            ring.at[1] = -1
        active = gather(data, s, lane)
        remember(ring, c, grid, lane, t)
        forward(net, c, grid, lane, t, -1)
        loss[s] = error(grid[at.ERROR], lane.work, lane.e, lane.y, lane.target, lane.weight, c.loss, t)
        if not within(lane.y, c.limit):
            return s
        fused = False
        last = (data.flags[s] & END) != 0  # nothing comes after: W h is not needed
        if active:
            signal(net, c, grid, lane, t)
            learn_readout(net, c, grid, lane, grad, t)
            back(ring, net, c, grid, lane, t)
            fused = learn_outer(net, c, grid, lane, grad, ring.p, ring.q, ring.L, ring.g, last, t)
        elif c.direct:
            hold(net.Wt, net.Bt, net, c, grid)
        if update_due(data, s, c):
            step_down(net.Wt, net.Bt, net, c, grid, lane, grad, t)
        if not (fused or last):
            advance(net, grid, lane)
    return data.rows.shape[0]
