"""Runs on a Dask cluster: worker processes of this machine, or those of a scheduler somewhere else."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import time
from collections.abc import Sequence
from typing import Any

from neurolrnn.errors import InputError
from neurolrnn.profiles.engine import Done, make
from neurolrnn.profiles.plan import Item
from neurolrnn.profiles.store import Packed

LOCAL = "local"
TASK_SECONDS = 0.5
"""About how long one task of the cluster should take: long beside what handing it over costs, short beside a loss."""
MOST_RUNS = 64
"""Runs in one task."""
LINEAR_ALGEBRA = "the last digits of linear algebra"
PROBED = 500
"""Units of the largest network that is drawn to see them."""
CONNECT_SECONDS = 15.0


def check_address(cluster: str) -> str:
    """Return what was given for a cluster, if it can be one.

    Raises
    ------
    InputError
        If it is neither ``"local"`` nor an address, or Dask is not installed.
    """
    if cluster != LOCAL and "://" not in str(cluster):
        raise InputError(
            f"cluster = {cluster!r}; 'local', or the address of a scheduler such as 'tcp://10.0.0.1:8786' is needed"
        )
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise InputError("a cluster needs Dask, which is not installed; pip install dask distributed") from None
    return cluster


def run_batch(batch: Sequence[tuple[dict[str, Any], str]]) -> list[tuple[tuple[Any, ...] | None, str, float]]:
    """Make some runs on a worker: experiments as plain data and their digests in, plain results out."""
    found = []
    for tables, digest in batch:
        began = time.perf_counter()
        done = make(tables, digest)
        packed = None if done.packed is None else tuple(done.packed)
        found.append((packed, done.trouble, time.perf_counter() - began))
    return found


def fingerprint(n_rec: int) -> dict[str, str]:
    """Return what decides the last digits of a run where this is called: versions, and how matrices are multiplied.

    Libraries that calculate with large matrices on several threads round otherwise than on one; Dask gives its workers
    one.
    """
    from neurolrnn.network import Network
    from neurolrnn.simulation import package_versions

    versions = {k: v for k, v in package_versions().items() if k != "machine"}
    network = Network.random(2, min(n_rec, PROBED), 2)
    h = hashlib.sha256(network.digest().encode() + (network.W @ network.W).tobytes())
    return {**versions, f"{LINEAR_ALGEBRA} with {n_rec} units": h.hexdigest()[:12]}


class Cluster:
    """A Dask cluster.

    Parameters
    ----------
    address : str
        ``"local"``, or that of a scheduler.
    count : int, optional
        Worker processes of a local one; default: the processors this process may use.
    n_rec : int
        Units of the largest network that will be run.

    Raises
    ------
    InputError
        If no scheduler answers, it has no workers, or they have other versions than this process.
    """

    def __init__(self, address: str, count: int | None = None, n_rec: int = 1) -> None:
        self._local = None
        if address == LOCAL:
            self._local = _local_cluster(count)
        self._client = _connect(self._local if self._local is not None else address, address)
        try:
            self._check(n_rec)
        except BaseException:
            self.close()
            raise
        self._done: queue.SimpleQueue[tuple[Any, list[Item]]] = queue.SimpleQueue()
        self._futures: set[Any] = set()
        self._waiting: list[Item] = []
        self._seconds: float | None = None
        self._stopped = False

    def _check(self, n_rec: int) -> None:
        self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        here = fingerprint(n_rec)
        for worker, there in self._client.run(fingerprint, n_rec).items():
            wrong = [f"{k} {there.get(k)} there, {v} here" for k, v in here.items() if there.get(k) != v]
            if wrong:
                raise InputError(
                    f"worker {worker} would calculate other last digits than this process: {', '.join(wrong)}. Install "
                    f"the same versions there; for linear algebra set OPENBLAS_NUM_THREADS=1 before starting this one"
                )

    @property
    def room(self) -> int:
        """How many more runs can be handed in: two tasks for each thread of the workers."""
        threads = max(sum(map(int, self._client.nthreads().values())), 1)
        return self._size() * max(2 * threads - len(self._futures), 0)

    def _size(self) -> int:
        """Return how many runs make one task."""
        if self._seconds is None:
            return 1
        return max(1, min(int(TASK_SECONDS / max(self._seconds, 1e-6)), MOST_RUNS))

    def hand_in(self, items: Sequence[Item]) -> None:
        """Take runs that are to be made."""
        size = self._size()
        for k in range(0, len(items), size):
            self._submit(list(items[k : k + size]))

    def _submit(self, items: list[Item]) -> None:
        future = self._client.submit(run_batch, [(item.tables, item.digest) for item in items], pure=False)
        self._futures.add(future)
        future.add_done_callback(lambda done: self._done.put((done, items)))

    def finished(self, seconds: float) -> list[Done]:
        """Return what has finished, after waiting at most so long for the first."""
        ended: list[tuple[Any, list[Item]]] = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._done.get(timeout=seconds) if seconds else self._done.get_nowait())
            while True:
                ended.append(self._done.get_nowait())
        return [done for future, items in ended for done in self._results(future, items)]

    def _results(self, future: Any, items: list[Item]) -> list[Done]:
        self._futures.discard(future)
        if future.status == "finished":
            results = future.result()
            mean = sum(seconds for _, _, seconds in results) / len(results)
            self._seconds = mean if self._seconds is None else 0.5 * (self._seconds + mean)
            return [
                Done(item.digest, None if packed is None else Packed(*packed), trouble)
                for item, (packed, trouble, _) in zip(items, results, strict=True)
            ]
        if self._stopped:
            return [Done(item.digest) for item in items]
        if future.status == "error" and len(items) > 1:  # one of them may have cost the worker: each by itself
            for item in items:
                self._submit([item])
            return []
        return [Done(item.digest, None, _why(future)) for item in items]

    def stop(self) -> None:
        """Drop what has not begun; what is under way is abandoned."""
        self._stopped = True
        for future in list(self._futures):
            future.cancel()

    def close(self) -> None:
        """Let go of the scheduler; end a local cluster."""
        self._client.close()
        if self._local is not None:
            self._local.close()


def _why(future: Any) -> str:
    if future.status == "error":
        error = future.exception()
        return f"the worker was lost or failed, several times over: {type(error).__name__}: {error}"
    return f"the cluster gave up the run (it was {future.status})"


def _local_cluster(count: int | None) -> Any:
    import dask
    from distributed import LocalCluster

    from neurolrnn.profiles.threads import processors

    # Dask would have its workers multiply matrices on one thread, which gives other last digits than this process.
    with dask.config.set({"distributed.nanny.pre-spawn-environ": {}}):
        return LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=processors() if count is None else count, threads_per_worker=1, processes=True,
            dashboard_address=None, silence_logs="CRITICAL",
        )  # fmt: skip


def _connect(target: Any, address: str) -> Any:
    from distributed import Client

    try:
        return Client(
            target,  # type: ignore[no-untyped-call]
            timeout=CONNECT_SECONDS,
            set_as_default=False,
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address} ({error}); start one with 'dask scheduler' and workers with "
            f"'dask worker {address}', or take cluster='local'"
        ) from None
