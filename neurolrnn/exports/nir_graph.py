"""Target ``nir``: a flat graph of the neuromorphic intermediate representation, in HDF5.

``input -> B -> state -> A -> output`` with ``state -> W -> state``: B, W and A are Linear nodes (or Affine, bias 0),
``state`` is one LI node whose parameters are full vectors. NIR stores no time step, integrator, leak, number format or
learning rule; they stand in the metadata of the graph, as numbers and as JSON text.
Source: Pedersen et al., Neuromorphic intermediate representation, Nature Communications 15, 8122 (2024).
"""

from __future__ import annotations

import inspect
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn.errors import choose, real_number
from neurolrnn.exports.losses import Change, Loss
from neurolrnn.exports.nir_dialects import DIALECTS, Float, Reading
from neurolrnn.exports.target import DT_SECONDS, Plan, Source

if TYPE_CHECKING:
    import nir

DTYPES = ("float32", "float64")
SCHEMA = 1
"""Version of the metadata."""


def plan(source: Source, *, dialect: str = "standard", dtype: str = "float32", dt_seconds: float = DT_SECONDS) -> Plan:
    """Plan a NIR file.

    Parameters
    ----------
    source : Source
        What to export.
    dialect : str
        Tool the file is for: a key of :data:`~neurolrnn.exports.nir_dialects.DIALECTS`.
    dtype : str
        ``"float32"``, which most tools calculate in, or ``"float64"``.
    dt_seconds : float
        Duration of a step, s.

    Raises
    ------
    InputError
        If an option is not allowed, or a weight is beyond the range of the dtype.
    """
    choose("dialect", dialect, DIALECTS)
    choose("dtype", dtype, DTYPES)
    dt = real_number("dt_seconds", dt_seconds, above=0.0)
    kind: Float = np.dtype(dtype)
    source.check_dense()
    net = source.network
    reading = DIALECTS[dialect](net, dt, kind)
    content = _to_bytes(build(source, reading, dialect, kind, dt))
    losses = source.learning_loss("NIR describes what a network is, not how it learns; it is named in the metadata")
    losses += source.format_loss(
        "NIR calculates in floating point; formats are named in the metadata", "the bundle holds them exactly"
    )
    losses += [Loss(*loss) for loss in reading.losses]
    return Plan({"network.nir": content}, losses, _changes(source, reading, kind), _notes(source, reading))


def build(source: Source, reading: Reading, dialect: str, dtype: Float, dt: float) -> nir.NIRGraph:
    """Return the graph of a network as a dialect writes it."""
    import nir

    net = source.network

    def vector(value: float) -> Any:
        return np.full(net.n_rec, value, dtype)

    def linear(weight: Any) -> Any:
        return nir.Affine(weight, np.zeros(len(weight), dtype)) if reading.affine else nir.Linear(weight)

    def port(kind: Any, key: str, size: int) -> Any:
        return kind({key: np.array([size])})

    nodes: dict[str, Any] = {
        "input": port(nir.Input, "input", net.n_in),
        "B": linear(reading.matrices.B),
        "A": linear(reading.matrices.A),
        "output": port(nir.Output, "output", net.n_out),
    }
    # nirtorch up to 2.0 walks the edges in their order and returns what came last: the loop must stand before A.
    before, after = [("input", "B"), ("B", "state")], [("state", "A"), ("A", "output")]
    edges = before + after
    tau, zero = vector(reading.tau), vector(0.0)
    if not reading.nested:
        nodes |= {"state": nir.LI(tau=tau, r=vector(reading.r), v_leak=zero), "W": linear(reading.matrices.W)}
        edges = [*before, ("state", "W"), ("W", "state"), *after]
    else:
        neuron = nir.LIF(tau=tau, r=vector(reading.r), v_leak=zero, v_threshold=vector(reading.threshold))
        inner = {
            "state.input": port(nir.Input, "input", net.n_rec), "state.lif": neuron,
            "state.w_rec": linear(reading.matrices.W),
            "state.output": port(nir.Output, "output", net.n_rec),
        }  # fmt: skip
        loop = [
            ("state.input", "state.lif"), ("state.lif", "state.w_rec"), ("state.w_rec", "state.lif"),
            ("state.lif", "state.output"),
        ]  # fmt: skip
        nodes["state"] = nir.NIRGraph(inner, loop, **without_check(nir.NIRGraph))
    # nir 1.0.8 takes the ports of a subgraph to be named after its nodes, so its check of types fails there.
    unchecked = without_check(nir.NIRGraph) if reading.nested else {}
    return nir.NIRGraph(nodes, edges, metadata=metadata(source, reading, dialect, dt), **unchecked)


def without_check(function: Any) -> dict[str, bool]:
    """Return the option that turns nir's own check of types off; nir up to 1.0.4 has neither."""
    return {"type_check": False} if "type_check" in inspect.signature(function).parameters else {}


def metadata(source: Source, reading: Reading, dialect: str, dt: float) -> dict[str, Any]:
    """Return what NIR has no place for, as numbers and text."""
    rows: dict[str, Any] = {
        "producer": "neurolrnn", "schema": SCHEMA, "dialect": dialect, "dt": dt, "leak": source.network.leak,
        "integrator": reading.integrator, "equation": "h = (1 - leak) h + leak (W h + B x), y = A h",
    }  # fmt: skip
    return rows | source.provenance()


def _to_bytes(graph: nir.NIRGraph) -> bytes:
    import nir

    buffer = io.BytesIO()
    nir.write(buffer, graph)
    return buffer.getvalue()


def _changes(source: Source, reading: Reading, dtype: Float) -> list[Change]:
    net = source.network
    pairs = (
        ("B", net.B, reading.matrices.meant_B),
        ("W", net.W, reading.matrices.meant_W),
        ("A", net.A, reading.matrices.A.astype(np.float64)),
    )
    changes = []
    for name, before, after in pairs:
        parts = {}
        if reading.folded and name != "A":
            parts[reading.folded] = "the tool's own step has another factor there"
        if not np.array_equal(before, after):
            parts[f"rounded to {dtype.name}"] = f"the file holds {dtype.name}"
        if parts:
            changes.append(Change.between(name, ", ".join(parts), ", ".join(parts.values()), before, after))
    changes.append(Change.between("leak α", reading.how_leak, "NIR holds a time constant", net.leak, reading.leak))
    return changes


def _notes(source: Source, reading: Reading) -> list[str]:
    notes = ["NIR stores no time step: dt, integrator and leak stand in the metadata of the graph"]
    notes.append("states start at 0; a state in the middle of a sequence is not part of the file")
    if source.network.sparse is not None:
        notes.append("NIR's Linear is dense: missing synapses are written as weights of 0")
    return notes + reading.notes
