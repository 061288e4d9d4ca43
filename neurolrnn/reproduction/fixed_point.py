"""What fixed point does to the claims: rank, modes, the loss that is left, and whether learning arrives."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from neurolrnn.errors import Divergence
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.reproduction.aligned import A_HAT, SHOWN, START, flow
from neurolrnn.reproduction.claims import Check, Claim, Judgement, Measured, Setting
from neurolrnn.reproduction.setup import (
    DECAY,
    RFLO_WAY,
    WAYS,
    Frame,
    four_modes,
    impulses,
    learn,
    one_unit,
    painted,
    stages,
)
from neurolrnn.rules import RFLO, TruncatedBPTT
from neurolrnn.tasks import load
from neurolrnn.tasks.teacher_student import aligned_student, aligned_teacher
from neurolrnn.theory import loss_floor, rank_report

PRESETS = ("int16", "int8")

# --- rank

STORAGES: tuple[Literal["factored", "dense"], ...] = ("factored", "dense")
N_OUT = 2


def _measure_rank(setting: Setting) -> Measured:
    n = setting.take(12, 24)
    numbers: dict[str, Any] = {"units": n}
    task = load(
        "teacher-student", n_in=3, n_rec=8, n_out=N_OUT, spectral_radius=0.6, sequences=setting.take(40, 100),
        test_sequences=0, seed=setting.seed,
    )  # fmt: skip
    student = Network.random(3, n, N_OUT, spectral_radius=0.5, seed=setting.seed)
    presets = PRESETS[:1] if setting.quick else PRESETS
    for k, preset in enumerate(("float64", *presets)):
        for storage in STORAGES:
            setting.tell(f"{preset}, {storage}", k / 3)
            rule = RFLO(decay=DECAY, storage=storage)
            run = learn(student, task, rule, 0.002, Precision.preset(preset), seed=setting.seed)
            report = rank_report(run)
            values = report.spectrum.values / report.spectrum.values[0]
            numbers[f"{preset} {storage}"] = {"rank": report.observed, "beyond": float(values[N_OUT])}
    return Measured(numbers)


def _judge_rank(numbers: dict[str, Any]) -> Judgement:
    n = numbers["units"]
    checks = [
        Check(f"float64, {storage}: rank", numbers[f"float64 {storage}"]["rank"], N_OUT, N_OUT) for storage in STORAGES
    ]
    presets = [preset for preset in PRESETS if f"{preset} dense" in numbers]
    for preset in presets:
        dense, factored = numbers[f"{preset} dense"], numbers[f"{preset} factored"]
        checks += [
            Check(f"{preset}, every weight stored: exact rank", dense["rank"], 0, N_OUT, "as stated"),
            Check(f"{preset}, factored: exact rank", factored["rank"], N_OUT, N_OUT, "refined"),
            Check(f"{preset}, every weight stored: exact rank above n/2", dense["rank"], n // 2, part="refined"),
        ]
    shown = ", ".join(
        f"{preset} {numbers[f'{preset} factored']['rank']} factored and {numbers[f'{preset} dense']['rank']} dense "
        f"(value {N_OUT + 1} is {numbers[f'{preset} dense']['beyond']:.1g} of the first)"
        for preset in presets
    )
    return Judgement(f"exact rank over the rationals, n = {n}, n_out = {N_OUT}: {shown}", checks)


# --- modes

TIMES = (0.5, 1.0, 2.0, 4.0, 16.0)
MODE_RATE, MODE_STEPS = 1 / 64, 40


def _measure_modes(setting: Setting) -> Measured:
    teacher = four_modes(seed=setting.seed)
    student, R = aligned_student(teacher, *START, A_HAT, seed=setting.seed)
    frame, task = Frame.of(teacher, R, A_HAT), impulses(teacher, MODE_STEPS)
    stops = [round(t / MODE_RATE) * MODE_STEPS for t in TIMES]
    numbers: dict[str, Any] = {}
    curves: dict[str, Any] = {"times": TIMES}
    t = np.linspace(0.0, SHOWN, 241)
    ways = (RFLO_WAY,) if setting.quick else WAYS
    for k, way in enumerate(ways):
        # Chips have no BPTT; truncated only after the whole episode it is the same.
        rule = TruncatedBPTT(MODE_STEPS) if way.name == "bptt" else way.episode(R)
        found = {}
        for preset in ("float64", *PRESETS):
            setting.tell(f"{way.title}, {preset}", k / 3)
            runs = stages(
                student, task, rule, MODE_RATE, stops, Precision.preset(preset), update="episode",
                batch=teacher.n_in, epochs=round(TIMES[-1] / MODE_RATE), shuffle=False, seed=setting.seed,
            )  # fmt: skip
            found[preset] = np.array([frame.modes(run.network) for run in runs])
        numbers[way.name] = {p: float(np.abs(found[p] - found["float64"]).max()) for p in PRESETS}
        curves[way.name] = {"t": t, "w": flow(way, t).w, **found}
    return Measured(numbers, curves)


def _judge_modes(numbers: dict[str, Any]) -> Judgement:
    checks, ways = [], [way for way in WAYS if way.name in numbers]
    for way in ways:
        checks += [
            Check(
                f"{way.title}: int16 from float64, largest difference of a, b, w", numbers[way.name]["int16"], 0.0, 0.06
            ),
            Check(f"{way.title}: int8 from float64", numbers[way.name]["int8"], 0.0, 0.06, "as stated"),
            Check(f"{way.title}: int8 from float64", numbers[way.name]["int8"], 0.0, 0.5, "refined"),
        ]
    ends = {preset: [numbers[way.name][preset] for way in ways] for preset in PRESETS}
    words = (f"{min(v):.2g} to {max(v):.2g} in {preset}" for preset, v in ends.items())
    return Judgement(f"largest difference of a, b, w from float64 while learning: {', '.join(words)}", checks)


def _draw_modes(figure: Any, measured: Measured) -> None:
    colours = ("#0072B2", "#D55E00", "#009E73", "#666666")
    ways = [way for way in WAYS if way.name in measured.curves]
    axes = np.atleast_1d(figure.subplots(1, len(ways), sharey=True))
    for axis, way in zip(axes, ways, strict=True):
        c: Any = measured.curves[way.name]
        for mode, colour in enumerate(colours):
            axis.plot(c["t"], c["w"][:, mode], color=colour, lw=1.2)
            for preset, marker in (("int16", "o"), ("int8", "x")):
                label = preset if mode == 0 else None
                axis.plot(
                    measured.curves["times"], c[preset][:, 2, mode], marker, mfc="none", color=colour, ms=5, label=label
                )
        axis.set(title=way.title, xlabel="time (updates × η)", xlim=(0.0, SHOWN))
    axes[0].set_ylabel("w of each mode (lines: equations)")
    axes[0].legend(fontsize=8.5)


# --- the loss that is left

FLOOR_RATE, FLOOR_C, FLOOR_START, FLOOR_STEPS = 1 / 16, 1.03, (0.75, 0.75, 0.25), 24
"""One unit: η, c, and A, W, B at the start, which lie on every grid."""


def _fine(frac_bits: int, rounding: str) -> Precision:
    return Precision(weight=f"s2.{frac_bits}", feedback="s2.14", state="s2.21", error="s2.21", update_rounding=rounding)


def _left(w_star: float, precision: Precision, updates: int, seed: int) -> tuple[float, float]:
    """Return the loss over the last two thirds of a run, and a at its end."""
    teacher = aligned_teacher([FLOOR_C], [1.0], [w_star])
    a, w, b = FLOOR_START
    run = learn(
        one_unit(a, w, b), impulses(teacher, FLOOR_STEPS), RFLO_WAY.episode(np.ones((1, 1))), FLOOR_RATE,
        precision, update="episode", epochs=updates, records=30, seed=seed,
    )  # fmt: skip
    return float(run.loss[10:].mean()) * FLOOR_STEPS, float(run.network.A[0, 0])


def _measure_floor(setting: Setting) -> Measured:
    bits = (8, 10) if setting.quick else (6, 8, 10, 12)
    teachers = [0.5 + 0.02 * ((k + 1) * 0.618034 % 1.0) for k in range(setting.take(4, 8))]
    _, s = _left(teachers[0], Precision.float64(), 6000, 0)
    rows: list[dict[str, Any]] = []
    for i, rounding in enumerate(("nearest", "stochastic")):
        for F in bits:
            setting.tell(f"{rounding}, {F} fraction bits", i / 2)
            floor = loss_floor("rflo", s, FLOOR_C, 0.51, FLOOR_RATE, F, rounding, feedback=1.0, decay=DECAY)
            losses = [_left(w, _fine(F, rounding), setting.take(2000, 4000), k)[0] for k, w in enumerate(teachers)]
            row = {"rounding": rounding, "bits": F, "valid": floor.valid, "theory": floor.loss}
            rows.append({**row, "mean": float(np.mean(losses)), "largest": max(losses)})
    return Measured({"rows": rows})


def _judge_floor(numbers: dict[str, Any]) -> Judgement:
    rows = [row for row in numbers["rows"] if row["valid"]]
    bound = [row["largest"] / row["theory"] for row in rows if row["rounding"] == "nearest"]
    mean = [row["mean"] / row["theory"] for row in rows if row["rounding"] == "stochastic"]
    checks = [
        Check("nearest: largest loss over the bound, most", max(bound, default=math.nan), 0.0, 1.15),
        Check("nearest: the same, where it is tightest", max(bound, default=math.nan), 0.05),
        Check("stochastic: mean loss over the predicted one, least", min(mean, default=math.nan), 0.5),
        Check("stochastic: the same, most", max(mean, default=math.nan), high=1.6),
    ]
    figure = (
        f"nearest: {min(bound, default=math.nan):.2f} to {max(bound, default=math.nan):.2f} of the bound; stochastic: "
        f"{min(mean, default=math.nan):.2f} to {max(mean, default=math.nan):.2f} of the predicted mean"
    )
    return Judgement(figure, checks)


# --- whether learning arrives

SMALL_WEIGHTS = {
    "weight": "s2.5",
    "A": "s2.5",
    "state": "s4.19",
    "current": "s4.19",
    "error": "s4.19",
    "feedback": "s2.13",
}
"""Weights of 8 bits, everything else fine, so that only weights are rounded."""


def _measure_arrival(setting: Setting) -> Measured:
    seeds = setting.take(4, 12)
    epochs = setting.take(400, 1500)
    teacher = four_modes(seed=setting.seed)
    task = impulses(teacher, 24)
    left: dict[str, list[float]] = {}
    for k in range(seeds):
        rng = np.random.default_rng(setting.seed + k)
        A, W = (rng.normal(0.0, 0.1 / math.sqrt(8), (rows, 8)) for rows in (4, 8))
        student = Network(A, W, rng.normal(0.0, 0.1 / math.sqrt(4), (8, 4)))
        R = rng.normal(0.0, 1.0 / math.sqrt(8), (4, 8))
        for name in ("float64", "nearest", "stochastic"):
            setting.tell(f"{name}, seed {k + 1} of {seeds}", k / seeds)
            precision = Precision.float64() if name == "float64" else Precision(**SMALL_WEIGHTS, update_rounding=name)
            try:
                run = learn(
                    student, task, RFLO_WAY.episode(R), 0.02, precision, update="episode", batch=teacher.n_in,
                    epochs=epochs, records=epochs, seed=setting.seed + k,
                )  # fmt: skip
                share = float(run.loss[-10:].mean() / run.loss[0])
            except Divergence:
                share = math.inf
            left.setdefault(name, []).append(share)
    return Measured({"seeds": seeds, **{name: sorted(shares) for name, shares in left.items()}})


def _judge_arrival(numbers: dict[str, Any]) -> Judgement:
    middle = {name: float(np.median(numbers[name])) for name in ("float64", "nearest", "stochastic")}
    checks = [
        Check("float64: share of the loss left, median", middle["float64"], 0.0, 0.1),
        Check("stochastic: share of the loss left, median", middle["stochastic"], 0.0, 0.2),
        Check("nearest: share of the loss left, median", middle["nearest"], 0.1, 1.01),
        Check("nearest over stochastic", middle["nearest"] / middle["stochastic"], 10.0),
    ]
    figure = "share of the first loss left, median of " + f"{numbers['seeds']} students: " + ", ".join(
        f"{name} {value:.2g}" for name, value in middle.items()
    )  # fmt: skip
    return Judgement(figure, checks)


CLAIMS = (
    Claim(
        "fixed-point-rank",
        "RFLO's change has rank n_out in fixed point too",
        "Exactly n_out where M and N are stored (factored); where every weight is rounded the exact rank is full",
        "nl.theory.rank_report, nl.RFLO(storage=...); docs/theory.md, Rank",
        _measure_rank,
        _judge_rank,
        source="here",
        cost=3.0,
    ),
    Claim(
        "fixed-point-modes",
        "Modes learn in int16 and int8 as in real numbers",
        "They do in int16; in int8 only roughly",
        "nl.Precision.preset, nl.theory.modes; docs/formats.md",
        _measure_modes,
        _judge_modes,
        painted(_draw_modes, "fixed-point-modes"),
        source="here",
        cost=4.0,
    ),
    Claim(
        "fixed-point-floor",
        "The loss that rounding of weights leaves is the predicted one: a bound for nearest, a mean for stochastic",
        "",
        "nl.theory.loss_floor; docs/rounding.md",
        _measure_floor,
        _judge_floor,
        source="here",
        cost=5.0,
    ),
    Claim(
        "fixed-point-convergence",
        "From a small start, 8-bit weights stall far from the solution if updates are rounded to nearest, and learn if "
        "at random",
        "",
        "nl.Precision(update_rounding=...); docs/rounding.md, When the formulas hold",
        _measure_arrival,
        _judge_arrival,
        source="here",
        cost=4.0,
    ),
)
