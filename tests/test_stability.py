"""Stability of the optimum: closed forms against references, differences, the paper's claims, and runs of the modes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.theory.mode_equations import ModeEquations, modes
from neurolrnn.theory.mode_stability import (
    advise_start,
    classify,
    crossings,
    eigenvalues,
    in_safe_region,
    jacobian,
    largest_stable_step,
    rate,
    slowest,
    stability,
    trace_determinant,
    wrong_sign_window,
)

Array = NDArray[np.float64]
GOLDEN = json.loads((Path(__file__).parent / "golden" / "reference_cases.json").read_text(encoding="utf-8"))["cases"]
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "bptt": ("bptt", {}),
    "tbptt1": ("tbptt", {"steps": 1}),
    "tbptt3": ("tbptt", {"steps": 3}),
    "tbptt2-random": ("tbptt", {"steps": 2, "a_hat": -0.6}),
    "rflo": ("rflo", {"a_hat": 0.8, "decay": 0.5}),
    "rflo-wrong": ("rflo", {"a_hat": -0.8, "decay": -0.3}),
    "rflo-symmetric": ("rflo", {"decay": 0.7}),
    "fa_bptt": ("fa_bptt", {"a_hat": 1.3}),
}


@pytest.mark.parametrize("case", [c for c in GOLDEN if c["kind"] == "jacobian"], ids=lambda c: str(c["name"]))
def test_eigenvalues_match_the_references(case: dict[str, Any]) -> None:
    p = {k: float(v) for k, v in case["params"].items()}
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "bptt": ("bptt", {}),
        "tbptt": ("tbptt", {"steps": int(p["tau"])}),
        "rflo": ("rflo", {"a_hat": p["ahat"], "decay": p["what"]}),
        "rflo_sym": ("rflo", {"decay": p["what"]}),
        "fa_bptt": ("fa_bptt", {"a_hat": p["ahat"]}),
    }
    for key, (name, own) in calls.items():
        first, second = (complex(float(re), float(im)) for re, im in case["eigenvalues"][key])
        trace, det = trace_determinant(name, p["s"], c=p["c"], w_star=p["w_star"], **own)
        assert float(trace) == pytest.approx((first + second).real, rel=1e-12)
        assert float(det) == pytest.approx((first * second).real, rel=1e-12)
        found = stability(name, p["s"], c=p["c"], w_star=p["w_star"], **own)
        assert found.stable == (min(first.real, second.real) > 0)


def random_points(seed: int, n: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], n) * rng.uniform(0.1, 3, n), rng.normal(size=n) + 0.01, rng.uniform(-0.95, 0.95, n)


@pytest.mark.parametrize("key", OPTIONS)
def test_trace_and_determinant_in_closed_form(key: str) -> None:
    name, own = OPTIONS[key]
    s, c, w = random_points(0, 500)
    r_a, r_b, r_w = 1.0, 0.3, 0.7
    trace, det = trace_determinant(name, s, c=c, w_star=w, rates={"A": r_a, "B": r_b, "W": r_w}, **own)
    q, b2 = 1 - w * w, (c / s) ** 2
    eps = (own["a_hat"] if "a_hat" in own else s) * s
    v = own["decay"] if name == "rflo" else w
    tau = own["steps"] if name == "tbptt" else 3000
    z = v * w
    j = np.arange(tau)[:, np.newaxis]
    with np.errstate(under="ignore"):
        B0, B1 = (z**j).sum(axis=0), v * (j[1:] * z ** (j[1:] - 1)).sum(axis=0)
        D = ((j + 1) * z**j).sum(axis=0)
    Y = B0 / q**2 + w * B1 / q
    np.testing.assert_allclose(trace, r_a * b2 / q + eps * (r_b * B0 + r_w * b2 * Y), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(det, r_w * eps * b2 * (r_a * b2 * D + r_b * eps * B0**2) / q**2, rtol=1e-9, atol=1e-9)
    unit = trace_determinant(name, s, c=c, w_star=w, **own)
    N, rho = s * s + b2, 1 - z
    want = {
        "bptt": (N / q + c**2 * (1 + w**2) / q**3, c**2 * N / q**4),
        "tbptt1": (b2 / q + s**2 + c**2 / q**2, c**2 * N / q**2),
        "rflo": (
            b2 / q + eps * (1 / rho + b2 * (1 / (q * rho**2) + w**2 / (q**2 * rho))),
            eps * b2 * (b2 + eps) / (q**2 * rho**2),
        ),
    }
    if key in want:
        np.testing.assert_allclose(unit[0], want[key][0], rtol=1e-11)
        np.testing.assert_allclose(unit[1], want[key][1], rtol=1e-9)


@pytest.mark.parametrize("loss_steps", ["final", "all"])
@pytest.mark.parametrize("T", [1, 2, 6, math.inf])
@pytest.mark.parametrize("key", OPTIONS)
def test_jacobian_is_the_slope_of_the_updates(key: str, T: float, loss_steps: str) -> None:
    name, own = OPTIONS[key]
    own = dict(own)
    s, c, w = 1.1, 0.9, -0.6
    found = jacobian(name, s, c=c, w_star=w, T=T, loss_steps=loss_steps, **own)
    hat = own.pop("a_hat", None)
    system = ModeEquations(
        name, [c], [1.0], [w], None if hat is None else [hat], T=T, loss_steps=loss_steps, **own
    )  # fmt: skip
    h, columns = 1e-5, []
    for k in range(3):
        d = h * np.eye(3)[k]
        ahead, behind = (np.ravel(system.update(*(np.array([[s], [c / s], [w]]) + x[:, None]))[:3]) for x in (d, -d))
        columns.append((ahead - behind) / (2 * h))
    np.testing.assert_allclose(found, np.array(columns).T, atol=2e-8)
    tangent = found @ np.array([1.0, -c / s**2, 0.0])
    np.testing.assert_allclose(tangent, 0.0, atol=1e-13)
    values = np.sort_complex(np.linalg.eigvals(found))
    pair = eigenvalues(name, s, c=c, w_star=w, T=T, loss_steps=loss_steps, **OPTIONS[key][1])
    np.testing.assert_allclose(np.sort_complex(np.append(pair, 0.0)), values, atol=1e-7)


def test_long_sequences_reach_the_limit() -> None:
    for name, own in OPTIONS.values():
        finite = jacobian(name, 0.8, c=1.2, w_star=0.6, T=200, **own)
        np.testing.assert_allclose(finite, jacobian(name, 0.8, c=1.2, w_star=0.6, **own), rtol=1e-11)


def test_a_leak_is_a_rate() -> None:
    alpha, c, w = 0.3, 0.9, 0.5
    we, s = 1 - alpha + alpha * w, 1.1
    system = ModeEquations("rflo", [c / alpha], [1.0], [w], [0.8], leak=alpha)
    y, h, columns = np.array([[s], [c / s / alpha], [w]]), 1e-6, []
    for k in range(3):
        d = h * np.eye(3)[k][:, None]
        columns.append((np.ravel(system.update(*(y + d))[:3]) - np.ravel(system.update(*(y - d))[:3])) / (2 * h))
    want = np.sort_complex(np.linalg.eigvals(np.array(columns).T))[1:]
    rates = {"A": 1.0, "W": alpha**2, "B": alpha**2}
    found = eigenvalues("rflo", s, c=c, w_star=we, a_hat=0.8, decay=1 - alpha, rates=rates)
    np.testing.assert_allclose(np.sort_complex(found), want, atol=1e-6)


# --- claims about signs


def test_symmetric_feedback_is_always_stable_and_bptt_never_turns() -> None:
    s, c, w = random_points(1, 20000)
    for key in ("bptt", "tbptt1", "tbptt3", "rflo-symmetric"):
        name, own = OPTIONS[key]
        trace, det = trace_determinant(name, s, c=c, w_star=w, **own)
        assert (trace > 0).all()
        assert (det > 0).all()
        if key in ("bptt", "tbptt1"):
            assert (trace**2 >= 4 * det * (1 - 1e-12)).all()


def test_rflo_is_stable_with_the_right_sign() -> None:
    s, c, w = random_points(2, 20000)
    s = np.abs(s)
    for a_hat in (0.05, 1.0, 10.0):
        for decay in (-0.8, 0.0, 0.5, 0.95):
            trace, det = trace_determinant("rflo", s, c=c, w_star=w, a_hat=a_hat, decay=decay)
            assert (trace > 0).all()
            assert (det > 0).all()
            turns = trace**2 < 4 * det * (1 - 1e-12)
            assert (decay * w[turns] < 0).all()


def test_the_window_of_the_wrong_sign_is_exact() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(5000):
        decay, a_hat, w = rng.uniform(-0.95, 0.95), rng.uniform(0.02, 3.0), rng.uniform(-0.95, 0.95)
        s = -rng.uniform(0.05, 3.0)
        c = -s * rng.uniform(0.02, 1.0)
        rates = {"A": 1.0, "B": rng.uniform(0.2, 2.0), "W": rng.uniform(0.2, 2.0)} if rng.random() < 0.5 else 1.0
        window = wrong_sign_window("rflo", s, c=c, w_star=w, decay=decay, rates=rates)
        J = jacobian("rflo", s, c=c, w_star=w, a_hat=a_hat, decay=decay, rates=rates)
        values = np.linalg.eigvals(J)
        pair = np.delete(values, np.abs(values).argmin())
        stable = bool((pair.real > 0).all())
        assert stable == (window is not None and window[0] < -a_hat * s < window[1])
        inside += stable
        q, rho, b2 = 1 - w * w, 1 - decay * w, (c / s) ** 2
        kind = str(classify(*trace_determinant("rflo", s, c=c, w_star=w, a_hat=a_hat, decay=decay, rates=rates)))
        if rates == 1.0:
            exists = b2 < rho * q * (rho - q) / (q + w * w * rho)
            assert exists == (window is not None)
            if exists:
                assert w * (w - decay) > 0
            size = -a_hat * s
            assert (kind == "saddle") == (size < b2)
            if size > b2 and not stable:
                assert kind in ("unstable focus", "unstable node")
        assert wrong_sign_window("fa_bptt", s, c=c, w_star=w, rates=rates) is None
    assert inside > 20


def test_inside_the_window_the_modes_do_settle() -> None:
    s, c, w, decay = -1.0, 0.2, 0.8, 0.1
    window = wrong_sign_window("rflo", s, c=c, w_star=w, decay=decay)
    assert window is not None
    for size, settles in ((0.5 * sum(window), True), (0.8 * window[0], False), (1.2 * window[1], False)):
        a_hat = size / -s
        path = modes("rflo", [s], [c / s + 1e-3], [w + 1e-3], a_star=[c], b_star=[1.0], w_star=[w], a_hat=[a_hat],
                     decay=decay, t=[0.0, 1500.0], tolerance=1e-6)  # fmt: skip
        close = bool(path.loss[-1, 0] < 1e-3 * path.loss[0, 0] and abs(path.a[-1, 0] - s) < 0.05)
        assert close == settles
        found = stability("rflo", s, c=c, w_star=w, a_hat=a_hat, decay=decay)
        assert found.stable == settles
        assert found.window == window
        assert "wrong sign" in str(found)


# --- claims about speed


def test_bptt_is_slowest_at_the_square_root() -> None:
    for c in (0.3, 1.0, -2.5):
        for w in (0.2, -0.5, 0.8):
            s, value = slowest("bptt", w_star=w, c=c)
            assert s == pytest.approx(math.sqrt(abs(c)), rel=1e-4)
            assert slowest("bptt", w_star=w, c=c, between=(-1e-2, -1e2))[0] == pytest.approx(-s, rel=1e-4)
            q = 1 - w * w
            assert value < rate("bptt", 0.5 * s, c=c, w_star=w)
            for far in (1e-4, 1e4):
                assert rate("bptt", far, c=c, w_star=w) == pytest.approx(c * c / q**3, rel=1e-5)
    at = np.geomspace(0.2, 4.0, 50)
    for c in (1.0, 3.0):
        want = np.minimum(at**2 + c**2 / at**2, c**2)
        np.testing.assert_allclose(rate("bptt", at, c=c, w_star=0.0), want, rtol=1e-12)


def test_truncated_bptt_is_close_for_short_memory() -> None:
    ratios = [(0.05, 0.9975), (0.1, 0.990), (0.2, 0.962), (0.3, 0.918), (0.5, 0.80), (0.7, 0.62), (0.9, 0.30)]
    for w, want in ratios:
        assert rate("tbptt", 1.0, w_star=w) / rate("bptt", 1.0, w_star=w) == pytest.approx(want, abs=0.005)
        assert 0.7 < slowest("tbptt", w_star=w)[0] < 0.93
    q, c = 1 - 0.6**2, 1.3
    assert rate("tbptt", 1e-4, c=c, w_star=0.6) == pytest.approx(c * c / q, rel=1e-5)
    assert rate("tbptt", 1e4, c=c, w_star=0.6) == pytest.approx(c * c / q**2, rel=1e-5)


def test_rflo_is_fast_for_small_s_and_slow_for_large() -> None:
    a_hat, decay, c, w = 0.9, 0.5, 1.2, 0.6
    q, rho = 1 - w * w, 1 - decay * w
    own: dict[str, Any] = {"a_hat": a_hat, "decay": decay, "c": c, "w_star": w}
    assert rate("rflo", 1e-4, **own) == pytest.approx(a_hat * c**2 / (1e-4 * q * rho**2), rel=1e-3)
    assert rate("rflo", 1e4, **own) == pytest.approx(a_hat * c**2 / (1e4 * q**2 * rho), rel=1e-3)
    for w in (-0.9, -0.6, -0.3, 0.2, 0.5, 0.8, 0.9):
        for a_hat, error in ((0.02, 3e-3), (0.2, 0.03), (1.0, 0.5)):
            (s,) = crossings("rflo", w_star=w, a_hat=a_hat, decay=0.5, between=(1e-5, 1e3))
            q, rho = 1 - w * w, 1 - 0.5 * w
            assert a_hat * q**2 / rho**2 == pytest.approx(s, rel=error)
            for factor, faster in ((0.7, True), (1.4, False)):
                mine = rate("rflo", factor * s, w_star=w, a_hat=a_hat, decay=0.5)
                assert (mine > rate("bptt", factor * s, w_star=w)) == faster
    # Strong feedback is faster over most of the range.
    assert crossings("rflo", w_star=0.5, a_hat=10.0, decay=0.5) == pytest.approx([10.0])
    assert len(crossings("rflo", w_star=0.9, a_hat=3.0, decay=0.5)) == 3


@pytest.mark.parametrize("key", ["bptt", "tbptt1", "rflo", "rflo-symmetric", "fa_bptt"])
def test_the_largest_stable_step(key: str) -> None:
    name, own = OPTIONS[key]
    for s, w in ((0.6, 0.5), (1.5, -0.4)):
        eta = float(largest_stable_step(name, s, w_star=w, **own))
        system = ModeEquations(name, [1.0], [1.0], [w], **{**own, "a_hat": [own["a_hat"]]} if "a_hat" in own else own)
        start = [s], [1 / s * (1 + 1e-7)], [w]
        for factor, decays in ((0.97, True), (1.03, False)):
            step = factor * eta
            loss = system.descend(*start, [0.0, 400 * step], step).loss[:, 0]
            assert (loss[1] < loss[0]) == decays
    assert largest_stable_step("rflo", -1.0, w_star=0.5, a_hat=1.0) == 0.0
    assert largest_stable_step("bptt", 1e-3, w_star=0.5) < 1e-5


# --- words


def test_names_of_flows() -> None:
    kinds = {(3, 2): "stable node", (1, 2): "stable focus", (-3, 2): "unstable node", (-1, 2): "unstable focus",
             (1, -1): "saddle", (0, 1): "marginal", (1, 0): "marginal"}  # fmt: skip
    for (trace, det), name in kinds.items():
        assert classify(trace, det) == name


def test_advice() -> None:
    assert in_safe_region([0.1, -0.1], [1, 1], [1, 1], [1, 1]).tolist() == [True, False]
    assert "all 2 modes" in advise_start([0.1, -0.1], [1, 1], [1, -1], [1, -1])
    text = advise_start([1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [1.0, 1.0])
    assert "1 of 2" in text
    assert "mode 1: a and b" in text
    assert "small" in text


def test_refusals() -> None:
    with pytest.raises(InputError, match="not 0"):
        rate("bptt", 0.0, w_star=0.5)
    with pytest.raises(InputError, match="finite T"):
        rate("bptt", 1.0, w_star=1.0)
    with pytest.raises(InputError, match="one sign"):
        slowest("bptt", w_star=0.5, between=(-1.0, 1.0))
    with pytest.raises(InputError, match="did you mean 'decay'"):
        rate("rflo", 1.0, w_star=0.5, deca=0.1)
    with pytest.raises(InputError, match="give a_hat"):
        stability("fa_bptt", 1.0, w_star=0.5)
