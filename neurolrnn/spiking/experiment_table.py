"""The table ``[spiking]`` of an experiment: what is trained is deployed as spikes too, and measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from neurolrnn.network import Network
from neurolrnn.run import Run
from neurolrnn.spiking.measure import measure
from neurolrnn.spiking.plan import make_plan
from neurolrnn.tasks.base import Task


def check_table(options: Mapping[str, Any], leak: float) -> None:
    """Refuse options that have no meaning, before anything is trained.

    Raises
    ------
    InputError
        If so. What only the trained network can tell, such as whether it has finer steps, is found later.
    """
    given = dict(options)
    mode = given.pop("mode", "sigma-delta")
    one = np.ones((1, 1))
    make_plan(Network(one, 0.0 * one, one, min(leak, 0.5)), mode, **given)


def with_spikes(run: Run, task: Task, options: Mapping[str, Any]) -> Run:
    """Return a run with the figures of its network as spikes among its metrics.

    They are those of :func:`measure` with ``spiking_`` in front: ``spiking_accuracy`` or ``spiking_nmse``,
    ``spiking_error``, ``spiking_events_per_unit``, ``spiking_synaptic_operations`` and others.

    Raises
    ------
    InputError
        If the trained network cannot be deployed so.
    """
    found = measure(run.network, task, **dict(options))
    metrics = {**run.metrics, **{f"spiking_{name}": value for name, value in found.items()}}
    return replace(run, metrics=metrics, experiment={**run.experiment, "spiking": dict(options)})
