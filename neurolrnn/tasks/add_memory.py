"""Add memory: a weighted sum of two past binary inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, positive_integer
from neurolrnn.tasks.base import Loss, Sequences, Task
from neurolrnn.tasks.common import flag, stream


def make(
    *,
    t1: int = 3,
    t2: int = 6,
    steps: int = 5000,
    test_steps: int = 1000,
    sequences: int = 1,
    draw: bool = False,
    loss: Loss = "squared-error",
    seed: int = 0,
) -> Task:
    """Remember the inputs of t1 and t2 steps ago.

    Parameters
    ----------
    t1, t2 : int
        Lags in steps, at least 0: y*(t) = 0.5 + 0.5 x(t - t1) - 0.25 x(t - t2).
    steps : int
        Length of a training sequence, more than the longer lag.
    test_steps : int
        Length of the one test sequence, more than the longer lag; 0 for none.
    sequences : int
        Number of training sequences.
    draw : bool
        Whether the targets are 0 or 1, drawn with probability y*; otherwise they are y* itself.
    loss : str
        ``"squared-error"``, which a linear network can bring to 0, or ``"cross-entropy"``.
    seed : int
        Seed of inputs and drawn targets.

    Notes
    -----
    x(t) is 0 or 1 with equal odds, independent over time. The input channels are x and 1 - x, the outputs y* and
    1 - y*. The first max(t1, t2) steps of a sequence carry no error, since their target would need inputs from
    before its start; the stored target counts those inputs as 0. Source: Marschall, Cho & Savin (JMLR 21, 2020), "Add
    task", and their code; their cyclic shift at the start is replaced by the mask, and which lags are the default is
    this package's choice.
    """
    lags = positive_integer("t1", t1, 0), positive_integer("t2", t2, 0)
    for name, value in (("steps", steps), ("test_steps", test_steps)):
        positive_integer(name, value, 0 if name == "test_steps" else 1)
        if value <= max(lags) and not (name == "test_steps" and value == 0):
            raise InputError(f"{name} = {value}; more than the longer lag ({max(lags)}) is needed")
    positive_integer("sequences", sequences)
    flag("draw", draw)
    train = _draw(stream(seed, "add-memory/train"), sequences, steps, lags, draw)
    test = _draw(stream(seed, "add-memory/test"), 1, test_steps, lags, draw) if test_steps else None
    return Task("add-memory", train, test, loss)


def _draw(rng: np.random.Generator, sequences: int, steps: int, lags: tuple[int, int], draw: bool) -> Sequences:
    x = rng.integers(0, 2, (sequences, steps)).astype(np.float64)
    y = 0.5 + 0.5 * _late(x, lags[0]) - 0.25 * _late(x, lags[1])
    if draw:
        y = (rng.random(y.shape) < y).astype(np.float64)
    mask = np.broadcast_to(np.arange(steps) >= max(lags), x.shape).astype(np.float64)
    return Sequences.from_arrays(np.stack([x, 1.0 - x], axis=-1), np.stack([y, 1.0 - y], axis=-1), mask=mask)


def _late(x: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    late = np.zeros_like(x)
    late[:, lag:] = x[:, : x.shape[1] - lag]
    return late
