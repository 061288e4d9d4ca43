"""Expected updates against the oracle summed over unit impulses, against limits, and against 60-digit references.

Every update is a quadratic form in the inputs: ε and the states are linear in x. White input makes the cross terms
vanish, so the expectation is the sum of the update over single impulses x = e_{t,k}. No sampling is involved.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import train

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.theory.expected import ExpectedUpdate, expected_update
from neurolrnn.theory.stein import geometric_sum

Array = NDArray[np.float64]
GOLDEN = json.loads((Path(__file__).parent / "golden" / "reference_cases.json").read_text(encoding="utf-8"))["cases"]
FIELDS = ("dA", "dW", "dB", "loss")

# name of the rule, options of expected_update, rule of the oracle, whether feedback is R
RULES: dict[str, tuple[str, dict[str, Any], dict[str, Any], bool]] = {
    "bptt": ("bptt", {}, {"name": "bptt"}, False),
    "rtrl": ("rtrl", {}, {"name": "rtrl"}, False),
    "tbptt1": ("tbptt", {"steps": 1}, {"name": "tbptt", "steps": 1}, False),
    "tbptt3": ("tbptt", {"steps": 3}, {"name": "tbptt", "steps": 3}, False),
    "tbptt3-random": ("tbptt", {"steps": 3}, {"name": "tbptt", "steps": 3, "feedback": "random"}, True),
    "tbptt99": ("tbptt", {"steps": 99}, {"name": "tbptt", "steps": 99}, False),
    "rflo": ("rflo", {"decay": 0.4}, {"name": "rflo", "decay": 0.4, "storage": "dense"}, True),
    "rflo-default-decay": ("rflo", {}, {"name": "rflo", "storage": "factored"}, True),
    "rflo-symmetric": (
        "rflo", {"decay": -0.3}, {"name": "rflo", "decay": -0.3, "storage": "dense", "feedback": "symmetric"}, False,
    ),
    "fa_bptt": ("fa_bptt", {}, {"name": "tbptt", "steps": 99, "feedback": "random"}, True),
    "eprop": ("eprop", {}, {"name": "eprop"}, False),
    "eprop-random": ("eprop", {}, {"name": "eprop", "feedback": "random"}, True),
}  # fmt: skip


def networks(
    seed: int, n: int = 4, n_star: int = 3, m: int = 2, o: int = 2, leak: float = 1.0, leak_star: float = 1.0
) -> tuple[Network, Network, Array]:
    rng = np.random.default_rng(seed)

    def one(n: int, leak: float) -> Network:
        W = rng.normal(size=(n, n))
        return Network(
            rng.normal(size=(o, n)), 0.7 * W / np.abs(np.linalg.eigvals(W)).max(), rng.normal(size=(n, m)), leak
        )  # fmt: skip

    return one(n, leak), one(n_star, leak_star), rng.normal(size=(o, n))


def assert_close(a: ExpectedUpdate, b: ExpectedUpdate, tolerance: float) -> None:
    for name in FIELDS:
        x, y = np.asarray(getattr(a, name)), np.asarray(getattr(b, name))
        assert np.abs(x - y).max() <= tolerance * max(1.0, float(np.abs(y).max())), name


def expect(key: str, student: Network, teacher: Network, R: Array, **options: Any) -> ExpectedUpdate:
    name, own, _, random = RULES[key]
    return expected_update(student, teacher, name, R=R if random else None, **own, **options)


def summed_over_impulses(
    key: str, student: Network, teacher: Network, R: Array, T: int, loss_steps: str
) -> ExpectedUpdate:
    impulses = np.eye(T * student.n_in).reshape(-1, T, student.n_in)
    sequences = []
    for x in impulses:
        h, y = np.zeros(teacher.n_rec), np.zeros((T, teacher.n_out))
        for t in range(T):
            h = h + teacher.leak * (teacher.W @ h + teacher.B @ x[t] - h)
            y[t] = teacher.A @ h
        sequences.append((x, y, np.ones(T)))
    # One batch of all impulses: a single update at frozen weights, summed over the lanes.
    run = train(
        student.A, student.W, student.B, student.leak, RULES[key][2], sequences, R=R, loss_steps=loss_steps,
        update="episode", rates=1.0, batch=len(sequences),
    )  # fmt: skip
    steps = T if loss_steps == "all" else 1
    return ExpectedUpdate(
        (student.A - run.A) / steps, (student.W - run.W) / steps, (student.B - run.B) / steps, sum(run.loss) / steps
    )


@pytest.mark.parametrize("loss_steps", ["all", "final"])
@pytest.mark.parametrize("leaks", [(1.0, 1.0), (0.35, 1.0), (0.6, 0.2)], ids=lambda v: f"leak{v[0]}-{v[1]}")
@pytest.mark.parametrize("key", RULES)
def test_finite_sequences_are_the_sum_over_impulses(key: str, leaks: tuple[float, float], loss_steps: str) -> None:
    for seed, T in ((0, 1), (1, 2), (2, 9)):
        student, teacher, R = networks(seed, leak=leaks[0], leak_star=leaks[1])
        got = expect(key, student, teacher, R, T=T, loss_steps=loss_steps)
        assert_close(got, summed_over_impulses(key, student, teacher, R, T, loss_steps), 1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4),
    st.integers(1, 3), st.integers(1, 3), st.floats(0.05, 1.0), st.floats(0.05, 1.0), st.integers(1, 6),
    st.sampled_from(["all", "final"]),
)  # fmt: skip
def test_any_sizes(
    key: str, seed: int, n: int, n_star: int, m: int, o: int, leak: float, leak_star: float, T: int, loss_steps: str
) -> None:
    student, teacher, R = networks(seed, n, n_star, m, o, leak, leak_star)
    got = expect(key, student, teacher, R, T=T, loss_steps=loss_steps)
    want = summed_over_impulses(key, student, teacher, R, T, loss_steps)
    scale = max(1.0, float(np.abs(student.W).max()), want.loss)  # W of a non-normal draw can be large
    assert_close(got, want, 1e-12 * scale)


@pytest.mark.parametrize("leak", [1.0, 0.5])
@pytest.mark.parametrize("key", RULES)
def test_stationary_is_the_limit_of_long_sequences(key: str, leak: float) -> None:
    student, teacher, R = networks(7, leak=leak, leak_star=0.8)
    limit = expect(key, student, teacher, R)
    assert_close(expect(key, student, teacher, R, T=400), limit, 1e-12)
    assert_close(expect(key, student, teacher, R, loss_steps="all"), limit, 0.0)
    # The mean over the steps of a sequence approaches the same limit, but only as 1/T.
    errors = [np.abs(expect(key, student, teacher, R, T=T, loss_steps="all").dW - limit.dW).max() for T in (400, 800)]
    assert errors[0] < 0.5
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=1e-9)


@pytest.mark.parametrize("T", [6, math.inf])
def test_bptt_is_the_slope_of_the_expected_loss(T: float) -> None:
    student, teacher, R = networks(3, leak=0.4)
    update = expect("bptt", student, teacher, R, T=T)
    for name, delta in zip("AWB", update, strict=False):
        weights = np.array(getattr(student, name))
        for index in np.ndindex(*weights.shape):
            losses = []
            for step in (-2e-3, -1e-3, 1e-3, 2e-3):
                moved = weights.copy()
                moved[index] += step
                losses.append(expect("bptt", student.replace(**{name: moved}), teacher, R, T=T).loss)
            slope = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / 12e-3
            assert slope == pytest.approx(np.asarray(delta)[index], abs=1e-8)


@pytest.mark.parametrize("key", RULES)
@pytest.mark.parametrize("T", [8, math.inf])
def test_a_leaky_network_is_a_plain_one(key: str, T: float) -> None:
    leaky, teacher, R = networks(4, leak=0.3)
    plain = leaky.replace(W=leaky.transition, B=leaky.leak * leaky.B, leak=1.0)
    name, own, _, random = RULES[key]
    if name == "rflo":
        own = {"decay": own.get("decay", 0.7)}
    b = expected_update(plain, teacher, name, R=R if random else None, T=T, **own)
    a = expect(key, leaky, teacher, R, T=T)
    # ∂(1-α+αW)/∂W = α once for Δ; moving W by αΔ moves αW by α²Δ, hence the rate α²η of the plain network.
    assert_close(a, b._replace(dW=0.3 * b.dW, dB=0.3 * b.dB), 1e-13)


def test_relations_between_the_rules() -> None:
    student, teacher, R = networks(5)
    diagonal = student.replace(W=np.diag(np.linspace(-0.5, 0.6, 4)))
    for T in (7, math.inf):
        assert_close(
            expect("tbptt1", student, teacher, R, T=T), expected_update(student, teacher, "rflo", decay=0.0, T=T), 1e-13
        )
        for random, exact in (("eprop", "bptt"), ("eprop-random", "fa_bptt")):
            assert_close(expect(random, diagonal, teacher, R, T=T), expect(exact, diagonal, teacher, R, T=T), 1e-13)
    itself = expect("rflo", student, student, R)
    assert max(np.abs(part).max() for part in (itself.dA, itself.dW, itself.dB)) < 1e-13
    assert itself.loss < 1e-13


# --- scalar references ----------------------------------------------------------------------------------------------


def scalar(a: str, w: str, b: str) -> Network:
    return Network(np.full((1, 1), float(a)), np.full((1, 1), float(w)), np.full((1, 1), float(b)))


@pytest.mark.parametrize("case", [c for c in GOLDEN if c["kind"] == "update"], ids=lambda c: str(c["name"]))
def test_one_unit_networks_match_the_references(case: dict[str, Any]) -> None:
    p = case["params"]
    student, teacher = scalar(p["a"], p["w"], p["b"]), scalar(p["a_star"], p["w_star"], p["b_star"])
    T, R, decay = float(case["T"]), [[float(p["ahat"])]], float(p["what"])
    calls: dict[str, dict[str, Any]] = {
        "bptt": {"rule": "bptt"},
        "tbptt": {"rule": "tbptt", "steps": p["tau"]},
        "rflo": {"rule": "rflo", "R": R, "decay": decay},
        "rflo_sym": {"rule": "rflo", "decay": decay},
        "fa_bptt": {"rule": "fa_bptt", "R": R},
    }
    assert set(calls) == set(case["delta"])
    for name, call in calls.items():
        got = expected_update(student, teacher, T=int(T) if T < math.inf else T, **call)
        want = [float(v) for v in case["delta"][name]]
        assert [got.dA[0, 0], got.dB[0, 0], got.dW[0, 0]] == pytest.approx(want, rel=1e-14, abs=2e-15)
        assert got.loss == pytest.approx(float(case["loss"]), rel=1e-14)


def test_saddle_matches_the_reference() -> None:
    (case,) = (c for c in GOLDEN if c["kind"] == "saddle")
    p = case["params"]
    student, teacher = scalar("0", p["w"], "0"), scalar("1", p["w_star"], p["c"])
    got = expected_update(student, teacher, "rflo", R=[[1.0]], decay=float(p["what"]))
    want = [float(v) for v in case["rflo_delta_at_zero_ahat1"]]
    assert [got.dA[0, 0], got.dB[0, 0], got.dW[0, 0]] == pytest.approx(want, rel=1e-14, abs=1e-15)
    assert got.loss == pytest.approx(float(case["loss"]), rel=1e-14)


# --- Stein equations and refusals -----------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5), st.integers(0, 40))
def test_geometric_sums(seed: int, p: int, q: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    left, middle, right = rng.normal(size=(p, p)), rng.normal(size=(p, q)), rng.normal(size=(q, q))
    left *= 0.95 / np.linalg.norm(left, 2)
    right *= 0.95 / np.linalg.norm(right, 2)
    want, term = np.zeros((p, q)), middle
    for _ in range(count):
        want, term = want + term, left @ term @ right
    np.testing.assert_allclose(geometric_sum(left, middle, right, count), want, rtol=0, atol=1e-12)
    X = geometric_sum(left, middle, right)
    np.testing.assert_allclose(X, left @ X @ right + middle, rtol=0, atol=1e-12)


def test_geometric_sum_survives_terms_that_grow_before_they_shrink() -> None:
    left = np.array([[0.0, 1e-9, 0.0], [0.0, 0.0, 1e12], [0.0, 0.0, 0.0]])
    middle = np.array([[0.0], [0.0], [1.0]])
    assert geometric_sum(left, middle, np.eye(1)).ravel() == pytest.approx([1e3, 1e12, 1.0])


def test_refusals() -> None:
    student, teacher, R = networks(0)
    grows = teacher.replace(W=1.2 * np.eye(3))
    with pytest.raises(InputError, match=r"teacher's spectral radius .* is 1\.2; T = inf needs it below 1"):
        expected_update(student, grows, "bptt")
    assert expected_update(student, grows, "bptt", T=20).loss > 0.0
    with pytest.raises(InputError, match="not finite"):
        expected_update(student, grows, "bptt", T=5000)
    with pytest.raises(InputError, match="product below 1"):
        expected_update(student, teacher, "rflo", decay=1.6)
    # A non-normal W can have a diagonal entry above its spectral radius.
    trap = student.replace(W=np.pad([[2.5, -2.0], [3.0, -2.4]], (0, 2)))
    assert trap.spectral_radius() < 1.0
    with pytest.raises(InputError, match="product below 1"):
        expected_update(trap, networks(0)[1], "eprop")
    with pytest.raises(InputError, match="did you mean 'rflo'"):
        expected_update(student, teacher, "rflow")
    with pytest.raises(InputError, match="has no R"):
        expected_update(student, teacher, "bptt", R=R)
    with pytest.raises(InputError, match="give R"):
        expected_update(student, teacher, "fa_bptt")
    with pytest.raises(InputError, match="option of rflo"):
        expected_update(student, teacher, "eprop", decay=0.5)
    with pytest.raises(InputError, match="feedback has shape"):
        expected_update(student, teacher, "rflo", R=R.T)
    with pytest.raises(InputError, match="they must agree"):
        expected_update(student, networks(0, m=3)[1], "bptt")
    for T in (0, 2.5, -math.inf):
        with pytest.raises(InputError, match="whole number"):
            expected_update(student, teacher, "bptt", T=T)
