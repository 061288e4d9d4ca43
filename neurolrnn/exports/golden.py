"""Golden trajectories: what a design answers to given inputs, code by code, as the compiled kernels calculate it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.engine import Engine
from neurolrnn.errors import InputError, positive_integer
from neurolrnn.exports.design import Codes, Design
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.schedule import Piece
from neurolrnn.tasks.base import Sequences
from neurolrnn_kernels.structs import END, START

STEPS = 100
"""Steps of a golden trajectory where nothing else is said."""
SEQUENCE = 25
"""Steps of one sequence in it."""
TRACED = {"h": "lanes.h", "y": "lanes.y", "e": "lanes.e", "p": "memory.p", "q": "memory.q"}
"""Where the engine keeps what is looked at after every step."""


@dataclass(frozen=True, eq=False)
class Golden:
    """Codes in and codes out, (T, n) each, of T steps from the state after power-up on.

    Attributes
    ----------
    first : (T,)
        1 where a sequence begins: state and traces are cleared before the step.
    mask : (T,)
        1 where there is a target to learn from.
    x, target : (T, n_in), (T, n_out)
        Inputs, and targets in the format that they are compared in.
    inference : dict of str to array
        ``h`` (T, n_rec) and ``y`` (T, n_out) with weights at rest.
    learning : dict of str to array
        ``h``, ``y``, ``e`` (T, n_out), ``p`` (T, n_rec) and ``q`` (T, n_in), while the design learns from every step of
        mask 1; empty if it does not learn.
    checkpoints : (K,)
        Numbers of steps done, the last of them T.
    after : dict of str to (K, ...) array
        Codes of everything that learns, after these steps.
    events : dict of str to int
        Results that lay outside the range of their variable while learning (or running, if nothing learns).
    notes : list of str
        What happened to the inputs and targets on their way to codes.
    """

    first: Codes
    mask: Codes
    x: Codes
    target: Codes
    inference: dict[str, Codes]
    learning: dict[str, Codes]
    checkpoints: Codes
    after: dict[str, Codes]
    events: dict[str, int]
    notes: list[str]

    @property
    def steps(self) -> int:
        """Number of steps, T."""
        return len(self.x)


def golden(
    design: Design, *, inputs: Any = None, targets: Any = None, mask: Any = None, steps: int = STEPS, seed: int = 1,
) -> Golden:  # fmt: skip
    """Run a design on the compiled kernels and keep every code.

    Parameters
    ----------
    design : Design
        What to run; it is not changed.
    inputs, targets, mask : arrays, optional
        As in :meth:`neurolrnn.tasks.Sequences.from_arrays`; default: sequences of 25 steps of Gaussian noise, targets
        of half its size (for cross-entropy a random class), with every fourth step without a target.
    steps : int
        How many steps, if no inputs are given.
    seed : int
        Seed of these inputs.
    """
    data = _drawn(design, positive_integer("golden steps", steps), seed)
    if inputs is not None:
        n_out = design.sizes[2]
        goals = targets if targets is not None else _no_targets(inputs, n_out)
        data = Sequences.from_arrays(inputs, goals, mask=mask)
    elif targets is not None or mask is not None:
        raise InputError("golden targets and masks belong to golden inputs; give inputs too")
    first = np.zeros(data.steps, np.int64)
    first[data.starts[:-1]] = 1
    marks = np.unique(np.linspace(0, data.steps, 5).round().astype(np.int64)[1:])
    quiet = _run(design, data, np.zeros(data.steps), marks)
    heard = _run(design, data, data.mask, marks) if design.learns else quiet
    numbers = FixedNumbers(design.precision, design.setting)
    x, target = (numbers.encode(k, v).astype(np.int64) for k, v in (("input", data.inputs), ("target", data.targets)))
    notes = [
        f"{count} golden values of {name} lie outside {numbers.format_of(name)} and were saturated"
        for name, count in numbers.clipped.items()
    ]
    return Golden(
        first, (data.mask != 0).astype(np.int64), x, target, {k: quiet.trajectory[k] for k in ("h", "y")},
        heard.trajectory if design.learns else {}, marks, heard.weights if design.learns else {}, heard.events, notes,
    )  # fmt: skip


def _drawn(design: Design, steps: int, seed: int) -> Sequences:
    rng = np.random.default_rng([seed, 0x601D])
    n_in, _, n_out = design.sizes
    if design.setting.loss == "cross-entropy":
        targets = np.eye(n_out)[rng.integers(0, n_out, steps)]
    else:
        targets = rng.normal(0.0, 0.5, (steps, n_out))
    starts = np.unique([*range(0, steps, SEQUENCE), steps])
    mask = np.where(np.arange(steps) % 4 == 3, 0.0, 1.0)
    return Sequences(rng.normal(0.0, 1.0, (steps, n_in)), targets, starts, mask)


def _no_targets(inputs: Any, n_out: int) -> Any:
    array = np.asarray(inputs, dtype=np.float64)
    return np.zeros((*array.shape[:-1], n_out))


@dataclass
class _Kept:
    """What is kept of a run."""

    trajectory: dict[str, Codes]
    weights: dict[str, Codes]
    events: dict[str, int]


def _run(design: Design, data: Sequences, mask: NDArray[np.float64], marks: Codes) -> _Kept:
    """Run the kernels step by step, with counters and shift registers as after power-up."""
    s, places = design.setting, _places(design)
    numbers = FixedNumbers(design.precision, s)
    engine = Engine(
        s.network, s.rule, s.training, numbers, feedback=s.feedback, data=data, weights=mask, loss=s.loss,
    )  # fmt: skip
    state = engine.state()
    for name, where in places.items():
        state[where][...] = _turned(name, design.codes[name])
    engine.restore(state)
    begins, ends = set(data.starts[:-1].tolist()), set(data.starts[1:].tolist())
    rows: dict[str, list[Codes]] = {k: [] for k in TRACED}
    weights: dict[str, list[Codes]] = {k: [] for k in places}
    for t in range(data.steps):
        flags = START * (t in begins) | END * (t + 1 in ends)
        engine.run(Piece(t, np.array([[t]]), np.array([flags], np.uint8)))
        now = engine.state()
        for k, where in TRACED.items():
            rows[k].append(now[where][0].astype(np.int64))
        if t + 1 in marks:
            for k, where in places.items():
                weights[k].append(_turned(k, now[where].astype(np.int64)))
    events = {k: c["overflows"] for k, c in numbers.counters().items() if c["overflows"]}
    return _Kept({k: np.array(v) for k, v in rows.items()}, {k: np.array(v) for k, v in weights.items()}, events)


def _places(design: Design) -> dict[str, str]:
    """Return where the engine keeps what learns, by its name in the design."""
    held = {"A": "weights.A", "W": "weights.Wt", "B": "weights.Bt", "M": "weights.M", "N": "weights.N"}
    out: dict[str, str] = {}
    for group in design.learns:
        name = design.learned(group)
        out[name] = held[name]
        if f"hidden_{name}" in design.codes:
            out[f"hidden_{name}"] = f"weights.hidden_{group}"
    return out


def _turned(name: str, codes: Codes) -> Codes:
    """Turn (to, from) into the layout of the engine, or back: it holds W and B by the unit that sends."""
    return codes.T if name.removeprefix("hidden_") in ("W", "B") else codes
