"""Many runs at a time: one thread pool over whole runs, each in one thread from its first step to its last.

Runs in a process of its own, on all cores: ``python -m benchmarks.sweeps '{"n": 64, ...}'`` prints rows as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from benchmarks import machine


def measure(sizes: tuple[int, ...], rounds: int, seconds: float) -> list[Any]:
    """Time sweeps of seeds at each size on one thread and on every other number of threads that the machine has."""
    from benchmarks import contenders, ours
    from benchmarks.clock import Clock, ratio, sample
    from benchmarks.results import Row
    from benchmarks.whole_runs import RATE
    from benchmarks.work import Work

    precision, rows = "float32", []
    threads = sorted({1, min(2, machine.cores()), machine.cores()})
    for n in sizes:
        work = Work(n, steps=max(200, min(4000, 2**26 // (n * n))), learning_rate=RATE)
        runs = 4 * threads[-1]
        engine, piece = ours.make_engine(work, contenders.FACTORED(work), ours.PRECISIONS[precision])
        engine.run(piece)
        epochs = max(1, round(seconds / runs / sample(partial(engine.run, piece)).wall))
        works = [replace(work, seed=k) for k in range(runs)]
        engines = [ours.make_engine(w, contenders.FACTORED(w), ours.PRECISIONS[precision])[0] for w in works]

        def kernel(k: int, engines: Any = engines, piece: Any = piece, epochs: int = epochs) -> None:
            for _ in range(epochs):
                engines[k].run(piece)

        simulated = [ours.simulate(contenders.FACTORED, precision, epochs)(w) for w in works]
        sweep: dict[str, Callable[[int], Any]] = {"nl.simulate": partial(_call, simulated), "kernel alone": kernel}
        sweep["nl.simulate"](0)
        for name, one in sweep.items():
            clocks: dict[int, list[Clock]] = {t: [] for t in threads}
            for _ in range(rounds):
                for t in threads:
                    with ThreadPoolExecutor(t) as pool:
                        clocks[t].append(sample(partial(_all, pool, one, runs)))
            for t in threads:
                gain = ratio([c.wall for c in clocks[1]], [c.wall for c in clocks[t]]).median
                rows.append(
                    Row("sweeps", "", "neurolrnn", f"RFLO factored, {precision}: {name}",
                        {**work.size(), "threads": t}, "s", [c.wall for c in clocks[t]], [c.cpu for c in clocks[t]],
                        {"runs": runs, "steps": epochs * work.steps, "speedup": gain})
                )  # fmt: skip
    return rows


def _call(calls: list[Callable[[], Any]], k: int) -> Any:
    return calls[k]()


def _all(pool: ThreadPoolExecutor, one: Callable[[int], Any], runs: int) -> None:
    list(pool.map(one, range(runs)))


def main() -> None:
    """Measure as the argument says and print rows."""
    machine.pin()
    machine.unpin()
    print(json.dumps([asdict(row) for row in measure(**json.loads(sys.argv[1]))], allow_nan=False))


if __name__ == "__main__":
    main()
