"""Mode equations: against references, plain sums, expected updates of aligned networks, SciPy, simulations."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import hadamard
from scipy.optimize import root

import neurolrnn as nl
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.tasks.teacher_student import aligned_student, aligned_teacher, bases, outputs
from neurolrnn.theory.expected import expected_update
from neurolrnn.theory.mode_equations import ModeEquations, modes
from neurolrnn.theory.mode_stability import in_safe_region
from neurolrnn.theory.stationary_points import stationary

Array = NDArray[np.float64]
GOLDEN = json.loads((Path(__file__).parent / "golden" / "reference_cases.json").read_text(encoding="utf-8"))["cases"]

# name, options, whether feedback is random
RULES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "bptt": ("bptt", {}, False),
    "tbptt1": ("tbptt", {"steps": 1}, False),
    "tbptt3": ("tbptt", {"steps": 3}, False),
    "tbptt2-random": ("tbptt", {"steps": 2}, True),
    "rflo": ("rflo", {"decay": 0.5}, True),
    "rflo-negative": ("rflo", {"decay": -0.4}, True),
    "rflo-symmetric": ("rflo", {"decay": 0.6}, False),
    "rflo-default": ("rflo", {}, True),
    "fa_bptt": ("fa_bptt", {}, True),
    "eprop": ("eprop", {}, False),
    "eprop-random": ("eprop", {}, True),
}


def equations(key: str, a_star: Any, b_star: Any, w_star: Any, a_hat: Any, **options: Any) -> ModeEquations:
    name, own, random = RULES[key]
    return ModeEquations(name, a_star, b_star, w_star, a_hat if random else None, **own, **options)


# --- updates


@pytest.mark.parametrize("case", [c for c in GOLDEN if c["kind"] == "update"], ids=lambda c: str(c["name"]))
def test_updates_match_the_references(case: dict[str, Any]) -> None:
    p = {k: float(v) for k, v in case["params"].items()}
    T = math.inf if case["T"] == "inf" else int(case["T"])
    calls: dict[str, dict[str, Any]] = {
        "bptt": {"rule": "bptt"},
        "tbptt": {"rule": "tbptt", "steps": int(p["tau"])},
        "rflo": {"rule": "rflo", "a_hat": [p["ahat"]], "decay": p["what"]},
        "rflo_sym": {"rule": "rflo", "decay": p["what"]},
        "fa_bptt": {"rule": "fa_bptt", "a_hat": [p["ahat"]]},
    }
    for name, call in calls.items():
        found = ModeEquations(a_star=[p["a_star"]], b_star=[p["b_star"]], w_star=[p["w_star"]], T=T, **call).update(
            [p["a"]], [p["b"]], [p["w"]]
        )
        want = [float(x) for x in [*case["delta"][name], case["loss"]]]
        np.testing.assert_allclose(np.ravel(found), want, rtol=1e-12, atol=1e-14)


def plain_sums(
    key: str, a: float, b: float, w: float, a_star: float, b_star: float, w_star: float, a_hat: float, T: int,
    mean: bool,
) -> list[float]:  # fmt: skip
    name, own, random = RULES[key]
    f = a_hat if random else a
    v = own.get("decay", 0.0) if name == "rflo" else w
    tau = own["steps"] if name == "tbptt" else T
    total = [0.0] * 4
    for j in range(T):
        e = (a * b * w**j - a_star * b_star * w_star**j) * 1.0
        share = 1.0 - j / T if mean else 1.0
        kappa_w = f * b * sum(v ** (i - 1) * w ** (j - i) for i in range(1, min(j, tau) + 1))
        for i, kappa in enumerate((b * w**j, f * v**j if j < tau else 0.0, kappa_w, 0.5 * e)):
            total[i] += share * e * kappa
    return total


number = st.floats(-1.5, 1.5).map(lambda x: round(x, 3))


@given(
    st.sampled_from(sorted(RULES)), number, number, st.floats(-1.1, 1.1), number, number, st.floats(-0.95, 0.95),
    number, st.integers(1, 12), st.booleans(),
)  # fmt: skip
def test_updates_are_the_sums(
    key: str, a: float, b: float, w: float, a_star: float, b_star: float, w_star: float, a_hat: float, T: int,
    mean: bool,
) -> None:  # fmt: skip
    system = equations(key, [a_star], [b_star], [w_star], [a_hat], T=T, loss_steps="all" if mean else "final")
    want = plain_sums(key, a, b, w, a_star, b_star, w_star, a_hat, T, mean)
    size = max(1.0, 10.0 * abs(w) ** (2 * T)) * 30.0
    np.testing.assert_allclose(np.ravel(system.update([a], [b], [w])), want, rtol=1e-12, atol=1e-14 * size)


@pytest.mark.parametrize("key", RULES)
def test_special_points_have_no_holes(key: str) -> None:
    """v = w, |w| = 1 and w w* = 1: where the textbook forms divide by 0."""
    for w, w_star in ((0.5, 0.5), (-0.4, 2.0), (1.0, 0.3), (-1.0, 1.0), (0.6, 1 / 0.6), (0.0, 0.0)):
        for mean in (False, True):
            system = equations(key, [1.2], [0.7], [w_star], [0.8], T=9, loss_steps="all" if mean else "final")
            want = plain_sums(key, 0.9, -0.6, w, 1.2, 0.7, w_star, 0.8, 9, mean)
            np.testing.assert_allclose(np.ravel(system.update([0.9], [-0.6], [w])), want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("key", RULES)
def test_infinite_sequences_are_the_limit(key: str) -> None:
    args = ([1.2, 0.5], [0.7, -1.0], [0.6, -0.5]), ([0.9, 0.1], [-0.6, 0.4], [0.7, 0.3])
    limit = np.array(equations(key, *args[0], [0.8, -0.3]).update(*args[1]))
    long = np.array(equations(key, *args[0], [0.8, -0.3], T=300).update(*args[1]))
    np.testing.assert_allclose(long, limit, rtol=1e-12, atol=1e-14)
    errors = [
        np.abs(np.array(equations(key, *args[0], [0.8, -0.3], T=T, loss_steps="all").update(*args[1])) - limit).max()
        for T in (400, 800)
    ]
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=1e-6)


def test_loss_keeps_its_digits_near_the_optimum() -> None:
    system = ModeEquations("bptt", [1.0], [1.0], [0.6])
    h = 1e-9
    (loss,) = system.update([1.0 + h], [1.0], [0.6]).loss
    assert loss == pytest.approx(0.5 * h * h / (1 - 0.36), rel=1e-6)


# --- against matrices


@given(
    st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 2), st.integers(0, 2),
    st.sampled_from([1.0, 0.35]), st.sampled_from([1.0, 0.6]), st.sampled_from([1, 2, 7, 40, math.inf]), st.booleans(),
)  # fmt: skip
def test_aligned_networks_stay_aligned_and_follow_their_modes(
    key: str, seed: int, k: int, more: int, spare: int, leak: float, leak_star: float, T: float, mean: bool
) -> None:
    rng = np.random.default_rng(seed)
    a, b, a_star, b_star, a_hat = rng.uniform(-1.5, 1.5, (5, k))
    w, w_star = rng.uniform(-0.9, 0.9, (2, k))
    name, own, random = RULES[key]
    teacher = aligned_teacher(
        a_star, b_star, w_star, n_in=k + spare, n_rec=k + more, n_out=k + more, rotate=True, leak=leak_star,
        seed=seed % 1000,
    )  # fmt: skip
    # e-prop keeps alignment in the units' own basis only
    n = k if name == "eprop" else k + spare
    student, R = aligned_student(teacher, a, b, w, a_hat, n_rec=n, seed=None if name == "eprop" else seed % 1000)
    student = student.replace(leak=leak)
    loss_steps = "all" if mean else "final"
    found = expected_update(
        student, teacher, name, R=R if random else None, T=T, loss_steps=loss_steps, **own
    )  # fmt: skip
    system = equations(key, a_star, b_star, w_star, a_hat, T=T, loss_steps=loss_steps, leak=leak, leak_star=leak_star)
    modes_ = system.update(a, b, w)
    U, _, V = bases(teacher)
    P = np.eye(n) if name == "eprop" else _basis_of(teacher, n, seed % 1000)
    spread = (
        (U[:, :k] * modes_.da) @ P[:, :k].T, (P[:, :k] * modes_.dw) @ P[:, :k].T, (P[:, :k] * modes_.db) @ V[:, :k].T,
    )  # fmt: skip
    for got, want in zip(found[:3], spread, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * max(1.0, float(np.abs(want).max())))
    assert found.loss == pytest.approx(float(modes_.loss.sum()), rel=1e-11, abs=1e-12)


def _basis_of(teacher: Network, n: int, seed: int) -> Array:
    """The P that aligned_student draws: W of a student whose w is 1, 2, .. has its columns as eigenvectors."""
    w = np.arange(1.0, n + 1.0)
    pad = aligned_teacher(w, w, w, rotate=False)
    P: Array = aligned_student(pad, w, np.ones(n), w, w, seed=seed)[0].B  # V = I, b = 1
    return P


@pytest.mark.parametrize("T", [1, 6, math.inf])
@pytest.mark.parametrize("random", [False, True])
def test_eprop_stays_aligned_where_every_mode_is_spread_evenly(T: float, random: bool) -> None:
    rng = np.random.default_rng(0)
    P = hadamard(4) / 2.0
    a, b, a_star, b_star, a_hat, w, w_star = rng.uniform(-0.9, 0.9, (7, 4))

    def net(a: Array, b: Array, w: Array, P: Array) -> Network:
        return Network(np.diag(a) @ P.T, P @ np.diag(w) @ P.T, P @ np.diag(b), 0.5)

    student, teacher = net(a, b, w, P), net(a_star, b_star, w_star, np.eye(4))
    R = np.diag(a_hat) @ P.T
    found = expected_update(student, teacher, "eprop", R=R if random else None, T=T)
    system = ModeEquations(
        "eprop", a_star, b_star, w_star, a_hat if random else None, T=T, leak=0.5, basis="flat"
    )  # fmt: skip
    want = system.update(a, b, w)
    np.testing.assert_allclose(P.T @ found.dW @ P, np.diag(want.dw), atol=1e-13)
    np.testing.assert_allclose(P.T @ found.dB, np.diag(want.db), atol=1e-13)
    # Generic modes leave alignment under e-prop.
    Q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    off = Q.T @ expected_update(net(a, b, w, Q), teacher, "eprop", T=math.inf).dW @ Q
    assert np.abs(off - np.diag(np.diag(off))).max() > 1e-3


# --- time


@pytest.mark.parametrize("key", ["bptt", "tbptt1", "rflo", "fa_bptt"])
def test_flow_agrees_with_scipy(key: str) -> None:
    system = equations(key, [1.0, 1.5], [1.2, -0.5], [0.7, -0.3], [1.0, 0.6])
    start, t = ([0.1, 0.4], [0.05, 0.2], [0.2, 0.1]), np.linspace(0.0, 8.0, 9)
    path = system.flow(*start, t, rates={"A": 1.0, "W": 0.5}, tolerance=1e-11)

    def slope(_: float, y: Array) -> Array:
        u = system.update(*y.reshape(3, 2))
        return np.concatenate([-u.da, -u.db, -0.5 * u.dw])

    y = solve_ivp(slope, (0.0, 8.0), np.ravel(start), "DOP853", t, rtol=1e-11, atol=1e-13).y
    np.testing.assert_allclose(np.hstack([path.a, path.b, path.w]), y.T, rtol=1e-8, atol=1e-10)
    assert not path.diverged
    assert path.total_loss[-1] < path.total_loss[0]


def test_modes_that_run_away_are_lost_alone() -> None:
    system = ModeEquations("rflo", [1.0, 1.0], [1.0, 1.0], [0.4, 0.4], [-1.0, 1.0], decay=0.5)
    t = np.linspace(0.0, 20.0, 41)
    path = system.flow([0.3, 0.3], [-0.2, 0.2], [0.8, 0.8], t)
    alone = ModeEquations("rflo", [1.0], [1.0], [0.4], [1.0], decay=0.5).flow([0.3], [0.2], [0.8], t)
    assert np.isfinite(path.diverged_at[0])
    assert np.isinf(path.diverged_at[1])
    np.testing.assert_allclose(path.w[:, 1], alone.w[:, 0], atol=1e-7)
    assert np.isnan(path.loss[-1, 0])
    assert "diverged at" in str(path)

    def slope(_: float, y: Array) -> Array:
        return -np.ravel(ModeEquations("rflo", [1.0], [1.0], [0.4], [-1.0], decay=0.5).evaluate(*y[:, np.newaxis])[:3])

    def edge(_: float, y: Array) -> float:
        return float(abs(y[2])) - 0.99999

    edge.terminal = True  # type: ignore[attr-defined]
    found = solve_ivp(slope, (0.0, 20.0), [0.3, -0.2, 0.8], "Radau", rtol=1e-9, atol=1e-11, events=edge)
    assert found.t[-1] == pytest.approx(path.diverged_at[0], rel=0.01)


@pytest.mark.parametrize("T", [5, math.inf])
def test_only_bptt_conserves_the_difference_of_squares(T: float) -> None:
    for key in RULES:
        system = equations(key, [1.1], [0.9], [0.6], [0.7], T=T)
        path = system.flow([0.6], [0.2], [0.1], [0.0, 2.0], tolerance=1e-10)
        moved = np.abs(np.diff(path.a[:, 0] ** 2 - path.b[:, 0] ** 2)).max()
        if key in ("bptt", "eprop"):
            assert moved < 1e-8
        elif T == math.inf or key != "tbptt3":
            assert moved > 1e-6


def test_steps_approach_the_flow_as_the_learning_rate() -> None:
    t = np.linspace(0.0, 10.0, 11)
    for key in ("bptt", "tbptt1", "rflo"):
        system = equations(key, [1.0], [1.1], [0.6], [0.8])
        exact = system.flow([0.2], [0.2], [0.3], t)
        off = [np.abs(system.descend([0.2], [0.2], [0.3], t, eta).w - exact.w).max() for eta in (0.02, 0.01, 0.005)]
        assert off[0] < 0.05
        assert off[0] / off[1] == pytest.approx(2.0, abs=0.15)
        assert off[1] / off[2] == pytest.approx(2.0, abs=0.1)


# --- the compiled rules


def impulses(teacher: Network, T: int) -> Task:
    """White noise without sampling: all unit impulses, whose updates add up to the expectation."""
    x = np.eye(T * teacher.n_in).reshape(-1, T, teacher.n_in)
    return Task("impulses", Sequences.from_arrays(x, outputs(teacher, x)))


SIMULATED: dict[str, tuple[Any, str, dict[str, Any], bool]] = {
    "bptt": (lambda R: nl.BPTT(), "bptt", {}, False),
    "tbptt2": (lambda R: nl.TruncatedBPTT(steps=2), "tbptt", {"steps": 2}, False),
    "rflo-dense": (lambda R: nl.RFLO(decay=0.5, feedback=R, storage="dense"), "rflo", {"decay": 0.5}, True),
    "rflo-factored": (lambda R: nl.RFLO(decay=0.5, feedback=R), "rflo", {"decay": 0.5}, True),
    "fa_bptt": (lambda R: nl.TruncatedBPTT(steps=99, feedback=R), "fa_bptt", {}, True),
}


@pytest.mark.parametrize("leak", [1.0, 0.5])
@pytest.mark.parametrize("key", SIMULATED)
def test_learning_of_the_kernels_follows_the_modes(key: str, leak: float) -> None:
    make, name, own, random = SIMULATED[key]
    a_star, b_star, w_star, a_hat = [1.2, 0.9], [1.0, -1.1], [0.6, -0.3], [0.8, 1.1]
    start = np.array([0.3, 0.2]), np.array([0.25, -0.1]), np.array([0.2, 0.1])
    teacher = aligned_teacher(a_star, b_star, w_star, rotate=True, leak=leak, seed=3)
    student, R = aligned_student(teacher, *start, a_hat, n_rec=3, seed=5)
    task, P = impulses(teacher, 8), _basis_of(teacher, 3, 5)
    U, _, V = bases(teacher)
    distance = []
    for eta in (0.04, 0.02, 0.01):
        steps = round(8.0 / eta)
        run = nl.simulate(
            student, task, make(R), nl.Precision.float64(), eta, "episode", epochs=steps, loss_steps="final",
            batch=len(task.train), progress=False, records=1,
        )  # fmt: skip
        found = (
            np.diag(U.T @ run.network.A @ P[:, :2]), np.diag(P[:, :2].T @ run.network.B @ V),
            np.diag(P[:, :2].T @ run.network.W @ P[:, :2]),
        )  # fmt: skip
        options: dict[str, Any] = {
            "a_star": a_star, "b_star": b_star, "w_star": w_star, "t": [8.0], "T": 8, "leak": leak, **own,
            "a_hat": a_hat if random else None,
        }  # fmt: skip
        stepped = modes(name, *start, learning_rate=eta, **options)
        np.testing.assert_allclose(np.ravel(found), np.ravel([stepped.a, stepped.b, stepped.w]), atol=1e-11)
        smooth = modes(name, *start, **options)
        distance.append(np.abs(np.ravel(found) - np.ravel([smooth.a, smooth.b, smooth.w])).max())
    assert distance[0] < 0.15
    assert distance[0] / distance[1] == pytest.approx(2.0, abs=0.4)
    assert distance[1] / distance[2] == pytest.approx(2.0, abs=0.2)


# --- fixed points


def test_the_saddle_matches_the_reference() -> None:
    (case,) = (c for c in GOLDEN if c["kind"] == "saddle")
    p = {k: float(v) for k, v in case["params"].items()}
    calls: dict[str, dict[str, Any]] = {
        "bptt": {"rule": "bptt"}, "tbptt": {"rule": "tbptt"}, "rflo_sym": {"rule": "rflo", "decay": p["what"]},
    }  # fmt: skip
    for name, call in calls.items():
        found = stationary(c=p["c"], w_star=p["w_star"], w=p["w"], **call)
        assert found.saddle
        np.testing.assert_allclose(found.eigenvalues, [float(v) for v in case["eigenvalues"][name]], rtol=1e-12)
        assert found.loss == pytest.approx(float(case["loss"]), rel=1e-12)
    rflo = stationary("rflo", c=p["c"], w_star=p["w_star"], w=p["w"], a_hat=1.0, decay=p["what"])
    assert rflo.push == pytest.approx(float(case["rflo_delta_at_zero_ahat1"][1]), rel=1e-12)
    assert "not at a = b = 0" in str(rflo)
    with pytest.raises(InputError, match="does not stand still"):
        rflo.escape_time(0.1)


@given(
    st.sampled_from(sorted(RULES)), st.floats(0.1, 2.0), st.floats(-0.9, 0.9), st.floats(-0.9, 0.9),
    st.sampled_from([2, 5, math.inf]), st.floats(0.2, 2.0),
)  # fmt: skip
def test_fixed_points_and_growth(key: str, c: float, w: float, w_star: float, T: float, rate: float) -> None:
    name, own, random = RULES[key]
    rates = {"A": 1.0, "W": 1.0, "B": rate}
    found = stationary(name, c=c, w_star=w_star, w=w, a_hat=-0.7 if random else None, T=T, rates=rates, **own)
    system = equations(key, [c], [1.0], [w_star], [-0.7], T=T)
    zero = system.update([0.0], [0.0], [w])
    assert zero.db[0] == pytest.approx(found.push, rel=1e-12)
    assert zero.loss[0] == pytest.approx(found.loss, rel=1e-12)
    assert (found.push == 0.0) is found.saddle is (not random)
    # At the optimum everything stands still.
    still = system.update([c / 0.8], [0.8], [w_star])
    assert max(abs(float(x[0])) for x in still) < 1e-13 * (1 + c * c) / (1 - w_star * w_star) ** 2
    if found.saddle:
        h = 1e-6
        columns = [(h, 0.0, 0.0), (0.0, h, 0.0), (0.0, 0.0, h)]
        J = np.array(
            [np.ravel(np.subtract(system.update([x], [y], [w + z])[:3], system.update([-x], [-y], [w - z])[:3]))
             for x, y, z in columns]
        ).T / (2 * h)  # fmt: skip
        J[1] *= rate
        growth = np.sort(np.linalg.eigvals(-J).real)
        np.testing.assert_allclose(growth, found.eigenvalues, atol=1e-6 * max(1.0, found.growth))


def test_escape_takes_the_logarithm_of_the_start() -> None:
    for name, own in (("bptt", {}), ("tbptt", {"steps": 2}), ("rflo", {"decay": 0.5})):
        found = stationary(name, c=1.0, w_star=0.7, w=0.4, **own)
        times = []
        for size in (1e-3, 1e-5):
            path = modes(name, [size], [size], [0.4], a_star=[1.0], b_star=[1.0], w_star=[0.7],
                         t=np.linspace(0.0, 14.0, 281), **own)  # fmt: skip
            times.append(float(np.interp(0.3, (path.a * path.b)[:, 0], path.t)))
        assert times[1] - times[0] == pytest.approx(found.escape_time(1e-5) - found.escape_time(1e-3), rel=0.01)


@pytest.mark.parametrize("key", ["bptt", "tbptt1", "tbptt3", "rflo-symmetric", "rflo", "fa_bptt"])
def test_there_are_no_other_fixed_points(key: str) -> None:
    rng = np.random.default_rng(1)
    system = equations(key, [1.1], [1.0], [0.5], [0.7])
    seen = set()
    for _ in range(150):
        y0 = np.array([*rng.normal(size=2), rng.uniform(-0.95, 0.95)])
        found = root(lambda y: np.ravel(system.evaluate(*y[:, np.newaxis])[:3]), y0, tol=1e-13)
        a, b, w = found.x
        if not found.success or abs(w) > 0.999 or np.abs(found.fun).max() > 1e-10:
            continue
        optimum, zero = max(abs(a * b - 1.1), abs(w - 0.5)) < 1e-5, max(abs(a), abs(b)) < 1e-5
        assert optimum or zero
        seen.add("optimum" if optimum else "zero")
    assert "optimum" in seen
    assert ("zero" in seen) <= (not RULES[key][2])


def test_the_safe_region_is_never_left() -> None:
    rng = np.random.default_rng(2)
    for key in ("rflo", "rflo-negative", "fa_bptt"):
        n = 4000
        a, b, c, a_hat = rng.normal(size=(4, n))
        w, w_star = rng.uniform(-0.97, 0.97, (2, n))
        for T in (4, math.inf):
            system = equations(key, c, np.ones(n), w_star, a_hat, T=T)
            # On the face a = 0, â a must not fall for starts with â c b ≥ 0, and the same for b.
            inside = np.sign(a_hat * c) * np.abs(b)
            assert (-a_hat * system.update(np.zeros(n), inside, w).da >= 0.0).all()
            inside = np.sign(a_hat) * np.abs(a)
            assert (-a_hat * c * system.update(inside, np.zeros(n), w).db > 0.0).all()


def test_starts_in_the_safe_region_converge_and_small_ones_enter_it() -> None:
    rng = np.random.default_rng(3)

    def settled(a: Array, b: Array, w: Array, c: Array, w_star: Array, a_hat: Array) -> Array:
        path = modes("rflo", a, b, w, a_star=c, b_star=np.ones_like(c), w_star=w_star, a_hat=a_hat, decay=0.5,
                     t=[0.0, 200.0], tolerance=1e-4)  # fmt: skip
        return np.asarray(path.loss[-1] < 1e-3 * path.loss[0])

    n = 80
    c, a_hat = rng.choice([-1.0, 1.0], (2, n)) * rng.uniform(0.4, 1.5, (2, n))
    w, w_star = rng.uniform(-0.8, 0.8, (2, n))
    a, b = np.abs(rng.normal(size=(2, n)))
    a, b = a * np.sign(a_hat), b * np.sign(a_hat * c)
    assert in_safe_region(a, b, c, a_hat).all()
    assert settled(a, b, w, c, w_star, a_hat).all()
    small = 0.05 * rng.normal(size=(2, n))
    assert settled(small[0], small[1], w, c, w_star, a_hat).all()
    assert settled(-a, -b, w, c, w_star, a_hat).mean() < 0.9


def test_finite_sequences_can_have_other_fixed_points() -> None:
    found = ModeEquations("bptt", [1.0], [1.0], [0.5], T=2).update([0.0], [0.7], [-2.0])
    assert np.ravel(found[:3]).tolist() == [0.0, 0.0, 0.0]
    assert found.loss[0] > 0.1


# --- refusals


def test_refusals() -> None:
    star: dict[str, Any] = {"a_star": [1.0], "b_star": [1.0], "w_star": [0.5]}
    with pytest.raises(InputError, match="did you mean 'rflo'"):
        modes("rflow", [1], [1], [0], t=[0], **star)
    with pytest.raises(InputError, match="needs"):
        modes("bptt", [1], [1], [1.0], t=[0], **star)
    with pytest.raises(InputError, match="needs"):
        modes("bptt", [1], [1], [0], t=[0], a_star=[1], b_star=[1], w_star=[1.2])
    with pytest.raises(InputError, match="give a_hat"):
        modes("fa_bptt", [1], [1], [0], t=[0], **star)
    with pytest.raises(InputError, match="has no a_hat"):
        modes("bptt", [1], [1], [0], t=[0], a_hat=[1.0], **star)
    with pytest.raises(InputError, match="option of rflo"):
        modes("bptt", [1], [1], [0], t=[0], decay=0.1, **star)
    with pytest.raises(InputError, match="eprop only"):
        modes("bptt", [1], [1], [0], t=[0], basis="flat", **star)
    with pytest.raises(InputError, match="must rise"):
        modes("bptt", [1], [1], [0], t=[1, 0], **star)
    with pytest.raises(InputError, match="did you mean 'decay'"):
        modes("rflo", [1], [1], [0], t=[0], decai=0.1, **star)
    with pytest.raises(InputError, match="c = 0"):
        stationary("bptt", c=0.0, w_star=0.5)
    with pytest.raises(InputError, match="a_hat = 0"):
        stationary("rflo", c=1.0, w_star=0.5, a_hat=0.0)
