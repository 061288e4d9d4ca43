"""What an experiment asks of a chip: memory, connections, messages, arithmetic and locality, counted before any run."""

from __future__ import annotations

from neurolrnn.basis import Basis, own_basis, schur_basis
from neurolrnn.counting.memory import variables
from neurolrnn.counting.plan import Plan
from neurolrnn.counting.wiring import connections, messages, populations
from neurolrnn.counting.work import arithmetic
from neurolrnn.errors import InputError, choose, positive_integer
from neurolrnn.experiment import Experiment
from neurolrnn.fixed_grid import Setting
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rule_locality import locality_of
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.tasks.base import LOSSES, Task
from neurolrnn.training import Training, check_rule, choose_precision
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
    if training is None:
        training = Training(update="online" if rule.online else "episode")
    check_rule(rule, training)
    if training.update == "expected":
        raise InputError("update = 'expected' calculates averages, which no chip does; take 'online' or 'episode'")
    precision = choose_precision(precision, training)
    if task is not None:
        loss, longest = task.loss, int(task.train.lengths.max())
    choose("loss", loss, LOSSES)
    lanes = training.batch if task is None else min(training.batch, len(task.train))
    R = rule.feedback_matrix(net.n_out, net.n_rec, seed)
    setting = Setting(net, rule, training, R, loss, lanes, positive_integer("longest", longest), seed)
    if basis is None:
        wants = isinstance(rule, RFLO) and rule.basis == "schur"
        basis = schur_basis(net) if wants else own_basis(net, rule)
    return _count(Plan(setting, precision, basis))


def _count(plan: Plan) -> Demand:
    rule, training = plan.setting.rule, plan.setting.training
    asked = getattr(rule, "feedback", "")
    return Demand(
        rule=rule.name, storage="factored" if plan.setting.factored else "dense", form=plan.basis.form,
        feedback=asked if isinstance(asked, str) else "given", precision=plan.precision.name,
        update=training.update, momentum=training.momentum, learn=training.learn, sizes=plan.sizes,
        populations=populations(plan), connections=connections(plan),
        variables=variables(plan),
        messages=messages(plan), arithmetic=arithmetic(plan), locality=locality_of(plan.facts),
    )  # fmt: skip


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
        readout, *inner = demand_of(net, rule).locality.rows()
        if not rows:
            rows.append(["all, online", *readout])
        rows += [[title if k == 0 else "", *row] for k, row in enumerate(inner)]
    return rows
