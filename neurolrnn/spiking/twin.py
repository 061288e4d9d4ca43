"""The spiking network without Brian2: the same numbers, event for event, in compiled code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose
from neurolrnn.network import Network
from neurolrnn.spiking.plan import PAYLOADS, Mode, Plan, PlanOptions, make_plan
from neurolrnn.spiking.result import RECORDS, SpikingResult, events_of
from neurolrnn.spiking.stream import make_stream
from neurolrnn.tasks.base import Sequences
from neurolrnn_kernels import spiking, spiking_fixed

RUN = {"graded": spiking.run_graded, "sigma-delta": spiking.run_sigma_delta, "lif-pair": spiking.run_lif_pair}
RUN_FIXED = {
    "graded": spiking_fixed.run_graded_fixed, "sigma-delta": spiking_fixed.run_sigma_delta_fixed,
    "lif-pair": spiking_fixed.run_lif_pair_fixed,
}  # fmt: skip
DIVERGED_AT = 1e6
"""A pass stops when an output exceeds this times the largest target (or 1)."""


def run_twin(plan: Plan, data: Sequences | ArrayLike, record: Iterable[str] = RECORDS) -> SpikingResult:
    """Run a plan on sequences, or on one sequence of inputs (T, n_in), and return what happened.

    Parameters
    ----------
    plan : Plan
        What to run.
    data : Sequences or (T, n_in)
        Inputs; sequences with targets where the plan learns.
    record : iterable of str
        Any of ``"h"``, ``"hat"``, ``"y"``, ``"events"``; all of them by default.
    """
    names = {choose("record", name, RECORDS) for name in record}
    stream = make_stream(plan, data)
    return _fixed(plan, stream, names) if plan.fixed is not None else _real(plan, stream, names)


def twin(
    net: Network, data: Sequences | ArrayLike, mode: Mode = "sigma-delta", *, record: Iterable[str] = RECORDS,
    **options: Unpack[PlanOptions],
) -> SpikingResult:  # fmt: skip
    """Run a network as spikes without Brian2: the same numbers, event for event.

    Parameters
    ----------
    net : Network
        What is deployed.
    data : Sequences or (T, n_in)
        What it is fed.
    mode, record, **options
        As for :func:`to_brian2`.
    """
    if isinstance(data, str):
        raise InputError(f"data = {data!r}; give the data first, then the mode: twin(net, data, {data!r})")
    return run_twin(make_plan(net, mode, **options), data, record)


def _record(names: set[str], steps: int, n: int, o: int, dtype: Any, events: bool) -> spiking.Record:
    def rows(name: str, width: int) -> NDArray[Any]:
        return np.zeros((steps if name in names else 0, width), dtype)

    message = rows("events", n) if events else np.zeros((0, n), dtype)
    return spiking.Record(rows("h", n), rows("hat", n), rows("y", o), message, np.zeros(n, np.int64))


def kick(plan: Plan) -> float:
    """Return what a spike adds to the membrane of its partner."""
    return plan.q if plan.reset == "subtract" else plan.q / 2.0 - plan.reset_value * plan.q


def _real(plan: Plan, stream: Any, names: set[str]) -> SpikingResult:
    net, learning = plan.micro, plan.learning
    n, m, o = net.n_rec, net.n_in, net.n_out
    steps = len(stream.x)
    factored = learning is not None and learning.factored
    R = plan.feedback if plan.feedback is not None else np.zeros((o, n))
    M, N = np.zeros((o if factored else 0, n)), np.zeros((o if factored else 0, m))
    weights = spiking.Weights(net.A.copy(), np.ascontiguousarray(net.W.T), net.B.copy(), np.ascontiguousarray(R), M, N)
    rates = learning.rates if learning else {"A": 0.0, "W": 0.0, "B": 0.0}
    kind = spiking.NO_LEARNING if learning is None else spiking.FACTORED if factored else spiking.DENSE
    constants = spiking.Constants(
        plan.keep, net.leak, plan.q, plan.keep if plan.leaky else 1.0, PAYLOADS.index(plan.payload),
        int(plan.reset == "to-value"), plan.reset_value * plan.q, kick(plan), kind, plan.trace_decay,
        rates["A"], rates["W"], rates["B"], int(plan.feedback is None),
        int(learning is not None and learning.correction == "exact" and plan.events),
        DIVERGED_AT * max(1.0, float(np.abs(stream.target).max())),
    )  # fmt: skip
    sizes = dict.fromkeys(("y", "zh", "z", "error"), o) | {"qx": m}
    state = spiking.State(**{name: np.zeros(sizes.get(name, n)) for name in spiking.State._fields})
    out = _record(names, steps, n, o, np.float64, plan.events)
    done = int(RUN[plan.mode](spiking.Stream(*stream), weights, constants, state, out))
    return _result(plan, out, names, done, steps, _learned(plan, weights), {})


def _learned(plan: Plan, w: spiking.Weights) -> Network:
    """Return the weights after a pass, or those before it where learning has made them infinite."""
    if plan.learning is None:
        return plan.micro
    W, B = (w.Wt.T + w.R.T @ w.M, w.B + w.R.T @ w.N) if plan.learning.factored else (w.Wt.T, w.B)
    if not all(np.isfinite(part).all() for part in (w.A, W, B)):
        return plan.micro
    return Network(w.A, W, B, plan.micro.leak)


def _fixed(plan: Plan, stream: Any, names: set[str]) -> SpikingResult:
    num, net = plan.fixed, plan.micro
    assert num is not None
    n, o = net.n_rec, net.n_out
    steps = len(stream.x)
    A, W, B = (num.encode(name, getattr(net, name)).astype(np.int64) for name in "AWB")
    weights = spiking.Weights(A, np.ascontiguousarray(W.T), B, A, A, A)
    data = spiking.Stream(
        num.encode("input", stream.x).astype(np.int64), stream.begin, stream.target, stream.weight
    )  # fmt: skip
    constants = spiking_fixed.Integers(**integer_constants(plan))
    sizes = {"held": o, "y": o}
    state = spiking_fixed.State(
        **{name: np.zeros(sizes.get(name, n), np.int64) for name in spiking_fixed.State._fields}
    )
    out = _record(names, steps, n, o, np.int64, plan.events)
    done = int(RUN_FIXED[plan.mode](data, weights, constants, num.grid, state, out))
    k = plan.micro_steps
    codes = {name: array[k - 1 :: k] for name in ("h", "hat", "y") if len(array := getattr(out, name))}
    return _result(plan, out, names, done, steps, net, codes)


def integer_constants(plan: Plan) -> dict[str, int]:
    """Return the codes that a plan in integers calculates with, by name."""
    num, q = plan.fixed, plan.quantum
    assert num is not None
    value = round(plan.reset_value * q)
    return {
        "keep": num.constants["keep"], "gain": num.constants["gain"], "q": q, "unit": int(plan.payload == "unit"),
        "to_value": int(plan.reset == "to-value"), "reset_value": value,
        "kick": q if plan.reset == "subtract" else q // 2 - value, "leak_bits": num.precision.decay_bits,
    }  # fmt: skip


def decode(plan: Plan, name: str, codes: NDArray[Any]) -> NDArray[np.float64]:
    """Return states or outputs as values."""
    if plan.fixed is None:
        return np.asarray(codes, np.float64)
    return np.ldexp(np.asarray(codes, np.float64), -plan.fixed.frac("readout" if name == "y" else "state"))


def _result(
    plan: Plan, out: spiking.Record, names: set[str], done: int, steps: int, micro: Network, codes: dict[str, Any]
) -> SpikingResult:
    k = plan.micro_steps

    def values(name: str) -> NDArray[np.float64] | None:
        if name not in names:
            return None
        return decode(plan, name, getattr(out, name)[k - 1 :: k])

    events = events_of(out.message) if "events" in names and plan.events else None
    return SpikingResult(
        plan, values("h"), values("hat"), values("y"), events, out.count.copy(), done, steps, micro, codes
    )
