"""Many learners of one network at once: what differs between them is the seed and the learning rate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from neurolrnn.engine import Engine
from neurolrnn.errors import InputError
from neurolrnn.interrupt import Interrupt
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import RFLO, Rule
from neurolrnn.run import Run
from neurolrnn.simulation import KERNEL_SECONDS, Session
from neurolrnn.tasks.base import Task
from neurolrnn.training import LossSteps, Training, Update, check_rule
from neurolrnn_kernels.rflo_many import Learners

Rate = float | Mapping[str, float]


class ManyOptions(TypedDict, total=False):
    """Settings of :class:`Training` beside the learning rate."""

    update: Update
    epochs: int
    batch: int
    loss_steps: LossSteps
    momentum: float
    clamp: float | Mapping[str, float] | None
    learn: tuple[str, ...]
    shuffle: bool
    records: int
    ranges: bool
    horizon: int | Literal["inf"] | None
    update_every: int


def simulate_many(
    net: Network,
    task: Task,
    rule: Rule,
    seeds: Sequence[int],
    precision: Precision | None = None,
    learning_rate: Rate | Sequence[Rate] = 0.01,
    *,
    training: Training | None = None,
    progress: bool = True,
    **options: Unpack[ManyOptions],
) -> list[Run]:
    """Train several learners that start from the same network, side by side.

    Each run is, bit for bit, what :func:`simulate` gives for its seed and learning rate. Together they are several
    times faster, because W₀ is read once a step for all of them.

    Parameters
    ----------
    net, task, precision
        As for :func:`simulate`; real numbers only.
    rule : RFLO
        With factored storage: W₀ and B₀ stay as they are, and can be shared.
    seeds : sequence of int
        One learner each; seeds the feedback and the order of the sequences.
    learning_rate : float or dict, or a sequence of them
        For all learners, or one per seed.
    training : Training, optional
        The rest; its learning rate is not used. Or give its fields: ``epochs``, ``loss_steps``, ``clamp``, ``learn``,
        ``shuffle``, ``records``.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    list of Run
        In the order of ``seeds``. A learner that diverges does not stop the others; its run has the status
        ``"diverged"``. After Ctrl-C all have the status ``"interrupted"``, and each can be resumed by
        :func:`simulate`.

    Raises
    ------
    InputError
        If rule or settings cannot be shared, or the number of learning rates is not that of seeds.
    """
    if not len(seeds):
        raise InputError("seeds is empty; give one seed per learner")
    training = Training(**options) if training is None else training
    rates = [learning_rate] * len(seeds) if isinstance(learning_rate, Mapping | int | float) else list(learning_rate)
    if len(rates) != len(seeds):
        raise InputError(
            f"there are {len(rates)} learning rates and {len(seeds)} seeds; give one rate, or one per seed"
        )
    precision = Precision.float32() if precision is None else precision
    _check(rule, training, precision)
    sessions = [
        Session(net, task, rule, precision, replace(training, learning_rate=rate), int(seed))
        for seed, rate in zip(seeds, rates, strict=True)
    ]
    return _Herd(sessions).go(progress)


def _check(rule: Rule, training: Training, precision: Precision) -> None:
    check_rule(rule, training)
    obstacles = {
        "the rule is RFLO with storage = 'factored'": isinstance(rule, RFLO) and rule.storage == "factored",
        "precision is float32 or float64": not precision.is_fixed,
        "update is 'online'": training.update == "online",
        "update_every is 1": training.update_every == 1,
        "momentum is 0": training.momentum == 0.0,
        "batch is 1": training.batch == 1,
    }
    for needed, met in obstacles.items():
        if not met:
            raise InputError(f"learners can share W₀ only if {needed}; call simulate once per seed instead")


class _Herd:
    """Sessions that learn in step."""

    def __init__(self, sessions: list[Session]) -> None:
        self.sessions = sessions
        engines = [s.engine for s in sessions]
        assert all(isinstance(e, Engine) for e in engines)
        self.engines: list[Engine] = engines  # type: ignore[assignment]
        self.many = room(self.engines[0], [s.training for s in sessions])
        for b, engine in enumerate(self.engines):
            engine.join(self.many, b, self.engines[0])

    def go(self, progress: bool) -> list[Run]:
        began = time.perf_counter()
        sessions, total = self.sessions, self.sessions[0].schedule.total
        spent = {"compile": 0.0, "kernel": 0.0}
        limit, done = 1, 0
        bar = tqdm(
            total=total * len(sessions), unit="step", unit_scale=True, disable=not progress, mininterval=0.2,
            desc=f"{len(sessions)} learners on {sessions[0].task.name}", leave=False, delay=0.5,
        )  # fmt: skip
        with Interrupt() as interrupt, bar, interrupt.taken():
            for pieces in zip(*(s.schedule.pieces(0, s.ends) for s in sessions), strict=True):
                rows = np.concatenate([p.rows for p in pieces], axis=1)
                flags = np.stack([p.flags for p in pieces], axis=1)
                at = 0
                while at < len(rows) and not interrupt.asked:
                    size = min(limit, len(rows) - at)
                    t0 = time.perf_counter()
                    part = slice(at, at + size)
                    loss = self.engines[0].run_many(self.many, rows[part], flags[part], done)
                    seconds = time.perf_counter() - t0
                    spent["compile" if limit == 1 else "kernel"] += seconds
                    at, done = at + size, done + size
                    self._count(rows[part], loss, done)
                    bar.update(size * len(sessions))
                    limit = (
                        100 if limit == 1 else max(100, min(int(size / max(seconds, 1e-9) * KERNEL_SECONDS), 2 * limit))
                    )
                if interrupt.asked:
                    break
        for session in sessions:
            session.timing |= {k: v / len(sessions) for k, v in spent.items()}
            session.timing["total"] += (time.perf_counter() - began) / len(sessions)
        return [self._result(b, done == total) for b in range(len(sessions))]

    def _count(self, rows: NDArray[np.int64], loss: NDArray[np.float64], done: int) -> None:
        for b, session in enumerate(self.sessions):
            last, lost = int(self.many.diverged[b]), done
            if last >= 0:
                lost = min(done, last)
            steps = lost - session.step
            if steps <= 0:
                continue
            session.count(rows[:steps, b : b + 1], np.ascontiguousarray(loss[:steps, b]))
            session.step += steps
            if session.step in session.ends:
                session.record()

    def _result(self, b: int, complete: bool) -> Run:
        session = self.sessions[b]
        if self.many.diverged[b] >= 0:
            self.many.h[b], self.many.y[b] = self.many.last_h[b], self.many.last_y[b]
            return session.result("diverged", session.why())
        if complete:
            return session.result("completed", "")
        total = session.schedule.total
        return session.result("interrupted", f"stopped by the user after step {session.step} of {total}")


def room(engine: Engine, trainings: list[Training]) -> Learners:
    """Return arrays for as many learners as there are trainings, for :meth:`Engine.join`."""
    net, count = engine.initial, len(trainings)
    n, m, o = net.n_rec, net.n_in, net.n_out
    z: Any = engine.zeros

    def zeros(*shape: int) -> NDArray[Any]:
        return np.asarray(z("state", (count, *shape)))

    rates = zeros(3)
    rates[...] = [[training.rates[g] for g in "AWB"] for training in trainings]
    return Learners(
        A=zeros(o, n), R=zeros(o, n), M=zeros(o, n), N=zeros(o, m), rates=rates, x=zeros(m), target=zeros(o),
        weight=zeros(), h=zeros(n), drive=zeros(n), ahead=zeros(n), p=zeros(n), q=zeros(m), y=zeros(o),
        e=zeros(o), z=zeros(o), last_h=zeros(n), last_y=zeros(o), diverged=np.full(count, -1, np.int64),
    )  # fmt: skip
