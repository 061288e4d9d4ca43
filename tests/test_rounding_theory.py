"""The theory of rounding against the fixed-point kernels.

The impulse x = (1, 0, 0, …) makes a deterministic run of the expected dynamics: the error at step j is
e_j = u w^j - c w*^j, so an episode's loss is ½ Σ e_j² and its update Σ e_j κ_j, both exact up to w^2T.
"""

from __future__ import annotations

import doctest
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

import neurolrnn as nl
import neurolrnn.theory.rounding as theory
from neurolrnn.errors import InputError
from neurolrnn.tasks import Sequences, Task
from neurolrnn.theory.rounding import (
    bits_needed,
    dead_band,
    effective_drift,
    loss_floor,
    stall_set,
    state_noise_loss,
    stochastic_bias,
    weight_bits_for_stability,
)  # fmt: skip
from neurolrnn_kernels.formats import QFormat

EXAMPLES = Path(__file__).parents[1] / "examples"
A_HAT, W_HAT = 1.0, 0.5
CASES = {
    "rflo": ("rflo", {"feedback": A_HAT, "decay": W_HAT},
             nl.RFLO(storage="dense", feedback=np.array([[A_HAT]]), decay=W_HAT)),
    "tbptt1": ("tbptt", {"steps": 1}, nl.TruncatedBPTT(1)),
    "tbptt3": ("tbptt", {"steps": 3}, nl.TruncatedBPTT(3)),
}  # fmt: skip
BPTT = ("bptt", {}, None)
ETA = 1 / 16
FINE = "s2.21"
"""Of everything but the weights: far finer than any floor that is measured here."""


def impulse(c: float, w_star: float, T: int = 24, copies: int = 100) -> Task:
    x = np.zeros((copies, T, 1))
    x[:, 0] = 1.0
    y = np.broadcast_to((c * w_star ** np.arange(T))[:, np.newaxis], (copies, T, 1))
    return Task("impulse", Sequences.from_arrays(x, y))


def precision(frac_bits: int, update_rounding: str, fine: str = FINE, **options) -> nl.Precision:
    return nl.Precision(
        weight=f"s2.{frac_bits}", feedback="s2.14", state=fine, error=fine, update_rounding=update_rounding, **options
    )


def learn(rule, start, c, w_star, eta, numbers, updates, T=24, seed=0):
    """Return the run, and the mean loss of an episode in each 100 updates."""
    a, w, b = start
    run = nl.simulate(
        nl.Network([[a]], [[w]], [[b]]), impulse(c, w_star, T), rule, numbers, eta, "episode", epochs=updates // 100,
        shuffle=False, records=updates // 100, seed=seed, progress=False,
    )  # fmt: skip
    assert run.status == "completed" and not any("outside" in warning for warning in run.warnings)
    return run, run.loss * T


def ended(run) -> tuple[float, float, float]:
    net = run.network
    return float(net.A[0, 0]), float(net.W[0, 0]), float(net.B[0, 0])


def exact_loss(a, w, b, c, w_star, T=400):
    j = np.arange(T)
    return 0.5 * float(((a * b * w**j - c * w_star**j) ** 2).sum())


# --- nearest


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("frac_bits", [8, 10, 12])
def test_nearest_stalls_inside_the_polygon(case, frac_bits):
    name, options, rule = CASES[case]
    c, w_star = 1.03, 0.517
    for start in ((0.75, 0.25, 0.75), (1.25, 0.625, 1.125)):
        run, losses = learn(rule, start, c, w_star, ETA, precision(frac_bits, "nearest"), 600)
        a, w, b = ended(run)
        assert losses[-1] == losses[-2], "it has not stalled"
        floor = loss_floor(name, a, c, w_star, ETA, frac_bits, **options)
        assert floor.valid, floor.reason
        assert 0.02 * floor.loss < losses[-1] < 1.12 * floor.loss
        corners = stall_set(name, a, c, w_star, ETA, frac_bits, **options)
        assert outside(corners, np.array([a * b - c, w - w_star])) < 1.1
        assert losses[-1] == pytest.approx(exact_loss(a, w, b, c, w_star), rel=1e-2)


def outside(corners, z):
    """By what factor a polygon around 0 must grow to hold z."""
    edge = np.roll(corners, -1, axis=0) - corners
    normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
    return float((normal @ z / (normal * corners).sum(axis=1)).max())


def test_nearest_moves_from_outside_the_polygon():
    """The polygon is tight: from just outside the kernel moves, from just inside it does not."""
    c, w_star, s, w, frac_bits, eta = 1.0, 0.5, 1.0, 0.5, 14, 1 / 256
    for case in CASES:
        name, options, rule = CASES[case]
        corners = stall_set(name, s, c, w_star, eta, frac_bits, **options)
        # w on the grid and at w*, so only u is off: where the polygon crosses the axis of u
        edge = 1.0 / outside(corners, np.array([1.0, 0.0]))
        for factor, moves in ((0.97, False), (1.03, True)):
            off = math.floor(factor * edge * 2**frac_bits) / 2**frac_bits
            run, _ = learn(rule, (s, w, c / s + off), c, w_star, eta, precision(frac_bits, "nearest"), 100)
            assert (ended(run) != (s, w, c / s + off)) == moves, case


def test_bptt_is_truncated_bptt_over_the_whole_sequence():
    c, w_star, T = 1.03, 0.4, 16
    run, losses = learn(
        nl.TruncatedBPTT(T), (0.75, 0.25, 0.75), c, w_star, ETA, precision(10, "nearest", "s2.19"), 600, T
    )
    floor = loss_floor("bptt", ended(run)[0], c, w_star, ETA, 10)
    assert floor.valid and 0.02 * floor.loss < losses[-1] < 1.12 * floor.loss


# --- stochastic


@pytest.mark.parametrize("case", CASES)
def test_stochastic_floor(case):
    """The mean over positions of w* between points of the grid within 20 %; near a point there is less noise."""
    name, options, rule = CASES[case]
    c, s, frac_bits = 1.03, 1.0, 11
    ratios = []
    for k in range(6):
        w_star = 0.5 + (k + 0.5) / 6 * 2.0**-frac_bits
        run, losses = learn(rule, (s, 0.5, 1.0), c, w_star, ETA, precision(frac_bits, "stochastic"), 4000, seed=k)
        floor = loss_floor(name, ended(run)[0], c, w_star, ETA, frac_bits, "stochastic", **options)
        assert floor.valid, floor.reason
        ratios.append(losses[10:].mean() / floor.loss)
    assert all(0.25 < ratio < 1.5 for ratio in ratios), ratios
    assert 0.8 < np.mean(ratios) < 1.2, ratios


def test_stochastic_floor_does_not_depend_on_the_learning_rate():
    _, _, rule = CASES["tbptt1"]
    floors = [loss_floor("tbptt", 1.0, 1.03, 0.517, eta, 10, "stochastic").loss for eta in (1 / 256, 1 / 32)]
    assert floors[0] == pytest.approx(floors[1], rel=0.05)
    coarse, fine = (
        learn(rule, (1.0, 0.5, 1.0), 1.03, 0.517, eta, precision(10, "stochastic"), 8000)[1][20:].mean()
        for eta in (1 / 8, 1 / 32)
    )
    assert coarse == pytest.approx(fine, rel=0.25)
    nearest = learn(rule, (1.0, 0.5, 1.0), 1.03, 0.517, 1 / 32, precision(10, "nearest"), 600)[1][-1]
    assert nearest > 10 * fine


@pytest.mark.parametrize("random_bits", [2, 16])
def test_too_few_random_bits_are_noticed(random_bits):
    """With 2 random bits updates below an eighth of an LSB are lost, and the run stalls far above the floor."""
    _, _, rule = CASES["tbptt1"]
    numbers = precision(10, "stochastic", random_bits=random_bits)
    losses = learn(rule, (0.75, 0.25, 0.75), 1.03, 0.517, 1 / 64, numbers, 4000)[1][20:]
    floor = loss_floor("tbptt", 1.0, 1.03, 0.517, 1 / 64, 10, "stochastic", random_bits=random_bits)
    assert floor.valid == (random_bits == 16)
    assert (losses.mean() < 1.6 * floor.loss) == floor.valid
    if not floor.valid:
        assert "random_bits" in floor.reason
        stalled = loss_floor("tbptt", 1.0, 1.03, 0.517, 1 / 64, 10 + random_bits).loss
        assert losses.mean() < 1.5 * stalled


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.71])
def test_stochastic_bias(fraction):
    """A alone learns, from a constant error that saturates: it moves by ``fraction`` LSB a step on average."""
    g, F, N = 3, 4, 20_000
    error = QFormat.parse("s0.4").hi / 16
    data = Sequences.from_arrays(np.ones((N, 1, 1)), np.full((N, 1, 1), -2000.0))
    eta = fraction * 2.0**-F / error
    numbers = nl.Precision(
        weight="s1.4", A=f"s14.{F} stochastic", state="s2.10", readout="s15.4", error="s0.4", random_bits=g,
        rate_bits=16,
    )  # fmt: skip
    net = nl.Network([[0.0]], [[0.0]], [[1.0]])
    run = nl.simulate(
        net, Task("push", data), nl.TruncatedBPTT(1), numbers, eta, "episode", learn=("A",), records=1, progress=False
    )
    moved = -float(run.network.A[0, 0]) * 2**F / N
    bias = stochastic_bias(g)
    assert abs(moved - fraction) < bias.largest + 0.01
    assert (moved == 0.0) == (fraction < bias.dead_below)
    assert moved == pytest.approx(math.floor(fraction * 2**g + 0.5) / 2**g, abs=0.01)


def test_bias_without_the_half_step():
    g = 3
    phi = (np.arange(4096) + 0.5) / 4096
    r = np.arange(2**g)[:, np.newaxis] / 2**g
    for half_step in (True, False):
        error = np.floor(phi + r + half_step * 2.0 ** -(g + 1)).mean(axis=0) - phi
        bias = stochastic_bias(g, half_step)
        assert error.mean() == pytest.approx(bias.mean, abs=1e-3)
        assert np.abs(error).max() == pytest.approx(bias.largest, abs=1e-3)


# --- once


def test_rounded_once():
    """Many modes that have learned, side by side in one diagonal network whose weights land on the grid."""
    n, T, F, c, w_star, s = 500, 24, 8, 1.03, 0.517, 0.8
    rng = np.random.default_rng(0)
    a = s + rng.uniform(-0.05, 0.05, n)
    w = w_star + rng.uniform(-0.02, 0.02, n)
    b = c / a
    x = np.zeros((T, n))
    x[0] = 1.0
    task = Task("impulses", Sequences.from_arrays(x, c * w ** np.arange(T)[:, np.newaxis]))
    net = nl.Network(np.diag(a), np.diag(w), np.diag(b))
    run = nl.simulate(
        net, task, nl.TruncatedBPTT(1), precision(F, "nearest"), 0.0, learn=("A",), records=1, progress=False
    )
    measured = run.metrics["train_loss"] * T / n
    floor = loss_floor("bptt", s, c, w_star, ETA, F, "once")
    assert floor.valid
    assert measured == pytest.approx(floor.loss, rel=0.15)


def test_rounded_once_by_sampling():
    rng = np.random.default_rng(1)
    F, c, w_star, s = 9, -0.7, -0.6, 1.2
    form = QFormat.parse(f"s2.{F}")
    a, w = s + rng.uniform(-0.02, 0.02, 100_000), w_star + rng.uniform(-0.01, 0.01, 100_000)
    A, W, B = (form.decode(form.encode(x)) for x in (a, w, c / a))
    u = A * B
    losses = 0.5 * (u**2 / (1 - W**2) - 2 * u * c / (1 - W * w) + c**2 / (1 - w**2))
    assert losses.mean() == pytest.approx(loss_floor("bptt", s, c, w_star, 0.01, F, "once").loss, rel=0.02)


# --- bits


@pytest.mark.parametrize("case", ["rflo", "tbptt1"])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_bits_needed(case, rounding):
    """The bits found reach the loss; two bits fewer do not."""
    name, options, rule = CASES[case]
    c, w_star, eta, goal = 1.03, 0.617, 0.02, 1e-6
    needed = bits_needed(goal, name, math.sqrt(c), c, w_star, eta, **options)
    assert (needed.nearest, needed.stochastic) == (15, 10)
    bits = getattr(needed, rounding)
    for fewer in (0, 2):
        _, losses = learn(rule, (0.875, 0.5, 0.875), c, w_star, eta, precision(bits - fewer, rounding), 4000, 32)
        assert (losses[20:].mean() <= goal) == (fewer == 0)


def test_bits_needed_is_the_smallest_number():
    for rule, options in (("bptt", {}), ("rflo", {"feedback": 0.8, "decay": -0.3})):
        found = bits_needed(1e-5, rule, 0.9, -1.1, 0.3, 0.05, **options)
        for rounding, bits in zip(("nearest", "stochastic", "once"), found, strict=True):
            floors = [loss_floor(rule, 0.9, -1.1, 0.3, 0.05, F, rounding, **options).loss for F in (bits, bits - 1)]
            assert floors[0] <= 1e-5 < floors[1]


def test_hidden_weights_do_not_stall():
    """docs/rounding.md: some times the loss of rounding once to the visible grid, far below a stalled run."""
    name, options, rule = CASES["tbptt1"]
    once, stalled = (loss_floor(name, 1.0, 1.03, 0.5, ETA, 10, r, **options).loss for r in ("once", "nearest"))
    found = []
    for k in range(6):
        w_star = 0.5 + (k + 0.5) / 6 * 2.0**-10
        numbers = precision(10, "nearest", hidden="s2.18")
        found.append(learn(rule, (0.75, 0.25, 0.75), 1.03, w_star, ETA, numbers, 3000)[1][15:].mean())
    assert once < np.mean(found) < 4 * once < stalled / 10


# --- states


@pytest.mark.parametrize("rounding", ["nearest", "nearest-even", "stochastic"])
@pytest.mark.parametrize("leak,current_bits", [(1.0, 8), (1.0, 7), (1.0, 10), (0.5, 8), (0.25, 6), (0.3, 8)])
def test_state_noise(leak, current_bits, rounding):
    """Weights and inputs are on their grids, so states, and nothing else, are rounded."""
    rng = np.random.default_rng(3)
    n, T, F = 5, 60_000, 8
    W = np.round(nl.Network.random(2, n, 2, spectral_radius=0.8, seed=3).W * 2**10) / 2**10
    A, B = np.round(rng.normal(size=(2, n)) * 2**8) / 2**8, np.round(rng.normal(size=(n, 2)) * 2**8) / 2**8
    net = nl.Network(A, W, B, leak)
    x = np.round(rng.normal(size=(T, 2)) * 2**8) / 2**8
    h, y = np.zeros(n), np.empty((T, 2))
    for t in range(T):
        h = (1 - leak) * h + leak * (W @ h + B @ x[t])
        y[t] = A @ h
    numbers = nl.Precision(
        weight="s4.10", state=f"s8.{F} {rounding}", current=f"s8.{current_bits} {rounding}", readout="s10.18",
        error="s10.18", input="s4.8",
    )  # fmt: skip
    run = nl.simulate(
        net, Task("noise", Sequences.from_arrays(x, y)), nl.TruncatedBPTT(1), numbers, 0.0, learn=("A",), records=1,
        progress=False,
    )  # fmt: skip
    predicted = state_noise_loss(A, W, F, leak=leak, current_frac_bits=current_bits, rounding=rounding)
    # Ties to even with a leak of few bits make even codes frequent, and the noise not quite white.
    assert run.metrics["train_loss"] == pytest.approx(predicted, rel=0.07 if rounding == "nearest-even" else 0.04)


@pytest.mark.parametrize("w", [0.5, 0.9, 0.984375, -0.9])
def test_dead_band(w):
    """A lane each for every code: after an impulse and long silence, the codes that are left."""
    F, T = 6, 400
    codes = np.arange(-100, 101)
    x = np.zeros((len(codes), T, 1))
    x[:, 0, 0] = codes / 2**F
    numbers = nl.Precision(weight="s1.14", state=f"s4.{F}")
    run = nl.simulate(
        nl.Network([[1.0]], [[w]], [[1.0]]), Task("silence", Sequences.from_arrays(x, np.zeros_like(x))),
        nl.TruncatedBPTT(1), numbers, 0.0, learn=("A",), batch=len(codes), shuffle=False, records=1, progress=False,
    )  # fmt: skip
    left = np.abs(run.state["lanes.h"][:, 0]).max()
    landed = float(run.network.W[0, 0])
    bound = dead_band(landed, F) * 2**F
    assert left <= bound
    assert left >= math.ceil(bound) - 1  # tight: the next code down, as exact halves round up


def test_busy_network_rounds_its_weights_and_stays_stable():
    for n, radius in ((4, 0.5), (30, 0.9), (64, 0.99)):
        bits = weight_bits_for_stability(n, radius)
        form = QFormat.parse(f"s1.{bits}")
        for seed in range(5):
            W = nl.Network.random(1, n, 1, spectral_radius=radius, kind="symmetric", seed=seed).W
            assert np.abs(np.linalg.eigvals(form.decode(form.encode(W)))).max() < 1.0
        # The worst case: all weights just below the middle between two points, on an eigenvector of ones.
        W = np.full((n, n), radius / n)
        assert np.abs(np.linalg.eigvals(W + 2.0 ** -(bits + 1))).max() < 1.0
        assert np.abs(np.linalg.eigvals(W + 2.0 ** -(bits - 1))).max() >= 1.0
    assert weight_bits_for_stability(64, 0.9, leak=0.25) == weight_bits_for_stability(64, 0.9) - 2


def test_effective_drift():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=2_000_000)
    for sigma in (0.1, 0.2, 0.3, 0.5, 0.7):
        x = 0.02
        moved = (np.floor(x + sigma * noise + 0.5) - np.floor(-x + sigma * noise + 0.5)).mean() / (2 * x)
        assert moved == pytest.approx(effective_drift(sigma), abs=0.012 + 0.05 * moved)
    assert effective_drift(0.4999999) == pytest.approx(effective_drift(0.5), abs=1e-6)
    assert effective_drift(0.0) == 0.0 and effective_drift(3.0) == pytest.approx(1.0)


# --- the linearisation


@pytest.mark.parametrize("case", [*CASES, "bptt", "fa_bptt"])
def test_corners_are_where_an_update_is_half_a_step(case):
    """Against the lag sums themselves: at a corner two updates are d/2, none is more."""
    name, options, _ = {**CASES, "bptt": BPTT, "fa_bptt": ("fa_bptt", {"feedback": 0.8}, None)}[case]
    s, c, w_star, eta, F = 0.9, 1.1, -0.4, {"A": 0.1, "W": 0.02, "B": 0.05}, {"A": 14, "W": 16, "B": 15}
    corners = stall_set(name, s, c, w_star, eta, F, **options)
    assert len(corners) in (4, 6)
    for du, dw in corners:
        delta = updates(name, s, c / s, w_star, c, w_star, du, dw, **options)
        share = np.array([abs(delta[g]) * eta[g] * 2.0 ** (F[g] + 1) for g in "ABW"])
        assert share.max() == pytest.approx(1.0, abs=1e-6)
        assert sorted(share)[1] == pytest.approx(1.0, abs=1e-6)


def updates(name, a, b, w, c, w_star, du, dw, feedback=None, decay=0.0, steps=1, T=200):
    """Σ_j e_j κ_j with κ at the point that has been learned and e to first order: what C z stands for."""
    j = np.arange(T)
    e = du * w_star**j + c * dw * j * float(w_star) ** np.maximum(j - 1, 0)
    f = a if feedback is None else feedback
    v, tau = (decay, T) if name == "rflo" else (w, steps if name == "tbptt" else T)
    kappa_w = [
        f * b * sum(v ** (lag - 1) * w ** (k - lag) for lag in range(1, min(k, tau) + 1)) for k in range(T)
    ]  # fmt: skip
    return {
        "A": float(e @ (b * w**j)), "B": float(e @ np.where(j < tau, f * float(v) ** j, 0.0)),
        "W": float(e @ np.array(kappa_w)),
    }  # fmt: skip


def test_a_leaky_network_is_a_plain_one():
    """Rates α² η and F - log2 α bits, as the module says: the kernel stalls in that polygon."""
    alpha, F, eta, c, v_star = 0.5, 11, 1 / 8, 1.03, 0.617
    net = nl.Network([[0.875]], [[0.125]], [[1.75]], alpha)  # 1 - α + α W = 0.5625, α B = 0.875
    rule = nl.RFLO(storage="dense", feedback=np.array([[A_HAT]]), decay=W_HAT)
    run = nl.simulate(
        net, impulse(c, v_star, 32), rule, precision(F, "nearest"), eta, "episode", epochs=10, shuffle=False,
        records=10, progress=False,
    )  # fmt: skip
    losses = run.loss * 32
    assert losses[-1] == losses[-2]
    a, b, v = float(run.network.A[0, 0]), alpha * float(run.network.B[0, 0]), float(run.network.transition[0, 0])
    rates = {"A": eta, "W": alpha**2 * eta, "B": alpha**2 * eta}
    bits = {"A": F, "W": F - math.log2(alpha), "B": F - math.log2(alpha)}
    floor = loss_floor("rflo", a, c, v_star, rates, bits, feedback=A_HAT, decay=W_HAT)
    assert floor.valid and 0.02 * floor.loss < losses[-1] < 1.12 * floor.loss
    corners = stall_set("rflo", a, c, v_star, rates, bits, feedback=A_HAT, decay=W_HAT)
    assert outside(corners, np.array([a * b - c, v - v_star])) < 1.1


def test_valid_bounds_hold_in_random_modes():
    """The expected dynamics with rounding, without the kernels: quick enough for many modes."""
    rng = np.random.default_rng(0)
    ratios = []
    while len(ratios) < 150:
        name = ("rflo", "tbptt", "bptt")[len(ratios) % 3]
        c, w_star = math.exp(rng.uniform(-1.2, 0.7)) * rng.choice([-1, 1]), rng.uniform(-0.85, 0.85)
        options = {"feedback": rng.uniform(0.4, 1.5), "decay": rng.uniform(-0.3, 0.8)} if name == "rflo" else {}
        eta, F = (0.02, 0.1)[rng.integers(2)], int(rng.integers(7, 13))
        s = math.sqrt(abs(c)) * math.exp(0.3 * rng.normal())
        off = 0.3 * rng.normal(size=3)
        start = s * (1 + off[0]), np.clip(w_star + (1 - abs(w_star)) * off[1], -0.95, 0.95), c / s * (1 + off[2])
        theta = np.floor(np.array(start) * 2**F + 0.5) / 2**F
        for _ in range(4000):
            step = np.floor(eta * expected(name, *theta, c, w_star, **options) * 2**F + 0.5) / 2**F
            theta = theta - step
            if not step.any() or abs(theta[1]) >= 1:
                break
        a, w, b = theta
        if a == 0 or abs(w) >= 1:
            continue
        try:
            floor = loss_floor(name, a, c, w_star, eta, F, **options)
        except InputError:
            continue
        if floor.valid:
            assert not step.any()
            ratios.append(exact_loss(a, w, b, c, w_star) / floor.loss)
    assert max(ratios) < 1.12, sorted(ratios)[-5:]
    assert np.median(ratios) > 0.4


def expected(name, a, w, b, c, w_star, feedback=None, decay=0.0):
    """Δ of a, w, b at T = inf, in closed form (Williams, Payeur & Lajoie)."""
    u, p, r = a * b, 1 - w * w, 1 - w * w_star
    if name == "bptt":
        return np.array([b * (u / p - c / r), u * (u * w / p**2 - c * w_star / r**2), a * (u / p - c / r)])
    f = a if feedback is None else feedback
    k, k_star = 1 - decay * w, 1 - decay * w_star
    return np.array(
        [b * (u / p - c / r), f * b * (u * w / (p * k) - c * w_star / (r * k_star)), f * (u / k - c / k_star)]
    )


def test_the_picture_is_drawn(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("loss_floor", EXAMPLES / "loss_floor.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    target = tmp_path / "picture.png"
    script.main(["--bits", "9", "10", "--teachers", "1", "--updates", "300", "--picture", str(target)])
    assert target.read_bytes().startswith(b"\x89PNG")
    assert "|   9 |" in capsys.readouterr().out


def test_the_example_in_the_module():
    results = doctest.testmod(theory)
    assert results.attempted and not results.failed


# --- refusals


@pytest.mark.parametrize(
    "change,words",
    [
        ({"rule": "eprop"}, "rflo, tbptt, bptt, fa_bptt"),
        ({"s": 0.0}, "neither may be 0"),
        ({"c": 0.0}, "neither may be 0"),
        ({"w_star": 1.0}, "below 1"),
        ({"s": -1.0}, "same sign"),
        ({"learning_rate": 5.0}, "too large"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"learning_rate": {"A": 0.1}}, "no value for B, W"),
        ({"frac_bits": {"C": 3}}, "group of frac_bits"),
        ({"rounding": "floor"}, "stochastic"),
        ({"rule": "bptt"}, "fa_bptt"),
        ({"rule": "fa_bptt", "feedback": None, "decay": None}, "give feedback"),
        ({"rule": "tbptt"}, "decay"),
    ],
)
def test_refusals(change, words):
    given = {
        "rule": "rflo", "s": 1.0, "c": 1.0, "w_star": 0.5, "learning_rate": 0.05, "frac_bits": 10, "feedback": 1.0,
        "decay": 0.5,
    }  # fmt: skip
    loss_floor(**given)
    with pytest.raises(InputError, match=words):
        loss_floor(**{**given, **change})


def test_other_refusals():
    with pytest.raises(InputError, match="pile up"):
        state_noise_loss([[1.0]], [[1.0]], 8)
    with pytest.raises(InputError, match="shape"):
        state_noise_loss([[1.0, 2.0]], [[0.5]], 8)
    with pytest.raises(InputError, match="below 1"):
        dead_band(1.0, 8)
    with pytest.raises(InputError, match="below 1"):
        weight_bits_for_stability(4, 1.0)
    with pytest.raises(InputError, match="above 0"):
        bits_needed(0.0, "tbptt", 1.0, 1.0, 0.5, 0.05)


@pytest.mark.parametrize(
    "given,words",
    [
        (("tbptt", 1.0, 1.0, 0.6, 0.02, 5), "take more bits"),
        (("tbptt", 1.0, 1.0, 0.6, 0.4, 12), "overshoots"),
        (("tbptt", 1.0, 1.0, 0.9, 0.02, 4, "stochastic"), "take more bits"),
    ],
)
def test_formulas_say_where_they_end(given, words):
    floor = loss_floor(*given)
    assert not floor.valid and words in floor.reason
