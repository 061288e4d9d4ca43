"""The table of targets as plain data, as text for a terminal and as markdown."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any, Literal

from neurolrnn.errors import choose
from neurolrnn.exports.target import ASPECTS, TARGETS
from neurolrnn.tables import markdown_table, text_table


def targets_rows() -> list[dict[str, Any]]:
    """Return one dict per target: name, title, what is written, who loads it, what survives, options with defaults."""
    return [
        {
            "name": name,
            "title": target.title,
            "writes": "folder" if target.is_folder else target.suffix,
            "loaded_by": target.loaded_by,
            "holds": dict(target.holds),
            "options": {k: None if v is inspect.Parameter.empty else v for k, v in target.options().items()},
        }
        for name, target in TARGETS.items()
    ]


def targets_table(style: Literal["text", "markdown"] = "text") -> str:
    """Return targets and what survives of a network in each.

    Parameters
    ----------
    style : str
        ``"markdown"`` is one table; ``"text"`` is cut in parts, so that it fits a terminal, and has the options.
    """
    choose("style", style, ("text", "markdown"))
    rows = targets_rows()
    heads = list(ASPECTS.values())
    if style == "markdown":
        cells = [[f"`{r['name']}`", r["title"], r["loaded_by"], *(r["holds"][a] for a in ASPECTS)] for r in rows]
        return markdown_table(cells, ["target", "what it is", "loaded by", *heads])
    what = text_table([[r["name"], r["title"], r["writes"], r["loaded_by"]] for r in rows],
                      ("target", "what it is", "writes", "loaded by"))  # fmt: skip
    holds = text_table([[r["name"], *(r["holds"][a] for a in ASPECTS)] for r in rows], ("target", *heads))
    lines = []
    for r in rows:
        shown = ", ".join(f"{k}={_default(v)}" for k, v in r["options"].items())
        wrapped = textwrap.wrap(shown, 88, break_on_hyphens=False) or ["none"]
        lines += [[r["name"] if i == 0 else "", line] for i, line in enumerate(wrapped)]
    return "\n\n".join([what, holds, text_table(lines, ("target", "options and their defaults"))])


def _default(value: Any) -> str:
    return "unset" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
