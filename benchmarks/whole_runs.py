"""A run as a user makes it, ``nl.simulate``, and what of it its kernel took: what the rest costs.

Both are measured in one run. A kernel called beside the run would work on other arrays, and where arrays happen to lie
moves a kernel's time by more than what is to be measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import neurolrnn as nl
from benchmarks import contenders, ours
from benchmarks.clock import Clock, ratio, sample
from benchmarks.ours import MakeRule
from benchmarks.results import Row
from benchmarks.work import Work
from neurolrnn.engine import Engine

SECONDS = 1.2
"""A whole run lasts about so long, so that what it costs beyond its steps is seen in proportion."""
RATE = 1e-5
"""Of runs of millions of steps, on targets that cannot be learned."""
RULES: tuple[tuple[str, MakeRule, str], ...] = (
    ("RFLO factored", contenders.FACTORED, "float32"),
    ("RFLO factored", contenders.FACTORED, "int16 nearest"),
    ("RFLO factored, Schur basis", contenders.SCHUR, "float32"),
    ("RFLO dense", contenders.DENSE, "float32"),
    ("e-prop", lambda work: nl.EProp(), "float32"),
)


def measure(sizes: tuple[int, ...], rounds: int, count: int = len(RULES), seconds: float = SECONDS) -> list[Row]:
    """Time the first ``count`` of :data:`RULES` at each size, a whole run once a round."""
    rows = []
    for n in sizes:
        work = Work(n, steps=max(200, min(4000, 2**26 // (n * n))), learning_rate=RATE)
        for title, rule, precision in RULES[:count]:
            try:
                rows += _pair(work, f"{title}, {precision}", rule, precision, rounds, seconds)
            except (contenders.Unavailable, nl.NeurolrnnError) as why:
                status = "absent" if isinstance(why, contenders.Unavailable) else "failed"
                name = f"{title}, {precision}: nl.simulate"
                rows.append(Row("runs", "", "neurolrnn", name, work.size(), "µs", status=status, note=str(why)))
    return rows


def _pair(work: Work, name: str, rule: MakeRule, precision: str, rounds: int, seconds: float) -> list[Row]:
    engine, piece = ours.make_engine(work, rule(work), ours.PRECISIONS[precision])
    engine.run(piece)
    epochs = max(1, round(seconds / min(sample(lambda: engine.run(piece)).cpu for _ in range(3))))
    run = ours.simulate(rule, precision, epochs)(work)
    ours.simulate(rule, precision, 1)(work)()  # compiles what only a whole run calls
    clocks: dict[str, list[Clock]] = {"nl.simulate": [], "its kernel": []}
    for _ in range(rounds):
        with _kernels() as inside:
            clocks["nl.simulate"].append(sample(run))
        clocks["its kernel"].append(inside())
    per_step = 1e6 / (epochs * work.steps)
    beyond = ratio([c.cpu for c in clocks["nl.simulate"]], [c.cpu for c in clocks["its kernel"]])
    return [
        Row(
            "runs", "", "neurolrnn", f"{name}: {which}", work.size(), "µs", [c.wall * per_step for c in found],
            [c.cpu * per_step for c in found],
            {"steps": epochs * work.steps, **({"overhead_percent": 100.0 * (beyond.median - 1.0)}
             if which == "nl.simulate" else {})},
        )
        for which, found in clocks.items()
    ]  # fmt: skip


@contextmanager
def _kernels() -> Iterator[Callable[[], Clock]]:
    """Add up what compiled kernels take in the engines that run meanwhile."""
    spent = [0.0, 0.0]
    ordinary = Engine.run

    def timed(kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            done = kernel(*arguments)
            spent[0] += time.perf_counter() - wall
            spent[1] += time.process_time() - cpu
            return done

        return call

    def run(engine: Engine, piece: Any) -> Any:
        kernel = engine._kernel
        engine._kernel = timed(kernel)
        try:
            return ordinary(engine, piece)
        finally:
            engine._kernel = kernel

    Engine.run = run  # type: ignore[method-assign]
    try:
        yield lambda: Clock(*spent)
    finally:
        Engine.run = ordinary  # type: ignore[method-assign]
