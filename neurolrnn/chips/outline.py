"""What an experiment asks of a chip, without drawing a large network in full."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from neurolrnn import tasks
from neurolrnn.basis import Basis
from neurolrnn.chips.counting.learner import learner_demand
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.experiment_keys import told
from neurolrnn.low_rank import LARGEST_DENSE
from neurolrnn.network import Network
from neurolrnn.rules import RFLO
from neurolrnn.tasks import Task
from neurolrnn_hardware.demand import Demand

DRAWN = 64
"""Units up to which the very network of the experiment is counted."""


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
    in place of its own, whose eigenvalues would take n³ work to scale. Nothing but the width of exact sums over weights
    that do not learn depends on their values, and that only by a bit or so.

    Raises
    ------
    InputError
        If the experiment is not in order, or no chip calculates it.
    """
    drawing, rule, training = experiment.network, experiment.rule, experiment.training
    if task is None:
        with told(experiment.where, "task"):
            said: dict[str, Any] = experiment.task
            task = tasks.load(**said)
    factored = isinstance(rule, RFLO) and rule.storage == "factored"
    schur = isinstance(rule, RFLO) and rule.basis == "schur"
    held = drawing.kind == "sparse" or (drawing.kind == "block" and factored)
    basis: Basis | None = None
    with told(experiment.where, "network"):
        if held or schur or drawing.n_rec <= DRAWN:
            network = Network.random(task.n_in, n_out=task.n_out, **_options(experiment))
        elif "W" in training.learn and not factored:  # all n² weights may become anything: only their number matters
            network = Network.random(task.n_in, n_out=task.n_out, **{**_options(experiment), "kind": "block"})
            basis = Basis("dense", np.empty((0, 0)))
        elif drawing.n_rec > LARGEST_DENSE:
            raise InputError(
                f"n_rec = {drawing.n_rec:,} with kind = {drawing.kind!r} has {drawing.n_rec**2:,} weights that do not "
                f"learn; above {LARGEST_DENSE:,} units take kind = 'sparse' or 'block'"
            )
        else:
            network = _independent(experiment, task)
            basis = Basis("dense", network.W)
    with told(experiment.where):
        return learner_demand(network, rule, experiment.numbers, training, task=task, seed=experiment.seed, basis=basis)


def _options(experiment: Experiment) -> dict[str, Any]:
    options = asdict(experiment.network)
    options["seed"] = experiment.seed if experiment.network.seed is None else experiment.network.seed
    return options


def _independent(experiment: Experiment, task: Task) -> Network:
    drawing, n = experiment.network, experiment.network.n_rec
    rng = np.random.default_rng(experiment.seed)
    W = rng.normal(0.0, drawing.spectral_radius / np.sqrt(n), (n, n))
    B = rng.normal(0.0, drawing.input_scale / np.sqrt(task.n_in), (n, task.n_in))
    A = rng.normal(0.0, drawing.output_scale / np.sqrt(n), (task.n_out, n))
    return Network(A, W, B, drawing.leak)
