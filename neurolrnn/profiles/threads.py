"""Runs on threads of this process: the kernels, where the time of long runs goes, let go of Python's lock."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Sequence
from typing import Protocol

from neurolrnn.interrupt import STOP
from neurolrnn.profiles.engine import Done, make
from neurolrnn.profiles.plan import Item


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Maker(Protocol):
    """What one thread makes its runs with."""

    def __call__(self, item: Item) -> Done:
        """Make a run."""

    def stop(self) -> None:
        """Give up the run under way; called from another thread."""

    def close(self) -> None:
        """Let go of what was needed."""


class Here:
    """Makes runs in this process."""

    def __call__(self, item: Item) -> Done:
        """Make a run."""
        return make(item.tables, item.digest)

    def stop(self) -> None:
        """Do nothing: a run under way sees :data:`~neurolrnn.interrupt.STOP`."""

    def close(self) -> None:
        """Do nothing: nothing is held."""


class Threads:
    """So many runs at a time, each from its beginning to its end on one thread.

    Two threads that need the same kernel do not compile it twice: Numba compiles under a lock, and looks again for what
    it was asked for once it has the lock.

    Parameters
    ----------
    count : int
        Number of threads.
    """

    def __init__(self, count: int) -> None:
        self._room = 2 * count
        self._given = queue.SimpleQueue[Item | None]()
        self._done = queue.SimpleQueue[Done]()
        self._stop = threading.Event()
        self._makers = [self.begin() for _ in range(count)]
        # Daemons: one Ctrl-C too many must be able to end the process in the middle of a long kernel call.
        self._threads = [threading.Thread(target=self._work, args=(maker,), daemon=True) for maker in self._makers]
        for thread in self._threads:
            thread.start()

    def begin(self) -> Maker:
        """Return what one thread makes its runs with."""
        return Here()

    @property
    def room(self) -> int:
        """How many more runs can be handed in: two for each thread."""
        return self._room

    def hand_in(self, items: Sequence[Item]) -> None:
        """Take runs that are to be made."""
        self._room -= len(items)
        for item in items:
            self._given.put(item)

    def finished(self, seconds: float) -> list[Done]:
        """Return what has finished, after waiting at most so long for the first."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._done.get(timeout=seconds) if seconds else self._done.get_nowait())
            while True:
                found.append(self._done.get_nowait())
        self._room += len(found)
        return found

    def stop(self) -> None:
        """Ask all that is under way to stop soon, and drop what has not begun."""
        self._stop.set()
        for maker in self._makers:
            maker.stop()

    def close(self) -> None:
        """Wait until everything has stopped."""
        for _ in self._threads:
            self._given.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, maker: Maker) -> None:
        STOP.set(self._stop)
        try:
            while (item := self._given.get()) is not None:
                self._done.put(Done(item.digest) if self._stop.is_set() else maker(item))
        finally:
            maker.close()
