"""Arrays of an npz, read with nothing trusted: not its sizes, nor its types, nor how far it unpacks.

``numpy.load`` stops reading a member where its header says the array ends, so a damaged header can hide that the check
sum does not fit; and it takes memory for what a header claims before there is a byte of it. Here each member is read
whole, which checks its CRC-32, and its header must then say exactly what is there.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError

LARGEST = 256 * 2**20
"""Bytes that a file may unpack to however small it is."""
RATIO = 200
"""How many times its own size a larger file may unpack to."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DIMENSIONS = 32


def read(source: Path | IO[bytes], size: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz by their names, read-only.

    Parameters
    ----------
    source : path or file
        What to read.
    size : int
        Its bytes.

    Raises
    ------
    InputError
        If it is no npz, is damaged, holds anything but arrays of plain values, or unpacks to far more than it is.
    """
    try:
        archive = zipfile.ZipFile(source)
    except Exception as error:  # zipfile lets many errors of its parts through, such as struct's
        raise InputError(f"it cannot be read as .npz ({_words(error)})") from error
    with archive:
        members = archive.infolist()
        _check(members, size)
        return {info.filename.removesuffix(".npy"): _array(archive, info) for info in members}


def _check(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [info.filename for info in members]
    for info in members:
        if not info.filename.endswith(".npy") or names.count(info.filename) > 1:
            twice = names.count(info.filename) > 1
            raise InputError(
                f"{info.filename!r} {'stands in it twice' if twice else 'is no array; save with np.savez'}"
            )
        if info.compress_type not in _METHODS or info.flag_bits & 1:
            raise InputError(f"array {info.filename!r} is packed or locked in a way that np.savez does not use")
    whole = sum(info.file_size for info in members)
    if whole > max(LARGEST, RATIO * size):
        raise InputError(
            f"it unpacks to {whole / 2**20:.0f} MiB, {whole // max(size, 1)} times its size, as no honest data do; "
            f"save them with np.savez, which does not pack"
        )


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    name = info.filename.removesuffix(".npy")
    try:
        data = archive.read(info)
    except Exception as error:  # a bad check sum, a bad stream, a directory that does not fit
        raise InputError(f"array {name} cannot be read ({_words(error)})") from error
    try:
        shape, fortran, dtype, at = _header(data)
    except Exception as error:  # the header is parsed as Python's literals, which fail in many ways
        raise InputError(f"array {name} has a header that cannot be read ({_words(error)})") from error
    if dtype.hasobject or dtype.names or dtype.subdtype or not dtype.itemsize:
        raise InputError(f"array {name} cannot be read: it holds {str(dtype)[:40]} values; save plain numbers")
    if len(shape) > _DIMENSIONS or any(not 0 <= n < 2**62 for n in shape):
        raise InputError(f"array {name} has a shape that no array has")
    wanted = math.prod(shape) * dtype.itemsize
    if len(data) - at != wanted:
        raise InputError(f"array {name} is damaged: it has {len(data) - at} bytes, its header says {wanted}")
    flat: NDArray[Any] = np.frombuffer(data, dtype, offset=at) if wanted else np.zeros(0, dtype)
    try:
        return flat.reshape(shape, order="F" if fortran else "C")
    except ValueError as error:  # nothing, in more dimensions than memory has
        raise InputError(f"array {name} has a shape that no array has") from error


def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, order, dtype and where the values begin."""
    form = np.lib.format
    file = io.BytesIO(data)
    version = form.read_magic(file)  # type: ignore[no-untyped-call]
    readers: dict[tuple[int, int], Callable[..., Any]] = {
        (1, 0): form.read_array_header_1_0,
        (2, 0): form.read_array_header_2_0,
    }
    if version not in readers:
        raise InputError(f"version {version[0]}.{version[1]}; 1.0 and 2.0 hold plain values")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote, which are right
        shape, fortran, dtype = readers[version](file)
    return shape, bool(fortran), dtype, file.tell()


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
