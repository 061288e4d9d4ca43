"""Mackey-Glass: predict a chaotic series some time ahead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, positive_integer, real_number
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.tasks.common import flag, stream


def make(
    *,
    horizon: int = 6,
    steps: int = 4000,
    test_steps: int = 1000,
    washout: int = 100,
    delay: float = 17.0,
    beta: float = 0.2,
    gamma: float = 0.1,
    exponent: float = 10.0,
    sample: float = 1.0,
    substeps: int = 10,
    transient: int = 1000,
    standardise: bool = True,
    seed: int = 0,
) -> Task:
    """Predict a chaotic series.

    Parameters
    ----------
    horizon : int
        Samples ahead: the input is x(t), the target x(t + horizon).
    steps : int
        Length of the training stream, more than ``washout``.
    test_steps : int
        Length of the test stream, which follows on the training stream, more than ``washout``; 0 for none.
    washout : int
        Steps at the start of each stream that carry no error, while the state h fills up from 0.
    delay, beta, gamma, exponent : float
        τ, β, γ, n of dx/dt = β x(t - τ) / (1 + x(t - τ)ⁿ) - γ x(t); all above 0.
    sample : float
        Time between two steps of the task.
    substeps : int
        Integration steps in one sample; the delay must be a whole number of them.
    transient : int
        Samples thrown away before the training stream.
    standardise : bool
        Whether the mean of the training inputs is taken off and they are scaled to variance 1 (the same shift and
        scale for targets and test). The network has no bias, so it should stay on.
    seed : int
        Seed of the constant history x(t ≤ 0), uniform in [1.1, 1.3].

    Notes
    -----
    Integrated by the classical Runge-Kutta method; delayed values between grid points by cubic Hermite
    interpolation. The test stream follows on the training stream, so its first inputs are the last training targets.
    Source: Mackey & Glass (Science 197, 1977) for the equation; which horizon is the default is this
    package's choice.
    """
    positive_integer("horizon", horizon)
    positive_integer("washout", washout, 0)
    positive_integer("transient", transient, 0)
    for name, value in (("steps", steps), ("test_steps", test_steps)):
        positive_integer(name, value, 0 if name == "test_steps" else 1)
        if value <= washout and not (name == "test_steps" and value == 0):
            raise InputError(f"{name} = {value}; more than the washout ({washout}) is needed")
    total = transient + steps + test_steps + horizon
    history = float(stream(seed, "mackey-glass/history").uniform(1.1, 1.3))
    x = series(total, history, delay, beta, gamma, exponent, sample, substeps)[transient:, np.newaxis]
    if flag("standardise", standardise):
        spread = float(x[:steps].std())
        if spread < 1e-9:
            raise InputError("the series does not move, so it cannot be standardised; give a longer delay")
        x = (x - x[:steps].mean()) / spread
    ends = [(0, steps)] + ([(steps, steps + test_steps)] if test_steps else [])
    streams = [
        Sequences.from_arrays(x[a:b], x[a + horizon : b + horizon], mask=(np.arange(b - a) >= washout).astype(float))
        for a, b in ends
    ]
    return Task("mackey-glass", streams[0], streams[1] if test_steps else None)


def series(
    samples: int,
    history: float = 1.2,
    delay: float = 17.0,
    beta: float = 0.2,
    gamma: float = 0.1,
    exponent: float = 10.0,
    sample: float = 1.0,
    substeps: int = 10,
) -> NDArray[np.float64]:
    """Return x(0), x(sample), x(2 sample), … of the Mackey-Glass equation with x = ``history`` up to time 0.

    Raises
    ------
    InputError
        If a parameter is not above 0, or the delay is no whole number of integration steps.
    """
    positive_integer("samples", samples)
    tau, b, g, n, spacing = (
        real_number(name, value, above=0.0)
        for name, value in (
            ("delay", delay), ("beta", beta), ("gamma", gamma), ("exponent", exponent), ("sample", sample),
        )
    )  # fmt: skip
    x0 = real_number("history", history, above=0.0)
    dt = spacing / positive_integer("substeps", substeps)
    lag = round(tau / dt)
    if lag < 1 or abs(lag * dt - tau) > 1e-9 * tau:
        raise InputError(
            f"delay = {tau:g} is no whole number of integration steps of {dt:g}; change sample or substeps"
        )

    def slope(now: float, late: float) -> float:
        power: float = late**n
        return b * late / (1.0 + power) - g * now

    steps = (samples - 1) * substeps
    x, f = np.empty(steps + 1).tolist(), np.empty(steps + 1).tolist()  # lists: scalars of arrays are slow
    x[0], f[0] = x0, slope(x0, x0)
    for k in range(steps):
        i = k - lag  # the delayed interval is [i, i + 1]; before 0 it is the constant history
        if i < 0:
            left = middle = right = x0
        else:
            left, right = x[i], x[i + 1]
            middle = 0.5 * (left + right) + 0.125 * dt * (f[i] - f[i + 1])
        k1 = slope(x[k], left)
        k2 = slope(x[k] + 0.5 * dt * k1, middle)
        k3 = slope(x[k] + 0.5 * dt * k2, middle)
        k4 = slope(x[k] + dt * k3, right)
        x[k + 1] = x[k] + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        f[k + 1] = slope(x[k + 1], right)
    return np.array(x[::substeps])
