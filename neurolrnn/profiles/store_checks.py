"""What a store must hold beyond its seals: the tables as they were laid out, and values of the right types.

A seal covers the text of what it seals, so the same text as bytes has the same seal; types are checked besides.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from typing import Any

from neurolrnn.errors import NeurolrnnError
from neurolrnn.profiles.axes import combinations
from neurolrnn.profiles.plan import Plan
from neurolrnn.profiles.row import STATUSES

ITEM = (bytes, int, str, int, str, str, str)
"""Types of a line of the plan: seal, position, digest, seed, settings, tables, failure."""
ROW = (str, str, str, str, bytes, bytes, float)
"""Types of a run: digest, status, message, facts, curves, seal, seconds."""


class Damaged(NeurolrnnError):
    """A store holds what no profile writes; the text says what."""


def check_layout(db: sqlite3.Connection, layout: str) -> None:
    """Refuse a database whose tables are not those that were made; a view in their place could say anything, for ever.

    Raises
    ------
    Damaged
        If so.
    """
    made = {" ".join(statement.split()) for statement in layout.split(";") if statement.strip()}
    found = [row[0] for row in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
    if not all(isinstance(sql, str) for sql in found) or sorted(" ".join(sql.split()) for sql in found) != sorted(made):
        raise Damaged("its tables are not those that a profile makes")


def check_types(what: str, values: Sequence[Any], types: Sequence[type]) -> None:
    """Refuse values of other types than were written."""
    for value, kind in zip(values, types, strict=True):
        if not isinstance(value, kind):
            raise Damaged(f"{what} holds a {type(value).__name__} where {kind.__name__} was written")


def check_row(what: str, values: Sequence[Any]) -> None:
    """Refuse a run whose values are not what a profile writes."""
    check_types(what, values, ROW)
    if values[1] not in STATUSES or not (math.isfinite(values[-1]) and values[-1] >= 0):
        raise Damaged(f"{what} has status {values[1]!r} and took {values[-1]!r} s")


def read_json(what: str, text: Any, *keys: str) -> dict[str, Any]:
    """Return a table that stands as JSON, with at least some keys."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise Damaged(f"{what} is no JSON") from None
    if not isinstance(found, dict) or not set(keys) <= set(found):
        raise Damaged(f"{what} is no table of {', '.join(keys)}")
    return found


def read_plan(said: Any) -> Plan:
    """Return the plan of a header."""
    try:
        return Plan.from_plain(said)
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"what it is for cannot be read ({error})") from error


def check_count(plan: Plan, positions: list[int]) -> None:
    """Refuse a list of runs that is not as long as the plan asks, or not in its order."""
    try:
        wanted = len(plan.seeds) * len(combinations(plan.axes, plan.mode, plan.samples, plan.sampling_seed))
    except (TypeError, ValueError) as error:
        raise Damaged(f"what it is for cannot be read ({error})") from error
    if positions != list(range(wanted)):
        raise Damaged(f"it lists {len(positions)} runs and asks for {wanted}, or has lost their order")


def sqlite_words(where: str, error: sqlite3.Error, patience: float) -> str:
    """Return what SQLite says in words that lead out."""
    said = " ".join(str(error).split())
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return f"cannot write {where}: the disk is full. What was written before is kept; make room and go on with it"
    if primary == sqlite3.SQLITE_IOERR:
        return (
            f"cannot write or read {where}: {said}; the disk may be full or failing. What was written before is kept; "
            f"make room and go on with it"
        )
    if primary == sqlite3.SQLITE_NOTADB:
        return f"{where} is not a store: it is no SQLite file. Give a store that a profile has written, or a new name"
    if primary == sqlite3.SQLITE_CORRUPT:
        return f"{where} is damaged ({said}). Take a copy of it, or make a new store"
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{where} is being written by another process for more than {patience:g} s; try again later"
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"cannot write {where}: {said}; see who may write it and its folder, or give another path"
    return f"{where}: {said}"
