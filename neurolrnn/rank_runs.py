"""Every variant of learning that the rank theorem speaks of: its bound beside the rank of a run that was made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose, positive_integer
from neurolrnn.gradients import gradient
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.run import Run
from neurolrnn.simulation import simulate
from neurolrnn.tables import markdown_table, text_table
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.theory.rank import RankBound, exact_rank, integers, rank_bound, rank_report
from neurolrnn.theory.rank_variants import (
    TOLERANCE,
    Optimiser,
    RankVariant,
    adam,
    clip_by_entry,
    clip_by_norm,
    learn_online,
    nesterov,
    observe,
    plain,
    varying_decay,
)
from neurolrnn_kernels.formats import QFormat

Array = NDArray[np.float64]
RATE, DECAY, LENGTH, SHORT = 3e-4, 0.5, 20, 4
"""Learning rate, ŵ, and steps of a sequence, in runs and in the ones made for a single update."""
FIXED_RATE = 0.002
"""Learning rate in fixed point: updates larger than the grid, weights within their range."""
FEW = 3
"""Rank of the start, and number of groups and of matrices R, where a variant has some."""


@dataclass(frozen=True)
class Setting:
    """Sizes and seed of a table; draws the network and the data all variants share."""

    n_rec: int
    n_in: int
    n_out: int
    steps: int
    seed: int

    @cached_property
    def net(self) -> Network:
        """A network in which activity fades."""
        return Network.random(
            self.n_in, self.n_rec, self.n_out, spectral_radius=0.5, seed=self.seed, output_scale=0.5
        )  # fmt: skip

    def task(self, loss: Literal["squared-error", "cross-entropy"] = "squared-error", length: int = LENGTH) -> Task:
        """White inputs and targets that have nothing to do with them, so that learning never rests."""
        rng = np.random.default_rng([self.seed, 0x4A2C])
        x, y = rng.normal(size=(self.steps, self.n_in)), rng.normal(size=(self.steps, self.n_out))
        if loss == "cross-entropy":
            y = np.eye(self.n_out)[rng.integers(self.n_out, size=self.steps)]
        starts = np.unique(np.append(np.arange(0, self.steps, length), self.steps))
        return Task("rank", Sequences(x, y, starts), loss=loss)

    def feedbacks(self, count: int = 1) -> Array:
        """Draw matrices R, (count, n_out, n_rec)."""
        rng = np.random.default_rng([self.seed, 0xF2])
        return rng.normal(0.0, 1.0 / math.sqrt(self.n_rec), (count, self.n_out, self.n_rec))

    def leaks(self, groups: Sequence[int]) -> Array:
        """Return leaks of units in groups of these sizes, one value a group."""
        return np.repeat(np.linspace(0.3, 0.9, len(groups)), groups)

    def bound(self, rule: str | Rule, **options: Any) -> RankBound:
        """Bound the rank for these sizes."""
        return rank_bound(rule, self.n_rec, self.n_in, self.n_out, **options)


Variant = Callable[[Setting], RankVariant]


def _floating(name: str, s: Setting, bound: RankBound, change: Array) -> RankVariant:
    return RankVariant(name, s.n_out, bound, *observe(change, s.n_out))


def _change(run: Run) -> Array:
    before, after = run.initial, run.network
    return np.hstack([after.W - before.W, after.B - before.B])


def _run(rule: Rule, leak: float = 1.0, precision: Precision | None = None, **training: Any) -> Callable[..., Run]:
    def make(s: Setting, loss: Literal["squared-error", "cross-entropy"] = "squared-error") -> Run:
        settings: dict[str, Any] = {"learning_rate": RATE, "update": "online" if rule.online else "episode", **training}
        return simulate(
            s.net.replace(leak=leak), s.task(loss), rule, precision or Precision.float64(), seed=s.seed,
            progress=False, records=1, **settings,
        )  # fmt: skip

    return make


def _compiled(
    name: str, rule: Rule, *, leak: float = 1.0, loss: Any = "squared-error", bound: dict[str, Any] | None = None,
    **training: Any,
) -> tuple[str, Variant]:  # fmt: skip
    """Make a variant that the kernels have."""
    make = _run(rule, leak, **training)

    def variant(s: Setting) -> RankVariant:
        options = {k: training[k] for k in ("learn", "momentum") if k in training}
        return _floating(name, s, s.bound(rule, loss=loss, **options, **(bound or {})), _change(make(s, loss)))

    return name, variant


def _single(name: str, rule: Rule, T: int) -> tuple[str, Variant]:
    """Make a variant of one update, summed over many short sequences with the weights at rest."""

    def variant(s: Setting) -> RankVariant:
        found = gradient(rule, s.net, s.task(length=SHORT).train, seed=s.seed)
        return _floating(name, s, s.bound(rule, T=T, updates=1), np.hstack([found["W"], found["B"]]))

    return name, variant


def _simulated(
    name: str, optimiser: Callable[[Setting], Optimiser] | None = None, *, feedbacks: int = 1,
    groups: Callable[[int], Sequence[int]] | None = None, subtract: bool = False, start_rank: int | None = None,
    bound: dict[str, Any] | None = None, **options: Any,
) -> tuple[str, Variant]:  # fmt: skip
    """Make a variant of RFLO that is simulated in NumPy."""

    def variant(s: Setting) -> RankVariant:
        known = dict(bound or {})
        net, leaks = s.net, None
        if groups is not None:
            leaks = known["leaks"] = s.leaks(groups(s.n_rec))
        if start_rank is not None:
            start = np.hstack([net.W, net.B])
            left, values, right = np.linalg.svd(start, full_matrices=False)
            start = (left[:, :start_rank] * values[:start_rank]) @ right[:start_rank]
            net = net.replace(W=start[:, : s.n_rec], B=start[:, s.n_rec :])
            known["initial_rank"] = min(start_rank, s.n_rec)
        change, kappa = learn_online(
            net, s.task().train, s.feedbacks(feedbacks), plain(RATE) if optimiser is None else optimiser(s),
            decay=options.get("decay", DECAY), leaks=leaks, **{k: v for k, v in options.items() if k != "decay"},
        )  # fmt: skip
        if subtract:
            change = change + (1.0 - kappa) * np.hstack([net.W, net.B])
        return _floating(name, s, s.bound("rflo", n_feedbacks=feedbacks, **known), change)

    return name, variant


def _fixed(name: str, storage: Literal["dense", "factored"], preset: str) -> tuple[str, Variant]:
    """Make a variant that the fixed-point kernels run, with its rank over the rationals."""

    def variant(s: Setting) -> RankVariant:
        rule = RFLO(DECAY, storage=storage)
        run = _run(rule, precision=Precision.preset(preset), learning_rate=FIXED_RATE)(s)
        report = rank_report(run)
        values = report.spectrum.values
        largest = float(values[0]) or 1.0
        beyond = float(values[s.n_out]) / largest if s.n_out < len(values) else 0.0
        errors = _rounding_errors(run) if storage == "dense" else None
        limit = None if errors is None or errors >= largest else errors / largest  # above 1 it says nothing
        bound = s.bound(rule, quantised=True)
        return RankVariant(name, s.n_out, bound, report.observed, beyond, True, limit)

    return name, variant


def _rounding_errors(run: Run) -> float | None:
    """Bound ‖E‖ of the rounding errors E that a dense fixed-point run of RFLO adds to Rᵀ[M | N].

    Each step adds, per weight, what the landing of the weight rounds off and, times the trace, what the landings of
    signal and step round off. By Weyl's inequality σ_{n_out+1} of the change is at most the norm of the sum. None if
    something overflowed, where errors are larger.
    """
    assert run.numerics is not None
    formats, events = run.numerics["formats"], run.saturation or {}
    if any(
        events.get(v, {}).get("overflows") for v in ("W", "B", "signal", "step_W", "step_B", "trace", "input_trace")
    ):
        return None

    def unit(variable: str) -> float:
        text, rounding, _ = formats[variable].split()
        return math.ldexp(0.5 if rounding.startswith("nearest") else 1.0, -QFormat.parse(text).frac_bits)

    total = 0.0
    for group, trace in (("W", "trace"), ("B", "input_trace")):
        form = QFormat.parse(formats[trace].split()[0])
        largest = math.ldexp(form.largest, -form.frac_bits)
        signal = run.numerics["rates"][group] * unit("signal") + unit(f"step_{group}")
        total += getattr(run.network, group).size * (unit(group) + signal * largest) ** 2
    return run.position["step"] * math.sqrt(total)


def _rounded_once(name: str, frac_bits: int) -> tuple[str, Variant]:
    """Make a variant that learns in float64 and rounds start and end to a grid."""

    def variant(s: Setting) -> RankVariant:
        run = _run(RFLO(DECAY))(s)
        grid = 2.0**frac_bits
        before, after = (np.round(grid * np.hstack([net.W, net.B])) for net in (run.initial, run.network))
        values = np.linalg.svd((after - before) / grid, compute_uv=False)
        largest = float(values[0]) or 1.0
        return RankVariant(
            name, s.n_out, s.bound("rflo", quantised=True), exact_rank(integers(after - before)[0]),
            float(values[s.n_out]) / largest if s.n_out < len(values) else 0.0, True,
            math.sqrt(after.size) / grid / largest,  # half a step each, at the start and at the end
        )  # fmt: skip

    return name, variant


def _halves(n: int) -> list[int]:
    return [n // 2, n - n // 2]


def _unequal(n: int) -> list[int]:
    return [1, max((n - 1) // 3, 1), n - 1 - max((n - 1) // 3, 1)]


def _rates(s: Setting, shape: tuple[int, int]) -> Array:
    return RATE * np.linspace(0.5, 1.5, max(shape)).reshape(shape)


DENSE = RFLO(DECAY, storage="dense")
SYMMETRIC = RFLO(DECAY, storage="dense", feedback="symmetric")
VARIANTS: dict[str, Variant] = dict([
    _compiled("RFLO", DENSE),
    _compiled("leak 0.3, ŵ = 1 - α", RFLO(storage="dense"), leak=0.3),
    _simulated("ŵ varies in time", decay=varying_decay),
    _compiled("momentum 0.5", DENSE, momentum=0.5),
    _simulated(
        "Nesterov momentum 0.5", lambda s: nesterov(RATE, 0.5), bound={"momentum": 0.5, "optimiser": "nesterov"},
    ),
    _simulated("clip by global norm", lambda s: clip_by_norm(RATE, 0.5), bound={"optimiser": "global-norm-clip"}),
    _simulated(
        "a rate per row", lambda s: plain(_rates(s, (s.n_rec, 1))), bound={"optimiser": "row-rates"},
    ),
    _simulated(
        "a rate per column", lambda s: plain(_rates(s, (1, s.n_rec + s.n_in))), bound={"optimiser": "column-rates"},
    ),
    _simulated("decay towards the start", pull=0.002, toward="start",
               bound={"weight_decay": 0.002 / RATE, "decay_toward": "start"}),
    _compiled("softmax cross-entropy", DENSE, loss="cross-entropy"),
    _compiled("symmetric feedback, A frozen", SYMMETRIC, learn=("W", "B")),
    _compiled("tBPTT(1), fixed R", TruncatedBPTT(1, feedback="random")),
    _fixed("16-bit factors M, N", "factored", "int16"),
    _fixed("8-bit factors M, N", "factored", "int8"),
    _simulated("2 matrices R in turn", feedbacks=2),
    _simulated(f"{FEW} matrices R in turn", feedbacks=FEW),
    _simulated("units with 2 leaks", groups=_halves),
    _simulated("units with 3 leaks, one unit alone", groups=_unequal),
    _simulated(f"decay to 0, start of rank {FEW}", pull=0.002, start_rank=FEW, bound={"weight_decay": 0.002 / RATE}),
    _simulated("decay to 0, less κ[W₀ | B₀]", pull=0.002, subtract=True),
    _single("tBPTT(3), one update", TruncatedBPTT(3), SHORT),
    _single("BPTT over 4 steps, one update", BPTT(), SHORT),
    _simulated("decay to 0", pull=0.002, bound={"weight_decay": 0.002 / RATE}),
    _simulated("a leak per unit", groups=lambda n: [1] * n),
    _compiled("symmetric feedback, A learns", SYMMETRIC),
    _compiled("tBPTT(1), A learns", TruncatedBPTT(1)),
    _compiled("tBPTT(3)", TruncatedBPTT(3)),
    _compiled("tBPTT(3), A frozen", TruncatedBPTT(3), learn=("W", "B")),
    _compiled("e-prop, fixed R", EProp(feedback="random")),
    _compiled("RTRL", RTRL()),
    _compiled("BPTT", BPTT()),
    _simulated("Adam", lambda s: adam(RATE), bound={"optimiser": "adam"}),
    _simulated("RMSprop", lambda s: adam(RATE, 0.0, 0.99), bound={"optimiser": "rmsprop"}),
    _simulated("clip per weight", lambda s: clip_by_entry(RATE, 0.05), bound={"optimiser": "elementwise-clip"}),
    _compiled("clamp of weights that is reached", DENSE, clamp=0.25, bound={"clamped": True}),
    _simulated("tanh units", tanh=True, bound={"linear": False}),
    _rounded_once("rounded to 2⁻¹³ after learning", 13),
    _fixed("24-bit W, B rounded to nearest", "dense", "int24"),
    _fixed("16-bit W, B rounded to nearest", "dense", "int16"),
    _fixed("8-bit W, B rounded at random", "dense", "int8"),
])  # fmt: skip
"""The variants by name: those that keep the bound n_out, those with a larger one, those with none."""


def rank_variants(
    n_rec: int = 24, n_out: int = 2, steps: int = 600, seed: int = 0, *, n_in: int = 5,
    names: Sequence[str] | None = None,
) -> tuple[RankVariant, ...]:  # fmt: skip
    """Make a run of every variant and return its rank beside its bound.

    Parameters
    ----------
    n_rec, n_out, n_in : int
        Sizes; n_rec at least 4.
    steps : int
        Steps of each run, at least 20.
    seed : int
        Of network, data and feedback.
    names : sequence of str, optional
        Only these of :data:`VARIANTS`.

    Returns
    -------
    tuple of RankVariant
        In the order of the table.

    Notes
    -----
    Inputs and targets are independent white noise, so that updates go in every direction they can. Variants that the
    compiled rules have are runs of :func:`neurolrnn.simulate` in float64 or fixed point, others are simulated in NumPy.
    Single updates are those of sequences of 4 steps. Theorem and bounds: docs/rank.md.
    """
    units = positive_integer("n_rec", n_rec, 4)
    made = Setting(units, positive_integer("n_in", n_in), positive_integer("n_out", n_out),
                   positive_integer("steps", steps, LENGTH), positive_integer("seed", seed, 0))  # fmt: skip
    chosen = list(VARIANTS) if names is None else [choose("variant", name, VARIANTS) for name in names]
    return tuple(VARIANTS[name](made) for name in chosen)


def rank_table(
    *tables: Sequence[RankVariant], style: Literal["text", "markdown"] = "text", notes: bool = True
) -> str:  # fmt: skip
    """Lay out variants as a table; several results, such as of n_out = 1, 2 and 4, share its rows.

    Parameters
    ----------
    *tables : sequence of RankVariant
        Results of :func:`rank_variants` with the same variants.
    style : str
        ``"text"`` or ``"markdown"``.
    notes : bool
        Whether to say why each bound is what it is.
    """
    choose("style", style, ("text", "markdown"))
    if not tables or len({tuple(v.name for v in t) for t in tables}) > 1:
        raise InputError("tables must be results of rank_variants with the same variants")
    rows = []
    for group in zip(*tables, strict=True):
        cells = [
            group[0].name,
            ", ".join(str(v.bound.bound) if v.bound.informative else f"{v.bound.bound} (none)" for v in group)
            if any(v.bound.informative for v in group) else "none",
            ", ".join(str(v.observed) for v in group),
            ", ".join(_share(v) for v in group),
        ]  # fmt: skip
        rows.append([*cells, _merged([v.note for v in group])] if notes else cells)
    outs = ", ".join(str(t[0].n_out) for t in tables if t)
    header = [f"n_out = {outs}", "bound", "observed", "σ beyond / σ₁", *(["why"] if notes else [])]
    return (markdown_table if style == "markdown" else text_table)(rows, header)


def _share(variant: RankVariant) -> str:
    found = f"{variant.beyond:.0e}" if variant.beyond > TOLERANCE else "0"
    return found if variant.beyond_bound is None else f"{found} ≤ {variant.beyond_bound:.0e}"


def _merged(notes: Sequence[str]) -> str:
    """Return one note for several that differ in numbers only: ``1/2/4 errors``."""
    words = [note.split(" ") for note in notes]
    alike = [w for w in words if len(w) == len(words[-1])]
    return " ".join("/".join(dict.fromkeys(parts)) for parts in zip(*alike, strict=True))
