"""Claims about where learning stands still."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurolrnn.network import Network
from neurolrnn.reproduction.claims import Check, Claim, Judgement, Measured, Setting
from neurolrnn.reproduction.setup import (
    BPTT_WAY,
    DECAY,
    MEMORIES,
    PRODUCTS,
    RFLO_WAY,
    TBPTT_WAY,
    WAYS,
    Array,
    Way,
    four_modes,
    impulses,
    learn,
    one_unit,
    painted,
)
from neurolrnn.tasks.teacher_student import aligned_teacher
from neurolrnn.theory import ModeEquations, expected_update, stationary

FOLLOWING = (BPTT_WAY, TBPTT_WAY)
"""Rules whose feedback follows A."""
C, W_STAR, W_START, A_HAT = 1.0, 0.5, 0.2, 1.0
"""The one mode whose escape is timed."""
RATE, STEPS, EVERY = 0.01, 48, 4


def _size(update: Any) -> float:
    return max(float(np.abs(part).max()) for part in update[:3])


def _at_optimum(setting: Setting, count: int) -> dict[str, float]:
    """Return the largest update at networks that do as the teacher does, written in other coordinates."""
    rng = np.random.default_rng(setting.seed)
    largest = {way.name: 0.0 for way in WAYS}
    for k in range(count):
        teacher = four_modes(seed=setting.seed + k)
        S: Array = np.eye(4) + 0.3 * rng.normal(size=(4, 4))
        W, B = (np.linalg.solve(S, M).astype(np.float64) for M in (teacher.W @ S, teacher.B))
        student = Network(teacher.A @ S, W, B)
        R = rng.normal(size=(4, 4))
        for way in WAYS:
            update = expected_update(student, teacher, way.name, **way.given(R))
            scale = max(float(np.abs(x).max()) for x in (student.A, student.W, student.B)) ** 3
            largest[way.name] = max(largest[way.name], _size(update) / scale)
    return largest


def _at_zero(setting: Setting) -> dict[str, Any]:
    """Return updates and loss at A = B = 0, and how far they are from the formulas."""
    rng = np.random.default_rng(setting.seed)
    teacher = four_modes(seed=setting.seed)
    zero, W = np.zeros((4, 4)), 0.3 * rng.normal(size=(4, 4))
    student, R = Network(zero, W, zero), rng.normal(size=(4, 4))
    found: dict[str, Any] = {}
    for way in FOLLOWING:
        update = expected_update(student, teacher, way.name, **way.options)
        found[way.name] = _size(update)
        modes = zip(PRODUCTS, MEMORIES, strict=True)
        loss = sum(stationary(way.name, c=c, w_star=w_star, **way.options).loss for c, w_star in modes)
        found[f"{way.name} loss"] = abs(update.loss / loss - 1.0)
    push = expected_update(student, teacher, "rflo", R=R, **RFLO_WAY.options).dB
    # ΔB = -Rᵀ A* (I - ŵ W*)⁻¹ B*: the matrix form of -â c/(1 - ŵ w*)
    formula = -R.T @ teacher.A @ np.linalg.solve(np.eye(4) - DECAY * teacher.W, teacher.B)
    found["rflo"] = float(np.abs(push).max())
    found["rflo push"] = float(np.abs(push - formula).max()) / found["rflo"]
    return found


def _saddle(seed: int, count: int) -> dict[str, float]:
    """Return how far eigenvalues of a Jacobian from differences are from the formula, at a = b = 0."""
    rng = np.random.default_rng(seed)
    worst = {way.name: 0.0 for way in FOLLOWING}
    h = 1e-5
    for _ in range(count):
        c, w_star, w = rng.uniform(0.3, 2.0) * rng.choice([-1, 1]), rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9)
        for way in FOLLOWING:
            system = ModeEquations(way.name, [c], [1.0], [w_star], **way.options)
            columns = []
            for k in range(3):
                ends = []
                for sign in (-1.0, 1.0):
                    point = np.array([0.0, 0.0, w])
                    point[k] += sign * h
                    ends.append(np.ravel(system.update(*point[:, np.newaxis])[:3]))
                columns.append((ends[1] - ends[0]) / (2.0 * h))
            found = np.sort(np.linalg.eigvals(-np.array(columns).T).real)
            want = np.array(stationary(way.name, c=c, w_star=w_star, w=w, **way.options).eigenvalues)
            worst[way.name] = max(worst[way.name], float(np.abs(found - want).max() / want[2]))
    return worst


def _escape(way: Way, size: float) -> tuple[Array, Array]:
    """Return times and losses of the kernels' run from a = b = size."""
    teacher = aligned_teacher([math.sqrt(C)], [math.sqrt(C)], [W_STAR])
    student = one_unit(size, W_START, size)
    points = round((12.0 + 1.1 * math.log(1.0 / size)) / (EVERY * RATE))
    run = learn(
        student, impulses(teacher, STEPS), way.episode(np.array([[A_HAT]])), RATE, update="episode",
        epochs=EVERY * points, records=points,
    )  # fmt: skip
    return EVERY * RATE * (np.arange(points, dtype=np.float64) + 0.5), np.asarray(run.loss) * STEPS


def _half_time(t: Array, loss: Array) -> float:
    """Return when the loss first falls below half of what it was."""
    below = np.flatnonzero(loss < 0.5 * loss[0])
    return float(t[below[0]]) if len(below) else math.nan


def _measure(setting: Setting) -> Measured:
    setting.tell("optimal manifold", 0.0)
    numbers: dict[str, Any] = {"optimum": _at_optimum(setting, setting.take(5, 40))}
    setting.tell("a = b = 0", 0.3)
    numbers["zero"] = _at_zero(setting)
    numbers["saddle"] = _saddle(setting.seed, setting.take(20, 300))
    sizes = [1e-2, 1e-3, 1e-4, 1e-5] if setting.quick else [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7]
    curves: dict[str, Any] = {"sizes": sizes}
    for way in WAYS:
        setting.tell(f"{way.title}: escape", 0.6)
        runs = [_escape(way, size) for size in sizes]
        times = [_half_time(*run) for run in runs]
        slope = np.polyfit(np.log(1.0 / np.array(sizes)), times, 1)[0]
        numbers[f"escape {way.name}"] = {"times": times, "slope": float(slope)}
        curves[way.name] = runs
    for way in FOLLOWING:
        numbers[f"growth {way.name}"] = stationary(way.name, c=C, w_star=W_STAR, w=W_START, **way.options).growth
    return Measured(numbers, curves)


def _judge(numbers: dict[str, Any]) -> Judgement:
    zero, checks = numbers["zero"], []
    for way in WAYS:
        checks.append(Check(f"{way.title}: update on the optimal manifold", numbers["optimum"][way.name], 0.0, 1e-12))
    for way in FOLLOWING:
        slope = numbers[f"escape {way.name}"]["slope"] * numbers[f"growth {way.name}"]
        checks += [
            Check(f"{way.title}: update at A = B = 0", zero[way.name], 0.0, 1e-14),
            Check(f"{way.title}: loss there, relative to the formula", zero[f"{way.name} loss"], 0.0, 1e-10),
            Check(f"{way.title}: eigenvalues ±σ there, relative", numbers["saddle"][way.name], 0.0, 1e-6),
            Check(f"{way.title}: escape time against ln(1/d)/σ, slope", slope, 0.97, 1.03),
        ]
    times = numbers["escape rflo"]["times"]
    checks += [
        Check("RFLO: update at A = B = 0", zero["rflo"], 0.1),
        Check("RFLO: the same, relative to the formula", zero["rflo push"], 0.0, 1e-12),
        Check("RFLO: time to leave from d = smallest over that from largest", times[-1] / times[0], 0.9, 1.1),
    ]
    ends = {way.name: numbers[f"escape {way.name}"]["times"] for way in WAYS}
    figure = (
        f"from d = 1e-2 to the smallest, half the loss is gone at t = {ends['bptt'][0]:.1f} to {ends['bptt'][-1]:.1f} "
        f"(BPTT), {ends['tbptt'][0]:.1f} to {ends['tbptt'][-1]:.1f} (truncated BPTT), {ends['rflo'][0]:.1f} to "
        f"{ends['rflo'][-1]:.1f} (RFLO); slope times σ "
        + " and ".join(f"{numbers[f'escape {w.name}']['slope'] * numbers[f'growth {w.name}']:.3f}" for w in FOLLOWING)
    )
    return Judgement(figure, checks)


def _draw(figure: Any, measured: Measured) -> None:
    import matplotlib as mpl

    axes = figure.subplots(1, 3, sharey=True)
    curves: Mapping[str, Any] = measured.curves
    sizes = curves["sizes"]
    shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(sizes)))
    for axis, way in zip(axes, WAYS, strict=True):
        for (t, loss), size, colour in zip(curves[way.name], sizes, shades, strict=True):
            axis.plot(t, loss, color=colour, label=f"{size:.0e}")
        axis.set(title=way.title, xlabel="time (updates × η)", xlim=(0.0, 18.0))
    axes[0].set_ylabel("loss")
    axes[2].legend(title="start a = b", fontsize=8, title_fontsize=8, loc="upper right")
    axes[0].set_ylim(0.0)


CLAIMS = (
    Claim(
        "fixed-points",
        "All rules rest where the student does as the teacher; BPTT and truncated BPTT also rest at the saddle "
        "a = b = 0, which RFLO leaves at once",
        "",
        "nl.theory.stationary; docs/theory.md, Where learning stands still",
        _measure,
        _judge,
        painted(_draw, "fixed-points"),
        cost=2.0,
    ),
)
