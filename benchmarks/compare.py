"""Two files of results beside each other: what became slower or faster by more than its spread."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.clock import Spread, spread
from benchmarks.report import label, number
from benchmarks.results import Results, Row
from neurolrnn.tables import markdown_table

NOTABLE = 0.05
"""Changes below this share are not flagged, however small the spread."""
HIGH_IS_GOOD = ("GB/s", "GMAC/s")


@dataclass(frozen=True)
class Change:
    """One row in both files."""

    row: Row
    old: Spread
    new: Spread

    @property
    def ratio(self) -> float:
        """New median over old."""
        return self.new.median / self.old.median if self.old.median else float("inf")

    @property
    def flag(self) -> str:
        """``"slower"``, ``"faster"``, ``"more"`` or ``"less"`` (memory), if beyond spread and :data:`NOTABLE`."""
        apart = self.new.low > self.old.high or self.new.high < self.old.low
        if not apart or abs(self.ratio - 1.0) < NOTABLE:
            return ""
        if self.row.unit == "MB":
            return "more" if self.ratio > 1.0 else "less"
        return "slower" if (self.ratio > 1.0) != (self.row.unit in HIGH_IS_GOOD) else "faster"


def changes(old: Results, new: Results) -> list[Change]:
    """Return what was measured in both."""
    before = {row.key: row for row in old.rows if row.status == "ok"}
    return [
        Change(row, spread(before[row.key].samples), spread(row.samples))
        for row in new.rows
        if row.status == "ok" and row.key in before
    ]


def _where(row: Row) -> str:
    return label(row.size) if "n" in row.size else ""


def compare(old: Results, new: Results, everything: bool = False) -> str:
    """Return a table of the changes beyond spread, or of all rows, and what only one file has."""
    found = changes(old, new)
    lines = []
    if old.machine.get("processor") != new.machine.get("processor"):
        lines.append(
            f"Another machine: {old.machine.get('processor')} and {new.machine.get('processor')}; compare ratios "
            f"within each file instead."
        )
    for name in ("numpy", "numba", "jax", "torch"):
        pair = [r.machine.get("versions", {}).get(name) for r in (old, new)]
        if pair[0] != pair[1]:
            lines.append(f"Another {name}: {pair[0]} and {pair[1]}.")
    body = [
        [c.row.section, c.row.family, c.row.who, c.row.name, _where(c.row), f"{number(c.old.median)} {c.row.unit}",
         number(c.new.median), f"{c.ratio:.2f}", c.flag]
        for c in found
        if everything or c.flag
    ]  # fmt: skip
    head = ["section", "family", "who", "what", "size", "old", "new", "new / old", ""]
    flags = [c.flag for c in found]
    counts = ", ".join(f"{flags.count(f)} {f}" for f in ("slower", "faster", "more", "less") if f in flags)
    lines.append(f"{len(found)} rows in both files: {counts or 'none differs'} beyond its spread.")
    if body:
        lines.append(markdown_table(body, head, "lllllrrrl"))
    keys = [{row.key for row in r.rows if row.status == "ok"} for r in (old, new)]
    for which, only in (("the old", keys[0] - keys[1]), ("the new", keys[1] - keys[0])):
        if only:
            lines.append(f"{len(only)} rows are in {which} file only.")
    return "\n\n".join(lines)
