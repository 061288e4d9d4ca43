"""Number formats of a demand: of every variable, of floating point and of fixed point alike."""

from __future__ import annotations

from typing import Protocol

from neurolrnn.fixed_grid import Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.precision import Landing as PrecisionLanding
from neurolrnn.precision import Precision
from neurolrnn.proof import bounds
from neurolrnn_hardware.demand import Landing, Number
from neurolrnn_kernels.formats import Rounding

Results = dict[str, tuple[str, int, int]]
"""Of each variable that results land in: phase, results a step, products summed in one."""
RANDOM = (Rounding.STOCHASTIC, Rounding.LSB_STOCHASTIC)


class Formats(Protocol):
    """What a demand asks about numbers."""

    registers: int
    """Shift registers of random bits."""
    rates: dict[str, tuple[int, int]] | None
    """Mantissa and shift of each learning rate; None in floating point."""

    def number(self, variable: str) -> Number:
        """Return the format of a variable."""

    def hidden(self, group: str) -> Number:
        """Return the format of the finer weights behind a group."""

    def landings(self, results: Results) -> tuple[Landing, ...]:
        """Return where results come to rest, and how."""


class RealFormats:
    """Floating point: one format for everything."""

    registers = 0

    def __init__(self, precision: Precision) -> None:
        self.rates: dict[str, tuple[int, int]] | None = None
        self._number = Number(precision.name, 8 * precision.dtype.itemsize)

    def number(self, variable: str) -> Number:
        """Return the one format."""
        return self._number

    def hidden(self, group: str) -> Number:
        """Return the one format; there are no hidden weights."""
        return self._number

    def landings(self, results: Results) -> tuple[Landing, ...]:
        """Return one landing per variable."""
        return tuple(Landing(v, self._number, k, terms, phase=phase) for v, (phase, k, terms) in results.items())  # type: ignore[arg-type]


class FixedFormats:
    """Fixed point, resolved as a run resolves it."""

    def __init__(self, precision: Precision, setting: Setting) -> None:
        self._numbers = FixedNumbers(precision, setting)
        self._sums: dict[str, int] = {}
        for bound in bounds(self._numbers):
            self._sums[bound.landing] = max(self._sums.get(bound.landing, 0), bound.bits + 1)
        declared = precision.accumulator_range()
        self._accumulator = self._sums["current"] if declared is None else declared[0]
        self.rates: dict[str, tuple[int, int]] | None = {
            g: (r.mantissa, r.frac_bits) for g, r in self._numbers.rates.items()
        }
        lfsr = precision.noise == "lfsr"
        stochastic = [v for v, x in self._numbers.landings.items() if x.rounding in RANDOM]
        self.registers = len(stochastic) if lfsr else 0

    def _landing(self, variable: str) -> PrecisionLanding:
        numbers = self._numbers
        return numbers.landings[numbers.plastic(variable) if variable in ("W", "B") else variable]

    def number(self, variable: str) -> Number:
        """Return the format of a variable."""
        if variable == "mask":
            return Number("i1", 1, False)
        if variable == "accumulator":
            return Number(f"i{self._accumulator}", self._accumulator)
        if variable == "constant":
            bits = max(self._numbers.precision.decay_bits + 1, self._numbers.precision.rate_bits)
            return Number(f"i{bits}", bits, False)
        if variable.startswith("sum_"):
            bits = self._sum_bits(variable.removeprefix("sum_"))
            return Number(f"i{bits}", bits)
        if variable == "target":
            form = self._numbers.format_of("target")
            return Number(str(form), form.width, form.signed)
        return _number(self._numbers.landings[variable])

    def _sum_bits(self, group: str) -> int:
        """Return the width that holds every sum of updates over an episode."""
        numbers = self._numbers
        setting, landings = numbers.setting, numbers.landings
        terms = setting.longest * (setting.lanes if group == "A" else setting.terms)
        pair = landings[numbers.scaled(group)].format.largest * landings[numbers.presynaptic(group)].format.largest
        return (terms * pair).bit_length() + 1

    def hidden(self, group: str) -> Number:
        """Return the format of the finer weights behind a group."""
        form = self._numbers.precision.hidden_format(group)
        assert form is not None
        landing = self._landing(group)
        return Number(str(form), form.width, form.signed, landing.rounding.label, landing.overflow.label)

    def landings(self, results: Results) -> tuple[Landing, ...]:
        """Return where results come to rest, with the random bits they need."""
        out = []
        precision = self._numbers.precision
        for variable, (phase, count, terms) in results.items():
            landing = self._landing(variable)
            random = precision.random_bits if landing.rounding in RANDOM else 0
            draws = (min(count, 1) if precision.noise == "shared" else count) if random else 0
            sum_bits = self._sums.get(variable, 0)
            out.append(Landing(variable, _number(landing), count, terms, sum_bits, random, draws, phase))  # type: ignore[arg-type]
        return tuple(out)


def _number(landing: PrecisionLanding) -> Number:
    form = landing.format
    return Number(str(form), form.width, form.signed, landing.rounding.label, landing.overflow.label)


def make_formats(precision: Precision, setting: Setting) -> Formats:
    """Return the formats of a precision, resolved for one setting.

    Raises
    ------
    InputError
        If rule or training have no fixed-point form, or a sum cannot be proved to fit.
    """
    return FixedFormats(precision, setting) if precision.is_fixed else RealFormats(precision)
