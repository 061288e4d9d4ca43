"""How much memory a learner takes on a chip: words of each variable times the width of its format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from neurolrnn.precision import GROUPS, Precision
from neurolrnn.profiles.cases import task_sizes
from neurolrnn.rules import RFLO, EProp, Rule, TruncatedBPTT, make_rule
from neurolrnn.training import Training

FLOAT_BITS = {"float32": 32, "float64": 64}


class Storage(NamedTuple):
    """Memory of one learner."""

    bits: int
    """Σ words · width."""
    bytes: int
    """Each word in whole bytes: 1, 2 or 4."""
    words: dict[str, int]
    """Numbers kept of each variable."""


def used_variables(rule: Rule, training: Training) -> list[str]:
    """Return the variables of :data:`neurolrnn.precision.PARENTS` that this rule lands results in, or reads.

    Initial weights come before activity, and activity before what only learning needs.
    """
    factored = isinstance(rule, RFLO) and rule.storage == "factored"
    symmetric = isinstance(getattr(rule, "feedback", None), str) and rule.feedback == "symmetric"  # type: ignore[attr-defined]
    learn = training.learn
    found = ["A", "W", "B"]
    recurrent = "W" in learn or "B" in learn
    if factored:
        found += [name for name, g in (("factor_W", "W"), ("factor_B", "B")) if g in learn]
    if factored or (recurrent and not symmetric):
        found.append("feedback")
    found += ["input", "current", "state", "readout", "error"]
    if factored:
        found.append("coupling")
    elif recurrent:
        found.append("signal")
    if isinstance(rule, EProp):
        found += ["trace_decay"] if recurrent else []
        found += [name for name, g in (("eligibility", "W"), ("input_eligibility", "B")) if g in learn]
    else:
        found += [name for name, g in (("trace", "W"), ("input_trace", "B")) if g in learn]
    if isinstance(rule, TruncatedBPTT) and rule.steps > 1 and recurrent:
        found.append("back_current")
    return found


def storage_of(experiment: Mapping[str, Any]) -> Storage:
    """Return the memory that one lane of an experiment takes, inputs and results of a moment included.

    Parameters
    ----------
    experiment : dict
        As :meth:`Experiment.to_dict` gives it.

    Notes
    -----
    Weights, factors and feedback count n_pre · n_post words each, activity and traces one word per unit (truncated
    BPTT: τ per unit; e-prop: one per synapse). A hidden weight counts beside the visible one.
    """
    n, (m, o) = int(experiment["network"]["n_rec"]), task_sizes(experiment["task"])
    rule = make_rule(**experiment["rule"])
    training = Training(**experiment.get("training", {}))
    precision = Precision.from_dict(experiment.get("precision", {}))
    slots = rule.steps if isinstance(rule, TruncatedBPTT) else 1
    sizes = {
        "A": o * n, "W": n * n, "B": n * m, "factor_W": o * n, "factor_B": o * m, "feedback": o * n, "input": m,
        "current": n, "state": n, "readout": o, "error": o, "coupling": o, "signal": n * slots, "trace_decay": n,
        "eligibility": n * n, "input_eligibility": n * m, "trace": n * slots, "input_trace": m * slots,
        "back_current": n,
    }  # fmt: skip
    words = {name: sizes[name] for name in used_variables(rule, training)}
    factored = isinstance(rule, RFLO) and rule.storage == "factored"
    total_bits = total_bytes = 0
    for name, count in words.items():
        bits = FLOAT_BITS[precision.name] if not precision.is_fixed else precision.landing(name).format.width
        total_bits += count * bits
        total_bytes += count * whole_bytes(bits)
    if precision.is_fixed:
        for group in GROUPS:
            fine = precision.hidden_format(group)
            if fine is not None and group in training.learn:
                key = f"factor_{group}" if factored and group in "WB" else group
                words[f"hidden_{group}"] = words[key]
                total_bits += words[key] * fine.width
                total_bytes += words[key] * whole_bytes(fine.width)
    return Storage(total_bits, total_bytes, words)


def whole_bytes(bits: int) -> int:
    """Return 1, 2, 4 or 8: the bytes of the smallest integer that holds so many bits."""
    return int(2 ** max(0, math.ceil(math.log2(bits / 8))))
