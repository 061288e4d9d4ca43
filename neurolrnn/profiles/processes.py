"""Runs in processes of this machine: for runs so short that most of their time is Python's, which has one lock."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

from neurolrnn.profiles.engine import Done
from neurolrnn.profiles.plan import Item
from neurolrnn.profiles.threads import Threads

TRIES = 2
"""How often a run is tried whose process dies."""


class Processes(Threads):
    """So many runs at a time, each in a process that lives as long as this object.

    A process of one's own, not of :mod:`multiprocessing`: that would run the caller's script again in each.

    Parameters
    ----------
    count : int
        Number of processes.
    """

    def begin(self) -> Helper:
        """Return what one thread makes its runs with."""
        return Helper()


class Helper:
    """One process that makes runs; started when there is one to make, and again if it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def __call__(self, item: Item) -> Done:
        """Make a run."""
        from neurolrnn.profiles.worker import from_line  # not at the top: it is run as a program

        line = json.dumps({"tables": item.tables, "digest": item.digest}) + "\n"
        code: int | None = None
        for _ in range(TRIES):
            if self._stopped:
                return Done(item.digest)
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            answer = ""
            with contextlib.suppress(OSError):
                process.stdin.write(line)
                process.stdin.flush()
                answer = process.stdout.readline()
            if answer.endswith("\n"):
                return from_line(answer)
            code = process.wait()
            self._process = None
        if self._stopped:
            return Done(item.digest)
        return Done(item.digest, None, f"the process that made the run ended, {TRIES} times ({_ended(code)})")

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            path = os.pathsep.join(part for part in sys.path if part)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "neurolrnn.profiles.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path}, encoding="utf-8",
            )  # fmt: skip
            if self._stopped:
                self._process.kill()
        return self._process

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Let the process end, and wait for it."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.communicate()
            self._process = None


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by signal {-code}; the machine may be out of memory"
    return f"exit code {code}"
