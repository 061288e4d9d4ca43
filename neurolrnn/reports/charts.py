"""Charts as Vega-Lite specifications, each with the numbers it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999"]
"""Okabe and Ito's, which people with any colour vision can tell apart."""
MOST_NUMBERS = 400
"""Rows shown beneath a chart."""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Parameters
    ----------
    spec : dict
        Vega-Lite.
    caption : str
        What is seen.
    header : sequence of str
        Of the table.
    rows : sequence of rows
        The numbers.
    log : bool, optional
        Whether the y axis is logarithmic at first; None where there is nothing to choose.
    """

    spec: dict[str, Any]
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    log: bool | None = None


def _base(height: int = 280) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
    }


def _number(field: str, title: str, **more: Any) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "title": title, **more}


def curves(
    step: NDArray[Any], values: Mapping[str, NDArray[Any]], quantity: str, caption: str, log: bool | None = None
) -> Chart:
    """Return curves over steps; hovering names the nearest point of each."""
    data: list[dict[str, Any]] = [
        {"step": int(s), "curve": name, "value": float(v)}
        for name, curve in values.items()
        for s, v in zip(step, curve, strict=True)
        if np.isfinite(v)
    ]
    if log is not None and any(d["value"] <= 0 for d in data):
        log = None
    colour = {"field": "curve", "type": "nominal", "title": None, "scale": {"range": COLOURS}, "sort": list(values)}
    spec = _base() | {
        "data": {"values": data},
        "mark": {"type": "line", "point": {"size": 18}, "tooltip": True},
        "params": [
            {"name": "zoom", "select": {"type": "interval", "encodings": ["x"]}, "bind": "scales"},
            {"name": "shown", "select": {"type": "point", "fields": ["curve"]}, "bind": "legend"},
        ],
        "encoding": {
            "x": _number("step", "step"),
            "y": _number("value", quantity, scale={"type": "log"} if log else {"type": "linear", "zero": False}),
            "color": colour if len(values) > 1 else {"value": COLOURS[0]},
            "opacity": {"condition": {"param": "shown", "value": 1}, "value": 0.15},
            "tooltip": [_number("step", "step"), {"field": "curve"}, _number("value", quantity, format=".5g")],
        },
    }
    keep = np.unique(np.linspace(0, len(step) - 1, min(len(step), MOST_NUMBERS)).astype(int))
    rows = [[int(step[k]), *(float(v[k]) for v in values.values())] for k in keep]
    return Chart(spec, caption, ["step", *values], rows, log)


def eigenvalues(sets: Mapping[str, NDArray[Any]], caption: str) -> Chart:
    """Return eigenvalues in the complex plane, with the unit circle."""
    data = [
        {"real": float(z.real), "imaginary": float(z.imag), "when": name, "size": abs(z)}
        for name, found in sets.items()
        for z in found.astype(complex)
    ]
    angle = np.linspace(0, 2 * np.pi, 121)
    circle = [{"real": float(np.cos(a)), "imaginary": float(np.sin(a)), "order": k} for k, a in enumerate(angle)]
    points = {
        "data": {"values": data},
        "mark": {"type": "point", "filled": True, "size": 45, "opacity": 0.75},
        "encoding": {
            "x": _number("real", "real part"), "y": _number("imaginary", "imaginary part"),
            "color": {"field": "when", "title": None, "scale": {"range": COLOURS}, "sort": list(sets)},
            "shape": {"field": "when", "legend": None, "sort": list(sets)},
            "tooltip": [{"field": "when"}, *(_number(f, f, format=".4f") for f in ("real", "imaginary", "size"))],
        },
    }  # fmt: skip
    ring = {
        "data": {"values": circle},
        "mark": {"type": "line", "strokeDash": [4, 4], "color": "#888888"},
        "encoding": {"x": _number("real", "real part"), "y": _number("imaginary", "imaginary part"),
                     "order": {"field": "order"}},
    }  # fmt: skip
    rows = [[d["when"], d["real"], d["imaginary"], d["size"]] for d in data[:MOST_NUMBERS]]
    spec = _base(360) | {"width": 360, "layer": [ring, points]}
    spec["autosize"] = {"type": "fit", "contains": "padding"}
    return Chart(spec, caption, ["when", "real", "imaginary", "size"], rows)


def bars(
    values: Sequence[tuple[str, float, str]], quantity: str, caption: str, log: bool | None = None, unit: str = ""
) -> Chart:
    """Return a bar for each (name, value, what it says when pointed at)."""
    data = [{"name": n, "value": float(v), "says": s} for n, v, s in values]
    if log is not None:
        data = [d for d in data if float(d["value"]) > 0]  # type: ignore[arg-type]
    spec = _base(max(60, 24 * len(data))) | {
        "data": {"values": data},
        "mark": {"type": "bar", "color": COLOURS[0]},
        "encoding": {
            "y": {"field": "name", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 260}},
            "x": _number(
                "value", quantity + (f" ({unit})" if unit else ""), scale={"type": "log" if log else "linear"}
            ),
            "tooltip": [{"field": "name"}, _number("value", quantity, format=".4g"), {"field": "says", "title": " "}],
        },
    }
    return Chart(spec, caption, ["", quantity, ""], [[n, v, s] for n, v, s in values])


def spectrum(values: NDArray[np.float64], bound: int | None, caption: str) -> Chart:
    """Return singular values in their order, and where the bound of the rank stands."""
    data = [{"place": k + 1, "value": float(v)} for k, v in enumerate(values) if v > 0]
    points = {
        "data": {"values": data},
        "mark": {"type": "line", "point": {"filled": True, "size": 40}, "color": COLOURS[0]},
        "encoding": {
            "x": _number("place", "place"),
            "y": _number("value", "singular value", scale={"type": "log"}),
            "tooltip": [_number("place", "place"), _number("value", "singular value", format=".4g")],
        },
    }
    layers: list[dict[str, Any]] = [points]
    if bound is not None and data:
        layers.append(
            {
                "data": {"values": [{"place": bound + 0.5}]},
                "mark": {"type": "rule", "color": COLOURS[5], "strokeDash": [6, 4]},
                "encoding": {"x": {"field": "place", "type": "quantitative"}},
            }
        )
    return Chart(
        _base() | {"layer": layers}, caption, ["place", "singular value"], [[d["place"], d["value"]] for d in data]
    )


def scatter(data: Sequence[Mapping[str, Any]], axes: Sequence[str], metric: str, caption: str) -> Chart:
    """Return a value against one of several settings, to be chosen, coloured by another; each point is one run."""
    rows = [dict(d) for d in data]
    choose = [
        {"name": "across", "value": axes[0], "bind": {"input": "select", "options": list(axes), "name": "across"}},
        {"name": "colour", "value": axes[-1], "bind": {"input": "select", "options": list(axes), "name": "colour"}},
    ]
    order = {axis: list(dict.fromkeys(str(d[axis]) for d in rows)) for axis in axes}
    for d in rows:
        d |= {axis: str(d[axis]) for axis in axes}
    seen = list(dict.fromkeys(v for values in order.values() for v in values))
    spec = _base(320) | {
        "params": choose,
        "data": {"values": rows},
        "transform": [{"calculate": "datum[across]", "as": "x"}, {"calculate": "datum[colour]", "as": "c"}],
        "mark": {"type": "point", "filled": True, "size": 50, "opacity": 0.8},
        "encoding": {
            "x": {"field": "x", "type": "nominal", "title": None, "sort": seen, "axis": {"labelAngle": -30}},
            "xOffset": {"field": "c", "type": "nominal", "sort": seen},
            "y": _number("value", metric, scale={"zero": False}),
            "color": {"field": "c", "type": "nominal", "title": None, "sort": seen, "scale": {"range": COLOURS}},
            "tooltip": [*({"field": a.replace(".", "\\."), "title": a} for a in axes), {"field": "seed"},
                        _number("value", metric, format=".5g")],
        },
    }  # fmt: skip
    table = [[*(d[a] for a in axes), d["seed"], d["value"]] for d in rows[:MOST_NUMBERS]]
    return Chart(spec, caption, [*axes, "seed", metric], table, None)


def heat(cells: Sequence[tuple[str, str, float, str]], x: str, y: str, metric: str, caption: str) -> Chart:
    """Return a map of (x, y, value, what it says when pointed at)."""
    data = [{"x": a, "y": b, "value": float(v), "says": s} for a, b, v, s in cells]
    shared = {
        "x": {"field": "x", "type": "nominal", "title": x, "sort": None, "axis": {"labelAngle": -30}},
        "y": {"field": "y", "type": "nominal", "title": y, "sort": None},
        "tooltip": [{"field": "x", "title": x}, {"field": "y", "title": y}, _number("value", metric, format=".5g"),
                    {"field": "says", "title": " "}],
    }  # fmt: skip
    colour = {"field": "value", "type": "quantitative", "title": metric, "scale": {"scheme": "viridis"}}
    spec = _base(max(120, 32 * len({c[1] for c in cells}))) | {
        "data": {"values": data}, "mark": "rect", "encoding": shared | {"color": colour},
    }  # fmt: skip
    return Chart(spec, caption, [x, y, metric, ""], [list(c) for c in cells])
