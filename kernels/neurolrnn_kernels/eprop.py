"""e-prop, which for this network is SnAp-1: one eligibility trace per synapse.

``E_ij = ((1-α) + α W_ii) E_ij + α h_j`` with the W of this step, ``ΔW_ij = L_i E_ij``, and the same for the inputs.
Source: Bellec et al., Nature Communications 2020; Menick et al., ICLR 2021 (the diagonal of the Jacobian).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import (
    accumulate_traces,
    clear,
    clip,
    decay_traces,
    descend_traces,
    diagonal_blend,
    error,
    scale,
    traces_matvec,
    within,
)
from neurolrnn_kernels.forward import advance, forward, gather, rest
from neurolrnn_kernels.jit import kernel, part
from neurolrnn_kernels.sparse import forget
from neurolrnn_kernels.structs import END, START, Array
from neurolrnn_kernels.update import hold, learn_readout, signal, step_down, update_due


class Eligibility(NamedTuple):
    """Traces per synapse, in the layout of the weights."""

    W: Any
    """(lanes, n, n); sparse where the weights are, see :mod:`neurolrnn_kernels.sparse`."""
    B: Array
    """(lanes, n_in, n)."""
    d: Array
    """(n,) decay of the traces onto each unit."""
    h: Array
    """(lanes, n) h_{t-1}, which the traces of W take up once the error is known."""


@part
def remember(out: Any, h: Any) -> None:
    """Copy the state before it moves."""
    for b in range(h.shape[0]):
        for i in range(h.shape[1]):
            out[b, i] = h[b, i]


@kernel
def eprop(data: Any, net: Any, c: Any, grid: Any, lane: Any, trace: Any, grad: Any, loss: Any) -> int:
    """Run and learn by e-prop, in place.

    Returns the number of steps done: fewer than asked if an output exceeded ``c.limit``.
    """
    for s in range(data.rows.shape[0]):
        t = c.first + s
        if data.flags[s] & START:
            rest(lane)
        active = gather(data, s, lane)
        for b in range(data.rows.shape[1]):
            if data.rows[s, b] < 0 or data.flags[s] & START:
                forget(trace.W, b)
                forget(trace.B, b)
        diagonal_blend(grid[at.TRACE_DECAY], lane.work, trace.d, c.keep, c.gain, net.Wt, t)
        remember(trace.h, lane.h)
        if c.learn_B:
            decay_traces(grid[at.INPUT_ELIGIBILITY], lane.work, trace.B, trace.d, c.gain, lane.x, t)
        forward(net, c, grid, lane, t, -1)
        loss[s] = error(grid[at.ERROR], lane.work, lane.e, lane.y, lane.target, lane.weight, c.loss, t)
        if not within(lane.y, c.limit):
            return s
        last = (data.flags[s] & END) != 0  # nothing comes after: W h is not needed
        at_once = active and c.direct and c.learn_W and not last and lane.h.shape[0] == 1 and c.clip_W > 1e300
        if c.learn_W and not at_once:
            decay_traces(grid[at.ELIGIBILITY], lane.work, trace.W, trace.d, c.gain, trace.h, t)
        if active:
            signal(net, c, grid, lane, t)
            learn_readout(net, c, grid, lane, grad, t)
            if c.direct:
                if c.learn_W:
                    scale(grid[at.RATE_W], lane.work, lane.g_rec, c.rate_W, lane.L, t)
                if at_once:
                    clear(lane.drive)
                    traces_matvec(
                        grid[at.W], grid[at.ELIGIBILITY], grid[at.CURRENT], lane.work, net.Wt, net.hidden_W, trace.W,
                        trace.d, c.gain, trace.h, lane.g_rec, lane.drive, lane.h, t,
                    )  # fmt: skip
                elif c.learn_W:
                    descend_traces(grid[at.W], lane.work, net.Wt, net.hidden_W, trace.W, lane.g_rec, t)
                    clip(grid[at.W], net.Wt, c.clip_W)
                if c.learn_B:
                    scale(grid[at.RATE_B], lane.work, lane.g_rec, c.rate_B, lane.L, t)
                    descend_traces(grid[at.B], lane.work, net.Bt, net.hidden_B, trace.B, lane.g_rec, t)
                    clip(grid[at.B], net.Bt, c.clip_B)
            else:
                if c.learn_W:
                    accumulate_traces(grid[at.W], grad.W, trace.W, lane.L)
                if c.learn_B:
                    accumulate_traces(grid[at.B], grad.B, trace.B, lane.L)
        elif c.direct:
            hold(net.Wt, net.Bt, net, c, grid)
        if update_due(data, s, c):
            step_down(net.Wt, net.Bt, net, c, grid, lane, grad, t)
        if not (at_once or last):
            advance(net, grid, lane)
    return data.rows.shape[0]
