"""TOML as text: read with errors that name file and line, changed by ``key=value``, written."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from neurolrnn.errors import InputError
from neurolrnn_hardware import plain_toml

_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def read(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        If there is no such file (with the nearest name beside it), or it is not TOML (with line and column).
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        beside = [p.name for p in file.parent.glob("*.toml")] if file.parent.is_dir() else []
        close = difflib.get_close_matches(file.name, beside, n=1)
        hint = f"; did you mean {file.with_name(close[0])}?" if close else ""
        raise InputError(f"there is no experiment file {file}{hint}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not a text file in UTF-8 (byte {error.start}); an experiment is TOML text") from None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    return parse(text, str(file))


def parse(text: str, where: str) -> dict[str, Any]:
    """Parse TOML; errors name ``where``, the line and what stands there."""
    try:
        return plain_toml.loads(text)
    except plain_toml.TextError as error:
        message = str(error)
        place, lines = _PLACE.search(message), text.split("\n")
        at, shown = "", ""
        if place:
            at = f", line {max(len(text.splitlines()), 1)} (the end)"
        if place and place["line"]:
            number = int(place["line"])
            at = f", line {number}, column {place['column']}"
            shown = f": {lines[number - 1].strip()!r}" if number <= len(lines) else ""
        raise InputError(f"{where}{at}: {_PLACE.sub('', message)}{shown}") from None


def value(text: str) -> Any:
    """Read one TOML value as typed on a command line; what is not TOML is taken as a string."""
    try:
        parsed = plain_toml.loads(f"value = {text}")
    except plain_toml.TextError:
        return text
    return parsed["value"] if set(parsed) == {"value"} else text


def override(tables: Mapping[str, Any], settings: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """Return a copy of ``tables`` with ``table.key=value`` settings put in, and the keys that were set.

    Raises
    ------
    InputError
        If a setting has no ``=`` or no key, or goes through something that is not a table.
    """
    result = {key: dict(part) if isinstance(part, Mapping) else part for key, part in tables.items()}
    keys = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not equals or not all(path):
            raise InputError(
                f"--set {setting}: a key and a value are needed, such as --set training.epochs=10; "
                f"the name of a file goes in front of --set"
            )
        here = result
        for depth, part in enumerate(path[:-1], 1):
            inner = here.setdefault(part, {})
            if not isinstance(inner, dict):
                raise InputError(
                    f"--set {setting}: {'.'.join(path[:depth])} = {inner!r} is not a table; set it as a whole, such as "
                    f"--set '{'.'.join(path[:depth])}={{ {'.'.join(path[depth:])} = {text} }}'"
                )
            here[part] = inner = dict(inner)
            here = inner
        here[path[-1]] = value(text.strip())
        keys.append(".".join(path))
    return result, keys


def dumps(tables: Mapping[str, Any]) -> str:
    """Write plain data as TOML: plain keys first, then one table each. Keys whose value is None are left out."""
    lines = [f"{_key(k)} = {inline(v)}" for k, v in tables.items() if v is not None and not isinstance(v, Mapping)]
    for name, table in tables.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{_key(name)}]"] if lines else [f"[{_key(name)}]"]
            lines += [f"{_key(k)} = {inline(v)}" for k, v in table.items() if v is not None]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else inline(name)


def inline(part: Any) -> str:
    """Return one value as TOML writes it within a line; :func:`value` reads it back."""
    if isinstance(part, bool):
        return "true" if part else "false"
    if isinstance(part, int | float):
        return repr(part)
    if isinstance(part, str):
        return json.dumps(part, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one escape JSON does not ask for
    if isinstance(part, Mapping):
        inner = ", ".join(f"{_key(k)} = {inline(v)}" for k, v in part.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(part, list | tuple):
        return f"[{', '.join(inline(v) for v in part)}]"
    raise InputError(f"{part!r} is a {type(part).__name__}; TOML holds booleans, numbers, text, lists and tables")
