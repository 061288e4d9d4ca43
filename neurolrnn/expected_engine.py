"""The engine of expected runs: every update is the average that a teacher-student task gives, computed exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.basis import Basis
from neurolrnn.engine import Engine
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.number_system import RealNumbers
from neurolrnn.rules import BPTT, RFLO, Rule, TruncatedBPTT
from neurolrnn.schedule import Piece
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.theory.expected_learning import ExpectedLearner
from neurolrnn.theory.stein import geometric_sum
from neurolrnn.training import GROUPS, Training
from neurolrnn_kernels.structs import END

Array = NDArray[np.float64]


class ExpectedEngine:
    """One learner that moves by expected updates; stands in for :class:`Engine` in a run.

    Parameters
    ----------
    network : Network
        Initial weights.
    rule : Rule
        How it learns. Factored storage moves by the same updates as dense, so W and B themselves are held.
    training : Training
        Step sizes, momentum, clamps, horizon.
    task : Task
        With a teacher, squared error, and sequences of one length whose every step counts. Its inputs are taken as
        white, N(0, I); its data are used for metrics only.
    feedback : (n_out, n_rec) or None
        R, or None where feedback follows A.

    Raises
    ------
    InputError
        If the task has no teacher, or its sequences are not of that kind.

    Notes
    -----
    With ``loss_steps="all"`` an update is made at every step of the data, the mean over the steps of a sequence: a
    simulated online run adds up to the same over a sequence, and so does, with one update per sequence, a simulated run
    by episodes. With ``"final"`` it is made where a sequence ends. Sequences side by side multiply it by their number.
    """

    least = 2
    """Fewest steps in one call: an update of a large network takes long."""

    def __init__(self, network: Network, rule: Rule, training: Training, *, task: Task, feedback: Array | None) -> None:
        teacher, length = _teacher(task, training)
        dense = isinstance(rule, RFLO) and rule.storage == "factored"  # W₀ + RᵀM has all synapses anyway
        if network.sparse is not None and "W" in training.learn and not dense:
            raise InputError(
                "update = 'expected' moves all synapses, and W is sparse; take update = 'online' or 'episode', or "
                "network.replace(W=network.W), which learns all synapses"
            )
        self.initial, self._teacher = network, teacher
        T = length if training.horizon is None else math.inf if training.horizon == "inf" else training.horizon
        self.horizon: float = T
        self._every = training.loss_steps == "all"
        options: dict[str, Any] = {"R": feedback, "T": T, "loss_steps": training.loss_steps}
        if isinstance(rule, RFLO):
            options["decay"] = rule.decay
        if isinstance(rule, TruncatedBPTT):
            options["steps"] = rule.steps
        bounds = {g: training.bounds[g] if g in training.learn else math.inf for g in GROUPS}
        A, W, B = (np.clip(getattr(network, g), -bounds[g], bounds[g]) for g in GROUPS)
        self._start = Network(A, W, B, network.leak)  # within the clamps
        self._learner = ExpectedLearner([self._start], teacher, rule.name, training, **options)
        self.basis = Basis("dense", network.W, why="an expected run holds W itself")

    def run(self, piece: Piece) -> tuple[int, Array]:
        """Learn from the steps of ``piece``; return how many were made, and the loss of each over all lanes."""
        lanes = (piece.rows >= 0).sum(axis=1)
        active = np.full(len(lanes), True) if self._every else (piece.flags & END) != 0
        loss = np.zeros(len(lanes))
        steps = np.flatnonzero(active)
        # Updates of one size go into one call of the kernel.
        cuts = [0, *(np.flatnonzero(np.diff(lanes[steps])) + 1), len(steps)] if len(steps) else []
        for a, b in pairwise(cuts):
            scale = int(lanes[steps[a]])
            found = self._learner.run(b - a, np.arange(b - a), scale)[:, 0]
            loss[steps[a:b]] = scale * found
            if np.isnan(found).any():
                done = int(steps[a + int(np.isnan(found).argmax())])
                return done, loss[:done]
        return len(lanes), loss

    def network(self) -> Network:
        """Return the weights as they are now."""
        if not all(np.isfinite(part[0]).all() for part in self._learner.net[:3]):
            raise FloatingPointError("weights are not finite")
        return self._learner.networks()[0]

    def readout(self) -> Array:
        """Return A as it is now, (n_out, n_rec)."""
        return np.array(self._learner.net.A[0])

    def moved(self, group: str) -> bool:
        """Tell whether learning has changed a group of weights, ``"A"``, ``"W"`` or ``"B"``."""
        return not np.array_equal(getattr(self.network(), group), getattr(self._start, group))

    def factors(self) -> None:
        """Return None: W and B themselves are held."""

    def ranges(self) -> dict[str, Array]:
        """Return nothing: an expected run has no activity."""
        return {}

    def state_rms(self) -> float:
        """Root mean square of the state, over inputs and units, after T steps; infinite if it has no bound."""
        power = self._power()
        return float(np.sqrt(np.trace(power) / len(power)))

    def outputs(self) -> Array:
        """Return the root mean square of each output after T steps, (1, n_out)."""
        A = self.readout()
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.maximum(np.diag(A @ self._power() @ A.T), 0.0))[np.newaxis])

    def symptom(self) -> str:
        """Say what diverged."""
        try:
            radius = self.network().spectral_radius()
        except FloatingPointError:
            return "the weights are not finite"
        if self.horizon == math.inf and radius >= 1.0:
            return "the network has no stationary state any more (horizon = inf)"
        return f"the expected loss grew without bound (root mean square output {float(self.outputs().max()):.3g})"

    def _power(self) -> Array:
        """E[h hᵀ] after T steps."""
        net = self.network()
        V, N = net.transition, net.leak * net.B
        if self.horizon == math.inf and net.spectral_radius() >= 1.0:
            return np.full_like(V, math.inf)
        P, term = N @ N.T, N
        with np.errstate(over="ignore", invalid="ignore"):
            if self.horizon == math.inf:
                return geometric_sum(V, P, V.T)
            for _ in range(int(self.horizon) - 1):
                term = V @ term
                P = P + term @ term.T
        return P

    def evaluate(self, data: Sequences, piece: Piece) -> tuple[Array, float]:
        """Run sequences through the network as it is, in float64; see :meth:`Engine.evaluate`."""
        engine = Engine(
            self.network(), BPTT(), Training(update="episode"), RealNumbers(np.dtype(np.float64)), feedback=None,
            data=data, weights=data.mask, loss="squared-error",
        )  # fmt: skip
        return engine.evaluate(data, piece)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of every array that the next step depends on."""
        return {f"expected.{name}": getattr(self._learner.net, name).copy() for name in _KEPT}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what :meth:`state` returned; the next step then gives the same bits.

        Raises
        ------
        InputError
            If the arrays are not those of this learner.
        """
        for name in _KEPT:
            mine, given = getattr(self._learner.net, name), state.get(f"expected.{name}")
            if given is None or given.shape != mine.shape or given.dtype != mine.dtype:
                raise InputError(f"the saved state does not belong to this experiment: expected.{name} does not fit")
        for name in _KEPT:
            getattr(self._learner.net, name)[...] = state[f"expected.{name}"]


_KEPT = ("A", "W", "B", "velocity_A", "velocity_W", "velocity_B")


def _teacher(task: Task, training: Training) -> tuple[Network, int]:
    """Return the teacher and the length of the sequences, or say why the task has no expected updates."""
    if task.teacher is None:
        raise InputError(
            f"update = 'expected' needs a task whose targets are a known network's outputs, and {task.name!r} has no "
            "teacher; take the task teacher-student, or give your own Task(..., teacher=network)"
        )
    if task.loss != "squared-error":
        raise InputError(f"update = 'expected' needs the squared error; the task's loss is {task.loss!r}")
    lengths, mask = np.unique(task.train.lengths), task.train.mask
    if training.horizon is None and len(lengths) > 1:
        raise InputError(
            f"update = 'expected': the sequences have {len(lengths)} different lengths; give a horizon, a number of "
            'steps or "inf"'
        )
    if not (mask == 1.0).all():
        raise InputError("update = 'expected' needs sequences whose every step has weight 1; the mask has others")
    return task.teacher, int(lengths[-1])
