"""What the options of a task mean: read from its generator, so that code, docs and help cannot disagree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Option(NamedTuple):
    """One option of a task."""

    name: str
    kind: str
    default: Any
    """``inspect.Parameter.empty`` where the option must be given; None where its meaning says what is used."""
    meaning: str


def options(make: Callable[..., Any]) -> list[Option]:
    """Return the options of a generator, in the order of its signature, with the meaning its docstring gives.

    Options that the docstring explains together (``a, b : int``) share their meaning.
    """
    explained = _explained(inspect.getdoc(make) or "")
    found = []
    for name, parameter in inspect.signature(make).parameters.items():
        kind, meaning = explained.get(name, ("", ""))
        found.append(Option(name, kind, parameter.default, meaning))
    return found


def markdown(make: Callable[..., Any]) -> str:
    """Return the options of a generator as a markdown table; options explained together share a row."""
    rows: list[tuple[list[Option], str]] = []
    for option in options(make):
        if rows and rows[-1][1] == option.meaning:
            rows[-1][0].append(option)
        else:
            rows.append(([option], option.meaning))
    lines = ["| option | type | default | meaning |", "|---|---|---|---|"]
    for members, meaning in rows:
        names = ", ".join(f"`{o.name}`" for o in members)
        defaults = list(dict.fromkeys(_default(o.default) for o in members))
        defaults = defaults if len(defaults) == 1 else [_default(o.default) for o in members]
        lines.append(f"| {names} | {members[0].kind} | {', '.join(defaults)} | {_cell(meaning)} |")
    return "\n".join(lines)


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "must be given"
    if value is None:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def _cell(text: str) -> str:
    parts = re.sub(r":\w+:`([^`]+)`", r"`\1`", text.replace("``", "`")).replace("|", "\\|").split("`")
    return "`".join(part if i % 2 else part.replace("*", "\\*") for i, part in enumerate(parts))  # odd: code


def _explained(doc: str) -> dict[str, tuple[str, str]]:
    """Return type and meaning of each name in the Parameters section of a numpydoc docstring."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)", doc, re.MULTILINE | re.DOTALL)
    found: dict[str, tuple[str, str]] = {}
    for entry in re.finditer(r"^(\w[\w, ]*) : ([^\n]+)\n((?:[ ]+[^\n]*\n?|\n)*)", section[1] if section else "", re.M):
        meaning = " ".join(entry[3].split())
        found |= {name.strip(): (entry[2], meaning) for name in entry[1].split(",")}
    return found
