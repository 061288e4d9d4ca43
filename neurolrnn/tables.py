"""Tables in plain text and markdown, and the table of rules made from :data:`neurolrnn.rules.RULES`."""

from __future__ import annotations

import inspect
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from neurolrnn.errors import choose
from neurolrnn.rules import RULES


def width(text: str) -> int:
    """Count the terminal columns ``text`` takes: combining marks none, East Asian wide characters two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )  # fmt: skip


def _pad(text: str, columns: int, align: str) -> str:
    space = " " * (columns - width(text))
    return space + text if align == "r" else text + space


def _prepare(
    rows: Iterable[Sequence[object]], header: Sequence[str] | None, align: str
) -> tuple[list[list[str]], list[int], str]:
    cells = [[str(cell) for cell in row] for row in ([header] if header else []) + list(rows)]
    columns = max((len(row) for row in cells), default=0)
    cells = [row + [""] * (columns - len(row)) for row in cells]
    widths = [max(width(row[c]) for row in cells) for c in range(columns)]
    return cells, widths, align.ljust(columns, "l")


def text_table(
    rows: Iterable[Sequence[object]], header: Sequence[str] | None = None, align: str = "", indent: str = ""
) -> str:
    """Lay out rows in columns two spaces apart.

    Parameters
    ----------
    rows : iterable of sequences
        Cells; anything with a ``str``.
    header : sequence of str, optional
        First line, underlined.
    align : str
        One of ``l`` and ``r`` per column; missing ones are ``l``.
    indent : str
        Put before each line.

    Returns
    -------
    str
        Lines without a line end after the last one.
    """
    cells, widths, align = _prepare(rows, header, align)
    if header:
        cells.insert(1, ["-" * w for w in widths])
    lines = ("  ".join(_pad(cell, w, a) for cell, w, a in zip(row, widths, align, strict=True)) for row in cells)
    return "\n".join((indent + line).rstrip() for line in lines)


def markdown_table(rows: Iterable[Sequence[object]], header: Sequence[str], align: str = "") -> str:
    """Lay out rows as a markdown table, padded so that the source reads as a table too.

    Parameters
    ----------
    rows, header, align
        As for :func:`text_table`; the header is needed here.
    """
    escaped = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in [header, *rows]]
    cells, widths, align = _prepare(escaped[1:], escaped[0], align)
    widths = [max(w, 3) for w in widths]
    cells.insert(1, ["-" * (w - 1) + (":" if a == "r" else "-") for w, a in zip(widths, align, strict=True)])
    return "\n".join(
        "| " + " | ".join(_pad(cell, w, a) for cell, w, a in zip(row, widths, align, strict=True)) + " |"
        for row in cells
    )  # fmt: skip


def rules_rows() -> list[dict[str, str]]:
    """Return one dict per learning rule, every value as it stands in the rule's class."""
    return [
        {
            "name": name,
            "title": rule.title,
            "update": rule.update,
            "reads": rule.local or "nothing",
            "words": rule.words,
            "work": rule.work,
            "updates": "every step or episode" if rule.online else "episode",
            "source": rule.source,
        }
        for name, rule in RULES.items()
    ]


_RULE_HEADINGS = {
    "name": "name",
    "title": "rule",
    "update": "ΔW at step t",
    "reads": "a synapse must also read",
    "words": "words stored beyond the weights",
    "work": "extra MACs per step",
    "updates": "updates",
    "source": "source",
}


def rules_table(style: Literal["text", "markdown"] = "text") -> str:
    """Return the table of learning rules.

    Parameters
    ----------
    style : str
        ``"markdown"`` is one table; ``"text"`` is cut in three, so that it fits a terminal.
    """
    choose("style", style, ("text", "markdown"))
    rows = rules_rows()

    def cut(keys: Sequence[str]) -> tuple[list[list[str]], list[str]]:
        return [[row[key] for key in keys] for row in rows], [_RULE_HEADINGS[key] for key in keys]

    if style == "markdown":
        quoted = [{**row, "name": f"`{row['name']}`", "update": f"`{row['update']}`"} for row in rows]
        return markdown_table([[row[key] for key in _RULE_HEADINGS] for row in quoted], list(_RULE_HEADINGS.values()))
    parts = (("name", "title", "updates", "words", "work"), ("name", "update"), ("name", "reads", "source"))
    return "\n\n".join(text_table(*cut(keys)) for keys in parts)


def tasks_rows() -> list[dict[str, Any]]:
    """Return one dict per task: name, summary, source, and its options with type, default and meaning."""
    from neurolrnn.tasks import TASKS, describe  # here, since tables are also used where no task is

    rows = []
    for name, recipe in TASKS.items():
        options = []
        for option in describe.options(recipe.make):
            needed = option.default is inspect.Parameter.empty
            options.append(
                {
                    "name": option.name,
                    "type": option.kind,
                    "required": needed,
                    "default": None if needed else option.default,
                    "meaning": option.meaning,
                }
            )
        rows.append({"name": name, "summary": recipe.summary, "source": recipe.source, "options": options})
    return rows


def tasks_table() -> str:
    """Return the tasks and the names of their options, in plain text."""
    rows = tasks_rows()
    main = text_table([[row["name"], row["summary"], row["source"]] for row in rows], ("name", "task", "source"))
    parts = []
    for row in rows:
        shown = [o["name"] if o["required"] else f"{o['name']}={_default(o['default'])}" for o in row["options"]]
        parts.append([row["name"], textwrap.wrap(", ".join(shown), 88, break_on_hyphens=False)])
    lines = [[name if i == 0 else "", line] for name, wrapped in parts for i, line in enumerate(wrapped)]
    return main + "\n\n" + text_table(lines, ("name", "options and their defaults"))


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return str(list(value)).replace(" ", "")
    return "unset" if value is None else str(value)
