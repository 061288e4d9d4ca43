"""Time a learning step of sparse networks beside dense ones of the same size: the table of docs/sparse.md.

    python examples/sparse_speed.py                              # some minutes, on a machine that does nothing else
    python examples/sparse_speed.py --units 256 --densities 0.1

Each number is the shortest of some rounds in which sparse and dense learners take turns; float32, one sequence.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

import neurolrnn as nl
from neurolrnn.engine import Engine
from neurolrnn.fixed_grid import Setting
from neurolrnn.number_system import make_numbers
from neurolrnn.schedule import Schedule

RULES: dict[str, nl.Rule] = {
    "RFLO, factored": nl.RFLO(basis="given"),
    "RFLO, dense storage": nl.RFLO(storage="dense"),
    "truncated BPTT(4)": nl.TruncatedBPTT(4),
    "e-prop": nl.EProp(),
}


def make(net: nl.Network, rule: nl.Rule, precision: nl.Precision, steps: int) -> tuple[Engine, Schedule]:
    """A learner, and the steps it is timed on."""
    rng = np.random.default_rng(1)
    data = nl.Sequences.from_arrays(rng.normal(size=(steps, net.n_in)), rng.normal(size=(steps, net.n_out)))
    training = nl.Training(1e-7)
    schedule = Schedule(data)
    R = rule.feedback_matrix(net.n_out, net.n_rec, 0)
    setting = Setting(net, rule, training, R, "squared-error", 1, schedule.longest, 0)
    engine = Engine(
        net, rule, training, make_numbers(precision, setting), feedback=R, data=data, weights=data.mask,
        loss="squared-error", longest=schedule.longest,
    )  # fmt: skip
    return engine, schedule


def seconds(engine: Engine, schedule: Schedule) -> float:
    """Time of one step."""
    piece = schedule.epoch(0)
    began = time.perf_counter()
    done, _ = engine.run(piece)
    assert done == len(piece.flags)
    return (time.perf_counter() - began) / done


def measure(n: int, density: float, rule: nl.Rule, precision: nl.Precision, rounds: int) -> tuple[float, float]:
    """Seconds per step, sparse and dense."""
    steps = max(8, min(2000, 40_000_000 // n**2))
    sparse = nl.Network.random(16, n, 4, leak=0.3, kind="sparse", density=density)
    pairs = [make(net, rule, precision, steps) for net in (sparse, sparse.replace(W=sparse.W))]
    times = [[seconds(*pair) for pair in pairs] for _ in range(rounds + 1)][1:]  # the first one compiles
    best = np.min(times, axis=0)
    return float(best[0]), float(best[1])


def words(s: float) -> str:
    """A time, in micro- or milliseconds."""
    return f"{1e3 * s:.3g} ms" if s >= 1e-3 else f"{1e6 * s:.3g} µs"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--densities", type=float, nargs="+", default=[0.05, 0.1, 0.3])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", default="float32", choices=("float32", "float64", "int16"))
    args = parser.parse_args(argv)
    precision = nl.Precision.preset(args.precision)
    print("| rule | units | dense | " + " | ".join(f"density {d:g}" for d in args.densities) + " |")
    print("|---|---:|---:|" + "---:|" * len(args.densities))
    for name, rule in RULES.items():
        for n in args.units:
            found = [measure(n, density, rule, precision, args.rounds) for density in args.densities]
            dense = min(d for _, d in found)
            cells = " | ".join(f"{words(s)}, {dense / s:.2g}x" for s, _ in found)
            print(f"| {name} | {n} | {words(dense)} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
