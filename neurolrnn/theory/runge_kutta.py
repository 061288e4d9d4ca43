"""Differential equations whose columns may run away one by one: Dormand and Prince's method with controlled error."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError

Array = NDArray[np.float64]

MOST_STEPS = 500_000

# Dormand & Prince (1980), order 5 with an error estimate of order 4. Autonomous equations need no nodes.
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def runge_kutta(
    slope: Callable[[Array], Array], start: Array, t: Array, tolerance: float, *, coupled: bool = False
) -> tuple[Array, Array]:
    """Solve dy/dt = slope(y) with controlled error; steps land on every wanted time.

    Parameters
    ----------
    slope : function
        Takes (variables, columns) and returns the same shape; NaN where there is no slope. A column depends on itself
        alone unless `coupled`.
    start : (variables, columns)
    t : (times,)
        Rising.
    tolerance : float
        Error per step, relative to the values and to 1e-3.
    coupled : bool
        Whether one lost column loses all.

    Returns
    -------
    path : (times, variables, columns)
        NaN where a column is lost.
    lost : (columns,)
        Time at which a column ran away: its step size went to 0 or its values beyond all numbers. inf if never.

    Raises
    ------
    InputError
        If it takes more than :data:`MOST_STEPS` steps.
    """
    y, now = start.copy(), 0.0
    path, lost = np.full((len(t), *y.shape), np.nan), np.full(y.shape[1], math.inf)
    alive = np.ones(y.shape[1], dtype=bool)

    def safe(values: Array) -> Array:
        # Lost columns are kept at 0, where every slope exists.
        return slope(np.where(alive, values, 0.0))

    k0, step = safe(y), 1e-3
    taken = 0
    for i, end in enumerate(t):
        while now < end and alive.any():
            taken += 1
            if taken > MOST_STEPS:
                raise InputError(
                    f"more than {MOST_STEPS} steps up to t = {now:.4g}: the equations are too stiff (a mode near "
                    "|w| = 1 or a near 0); take fewer units of time or a larger tolerance"
                )
            h = min(step, end - now)
            K, new = [k0], y
            with np.errstate(all="ignore"):
                for row in STAGES:
                    new = y + h * sum(r * k for r, k in zip(row, K, strict=True))
                    K.append(safe(new))
                off = h * sum(e * k for e, k in zip(ERROR, K, strict=True))
                scale = tolerance * np.maximum(1e-3, np.maximum(np.abs(y), np.abs(new)))
                errors = np.where(np.isfinite(new) & np.isfinite(K[-1]), np.abs(off) / scale, np.inf)
            worst = np.where(alive, np.nan_to_num(errors, nan=np.inf).max(axis=0), 0.0)
            error = float(worst.max())
            if error <= 1.0:
                y, k0, now = new, K[-1], end if h == end - now else now + h
                step = h * min(5.0, 0.9 * max(error, 1e-10) ** -0.2) if h == step or error > 0.1 else step
            else:
                step = h * max(0.1, 0.9 * error**-0.2) if math.isfinite(error) else 0.1 * h
                if step < 1e-13 * max(1.0, now):
                    gone = np.full_like(alive, True) if coupled else worst > 1.0
                    lost[gone & alive] = now
                    alive &= ~gone
                    k0, step = safe(y), 1e-6
        path[i] = np.where(alive, y, np.nan)
    return path, lost
