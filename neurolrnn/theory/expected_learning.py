"""Expected learning: many expected updates one after the other, for many students at once, in compiled code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.network import Network
from neurolrnn.tables import text_table
from neurolrnn.theory.colour import Colour, Driven, InputPath, input_path
from neurolrnn.theory.expected import EXPECTED_RULES, LOSS_STEPS, carry_back, check_pair, error_feedback
from neurolrnn.theory.stein import Matrix, geometric_sum
from neurolrnn.training import GROUPS, Training
from neurolrnn_kernels.expected import learn_expected
from neurolrnn_kernels.expected_structs import DENSE, DIAGONAL, SCALAR, Source, Students, Terms, Work

DIVERGED_AT = 1e8
"""A student has diverged when its loss exceeds this times the loss of giving no output (or 1)."""
CARRIES = {"rflo": SCALAR, "eprop": DIAGONAL}


@dataclass(frozen=True, eq=False)
class ExpectedLearning:
    """Result of :func:`expected_learning`, for S students."""

    rule: str
    updates: NDArray[np.int64]
    """(points,) numbers of updates at which the loss was recorded, from 0 to the last."""
    loss: Matrix
    """(points, S) expected loss; NaN from where a student has diverged."""
    networks: tuple[Network, ...]
    """The students at the end, or where they diverged."""
    diverged_at: Matrix
    """(S,) number of updates after which a student had diverged; inf where it did not."""

    @property
    def network(self) -> Network:
        """The only student at the end."""
        if len(self.networks) != 1:
            raise InputError(f"there are {len(self.networks)} students; take one of networks")
        return self.networks[0]

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """(S,) which students diverged."""
        return np.isfinite(self.diverged_at)

    def __str__(self) -> str:
        rows = []
        for s, when in enumerate(self.diverged_at):
            curve = self.loss[np.isfinite(self.loss[:, s]), s]
            ends = f"{curve[0]:.4g} -> {curve[-1]:.4g}" if len(curve) else "none"
            rows.append((s, ends, f"diverged after {when:.0f} updates" if np.isfinite(when) else ""))
        head = f"{self.rule}, {self.updates[-1]} expected updates"
        return head + "\n" + text_table(rows, ["student", "loss", ""])


def expected_learning(
    students: Network | Sequence[Network],
    teacher: Network,
    rule: str,
    *,
    R: ArrayLike | None = None,
    decay: float | None = None,
    steps: int = 1,
    T: float = math.inf,
    loss_steps: str = "final",
    colour: Colour = None,
    learning_rate: float | Mapping[str, float] = 0.01,
    updates: int,
    records: int = 50,
    learn: tuple[str, ...] = ("A", "W", "B"),
    momentum: float = 0.0,
    clamp: float | Mapping[str, float] | None = None,
) -> ExpectedLearning:
    """Learn by expected updates, θ ← θ - η E[Δθ]: gradient descent without noise, for any student and rule.

    Parameters
    ----------
    students : Network or list of Network
        Initial weights, all of the same sizes; leaks may differ. They learn independently of each other.
    teacher, rule, decay, steps, T, loss_steps, colour
        As in :func:`expected_update`.
    R : (n_out, n_rec) or (S, n_out, n_rec), optional
        Feedback for all students, or one matrix for each. Without it feedback is symmetric.
    learning_rate : float or dict
        η for all weights or per group, such as ``{"A": 0.1, "W": 0.01, "B": 0.01}``.
    updates : int
        Number of updates, at least 1.
    records : int
        Number of points of the loss curve, besides the one at the start.
    learn : tuple of str
        Groups that are learned.
    momentum, clamp
        As in :class:`neurolrnn.Training`.

    Returns
    -------
    ExpectedLearning

    Raises
    ------
    InputError
        If options do not fit or the teacher has no stationary state where one is needed. A student that has none, or
        loses it, is not an error: it is stopped there and reported in ``diverged_at``.

    Notes
    -----
    One update is :func:`expected_update` to rounding, and costs some 20 µs for 8 units and T = inf; the matrix
    formulas are there. A student has diverged when its spectral radius reaches 1 (T = inf) or its loss exceeds
    10⁸ times the loss of giving no output (or 1).

    Examples
    --------
    >>> from neurolrnn.network import Network
    >>> teacher = Network.random(2, 4, 1, spectral_radius=0.7, seed=1, output_scale=1.0)
    >>> students = [Network.random(2, 6, 1, spectral_radius=0.5, seed=s) for s in range(3)]
    >>> result = expected_learning(students, teacher, "bptt", learning_rate=0.05, updates=2000)
    >>> bool((result.loss[-1] < 0.02 * result.loss[0]).all())
    True
    """
    training = Training(learning_rate=learning_rate, learn=tuple(learn), momentum=momentum, clamp=clamp)
    stack = (students,) if isinstance(students, Network) else tuple(students)
    learner = ExpectedLearner(
        stack, teacher, rule, training, R=R, decay=decay, steps=steps, T=T, loss_steps=loss_steps, colour=colour,
    )  # fmt: skip
    total, count = positive_integer("updates", updates), positive_integer("records", records)
    points = np.unique(np.rint(np.linspace(0, total, min(count, total) + 1)).astype(np.int64))
    loss = learner.run(total, points)
    lost = learner.lost
    return ExpectedLearning(rule, points, loss, learner.networks(), np.where(lost < 0, math.inf, lost))


class ExpectedLearner:
    """A stack of students and the kernel that moves them by expected updates.

    Arguments are those of :func:`expected_learning`; step sizes, momentum and clamps are the training's.
    """

    def __init__(
        self, students: Sequence[Network], teacher: Network, rule: str, training: Training, *,
        R: ArrayLike | None = None, decay: float | None = None, steps: int = 1, T: float = math.inf,
        loss_steps: str = "final", colour: Colour = None,
    ) -> None:  # fmt: skip
        choose("rule", rule, EXPECTED_RULES)
        choose("loss_steps", loss_steps, LOSS_STEPS)
        horizon = T if T == math.inf else positive_integer("T", T)
        self._students = _same_sizes(students)
        first = self._students[0]
        check_pair(first, teacher)
        _, lags = carry_back(first, rule, decay, steps)
        path = input_path(colour, first.n_in, horizon, loss_steps == "all")
        star = path.attach(teacher.A, teacher.transition, teacher.leak * teacher.B)
        power = _power(star, path, teacher, horizon)
        A, W, B = (np.stack([getattr(s, group) for s in self._students]) for group in GROUPS)
        feedback = [error_feedback(s, rule, r) for s, r in zip(self._students, _each(R, self._students), strict=True)]
        self.net = Students(
            *(A, W, B, np.zeros_like(A), np.zeros_like(W), np.zeros_like(B)),
            leak=np.array([s.leak for s in self._students]),
            R=np.stack(feedback),
            decay=np.array([_decay(s, rule, decay, teacher, horizon) for s in self._students]),
            lost=np.full(len(self._students), -1, np.int64),
        )
        self._source = Source(
            _own(star.A), _own(star.V), _own(star.N), power,
            _own(path.CF), _own(path.CG), _own(path.F), _own(path.G), _own(path.C.T),
        )  # fmt: skip
        rates, bounds = training.rates, training.bounds
        self._terms = Terms(
            carry=CARRIES.get(rule, DENSE),
            symmetric=R is None,
            lags=0 if lags == math.inf else int(lags),
            steps=0 if horizon == math.inf else int(horizon),
            share=_own(path.share),
            rates=np.array([rates[g] for g in GROUPS]),
            bounds=np.array([bounds[g] for g in GROUPS]),
            momentum=training.momentum,
            scale=1.0,
            limit=DIVERGED_AT * max(1.0, 0.5 * power),
        )
        self._work = _room(first, star, path)
        self.done = 0
        """Updates made so far."""

    @property
    def lost(self) -> NDArray[np.int64]:
        """(S,) number of updates after which a student had diverged, -1 while it has not."""
        return self.net.lost

    def run(self, updates: int, points: NDArray[np.int64], scale: float = 1.0) -> Matrix:
        """Make some updates, ``scale`` times as large; return the loss after each number of them in ``points``.

        Points count from here, rise, and may include ``updates``. The loss is (points, S), NaN for students that have
        diverged.
        """
        loss = np.full((len(points), len(self._students)), math.nan)
        terms = self._terms._replace(scale=float(scale))
        learn_expected(self.net, self._source, terms, self._work, updates, self.done, points, loss)
        self.done += updates
        return loss

    def networks(self) -> tuple[Network, ...]:
        """Return the students as they are now."""
        weights = zip(self.net.A, self.net.W, self.net.B, self._students, strict=True)
        return tuple(Network(A, W, B, s.leak) for A, W, B, s in weights)


def _own(array: Matrix) -> Matrix:
    """Return a copy that may be written and is in C order: the kernel is compiled for one kind of array."""
    return np.array(array, dtype=np.float64, order="C")


def _same_sizes(students: Sequence[Network]) -> tuple[Network, ...]:
    stack = tuple(students)
    if not stack or not all(isinstance(s, Network) for s in stack):
        raise InputError("students: a Network or a nonempty list of them is needed")
    sizes = {(s.n_in, s.n_rec, s.n_out) for s in stack}
    if len(sizes) > 1:
        shown = ", ".join(map(str, sorted(sizes)))
        raise InputError(f"students of sizes (n_in, n_rec, n_out) {shown}; all must have the same, call once for each")
    return stack


def _each(R: ArrayLike | None, students: Sequence[Network]) -> list[Any]:
    """Return a feedback matrix, or None, for every student."""
    if R is None:
        return [None] * len(students)
    stack = np.asarray(R, dtype=np.float64)
    if stack.ndim != 3:
        return [stack] * len(students)
    if len(stack) != len(students):
        raise InputError(
            f"R holds {len(stack)} matrices for {len(students)} students; give one for all or one for each"
        )
    return list(stack)


def _decay(student: Network, rule: str, decay: float | None, teacher: Network, T: float) -> float:
    """Return ŵ of a student; 0 for rules that have none."""
    if rule != "rflo":
        return 0.0
    value = 1.0 - student.leak if decay is None else real_number("decay", decay)
    if T == math.inf and abs(value) * teacher.spectral_radius() >= 1.0:
        raise InputError(
            f"decay = {value:g} and the teacher's spectral radius {teacher.spectral_radius():.6g}: T = inf needs their "
            "product below 1. Give a finite T"
        )
    return value


def _power(star: Driven, path: InputPath, teacher: Network, T: float) -> float:
    """Return E‖y*‖², of the stationary network or of the steps whose loss counts."""
    if T == math.inf:
        if teacher.spectral_radius() >= 1.0:
            raise InputError(
                f"the teacher's spectral radius is {teacher.spectral_radius():.6g}; T = inf needs it below 1, or the "
                "network has no stationary state. Give a finite T"
            )
        P = geometric_sum(star.V, star.N @ star.N.T, star.V.T)
        return float(np.trace(star.A @ P @ star.A.T))
    total, reach = 0.0, star.N
    with np.errstate(over="ignore", invalid="ignore"):
        for share in path.share:
            total += float(((star.A @ reach) ** 2 @ share).sum())
            reach = star.V @ reach
    if not math.isfinite(total):
        raise InputError(
            f"the teacher's outputs overflow within {len(path.share)} steps (spectral radius "
            f"{teacher.spectral_radius():.4g}); take fewer steps or smaller recurrent weights"
        )
    return total


def _room(student: Network, star: Driven, path: InputPath) -> Work:
    n, o, m, q = student.n_rec, student.n_out, student.n_in, len(path.F)
    p, p_star, k, T = n + q, len(star.V), path.CG.shape[1], len(path.share)

    def many(count: int, *shape: int) -> list[Matrix]:
        return [np.zeros(shape) for _ in range(count)]

    return Work(
        *many(1, o, p), *many(2, p, p), *many(1, p, k), *many(1, k, p), *many(1, n, o), *many(1, n),
        *many(2, p, p), *many(1, p_star, p_star), *many(3, p, p), *many(3, p_star, p), *many(1, p_star, p_star),
        *many(3, n, p), *many(3, n, p_star), *many(2, o, p), *many(2, n, p), *many(1, n, q), *many(2, n, m),
        *many(2, n, k), *many(1, T, o, k), *many(1, o, k), *many(2, p, k), *many(2, p_star, k),
    )  # fmt: skip
