"""One step of the network."""

from __future__ import annotations

from typing import Any

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import (
    add_block,
    blend,
    clear,
    error,
    inner,
    land,
    matvec,
    matvec_ahead,
    scale,
    within,
)
from neurolrnn_kernels.jit import kernel, part
from neurolrnn_kernels.recurrent import recur
from neurolrnn_kernels.structs import END, START


@part
def gather(data: Any, s: int, lane: Any) -> bool:
    """Copy inputs, targets and weights of step s into the lanes; tell whether any lane has an error to learn from."""
    active = False
    for b in range(data.rows.shape[1]):
        row = data.rows[s, b]
        if row < 0:  # this lane's sequence has ended
            for i in range(lane.x.shape[1]):
                lane.x[b, i] = 0
            for k in range(lane.target.shape[1]):
                lane.target[b, k] = 0
            lane.weight[b] = 0
            for i in range(lane.h.shape[1]):  # or an unstable network would go on growing in here
                lane.h[b, i] = 0
                lane.own[b, i] = 0
                lane.drive[b, i] = 0
        else:
            for i in range(lane.x.shape[1]):
                lane.x[b, i] = data.x[row, i]
            for k in range(lane.target.shape[1]):
                lane.target[b, k] = data.target[row, k]
            lane.weight[b] = data.weight[row]
            active |= data.weight[row] != 0
    return active


@part
def rest(lane: Any) -> None:
    """Set the network to its state before a sequence, h = 0."""
    clear(lane.h)
    clear(lane.own)
    clear(lane.drive)


@part
def look_ahead(data: Any, s: int, net: Any, lane: Any) -> int:
    """Calculate B x of the next steps in one go, if B stays and it is time; return the row of step s, or -1 for none.

    ``lane.ahead`` has no rows where B learns, or where the order of a sum matters.
    """
    lanes = data.rows.shape[1]
    block = lane.ahead.shape[0] // lanes
    if block == 0:
        return -1
    if s % block == 0:
        count = min(block, data.rows.shape[0] - s)
        for k in range(count):
            for b in range(lanes):
                row = data.rows[s + k, b]
                for i in range(lane.x.shape[1]):
                    lane.ahead_x[k * lanes + b, i] = data.x[row, i] if row >= 0 else 0
        matvec_ahead(lane.ahead[: count * lanes], net.Bt, lane.ahead_x[: count * lanes])
    return s % block * lanes


@part
def forward(net: Any, c: Any, grid: Any, lane: Any, t: int, ahead: int) -> None:
    """Advance h and y by one step; ``lane.drive`` must hold W h and is used up.

    ``ahead`` is the row of ``lane.ahead`` that holds B x, or -1.
    """
    if ahead >= 0:
        add_block(lane.drive, lane.ahead, ahead)
    else:
        matvec(grid[at.CURRENT], lane.work, 1, lane.drive, net.Bt, lane.x)
    if net.M.shape[0] > 0:  # the factors' part: (RᵀM) h + (RᵀN) x = Rᵀ z
        clear(lane.acc_out)
        inner(grid[at.COUPLING], 0, lane.acc_out, net.M, lane.h)
        inner(grid[at.COUPLING], 1, lane.acc_out, net.N, lane.x)
        land(grid[at.COUPLING], lane.work, lane.z, lane.acc_out, t)
        matvec(grid[at.CURRENT], lane.work, 2, lane.drive, net.R, lane.z)
    land(grid[at.CURRENT], lane.work, lane.u, lane.drive, t)
    blend(grid[at.STATE], lane.work, lane.own, c.keep, lane.own, c.gain, lane.u, t)
    if c.sends != 0:  # units hear each other in a format of its own; otherwise lane.own is lane.h
        scale(grid[at.MESSAGE], lane.work, lane.h, c.sends, lane.own, t)
    clear(lane.acc_out)
    inner(grid[at.READOUT], 0, lane.acc_out, net.A, lane.h)
    land(grid[at.READOUT], lane.work, lane.y, lane.acc_out, t)


@part
def advance(net: Any, grid: Any, lane: Any) -> None:
    """Prepare the next step: drive = W h."""
    clear(lane.drive)
    recur(grid[at.CURRENT], lane.work, lane.drive, net.Wt, lane.h)


@kernel
def run_forward(data: Any, net: Any, c: Any, grid: Any, lane: Any, y: Any, loss: Any) -> int:
    """Run the network without learning; write the outputs (rows, n_out) and the loss of each step.

    Returns the number of steps done: fewer than asked if an output exceeded ``c.limit``.
    """
    for s in range(data.rows.shape[0]):
        if data.flags[s] & START:
            rest(lane)
        gather(data, s, lane)
        forward(net, c, grid, lane, c.first + s, look_ahead(data, s, net, lane))
        loss[s] = error(grid[at.ERROR], lane.work, lane.e, lane.y, lane.target, lane.weight, c.loss, c.first + s)
        for b in range(data.rows.shape[1]):
            if data.rows[s, b] >= 0:
                for k in range(y.shape[1]):
                    y[data.rows[s, b], k] = lane.y[b, k]
        if not within(lane.y, c.limit):
            return s
        if not data.flags[s] & END:
            advance(net, grid, lane)
    return data.rows.shape[0]
