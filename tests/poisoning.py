"""Poison what a rule does not declare it reads, and let the real kernel make one step.

A step is made twice from states that agree in what the update of one synapse is declared to read and in nothing else.
The updated weight must have the same bits. Where a declaration says ``error`` or ``state``, the number that arrives is
held, not what it was made from: targets and drives are set so that errors and states come out the same, exactly, since
all real numbers here are small multiples of a power of two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurolrnn.basis import Basis, schur_basis
from neurolrnn.chips.demands import demand_of
from neurolrnn.engine import Engine
from neurolrnn.fixed_grid import Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.network import Network
from neurolrnn.number_system import make_numbers
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, Rule
from neurolrnn.schedule import Piece
from neurolrnn.tasks.base import Sequences
from neurolrnn.training import Training
from neurolrnn_hardware.demand import Demand
from neurolrnn_hardware.locality import Cells, Read, SynapseReads
from neurolrnn_kernels import grid as at
from neurolrnn_kernels.structs import END

Arrays = dict[str, np.ndarray]
ROWS = 6
LONGEST = 4
STEP = 7  # number of the step in its run, for the random bits
DATA = ("data.x", "data.target", "data.weight")
DRAWS = 40


@dataclass
class Learner:
    """One engine, and how to set and read every number of it."""

    network: Network
    rule: Rule
    precision: Precision = field(default_factory=Precision.float64)
    update: str = "online"
    momentum: float = 0.0
    lanes: int = 1
    learn: tuple[str, ...] = ("A", "W", "B")
    schur: bool = False

    def __post_init__(self) -> None:
        net = self.network
        training = Training(
            0.25, self.update, batch=self.lanes, momentum=self.momentum, learn=self.learn, shuffle=False
        )  # type: ignore[arg-type]
        R = self.rule.feedback_matrix(net.n_out, net.n_rec, 3)
        setting = Setting(net, self.rule, training, R, "squared-error", self.lanes, LONGEST, 3)
        self.numbers = make_numbers(self.precision, setting)
        basis: Basis | None = schur_basis(net) if self.schur else None
        data = Sequences.from_arrays([np.zeros((ROWS, net.n_in))], [np.zeros((ROWS, net.n_out))])
        self.engine = Engine(
            net, self.rule, training, self.numbers, feedback=R, data=data, weights=data.mask, loss="squared-error",
            lanes=self.lanes, longest=LONGEST, basis=basis,
        )  # fmt: skip
        self.demand: Demand = demand_of(
            net, self.rule, self.precision, training, longest=LONGEST, seed=3, basis=self.engine.basis
        )
        self.lane_rows = np.arange(1, 1 + self.lanes)
        self.empty: dict[str, np.ndarray] = {}  # what holds no number, and is 0 for ever
        if isinstance(self.rule, BPTT) and net.sparse is not None:
            self.empty["memory.W"] = ~net.sparse.mask  # a full matrix, to go back through synapses that exist
        self.formats = {a: v.number for v in self.demand.variables for a in v.arrays}
        for name, variable in zip(DATA, ("input", "target", "mask"), strict=True):
            self.formats[name] = self.demand.variable(variable).number

    # --- every number, in and out

    def arrays(self) -> Arrays:
        """Every array the step depends on, not copied; the grid holds constants and counters."""
        found = {k: v for k, v in self.engine._arrays().items() if k != "grid"}
        return {**found, **dict(zip(DATA, self.engine._data, strict=True))}

    def draw(self, rng: np.random.Generator) -> Arrays:
        """Numbers for every array, at random."""
        out = {name: self.numbers_for(name, a, rng) for name, a in self.arrays().items()}
        for name, empty in self.empty.items():
            out[name][empty] = 0
        return out

    def numbers_for(self, name: str, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if name == "memory.at":  # positions in a ring or a history
            steps = getattr(self.rule, "steps", LONGEST)
            first = LONGEST - 1 if isinstance(self.rule, BPTT) else steps
            out = np.zeros_like(array)
            out[0] = rng.integers(max(first - 1, 1), first + 1)
            if len(out) > 1:
                out[1] = rng.integers(0, steps)
            return out
        if name == "data.weight":
            return np.ones_like(array)
        if not np.issubdtype(array.dtype, np.integer):
            return (rng.integers(-32, 33, array.shape) / 32).astype(array.dtype)
        number = self.formats.get(name)
        if number is None:  # of no variable of this rule
            return rng.integers(-99, 100, array.shape).astype(array.dtype)
        high = 1 << max(
            number.bits - 1 - (2 if number.is_fixed else 8), 0
        )  # sums stay inside, but for what is drawn again
        return rng.integers(-high if number.signed else 0, high, array.shape).astype(array.dtype)

    def step(self, values: Arrays) -> Arrays:
        """Make one step from these numbers; return what all arrays are then."""
        for name, array in self.arrays().items():
            array[...] = values[name]
        grid = self.numbers.grid
        kept = grid.copy()
        last = self.update == "episode"
        piece = Piece(STEP, self.lane_rows[np.newaxis], np.array([END if last else 0], np.uint8))
        with np.errstate(invalid="ignore"):
            done, _ = self.engine.run(piece)
        grid[...] = kept
        assert done == 1, "the step was not made: an output is not finite"
        return {name: array.copy() for name, array in self.arrays().items()}

    # --- cells

    def place(self, axes: Iterable[str], i: int, j: int, first: int = 0) -> tuple[Any, ...]:
        """Index of the cells of synapse (i, j) from unit j to unit i."""
        layout = self.engine._held.layout
        out: list[Any] = []
        for axis in axes:
            if axis in ("synapse", "self"):
                assert layout is not None
                source = j if axis == "synapse" else i
                W = layout.matrix
                there = np.flatnonzero((W.receivers[layout.order] == i) & (W.sources[layout.order] == source))
                out.append(there)
            else:
                out.append({"all": slice(None), "pre": first + j, "post": i}[axis])
        return tuple(out)

    def mask(self, cells: Cells, i: int, j: int) -> tuple[str, np.ndarray] | None:
        """Which elements of which array are these cells; None for what the step itself makes."""
        if cells.array in ("error", "state"):
            return None
        name, lanes_only = ("data.x", True) if cells.array == "input" else (cells.array, False)
        chosen = np.zeros(self.arrays()[name].shape, bool)
        if lanes_only:
            chosen[self.lane_rows, self.place(cells.axes, i, j)[1]] = True
        else:
            chosen.reshape(cells.shape or chosen.shape)[self.place(cells.axes, i, j, cells.first)] = True
        return name, chosen

    def masks(self, cells: Iterable[Cells], i: int, j: int) -> dict[str, np.ndarray]:
        """Elements of all arrays that these cells name, by array."""
        out = {name: np.zeros(a.shape, bool) for name, a in self.arrays().items()}
        for c in cells:
            found = self.mask(c, i, j)
            if found is not None:
                out[found[0]] |= found[1]
        return out

    def columns(self, cells: Iterable[Cells], what: str, i: int, j: int) -> list[int]:
        """Units whose errors or states are among these cells."""
        size = self.network.n_out if what == "error" else self.network.n_rec
        out: set[int] = set()
        for c in cells:
            if c.array == what:
                axis = c.axes[1]
                out |= set(range(size)) if axis == "all" else {j if axis == "pre" else i}
        return sorted(out)

    # --- two states that agree in some cells

    def changed(
        self, base: Arrays, change: dict[str, np.ndarray], hold: Iterable[Cells], i: int, j: int,
        rng: np.random.Generator, *, errors: Iterable[int] = (), states: Iterable[int] = (),
    ) -> Arrays | None:  # fmt: skip
        """``base`` with other numbers at ``change``, and errors and states held where ``hold`` says so.

        Errors and states of the units listed are made different. None if a held number would not fit its format.
        """
        hold = tuple(hold)
        after = self.step(base)
        fresh = self.draw(rng)
        values = {k: np.where(change[k], fresh[k], v).astype(v.dtype) for k, v in base.items()}
        held = self.columns(hold, "state", i, j)
        for unit in states:
            values["lanes.drive"][:, unit] = fresh["lanes.drive"][:, unit]
        if held:
            values["lanes.h"][:, held] = base["lanes.h"][:, held]
            now = self.step(values)
            scale: Any = 1.0
            if isinstance(self.numbers, FixedNumbers):
                shift = int(self.numbers.grid[at.CURRENT, at.SHIFT])
                assert shift >= 0
                form = self.numbers.format_of("current")
                if (now["lanes.u"][:, held] <= form.lo).any() or (now["lanes.u"][:, held] >= form.hi).any():
                    return None  # saturated: what is missing is not seen
                scale = 1 << shift
            missing = after["lanes.u"][:, held].astype(np.float64) - now["lanes.u"][:, held]
            values["lanes.drive"][:, held] += (missing * scale).astype(values["lanes.drive"].dtype)
        held_errors = self.columns(hold, "error", i, j)
        now = self.step(values)
        y, goal = now["lanes.y"].astype(np.float64), base["data.target"][self.lane_rows].astype(np.float64)
        target = y - (after["lanes.y"].astype(np.float64) - goal)
        for k in held_errors:
            values["data.target"][self.lane_rows, k] = target[:, k]
            if not np.array_equal(values["data.target"][self.lane_rows, k].astype(np.float64), target[:, k]):
                return None
            if isinstance(self.numbers, FixedNumbers):
                form = self.numbers.format_of("target")
                if (target[:, k] < form.lo).any() or (target[:, k] > form.hi).any():
                    return None
        for k in errors:
            values["data.target"][self.lane_rows, k] = fresh["data.target"][self.lane_rows, k]
        now = self.step(values)
        if held and not np.array_equal(now["lanes.h"][:, held], after["lanes.h"][:, held]):
            return None
        assert np.array_equal(now["lanes.e"][:, held_errors], after["lanes.e"][:, held_errors])
        return values

    def weight(self, values: Arrays, synapse: SynapseReads, i: int, j: int) -> np.ndarray:
        """The weight of a synapse after one step."""
        return np.asarray(self.step(values)[synapse.array][self.place(synapse.axes, i, j)])


def declared(synapse: SynapseReads, without: Read | None = None) -> tuple[Cells, ...]:
    """All cells of a declaration."""
    return tuple(c for r in synapse.reads if r is not without for c in r.cells)


def covered(learner: Learner, cells: Iterable[Cells], others: Iterable[Cells], i: int, j: int) -> bool:
    """Whether all these cells are arrays' elements that others name too: a weight is one of all weights."""
    cells = tuple(cells)
    if any(c.array in ("error", "state") for c in cells):
        return False
    also = learner.masks(others, i, j)
    return all(not (mask & ~also[name]).any() for name, mask in learner.masks(cells, i, j).items())


def finite_poison(
    learner: Learner, synapse: SynapseReads, cells: tuple[Cells, ...], i: int, j: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Weight of a synapse after one step from two states that agree in ``cells`` and, by chance, nowhere else."""
    kept = learner.masks(cells, i, j)
    change = {name: ~mask for name, mask in kept.items()}
    change["data.weight"] = np.zeros_like(change["data.weight"])
    every = range(learner.network.n_out)
    free = [k for k in every if k not in learner.columns(cells, "error", i, j)]
    for _ in range(DRAWS):
        base = learner.draw(rng)
        values = learner.changed(base, change, cells, i, j, rng, errors=free)
        if values is not None:
            return learner.weight(base, synapse, i, j), learner.weight(values, synapse, i, j)
    raise AssertionError("no draw fits the formats")


def nan_poison(
    learner: Learner, synapse: SynapseReads, cells: tuple[Cells, ...], i: int, j: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """The same in floating point, with NaN in all that is not read on the way to the update, step by step.

    The way to an error goes through every state and the whole read-out: the kernel looks at every output and stops at
    one that is not finite. Also returns how many numbers were NaN.
    """
    base = learner.draw(rng)
    way = [Cells("lanes.h", ("all", "all")), Cells("lanes.drive", ("all", "all")), Cells("weights.A", ("all", "all")),
           Cells("weights.Bt", ("all", "all")), Cells("input", ("all", "all"))]  # fmt: skip
    if learner.engine.factored:
        way += [Cells(f"weights.{k}", ("all", "all")) for k in "RMN"]
    kept = learner.masks((*cells, *way), i, j)
    kept["data.weight"][learner.lane_rows] = True
    for k in learner.columns(cells, "error", i, j):
        kept["data.target"][learner.lane_rows, k] = True
    if "memory.at" in base:
        kept["memory.at"][:] = True
    values = {k: v if v.dtype.kind == "i" else np.where(kept[k], v, np.nan) for k, v in base.items()}
    for name, empty in learner.empty.items():
        values[name][empty] = 0.0
    poisoned = sum(int(np.isnan(v).sum()) for v in values.values() if v.dtype.kind == "f")
    return learner.weight(base, synapse, i, j), learner.weight(values, synapse, i, j), poisoned


def read_matters(
    learner: Learner, synapse: SynapseReads, cells: Cells, i: int, j: int, rng: np.random.Generator
) -> bool:
    """Whether other numbers in these cells alone, all else that is read being equal, ever change the update."""
    others = tuple(c for c in declared(synapse) if c != cells)
    change = learner.masks([cells], i, j)
    if not covered(learner, [cells], others, i, j):
        for name, mask in learner.masks(others, i, j).items():
            change[name] &= ~mask
    hold = tuple(c for c in others if c.array in ("error", "state"))
    errors = learner.columns([cells], "error", i, j)
    states = learner.columns([cells], "state", i, j)
    for _ in range(DRAWS):
        base = learner.draw(rng)
        values = learner.changed(base, change, hold, i, j, rng, errors=errors, states=states)
        if values is None:
            continue
        before, after = learner.weight(base, synapse, i, j), learner.weight(values, synapse, i, j)
        if not np.array_equal(before, after):
            return True
    return False
