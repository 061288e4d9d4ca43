"""Claims about how the optimum holds: signs and windows of stability, and rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurolrnn.reproduction.claims import Check, Claim, Judgement, Measured, Setting
from neurolrnn.reproduction.setup import DECAY, WAYS, Array, Way, impulses, learn, one_unit, painted
from neurolrnn.tasks.teacher_student import aligned_teacher
from neurolrnn.theory import ModeEquations, crossings, rate, slowest, stability

# --- stability of RFLO

NEAR = 1e-5
"""Distance from the optimum at which the flow is started."""
DECAYS = (-0.6, -0.2, 0.2, 0.5, 0.8)


def _draw_points(rng: np.random.Generator, count: int, decay: float) -> list[tuple[float, float, float, float]]:
    """Draw s, c, w*, â, a third of them close to where the window of the wrong sign can be."""
    points = []
    for k in range(count):
        s, c = (rng.choice([-1.0, 1.0]) * math.exp(rng.uniform(-1.2, 1.2)) for _ in range(2))
        w_star = rng.uniform(-0.85, 0.85)
        size = math.exp(rng.uniform(-1.5, 1.5))
        if k % 3 == 0:  # small b, wrong sign, |â s| of the size of b²
            s, w_star = math.copysign(rng.uniform(1.5, 6.0), s), math.copysign(rng.uniform(0.5, 0.9), decay)
            c = math.copysign(rng.uniform(0.3, 1.0), c)
            size = -math.copysign((c / s) ** 2 / abs(s) * rng.uniform(0.7, 6.0), s)
        elif k % 3 == 1:
            size *= rng.choice([-1.0, 1.0])
        else:
            size = math.copysign(size, s)
        points.append((s, c, w_star, float(size)))
    return points


def _jacobian(system: ModeEquations, point: Array) -> Array:
    """Return dΔ/d(a, b, w) from central differences, (modes, 3, 3)."""
    h = 1e-6
    columns = []
    for k in range(3):
        ends = []
        for sign in (-1.0, 1.0):
            moved = point.copy()
            moved[k] += sign * h
            ends.append(np.array(system.update(*moved)[:3]))
        columns.append((ends[1] - ends[0]) / (2.0 * h))
    return np.asarray(np.array(columns).transpose(2, 1, 0))


def _tried(points: list[tuple[float, float, float, float]], decay: float, rng: np.random.Generator) -> dict[str, Any]:
    """Return what formula, Jacobian and flow say of each point: whether it is stable."""
    s, c, w_star, a_hat = (np.array(x) for x in zip(*points, strict=True))
    optimum = np.array([s, c / s, w_star])
    values = np.linalg.eigvals(_jacobian(ModeEquations("rflo", c, np.ones_like(c), w_star, a_hat, decay), optimum))
    order = np.argsort(np.abs(values), axis=1)
    across = np.take_along_axis(values, order[:, 1:], axis=1).real.min(axis=1)
    # Not where nothing happens for long, or fast and slow are so far apart that solving takes for ever.
    tried = (np.abs(across) > 0.05) & (np.abs(values).max(axis=1) < 25.0 * np.abs(across))
    grown = np.ones(len(points))
    # Those of about the same speed together, each for eight of its own times: what decays is gone, what grows shows.
    for part in np.array_split(np.flatnonzero(tried)[np.argsort(np.abs(across[tried]))], 3):
        ends = 8.0 / np.abs(across[part])
        system = ModeEquations("rflo", c[part], np.ones(len(part)), w_star[part], a_hat[part], decay)
        start = optimum[:, part] + NEAR * rng.normal(size=(3, len(part)))
        path = system.flow(start[0], start[1], start[2], np.sort(ends), tolerance=1e-8)
        row, column = np.argsort(np.argsort(ends)), np.arange(len(part))
        last = np.stack([x[row, column] for x in (path.a, path.b, path.w)])
        first, final = (np.hypot(a * b - c[part], w - w_star[part]) for a, b, w in (start, last))
        grown[part] = np.nan_to_num(final / first, nan=math.inf)  # a mode that ran away has grown
    formula = [stability("rflo", a, c=b, w_star=w, a_hat=h, decay=decay) for a, b, w, h in points]
    predicted = [p.signal > 0.0 or (p.window is not None and p.window[0] < -p.signal < p.window[1]) for p in formula]
    return {
        "wrong sign": (s * a_hat < 0.0).tolist(),
        "predicted": predicted,
        "kind": [p.kind for p in formula],
        "jacobian": (across > 0.0).tolist(),
        "tried": tried.tolist(),
        "flow": (grown < 0.1).tolist(),
        "undecided": ((grown >= 0.1) & (grown <= 10.0)).tolist(),
        "spirals": [
            p.kind.endswith("focus") and p.stable and decay * p.w_star >= 0.0 and p.signal > 0 for p in formula
        ],
    }


def _measure_stability(setting: Setting) -> Measured:
    rng = np.random.default_rng(setting.seed)
    count, few = setting.take(60, 600), setting.take(60, 150)
    found: dict[str, list[Any]] = {}
    for k, decay in enumerate(DECAYS):
        setting.tell(f"ŵ = {decay}", k / len(DECAYS))
        for size in range(0, count, few):
            points = _draw_points(rng, min(few, count - size), decay)
            for key, values in _tried(points, decay, rng).items():
                found.setdefault(key, []).extend(values)
    wrong, predicted, jac = (np.array(found[k]) for k in ("wrong sign", "predicted", "jacobian"))
    tried, flow, undecided = (np.array(found[k]) for k in ("tried", "flow", "undecided"))
    sure = tried & ~undecided
    numbers = {
        "points": len(wrong),
        "right_sign": int((~wrong).sum()),
        "right_sign_unstable": int((~wrong & ~jac).sum()),
        "wrong_sign": int(wrong.sum()),
        "wrong_sign_stable": int((wrong & jac).sum()),
        "mismatches": int((predicted != jac).sum()),
        "integrated": int(tried.sum()),
        "undecided": int((tried & undecided).sum()),
        "flow_mismatches": int((flow != jac)[sure].sum()),
        "spirals": int(np.sum(found["spirals"])),
        "kinds": {k: found["kind"].count(k) for k in sorted(set(found["kind"]))},
    }
    return Measured(numbers)


def _judge_stability(numbers: dict[str, Any]) -> Judgement:
    n = numbers
    checks = [
        Check("right sign: unstable points", n["right_sign_unstable"], 0, 0),
        Check("right sign: points", n["right_sign"], 50),
        Check("wrong sign: points", n["wrong_sign"], 50),
        Check("right sign and ŵ w* ≥ 0: points that spiral", n["spirals"], 0, 0),
        Check("flow against Jacobian: differences", n["flow_mismatches"], 0, 0),
        Check("share of flows that neither shrink nor grow tenfold", n["undecided"] / max(n["integrated"], 1), 0, 0.02),
        Check("wrong sign: stable points", n["wrong_sign_stable"], 0, 0, "as stated"),
        Check("window against Jacobian: differences", n["mismatches"], 0, 0, "refined"),
        Check("wrong sign: stable points, all inside the window", n["wrong_sign_stable"], 3, part="refined"),
    ]
    figure = (
        f"{n['right_sign']} of {n['right_sign']} points" if not n["right_sign_unstable"]
        else f"{n['right_sign'] - n['right_sign_unstable']} of {n['right_sign']} points"
    ) + (
        f" with â s > 0 stable; {n['wrong_sign_stable']} of {n['wrong_sign']} with â s < 0 stable too; the window is "
        f"wrong for {n['mismatches']}, flows differ for {n['flow_mismatches']} of {n['integrated']}"
    )  # fmt: skip
    return Judgement(figure, checks)


def _draw_stability(measured: Measured, path: Path) -> object:
    from neurolrnn.rule_plots import plot_stability_map
    from neurolrnn.theory.rule_maps import stability_map

    # Weak c and large |s| make b small, where the window of the wrong sign is.
    maps = [stability_map("rflo", c=c, a_hat=a_hat, decay=DECAY) for c, a_hat in ((1.0, 1.0), (0.5, 0.1))]
    return plot_stability_map(maps, path)


# --- rates

GRID = tuple(float(x) for x in np.round(np.geomspace(0.25, 4.0, 9), 4))


def _decay_of_flow(way: Way, s: float, w_star: float, c: float = 1.0) -> float:
    """Return the rate at which the flow's distance from the optimum falls, from its last part."""
    system = ModeEquations(way.name, [c], [1.0], [w_star], **way.given(a_hat=[1.0]))
    slow = float(rate(way.name, s, c=c, w_star=w_star, **way.given(a_hat=1.0)))
    t = np.linspace(0.0, 9.0, 37) / slow
    # Off by little, so that the flow is linear, but by far more than the solver's errors.
    path = system.flow([s * (1.0 + 1e-3)], [c / s * (1.0 + 3e-3)], [w_star - 2e-3], t, tolerance=1e-10)
    z = np.hypot(path.a * path.b - c, path.w - w_star)[:, 0]
    late = slice(20, 37)
    return float(-np.polyfit(t[late], np.log(z[late]), 1)[0])


def _decay_of_kernels(way: Way, s: float, w_star: float) -> float:
    """Return the same from a run of the kernels, whose updates shrink a disturbance by 1 - η λ each."""
    eta, slow = 0.01, float(rate(way.name, s, w_star=w_star, **way.given(a_hat=1.0)))
    updates = round(9.0 / (slow * eta))
    teacher = aligned_teacher([1.0], [1.0], [w_star])
    student = one_unit(s * (1.0 + 1e-3), w_star - 2e-3, (1.0 + 3e-3) / s)
    run = learn(
        student, impulses(teacher, 60), way.episode(np.array([[1.0]])), eta, update="episode", epochs=updates,
        records=updates,
    )  # fmt: skip
    k = np.arange(updates)
    late = slice(updates // 2, updates)
    slope = -np.polyfit(k[late], np.log(run.loss[late]), 1)[0]  # of the loss, which falls as the square
    return float((1.0 - math.exp(-slope / 2.0)) / eta)


def _measure_rates(setting: Setting) -> Measured:
    numbers: dict[str, Any] = {}
    setting.tell("slowest points", 0.0)
    numbers["slowest"] = [
        slowest("bptt", c=c, w_star=w)[0] / math.sqrt(abs(c))
        for c in (0.5, 1.0, 2.0, -1.5)
        for w in (0.3, 0.6, 0.85, -0.5)
    ]
    for name, s in (("small", 0.01), ("large", 100.0)):
        rflo = [float(rate("rflo", s, w_star=w, a_hat=1.0, decay=DECAY)) for w in (0.2, 0.5, 0.8)]
        numbers[f"{name} s"] = [
            r / float(rate("bptt", s, w_star=w)) for r, w in zip(rflo, (0.2, 0.5, 0.8), strict=True)
        ]
    grid = np.geomspace(0.1, 10.0, 2001)
    numbers["slower_share"] = {
        f"{a_hat:g}": float(
            np.mean(rate("rflo", grid, w_star=0.5, a_hat=a_hat, decay=DECAY) < rate("bptt", grid, w_star=0.5))
        )
        for a_hat in (0.1, 1.0, 10.0)
    }
    setting.tell("crossings", 0.2)
    leading = []
    for a_hat in (0.1, 0.3, 1.0):
        for w in (0.2, 0.5, -0.3):
            q, rho = 1.0 - w * w, 1.0 - DECAY * w
            found = crossings("rflo", w_star=w, a_hat=a_hat, decay=DECAY)
            leading.append(found[0] / (a_hat * q * q / rho**2) if len(found) == 1 else math.nan)
    numbers["crossing"] = leading
    numbers["tbptt"] = {
        f"{w:g}": float(rate("tbptt", 1.0, w_star=w, steps=1) / rate("bptt", 1.0, w_star=w))
        for w in (0.1, 0.2, 0.5, 0.9)
    }
    flows: dict[str, list[float]] = {}
    places = GRID[::4] if setting.quick else GRID
    memories = (0.6,) if setting.quick else (0.3, 0.6)
    for k, way in enumerate(WAYS):
        for w in memories:
            setting.tell(f"{way.title}: decay of the flow, w* = {w}", 0.3 + k / 6)
            flows.setdefault(way.name, []).extend(_decay_of_flow(way, s, w) for s in places)
    predicted = {
        way.name: [
            float(rate(way.name, s, w_star=w, **way.given(a_hat=1.0))) for w in memories for s in places
        ]
        for way in WAYS
    }  # fmt: skip
    numbers["flow_error"] = max(
        abs(f / p - 1.0) for way in WAYS for f, p in zip(flows[way.name], predicted[way.name], strict=True)
    )
    kernel: dict[str, list[tuple[float, float]]] = {}
    few = (1.0,) if setting.quick else (0.5, 1.0, 2.0)
    for k, way in enumerate(WAYS):
        setting.tell(f"{way.title}: decay in the kernels", 0.8 + k / 15)
        kernel[way.name] = [(s, _decay_of_kernels(way, s, 0.6)) for s in few]
    numbers["kernel_error"] = max(
        abs(found / float(rate(way.name, s, w_star=0.6, **way.given(a_hat=1.0))) - 1.0)
        for way in WAYS
        for s, found in kernel[way.name]
    )
    last = -len(places)
    return Measured(numbers, {"grid": places, "flows": {k: v[last:] for k, v in flows.items()}, "kernel": kernel})


def _judge_rates(numbers: dict[str, Any]) -> Judgement:
    n = numbers
    off = max(abs(x - 1.0) for x in n["slowest"])
    ratio, share = n["tbptt"], n["slower_share"]
    checks = [
        Check("BPTT: slowest s over √|c|, largest difference from 1", off, 0.0, 1e-3),
        Check("RFLO over BPTT at s = 0.01, smallest", min(n["small s"]), 10.0),
        Check("RFLO over BPTT at s = 100, largest", max(n["large s"]), 0.0, 0.1),
        Check("truncated BPTT(1) over BPTT at w* = 0.1", ratio["0.1"], 0.95, 1.05),
        Check("the same at w* = 0.2", ratio["0.2"], 0.9, 1.1),
        Check("the same at w* = 0.9, which is long memory", ratio["0.9"], 0.0, 0.6),
        Check("flow against λ, largest relative difference", n["flow_error"], 0.0, 0.02),
        Check("kernels against λ, largest relative difference", n["kernel_error"], 0.0, 0.03),
        *(
            Check(f"share of s from 0.1 to 10 at which RFLO is slower, â = {a_hat}", value, 0.5, part="as stated")
            for a_hat, value in share.items()
        ),
        Check("crossing over â q²/ρ² for â ≤ 1, smallest", min(n["crossing"]), 0.85, part="refined"),
        Check("crossing over â q²/ρ² for â ≤ 1, largest", max(n["crossing"]), high=1.1, part="refined"),
    ]
    figure = (
        f"BPTT slowest at √|c| within {off:.0e}; RFLO is slower on {100 * share['1']:.0f} % of log s from 0.1 to 10 "
        f"with â = 1 and on {100 * share['10']:.0f} % with â = 10; truncated BPTT(1) has {ratio['0.1']:.2f}, "
        f"{ratio['0.5']:.2f}, {ratio['0.9']:.2f} of BPTT's rate at w* = 0.1, 0.5, 0.9; decay measured in flows within "
        f"{100 * n['flow_error']:.1g} %, in kernels within {100 * n['kernel_error']:.1g} %"
    )
    return Judgement(figure, checks)


def _draw_rates(figure: Any, measured: Measured) -> None:
    curves: Mapping[str, Any] = measured.curves
    axes = figure.subplots(1, 2)
    colours = ("#0072B2", "#009E73", "#D55E00")
    s = np.geomspace(0.05, 20.0, 400)
    for way, colour in zip(WAYS, colours, strict=True):
        axes[0].plot(s, rate(way.name, s, w_star=0.6, **way.given(a_hat=1.0)), color=colour, label=way.title)
        axes[0].plot(curves["grid"], curves["flows"][way.name], "o", ms=4.5, mfc="white", color=colour)
        axes[0].plot(*zip(*curves["kernel"][way.name], strict=True), "x", ms=6, color=colour)
    axes[0].axvline(1.0, color="0.6", lw=0.8, ls=":")
    axes[0].set(
        xscale="log", yscale="log", xlabel="s (a at the optimum)", ylabel="rate λ₋", title="w* = 0.6, c = 1, â = 1"
    )
    axes[0].legend(fontsize=8.5, loc="lower left")
    for a_hat, style in ((0.1, ":"), (1.0, "-"), (10.0, "--")):
        ratio = rate("rflo", s, w_star=0.5, a_hat=a_hat, decay=DECAY) / rate("bptt", s, w_star=0.5)
        axes[1].plot(s, ratio, style, color=colours[2], label=f"â = {a_hat:g}")
    axes[1].axhline(1.0, color="0.6", lw=0.8)
    axes[1].set(
        xscale="log", yscale="log", xlabel="s", ylabel="RFLO's rate over BPTT's", title="Who is faster: w* = ŵ = 0.5"
    )
    axes[1].legend(fontsize=8.5)


CLAIMS = (
    Claim(
        "stability-signs",
        "The optimum is stable under RFLO if â and s agree in sign, and only then",
        "If they disagree it is stable exactly where b² < |â s| < b²/(q (1/ρ + b² Y)), a window that may be empty",
        "nl.theory.stability, wrong_sign_window; docs/theory.md, Stability and speed",
        _measure_stability,
        _judge_stability,
        _draw_stability,
        cost=4.0,
    ),
    Claim(
        "rates",
        "BPTT settles slowest at s = √|c|, truncated BPTT(1) like it for short memory; RFLO faster for small s, slower "
        "for most s",
        "RFLO is the faster one below s ≈ â q²/ρ², so which is faster for most s depends on â; the rest holds",
        "nl.theory.rate, slowest, crossings; docs/theory.md, Stability and speed",
        _measure_rates,
        _judge_rates,
        painted(_draw_rates, "rates"),
        cost=3.0,
    ),
)
