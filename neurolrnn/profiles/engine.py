"""Makes the runs of a profile that its store lacks, on threads or on a cluster, and keeps each once it is done."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tqdm import tqdm

from neurolrnn.errors import InputError, positive_integer
from neurolrnn.interrupt import Interrupt
from neurolrnn.profiles.plan import Item
from neurolrnn.profiles.row import STATUSES, Row
from neurolrnn.profiles.run_one import run_one
from neurolrnn.profiles.store import Packed, Store, pack

WAIT_SECONDS = 0.2
"""How often Ctrl-C is looked for while nothing finishes."""


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


def make(tables: dict[str, object], digest: str) -> Done:
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
        "ran calculate other last digits. Install the same there as here"
    )
    return Done(digest, None, row.message if row.status == "failed" else other)


def run(
    store: Store, items: Sequence[Item], *, threads: int | None, cluster: str | None, progress: bool,
    workers: Callable[[], Workers] | None = None,
) -> dict[str, str]:  # fmt: skip
    """Make every run that the store lacks.

    Parameters
    ----------
    store : Store
        Gets every run as soon as it is done.
    items : sequence of Item
        What is wanted.
    threads, cluster, progress
        As in :func:`neurolrnn.profile`.
    workers : function, optional
        Makes what the runs are made by, in place of threads or a cluster.

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
    start = workers or _choose(threads, cluster)
    if not missing:
        return {}
    # In no order, so that processes which share a store seldom meet, and what is left takes as long as what was done.
    random.SystemRandom().shuffle(missing)
    bar = tqdm(
        total=len(possible), initial=len(possible) - len(missing), unit="run", disable=not progress, desc="profile",
        mininterval=0.2, smoothing=0.05, leave=False,
    )  # fmt: skip
    with bar:
        return _Work(store, missing, done, bar).go(start)


def _choose(threads: int | None, cluster: str | None) -> Callable[[], Workers]:
    if cluster is None:
        from neurolrnn.profiles.threads import Threads, processors

        return partial(Threads, processors() if threads is None else positive_integer("threads", threads))
    from neurolrnn.profiles.cluster import Cluster, check_address

    if threads is not None and cluster != "local":
        raise InputError(f"threads = {threads!r} is of this machine; the cluster {cluster} has its own, leave it out")
    return partial(Cluster, check_address(cluster), None if threads is None else positive_integer("threads", threads))


class _Work:
    """What is left to do, and what has been done."""

    def __init__(self, store: Store, missing: list[Item], done: set[str], bar: tqdm) -> None:
        self._store, self._left, self._done, self._bar = store, missing[::-1], done, bar
        self._under_way = 0
        self._lost: dict[str, str] = {}

    def go(self, start: Callable[[], Workers]) -> dict[str, str]:
        with Interrupt() as interrupt, interrupt.taken():
            workers = start()
            try:
                while (self._left or self._under_way) and not interrupt.asked:
                    self._hand_in(workers)
                    self._keep(workers.finished(WAIT_SECONDS))
            except BaseException:
                workers.stop()
                raise
            finally:
                if interrupt.asked:
                    workers.stop()
                workers.close()
            self._keep(workers.finished(0.0))  # what was done before it heard of stopping
        return self._lost

    def _hand_in(self, workers: Workers) -> None:
        batch: list[Item] = []
        while self._left and len(batch) < workers.room:
            item = self._left.pop()
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
        self._lost |= {done.digest: done.trouble for done in finished if done.trouble}
        before = len(self._done)
        self._done.update(packed.digest for packed in kept)
        if self._store.others_wrote():
            self._done |= self._store.done()
        self._bar.update(len(self._done) - before)
        if self._lost:
            self._bar.set_postfix(lost=len(self._lost))
