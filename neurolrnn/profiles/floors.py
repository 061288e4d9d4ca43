"""The loss that theory says rounding leaves, for experiments that learn from a teacher made of modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.mode_frame import ModeFrame
from neurolrnn.precision import Precision
from neurolrnn.rules import RFLO, EProp, Rule, TruncatedBPTT
from neurolrnn.theory.rounding import Floor, loss_floor
from neurolrnn.training import GROUPS

if TYPE_CHECKING:
    from neurolrnn.profiles.row import Row

SAMPLED = 100
"""Steps that an update must sum for it to count as the expected one."""


def floor_of(row: Row) -> Floor | None:
    """Return :func:`predicted_floor` of a row of a profile, with the a of each mode that its run ended with."""
    try:
        experiment = Experiment.from_dict(row.experiment)
    except InputError:  # the row of a run that was not possible
        return None
    modes = row.records.get("mode.a")
    ended = modes[-1] if modes is not None and len(modes) else None
    return predicted_floor(experiment, ended if ended is not None and np.isfinite(ended).all() else None)


def predicted_floor(experiment: Experiment, a: Sequence[float] | None = None) -> Floor | None:
    """Return the loss per step that the grid of the weights leaves, by :func:`neurolrnn.theory.rounding.loss_floor`.

    Parameters
    ----------
    experiment : Experiment
        In fixed point, on the task teacher-student with a teacher made of modes (``a_star``, ``b_star``, ``w_star``).
    a : (modes,), optional
        Read-out weight of each mode where learning ends, as curve ``mode.a`` of a run has it. Default: A and B share
        c = a* b* evenly, a = √|c|.

    Returns
    -------
    Floor or None
        ``(loss, valid, reason)``, the sum over the teacher's modes; None if the theory has nothing to say: another task
        or teacher, floating point, or a mode that does not learn. Compare with a run's ``train_loss`` or ``test_loss``.

    Notes
    -----
    For updates to nearest an upper bound, for stochastic ones a mean. Grids are those of the weights, or of hidden
    ones. It is ``valid`` only if the student has the form of modes, as a student of one unit always has, if updates are
    sums over at least 100 steps (the theory's are expected updates), and if the formula holds at this grid. Where it is
    not, the number is a guide to how the floor scales with bits and learning rate, and ``reason`` says what is not met.
    """
    precision = experiment.precision
    if not precision.is_fixed or experiment.task.get("name") != "teacher-student":
        return None
    net, task, rule, _, training, seed = experiment.build()
    teacher = task.teacher
    if teacher is None or teacher.origin.get("kind") != "modes" or not isinstance(rule, RFLO | TruncatedBPTT | EProp):
        return None
    R = rule.feedback_matrix(net.n_out, net.n_rec, seed)
    frame = ModeFrame.of(net, teacher, R)
    doubts = []
    if not frame.aligned:
        doubts.append("the student is not made of modes, so rounding acts on mixtures of them")
    if set(training.learn) != set(GROUPS):
        doubts.append(f"only {', '.join(training.learn)} learn")
    if isinstance(rule, RFLO) and rule.storage == "factored":
        doubts.append("the grid of factored storage is that of the factors")
    steps_each = 1 if training.update == "online" else training.batch * int(task.train.lengths.max())
    if steps_each < SAMPLED:
        doubts.append(f"an update is a sample of {steps_each} steps, not the expected one")
    if experiment.task.get("noise", 0.0):
        doubts.append("noise in the targets keeps updates noisy")
    rounding = precision.update_rounding or precision.rounding
    kind = {"nearest": "nearest", "nearest-even": "nearest", "stochastic": "stochastic"}.get(rounding)
    if kind is None:
        doubts.append(f"updates are rounded {rounding}; the formula is that of stochastic rounding")
    bits = _fraction_bits(precision)
    alpha = net.leak
    scale = {"A": 1.0, "W": alpha**2, "B": alpha**2}
    rates = {g: training.rates[g] * steps_each * scale[g] for g in GROUPS}
    grid = {g: bits[g] - (math.log2(alpha) if g in "WB" else 0.0) for g in GROUPS}
    hats = frame.feedback_modes(R)[0] if R is not None and frame.aligned else None
    total = 0.0
    modes = (teacher.origin["a"], teacher.origin["b"], teacher.origin["w"])
    for k, (a_star, b_star, w) in enumerate(zip(*modes, strict=True)):
        c, w_star = a_star * b_star * teacher.leak, 1.0 - teacher.leak + teacher.leak * w
        if c == 0.0:
            continue
        a_hat = None if hats is None else float(hats[k])
        s = float(a[k]) if a is not None else math.copysign(math.sqrt(abs(c)), a_hat or 1.0)
        try:
            name, options = _formula(rule, alpha, a_hat)
            found = loss_floor(name, s, c, w_star, rates, grid, kind or "stochastic",
                               random_bits=precision.random_bits, **options)  # fmt: skip
        except InputError as error:
            doubts.append(f"mode {k}: {error}")
            continue
        total += found.loss
        if not found.valid:
            doubts.append(found.reason)
    return Floor(total, not doubts, "; ".join(dict.fromkeys(doubts))) if total else None


def _fraction_bits(precision: Precision) -> dict[str, int]:
    found = {}
    for group in GROUPS:
        fine = precision.hidden_format(group)
        found[group] = (fine or precision.landing(group).format).frac_bits
    return found


def _formula(rule: Rule, alpha: float, a_hat: float | None) -> tuple[str, dict[str, Any]]:
    """Return the rule as the theory knows it. Without feedback of its own it follows a."""
    if isinstance(rule, TruncatedBPTT):
        return "tbptt", {"steps": rule.steps, **({} if a_hat is None else {"feedback": a_hat})}
    if isinstance(rule, EProp):
        return ("bptt", {}) if a_hat is None else ("fa_bptt", {"feedback": a_hat})
    assert isinstance(rule, RFLO)
    decay = rule.decay if rule.decay is not None else 1.0 - alpha
    return "rflo", {"decay": decay, **({} if a_hat is None else {"feedback": a_hat})}
