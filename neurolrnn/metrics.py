"""How well a network does its task."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neurolrnn.network import Network
from neurolrnn.schedule import Piece, Schedule
from neurolrnn.tasks.base import Sequences, Task


class Learner(Protocol):
    """What is asked of whatever is measured."""

    initial: Network
    """What it started from."""

    def evaluate(self, data: Sequences, piece: Piece) -> tuple[NDArray[np.float64], float]:
        """Run sequences without learning; return the outputs and the summed loss."""


LANES = 32
"""Sequences that are measured side by side."""
TRAINING_SHARE, TRAINING_WORK, TRAINING_STEPS = 0.04, 4e7, (1000, 10_000)
"""Training data are measured on their first sequences only: on this share of the steps learned, or on as many steps as
take so many multiplications (within these bounds), whichever is more. In one pass over long data, measuring all of them
would take half as long as learning."""


def measure(engine: Learner, task: Task, steps: int, lanes: int = LANES) -> dict[str, float]:
    """Return the metrics of a learner on the test sequences and on the first of the training sequences.

    ``steps`` is how many were learned from; see :data:`TRAINING_SHARE`. ``lanes`` sequences run side by side.

    Per part (``train_``, ``test_``): ``loss``, the mean over steps weighted by the mask; ``nmse`` for squared error,
    Σ‖ε‖² / Σ‖y* - mean y*‖², 1 for a constant guess; ``accuracy`` for labelled sequences.
    """
    out: dict[str, float] = {}
    for name, data in (("test", task.test), ("train", task.train)):
        if data is None:
            continue
        if name == "train":
            least, most = TRAINING_STEPS
            cheap = min(max(least, int(TRAINING_WORK / engine.initial.n_rec**2)), most)
            data = data.first(max(cheap, int(TRAINING_SHARE * steps)))
        piece = Schedule(data, batch=lanes).epoch(0)
        y, loss = engine.evaluate(data, piece)
        out[f"{name}_loss"] = loss / float(data.mask.sum())
        if task.loss == "squared-error":
            out[f"{name}_nmse"] = normalised_error(y, data)
        if data.labels is not None:
            out[f"{name}_accuracy"] = accuracy(y, data)
    return out


def normalised_error(y: NDArray[np.float64], data: Sequences) -> float:
    """Return Σ mask ‖y - y*‖² / Σ mask ‖y* - mean y*‖²; infinite if the network blew up."""
    w = data.mask[:, np.newaxis]
    mean = (w * data.targets).sum(axis=0) / w.sum()
    spread = float((w * (data.targets - mean) ** 2).sum())
    error = float((w * (y - data.targets) ** 2).sum())
    if not np.isfinite(error):
        return float("inf")
    return error / spread if spread else float("inf") if error else 0.0


def accuracy(y: NDArray[np.float64], data: Sequences) -> float:
    """Return the share of sequences whose output, summed over the error window, is largest at their label."""
    assert data.labels is not None
    right = 0
    for s, (a, b) in enumerate(zip(data.starts[:-1], data.starts[1:], strict=True)):
        score = data.mask[a:b] @ y[a:b]
        right += bool(np.isfinite(score).all() and int(np.argmax(score)) == data.labels[s])
    return right / len(data)
