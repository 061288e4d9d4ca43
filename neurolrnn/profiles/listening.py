"""Listening to one run: the values of every variable at sampled steps, and the counters of fixed point at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn.engine import Engine
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.precision import Precision
from neurolrnn.profiles.spread import Spread
from neurolrnn.rules import RFLO, EProp, TruncatedBPTT
from neurolrnn.schedule import Piece
from neurolrnn.simulation import Session
from neurolrnn.training import GROUPS
from neurolrnn_kernels.structs import END

MOST_VALUES = 4096
"""Entries of one variable that are counted in one step: of larger arrays a random part, but all for the extremes."""
SEED = 0x5A3B1E

Arrays = dict[str, NDArray[Any]]
LEARNING = ("signal", "back_current", "step_A", "step_W", "step_B", "update_A", "update_W", "update_B")
"""What lands at steps that learn only."""


class Heard(NamedTuple):
    """What was heard of a run."""

    spreads: dict[str, Spread]
    edges: NDArray[np.int64]
    """(windows + 1,): steps at which the windows begin and end."""
    steps: int
    """Steps of the run, or up to where it diverged."""
    sampled: int
    diverged: bool


def session_of(experiment: Experiment, precision: Precision) -> Session:
    """Return a run of an experiment in another precision, in the units as they are; refuse what no format rounds."""
    net, task, rule, _, training, seed = experiment.build()
    if not isinstance(rule, RFLO | TruncatedBPTT | EProp):
        raise InputError(f"rule {rule.name!r} has no fixed-point form, so its variables need no formats; take rflo, "
                         f"tbptt or eprop")  # fmt: skip
    if training.update == "expected":
        raise InputError("update = 'expected' has no inputs and states whose ranges there would be; take 'online'")
    if training.momentum:
        raise InputError(f"momentum = {training.momentum}: fixed point has none; set training.momentum = 0")
    if isinstance(rule, RFLO):
        rule = replace(rule, basis="given")  # the Schur basis mixes units
    return Session(net, task, rule, precision, replace(training, ranges=False), seed)


def listen(experiment: Experiment, samples: int, windows: int) -> Heard:
    """Run an experiment in float64 and look at all variables at some steps.

    Parameters
    ----------
    experiment : Experiment
        Its precision is not used.
    samples : int
        Steps to look at, spread over the run; where few steps learn, as many of those besides.
    windows : int
        Parts of the run that are kept apart.
    """
    session = session_of(experiment, Precision.float64())
    assert isinstance(session.engine, Engine)
    total = session.schedule.total
    edges = np.unique(np.linspace(0, total, min(windows, total) + 1).astype(np.int64))
    everywhere, learning = _chosen(session, samples, edges)
    both = np.union1d(everywhere, learning)
    found: dict[str, list[list[NDArray[np.float64]]]] = {}
    extremes: dict[str, NDArray[np.float64]] = {}
    diverged = False
    step, sampled = 0, 0
    before: Arrays | None = None
    rng = np.random.default_rng(SEED)
    rates = session.training.rates
    for piece in session.schedule.pieces(0, np.unique(np.concatenate([both, both + 1]))):
        sample = len(piece.flags) == 1 and _member(both, piece.first)
        if sample:
            before = session.engine.state()
        done, _ = session.engine.run(piece)
        if done < len(piece.flags):
            diverged = True
            break
        step = piece.first + done
        if not sample or before is None:
            continue
        sampled += 1
        window = int(np.searchsorted(edges, piece.first, side="right")) - 1
        after = session.engine.state()
        learns = bool(after["lanes.weight"].any())
        moved = learns if session.training.update == "online" else bool(piece.flags[0] & END)
        for name, values in _values(session.engine, before, after, rates, learns, moved):
            lists = found.setdefault(name, [[] for _ in range(len(edges) - 1)])
            ends = extremes.setdefault(name, np.array([[np.inf, -np.inf]] * (len(edges) - 1)))
            ends[window] = min(ends[window, 0], values.min()), max(ends[window, 1], values.max())
            if _member(learning if name in LEARNING else everywhere, piece.first):
                flat = values.ravel()
                few = flat if flat.size <= MOST_VALUES else flat[rng.integers(0, flat.size, MOST_VALUES)]
                lists[window].append(few)
    spreads = {name: Spread.of(lists, extremes[name]) for name, lists in found.items()}
    return Heard({k: s for k, s in spreads.items() if s.total}, edges, step, sampled, diverged)


def _member(steps: NDArray[np.int64], step: int) -> bool:
    at = int(np.searchsorted(steps, step))
    return at < len(steps) and int(steps[at]) == step


def _chosen(session: Session, samples: int, edges: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the steps to look at: some of all, and some of those that learn; the same ones where most steps learn."""
    learns = np.zeros(session.schedule.total, np.bool_)
    for piece in session.schedule.pieces(0, edges):
        learns[piece.first : piece.first + len(piece.flags)] = _learns(session, piece)
    rng = np.random.default_rng(SEED)
    each = max(samples // (len(edges) - 1), 1)

    def some(steps: NDArray[np.int64]) -> NDArray[np.int64]:
        parts = [steps[(steps >= a) & (steps < b)] for a, b in pairwise(edges)]
        return np.sort(np.concatenate([rng.choice(p, min(each, len(p)), replace=False) for p in parts]))

    everywhere = some(np.arange(session.schedule.total))
    if learns.mean() > 0.5:
        return everywhere, everywhere
    return everywhere, some(np.flatnonzero(learns))


def _learns(session: Session, piece: Piece) -> NDArray[np.bool_]:
    if session.training.update == "episode":
        return (piece.flags & END).astype(np.bool_)
    weights = np.where(piece.rows >= 0, session.weights[piece.rows], 0.0)
    return np.asarray(weights.any(axis=1))


def _values(
    engine: Engine, before: Arrays, after: Arrays, rates: dict[str, float], learns: bool, moved: bool
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield every variable of a step, named as in the precision; the change of a weight is ``update_`` and its group.

    In float64 the difference of a weight before and after a step is its update to some 1e-16 of the weight.
    """
    for name, key in (("input", "x"), ("current", "u"), ("state", "h"), ("readout", "y"), ("error", "e")):
        yield name, after[f"lanes.{key}"]
    yield "A", after["weights.A"]
    if engine.factored:
        yield "coupling", after["lanes.z"]
        yield from (("factor_W", after["weights.M"]), ("factor_B", after["weights.N"]))
    held = [array.ravel() for key, array in after.items() if key.startswith("weights.Wt")]  # a square, blocks, synapses
    yield from (("W", np.concatenate(held)), ("B", after["weights.Bt"]))
    if after["weights.R"].any():
        yield "feedback", after["weights.R"]
    if "memory.p" in after:
        yield from (("trace", after["memory.p"]), ("input_trace", after["memory.q"]))
    if "memory.d" in after:
        yield from (("eligibility", after["memory.W"]), ("input_eligibility", after["memory.B"]))
        yield "trace_decay", after["memory.d"]
    if learns and not engine.factored:
        signal = after["memory.L"] if "memory.L" in after else after["lanes.L"]  # with those carried back in time
        yield "signal", signal
        if "memory.L" in after and len(signal) > len(after["lanes.h"]):
            yield "back_current", signal @ engine.network().W
    if learns and rates["A"]:
        yield "step_A", rates["A"] * after["lanes.e"]
    for group in ("W", "B") if learns else ():
        if rates[group]:
            scaled = after["lanes.e"] if engine.factored else signal
            yield f"step_{group}", rates[group] * scaled
    keys = {"A": "A", "W": "M" if engine.factored else "Wt", "B": "N" if engine.factored else "Bt"}
    for group in GROUPS if moved else ():
        if rates[group]:
            yield f"update_{group}", after[f"weights.{keys[group]}"] - before[f"weights.{keys[group]}"]


class Counted(NamedTuple):
    """Events of a fixed-point run in each window, every step counted."""

    overflows: dict[str, NDArray[np.int64]]
    """Results outside the range of a variable, (windows,)."""
    updates: dict[str, NDArray[np.int64]]
    dead: dict[str, NDArray[np.int64]]
    """Of each group, (windows,)."""
    steps: int
    diverged: bool


def count(experiment: Experiment, precision: Precision, edges: NDArray[np.int64]) -> Counted:
    """Run an experiment in fixed point and return what its counters say in each window."""
    session = session_of(experiment, precision)
    assert session.numbers is not None
    kinds = ("overflows", "updates", "dead_updates")
    windows = len(edges) - 1
    table: dict[str, dict[str, NDArray[np.int64]]] = {kind: {} for kind in kinds}
    last: dict[tuple[str, str], int] = {}
    step, diverged = 0, False

    def note(window: int) -> None:
        assert session.numbers is not None
        for name, counts in session.numbers.counters().items():
            for kind in kinds:
                now = counts.get(kind, 0)
                if now:
                    table[kind].setdefault(name, np.zeros(windows, np.int64))[window] += now - last.get((name, kind), 0)
                    last[name, kind] = now

    for piece in session.schedule.pieces(0, edges):
        done, _ = session.engine.run(piece)
        step = piece.first + done
        note(min(int(np.searchsorted(edges, piece.first, side="right")) - 1, windows - 1))
        if done < len(piece.flags):
            diverged = True
            break
    return Counted(table["overflows"], table["updates"], table["dead_updates"], step, diverged)
