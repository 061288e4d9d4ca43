"""What somebody in front of a terminal needs: tables that fit it, and a word where nothing happens for long."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

COLUMNS: ContextVar[int | None] = ContextVar("COLUMNS", default=None)
"""Columns that plain tables are made for; None: cells stay whole, as programs that read tables want."""
LONG_SECONDS = 1.5
"""A first step that is found compiled takes less."""


@contextmanager
def first_step(*, silent: bool) -> Iterator[None]:
    """Say on stderr that a kernel is being compiled, if what is done meanwhile takes long."""
    if silent:
        yield
        return
    said = "compiling the kernel for this kind of run, once; it may take a minute\n"
    timer = threading.Timer(LONG_SECONDS, sys.stderr.write, [said])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
