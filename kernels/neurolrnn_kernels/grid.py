"""The grid: one row a variable, saying where results come to rest.

Kernels get it as one int64 array (variables, fields). Real arithmetic does not read it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VARIABLES = (
    "current", "state", "readout", "error", "signal", "trace", "input_trace", "rate_A", "rate_W", "rate_B",
    "A", "W", "B", "coupling", "eligibility", "input_eligibility", "trace_decay", "back_current", "back_signal",
)  # fmt: skip
(
    CURRENT, STATE, READOUT, ERROR, SIGNAL, TRACE, INPUT_TRACE, RATE_A, RATE_W, RATE_B,
    A, W, B, COUPLING, ELIGIBILITY, INPUT_ELIGIBILITY, TRACE_DECAY, BACK_CURRENT, BACK_SIGNAL,
) = range(len(VARIABLES))  # fmt: skip

FIELDS = 24
"""Room for one variable: format, rounding, overflow, alignment, noise, counters."""


def real_grid() -> NDArray[np.int64]:
    """Return the grid of real arithmetic, which lands everything as it is."""
    return np.zeros((len(VARIABLES), FIELDS), np.int64)
