"""What is calculated in a step: results that land, random numbers, multiplications."""

from __future__ import annotations

from neurolrnn.chips.counting.plan import Plan
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, TruncatedBPTT
from neurolrnn_hardware.demand import Arithmetic


def arithmetic(plan: Plan) -> Arithmetic:
    """Return where results land and how much is multiplied."""
    return Arithmetic(
        "fixed" if plan.precision.is_fixed else "float", plan.precision.accumulator,
        plan.formats.landings(_results(plan)), _multiplications(plan),
        *((plan.precision.decay_bits, plan.precision.rate_bits, plan.formats.rates) if plan.precision.is_fixed
          else ()),
    )  # fmt: skip


def _results(plan: Plan) -> dict[str, tuple[str, int, int]]:
    """Return, for every variable that results land in: phase, results a step, products summed in one."""
    s, rule, w = plan.sizes, plan.setting.rule, plan.W
    b, n, m, o = s.lanes, s.n_rec, s.n_in, s.n_out
    factored, learn = plan.setting.factored, plan.setting.training.learn
    inner = bool({"W", "B"} & set(learn))
    tau = rule.steps if isinstance(rule, TruncatedBPTT) else 1
    out: dict[str, tuple[str, int, int]] = {
        "current": ("forward", b * n, w.fan_in + m + (o if factored else 0)), "state": ("forward", b * n, 2),
        "readout": ("forward", b * o, n), "error": ("error", b * o, 1),
    }  # fmt: skip
    if factored:
        out["coupling"] = ("forward", b * o, n + m)
    elif inner:
        out["signal"] = ("signal", b * n, o)
    if inner and isinstance(rule, RFLO | TruncatedBPTT):
        terms = 1 if isinstance(rule, TruncatedBPTT) else 2
        out |= {"trace": ("trace", b * n, terms)} if "W" in learn else {}
        out |= {"input_trace": ("trace", b * m, terms)} if "B" in learn else {}
    if isinstance(rule, EProp) and inner:
        out["trace_decay"] = ("trace", n, 1)
        out |= {"eligibility": ("trace", b * w.synapses, 2)} if "W" in learn else {}
        out |= {"input_eligibility": ("trace", b * m * n, 2)} if "B" in learn else {}
    if tau > 1 and inner:
        out |= {
            "back_current": ("signal", b * (tau - 1) * n, w.fan_out),
                "back_signal": ("signal", b * (tau - 1) * n, 2),
        }  # fmt: skip
    phase = "episode" if plan.setting.training.update == "episode" else "update"
    for group, (_, words) in plan.plastic.items():
        if plan.direct:
            rows = o if group == "A" or factored else n * tau
            out[f"step_{group}"] = ("update", b * rows, 1)
        out[group] = (phase, words, b * (tau if group != "A" else 1))
    return out


def _multiplications(plan: Plan) -> dict[str, int]:
    s, rule, w = plan.sizes, plan.setting.rule, plan.W
    b, n, m, o = s.lanes, s.n_rec, s.n_in, s.n_out
    learn, factored = plan.setting.training.learn, plan.setting.factored
    W, B = "W" in learn, "B" in learn
    out = {"forward": b * (w.synapses + m * n + o * n + 2 * n), "trace": 0, "signal": 0, "update": 0, "episode": 0}
    if factored:
        out["forward"] += b * (2 * o * n + o * m)
    if isinstance(rule, RFLO):
        out["trace"] = 2 * b * (n * W + m * B)
    elif isinstance(rule, TruncatedBPTT):
        out["trace"] = b * (n * W + m * B)
    elif isinstance(rule, EProp):
        out["trace"] = 2 * b * (w.synapses * W + m * n * B) + n
    elif isinstance(rule, RTRL):
        out["trace"] = b * (n * W + m * B) * n * (w.synapses + 2 * n)
    if not factored and (W or B) and not isinstance(rule, BPTT):
        out["signal"] = b * o * n
    tau = rule.steps if isinstance(rule, TruncatedBPTT) else 1
    out["signal"] += b * (tau - 1) * (w.synapses + 2 * n) if W or B else 0
    outer = {"A": o * n, "W": w.synapses * tau, "B": m * n * tau}
    if factored:
        outer |= {"W": o * n, "B": o * m}
    if isinstance(rule, RTRL):
        outer |= {"W": n**3, "B": n * n * m}
    if isinstance(rule, BPTT):
        inner = w.synapses + (2 + o + 1) * n + n * n * W + m * n * B if W or B else 0
        out["episode"] = plan.setting.longest * b * inner
        outer |= {"W": 0, "B": 0}
    out["update"] = b * sum(outer[g] for g in learn)
    return {phase: count for phase, count in out.items() if count}
