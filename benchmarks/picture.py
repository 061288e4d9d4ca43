"""Roofline: what every program reaches against what the machine can do, both measured in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import achieved, ceiling
from benchmarks.results import Results, ResultsError
from neurolrnn.plots import BLUE, GREEN, GREY, ORANGE, STYLE, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PURPLE, SKY = "#CC79A7", "#56B4E9"
SERIES: tuple[tuple[str, str, str, str], ...] = (
    # family, who, the contender's name, colour
    ("rflo", "neurolrnn", "RFLO factored, float32", BLUE),
    ("rflo", "neurolrnn", "RFLO dense, float32", ORANGE),
    ("rflo", "neurolrnn", "RFLO factored, int16 nearest", GREEN),
    ("rflo", "neurolrnn", "RFLO dense, int16 nearest", PURPLE),
    ("eprop", "neurolrnn", "e-prop, float32", SKY),
    ("rflo", "jax", "rflo factored", BLUE),
    ("rflo", "jax", "rflo dense", ORANGE),
    ("eprop", "jax", "e-prop", SKY),
)


def _series(results: Results, family: str, who: str, name: str, what: str) -> tuple[list[int], list[float]]:
    points = {
        row.size["n"]: reached
        for row in results.ok("rules")
        if row.family == family and row.who == who and row.name == name and row.size.get("n_out") == 1
        and (reached := achieved(row, what)) is not None
    }  # fmt: skip
    return sorted(points), [points[n] for n in sorted(points)]


def draw(results: Results, path: str | Path | None = None) -> Figure:
    """Draw GB/s against passes over a matrix, and GMAC/s against the arithmetic, over n.

    Raises
    ------
    ResultsError
        If the results hold no ceilings or no rules.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if not results.ok("ceilings") or not results.ok("rules"):
        raise ResultsError("a picture needs the sections ceilings and rules; measure both in one run")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.0, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        _passes(results, left)
        _arithmetic(results, right)
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.set_xlabel("units n")
            sizes = sorted({row.size["n"] for row in results.ok("rules") if row.family == "rflo"})
            axes.set_xticks(sizes, [str(n) for n in sizes])
            low, high = axes.get_ylim()
            ticks = [digit * 10.0**k for k in range(-2, 5) for digit in (1, 2, 5) if low < digit * 10.0**k < high]
            axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        handles, labels = left.get_legend_handles_labels()
        more = [pair for pair in zip(*right.get_legend_handles_labels(), strict=True) if pair[1] not in labels]
        figure.legend(
            handles + [h for h, _ in more], labels + [text for _, text in more], loc="outside lower center", ncols=4,
            fontsize=8.5,
        )  # fmt: skip
        if path is not None:
            save(figure, path, "neurolrnn benchmarks", dpi=130)
    return figure


def _points(results: Results, axes: Any, what: str) -> None:
    for family, who, name, colour in SERIES:
        n, reached = _series(results, family, who, name, what)
        if n and who == "neurolrnn":
            axes.plot(n, reached, "o-", color=colour, label=name, markersize=4.5)
        elif n:
            axes.plot(n, reached, "s--", color=colour, label=f"{who}: {name}", markersize=4.5, markerfacecolor="white")


def _passes(results: Results, axes: Any) -> None:
    axes.set_title("Bytes a step needs at least, per second")
    axes.set_ylabel("GB/s")
    for dtype, dash in (("float32", "--"), ("int16", ":")):
        name = f"pass over a matrix, {dtype}"
        sizes = sorted(row.size["n"] for row in results.ok("ceilings") if row.name == name)
        tops = [ceiling(results, name, n) for n in sizes]
        axes.plot(sizes, tops, dash, color=GREY, label=f"ceiling: {name}")
    memory = ceiling(results, "reading memory")
    if memory:
        axes.axhline(memory, color="#BBBBBB", linewidth=1.0, label="ceiling: memory")
    _points(results, axes, "bytes")


def _arithmetic(results: Results, axes: Any) -> None:
    axes.set_title("Multiply-accumulates a step needs, per second")
    axes.set_ylabel("GMAC/s")
    names = ("multiply-add in registers, float32", "matrix product, float32")
    top = max((c for c in (ceiling(results, name) for name in names) if c), default=None)
    if top:
        axes.axhline(top, color=GREY, linestyle="--", label="ceiling: float32 multiply-add")
    top = ceiling(results, "dot product, int16")
    if top:
        axes.axhline(top, color=GREY, linestyle=":", label="ceiling: int16 dot product")
    _points(results, axes, "macs")
