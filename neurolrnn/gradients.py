"""What a rule's update is worth: beside the exact gradient, and the exact gradient beside finite differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.engine import Engine
from neurolrnn.errors import InputError, instance
from neurolrnn.fixed_grid import Setting
from neurolrnn.network import Network
from neurolrnn.number_system import RealNumbers, make_numbers
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RTRL, Rule
from neurolrnn.schedule import Schedule, step_weights
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.training import GROUPS, Training

Gradient = dict[str, NDArray[np.float64]]


def gradient(
    rule: Rule,
    net: Network,
    data: Sequences,
    *,
    loss: str = "squared-error",
    loss_steps: str = "all",
    seed: int = 0,
    precision: Precision | None = None,
) -> Gradient:
    """Return the update a rule would make with all weights held still, summed over all sequences.

    Parameters
    ----------
    rule : Rule
        Any rule; factored storage gives the same as dense.
    net : Network
        Weights.
    data : Sequences
        What is gone through once.
    loss, loss_steps : str
        As in :class:`Task` and :class:`Training`.
    seed : int
        Seed of random feedback, as in :func:`simulate`.
    precision : Precision, optional
        Numbers that weights, states, traces, signals and errors are calculated in; default float64. In fixed point
        the products are summed exactly, as they are before a learning rate and a landing on the weights.

    Returns
    -------
    dict
        ``"A"`` (n_out, n_rec), ``"W"`` (n_rec, n_rec) and ``"B"`` (n_rec, n_in), float64. For BPTT and RTRL this is
        the gradient of the summed loss; for a local rule it is what the rule has instead.

    Raises
    ------
    InputError
        If an output is not finite, or the rule has no form in the precision.
    """
    precision = Precision.float64() if precision is None else precision
    training = Training(
        learning_rate=0.0, update="episode", momentum=0.0 if precision.is_fixed else 0.5, loss_steps=loss_steps,  # type: ignore[arg-type]
    )  # fmt: skip
    R = rule.feedback_matrix(net.n_out, net.n_rec, seed)
    schedule = Schedule(data)
    numbers = make_numbers(
        precision, Setting(net, rule, training, R, loss, lanes=1, longest=data.steps, seed=seed)
    )  # fmt: skip
    engine = Engine(
        net, rule, training, numbers, feedback=R, data=data, weights=step_weights(data, loss_steps), loss=loss,
        longest=schedule.longest,
    )  # fmt: skip
    done, update = engine.sum_updates(schedule.epoch(0))
    if done < data.steps:
        sequence = int(np.searchsorted(data.starts, done, side="right")) - 1
        raise InputError(
            f"the output of the network is not finite at step {done - data.starts[sequence]} of sequence {sequence}; "
            f"no gradient exists"
        )
    if engine.factored:
        R = engine.feedback()  # as the learner holds it
        update["W"], update["B"] = R.T @ update["W"], R.T @ update["B"]
    return update


def total_loss(net: Network, data: Sequences, *, loss: str = "squared-error", loss_steps: str = "all") -> float:
    """Return the loss summed over all steps and sequences, float64."""
    weights = step_weights(data, loss_steps)
    counted = Sequences(data.inputs, data.targets, data.starts, weights, data.labels)
    engine = Engine(
        net, BPTT(), Training(update="episode"), RealNumbers(np.dtype(np.float64)), feedback=None, data=counted,
        weights=weights, loss=loss,
    )  # fmt: skip
    return engine.evaluate(counted, Schedule(counted).epoch(0))[1]


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """Result of :func:`gradcheck`.

    Attributes
    ----------
    rule : Rule
        What was checked.
    update, bptt : dict
        The rule's update and the exact gradient, per group.
    numeric_error : dict
        Per group, ‖BPTT - central differences‖ / ‖central differences‖ over the entries sampled.
    relative_error : dict
        Per group, ‖update - BPTT‖ / ‖BPTT‖.
    angle_degrees : dict
        Per group, and ``"all"``: the angle between the update and BPTT.
    exact : bool
        Whether this rule claims to be the gradient.
    """

    rule: Rule
    update: Gradient
    bptt: Gradient
    numeric_error: dict[str, float]
    relative_error: dict[str, float]
    angle_degrees: dict[str, float]
    exact: bool

    @property
    def passed(self) -> bool:
        """BPTT agrees with central differences to 1e-6, and a rule that claims exactness with BPTT to 1e-11."""
        # all(), because max() can forget a NaN
        return all(e <= 1e-6 for e in self.numeric_error.values()) and (
            not self.exact or all(e <= 1e-11 for e in self.relative_error.values())
        )

    def __str__(self) -> str:
        lines = [f"gradcheck of {self.rule!r}: {'passed' if self.passed else 'FAILED'}"]
        for g in GROUPS:
            lines.append(
                f"  {g}: BPTT against central differences {self.numeric_error[g]:.1e}, update against BPTT "
                f"{self.relative_error[g]:.1e}, angle {self.angle_degrees[g]:.2f}°"
            )
        return "\n".join(lines)


def gradcheck(
    rule: Rule,
    net: Network | None = None,
    task: Task | None = None,
    *,
    loss_steps: str = "all",
    samples: int = 100,
    seed: int = 0,
) -> GradientCheck:
    """Hold a rule's update against the exact gradient, and BPTT against central differences.

    Parameters
    ----------
    rule : Rule
        Any rule. BPTT and RTRL must agree with the gradient; for the others the angle is the information.
    net, task : Network, Task, optional
        Default: a small random network with leak 0.5 and random sequences by ``seed``.
    loss_steps : str
        ``"all"`` or ``"final"``.
    samples : int
        Entries per group that are differenced; all if there are fewer.
    seed : int
        Seeds random feedback, the default network and task, and the choice of entries.

    Notes
    -----
    Published notebooks of this field hold "BPTT" and "RTRL" that are not exact (relative error of 0.5 to 0.8 against
    differences was found in the notebook published with RFLO); the ones here are, and this function shows it on any
    network and task.
    """
    instance("rule", rule, Rule, "nl.EProp()")
    rng = np.random.default_rng(seed)
    if net is None:
        net = Network.random(3, 7, 2, leak=0.5, seed=seed, output_scale=1.0)
    if task is None:
        n_in, n_out = net.n_in, net.n_out
        data = Sequences.from_arrays(
            [rng.normal(size=(T, n_in)) for T in (9, 6, 1)], [rng.normal(size=(T, n_out)) for T in (9, 6, 1)]
        )
        task = Task("random", data)
    if task.n_in != net.n_in or task.n_out != net.n_out:
        raise InputError(
            f"the task has {task.n_in} inputs and {task.n_out} outputs, the network {net.n_in} and {net.n_out}"
        )
    options: dict[str, Any] = {"loss": task.loss, "loss_steps": loss_steps}
    update = gradient(rule, net, task.train, seed=seed, **options)
    exact = gradient(BPTT(), net, task.train, **options)
    numeric = {}
    for group in GROUPS:
        value = getattr(net, group)
        flat = rng.permutation(value.size)[:samples]
        found = np.array([_difference(net, task.train, group, int(i), options) for i in flat])
        numeric[group] = _relative(exact[group].ravel()[flat], found)
    return GradientCheck(
        rule=rule,
        update=update,
        bptt=exact,
        numeric_error=numeric,
        relative_error={g: _relative(update[g], exact[g]) for g in GROUPS},
        angle_degrees={
            **{g: angle_degrees(update[g], exact[g]) for g in GROUPS},
            "all": angle_degrees(flatten(update), flatten(exact)),
        },
        exact=isinstance(rule, BPTT | RTRL),
    )


def _difference(net: Network, data: Sequences, group: str, i: int, options: dict[str, Any]) -> float:
    """Central difference of fourth order: exact to rounding for a loss that is nearly polynomial in one weight."""
    value = getattr(net, group)
    step = 1e-3 * max(1.0, abs(float(value.ravel()[i])))

    def at(k: int) -> float:
        moved = value.copy()
        moved.ravel()[i] += k * step
        return total_loss(net.replace(**{group: moved}), data, **options)

    return (8.0 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12.0 * step)


def _relative(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    norm = float(np.linalg.norm(b))
    distance = float(np.linalg.norm(a - b))
    return distance / norm if norm else distance


def flatten(update: Gradient) -> NDArray[np.float64]:
    """Return all groups of an update as one vector."""
    return np.concatenate([update[g].ravel() for g in GROUPS])


def angle_degrees(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the angle between two updates taken as vectors, 0 to 180; NaN if one is 0."""
    u, v = np.ravel(a), np.ravel(b)
    nu, nv = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    if nu == 0.0 or nv == 0.0:
        return float("nan")
    u, v = u / nu, v / nv
    # accurate near 0 and 180 degrees, where the arc cosine is not (Kahan 2006)
    return float(np.degrees(2.0 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))))
