"""The file that keeps a profile: one row per run in SQLite, safe against being killed, shared or filled up.

SQLite's rollback journal is used, not its write-ahead log: the store is then one file, which can be copied or moved as
soon as nobody writes, and which also works where processes share no memory. Every finished run is committed before it
counts as finished; a process that is killed leaves a journal, and the next one to open the store undoes what was half
written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from neurolrnn.atomic import check_kind, check_parent
from neurolrnn.errors import NeurolrnnError
from neurolrnn.plain_data import ExperimentTables, ProfileData
from neurolrnn.profiles import store_checks
from neurolrnn.profiles.plan import Item, Plan
from neurolrnn.profiles.row import Row
from neurolrnn.run import canonical_digest

SCHEMA = 1
"""Layout of a store; one with a higher number is refused."""
APPLICATION = 0x6E4C5250
"""Marks an SQLite file as a store of ours (its ``application_id``)."""
MEMORY = "memory"
"""What a store without a file is called."""
PATIENCE_SECONDS = 60.0
"""How long to wait for another process that is writing."""
_LAYOUT = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT NOT NULL, seal BLOB NOT NULL);
CREATE TABLE plan (
    position INTEGER PRIMARY KEY, digest TEXT NOT NULL, seed INTEGER NOT NULL, settings TEXT NOT NULL,
    tables TEXT NOT NULL, failure TEXT NOT NULL, seal BLOB NOT NULL
);
CREATE TABLE runs (
    digest TEXT PRIMARY KEY, status TEXT NOT NULL, message TEXT NOT NULL, facts TEXT NOT NULL, curves BLOB NOT NULL,
    seal BLOB NOT NULL, seconds REAL NOT NULL, made INTEGER NOT NULL DEFAULT 1
);
"""


class StoreError(NeurolrnnError):
    """A store cannot be read or written, or holds something else than was asked for."""


class Packed(NamedTuple):
    """A row as the store holds it."""

    digest: str
    status: str
    message: str
    facts: str
    """JSON: metrics, saturation, numerics, versions."""
    curves: bytes
    """All curves in one structured array, as a ``.npy`` file."""
    seal: bytes
    """SHA-256 of all before it."""
    seconds: float


def pack(row: Row) -> Packed:
    """Return a row as the store holds it."""
    facts = json.dumps(
        {"metrics": row.metrics, "saturation": row.saturation, "numerics": row.numerics, "versions": row.versions},
        separators=(",", ":"), ensure_ascii=False,
    )  # fmt: skip
    curves = _curves_to_bytes(row.records)
    return Packed(
        row.digest, row.status, row.message, facts, curves,
        _seal(row.digest, row.status, row.message, facts, curves), row.seconds,
    )  # fmt: skip


def unpack(packed: Packed, item: Item, where: str = "the store") -> Row:
    """Return the row that was packed, with the settings of what asked for it."""
    what = f"the run {item.digest[:12]}"
    with _worded(where):
        store_checks.check_row(what, packed)
        _check_seal(where, what, packed.seal, *packed[:5])
        facts = store_checks.read_json(what, packed.facts, "metrics", "saturation", "numerics", "versions")
    return Row(
        packed.digest, item.settings, item.seed, item.tables, packed.status, packed.message,  # type: ignore[arg-type]
        facts["metrics"], _curves_from_bytes(packed.curves), facts["saturation"], facts["numerics"],
        facts["versions"], packed.seconds,
    )  # fmt: skip


def _seal(*parts: str | bytes) -> bytes:
    h = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        h.update(len(data).to_bytes(8, "little") + data)
    return h.digest()


def _check_seal(where: str, what: str, seal: bytes, *parts: Any) -> None:
    if _seal(*parts) != seal:
        raise StoreError(
            f"{where} is damaged: {what} was changed after it was written. Take a copy of it, or make a new store"
        )


def _curves_to_bytes(records: dict[str, NDArray[Any]]) -> bytes:
    """Return curves, all (points, ...), as one structured array in a ``.npy`` file."""
    if not records:
        return b""
    kinds = np.dtype([(name, curve.dtype, curve.shape[1:]) for name, curve in records.items()])
    table = np.empty(len(next(iter(records.values()))), kinds)
    for name, curve in records.items():
        table[name] = curve
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, table, allow_pickle=False)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _curves_from_bytes(data: bytes) -> dict[str, NDArray[Any]]:
    if not data:
        return {}
    table = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)  # type: ignore[no-untyped-call]
    found = {name: np.ascontiguousarray(table[name]) for name in table.dtype.names}
    for curve in found.values():
        curve.flags.writeable = False
    return found


class Store:
    """An open store. Made by :meth:`create` or :meth:`open`; closed by :meth:`close` or at the end of a ``with``.

    Any number of processes may have the same store open.
    """

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._db, self.where = connection, where
        self._version = -1

    @classmethod
    def create(cls, path: str | Path | None, plan: Plan) -> Store:
        """Open the store of a plan, or make it if there is none.

        Parameters
        ----------
        path : path or None
            File; None keeps everything in memory.
        plan : Plan
            What will be run. A store of the same profile with other seeds is taken too, and gets what it lacks.

        Raises
        ------
        StoreError
            If the file is no store, is damaged, is of another profile, or cannot be written.
        """
        items = plan.items
        with cls._opened(MEMORY if path is None else str(path), path, new=True) as store, store.writing():
            if store._pragma("application_id") == 0:
                store._lay_out()
            store._check()
            store._enter(plan, items)
        return store

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open a store that is there.

        Raises
        ------
        StoreError
            If there is none, or it is no store or damaged.
        """
        with cls._opened(str(path), path, new=False) as store:
            store._check()
        return store

    @classmethod
    @contextlib.contextmanager
    def _opened(cls, where: str, path: str | Path | None, *, new: bool) -> Iterator[Store]:
        with _worded(where):
            store = cls(_connect(path, new=new), where)
            try:
                yield store
            except BaseException:
                store.close()
                raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Make all changes inside at once, or none of them."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has rolled back by itself where the disk is full
                self._db.execute("ROLLBACK")
            raise

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _lay_out(self) -> None:
        if self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise StoreError(f"{self.where} is a database of another origin; give the name of a new file")
        for statement in _LAYOUT.split(";"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA application_id = {APPLICATION}")
        self._db.execute(f"PRAGMA user_version = {SCHEMA}")

    def _check(self) -> None:
        if self._pragma("application_id") != APPLICATION:
            empty = not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            what = "is empty" if empty else "is a database of another origin"
            raise StoreError(f"{self.where} {what}; give a store that a profile has written")
        version = self._pragma("user_version")
        if version > SCHEMA:
            raise StoreError(
                f"{self.where} has layout {version}, written by a newer neurolrnn; this one reads up to {SCHEMA}. "
                f"Upgrade neurolrnn to read it"
            )
        store_checks.check_layout(self._db, _LAYOUT)

    def _enter(self, plan: Plan, items: list[Item]) -> None:
        """Write what is to be run, or see whether it is what the store is for."""
        said = plan.to_plain()
        there = self._header()
        if there is not None:
            old: Mapping[str, Any] = there
            new: Mapping[str, Any] = said
            differing = [k for k in new if k != "seeds" and canonical_digest(old[k]) != canonical_digest(new[k])]
            if differing:
                found = _differences(there, said, differing)
                raise StoreError(
                    f"{self.where} is the store of another profile; it differs in {found}. Give another file, or the "
                    f"settings it was made with"
                )
            seeds = [*there["seeds"], *(seed for seed in said["seeds"] if seed not in there["seeds"])]
            if seeds == there["seeds"]:
                return
            plan = Plan.from_plain({**said, "seeds": seeds})
            said, items = plan.to_plain(), plan.items
        text = json.dumps(said)
        self._db.execute("INSERT OR REPLACE INTO header VALUES ('plan', ?, ?)", (text, _seal(text)))
        self._db.execute("DELETE FROM plan")
        lines = (
            (k, i.digest, i.seed, json.dumps(i.settings), json.dumps(i.tables), i.failure) for k, i in enumerate(items)
        )
        self._db.executemany(
            "INSERT INTO plan VALUES (?, ?, ?, ?, ?, ?, ?)", ((*line, _seal(*map(str, line))) for line in lines)
        )

    def _header(self) -> ProfileData | None:
        row = self._db.execute("SELECT value, seal FROM header WHERE name = 'plan'").fetchone()
        if row is None:
            return None
        store_checks.check_types("what it is for", row, (str, bytes))
        _check_seal(self.where, "what it is for", row[1], row[0])
        said: ProfileData = cast(Any, store_checks.read_json("what it is for", row[0]))
        store_checks.read_plan(said)
        return said

    def plan(self) -> Plan:
        """Return what the store is for."""
        with _worded(self.where):
            said = self._header()
        if said is None:
            raise StoreError(f"{self.where} holds no profile yet; give a store that a profile has written")
        return Plan.from_plain(said)

    def items(self) -> list[Item]:
        """Return every run that is wanted, in order."""
        with _worded(self.where):
            lines = self._db.execute(
                "SELECT seal, position, digest, seed, settings, tables, failure FROM plan ORDER BY position"
            ).fetchall()
        found = []
        for number, (seal, *line) in enumerate(lines):
            what = f"what run {number} is"
            with _worded(self.where):
                store_checks.check_types(what, (seal, *line), store_checks.ITEM)
                _check_seal(self.where, what, seal, *line)
                _, digest, seed, settings, tables, failure = line
                chosen = store_checks.read_json(what, settings)
                experiment = cast(ExperimentTables, store_checks.read_json(what, tables))
                found.append(Item(digest, chosen, seed, experiment, failure))
        plan = self.plan()
        with _worded(self.where):
            store_checks.check_count(plan, [line[1] for line in lines])
        return found

    def done(self) -> set[str]:
        """Return the digests of all runs that are kept."""
        with _worded(self.where):
            return {digest for (digest,) in self._db.execute("SELECT digest FROM runs")}

    def others_wrote(self) -> bool:
        """Tell whether another process has changed the store since this was last asked."""
        before, self._version = self._version, self._pragma("data_version")
        return before != self._version

    def add(self, rows: Iterable[Packed]) -> None:
        """Keep runs, all of them or, if that fails, none. One that is there already stays as it is.

        Raises
        ------
        StoreError
            If the disk is full, or the file cannot be written.
        """
        with _worded(self.where), self.writing():
            self._db.executemany(
                "INSERT INTO runs (digest, status, message, facts, curves, seal, seconds) VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (digest) DO UPDATE SET made = made + 1",
                rows,
            )

    def made(self) -> dict[str, int]:
        """Return how often each run was made: 1, unless processes that shared the store made it at the same time."""
        with _worded(self.where):
            return dict(self._db.execute("SELECT digest, made FROM runs"))

    def rows(self, items: Iterable[Item], lost: Mapping[str, str] | None = None) -> list[Row]:
        """Return the rows of runs that are kept, are not possible or are in ``lost``; others are left out."""
        found = []
        with _worded(self.where):
            for item in items:
                if item.failure:
                    found.append(item.failed())
                    continue
                kept = self._db.execute(
                    "SELECT digest, status, message, facts, curves, seal, seconds FROM runs WHERE digest = ?",
                    (item.digest,),
                ).fetchone()
                if kept is None:
                    found += [item.failed(lost[item.digest])] if lost and item.digest in lost else []
                else:
                    found.append(unpack(Packed(*kept), item, self.where))
        return found


def _connect(path: str | Path | None, *, new: bool) -> sqlite3.Connection:
    if path is None:
        return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    file = Path(path)
    found = check_kind(file, StoreError, "profile.sqlite")
    if found is None:
        if not new:
            raise StoreError(f"there is no store {file}")
        check_parent(file, file.parent, StoreError)
    db = sqlite3.connect(file, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = FULL")
    return db


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], keys: list[str]) -> str:
    words = []
    for key in keys:
        if key == "axes":
            a, b = ([name for name, _ in said["axes"]] for said in (there, here))
            words.append(f"axes ({', '.join(a)} there, {', '.join(b)} here)" if a != b else "the values of its axes")
        elif key == "experiment":
            tables = {*there[key], *here[key]}
            parts = sorted(name for name in tables if there[key].get(name) != here[key].get(name))
            words.append(f"the experiment ({', '.join(parts)})")
        else:
            words.append(f"{key} ({there[key]!r} there, {here[key]!r} here)")
    return ", ".join(words)


@contextlib.contextmanager
def _worded(where: str) -> Iterator[None]:
    """Turn what SQLite says into words that lead out."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(store_checks.sqlite_words(where, error, PATIENCE_SECONDS)) from error
    except (store_checks.Damaged, MemoryError, UnicodeDecodeError) as error:
        # SQLite asks for the memory that a damaged page says, and Python reads its words as UTF-8.
        raise StoreError(f"{where} is damaged: {error or 'a size in it is impossible'}. Take a copy of it") from error
