"""What a task is: sequences of inputs and targets, in one flat table of steps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose
from neurolrnn.network import Network

Loss = Literal["squared-error", "cross-entropy"]
LOSSES = ("squared-error", "cross-entropy")


def _matrix(name: str, value: ArrayLike) -> NDArray[np.float64]:
    array = np.array(value, dtype=np.float64, order="C")
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} has shape {array.shape}; (steps, channels) with at least one of each is needed")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array).all(axis=1))[0, 0])
        raise InputError(f"{name} holds a value that is not finite at step {row}; clean the data first")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences laid end to end in one table of steps.

    Parameters
    ----------
    inputs : (steps, n_in)
        x_t of all sequences, one after the other.
    targets : (steps, n_out)
        y*_t; for cross-entropy a probability per class.
    starts : (n_sequences + 1,)
        Sequence s is rows ``starts[s]`` to ``starts[s + 1]``.
    mask : (steps,), optional
        Weight of each step's error, 0 outside the error window. Default: 1 everywhere.
    labels : (n_sequences,), optional
        Class of each sequence, where the task is a classification.

    Raises
    ------
    InputError
        If shapes disagree, values are not finite or the mask holds no step at all.
    """

    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]
    starts: NDArray[np.int64]
    mask: NDArray[np.float64] = field(default_factory=lambda: np.ones(0))
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        inputs, targets = _matrix("inputs", self.inputs), _matrix("targets", self.targets)
        steps = len(inputs)
        if len(targets) != steps:
            raise InputError(f"inputs have {steps} steps, targets {len(targets)}; one target row per step is needed")
        starts = np.array(self.starts, dtype=np.int64)
        ends_fit = starts.ndim == 1 and len(starts) > 1 and starts[0] == 0 and starts[-1] == steps
        if not ends_fit or (starts[1:] <= starts[:-1]).any():  # compared: differences of large numbers wrap around
            raise InputError(f"starts must rise from 0 to the number of steps ({steps}), one entry more than sequences")
        mask = np.array(self.mask, dtype=np.float64) if np.size(self.mask) else np.ones(steps)
        if mask.shape != (steps,) or not np.isfinite(mask).all() or (mask < 0).any():
            raise InputError(
                f"mask has shape {mask.shape}; one finite weight of at least 0 per step ({steps}) is needed"
            )
        if not mask.any():
            raise InputError("mask is 0 at every step, so nothing would be learned; give some step a weight above 0")
        for name, array in (("inputs", inputs), ("targets", targets), ("starts", starts), ("mask", mask)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.labels is not None:
            labels = np.array(self.labels, dtype=np.int64)
            if labels.shape != (len(starts) - 1,) or (labels < 0).any() or (labels >= targets.shape[1]).any():
                raise InputError(
                    f"labels must be one class in 0..{targets.shape[1] - 1} per sequence ({len(starts) - 1})"
                )
            labels.flags.writeable = False
            object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def steps(self) -> int:
        """Number of steps in all sequences together."""
        return len(self.inputs)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each sequence, (n_sequences,)."""
        return np.diff(self.starts)

    def __iter__(self) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Yield (inputs, targets) of one sequence after the other."""
        for a, b in zip(self.starts[:-1], self.starts[1:], strict=True):
            yield self.inputs[a:b], self.targets[a:b]

    def first(self, steps: int) -> Sequences:
        """Return the first sequences, of together at most ``steps`` steps; at least one, cut if it is longer.

        A labelled sequence is never cut, nor one without error before the cut.
        """
        if steps >= self.steps:
            return self
        whole = int(np.searchsorted(self.starts, steps, side="right")) - 1
        if whole == 0 and (self.labels is not None or not self.mask[:steps].any()):
            whole = 1
        if whole and not self.mask[: self.starts[whole]].any():
            return self
        rows = int(self.starts[whole]) if whole else steps
        starts = self.starts[: whole + 1] if whole else np.array([0, steps])
        labels = None if self.labels is None else self.labels[:whole]
        return Sequences(self.inputs[:rows], self.targets[:rows], starts, self.mask[:rows], labels)

    @classmethod
    def from_arrays(
        cls,
        inputs: ArrayLike | Sequence[ArrayLike],
        targets: ArrayLike | Sequence[ArrayLike],
        *,
        mask: ArrayLike | Sequence[ArrayLike] | None = None,
        labels: ArrayLike | None = None,
    ) -> Sequences:
        """Lay sequences end to end.

        Parameters
        ----------
        inputs, targets : (T, n), (sequences, T, n), or a list of (T_s, n)
            One sequence, equally long ones, or ones of different lengths.
        mask : (T,), (sequences, T), or a list of (T_s,), optional
            Weight of each step's error.
        labels : (sequences,), optional
            Class of each sequence.
        """
        xs, ys = _split("inputs", inputs, 2), _split("targets", targets, 2)
        if len(xs) != len(ys):
            raise InputError(
                f"there are {len(xs)} input sequences and {len(ys)} target sequences; give as many of each"
            )
        for s, (x, y) in enumerate(zip(xs, ys, strict=True)):
            if len(x) != len(y):
                raise InputError(f"sequence {s} has {len(x)} input steps and {len(y)} target steps")
            if x.shape[1] != xs[0].shape[1] or y.shape[1] != ys[0].shape[1]:
                raise InputError(f"sequence {s} has {x.shape[1]} inputs and {y.shape[1]} outputs, unlike sequence 0")
        weights = np.ones(0)
        if mask is not None:
            ms = _split("mask", mask, 1)
            if [len(m) for m in ms] != [len(x) for x in xs]:
                raise InputError("mask must have one weight per step of every sequence")
            weights = np.concatenate(ms)
        starts = np.concatenate([[0], np.cumsum([len(x) for x in xs])])
        return cls(
            np.concatenate(xs), np.concatenate(ys), starts, weights,
            None if labels is None else np.asarray(labels),
        )  # fmt: skip


def _split(name: str, value: Any, ndim: int) -> list[NDArray[np.float64]]:
    if isinstance(value, np.ndarray) and value.dtype != object:
        if value.ndim == ndim:
            value = value[np.newaxis]
        if value.ndim != ndim + 1 or 0 in value.shape:
            raise InputError(
                f"{name} has shape {value.shape}; ({'T, n' if ndim == 2 else 'T'}) or one axis more is needed"
            )
    parts = [np.asarray(part, dtype=np.float64) for part in value]
    for s, part in enumerate(parts):
        if part.ndim != ndim or 0 in part.shape:
            raise InputError(
                f"{name}: sequence {s} has shape {part.shape}; {ndim} dimensions are needed, none of them empty"
            )
    if not parts:
        raise InputError(f"{name} holds no sequence")
    return parts


@dataclass(frozen=True, eq=False)
class Task:
    """Training and test sequences, the loss that judges them, and how they were made.

    Parameters
    ----------
    name : str
        Name in the table of tasks, or any name for own data.
    train : Sequences
        What is learned from.
    test : Sequences or None
        What is measured on; without it metrics are of the training sequences.
    loss : str
        ``"squared-error"``, ½‖ε‖² per step with ε = y - y*, or ``"cross-entropy"`` of the softmax of y, whose
        error is ε = softmax(y) - y*.
    options : dict
        What the task was generated from, kept in the run file.
    teacher : Network or None
        The network that made the targets, where there is one.
    """

    name: str
    train: Sequences
    test: Sequences | None = None
    loss: Loss = "squared-error"
    options: dict[str, object] = field(default_factory=dict)
    teacher: Network | None = None

    def __post_init__(self) -> None:
        choose("loss", self.loss, LOSSES)
        for part in filter(None, (self.train, self.test)):
            if part.inputs.shape[1] != self.n_in or part.targets.shape[1] != self.n_out:
                raise InputError("training and test sequences must have the same channels")
            if self.loss == "cross-entropy":
                t = part.targets[part.mask > 0]
                if (t < 0).any() or (t > 2).any() or np.abs(t.sum(axis=1) - 1.0).max() > 1e-9:
                    raise InputError("cross-entropy targets must be probabilities: at least 0, each row adding to 1")

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return int(self.train.inputs.shape[1])

    @property
    def n_out(self) -> int:
        """Number of target channels."""
        return int(self.train.targets.shape[1])

    def digest(self) -> str:
        """SHA-256 of all data, hex: two tasks with the same digest are the same data."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        h = hashlib.sha256(self.loss.encode())
        for part in (self.train, self.test):
            if part is None:
                continue
            for array in (part.inputs, part.targets, part.starts, part.mask, part.labels):
                if array is not None:
                    h.update(str(array.shape).encode())
                    h.update(np.ascontiguousarray(array).tobytes())
        return h.hexdigest()
