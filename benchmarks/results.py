"""The file of results: rows of samples, with what they were measured on. JSON, checked when it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neurolrnn.atomic import check_target, write_text
from neurolrnn.errors import InputError

SCHEMA = 1
KIND = "neurolrnn benchmarks"
STATUSES = ("ok", "absent", "failed")
SECTIONS = ("ceilings", "rules", "runs", "sweeps", "memory", "start")


class ResultsError(InputError):
    """A file is not one of results, or cannot be written; the text says where and why."""


@dataclass(frozen=True)
class Row:
    """One contender at one work."""

    section: str
    family: str
    who: str
    """Package, ``"neurolrnn"``, ``"ceiling"`` or ``"machine"``."""
    name: str
    size: Mapping[str, Any]
    """What was done: n, n_out, lanes, ..."""
    unit: str
    """Of ``values``: µs and s and MB are better low, GB/s, GMAC/s and x high."""
    values: list[float] = field(default_factory=list)
    """One sample a round, by the wall clock."""
    cpu: list[float] = field(default_factory=list)
    """The same samples in processor time; empty where it means nothing."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    status: str = "ok"
    note: str = ""
    """Why there are no samples, if there are none."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two rows of two files the same."""
        size = {k: v for k, v in self.size.items() if k != "cache"}
        return self.section, self.family, self.who, self.name, tuple(sorted(size.items()))

    @property
    def samples(self) -> list[float]:
        """Processor time where there is one, else wall time."""
        return self.cpu or self.values


@dataclass(frozen=True)
class Results:
    """All rows of one run of the suite."""

    mode: str
    machine: Mapping[str, Any]
    peers: Mapping[str, str]
    rows: list[Row]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def ok(self, section: str) -> list[Row]:
        """Return the rows of a section that have samples."""
        return [row for row in self.rows if row.section == section and row.status == "ok"]


def save(results: Results, path: str | Path) -> Path:
    """Write the file whole or not at all."""
    return write_text(check(path), dumps(results), ResultsError)


def check(path: str | Path) -> Path:
    """Return where results will be written, in a folder that is made if need be; asked before they are measured."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot make the folder of {path}: {error.strerror}; give another path") from error
    return check_target(path, "", ResultsError)


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    return [_short(v) for v in value] if isinstance(value, list) else value


def dumps(results: Results) -> str:
    """Return the text of a file: one line a row."""
    head = {
        "kind": KIND, "schema": SCHEMA, "mode": results.mode, "machine": dict(results.machine),
        "peers": dict(results.peers), "settings": dict(results.settings),
    }  # fmt: skip
    lines = [
        json.dumps(_short({k: v for k, v in asdict(row).items() if v or k == "size"}), ensure_ascii=False,
                   allow_nan=False)
        for row in results.rows
    ]  # fmt: skip
    body = json.dumps(_short(head), ensure_ascii=False, allow_nan=False, indent=1)
    return body[: body.rindex("}")].rstrip() + ',\n "rows": [\n' + ",\n".join(lines) + "\n]}\n"


def load(path: str | Path) -> Results:
    """Read a file of results.

    Raises
    ------
    ResultsError
        If the file cannot be read, is not JSON, is of another schema, or a row of it is not as it must be.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: {error}") from None
    try:
        return loads(text)
    except ResultsError as error:
        raise ResultsError(f"{path}: {error}") from None


def loads(text: str) -> Results:
    """Return the results of a file's text; see :func:`load`."""

    def refuse(word: str) -> Any:
        raise ResultsError(f"{word} is not a number of JSON; samples are finite")

    try:
        data = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ResultsError(f"not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise ResultsError(f"not a file of results: kind must be {KIND!r}")
    if data.get("schema") != SCHEMA:
        raise ResultsError(f"schema {data.get('schema')!r}; this version reads schema {SCHEMA}. Measure anew")
    for key, kind in (("mode", str), ("machine", dict), ("peers", dict), ("settings", dict), ("rows", list)):
        if not isinstance(data.get(key), kind):
            raise ResultsError(f"{key} must be a {kind.__name__}, not {type(data.get(key)).__name__}")
    rows = [_row(k, row) for k, row in enumerate(data["rows"])]
    seen: set[Any] = set()
    for row in rows:
        if row.key in seen:
            raise ResultsError(f"two rows are of {row.name!r} at {dict(row.size)}")
        seen.add(row.key)
    return Results(data["mode"], data["machine"], data["peers"], rows, data["settings"])


_TEXTS = ("section", "family", "who", "name", "unit", "status", "note")


def _row(k: int, data: Any) -> Row:
    if not isinstance(data, dict):
        raise ResultsError(f"row {k} must be an object, not {type(data).__name__}")
    unknown = sorted(set(data) - set(Row.__dataclass_fields__))
    if unknown:
        raise ResultsError(f"row {k} has {unknown[0]!r}, which no row has")
    filled = {"family": "", "status": "ok", "note": "", "unit": "", **data}
    for key in _TEXTS:
        if not isinstance(filled.get(key), str):
            raise ResultsError(f"row {k}: {key} must be a text")
    if filled["section"] not in SECTIONS:
        raise ResultsError(f"row {k}: section {filled['section']!r}; allowed: {', '.join(SECTIONS)}")
    if filled["status"] not in STATUSES:
        raise ResultsError(f"row {k}: status {filled['status']!r}; allowed: {', '.join(STATUSES)}")
    for key in ("size", "extra"):
        values = filled.setdefault(key, {})
        if not isinstance(values, dict) or not all(isinstance(v, str | int | float) for v in values.values()):
            raise ResultsError(f"row {k}: {key} must map words to numbers or texts")
    for key in ("values", "cpu"):
        samples = filled.setdefault(key, [])
        good = isinstance(samples, list) and all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) and v >= 0 for v in samples
        )
        if not good:
            raise ResultsError(f"row {k}: {key} must be a list of finite numbers of at least 0")
    if (filled["status"] == "ok") != bool(filled["values"]):
        raise ResultsError(f"row {k}: a row has samples if and only if its status is 'ok'")
    if filled["cpu"] and len(filled["cpu"]) != len(filled["values"]):
        raise ResultsError(f"row {k}: {len(filled['values'])} samples, but {len(filled['cpu'])} of processor time")
    return Row(**filled)
