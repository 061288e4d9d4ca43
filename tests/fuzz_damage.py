"""Ways to damage a file: any bytes, plain data, TOML, npz, SQLite, drawn from one generator and so repeatable."""

from __future__ import annotations

import hashlib
import io
import json
import math
import random
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

WHOLE = (0, 1, -1, 2, 3, 7, 64, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**63))
PLAIN: tuple[Any, ...] = (
    *WHOLE, 2**63, 2**64, 10**30, 0.0, -0.0, 0.5, 1e-320, 1e308, -1e308, math.nan, math.inf, -math.inf, True, False,
    None, "", " ", "\0", "x", "é\u202e\u2028", "a\nb", "x" * 5000, "s1.6", "u0.8 floor", "s0.0", "s200.100", "float64",
    "../../etc/passwd", "/dev/zero", "W", "A", "inf", "nan", "1", "unknown", "rflo", "bptt", [], {}, [[]], [None],
    ["W"], [0, 1], [1.0, [2]], {"a": 1}, {"": {}}, {"A": 0.1}, [0] * 300, "completed", "loihi2", "npz",
)  # fmt: skip
RAW = (
    "1e400", "-1e400", "nan", "inf", "0x" + "f" * 6000, "9" * 5000, "-" + "9" * 30, "0b" + "1" * 70, "1979-05-27",
    "1979-05-27T07:32:00Z", "07:32:00", "[" * 5000, "[" * 3000 + "]" * 3000, "{a=" * 2000, '"""', "'''", '"\\ud800"',
    '"\\U00110000"', "{a = 1, a = 2}", "true", "[]", "{}", "[1, 'a', {b = nan}]", '"' + "y" * 40000 + '"', "", "=",
    "1_000", "1__0", "+0", "00", "\0", "\ufeff", "x.y.z = 1", "'\t'", "2000-13-45", "\x85", "\u2028",
)  # fmt: skip
DESCR = (
    "'|O'", "'<f8'", "'>f8'", "'<f4'", "'<i8'", "'>i2'", "'|u1'", "'|b1'", "'<c16'", "'<U3'", "'|S7'", "'<M8[s]'",
    "'|V8'", "'<f2'", "'<U900000000'", "'|S0'", "[('a', '<f8')]", "[('a', '|O')]", "'<m8'", "'<f16'", "'x'", "None",
    "7", "('<f8', (2, 2))", "'|V0'", "['a']",
)  # fmt: skip
SHAPES = (
    "()", "(0,)", "(1,)", "(3,)", "(2, 3)", "(3, 2)", "(-1,)", "(10**9,)", "(1000000000000,)", "(0, 999999999)",
    "(9223372036854775807,)", "(99999999999999999999,)", "(4294967296, 4294967296)", "(True,)", "(2.0,)", "[3]", "None",
    "(1,) * 3", "(1, 1, 1, 1, 1, 1)", "(" + "1, " * 70 + ")", "'x'", "(60000000,)",
)  # fmt: skip
BOMB = 700 << 20
"""Bytes that a bomb unpacks to."""
STOP = 77
"""Exit code of a process in which a pickle was run."""


class Pickled:
    """What ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        import os

        return os._exit, (STOP,)


def some(rng: random.Random, most: int = 4) -> range:
    """One damage most of the time, sometimes more."""
    return range(1 if rng.random() < 0.6 else rng.randint(2, most))


# --- bytes


def damage_bytes(rng: random.Random, data: bytes, other: bytes = b"") -> bytes:
    """Flip, cut, insert, repeat, splice, overwrite."""
    out = bytearray(data)
    for _ in some(rng):
        at = rng.randrange(len(out) + 1)
        size = min(rng.choice((1, 2, 4, 8, 16, 100, len(out) // 3 + 1)), len(out) - at)
        match rng.randrange(11):
            case 0 | 1 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 2 if at < len(out):
                out[at] = rng.randrange(256)
            case 3:
                code = rng.choice((*"<>",)) + rng.choice("bhiq")
                number = rng.choice(WHOLE) & ((1 << 8 * struct.calcsize(code)) - 1)
                out[at : at + struct.calcsize(code)] = number.to_bytes(
                    struct.calcsize(code), "little" if code[0] == "<" else "big"
                )
            case 4:
                del out[at:]
            case 5:
                del out[at : at + size]
            case 6:
                out[at:at] = out[at : at + size]
            case 7:
                start = rng.randrange(len(other) + 1)
                out[at : at + size] = other[start : start + size]
            case 8:
                out[at : at + size] = bytes([rng.choice((0, 255, 32))]) * size
            case 9:
                out[at:at] = rng.randbytes(rng.choice((1, 4, 64)))
            case 10:
                there = rng.randrange(len(out) + 1)
                out[at : at + size], out[there : there + size] = out[there : there + size], out[at : at + size]
    return bytes(out)


# --- plain data


def damage_plain(rng: random.Random, value: Any) -> Any:
    """Return a copy of nested dicts and lists with some keys, values and types changed."""
    value = json.loads(json.dumps(value))
    for _ in some(rng):
        places: list[tuple[Any, Any]] = []

        def walk(part: Any, places: list[tuple[Any, Any]] = places) -> None:
            keys = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
            for key in keys:
                places.append((part, key))
                walk(part[key])

        walk(value)
        if not places or rng.random() < 0.01:
            value = rng.choice(PLAIN)
            continue
        part, key = rng.choice(places)
        home, name = rng.choice(places)
        match rng.randrange(8):
            case 0 | 1 | 2:
                part[key] = rng.choice(PLAIN)
            case 3:
                del part[key]
            case 4:
                part[key] = json.loads(json.dumps(home[name]))
            case 5 if isinstance(part, dict):
                part[rng.choice((str(name), str(key) + "x", "", "seed", "name", "\0é"))] = part.pop(key)
            case 6:
                old = part[key]
                if isinstance(old, bool) or old is None or isinstance(old, dict):
                    part[key] = [old]
                elif isinstance(old, int | float):
                    part[key] = rng.choice((str(old), -old, old + 1, old * 1000, [old], float(old), old + 0.5))
                else:
                    part[key] = rng.choice((f"{old}x", [old, old], {str(k): k for k in range(3)}, str(old)[::-1]))
            case _:
                deep: Any = rng.choice(PLAIN)
                for _ in range(rng.choice((1, 5, 80))):
                    deep = [deep] if rng.random() < 0.5 else {"a": deep}
                part[key] = deep
    return value


# --- TOML


def damage_toml(rng: random.Random, text: str, write: Callable[[Any], str], tables: Any) -> bytes:
    """Change tables and write them, or change lines of the text, or bytes."""
    kind = rng.random()
    if kind < 0.5:
        try:
            changed = write(damage_plain(rng, tables))
            return (changed if rng.random() < 0.9 else changed.replace("\n", "\r\n")).encode()
        except (AttributeError, RecursionError, ValueError):  # no words for it, such as null in a list, or too deep
            pass
    lines = text.splitlines()
    for _ in some(rng):
        at, there = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(6):
            case 0 | 1 | 2:
                lines[at] = lines[at].partition("=")[0] + "= " + rng.choice(RAW)
            case 3:
                lines[at], lines[there] = lines[there], lines[at]
            case 4:
                lines.insert(at, lines[there])
            case _:
                lines.insert(at, rng.choice(RAW))
    changed = "\n".join(lines).encode("utf-8", "surrogatepass")
    return changed if kind < 0.85 else damage_bytes(rng, changed)


# --- npy, npz


def npy(array: Any) -> bytes:
    """An array as a .npy file; objects are pickled."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asanyarray(array), allow_pickle=True)
    return buffer.getvalue()


def damage_npy(rng: random.Random, data: bytes) -> bytes:
    """Change dtype, shape, order, version or values of a .npy file."""
    array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    body = array.tobytes()
    descr, order, shape = repr(array.dtype.str), "False", repr(array.shape)
    match rng.randrange(9):
        case 0:
            descr = rng.choice(DESCR)
        case 1:
            shape = rng.choice(SHAPES)
        case 2:
            order = rng.choice(("True", "1", "None", "'x'"))
        case 3:
            return npy(np.array([Pickled()], dtype=object))
        case 4:
            special = (np.nan, np.inf, -np.inf, 1e308, -1, 0, 2**40)
            flat = np.atleast_1d(np.array(array, dtype=rng.choice((np.float64, array.dtype))))
            if flat.size and flat.dtype.kind in "fi":
                with np.errstate(all="ignore"):
                    chosen = rng.choice(special)
                    if flat.dtype.kind == "f" or math.isfinite(chosen):
                        flat.flat[rng.randrange(flat.size)] = np.clip(chosen, -(2**62), 2**62) if (
                            flat.dtype.kind == "i") else chosen  # fmt: skip
            return npy(flat)
        case 5:
            wrong = (array[..., None], array.ravel(), array[:0], array.T, np.array(3.0), np.zeros((2, 0)), array[:1])
            return npy(rng.choice(wrong) if array.ndim else np.zeros(3))
        case 6:
            kinds: tuple[Any, ...] = (np.float32, np.int8, bool, complex, "U5", np.float16, np.longdouble)
            with np.errstate(all="ignore"):
                return npy(array.astype(rng.choice(kinds)))
        case 7:
            body = rng.choice((body + b"\0" * 8, body[:-1], b"", body * 2))
        case _:
            return damage_bytes(rng, data)
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    header = header if rng.random() < 0.95 else rng.choice((header[:-3], "(" * 300, "1L" + header, "{}", header * 900))
    text = header.encode() + b"\n"
    version, size = (1, "<H") if rng.random() < 0.9 else (rng.choice((2, 3, 0, 255)), "<I")
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(size, len(text) & 0xFFFF) + text + body


def members_of(data: bytes) -> list[tuple[str, bytes]]:
    """The members of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


@cache
def bomb() -> bytes:
    """A zip of one .npy of :data:`BOMB` zeros, in a thousandth of the bytes; its check sum, at the end, is wrong."""
    header = npy(np.zeros(0)).replace(b"(0,), }" + b" " * 9, f"({BOMB // 8}, 1), }}".encode().ljust(16))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # such blocks can be repeated
    packed = first + block * (BOMB >> 20) + packer.flush()
    name, size = b"inputs.npy", BOMB + len(header)
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(packed), size, len(name), 0)
    local = b"PK\3\4" + fields + name + packed
    listed = b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    return local + listed + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(listed), len(local), 0)


def zipped(members: list[tuple[str, bytes]], comment: bytes = b"", method: int = zipfile.ZIP_STORED) -> bytes:
    """Members as a zip; names may stand twice."""
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for name, data in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, data)
        archive.comment = comment
    return buffer.getvalue()


def damage_npz(rng: random.Random, data: bytes, comment: bytes = b"", meta: str = "") -> bytes:
    """Change members of an npz and its directory; ``meta`` is the member that holds JSON as bytes."""
    if rng.random() < 0.002:
        return bomb()
    members = members_of(data)
    for _ in some(rng):
        at, there = rng.randrange(len(members)), rng.randrange(len(members))
        (name, content), (other_name, other) = members[at], members[there]
        match rng.randrange(12):
            case 0:
                members[at], members[there] = (name, other), (other_name, content)
            case 1:
                extra = (
                    "../../x.npy",
                    "/etc/x.npy",
                    "x",
                    "neurolrnn.npy",
                    "records/a.npy",
                    "é\0.npy",
                    "inputs.npy.npy",
                )
                members[at] = (rng.choice((*extra, other_name, name[:-1], name + ".npy", name.upper())), content)
            case 2 if len(members) > 1:
                del members[at]
            case 3:
                new = ("x.npy", "records/x.npy", "state/y.npy", "labels.npy", "../x.npy", "network/W.own.npy", name)
                members.insert(at, (rng.choice(new), other))
            case 4:
                members[at] = (name, rng.choice((b"", b"\x80\x04.", content[:9], b"PK\x03\x04" + content)))
            case 5 | 6 | 7 | 8 if meta and (name == meta or rng.random() < 0.7):
                k = next((i for i, (n, _) in enumerate(members) if n == meta), at)
                members[k] = (meta, npy(np.frombuffer(damage_json(rng, members[k][1]), np.uint8)))
            case _:
                try:
                    members[at] = (name, damage_npy(rng, content))
                except Exception:  # it is no .npy any more
                    members[at] = (name, damage_bytes(rng, content))
    rare = rng.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)) if rng.random() < 0.02 else zipfile.ZIP_DEFLATED
    out = zipped(members, comment, zipfile.ZIP_STORED if rng.random() < 0.7 else rare)
    if rng.random() < 0.1:
        body = out[: len(out) - len(comment)]
        out = damage_bytes(rng, body) + comment
    return out


def damage_json(rng: random.Random, member: bytes) -> bytes:
    """Change JSON that stands as bytes in a .npy."""
    try:
        text = np.lib.format.read_array(io.BytesIO(member), allow_pickle=False).tobytes()
        value = json.loads(text)
    except Exception:  # it is no .npy, or no JSON, any more
        return damage_bytes(rng, member)
    if rng.random() < 0.08:
        raw = (b"[" * 100000, b'{"a":' * 3000, b"9" * 5000, b'"\\ud800"', b"\xff", b"", b"NaN", text + b"x")
        return rng.choice(raw) if rng.random() < 0.5 else damage_bytes(rng, text)
    return json.dumps(damage_plain(rng, value), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def sealed(data: bytes, digits: int = 64) -> bytes:
    """Give a save file the seal of what it now holds."""
    return data[:-digits] + hashlib.sha256(data[:-digits]).hexdigest().encode()


# --- SQLite


def damage_sqlite(rng: random.Random, path: Path) -> None:
    """Edit rows and schema of a database through SQLite."""
    db = sqlite3.connect(path, isolation_level=None)
    values: tuple[Any, ...] = (
        None, 0, -1, 2**62, 1.5, -1e308, math.inf, "", "x", "é\0", b"", b"\0\xff", b"x" * 9000, "[]", "{}", "null",
        "[" * 9000, "9" * 9000, '{"a": 1}', "failed", "completed",
    )  # fmt: skip
    try:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        for _ in some(rng):
            table = rng.choice(("header", "plan", "runs"))
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            if not names:
                continue
            column, other = rng.choice(names), rng.choice(names)
            one = f"WHERE rowid = (SELECT rowid FROM {table} ORDER BY random() LIMIT 1)"
            kept = [row[0] for row in db.execute(f"SELECT rowid FROM {table}")]
            one = f"WHERE rowid = {rng.choice(kept)}" if kept else one
            match rng.randrange(12):
                case 0 | 1 | 2:
                    db.execute(f"UPDATE {table} SET {column} = ? {one}", (rng.choice(values),))
                case 3 | 4:
                    kind = rng.choice(("BLOB", "TEXT", "REAL", "INTEGER"))
                    db.execute(f"UPDATE {table} SET {column} = CAST({column} AS {kind}) {one}")
                case 5:
                    db.execute(f"UPDATE {table} SET {column} = {other} {one}")
                case 6:
                    db.execute(f"DELETE FROM {table} {one}")
                case 7:
                    old = db.execute(f"SELECT {column} FROM {table} {one}").fetchone()
                    if old and isinstance(old[0], str | bytes):
                        raw = old[0].encode() if isinstance(old[0], str) else old[0]
                        new = damage_bytes(rng, raw)
                        kind = "TEXT" if isinstance(old[0], str) else "BLOB"
                        db.execute(f"UPDATE {table} SET {column} = CAST(? AS {kind}) {one}", (new,))
                case 8:
                    number = rng.choice((0, 1, 2, 99, -1, 0x6E4C5250))
                    db.execute(f"PRAGMA {rng.choice(('application_id', 'user_version'))} = {number}")
                case 9:
                    db.execute(f"ALTER TABLE {table} {rng.choice((f'RENAME COLUMN {column} TO x', 'RENAME TO y'))}")
                case 10:
                    db.execute(rng.choice((
                        f"DROP TABLE {table}", f"CREATE TABLE more_{rng.randrange(99)} (a)",
                        "CREATE VIEW v AS SELECT 1",
                        f"ALTER TABLE {table} ADD COLUMN more", f"CREATE INDEX i ON {table} ({column})",
                    )))  # fmt: skip
                case _:
                    db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
                    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
                    shown = ", ".join(f"x AS {name}" for name in names)
                    db.execute(f"CREATE VIEW {table} AS {endless} SELECT {shown} FROM c")
                    break  # nothing more can be asked of it
    except sqlite3.Error:
        pass  # what SQLite itself does not let happen
    finally:
        db.close()
