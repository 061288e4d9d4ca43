"""A trained network, deployed: how well it does its task as spikes, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike

from neurolrnn.errors import InputError
from neurolrnn.metrics import accuracy, normalised_error
from neurolrnn.network import Network
from neurolrnn.spiking.activity import activity
from neurolrnn.spiking.plan import CodingOptions, Mode, ModeOptions, Plan, PlanOptions, make_plan
from neurolrnn.spiking.twin import run_twin
from neurolrnn.tasks.base import Sequences, Task

MICRO_STEPS = (1, 2, 5, 10, 20, 50, 100, 200)
"""Micro-steps that :func:`fewest_micro_steps` tries."""


class SweepRow(ModeOptions, total=False):
    """Options, and what was measured with them."""

    error: float
    overload: float
    events_per_unit: float
    synaptic_operations: float
    state_updates: float
    saving: float
    accuracy: float
    nmse: float


class MicroStepOptions(CodingOptions, total=False):
    """Options of :func:`fewest_micro_steps`: those of a plan but q and micro_steps, which it sets and finds."""

    mode: Mode


def data_of(what: Task | Sequences | ArrayLike) -> Sequences | ArrayLike:
    """Return the test sequences of a task, its training sequences if it has no others, or the data as they are."""
    return (what.test or what.train) if isinstance(what, Task) else what


def measure(
    net: Network, what: Task | Sequences | ArrayLike, mode: Mode = "sigma-delta", **options: Unpack[PlanOptions]
) -> dict[str, float]:
    """Return metrics and work of a network deployed in a spiking mode.

    Parameters
    ----------
    net : Network
        Trained weights, such as ``run.network``.
    what : Task, Sequences or (T, n_in)
        What it is measured on; the test sequences of a task.
    mode, **options
        As for :func:`to_brian2`.

    Returns
    -------
    dict
        ``error`` (RMS of y against the graded network, over the RMS of y), ``overload`` (largest |h - ĥ| in units
        of q), ``events_per_unit``, ``synaptic_operations``, ``state_updates``, ``saving``; and ``accuracy`` where
        sequences have labels, ``nmse`` where they have targets of a squared error.
    """
    plan, data = make_plan(net, mode, **options), data_of(what)
    found = run_twin(plan, data, ("h", "hat", "y"))
    graded = run_twin(Plan(net, "graded"), data, ("y",)).need("y")
    y = found.need("y")
    work = activity(found)
    size = float(np.sqrt(np.mean(graded**2)))
    out = {
        "error": float(np.sqrt(np.mean((y - graded) ** 2))) / size if size else float("nan"),
        "overload": float(np.abs(found.need("h") - found.need("hat")).max()) / plan.q if plan.events else 0.0,
        "events_per_unit": work.events_per_unit, "synaptic_operations": work.synaptic_operations,
        "state_updates": work.state_updates, "saving": work.saving,
    }  # fmt: skip
    if isinstance(data, Sequences):
        if data.labels is not None:
            out["accuracy"] = accuracy(y, data)
        elif not isinstance(what, Task) or what.loss == "squared-error":
            out["nmse"] = normalised_error(y, data)
    return out


def sweep(net: Network, what: Task | Sequences | ArrayLike, settings: Iterable[ModeOptions]) -> list[SweepRow]:
    """Return one row for each set of options of :func:`measure`: the options, and what was measured."""
    rows = [{**dict(options), **measure(net, what, **options)} for options in settings]
    return cast("list[SweepRow]", rows)


def fewest_micro_steps(
    net: Network, what: Task | Sequences | ArrayLike, q: float, **options: Unpack[MicroStepOptions]
) -> int:
    """Return the fewest micro-steps with which units that send ±q keep |h - ĥ| ≤ q/2 on a calibration input.

    Parameters
    ----------
    net, what
        As for :func:`measure`.
    q : float
        Quantum.
    **options
        As for :func:`to_brian2`; default ``mode="lif-pair"``.

    Raises
    ------
    InputError
        If :data:`MICRO_STEPS` are not enough, or there are no finer steps.
    """
    chosen: dict[str, Any] = {"mode": "lif-pair", **options}
    largest = 0.0
    for k in MICRO_STEPS:
        plan = make_plan(net, **chosen, q=q, micro_steps=k)
        found = run_twin(plan, data_of(what), ("h", "hat"))
        largest = float(np.abs(found.need("h") - found.need("hat")).max()) / q
        if largest <= 0.5 + 1e-9:
            return k
    raise InputError(
        f"q = {q:g}: with {MICRO_STEPS[-1]} micro-steps |h - ĥ| still reaches {largest:.3g} q; take a larger q, or "
        f"mode = 'sigma-delta' with a rounded payload"
    )
