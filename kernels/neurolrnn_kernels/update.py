"""What rules share of learning: the signal that goes back, the read-out, outer products, and steps down a sum."""

from __future__ import annotations

from typing import Any

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.arithmetic import (
    accumulate,
    apply,
    clear,
    clip,
    descend,
    descend_matvec,
    land,
    matvec,
    scale,
)
from neurolrnn_kernels.jit import part
from neurolrnn_kernels.structs import END


@part
def signal(net: Any, c: Any, grid: Any, lane: Any, t: int) -> None:
    """Carry the output error back to the units: L = Rᵀε, or Aᵀε with the A of this step."""
    clear(lane.acc_rec)
    matvec(grid[at.SIGNAL], lane.work, 0, lane.acc_rec, net.A if c.symmetric else net.R, lane.e)
    land(grid[at.SIGNAL], lane.work, lane.L, lane.acc_rec, t)


@part
def learn_readout(net: Any, c: Any, grid: Any, lane: Any, grad: Any, t: int) -> None:
    """ΔA = ε hᵀ, the same for every rule."""
    if c.learn_A:
        if c.direct:
            scale(grid[at.RATE_A], lane.work, lane.g_out, c.rate_A, lane.e, t)
            descend(grid[at.A], lane.work, net.A, net.hidden_A, lane.g_out, lane.h, t)
            clip(grid[at.A], net.A, c.clip_A)
        else:
            accumulate(grid[at.A], grad.A, lane.e, lane.h)


@part
def learn_outer(
    net: Any, c: Any, grid: Any, lane: Any, grad: Any, p: Any, q: Any, L: Any, g: Any, last: bool, t: int
) -> bool:
    """``ΔW = Σ L pᵀ`` and ``ΔB = Σ L qᵀ`` over the rows of p, q and L; ``g`` is room for L times a learning rate.

    Tells whether ``lane.drive`` already holds W h of the next step, which a pass over W can make on its way.
    """
    if not c.direct:
        if c.learn_W:
            accumulate(grid[at.W], grad.W, p, L)
        if c.learn_B:
            accumulate(grid[at.B], grad.B, q, L)
        return False
    if c.learn_B:
        scale(grid[at.RATE_B], lane.work, g, c.rate_B, L, t)
        descend(grid[at.B], lane.work, net.Bt, net.hidden_B, q, g, t)
        clip(grid[at.B], net.Bt, c.clip_B)
    if not c.learn_W:
        return False
    scale(grid[at.RATE_W], lane.work, g, c.rate_W, L, t)
    if c.clip_W < 1e300 or last:
        descend(grid[at.W], lane.work, net.Wt, net.hidden_W, p, g, t)
        clip(grid[at.W], net.Wt, c.clip_W)
        return False
    clear(lane.drive)
    descend_matvec(grid[at.W], grid[at.CURRENT], lane.work, net.Wt, net.hidden_W, p, g, lane.drive, lane.h, t)
    return True


@part
def step_down(W: Any, B: Any, net: Any, c: Any, grid: Any, lane: Any, grad: Any, t: int) -> None:
    """Make the update that has been accumulated. W and B are the plastic arrays: weights or factors."""
    if c.learn_A:
        apply(grid[at.A], lane.work, net.A, net.hidden_A, grad.A, grad.velocity_A, c.momentum, c.rate_A, t)
        clip(grid[at.A], net.A, c.clip_A)
    if c.learn_W:
        apply(grid[at.W], lane.work, W, net.hidden_W, grad.W, grad.velocity_W, c.momentum, c.rate_W, t)
        clip(grid[at.W], W, c.clip_W)
    if c.learn_B:
        apply(grid[at.B], lane.work, B, net.hidden_B, grad.B, grad.velocity_B, c.momentum, c.rate_B, t)
        clip(grid[at.B], B, c.clip_B)


@part
def hold(W: Any, B: Any, net: Any, c: Any, grid: Any) -> None:
    """Hold what is learned within its bounds; W and B are the plastic arrays."""
    if c.learn_A:
        clip(grid[at.A], net.A, c.clip_A)
    if c.learn_W:
        clip(grid[at.W], W, c.clip_W)
    if c.learn_B:
        clip(grid[at.B], B, c.clip_B)


@part
def update_due(data: Any, s: int, c: Any) -> bool:
    """Tell whether an accumulated update is made after step s."""
    if c.direct:
        return False
    return (data.flags[s] & END) != 0 if c.episode else (c.first + s + 1) % c.every == 0
