"""Two clocks for one piece of work, and how samples are put together."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Clock(NamedTuple):
    """Seconds of one sample."""

    wall: float
    cpu: float
    """Of all threads of the process: what a busy machine does not add to."""


def sample(run: Callable[[], Any], times: int = 1) -> Clock:
    """Time ``times`` calls, without the garbage collector in between; the seconds of one."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        if collecting:
            gc.enable()
    return Clock(max(wall, 1e-9) / times, max(cpu, 1e-9) / times)


class Spread(NamedTuple):
    """Median of some samples, and their quartiles."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles; of fewer than three samples, the extremes."""
    if len(values) < 3:
        return Spread(statistics.median(values), min(values), max(values))
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratio(values: Sequence[float], others: Sequence[float]) -> Spread:
    """Return the spread of ``values / others``, each of one round: what disturbed a round disturbed both."""
    return spread([a / b for a, b in zip(values, others, strict=False)])
