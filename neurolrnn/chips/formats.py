"""From a chip's sheet to number formats: what the sheet says is taken, what it does not say must be given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.precision import CHIP, Precision
from neurolrnn.rules import RFLO, Rule
from neurolrnn_hardware.limits import Limits

HEAD_ROOM = 1
"""Bits by which a weight may outgrow the largest initial one of its matrix before it leaves its format."""
READOUT_WHOLE = 3
"""Least integer bits of the read-out's weights, which start small and grow."""
FEWEST = 3
"""Bits beside the sign that a message, an input or an error has at least."""
LIMITED_FORMS = ("sum-of-products", "lsb-stochastic", "lsb", "fixed-eprop")
"""Forms of update whose constants are powers of two: a shift."""


def complete(limits: Limits, network: Network, rule: Rule, feedback: NDArray[np.float64] | None, asked: Precision) -> (
    Precision
):  # fmt: skip
    """Return the precision of a run on a chip.

    Parameters
    ----------
    limits : Limits
        The chip, under assumptions.
    network : Network
        Initial weights: each matrix has one exponent, chosen from the largest of them with :data:`HEAD_ROOM` bits to
        grow.
    rule : Rule
        How it learns.
    feedback : (n_out, n_rec) or None
        R, or None where feedback follows A.
    asked : Precision
        ``Precision("chip", ...)``, whose options come before the sheet's; any other is returned as it is.

    Raises
    ------
    InputError
        If the sheet does not say what is needed and the user does not give it; all of it is named.
    """
    return _Sheet(limits, asked).precision(network, rule, feedback) if asked.name == CHIP else asked


class _Sheet:
    """Reads formats out of a sheet, and collects what it does not say."""

    def __init__(self, limits: Limits, asked: Precision) -> None:
        self.limits, self.given = limits, asked.options()
        self.given.pop("preset")
        self.missing: list[str] = []
        self.program = self.value("decay.form") == "program" or self.value("learning.form") == "program"

    def value(self, limit: str) -> Any:
        return self.limits.value(limit)

    def need(self, option: str, limit: str, example: str) -> None:
        fact = self.limits.fact(limit)
        why = f"; {fact.note}" if fact.note else ""
        self.missing.append(
            f"{option}: {limit} is not known ({fact.source}{why}); give precision.{option}, or assume {limit}={example}"
        )

    def width(self, register: str) -> int | None:
        """Return the bits a register has, or those a program would take of it."""
        bits, factor = self.value(f"{register}.bits"), self.value("rounding.multiply_bits")
        if bits is None:
            return None
        return int(min(bits, factor) if self.program and factor else bits)

    def overflow(self, register: str, fallback: str | None = None) -> str | None:
        """Return what a register does beyond its range; a choice of the chip's is taken where the sheet names none."""
        own = self.value(f"{register}.overflow")
        if own is not None:
            return "saturate" if own == "dropped" else str(own)
        fact = self.limits.fact(f"{register}.overflow")
        offered = self.value("rounding.overflows") or ()
        if offered and not (fact.references or fact.note):
            return "saturate" if "saturate" in offered else str(offered[0])
        return fallback

    def precision(self, network: Network, rule: Rule, feedback: NDArray[np.float64] | None) -> Precision:
        made = self._modes()
        state = self._states(made)
        if state:
            made.update(self._weights(network, feedback))
            made.update(self._learning(rule, state, made))
        self._tell_missing()
        made = {**made, **self.given}
        if "weight" in self.given:  # a format for all weights
            made = {k: v for k, v in made.items() if k not in ("A", "W", "B", "feedback", "factor") or k in self.given}
        if "accumulator" in made and made["accumulator"] != "exact":
            self._fit_sums(made)
        return Precision(self.limits.chip.key, **made)

    def _tell_missing(self) -> None:
        if self.missing:
            head = f"chip {self.limits.chip.key!r}: its sheet does not settle all that a run needs"
            raise InputError("\n  ".join([head, *self.missing]))

    def _modes(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        modes = [m for m in self.value("rounding.modes") or () if m != "lsb-stochastic"]
        plain = [m for m in modes if m != "stochastic"]
        rounding = self.value("decay.rounding") or (plain or modes or [None])[0]
        if rounding is None and "rounding" not in self.given:
            self.need("rounding", "decay.rounding", "floor")
        made["rounding"] = self.given.get("rounding", rounding)
        landed = self.value("learning.rounding")
        if landed is None and self.value("learning.form") == "lsb-stochastic":
            landed = "lsb-stochastic"
        made["update_rounding"] = landed or ("stochastic" if "stochastic" in modes else made["rounding"])
        overflow = self.overflow("state")
        if overflow is None and "overflow" not in self.given:
            self.need("overflow", "state.overflow", "saturate")
        made["overflow"] = overflow
        if self.value("decay.form") == "multiply":
            made["decay_bits"] = min(self.value("decay.bits") or 14, 30)
            if made["rounding"] == "toward-zero":
                made["state_decay"] = "apart"
        if self.value("learning.form") in LIMITED_FORMS:
            made["rate_bits"] = 1
        bits = self.value("accumulator.bits")
        if bits is not None and "accumulator" not in self.given:
            how = self.overflow("accumulator")
            if how is None:
                self.need("accumulator", "accumulator.overflow", "saturate")
            made["accumulator"] = f"s{min(bits, 62)} {how}"
        return {k: v for k, v in made.items() if v is not None}

    def _states(self, made: dict[str, Any]) -> int:
        """Put in the formats of what a unit holds; return the width of a state, or 0 where it is missing."""
        w = self.width("state")
        if w is None:
            if "state" in self.given:
                w = int(Precision(weight="s1.6", state=str(self.given["state"])).landing("state").format.width)
            else:
                self.need("state", "state.bits", "16")
                return 0
        whole = w // 4
        symmetric = " symmetric" if self.value("state.symmetric") and made.get("overflow") == "saturate" else ""
        current = self.width("current") or w
        how = self.overflow("current", made.get("overflow")) or ""
        made.update({
            "state": f"s{whole}.{w - whole - 1}{symmetric}",
            "current": f"s{current // 4 + 1}.{current - current // 4 - 2} {how}".strip(),
            "readout": f"s{whole + 3}.{w - whole - 4}{symmetric}",
            "input": f"s{whole}.{w - whole - 1}",
            "coupling": f"s{whole + 2}.{w - whole - 3}",
        })  # fmt: skip
        payload = self.value("payload.bits")
        if self.value("payload.form") == "graded" and payload is not None and payload < w:
            sent = min(whole, payload - 1)
            made["message"] = made["input"] = f"s{sent}.{payload - 1 - sent}"
            many = min(whole + 2, payload - 1)
            made["coupling"] = f"s{many}.{payload - 1 - many}"
        return w

    def _weights(self, network: Network, feedback: NDArray[np.float64] | None) -> dict[str, str]:
        w = self.width("weight")
        if w is None:
            if "weight" not in self.given:
                self.need("weight", "weight.bits", "8")
            return {}
        w += self.value("weight.signed") is False  # a sign shared by a group is no bit of the weight
        drawn = {"A": network.A, "W": network.W, "B": network.B, "feedback": feedback}
        made = {"weight": exponent(None, w)}
        for name, values in drawn.items():
            if values is not None and isinstance(values, np.ndarray):
                made[name] = exponent(values, w, READOUT_WHOLE if name == "A" else 0)
        made["factor"] = made.get("W", made["weight"])
        made["trace_decay"] = "s1.14"
        return made

    def _learning(self, rule: Rule, state: int, made: Mapping[str, Any]) -> dict[str, Any]:
        w = min(int(self.value("learning.signal") or state), state)
        out: dict[str, Any] = {"error": f"s3.{w - 4}", "signal": f"s3.{w - 4}"}
        t = self.width("trace")
        whole = state // 4
        if t is not None:
            how = self.value("trace.rounding") or ""
            signed = self.value("trace.signed") is not False
            bits = t - signed
            t_whole = max(1, min(whole, t // 3))
            both = f"{'s' if signed else 'u'}{t_whole}.{bits - t_whole} {how}".strip()
            out["trace"] = out["input_trace"] = both
            if not signed and isinstance(rule, RFLO):
                out["trace_signs"] = "pair"
            if not signed:  # an eligibility has a sign, and is the synapse's
                out["eligibility"] = made["state"]
        e = self.value("synapse_trace.bits")
        if e is not None:
            e = min(e, 16) if self.program else e
            e_whole = max(1, min(whole, e // 3))
            out["eligibility"] = f"s{e_whole}.{e - 1 - e_whole}"
        return out

    def _fit_sums(self, made: dict[str, Any]) -> None:
        """Take off fraction bits of what is multiplied, so that sums have whole bits left in the chip's accumulator."""
        room = int(made["accumulator"].split()[0][1:]) - 1
        trial = Precision(self.limits.chip.key, **made)

        def cut(factor: str, weights: tuple[str, ...], landing: str) -> None:
            if factor in self.given:
                return
            form = trial.landing(factor).format
            finest = max(trial.landing(v).format.frac_bits for v in weights)
            most = room - finest - trial.landing(landing).format.int_bits
            if most + form.int_bits < FEWEST:
                bits = made["accumulator"]
                self.missing.append(
                    f"{factor}: sums in the chip's accumulator ({bits}) leave it no bits beside weights of {finest} "
                    f"fraction bits; give weight, A, W and B fewer, such as precision.weight = 's1.2', or assume "
                    f"accumulator.bits=32"
                )
            elif form.frac_bits > most:
                words = made.get(factor, "").split()[1:]
                made[factor] = " ".join([f"s{form.int_bits}.{most}", *words])

        cut("message", ("W", "A", "factor_W"), "current")
        cut("input", ("B", "factor_B"), "current")
        cut("error", ("feedback", "A"), "signal")
        self._tell_missing()


def exponent(values: NDArray[np.float64] | None, width: int, least: int = 0) -> str:
    """Return the signed format of a matrix: all its weights share one exponent, chosen from the largest.

    Parameters
    ----------
    values : array or None
        Initial weights; None for values below 1.
    width : int
        Bits of a weight, with its sign.
    least : int
        Least integer bits.
    """
    largest = 0.0 if values is None else float(np.abs(values).max(initial=0.0))
    whole = math.frexp(largest)[1] + HEAD_ROOM if largest > 0.0 else HEAD_ROOM
    whole = max(whole, least, width - 32)
    return f"s{whole}.{width - 1 - whole}"
