"""What an experiment asks of a chip, without drawing a large network in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurolrnn.basis import Basis
from neurolrnn.demands import demand_of
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.experiment_keys import told
from neurolrnn.low_rank import LARGEST_DENSE
from neurolrnn.network import Network
from neurolrnn.rules import RFLO
from neurolrnn.tasks import Task
from neurolrnn_hardware.demand import Demand

DRAWN = 256
"""Units up to which the very network of the experiment is counted."""
_HELD = ("block", "sparse")


def outline(experiment: Experiment, task: Task | None = None) -> Demand:
    """Return the demand of an experiment.

    Parameters
    ----------
    experiment : Experiment
        What is to run.
    task : Task, optional
        Its task, where it has been made already.

    Notes
    -----
    A network of full weights with more than :data:`DRAWN` units is counted with independent weights of the same size
    in place of its own, whose eigenvalues would take n³ work to scale. Only sums of weights that do not learn can
    differ by that, and only in the last bit of an exact accumulator.

    Raises
    ------
    InputError
        If the experiment is not in order, or no chip calculates it.
    """
    drawing, rule = experiment.network, experiment.rule
    if task is None:
        from neurolrnn import tasks

        with told(experiment.where, "task"):
            task = tasks.load(**experiment.task)
    n = drawing.n_rec
    basis: Basis | None = None
    schur = isinstance(rule, RFLO) and rule.basis == "schur"
    with told(experiment.where, "network"):
        if drawing.kind in _HELD or n <= DRAWN or schur:
            network = _drawn(experiment, task)
        elif n > LARGEST_DENSE:
            raise InputError(
                f"n_rec = {n:,} with kind = {drawing.kind!r} has {n * n:,} weights; above {LARGEST_DENSE:,} units take "
                f"kind = 'sparse' or 'block'"
            )
        else:
            network = _independent(experiment, task)
            basis = Basis("dense", network.W)
    with told(experiment.where):
        return demand_of(
            network, rule, experiment.precision, experiment.training, task=task, seed=experiment.seed, basis=basis
        )


def _options(experiment: Experiment) -> Mapping[str, Any]:
    from dataclasses import asdict

    options = asdict(experiment.network)
    options["seed"] = experiment.seed if experiment.network.seed is None else experiment.network.seed
    return options


def _drawn(experiment: Experiment, task: Task) -> Network:
    return Network.random(task.n_in, n_out=task.n_out, **_options(experiment))


def _independent(experiment: Experiment, task: Task) -> Network:
    drawing, n = experiment.network, experiment.network.n_rec
    rng = np.random.default_rng(experiment.seed)
    W = rng.normal(0.0, drawing.spectral_radius / np.sqrt(n), (n, n))
    B = rng.normal(0.0, drawing.input_scale / np.sqrt(task.n_in), (n, task.n_in))
    A = rng.normal(0.0, drawing.output_scale / np.sqrt(n), (task.n_out, n))
    return Network(A, W, B, drawing.leak)
