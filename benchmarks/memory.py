"""Bytes of a learner: of the arrays that its steps use, and what the process grows by. Each in a process of its own.

``python -m benchmarks.memory '{"name": "RFLO factored, float32", "n": 64, "n_out": 1}'`` prints one row as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import machine

NAMES = (
    "RFLO factored, float32", "RFLO factored, int16 nearest", "RFLO factored, int8 nearest", "RFLO dense, float32",
    "e-prop, float32", "RFLO factored, Schur basis, float32", "RFLO factored, W₀ in blocks, float32",
)  # fmt: skip


def resident() -> int:
    """Bytes of this process in memory; 0 where the system does not tell in a way known here."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    import resource

    return pages * resource.getpagesize()


def measure(name: str, n: int, n_out: int) -> Any:
    """Build one learner, let it make some steps, and count."""
    from benchmarks import ours
    from benchmarks.contenders import FAMILIES, OURS, Unavailable
    from benchmarks.results import Row
    from benchmarks.work import Work

    title, _, precision = name.rpartition(", ")
    row = next(r for r in OURS if r.name == title and r.range[0] <= n <= r.range[1])
    work = Work(n, 16, n_out, kind=FAMILIES[row.family].kind)
    who = ("memory", "", "neurolrnn", name, work.size(), "MB")
    try:
        small = replace(work, n=8)
        warm, piece = ours.make_engine(small, row.rule(small), ours.PRECISIONS[precision])
        warm.run(piece)  # compiling and its libraries are no part of a learner
        rule, net, data = row.rule(work), work.net, (work.x, work.y)
    except Unavailable as why:
        return Row(*who, status="absent", note=str(why))
    before = resident()
    engine, piece = ours.make_engine(work, rule, ours.PRECISIONS[precision], net=net)
    engine.run(piece)
    grown = resident() - before
    state = engine.state()
    total = sum(a.nbytes for name, a in state.items() if not name.startswith("basis."))  # no step reads the way back
    fixed = sum(a.nbytes for a in ours.recurrent(engine)) if engine.factored else 0
    held = sum(a.nbytes for a in ours.arrays(engine).values())
    del data
    return Row(
        *who, [total / 1e6], [],
        {"beyond_W0": (total - fixed) / 1e6, "all_arrays": held / 1e6, "resident": grown / 1e6},
    )  # fmt: skip


def main() -> None:
    """Measure as the argument says and print the row."""
    machine.pin()
    print(json.dumps([asdict(measure(**json.loads(sys.argv[1])))], allow_nan=False))


if __name__ == "__main__":
    main()
