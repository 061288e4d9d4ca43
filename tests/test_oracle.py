"""The oracle judged from outside: complex-step gradients, and exact relations between the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import Result, gradient, train

Array = NDArray[np.float64]
LOSSES = ("squared-error", "cross-entropy")
quick = settings(max_examples=20, deadline=None)


@dataclass
class Case:
    """A small network and its data."""

    A: Array
    W: Array
    B: Array
    R: Array
    leak: float
    sequences: list[tuple[Array, Array, Array]]
    loss: str

    def train(self, rule: Any, **options: Any) -> Result:
        options = {"R": self.R, "loss": self.loss, **options}
        return train(self.A, self.W, self.B, self.leak, rule, self.sequences, **options)

    def delta(self, rule: dict[str, Any], **options: Any) -> dict[str, Array]:
        """Return Δ of one update per episode at frozen weights."""
        run = self.train(rule, update="episode", rates=1.0, batch=len(self.sequences), **options)
        return {k: getattr(self, k) - getattr(run, k) for k in "AWB"}


def make(
    seed: int, n: int = 4, m: int = 2, o: int = 2, leak: float = 1.0, lengths: tuple[int, ...] = (7, 4),
    loss: str = "squared-error",
) -> Case:  # fmt: skip
    rng = np.random.default_rng(seed)
    # Contracting and small: with low rates learning stays far from divergence and rounding is not amplified.
    W = rng.normal(size=(n, n))
    W *= 0.8 / np.linalg.norm(W, 2)
    A, B, R = 0.4 * rng.normal(size=(o, n)), 0.4 * rng.normal(size=(n, m)), 0.5 * rng.normal(size=(o, n))
    sequences = []
    for length in lengths:
        y = rng.normal(size=(length, o))
        if loss == "cross-entropy":
            y = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
        mask = rng.choice([0.0, 0.5, 1.0], size=length)
        mask[length // 2] = 1.5
        sequences.append((rng.normal(size=(length, m)), y, mask))
    return Case(A, W, B, R, leak, sequences, loss)


def assert_close(a: Any, b: Any, tolerance: float) -> None:
    """Compare finite arrays relative to the largest entry."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    assert np.isfinite(a).all() and np.isfinite(b).all()
    assert np.abs(a - b).max() <= tolerance * max(1.0, float(np.abs(b).max()))


def outputs(run: Result) -> Array:
    """Return the outputs of all steps and lanes but the NaN of lanes that have ended."""
    y = np.concatenate(run.y)
    return y[~np.isnan(y).all(axis=1)]


def assert_same_run(a: Result, b: Result, tolerance: float) -> None:
    for k in "AWB":
        assert_close(getattr(a, k), getattr(b, k), tolerance)
    assert_close(a.loss, b.loss, tolerance)
    assert_close(outputs(a), outputs(b), tolerance)


def cases(**fixed: Any) -> st.SearchStrategy[Case]:
    drawn = {
        "seed": st.integers(0, 2**32 - 1), "n": st.integers(1, 5), "m": st.integers(1, 3), "o": st.integers(1, 3),
        "leak": st.floats(0.05, 1.0), "lengths": st.lists(st.integers(1, 8), min_size=1, max_size=3).map(tuple),
        "loss": st.sampled_from(LOSSES),
    }  # fmt: skip
    return st.builds(make, **{**drawn, **{k: st.just(v) for k, v in fixed.items()}})


# --- exact gradients ------------------------------------------------------------------------------------------------


@quick
@given(cases(), st.sampled_from(["all", "final"]))
@pytest.mark.parametrize("name", ["bptt", "rtrl"])
def test_exact_rules_are_the_complex_step_gradient(name: str, case: Case, loss_steps: str) -> None:
    delta = case.delta({"name": name}, loss_steps=loss_steps)
    parts = [gradient(case.A, case.W, case.B, case.leak, *s, case.loss, loss_steps) for s in case.sequences]
    for k in "AWB":
        assert_close(delta[k], sum(p[k] for p in parts), 1e-10)


@quick
@given(cases())
def test_rtrl_is_bptt(case: Case) -> None:
    a, b = (case.train({"name": name}, update="episode", epochs=2, rates=0.004) for name in ("rtrl", "bptt"))
    assert_same_run(a, b, 1e-12)


@quick
@given(cases())
def test_complex_step_is_the_slope_of_the_reported_loss(case: Case) -> None:
    rng = np.random.default_rng(0)
    direction = {k: rng.normal(size=getattr(case, k).shape) for k in "AWB"}
    slope = 0.0
    for sequence in case.sequences:
        g = gradient(case.A, case.W, case.B, case.leak, *sequence, case.loss)
        slope += sum(float((g[k] * direction[k]).sum()) for k in "AWB")

    def loss(step: float) -> float:
        A, W, B = (getattr(case, k) + step * direction[k] for k in "AWB")
        run = train(A, W, B, case.leak, {"name": "bptt"}, case.sequences, loss=case.loss, update="episode", rates=0.0)
        return float(sum(run.loss))

    scale = max(1.0, abs(slope), loss(0.0))
    s = 1e-3  # two step widths, so that the cubic term cancels
    central = (8 * (loss(s) - loss(-s)) - (loss(2 * s) - loss(-2 * s))) / (12 * s)
    assert abs(central - slope) < 1e-6 * scale


# --- relations between the rules ------------------------------------------------------------------------------------


@quick
@given(cases())
def test_tbptt_over_the_whole_sequence_is_bptt(case: Case) -> None:
    longest = max(len(x) for x, _, _ in case.sequences)
    a = case.train({"name": "tbptt", "steps": longest}, update="episode")
    assert_same_run(a, case.train({"name": "bptt"}, update="episode"), 1e-12)


@quick
@given(cases(), st.sampled_from(["online", "episode"]))
def test_tbptt_1_is_rflo_with_symmetric_feedback_and_no_decay(case: Case, update: str) -> None:
    options = {"update": update, "epochs": 3, "rates": 0.004, "momentum": 0.5, "batch": 2}
    a = case.train({"name": "tbptt", "steps": 1}, **options)
    rflo = {"name": "rflo", "decay": 0.0, "feedback": "symmetric", "storage": "dense"}
    assert_same_run(a, case.train(rflo, **options), 1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("loss", LOSSES)
def test_factored_is_dense(loss: str, momentum: float) -> None:
    case = make(3, n=6, m=2, o=3, leak=0.4, lengths=(40, 25, 33), loss=loss)
    options: dict[str, Any] = {"rates": {"A": 0.004, "W": 0.002, "B": 0.003}, "momentum": momentum, "epochs": 30}
    factored = case.train({"name": "rflo", "storage": "factored"}, **options)
    dense = case.train({"name": "rflo", "storage": "dense"}, **options)
    assert len(factored.loss) == 30 * 98  # thousands of online steps
    assert np.abs(dense.W - case.W).max() > 0.05
    assert_same_run(factored, dense, 1e-12)
    assert factored.M is not None and factored.N is not None
    assert_close(case.R.T @ factored.M, dense.W - case.W, 1e-12)
    assert_close(case.R.T @ factored.N, dense.B - case.B, 1e-12)


@quick
@given(cases(), st.sampled_from(["random", "symmetric"]), st.sampled_from(["online", "episode"]))
def test_leaky_rflo_is_the_plain_network_with_scaled_rates(case: Case, feedback: str, update: str) -> None:
    rule = {"name": "rflo", "storage": "dense", "feedback": feedback}
    alpha, eta = case.leak, 0.004
    leaky = case.train(rule, rates=eta, epochs=4, update=update)
    eye = np.eye(len(case.W))
    plain = Case(
        case.A, (1 - alpha) * eye + alpha * case.W, alpha * case.B, case.R, 1.0, case.sequences, case.loss
    ).train(
        {**rule, "decay": 1 - alpha}, rates={"A": eta, "W": alpha**2 * eta, "B": alpha**2 * eta}, epochs=4,
        update=update,
    )  # fmt: skip
    assert_close(plain.A, leaky.A, 1e-12)
    assert_close(plain.W, (1 - alpha) * eye + alpha * leaky.W, 1e-12)
    assert_close(plain.B, alpha * leaky.B, 1e-12)
    assert_close(plain.loss, leaky.loss, 1e-12)


@quick
@given(cases())
def test_eprop_is_the_gradient_where_w_is_diagonal(case: Case) -> None:
    # Then the propagator of e-prop, diag(W), is Wᵀ itself, and nothing is dropped.
    case.W = np.diag(np.diag(case.W))
    eprop, bptt = case.delta({"name": "eprop"}), case.delta({"name": "bptt"})
    for k in "AWB":
        assert_close(eprop[k], bptt[k], 1e-12)


def test_eprop_is_not_the_gradient_in_general() -> None:
    case = make(5)
    assert np.abs(case.delta({"name": "eprop"})["W"] - case.delta({"name": "bptt"})["W"]).max() > 1e-2


@quick
@given(cases(leak=1.0, n=1), st.floats(-0.9, 0.9))
def test_one_unit_rflo_with_decay_w_is_eprop(case: Case, w: float) -> None:
    case.W[:] = w
    a = case.delta({"name": "rflo", "decay": w, "storage": "dense"})
    b = case.delta({"name": "eprop", "feedback": "random"})
    for k in "AWB":
        assert_close(a[k], b[k], 1e-12)


# --- rotation -------------------------------------------------------------------------------------------------------

EQUIVARIANT = [
    ({"name": "rflo", "storage": "dense"}, "online"),
    ({"name": "rflo", "storage": "dense", "decay": 0.6, "feedback": "symmetric"}, "online"),
    ({"name": "rflo", "storage": "factored"}, "online"),
    ({"name": "rflo", "storage": "factored"}, "episode"),
    ({"name": "tbptt", "steps": 3}, "online"),
    ({"name": "tbptt", "steps": 3, "feedback": "random"}, "episode"),
    ({"name": "rtrl"}, "online"),
    ({"name": "bptt"}, "episode"),
]


def rotated_pair(rule: dict[str, Any], update: str, seed: int, leak: float, loss: str) -> tuple[Result, Result, Array]:
    case = make(seed, n=5, o=2, m=3, leak=leak, lengths=(12, 9), loss=loss)
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))
    rotated = Case(case.A @ Q, Q.T @ case.W @ Q, Q.T @ case.B, case.R @ Q, leak, case.sequences, loss)
    options: dict[str, Any] = {"rates": 0.001, "epochs": 5, "update": update, "momentum": 0.3}
    return case.train(rule, **options), rotated.train(rule, **options), Q


@quick
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0), st.sampled_from(LOSSES))
@pytest.mark.parametrize(("rule", "update"), EQUIVARIANT, ids=lambda v: v if isinstance(v, str) else v["name"])
def test_an_orthogonal_change_of_basis_changes_nothing(
    rule: dict[str, Any], update: str, seed: int, leak: float, loss: str
) -> None:
    a, b, Q = rotated_pair(rule, update, seed, leak, loss)
    assert_close(b.loss, a.loss, 1e-11)
    assert_close(outputs(b), outputs(a), 1e-11)
    assert_close(b.W, Q.T @ a.W @ Q, 1e-11)
    assert_close(b.B, Q.T @ a.B, 1e-11)
    assert_close(b.A, a.A @ Q, 1e-11)
    if a.M is not None and a.N is not None:
        assert_close(b.M, a.M @ Q, 1e-11)
        assert_close(b.N, a.N, 1e-11)


def test_eprop_depends_on_the_basis() -> None:
    a, b, _ = rotated_pair({"name": "eprop"}, "online", 0, 1.0, "squared-error")
    assert np.abs(np.array(a.loss) - np.array(b.loss)).max() > 1e-4


# --- rank -----------------------------------------------------------------------------------------------------------


def numerical_rank(case: Case, run: Result) -> int:
    s = np.linalg.svd(np.hstack([run.W - case.W, run.B - case.B]), compute_uv=False)
    assert s[0] > 1e-2
    return int((s > 1e-11 * s[0]).sum())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("storage", ["dense", "factored"])
def test_rflo_changes_w_and_b_jointly_by_rank_n_out(storage: str, loss: str) -> None:
    case = make(11, n=8, m=3, o=3, leak=0.5, lengths=(50, 50), loss=loss)
    run = case.train({"name": "rflo", "storage": storage, "decay": 0.3}, rates=0.003, epochs=30)
    assert len(run.loss) == 3000
    # The errors of a softmax add to 0 over the classes, which takes one more rank.
    assert numerical_rank(case, run) == (3 if loss == "squared-error" else 2)


@pytest.mark.parametrize(("name", "update"), [("eprop", "online"), ("bptt", "episode")])
def test_eprop_and_bptt_change_w_by_full_rank(name: str, update: str) -> None:
    case = make(11, n=8, m=3, o=2, leak=0.5, lengths=(50, 50))
    rate = 0.003 if update == "online" else 0.001
    run = case.train({"name": name}, update=update, rates=rate, epochs=30)
    assert numerical_rank(case, run) == 8


# --- bookkeeping ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rflo", "tbptt", "eprop", "rtrl"])
def test_a_padded_lane_contributes_nothing(name: str) -> None:
    case = make(2, lengths=(9, 4, 6))
    padded = [
        (np.pad(x, ((0, 9 - len(x)), (0, 0))), np.pad(y, ((0, 9 - len(y)), (0, 0))), np.pad(mask, (0, 9 - len(mask))))
        for x, y, mask in case.sequences
    ]
    a = case.train({"name": name}, batch=3, momentum=0.4)
    assert np.isnan(a.y[4][1]).all() and np.isfinite(a.y[3]).all()
    case.sequences = padded
    b = case.train({"name": name}, batch=3, momentum=0.4)
    assert_close(a.W, b.W, 1e-14)
    assert_close(a.B, b.B, 1e-14)
    assert_close(a.loss, b.loss, 1e-14)


def test_momentum_clamp_and_groups() -> None:
    # One unit, one step a sequence: every number below is from hand.
    one = np.ones((1, 1))
    sequence = (one, np.zeros((1, 1)), np.ones(1))
    rule = {"name": "rflo", "storage": "dense"}
    options: dict[str, Any] = {"R": 2 * one, "rates": 0.1, "momentum": 0.5}
    # h = 1, y = 1, ε = 1: ΔB = R ε q = 2. Then B = 0.8, y = 0.8: ΔB = 1.6, v = 2.6, B = 0.54.
    run = train(one, 0 * one, one, 1.0, rule, [sequence] * 2, learn=("B",), **options)
    assert run.A[0, 0] == 1.0 and run.W[0, 0] == 0.0
    assert run.B[0, 0] == pytest.approx(0.54, abs=1e-15)
    assert run.loss == pytest.approx([0.5, 0.32])
    # Clamped to 0.7 after the first step: B = 0.7, ΔB = 1.4, v = 2.4, B = 0.46.
    run = train(one, 0 * one, one, 1.0, rule, [sequence] * 2, learn=("B",), clamp={"B": 0.7}, **options)
    assert run.B[0, 0] == pytest.approx(0.46, abs=1e-15)
    # Factored, N is what is clamped: N = -0.1 (ε q = 1), clamped to -0.05, so B = 0.9.
    run = train(one, 0 * one, one, 1.0, {"name": "rflo"}, [sequence], learn=("B",), clamp={"B": 0.05}, **options)
    assert run.N is not None and run.N[0, 0] == -0.05
    assert run.B[0, 0] == pytest.approx(0.9, abs=1e-15)


def test_online_steps_use_the_values_before_their_update() -> None:
    # One unit, two steps, written out: α = 0.5, so h = 0.5 (h + W h + B x), with ε = y at a target of 0.
    one, eta = np.ones((1, 1)), 0.1
    a, w, b, x1, x2 = 0.8, 0.6, 0.9, 1.0, -0.7
    sequence = (np.array([[x1], [x2]]), np.zeros((2, 1)), np.ones(2))
    for name in ("tbptt", "eprop", "rtrl"):
        rule = {"name": name, "steps": 2} if name == "tbptt" else {"name": name}
        run = train(a * one, w * one, b * one, 0.5, rule, [sequence], rates=eta)
        h1 = 0.5 * b * x1
        e1 = a * h1
        A1, W1, B1 = a - eta * e1 * h1, w, b - eta * a * e1 * 0.5 * x1  # h_0 = 0, so W stays
        h2 = 0.5 * (h1 + W1 * h1 + B1 * x2)
        e2 = A1 * h2
        keep = 0.5 + 0.5 * W1
        W2 = W1 - eta * A1 * e2 * 0.5 * h1
        B2 = B1 - eta * A1 * e2 * (0.5 * x2 + keep * 0.5 * x1)
        assert [run.A[0, 0], run.W[0, 0], run.B[0, 0]] == pytest.approx([A1 - eta * e2 * h2, W2, B2], abs=1e-15)
        assert run.loss == pytest.approx([e1**2 / 2, e2**2 / 2], abs=1e-15)


@pytest.mark.parametrize("name", ["rflo", "tbptt", "eprop", "rtrl"])
def test_w_moving_within_a_sequence(name: str) -> None:
    # Three steps of one unit with only W learning: at step 3 each rule sees other values of W.
    one, eta, w, f = np.ones((1, 1)), 0.2, 0.7, 1.3
    options: dict[str, dict[str, Any]] = {"rflo": {"decay": 0.4, "storage": "dense"}, "tbptt": {"steps": 3}}
    x = [1.0, 0.5, -0.3]
    sequence = (np.array(x)[:, None], np.zeros((3, 1)), np.ones(3))
    run = train(
        one, w * one, one, 1.0, {"name": name, **options.get(name, {})}, [sequence], R=f * one, rates=eta, learn=("W",)
    )
    h1 = x[0]
    h2 = w * h1 + x[1]
    w2 = w - eta * (f if name == "rflo" else 1.0) * h2 * h1
    h3 = w2 * h2 + x[2]
    # rflo: ŵ; tbptt carries δ back through the W of step 3, which is w2; e-prop and RTRL carried the trace by w2 too.
    trace = h2 + (0.4 if name == "rflo" else w2) * h1
    assert run.W[0, 0] == pytest.approx(w2 - eta * (f if name == "rflo" else 1.0) * h3 * trace, abs=1e-15)


def test_tbptt_carries_back_by_the_present_w_and_traces_by_past_ones() -> None:
    # Four steps: the traces of e-prop and RTRL hold w3 w2 h1; truncated BPTT carries back by the W of now, w3 w3 h1.
    one, eta, w = np.ones((1, 1)), 0.2, 0.7
    x = [1.0, 0.5, -0.3, 0.8]
    sequence = (np.array(x)[:, None], np.zeros((4, 1)), np.ones(4))
    for name in ("tbptt", "eprop", "rtrl"):
        rule = {"name": name, "steps": 4} if name == "tbptt" else {"name": name}
        run = train(one, w * one, one, 1.0, rule, [sequence], rates=eta, learn=("W",))
        h1 = x[0]
        h2 = w * h1 + x[1]
        w2 = w - eta * h2 * h1
        h3 = w2 * h2 + x[2]
        w3 = w2 - eta * h3 * (h2 + w2 * h1)
        h4 = w3 * h3 + x[3]
        oldest = w3 * w3 * h1 if name == "tbptt" else w3 * w2 * h1
        assert run.W[0, 0] == pytest.approx(w3 - eta * h4 * (h3 + w3 * h2 + oldest), abs=1e-15)


@pytest.mark.parametrize("name", ["rflo", "tbptt", "eprop", "rtrl", "bptt"])
def test_a_batch_is_a_sum_and_the_last_one_may_be_smaller(name: str) -> None:
    case = make(6, lengths=(5, 7, 3))
    parts = [Case(case.A, case.W, case.B, case.R, case.leak, [s], case.loss) for s in case.sequences]
    together = case.delta({"name": name})
    for k in "AWB":
        assert_close(together[k], sum(p.delta({"name": name})[k] for p in parts), 1e-13)
    run = case.train({"name": name}, batch=2, update="episode")
    assert [y.shape[0] for y in run.y] == [2] * 7 + [1] * 3
    options: dict[str, Any] = {"R": case.R, "update": "episode"}
    first = train(case.A, case.W, case.B, 1.0, {"name": name}, case.sequences[:2], batch=2, **options)
    second = train(first.A, first.W, first.B, 1.0, {"name": name}, case.sequences[2:], **options)
    assert_close(second.W, run.W, 1e-14)
    assert_close(second.B, run.B, 1e-14)


def test_final_step_is_the_last_one_with_a_mask() -> None:
    case = make(0, lengths=(6,))
    x, y, _ = case.sequences[0]
    case.sequences = [(x, y, np.array([1.0, 2.0, 0.0, 3.0, 0.0, 0.0]))]
    a = case.train({"name": "eprop"}, loss_steps="final")
    case.sequences = [(x, y, np.array([0.0, 0.0, 0.0, 3.0, 0.0, 0.0]))]
    assert_same_run(a, case.train({"name": "eprop"}), 0.0)


def test_a_rule_object_is_read_like_a_dict() -> None:
    from neurolrnn.rules import RFLO

    case = make(4)
    a = case.train(RFLO(decay=0.3, feedback=case.R), R=None)
    assert_same_run(a, case.train({"name": "rflo", "decay": 0.3}), 0.0)
    with pytest.raises(ValueError, match="cannot update online"):
        case.train({"name": "bptt"})
