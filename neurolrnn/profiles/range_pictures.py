"""The picture of the range profiler: sizes of all variables beside what formats hold, over time and over the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn import plots
from neurolrnn.precision import PARENTS
from neurolrnn.profiles.pictures import figure_of
from neurolrnn.profiles.spread import HIGHEST, LOWEST, Spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurolrnn.profiles.range_profile import Ranges


def plot_ranges(found: Ranges, path: str | Path | None = None) -> Figure:
    """Draw for each variable how often it has which size, the reach of its formats, and its largest size over time.

    Parameters
    ----------
    found : Ranges
    path : path, optional
        Where to save the figure; the suffix chooses the format (``.png`` if there is none).
    """
    import matplotlib as mpl

    with mpl.rc_context(plots.STYLE):
        names = list(found.spreads)
        figure = figure_of(10.2, 1.6 + 0.34 * len(names))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        places = {name: len(names) - 1 - k for k, name in enumerate(names)}
        for name in names:
            _sizes(left, found.spreads[name], places[name])
            _formats(left, found, name, places[name])
        image = _over_time(right, found, names)
        left.set_yticks(list(places.values()), list(places))
        left.set_ylim(-0.7, len(names) - 0.3)
        sizes = [e for s in found.spreads.values() for e in _reach(s)]
        ends = [e for p in found.proposals.values() for e in (p.int_bits, -p.frac_bits)]
        if found.experiment.precision.is_fixed:
            own = [found.experiment.precision.landing(n).format for n in names if n in PARENTS]
            ends += [e for form in own for e in (form.int_bits, -form.frac_bits)]
        left.set_xlim(max(min(sizes + ends) - 1.5, LOWEST), max(sizes + ends) + 1.5)
        left.set_xlabel("size |x| as a power of two, how often it occurs")
        left.xaxis.get_major_locator().set_params(integer=True)
        left.grid(axis="y", visible=False)
        _key(left, found)
        right.set_xlabel("part of the run")
        right.grid(False)
        bar = figure.colorbar(image, ax=right, shrink=0.9)
        bar.outline.set_visible(False)
        bar.set_label("99 % size over the largest of the run, log2")
        figure.legend(loc="outside upper left", ncols=4, fontsize=8.5)
        if path is not None:
            plots.save(figure, path, "neurolrnn ranges")
    return figure  # type: ignore[no-any-return]


def _reach(spread: Spread) -> tuple[int, int]:
    filled = np.flatnonzero(spread.counts.sum(axis=0) > 0.01 * max(spread.nonzero, 1))
    return (LOWEST + int(filled[0]), LOWEST + int(filled[-1]) + 1) if len(filled) else (0, 0)


def _sizes(ax: Any, spread: Spread, y: int) -> None:
    counts = spread.counts.sum(axis=0).astype(float)
    if not counts.any():
        return
    height = 0.8 * counts / counts.max()
    edges = np.arange(LOWEST, HIGHEST + 1)
    ax.stairs(y - 0.4 + height, edges, baseline=y - 0.4, fill=True, color="#9DB7CC", linewidth=0)


def _formats(ax: Any, found: Ranges, name: str, y: int) -> None:
    own = found.experiment.precision
    rows = []
    if own.is_fixed:
        if name in PARENTS:
            form = own.landing(name).format
            rows.append((form.int_bits, form.frac_bits, plots.GREY, -0.12))
    proposal = found.proposals.get(name)
    if proposal is not None:
        rows.append((proposal.int_bits, proposal.frac_bits, plots.ORANGE, 0.12))
    for whole, frac, colour, shift in rows:
        ax.plot([-frac, whole], [y + shift, y + shift], color=colour, linewidth=2.2, solid_capstyle="butt")
        ax.plot([-frac, whole], [y + shift, y + shift], "|", color=colour, markersize=7)
    group = name.removeprefix("update_")
    if name.startswith("update_"):
        precision = own if own.is_fixed else found.precision
        target = f"factor_{group}" if f"factor_{group}" in found.spreads else group
        half = -(precision.hidden_format(group) or precision.landing(target).format).frac_bits - 1
        ax.plot([half, half], [y - 0.42, y + 0.42], color=plots.BLUE, linewidth=1.8)


def _key(ax: Any, found: Ranges) -> None:
    if found.experiment.precision.is_fixed:
        ax.plot([], [], color=plots.GREY, linewidth=2.2, label="its format, LSB to largest")
    ax.plot([], [], color=plots.ORANGE, linewidth=2.2, label="proposed format, LSB to largest")
    ax.plot([], [], color=plots.BLUE, linewidth=1.8, label="half an LSB of the weight: smaller updates die to nearest")


def _over_time(ax: Any, found: Ranges, names: list[str]) -> Any:
    table = np.full((len(names), len(found.edges) - 1), np.nan)
    for k, name in enumerate(names):
        quantiles = found.spreads[name].quantiles
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.log2(np.maximum(np.abs(quantiles[:, 1]), np.abs(quantiles[:, 3])))
            if np.isfinite(size).any():
                table[len(names) - 1 - k] = size - np.max(size[np.isfinite(size)])
    table[~np.isfinite(table)] = np.nan
    return ax.imshow(table, aspect="auto", origin="lower", cmap="Blues", vmin=-4.0, vmax=0.0,
                     extent=(0.0, 1.0, -0.5, len(names) - 0.5))  # fmt: skip
