"""Files that are whole or refused: arrays and plain data in one sealed npz.

A save file is an ordinary npz, readable with ``numpy.load``: its first member, ``neurolrnn``, is JSON (as bytes), the
other members are arrays. Its zip comment holds the SHA-256 of every byte before it, and so of each array's name, dtype,
shape and values and of the meta data. A file that was cut short or changed in any byte is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn import atomic, npz_members
from neurolrnn.errors import InputError, NeurolrnnError

if TYPE_CHECKING:
    from neurolrnn.run import Run

_SEAL = b"neurolrnn sha256 "
_META = "neurolrnn.npy"
_DIGITS = 64
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time: the same content gives the same bytes


class RunFileError(NeurolrnnError):
    """A file cannot be written, or what was found is not a whole file of the kind that was asked for.

    Attributes
    ----------
    run : Run or None
        Where a run was made and could not be saved: that run, whole, which may be saved elsewhere.
    """

    run: Run | None = None


def check_target(path: str | Path) -> Path:
    """Return where ``path`` will be written, with ``.npz`` if it has no suffix.

    Raises
    ------
    RunFileError
        If it is a folder, or its folder does not exist or may not be written. A long run asks this before it starts.
    """
    return atomic.check_target(path, ".npz", RunFileError, "run")


def write(path: str | Path, kind: str, schema: int, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Path:
    """Write a save file in one move: afterwards the path holds the old file or the new one, never a part.

    Parameters
    ----------
    path : path
        Target; ``.npz`` is appended if it has no suffix.
    kind : str
        What the file is, in a word or two (``"run"``).
    schema : int
        Version of the layout of ``meta`` and ``arrays``.
    meta : dict
        Plain data for JSON.
    arrays : dict of str to array
        Any name but ``neurolrnn``; no object arrays.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    RunFileError
        If the path cannot be written; an older file there is as it was.
    """
    target = check_target(path)
    data = pack(kind, schema, meta, arrays)
    return atomic.write_bytes(target, data, RunFileError)


def pack(kind: str, schema: int, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    """Return the bytes of a save file; arguments as in :func:`write`."""
    return _pack({"kind": kind, "schema": schema, "meta": dict(meta)}, arrays)


def read(path: str | Path, kind: str, schema: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a save file back, or say why not.

    Parameters
    ----------
    path : path
        File; ``.npz`` is tried too if it has no suffix.
    kind : str
        What must be in it.
    schema : int
        Newest layout the caller knows.

    Returns
    -------
    meta : dict
    arrays : dict of str to array

    Raises
    ------
    RunFileError
        If the file is missing, foreign, damaged, of another kind or of a newer layout.
    """
    source = Path(path)
    if not source.exists() and not source.suffix:
        source = source.with_name(source.name + ".npz")
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        raise RunFileError(f"there is no file {source}") from None
    except OSError as error:
        raise RunFileError(f"cannot read {source}: {error.strerror or error}") from error
    _check_seal(source, data)
    try:
        head, arrays = _unpack(data)
    except InputError as error:
        raise RunFileError(f"{source} is damaged: {error}") from error
    if head["kind"] != kind:
        raise RunFileError(f"{source} holds a {head['kind']}, not a {kind}")
    if head["schema"] > schema:
        raise RunFileError(
            f"{source} has layout {head['schema']}, written by a newer neurolrnn; this one reads up to {schema}. "
            f"Upgrade neurolrnn to read it"
        )
    return head["meta"], arrays


def _pack(head: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    members: dict[str, NDArray[Any]] = {_META: np.frombuffer(text, dtype=np.uint8)}
    members |= {f"{name}.npy": np.asarray(array) for name, array in arrays.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=array.nbytes > 2**30) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)  # type: ignore[no-untyped-call]
        archive.comment = _SEAL + b"0" * _DIGITS
    data = buffer.getvalue()[:-_DIGITS]
    return data + hashlib.sha256(data).hexdigest().encode()


def _check_seal(source: Path, data: bytes) -> None:
    body, seal = data[:-_DIGITS], data[-_DIGITS:]
    if hashlib.sha256(body).hexdigest().encode() == seal and body.endswith(_SEAL):
        return
    # The first member's name stands at byte 30 of a zip: enough to tell a part of our file from somebody else's.
    if (data[:4] == b"PK\x03\x04" and data[30 : 30 + len(_META)] == _META.encode()) or _SEAL in data[-200:]:
        raise RunFileError(
            f"{source} is damaged: it was cut short or changed after it was written. "
            f"Take a copy of it, or run the experiment again"
        )
    what = "it is empty" if not data else "a zip or npz of another origin" if data[:2] == b"PK" else "not an npz at all"
    raise RunFileError(f"{source} was not written by neurolrnn: {what}. Give a file that a run saved")


def _unpack(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    arrays = npz_members.read(io.BytesIO(data), len(data))
    if _META.removesuffix(".npy") not in arrays:
        raise InputError("it holds no description of what it is")
    try:
        head = json.loads(arrays.pop(_META.removesuffix(".npy")).tobytes())
        json.dumps(head, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise InputError("its description is no JSON") from None
    fields = head if isinstance(head, dict) else {}
    for key, kind in (("kind", str), ("schema", int), ("meta", dict)):
        if not isinstance(fields.get(key), kind):
            raise InputError(f"its description has no {key}")
    return fields, arrays
