"""Runs on threads of this process: the kernels, where the time goes, let go of Python's lock."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Sequence

from neurolrnn.interrupt import STOP
from neurolrnn.profiles.engine import Done, make
from neurolrnn.profiles.plan import Item


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
        # Daemons: a second Ctrl-C must be able to end the process in the middle of a long kernel call.
        self._threads = [threading.Thread(target=self._work, daemon=True, name=f"profile-{k}") for k in range(count)]
        for thread in self._threads:
            thread.start()

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

    def close(self) -> None:
        """Wait until everything has stopped."""
        for _ in self._threads:
            self._given.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        STOP.set(self._stop)
        while (item := self._given.get()) is not None:
            if not self._stop.is_set():
                self._done.put(make(item.tables, item.digest))
