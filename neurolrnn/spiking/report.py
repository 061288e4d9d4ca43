"""A saved run, deployed as spikes: what the command ``neurolrnn spike`` says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.atomic import check_target
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.precision import Precision
from neurolrnn.run import Run
from neurolrnn.spiking.brian import Brian2Network
from neurolrnn.spiking.budget import budget, design_q
from neurolrnn.spiking.measure import fewest_micro_steps, measure
from neurolrnn.spiking.modes import blueprint
from neurolrnn.spiking.pictures import plot_deployment
from neurolrnn.spiking.plan import Mode, Plan, make_plan
from neurolrnn.spiking.script import example_input, write_script
from neurolrnn.spiking.stream import make_stream
from neurolrnn.spiking.twin import run_twin
from neurolrnn.tables import text_table
from neurolrnn.tasks.base import Task

DEFAULT_Q = 0.1
BRIAN2_STEPS = 500
"""Steps of the data that Brian2 and scripts are given; its NumPy target makes some thousand in a second."""
COLUMNS = {
    "accuracy": "accuracy", "nmse": "NMSE", "error": "error of y", "events_per_unit": "events per unit and step",
    "synaptic_operations": "synaptic operations a step",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Deployment:
    """What a run does as spikes.

    Attributes
    ----------
    plan : Plan
    task : Task or None
        None if the run's data cannot be made again; the figures are then those of example input.
    rows : list of dict
        One per mode: ``mode``, ``q``, ``micro_steps`` and the figures of :func:`measure`.
    expected : dict or None
        Error budget of the first row after graded, or None where there is none.
    same : bool or None
        Whether Brian2 gave the states and events of the twin; None if it was not asked.
    notes : list of str
    """

    plan: Plan
    task: Task | None
    rows: list[dict[str, Any]]
    expected: dict[str, Any] | None
    same: bool | None
    notes: list[str]

    def options(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "plan": self.plan.summary(), "rows": self.rows, "expected": self.expected, "same_as_brian2": self.same,
            "notes": self.notes,
        }  # fmt: skip

    def describe(self) -> str:
        """Return equations, slots, constants and synapse counts."""
        return blueprint(self.plan, make_stream(self.plan, self.inputs())).describe()

    def inputs(self) -> NDArray[np.float64]:
        """Return inputs of a few hundred steps: the start of the task's data."""
        return _inputs(self.task, self.plan)

    def write(self, picture: str | None, folder: str | None) -> list[Path]:
        """Draw a picture and write a script, each if it has a place; return what was written."""
        files = []
        keywords = {n: getattr(self.plan, n) for n in Plan.__dataclass_fields__ if n not in ("network", "mode")}
        if picture is not None:
            what: Any = self.task if self.task is not None else example_input(self.plan.network)
            target = check_target(picture, ".png", InputError, "picture")
            plot_deployment(self.plan.network, what, target, mode=self.plan.mode, **keywords)
            files.append(target)
        if folder is not None:
            files.append(write_script(self.plan.network, folder, self.plan.mode, self.inputs(), **keywords))
        return files

    def __str__(self) -> str:
        shown = [name for name in COLUMNS if any(name in row for row in self.rows)]
        rows = [
            [row["mode"], f"{row['q']:.3g}" if row["q"] else "", row["micro_steps"], *(_cell(row, n) for n in shown)]
            for row in self.rows
        ]
        header = ["mode", "q", "micro-steps", *(COLUMNS[name] for name in shown)]
        text = text_table(rows, header, "lr" + "r" * (len(header) - 2))
        if self.expected is not None:
            text += f"\n\nexpected: error of y {self.expected['error']:.3g}, "
            text += f"{self.expected['events']:.3g} events per unit and step"
        if self.same is not None:
            text += f"\nBrian2: states and events are {'the same' if self.same else 'NOT the same'}"
        return "\n".join([text, *(f"note: {note}" for note in self.notes)])


def _cell(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else f"{100 * value:.1f} %" if name in ("accuracy", "error") else f"{value:.3g}"


def _inputs(task: Task | None, plan: Plan) -> NDArray[np.float64]:
    if task is None:
        return np.asarray(example_input(plan.network), np.float64)
    return np.asarray((task.test or task.train).inputs[:BRIAN2_STEPS])


def deploy(
    run: Run,
    *,
    mode: Mode = "sigma-delta",
    q: float | None = None,
    error: float | None = None,
    micro_steps: int | None = None,
    precision: str | None = None,
    compare: bool = False,
    brian2: bool = False,
    **options: Any,
) -> Deployment:
    """Deploy the network of a run and measure it on the run's task.

    Parameters
    ----------
    run : Run
    mode, q, micro_steps, precision, **options
        As for :func:`to_brian2`; ``precision`` is the name of a preset. Pairs get as few micro-steps as they need.
    error : float, optional
        Choose q for this relative RMS error of y, instead of giving q.
    compare : bool
        Measure graded and all spiking modes, not the chosen one alone.
    brian2 : bool
        Run Brian2 on the first steps too, and compare it with the twin.

    Raises
    ------
    InputError
        If choices do not go together.
    """
    net = run.network
    if q is not None and error is not None:
        raise InputError(f"q = {q:g} and error = {error:g}: give one of them; error chooses q")
    notes = []
    try:
        task: Task | None = Experiment.from_run(run).build()[1]
    except InputError:
        task = None
        notes.append("the run's data were given as arrays: measured on slowly varying noise instead")
    what: Any = task if task is not None else example_input(net)
    data = what if task is None else task.test or task.train
    if error is not None:
        q = design_q(net, data, error, horizon="sequences")
    quantum = DEFAULT_Q if q is None else q
    formats = None if precision is None else Precision.preset(precision)
    chosen: dict[str, Any] = {"q": quantum, "precision": formats, **options}
    plan = _plan(net, mode, micro_steps, data, chosen)
    plans = [plan]
    if compare:
        plans = [make_plan(net, "graded", precision=formats)]
        for name in ("sigma-delta", "lif-pair"):
            own = chosen if name == mode else {"q": quantum, "precision": formats}
            try:
                plans.append(plan if name == mode else _plan(net, name, None, data, own))
            except InputError as why:
                notes.append(f"no {name}: {why}")
    rows = []
    for each in plans:
        keywords = {n: getattr(each, n) for n in Plan.__dataclass_fields__ if n not in ("network", "mode")}
        row = measure(net, what, each.mode, **keywords)
        rows.append({"mode": each.mode, "q": each.q if each.events else None, "micro_steps": each.micro_steps, **row})
    expected = None
    try:
        theory = budget(
            net, data, horizon="sequences", measure=False, mode=plan.mode, micro_steps=plan.micro_steps, **chosen
        )
        expected = {"error": theory.relative_y, "events": theory.events, **theory.options()}
        notes += theory.notes
    except InputError as why:
        if plan.events:
            notes.append(f"no error budget: {why}")
    same = _same(plan, _inputs(task, plan)) if brian2 else None
    return Deployment(plan, task, rows, expected, same, notes)


def _plan(net: Any, mode: Mode, micro_steps: int | None, data: Any, chosen: dict[str, Any]) -> Plan:
    if micro_steps is None and mode == "lif-pair":
        own = {k: v for k, v in chosen.items() if k not in ("q", "reset", "reset_value")}
        micro_steps = fewest_micro_steps(net, data, chosen["q"], **own)
    return make_plan(net, mode, micro_steps=1 if micro_steps is None else micro_steps, **chosen)


def _same(plan: Plan, inputs: NDArray[np.float64]) -> bool:
    """Tell whether Brian2 gives the numbers of the twin, all of them."""
    ours, theirs = run_twin(plan, inputs), Brian2Network(plan, inputs).run()
    pairs = [(getattr(ours, name), getattr(theirs, name)) for name in ("h", "hat", "y")]
    if ours.events is not None and theirs.events is not None:
        pairs += list(zip(ours.events, theirs.events, strict=True))
    return all(np.array_equal(a, b) for a, b in pairs)
