"""One HTML page that holds everything it shows: text, tables, charts, and what draws them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from neurolrnn.atomic import write_text
from neurolrnn.errors import InputError
from neurolrnn.reports.charts import Chart

Cell = str | int | float | bool | None
NO_CHARTS = "charts need a package more: pip install vl-convert-python"


class Page:
    """A page under construction. What is given as text is escaped; nothing of it is read as HTML."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title, self.subtitle = title, subtitle
        self._parts: list[str] = []
        self._charts = 0

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str, kind: str = "") -> None:
        """Add a paragraph."""
        self._parts.append(f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>")

    def cards(self, cards: Iterable[tuple[str, str, str]]) -> None:
        """Add figures to be seen at once: name, value, and ``"good"``, ``"bad"`` or nothing."""
        items = (f'<li><b class="{kind}">{escape(v)}</b><span>{escape(k)}</span></li>' for k, v, kind in cards)
        self._parts.append(f'<ul class="cards">{"".join(items)}</ul>')

    def table(self, rows: Sequence[Sequence[Cell]], header: Sequence[str], caption: str = "") -> None:
        """Add a table."""
        self._parts.append(_table(rows, header, caption))

    def code(self, text: str, summary: str) -> None:
        """Add text as it stands, folded."""
        self._parts.append(f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>")

    def chart(self, chart: Chart) -> None:
        """Add a chart with its numbers, folded, beneath it."""
        name = f"chart{self._charts}"
        self._charts += 1
        spec = json.dumps(_finite(chart.spec), ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
        log = (
            f'<label><input type="checkbox" id="{name}-log"{" checked" if chart.log else ""}> logarithmic</label>'
            if chart.log is not None
            else ""
        )
        self._parts.append(
            f'<figure><figcaption id="{name}-text">{escape(chart.caption)}</figcaption>{log}'
            f'<div class="chart" data-spec="{name}" role="img" aria-labelledby="{name}-text"></div>'
            f'<script type="application/json" id="{name}">{spec}</script>'
            f"<details><summary>Numbers</summary>{_table(chart.rows, chart.header)}</details></figure>"
        )

    def html(self) -> str:
        """Return the whole page.

        Raises
        ------
        InputError
            If there are charts, and what draws them is not installed.
        """
        own = resources.files("neurolrnn.reports")
        css, js = ((own / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
        scripts = f"<script>{_bundle()}</script><script>{js}</script>" if self._charts else ""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
            f"<title>{escape(self.title)}</title><style>{css}</style></head>\n<body><header>"
            f'<h1>{escape(self.title)}</h1><p class="soft">{escape(self.subtitle)}</p></header>\n'
            f"<main>{chr(10).join(self._parts)}</main>\n{scripts}</body></html>\n"
        )

    def write(self, path: str | Path) -> Path:
        """Write the page in one move and return its path.

        Raises
        ------
        WriteError
            If it cannot be written; nothing is changed then.
        """
        return write_text(path, self.html())


def _bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    try:
        import vl_convert
    except ImportError:
        raise InputError(NO_CHARTS) from None
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version="6.1")
    return script.replace("</script", "<\\/script")


def _table(rows: Sequence[Sequence[Cell]], header: Sequence[str], caption: str = "") -> str:
    top = "".join(f'<th scope="col">{escape(h)}</th>' for h in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    inside = f"{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    kind = ' class="wide"' if len(header) > 5 else ""
    return f'<div class="scroll" tabindex="0"><table{kind}>{inside}</table></div>'


def _cell(value: Cell) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, int | float):
        return f'<td class="number">{format(value, ",") if isinstance(value, int) else format(value, ".5g")}</td>'
    return f"<td>{escape(str(value))}</td>"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
