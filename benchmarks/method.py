"""How times are taken: every contender once a round, in an order that moves on, two clocks beside each other."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import neurolrnn as nl
from benchmarks.clock import Clock, sample
from benchmarks.contenders import FAMILIES, Contender, Unavailable, contenders, reference
from benchmarks.ours import PRECISIONS, make_engine, recurrent
from benchmarks.results import Row
from benchmarks.work import DENSE_UP_TO, Program, Weights, Work, difference

SHORTEST = 0.004
"""Seconds of a sample at least; shorter work is repeated within it."""
LONGEST = 2.0
"""Seconds of a sample above which a contender gets three rounds only."""


@dataclass
class _Entry:
    contender: Contender
    program: Program | None = None
    off: float | None = None
    times: int = 1
    slow: bool = False
    status: str = "ok"
    note: str = ""
    clocks: list[Clock] = field(default_factory=list)


def tell(text: str) -> None:
    """Say on stderr what is being done."""
    print(text, file=sys.stderr, flush=True)


def expected(family: str, work: Work) -> list[Weights] | None:
    """Learn once with the reference, in float64; None where no matrix of this size is formed."""
    if work.n > DENSE_UP_TO:
        return None
    program = reference(family)(work)
    program.run()
    assert program.weights is not None
    return list(program.weights())


def ready(entry: _Entry, work: Work, learned: list[Weights] | None, tolerance: float) -> None:
    """Make a contender, let it learn once, and see whether it learned what it was to learn."""
    try:
        program = entry.contender.make(work)
        program.run()
        if entry.contender.compared and learned is not None and program.weights is not None:
            entry.off = difference(program.weights(), learned, work)
            if not entry.off <= tolerance:
                entry.status = "failed"
                entry.note = f"learned other weights: relative difference {entry.off:.2g} (allowed {tolerance:g})"
                return
        seconds = sample(program.run).wall
        entry.times = max(1, min(1000, math.ceil(SHORTEST / seconds)))
        entry.slow = seconds > LONGEST
        entry.program = program
    except Unavailable as why:
        entry.status, entry.note = "absent", str(why)
    except (nl.InputError, ArithmeticError, MemoryError, NotImplementedError) as error:
        entry.status, entry.note = "failed", f"{type(error).__name__}: {str(error).splitlines()[0]}"


def measure(family: str, work: Work, rounds: int, only: Iterable[str] = (), full: bool = True) -> list[Row]:
    """Check and time all contenders of a family at one work.

    Parameters
    ----------
    only : words
        If given, contenders whose package and name hold none of them are left out.
    full : bool
        Whether all number systems compete, or the usual ones.
    """
    words = [word.lower() for word in only]
    entries = [
        _Entry(c)
        for c in contenders(family, full)
        if c.range[0] <= work.n <= c.range[1] and (not words or any(w in f"{c.who} {c.name}".lower() for w in words))
    ]
    if not entries:
        return []
    # Beside no peer, what we learn in float32 is compared with our own float64 in the full selection only.
    peers = any(e.contender.compared and e.contender.who != "neurolrnn" for e in entries)
    learned = expected(family, work) if full or peers else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers, about themselves
        for entry in entries:
            ready(entry, work, learned, FAMILIES[family].tolerance)
        del learned
        running = [entry for entry in entries if entry.program is not None]
        for k in range(rounds):
            # Another first one each round: who follows whom, and so what is in the caches, does not stay the same.
            shift = k * max(1, len(running) // rounds) % max(1, len(running))
            for entry in running[shift:] + running[:shift]:
                if entry.status == "ok" and (not entry.slow or k < 3):
                    _take(entry)
    return [_row(entry, family, work) for entry in entries]


def _take(entry: _Entry) -> None:
    assert entry.program is not None
    try:
        entry.clocks.append(sample(entry.program.run, entry.times))
    except ArithmeticError as error:
        entry.status, entry.note, entry.clocks = "failed", str(error), []


def _row(entry: _Entry, family: str, work: Work) -> Row:
    c = entry.contender
    per_step = 1e6 / (work.steps * work.lanes)
    extra: dict[str, Any] = {"steps": work.steps}
    if entry.off is not None:
        extra["off"] = entry.off
    if entry.program is not None:
        if c.words is not None:
            word = c.word_bytes or _fixed_bytes(c, work)
            extra["bytes"] = c.words(work) * word
        if c.macs is not None:
            extra["macs"] = c.macs(work)
    return Row(
        "rules", family, c.who, c.name, work.size(), "µs", [k.wall * per_step for k in entry.clocks],
        [k.cpu * per_step for k in entry.clocks], extra, entry.status, entry.note,
    )  # fmt: skip


def _fixed_bytes(contender: Contender, work: Work) -> int:
    """Bytes of one recurrent weight in the precision that a contender's name ends with."""
    small = Work(8, 8, work.n_out)
    rule = nl.RFLO(feedback=small.feedback, storage="dense")
    engine, _ = make_engine(small, rule, PRECISIONS[contender.name.rpartition(", ")[2]])
    return recurrent(engine)[0].itemsize
