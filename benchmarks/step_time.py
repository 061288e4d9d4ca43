"""Time of one online learning step, floating point beside fixed point, as ratios in one run.

    python benchmarks/step_time.py [--sizes 64 256 1024] [--json FILE]

The variants take turns and the best of several rounds is kept, in processor time of this thread, so that a busy
machine disturbs little. Compiling is not counted. int16 has the formats of the preset of that name.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

import neurolrnn as nl
from neurolrnn.engine import Engine
from neurolrnn.fixed_grid import Setting
from neurolrnn.number_system import make_numbers
from neurolrnn.schedule import Schedule

FACTORED, DENSE = nl.RFLO(storage="factored"), nl.RFLO(storage="dense")
VARIANTS: dict[str, tuple[nl.Rule, nl.Precision]] = {
    "rflo factored float32": (FACTORED, nl.Precision.float32()),
    "rflo factored float64": (FACTORED, nl.Precision.float64()),
    "rflo factored int16 nearest": (FACTORED, nl.Precision.preset("int16")),
    "rflo factored int16 stochastic": (FACTORED, nl.Precision.preset("int16", rounding="stochastic")),
    "rflo dense float32": (DENSE, nl.Precision.float32()),
    "rflo dense int16 nearest": (DENSE, nl.Precision.preset("int16")),
    "rflo dense int16 stochastic": (DENSE, nl.Precision.preset("int16", rounding="stochastic")),
    "tbptt(1) float32": (nl.TruncatedBPTT(1), nl.Precision.float32()),
    "e-prop float32": (nl.EProp(), nl.Precision.float32()),
}
REFERENCE = "rflo factored float32"


def learner(n: int, rule: nl.Rule, precision: nl.Precision, steps: int) -> tuple[Engine, object]:
    """A learner of n units with 16 inputs and 1 output, and the steps it is to make."""
    rng = np.random.default_rng(0)
    net = nl.Network.random(16, n, 1, leak=0.3, seed=0, input_scale=0.3)
    data = nl.Sequences.from_arrays(rng.normal(0, 0.3, (steps, 16)), rng.normal(0, 0.3, (steps, 1)))
    training = nl.Training(learning_rate=1e-4)
    R = rule.feedback_matrix(1, n, 0)
    numbers = make_numbers(precision, Setting(net, rule, training, R, "squared-error", 1, steps, 0))
    engine = Engine(net, rule, training, numbers, feedback=R, data=data, weights=data.mask, loss="squared-error")
    return engine, Schedule(data).epoch(0)


def measure(n: int, rounds: int) -> dict[str, float]:
    """Microseconds a step of every variant."""
    steps = max(100, min(4000, 2**22 // (n * n)))
    ready = {name: learner(n, rule, precision, steps) for name, (rule, precision) in VARIANTS.items()}
    best = dict.fromkeys(VARIANTS, float("inf"))
    for _ in range(rounds + 1):  # the first round compiles
        for name, (engine, piece) in ready.items():
            began = time.thread_time()
            engine.run(piece)
            best[name] = min(best[name], (time.thread_time() - began) / steps * 1e6)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {n: measure(n, options.rounds) for n in options.sizes}
    for n, times in found.items():
        print(f"n = {n}")
        rows = [(name, f"{us:8.2f} µs", f"{us / times[REFERENCE]:6.2f} x") for name, us in times.items()]
        print("\n".join("  ".join((name.ljust(32), us, ratio)) for name, us, ratio in rows), end="\n\n")
    if options.json:
        options.json.write_text(
            json.dumps({"machine": platform.processor() or platform.machine(), "us": found}, indent=1)
        )


if __name__ == "__main__":
    main()
