"""From a plan to a Brian2 model: the three modes, in floating point and in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.spiking.blueprint import INTEGER, REAL, Blueprint, Group, Operation, Slot
from neurolrnn.spiking.landings import current_code, faded, landed, state_code
from neurolrnn.spiking.learning import Parts, add_learning
from neurolrnn.spiking.plan import Plan
from neurolrnn.spiking.stream import Stream
from neurolrnn.spiking.twin import integer_constants, kick
from neurolrnn_kernels import grid as at

INPUT, BEGIN = Slot("start", -10), Slot("start", -9)
DRIVE, COLLECT, UPDATE, FADE, MESSAGE = (Slot("groups", k) for k in (-3, -2, 0, 1, 2))
READ, RECORD = Slot("end", 0), Slot("end", 2)


def blueprint(plan: Plan, stream: Stream) -> Blueprint:
    """Return the Brian2 model of a plan, fed with a stream."""
    parts = Parts(plan, stream)
    _inputs(parts)
    {"graded": _graded, "sigma-delta": _sigma_delta, "lif-pair": _lif_pair}[plan.mode](parts)
    if plan.learning is not None:
        add_learning(parts)
    _beginnings(parts)
    number = REAL if plan.fixed is None else INTEGER
    groups = tuple(
        Group(name, size, tuple(parts.variables[name]), parts.thresholds.get(name, {}), parts.linked.get(name, {}))
        for name, size in parts.sizes.items()
    )
    net = plan.network
    title = f"{plan.mode} network: {net.n_in} inputs, {net.n_rec} units, {net.n_out} outputs, leak {net.leak:g}"
    recorded = {"hat": ("units", "hat", RECORD), "y": ("outputs", "y", RECORD)}
    if plan.mode == "lif-pair":
        recorded |= {"v_on": ("units", "v_on", RECORD), "v_off": ("units", "v_off", RECORD)}
    else:
        recorded["h"] = ("units", "h", RECORD)
    if plan.mode == "graded":
        recorded["hat"] = recorded["h"]
    events: dict[str, tuple[str, str, str | None]] = {
        "graded": {},
        "sigma-delta": {"sent": ("units", "spike", "m")},
        "lif-pair": {"on": ("units", "on", None), "off": ("units", "off", None)},
    }[plan.mode]  # type: ignore[assignment]
    return Blueprint(
        title, number, parts.constants, parts.arrays, groups, tuple(parts.connections), tuple(parts.operations),
        recorded, events,
    )  # fmt: skip


def weights_of(plan: Plan, name: str, values: NDArray[np.float64]) -> NDArray[Any]:
    """Return weights as the model holds them: values, or the codes of their format."""
    return values if plan.fixed is None else plan.fixed.encode(name, values).astype(np.int64)


def _inputs(parts: Parts) -> None:
    plan, stream, net = parts.plan, parts.stream, parts.plan.micro
    parts.group("inputs", net.n_in, ["x"])
    parts.group("units", net.n_rec, ["current", "drive"])
    parts.group("outputs", net.n_out, ["y"])
    parts.arrays["x_in"] = stream.x if plan.fixed is None else plan.fixed.encode("input", stream.x).astype(np.int64)
    parts.do("inputs", "x = x_in(t, i)", INPUT)
    parts.connect("input_weights", "inputs", "units", weights_of(plan, "B", net.B), {"drive_post": ("w*x_pre", DRIVE)})
    if plan.fixed is None:
        parts.constants |= {"keep": plan.keep, "gain": net.leak}
    else:
        codes = integer_constants(plan)
        parts.constants |= {name: codes[name] for name in ("keep", "gain")}
        parts.variables["units"] += ["u", "acc"]
        parts.do("units", current_code(plan.fixed), Slot("groups", -1))
    if plan.events:
        q = plan.q if plan.fixed is None else plan.quantum
        parts.constants["q"] = q


def _readout(parts: Parts, send: dict[str, tuple[str, str, int]] | None) -> None:
    """Add recurrent weights and read-out: summed at every step, or by events."""
    plan, net = parts.plan, parts.plan.micro
    W, A = weights_of(plan, "W", net.W), weights_of(plan, "A", net.A)
    fixed = plan.fixed is not None
    held = "held" if fixed else "y"
    if send is None:
        parts.connect("recurrent_weights", "units", "units", W, {"current_post": ("w*h_pre", COLLECT)})
        parts.connect("output_weights", "units", "outputs", A, {f"{held}_post": ("w*h_pre", READ)})
    else:
        for name, target, values, variable in (
            ("recurrent_weights", "units", W, "current"), ("output_weights", "outputs", A, held),
        ):  # fmt: skip
            paths = {path: (event, code.format(variable), order) for path, (event, code, order) in send.items()}
            parts.connect(name, "units", target, values, {}, paths)
    if fixed:
        assert plan.fixed is not None
        parts.variables["outputs"] += ["held"]
        parts.do("outputs", f"y = {landed(plan.fixed.grid[at.READOUT], 'held')}", Slot("end", 1))


def _graded(parts: Parts) -> None:
    parts.variables["units"].insert(0, "h")
    fixed = parts.plan.fixed
    parts.do("units", "h = keep*h + gain*(current + drive)" if fixed is None else state_code(fixed, "h", "+"), UPDATE)
    _readout(parts, None)


def _fade(parts: Parts) -> None:
    """Let what receivers hold decay, with the sender's copy."""
    plan = parts.plan
    held = {"units": ["current", "hat"], "outputs": ["y" if plan.fixed is None else "held"]}
    if plan.learning is not None and plan.learning.factored:
        held["outputs"].append("zh")
    for owner, names in held.items():
        lines = [f"{v} = {f'keep*{v}' if plan.fixed is None else faded(plan.fixed, v)}" for v in names]
        parts.do(owner, "\n".join(lines), FADE)


def _sigma_delta(parts: Parts) -> None:
    plan = parts.plan
    parts.variables["units"] = ["h", "hat", "m", "d", *parts.variables["units"]]
    if plan.fixed is None:
        parts.do("units", "h = keep*h + gain*(current + drive)", UPDATE)
        code = {
            "rounded": "m = floor((h - hat)/q + 0.5)\nd = q*m",
            "unit": "m = clip(floor((h - hat)/q + 0.5), -1, 1)\nd = q*m",
            "residual": "m = clip(floor((h - hat)/q + 0.5), -1, 1)\nd = (h - hat)*abs(m)",
        }[plan.payload]
    else:
        parts.do("units", state_code(plan.fixed, "h", "+"), UPDATE)
        code = "m = (2*(h - hat) + q)//(2*q)"
        code = (code if plan.payload == "rounded" else f"acc = {code[4:]}\nm = clip(acc, -1, 1)") + "\nd = q*m"
    if plan.leaky:
        _fade(parts)
    parts.do("units", f"{code}\nhat = hat + d", MESSAGE)
    parts.thresholds["units"] = {"spike": "m != 0"}
    _readout(parts, {"pre": ("spike", "{}_post += w*d_pre", 0)})


def _lif_pair(parts: Parts) -> None:
    plan = parts.plan
    parts.variables["units"] = ["v_on", "v_off", "hat", *parts.variables["units"]]
    q = parts.constants["q"]
    if plan.fixed is None:
        parts.constants["theta"] = plan.q / 2.0
        parts.do(
            "units",
            "v_on = keep*v_on + gain*(current + drive)\nv_off = keep*v_off - gain*(current + drive)",
            UPDATE,
        )
        on, off = "v_on >= theta", "v_off > theta"
        partner, value = kick(plan), plan.reset_value * plan.q
    else:
        codes = integer_constants(plan)
        parts.do("units", state_code(plan.fixed, "v_on", "+") + "\n" + state_code(plan.fixed, "v_off", "-"), UPDATE)
        on, off = "2*v_on >= q", "2*v_off > q"
        partner, value = codes["kick"], codes["reset_value"]
    _fade(parts)
    parts.thresholds["units"] = {"on": on, "off": off}
    if plan.reset == "to-value":
        parts.constants |= {"v_reset": value, "kick": partner}
        own, other = "= v_reset", "kick"
    else:
        assert partner == q
        own, other = None, "q"
    for k, (event, partner_of, sign) in enumerate((("on", "off", "+"), ("off", "on", "-"))):
        mine = f"v_{event} {own}" if own else f"v_{event} = v_{event} - q"
        code = f"{mine}\nv_{partner_of} = v_{partner_of} + {other}\nhat = hat {sign} q"
        parts.operations.append(Operation("units", code, Slot("resets", k), event))
    _readout(parts, {"up": ("on", "{}_post += w*q", 0), "down": ("off", "{}_post -= w*q", 1)})


def _beginnings(parts: Parts) -> None:
    """Put everything that lasts to 0 where a sequence begins; a single sequence needs nothing."""
    begin = parts.stream.begin
    if not begin[1:].any():
        return
    parts.arrays["going"] = 1 - begin.astype(np.int64) if parts.plan.fixed is not None else 1.0 - begin
    lasting = ("h", "v_on", "v_off", "hat", "current", "held", "y", "zh", "p", "qx")
    for name, variables in parts.variables.items():
        code = "\n".join(f"{v} = {v}*going(t)" for v in variables if v in lasting)
        if code:
            parts.do(name, code, BEGIN)
