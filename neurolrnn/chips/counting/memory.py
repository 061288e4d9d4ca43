"""What is held: weights, activity, sums and constants; what the rule keeps is declared with it."""

from __future__ import annotations

from typing import Any

from neurolrnn.chips.counting.plan import Plan
from neurolrnn.chips.rule_locality import declaration
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, TruncatedBPTT
from neurolrnn_hardware.demand import Access, Number, Variable


def _weights(plan: Plan) -> list[Variable]:
    s, plastic = plan.sizes, plan.plastic
    n, m, o = s.n_rec, s.n_in, s.n_out
    factored = plan.setting.factored
    learned = {name for name, _ in plastic.values()}

    def held(
        name: str, words: int, owner: str, arrays: tuple[str, ...], reads: int, extra: tuple[Access, ...] = ()
    ) -> Variable:
        on = name in learned
        group = {"factor_W": "W", "factor_B": "B"}.get(name, name)
        phase = "update" if plan.direct or plan.setting.training.update == "online" else "episode"
        touched = (Access(phase, owner, words),) if on else ()  # type: ignore[arg-type]
        # a visible weight with a finer one behind it is written by learning, and not read
        back = () if group in plan.facts.hidden else touched
        return Variable(
            name, "weight", "synapse", words, plan.formats.number(name), "kept" if on else "fixed", owner, on,
            (Access("forward", owner, reads), *back, *extra), touched, arrays,
        )  # fmt: skip

    b = s.lanes
    signal = (Access("signal", "feedback", b * o * n),)
    symmetric = plan.setting.feedback is None and not factored and bool({"W", "B"} & set(plastic))
    backward: tuple[Access, ...] = ()
    if {"W", "B"} & set(plastic):
        rule = plan.setting.rule
        if isinstance(rule, TruncatedBPTT) and rule.steps > 1:
            backward = (Access("signal", "backward", b * (rule.steps - 1) * plan.W.words),)
        elif isinstance(rule, RTRL):
            backward = (Access("trace", "recurrent", plan.W.words),)
        elif isinstance(rule, BPTT):
            backward = (Access("episode", "backward", plan.setting.longest * b * plan.W.words),)
        elif isinstance(rule, EProp):
            backward = (Access("trace", "recurrent", n),)
    out = [
        held("A", o * n, "readout", ("weights.A",), b * o * n, signal if symmetric else ()),
        held("W", plan.W.words, "recurrent", plan.W.arrays, b * plan.W.words, backward),
        held("B", n * m, "input", ("weights.Bt",), b * n * m),
    ]
    if plan.W.index_bits:
        bits = plan.W.index_bits
        index = Number(f"i{bits}", bits, False)
        reads = (Access("forward", "recurrent", b * plan.W.words),)
        out.append(Variable("W_index", "index", "synapse", plan.W.words, index, "fixed", "recurrent", reads=reads))
    if factored:
        coupling = Access("forward", "coupling", b * o * n)
        out += [
            held("factor_W", o * n, "factor_recurrent", ("weights.M",), b * o * n),
            held("factor_B", o * m, "factor_input", ("weights.N",), b * o * m),
            Variable(
                "feedback", "weight", "synapse", o * n, plan.formats.number("feedback"), "fixed", "coupling",
                reads=(coupling,), arrays=("weights.R",),
            ),
        ]  # fmt: skip
    elif plan.setting.feedback is not None and {"W", "B"} & set(plastic):
        out.append(
            Variable("feedback", "weight", "synapse", o * n, plan.formats.number("feedback"), "fixed", "feedback",
                     reads=signal, arrays=("weights.R",))
        )  # fmt: skip
    for group in plan.facts.hidden:
        name, words = plastic[group]
        owner = next(v.owner for v in out if v.name == name)
        touched = (Access("update" if plan.direct else "episode", owner, words),)
        out.append(
            Variable(f"hidden_{name}", "weight", "synapse", words, plan.formats.hidden(group), "kept", owner, True,
                     touched, touched, (f"weights.hidden_{group}",))
        )  # fmt: skip
    return out


def _activity(plan: Plan) -> list[Variable]:
    s, number = plan.sizes, plan.formats.number
    b, n, m, o = s.lanes, s.n_rec, s.n_in, s.n_out
    factored, learn = plan.setting.factored, plan.setting.training.learn

    def one(name: str, role: str, words: int, format: str, owner: str, array: str, life: str = "step",
            phase: str = "forward") -> Variable:  # fmt: skip
        access: Any = (Access(phase, owner, words),)  # type: ignore[arg-type]
        return Variable(
            name, role, "pre-neuron" if owner == "input" else "post-neuron", words, number(format), life,  # type: ignore[arg-type]
            owner, False, access, access, (array,),
        )  # fmt: skip

    out = [
        one("state", "state", b * n, "state", "recurrent", "lanes.h", "kept"),
        one("drive", "state", b * n, "accumulator", "recurrent", "lanes.drive", "kept"),
        one("current", "state", b * n, "current", "recurrent", "lanes.u"),
        one("input", "state", b * m, "input", "input", "lanes.x"),
        one("readout", "state", b * o, "readout", "output", "lanes.y"),
        one("target", "signal", b * o, "target", "output", "lanes.target", phase="error"),
        one("mask", "signal", b, "mask", "output", "lanes.weight", phase="error"),
        one("error", "signal", b * o, "error", "output", "lanes.e", phase="error"),
    ]
    inner = bool({"W", "B"} & set(learn))
    if factored:
        out.append(one("coupling", "signal", b * o, "coupling", "learning", "lanes.z"))
    elif inner and not isinstance(plan.setting.rule, BPTT):
        out.append(one("signal", "signal", b * n, "signal", "recurrent", "lanes.L", phase="signal"))
    if plan.direct and ("A" in learn or (factored and inner)):
        out.append(one("step_A", "signal", b * o, "step_A", "output", "lanes.g_out", phase="update"))
    if plan.direct and inner and not factored and not isinstance(plan.setting.rule, TruncatedBPTT):
        out.append(one("step_W", "signal", b * n, "step_W", "recurrent", "lanes.g_rec", phase="update"))
    return out


def _rule_memory(plan: Plan) -> list[Variable]:
    inner = {"W", "B"} & set(plan.setting.training.learn)
    return declaration(plan.setting.rule).memory(plan.facts) if inner else []


def _sums(plan: Plan) -> list[Variable]:
    out = []
    for group, (name, words) in plan.plastic.items():
        if plan.direct:
            continue
        owner = {"A": "readout", "factor_W": "factor_recurrent", "factor_B": "factor_input", "W": "recurrent"}
        for kind, array in (("sum", f"gradients.{group}"), ("velocity", f"gradients.velocity_{group}")):
            if kind == "velocity" and not plan.facts.momentum:
                continue
            access = (Access("update" if kind == "sum" else "episode", owner.get(name, "input"), words),)
            out.append(
                Variable(f"{kind}_{name}", "sum", "synapse", words, plan.formats.number(f"sum_{group}"), "kept",
                         owner.get(name, "input"), False, access, access, (array,))
            )  # fmt: skip
    return out


def _constants(plan: Plan) -> list[Variable]:
    rule, training = plan.setting.rule, plan.setting.training
    words = 2 + isinstance(rule, RFLO) + len(training.learn) + (training.momentum > 0.0)
    out = [Variable("constants", "constant", "global", words, plan.formats.number("constant"), "fixed")]
    if plan.formats.registers:
        register = Number("i32", 32, False)
        out.append(Variable("noise", "state", "global", plan.formats.registers, register, "kept"))
    return out


def variables(plan: Plan) -> tuple[Variable, ...]:
    """Return every variable of a learner."""
    parts = (_weights, _activity, _rule_memory, _sums, _constants)
    return tuple(variable for part in parts for variable in part(plan))
