"""What is written down while a network learns: the curves of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurolrnn.mode_frame import ModeFrame
from neurolrnn.network import Network
from neurolrnn.tasks.base import Task
from neurolrnn.training import Training

Array = NDArray[np.float64]
SPECTRUM_UP_TO = 256
"""Largest n_rec of which more than the read-out is looked at along the way; above, it would cost more than learning."""
SPECTRUM_COST = 150.0
"""Eigenvalues take about as long as this times n³ multiplications of a learning step; measured."""
SPECTRUM_ALWAYS, SPECTRUM_SHARE, STEP_COST = 4e8, 0.01, 8000.0
"""Multiplications that eigenvalues may cost in any run, share of the learning's beyond, and what a step costs besides
its 2 n²."""
QUANTILES = ("min", "p1", "median", "p99", "max")


class Learner(Protocol):
    """What is asked of whatever learns."""

    def readout(self) -> Array:
        """Return A as it is now, (n_out, n_rec)."""

    def network(self) -> Network:
        """Return all weights as they are now; FloatingPointError if they are not finite."""

    def state_rms(self) -> float:
        """Return the root mean square of the state."""

    def ranges(self) -> dict[str, Array]:
        """Return five quantiles of every variable, named as in :data:`QUANTILES`."""


class Observer:
    """Curves over time, a point at a time.

    Parameters
    ----------
    net : Network
        Before learning.
    task : Task
        With a teacher, the student is looked at in the teacher's modes.
    feedback : (n_out, n_rec), optional
        R, where the rule has a matrix of its own.
    training : Training
        Its ``ranges`` asks for the ranges of all variables.
    steps : int
        Length of the run. In a short run of a large network the spectral radius, the one thing here that takes long, is
        looked at at some points only, or at none, and is NaN at the others.

    Notes
    -----
    Curves are (points,) unless said otherwise:

    - ``step``, ``loss``, ``state_rms``; ``feedback_cosine`` of A and R;
      ``spectral_radius`` of (1-α) I + α W, inf where weights are no longer finite;
    - ``range.<variable>.<quantile>`` if asked for;
    - with a teacher, ``alignment.AB`` and ``alignment.AWB``: see :meth:`ModeFrame.shares`;
    - with a teacher made of modes and an aligned student, ``mode.a``, ``mode.b``, ``mode.w`` (points, modes), and
      ``mode.off_diagonal``, the share of A, W and B that has left the modes.

    Everything from ``spectral_radius`` on, ranges excepted, is left out above :data:`SPECTRUM_UP_TO` units.
    """

    def __init__(
        self, net: Network, task: Task, feedback: Array | None, training: Training, steps: int = 10**9
    ) -> None:
        self._feedback, self._ranges = feedback, training.ranges
        self._small = net.n_rec <= SPECTRUM_UP_TO
        self._frame = ModeFrame.of(net, task.teacher, feedback) if self._small and task.teacher is not None else None
        self._curves: dict[str, list[Any]] = {}
        points, n = min(training.records, steps), net.n_rec
        affordable = (SPECTRUM_ALWAYS + SPECTRUM_SHARE * steps * (STEP_COST + 2 * n**2)) / (SPECTRUM_COST * n**3)
        looks = min(points, int(affordable)) if affordable >= min(points, 2) else 0
        self._spectra = {round(x) for x in np.linspace(0, points - 1, looks)}

    def observe(self, learner: Learner, step: int, loss: float) -> None:
        """Add a point to every curve.

        Parameters
        ----------
        learner : Learner
            As it is now.
        step : int
            Steps done so far.
        loss : float
            Mean loss since the point before.
        """
        point: dict[str, Any] = {"step": float(step), "loss": loss, "state_rms": learner.state_rms()}
        if self._feedback is not None:
            A = learner.readout()
            norms = float(np.linalg.norm(A) * np.linalg.norm(self._feedback))
            point["feedback_cosine"] = float(np.sum(A * self._feedback)) / norms if norms else float("nan")
        if self._small:
            try:
                network: Network | None = learner.network()
            except FloatingPointError:
                network = None
            looked_at = len(self._curves.get("step", ())) in self._spectra
            radius = network.spectral_radius() if looked_at and network is not None else float("nan")
            point["spectral_radius"] = float("inf") if network is None else radius
            if self._frame is not None:
                point |= _in_modes(self._frame, network)
        if self._ranges:
            for name, five in learner.ranges().items():
                point.update({f"range.{name}.{k}": v for k, v in zip(QUANTILES, five, strict=True)})
        for key, value in point.items():
            self._curves.setdefault(key, []).append(value)

    def restore(self, records: Mapping[str, NDArray[Any]]) -> None:
        """Go on from the curves of an unfinished run."""
        self._curves = {name: curve.tolist() for name, curve in records.items()}

    def records(self) -> dict[str, NDArray[Any]]:
        """Return the curves so far; without a point, an empty ``step`` and ``loss``."""
        return {name: np.array(curve) for name, curve in self._curves.items()} or {
            "step": np.zeros(0),
            "loss": np.zeros(0),
        }


def _in_modes(frame: ModeFrame, network: Network | None) -> dict[str, Any]:
    if network is None:
        names = ["alignment.AB", "alignment.AWB"]
        point: dict[str, Any] = dict.fromkeys(names, float("nan"))
        if frame.aligned:
            lost = [float("nan")] * frame.U.shape[1]
            point |= {"mode.a": lost, "mode.b": lost, "mode.w": lost, "mode.off_diagonal": float("nan")}
        return point
    with np.errstate(over="ignore", invalid="ignore"):  # shortly before a run diverges; NaN is an answer
        point = dict(zip(("alignment.AB", "alignment.AWB"), frame.shares(network), strict=True))
        if frame.aligned:
            parts = frame.modes(network)
            point |= {f"mode.{name}": part.tolist() for name, part in zip("abw", parts, strict=True)}
            point["mode.off_diagonal"] = frame.off_diagonal(network)
    return point
