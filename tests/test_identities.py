"""Exact relations between the rules, and the theory of expected updates, through the compiled kernels.

No oracle is used here: each test holds one kernel against another kernel, a formula, or a reference value.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_network, draw_sequences
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neurolrnn.gradients import Gradient, gradient, total_loss
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.run import Run
from neurolrnn.simulation import simulate
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.theory.expected import expected_update
from neurolrnn.training import GROUPS

Array = NDArray[np.float64]
GOLDEN = json.loads((Path(__file__).parent / "golden" / "reference_cases.json").read_text(encoding="utf-8"))["cases"]
LOSSES = ["squared-error", "cross-entropy"]


def assert_close(got: Gradient, want: Gradient, tolerance: float) -> None:
    for group in GROUPS:
        error = float(np.abs(got[group] - want[group]).max()) / max(1.0, float(np.abs(want[group]).max()))
        assert error <= tolerance, f"{group} differs by {error:.2e}"


def train(network: Network, data: Sequences, rule: Rule, precision: str = "float64", **options: Any) -> Run:
    task = Task("own", data, loss=options.pop("loss", "squared-error"))
    return simulate(network, task, rule, Precision(precision), progress=False, **options)


# --- rules that are the same rule -----------------------------------------------------------------------------------

sizes = {
    "seed": st.integers(0, 2**32 - 1), "n": st.integers(1, 12), "m": st.integers(1, 4), "o": st.integers(1, 4),
    "leak": st.sampled_from([1.0, 0.5]) | st.floats(0.01, 1.0),
    "lengths": st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple),
    "loss": st.sampled_from(LOSSES), "loss_steps": st.sampled_from(["all", "final"]),
}  # fmt: skip


@settings(max_examples=40)
@given(**sizes)
def test_exact_rules_agree(
    seed: int, n: int, m: int, o: int, leak: float, lengths: tuple[int, ...], loss: str, loss_steps: str
) -> None:
    """Truncation at the length of the sequence is no truncation; RTRL is BPTT forward in time."""
    network = draw_network(m, n, o, leak, seed, scale=1.0)
    data = draw_sequences(lengths, m, o, seed, loss=loss)
    exact = gradient(BPTT(), network, data, loss=loss, loss_steps=loss_steps)
    for rule in (TruncatedBPTT(max(lengths)), RTRL()):
        assert_close(gradient(rule, network, data, loss=loss, loss_steps=loss_steps), exact, 1e-12)


@settings(max_examples=20)
@given(**sizes)
def test_eprop_is_exact_where_units_do_not_talk(
    seed: int, n: int, m: int, o: int, leak: float, lengths: tuple[int, ...], loss: str, loss_steps: str
) -> None:
    network = draw_network(m, n, o, leak, seed, scale=1.0)
    network = network.replace(W=np.diag(np.diag(network.W)))
    data = draw_sequences(lengths, m, o, seed, loss=loss)
    options: dict[str, Any] = {"loss": loss, "loss_steps": loss_steps}
    assert_close(gradient(EProp(), network, data, **options), gradient(BPTT(), network, data, **options), 1e-12)
    # And RFLO, if the one decay of its traces is that of every unit.
    network = network.replace(W=0.5 * np.eye(n))
    rflo = RFLO(storage="dense", feedback="symmetric", decay=1.0 - leak + 0.5 * leak)
    assert_close(gradient(rflo, network, data, **options), gradient(BPTT(), network, data, **options), 1e-12)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "options",
    [{}, {"update": "episode"}, {"momentum": 0.7}, {"batch": 3}, {"clamp": 0.25, "batch": 2}, {"loss_steps": "final"}],
    ids=lambda o: "-".join(f"{k}-{v}" for k, v in o.items()) or "plain",
)
def test_tbptt1_is_rflo_without_memory_bit_for_bit(options: dict[str, Any], loss: str, precision: str) -> None:
    network, data = draw_network(n_rec=9), draw_sequences(loss=loss)
    runs = [
        train(network, data, rule, precision, loss=loss, learning_rate=0.02, epochs=3, **options)
        for rule in (TruncatedBPTT(1), RFLO(storage="dense", feedback="symmetric", decay=0.0))
    ]
    for group in GROUPS:
        a, b = (getattr(run.network, group) for run in runs)
        assert not np.array_equal(a, getattr(network, group))
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(runs[0].loss, runs[1].loss)


def long_data(steps: int = 2000, seed: int = 3) -> tuple[Network, Sequences]:
    """A teacher's outputs over ``steps`` steps in sequences of 50, and a student that does not diverge on them."""
    teacher = draw_network(2, 6, 2, leak=1.0, seed=seed, scale=0.5)
    student = draw_network(2, 8, 2, leak=0.7, seed=seed + 1, scale=0.3)
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(steps // 50, 50, 2))
    return student, Sequences.from_arrays(inputs, np.array([outputs(teacher, x) for x in inputs]))


def outputs(network: Network, x: Array) -> Array:
    h, y = np.zeros(network.n_rec), np.zeros((len(x), network.n_out))
    for t in range(len(x)):
        h = h + network.leak * (network.W @ h + network.B @ x[t] - h)
        y[t] = network.A @ h
    return y


@pytest.mark.parametrize("momentum", [0.0, 0.5], ids=lambda v: f"momentum{v}")
def test_factored_storage_is_dense_storage(momentum: float) -> None:
    """After 2000 online updates, and along the way: the same weights, losses and metrics to 1e-12."""
    network, data = long_data()
    options: dict[str, Any] = {"learning_rate": 0.01, "momentum": momentum, "records": 20}
    dense, factored = (train(network, data, RFLO(storage=storage), **options) for storage in ("dense", "factored"))
    assert dense.position["step"] == 2000
    for group in GROUPS:
        a, b = getattr(dense.network, group), getattr(factored.network, group)
        assert np.abs(a - getattr(network, group)).max() > 0.01
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-12)
    np.testing.assert_allclose(factored.loss, dense.loss, rtol=0, atol=1e-12)


LEAKY: dict[str, Rule] = {
    "rflo-dense": RFLO(decay=0.6, storage="dense"),
    "rflo-factored": RFLO(decay=0.6),
    "tbptt3": TruncatedBPTT(3),
    "eprop": EProp(),
    "rtrl": RTRL(),
    "bptt": BPTT(),
}


@pytest.mark.parametrize("key", LEAKY)
def test_a_leaky_network_is_a_plain_one_at_other_rates(key: str) -> None:
    """With V = (1-α) I + α W and αB, a leak of 1 does the same, and so does learning at α² η for W and B."""
    alpha, rule = 0.4, LEAKY[key]
    leaky = draw_network(leak=alpha, n_rec=7)
    plain = leaky.replace(W=leaky.transition, B=alpha * leaky.B, leak=1.0)
    data = draw_sequences((9, 1, 6, 12))
    options: dict[str, Any] = {"update": "online" if rule.online else "episode", "epochs": 5, "batch": 2, "records": 9}
    a = train(leaky, data, rule, learning_rate={"A": 0.03, "W": 0.05, "B": 0.02}, **options)
    rates = {"A": 0.03, "W": 0.05 * alpha**2, "B": 0.02 * alpha**2}
    b = train(plain, data, rule, learning_rate=rates, **options)
    assert not np.array_equal(a.network.W, leaky.W)
    np.testing.assert_allclose(a.network.A, b.network.A, rtol=0, atol=1e-13)
    np.testing.assert_allclose(a.network.transition, b.network.W, rtol=0, atol=1e-13)
    np.testing.assert_allclose(alpha * a.network.B, b.network.B, rtol=0, atol=1e-13)
    np.testing.assert_allclose(a.loss, b.loss, rtol=0, atol=1e-13)


# --- the rank of what RFLO learns -----------------------------------------------------------------------------------


def change(run: Run) -> Array:
    """Singular values of [W_K - W_0 | B_K - B_0], the largest 1."""
    moved = np.hstack([run.network.W - run.initial.W, run.network.B - run.initial.B])
    values = np.linalg.svd(moved, compute_uv=False)
    return np.asarray(values / values[0])


@pytest.mark.parametrize("momentum", [0.0, 0.5], ids=lambda v: f"momentum{v}")
@pytest.mark.parametrize("storage", ["dense", "factored"])
def test_rflo_changes_weights_in_n_out_directions(storage: Any, momentum: float) -> None:
    network, data = long_data(4000)
    run = train(network, data, RFLO(storage=storage), learning_rate=0.01, momentum=momentum)
    values = change(run)
    assert values[1] > 1e-3  # both directions are used
    assert values[2] < 1e-12


@pytest.mark.parametrize("key", ["tbptt3", "eprop", "rtrl", "bptt"])
def test_other_rules_leave_that_subspace(key: str) -> None:
    network, data = long_data(4000)
    rule = LEAKY[key]
    run = train(
        network, data, rule, learning_rate=0.01 if rule.online else 0.003, update="online" if rule.online else "episode"
    )
    assert change(run)[2] > 1e-3


# --- expected updates -----------------------------------------------------------------------------------------------
# Updates are quadratic in the inputs, and white input has no cross terms: the average over it is the sum over unit
# impulses. So the kernels give the expectation exactly, from n_in T sequences.

EXPECTED: dict[str, tuple[str, dict[str, Any], Any]] = {
    "bptt": ("bptt", {}, lambda R, T: BPTT()),
    "rtrl": ("rtrl", {}, lambda R, T: RTRL()),
    "tbptt1": ("tbptt", {"steps": 1}, lambda R, T: TruncatedBPTT(1)),
    "tbptt3": ("tbptt", {"steps": 3}, lambda R, T: TruncatedBPTT(3)),
    "tbptt3-matrix": ("tbptt", {"steps": 3, "R": True}, lambda R, T: TruncatedBPTT(3, feedback=R)),
    "fa_bptt": ("fa_bptt", {"R": True}, lambda R, T: TruncatedBPTT(T, feedback=R)),
    "rflo-dense": ("rflo", {"R": True}, lambda R, T: RFLO(storage="dense", feedback=R)),
    "rflo-factored": ("rflo", {"R": True, "decay": -0.3}, lambda R, T: RFLO(feedback=R, decay=-0.3)),
    "rflo-symmetric": ("rflo", {"decay": 0.4}, lambda R, T: RFLO(storage="dense", feedback="symmetric", decay=0.4)),
    "eprop": ("eprop", {}, lambda R, T: EProp()),
    "eprop-matrix": ("eprop", {"R": True}, lambda R, T: EProp(feedback=R)),
}


def formula(key: str, student: Network, teacher: Network, R: Array, **options: Any) -> tuple[Gradient, float]:
    name, own, _ = EXPECTED[key]
    got = expected_update(student, teacher, name, **{**own, **({"R": R} if "R" in own else {})}, **options)
    return {"A": got.dA, "W": got.dW, "B": got.dB}, got.loss


def impulses(teacher: Network, T: int) -> Sequences:
    inputs = np.eye(T * teacher.n_in).reshape(-1, T, teacher.n_in)
    return Sequences.from_arrays(inputs, np.array([outputs(teacher, x) for x in inputs]))


def pair(seed: int, leak: float, radius: float = 0.7) -> tuple[Network, Network, Array]:
    rng = np.random.default_rng(seed)

    def one(n: int, leak: float) -> Network:
        W = rng.normal(size=(n, n))
        W *= radius / np.abs(np.linalg.eigvals(W)).max()
        return Network(rng.normal(size=(2, n)), W, rng.normal(size=(n, 2)), leak)

    return one(4, leak), one(3, 1.0), rng.normal(size=(2, 4))


@pytest.mark.parametrize("loss_steps", ["all", "final"])
@pytest.mark.parametrize("leak", [1.0, 0.35], ids=lambda v: f"leak{v}")
@pytest.mark.parametrize("key", EXPECTED)
def test_expected_update_over_a_finite_sequence(key: str, leak: float, loss_steps: str) -> None:
    for seed, T in ((0, 1), (1, 2), (2, 9)):
        student, teacher, R = pair(seed, leak)
        data = impulses(teacher, T)
        steps = T if loss_steps == "all" else 1
        summed = gradient(EXPECTED[key][2](R, T), student, data, loss_steps=loss_steps)
        want, loss = formula(key, student, teacher, R, T=T, loss_steps=loss_steps)
        assert_close({group: summed[group] / steps for group in GROUPS}, want, 1e-12)
        assert total_loss(student, data, loss_steps=loss_steps) / steps == pytest.approx(loss, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("key", EXPECTED)
def test_expected_update_in_the_stationary_state(key: str) -> None:
    """At radius 0.5 a sequence of 80 steps is a stationary one to the last bit: 0.5**80 is 1e-24."""
    student, teacher, R = pair(5, 1.0, radius=0.5)
    rule = EXPECTED[key][2](R, 80)
    if rule.name == "rflo" and rule.decay is None:
        rule = RFLO(storage="dense", feedback=R, decay=0.0)  # 1 - α
    got = gradient(rule, student, impulses(teacher, 80), loss_steps="final")
    want, _ = formula(key, student, teacher, R)
    assert_close(got, want, 1e-12)


@pytest.mark.parametrize("key", ["bptt", "tbptt3", "rflo-dense", "rflo-factored", "eprop"])
def test_expected_update_is_the_mean_over_sampled_white_noise(key: str) -> None:
    """1500 sampled sequences: every entry's mean within 5 standard errors of the formula.

    22 entries at 5 standard errors: by chance once in some 80,000 seeds, and the seed is fixed.
    """
    student, teacher, R = pair(11, 0.6)
    T, count = 6, 1500
    rng = np.random.default_rng(12)
    rule = EXPECTED[key][2](R, T)
    samples = []
    for x in rng.normal(size=(count, T, 2)):
        update = gradient(rule, student, Sequences.from_arrays(x, outputs(teacher, x)))
        samples.append(np.concatenate([update[group].ravel() for group in GROUPS]) / T)
    want, _ = formula(key, student, teacher, R, T=T, loss_steps="all")
    flat = np.concatenate([want[group].ravel() for group in GROUPS])
    errors = np.std(samples, axis=0, ddof=1) / math.sqrt(count)
    z = (np.mean(samples, axis=0) - flat) / errors
    assert np.abs(z).max() < 5.0
    # The check has power: most entries are many standard errors from 0.
    assert np.median(np.abs(flat) / errors) > 5.0


# --- reference values of the one-unit network -----------------------------------------------------------------------


def scalar(a: float, w: float, b: float) -> Network:
    return Network(np.full((1, 1), a), np.full((1, 1), w), np.full((1, 1), b))


def scalar_update(name: str, student: Network, teacher: Network, p: dict[str, Any], T: int) -> Array:
    """Δ of (a, b, w) at the final step, expected over white input."""
    R, decay = np.full((1, 1), float(p.get("ahat", 1.0))), float(p["what"])
    rules: dict[str, list[Rule]] = {
        "bptt": [BPTT(), RTRL()],
        "tbptt": [TruncatedBPTT(int(p["tau"]))],
        "rflo": [RFLO(storage="dense", feedback=R, decay=decay), RFLO(feedback=R, decay=decay)],
        "rflo_sym": [RFLO(storage="dense", feedback="symmetric", decay=decay)],
        "fa_bptt": [TruncatedBPTT(T, feedback=R)],
    }
    data = impulses(teacher, T)
    found = [gradient(rule, student, data, loss_steps="final") for rule in rules[name]]
    for other in found[1:]:
        assert_close(other, found[0], 1e-14)
    return np.array([found[0][group][0, 0] for group in "ABW"])


@pytest.mark.parametrize("rule", ["bptt", "tbptt", "rflo", "rflo_sym", "fa_bptt"])
@pytest.mark.parametrize("case", [c for c in GOLDEN if c["kind"] == "update"], ids=lambda c: str(c["name"]))
def test_golden_updates(case: dict[str, Any], rule: str) -> None:
    p = case["params"]
    student = scalar(float(p["a"]), float(p["w"]), float(p["b"]))
    teacher = scalar(float(p["a_star"]), float(p["w_star"]), float(p["b_star"]))
    T = 60 if case["T"] == "inf" else int(case["T"])  # |w w*| is 0.16, and 0.16**60 is 1e-48
    got = scalar_update(rule, student, teacher, p, T)
    assert got == pytest.approx([float(v) for v in case["delta"][rule]], rel=2e-14, abs=4e-15)
    loss = total_loss(student, impulses(teacher, T), loss_steps="final")
    assert loss == pytest.approx(float(case["loss"]), rel=2e-14)


def test_golden_saddle() -> None:
    (case,) = (c for c in GOLDEN if c["kind"] == "saddle")
    p = case["params"]
    student, teacher = scalar(0.0, float(p["w"]), 0.0), scalar(1.0, float(p["w_star"]), float(p["c"]))
    want = [float(v) for v in case["rflo_delta_at_zero_ahat1"]]
    assert scalar_update("rflo", student, teacher, p, 80) == pytest.approx(want, rel=2e-14, abs=4e-15)
    assert total_loss(student, impulses(teacher, 80), loss_steps="final") == pytest.approx(
        float(case["loss"]), rel=2e-14
    )


@pytest.mark.parametrize("rule", ["bptt", "tbptt", "rflo", "rflo_sym", "fa_bptt"])
@pytest.mark.parametrize("case", [c for c in GOLDEN if c["kind"] == "jacobian"], ids=lambda c: str(c["name"]))
def test_golden_stability_of_the_optimum(case: dict[str, Any], rule: str) -> None:
    """The slope of the kernels' expected update at the optimum, by differences, has the reference's eigenvalues.

    Trace and second invariant are compared, which keep their digits where two eigenvalues nearly meet.
    """
    p = case["params"]
    s, c, w = float(p["s"]), float(p["c"]), float(p["w_star"])
    teacher, optimum, T, step = scalar(1.0, w, c), np.array([s, c / s, w]), 60, 1e-3
    jacobian = np.zeros((3, 3))
    for k in range(3):
        for shift, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
            a, b, w_moved = optimum + shift * step * np.eye(3)[k]
            jacobian[:, k] += weight / (12.0 * step) * scalar_update(rule, scalar(a, w_moved, b), teacher, p, T)
    values = [complex(float(re), float(im)) for re, im in case["eigenvalues"][rule]]
    minors = sum(np.linalg.det(jacobian[np.ix_(keep, keep)]) for keep in ([0, 1], [0, 2], [1, 2]))
    assert np.trace(jacobian) == pytest.approx(sum(values).real, rel=1e-8)
    assert minors == pytest.approx((values[0] * values[1]).real, rel=1e-8)
    assert np.linalg.det(jacobian) == pytest.approx(0.0, abs=1e-7)
