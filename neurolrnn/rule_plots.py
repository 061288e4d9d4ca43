"""Pictures of rules, without a run: phase portraits, speeds, stability over the optimal manifold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn.errors import InputError
from neurolrnn.plots import BLUE, GREY, ORANGE
from neurolrnn.theory.phase_portrait import OUTCOMES, Portrait, portrait
from neurolrnn.theory.rule_maps import KINDS, StabilityMap, labelled, rate_curve, rate_rows, stability_map
from neurolrnn.theory_plots import BLACK, COLOURS, PURPLE, SKY, YELLOW, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASIN_COLOURS = ("#F4C7B0", "#CFE3F3", "#CDEBDD", "#EFEFEF", "#F3E9C6")
"""Light, one for each of OUTCOMES; the darker lines on them are read first."""
KIND_COLOURS = {
    "stable node": BLUE, "stable focus": SKY, "saddle": YELLOW, "unstable node": ORANGE, "unstable focus": PURPLE,
    "marginal": BLACK,
}  # fmt: skip
HATCH = "#8FA9BD"
KIND_LINES = {"stable node": "-", "stable focus": "-", "saddle": "--", "unstable node": ":", "unstable focus": ":"}


def plot_portrait(
    rule: str | Portrait = "rflo", path: str | Path | None = None, **options: Any
) -> Figure:  # fmt: skip
    """Draw the phase portrait of one mode: flow, nullclines, manifolds by stability, basins, some trajectories.

    Parameters
    ----------
    rule : str or Portrait
        A rule, or what :func:`~neurolrnn.theory.phase_portrait.portrait` has returned.
    path : path, optional
        Where to save the figure; the suffix chooses the format (``.png`` if there is none).
    **options
        Of :func:`~neurolrnn.theory.phase_portrait.portrait`, where a rule is named.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if isinstance(rule, Portrait) and options:
        raise InputError(f"the portrait is made already; {', '.join(options)} cannot be changed, make it anew")
    found = rule if isinstance(rule, Portrait) else portrait(rule, **options)
    return draw((8.0, 5.3), lambda figure: _portrait(figure, found), path, "portrait")


def _portrait(figure: Figure, p: Portrait) -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    axes = figure.subplots()
    axes.grid(False)
    first, second = p.plane.split("-")
    axes.pcolormesh(
        p.x, p.y, p.basins, cmap=ListedColormap(BASIN_COLOURS), norm=BoundaryNorm(np.arange(6) - 0.5, 5),
        shading="nearest", rasterized=True, zorder=0,
    )  # fmt: skip
    entries: list[Any] = [
        Patch(color=BASIN_COLOURS[k], label=OUTCOMES[k]) for k in range(len(OUTCOMES)) if (p.basins == k).any()
    ]
    every = max(1, len(p.x) // 16)
    part = slice(every // 2, None, every)
    flow = p.flow[part, part]
    # Arrows of one length: speeds differ by orders of magnitude. Scaled as they will be seen, not as numbers.
    span = np.array([np.ptp(p.x), np.ptp(p.y)])
    seen = flow / span
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = seen / np.linalg.norm(seen, axis=-1, keepdims=True) * span
    axes.quiver(p.x[part], p.y[part], seen[..., 0], seen[..., 1], color="#8A8A8A", angles="xy", scale_units="xy",
                scale=30, width=0.0022, headwidth=4, pivot="mid", zorder=1)  # fmt: skip
    for k, (name, style) in enumerate(((first, "-."), (second, (0, (1, 1))))):
        values = p.flow[..., k]
        if np.nanmin(values) < 0.0 < np.nanmax(values):
            axes.contour(p.x, p.y, values, [0.0], colors=[GREY], linestyles=[style], linewidths=1.0, zorder=2)
            entries.append(Line2D([], [], color=GREY, linestyle=style, linewidth=1.0, label=f"d{name}/dt = 0"))
    _safe_region(axes, p, entries)
    for k in range(p.trajectories.a.shape[1]):
        px, py = p.project(p.trajectories.a[:, k], p.trajectories.b[:, k], p.trajectories.w[:, k])
        axes.plot(px, py, color=BLACK, linewidth=0.8, alpha=0.85, zorder=3)
        axes.plot(px[0], py[0], ".", color=BLACK, markersize=4, zorder=3)
        if np.isfinite(p.trajectories.diverged_at[k]):
            last = int(np.isfinite(px).sum()) - 1
            axes.plot(px[last], py[last], "x", color=ORANGE, markersize=5, zorder=3)
    entries.append(Line2D([], [], color=BLACK, linewidth=0.8, marker=".", label="a trajectory, from its start"))
    if p.trajectories.diverged:
        entries.append(
            Line2D([], [], color=ORANGE, linestyle="", marker="x", markersize=5, label="runs away from here")
        )
    if p.saddles:
        zero = {"a-w": "a", "b-w": "b", "u-w": "u"}.get(p.plane)
        if zero:
            axes.axvline(0.0, color=YELLOW, linewidth=2.2, linestyle="--", zorder=4)
        else:
            axes.plot(0.0, 0.0, "X", color=YELLOW, markeredgecolor=BLACK, markersize=9, zorder=6)
        entries.append(
            Line2D([], [], color=YELLOW, linewidth=2.2, linestyle="--" if zero else "", marker="" if zero else "X",
                   label="a = b = 0: saddle, not optimal")
        )  # fmt: skip
    for kind in KINDS:
        on = p.kinds == kind
        if not on.any():
            continue
        line = np.where(on[:, np.newaxis], p.optimum, np.nan)
        single = len(p.kinds) == 1
        axes.plot(line[:, 0], line[:, 1], "*" if single else KIND_LINES.get(kind, "-"), color=KIND_COLOURS[kind],
                  markersize=13, linewidth=2.6, zorder=5)  # fmt: skip
        entries.append(
            Line2D([], [], color=KIND_COLOURS[kind], linestyle="" if single else KIND_LINES.get(kind, "-"),
                   linewidth=2.6, marker="*" if single else "", label=f"optimum: {kind}")
        )  # fmt: skip
    axes.set(xlim=(p.x[0], p.x[-1]), ylim=(p.y[0], p.y[-1]), xlabel=_axis(first), ylabel=_axis(second))
    third = ({"a-w": "b", "a-b": "w", "b-w": "a"}).get(p.plane)
    sight = "the flow stays in the plane a = ±b" if third is None else f"starts at {third} = {p.third:g}, in projection"
    feedback = "" if p.rule in ("bptt", "rtrl") else ", feedback A" if p.a_hat is None else f", â = {p.a_hat:g}"
    axes.set_title(f"{p.rule}{feedback}: one mode, a*b* = {p.c:g}, w* = {p.w_star:g}\n{sight}")
    figure.legend(handles=entries, loc="outside right upper", fontsize=8.5)


def _safe_region(axes: Any, p: Portrait, entries: list[Any]) -> None:
    """Hatch Q, which fixed feedback does not let a mode leave: a quadrant or a half of the plane."""
    from matplotlib.patches import Patch, Rectangle

    if p.a_hat is None or not p.safe().any():
        return
    signs = {"a": np.sign(p.a_hat), "b": np.sign(p.a_hat * p.c), "w": 0.0}
    sides = []
    for name, line in zip(p.plane.split("-"), (p.x, p.y), strict=True):
        low = max(0.0, line[0]) if signs[name] > 0.0 else line[0]
        high = min(0.0, line[-1]) if signs[name] < 0.0 else line[-1]
        sides.append((float(low), float(high - low)))
    (x, width), (y, height) = sides
    axes.add_patch(Rectangle((x, y), width, height, facecolor="none", edgecolor=HATCH, hatch="//", zorder=0.5))
    entries.append(Patch(facecolor="none", edgecolor=HATCH, hatch="///", linewidth=0, label="Q: never left"))


def _axis(name: str) -> str:
    return {
        "a": "a, read-out of the mode", "b": "b, input of the mode", "w": "w, memory of the mode (per step)",
        "u": "u = a b, gain of the mode",
    }[name]  # fmt: skip


# --- speed


def plot_rates(
    rules: Sequence[str] = ("bptt", "tbptt", "rflo"), w_star: Sequence[float] = (0.3, 0.6, 0.9),
    path: str | Path | None = None, *, c: float = 1.0, a_hat: float = 1.0, decay: float | None = 0.5, steps: int = 1,
    between: tuple[float, float] = (0.02, 50.0),
) -> Figure:  # fmt: skip
    """Draw λ_-, the rate at which a mode settles in the end, against its place s on the optimal manifold.

    Parameters
    ----------
    rules : sequence of str
        ``"bptt"``, ``"tbptt"``, ``"rflo"``, ``"rflo-sym"``, ``"fa_bptt"``; others are held against the first.
    w_star : sequence of float
        One panel each.
    path : path, optional
        Where to save the figure.
    c, a_hat, decay, steps, between
        As in :func:`~neurolrnn.theory.rule_maps.rate_rows`, whose slowest points (filled) and crossings (open) are
        marked.
    """
    options: dict[str, Any] = {"c": c, "a_hat": a_hat, "decay": decay, "steps": steps}
    rows = rate_rows(rules, w_star, between=between, **options)
    s = np.sign(between[0]) * np.geomspace(abs(between[0]), abs(between[1]), 500)

    def paint(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(1, len(w_star)))
        for axes, star in zip(panels, w_star, strict=True):
            for i, label in enumerate(rules):
                line = rate_curve(label, s, star, **options)
                axes.plot(np.abs(s), line, ("-", "--", "-.", ":", "-")[i % 5], color=COLOURS[i % 6],
                          label=_title(label, a_hat, decay, steps))  # fmt: skip
                (row,) = (r for r in rows if r.rule == label and r.w_star == star)
                if not row.at_an_end:
                    axes.plot(abs(row.slowest_s), row.slowest_rate, "o", color=COLOURS[i % 6], markersize=5.5)
                for x in row.crossings:
                    (y,) = rate_curve(label, np.array([x]), star, **options)
                    axes.plot(abs(x), y, "o", markerfacecolor="white", markeredgecolor=BLACK, markersize=6, zorder=5)
            axes.axvline(abs(c) ** 0.5, color=GREY, linewidth=0.9, linestyle=":")
            axes.set(xscale="log", yscale="log", title=f"w* = {star:g}",
                     xlabel="|s|, with a = s, b = c/s")  # fmt: skip
        panels[0].set_ylabel("λ₋, slow rate (1/time, time = η · steps)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        figure.suptitle(
            f"filled: slowest point;  open: as fast as {rules[0]};  dotted: s = √|c|,  c = a*b* = {c:g}",
            fontsize=9.5, x=0.01, ha="left", color=GREY,
        )  # fmt: skip

    return draw((1.0 + 3.1 * len(w_star), 4.0), paint, path, "rates")


def _title(label: str, a_hat: float, decay: float | None, steps: int) -> str:
    name, options = labelled(label, a_hat, decay, steps)
    shown = {"a_hat": "â", "decay": "ŵ", "steps": "τ"}
    inside = ", ".join(f"{shown[k]} = {v:g}" for k, v in options.items() if v is not None)
    symmetric = ", feedback A" if label == "rflo-sym" else ""
    return f"{name}{symmetric}" + (f" ({inside})" if inside else "")


# --- stability


def plot_stability_map(
    maps: str | StabilityMap | Sequence[StabilityMap] = "rflo", path: str | Path | None = None, **options: Any
) -> Figure:  # fmt: skip
    """Draw which points of the optimal manifold hold a mode, over s and w*.

    Parameters
    ----------
    maps : str, StabilityMap, or several
        A rule, whose map is made here, or maps of :func:`~neurolrnn.theory.rule_maps.stability_map`; one panel each.
    path : path, optional
        Where to save the figure.
    **options
        Of :func:`~neurolrnn.theory.rule_maps.stability_map`, where a rule is named.

    Returns
    -------
    matplotlib.figure.Figure
        Left of s = 0, where feedback has the wrong sign (â > 0), any blue is the wrong-sign window.
    """
    if isinstance(maps, str):
        found = [stability_map(maps, **options)]
    elif options:
        raise InputError(f"the maps are made already; {', '.join(options)} cannot be changed, make them anew")
    else:
        found = [maps] if isinstance(maps, StabilityMap) else list(maps)
    if not found:
        raise InputError("no map was given; name a rule, or give maps of theory.rule_maps.stability_map")

    def paint(figure: Figure) -> None:
        from matplotlib.colors import BoundaryNorm, ListedColormap
        from matplotlib.patches import Patch

        panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
        colours = ListedColormap([KIND_COLOURS[k] for k in KINDS])
        for axes, m in zip(panels, found, strict=True):
            axes.grid(False)
            codes = np.select([m.kinds == k for k in KINDS], range(len(KINDS)), -1)
            axes.pcolormesh(m.s, m.w_star, codes, cmap=colours, norm=BoundaryNorm(np.arange(7) - 0.5, 6),
                            shading="nearest", rasterized=True)  # fmt: skip
            axes.axvline(0.0, color="white", linewidth=1.6)
            feedback = ", feedback A" if m.a_hat is None else f", â = {m.a_hat:g}"
            window = m.shares(m.wrong_sign)["stable node"] + m.shares(m.wrong_sign)["stable focus"]
            said = "" if m.a_hat is None else f"\nwrong sign: {100 * window:.1f} % of this area is stable"
            axes.set(title=f"{m.rule}{feedback}, c = {m.c:g}{said}", xlabel="s, with a = s, b = c/s")
        panels[0].set_ylabel("w*, memory of the teacher (per step)")
        present = [k for k in KINDS if any((m.kinds == k).any() for m in found)]
        figure.legend(handles=[Patch(color=KIND_COLOURS[k], label=k) for k in present], loc="outside lower center",
                      ncols=len(present))  # fmt: skip

    return draw((1.0 + 4.0 * len(found), 4.3), paint, path, "stability")
