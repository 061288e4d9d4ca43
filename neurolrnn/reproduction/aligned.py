"""Claims about aligned students: their modes follow the mode equations, and they stay aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurolrnn.precision import Precision
from neurolrnn.reproduction.claims import Check, Claim, Judgement, Measured, Setting
from neurolrnn.reproduction.expected_path import expected_path
from neurolrnn.reproduction.setup import (
    MEMORIES,
    PRODUCTS,
    WAYS,
    Array,
    Frame,
    Way,
    four_modes,
    impulses,
    learn,
    painted,
    stages,
    white,
)
from neurolrnn.tasks.teacher_student import aligned_student
from neurolrnn.theory import ModeTrajectory, modes

START = ([0.3, 0.4, 0.35, 0.5], [0.5, 0.3, 0.4, 0.3], [0.2, 0.1, -0.1, 0.1])
A_HAT = np.ones(4)
SHOWN = 6.0
"""Time up to which the picture shows modes."""
TIMES = (0.5, 1.0, 2.0, 4.0, 12.0)


def flow(way: Way, times: Sequence[float] | Array) -> ModeTrajectory:
    """Solve the mode equations from the start of this file."""
    root = np.sqrt(PRODUCTS)
    return modes(way.name, *START, a_star=root, b_star=root, w_star=MEMORIES, t=times, **way.given(a_hat=A_HAT))


def _values(path: ModeTrajectory) -> Array:
    """Return a, b and w over time, (times, 3, modes)."""
    return np.stack([path.a, path.b, path.w], axis=1)


# --- the mode equations


def _measure_modes(setting: Setting) -> Measured:
    teacher = four_modes(seed=setting.seed)
    student, R = aligned_student(teacher, *START, A_HAT, seed=setting.seed)
    frame = Frame.of(teacher, R, A_HAT)
    rates, sampled_rates = (0.02, 0.01, 0.005), (0.001, 0.00025)
    seeds = setting.take(4, 12)
    precisions = Precision.float32(), Precision.float64()
    compared = ("rflo",) if setting.quick else ("bptt", "tbptt", "rflo")
    numbers: dict[str, Any] = {"rates": rates, "sampled_rates": sampled_rates, "seeds": seeds}
    curves: dict[str, Any] = {}
    setting.tell("drawing inputs", 0.0)
    tasks = [white(teacher, round(TIMES[-1] / min(sampled_rates)), 1000 * setting.seed + k) for k in range(seeds)]
    for k, way in enumerate(WAYS):
        setting.tell(f"{way.title}: expected updates", k / 3)
        exact = _values(flow(way, TIMES))
        off = []
        for rate in rates:
            counts = [round(t / rate) for t in TIMES]
            path = expected_path(student, teacher, way.name, rate, counts, **way.given(R))
            pairs = zip(path, exact, strict=True)
            off.append(max(float(np.abs(frame.modes(at.network) - e).max()) for at, e in pairs))
        spread = []
        for rate in sampled_rates:
            counts = [round(t / rate) for t in TIMES]
            runs = []
            for seed, task in enumerate(tasks):
                setting.tell(f"{way.title}: sampled, η = {rate}, run {seed + 1} of {seeds}", k / 3 + 0.1)
                found = [frame.modes(run.network) for run in stages(student, task, way.online(R), rate, counts)]
                runs.append(found)
            deviation = np.array(runs) - exact
            spread.append(float(np.sqrt((deviation**2).mean())))
        numbers[way.name] = {"deviation": off, "sampled": spread}
        if way.name in compared:
            setting.tell(f"{way.title}: float32", k / 3 + 0.3)
            single = [learn(student, tasks[0], way.online(R), rate, p).network for p in precisions]
            numbers[way.name]["float32"] = float(np.abs(frame.modes(single[0]) - frame.modes(single[1])).max())
        t = np.linspace(0.0, SHOWN, 241)
        curves[way.name] = {"t": t, "w": flow(way, t).w, "times": TIMES, "runs": np.array(runs)[:, :, 2]}
    return Measured(numbers, curves)


def _judge_modes(numbers: dict[str, Any]) -> Judgement:
    checks, halvings = [], []
    for way in WAYS:
        found = numbers[way.name]
        first, second, third = found["deviation"]
        halvings += [first / second, second / third]
        for k, ratio in enumerate(halvings[-2:]):
            checks.append(Check(f"{way.title}: deviation over that at η/2 ({k + 1})", ratio, 1.7, 2.3))
        checks += [
            Check(f"{way.title}: deviation at the smallest η", third, 0.0, 0.05),
            # Noise falls as √η, the shift of the mean as η.
            Check(
                f"{way.title}: sampled, RMS deviation over that at η/4",
                found["sampled"][0] / found["sampled"][1], 1.2, 5.0,
            ),
        ]  # fmt: skip
        if "float32" in found:
            checks.append(Check(f"{way.title}: sampled, float32 from float64", found["float32"], 0.0, 1e-3))
    worst = max(numbers[way.name]["deviation"][-1] for way in WAYS)
    noise = max(numbers[way.name]["sampled"][-1] for way in WAYS)
    figure = (
        f"deviation of a, b, w up to t = {TIMES[-1]:g}: at most {worst:.2g} at η = {numbers['rates'][-1]:g}, "
        f"divided by {min(halvings):.2f} to {max(halvings):.2f} per halving of η; sampled online {noise:.2g} RMS at "
        f"η = {numbers['sampled_rates'][-1]:g}"
    )
    return Judgement(figure, checks)


def _draw_modes(figure: Any, measured: Measured) -> None:
    colours = ("#0072B2", "#D55E00", "#009E73", "#666666")
    axes = figure.subplots(1, 3, sharey=True)
    for axis, way in zip(axes, WAYS, strict=True):
        c: Any = measured.curves[way.name]
        for mode, colour in enumerate(colours):
            axis.axhline(MEMORIES[mode], color=colour, lw=0.8, ls=":")
            axis.plot(c["t"], c["w"][:, mode], color=colour, label=f"w* = {MEMORIES[mode]:g}")
            runs = c["runs"][:, :, mode]
            axis.errorbar(
                c["times"], runs.mean(axis=0), yerr=runs.std(axis=0), fmt="o", ms=4, mfc="white", color=colour,
                capsize=2,
            )  # fmt: skip
        axis.set(title=way.title, xlabel="time (steps × η)", xlim=(0.0, SHOWN))
    axes[0].set_ylabel("w of each mode")
    axes[0].legend(fontsize=8, loc="center right", bbox_to_anchor=(1.0, 0.4))
    figure.suptitle(
        "Lines: mode equations. Circles: sampled online learning, mean ± deviation of single runs", fontsize=10.5
    )


# --- alignment is kept


def _measure_kept(setting: Setting) -> Measured:
    numbers: dict[str, Any] = {}
    shapes = {"square": (4, 4, 4), "rectangular": (6, 7, 5)}
    for k, (shape, sizes) in enumerate(shapes.items()):
        teacher = four_modes(*sizes, seed=setting.seed)
        student, R = aligned_student(teacher, *START, A_HAT, seed=setting.seed)
        frame = Frame.of(teacher, R, A_HAT)
        numbers[f"start, {shape}"] = frame.off_diagonal(student)
        updates = setting.take(300, 1500)
        task = impulses(teacher, 32)
        for i, way in enumerate(WAYS):
            setting.tell(f"{shape}: {way.title}", (k + i / 4) / 2)
            (end,) = expected_path(student, teacher, way.name, 0.02, [updates], **way.given(R))
            numbers[f"{way.title}, {shape}, expected updates"] = frame.off_diagonal(end.network)
            run = learn(student, task, way.episode(R), 0.02, update="episode", batch=teacher.n_in, epochs=updates)
            numbers[f"{way.title}, {shape}, kernels"] = frame.off_diagonal(run.network)
        setting.tell(f"{shape}: e-prop", (k + 0.75) / 2)
        (end,) = expected_path(student, teacher, "eprop", 0.02, [updates], R=R)
        numbers[f"e-prop, {shape}"] = frame.off_diagonal(end.network)
    return Measured(numbers)


def _judge_kept(numbers: dict[str, Any]) -> Judgement:
    checks = [
        Check(f"{name}: off-diagonal share", value, *((0.01, 1.0) if name.startswith("e-prop") else (0.0, 1e-11)))
        for name, value in numbers.items()
    ]
    kept = max(value for name, value in numbers.items() if not name.startswith("e-prop"))
    lost = [value for name, value in numbers.items() if name.startswith("e-prop")]
    figure = (
        f"off-diagonal share at most {kept:.1g} after learning; e-prop, which does not keep it, {min(lost):.2g} to "
        f"{max(lost):.2g}"
    )
    return Judgement(figure, checks)


CLAIMS = (
    Claim(
        "aligned-modes",
        "An aligned student follows scalar equations per mode under BPTT, truncated BPTT and RFLO",
        "",
        "nl.theory.modes; docs/theory.md, Mode equations",
        _measure_modes,
        _judge_modes,
        painted(_draw_modes, "aligned-modes"),
        cost=6.0,
    ),
    Claim(
        "alignment-kept",
        "An aligned student stays aligned under BPTT, truncated BPTT and RFLO",
        "",
        "nl.theory.expected_update; docs/theory.md, Setting",
        _measure_kept,
        _judge_kept,
        cost=3.0,
    ),
)
