"""The grid: one row a variable, saying where results come to rest, and counting what happens there.

Kernels get it as one int64 array (variables, fields). Real arithmetic does not read it.
docs/numerics.md says what each landing is; the numbers of the rows are part of that contract (random bits use them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VARIABLES = (
    "current", "state", "readout", "error", "signal", "trace", "input_trace", "rate_A", "rate_W", "rate_B",
    "A", "W", "B", "coupling", "eligibility", "input_eligibility", "trace_decay", "back_current", "back_signal",
    "message",
)  # fmt: skip
(
    CURRENT, STATE, READOUT, ERROR, SIGNAL, TRACE, INPUT_TRACE, RATE_A, RATE_W, RATE_B,
    A, W, B, COUPLING, ELIGIBILITY, INPUT_ELIGIBILITY, TRACE_DECAY, BACK_CURRENT, BACK_SIGNAL,
    MESSAGE,
) = range(len(VARIABLES))  # fmt: skip

FIELDS = (
    "shift", "rounding", "overflow", "lo", "hi", "frac",
    "key", "stride", "random_bits", "lfsr",
    "lift_0", "lift_1", "lift_2", "block_0", "block_1", "block_2", "accumulator", "acc_lo", "acc_hi",
    "visible_shift", "visible_lo", "visible_hi", "loss_frac",
    "events", "acc_events", "dead", "updates", "apart",
)  # fmt: skip
(
    SHIFT, ROUNDING, OVERFLOW, LO, HI, FRAC,
    KEY, STRIDE, RANDOM_BITS, LFSR,
    LIFT_0, LIFT_1, LIFT_2, BLOCK_0, BLOCK_1, BLOCK_2, ACCUMULATOR, ACC_LO, ACC_HI,
    VISIBLE_SHIFT, VISIBLE_LO, VISIBLE_HI, LOSS_FRAC,
    EVENTS, ACC_EVENTS, DEAD, UPDATES, APART,
) = range(len(FIELDS))  # fmt: skip

FEWEST_TERMS, MOST_TERMS = 4, 64
"""Fields ``block_k`` are 0, or how many terms of a sum always fit 32 bits before they join a 64-bit accumulator."""

EXACT, ACC_SATURATE, ACC_WRAP = 0, 1, 2
"""Values of the field ``accumulator``."""


def real_grid() -> NDArray[np.int64]:
    """Return the grid of real arithmetic, which lands everything as it is."""
    return np.zeros((len(VARIABLES), len(FIELDS)), np.int64)
