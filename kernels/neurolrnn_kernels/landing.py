"""How a row of exact integers comes to rest: rounding, overflow, updates of weights, and what is counted.

docs/numerics.md is the contract. The working type is the row's own (int32 or int64); formats, shifts, modes and
random streams are numbers in the grid row ``v``. Modes branch once a row, never inside a loop. Every expression is
cast back to the working type at each operation: Numba would otherwise widen to 64 bits and lose the vector lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.jit import inlined
from neurolrnn_kernels.noise import first_seed, nth_word, seed_step, shift_register, stream
from neurolrnn_kernels.simd import shift_left, shift_right

FLOOR, NEAREST, NEAREST_EVEN, TOWARD_ZERO, STOCHASTIC, LSB_STOCHASTIC = range(6)
SATURATE, WRAP = 0, 1


@inlined
def round_row(v: Any, row: Any, t: int, base: int) -> None:
    """Drop ``v[SHIFT]`` bits of every number in ``row``, in place; ``base`` is the element number of the first."""
    I = row.dtype.type
    s = v[at.SHIFT]
    mode = v[at.ROUNDING]
    if s <= 0:
        for i in range(row.shape[0]):
            row[i] = shift_left(row[i], -s)
        if mode == LSB_STOCHASTIC:  # a whole number of LSBs moves the weight by one of them
            for i in range(row.shape[0]):
                row[i] = min(max(row[i], I(-1)), I(1))
        return
    half = shift_left(I(1), s - 1)
    if mode == FLOOR:
        for i in range(row.shape[0]):
            row[i] = shift_right(row[i], s)
    elif mode == NEAREST:
        for i in range(row.shape[0]):
            row[i] = shift_right(I(row[i] + half), s)
    elif mode == NEAREST_EVEN:
        for i in range(row.shape[0]):
            # a tie goes up only from an odd number: add one less than half, and the last bit kept
            odd = I(shift_right(row[i], s) & I(1))
            row[i] = shift_right(I(row[i] + half - 1 + odd), s)
    elif mode == TOWARD_ZERO:
        for i in range(row.shape[0]):
            down = I(half + half - 1) if row[i] < 0 else I(0)
            row[i] = shift_right(I(row[i] + down), s)
    else:
        _round_randomly(v, row, t, base)


@inlined
def _round_randomly(v: Any, row: Any, t: int, base: int) -> None:
    I = row.dtype.type
    s = v[at.SHIFT]
    used = min(s, v[at.RANDOM_BITS])
    drop = np.uint32(32 - used)
    up = s - used
    offset = I((1 << up) >> 1)
    lsb = v[at.ROUNDING] == LSB_STOCHASTIC
    stride = v[at.STRIDE]
    if stride < 0:  # a shift register: one number after the other
        state = v[at.LFSR]
        for i in range(row.shape[0]):
            state = shift_register(state)
            r = I(I((state >> (32 - used)) << up) + offset)
            row[i] = _one_lsb(row[i], r, s) if lsb else shift_right(I(row[i] + I(r)), s)
        v[at.LFSR] = state
        return
    first = first_seed(stream(v[at.KEY], t), base, stride)
    step = seed_step(stride)
    if lsb:
        for i in range(row.shape[0]):
            r = I(shift_left(I(nth_word(first, step, i) >> drop), up) + offset)
            a = I(abs(row[i]))
            m = min(shift_right(I(a + r), s), I(1))
            row[i] = I(-m) if row[i] < 0 else m
    else:
        for i in range(row.shape[0]):
            r = I(shift_left(I(nth_word(first, step, i) >> drop), up) + offset)
            row[i] = shift_right(I(row[i] + r), s)


@inlined
def _one_lsb(x: Any, r: Any, s: int) -> int:
    m = min((abs(int(x)) + int(r)) >> s, 1)
    return -m if x < 0 else m


@inlined
def store_row(v: Any, out: Any, row: Any, lo: int, hi: int) -> None:
    """Store rounded numbers in ``out``, within the range, and count those outside it."""
    I = row.dtype.type
    low, high = I(lo), I(hi)
    events = I(0)
    if v[at.OVERFLOW] == SATURATE:
        for i in range(row.shape[0]):
            c = min(max(row[i], low), high)
            events = I(events + I(c != row[i]))
            out[i] = c
    else:
        mask = I(hi - lo)
        for i in range(row.shape[0]):
            c = I(I(I(row[i] - low) & mask) + low)
            events = I(events + I(c != row[i]))
            out[i] = c
    v[at.EVENTS] += events


@inlined
def land_row(v: Any, out: Any, row: Any, t: int, base: int) -> None:
    """Round a row in place and store it."""
    round_row(v, row, t, base)
    store_row(v, out, row, v[at.LO], v[at.HI])


@inlined
def count_nonzero(row: Any) -> int:
    """Count the numbers of a row that are not 0."""
    I = row.dtype.type
    n = I(0)
    for i in range(row.shape[0]):
        n = I(n + I(row[i] != 0))
    return n


@inlined
def update_row(v: Any, W: Any, H: Any, row: Any, t: int, base: int) -> None:
    """Subtract the rounded updates in ``row`` from the weights W, or from the hidden weights H where there are any."""
    mode = v[at.ROUNDING]
    if (
        H.shape[0] == 0
        and v[at.OVERFLOW] == SATURATE
        and v[at.SHIFT] > 0
        and (mode == FLOOR or mode == NEAREST or (mode == STOCHASTIC and v[at.STRIDE] >= 0))
    ):
        _update_row_at_once(v, W, row, t, base)
        return
    I = row.dtype.type
    wanted = count_nonzero(row)
    round_row(v, row, t, base)
    v[at.UPDATES] += wanted
    v[at.DEAD] += wanted - count_nonzero(row)
    if H.shape[0] == 0:
        for i in range(row.shape[0]):
            row[i] = I(I(W[i]) - row[i])
        store_row(v, W, row, v[at.LO], v[at.HI])
    else:
        for i in range(row.shape[0]):
            row[i] = I(I(H[i]) - row[i])
        store_row(v, H, row, v[at.LO], v[at.HI])
        show_row(v, W, H, row)


@inlined
def _update_row_at_once(v: Any, W: Any, row: Any, t: int, base: int) -> None:
    """Do the same in one pass, for the modes that most runs use: saturating, no hidden weights."""
    I = row.dtype.type
    s = v[at.SHIFT]
    low, high = I(v[at.LO]), I(v[at.HI])
    events, dead, wanted = I(0), I(0), I(0)
    if v[at.ROUNDING] == STOCHASTIC:
        used = min(s, v[at.RANDOM_BITS])
        drop = np.uint32(32 - used)
        up = s - used
        offset = I((1 << up) >> 1)
        stride = v[at.STRIDE]
        first = first_seed(stream(v[at.KEY], t), base, stride)
        step = seed_step(stride)
        for i in range(row.shape[0]):
            r = I(shift_left(I(nth_word(first, step, i) >> drop), up) + offset)
            u = row[i]
            d = shift_right(I(u + r), s)
            x = I(I(W[i]) - d)
            c = min(max(x, low), high)
            events = I(events + I(c != x))
            wanted = I(wanted + I(u != 0))
            dead = I(dead + I((u != 0) & (d == 0)))
            W[i] = c
    else:
        half = shift_left(I(1), s - 1) if v[at.ROUNDING] == NEAREST else I(0)
        for i in range(row.shape[0]):
            u = row[i]
            d = shift_right(I(u + half), s)
            x = I(I(W[i]) - d)
            c = min(max(x, low), high)
            events = I(events + I(c != x))
            wanted = I(wanted + I(u != 0))
            dead = I(dead + I((u != 0) & (d == 0)))
            W[i] = c
    v[at.EVENTS] += events
    v[at.UPDATES] += wanted
    v[at.DEAD] += dead


@inlined
def show_row(v: Any, W: Any, H: Any, row: Any) -> None:
    """Round hidden weights to what the network sees, to nearest."""
    I = row.dtype.type
    s = v[at.VISIBLE_SHIFT]
    half = I((1 << s) >> 1)
    for i in range(row.shape[0]):
        row[i] = shift_right(I(I(H[i]) + half), s)
    store_row(v, W, row, v[at.VISIBLE_LO], v[at.VISIBLE_HI])


@inlined
def hidden_index(H: Any, j: int) -> int:
    """Return which row of the hidden weights belongs to row j: j, or the one empty row where there are none."""
    return j if H.shape[1] > 0 else 0
