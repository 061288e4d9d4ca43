"""Whether an HDF5 file is safe to read: nothing outside it, nothing in a circle, nothing larger than it can be.

HDF5 can name other files, hold groups in themselves, and say that an array has any size; and its library can crash on
a damaged file. So a file is first looked through here, every value of it once, in a process that may crash. That
process loads this file alone, so nothing of the package is imported.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

DEEPEST, MOST = 12, 20_000
"""Groups in each other, and objects in a file."""
LARGEST, RATIO = 256 * 2**20, 200
"""Bytes of arrays a file may hold however small it is, and how many times its own size a larger one."""
SECONDS = 60.0
"""How long looking through may take, and a second more for each MiB."""
DAMAGED = 3
"""Exit code of the process that looks through a file and finds something; its text is what."""


class Unsafe(Exception):
    """A file must not be read; the text says why."""


def check(path: Path) -> None:
    """Look a file through in this process.

    Raises
    ------
    Unsafe
        If something in it is not in order; the text says what.
    """
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            _look(h5py, file, path.stat().st_size)
    except Unsafe:
        raise
    except Exception as error:  # h5py passes on what its library says, as many kinds of error
        raise Unsafe(f"it is damaged ({' '.join(str(error).split())[:200]})") from error


def _look(h5py: Any, file: Any, size: int) -> None:
    left, room = [("", file, 0)], max(LARGEST, RATIO * size)
    seen: set[int] = set()
    while left:
        place, group, depth = left.pop()
        where = h5py.h5o.get_info(group.id).addr
        if where in seen or depth > DEEPEST or len(seen) > MOST:
            raise Unsafe(f"group {place or '/'!r} stands in itself, or there are too many")
        seen.add(where)
        for name in group:
            here = f"{place}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Unsafe(f"{here!r} is a link to something else; a file that holds all itself is needed")
            item = group[name]
            if isinstance(item, h5py.Group):
                left.append((here, item, depth + 1))
                continue
            if not isinstance(item, h5py.Dataset):
                raise Unsafe(f"{here!r} is neither a group nor an array")
            if item.is_virtual or item.external:
                raise Unsafe(f"{here!r} lies in other files; a file that holds all itself is needed")
            if item.dtype.kind not in "biufSO" or (item.dtype.kind == "O" and not h5py.check_string_dtype(item.dtype)):
                raise Unsafe(f"{here!r} holds {str(item.dtype)[:40]} values; numbers or text are needed")
            room -= item.dtype.itemsize * int(item.size or 0)
            if room < 0 or (item.dtype.kind == "O" and (item.size or 0) > size):
                raise Unsafe(f"{here!r} of shape {item.shape} is far larger than the file can hold")
            item[()]


def try_out(path: Path) -> None:
    """Look a file through in a process of its own.

    Raises
    ------
    Unsafe
        If something in it is not in order, or the process crashed or stood still.
    """
    patience = SECONDS + path.stat().st_size / 2**20
    code = f"import runpy, sys; sys.path[:0] = {sys.path!r}; runpy.run_path({__file__!r})['main']()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unsafe(f"it is damaged (HDF5 had not read it after {patience:.0f} s)") from None
    if done.returncode == DAMAGED:
        raise Unsafe(done.stdout.decode(errors="replace").strip())
    if done.returncode:
        raise Unsafe(f"it is damaged (the HDF5 library crashes on it, with code {done.returncode})")


def main() -> None:
    """Look the file named on the command line through, with no more memory than it may need."""
    path = Path(sys.argv[1])
    with contextlib.suppress(ImportError, OSError, ValueError):  # where the system has no such limit
        import resource

        most = 4 * max(LARGEST, RATIO * path.stat().st_size) + (4 << 30)
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    try:
        check(path)
    except Unsafe as error:
        sys.stdout.buffer.write(str(error).encode(errors="replace"))
        sys.stdout.flush()
        sys.exit(DAMAGED)
