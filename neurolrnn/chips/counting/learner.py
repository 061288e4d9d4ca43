"""Everything a learner asks of a chip, from network, rule, precision and training."""

from __future__ import annotations

from neurolrnn.basis import Basis, own_basis, schur_basis
from neurolrnn.chips.counting.memory import variables
from neurolrnn.chips.counting.plan import Plan
from neurolrnn.chips.counting.wiring import connections, messages, populations
from neurolrnn.chips.counting.work import arithmetic
from neurolrnn.chips.rule_locality import locality_of
from neurolrnn.errors import InputError, choose, positive_integer
from neurolrnn.fixed_grid import Setting
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import RFLO, Rule
from neurolrnn.tasks.base import LOSSES, Task
from neurolrnn.training import Training, check_rule, choose_precision
from neurolrnn_hardware.demand import Demand


def learner_demand(
    net: Network, rule: Rule, precision: Precision | None = None, training: Training | None = None, *,
    task: Task | None = None, loss: str = "squared-error", longest: int = 1, seed: int = 0, basis: Basis | None = None,
) -> Demand:  # fmt: skip
    """Count what a learner asks of a chip; parameters as for :func:`neurolrnn.demand_of`."""
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
