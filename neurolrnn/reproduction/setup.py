"""Teachers, students and runs that several claims share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.reproduction.claims import Measured
from neurolrnn.rules import BPTT, RFLO, RTRL, Rule, TruncatedBPTT
from neurolrnn.run import Run
from neurolrnn.simulation import simulate
from neurolrnn.tasks import Sequences, Task
from neurolrnn.tasks.teacher_student import aligned_teacher, bases, outputs

Array = NDArray[np.float64]

PRODUCTS = np.array([1.6, 1.3, 1.0, 0.8])
"""a* b* of the teacher with four modes."""
MEMORIES = np.array([0.8, 0.6, 0.3, -0.4])
"""w* of the same."""
DECAY = 0.5
"""ŵ of RFLO."""


class Way(NamedTuple):
    """One of the paper's three rules, as theory and kernels know it."""

    title: str
    name: str
    options: dict[str, Any]
    random: bool
    """Whether the error comes back through R."""

    def given(self, R: Array | None = None, a_hat: object = None) -> dict[str, Any]:
        """Return the options that a function of the theory takes, with R or â if the rule has feedback of its own."""
        own = {"R": R, "a_hat": a_hat} if self.random else {}
        return {**self.options, **{key: value for key, value in own.items() if value is not None}}

    def online(self, R: Array) -> Rule:
        """Return the rule that updates at every step; RTRL is the online form of BPTT."""
        return RTRL() if self.name == "bptt" else self.episode(R)

    def episode(self, R: Array) -> Rule:
        """Return the rule with one update per batch."""
        if self.name == "rflo":
            return RFLO(decay=self.options["decay"], feedback=R, storage="dense")
        return BPTT() if self.name == "bptt" else TruncatedBPTT(self.options["steps"])


BPTT_WAY = Way("BPTT", "bptt", {}, False)
TBPTT_WAY = Way("truncated BPTT(1)", "tbptt", {"steps": 1}, False)
RFLO_WAY = Way("RFLO", "rflo", {"decay": DECAY}, True)
WAYS = (BPTT_WAY, TBPTT_WAY, RFLO_WAY)


def four_modes(n_in: int = 4, n_rec: int = 4, n_out: int = 4, seed: int = 0) -> Network:
    """Return the teacher with four modes, in random bases."""
    root = np.sqrt(PRODUCTS)
    return aligned_teacher(root, root, MEMORIES, n_in=n_in, n_rec=n_rec, n_out=n_out, rotate=True, seed=seed)


def one_unit(a: float, w: float, b: float) -> Network:
    """Return a network of one unit."""
    return Network(np.array([[a]]), np.array([[w]]), np.array([[b]]))


def impulses(teacher: Network, steps: int) -> Task:
    """Return a task whose episodes make the expected update: one impulse per input, seen to its end.

    The errors after an impulse at input i are column i of the kernels K_j, so the sum over steps and inputs is the
    expectation over white input of the final-step loss.
    """
    x = np.zeros((teacher.n_in, steps, teacher.n_in))
    x[:, 0] = np.eye(teacher.n_in)
    return Task("impulses", Sequences.from_arrays(x, outputs(teacher, x)))


def white(teacher: Network, steps: int, seed: int, burn: int = 0) -> Task:
    """Return one long sequence of white noise with the teacher's outputs; `burn` first steps carry no error."""
    x = np.random.default_rng(seed).normal(size=(1, steps, teacher.n_in))
    mask = np.ones((1, steps))
    mask[:, :burn] = 0.0
    return Task("white noise", Sequences.from_arrays(x, outputs(teacher, x), mask=mask))


def learn(
    student: Network, task: Task, rule: Rule, rate: float, precision: Precision | None = None, **options: Any
) -> Run:
    """Simulate, and go on only if the run was not interrupted.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C ended the run: :func:`simulate` keeps it for itself, here it ends the whole.
    """
    run = simulate(student, task, rule, precision or Precision.float64(), rate, progress=False, **options)
    if run.status == "interrupted" and "stop_at" not in options:
        raise KeyboardInterrupt
    return run


def stages(
    student: Network, task: Task, rule: Rule, rate: float, stops: Sequence[int], precision: Precision | None = None,
    **options: Any,
) -> Iterator[Run]:  # fmt: skip
    """Yield the run after each number of steps, one run going on."""
    run = None
    for stop in stops:
        run = learn(student, task, rule, rate, precision, stop_at=stop, resume=run, **options)
        if run.position["step"] != stop:
            raise KeyboardInterrupt
        yield run


class Frame(NamedTuple):
    """The bases in which an aligned student is diagonal."""

    U: Array
    P: Array
    V: Array

    @classmethod
    def of(cls, teacher: Network, R: Array, a_hat: Sequence[float] | Array) -> Frame:
        """Find P in R = U diag(â) Pᵀ."""
        U, _, V = bases(teacher)
        k = len(a_hat)
        return cls(U[:, :k], (R.T @ U[:, :k]) / np.asarray(a_hat), V[:, :k])

    def modes(self, network: Network) -> Array:
        """Return a, b and w, (3, modes)."""
        a, b, w = self.U.T @ network.A @ self.P, self.P.T @ network.B @ self.V, self.P.T @ network.W @ self.P
        return np.array([np.diag(a), np.diag(b), np.diag(w)])

    def off_diagonal(self, network: Network) -> float:
        """Return the share of A, B and W, in Frobenius norms, that is not diagonal; the largest of the three."""
        a, b, w = self.modes(network)
        parts = (
            (network.A, (self.U * a) @ self.P.T), (network.B, (self.P * b) @ self.V.T),
            (network.W, (self.P * w) @ self.P.T),
        )  # fmt: skip
        return max(float(np.linalg.norm(x - d) / np.linalg.norm(x)) for x, d in parts)


def diagonal_share(matrix: Array) -> float:
    """Return ‖diagonal‖ / ‖matrix‖ in Frobenius norms: 1 for a diagonal matrix."""
    return float(np.linalg.norm(np.diag(matrix)) / np.linalg.norm(matrix))


def cosine(X: Array, Y: Array) -> float:
    """Return the cosine of the angle between two matrices."""
    return float((X * Y).sum() / (np.linalg.norm(X) * np.linalg.norm(Y)))


def painted(
    paint: Callable[[Any, Measured], None], name: str, size: tuple[float, float] = (9.6, 3.9)
) -> Callable[[Measured, Path], object]:
    """Return a function that writes a picture, from one that paints an empty figure of matplotlib."""

    def write(measured: Measured, path: Path) -> object:
        from neurolrnn.theory_plots import draw

        return draw(size, lambda figure: paint(figure, measured), path, name)

    return write
