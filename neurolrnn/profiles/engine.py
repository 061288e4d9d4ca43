"""Makes the runs of a profile that its store lacks, on threads or on a cluster, and keeps each once it is done."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tqdm import tqdm

from neurolrnn.errors import InputError, positive_integer
from neurolrnn.interrupt import Interrupt
from neurolrnn.profiles.plan import Item
from neurolrnn.profiles.row import STATUSES, Row
from neurolrnn.profiles.run_one import run_one
from neurolrnn.profiles.store import Packed, Store, pack

WAIT_SECONDS = 0.2
"""How often Ctrl-C is looked for while nothing finishes."""
SHORT_SECONDS = 0.5
"""Shorter runs are mostly Python, which threads cannot do side by side: they are made by processes."""
START_SECONDS = 2.0
"""What starting a process costs."""


@dataclass(frozen=True)
class Done:
    """What came of one run.

    Parameters
    ----------
    digest : str
        Which.
    packed : Packed, optional
        Its result; None if there is none.
    trouble : str
        Why there is none: something that has nothing to do with the settings. Empty if it was asked to stop.
    """

    digest: str
    packed: Packed | None = None
    trouble: str = ""


class Workers(Protocol):
    """What makes runs, several at a time."""

    @property
    def room(self) -> int:
        """How many more runs can be handed in without any lying about for long."""

    def hand_in(self, items: Sequence[Item]) -> None:
        """Take runs that are to be made."""

    def finished(self, seconds: float) -> list[Done]:
        """Return what has finished, after waiting at most so long for the first."""

    def stop(self) -> None:
        """Ask all that is under way to stop soon, and drop what has not begun."""

    def close(self) -> None:
        """Wait until everything has stopped, and let go of it."""


def make(tables: Mapping[str, object], digest: str) -> Done:
    """Make one run, whatever happens: what goes wrong is told, not raised."""
    try:
        row = run_one(tables, {})
    except Exception as error:  # of this one run: memory, a file that went away, a fault of ours
        return Done(digest, None, f"{type(error).__name__}: {error}")
    return checked(row, digest)


def checked(row: Row, digest: str) -> Done:
    """Return what came of a run, unless it is another than was asked for."""
    if row.status not in STATUSES:
        return Done(digest)
    if row.digest == digest:
        return Done(digest, pack(row))
    other = (
        "what ran has other data than what was asked for: the file of the task was changed, or other versions where it "
        "ran, or linear algebra on more threads, calculate other last digits. Install the same there as here, and set "
        "OPENBLAS_NUM_THREADS=1 in both places"
    )
    return Done(digest, None, row.message if row.status == "failed" else other)


@dataclass(frozen=True)
class Engine:
    """What makes the runs; at most one of the three is given.

    Parameters
    ----------
    threads, processes : int, optional
        Runs at a time on threads, or in processes, of this machine.
    cluster : str, optional
        ``"local"``, or the address of a Dask scheduler; with ``processes``, the number of a local cluster's workers.
    """

    threads: int | None = None
    processes: int | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        for name in ("threads", "processes"):
            if getattr(self, name) is not None:
                positive_integer(name, getattr(self, name))
        given = [name for name in ("threads", "processes", "cluster") if getattr(self, name) is not None]
        if len(given) > 1 and not (given == ["processes", "cluster"] and self.cluster == "local"):
            raise InputError(f"{' and '.join(given)} are given; runs are made by one of them, leave the others out")
        if self.cluster is not None:
            from neurolrnn.profiles.cluster import check_address

            check_address(self.cluster)

    @property
    def automatic(self) -> bool:
        """Whether it is chosen by how long the first runs take."""
        return self == Engine()

    def start(self, items: Sequence[Item]) -> Workers:
        """Return what makes these runs."""
        from neurolrnn.profiles.threads import Threads, processors

        if self.cluster is not None:
            from neurolrnn.profiles.cluster import Cluster

            return Cluster(self.cluster, self.processes, max(item.units for item in items))
        if self.processes is not None:
            from neurolrnn.profiles.processes import Processes

            return Processes(self.processes)
        return Threads(self.threads or processors())


def run(store: Store, items: Sequence[Item], engine: Engine, *, progress: bool) -> dict[str, str]:
    """Make every run that the store lacks.

    Parameters
    ----------
    store : Store
        Gets every run as soon as it is done.
    items : sequence of Item
        What is wanted.
    engine : Engine
        What makes the runs.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    dict of str to str
        Why runs were lost, by digest.

    Raises
    ------
    StoreError
        If the store cannot be written; what was written before is kept.
    """
    possible = list({item.digest: item for item in items if not item.failure}.values())
    done = store.done()
    missing = [item for item in possible if item.digest not in done]
    if not missing:
        return {}
    # In no order, so that processes which share a store seldom meet, and what is left takes as long as what was done.
    random.SystemRandom().shuffle(missing)
    bar = tqdm(
        total=len(possible), initial=len(possible) - len(missing), unit="run", disable=not progress, desc="profile",
        mininterval=0.2, smoothing=0.05, leave=False,
    )  # fmt: skip
    with bar, Interrupt() as interrupt, interrupt.taken():
        work = _Work(store, done, bar, interrupt)
        if engine.automatic:
            engine = work.choose(missing)
        work.go(engine, missing)
    return work.lost


class _Work:
    """What has been done, and where it is kept."""

    def __init__(self, store: Store, done: set[str], bar: tqdm[Any], interrupt: Interrupt) -> None:
        self._store, self._done, self._bar, self._interrupt = store, done, bar, interrupt
        self._under_way = 0
        self._seconds: list[float] = []
        self.lost: dict[str, str] = {}

    def choose(self, left: list[Item]) -> Engine:
        """Make a few of the runs and say what the others should be made by."""
        from neurolrnn.profiles.threads import processors

        count = processors()
        on_threads = Engine(threads=count)
        if count == 1 or len(left) <= 4 * count:
            return on_threads
        self.go(on_threads, [left.pop() for _ in range(2 * count)])
        least = min(self._seconds, default=SHORT_SECONDS)
        worth_it = least * len(left) > START_SECONDS * count
        return Engine(processes=count) if least < SHORT_SECONDS and worth_it else on_threads

    def go(self, engine: Engine, left: list[Item]) -> None:
        """Make all runs of a list, the last one first."""
        if not left:
            return
        workers = engine.start(left)
        self._under_way = 0
        try:
            while (left or self._under_way) and not self._interrupt.asked:
                self._hand_in(workers, left)
                self._keep(workers.finished(WAIT_SECONDS))
        except BaseException:
            workers.stop()
            raise
        finally:
            if self._interrupt.asked:
                workers.stop()
            workers.close()
        self._keep(workers.finished(0.0))  # what was done before it heard of stopping

    def _hand_in(self, workers: Workers, left: list[Item]) -> None:
        batch: list[Item] = []
        room = workers.room
        while left and len(batch) < room:
            item = left.pop()
            if item.digest not in self._done:
                batch.append(item)
        if batch:
            self._under_way += len(batch)
            workers.hand_in(batch)

    def _keep(self, finished: Sequence[Done]) -> None:
        if not finished:
            return
        self._under_way -= len(finished)
        kept = [done.packed for done in finished if done.packed is not None]
        self._store.add(kept)
        self._seconds += [packed.seconds for packed in kept]
        self.lost |= {done.digest: done.trouble for done in finished if done.trouble}
        before = len(self._done)
        self._done.update(packed.digest for packed in kept)
        if self._store.others_wrote():
            self._done |= self._store.done()
        self._bar.update(len(self._done) - before)
        if self.lost:
            self._bar.set_postfix(lost=len(self.lost))
