"""Pictures of what single formats cost, of where updates point, and of floors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn import plots
from neurolrnn.errors import InputError
from neurolrnn.profiles.cases import label, series_keys
from neurolrnn.profiles.pictures import COLOURS, MARKERS, figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurolrnn.profiles.angles import UpdateAngles
    from neurolrnn.profiles.answers import Answers
    from neurolrnn.profiles.costs import Attribution
    from neurolrnn.theory.rounding import Floor


def plot_attribution(found: Attribution, path: str | Path | None = None) -> Figure:
    """Draw what each variable's format costs alone, and what widening it saves, as bars with 95 % intervals."""
    import matplotlib as mpl

    with mpl.rc_context(plots.STYLE):
        shares = list(found.shares)[::-1]
        figure = figure_of(7.6, 1.4 + 0.36 * len(shares))
        ax = figure.subplots()
        places = np.arange(len(shares))
        unit = 100.0
        series = (("alone", plots.ORANGE, 0.2, "alone in its own format, all others wide"),
                  ("spared", plots.BLUE, -0.2, "saved by widening it, all others as they are"))  # fmt: skip
        for kind, colour, shift, text in series:
            means = np.array([getattr(s, kind).mean for s in shares]) * unit
            halves = np.array([getattr(s, kind).high - getattr(s, kind).mean for s in shares]) * unit
            lost = ~np.isfinite(means)
            finite = np.where(lost, 0.0, means)
            ax.barh(places + shift, finite, 0.38, color=colour, label=text, xerr=np.where(lost, 0.0, halves),
                    error_kw={"elinewidth": 0.9, "ecolor": "#444444"})  # fmt: skip
            for at, share in zip(places[lost], np.array(shares, dtype=object)[lost], strict=True):
                ax.text(0.0, at + shift, f" {getattr(share[2 if kind == 'alone' else 3], 'lost', '')} runs lost",
                        va="center", fontsize=7.5, color=colour)  # fmt: skip
        ax.set_yticks(places, [f"{s.variable}  ({s.format})" for s in shares])
        if math.isfinite(found.whole.mean):
            ax.axvline(
                unit * found.whole.mean, color=plots.GREY, linewidth=1.2, linestyle="--", label="all formats together"
            )
        ax.axvline(0.0, color="black", linewidth=0.8)
        what = (
            "points of accuracy lost" if found.metric.is_accuracy else f"{found.metric.name.replace('_', ' ')}: % worse"
        )
        ax.set_xlabel(f"{what} (mean and 95 % interval over {len(found.seeds)} seeds)")
        ax.grid(axis="y", visible=False)
        figure.legend(loc="outside upper center", ncols=2, fontsize=8.5)
        if path is not None:
            plots.save(figure, path, "neurolrnn attribution of formats")
    return figure  # type: ignore[no-any-return]


def plot_angles(found: UpdateAngles, path: str | Path | None = None, part: str = "all") -> Figure:
    """Draw angles of quantised updates to the float update and to BPTT along the run, and how many are 0."""
    import matplotlib as mpl

    from neurolrnn.profiles.angles import PARTS

    k = PARTS.index(part)
    with mpl.rc_context(plots.STYLE):
        figure = figure_of(10.2, 3.7)
        axes = figure.subplots(1, 3)
        for i, name in enumerate(found.names):
            style = {"color": COLOURS[i % 7], "marker": MARKERS[i % 7], "markersize": 4}
            axes[0].plot(found.steps, found.to_float[i, :, k], label=name, **style)
            axes[1].plot(found.steps, found.to_bptt[i, :, k], **style)
            axes[2].plot(found.steps, 100 * found.still[i, :, k], **style)
        axes[1].plot(found.steps, found.float_to_bptt[:, k], "--", color=plots.GREY, label="the rule in float64")
        for ax, title in zip(axes[:2], ("to the update in float64", "to BPTT's descent"), strict=True):
            ax.set(title=title, ylim=(0, None))
            ax.axhline(90.0, color=plots.GREY, linewidth=0.8, linestyle=":")
        axes[0].set_ylabel("angle of an episode's update (°)")
        axes[2].set(title="episodes without any update (%)", ylim=(-4, 104))
        for ax in axes:
            ax.set_xlabel("time steps seen by the float32 run")
            ax.xaxis.set_major_formatter(plots._thousands())
        figure.legend(loc="outside upper center", ncols=5, fontsize=8.5)
        if path is not None:
            plots.save(figure, path, "neurolrnn angles of updates")
    return figure  # type: ignore[no-any-return]


def plot_floors(
    answers: Answers, floors: Sequence[Floor | None], path: str | Path | None = None, variable: str = "weight"
) -> Figure:
    """Draw the predicted floor of the loss beside the simulated one, against bits.

    Parameters
    ----------
    answers : Answers
        With a loss as metric.
    floors : sequence of Floor or None
        Of each finding in fixed point, in their order; see :func:`neurolrnn.profiles.floors.floor_of`.
    path : path, optional
        Where to save the figure.
    variable : str
        Whose bits go along the axis.
    """
    import matplotlib as mpl

    if answers.metric.is_accuracy or answers.metric.name.endswith("nmse"):
        raise InputError(f"metric = {answers.metric.name!r}: floors are losses; take Answers(rows, 'train_loss')")
    keys = series_keys(answers.cases, variable)
    names = list(dict.fromkeys(label(f.case, keys) for f in answers.fixed))
    rules = list(dict.fromkeys(n.rpartition(", ")[0] for n in names))
    with mpl.rc_context(plots.STYLE):
        figure = figure_of(4.2 * len(rules) + 0.6, 4.2)
        axes = figure.subplots(1, len(rules), squeeze=False, sharey=True)[0]
        shown = list(dict.fromkeys(n.rpartition(", ")[2] for n in names))
        for name in names:
            rule, _, rounding = name.rpartition(", ")
            ax, k = axes[rules.index(rule)], shown.index(rounding)
            mine = [pair for pair in zip(answers.fixed, floors, strict=True) if label(pair[0].case, keys) == name]
            pairs = sorted(mine, key=lambda pair: pair[0].case.bits(variable) or 0)
            x = np.array([f.case.bits(variable) for f, _ in pairs], float)
            predicted = np.array([np.nan if floor is None else floor.loss for _, floor in pairs])
            valid = np.array([floor is not None and floor.valid for _, floor in pairs])
            style: dict[str, Any] = {"color": COLOURS[k % 7]}
            ax.plot(x, predicted, ":", linewidth=1.2, **style)
            ax.plot(x, np.where(valid, predicted, np.nan), "-", label=f"{rounding}: predicted", **style)
            for at, (f, _) in zip(x, pairs, strict=True):
                ax.plot([at] * len(f.values), f.values, MARKERS[k % 7], markersize=3, alpha=0.35, **style)
            means = [f.mean for f, _ in pairs]
            ax.plot(x, means, MARKERS[k % 7], markersize=6, label=f"{rounding}: simulated, mean", **style)
        for ax, rule in zip(axes, rules, strict=True):
            ax.set_yscale("log")
            ax.set(title=rule, xlabel=f"bits of {variable}")
            ax.xaxis.get_major_locator().set_params(integer=True)
        axes[0].set_ylabel(answers.metric.name.replace("_", " "))
        handles = dict(zip(*axes[0].get_legend_handles_labels()[::-1], strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4, fontsize=8.5)
        if path is not None:
            plots.save(figure, path, "neurolrnn floors of the loss")
    return figure  # type: ignore[no-any-return]
