"""The library's own programs: the kernel alone through ``Engine.run``, and ``nl.simulate`` as a user calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import neurolrnn as nl
from benchmarks.work import Program, Weights, Work
from neurolrnn.basis import choose_basis
from neurolrnn.engine import Engine
from neurolrnn.fixed_grid import Setting
from neurolrnn.many import room
from neurolrnn.number_system import make_numbers
from neurolrnn.schedule import Piece, Schedule

MakeRule = Callable[[Work], nl.Rule]

PRECISIONS: dict[str, nl.Precision] = {
    "float32": nl.Precision.float32(),
    "float64": nl.Precision.float64(),
    "int16 nearest": nl.Precision.preset("int16"),
    "int16 stochastic": nl.Precision.preset("int16", rounding="stochastic"),
    "int8 nearest": nl.Precision.preset("int8", update_rounding="nearest"),
    "int8 stochastic": nl.Precision.preset("int8", rounding="stochastic"),
}


def sequences(work: Work, lane: int | None = None) -> nl.Sequences:
    """The data of a work, episodes of all lanes in turn; or those of one lane."""
    T = work.episode
    lanes = range(work.lanes) if lane is None else (lane,)
    pairs = [(work.x[a : a + T, b], work.y[a : a + T, b]) for a in range(0, work.steps, T) for b in lanes]
    return nl.Sequences.from_arrays([x for x, _ in pairs], [y for _, y in pairs])


def training(work: Work, rule: nl.Rule, lanes: int, epochs: int = 1) -> nl.Training:
    """How a work is learned: in the order of the data, at every step where the rule can."""
    update = "online" if rule.online else "episode"
    return nl.Training(work.rate, update, epochs, lanes, shuffle=False)  # type: ignore[arg-type]


def make_engine(
    work: Work, rule: nl.Rule, precision: nl.Precision, lane: int | None = None, net: nl.Network | None = None,
    data: nl.Sequences | None = None,
) -> tuple[Engine, Piece]:  # fmt: skip
    """A learner, and the steps it is to make."""
    data, lanes = sequences(work, lane) if data is None else data, work.lanes if lane is None else 1
    net = work.net if net is None else net
    settings = training(work, rule, lanes)
    schedule = Schedule(data, batch=lanes)
    R = rule.feedback_matrix(work.n_out, work.n, work.seed)
    setting = Setting(net, rule, settings, R, "squared-error", lanes, schedule.longest, work.seed)
    basis = choose_basis(net, rule, settings, fixed_point=precision.is_fixed, steps=work.steps)
    engine = Engine(
        net, rule, settings, make_numbers(precision, setting), feedback=R, data=data, weights=data.mask,
        loss="squared-error", lanes=lanes, longest=schedule.longest, limit=1e6, basis=basis,
    )  # fmt: skip
    return engine, schedule.epoch(0)


def _weights(engine: Engine) -> Weights:
    net = engine.network()
    return {"A": net.A, "W": net.W, "B": net.B}


def kernel(rule: MakeRule, precision: str) -> Callable[[Work], Program]:
    """Contender: one engine, its kernel called once a pass."""

    def make(work: Work) -> Program:
        engine, piece = make_engine(work, rule(work), PRECISIONS[precision])

        def run() -> None:
            done, _ = engine.run(piece)
            if done < len(piece.flags):
                raise ArithmeticError(f"diverged at step {done}")

        return Program(run, lambda: [_weights(engine)])

    return make


def one_by_one(rule: MakeRule, precision: str) -> Callable[[Work], Program]:
    """Contender: as many learners as lanes, each an engine of its own, one after the other on one core."""

    def make(work: Work) -> Program:
        chosen = rule(work)
        ready = [make_engine(work, chosen, PRECISIONS[precision], lane) for lane in range(work.lanes)]

        def run() -> None:
            for engine, piece in ready:
                engine.run(piece)

        def weights() -> Iterable[Weights]:
            return (_weights(engine) for engine, _ in ready)

        return Program(run, weights)

    return make


def shared_learners(rule: MakeRule, precision: str) -> Callable[[Work], Program]:
    """Contender: as many learners as lanes in one engine, as :func:`neurolrnn.simulate_many` runs them."""

    def make(work: Work) -> Program:
        chosen, everything = rule(work), sequences(work)
        piece = Schedule(everything, batch=work.lanes).epoch(0)
        first, _ = make_engine(work, chosen, PRECISIONS[precision], 0, data=everything)
        engines = [first, *(make_engine(work, chosen, PRECISIONS[precision], b)[0] for b in range(1, work.lanes))]
        many = room(first, [training(work, chosen, 1)] * work.lanes)
        for b, engine in enumerate(engines):
            engine.join(many, b, first)
        flags = np.repeat(piece.flags[:, np.newaxis], work.lanes, axis=1)

        def run() -> None:
            first.run_many(many, piece.rows, flags, 0)
            if (many.diverged >= 0).any():
                raise ArithmeticError(f"diverged at step {many.diverged.max()}")

        return Program(run, lambda: (_weights(engine) for engine in engines))

    return make


def simulate(rule: MakeRule, precision: str, epochs: int) -> Callable[[Work], Callable[[], nl.Run]]:
    """A whole run as a user makes it, over the data ``epochs`` times."""

    def make(work: Work) -> Callable[[], nl.Run]:
        task = nl.Task("benchmark", sequences(work))
        chosen = rule(work)
        settings = training(work, chosen, work.lanes, epochs)
        return lambda: nl.simulate(
            work.net, task, chosen, PRECISIONS[precision], training=settings, seed=work.seed, progress=False
        )

    return make


def arrays(thing: Any, seen: dict[int, Any] | None = None) -> dict[int, np.ndarray]:
    """Every array that a thing of ours holds, a view as what it is a view of, by identity."""
    seen = {} if seen is None else seen
    if id(thing) in seen:
        return {}
    seen[id(thing)] = thing
    if isinstance(thing, np.ndarray):
        while isinstance(thing.base, np.ndarray):
            thing = thing.base
        return {id(thing): thing}
    if isinstance(thing, dict):
        parts: Iterable[Any] = thing.values()
    elif isinstance(thing, list | tuple):
        parts = thing
    elif type(thing).__module__.startswith("neurolrnn"):
        parts = [getattr(thing, name) for name in getattr(type(thing), "__slots__", ()) if hasattr(thing, name)]
        parts = [*parts, *getattr(thing, "__dict__", {}).values()]
    else:
        return {}
    found: dict[int, np.ndarray] = {}
    for part in parts:
        found |= arrays(part, seen)
    return found


def recurrent(engine: Engine) -> list[np.ndarray]:
    """Recurrent weights as the kernel holds them: a matrix, a triangle or blocks."""
    return [array for name, array in engine.state().items() if name.startswith("weights.Wt")]
