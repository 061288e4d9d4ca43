"""RFLO: one trace per unit and one learning signal per unit, dense or factored.

Source: Murray, eLife 2019 (random feedback local online learning), for identity activation, where the eligibility of
synapse (i, j) does not depend on i. Factored storage: W = W0 + RᵀM holds exactly because every update of W is Rᵀ
times something (Williams, Payeur & Lajoie, arXiv 2606.00243, the rank theorem).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import (
    accumulate,
    blend,
    clear,
    clip,
    descend,
    error,
    scale,
    within,
)
from neurolrnn_kernels.forward import advance, forward, gather, look_ahead, rest
from neurolrnn_kernels.jit import kernel, part
from neurolrnn_kernels.structs import END, START, Array
from neurolrnn_kernels.update import hold, learn_outer, learn_readout, signal, step_down, update_due


class Traces(NamedTuple):
    """Low-pass filtered activity of the pre-synaptic side."""

    p: Array
    """(lanes, n), p_t = ŵ p_{t-1} + α h_{t-1}."""
    q: Array
    """(lanes, n_in), q_t = ŵ q_{t-1} + α x_t."""
    p_parts: Array
    """(2·lanes, n), where traces have no sign: those of positive and of negative activity, p = p⁺ - p⁻; else (0, n)."""
    q_parts: Array
    h_parts: Array
    """(2·lanes, n), max(h, 0) and max(-h, 0)."""
    x_parts: Array


@part
def filter_parts(v: Any, work: Any, p: Any, parts: Any, ends: Any, c: Any, x: Any, t: int) -> None:
    """Filter positive and negative activity by themselves; p is the difference."""
    lanes = x.shape[0]
    for b in range(lanes):
        for i in range(x.shape[1]):
            ends[b, i] = max(x[b, i], 0)
            ends[lanes + b, i] = max(-x[b, i], 0)
    blend(v, work, parts, c.decay, parts, c.gain, ends, t)
    for b in range(lanes):
        for i in range(x.shape[1]):
            p[b, i] = parts[b, i] - parts[lanes + b, i]


@part
def trace_and_run(data: Any, s: int, net: Any, c: Any, grid: Any, lane: Any, trace: Any, t: int, ahead: int) -> bool:
    """Traces, state and output of step s; tell whether there is an error to learn from."""
    if data.flags[s] & START:
        rest(lane)
        clear(trace.p)
        clear(trace.q)
        clear(trace.p_parts)
        clear(trace.q_parts)
    active = gather(data, s, lane)
    if trace.p_parts.shape[0] > 0:
        filter_parts(grid[at.TRACE], lane.work, trace.p, trace.p_parts, trace.h_parts, c, lane.h, t)
        filter_parts(grid[at.INPUT_TRACE], lane.work, trace.q, trace.q_parts, trace.x_parts, c, lane.x, t)
    else:  # of h_{t-1}: before the state moves
        blend(grid[at.TRACE], lane.work, trace.p, c.decay, trace.p, c.gain, lane.h, t)
        blend(grid[at.INPUT_TRACE], lane.work, trace.q, c.decay, trace.q, c.gain, lane.x, t)
    forward(net, c, grid, lane, t, ahead)
    return active


@kernel
def rflo_dense(data: Any, net: Any, c: Any, grid: Any, lane: Any, trace: Any, grad: Any, loss: Any) -> int:
    """Run and learn, ``ΔW = Rᵀε pᵀ`` and ``ΔB = Rᵀε qᵀ`` in the weights themselves; all in place.

    Returns the number of steps done: fewer than asked if an output exceeded ``c.limit``.
    """
    for s in range(data.rows.shape[0]):
        t = c.first + s
        active = trace_and_run(data, s, net, c, grid, lane, trace, t, -1)
        loss[s] = error(grid[at.ERROR], lane.work, lane.e, lane.y, lane.target, lane.weight, c.loss, t)
        if not within(lane.y, c.limit):
            return s
        fused = False
        last = (data.flags[s] & END) != 0  # nothing comes after: W h is not needed
        if active:
            signal(net, c, grid, lane, t)  # before A moves
            learn_readout(net, c, grid, lane, grad, t)
            fused = learn_outer(net, c, grid, lane, grad, trace.p, trace.q, lane.L, lane.g_rec, last, t)
        elif c.direct:
            hold(net.Wt, net.Bt, net, c, grid)
        if update_due(data, s, c):
            step_down(net.Wt, net.Bt, net, c, grid, lane, grad, t)
        if not (fused or last):
            advance(net, grid, lane)
    return data.rows.shape[0]


@kernel
def rflo_factored(data: Any, net: Any, c: Any, grid: Any, lane: Any, trace: Any, grad: Any, loss: Any) -> int:
    """Run and learn, ``ΔM = ε pᵀ`` and ``ΔN = ε qᵀ`` in the factors; W and B stay as they are. All in place.

    Returns the number of steps done: fewer than asked if an output exceeded ``c.limit``.
    """
    for s in range(data.rows.shape[0]):
        t = c.first + s
        active = trace_and_run(data, s, net, c, grid, lane, trace, t, look_ahead(data, s, net, lane))
        loss[s] = error(grid[at.ERROR], lane.work, lane.e, lane.y, lane.target, lane.weight, c.loss, t)
        if not within(lane.y, c.limit):
            return s
        if active:
            learn_readout(net, c, grid, lane, grad, t)
            if c.direct:
                if c.learn_W:
                    scale(grid[at.RATE_W], lane.work, lane.g_out, c.rate_W, lane.e, t)
                    descend(grid[at.W], lane.work, net.M, net.hidden_W, lane.g_out, trace.p, t)
                    clip(grid[at.W], net.M, c.clip_W)
                if c.learn_B:
                    scale(grid[at.RATE_B], lane.work, lane.g_out, c.rate_B, lane.e, t)
                    descend(grid[at.B], lane.work, net.N, net.hidden_B, lane.g_out, trace.q, t)
                    clip(grid[at.B], net.N, c.clip_B)
            else:
                if c.learn_W:
                    accumulate(grid[at.W], grad.W, lane.e, trace.p)
                if c.learn_B:
                    accumulate(grid[at.B], grad.B, lane.e, trace.q)
        elif c.direct:
            hold(net.M, net.N, net, c, grid)
        if update_due(data, s, c):
            step_down(net.M, net.N, net, c, grid, lane, grad, t)
        if not data.flags[s] & END:
            advance(net, grid, lane)
    return data.rows.shape[0]
