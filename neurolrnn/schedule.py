"""In which order the steps of a training run are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neurolrnn.tasks.base import Sequences
from neurolrnn_kernels.structs import END, START


@dataclass(frozen=True, eq=False)
class Piece:
    """Some steps in a row: which row of the data each lane reads, and where sequences begin and end."""

    first: int
    """Number of the first step, counted over the whole run."""
    rows: NDArray[np.int64]
    """(steps, lanes); -1 is padding."""
    flags: NDArray[np.uint8]
    """(steps,)."""


def step_weights(data: Sequences, loss_steps: str) -> NDArray[np.float64]:
    """Return the weight of each row's error, (rows,): the mask, or only its last nonzero entry per sequence."""
    if loss_steps == "all":
        return data.mask
    weights = np.zeros_like(data.mask)
    for a, b in zip(data.starts[:-1], data.starts[1:], strict=True):
        window = np.flatnonzero(data.mask[a:b])
        if window.size:
            weights[a + window[-1]] = data.mask[a + window[-1]]
    return weights


TOGETHER = 1 << 16
"""Steps of all lanes up to which epochs are joined: each call of a kernel costs as much as a hundred steps."""


def _joined(pieces: list[Piece]) -> Piece:
    """Return consecutive pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    return Piece(pieces[0].first, np.concatenate([p.rows for p in pieces]), np.concatenate([p.flags for p in pieces]))


class Schedule:
    """All epochs of a run as numbered steps; any step can be found again, so a run can be resumed at any.

    Parameters
    ----------
    data : Sequences
        What is gone through.
    epochs, batch : int
        Passes over the data, and sequences side by side. A last batch that is not full is padded.
    shuffle : bool
        Whether each epoch has an order of its own, drawn from ``seed``.
    """

    def __init__(self, data: Sequences, *, epochs: int = 1, batch: int = 1, shuffle: bool = False, seed: int = 0):
        self._data, self.epochs, self._shuffle, self._seed = data, epochs, shuffle, seed
        self.lanes = min(batch, len(data))
        self._same: tuple[NDArray[np.int64], NDArray[np.uint8]] | None = None  # rows and flags, if no epoch differs
        # first[k] is the number of the first step of epoch k; the last entry is the number of all steps.
        self.first = np.zeros(epochs + 1, np.int64)
        lengths = data.lengths
        for epoch in range(epochs):
            if self.lanes == 1:
                steps = data.steps
            else:
                steps = int(sum(lengths[group].max() for group in self._groups(epoch)))
            self.first[epoch + 1] = self.first[epoch] + steps

    @property
    def total(self) -> int:
        """Number of steps of the whole run."""
        return int(self.first[-1])

    @property
    def longest(self) -> int:
        """Number of steps of the longest episode."""
        return int(self._data.lengths.max())

    def epoch_of(self, step: int) -> int:
        """Return the epoch that step number ``step`` belongs to."""
        return int(np.searchsorted(self.first, step, side="right")) - 1

    def _groups(self, epoch: int) -> list[NDArray[np.int64]]:
        order = np.arange(len(self._data))
        if self._shuffle:
            order = np.random.default_rng([self._seed, 0x0D0E5, epoch]).permutation(order)
        return [order[k : k + self.lanes] for k in range(0, len(order), self.lanes)]

    def epoch(self, epoch: int) -> Piece:
        """Return the steps of one epoch."""
        if not self._shuffle and self._same is not None:
            return Piece(int(self.first[epoch]), *self._same)
        steps = int(self.first[epoch + 1] - self.first[epoch])
        rows = np.full((steps, self.lanes), -1, np.int64)
        flags = np.zeros(steps, np.uint8)
        starts, lengths = self._data.starts, self._data.lengths
        at = 0
        for group in self._groups(epoch):
            longest = int(lengths[group].max())
            flags[at] |= START
            flags[at + longest - 1] |= END
            for lane, s in enumerate(group):
                rows[at : at + lengths[s], lane] = np.arange(starts[s], starts[s + 1])
            at += longest
        if not self._shuffle:
            self._same = rows, flags
        return Piece(int(self.first[epoch]), rows, flags)

    def pieces(self, step: int, ends: NDArray[np.int64]) -> Iterator[Piece]:
        """Yield all steps from number ``step`` on, cut after each of the step numbers ``ends``, short epochs joined."""
        waiting: list[Piece] = []
        for k in range(self.epoch_of(step), self.epochs):
            whole = self.epoch(k)
            cuts = ends[(ends > max(step, whole.first)) & (ends <= self.first[k + 1])]
            last = {int(end) for end in cuts}
            for a, b in pairwise(sorted({max(step, whole.first), *last, int(self.first[k + 1])})):
                part = slice(a - whole.first, b - whole.first)
                waiting.append(Piece(a, whole.rows[part], whole.flags[part]))
                if b in last or (b - waiting[0].first) * self.lanes >= TOGETHER:
                    yield _joined(waiting)
                    waiting = []
        if waiting:
            yield _joined(waiting)
