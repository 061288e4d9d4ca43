"""Pictures of profiles. Matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn import plots
from neurolrnn.errors import InputError
from neurolrnn.profiles.cases import Metric, label, series_keys

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurolrnn.profiles.answers import Answers, Finding

# Okabe & Ito's colours beyond those of neurolrnn.plots.
COLOURS = (plots.ORANGE, plots.BLUE, plots.GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
FEW = 4
"""Series that fit into one panel; more are shared out to panels."""
MOST_PANELS = 6


def figure_of(width: float, height: float) -> Any:
    """Return an empty figure without a window."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), dpi=120, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))


def plot_answers(answers: Answers, path: str | Path | None = None, variable: str = "weight") -> Figure:
    """Draw metric, dead updates, overflow and time of break against the bits of a variable, or weight x state as heat.

    Parameters
    ----------
    answers : Answers
    path : path, optional
        Where to save the figure; the suffix chooses the format (``.png`` if there is none).
    variable : str
        Whose bits go along the axis; lines are means over seeds, bands reach from the worst seed to the best. Where
        weight and state bits both vary and make a grid, a heat map of means is drawn.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If no fixed-point run is among the rows, or the path cannot be written.
    """
    import matplotlib as mpl

    if not answers.fixed:
        raise InputError("no run in fixed point: there are no bits to draw a metric against")
    with mpl.rc_context(plots.STYLE):
        grid = {(f.case.bits("weight"), f.case.bits("state")) for f in answers.fixed}
        weights, states = ({pair[k] for pair in grid} for k in (0, 1))
        heat = len(weights) > 1 and len(states) > 1 and len(grid) == len(weights) * len(states)
        figure = _heat_maps(answers) if heat else _against_bits(answers, variable)
        if path is not None:
            plots.save(figure, path, "neurolrnn profile")
    return figure  # type: ignore[no-any-return]


def _panels(answers: Answers, variable: str) -> tuple[dict[str, list[Finding]], list[str], list[str]]:
    """Return findings by panel, the keys that name a line inside one, and the keys of the panels."""
    keys = series_keys(answers.cases, variable)
    lines = keys
    if len({label(f.case, keys) for f in answers.fixed}) > FEW:
        chosen = [key for key in keys if key in ("precision.update_rounding", "precision.rounding")]
        lines = chosen or keys[-1:]
    rest = [key for key in keys if key not in lines]
    panels: dict[str, list[Finding]] = {}
    for f in answers.fixed:
        panels.setdefault(label(f.case, rest), []).append(f)
    if len(panels) > MOST_PANELS:
        raise InputError(f"{len(panels)} panels ({', '.join(rest)} differ); {MOST_PANELS} fit, so draw a part of the "
                         f"rows: Answers(rows of one setting).plot()")  # fmt: skip
    return panels, lines, rest


def _against_bits(answers: Answers, variable: str) -> Any:
    panels, lines, _ = _panels(answers, variable)
    names = list(dict.fromkeys(label(f.case, lines) for f in answers.fixed))
    widths = [f.case.bits(variable) or 0 for f in answers.fixed]
    quantities = [("metric", _metric_panel), ("dead", _dead_panel)]
    if any(f.rates.overflow for f in answers.fixed):
        quantities.append(("overflow", _overflow_panel))
    if any(not math.isnan(f.broke.step) for f in answers.fixed):
        quantities.append(("broke", _broke_panel))
    many = len(panels) > 1
    shape = (len(quantities), len(panels)) if many else (math.ceil(len(quantities) / 2), min(len(quantities), 2))
    figure = figure_of(max(3.1 * shape[1], 5.2) + 0.6, 2.6 * shape[0] + 0.7)
    axes = np.atleast_2d(figure.subplots(*shape, squeeze=False, sharey="row" if many else False, sharex=False))
    for p, (title, findings) in enumerate(panels.items()):
        for q, (_, draw) in enumerate(quantities):
            ax = axes[q, p] if many else axes.ravel()[q]
            for k, name in enumerate(names):
                mine = sorted((f for f in findings if label(f.case, lines) == name),
                              key=lambda f: f.case.bits(variable) or 0)  # fmt: skip
                if mine:
                    x = np.array([f.case.bits(variable) for f in mine], float)
                    draw(ax, x, mine, COLOURS[k % 7], MARKERS[k % 7], name or None, answers)
            if q == 0 or not many:
                ax.set_title(title if many and q == 0 else "")
            if q == 0:
                _float_line(ax, findings, answers)
            _decorate(ax, quantities[q][0], answers.metric, first=p == 0)
            if not many or q == len(quantities) - 1:
                ax.set_xlabel(f"bits of {variable}")
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.set_xlim(min(widths) - 0.6, max(widths) + 0.6)
    for ax in axes.ravel()[len(quantities) * len(panels) if not many else axes.size :]:
        ax.set_visible(False)
    handles, labels = axes.ravel()[0].get_legend_handles_labels()
    order = dict(zip(labels, handles, strict=True))
    figure.legend(order.values(), order.keys(), loc="outside upper center", ncols=min(len(order), 5), fontsize=8.5)
    return figure


def _metric_panel(
    ax: Any, x: Any, findings: Sequence[Finding], colour: str, marker: str, name: str | None, a: Answers
) -> None:
    scale = 100.0 if a.metric.is_accuracy else 1.0
    means: list[float] = []
    ends: list[tuple[float, float]] = []
    for f, at in zip(findings, x, strict=True):
        kept = f.values[np.isfinite(f.values)] * scale
        means.append(float(kept.mean()) if len(kept) else math.nan)
        ends.append((float(kept.min()), float(kept.max())) if len(kept) else (math.nan, math.nan))
        if f.case.lost:
            ax.annotate(f"{f.case.lost} lost", (at, means[-1] if len(kept) else 0.5), fontsize=6.5,
                        xycoords="data" if len(kept) else ("data", "axes fraction"), ha="center", va="bottom",
                        color=colour)  # fmt: skip
    ax.fill_between(x, *zip(*ends, strict=True), color=colour, alpha=0.15, linewidth=0)
    ax.plot(x, means, color=colour, marker=marker, markersize=4, label=name)


def _dead_panel(
    ax: Any, x: Any, findings: Sequence[Finding], colour: str, marker: str, name: str | None, a: Answers
) -> None:
    for group, line in (("A", ":"), ("W", "-"), ("B", "--")):
        shares = np.array([100 * f.rates.dead.get(group, np.nan) for f in findings])
        if np.isfinite(shares).any():
            ax.plot(x, shares, line, color=colour, marker=marker, markersize=3, linewidth=1.2)


def _overflow_panel(
    ax: Any, x: Any, findings: Sequence[Finding], colour: str, marker: str, name: str | None, a: Answers
) -> None:
    worst = [max(f.rates.overflow.items(), key=lambda item: item[1], default=("", np.nan)) for f in findings]
    ax.plot(x, [100 * share for _, share in worst], color=colour, marker=marker, markersize=4)
    for at, (variable, share), before in zip(x, worst, [("", 0.0), *worst], strict=False):
        if variable and variable != before[0]:
            ax.annotate(variable, (at, 100 * share), fontsize=6.5, color=colour, xytext=(2, 3),
                        textcoords="offset points")  # fmt: skip


def _broke_panel(
    ax: Any, x: Any, findings: Sequence[Finding], colour: str, marker: str, name: str | None, a: Answers
) -> None:
    ax.plot(x, [100 * f.broke.share for f in findings], color=colour, marker=marker, markersize=4)


def _float_line(ax: Any, findings: Sequence[Finding], answers: Answers) -> None:
    scale = 100.0 if answers.metric.is_accuracy else 1.0
    for k, context in enumerate(dict.fromkeys(f.case.context for f in findings)):
        if context in answers.floats:
            values = answers.floats[context].values(answers.metric) * scale
            ax.axhspan(np.nanmin(values), np.nanmax(values), color=plots.GREY, alpha=0.18, linewidth=0)
            ax.axhline(
                float(np.nanmean(values)), color=plots.GREY, linewidth=1.2, label="floating point" if k == 0 else None
            )


def _decorate(ax: Any, quantity: str, metric: Metric, first: bool) -> None:
    if quantity == "metric":
        if not metric.is_accuracy:
            ax.set_yscale("log")
        text = metric.name.replace("_", " ").replace("nmse", "NMSE") + (" (%)" if metric.is_accuracy else "")
    elif quantity == "dead":
        ax.set_ylim(-4, 104)
        text = "dead updates (%)\nA dotted, W solid, B dashed"
    elif quantity == "overflow":
        ax.set_yscale("log")
        text = "overflow of the variable\nworst off (%)"
    else:
        ax.set_ylim(-4, 104)
        text = "left the float band for good\n(% of the run)"
    if first:
        ax.set_ylabel(text)


def _heat_maps(answers: Answers) -> Any:
    from matplotlib.colors import LogNorm

    keys = [k for k in series_keys(answers.cases, "weight") if not _format_key(k)]
    panels: dict[str, list[Finding]] = {}
    for f in answers.fixed:
        panels.setdefault(label(f.case, keys), []).append(f)
    if len(panels) > MOST_PANELS:
        raise InputError(
            f"{len(panels)} panels ({', '.join(keys)} differ); {MOST_PANELS} fit, so draw a part of the rows"
        )
    figure = figure_of(3.4 * len(panels) + 1.2, 3.6)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    scale = 100.0 if answers.metric.is_accuracy else 1.0
    weights = sorted({f.case.bits("weight") or 0 for f in answers.fixed})
    states = sorted({f.case.bits("state") or 0 for f in answers.fixed})
    maps = []
    for findings in panels.values():
        table = np.full((len(states), len(weights)), np.nan)
        for f in findings:
            table[states.index(f.case.bits("state") or 0), weights.index(f.case.bits("weight") or 0)] = f.mean * scale
        maps.append(table)
    everything = np.array(maps)
    low, high = float(np.nanmin(everything)), float(np.nanmax(everything))
    norm: Any = {"vmin": low, "vmax": high}
    if not answers.metric.is_accuracy and low > 0.0 and high > 10.0 * low:
        norm = {"norm": LogNorm(low, high)}
    colours = "viridis" if answers.metric.is_accuracy else "viridis_r"
    image: Any = None
    for ax, table, (title, findings) in zip(axes, maps, panels.items(), strict=True):
        image = ax.imshow(table, origin="lower", aspect="auto", cmap=colours, **norm)
        ax.grid(False)
        ax.set_xticks(range(len(weights)), weights)
        ax.set_yticks(range(len(states)), states)
        ax.set_xlabel("bits of weight")
        floats = [answers.floats[f.case.context] for f in findings[:1] if f.case.context in answers.floats]
        shown = f"float {answers.metric.text(float(np.nanmean(floats[0].values(answers.metric))))}" if floats else ""
        ax.set_title("\n".join(part for part in (title, shown) if part))
        for (i, j), value in np.ndenumerate(table):
            text = "lost" if math.isnan(value) else f"{value:.1f}" if answers.metric.is_accuracy else f"{value:.2g}"
            place = image.norm(value) if not math.isnan(value) else 1.0
            dark = place < 0.55 if answers.metric.is_accuracy else place > 0.45
            colour = "white" if dark and not math.isnan(value) else "black"
            ax.text(j, i, text, ha="center", va="center", fontsize=7.5, color=colour)
    axes[0].set_ylabel("bits of state")
    bar = figure.colorbar(image, ax=list(axes), shrink=0.9)
    bar.outline.set_visible(False)
    bar.set_label(answers.metric.name.replace("_", " ") + (" (%)" if answers.metric.is_accuracy else ""))
    return figure


def _format_key(key: str) -> bool:
    from neurolrnn.precision import PARENTS

    return key.startswith("precision.") and key.rpartition(".")[2] in (*PARENTS, "hidden")
