"""The mode equations beside a run: what its modes and its loss were to do, and how far it went from there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.mode_frame import ALIGNED_TO, ModeFrame
from neurolrnn.network import Network
from neurolrnn.run import Run
from neurolrnn.tables import text_table
from neurolrnn.tasks.teacher_student import aligned_teacher
from neurolrnn.theory.mode_equations import ModeEquations, ModeTrajectory
from neurolrnn.theory.stationary_points import Array

MOST_GRADIENT_STEPS = 4000
"""Updates up to which they are predicted one by one; more are predicted by the differential equation."""
BETWEEN = 8
"""Points of the differential equation an interval, over which its loss is averaged as the recorded one is."""


@dataclass(frozen=True, eq=False)
class ModePrediction:
    """Modes of a run as recorded and as the mode equations have them, at the same steps."""

    step: NDArray[np.int64]
    """(points + 1,): 0, where both start, and every recorded step."""
    teacher: tuple[Array, Array, Array]
    """a*, b*, w* of the teacher, (modes,) each."""
    simulated: dict[str, Array]
    """``"a"``, ``"b"``, ``"w"``: (points + 1, modes)."""
    predicted: dict[str, Array]
    loss: Array
    """Recorded loss per step, the mean since the point before, (points,)."""
    predicted_loss: Array
    """The same of the prediction."""
    off_diagonal: Array
    """Share of the student that is no mode, (points,)."""
    path: ModeTrajectory
    """The prediction at more points; its time is the number of updates."""
    path_step: Array
    """Steps of the run at the points of `path`."""
    by_steps: bool
    """Whether gradient steps were taken; otherwise the differential equation was solved, the limit η to 0."""
    notes: tuple[str, ...]
    """What the run does that the equations leave out."""


@dataclass(frozen=True)
class ModeDeviation:
    """Where a run is furthest from its mode equations."""

    largest: float
    """Largest \\|simulated - predicted\\| over a, b and w, all modes and all recorded steps; inf if one ran away."""
    variable: str
    mode: int
    step: int
    a: float
    """Largest for a alone."""
    b: float
    w: float
    loss: float
    """Largest \\|recorded - predicted\\| loss."""
    off_diagonal: float
    """Largest share of the student that is no mode."""

    def __str__(self) -> str:
        rows = [(k, f"{getattr(self, k):.3g}") for k in ("a", "b", "w", "loss", "off_diagonal")]
        return (
            f"largest deviation {self.largest:.3g}, {self.variable} of mode {self.mode} at step {self.step:,}\n"
            + text_table(rows, ["", "largest"], "lr")
        )


def mode_deviation(run: Run, teacher: Network | None = None) -> ModeDeviation:
    """Return how far a run's modes are from what the mode equations predict.

    Arguments and errors as for :func:`predict_modes`. What remains is the noise of sampled inputs, the size of the
    learning rate, and in fixed point the rounding.
    """
    return deviation_of(predict_modes(run, teacher))


def deviation_of(found: ModePrediction) -> ModeDeviation:
    """Return the largest deviations in a prediction."""
    off = {k: np.abs(found.simulated[k] - found.predicted[k]) for k in "abw"}
    # One of both that ran away is further from the other than any number says.
    off = {k: np.where(np.isfinite(x), x, math.inf) for k, x in off.items()}
    worst = max(off, key=lambda k: float(off[k].max()))
    point, mode = np.unravel_index(int(off[worst].argmax()), off[worst].shape)
    # NaN where no error counted between two points.
    loss = np.nan_to_num(np.abs(found.loss - found.predicted_loss), nan=0.0)
    return ModeDeviation(
        float(off[worst].max()), worst, int(mode), int(found.step[point]), float(off["a"].max()),
        float(off["b"].max()), float(off["w"].max()), float(loss.max()), float(found.off_diagonal.max()),
    )  # fmt: skip


def predict_modes(run: Run, teacher: Network | None = None) -> ModePrediction:
    """Solve the mode equations with the start, rule, rates, leak and lengths of a run, at its recorded steps.

    Parameters
    ----------
    run : Run
        Of an aligned student of a teacher made of modes, with white noise as input.
    teacher : Network, optional
        From :func:`aligned_teacher`, where the task was not made by ``tasks.load("teacher-student", a_star=...)``.

    Raises
    ------
    InputError
        If the run has no such teacher or student, or does something that has no mode equations.

    Notes
    -----
    One update of an episode is the sum over its sequences and steps, so its expectation is the number of sequences
    (times T with ``loss_steps = "all"``) times that of :class:`ModeEquations`. An online update has, to first order
    in η, the expectation of the mean over the steps; ``update = "expected"`` makes just that. Momentum μ is taken as a
    rate of η/(1-μ). Up to :data:`MOST_GRADIENT_STEPS` updates are predicted one by one, more by the differential
    equation, which differs by O(η).
    """
    teacher = teacher or _teacher(run)
    frame = ModeFrame.of(run.initial, teacher, run.feedback)
    if not frame.aligned:
        raise InputError(
            "the student did not start as modes of the teacher, so the mode equations do not say how it learns; start "
            "from neurolrnn.tasks.teacher_student.aligned_student, or look at 'neurolrnn theory alignment'"
        )
    if "mode.a" not in run.records:
        raise InputError("the run has no curves of its modes; run it again with this version (and n_rec up to 256)")
    equations, rates, notes = _equations(run, teacher, frame)
    steps = np.concatenate([[0], np.asarray(run.records["step"]).astype(np.int64)])
    updates, even = _updates(run, steps)
    start = frame.modes(run.initial)
    by_steps = bool(even and updates[-1] <= MOST_GRADIENT_STEPS)
    if by_steps:
        path = equations.descend(*start, np.arange(updates[-1] + 1.0), 1.0, rates)
        at = updates.astype(np.int64)
        # The error counted is that before the update.
        mean = [path.total_loss[i : max(j, i + 1)].mean() for i, j in pairwise(at.tolist())]
    else:
        t = np.interp(np.arange((len(steps) - 1) * BETWEEN + 1) / BETWEEN, np.arange(len(steps)), updates)
        path = equations.flow(*start, t, rates)
        at = np.arange(len(steps)) * BETWEEN
        mean = [np.trapezoid(path.total_loss[i : j + 1]) / BETWEEN for i, j in pairwise(at.tolist())]
    sampled = run.experiment["training"]["update"] != "expected"
    task: Mapping[str, Any] = run.experiment["task"]
    noise = float(task.get("noise", 0.0)) if sampled else 0.0
    return ModePrediction(
        steps,
        (np.array(teacher.origin["a"]), np.array(teacher.origin["b"]), np.array(teacher.origin["w"])),
        {k: np.vstack([x[np.newaxis], run.records[f"mode.{k}"]]) for k, x in zip("abw", start, strict=True)},
        {"a": path.a[at], "b": path.b[at], "w": path.w[at]},
        np.asarray(run.loss, float),
        np.array(mean) + 0.5 * run.network.n_out * noise**2,
        np.asarray(run.records["mode.off_diagonal"], float),
        path,
        np.interp(path.t, updates, steps),
        by_steps,
        notes,
    )


def _teacher(run: Run) -> Network:
    task: Mapping[str, Any] = run.experiment["task"]
    if "a_star" not in task:
        raise InputError(
            f"the task {task.get('name')!r} has no teacher made of modes, so there are no mode equations to lay beside "
            "the run; load 'teacher-student' with a_star, b_star and w_star, or give the teacher"
        )
    return aligned_teacher(
        task["a_star"], task["b_star"], task["w_star"], n_in=task["n_in"], n_rec=task["n_rec"], n_out=task["n_out"],
        rotate=task["rotate"], leak=task["leak"], seed=task["seed"],
    )  # fmt: skip


def _updates(run: Run, steps: NDArray[np.int64]) -> tuple[Array, bool]:
    """Return the number of updates made after each number of steps, and whether all are of one size.

    A last batch that is not full counts as the part of an update that it is.
    """
    training = run.experiment["training"]
    task: Mapping[str, Any] = run.experiment["task"]
    T, sequences = int(task["steps"]), int(task["sequences"])
    lanes = min(int(training["batch"]), sequences)
    groups = math.ceil(sequences / lanes)
    epoch, group = np.divmod(steps // T, groups)
    seen = np.minimum(group * lanes, sequences)
    done = (epoch * sequences + seen) / lanes
    if training["update"] != "episode" and training["loss_steps"] == "all":  # every step is an update
        done = done * T + steps % T * np.minimum(lanes, sequences - seen) / lanes
    return np.asarray(done, dtype=np.float64), sequences % lanes == 0


def _equations(run: Run, teacher: Network, frame: ModeFrame) -> tuple[ModeEquations, dict[str, float], tuple[str, ...]]:
    """Return the equations, the rate of each group per update, and what is left out."""
    training = run.experiment["training"]
    task: Mapping[str, Any] = run.experiment["task"]
    rule: Mapping[str, Any] = run.experiment["rule"]
    if "steps" not in task or "sequences" not in task:
        raise InputError(
            f"the task {task.get('name')!r} does not say how long its sequences are and how many; the mode equations "
            "stand beside tasks.load('teacher-student', ...)"
        )
    a_hat = None
    if run.feedback is not None:
        a_hat, rest = frame.feedback_modes(run.feedback)
        if rest > ALIGNED_TO:
            raise InputError(
                f"the feedback R is not aligned with teacher and student ({100 * rest:.3g} % of it is no mode), so the "
                "modes do not learn by themselves; give the rule the R that aligned_student returns"
            )
    T = int(task["steps"])
    worth = min(int(training["batch"]), int(task["sequences"])) / (1.0 - training["momentum"])
    if training["update"] == "episode" and training["loss_steps"] == "all":
        worth *= T  # its sum over the steps, where the equations have the mean
    rates = {group: rate * worth for group, rate in training["learning_rate"].items()}
    notes = []
    if training["momentum"]:
        notes.append("momentum is taken as a larger rate")
    if training["clamp"]:
        notes.append("clamps are left out")
    horizon = training.get("horizon") or T  # of an expected run
    equations = ModeEquations(
        rule["name"], teacher.origin["a"], teacher.origin["b"], teacher.origin["w"], a_hat=a_hat,
        decay=rule.get("decay") if rule["name"] == "rflo" else None, steps=rule.get("steps", 1),
        T=math.inf if horizon == "inf" else horizon,
        loss_steps=training["loss_steps"], leak=run.initial.leak, leak_star=teacher.leak, basis=_basis(rule, frame),
    )  # fmt: skip
    return equations, rates, tuple(notes)


def _basis(rule: Mapping[str, Any], frame: ModeFrame) -> str:
    if rule["name"] != "eprop":
        return "units"
    P = np.abs(frame.P if frame.P is not None else np.zeros((1, 1)))
    if np.allclose(P.max(axis=0), 1.0, atol=ALIGNED_TO):
        return "units"
    if np.allclose(P, 1.0 / math.sqrt(len(P)), atol=ALIGNED_TO):
        return "flat"
    raise InputError(
        "e-prop keeps modes apart only if each is one unit, or all are spread evenly over the units; take an aligned "
        "student without a seed of its basis, or another rule"
    )
