"""A design: a network in integers, with every landing, constant and code that a device needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolrnn.exports.losses import Change, Loss
from neurolrnn.fixed_grid import Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.precision import Precision
from neurolrnn.proof import NARROW
from neurolrnn_kernels import grid as at
from neurolrnn_kernels.formats import QFormat

Codes = NDArray[np.int64]
RANDOM = ("stochastic", "lsb-stochastic")
FORWARD = ("current", "state", "readout")
SHORT = {"feedback": "R", "factor_W": "M", "factor_B": "N"}
"""Names of the matrices in an export, where they differ from those of their variables."""


@dataclass(frozen=True)
class Spot:
    """How exact numbers come to rest in one variable: one row of the grid, in words.

    Attributes
    ----------
    name : str
        Variable; ``"M"`` and ``"N"`` are the factors that learn in place of W and B.
    format : QFormat
        Format of what is stored.
    shift : int
        Bits dropped at the landing; negative: bits appended.
    rounding, overflow : str
        Modes, by the names of docs/numerics.md.
    lo, hi : int
        Range of codes, narrower than the format's where there is a clamp. Of the hidden weight, where there is one.
    lifts : tuple of int
        Left shifts of the terms of a sum, in their order.
    row : int
        Number of the variable in the random streams.
    key : int
        Its key.
    bits : int
        Bits of the largest magnitude on the way to the landing, without the sign, as proved before the run.
    fine : QFormat or None
        Format of the hidden weights behind these, in which updates land.
    """

    name: str
    format: QFormat
    shift: int
    rounding: str
    overflow: str
    lo: int
    hi: int
    lifts: tuple[int, ...]
    row: int
    key: int
    bits: int
    fine: QFormat | None = None

    @property
    def is_random(self) -> bool:
        """Whether numbers are drawn when something lands here."""
        return self.rounding in RANDOM and self.shift > 0

    @property
    def wide(self) -> bool:
        """Whether what lands here does not fit 32 bits on its way."""
        return self.bits > NARROW or abs(self.shift) >= NARROW

    @property
    def visible_shift(self) -> int:
        """Bits that hidden weights have beyond the visible ones."""
        return 0 if self.fine is None else self.fine.frac_bits - self.format.frac_bits


@dataclass(frozen=True, eq=False)
class Design:
    """A network in integers, and how it goes on learning.

    Attributes
    ----------
    numbers : FixedNumbers
        The number system of a run of one sequence at a time.
    spots : dict of str to Spot
        Every landing, by variable.
    codes : dict of str to (to, from) array
        ``A``, ``W``, ``B``; where it learns ``R`` (if feedback is fixed) and, factored, ``M`` and ``N``;
        ``hidden_A`` and so on where updates accumulate behind the weights.
    learns : tuple of str
        Groups that learn; empty where only inference is exported.
    losses, changes, notes : list
        What was left behind, rounded, or should be known; see :class:`neurolrnn.exports.ExportReport`.
    """

    numbers: FixedNumbers
    spots: Mapping[str, Spot]
    codes: Mapping[str, Codes]
    learns: tuple[str, ...]
    losses: list[Loss]
    changes: list[Change]
    notes: list[str]

    @property
    def setting(self) -> Setting:
        """Sizes and settings."""
        return self.numbers.setting

    @property
    def precision(self) -> Precision:
        """Formats and modes as they were given."""
        return self.numbers.precision

    @property
    def factored(self) -> bool:
        """Whether factors learn in place of W and B."""
        return self.setting.factored

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Return n_in, n_rec, n_out."""
        net = self.setting.network
        return net.n_in, net.n_rec, net.n_out

    @property
    def constants(self) -> dict[str, int]:
        """Codes of gain (α), keep (1 - α) and decay (of the traces), and mantissas of the learning rates."""
        return self.numbers.constants

    @property
    def accumulator(self) -> tuple[str, int] | None:
        """What a declared accumulator does beyond its width, and the width; None for an exact one."""
        declared = self.precision.accumulator_range()
        return None if declared is None else (declared[1].label, declared[0])

    @property
    def random_bits(self) -> int:
        """Random bits of one rounding."""
        return int(self.numbers.grid[0, at.RANDOM_BITS])

    def form(self, matrix: str) -> QFormat:
        """Return the format of a matrix by its key in :attr:`codes`."""
        name = matrix.removeprefix("hidden_")
        if name != matrix:
            fine = self.spots[name].fine
            assert fine is not None
            return fine
        back = {v: k for k, v in SHORT.items()}
        return self.numbers.landings[back.get(matrix, matrix)].format

    def learned(self, group: str) -> str:
        """Return what learns for a group: ``"W"``, or the factor ``"M"``."""
        return {"A": "A", "W": "M", "B": "N"}[group] if self.factored else group

    @property
    def landings(self) -> list[str]:
        """Names of the landings that happen, in the order of a step."""
        out = ["trace", "input_trace"] if self.learns else []
        if self.factored:
            out.append("coupling")
        out += FORWARD
        if self.learns:
            out.append("error")
            if not self.factored:
                out.append("signal")
            for group in self.learns:
                out += [f"step_{group}", self.learned(group)]
        return out
