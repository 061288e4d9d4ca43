"""How long one waits: import, first run with nothing compiled, first run after that, the command. Fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.clock import Clock
from benchmarks.results import Row

FIRST_RUN = """
import numpy as np, time
import neurolrnn as nl
net = nl.Network.random(4, 32, 1, leak=0.3)
rng = np.random.default_rng(0)
task = nl.Task("start", nl.Sequences.from_arrays(rng.normal(size=(100, 4)), rng.normal(size=(100, 1))))
def go(precision):
    began = time.perf_counter()
    nl.simulate(net, task, nl.RFLO(), precision, learning_rate=0.001, progress=False)
    return time.perf_counter() - began
"""
FORMATS = (
    FIRST_RUN
    + """
go(nl.Precision.preset("int16"))
print(go(nl.Precision.preset("int16", weight="s1.12", state="s3.10", trace="s3.11", accumulator="exact")))
"""
)
JAX = """
import jax, jax.numpy as jnp
def step(carry, x):
    W, h = carry
    h = 0.7 * h + 0.3 * (W @ h + x)
    return (W - 0.001 * jnp.outer(h, h), h), h @ h
scan = jax.jit(lambda c, x: jax.lax.scan(step, c, x))
scan((jnp.eye(32), jnp.zeros(32)), jnp.zeros((100, 32)))[1].block_until_ready()
"""


def child(arguments: list[str], **variables: str) -> tuple[Clock, str]:
    """Run Python with these arguments to its end; seconds of its own, and what it printed.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    paths = [path for path in sys.path if path] + [str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **variables}
    wall, cpu = time.perf_counter(), _children()
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    clock = Clock(time.perf_counter() - wall, max(_children() - cpu, 1e-9))
    if done.returncode:
        raise RuntimeError(f"python {' '.join(arguments)[:60]!r} ended with {done.returncode}: {done.stderr[-500:]}")
    return clock, done.stdout


def _children() -> float:
    spent = os.times()
    return spent.children_user + spent.children_system


def measure(rounds: int, peers: Mapping[str, str], cold: bool = True) -> list[Row]:
    """Time every start; the one with nothing compiled once only."""
    with tempfile.TemporaryDirectory(prefix="neurolrnn-start-") as folder:
        cache = {"NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
        rows = []

        def one(who: str, name: str, arguments: list[str], times: int = rounds, **extra: float) -> None:
            try:
                clocks = [child(arguments, **cache)[0] for _ in range(times)]
                rows.append(
                    Row("start", "", who, name, {}, "s", [c.wall for c in clocks], [c.cpu for c in clocks], extra)
                )
            except RuntimeError as error:
                rows.append(Row("start", "", who, name, {}, "s", status="failed", note=str(error)))

        one("machine", "Python alone", ["-c", "pass"])
        one("numpy", "import numpy", ["-c", "import numpy"])
        one("neurolrnn", "import neurolrnn", ["-c", "import neurolrnn"])
        first = ["-c", FIRST_RUN + "go(None)"]
        if cold:
            one("neurolrnn", "process with a first run, nothing compiled", first, 1)
        else:
            child(first, **cache)
        one("neurolrnn", "process with a first run, compiled before", first)
        rows.append(
            _printed("first nl.simulate of a process, compiled before", FIRST_RUN + "print(go(None))", rounds, cache)
        )
        if cold:
            child(["-c", FORMATS], **cache)
            compiled = _entries(cache)
            row = _printed("nl.simulate with other bit widths", FORMATS, rounds, cache)
            rows.append(row)
            if row.status == "ok":
                row.extra["compiled_anew"] = _entries(cache) - compiled  # type: ignore[index]
        command = ["-m", "neurolrnn.cli"]
        one("neurolrnn", "neurolrnn --help", [*command, "--help"])
        one("neurolrnn", "neurolrnn list rules", [*command, "list", "rules"])
        target = str(Path(folder) / "run.npz")
        simulate = [*command, "simulate", "--set", "training.epochs=1", "--no-plot", "--quiet", "-o", target]
        child(simulate, **cache)
        one("neurolrnn", "neurolrnn simulate, one epoch, compiled before", simulate)
        for package in ("torch", "jax", "braintrace"):
            if not peers.get(package, "absent").startswith("absent"):
                one(package, f"import {package}", ["-c", f"import {package}"])
                if package == "jax":
                    one(package, "process with a first jit of a scan", ["-c", JAX])
        return rows


def _printed(name: str, code: str, rounds: int, cache: Mapping[str, str]) -> Row:
    """Time what a process prints of itself."""
    try:
        return Row(
            "start", "", "neurolrnn", name, {}, "s", [float(child(["-c", code], **cache)[1]) for _ in range(rounds)]
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        return Row("start", "", "neurolrnn", name, {}, "s", status="failed", note=str(error))


def _entries(cache: Mapping[str, str]) -> int:
    return sum(1 for _ in Path(cache["NUMBA_CACHE_DIR"]).rglob("*.nbc"))
