"""Reports of :mod:`neurolrnn.chips.check` as text and Markdown."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from neurolrnn.tables import markdown_table, text_table
from neurolrnn_hardware.cost import CostItem, span
from neurolrnn_hardware.findings import Finding
from neurolrnn_hardware.placement import Placement
from neurolrnn_hardware.sheet_fields import GRADES
from neurolrnn_hardware.verdict import Resource

if TYPE_CHECKING:
    from neurolrnn.chips.check import Report

VERDICTS = {True: "fits", False: "does not fit", None: "not known"}
"""What each value of ``fits`` says."""
_HEADS = {
    "exceeded": "Does not fit", "disputed": "Texts disagree", "not known": "Not known", "assumed": "Assumed to hold",
}  # fmt: skip
_RESOURCE = ("limit", "used", "available", "share", "of", "source", "grade")
WIDTH = 79
"""Of lines in a terminal."""
_SHOWN = 12
"""Groups of cores that a report shows."""


def text(report: Report) -> str:
    """Return a report for a terminal."""
    parts = [_headline(report)]
    for status, head in _HEADS.items():
        found = report.verdict.of(status)
        if found:
            parts.append(f"{head}:\n" + "\n".join(_indent(_finding(f)) for f in found))
    parts.append("Used:\n" + text_table(_resources(report.resources), _RESOURCE, "lrrr", "  "))
    if report.placement.groups:
        parts.append("Cores:\n" + text_table(_groups(report.placement), _GROUP, "r", "  "))
    if report.placement.exponents:
        shown = ", ".join(f"{name} 2^{e}" for name, e in report.placement.exponents.items())
        parts.append(f"Shared exponents of weights: {shown}")
    if not report.inference:
        parts.append("Locality:\n" + _indent(report.locality.text().rstrip()))
    parts.append("Cost, of every synapse, neuron and message once a step:\n" + _indent(report.cost.text()))
    parts += _bullets("Notes", report.verdict.notes)
    parts += _bullets("Not captured by the model", report.chip.not_modelled)
    sources = [f"{key}: {line}" for key, line in used_sources(report).items()]
    parts += _bullets("Sources", sources)
    grades = "\n".join(f"  {grade}: {meaning}" for grade, meaning in GRADES.items())
    return "\n\n".join([*parts, f"Grades:\n{grades}"])


def markdown(report: Report) -> str:
    """Return a report in Markdown, every reference linked to its source."""
    sources = used_sources(report)
    head, *rest = _headline(report).split("\n")
    parts = [f"# {head}", *([" ".join(rest)] if rest else [])]
    if report.findings:
        rows = [
            [
                _HEADS[f.status],
                f"`{f.limit}`",
                f.what,
                f.asked,
                f.allowed,
                _linked(f.source, sources),
                f.grade,
                f.remedy,
            ]
            for f in report.findings
        ]
        header = ["", "limit", "what", "asked", "allowed", "source", "grade", "way out"]
        parts.append("## Findings\n\n" + markdown_table(rows, header))
    rows = [[f"`{r[0]}`", *r[1:5], _linked(r[5], sources), r[6]] for r in _resources(report.resources)]
    parts.append("## Used\n\n" + markdown_table(rows, _RESOURCE, "lrrr"))
    if report.placement.groups:
        parts.append("## Cores\n\n" + markdown_table(_groups(report.placement), _GROUP, "r"))
    if not report.inference:
        parts.append("## Locality\n\n" + report.locality.markdown().rstrip())
    items = [
        [i.what, span(i.count, ""), _energy(i), _linked(i.source, sources), i.grade] for i in report.cost.items
    ]  # fmt: skip
    costs = markdown_table(items, ["a step", "count", "energy", "source", "grade"])
    step = "unknown" if report.cost.step_us is None else span(report.cost.step_us, "us")
    parts.append(f"## Cost\n\n{costs}\n\nEnergy a step: {span(report.cost.energy_pj, 'pJ')}. Time of a step: {step}.")
    for title, lines in (("Notes", report.verdict.notes), ("Not captured by the model", report.chip.not_modelled)):
        if lines:
            parts.append(f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines))
    listed = [[f'<a id="source-{key}"></a>{key}', line] for key, line in sources.items()]
    parts.append("## Sources\n\n" + markdown_table(listed, ["key", "source"]))
    parts.append(markdown_table([[g, m] for g, m in GRADES.items()], ["grade", "meaning"]))
    return "\n\n".join(parts) + "\n"


def overview(reports: Sequence[Report], style: str = "text") -> str:
    """Return a table of several chips: verdict, and the limits behind it."""
    rows = [(r.chip.key, VERDICTS[r.fits], *map(", ".join, _behind(r)), _fullest(r.resources)) for r in reports]
    if style == "markdown":
        header = ("chip", "verdict", "limits exceeded", "limits not known or disputed", "most used")
        return markdown_table([[cell or "-" for cell in row] for row in rows], header)
    short = text_table([(chip, verdict, used) for chip, verdict, _, _, used in rows], ("chip", "verdict", "most used"))
    lines = [short, ""]
    for chip, _, exceeded, unknown, _ in rows:  # beneath the table: lists in columns would not fit a terminal
        for what, limits in (("exceeded", exceeded), ("not known or disputed", unknown)):
            if limits:
                lines.append(textwrap.fill(f"{chip}: {what}: {limits}", WIDTH, subsequent_indent="  "))
    return "\n".join(lines).rstrip()


def _behind(report: Report) -> tuple[list[str], list[str]]:
    """Return the limits that are exceeded, and those that nobody knows or texts disagree about."""
    found = (report.verdict.of("exceeded"), report.verdict.of("not known", "disputed"))
    return [f.limit for f in found[0]], [f.limit for f in found[1]]


def used_sources(report: Report) -> dict[str, str]:
    """Return the sources that the report refers to, by key."""
    lines = [f.source for f in report.findings] + [r.source for r in report.resources]
    lines += [i.source for i in report.cost.items] + [report.cost.step_source, *(f.allowed for f in report.findings)]
    words = {word.strip(";|()") for line in lines for word in line.split()}
    return {key: line for key, line in report.sources.items() if key in words}


def _headline(report: Report) -> str:
    verdict = VERDICTS[report.fits]
    alone = ", the network alone" if report.inference else ""
    lines = [f"{report.chip.name} ({report.chip.key}): {verdict}"]
    d, s = report.demand, report.demand.sizes
    lines.append(
        f"{report.experiment.where}{alone}: {d.rule}, {d.storage}, {s.n_in}-{s.n_rec}-{s.n_out}, {d.precision}, "
        f"{d.bits() / 8192:,.1f} KiB between steps"
    )
    if report.fits is None:
        lines.append("No published limit is exceeded, but not all limits are known; assume 'unknown' lifts those.")
    if report.assume:
        lines.append(f"assumed: {', '.join(report.assume)}")
    return "\n".join(lines)


def _finding(f: Finding) -> str:
    lines = [f"{f.limit}: {f.what}", f"  asked {f.asked}; allowed {f.allowed}"]
    lines.append(f"  source {f.source} (grade {f.grade}){f'; {f.note}' if f.note else ''}")
    return "\n".join([*lines, *([f"  way out: {f.remedy}"] if f.remedy else [])])


def _resources(resources: Iterable[Resource]) -> list[list[str]]:
    return [
        [r.limit, f"{r.used:,}", _available(r), _share(r), r.where, r.source, r.grade] for r in resources
    ]  # fmt: skip


def _available(r: Resource) -> str:
    if r.available is None:
        return "not known"
    return "no limit" if math.isinf(r.available) else f"{r.available:,.12g} {r.unit}"


def _share(r: Resource) -> str:
    return "" if r.share is None or r.available == math.inf else f"{100 * r.share:.1f} %"


def _fullest(resources: Iterable[Resource]) -> str:
    known = [r for r in resources if r.share is not None and r.available != math.inf]
    if not known:
        return "-"
    most = max(known, key=lambda r: r.share or 0.0)
    return f"{most.limit} {_share(most)}"


_GROUP = ("cores", "neurons in each", "used in each")


def _groups(placement: Placement) -> list[list[str]]:
    rows = [
        [
            f"{g.cores:,}", ", ".join(f"{k:,} {name}" for name, k in g.neurons.items()),
            ", ".join(f"{limit.split('.')[1]} {used:,}" for limit, used in g.used.items()),
        ]
        for g in placement.groups[:_SHOWN]
    ]  # fmt: skip
    left = placement.groups[_SHOWN:]
    return [*rows, [f"{sum(g.cores for g in left):,}", "others", ""]] if left else rows


def _energy(item: CostItem) -> str:
    return "unknown" if item.energy_pj is None else span(item.energy_pj, "pJ")


def _linked(source: str, sources: dict[str, str]) -> str:
    out = []
    for part in source.replace(" | ", "; ").split("; "):
        key, _, at = part.partition(" ")
        out.append(f"[{key}](#source-{key}) {at}".strip() if key in sources else part)
    return "; ".join(out)


def _bullets(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:\n" + "\n".join(f"  {line}" for line in lines)] if lines else []


def _indent(lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines.split("\n"))
