"""The rows of a profile as columns: plain text, pandas, xarray, CSV, Parquet."""

from __future__ import annotations

import csv
import importlib
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn import atomic
from neurolrnn.errors import InputError, choose
from neurolrnn.profiles.axes import Axis
from neurolrnn.profiles.row import Row, shown
from neurolrnn.tables import text_table

if TYPE_CHECKING:
    import pandas
    import xarray

FIRST = ("test_accuracy", "test_nmse", "test_loss", "train_accuracy", "train_nmse", "train_loss")
"""Metrics in the order in which one is chosen where none is named."""


def metric_of(rows: Sequence[Row], metric: str | None = None) -> str:
    """Return the metric to show: the one named, or the first of :data:`FIRST` that any row has.

    Raises
    ------
    InputError
        If no row has the metric that was named.
    """
    known = list(dict.fromkeys(name for row in rows for name in row.metrics))
    if metric is not None:
        return choose("metric", metric, known or FIRST)
    return next((name for name in FIRST if name in known), known[0] if known else FIRST[0])


def summary(rows: Sequence[Row], axes: Sequence[str], metric: str | None = None) -> str:
    """Return one line per combination of settings: median, lowest and highest of a metric over seeds."""
    name = metric_of(rows, metric)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.key, []).append(row)
    lines = []
    for group in groups.values():
        values = sorted(r.metrics[name] for r in group if r.status == "completed" and name in r.metrics)
        finite = [v for v in values if not math.isnan(v)]
        figures = (statistics.median(finite), finite[0], finite[-1]) if finite else (math.nan,) * 3
        counts = [sum(row.status == status for row in group) for status in ("completed", "diverged", "failed")]
        lines.append(
            [
                *(shown(group[0].settings[axis]) for axis in axes),
                *(f"{v:.4g}" if finite else "-" for v in figures),
                *counts,
            ]
        )
    header = [*axes, f"{name} (median)", "lowest", "highest", "completed", "diverged", "failed"]
    empty = [k for k in (len(axes) + 4, len(axes) + 5) if not any(line[k] for line in lines)]
    keep = [k for k in range(len(header)) if k not in empty]
    align = "l" * len(axes) + "r" * (len(keep) - len(axes))
    text = text_table([[line[k] for k in keep] for line in lines], [header[k] for k in keep], align)
    reasons = list(dict.fromkeys(row.message for row in rows if row.status == "failed"))
    return "\n".join([text, *(["", "failed:"] if reasons else []), *(f"  {reason}" for reason in reasons)])


def columns(rows: Sequence[Row], axes: Sequence[str]) -> dict[str, list[Any]]:
    """Return ``{column: one value per row}``; what a row does not have is None."""
    found: list[dict[str, Any]] = []
    for row in rows:
        line: dict[str, Any] = {axis: _cell(row.settings[axis]) for axis in axes}
        line |= {"seed": row.seed, "status": row.status, "message": row.message, **row.metrics}
        if len(row.records.get("loss", ())):
            line["last_loss"] = float(row.records["loss"][-1])
        for variable, counts in (row.saturation or {}).items():
            line |= {f"saturation.{variable}.{kind}": count for kind, count in counts.items()}
        found.append({**line, "seconds": row.seconds, "digest": row.digest})
    last = ("seconds", "digest")
    names = [n for n in dict.fromkeys(name for line in found for name in line) if n not in last]
    return {name: [line.get(name) for line in found] for name in (*names, *last)}


def _cell(value: Any) -> Any:
    """Return numbers and text as they are, anything else as text."""
    return value if value is None or isinstance(value, bool | int | float | str) else shown(value)


def _one_kind(values: list[Any]) -> list[Any]:
    """Return a column of one type: numbers, or text if there is any text in it."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2 or kinds <= {int, float}:
        return values
    return [None if value is None else shown(value) for value in values]


def _library(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{what} needs {name}, which is not installed; pip install {name}") from None


def to_pandas(rows: Sequence[Row], axes: Sequence[str]) -> pandas.DataFrame:
    """Return :func:`columns` as a DataFrame."""
    frame: pandas.DataFrame = _library("pandas", "to_pandas").DataFrame(columns(rows, axes))
    return frame


def to_csv(rows: Sequence[Row], axes: Sequence[str], path: str | Path) -> Path:
    """Write :func:`columns` as CSV (UTF-8, empty where there is nothing) and return the path."""
    table = columns(rows, axes)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table)
    lines = zip(*table.values(), strict=True)
    writer.writerows([repr(v) if isinstance(v, float) else v for v in line] for line in lines)
    return _write(path, ".csv", buffer.getvalue().encode())


def to_parquet(rows: Sequence[Row], axes: Sequence[str], path: str | Path) -> Path:
    """Write :func:`columns` as Parquet and return the path."""
    arrow = _library("pyarrow", "to_parquet")
    parquet = _library("pyarrow.parquet", "to_parquet")
    buffer = io.BytesIO()
    parquet.write_table(arrow.table({name: _one_kind(v) for name, v in columns(rows, axes).items()}), buffer)
    return _write(path, ".parquet", buffer.getvalue())


def _write(path: str | Path, suffix: str, data: bytes) -> Path:
    return atomic.write_bytes(atomic.check_target(path, suffix, InputError, "profile"), data, InputError)


def to_xarray(rows: Sequence[Row], axes: Mapping[str, Axis], mode: str, seeds: Sequence[int]) -> xarray.Dataset:
    """Return metrics and curves over axes and seeds; NaN where there is no run.

    In list and random mode the axes are coordinates of one dimension, ``combination``. Curves have a last dimension
    ``point``; shorter ones end in NaN.
    """
    library = _library("xarray", "to_xarray")
    groups = list(dict.fromkeys(row.key for row in rows))
    if mode == "grid":
        dims = list(axes)
        labels = {name: [_label(label) for label in axis.labels] for name, axis in axes.items()}
        shape = tuple(len(values) for values in labels.values())
        coordinates: dict[str, Any] = dict(labels)

        def place(row: Row) -> tuple[int, ...]:
            return tuple(labels[name].index(_label(row.settings[name])) for name in dims)
    else:
        dims, shape = ["combination"], (len(groups),)
        first = {row.key: row for row in reversed(rows)}
        values = {name: _one_kind([_cell(first[group].settings[name]) for group in groups]) for name in axes}
        coordinates = {name: ("combination", column) for name, column in values.items()}

        def place(row: Row) -> tuple[int, ...]:
            return (groups.index(row.key),)

    seeds = list(seeds)
    full = (*shape, len(seeds))
    data: dict[str, tuple[list[str], np.ndarray[Any, Any]]] = {
        "status": ([*dims, "seed"], np.full(full, "missing", dtype=object)),
        "digest": ([*dims, "seed"], np.full(full, "", dtype=object)),
    }
    points = max((len(row.records.get("step", ())) for row in rows), default=0)
    for row in rows:
        at = (*place(row), seeds.index(row.seed))
        data["status"][1][at], data["digest"][1][at] = row.status, row.digest
        for name, value in {**row.metrics, "seconds": row.seconds}.items():
            data.setdefault(name, ([*dims, "seed"], np.full(full, np.nan)))[1][at] = value
        for name, curve in row.records.items():
            inner = [f"{name}.{k}" for k in range(curve.ndim - 1)]
            empty = np.full((*full, points, *curve.shape[1:]), np.nan)
            data.setdefault(f"curve.{name}", ([*dims, "seed", "point", *inner], empty))[1][at][: len(curve)] = curve
    dataset: xarray.Dataset = library.Dataset(data, coords={**coordinates, "seed": seeds})
    return dataset


def _label(value: Any) -> Any:
    """Return a coordinate's value: what is no number or text becomes text."""
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else shown(value)
