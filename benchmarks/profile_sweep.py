"""``python -m benchmarks.profile_sweep``: many short runs at once, beside a pool of NumPy loops and JAX's ``vmap``.

Runs of RFLO with factored storage, 32 units, 1 000 steps, each with its own seed. Ours are whole runs: network drawn,
learning, 10 points of curves, metrics, committed to a store on disk. Those of the peers learn and keep a loss, no more.
Figures of a busy machine are of little use: what others used of the processors meanwhile is printed beside each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

N, N_IN, N_OUT, STEPS = 32, 3, 2, 1000
RATE, LEAK = 0.0005, 0.5
PEER_RATE = 1e-6
"""Their weights and data are simpler ones; what a step costs does not depend on the rate while numbers stay finite."""


def experiment(preset: str) -> dict[str, Any]:
    return {
        "task": {"name": "teacher-student", "sequences": 1, "steps": STEPS, "test_sequences": 1},
        "network": {"n_rec": N, "input_scale": 0.3, "leak": LEAK},
        "rule": {"name": "rflo"},
        "training": {"learning_rate": RATE, "records": 10},
        "precision": {"preset": preset},
    }


def ours(preset: str, runs: int, **engine: int) -> None:
    import neurolrnn as nl

    with tempfile.TemporaryDirectory() as folder:
        found = nl.profile(
            nl.Experiment.from_dict(experiment(preset)), {}, seeds=runs, progress=False,
            store=Path(folder) / "sweep.sqlite", **engine,
        )  # fmt: skip
    done = sum(row.status == "completed" for row in found.rows)
    assert not found.failed and done > 0.99 * runs, f"{done} of {runs} completed, {len(found.failed)} failed"


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS, N_IN)).astype(np.float32)
    return x, (x @ rng.normal(size=(N_IN, N_OUT))).astype(np.float32)


def weights(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    shapes = ((N_OUT, N, 0.1), (N, N, 0.5 / np.sqrt(N)), (N, N_IN, 0.3), (N_OUT, N, 1 / np.sqrt(N)))
    return tuple((scale * rng.normal(size=(a, b))).astype(np.float32) for a, b, scale in shapes)


def numpy_run(seed: int) -> float:
    x, y = data()
    A, W, B, R = weights(seed)
    keep, gain, rate = (np.float32(v) for v in (1 - LEAK, LEAK, PEER_RATE))
    M, N_ = np.zeros((N_OUT, N), np.float32), np.zeros((N_OUT, N_IN), np.float32)
    h, p, q = np.zeros(N, np.float32), np.zeros(N, np.float32), np.zeros(N_IN, np.float32)
    loss = 0.0
    for t in range(STEPS):
        p, q = keep * p + gain * h, keep * q + gain * x[t]
        h = keep * h + gain * (W @ h + B @ x[t] + (M @ h + N_ @ x[t]) @ R)
        e = A @ h - y[t]
        loss += 0.5 * float(e @ e)
        step = (rate * e)[:, None]
        A -= step * h
        M -= step * p
        N_ -= step * q
    return loss / STEPS


def numpy_pool(runs: int, processes: int) -> None:
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        found = pool.map(numpy_run, range(runs), chunksize=10)
    assert np.isfinite(found).all()


def jax_vmap(runs: int) -> list[float]:
    """Return the seconds of two calls; the first compiles."""
    import jax
    import jax.numpy as jnp

    x, y = map(jnp.asarray, data())

    def one(A: Any, W: Any, B: Any, R: Any) -> Any:
        def step(carry: Any, now: Any) -> Any:
            A, M, P, h, p, q = carry
            xt, yt = now
            p, q = (1 - LEAK) * p + LEAK * h, (1 - LEAK) * q + LEAK * xt
            h = (1 - LEAK) * h + LEAK * (W @ h + B @ xt + (M @ h + P @ xt) @ R)
            e = A @ h - yt
            s = (PEER_RATE * e)[:, None]
            return (A - s * h, M - s * p, P - s * q, h, p, q), 0.5 * e @ e

        zeros = jnp.zeros
        start = (A, zeros((N_OUT, N)), zeros((N_OUT, N_IN)), zeros(N), zeros(N), zeros(N_IN))
        return jax.lax.scan(step, start, (x, y))[1].mean()

    stacked = [jnp.stack(part) for part in zip(*map(weights, range(runs)), strict=True)]
    call, seconds = jax.jit(jax.vmap(one)), []
    for _ in range(2):
        began = time.perf_counter()
        assert np.isfinite(np.asarray(call(*stacked))).all()
        seconds.append(time.perf_counter() - began)
    return seconds


def busy() -> float:
    """Seconds of processor time that the whole machine has used; NaN where that is not known."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return float("nan")
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def own() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(name: str, call: Callable[[], None], runs: int, rounds: int) -> None:
    found = []
    for _ in range(rounds):
        before, mine, began = busy(), own(), time.perf_counter()
        call()
        seconds = time.perf_counter() - began
        found.append((seconds, (busy() - before - (own() - mine)) / seconds))
    seconds, others = min(found)
    print(f"{name:34} {seconds:7.2f} s  {1e3 * seconds / runs:7.2f} ms a run   others: {others:4.2f} cores", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile_sweep", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2, help="the quickest counts")
    parser.add_argument("--jax", metavar="PYTHON", help="a Python that has JAX")
    parser.add_argument("--jax-here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.jax_here:
        first, second = jax_vmap(args.runs)
        print(f"{'JAX vmap, float32':34} {second:7.2f} s  {1e3 * second / args.runs:7.2f} ms a run   "
              f"and {first - second:.2f} s to compile")  # fmt: skip
        return
    for preset in ("float32", "int8"):
        ours(preset, 4, threads=1)  # compiles
        for engine in ({"threads": 1}, {"threads": 2}, {"processes": 1}, {"processes": 2}):
            ((kind, count),) = engine.items()
            name = f"neurolrnn, {preset}, {kind} = {count}"
            measure(name, lambda e=engine, p=preset: ours(p, args.runs, **e), args.runs, args.rounds)
    for count in (1, 2):
        measure(f"NumPy loop, float32, pool of {count}", lambda c=count: numpy_pool(args.runs, c), args.runs, 1)
    if args.jax:
        command = [args.jax, "-m", "benchmarks.profile_sweep", "--jax-here", "--runs", str(args.runs)]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[1])


if __name__ == "__main__":
    main()
