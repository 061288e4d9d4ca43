"""Ctrl-C, served between two kernel calls, where every step made has also been counted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Any

PATIENCE = 3
"""So many times Ctrl-C is noted; the next one is Python's own and loses what is under way."""


STOP: ContextVar[threading.Event | None] = ContextVar("STOP", default=None)
"""Where many things are done at once: the event by which all of them are asked to stop."""


class Interrupt:
    """While entered, Ctrl-C sets :attr:`asked` instead of raising in the middle of something.

    Only the main thread gets signals; in any other thread only :data:`STOP` counts.
    """

    def __init__(self) -> None:
        self._asked = False
        self._all = STOP.get()
        self._count = 0
        self._before: Any = None
        self._installed = False

    @property
    def asked(self) -> bool:
        """Whether to stop."""
        return self._asked or (self._all is not None and self._all.is_set())

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:  # None was a handler that Python did not set and cannot put back
            signal.signal(signal.SIGINT, signal.default_int_handler if self._before is None else self._before)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take a KeyboardInterrupt raised by something else than this object's own impatience as asked for too."""
        try:
            yield
        except KeyboardInterrupt:
            if self._count > PATIENCE:
                raise
            self._asked = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self._count += 1
        if self._count > PATIENCE:
            raise KeyboardInterrupt
        if self._count > 1:  # somebody is waiting; print may be interrupted itself, os.write not
            with suppress(OSError):
                os.write(2, f"\nstopping as soon as what is under way is done; Ctrl-C {PATIENCE + 1 - self._count} "
                            f"more to stop at once and lose it\n".encode())  # fmt: skip
