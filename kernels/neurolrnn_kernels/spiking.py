"""Spiking networks step by step, in floating point: what Brian2 does, without Brian2.

Every sum is added in the order in which Brian2's NumPy target adds it (senders in ascending order), so states, events
and learned weights are the same bits. docs/spiking_modes.md has the equations and the order inside a step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neurolrnn_kernels.jit import kernel, part

NO_LEARNING, DENSE, FACTORED = 0, 1, 2
ROUNDED, UNIT, RESIDUAL = 0, 1, 2


class Stream(NamedTuple):
    """Inputs (steps, n_in), beginnings (steps,), targets (steps, n_out), weights of errors (steps,)."""

    x: Any
    begin: Any
    target: Any
    weight: Any


class Weights(NamedTuple):
    """A (n_out, n), W input-major (n, n), B (n, n_in), R (n_out, n), factors M (n_out, n) and N (n_out, n_in)."""

    A: Any
    Wt: Any
    B: Any
    R: Any
    M: Any
    N: Any


class Constants(NamedTuple):
    """λ, 1 - λ, quantum, what receivers keep, payload, reset, and of learning: kind, ŵ, rates, and two switches."""

    keep: float
    gain: float
    q: float
    receiver_keep: float
    payload: int
    to_value: int
    reset_value: float
    kick: float
    learn: int
    decay: float
    rate_A: float
    rate_W: float
    rate_B: float
    symmetric: int
    correct: int
    limit: float


class State(NamedTuple):
    """Of units h (or two membranes), ĥ, current, drive, message, payload, p, signal; of outputs y, z, error; q."""

    h: Any
    off: Any
    hat: Any
    current: Any
    drive: Any
    message: Any
    payload: Any
    p: Any
    signal: Any
    y: Any
    zh: Any
    z: Any
    error: Any
    qx: Any


class Record(NamedTuple):
    """Rows of h, ĥ, y and messages, one a step; arrays without rows are not written. ``count``: events of a unit."""

    h: Any
    hat: Any
    y: Any
    message: Any
    count: Any


@part
def rest(state: Any) -> None:
    """Set everything to its value before a sequence, 0."""
    for i in range(state.h.shape[0]):
        state.h[i] = 0.0
        state.off[i] = 0.0
        state.hat[i] = 0.0
        state.current[i] = 0.0
        state.p[i] = 0.0
    for k in range(state.y.shape[0]):
        state.y[k] = 0.0
        state.zh[k] = 0.0
    for k in range(state.qx.shape[0]):
        state.qx[k] = 0.0


@part
def begin(data: Any, s: int, net: Any, c: Any, state: Any) -> None:
    """Rest at a beginning, then traces and the drive B x (and Rᵀ z) of step s."""
    if data.begin[s]:
        rest(state)
    if c.learn != NO_LEARNING:
        for i in range(state.p.shape[0]):
            state.p[i] = c.decay * state.p[i] + c.gain * state.hat[i]
        for k in range(state.qx.shape[0]):
            state.qx[k] = c.decay * state.qx[k] + c.gain * data.x[s, k]
    for i in range(state.drive.shape[0]):
        total = 0.0
        for k in range(net.B.shape[1]):
            total += net.B[i, k] * data.x[s, k]
        state.drive[i] = total
    if c.learn == FACTORED:
        for o in range(state.z.shape[0]):
            total = 0.0
            for k in range(net.N.shape[1]):
                total += net.N[o, k] * data.x[s, k]
            state.z[o] = state.zh[o] + total
        for i in range(state.drive.shape[0]):
            total = 0.0
            for o in range(state.z.shape[0]):
                total += net.R[o, i] * state.z[o]
            state.drive[i] = state.drive[i] + total


@part
def fade(c: Any, state: Any) -> None:
    """Let what receivers hold, and the senders' copy of it, decay."""
    for i in range(state.hat.shape[0]):
        state.current[i] = c.receiver_keep * state.current[i]
        state.hat[i] = c.receiver_keep * state.hat[i]
    for k in range(state.y.shape[0]):
        state.y[k] = c.receiver_keep * state.y[k]
        state.zh[k] = c.receiver_keep * state.zh[k]


@part
def deliver(net: Any, c: Any, state: Any, j: int, value: float) -> None:
    """Bring the event of unit j to all receivers."""
    for i in range(state.current.shape[0]):
        state.current[i] += net.Wt[j, i] * value
    for k in range(state.y.shape[0]):
        state.y[k] += net.A[k, j] * value
    if c.learn == FACTORED:
        for k in range(state.y.shape[0]):
            state.zh[k] += net.M[k, j] * value


@part
def learn(data: Any, s: int, net: Any, c: Any, state: Any) -> None:
    """One update by RFLO, and of what receivers hold, by the error of step s."""
    n, o, m = state.h.shape[0], state.y.shape[0], state.qx.shape[0]
    for k in range(o):
        state.error[k] = data.weight[s] * (state.y[k] - data.target[s, k])
    past, now = 0.0, 0.0
    for j in range(n):
        past += state.p[j] * state.hat[j]
        now += state.hat[j] * state.hat[j]
    if c.learn == DENSE:
        for i in range(n):
            total = 0.0
            for k in range(o):
                total += (net.A[k, i] if c.symmetric else net.R[k, i]) * state.error[k]
            state.signal[i] = total
        for i in range(n):
            if c.correct:
                state.current[i] = state.current[i] - c.rate_W * state.signal[i] * past
            for k in range(m):
                net.B[i, k] = net.B[i, k] - c.rate_B * state.signal[i] * state.qx[k]
        for j in range(n):
            for i in range(n):
                net.Wt[j, i] = net.Wt[j, i] - c.rate_W * state.signal[i] * state.p[j]
    else:
        for k in range(o):
            if c.correct:
                state.zh[k] = state.zh[k] - c.rate_W * state.error[k] * past
            for j in range(n):
                net.M[k, j] = net.M[k, j] - c.rate_W * state.error[k] * state.p[j]
            for j in range(m):
                net.N[k, j] = net.N[k, j] - c.rate_B * state.error[k] * state.qx[j]
    for k in range(o):
        if c.correct:
            state.y[k] = state.y[k] - c.rate_A * state.error[k] * now
        for j in range(n):
            net.A[k, j] = net.A[k, j] - c.rate_A * state.error[k] * state.hat[j]


@part
def write(s: int, state: Any, out: Any, paired: int) -> None:
    """Record step s."""
    if out.h.shape[0]:
        for i in range(state.h.shape[0]):
            out.h[s, i] = state.h[i] if paired == 0 else (state.h[i] - state.off[i]) / 2.0 + state.hat[i]
    if out.hat.shape[0]:
        for i in range(state.h.shape[0]):
            out.hat[s, i] = state.hat[i]
    if out.y.shape[0]:
        for k in range(state.y.shape[0]):
            out.y[s, k] = state.y[k]
    if out.message.shape[0]:
        for i in range(state.h.shape[0]):
            out.message[s, i] = state.message[i]
    for i in range(state.h.shape[0]):
        if state.message[i] != 0:
            out.count[i] += 1


@part
def within(state: Any, limit: float) -> bool:
    """Tell whether every output is a number of at most ``limit``."""
    for k in range(state.y.shape[0]):
        if not abs(state.y[k]) <= limit:
            return False
    return True


@kernel
def run_graded(data: Any, net: Any, c: Any, state: Any, out: Any) -> int:
    """Run with states sent at every step; return the number of steps done."""
    n, o = state.h.shape[0], state.y.shape[0]
    for s in range(data.x.shape[0]):
        begin(data, s, net, c, state)
        for i in range(n):
            state.h[i] = c.keep * state.h[i] + c.gain * (state.current[i] + state.drive[i])
            state.hat[i] = state.h[i]
        for i in range(n):
            state.current[i] = 0.0
        for k in range(o):
            total = 0.0
            for j in range(n):
                total += net.A[k, j] * state.h[j]
            state.y[k] = total
        if out.y.shape[0]:
            for k in range(o):
                out.y[s, k] = state.y[k]
        if not within(state, c.limit):
            return s
        if c.learn != NO_LEARNING:
            learn(data, s, net, c, state)
        for j in range(n):
            for i in range(n):
                state.current[i] += net.Wt[j, i] * state.h[j]
        if c.learn == FACTORED:
            for k in range(o):
                total = 0.0
                for j in range(n):
                    total += net.M[k, j] * state.h[j]
                state.zh[k] = total
        if out.h.shape[0]:
            for i in range(n):
                out.h[s, i] = state.h[i]
        if out.hat.shape[0]:
            for i in range(n):
                out.hat[s, i] = state.h[i]
        for i in range(n):
            out.count[i] += 1
    return data.x.shape[0]


@kernel
def run_sigma_delta(data: Any, net: Any, c: Any, state: Any, out: Any) -> int:
    """Run with differences sent when they are due; return the number of steps done."""
    n = state.h.shape[0]
    for s in range(data.x.shape[0]):
        begin(data, s, net, c, state)
        for i in range(n):
            state.h[i] = c.keep * state.h[i] + c.gain * (state.current[i] + state.drive[i])
        if c.receiver_keep != 1.0:
            fade(c, state)
        for i in range(n):
            gap = state.h[i] - state.hat[i]
            whole = np.floor(gap / c.q + 0.5)
            value = c.q * whole
            if c.payload == UNIT:
                whole = min(max(whole, -1.0), 1.0)
                value = c.q * whole
            elif c.payload == RESIDUAL:
                value = gap if whole != 0.0 else 0.0
                whole = min(max(whole, -1.0), 1.0)
            state.message[i] = whole
            state.payload[i] = value
            state.hat[i] = state.hat[i] + value
        for j in range(n):
            if state.message[j] != 0:
                deliver(net, c, state, j, state.payload[j])
        write(s, state, out, 0)
        if not within(state, c.limit):
            return s
        if c.learn != NO_LEARNING:
            learn(data, s, net, c, state)
    return data.x.shape[0]


@kernel
def run_lif_pair(data: Any, net: Any, c: Any, state: Any, out: Any) -> int:
    """Run with pairs of leaky integrate-and-fire neurons; return the number of steps done."""
    n = state.h.shape[0]
    threshold = c.q / 2.0
    for s in range(data.x.shape[0]):
        begin(data, s, net, c, state)
        for i in range(n):
            total = c.gain * (state.current[i] + state.drive[i])
            state.h[i] = c.keep * state.h[i] + total
            state.off[i] = c.keep * state.off[i] - total
        fade(c, state)
        for i in range(n):
            state.message[i] = 1.0 if state.h[i] >= threshold else -1.0 if state.off[i] > threshold else 0.0
        for j in range(n):
            if state.message[j] > 0:
                deliver(net, c, state, j, c.q)
                state.h[j] = c.reset_value if c.to_value else state.h[j] - c.q
                state.off[j] = state.off[j] + c.kick
                state.hat[j] = state.hat[j] + c.q
        for j in range(n):
            if state.message[j] < 0:
                deliver(net, c, state, j, -c.q)
                state.off[j] = c.reset_value if c.to_value else state.off[j] - c.q
                state.h[j] = state.h[j] + c.kick
                state.hat[j] = state.hat[j] - c.q
        write(s, state, out, 1)
        if not within(state, c.limit):
            return s
        if c.learn != NO_LEARNING:
            learn(data, s, net, c, state)
    return data.x.shape[0]
