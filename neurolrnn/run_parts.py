"""What a run file must hold: the types of its plain data and the shapes of its arrays, checked before a run is made.

A file's seal says that it is as it was written, not that this package wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.block_matrix import BlockMatrix
from neurolrnn.errors import InputError, choose
from neurolrnn.network import Network
from neurolrnn.sparse_matrix import SparseMatrix

Arrays = Mapping[str, NDArray[Any]]
_TABLES = ("task", "network", "rule", "training", "precision")
_BASIS = {"held_as": "text", "rotated": "bool", "seconds": "number", "why": "text"}
_KINDS: dict[str, Any] = {
    "text": lambda v: isinstance(v, str),
    "table": lambda v: isinstance(v, dict),
    "bool": lambda v: isinstance(v, bool),
    "number": lambda v: isinstance(v, float) or _whole(v),
    "whole number": lambda v: _whole(v),
}
_META = {
    "status": "text", "message": "text", "experiment": "table", "metrics": "number of each", "warnings": "list of text",
    "versions": "text of each", "timing": "number of each", "saturation": "counts", "numerics": "table or null",
    "position": "whole number of each", "basis": "table or null", "initial": "table", "network": "table",
}  # fmt: skip


def check_meta(meta: Mapping[str, Any]) -> None:
    """Check the plain data of a run file.

    Raises
    ------
    InputError
        If something is missing or of another type; the text names it.
    """
    for key, kind in _META.items():
        if key not in meta:
            raise InputError(f"{key} is missing")
        value = meta[key]
        if kind == "counts":
            for name, counts in _table(key, value or {}).items():
                _each(f"{key}.{name}", counts, "whole number")
        elif kind.endswith(" of each"):
            _each(key, value, kind.removesuffix(" of each"))
        elif kind == "list of text":
            if not isinstance(value, list):
                raise InputError(f"{key} is no list")
            _each(key, {str(k): line for k, line in enumerate(value)}, "text")
        elif value is not None or "null" not in kind:
            _check(key, value, kind.removesuffix(" or null"))
    said = meta["experiment"]
    for name in _TABLES:
        _table(f"experiment.{name}", said.get(name, {}))
    training = said.get("training", {})
    rate = training.get("learning_rate", 0.0)
    _each("experiment.training.learning_rate", rate if isinstance(rate, dict) else {"all": rate}, "number")
    _check("experiment.training.epochs", training.get("epochs", 1), "whole number")
    for key, kind in _BASIS.items() if meta["basis"] is not None else ():
        _check(f"basis.{key}", meta["basis"].get(key), kind)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _check(name: str, value: Any, kind: str) -> None:
    if not _KINDS[kind](value):
        raise InputError(f"{name} is no {kind}")


def _table(name: str, value: Any) -> dict[str, Any]:
    _check(name, value, "table")
    found: dict[str, Any] = value
    return found


def _each(name: str, table: Any, kind: str) -> None:
    for key, value in _table(name, table).items():
        _check(f"{name}.{key}", value, kind)


def network(name: str, weights: Arrays, said: Mapping[str, Any]) -> Network:
    """Return one of the two networks of a run file."""
    parts = {key[2:]: array for key, array in weights.items() if key.startswith("W.")}
    needed = ["A", "B"] if parts else ["A", "W", "B"]
    for key in needed:
        if key not in weights:
            raise InputError(f"the array {name}/{key} is missing")
    _numbers(name, weights)
    _check(f"{name}.leak", said.get("leak"), "number")
    form = SparseMatrix if "sources" in parts else BlockMatrix
    known = ("values", "sources", "starts") if form is SparseMatrix else ("own", "before", "after")
    if parts and set(parts) - {"left", "right"} != set(known):
        raise InputError(f"{name}/W has the parts {', '.join(parts)}; {', '.join(known)} are needed")
    W: Any = form(**parts) if parts else weights["W"]
    origin = _table(f"{name}.origin", said.get("origin"))
    return Network(weights["A"], W, weights["B"], said["leak"], origin)


def check_arrays(net: Network, initial: Network, feedback: Arrays, factors: Arrays, records: Arrays) -> None:
    """Check that the arrays of a run file are of one run."""
    sizes = {"n_in": (net.n_in, initial.n_in), "n_rec": (net.n_rec, initial.n_rec), "n_out": (net.n_out, initial.n_out)}
    for key, (after, before) in sizes.items():
        if after != before:
            raise InputError(f"the network has {key} = {before} before learning and {after} after it")
    wanted = {"R": (net.n_out, net.n_rec), "M": (net.n_out, net.n_rec), "N": (net.n_out, net.n_in)}
    if factors and set(factors) != {"M", "N"}:
        raise InputError(f"the factors are {', '.join(factors)}; M and N belong together")
    for name, group in (("feedback", feedback), ("factors", factors)):
        _numbers(name, group)
        for key, array in group.items():
            if array.shape != wanted.get(key) or not np.isfinite(array).all():
                raise InputError(f"{name}/{key} has shape {array.shape}; finite {wanted.get(key)} is needed")
    _numbers("records", records)
    for key, curve in records.items():
        if not curve.ndim:
            raise InputError(f"records/{key} is one number; a curve is needed")
        if key.startswith("range.") and key.endswith(".min") and f"{key[:-4]}.max" not in records:
            raise InputError(f"records/{key} has no {key[:-4]}.max beside it")
    for key in ("step", "loss"):
        if key in records and records[key].ndim != 1:
            raise InputError(f"records/{key} has shape {records[key].shape}; one number a point is needed")


def _numbers(name: str, arrays: Arrays) -> None:
    for key, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise InputError(f"{name}/{key} holds {array.dtype} values; real numbers of at most 64 bits are needed")


def check_state(state: Arrays) -> None:
    """Check what a resumed run would take up."""
    for key, array in state.items():
        choose(f"kind of state/{key}", array.dtype.kind, "biufUS")
