"""RFLO in Brian2: what learning adds to a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.spiking.blueprint import Connection, Operation, Slot
from neurolrnn.spiking.plan import Plan
from neurolrnn.spiking.stream import Stream

TRACES = Slot("start", -8)
COUPLING_IN, COUPLING, COUPLING_OUT = Slot("groups", -3), Slot("groups", -2), Slot("groups", -1)
ERROR, SIGNAL, STEP, CORRECT, LEARN = (Slot("end", k) for k in (3, 4, 5, 6, 7))


class Parts:
    """A model while it is put together."""

    def __init__(self, plan: Plan, stream: Stream) -> None:
        self.plan, self.stream = plan, stream
        self.sizes: dict[str, int] = {}
        self.variables: dict[str, list[str]] = {}
        self.thresholds: dict[str, dict[str, str]] = {}
        self.linked: dict[str, dict[str, tuple[str, str]]] = {}
        self.connections: list[Connection] = []
        self.operations: list[Operation] = []
        self.constants: dict[str, float | int] = {}
        self.arrays: dict[str, NDArray[Any]] = {}

    def group(self, name: str, size: int, variables: list[str]) -> None:
        """Add a group."""
        self.sizes[name], self.variables[name] = size, variables

    def do(self, owner: str, code: str, slot: Slot) -> None:
        """Add statements of every step."""
        self.operations.append(Operation(owner, code, slot))

    def connect(
        self, name: str, source: str, target: str, weights: NDArray[Any] | None, summed: dict[str, tuple[str, Slot]],
        on_event: dict[str, tuple[str, str, int]] | None = None,
    ) -> None:  # fmt: skip
        """Add a connection; without learning, of the weights that are not 0."""
        shape = (self.sizes[target], self.sizes[source])
        sparse = name == "recurrent_weights" and self.plan.network.sparse is not None
        if weights is None or (self.plan.learning is not None and not sparse):
            exists = np.ones(shape, bool)
        else:
            exists = np.asarray(weights != 0)
        self.connections.append(Connection(name, source, target, weights, exists, summed, on_event or {}))

    def add_pathways(self, name: str, weights: NDArray[Any], variable: str) -> None:
        """Add a connection from units to outputs that is fed as the read-out is: by states or by events."""
        like = next(c for c in self.connections if c.name == "output_weights")
        paths = {key: (event, code.replace("y_post", f"{variable}_post"), order)
                 for key, (event, code, order) in like.on_event.items()}  # fmt: skip
        summed = {} if paths else {f"{variable}_post": ("w*h_pre", COUPLING_IN)}
        self.connect(name, "units", "outputs", weights, summed, paths)

    def known(self) -> str:
        """Return the state of a unit that its receivers know."""
        return "hat" if self.plan.events else "h"


def add_learning(parts: Parts) -> None:
    """Add traces, error, learning signal, updates, and the corrections of what receivers hold."""
    plan, learning, stream = parts.plan, parts.plan.learning, parts.stream
    assert learning is not None
    known = parts.known()
    parts.constants |= {"trace_keep": plan.trace_decay} | {f"rate_{g}": v for g, v in learning.rates.items()}
    parts.variables["inputs"].append("qx")
    parts.variables["units"].append("p")
    parts.variables["outputs"] += ["target", "weight", "error", "step_A"]
    parts.arrays |= {"target_in": stream.target, "weight_in": stream.weight}
    parts.do("outputs", "target = target_in(t, i)\nweight = weight_in(t)", Slot("start", -10))
    parts.do("inputs", "qx = trace_keep*qx + gain*x", TRACES)
    parts.do("units", f"p = trace_keep*p + gain*{known}", TRACES)  # the state before this step
    parts.do("outputs", "error = weight*(y - target)\nstep_A = rate_A*error", ERROR)
    if learning.factored:
        _factored(parts)
    else:
        _dense(parts)
    parts.do("output_weights", f"w = w - step_A_post*{known}_pre", LEARN)
    if plan.events and learning.correction == "exact":
        _correct(parts)


def _dense(parts: Parts) -> None:
    plan = parts.plan
    parts.variables["units"] += ["signal", "step_W", "step_B"]
    if plan.feedback is None:  # A itself carries the error back, before it learns
        weights = next(c for c in parts.connections if c.name == "output_weights")
        weights.summed["signal_pre"] = ("w*error_post", SIGNAL)
    else:
        parts.connect("feedback_weights", "outputs", "units", plan.feedback.T, {"signal_post": ("w*error_pre", SIGNAL)})
    parts.do("units", "step_W = rate_W*signal\nstep_B = rate_B*signal", STEP)
    parts.do("recurrent_weights", "w = w - step_W_post*p_pre", LEARN)
    parts.do("input_weights", "w = w - step_B_post*qx_pre", LEARN)


def _factored(parts: Parts) -> None:
    plan, net = parts.plan, parts.plan.network
    assert plan.feedback is not None
    parts.variables["units"].append("coupled")
    parts.variables["outputs"] += ["zh", "zx", "z", "step_W", "step_B"]
    parts.add_pathways("recurrent_factors", np.zeros((net.n_out, net.n_rec)), "zh")
    parts.connect(
        "input_factors", "inputs", "outputs", np.zeros((net.n_out, net.n_in)), {"zx_post": ("w*x_pre", COUPLING_IN)}
    )
    parts.do("outputs", "z = zh + zx", COUPLING)
    parts.connect("feedback_weights", "outputs", "units", plan.feedback.T, {"coupled_post": ("w*z_pre", COUPLING_OUT)})
    for k, op in enumerate(parts.operations):
        if "current + drive" in op.code:
            parts.operations[k] = op._replace(code=op.code.replace("current + drive", "current + (drive + coupled)"))
    parts.do("outputs", "step_W = rate_W*error\nstep_B = rate_B*error", STEP)
    parts.do("recurrent_factors", "w = w - step_W_post*p_pre", LEARN)
    parts.do("input_factors", "w = w - step_B_post*qx_pre", LEARN)


def _correct(parts: Parts) -> None:
    """Move what receivers hold with the weights: I -= η L (p·ĥ), y -= η ε (ĥ·ĥ), from two sums over all units."""
    learning = parts.plan.learning
    assert learning is not None
    parts.group("sums", 1, ["past", "now"])
    parts.connect(
        "sums_of_units", "units", "sums", None,
        {"past_post": ("p_pre*hat_pre", SIGNAL), "now_post": ("hat_pre*hat_pre", SIGNAL)},
    )  # fmt: skip
    parts.linked["outputs"] = {"now": ("sums", "now")}
    code = "y = y - step_A*now"
    if learning.factored:
        parts.linked["outputs"]["past"] = ("sums", "past")
        code += "\nzh = zh - step_W*past"
    else:
        parts.linked["units"] = {"past": ("sums", "past")}
        parts.do("units", "current = current - step_W*past", CORRECT)
    parts.do("outputs", code, CORRECT)
