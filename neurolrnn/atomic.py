"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from neurolrnn.errors import NeurolrnnError


class WriteError(NeurolrnnError):
    """A file cannot be written; what was there is as it was."""


def check_folder(target: Path, error: type[NeurolrnnError] = WriteError) -> None:
    """Refuse a target that is a folder, or whose folder does not exist or may not be written."""
    if target.is_dir():
        raise error(f"{target} is a folder; give another name")
    check_parent(target, target.parent, error)


def check_parent(target: Path, parent: Path, error: type[NeurolrnnError] = WriteError) -> None:
    """Refuse a target, file or folder, whose folder does not exist or may not be written."""
    if not parent.is_dir():
        state = "is a file" if parent.exists() else "does not exist"
        raise error(f"cannot write {target}: the folder {parent} {state}; make it first, or give another path")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise error(f"cannot write {target}: the folder {parent} may not be written; give another path")


def write_bytes(target: Path, data: bytes, error: type[NeurolrnnError] = WriteError) -> Path:
    """Write a file in one move: afterwards the path holds the old content or the new one, never a part.

    Parameters
    ----------
    target : path
        Where; an older file is replaced. A symbolic link stays one.
    data : bytes
        What.
    error : type
        What is raised.

    Raises
    ------
    error
        If it cannot be written; what was there is as it was.
    """
    home = target.resolve()
    part = home.with_name(f".{home.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, home)  # noqa: PTH105 - the very call that is atomic, by its own name
    except OSError as why:
        raise error(f"cannot write {target}: {why.strerror or why}; nothing was changed there") from why
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def write_text(path: str | Path, text: str) -> Path:
    """Write text in one move and return its path.

    Raises
    ------
    WriteError
        If it cannot be written; what was there is as it was.
    """
    target = Path(path)
    check_folder(target)
    return write_bytes(target, text.encode())
