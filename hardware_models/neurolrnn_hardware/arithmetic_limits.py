"""Numbers: formats, roundings, accumulators, decays and messages of a demand beside those of a chip."""

from __future__ import annotations

import math
from collections.abc import Iterable

from neurolrnn_hardware.demand import Demand, Number
from neurolrnn_hardware.findings import Findings
from neurolrnn_hardware.limits import Limits

SUMS = ("current", "readout", "coupling")
"""Variables in which products are summed over synapses."""
REGISTERS = {"state": ("state", "readout", "coupling"), "current": ("current",)}
"""Registers of a neuron, with the variables they hold."""


def check_arithmetic(demand: Demand, findings: Findings, leak: float | None = None) -> None:
    """Judge every number format.

    Parameters
    ----------
    demand : Demand
        What is asked for.
    findings : Findings
        Where findings go.
    leak : float, optional
        α of the units, which the form of a chip's decay may not offer.
    """
    _floating(demand, findings)
    _weights(demand, findings)
    _registers(demand, findings)
    _sums(demand, findings)
    _traces(demand, findings)
    _roundings(demand, findings)
    _decay(demand, findings, leak)
    _messages(demand, findings)


def narrower(bits: int) -> str:
    """Say how a format of so many bits is written."""
    example = f", such as 's1.{bits - 2}'" if bits > 2 else ""
    return f"a format of {bits} bit{'s' * (bits > 1)}{example}"


def _floating(demand: Demand, findings: Findings) -> None:
    if demand.arithmetic.system == "float" and findings.named("rounding.floating_point"):
        findings.check(
            "rounding.floating_point", bool, demand.precision, "arithmetic in floating point",
            "take fixed point: precision.preset = 'int8'",
        )  # fmt: skip


def _weights(demand: Demand, findings: Findings) -> None:
    limits = findings.limits
    held = [(c.name, c.weight) for c in demand.connections if not c.transposed]
    held += [(v.name, v.number) for v in demand.select(role="weight") if v.name.startswith("hidden_")]
    per_synapse = limits.value("weight.signed") is not False
    copies = limits.value("weight.shared_values")
    for name, number in held:
        bits = number.bits - (number.signed and not per_synapse)
        if limits.value("weight.bits") == 1 and copies is not None:
            findings.check(
                "weight.shared_values", lambda v, b=number.bits: b <= v, f"{number.bits} bits, one axon each",  # type: ignore[misc]
                f"weights of {name}, a bit by each type of axon", f"give them {narrower(copies)}",
            )  # fmt: skip
            continue
        own = limits.value("weight.bits")
        fact = limits.fact("weight.bits")
        extra = "" if per_synapse or not number.signed else f", the sign is shared by a {_scope(findings)}"
        findings.check(
            "weight.bits", lambda v, b=bits: b <= v, f"{bits} bits ({number.format}){extra}", f"weights of {name}",  # type: ignore[misc]
            f"give them {narrower((own or 0) + (number.signed and not per_synapse))}" if fact.value else "",
        )  # fmt: skip
    _exponents(demand, findings)


def _scope(findings: Findings) -> str:
    return str(findings.limits.value("weight.sign_scope") or "group")


def _exponents(demand: Demand, findings: Findings) -> None:
    """Weights onto one neuron meet in one sum: their exponents must lie within the range of the chip's."""
    low = findings.limits.value("weight.exponent_low")
    scope = findings.limits.value("weight.exponent_scope")
    for population in dict.fromkeys(c.post for c in demand.connections):
        fixed = [
            c for c in demand.connections
            if c.post == population and c.weight.is_fixed and c.carries == "activity" and not c.transposed
        ]  # fmt: skip
        exponents = [-c.weight.qformat.frac_bits for c in fixed]
        span = max(exponents, default=0) - min(exponents, default=0)
        names = ", ".join(c.name for c in fixed)
        if span and scope in ("core", "none"):
            findings.check(
                "weight.exponent_scope", lambda v: v not in ("core", "none"), f"exponents {span} apart",
                f"weights of {names}", "give them formats with the same fraction bits",
            )  # fmt: skip
        elif span and low is not None:
            findings.check(
                "weight.exponent_high", lambda v, s=span: s <= v - low, f"exponents {span} apart",  # type: ignore[misc]
                f"weights of {names}", "give them formats with nearer fraction bits",
            )  # fmt: skip


def _registers(demand: Demand, findings: Findings) -> None:
    for register, variables in REGISTERS.items():
        if findings.limits.value(f"{register}.analogue"):
            findings.notes.append(f"{register}s are analogue: formats of the experiment say nothing about them")
            continue
        if register != "state" and not findings.named(f"{register}.bits"):
            continue
        for landing in (x for x in demand.arithmetic.landings if x.variable in variables):
            number, what = landing.number, f"format of {landing.variable}"
            own = findings.limits.value(f"{register}.bits")
            findings.most(f"{register}.bits", number.bits, what, f"give it {narrower(own)}" if own else "")
            _signed(findings, f"{register}.signed", number, what, "nothing: a linear unit has states of both signs")
            if number.overflow and findings.named(f"{register}.overflow"):
                findings.check(
                    f"{register}.overflow", lambda v, n=number: v == n.overflow, number.overflow,  # type: ignore[misc]
                    f"overflow of {landing.variable}",
                    f"precision.{landing.variable} = '{number.format} "
                    f"{findings.limits.value(f'{register}.overflow') or ''}'",
                )  # fmt: skip


def _signed(findings: Findings, limit: str, number: Number, what: str, remedy: str) -> None:
    if number.signed and findings.limits.value(limit) is False:
        findings.check(limit, lambda v: v is not False, f"values of both signs ({number.format})", what, remedy)


def _sums(demand: Demand, findings: Findings) -> None:
    if findings.limits.value("accumulator.analogue") or not findings.named("accumulator.bits"):
        return
    words = demand.arithmetic.accumulator.split()
    declared = int(words[0][1:]) if words and words[0][:1] == "s" and words[0][1:].isdigit() else 0
    for landing in (x for x in demand.arithmetic.landings if x.variable in SUMS):
        bits = declared or landing.sum_bits
        if bits:
            findings.most(
                "accumulator.bits", bits, f"sum of {landing.terms:,} products for {landing.variable}",
                f"narrower formats, or precision.accumulator = 's{findings.limits.value('accumulator.bits')} saturate' "
                f"(or wrap)",
            )  # fmt: skip


def _traces(demand: Demand, findings: Findings) -> None:
    limits = findings.limits
    reads = limits.value("learning.reads") or ()
    for place, register in (("pre-neuron", "trace"), ("synapse", "synapse_trace")):
        if limits.value(f"{register}.analogue"):
            findings.notes.append(f"{register}s are analogue: formats of the experiment say nothing about them")
            continue
        if "anything" in reads and not findings.named(f"{register}.bits"):
            continue
        own = limits.value(f"{register}.bits")
        for v in demand.select(role="trace", place=place):
            what = f"format of {v.name}"
            if limits.value("learning.available") is False:
                continue
            halves = v.number.signed and place == "pre-neuron" and signed_by_two(limits)
            if halves:
                findings.notes.append(f"{v.name}: a signed trace is two unsigned ones, of which the chip has two")
            bits = v.number.bits - halves
            findings.most(f"{register}.bits", bits, what, f"give it {narrower(own + halves)}" if own else "")
            if v.number.signed and not halves and place == "pre-neuron":
                _signed(findings, f"{register}.signed", v.number, what, "two traces a neuron; the chip has one")


def signed_by_two(limits: Limits) -> bool:
    """Whether a signed trace can be the difference of two unsigned ones, each as wide as its magnitude."""
    unsigned = limits.value("trace.signed") is False
    return unsigned and (limits.value("trace.per_neuron") or 1) >= 2


def _roundings(demand: Demand, findings: Findings) -> None:
    if findings.limits.value("learning.form") == "program" or not findings.named("rounding.modes"):
        return
    plastic = {"A", "W", "B"}
    for landing in demand.arithmetic.landings:
        number = landing.number
        if not number.rounding or landing.variable in plastic:
            continue
        modes = findings.limits.value("rounding.modes") or ()
        findings.check(
            "rounding.modes", lambda v, n=number: n.rounding in v, number.rounding, "rounding of states and traces",  # type: ignore[misc]
            f"precision.rounding = '{_first(modes)}'" if modes else "",
        )  # fmt: skip


def _first(modes: Iterable[str]) -> str:
    return next(iter(modes), "")


def _decay(demand: Demand, findings: Findings, leak: float | None) -> None:
    form = findings.limits.value("decay.form")
    scaled = leak is None or leak < 1.0
    if form == "linear" and scaled:
        findings.check(
            "decay.form", lambda v: v != "linear", "a factor 1 - α", "decay of states",
            "network.leak = 1: the chip subtracts a constant, it does not scale",
        )  # fmt: skip
    if form == "shift" and leak is not None and scaled:
        exact = math.log2(leak).is_integer()
        findings.check(
            "decay.form", lambda v: v != "shift" or exact, f"a factor {1 - leak:g}", "decay of states",
            f"network.leak = {2.0 ** round(math.log2(leak)):g}: the chip takes off a power of two",
        )  # fmt: skip
    if form == "multiply" and demand.arithmetic.decay_bits and scaled:
        most = findings.limits.value("decay.bits")
        findings.most("decay.bits", demand.arithmetic.decay_bits, "leak and decays", f"precision.decay_bits = {most}")


def _messages(demand: Demand, findings: Findings) -> None:
    limits = findings.limits
    if limits.chip.placement == "memory" and not findings.named("payload.bits"):
        return
    sent = [m for m in demand.messages if m.kind == "activity" and m.connections]
    if not sent:
        return
    widest = max(sent, key=lambda m: m.payload.bits)
    form = limits.value("payload.form")
    few = {"binary": "spikes carry no value", "count": "spikes are counted"}.get(
        str(form), "a message carries few bits"
    )
    findings.most(
        "payload.bits", widest.payload.bits, f"message of {widest.source} units",
        f"{few}: the network must be turned into spiking neurons first, or assume payload.bits to judge the rest"
        if form in ("binary", "count") else f"give {widest.name} a format of fewer bits",
    )  # fmt: skip
