"""Fixed point, seen from an experiment: values become codes, in integers that are proved to hold every sum."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.fixed_grid import ROWS, FixedGrid, Setting
from neurolrnn.plain_data import Numerics
from neurolrnn.precision import Precision
from neurolrnn.proof import WEIGHTS, prove
from neurolrnn_kernels import grid as at
from neurolrnn_kernels.formats import QFormat

Codes = NDArray[np.int8 | np.int16 | np.int32 | np.int64]


class FixedNumbers(FixedGrid):
    """The number system of a fixed-point run.

    Parameters
    ----------
    precision : Precision
        Formats and modes.
    setting : Setting
        Network, rule and training they are used with.

    Raises
    ------
    InputError
        If rule or training have no fixed-point form, or a sum cannot be proved to fit.

    Attributes
    ----------
    storage, weights, accumulator, work : numpy.dtype
        What codes, those of weights, long sums and all other results before they land are held in.
    clipped : dict of str to int
        How many values of weights, inputs and targets lay outside their format when they were encoded.
    """

    def __init__(self, precision: Precision, setting: Setting) -> None:
        super().__init__(precision, setting)
        self.clipped: dict[str, int] = {}
        self.storage, self.weights, self.accumulator, self.work = prove(self)

    def constant(self, variable: str, value: float) -> np.float64 | np.int64:
        """Return one number as kernels hold it; the learning constants are those of the contract."""
        if variable == "clip":
            return np.float64(np.inf)  # a clamp is a narrower range of the weight's row
        if variable == "momentum":
            return np.int64(0)
        return np.int64(self.constants[variable])

    def format_of(self, variable: str) -> QFormat:
        """Return the format of a variable; targets are compared in that of the read-out, or of the error."""
        if variable == "target":
            variable = "error" if self.setting.loss == "cross-entropy" else "readout"
        return self.landings[variable].format

    def zeros(self, variable: str, shape: tuple[int, ...]) -> Codes:
        """Return an array of codes at 0."""
        if variable == "gradient":
            return np.zeros(shape, np.int64)
        types = {"accumulator": self.accumulator, "work": self.work, **dict.fromkeys(WEIGHTS, self.weights)}
        return np.zeros(shape, types.get(variable, self.storage))

    def encode(self, variable: str, values: NDArray[np.float64]) -> Codes:
        """Return the codes of values: rounded to nearest, saturated and counted in ``clipped``."""
        if variable == "mask":
            if not np.isin(values, (0.0, 1.0)).all():
                raise InputError("fixed point knows error masks of 0 and 1 only; this task's mask has other weights")
            return np.array(values, self.storage)
        form = self.format_of(variable)
        clipped = int(form.overflows(values).sum())
        if clipped:
            self.clipped[variable] = self.clipped.get(variable, 0) + clipped
        return np.ascontiguousarray(form.encode(values).astype(self.weights if variable in WEIGHTS else self.storage))

    def hidden(self, group: str, values: NDArray[np.float64]) -> Codes:
        """Return the finer weights behind those of a group: at first the same values."""
        fine = self.precision.hidden_format(group)
        if fine is None:
            return np.zeros((1, 0), self.storage)
        form = self.landings[self.plastic(group)].format
        codes = form.encode(values) << (fine.frac_bits - form.frac_bits)
        return np.ascontiguousarray(codes.astype(self.storage))

    def decode_update(self, group: str, sums: Codes) -> NDArray[np.float64]:
        """Return the values of an accumulated update: a sum of products, which has the fraction bits of both."""
        frac_bits = self.frac(self.scaled(group)) + self.frac(self.presynaptic(group))
        return np.ldexp(sums.astype(np.float64), -frac_bits)

    def decode(self, variable: str, codes: Codes) -> NDArray[np.float64]:
        """Return the values of codes."""
        return self.format_of(variable).decode(codes)

    def report(self) -> Numerics:
        """Return every format and constant that is really used, as plain data."""
        formats = {name: f"{x.format} {x.rounding.label} {x.overflow.label}" for name, x in self.landings.items()}
        hidden = {g: str(h) for g in "AWB" if (h := self.precision.hidden_format(g)) is not None}
        bits = self.precision.decay_bits
        return {
            "formats": formats, "hidden": hidden, "accumulator": self.precision.accumulator,
            "rates": {g: r.value for g, r in self.rates.items()},
            "rate_codes": {g: [r.mantissa, r.frac_bits] for g, r in self.rates.items()},
            "leak": math.ldexp(self.constants["gain"], -bits), "decay": math.ldexp(self.constants["decay"], -bits),
            "storage_bits": self.storage.itemsize * 8, "weight_storage_bits": self.weights.itemsize * 8,
            "accumulator_bits": self.accumulator.itemsize * 8,
        }  # fmt: skip

    def counters(self) -> dict[str, dict[str, int]]:
        """Return what has been counted so far, for every variable at which something happened or learned."""
        out: dict[str, dict[str, int]] = {}
        for name, row in ROWS.items():
            cells = self.grid[row]
            found = {
                "overflows": int(cells[at.EVENTS]), "accumulator_overflows": int(cells[at.ACC_EVENTS]),
                "updates": int(cells[at.UPDATES]), "dead_updates": int(cells[at.DEAD]),
            }  # fmt: skip
            if any(found.values()):
                out[name] = found
        return out
