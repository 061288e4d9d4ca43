"""Pictures of a run beside its theory: modes, alignment, singular values. Pictures of rules are in ``rule_plots``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.plots import BLUE, GREEN, GREY, ORANGE, STYLE, save
from neurolrnn.run import Run
from neurolrnn.theory.rank import rank_report
from neurolrnn.theory.run_modes import ModePrediction, deviation_of, predict_modes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#E69F00", "#222222"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
"""Okabe & Ito's, one per mode or run; a seventh begins anew."""
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Beside the colours, so that grey prints can be read too."""
STAMP = "neurolrnn theory"
RESOLVED = 1e-12
"""Share of the largest predicted loss down to which it is drawn."""
MOST_MODES = 6
"""Modes drawn; of more, the ones with the largest teacher."""


def draw(size: tuple[float, float], paint: Callable[[Figure], None], path: str | Path | None, name: str) -> Figure:
    """Return a figure of the house's style, painted by a function, and write it if there is a path.

    Parameters
    ----------
    size : (float, float)
        Inches.
    paint : function of a Figure
    path : path, optional
    name : str
        What the picture shows, for the file's metadata.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with mpl.rc_context({**STYLE, "hatch.linewidth": 0.5}):
        figure = Figure(figsize=size, dpi=100, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.09))
        paint(figure)
        if path is not None:
            save(figure, path, f"{STAMP} {name}")
    return figure


def _runs(runs: Run | Sequence[Run]) -> list[Run]:
    found = [runs] if isinstance(runs, Run) else list(runs)
    if not found:
        raise InputError("no run was given; give one run or a list of them")
    return found


def run_titles(runs: Sequence[Run]) -> list[str]:
    """Name each run by rule, feedback, precision and update; the same names get numbers."""
    found: list[str] = []
    for run in runs:
        e, precision = run.experiment, run.experiment.get("precision", {})
        rule = e.get("rule", {})
        feedback = "" if "feedback" not in rule else "feedback A" if run.feedback is None else "feedback R"
        numbers = str(precision.get("preset", precision.get("name", "?")))
        parts = (str(rule.get("name", "?")), feedback, numbers, str(e.get("training", {}).get("update", "")))
        found.append(", ".join(part for part in parts if part))
    return [f"{name}, run {i + 1}" if found.count(name) > 1 else name for i, name in enumerate(found)]


def _steps(axes: Any) -> None:
    from matplotlib.ticker import EngFormatter

    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


# --- modes


def plot_modes(
    runs: Run | Sequence[Run], path: str | Path | None = None, *, teacher: Network | None = None
) -> Figure:  # fmt: skip
    """Draw the modes of runs as they were (markers) and as the mode equations predict them (lines), and both losses.

    Parameters
    ----------
    runs : Run, or several
        One column each; of aligned students of a teacher made of modes, see :func:`predict_modes`.
    path : path, optional
        Where to save the figure; the suffix chooses the format (``.png`` if there is none).
    teacher : Network, optional
        Where the task was not made by name.

    Returns
    -------
    matplotlib.figure.Figure
        Rows a, b, w and loss. The largest deviation is written above each column; :func:`mode_deviation` returns it.

    Raises
    ------
    InputError
        If a run has no mode equations, or the path cannot be written.
    """
    given = _runs(runs)
    found = [predict_modes(run, teacher) for run in given]

    def paint(figure: Figure) -> None:
        axes = figure.subplots(4, len(found), sharex="col", sharey="row", squeeze=False)
        for column, (prediction, title) in enumerate(zip(found, run_titles(given), strict=True)):
            _mode_column(axes[:, column], prediction, title, column == 0)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))

    return draw((1.4 + 3.9 * len(found), 8.6), paint, path, "modes")


def _mode_column(axes: Any, found: ModePrediction, title: str, first: bool) -> None:
    off = deviation_of(found)
    where = f"{off.variable} of mode {off.mode}, step {off.step:,}"
    notes = "".join(f"; {note}" for note in found.notes)
    axes[0].set_title(f"{title}\nlargest deviation {off.largest:.3g} ({where}){notes}", fontsize=9.5)
    size = np.abs(found.teacher[0] * found.teacher[1])
    shown = sorted(np.argsort(-size, kind="stable")[:MOST_MODES].tolist())
    for row, (name, lines) in enumerate(zip("abw", (found.path.a, found.path.b, found.path.w), strict=True)):
        for i, k in enumerate(shown):
            colour = COLOURS[i % len(COLOURS)]
            label = row == 0 and first
            axes[row].plot(
                found.step, found.simulated[name][:, k], MARKERS[i % len(MARKERS)], color=colour, markersize=4.2,
                markerfacecolor="none", markeredgewidth=1.0, label=f"mode {k}, run" if label else None,
            )  # fmt: skip
            axes[row].plot(found.path_step, lines[:, k], color=colour, linewidth=1.5,
                           label=f"mode {k}, predicted" if label else None)  # fmt: skip
            if name == "w":
                axes[row].axhline(found.teacher[2][k], color=colour, linewidth=0.9, linestyle=":")
        if first:
            axes[row].set_ylabel(name + (", and w* (dotted)" if name == "w" else ""))
    steps = found.step[1:]
    axes[3].plot(steps, found.loss, ".", color=GREY, markersize=5, label="loss, run" if first else None)
    # Below, the prediction is a difference of nearly equal sums, and shows its own rounding.
    least = RESOLVED * float(np.nanmax(found.predicted_loss))
    axes[3].plot(steps, np.where(found.predicted_loss > least, found.predicted_loss, np.nan), color=BLACK,
                 linewidth=1.3, label="loss, predicted" if first else None)  # fmt: skip
    positive = np.concatenate([found.loss, found.predicted_loss])
    if (positive[np.isfinite(positive)] > 0.0).all():
        axes[3].set_yscale("log")
        low, high = axes[3].get_ylim()
        axes[3].set_ylim(max(low, 0.1 * least), high)
    _steps(axes[3])
    axes[3].set_xlabel("time steps seen")
    if first:
        axes[3].set_ylabel("½‖ε‖² per step")
        # Their labels join those of the modes, which are read from the first row.
        for line in axes[3].get_lines():
            axes[0].plot([], [], linestyle=line.get_linestyle(), marker=line.get_marker(), color=line.get_color(),
                         label=line.get_label())  # fmt: skip


# --- alignment

ALIGNMENT = {
    "feedback_cosine": ("Feedback: cosine of A and R", "⟨A, R⟩ / (‖A‖ ‖R‖)"),
    "alignment.AB": ("Student in the teacher's bases, lag 0", "‖diag‖ / ‖·‖ of Uᵀ A B V"),
    "alignment.AWB": ("Student in the teacher's bases, lag 1", "‖diag‖ / ‖·‖ of Uᵀ A W B V"),
}
"""Curves of a run about alignment: title and axis."""


def alignment_curves(run: Run) -> dict[str, Any]:
    """Return the curves of a run that are about alignment, (points,) each, named as in its records.

    Raises
    ------
    InputError
        If it has none.
    """
    found = {key: np.asarray(run.records[key], float) for key in ALIGNMENT if key in run.records}
    if not found:
        raise InputError(
            "the run has neither a feedback matrix nor a teacher, so nothing can align; take a rule with "
            "feedback = 'random', or the task 'teacher-student'"
        )
    return found


def plot_alignment(runs: Run | Sequence[Run], path: str | Path | None = None) -> Figure:
    """Draw how student, teacher and feedback line up while runs learn.

    Parameters
    ----------
    runs : Run, or several
        On a task with a teacher, for the two shares; any run with a feedback matrix, for the cosine.
    path : path, optional
        Where to save the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Panels: cosine of A and R; diagonal shares of Uᵀ A B V and of Uᵀ A W B V. The latter tend to their values at the
        optimum whatever the rule, since A B tends to A* B*; only the cosine tells rules apart in the end, and the
        figure says so.

    Raises
    ------
    InputError
        If a run has neither, or the path cannot be written.
    """
    given = _runs(runs)
    curves = [alignment_curves(run) for run in given]
    shown = [key for key in ALIGNMENT if any(key in found for found in curves)]

    def paint(figure: Figure) -> None:
        axes = np.atleast_1d(figure.subplots(1, len(shown)))
        for panel, key in zip(axes, shown, strict=True):
            title, label = ALIGNMENT[key]
            panel.set_title(title)
            lowest = 0.0
            for i, (run, found, name) in enumerate(zip(given, curves, run_titles(given), strict=True)):
                if key not in found:
                    continue
                curve = found[key]
                panel.plot(
                    run.records["step"], curve, color=COLOURS[i % len(COLOURS)], label=name,
                    marker=MARKERS[i % len(MARKERS)], markersize=3.2, markevery=max(1, len(curve) // 12),
                )  # fmt: skip
                lowest = min(lowest, float(np.nanmin(curve, initial=0.0)))
            panel.set(xlabel="time steps seen", ylabel=label, ylim=(lowest - 0.05 * (lowest < 0.0), 1.03))
            if lowest < 0.0:
                panel.axhline(0.0, color=GREY, linewidth=0.9)
            _steps(panel)
        lines = {line.get_label(): line for panel in axes for line in panel.get_lines() if line.get_label()[0] != "_"}
        figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=min(len(lines), 3))
        figure.suptitle(
            "Once learning has ended only the feedback cosine says something: the shares tend to the teacher's own, "
            "trivially, as A B → A* B*.",
            fontsize=9.5, x=0.01, ha="left", color=GREY,
        )  # fmt: skip

    return draw((0.9 + 3.5 * len(shown), 3.9), paint, path, "alignment")


# --- spectra


def plot_spectra(runs: Run | Sequence[Run], path: str | Path | None = None) -> Figure:
    """Draw the singular values of what runs have learned, W_K - W_0 and [ΔW | ΔB], with the bound of each rule.

    Parameters
    ----------
    runs : Run, or several
    path : path, optional
        Where to save the figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a run, with bound, observed rank, effective rank and participation ratio in its title.
    """
    given = _runs(runs)
    reports = [rank_report(run) for run in given]
    columns = min(len(given), 3)
    rows = -(-len(given) // columns)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for panel in axes.ravel()[len(given) :]:
            panel.remove()
        top = max((float(r.spectrum.values.max(initial=0.0)) for r in reports), default=0.0)
        lowest = top * 1e-18
        for i, (report, title) in enumerate(zip(reports, run_titles(given), strict=True)):
            panel, spectrum, bound = axes[i // columns, i % columns], report.spectrum, report.bound
            says = f"bound {bound.bound}" if bound.informative else f"no bound below {bound.limit}"
            panel.set_title(
                f"{title}\nrank {report.observed}{' (exact)' if report.exact else ''}, {says}\n"
                f"effective rank {spectrum.effective:.2f}, participation ratio {spectrum.participation:.2f}",
                fontsize=9.0,
            )  # fmt: skip
            for values, marker, colour, size, name in (
                (spectrum.values, "o", BLUE, 6.0, "[ΔW | ΔB]"), (spectrum.recurrent, "x", ORANGE, 4.5, "ΔW"),
            ):  # fmt: skip
                panel.plot(np.arange(1, len(values) + 1), np.maximum(values, lowest), marker, color=colour,
                           markersize=size, markerfacecolor="none", label=name)  # fmt: skip
            if bound.informative:
                panel.axvspan(bound.bound + 0.5, len(spectrum.values) + 0.6, color="#EEEEEE", linewidth=0, zorder=0,
                              label="beyond the bound")  # fmt: skip
            if report.floor:
                panel.axhline(report.floor, color=GREY, linewidth=1.0, linestyle="--", label="float rounding")
            panel.set(xlabel="index", yscale="log", xlim=(0.4, len(spectrum.values) + 0.6))
            panel.xaxis.get_major_locator().set_params(integer=True)
            if i % columns == 0:
                panel.set_ylabel("singular value of the change")
        entries = {label: handle for panel in axes.ravel()[: len(given)]
                   for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}  # fmt: skip
        figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=len(entries))

    return draw((0.8 + 3.4 * columns, 0.9 + 3.2 * rows), paint, path, "spectra")
