"""What a learner or an experiment asks of a chip, and the table of what each rule reads."""

from __future__ import annotations

from neurolrnn.basis import Basis
from neurolrnn.chips.counting.learner import learner_demand
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.tasks.base import Task
from neurolrnn.training import Training
from neurolrnn_hardware.demand import Demand


def demand_of(
    network: Network | Experiment,
    rule: Rule | None = None,
    precision: Precision | None = None,
    training: Training | None = None,
    *,
    task: Task | None = None,
    loss: str = "squared-error",
    longest: int = 1,
    seed: int = 0,
    basis: Basis | None = None,
) -> Demand:
    """Count what a learner asks of a chip.

    Parameters
    ----------
    network : Network or Experiment
        Network, or an experiment, which says everything else.
    rule : Rule
        Learning rule.
    precision : Precision, optional
        Number formats; default float32.
    training : Training, optional
        Default: ``Training()``, or an update per episode where the rule has no other.
    task : Task, optional
        Gives loss and longest episode.
    loss : str
        ``"squared-error"`` or ``"cross-entropy"``, where there is no task.
    longest : int
        Steps of the longest episode, where there is no task; only BPTT and updates per episode depend on it.
    seed : int
        Of random feedback.
    basis : Basis, optional
        How the recurrent weights are held; default: as the network is, or the Schur form if the rule says so.

    Returns
    -------
    Demand

    Raises
    ------
    InputError
        If these do not go together, or averages (``update = "expected"``) are asked for, which no chip calculates.
    """
    if isinstance(network, Experiment):
        if rule is not None or precision is not None or training is not None:
            raise InputError("an experiment says rule, precision and training; change them in it")
        net, task, rule, precision, training, seed = network.build()
    else:
        net = network
        if rule is None:
            raise InputError("rule is missing; give one, such as RFLO()")
    return learner_demand(net, rule, precision, training, task=task, loss=loss, longest=longest, seed=seed, basis=basis)


LEARNERS: dict[str, Rule] = {
    "RFLO, dense": RFLO(storage="dense"),
    "RFLO, factored": RFLO(),
    "RFLO, dense, symmetric": RFLO(storage="dense", feedback="symmetric"),
    "truncated BPTT(1)": TruncatedBPTT(),
    "truncated BPTT(3)": TruncatedBPTT(steps=3),
    "e-prop, random": EProp(feedback="random"),
    "e-prop, symmetric": EProp(),
    "RTRL": RTRL(),
    "BPTT": BPTT(),
}
"""Learners of the table of locality."""


def locality_rows() -> list[list[str]]:
    """Return the rows of the table of locality: learner, synapse, update, local reads, other reads.

    The read-out learns in the same way in all of them and stands there once.
    """
    net = Network.random(2, 4, 2, leak=0.5)
    rows: list[list[str]] = []
    for title, rule in LEARNERS.items():
        readout, *inner = learner_demand(net, rule).locality.rows()
        if not rows:
            rows.append(["all, online", *readout])
        rows += [[title if k == 0 else "", *row] for k, row in enumerate(inner)]
    return rows
