"""The page of a profile."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from neurolrnn.profiles.cases import choose_metric, value_of
from neurolrnn.profiles.result import Profile
from neurolrnn.profiles.row import Row, shown
from neurolrnn.reports import charts
from neurolrnn.reports.page import Page


def profile_page(profile: Profile, metric: str | None = None) -> Page:
    """Return the page of a profile; ``metric`` is chosen as in its table if it is not given."""
    rows = profile.rows
    done = [row for row in rows if row.status == "completed"]
    axes = list(profile.axes)
    what = choose_metric(rows, metric)
    said = profile.experiment
    page = Page(f"Profile of {said.rule.name} on {said.task['name']}", ", ".join(axes))
    lost = [row for row in rows if row.status == "diverged"]
    page.cards(
        [
            ("status", profile.status, "good" if profile.status == "completed" else "bad"),
            ("runs", f"{len(rows):,} of {profile.wanted:,}", ""),
            ("diverged", f"{len(lost):,}", "bad" if lost else ""),
            ("not possible", f"{len(profile.failed):,}", ""),
            ("seconds of runs", f"{sum(row.seconds for row in rows):.3g}", ""),
        ]
    )
    page.heading("Every run")
    if done:
        data = [{**_settings(row, axes), "seed": row.seed, "value": value_of(row, what)} for row in done]
        page.chart(
            charts.scatter(data, axes, what.name, f"{what.name} of each run; choose what is across and what coloured.")
        )
    numbers = [axis for axis in axes if len({_settings(row, axes)[axis] for row in rows}) > 1]
    if len(numbers) >= 2 and done:
        a, b = numbers[:2]
        cells: dict[tuple[str, str], list[float]] = {}
        for row in done:
            s = _settings(row, axes)
            cells.setdefault((s[a], s[b]), []).append(value_of(row, what))
        found = [(x, y, median(v), f"median of {len(v)} runs") for (x, y), v in cells.items()]
        page.chart(charts.heat(found, a, b, what.name, f"Median of {what.name} over everything else."))
    _losses(page, rows, axes)
    page.heading("Numbers")
    page.code(profile.table(metric), "Median and spread over seeds")
    if lost or profile.failed:
        page.table([[row.key, row.seed, row.message] for row in [*lost, *profile.failed]], ["settings", "seed", "why"])
    page.heading("Where it comes from")
    if rows:
        page.table([[k, v] for k, v in rows[0].versions.items()], ["", ""])
    page.code(json.dumps(said.to_dict(), indent=1, ensure_ascii=False), "The experiment")
    return page


def _settings(row: Row, axes: list[str]) -> dict[str, str]:
    return {axis: shown(row.settings.get(axis)) for axis in axes}


def _losses(page: Page, rows: list[Row], axes: list[str]) -> None:
    """Show dead updates and overflows, where runs were in fixed point."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        for name, c in (row.saturation or {}).items():
            if c.get("updates"):
                key = f"{', '.join(_settings(row, axes).values())}: {name}"
                found.setdefault(key, []).append(100 * c["dead_updates"] / c["updates"])
    if found:
        page.heading("Dead updates")
        bars = [(name, median(v), f"median of {len(v)} seeds") for name, v in list(found.items())[:60]]
        page.chart(charts.bars(bars, "dead updates", "Share of updates that are not 0 and round to 0.", unit="%"))
