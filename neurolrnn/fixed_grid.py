"""Fixed point, resolved: the formats, constants and alignments of one run, as the grid that kernels are given."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.precision import Landing, Precision
from neurolrnn.rules import RFLO, EProp, Rule, TruncatedBPTT
from neurolrnn.training import Training
from neurolrnn_kernels import grid as at
from neurolrnn_kernels.formats import Overflow, QFormat, Rounding
from neurolrnn_kernels.noise import variable_key

ROWS = {
    "current": at.CURRENT, "state": at.STATE, "readout": at.READOUT, "error": at.ERROR, "signal": at.SIGNAL,
    "trace": at.TRACE, "input_trace": at.INPUT_TRACE, "step_A": at.RATE_A, "step_W": at.RATE_W, "step_B": at.RATE_B,
    "A": at.A, "W": at.W, "B": at.B, "coupling": at.COUPLING, "eligibility": at.ELIGIBILITY,
    "input_eligibility": at.INPUT_ELIGIBILITY, "trace_decay": at.TRACE_DECAY, "back_current": at.BACK_CURRENT,
    "back_signal": at.BACK_SIGNAL,
    "message": at.MESSAGE,
}  # fmt: skip
"""Row of the grid that each variable lands in; factors land in the rows of the weights they stand for."""


@dataclass(frozen=True)
class Rate:
    """A learning rate as hardware holds it: a mantissa and a shift."""

    mantissa: int
    frac_bits: int

    @property
    def value(self) -> float:
        """The rate that is really used."""
        return math.ldexp(self.mantissa, -self.frac_bits)

    @classmethod
    def nearest(cls, value: float, bits: int) -> Rate:
        """Return the nearest rate whose mantissa has exactly ``bits`` bits."""
        if value == 0.0:
            return cls(0, 0)
        fraction, exponent = math.frexp(value)  # value = fraction · 2^exponent, fraction in [1/2, 1)
        mantissa = math.floor(math.ldexp(fraction, bits) + 0.5)
        frac_bits = bits - exponent
        if mantissa == 1 << bits:
            mantissa, frac_bits = mantissa // 2, frac_bits - 1
        return cls(mantissa, frac_bits)


@dataclass(frozen=True)
class Setting:
    """What a fixed-point run is made for: sizes and settings that decide the width of sums."""

    network: Network
    rule: Rule
    training: Training
    feedback: NDArray[np.float64] | None
    loss: str
    lanes: int
    longest: int
    seed: int

    @property
    def factored(self) -> bool:
        """Whether factors learn in place of weights."""
        return isinstance(self.rule, RFLO) and self.rule.storage == "factored"

    @property
    def terms(self) -> int:
        """Products summed in one update of one weight."""
        return self.lanes * (self.rule.steps if isinstance(self.rule, TruncatedBPTT) else 1)


class FixedGrid:
    """Formats, constants and the grid of a fixed-point run, resolved for one network, rule and training.

    Parameters
    ----------
    precision : Precision
        Formats and modes.
    setting : Setting
        Network, rule and training they are used with.

    Raises
    ------
    InputError
        If rule or training have no fixed-point form, or formats do not go together.

    Attributes
    ----------
    landings : dict of str to Landing
        Format, rounding and overflow of every variable.
    rates : dict of str to Rate
        Learning rates of A, W and B.
    constants : dict of str to int
        Codes of gain, keep, decay and the mantissas of the rates.
    sends : bool
        Whether units send their state in a format of its own; ``sent`` names what they send.
    parts : bool
        Whether signed activity is filtered in two traces without a sign.
    clamps : dict of str to int or None
        Largest absolute code of each group.
    grid : (variables, fields)
        What the kernels are given.
    """

    def __init__(self, precision: Precision, setting: Setting) -> None:
        _refuse(setting, precision)
        self.precision, self.setting = precision, setting
        self.sends = "message" in precision.formats
        self.sent = "message" if self.sends else "state"
        self.parts = precision.trace_signs == "pair" and isinstance(setting.rule, RFLO)
        self.rates = {g: Rate.nearest(v, precision.rate_bits) for g, v in setting.training.rates.items()}
        self.landings = self._landings()
        bits = precision.decay_bits
        net, rule = setting.network, setting.rule
        gain = math.floor(math.ldexp(net.leak, bits) + 0.5)
        what = rule.decay if isinstance(rule, RFLO) and rule.decay is not None else 1.0 - net.leak
        self.constants = {
            "gain": gain, "keep": (1 << bits) - gain, "decay": math.floor(math.ldexp(what, bits) + 0.5),
            **{f"rate_{g}": r.mantissa for g, r in self.rates.items()}, "sends": int(self.sends),
        }  # fmt: skip
        self.clamps = self._clamp_codes()
        self.grid = self._make_grid()
        self.encoded: dict[str, NDArray[np.int64]] = {}
        """Codes of what does not learn, while a proof needs them."""

    def _landings(self) -> dict[str, Landing]:
        p = self.precision
        out = {v: p.landing(v) for v in (
            "current", "state", "readout", "error", "signal", "trace", "input_trace", "coupling", "eligibility",
            "input_eligibility", "trace_decay", "back_current", "input", "feedback", "A", "W", "B", "factor_W",
            "factor_B", "message",
        )}  # fmt: skip
        out["back_signal"] = out["signal"]
        for group in "AWB":
            source = out[self.scaled(group)]
            out[f"step_{group}"] = p.step_landing(f"step_{group}", _step_format(source.format, self.rates[group]))
        return out

    def scaled(self, group: str) -> str:
        """Return the variable that the learning rate of a group multiplies."""
        return "error" if group == "A" or self.setting.factored else "signal"

    def plastic(self, group: str) -> str:
        """Return the variable that learns for a group: the weights, or the factor of factored storage."""
        return f"factor_{group}" if self.setting.factored and group != "A" else group

    def learned_format(self, group: str) -> QFormat:
        """Return the format in which updates of a group accumulate: the hidden one, or that of what learns."""
        return self.precision.hidden_format(group) or self.landings[self.plastic(group)].format

    def frac(self, variable: str) -> int:
        """Return the fraction bits of a variable."""
        return self.landings[variable].format.frac_bits

    def _clamp_codes(self) -> dict[str, int | None]:
        bounds = self.setting.training.bounds
        return {
            g: None if b == math.inf else math.floor(math.ldexp(b, self.learned_format(g).frac_bits))
            for g, b in bounds.items()
        }

    def sums(self) -> dict[str, list[tuple[str, str]]]:
        """Return, for each variable that is a sum of products, the pairs of variables multiplied."""
        back = "feedback" if self.setting.feedback is not None else "A"
        current = [("W", self.sent), ("B", "input")]
        if self.setting.factored:
            current.append(("feedback", "coupling"))
        return {
            "current": current,
            "readout": [("A", self.sent)],
            "signal": [(back, "error")],
            "coupling": [("factor_W", self.sent), ("factor_B", "input")],
            "back_current": [("W", "signal")],
        }

    def _make_grid(self) -> NDArray[np.int64]:
        grid = at.real_grid()
        bits, f = self.precision.decay_bits, self.frac
        seed = self.setting.seed
        for name, row in ROWS.items():
            landing = self.landings[self.plastic(name) if name in "WB" else name]
            fill_row(grid[row], landing, self.precision, variable_key(seed, row))
        for name, pairs in self.sums().items():
            row = grid[ROWS[name]]
            before = [f(a) + f(b) for a, b in pairs]
            for k, bits_of_term in enumerate(before):
                row[at.LIFT_0 + k] = max(before) - bits_of_term
            row[at.SHIFT] = max(before) - f(name)
            declared = self.precision.accumulator_range()
            if declared is not None:
                width, how = declared
                row[at.ACCUMULATOR] = at.ACC_SATURATE if how == Overflow.SATURATE else at.ACC_WRAP
                row[at.ACC_LO], row[at.ACC_HI] = -(1 << (width - 1)), (1 << (width - 1)) - 1
        blends = {
            "state": ("state", "current"), "trace": ("trace", self.sent), "input_trace": ("input_trace", "input"),
            "back_signal": ("back_signal", "back_current"),
        }  # fmt: skip
        for name, (x, y) in blends.items():
            row = grid[ROWS[name]]
            if isinstance(self.setting.rule, TruncatedBPTT) and name in ("trace", "input_trace"):
                row[at.SHIFT] = bits + f(y) - f(name)  # one product, no decay
                continue
            top = max(f(x), f(y))
            row[at.LIFT_0], row[at.LIFT_1], row[at.SHIFT] = top - f(x), top - f(y), bits + top - f(name)
        for name, y in (("eligibility", self.sent), ("input_eligibility", "input")):
            terms = f("trace_decay") + f(name), bits + f(y)
            row = grid[ROWS[name]]
            row[at.LIFT_0], row[at.LIFT_1] = max(terms) - terms[0], max(terms) - terms[1]
            row[at.SHIFT] = max(terms) - f(name)
        grid[at.STATE, at.APART] = self.precision.state_decay == "apart"
        grid[at.MESSAGE, at.SHIFT] = f("state") - f("message")
        row = grid[at.TRACE_DECAY]
        row[at.LIFT_0], row[at.SHIFT] = f("W"), bits + f("W") - f("trace_decay")
        if f("W") < 0:
            raise InputError("precision.W: e-prop's trace decay needs W to have fraction bits")
        row = grid[at.ERROR]
        row[at.SHIFT], row[at.LOSS_FRAC], row[at.FRAC] = f("readout") - f("error"), f("readout"), f("error")
        for group in "AWB":
            self._fill_update(grid, group)
        return grid

    def _fill_update(self, grid: NDArray[np.int64], group: str) -> None:
        f = self.frac
        rate, pre = self.rates[group], self.presynaptic(group)
        step, row = grid[ROWS[f"step_{group}"]], grid[ROWS[group]]
        step[at.SHIFT] = rate.frac_bits + f(self.scaled(group)) - f(f"step_{group}")
        landing = self.landings[self.plastic(group)]
        fine = self.learned_format(group)
        if self.setting.training.sums:
            before = rate.frac_bits + f(self.scaled(group)) + f(pre)
        else:
            before = f(f"step_{group}") + f(pre)
        row[at.SHIFT] = before - fine.frac_bits
        row[at.VISIBLE_SHIFT] = fine.frac_bits - landing.format.frac_bits
        if row[at.VISIBLE_SHIFT] < 0:
            raise InputError(
                f"hidden = {fine} has fewer fraction bits than {group} = {landing.format}; hidden weights are finer"
            )
        if fine.int_bits < landing.format.int_bits or fine.signed != landing.format.signed:
            raise InputError(
                f"hidden = {fine} has a smaller range than {self.plastic(group)} = {landing.format}, so weights would "
                f"not fit; give it at least {landing.format.int_bits} integer bits and the same sign"
            )
        row[at.LO], row[at.HI] = landing._replace(format=fine).lo, fine.hi
        row[at.VISIBLE_LO], row[at.VISIBLE_HI] = landing.lo, landing.format.hi
        clamp = self.clamps[group]
        if clamp is not None:
            row[at.OVERFLOW] = Overflow.SATURATE
            row[at.LO], row[at.HI] = max(int(row[at.LO]), -clamp), min(fine.hi, clamp)

    def presynaptic(self, group: str) -> str:
        """Return the variable that an update of a group is multiplied with."""
        if group == "A":
            return self.sent
        if isinstance(self.setting.rule, EProp):
            return "eligibility" if group == "W" else "input_eligibility"
        return "trace" if group == "W" else "input_trace"


def fill_row(row: NDArray[np.int64], landing: Landing, precision: Precision, key: int) -> None:
    """Write format, modes and random stream of a variable into its row of the grid."""
    row[at.ROUNDING], row[at.OVERFLOW] = landing.rounding, landing.overflow
    row[at.LO], row[at.HI], row[at.FRAC] = landing.lo, landing.format.hi, landing.format.frac_bits
    row[at.KEY], row[at.LFSR] = key, key or 1
    row[at.STRIDE] = {"element": 1, "shared": 0, "lfsr": -1}[precision.noise]
    row[at.RANDOM_BITS] = 32 if precision.noise == "lfsr" and precision.random_bits > 32 else precision.random_bits


def _step_format(source: QFormat, rate: Rate) -> QFormat:
    """Return the format of rate · source: the same width, with the binary point where the largest product fits."""
    if rate.mantissa == 0:
        return source
    moved = math.ceil(math.log2(rate.value))
    return replace(source, int_bits=source.int_bits + moved, frac_bits=source.frac_bits - moved)


def _refuse(setting: Setting, precision: Precision) -> None:
    if not isinstance(setting.rule, RFLO | TruncatedBPTT | EProp):
        raise InputError(
            f"rule {setting.rule.name!r} is a floating-point reference; take precision float64 or float32, or one of "
            f"the rules that chips can hold: rflo, tbptt, eprop"
        )
    if setting.training.momentum:
        raise InputError(f"momentum = {setting.training.momentum}: fixed point has none; set momentum = 0")
    if precision.trace_signs == "pair" and not isinstance(setting.rule, RFLO):
        raise InputError(
            f"precision.trace_signs = 'pair': rule {setting.rule.name!r} has no filtered activity to hold in two "
            f"traces; take rule 'rflo', or trace_signs = 'signed'"
        )


STOCHASTIC = (Rounding.STOCHASTIC, Rounding.LSB_STOCHASTIC)
