"""Files and folders that are written whole or not at all.

What is new is written beside its place, brought to the disk, and moved there in one move. Until then it stands in the
same folder under a name that ends in :data:`PART`. Where a process is killed such a part may stay; it is never read,
and may be deleted.

A file that is replaced keeps its permissions and, where the system allows it, its owner; a symbolic link stays one, and
what it leads to is replaced. Hard links, access lists and extended attributes do not survive.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from neurolrnn.errors import NeurolrnnError

PART, OLD = ".neurolrnn-part", ".neurolrnn-old"
"""Ends of the names under which things stand that are not in place yet, or no more."""
MARK = ".neurolrnn-export"
"""File that marks a folder as one of ours, which may be replaced by the next one."""
_PAUSES_SECONDS = (0.01, 0.05, 0.2, 0.7) if sys.platform == "win32" else ()
"""Windows moves nothing onto a file that anybody has open, such as a virus scanner for a moment."""
_WAYS = {
    errno.ENOSPC: "make room there, or give another path",
    errno.EDQUOT: "make room there, or give another path",
    errno.EFBIG: "allow larger files there, or give another path",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "remove the link that leads back to itself, or give another path",
}


class WriteError(NeurolrnnError):
    """A file cannot be written; what was there is as it was."""


# --- refusals, before anything is calculated or written


def check_target(
    path: str | Path, suffix: str = "", error: type[NeurolrnnError] = WriteError, example: str = "file"
) -> Path:
    """Return where a file will be written, with ``suffix`` if its name has none. A long run asks this before it starts.

    Raises
    ------
    error
        If no file can be written there: it is a folder, a device or write-protected, or its folder does not exist or
        may not be written.
    """
    target = Path(path)
    _check_file(target, error, example + suffix)
    if suffix and not target.suffix:
        target = target.with_name(target.name + suffix)
        _check_file(target, error, example + suffix)
    check_parent(target, _parent(target, error), error)
    return target


def check_folder(path: str | Path, error: type[NeurolrnnError] = WriteError) -> Path:
    """Return where a folder will be written, which may replace an older one of ours and nothing else.

    Raises
    ------
    error
        If it is a file, holds files that are not ours, or cannot be written.
    """
    target = Path(path)
    found = look(target, error)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise error(f"{target} is a file; a folder is written, so give another name")
    if found is not None:
        _check_protection(target, found, error)
        try:
            foreign = any(target.iterdir()) and not (target / MARK).is_file()
        except OSError as why:
            raise error(_words(target, why)) from why
        if foreign:
            raise error(f"the folder {target} holds files that no export wrote; give a new or empty one")
    check_parent(target, _parent(target, error), error)
    return target


def check_parent(target: Path, parent: Path, error: type[NeurolrnnError] = WriteError) -> None:
    """Refuse a target, file or folder, whose folder does not exist or may not be written."""
    found = look(parent, error)
    if found is None or not stat.S_ISDIR(found.st_mode):
        state = "does not exist" if found is None else "is a file"
        raise error(f"cannot write {target}: the folder {parent} {state}; make it first, or give another path")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise error(f"cannot write {target}: the folder {parent} may not be written; give another path")


def check_kind(target: Path, error: type[NeurolrnnError] = WriteError, example: str = "file") -> os.stat_result | None:
    """Refuse what is there and no file; return what is there, if anything."""
    found = look(target, error)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise error(f"{target} is a folder; give the name of a file in it, such as {target / example}")
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise error(f"cannot write {target}: it is a device, a pipe or a socket, not a file; give another name")
    return found


def _check_file(target: Path, error: type[NeurolrnnError], example: str) -> None:
    """Refuse what a file cannot or must not replace."""
    found = check_kind(target, error, example)
    if found is not None:
        _check_protection(target, found, error)


def _check_protection(target: Path, found: os.stat_result, error: type[NeurolrnnError]) -> None:
    """Refuse what is write-protected, though it could be replaced: for root too, to whom nothing is."""
    if not found.st_mode & 0o222 or not os.access(target, os.W_OK):
        raise error(f"cannot write {target}: it is write-protected; lift that first, or give another path")


def look(path: Path, error: type[NeurolrnnError]) -> os.stat_result | None:
    """Return what stands at a path, links followed; None if nothing does."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as why:  # too long, not to be searched, links in a circle, a NUL
        raise error(_words(path, why)) from why


def _home(target: Path, error: type[NeurolrnnError]) -> Path:
    """Return where a path really is, links followed."""
    try:
        return target.resolve()
    except (OSError, ValueError, RuntimeError) as why:  # RuntimeError: links in a circle, before Python 3.13
        raise error(_words(target, why)) from why


def _parent(target: Path, error: type[NeurolrnnError]) -> Path:
    """Return the folder that is written, in the user's own words where no link leads elsewhere."""
    return _home(target, error).parent if target.is_symlink() else target.parent


def _words(target: Path, why: Exception) -> str:
    number = why.errno if isinstance(why, OSError) else None
    said = (why.strerror if isinstance(why, OSError) else None) or str(why)
    way = _WAYS.get(number or 0, "give another path")
    if sys.platform == "win32" and number == errno.EACCES:
        way = "close the program that has it open, or give another path"
    return f"cannot write {target}: {said}; nothing was changed there. What helps: {way}"


# --- writing


def write_bytes(target: Path, data: bytes, error: type[NeurolrnnError] = WriteError) -> Path:
    """Write a file in one move: afterwards the path holds the old content or the new one, never a part.

    Parameters
    ----------
    target : path
        Where; an older file is replaced and keeps its permissions. A symbolic link stays one.
    data : bytes
        What.
    error : type
        What is raised.

    Raises
    ------
    error
        If it cannot be written; what was there is as it was.
    """
    check_target(target, "", error)
    before, home = look(target, error), _home(target, error)
    part = _beside(home, PART)
    with _undisturbed():
        try:
            _put(part, data, before)
            _move(part, home)
            _sync(home.parent)
        except OSError as why:
            raise error(_words(target, why)) from why
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return target


def write_text(path: str | Path, text: str, error: type[NeurolrnnError] = WriteError) -> Path:
    """Write text as UTF-8 in one move and return its path.

    Raises
    ------
    error
        If it cannot be written; what was there is as it was.
    """
    return write_bytes(Path(path), text.encode(), error)


def write_folder(target: Path, files: Mapping[str, bytes], error: type[NeurolrnnError] = WriteError) -> Path:
    """Write a folder beside its place and move it there whole; an older one of ours is replaced, nothing else is.

    Parameters
    ----------
    target : path
        Where. A symbolic link stays one.
    files : dict of str to bytes
        Content by name; names may hold ``/``. :data:`MARK` is added.
    error : type
        What is raised.

    Raises
    ------
    error
        If it cannot be written; what was there is as it was.

    Notes
    -----
    Linux and macOS let two folders change places in one move. Elsewhere the older one is moved aside first: a process
    that is killed between these two moves leaves it whole, under a name that ends in :data:`OLD`.
    """
    check_folder(target, error)
    before, home = look(target, error), _home(target, error)
    part, old = _beside(home, PART), _beside(home, OLD)
    mark = {MARK: b"written by neurolrnn; the next one here replaces this folder\n"}
    with _undisturbed():
        try:
            part.mkdir()
            if before is not None:
                _keep(part, before)
            for name, data in {**files, **mark}.items():
                file = part / name
                file.parent.mkdir(parents=True, exist_ok=True)
                _put(file, data)
            _sync(part)
            _replace_folder(part, home, old)
            _sync(home.parent)
        except OSError as why:
            raise error(_words(target, why)) from why
        finally:
            for rest in (part, old) if home.exists() else (part,):  # never the only whole one
                shutil.rmtree(rest, ignore_errors=True)
    return target


def _beside(home: Path, end: str) -> Path:
    """Return a new name in the same folder; of the name itself so much that it stays allowed everywhere."""
    return home.with_name(f".{re.sub(r'[^A-Za-z0-9_.-]', '_', home.name)[:60]}.{secrets.token_hex(4)}{end}")


def _put(part: Path, data: bytes, before: os.stat_result | None = None) -> None:
    with part.open("xb") as file:
        if before is not None:
            _keep(part, before)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _keep(part: Path, before: os.stat_result) -> None:
    """Give owner and permissions of what will be replaced, as far as this user and this disk can."""
    if sys.platform != "win32" and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(OSError):
            os.chown(part, before.st_uid, before.st_gid)
    with contextlib.suppress(OSError):
        part.chmod(stat.S_IMODE(before.st_mode) & 0o777)


def _move(part: Path, home: Path) -> None:
    for pause in _PAUSES_SECONDS:
        try:
            os.replace(part, home)  # noqa: PTH105 - the very call that is atomic, by its own name
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(part, home)  # noqa: PTH105


def _replace_folder(part: Path, home: Path, old: Path) -> None:
    """Put a folder in its place. What was there is ``part`` or ``old`` afterwards."""
    if not home.exists():
        _move(part, home)
    elif not _exchange(part, home):
        _move(home, old)
        try:
            _move(part, home)
        except BaseException:
            _move(old, home)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one move; False where system or disk cannot."""
    here = ctypes.c_int(-100)  # AT_FDCWD
    calls = {"linux": ("renameat2", (here,)), "darwin": ("renamex_np", ())}
    if sys.platform not in calls:
        return False
    name, at = calls[sys.platform]
    call = getattr(ctypes.CDLL(None), name, None)
    swap = ctypes.c_uint(2)  # RENAME_EXCHANGE; on macOS RENAME_SWAP
    return call is not None and call(*at, os.fsencode(one), *at, os.fsencode(other), swap) == 0


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, so that a move outlives a power cut; Windows has no such call."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):  # some network disks refuse it
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Put Ctrl-C off until all is done, cleaning up included; then it does what it always does."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    asked: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _number, frame: asked.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if asked:
            before(signal.SIGINT, asked[0])
