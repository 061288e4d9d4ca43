"""Spiking networks in integers: codes in, codes out, each result rounded once where it lands (docs/numerics.md).

Graded is the forward pass of the fixed-point kernels, bit for bit. Sigma-delta and LIF pairs land states, currents
and read-outs in the same places. Weights are never rounded on the way: what receivers hold is a 64-bit integer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.jit import kernel, part


class Integers(NamedTuple):
    """Codes of 1 - α, α and the quantum; payload, reset; fraction bits of the leak."""

    keep: int
    gain: int
    q: int
    unit: int
    to_value: int
    reset_value: int
    kick: int
    leak_bits: int


class State(NamedTuple):
    """Of units h (or two membranes), ĥ, what they hold, drive, message; of outputs what they hold, and y."""

    h: Any
    off: Any
    hat: Any
    current: Any
    drive: Any
    message: Any
    held: Any
    y: Any


@part
def landed(v: Any, value: int) -> int:
    """Return an exact integer rounded and brought into the range of grid row ``v``."""
    s = v[at.SHIFT]
    if s <= 0:
        value = value << -s
    else:
        half = 1 << (s - 1)
        mode = v[at.ROUNDING]
        if mode == 1:
            value = (value + half) >> s
        elif mode == 2:
            whole = value >> s
            rest = value - (whole << s)
            value = whole + (1 if rest > half or (rest == half and (whole & 1) == 1) else 0)
        elif mode == 3:
            value = value >> s if value >= 0 else -((-value) >> s)
        else:
            value = value >> s
    lo, hi = v[at.LO], v[at.HI]
    if v[at.OVERFLOW] == 0:
        value = min(max(value, lo), hi)
    else:
        value = (value - lo) % (hi - lo + 1) + lo
    return value


@part
def faded(c: Any, value: int) -> int:
    """Return ``value`` times the code of the leak, rounded to nearest at the fraction bits it had."""
    return (c.keep * value + (1 << (c.leak_bits - 1))) >> c.leak_bits


@part
def begin(data: Any, s: int, net: Any, state: Any) -> None:
    """Rest at a beginning, then the drive B x of step s."""
    n = state.h.shape[0]
    if data.begin[s]:
        for i in range(n):
            state.h[i] = 0
            state.off[i] = 0
            state.hat[i] = 0
            state.current[i] = 0
        for k in range(state.held.shape[0]):
            state.held[k] = 0
    for i in range(n):
        total = data.x[s, 0] * 0
        for k in range(net.B.shape[1]):
            total += net.B[i, k] * data.x[s, k]
        state.drive[i] = total


@part
def input_current(grid: Any, state: Any, i: int) -> int:
    """Return the landed current of unit i."""
    v = grid[at.CURRENT]
    return landed(v, (state.current[i] << v[at.LIFT_0]) + (state.drive[i] << v[at.LIFT_1]))


@part
def blended(grid: Any, c: Any, x: int, gain: int, u: int) -> int:
    """Return the landed ``keep x + gain u``."""
    v = grid[at.STATE]
    return landed(v, ((c.keep * x) << v[at.LIFT_0]) + ((gain * u) << v[at.LIFT_1]))


@part
def deliver(net: Any, state: Any, j: int, value: int) -> None:
    """Bring the event of unit j to all receivers."""
    for i in range(state.current.shape[0]):
        state.current[i] += net.Wt[j, i] * value
    for k in range(state.held.shape[0]):
        state.held[k] += net.A[k, j] * value


@part
def write(grid: Any, s: int, state: Any, out: Any, paired: int) -> None:
    """Land the outputs and record step s."""
    n = state.h.shape[0]
    for k in range(state.held.shape[0]):
        state.y[k] = landed(grid[at.READOUT], state.held[k])
        if out.y.shape[0]:
            out.y[s, k] = state.y[k]
    for i in range(n):
        if out.h.shape[0]:
            out.h[s, i] = state.h[i] + state.hat[i] if paired else state.h[i]
        if out.hat.shape[0]:
            out.hat[s, i] = state.hat[i]
        if out.message.shape[0]:
            out.message[s, i] = state.message[i]
        if state.message[i] != 0:
            out.count[i] += 1


@kernel
def run_graded_fixed(data: Any, net: Any, c: Any, grid: Any, state: Any, out: Any) -> int:
    """Run with states sent at every step."""
    n = state.h.shape[0]
    for s in range(data.x.shape[0]):
        begin(data, s, net, state)
        for i in range(n):
            state.h[i] = blended(grid, c, state.h[i], c.gain, input_current(grid, state, i))
            state.hat[i] = state.h[i]
            state.message[i] = 1
        for i in range(n):
            state.current[i] = 0
        for k in range(state.held.shape[0]):
            state.held[k] = 0
        for j in range(n):
            deliver(net, state, j, state.h[j])
        write(grid, s, state, out, 0)
    return data.x.shape[0]


@kernel
def run_sigma_delta_fixed(data: Any, net: Any, c: Any, grid: Any, state: Any, out: Any) -> int:
    """Run with differences sent when they are due, in whole multiples of the quantum."""
    n = state.h.shape[0]
    for s in range(data.x.shape[0]):
        begin(data, s, net, state)
        for i in range(n):
            state.h[i] = blended(grid, c, state.h[i], c.gain, input_current(grid, state, i))
            whole = (2 * (state.h[i] - state.hat[i]) + c.q) // (2 * c.q)
            if c.unit:
                whole = min(max(whole, -1), 1)
            state.message[i] = whole
            state.hat[i] += c.q * whole
        for j in range(n):
            if state.message[j] != 0:
                deliver(net, state, j, c.q * state.message[j])
        write(grid, s, state, out, 0)
    return data.x.shape[0]


@kernel
def run_lif_pair_fixed(data: Any, net: Any, c: Any, grid: Any, state: Any, out: Any) -> int:
    """Run with pairs of leaky integrate-and-fire neurons."""
    n = state.h.shape[0]
    for s in range(data.x.shape[0]):
        begin(data, s, net, state)
        for i in range(n):
            u = input_current(grid, state, i)
            state.h[i] = blended(grid, c, state.h[i], c.gain, u)
            state.off[i] = blended(grid, c, state.off[i], -c.gain, u)
            state.current[i] = faded(c, state.current[i])
            state.hat[i] = faded(c, state.hat[i])
            state.message[i] = 1 if 2 * state.h[i] >= c.q else -1 if 2 * state.off[i] > c.q else 0
        for k in range(state.held.shape[0]):
            state.held[k] = faded(c, state.held[k])
        for j in range(n):
            if state.message[j] > 0:
                deliver(net, state, j, c.q)
                state.h[j] = c.reset_value if c.to_value else state.h[j] - c.q
                state.off[j] += c.kick
                state.hat[j] += c.q
            elif state.message[j] < 0:
                deliver(net, state, j, -c.q)
                state.off[j] = c.reset_value if c.to_value else state.off[j] - c.q
                state.h[j] += c.kick
                state.hat[j] -= c.q
        write(grid, s, state, out, 1)
    return data.x.shape[0]
