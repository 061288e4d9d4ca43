"""The page of a check: an experiment beside the limits of a chip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from neurolrnn.chips.check import Report
from neurolrnn.reports import charts
from neurolrnn.reports.page import Cell, Page

VERDICTS = {True: ("fits", "good"), False: ("does not fit", "bad"), None: ("not known", "")}


def check_page(report: Report) -> Page:
    """Return the page of a check."""
    said = report.to_dict()
    word, kind = VERDICTS[report.fits]
    page = Page(f"{said['experiment']} on {said['name']}", ", ".join(said["assume"]) and f"assumed: {said['assume']}")
    page.cards([("verdict", word, kind), ("findings", str(len(said["findings"])), "bad" if said["findings"] else "")])
    page.heading("Findings")
    if said["findings"]:
        keys = list(said["findings"][0])
        page.table([[str(f[k]) for k in keys] for f in said["findings"]], [k.replace("_", " ") for k in keys])
    else:
        page.text("No limit is broken, and none that counts is unknown.")
    page.heading("Utilisation")
    used = [r for r in report.resources if r.share is not None]
    if used:
        bars = [(r.limit, 100.0 * float(r.share or 0), _words(r.to_dict())) for r in used]
        page.chart(charts.bars(bars, "used", "Share of each limit that is used.", unit="%"))
    rows = [r.to_dict() for r in report.resources]
    if rows:
        page.table([[_cell(k, r[k]) for k in rows[0]] for r in rows], [k.replace("_", " ") for k in rows[0]])
    page.heading("Locality")
    page.text("What the update of each synapse reads.")
    page.table(report.locality.rows(), ["synapse", "update", "reads, local", "reads, not local"])
    page.heading("Cost")
    page.code(json.dumps(said["cost"], indent=1, ensure_ascii=False), "Time and energy of a step")
    page.heading("What the model leaves out")
    for line in said["not_modelled"]:
        page.text(line)
    page.heading("Sources")
    page.table([[k, v] for k, v in said["sources"].items()], ["key", "source"])
    return page


def _cell(name: str, value: object) -> Cell:
    return f"{100 * value:.3g} %" if name == "share" and isinstance(value, float) else cast("Cell", value)


def _words(resource: Mapping[str, object]) -> str:
    return ", ".join(f"{k} {v}" for k, v in resource.items() if v not in (None, "") and k not in ("limit", "share"))
