"""Tables of chips, from their sheets."""

from __future__ import annotations

from typing import Any, Literal

from neurolrnn.errors import choose
from neurolrnn.tables import markdown_table, text_table
from neurolrnn_hardware import catalogue
from neurolrnn_hardware.chip import Chip
from neurolrnn_hardware.sheet_fields import GRADES, Fact

_HEADINGS = {
    "name": "name", "title": "chip", "neurons": "neurons", "weight": "weight bits", "state": "state bits",
    "messages": "messages", "learns": "learns", "figures": "figures A/B/C/U",
}  # fmt: skip
_Style = Literal["text", "markdown"]


def chips_rows() -> list[dict[str, Any]]:
    """Return one dict per chip of the catalogue: its main figures, and how many figures of each grade it has."""
    return [_row(catalogue.load(name)) for name in catalogue.names()]


def _row(chip: Chip) -> dict[str, Any]:
    grades = dict.fromkeys(GRADES, 0)
    for _, _, fact in chip.figures():
        if fact.stated:
            grades[fact.grade] += 1
    form, bits = chip.payload.form, chip.payload.bits
    return {
        "name": chip.key,
        "title": chip.name,
        "neurons": _neurons(chip),
        "weight": chip.weight.bits.value,
        "state": "analogue" if chip.state.analogue.value else chip.state.bits.value,
        "messages": form.value if form.value in (None, "binary") else f"{form.value}, {bits.value} bits",
        "learns": None if chip.learning.available.value is None else _learns(chip),
        "grades": grades,
        "figures": "/".join(str(grades[g]) for g in GRADES),
        "sources": dict(chip.sources),
        "not_modelled": list(chip.not_modelled),
    }


def _neurons(chip: Chip) -> int | None:
    t = chip.topology
    if t.neurons.value is not None or t.hidden.value is not None:
        return t.neurons.value if t.neurons.value is not None else t.hidden.value
    known = t.cores.value is not None and t.neurons_per_core.value is not None
    return (t.cores.value or 0) * (t.neurons_per_core.value or 0) if known else None


def _learns(chip: Chip) -> str:
    if not chip.learning.available.value:
        return "no"
    plastic = chip.learning.plastic.value
    return "yes" if plastic is None or len(plastic) > 1 else f"{plastic[0]} only"


def chips_table(style: _Style = "text") -> str:
    """Return the table of chips, ``-`` where a figure is not known."""
    choose("style", style, ("text", "markdown"))
    rows = [["-" if row[key] is None else row[key] for key in _HEADINGS] for row in chips_rows()]
    if style == "markdown":
        rows = [[f"[`{row[0]}`](#{row[0]})", *row[1:]] for row in rows]
        return markdown_table(rows, list(_HEADINGS.values()), "llrrr")
    return text_table(rows, list(_HEADINGS.values()), "llrrr")


def figures_markdown() -> str:
    """Return every figure of every chip in Markdown, each linked to its source."""
    return "\n\n".join(_figures(catalogue.load(name)) for name in catalogue.names())


def _figures(chip: Chip) -> str:
    rows = [[f"`{name}`", spec.meaning, *_cells(chip, fact)] for name, spec, fact in chip.figures() if fact.stated]
    rows += [[f"`notes.{topic}`", "", *_cells(chip, fact)] for topic, fact in chip.notes.items()]
    sources = [[f'<a id="{chip.key}-{key}"></a>{key}', text] for key, text in chip.sources.items()]
    parts = [
        f"## {chip.key}", f"{chip.name}. Placement: `{chip.placement}`.",
        markdown_table(rows, ["figure", "what it is", "value", "grade", "source", "note"]),
        markdown_table(sources, ["source", "in full"]),
    ]  # fmt: skip
    return "\n\n".join(parts)


def not_captured_markdown() -> str:
    """Return, for every chip, what the model does not capture, as a Markdown list."""
    parts = []
    for name in catalogue.names():
        chip = catalogue.load(name)
        parts.append("\n".join([f"- **{chip.name}** (`{name}`)", *(f"  - {line}" for line in chip.not_modelled)]))
    return "\n".join(parts)


def _cells(chip: Chip, fact: Fact[Any]) -> list[str]:
    figures = [fact, *fact.also]
    linked = []
    for f in figures:
        links = [f"[{r.key}](#{chip.key}-{r.key}) {r.at}".strip() for r in f.references]
        linked.append("; ".join(links) or "no source found")
    grades = "; ".join(dict.fromkeys(f.grade for f in figures))
    notes = "; ".join(f.note for f in figures if f.note)
    return [" or ".join(f.shown() for f in figures), grades, "<br>or ".join(linked), notes]
