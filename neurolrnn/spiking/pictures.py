"""Pictures of a deployed network. Matplotlib is imported when one is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.plots import BLUE, GREEN, GREY, ORANGE, STYLE, save
from neurolrnn.spiking.budget import budget
from neurolrnn.spiking.measure import data_of, fewest_micro_steps, measure
from neurolrnn.spiking.plan import Mode, Plan, PlanOptions, make_plan
from neurolrnn.spiking.result import SpikingResult
from neurolrnn.spiking.twin import run_twin
from neurolrnn.tasks.base import Sequences, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTA = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Quanta of the curves, in units of the RMS of the graded states."""
WINDOW = 120
"""Steps that are drawn of states and events."""
UNITS_DRAWN = 40


def plot_deployment(
    net: Network,
    what: Task | Sequences | ArrayLike,
    path: str | Path | None = None,
    *,
    mode: Mode = "sigma-delta",
    **options: Unpack[PlanOptions],
) -> Figure:
    """Draw a deployed network: a state and what receivers know of it, events, error against q, events against error.

    Parameters
    ----------
    net : Network
        What is deployed.
    what : Task, Sequences or (T, n_in)
        What it is fed.
    path : path, optional
        Where to save the figure; the suffix chooses the format.
    mode, **options
        Of the upper two panels, as for :func:`to_brian2`; not graded.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If choices do not go together, or the states are 0 all the time.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    plan = make_plan(net, mode, **options)
    if not plan.events:
        raise InputError("a graded network sends no events to draw; take mode = 'sigma-delta' or 'lif-pair'")
    data = data_of(what)
    found = run_twin(plan, data)
    graded = run_twin(Plan(net, "graded"), data, ("h",)).need("h")
    size = float(np.sqrt(np.mean(graded**2)))
    if size == 0.0:
        raise InputError("all states of the graded network are 0 on these inputs; give inputs that move it")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 7.4), dpi=120, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
        axes = figure.subplots(2, 2)
        _states(axes[0, 0], found, graded)
        _raster(axes[0, 1], found)
        _errors(axes[1, 0], net, data, size)
        _tradeoff(axes[1, 1], net, data, size)
        title = f"{net.n_rec} units, leak {net.leak:g}  ·  {plan.mode}, q = {plan.q:.3g}"
        if plan.micro_steps > 1:
            title += f", {plan.micro_steps} micro-steps"
        figure.suptitle(title, fontsize=12, x=0.015, ha="left")
        if path is not None:
            save(figure, path, f"neurolrnn spiking {plan.mode}")
    return figure


def _window(found: SpikingResult) -> tuple[int, int]:
    """Return the steps that are drawn: the liveliest stretch of states."""
    h = found.need("h")
    if len(h) <= WINDOW:
        return 0, len(h)
    power = np.convolve((h**2).sum(axis=1), np.ones(WINDOW), "valid")
    first = int(np.argmax(power))
    return first, first + WINDOW


def _states(axes: Any, found: SpikingResult, graded: NDArray[np.float64]) -> None:
    a, b = _window(found)
    unit = int(np.argmax(graded[a:b].std(axis=0)))
    steps = np.arange(a, b)
    axes.plot(steps, graded[a:b, unit], color=GREY, linewidth=3.0, alpha=0.45, label="h, graded network")
    axes.plot(steps, found.need("h")[a:b, unit], color=BLUE, linewidth=1.1, label="h of the unit itself")
    axes.step(steps, found.need("hat")[a:b, unit], where="post", color=ORANGE, linewidth=1.1,
              label="ĥ, what receivers know")  # fmt: skip
    axes.set(title=f"State of unit {unit}", xlabel="step", ylabel="state")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.28 * (high - low))  # room for the legend
    axes.legend(loc="upper left", fontsize=8, ncols=1)


def _raster(axes: Any, found: SpikingResult) -> None:
    a, b = _window(found)
    events, k = found.events, found.plan.micro_steps
    assert events is not None
    time = events.step / k
    shown = (time >= a) & (time < b) & (events.unit < UNITS_DRAWN)
    for sign, color, label in ((1, BLUE, "up"), (-1, ORANGE, "down")):
        these = shown & (np.sign(events.value) == sign)
        size = 5.0 * np.sqrt(np.minimum(np.abs(events.value[these]), 16.0))
        axes.scatter(time[these], events.unit[these], s=size, marker="|" if k > 1 else "o", color=color,
                     linewidths=0.8 if k > 1 else 0, label=label)  # fmt: skip
    axes.set(title=f"Events: {found.events_per_step:.2g} per unit and step", xlabel="step", ylabel="unit")
    axes.set_xlim(a, b)
    axes.set_ylim(-1, 1.2 * min(found.plan.network.n_rec, UNITS_DRAWN))
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper right", fontsize=8, ncols=2)


def _errors(axes: Any, net: Network, data: Sequences | ArrayLike, size: float) -> None:
    axes.set_title("Sigma-delta: error of the output against q")
    quanta = [share * size for share in QUANTA]
    axes.set(xscale="log", yscale="log", xlabel="q", ylabel="RMS error of y over RMS of y")
    try:
        budgets = [budget(net, data, horizon="sequences", q=q) for q in quanta]
    except InputError:
        rows = [measure(net, data, q=q) for q in quanta]
        axes.plot(quanta, [row["error"] for row in rows], "o", color=BLUE, label="measured")
        axes.text(0.03, 0.9, "no prediction: errors do not fade", transform=axes.transAxes, color=GREY)
    else:
        axes.plot(quanta, [b.relative_y for b in budgets], color=GREY, linewidth=1.4, label="expected")
        axes.plot(quanta, [b.measured["rms_y"] / b.size_y for b in budgets], "o", color=BLUE, label="measured")
    axes.legend(loc="lower right")


def _tradeoff(axes: Any, net: Network, data: Sequences | ArrayLike, size: float) -> None:
    axes.set_title("Events against error")
    axes.set(xscale="log", yscale="log", xlabel="RMS error of y over RMS of y", ylabel="events per unit and step")
    for label, color, marker, options in (
        ("sigma-delta", BLUE, "o", {"mode": "sigma-delta"}),
        ("sigma-delta, leaky receivers", GREEN, "s", {"mode": "sigma-delta", "receivers": "leaky"}),
        ("LIF pairs", ORANGE, "^", {"mode": "lif-pair"}),
    ):
        rows = []
        for share in QUANTA:
            q = share * size
            try:
                chosen: dict[str, Any] = dict(options)
                if chosen["mode"] == "lif-pair":
                    chosen["micro_steps"] = fewest_micro_steps(net, data, q)
                rows.append(measure(net, data, q=q, **chosen))
            except InputError:  # no finer steps, or units without memory: this mode cannot hold the network
                continue
        rows = [row for row in rows if row["error"] > 0.0 and row["events_per_unit"] > 0.0]
        if rows:
            axes.plot([row["error"] for row in rows], [row["events_per_unit"] for row in rows], marker=marker,
                      color=color, markersize=4.5, label=label)  # fmt: skip
    axes.axhline(1.0, color=GREY, linestyle="--", linewidth=1.2, label="graded (no error)")
    axes.legend(loc="best", fontsize=8)
