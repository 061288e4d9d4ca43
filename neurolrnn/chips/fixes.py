"""Changes of an experiment that meet one limit of a chip each: the table :data:`FIXES`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from neurolrnn_hardware.arithmetic_limits import signed_by_two
from neurolrnn_kernels.formats import QFormat

if TYPE_CHECKING:
    from neurolrnn.chips.check import Report

Tables = dict[str, Any]
"""Plain data of an experiment, as its file holds them."""
Fix = Callable[[Tables, "Report"], bool]
"""Changes the tables in place and tells whether it did."""

WEIGHTS = ("A", "W", "B", "feedback", "factor_W", "factor_B")
STATES = ("state", "readout", "coupling")
TRACES = ("trace", "input_trace")
ELIGIBILITIES = ("eligibility", "input_eligibility")
NARROWEST = 2


def _resolved(report: Report) -> dict[str, str]:
    """Return the format that every variable of the run really has."""
    from neurolrnn.precision import PARENTS

    precision = report.experiment.precision
    return {v: str(precision.landing(v).format) for v in PARENTS} if precision.is_fixed else {}


def _narrow(variables: Iterable[str], bits: int, tables: Tables, report: Report) -> bool:
    """Take fraction bits off formats that are wider than ``bits``; integer bits stay as far as there is room."""
    resolved, changed = _resolved(report), False
    for name in variables:
        old = QFormat.parse(resolved[name]) if name in resolved else None
        if old is None or old.width <= bits or bits < NARROWEST:
            continue
        whole = min(old.int_bits, bits - old.signed)
        new = QFormat(old.signed, whole, bits - old.signed - whole)
        words = str(tables["precision"].get(name, "")).split()[1:]  # its own rounding and overflow stay
        tables["precision"][name] = " ".join([str(new), *words])
        changed = True
    return changed


def _fixed_point(tables: Tables, report: Report) -> bool:
    from neurolrnn.precision import PRESETS

    if report.experiment.precision.is_fixed:
        return False
    tables["precision"] = {"name": "int8", **PRESETS["int8"]}
    return True


def _bits(limit: str, variables: Iterable[str], sign: bool = False) -> Fix:
    def fix(tables: Tables, report: Report) -> bool:
        if not report.experiment.precision.is_fixed:
            return _fixed_point(tables, report)
        most = report.chip.fact(limit).value
        if not isinstance(most, int):
            return False
        own = sign and report.chip.weight.signed.value is False
        own |= (
            variables is TRACES
            and report.experiment.precision.trace_signs != "pair"
            and signed_by_two(report.verdict.limits)
        )
        changed = _narrow(variables, most + own, tables, report)
        if variables is WEIGHTS and tables["precision"].get("hidden") is not None:
            changed |= tables["precision"].pop("hidden", None) is not None
        return changed

    return fix


def _overflow(register: str, variables: Iterable[str]) -> Fix:
    def fix(tables: Tables, report: Report) -> bool:
        wanted = report.chip.fact(f"{register}.overflow").value
        resolved, changed = _resolved(report), False
        for name in variables:
            if wanted is not None and report.experiment.precision.landing(name).overflow.label != wanted:
                tables["precision"][name] = (
                    f"{str(tables['precision'].get(name) or resolved[name]).split()[0]} {wanted}"
                )
                changed = True
        return changed

    return fix


def _setting(key: str, value: Callable[[Report], Any]) -> Fix:
    def fix(tables: Tables, report: Report) -> bool:
        wanted = value(report)
        if wanted is None or tables["precision"].get(key) == wanted or not report.experiment.precision.is_fixed:
            return False
        tables["precision"][key] = wanted
        return True

    return fix


def _mode(report: Report) -> str | None:
    modes = report.chip.rounding.modes.value or ()
    return next((m for m in modes if m != "lsb-stochastic"), None)


def _accumulator(report: Report) -> str | None:
    bits = report.chip.accumulator.bits.value
    overflow = report.chip.accumulator.overflow.value or "saturate"
    return None if bits is None else f"s{bits} {overflow}"


def _rounding(tables: Tables, report: Report) -> bool:
    """Take a rounding that exists, also where a format names its own."""
    modes, changed = report.chip.rounding.modes.value or (), _setting("rounding", _mode)(tables, report)
    for name, form in list(tables["precision"].items()):
        words = str(form).split()
        if len(words) > 1 and name not in ("accumulator", "name"):
            kept = [words[0], *(w for w in words[1:] if w in modes or w in ("saturate", "wrap"))]
            changed |= kept != words
            tables["precision"][name] = " ".join(kept)
    return changed


def _update_sum(tables: Tables, report: Report) -> bool:
    """Make errors and signals so narrow that their product with a trace fits the engine's accumulator."""
    most = report.chip.learning.accumulator.value
    asked = [x.sum_bits for x in report.demand.arithmetic.landings if x.variable in ("A", "W", "B")]
    if most is None or not asked or not report.experiment.precision.is_fixed:
        return False
    excess = max(asked) - int(most)
    resolved, changed = _resolved(report), False
    for name in ("error", "signal", "state", "coupling", "readout", "input"):
        width = QFormat.parse(resolved[name]).width
        share = (
            min(excess, max(width - 6, 0)) if name in ("error", "signal") else min(-(-excess // 2), max(width - 8, 0))
        )
        changed |= _narrow((name,), width - share, tables, report)
    return changed


def _pair(tables: Tables, report: Report) -> bool:
    """Take two traces without a sign, of positive and of negative activity, where a neuron has two."""
    if tables["rule"]["name"] != "rflo" or (report.chip.trace.per_neuron.value or 1) < 2:
        return False
    precision, resolved, changed = tables["precision"], _resolved(report), False
    for name in TRACES if resolved else ():
        form = QFormat.parse(resolved[name])
        if form.signed:
            precision[name] = str(QFormat(False, form.int_bits, form.frac_bits))
            changed = True
    if resolved and precision.get("trace_signs") != "pair":
        precision["trace_signs"] = "pair"
        changed = True
    return changed


def _form(tables: Tables, report: Report) -> bool:
    """Take learning rates that are powers of two, and one sequence at a time."""
    if not report.experiment.precision.is_fixed:
        return False
    precision, training = tables["precision"], tables["training"]
    before = (precision.get("rate_bits"), training.get("batch"))
    precision["rate_bits"], training["batch"] = 1, 1
    return (1, 1) != before


def _leak(tables: Tables, report: Report) -> bool:
    form, leak = report.chip.decay.form.value, tables["network"].get("leak", 1.0)
    wanted = 1.0 if form == "linear" else 2.0 ** min(0, round(math.log2(leak)))
    if leak == wanted:
        return False
    tables["network"]["leak"] = wanted
    return True


def _rule(tables: Tables, report: Report) -> bool:
    """Take a rule whose reads the chip offers: RFLO in the storage and with the feedback that suit it."""
    through = report.chip.learning.signal_through.value == "readout"
    plain = {"storage": "dense", "feedback": "symmetric"} if through else {"feedback": "random"}
    rule, training = tables["rule"], tables["training"]
    before = (dict(rule), dict(training))
    if rule["name"] != "rflo":
        tables["rule"] = rule = {"name": "rflo"}
    rule.update(plain)
    training["update"] = "online"
    training.pop("momentum", None)
    return (rule, training) != before


def _factored(tables: Tables, report: Report) -> bool:
    rule = tables["rule"]
    if rule["name"] == "rflo" and rule.get("storage", "factored") == "factored":
        return False
    feedback = rule.get("feedback", "random")
    tables["rule"] = {
        "name": "rflo", "storage": "factored", "feedback": "random" if feedback == "symmetric" else feedback,
    }  # fmt: skip
    return True


FIXES: dict[str, Fix] = {
    "rounding.floating_point": _fixed_point,
    "weight.bits": _bits("weight.bits", WEIGHTS, sign=True),
    "weight.shared_values": _bits("weight.shared_values", WEIGHTS),
    "learning.weight_bits": _bits("learning.weight_bits", WEIGHTS),
    "state.bits": _bits("state.bits", STATES),
    "current.bits": _bits("current.bits", ("current",)),
    "trace.bits": _bits("trace.bits", TRACES),
    "synapse_trace.bits": _bits("synapse_trace.bits", ELIGIBILITIES),
    "learning.signal": _bits("learning.signal", ("error", "signal")),
    "payload.bits": _bits("payload.bits", ("state", "input", "coupling")),
    "state.overflow": _overflow("state", STATES),
    "current.overflow": _overflow("current", ("current",)),
    "rounding.modes": _rounding,
    "learning.rounding": _setting("update_rounding", lambda r: r.chip.learning.rounding.value),
    "learning.accumulator": _update_sum,
    "accumulator.bits": _setting("accumulator", _accumulator),
    "decay.bits": _setting("decay_bits", lambda r: r.chip.decay.bits.value),
    "decay.form": _leak,
    "decay.rounding": _setting("state_decay", lambda r: "apart"),
    "learning.form": _form,
    "trace.signed": _pair,
    "learning.reads": _rule,
    "learning.signal_through": _rule,
    "learning.plastic": _factored,
}
"""How each limit is met; what is not here asks for another size, or for another chip."""

SIZES = frozenset(
    {
        "topology.cores", "topology.neurons_per_core", "topology.neurons", "topology.hidden", "topology.fan_in",
        "topology.fan_out", "topology.axons_in_per_core", "topology.axons_out_per_core", "topology.synapses",
        "topology.recurrent_synapses", "topology.input_projection", "topology.output_projection",
        "memory.synapse_per_core", "memory.neuron_per_core", "memory.routing_per_core", "memory.core", "memory.chip",
        "memory.input_weights", "memory.recurrent_weights", "memory.output_weights",
    }
)  # fmt: skip
"""Limits that a smaller or sparser network meets."""
