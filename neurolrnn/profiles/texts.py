"""Text files, written in one move."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from neurolrnn.errors import InputError


def write_text(path: str | Path, text: str) -> Path:
    """Write text into a file; what was there stays until all of the new text is on disk.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    return target
