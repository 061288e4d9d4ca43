"""The page of one run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from neurolrnn.citations import bibtex
from neurolrnn.reports import charts
from neurolrnn.reports.page import Page
from neurolrnn.run import Run

LARGEST = 600
"""Units up to which eigenvalues and singular values are worth the time."""
CURVES = {
    "loss": ("loss", "Mean loss per step since the point before.", True),
    "alignment": ("cosine", "Alignment of the rule with the gradient and with its own feedback.", None),
    "mode": ("weight", "Modes of the student: read-out a, input b and recurrent weight w.", None),
    "feedback_cosine": ("cosine", "Alignment of read-out A and feedback R.", None),
    "spectral_radius": ("spectral radius", "Of (1-α)I + αW: at 1 the state grows by itself.", None),
    "state_rms": ("RMS", "Size of the state.", None),
}
"""Curves that have words of their own: quantity, what is seen, whether the axis is logarithmic."""


def run_page(run: Run) -> Page:
    """Return the page of a run."""
    said = run.experiment
    net = run.network
    page = Page(
        f"{said['rule']['name']} on {said['task']['name']}",
        f"{net.n_in} inputs, {net.n_rec} units, {net.n_out} outputs, leak {net.leak:g}; seed {said['seed']}",
    )
    kind = "good" if run.status == "completed" else "bad"
    cards: list[tuple[str, str, str]] = [("status", run.status, kind)]
    cards += [(name.replace("_", " "), _metric(name, value), "") for name, value in run.metrics.items()]
    cards += [("steps", f"{run.position.get('step', 0):,}", "")]
    page.cards(cards)
    if run.message:
        page.text(run.message, kind if kind == "bad" else "")
    for warning in run.warnings:
        page.text(f"Warning: {warning}", "bad")
    _curves(page, run)
    _spectra(page, run)
    _numbers(page, run)
    _provenance(page, run)
    return page


def _curves(page: Page, run: Run) -> None:
    page.heading("Learning")
    groups: dict[str, list[str]] = {}
    for name in run.records:
        if name != "step":
            head = name.rsplit(".", 1)[0] if name.startswith("range.") else name.split(".")[0]
            groups.setdefault(head, []).append(name)
    step = np.asarray(run.records["step"])
    ranges = [g for g in groups if g.startswith("range.")]
    for group in [g for g in groups if g not in ranges]:
        quantity, words, log = CURVES.get(
            group, (group.replace("_", " "), f"{group.replace('_', ' ')} over time.", None)
        )
        values = {}
        for name in groups[group]:
            curve = np.asarray(run.records[name], float)
            label = name.split(".", 1)[1] if "." in name else name
            if curve.ndim == 1:
                values[label] = curve
            else:
                values |= {f"{label} {k}": c for k, c in enumerate(curve.reshape(len(step), -1).T[:8])}
        page.chart(charts.curves(step, values, quantity, words, log))
    if ranges:
        page.heading("Ranges")
        for group in ranges:
            values = {n.rsplit(".", 1)[1]: np.asarray(run.records[n], float) for n in groups[group]}
            page.chart(
                charts.curves(step, values, "value", f"{group[6:]}: extremes, percentiles and median at a step.")
            )


def _spectra(page: Page, run: Run) -> None:
    net = run.network
    if net.n_rec > LARGEST or net.held is not None:
        return
    page.heading("What was learned")
    sets = {
        when: np.linalg.eigvals((1 - n.leak) * np.eye(n.n_rec) + n.leak * n.W)
        for when, n in (("before", run.initial), ("after", net))
    }
    page.chart(charts.eigenvalues(sets, "Eigenvalues of (1-α)I + αW before and after, with the unit circle."))
    if run.status == "diverged":
        return
    report = run.rank_report()
    page.chart(
        charts.spectrum(
            report.spectrum.values, report.bound.bound,
            f"Singular values of the change of [W | B]; the line is the rank's bound, {report.bound.bound}. "
            f"Observed rank {report.observed}.",
        )
    )  # fmt: skip
    page.text(report.bound.reason)


def _numbers(page: Page, run: Run) -> None:
    if run.numerics is None:
        return
    page.heading("Fixed point")
    counts = run.saturation or {}
    dead = [
        (name, 100 * c["dead_updates"] / c["updates"], f"{c['dead_updates']:,} of {c['updates']:,}")
        for name, c in counts.items()
        if c.get("updates")
    ]
    if dead:
        page.chart(charts.bars(dead, "dead updates", "Updates that are not 0 and round to 0, by weights.", unit="%"))
    kinds = sorted({kind for c in counts.values() for kind in c})
    rows: list[list[Any]] = [[name, *(c.get(kind) for kind in kinds)] for name, c in counts.items()]
    page.table(rows, ["variable", *(k.replace("_", " ") for k in kinds)], "Events")
    page.table([[k, v] for k, v in run.numerics["formats"].items()], ["variable", "format"], "Formats")
    rest = {k: v for k, v in run.numerics.items() if k != "formats"}
    page.code(json.dumps(rest, indent=1, ensure_ascii=False), "Rates, leak, accumulators")


def _provenance(page: Page, run: Run) -> None:
    page.heading("Where it comes from")
    page.table([["digest", run.digest], *([k, v] for k, v in run.versions.items())], ["", ""])
    spent = [(k, 1e3 * s, "") for k, s in run.timing.items() if k != "total" and s > 0]
    if spent:
        page.chart(charts.bars(spent, "time", "Where the time went.", unit="ms"))
    page.code(json.dumps(run.experiment, indent=1, ensure_ascii=False), "The experiment")
    page.code(bibtex(run), "What to cite")


def _metric(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4g}"
