"""What a kernel is given: plain named tuples of arrays and numbers.

Letters are the paper's. ``lanes`` counts the sequences that run side by side; every array of activity is
(lanes, n), every weight array is input-major except A, M, N and R, which are (n_out, n).
Changing a number here compiles nothing; changing the dtype of the arrays compiles the rule for another number system.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

START = 1
"""Flag of a step: sequences begin here; state and traces are cleared before it."""
END = 2
"""Flag of a step: sequences end here, and an update per episode is made after it; START follows."""

SQUARED_ERROR = 0
CROSS_ENTROPY = 1

Array = NDArray[np.generic]


class Data(NamedTuple):
    """Sequences, and the order of the steps of this call."""

    x: Array
    """(rows, n_in) inputs of all sequences."""
    target: Array
    """(rows, n_out)."""
    weight: Array
    """(rows,) weight of the error at each row; 0 outside the error window."""
    rows: NDArray[np.int64]
    """(steps, lanes) row that each lane reads at each step; -1 is padding."""
    flags: NDArray[np.uint8]
    """(steps,) START and END."""


class Weights(NamedTuple):
    """Parameters, written in place by the groups that learn."""

    A: Array
    """(n_out, n) read-out."""
    Wt: Any
    """(n, n) recurrent weights, input-major: row j holds what unit j sends. Factored storage and sparse weights are
    held otherwise, see :mod:`neurolrnn_kernels.recurrent`."""
    Bt: Array
    """(n_in, n) input weights, input-major."""
    R: Array
    """(n_out, n) feedback."""
    M: Array
    """(n_out, n) recurrent factor, W = W0 + Rᵀ M; no rows where W is stored densely."""
    N: Array
    """(n_out, n_in) input factor, B = B0 + Rᵀ N."""
    hidden_A: Array
    """Weights of a finer format behind A; (1, 0) where there are none."""
    hidden_W: Array
    """Behind W, or behind M in factored storage; (1, synapses) behind sparse W."""
    hidden_B: Array
    """Behind B, or behind N."""


class Constants(NamedTuple):
    """Numbers of the network, the rule and the optimiser."""

    keep: float
    """1 - α."""
    gain: float
    """α."""
    decay: float
    """ŵ of the traces."""
    rate_A: float
    rate_W: float
    rate_B: float
    momentum: float
    clip_A: float
    """Bound of |A|; infinite for none. In factored storage clip_W and clip_B bound the factors."""
    clip_W: float
    clip_B: float
    learn_A: bool
    learn_W: bool
    learn_B: bool
    symmetric: bool
    """Feedback is the current A instead of R."""
    direct: bool
    """Every step's update goes straight into the weights: online, without momentum."""
    episode: bool
    """Updates wait for END."""
    loss: int
    """SQUARED_ERROR or CROSS_ENTROPY."""
    limit: float
    """Largest output in absolute value before the run counts as diverged."""
    first: int
    """Number of the first step of this call, counted over the whole run."""
    every: int
    """Steps whose updates are summed before one is made, counted over the whole run; 1 for none."""
    sends: float
    """1 where units send their state in a format of its own, else 0."""


class Lanes(NamedTuple):
    """Activity of the network, one row a lane."""

    x: Array
    target: Array
    weight: Array
    h: Array
    """(lanes, n) what units send: their state, or that in the format of a message."""
    own: Array
    """(lanes, n) state that units keep; the same array as ``h`` where messages have no format of their own."""
    drive: Array
    """(lanes, n) accumulator; between steps it holds W h."""
    u: Array
    """(lanes, n) current that reaches the units."""
    y: Array
    e: Array
    L: Array
    """(lanes, n) learning signal."""
    acc_out: Array
    """(lanes, n_out) accumulator."""
    acc_rec: Array
    """(lanes, n) accumulator."""
    z: Array
    """(lanes, n_out) M h + N x, what the factors send back through R."""
    g_out: Array
    """(lanes, n_out) error times learning rate."""
    g_rec: Array
    """(lanes, n) learning signal times learning rate."""
    ahead_x: Array
    """(block·lanes, n_in) inputs of some steps to come; no rows where nothing is calculated ahead."""
    ahead: Array
    """(block·lanes, n) B x of these steps."""
    work: Array
    """(longest row,) to calculate in; wide enough for every product that is not part of a long sum."""


class Gradients(NamedTuple):
    """Accumulated updates and their momentum, in the layout of the weights."""

    A: Array
    W: Any
    B: Array
    velocity_A: Array
    velocity_W: Any
    velocity_B: Array
