"""Learning: what an update reads and how it lands, beside what a chip's learning engine offers."""

from __future__ import annotations

from collections.abc import Collection

from neurolrnn_hardware.arithmetic_limits import narrower
from neurolrnn_hardware.demand import Demand
from neurolrnn_hardware.findings import Findings

GROUP = {
    "input": "input", "recurrent": "recurrent", "readout": "readout",
    "factor_recurrent": "readout", "factor_input": "readout",
}  # fmt: skip
"""What kind of synapses those of a connection are to a chip: the learning units of factored storage hear the network as
outputs do, so their synapses are those of a read-out."""
FACTORED = "rule.storage = 'factored': only synapses onto n_out learning units change, as those of a read-out do"


def check_learning(demand: Demand, findings: Findings) -> None:
    """Judge every plastic connection."""
    looped = [c.name for c in demand.connections if c.name in ("recurrent", "coupling")]
    if findings.limits.value("topology.recurrent") is False:
        findings.check(
            "topology.recurrent", bool, ", ".join(looped), "connections in a loop", "another chip: nothing recurs here"
        )
    plastic = [c for c in demand.connections if c.plastic]
    if not plastic:
        return
    names = ", ".join(c.name for c in plastic)
    findings.check(
        "learning.available", bool, f"learning of {names}", "learning on the chip",
        "learn elsewhere and load the weights: training.learn = []",
    )  # fmt: skip
    if findings.limits.value("learning.available") is not True:
        return
    for c in plastic:
        findings.check(
            "learning.plastic", lambda v, g=GROUP[c.name]: g in v, f"synapses of {c.name} that learn",  # type: ignore[misc]
            f"learning of {c.name}", FACTORED if demand.storage == "dense" else "training.learn = ['A']",
        )  # fmt: skip
        _reads(demand, findings, c.name)
    _form(demand, findings)
    _width(demand, findings)
    _signal(demand, findings)


def _reads(demand: Demand, findings: Findings, connection: str) -> None:
    spikes = findings.limits.value("payload.form") == "binary"
    # A chip that sends errors back through its read-out offers just this transport.
    through = findings.limits.value("learning.signal_through") == "readout" and demand.sizes.steps_stored <= 1
    for kind in demand.locality.kinds_of(connection):
        if kind == "weight transport" and through and demand.feedback == "symmetric":
            continue
        findings.check(
            "learning.reads", lambda v, k=kind: offered(k, v, spikes), kind, f"what an update of {connection} reads",  # type: ignore[misc]
            _remedy(kind),
        )  # fmt: skip
    if "post signal" in demand.locality.kinds_of(connection) and findings.named("learning.third_factor"):
        findings.check(
            "learning.third_factor", lambda v: v in ("post-neuron", "program"), "a signal for each receiving neuron",
            f"learning signal at {connection}", "a chip with a learning signal per neuron",
        )  # fmt: skip


def offered(kind: str, reads: Collection[str], spikes: bool = False) -> bool:
    """Tell whether a learning engine offers a kind of read.

    Parameters
    ----------
    kind : str
        One of :data:`neurolrnn_hardware.locality.KINDS`.
    reads : collection of str
        What the chip offers, ``learning.reads`` of its sheet.
    spikes : bool
        Whether the chip's neurons send spikes: then a trace of them stands for the state of the sending unit.
    """
    if "anything" in reads or kind in reads:
        return True
    return kind == "pre state" and spikes and "pre trace" in reads


def _remedy(kind: str) -> str:
    return {
        "weight transport": "fixed feedback: rule.feedback = 'random'",
        "history": "a rule with traces in place of past states: rule.name = 'rflo'",
        "influence": "a rule with traces in place of influences: rule.name = 'rflo'",
        "own trace": "one trace per neuron in place of one per synapse: rule.name = 'rflo'",
        "post weight": "a decay that is the same everywhere: rule.name = 'rflo'",
        "own sum": "training.update = 'online', training.momentum = 0",
    }.get(kind, "a chip whose learning engine offers it")


def _form(demand: Demand, findings: Findings) -> None:
    form = findings.limits.value("learning.form")
    findings.check(
        "learning.form", lambda v: v not in ("lsb", "none"), "a product of trace and signal", "form of the update",
        "a chip with graded updates",
    )  # fmt: skip
    if form == "program" and findings.limits.value("learning.rounding") is None:
        return
    asked = {x.number.rounding for x in demand.arithmetic.landings if x.variable in ("A", "W", "B")} - {""}
    for rounding in sorted(asked):
        if findings.named("learning.rounding"):
            findings.check(
                "learning.rounding", lambda v, r=rounding: v == r, rounding, "rounding of updates",  # type: ignore[misc]
                f"precision.update_rounding = '{findings.limits.value('learning.rounding')}'",
            )  # fmt: skip


def _width(demand: Demand, findings: Findings) -> None:
    narrow = findings.limits.value("learning.weight_bits")
    for c in demand.connections:
        if c.plastic and narrow is not None:
            findings.most(
                "learning.weight_bits", c.weight.bits, f"weights of {c.name}, which learn",
                f"give them {narrower(narrow)}",
            )  # fmt: skip
    most = findings.limits.value("learning.accumulator")
    for x in demand.arithmetic.landings:
        if x.variable not in ("A", "W", "B") or not x.sum_bits or most is None or x.sum_bits <= most:
            continue
        overflow = findings.limits.value("learning.overflow")
        if overflow is None:
            findings.most(
                "learning.accumulator", x.sum_bits, f"update of {x.variable} before it lands",
                "narrower formats of trace, error and signal",
            )  # fmt: skip
        else:
            ends = "saturates" if overflow == "saturate" else "wraps"
            findings.notes.append(
                f"update of {x.variable}: {x.sum_bits} bits would hold every sum; the chip has {most} and {ends}"
            )


def _signal(demand: Demand, findings: Findings) -> None:
    widths = [m.payload.bits for m in demand.messages if m.kind == "learning signal"]
    if widths and findings.named("learning.signal"):
        findings.most("learning.signal", max(widths), "learning signal", "give error and signal fewer bits")
    if findings.limits.chip.placement == "matrices":
        own = [c.name for c in demand.connections if c.name == "feedback" and not c.transposed]
        learning = [c.name for c in demand.connections if c.plastic and c.name.startswith("factor_")]
        if own or learning:
            findings.check(
                "learning.signal_through", lambda v: v != "readout",
                "feedback by a matrix of its own" if own else "errors that reach the learning units as they are",
                f"learning signal of {', '.join(own or learning)}",
                "rule.storage = 'dense', rule.feedback = 'symmetric'",
            )  # fmt: skip
