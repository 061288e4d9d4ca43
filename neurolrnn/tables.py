"""Tables in plain text and markdown, and those made from the tables of rules, tasks and number formats."""

from __future__ import annotations

import inspect
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Literal

from neurolrnn.errors import choose
from neurolrnn.precision import PARENTS, PRESETS, STEPS, Precision
from neurolrnn.rules import RULES
from neurolrnn.terminal import COLUMNS
from neurolrnn_kernels.formats import OVERFLOWS, ROUNDINGS


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
    """Lay out rows in columns two spaces apart; in a terminal (:data:`~neurolrnn.terminal.COLUMNS`) long cells wrap.

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
    columns = COLUMNS.get()
    if columns is not None:
        widths = _narrowed(cells, widths, columns - len(indent))
    lines = [line for row in cells for line in _wrapped(row, widths)]
    if header:
        lines.insert(len(list(_wrapped(cells[0], widths))), ["-" * w for w in widths])
    texts = ("  ".join(_pad(cell, w, a) for cell, w, a in zip(line, widths, align, strict=True)) for line in lines)
    return "\n".join((indent + text).rstrip() for text in texts)


def _narrowed(cells: list[list[str]], widths: list[int], columns: int) -> list[int]:
    """Take from the widest columns until all fit, but from none below its longest word."""
    least = [max(map(width, " ".join(row[c] for row in cells).split()), default=0) for c in range(len(widths))]
    found = list(widths)
    for _ in range(sum(widths) + 2 * (len(widths) - 1) - columns):
        widest = max((c for c in range(len(found)) if found[c] > least[c]), key=lambda c: found[c], default=None)
        if widest is None:
            break
        found[widest] -= 1
    return found


def _wrapped(row: list[str], widths: list[int]) -> Iterable[list[str]]:
    """Return the lines that a row takes."""
    parts = [
        [cell] if width(cell) <= w else textwrap.wrap(cell, w, break_long_words=False, break_on_hyphens=False)
        for cell, w in zip(row, widths, strict=True)
    ]
    return (list(line) for line in zip_longest(*parts, fillvalue=""))


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


ROUNDING_WORDS = {
    "floor": ("TRN", "towards -∞: a shift to the right"),
    "nearest": ("RND", "to the nearest, ties towards +∞"),
    "nearest-even": ("RND_CONV", "to the nearest, ties to the even code"),
    "toward-zero": ("TRN_ZERO", "towards 0"),
    "stochastic": ("SR", "up with a probability equal to the part dropped, else down: right on average"),
    "lsb-stochastic": ("", "updates only: one LSB with a probability equal to the update, else nothing"),
}
"""Other name and meaning of each rounding."""
OVERFLOW_WORDS = {"saturate": ("SAT", "to the nearest end of the range"), "wrap": ("WRAP", "modulo 2^width")}
"""Other name and meaning of each overflow."""
_PRESET_OPTIONS = (
    "rounding", "update_rounding", "overflow", "accumulator", "hidden", "decay_bits", "rate_bits", "noise",
    "random_bits",
)  # fmt: skip


def formats_rows() -> dict[str, Any]:
    """Return presets, variables, roundings and overflows as plain data, every format as a run would use it."""
    presets = []
    for name in PRESETS:
        precision = Precision.preset(name)
        row: dict[str, Any] = {"name": name, "fixed_point": precision.is_fixed}
        if precision.is_fixed:
            row["formats"] = {variable: str(precision.landing(variable).format) for variable in PARENTS}
            row["own"] = list(precision.formats)
            row |= {key: getattr(precision, key) for key in _PRESET_OPTIONS}
            row["update_rounding"] = precision.update_rounding or precision.rounding
        presets.append(row)
    variables = [{"name": name, "follows": parent} for name, parent in PARENTS.items()]
    variables += [{"name": name, "follows": "its learning rate"} for name in STEPS]

    def modes(known: Iterable[str], words: dict[str, tuple[str, str]]) -> list[dict[str, str | None]]:
        return [{"name": name, "other_name": words[name][0] or None, "meaning": words[name][1]} for name in known]

    return {
        "presets": presets,
        "variables": variables,
        "roundings": modes(ROUNDINGS, ROUNDING_WORDS),
        "overflows": modes(OVERFLOWS, OVERFLOW_WORDS),
    }


def formats_table(style: Literal["text", "markdown"] = "text") -> str:
    """Return the formats of every preset and the modes, as text for a terminal or as markdown.

    A format in brackets is not given by the preset but follows from another variable's.
    """
    choose("style", style, ("text", "markdown"))
    rows = formats_rows()
    table = markdown_table if style == "markdown" else text_table
    quote = (lambda word: f"`{word}`") if style == "markdown" else (lambda word: word)
    fixed = [preset for preset in rows["presets"] if preset["fixed_point"]]

    def cell(preset: dict[str, Any], variable: str) -> str:
        form = preset["formats"].get(variable, "")
        return form if variable in preset["own"] or not form else f"({form})"

    lines = [
        [quote(v["name"]), v["follows"] or "must be given", *(cell(preset, v["name"]) for preset in fixed)]
        for v in rows["variables"]
    ]
    for key in _PRESET_OPTIONS:
        lines.append([quote(key), "", *("-" if preset[key] is None else str(preset[key]) for preset in fixed)])
    names = [quote(preset["name"]) for preset in fixed]
    parts = [table(lines, ["precision", "follows", *names])]
    for kind in ("rounding", "overflow"):
        modes = [[quote(mode["name"]), mode["other_name"] or "", mode["meaning"]] for mode in rows[f"{kind}s"]]
        parts.append(table(modes, [kind, "other name", "meaning"]))
    return "\n\n".join(parts)
