"""A disk cache of machine code into which several processes may write at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from numba.core.caching import FunctionCache

PATIENCE_SECONDS = 60.0
"""How long to wait for another process; writing an entry takes milliseconds."""


class SharedCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one kernel, whose entries are written one after the other.

    Two processes that have compiled *different* variants of one kernel would both read its index, choose the same file
    name for their code and write: one entry is lost, or leads to the code of the other variant.
    """

    def __init__(self, function: Callable[..., Any], stamp: str) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = stamp

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the entry of a variant."""
        with ExitStack() as held:
            try:
                lock = FileLock(Path(self.cache_path) / f"{self._impl.filename_base}.lock")
                held.enter_context(lock.acquire(timeout=PATIENCE_SECONDS))
            except (OSError, Timeout, NotImplementedError):
                return  # a file system without locks, or nobody answers: better compiled again than taken for another
            super().save_overload(sig, data)
