"""A network from a NIR graph of the shape that a linear recurrent network has, or the node that has another."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, real_number
from neurolrnn.exports import hdf5_check
from neurolrnn.exports.nir_dialects import exact_quotient
from neurolrnn.exports.nir_graph import without_check
from neurolrnn.network import Network

if TYPE_CHECKING:
    import nir

Array = NDArray[np.float64]
SHAPE = "input -> B -> state -> A -> output with state -> W -> state; B, W, A linear, state one LI node"


def read_network(source: str | Path | nir.NIRGraph, dt_seconds: float | None = None) -> Network:
    """Return the network that a NIR graph describes.

    Parameters
    ----------
    source : path or nir.NIRGraph
        A file or a graph. One LI node; Linear or Affine nodes around it; W, or B or A where input or output is
        connected directly, may be missing.
    dt_seconds : float, optional
        Duration of a step, s; α = dt/τ. Default: ``dt`` in the metadata of the graph.

    Returns
    -------
    Network
        In float64; exactly the exported one if neurolrnn wrote the file in float64, or in float32 and the weights fit.

    Raises
    ------
    InputError
        If the file is none, or the graph is no linear recurrent network; the text names the node and the reason.
    """
    import nir

    graph, where = (source, "the graph") if isinstance(source, nir.NIRGraph) else (_read(Path(source)), str(source))
    return _Reader(graph, where).network(dt_seconds)


def _read(path: Path) -> nir.NIRGraph:
    import h5py
    import nir

    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if not h5py.is_hdf5(path):
        raise InputError(f"{path} is not a NIR file: it is not HDF5")
    try:
        hdf5_check.try_out(path)
    except hdf5_check.Unsafe as error:
        raise InputError(f"{path} is no NIR file that can be read: {error}") from error
    with h5py.File(path, "r") as file:
        found = file["node/type"][()] if "node/type" in file and isinstance(file["node/type"], h5py.Dataset) else b""
    kind = found.decode(errors="replace") if isinstance(found, bytes) else ""
    if kind != "NIRGraph":
        what = f"holds a single {kind} node, not a graph" if kind else "is HDF5, but not a NIR file"
        raise InputError(f"{path} {what}; a graph with input and output is needed")
    try:
        # Without nir's own check of types: it stops at the first shape it does not know, and names no node.
        graph: nir.NIRGraph = nir.read(path, **without_check(nir.read))
    except Exception as error:  # whatever nir trips over: a file of another kind, or of another version
        raise InputError(f"{path} cannot be read by nir {nir.version}: {type(error).__name__}: {error}") from error
    return graph


class _Reader:
    def __init__(self, graph: nir.NIRGraph, where: str) -> None:
        self.where = where
        self.nodes: dict[str, Any] = dict(graph.nodes)
        self.edges = list(dict.fromkeys((str(a), str(b)) for a, b in graph.edges))
        self.meta: dict[str, Any] = graph.metadata if isinstance(graph.metadata, dict) else {}

    def refuse(self, node: str, reason: str) -> NoReturn:
        kind = type(self.nodes[node]).__name__ if node in self.nodes else "missing"
        raise InputError(f"{self.where}: node {node!r} ({kind}) {reason}. What can be read: {SHAPE}")

    def only(self, *kinds: str) -> str:
        found = [name for name, node in self.nodes.items() if type(node).__name__ in kinds]
        if len(found) != 1:
            listed = ", ".join(map(repr, found)) or "none"
            raise InputError(
                f"{self.where} has {len(found)} {kinds[0]} nodes ({listed}); exactly one is needed. "
                f"What can be read: {SHAPE}"
            )
        return found[0]

    def network(self, dt_seconds: float | None) -> Network:
        dialect = self.text("dialect")
        if self.text("producer") == "neurolrnn" and dialect not in ("standard", "nir104"):
            raise InputError(
                f"{self.where} is written for {dialect}, with weights folded for it; to read back, export "
                f"dialect = 'standard'"
            )
        self.check_nodes()
        state = self.only("LI")
        first, last = self.only("Input"), self.only("Output")
        n = len(self.vector(state, "tau"))
        before = [a for a, b in self.edges if b == state]
        after = [b for a, b in self.edges if a == state]
        loops = [node for node in before if node in after and node != state]
        if state in before:
            self.refuse(state, "is connected to itself without weights; put a Linear node between")
        inputs = [node for node in before if node not in loops]
        outputs = [node for node in after if node not in loops]
        for found, what in ((inputs, "input"), (outputs, "output"), (loops, "recurrence")):
            if len(found) > 1:
                self.refuse(found[1], f"is a second {what} of {state!r}; one is possible")
        if not inputs or not outputs:
            self.refuse(state, f"has no {'output' if inputs else 'input'}")
        B = self.outer(inputs[0], first, state, n, is_input=True)
        A = self.outer(outputs[0], last, state, n, is_input=False)
        W = self.weight(loops[0], (n, n)) if loops else np.zeros((n, n))
        used = {state, first, last, *inputs, *outputs, *loops}
        for node in self.nodes:
            if node not in used:
                self.refuse(node, f"is not between input and {state!r}, nor between {state!r} and output")
        allowed = 4 + 2 * len(loops) - (inputs[0] == first) - (outputs[0] == last)
        if len(self.edges) != allowed:
            extra = next(e for e in self.edges if state not in e and e not in ((first, inputs[0]), (outputs[0], last)))
            self.refuse(extra[0], f"leads to {extra[1]!r}, past {state!r}")
        rest = self.vector(state, "v_leak")
        if np.any(rest != 0):
            self.refuse(state, f"has v_leak = {rest[rest != 0][0]:g}; the network has no bias, so it must be 0")
        gain = self.vector(state, "r")[:, None]
        if len(gain) != n or len(rest) != n:
            self.refuse(state, f"has {n} tau, {len(gain)} r and {len(rest)} v_leak; as many of each are needed")
        if np.any(gain != 1):
            with np.errstate(over="ignore"):  # Network refuses what is not finite
                W, B = gain * W, gain * B
        origin = {"kind": "nir", "producer": self.text("producer")}
        try:
            return Network(A, W, B, self.leak(state, dt_seconds), origin)
        except InputError as error:
            raise InputError(str(error) if self.where in str(error) else f"{self.where}: {error}") from error

    def check_nodes(self) -> None:
        for name, node in self.nodes.items():
            kind = type(node).__name__
            if kind == "NIRGraph":
                self.refuse(name, "is a graph in the graph; write the nodes flat")
            if kind not in ("Input", "Output", "LI", "Linear", "Affine"):
                spiking = "IF" in kind
                self.refuse(name, "spikes, so the network is not linear" if spiking else "has no counterpart here")
        for a, b in self.edges:
            for name in (a, b):
                if name not in self.nodes:
                    self.refuse(name, f"is named by the edge {a!r} -> {b!r} and does not exist")

    def outer(self, node: str, end: str, state: str, n: int, *, is_input: bool) -> Array:
        if node == end:
            return np.eye(n)
        if type(self.nodes[node]).__name__ not in ("Linear", "Affine"):
            self.refuse(node, f"is connected to {state!r}; a Linear or Affine node is needed there")
        link = (end, node) if is_input else (node, end)
        if link not in self.edges:
            self.refuse(node, f"is not connected {'from' if is_input else 'to'} {end!r}")
        return self.weight(node, (n, None) if is_input else (None, n))

    def weight(self, node: str, shape: tuple[int | None, int | None]) -> Array:
        if type(self.nodes[node]).__name__ not in ("Linear", "Affine"):
            self.refuse(node, "stands where weights are needed")
        weight = self.array(node, "weight")
        fits = weight.ndim == 2 and all(s in (None, w) for s, w in zip(shape, weight.shape, strict=True))
        if not fits:
            wanted = ", ".join("any" if s is None else str(s) for s in shape)
            self.refuse(node, f"has weights of shape {weight.shape}; (out, in) = ({wanted}) is needed")
        if not np.isfinite(weight).all():
            self.refuse(node, "has weights that are not finite")
        bias = self.array(node, "bias") if hasattr(self.nodes[node], "bias") else np.zeros(1)
        if np.any(bias != 0):
            self.refuse(node, f"has a bias of up to {np.abs(bias).max():g}; the network has none, so it must be 0")
        return weight

    def array(self, node: str, name: str) -> Array:
        values = np.asarray(getattr(self.nodes[node], name))
        if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
            self.refuse(
                node, f"has {name} of type {str(values.dtype)[:40]}; real numbers of at most 64 bits are needed"
            )
        return values.astype(np.float64)

    def vector(self, state: str, name: str) -> Array:
        values = self.array(state, name)
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            self.refuse(state, f"has {name} of shape {values.shape}; one finite number for each unit is needed")
        return values

    def text(self, key: str) -> str:
        return str(self.meta.get(key, "unknown"))

    def number(self, key: str) -> float:
        try:
            return float(self.meta[key])
        except (KeyError, TypeError, ValueError):
            return math.nan

    def leak(self, state: str, dt_seconds: float | None) -> float:
        if dt_seconds is None and "dt" not in self.meta:
            raise InputError(f"{self.where} names no dt in its metadata, and NIR has no time step; give dt_seconds")
        named = "dt in its metadata" if dt_seconds is None else "dt_seconds"
        dt = real_number(named, self.number("dt") if dt_seconds is None else dt_seconds, above=0.0)
        tau = self.vector(state, "tau")
        if np.any(tau <= 0):
            self.refuse(state, f"has tau = {tau.min():g} s; it must be above 0")
        if np.any(tau != tau[0]):
            self.refuse(state, f"has tau from {tau.min():g} to {tau.max():g} s; all units of a network share one leak")
        leak = dt / float(tau[0])
        # The metadata hold the leak that τ was made from; it counts as long as τ is what it gives.
        meant = self.number("leak")
        dtype = np.asarray(self.nodes[state].tau).dtype
        if 0.0 < meant <= 1.0 and exact_quotient(dt, meant, dtype) == tau[0]:
            return meant
        if leak > 1.0 + 1e-6:
            self.refuse(state, f"has tau = {tau[0]:g} s, shorter than dt = {dt:g} s; take a dt of at most tau")
        return min(leak, 1.0)
