"""Run one experiment: learn, keep the curves, notice when learning fails."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from neurolrnn.basis import choose_basis
from neurolrnn.checkpoint import save_or_carry, save_unfinished
from neurolrnn.engine import Engine
from neurolrnn.errors import Divergence, InputError, instance
from neurolrnn.expected_engine import ExpectedEngine
from neurolrnn.fixed_grid import Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.interrupt import Interrupt
from neurolrnn.metrics import LANES, measure
from neurolrnn.network import Network
from neurolrnn.number_system import make_numbers
from neurolrnn.observe import Observer
from neurolrnn.plain_data import Numerics
from neurolrnn.precision import Precision
from neurolrnn.rules import Rule
from neurolrnn.run import Run, describe
from neurolrnn.schedule import Piece, Schedule, step_weights
from neurolrnn.tasks.base import Task
from neurolrnn.terminal import first_step
from neurolrnn.training import LossSteps, Training, Update, check_rule, choose_precision

if TYPE_CHECKING:
    from neurolrnn.chips.limits import Applied

DIVERGED_AT = 1e4
"""A run has diverged when an output exceeds this times the largest target (or 1)."""
CHECKPOINT_SECONDS = 30.0
TIMED = ("setup", "basis", "compile", "kernel", "curves", "metrics", "total")
"""What a run keeps the seconds of: making its arrays, finding its basis, the first step (which compiles the kernel, or
loads it), all other steps, the points of its curves, its metrics and final weights, and everything."""
KERNEL_SECONDS = 0.3
"""Longest time in one kernel call, so that Ctrl-C and the progress bar are served."""


def simulate(
    net: Network,
    task: Task,
    rule: Rule,
    precision: Precision | None = None,
    learning_rate: float | Mapping[str, float] = 0.01,
    update: Update = "online",
    *,
    training: Training | None = None,
    epochs: int = 1,
    batch: int = 1,
    loss_steps: LossSteps = "all",
    momentum: float = 0.0,
    clamp: float | Mapping[str, float] | None = None,
    learn: tuple[str, ...] = ("A", "W", "B"),
    shuffle: bool = True,
    records: int = 50,
    ranges: bool = False,
    horizon: int | Literal["inf"] | None = None,
    seed: int = 0,
    update_every: int = 1,
    chip: str | None = None,
    assume: Iterable[str] = (),
    progress: bool = True,
    checkpoint: str | Path | None = None,
    resume: Run | None = None,
    stop_at: int | None = None,
) -> Run:
    """Train ``net`` on ``task`` by ``rule`` and return what happened.

    Parameters
    ----------
    net : Network
        Initial weights; not changed.
    task : Task
        What is learned and measured.
    rule : Rule
        How: :class:`RFLO`, :class:`TruncatedBPTT`, :class:`EProp`, :class:`RTRL` or :class:`BPTT`.
    precision : Precision, optional
        Numbers it is calculated with; default float32, and float64 for ``update="expected"``.
    learning_rate, update, epochs, batch, loss_steps, momentum, clamp, learn, shuffle, records, ranges, horizon,\
    update_every
        See :class:`Training`, which can be given whole as ``training`` instead.
    seed : int
        Seeds the random feedback and the order of the sequences.
    chip : str, optional
        Chip under whose limits it runs, such as ``"reckon"``, or the path of a sheet of your own: formats, rounding,
        overflow, accumulator and traces are taken from the sheet, and a run that the chip cannot host is refused.
        ``precision`` may then be ``Precision("chip", ...)`` with some options of your own, or a whole one that must lie
        within the chip's.
    assume : iterable of str
        Limits of the chip that are lifted, ``"payload.bits"``, or set, ``"state.bits=16"``; the run records them.
    progress : bool
        Show a progress bar on stderr.
    checkpoint : path, optional
        Save the unfinished run here about every half minute, and the whole one at the end;
        ``resume=Run.load(path)`` goes on from it.
    resume : Run, optional
        An unfinished run of the same experiment. It is continued at its step, bit for bit as if never interrupted.
    stop_at : int, optional
        Stop after this many steps, counted over the whole run, with status ``"interrupted"``.

    Returns
    -------
    Run
        With status ``"completed"``, or ``"interrupted"`` after Ctrl-C or ``stop_at``.

    Raises
    ------
    InputError
        If network, task, rule and settings do not go together, or the chip cannot host them.
    Divergence
        If an output grows beyond 10⁴ times the largest target or is not a number; its ``run`` holds everything
        up to there.
    RunFileError
        If the whole run cannot be saved as ``checkpoint``; its ``run`` holds it.
    """
    instance("net", net, Network, "nl.Network.random(task.n_in, 32, task.n_out)")
    instance("task", task, Task, "nl.tasks.load('add-memory')")
    if training is None:
        training = Training(
            learning_rate=learning_rate, update=update, epochs=epochs, batch=batch, loss_steps=loss_steps,
            momentum=momentum, clamp=clamp, learn=tuple(learn), shuffle=shuffle, records=records,
            ranges=ranges, horizon=horizon, update_every=update_every,
        )  # fmt: skip
    check_rule(rule, training)
    applied: Applied | None = None
    if chip is not None:
        from neurolrnn.chips.limits import apply  # reads chip sheets: only when they are needed

        applied = apply(chip, net, task, rule, precision, training, seed, assume)
        precision = applied.precision
    elif assume:
        raise InputError(f"assume = {assume!r} lifts limits of a chip, and none is given; say which: chip = 'reckon'")
    precision = choose_precision(precision, training)
    session = Session(net, task, rule, precision, training, seed, applied)
    if resume is not None:
        session.resume(resume)
    return session.go(progress, None if checkpoint is None else Path(checkpoint), stop_at)


@cache
def _versions() -> Mapping[str, str]:
    names = ("neurolrnn", "numba", "numpy")
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a checkout that is not installed
            found[name] = "unknown"
    return found


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that take part in a run, and the kind of machine."""
    return dict(_versions())


class Session:
    """The state of one run while it learns."""

    def __init__(
        self, net: Network, task: Task, rule: Rule, precision: Precision, training: Training, seed: int,
        applied: Applied | None = None,
    ) -> None:  # fmt: skip
        began = time.perf_counter()
        self.task, self.training = task, training
        self.applied = applied
        self.experiment = describe(net, task, rule, precision, training, seed)
        if applied is not None:
            self.experiment = {**self.experiment, **applied.keys()}
        data = task.train
        self.schedule = Schedule(
            data, epochs=training.epochs, batch=training.batch, shuffle=training.shuffle, seed=seed
        )
        weights = step_weights(data, training.loss_steps)
        self.weights, self.unweighted = weights, bool((weights == 1.0).all())
        R = rule.feedback_matrix(net.n_out, net.n_rec, seed)
        self.limit = DIVERGED_AT * max(1.0, float(np.abs(data.targets).max()))
        self.numbers: FixedNumbers | None = None
        self.engine = self._make_engine(net, rule, precision, R, seed)
        self.net, self.feedback = net, R
        total = self.schedule.total
        points = min(training.records, total)
        self.ends = np.unique(np.ceil(np.arange(1, points + 1) * total / points).astype(np.int64))
        self.step = 0
        self.observer = Observer(net, task, R, training, total)
        self.sums = np.zeros(2)  # loss and error weight since the last record
        self.timing = dict.fromkeys(TIMED, 0.0)
        self.timing["basis"] = self.engine.basis.seconds
        self.timing["setup"] = time.perf_counter() - began - self.timing["basis"]
        self.timing["total"] = self.timing["setup"] + self.timing["basis"]

    def _make_engine(
        self, net: Network, rule: Rule, precision: Precision, R: NDArray[np.float64] | None, seed: int
    ) -> Engine | ExpectedEngine:
        task, training, schedule = self.task, self.training, self.schedule
        if training.update == "expected":
            return ExpectedEngine(net, rule, training, task=task, feedback=R)
        setting = Setting(net, rule, training, R, task.loss, lanes=schedule.lanes, longest=schedule.longest, seed=seed)
        numbers = make_numbers(precision, setting)
        self.numbers = numbers if isinstance(numbers, FixedNumbers) else None
        basis = choose_basis(net, rule, training, fixed_point=precision.is_fixed, steps=schedule.total * schedule.lanes)
        return Engine(
            net, rule, training, numbers, feedback=R, data=task.train, weights=self.weights, loss=task.loss,
            lanes=schedule.lanes, longest=schedule.longest, limit=self.limit, basis=basis,
        )  # fmt: skip

    def resume(self, run: Run) -> None:
        """Go on where an unfinished run stopped."""
        if run.experiment != self.experiment:
            differing = [k for k, said in self.experiment.items() if run.experiment.get(k) != said]
            raise InputError(f"the run to resume is of another experiment; it differs in {', '.join(differing)}")
        if run.status != "interrupted":
            raise InputError(f"the run to resume is {run.status}; only an interrupted run can go on")
        self.step = run.position["step"]
        self.engine.restore({k: v for k, v in run.state.items() if k != "sums"})
        self.sums = np.array(run.state["sums"])
        self.observer.restore(run.records)
        self.timing = {**self.timing, **run.timing}

    def go(self, progress: bool, checkpoint: Path | None, stop_at: int | None) -> Run:
        """Learn up to the end, or until something stops it."""
        began = time.perf_counter()
        before = self.timing["total"]
        last = self.schedule.total if stop_at is None else min(int(stop_at), self.schedule.total)
        saved = began
        limit = 1 if self.step < last else 0  # one step first: it compiles
        status, message = "completed", ""
        bar = tqdm(
            total=self.schedule.total, initial=self.step, unit="step", unit_scale=True, disable=not progress,
            desc=f"{self.experiment['rule']['name']} on {self.task.name}", mininterval=0.2, leave=False, delay=0.5,
        )  # fmt: skip
        with Interrupt() as interrupt, bar, interrupt.taken():
            for piece in self.schedule.pieces(self.step, self.ends):
                at = 0
                while at < len(piece.flags) and self.step < last and not interrupt.asked:
                    size = min(limit, len(piece.flags) - at, last - self.step)
                    t0 = time.perf_counter()
                    rows, flags = piece.rows[at : at + size], piece.flags[at : at + size]
                    with first_step(silent=not progress or limit > 1):
                        done, loss = self.engine.run(Piece(piece.first + at, rows, flags))
                    seconds = time.perf_counter() - t0
                    self.timing["compile" if limit == 1 else "kernel"] += seconds
                    if limit == 1:
                        bar.unpause()  # compiling says nothing about the rate of the steps to come
                    self.count(rows[:done], loss)
                    self.step += done
                    bar.update(done)
                    if done < size:
                        status, message = "diverged", self.why()
                        break
                    at += size
                    rate = size / max(seconds, 1e-9)
                    least = self.engine.least
                    limit = least if limit == 1 else max(least, min(int(rate * KERNEL_SECONDS), 2 * limit))
                    if self.step in self.ends:
                        self.record()
                    if checkpoint is not None and time.perf_counter() - saved > CHECKPOINT_SECONDS:
                        self.timing["total"] = before + time.perf_counter() - began
                        save_unfinished(self.result("interrupted", "checkpoint"), checkpoint)
                        saved = time.perf_counter()
                if status == "diverged" or self.step >= last or interrupt.asked:
                    break
        if interrupt.asked and status == "completed" and self.step < self.schedule.total:
            status, message = "interrupted", f"stopped by the user after step {self.step} of {self.schedule.total}"
        if status == "completed" and self.step < self.schedule.total:
            status, message = "interrupted", f"stopped after step {self.step} of {self.schedule.total}, as asked"
        self.timing["total"] = before + time.perf_counter() - began
        run = self.result(status, message)
        if checkpoint is not None:
            save_or_carry(run, checkpoint)
        if status == "diverged":
            raise Divergence(message, run)
        return run

    def count(self, rows: NDArray[np.int64], loss: NDArray[np.float64]) -> None:
        """Add the losses of some steps to the next point of the curve; ``loss`` is used up."""
        # One after the other, so that a sum does not depend on where the calls of the kernel were cut.
        used = rows[rows >= 0]
        if self.unweighted:
            self.sums[1] += len(used)  # exact, as the sum of so many ones is
        for k, values in enumerate([loss] if self.unweighted else [loss, self.weights[used]]):
            if len(values):
                values[0] += self.sums[k]
                self.sums[k] = np.add.accumulate(values, out=values)[-1]

    def record(self) -> None:
        """Add a point to every curve. Cheap beside the kernel's work between two points, or left out."""
        began = time.perf_counter()
        loss = float(self.sums[0] / self.sums[1]) if self.sums[1] else float("nan")
        self.observer.observe(self.engine, self.step, loss)
        self.sums[:] = 0.0
        self.timing["curves"] += time.perf_counter() - began

    def why(self) -> str:
        """Say what diverged, in words that lead out."""
        y = self.engine.outputs()
        worst = float(np.abs(y).max()) if np.isfinite(y).all() else float("nan")
        size = f"an output reached {worst:.3g}" if np.isfinite(worst) else "an output is not a number"
        if isinstance(self.engine, ExpectedEngine):
            size = self.engine.symptom()
        text = (
            f"learning diverged at step {self.step} of {self.schedule.total}: {size} (limit {self.limit:.3g}; "
            f"largest target {self.limit / DIVERGED_AT:.3g}), state RMS {self.engine.state_rms():.3g}"
        )
        try:
            network = self.engine.network()
            if self.net.n_rec <= 2000:
                radius, initial = network.spectral_radius(), self.net.spectral_radius()
                text += f", spectral radius of (1-α)I + αW {radius:.4g} (initially {initial:.4g})"
                if radius >= 1.0:
                    text += ": the state grows by itself"
        except FloatingPointError:
            text += ", weights no longer finite"
        rates = ", ".join(f"{k} {v:g}" for k, v in self.training.rates.items() if v)
        return (
            f"{text}. Try a smaller learning_rate (now {rates}); start with smaller A and B (output_scale, "
            f"input_scale of the network: RFLO then starts inside its stable region); or clamp the weights"
        )

    def result(self, status: str, message: str) -> Run:
        """Return what has happened so far."""
        began = time.perf_counter()
        engine, warnings = self.engine, [*(self.applied.warnings if self.applied else ()), *self._clipped()]
        try:
            network = engine.network()
        except FloatingPointError:
            network = self.net
            warnings.append("the final weights were not finite; network holds the initial ones")
        metrics: dict[str, float] = {}
        if status != "diverged":
            metrics = measure(engine, self.task, self.step, 1 if self.numbers else LANES)  # a chip has one network
        if status == "completed":
            warnings += self._zero_updates()
        result_seconds = time.perf_counter() - began
        timing = {**self.timing, "metrics": self.timing["metrics"] + result_seconds}
        timing["total"] += result_seconds
        return Run(
            experiment=self.experiment,
            status=status,  # type: ignore[arg-type]
            message=message,
            initial=self.net,
            network=network,
            feedback=self.feedback,
            factors=engine.factors(),
            records=self.observer.records(),
            metrics=metrics,
            warnings=warnings,
            versions=package_versions(),
            timing=timing,
            saturation=self.numbers.counters() if self.numbers else None,
            numerics=self._numerics(),
            state={**engine.state(), "sums": self.sums.copy()},
            position={"step": self.step, "total_steps": self.schedule.total},
            basis=engine.basis.describe(),
        )

    def _numerics(self) -> Numerics | None:
        """Return every format that is really used, and what a chip decided."""
        if self.numbers is None and self.applied is None:
            return None
        found: Numerics = self.numbers.report() if self.numbers else {}
        return {**found, "chip": self.applied.report()} if self.applied else found

    def _clipped(self) -> list[str]:
        """Say which given values lay outside their format."""
        if self.numbers is None:
            return []
        lost = []
        for name, count in self.numbers.clipped.items():
            form = self.numbers.format_of(name)
            lost.append(f"{count} values of {name} lie outside {form} and were saturated before the run")
        return lost

    def _zero_updates(self) -> list[str]:
        found = []
        for group in self.training.learn:
            if not self.engine.moved(group):
                why = "its learning rate is 0" if not self.training.rates[group] else self._no_signal(group)
                found.append(f"{group} was to be learned but not one update changed it: {why}")
        return found

    def _no_signal(self, group: str) -> str:
        if group in "WB" and self.feedback is None and not self.net.A.any():
            return "the learning signal is Aᵀε and A starts at 0 (take random feedback or output_scale > 0)"
        if group == "W" and int(self.task.train.lengths.max()) == 1:
            return "sequences of one step have no past that W could carry"
        return "every update was 0 or too small for the precision; take a larger learning rate or more bits"
