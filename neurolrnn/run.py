"""What happened in one run, and the file that keeps it."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from neurolrnn import run_parts, savefile
from neurolrnn.errors import InputError, choose
from neurolrnn.network import Network
from neurolrnn.plain_data import BasisData, Numerics, RunExperiment
from neurolrnn.precision import Precision
from neurolrnn.rules import Rule
from neurolrnn.savefile import RunFileError
from neurolrnn.tables import text_table
from neurolrnn.tasks.base import Task
from neurolrnn.training import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurolrnn.theory.rank import RankReport

__all__ = ["Run", "RunFileError", "canonical_digest", "describe", "plain"]

Curve = NDArray[np.float64 | np.int64]
"""Over the points of a run: counts, or real numbers."""
SCHEMA = 1
"""Layout of a run file; a file with a higher number is refused."""
Status = Literal["completed", "interrupted", "diverged"]
STATUSES: tuple[str, ...] = get_args(Status)


def plain(value: Any) -> Any:
    """Return ``value`` as JSON holds it: dicts with string keys, lists, and Python's own numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"{value!r} is a {type(value).__name__}, which a run file cannot hold as plain data")


def canonical_digest(value: Any) -> str:
    """SHA-256 (hex) of ``value`` as JSON with sorted keys: the same content gives the same digest."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def describe(
    network: Network, task: Task, rule: Rule, precision: Precision, training: Training, seed: int
) -> RunExperiment:
    """Return everything that decides a run's numbers, as plain data; what :attr:`Run.experiment` holds.

    Drawn networks are named by how they were drawn, given ones by a digest of their weights; a task by its options
    and a digest of its data.
    """
    origin = dict(network.origin)
    if "seed" not in origin:
        origin["digest"] = network.digest()
    sizes = {"n_in": network.n_in, "n_rec": network.n_rec, "n_out": network.n_out, "leak": network.leak}
    return describe_drawn({**origin, **sizes}, task, rule, precision, training, seed)


def describe_drawn(
    network: Mapping[str, Any], task: Task, rule: Rule, precision: Precision, training: Training, seed: int
) -> RunExperiment:
    """Return what :func:`describe` does, for a network that is said and need not be drawn."""
    described: RunExperiment = plain(
        {
            "schema": 1,
            "seed": seed,
            "task": {**task.options, "name": task.name, "loss": task.loss, "digest": task.digest()},
            "network": network,
            "rule": {**rule.options(), "name": rule.name},
            "training": training.options(),
            "precision": precision.options(),
        }
    )
    return described


def _arrays(name: str, given: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    result = {}
    for key, value in given.items():
        array = np.array(value)
        if array.dtype.hasobject:
            raise InputError(f"{name}[{key!r}] holds Python objects; only numbers and text can be saved")
        array.flags.writeable = False
        result[str(key)] = array
    return result


@dataclass(frozen=True, eq=False)
class Run:
    """Result of :func:`neurolrnn.simulate`. Nothing in it changes any more; all arrays are read-only.

    Parameters
    ----------
    experiment : dict
        What was run, as plain data (see :func:`describe`).
    status : str
        ``"completed"``, ``"interrupted"`` or ``"diverged"``.
    message : str
        Why it ended, in words.
    initial, network : Network
        Before and after learning.
    feedback : (n_out, n_rec), optional
        R, where the rule has a matrix of its own.
    factors : (n_out, n_rec) and (n_out, n_in), optional
        M and N of factored storage, ``W = W₀ + Rᵀ M`` and ``B = B₀ + Rᵀ N``.
    records : dict of str to (points, ...)
        Curves over time. Always ``step`` (number of steps done) and ``loss`` (mean since the point before).
    metrics : dict of str to float
        Numbers at the end, such as ``test_accuracy``, ``test_loss`` or ``test_nmse``.
    warnings : list of str
        What the reader of the results should know.
    versions : dict of str to str
        Of the packages that took part.
    timing : dict of str to float
        Seconds spent: see :data:`neurolrnn.simulation.TIMED`.
    saturation : dict, optional
        Events of fixed-point arithmetic: per variable a dict of counts.
    numerics : dict, optional
        Every format, rate and width that a fixed-point run really used, as plain data.
    state : dict of str to array
        What a resumed run needs besides the weights.
    position : dict of str to int
        How far it came, such as ``step`` and ``total_steps``.
    basis : dict, optional
        How the recurrent weights were held: ``held_as`` (``"dense"``, ``"triangle"``, ``"blocks"`` or ``"sparse"``),
        ``rotated``, ``seconds`` that finding the basis took, and ``why``.
    """

    experiment: RunExperiment
    status: Status
    message: str
    initial: Network
    network: Network
    feedback: NDArray[np.float64] | None = None
    factors: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    records: dict[str, Curve] = field(default_factory=lambda: {"step": np.zeros(0, int), "loss": np.zeros(0)})
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)
    saturation: dict[str, dict[str, int]] | None = None
    numerics: Numerics | None = None
    state: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    position: dict[str, int] = field(default_factory=dict)
    basis: BasisData | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        choose("status", self.status, STATUSES)
        for name in _META[2:]:
            put(name, plain(getattr(self, name)))
        put("records", _arrays("records", self.records))
        put("state", _arrays("state", self.state))
        if self.feedback is not None:
            put("feedback", _arrays("feedback", {"R": self.feedback})["R"])
        if self.factors is not None:
            M, N = self.factors
            put("factors", tuple(_arrays("factors", {"M": M, "N": N}).values()))
        missing = {"step", "loss"} - set(self.records)
        if missing:
            raise InputError(f"records has no {' and no '.join(sorted(missing))}; every run records step and loss")
        lengths = {key: len(np.atleast_1d(curve)) for key, curve in self.records.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"records differ in length ({lengths}); every curve needs one point per entry of step")

    @property
    def loss(self) -> NDArray[np.float64]:
        """Mean loss per step since the point before, (points,)."""
        return cast("NDArray[np.float64]", self.records["loss"])

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of :attr:`experiment`: the same digest is the same experiment."""
        return canonical_digest(self.experiment)

    def summary(self) -> str:
        """Return what happened, as a small table in plain text."""
        done, total = self.position.get("step"), self.position.get("total_steps")
        e, training = self.experiment, self.experiment.get("training", {})
        rule = {k: v for k, v in e.get("rule", {}).items() if k != "name" and v is not None}
        rows: list[tuple[str, str]] = [
            ("status", self.status),
            *(("" if i else "reason", line) for i, line in enumerate(textwrap.wrap(self.message, 90))),
            ("task", str(e.get("task", {}).get("name", "own data"))),
            ("network", f"{self.network.n_in} in, {self.network.n_rec} recurrent, {self.network.n_out} out, "
                        f"leak {self.network.leak:g}"),
            ("rule", f"{e.get('rule', {}).get('name', '?')}{_options(rule)}"),
            ("training", _training(training)),
            ("precision", _precision(e.get("precision", {}))),
            *([("weights held", _held(self.basis))] if self.basis and self.basis["held_as"] != "dense" else []),
            ("seed", str(e.get("seed", "?"))),
        ]  # fmt: skip
        if done is not None:
            rows.append(("steps", f"{done:,}" + (f" of {total:,}" if total not in (None, done) else "")))
        if len(self.loss):
            rows.append(("loss", f"{self.loss[0]:.4g} at first, {self.loss[-1]:.4g} at last"))
        rows += [(key.replace("_", " "), _metric(key, value)) for key, value in self.metrics.items()]
        for variable, counts in (self.saturation or {}).items():
            if not counts.get("updates", 0) and not any(counts.values()):
                continue
            rows.append((f"{variable}", ", ".join(_count(kind, n, counts) for kind, n in counts.items() if n)))
        for key, curve in self.records.items():
            if key.startswith("range.") and key.endswith(".min"):
                top = self.records[key.removesuffix("min") + "max"]
                rows.append((f"range of {key[6:-4]}", f"{np.min(curve):.3g} to {np.max(top):.3g}"))
        rows += [
            (f"{key} time", _seconds(self.timing[key])) for key in ("kernel", "compile", "total") if key in self.timing
        ]
        return text_table(rows)

    def timing_table(self, **more: float) -> str:
        """Return where the time went, in seconds, per step and as a share; ``more`` adds parts not in the run."""
        parts = {key: s for key, s in self.timing.items() if key != "total"}
        parts["other"] = max(self.timing.get("total", 0.0) - sum(parts.values()), 0.0)
        parts |= more
        total, steps = sum(parts.values()), max(self.position.get("step", 0), 1)
        rows = [("part", "seconds", "µs a step", "share")]
        for key, s in {**parts, "all": total}.items():
            rows.append((key, f"{s:.4f}", f"{1e6 * s / steps:.3f}", f"{100 * s / total if total else 0:.1f} %"))
        return text_table(rows)

    def save(self, path: str | Path) -> Path:
        """Write everything into one file and return its path.

        Parameters
        ----------
        path : path
            Target; ``.npz`` is appended if it has no suffix. An older file is replaced in one move.

        Raises
        ------
        RunFileError
            If the path is a folder, its folder does not exist or cannot be written; nothing is changed then.
        """
        meta = {name: getattr(self, name) for name in _META}
        arrays: dict[str, NDArray[Any]] = {}
        for part, network in (("initial", self.initial), ("network", self.network)):
            meta[part] = {"leak": network.leak, "origin": plain(network.origin)}
            arrays |= {f"{part}/A": network.A, f"{part}/B": network.B}
            if network.held is None:
                arrays[f"{part}/W"] = network.W
            else:
                arrays |= {f"{part}/W.{name}": array for name, array in network.held.arrays().items()}
        if self.feedback is not None:
            arrays["feedback/R"] = self.feedback
        if self.factors is not None:
            arrays |= {"factors/M": self.factors[0], "factors/N": self.factors[1]}
        for part in ("records", "state"):
            arrays |= {f"{part}/{key}": array for key, array in getattr(self, part).items()}
        return savefile.write(path, "run", SCHEMA, meta, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run back, bit for bit.

        Raises
        ------
        RunFileError
            If the file is missing, damaged, of another origin, or written by a newer neurolrnn.
        """
        meta, arrays = savefile.read(path, "run", SCHEMA)

        def group(name: str) -> dict[str, NDArray[Any]]:
            return {key[len(name) + 1 :]: array for key, array in arrays.items() if key.startswith(name + "/")}

        try:
            run_parts.check_meta(meta)
            networks = {name: run_parts.network(name, group(name), meta[name]) for name in ("initial", "network")}
            feedback, factors, records, state = (group(name) for name in ("feedback", "factors", "records", "state"))
            run_parts.check_arrays(networks["network"], networks["initial"], feedback, factors, records)
            run_parts.check_state(state)
            said: dict[str, Any] = {key: meta[key] for key in _META}
            return cls(
                **said,
                initial=networks["initial"],
                network=networks["network"],
                feedback=feedback.get("R"),
                factors=(factors["M"], factors["N"]) if factors else None,
                records=records,
                state=state,
            )
        except InputError as error:
            raise RunFileError(f"{path} is sealed, but holds no run: {error}") from error

    def rank_report(self) -> RankReport:
        """Return bound and rank of what was learned in W and B; see :func:`neurolrnn.theory.rank_report`."""
        from neurolrnn.theory.rank import rank_report  # theory stands above runs; only this question looks up

        return rank_report(self)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw loss, eigenvalues, rank of the change and alignment; see :func:`neurolrnn.plots.plot_run`."""
        from neurolrnn.plots import plot_run  # matplotlib only when a picture is wanted

        return plot_run(self, path)


_META = (
    "status",
    "message",
    "experiment",
    "metrics",
    "warnings",
    "versions",
    "timing",
    "saturation",
    "numerics",
    "position",
    "basis",
)


def _options(options: Mapping[str, Any]) -> str:
    shown = [f"{key} {'matrix' if isinstance(value, list) else value}" for key, value in options.items()]
    return f" ({', '.join(shown)})" if shown else ""


def _training(training: Mapping[str, Any]) -> str:
    if not training:
        return "?"
    rates = training.get("learning_rate", {})
    rate = ", ".join(f"{g} {r:g}" for g, r in rates.items()) if isinstance(rates, Mapping) else f"{rates:g}"
    epochs = training.get("epochs", 1)
    return f"{training.get('update')}, {epochs} epoch{'s' if epochs != 1 else ''}, learning rate {rate}"


def _precision(options: Mapping[str, Any]) -> str:
    shown = [f"{key} {options[key]}" for key in ("weight", "state", "rounding", "update_rounding") if key in options]
    return str(options.get("preset", options.get("name", "?"))) + (f" ({', '.join(shown)})" if shown else "")


def _held(basis: Mapping[str, Any]) -> str:
    took = f", found in {_seconds(basis['seconds'])}" if basis["rotated"] else ""
    return f"as {basis['held_as']} ({basis['why']}{took})"


def _count(kind: str, count: int, counts: Mapping[str, int]) -> str:
    share = f" ({100 * count / counts['updates']:.0f} %)" if kind == "dead_updates" and counts.get("updates") else ""
    return f"{count:,} {kind.replace('_', ' ')}{share}"


def _metric(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4g}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.1f} min"
