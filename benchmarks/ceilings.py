"""What this machine can do at most: passes over a matrix of each size, multiply-accumulates, memory.

Every ceiling is the best of some ways to reach it, so that no share of it flatters. These kernels may reorder sums
(fastmath), which the library's may not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from benchmarks import machine
from benchmarks.clock import Clock, sample
from benchmarks.results import Row
from benchmarks.work import Program, Work

_fast = njit(cache=True, fastmath=True, nogil=True, error_model="numpy")


@_fast  # type: ignore[untyped-decorator]
def _four_columns(Wt: Any, x: Any, y: Any) -> None:
    y[:] = 0
    for j in range(0, Wt.shape[0], 4):
        a, b, c, d = Wt[j], Wt[j + 1], Wt[j + 2], Wt[j + 3]
        x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
        for i in range(Wt.shape[1]):
            y[i] += a[i] * x0 + b[i] * x1 + c[i] * x2 + d[i] * x3


@_fast  # type: ignore[untyped-decorator]
def _eight_columns(Wt: Any, x: Any, y: Any) -> None:
    y[:] = 0
    for j in range(0, Wt.shape[0], 8):
        a, b, c, d = Wt[j], Wt[j + 1], Wt[j + 2], Wt[j + 3]
        e, f, g, h = Wt[j + 4], Wt[j + 5], Wt[j + 6], Wt[j + 7]
        x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
        x4, x5, x6, x7 = x[j + 4], x[j + 5], x[j + 6], x[j + 7]
        for i in range(Wt.shape[1]):
            y[i] += (a[i] * x0 + b[i] * x1 + c[i] * x2 + d[i] * x3) + (e[i] * x4 + f[i] * x5 + g[i] * x6 + h[i] * x7)


@_fast  # type: ignore[untyped-decorator]
def _dot16(a: Any, b: Any) -> Any:
    total = np.int32(0)
    for i in range(a.shape[0]):
        total = np.int32(total + np.int32(np.int32(a[i]) * np.int32(b[i])))
    return total


@_fast  # type: ignore[untyped-decorator]
def _rows16(W: Any, x: Any, y: Any) -> None:
    for i in range(W.shape[0]):
        y[i] = _dot16(W[i], x)


@_fast  # type: ignore[untyped-decorator]
def _dots16(times: int, a: Any, b: Any) -> Any:
    total = np.int32(0)
    for k in range(times):
        b[0] = np.int16(k)  # or one dot product would do for all
        total = np.int32(total ^ _dot16(a, b))
    return total


@_fast  # type: ignore[untyped-decorator]
def _chains(times: int, y: Any, a: Any, b: Any) -> None:
    for _ in range(times):
        for i in range(y.shape[0]):
            s = y[i]
            s = (((s * a + b) * a + b) * a + b) * a + b
            s = (((s * a + b) * a + b) * a + b) * a + b
            s = (((s * a + b) * a + b) * a + b) * a + b
            s = (((s * a + b) * a + b) * a + b) * a + b
            y[i] = s


@_fast  # type: ignore[untyped-decorator]
def _sum(a: Any) -> Any:
    total = a[0] * 0
    for i in range(a.shape[0]):
        total += a[i]
    return total


def _blas(W: Any, x: Any, y: Any) -> None:
    np.dot(W, x, out=y)


WAYS = (_four_columns, _eight_columns, _blas)
"""To form W h of a matrix whose size is a multiple of 8."""


@_fast  # type: ignore[untyped-decorator]
def _times(way: Any, times: int, W: Any, x: Any, y: Any) -> None:
    for _ in range(times):
        way(W, x, y)


def _repeat(way: Callable[..., None], times: int, *arguments: Any) -> None:
    if way is _blas:
        for _ in range(times):
            way(*arguments)
    else:
        _times(way, times, *arguments)


def _best(ways: tuple[Callable[..., None], ...], times: int, *arguments: Any) -> Callable[[], None]:
    """Return ``times`` repetitions of the fastest way, found by trying."""

    def seconds(way: Callable[..., None]) -> float:
        tries = []
        for _ in range(7):  # the first compiles
            began = time.process_time()
            _repeat(way, times, *arguments)
            tries.append(time.process_time() - began)
        return min(tries)

    way = min(ways, key=seconds)
    return lambda: _repeat(way, times, *arguments)


def _matrix(n: int, dtype: str) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    if dtype == "int16":
        return rng.integers(-99, 99, (n, n), np.int16), rng.integers(-99, 99, n, np.int16), np.zeros(n, np.int32)
    return rng.normal(size=(n, n)).astype(dtype), rng.normal(size=n).astype(dtype), np.zeros(n, dtype)


def pass_over_W(work: Work) -> Program:
    """Contender: nothing but W h in float32, as often as the others make a step."""
    return Program(_best(WAYS, work.steps, *_matrix(work.n, "float32")))


class _Ceiling(NamedTuple):
    run: Callable[[], Any]
    amount: float
    """Bytes or multiply-accumulates of one run."""
    unit: str
    held: int
    """Bytes it works on."""


def measure(sizes: tuple[int, ...], rounds: int, megabytes: int = 256) -> list[Row]:
    """Measure all ceilings: GB/s of passes over n x n matrices and of memory, GMAC/s of the arithmetic."""
    programs: dict[tuple[str, int], _Ceiling] = {}
    for n in sizes:
        times = min(20_000, max(3, 2**25 // (n * n)))
        for dtype in ("float32", "float64", "int16"):
            W, x, y = _matrix(n, dtype)
            run = _best((_rows16,) if dtype == "int16" else WAYS, times, W, x, y)
            programs[f"pass over a matrix, {dtype}", n] = _Ceiling(run, times * W.nbytes, "GB/s", W.nbytes)
    y, a, b = np.zeros(2048, np.float32), np.float32(0.5), np.float32(0.1)
    programs["multiply-add in registers, float32", 0] = _Ceiling(
        lambda: _chains(400, y, a, b), 400 * 16 * y.size, "GMAC/s", y.nbytes
    )
    S = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    out = np.empty_like(S)
    programs["matrix product, float32", 512] = _Ceiling(lambda: np.dot(S, S, out=out), 512**3, "GMAC/s", 3 * S.nbytes)
    v, w = np.random.default_rng(0).integers(-99, 99, (2, 4096), np.int16)
    programs["dot product, int16", 4096] = _Ceiling(lambda: _dots16(2000, v, w), 2000 * v.size, "GMAC/s", 2 * v.nbytes)
    big = np.ones(megabytes * 2**18, np.float32)
    programs["reading memory", 0] = _Ceiling(lambda: _sum(big), big.nbytes, "GB/s", big.nbytes)
    clocks: dict[tuple[str, int], list[Clock]] = {key: [] for key in programs}
    for ceiling in programs.values():
        ceiling.run()
    for _ in range(rounds):
        for key, ceiling in programs.items():
            clocks[key].append(sample(ceiling.run))
    rows = []
    for (name, n), ceiling in programs.items():
        giga = ceiling.amount / 1e9
        size = {"n": n} if n else {}
        rows.append(
            Row("ceilings", "", "machine", name, {**size, "cache": machine.level(ceiling.held)}, ceiling.unit,
                [giga / c.wall for c in clocks[name, n]], [giga / c.cpu for c in clocks[name, n]])
        )  # fmt: skip
    return rows
