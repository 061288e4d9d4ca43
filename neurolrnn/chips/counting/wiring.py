"""What is connected with what, and what travels: populations, connections, messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from neurolrnn.chips.counting.plan import Plan
from neurolrnn.rules import BPTT
from neurolrnn_hardware.demand import Connection, Message, Population


def populations(plan: Plan) -> tuple[Population, ...]:
    """Return the units, those of factored storage included."""
    s, number = plan.sizes, plan.formats.number
    out = [
        Population("input", s.n_in, number("input"), outside=True),
        Population("recurrent", s.n_rec, number("state")),
        Population("output", s.n_out, number("readout")),
    ]
    if plan.setting.factored:
        out.append(Population("learning", s.n_out, number("coupling")))
    return tuple(out)


def connections(plan: Plan) -> tuple[Connection, ...]:
    """Return the synapses between them, and the ways of learning signals."""
    s, number, learn = plan.sizes, plan.formats.number, plan.setting.training.learn
    n, m, o, w = s.n_rec, s.n_in, s.n_out, plan.W
    factored = plan.setting.factored

    def full(name: str, pre: str, post: str, fans: tuple[int, int], variable: str, **more: Any) -> Connection:
        return Connection(name, pre, post, fans[0] * fans[1], fans[0], fans[1], number(variable), variable, **more)

    out = [
        Connection(
            "recurrent", "recurrent", "recurrent", w.synapses, w.fan_in, w.fan_out, number("W"), "W",
            plastic="W" in learn and not factored, dense=plan.basis.form == "dense",
        ),
        full("input", "input", "recurrent", (m, n), "B", plastic="B" in learn and not factored),
        full("readout", "recurrent", "output", (n, o), "A", plastic="A" in learn),
    ]  # fmt: skip
    if factored:
        out += [
            full("factor_recurrent", "recurrent", "learning", (n, o), "factor_W", plastic="W" in learn),
            full("factor_input", "input", "learning", (m, o), "factor_B", plastic="B" in learn),
            full("coupling", "learning", "recurrent", (o, n), "feedback"),
        ]
    elif {"W", "B"} & set(learn):
        symmetric = plan.setting.feedback is None
        out.append(
            full("feedback", "output", "recurrent", (o, n), "A" if symmetric else "feedback",
                 carries="learning signal", transposed=symmetric)
        )  # fmt: skip
        if isinstance(plan.setting.rule, BPTT) or plan.sizes.steps_stored > 1:
            backward = replace(out[0], name="backward", carries="learning signal", transposed=True, plastic=False)
            out.append(replace(backward, fan_in=w.fan_out, fan_out=w.fan_in))
    return tuple(out)


def messages(plan: Plan) -> tuple[Message, ...]:
    """Return what travels in a step."""
    s, number = plan.sizes, plan.formats.number
    b, factored = s.lanes, plan.setting.factored
    learns = bool({"W", "B"} & set(plan.setting.training.learn))
    into = ("factor_input",) if factored else ()
    out = [
        Message("input", "input", ("input", *into), b * s.n_in, number("input")),
        Message(
            "state", "recurrent", ("recurrent", "readout", *(("factor_recurrent",) if factored else ())),
            b * s.n_rec, number("message" if "message" in plan.precision.formats else "state"),
        ),
        Message("target", "outside", (), b * s.n_out, number("target"), "target"),
    ]  # fmt: skip
    if factored:
        out.append(Message("coupling", "learning", ("coupling",), b * s.n_out, number("coupling")))
    if factored and learns:
        out.append(
            Message("error", "output", ("factor_recurrent", "factor_input"), b * s.n_out, number("error"),
                    "learning signal")
        )  # fmt: skip
    elif learns:
        out.append(Message("error", "output", ("feedback",), b * s.n_out, number("error"), "learning signal"))
        if isinstance(plan.setting.rule, BPTT) or s.steps_stored > 1:
            times = 1 if isinstance(plan.setting.rule, BPTT) else s.steps_stored - 1
            out.append(
                Message("backward", "recurrent", ("backward",), b * times * s.n_rec, number("signal"),
                        "learning signal")
            )  # fmt: skip
    return tuple(out)
