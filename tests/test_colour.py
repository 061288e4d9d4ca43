"""Coloured input: against sums over the columns of a root of the input's covariance, against limits, and by sampling.

Every update is a quadratic form in the inputs of a sequence, so for Gaussian x with covariance Γ = L Lᵀ its expectation
is the sum of the update over the columns of L as inputs. The oracle runs those; it knows nothing of filters.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import train
from test_expected import RULES, assert_close, expect, networks

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.theory.colour import InputColour
from neurolrnn.theory.expected import ExpectedUpdate, expected_update

Array = NDArray[np.float64]


def oscillation(seed: int, m: int = 2, q: int = 3, k: int = 2, radius: float = 0.8) -> InputColour:
    """A filter of random matrices, with complex eigenvalues for most seeds."""
    rng = np.random.default_rng([seed, 99])
    F = rng.normal(size=(q, q))
    F *= radius / max(np.abs(np.linalg.eigvals(F)).max(), 1e-9)
    return InputColour(rng.normal(size=(m, q)), F, rng.normal(size=(q, k)))


def lag_covariance(colour: InputColour, lag: int) -> Array:
    """E[x_t x_{t-lag}ᵀ] summed over the noise that both share."""
    total, power = np.zeros((colour.n_in, colour.n_in)), np.eye(len(colour.F))
    far = np.linalg.matrix_power(colour.F, lag)
    for _ in range(2000):
        total = total + (colour.C @ far @ power @ colour.G) @ (colour.C @ power @ colour.G).T
        power = power @ colour.F
    return total


def input_covariance(colour: InputColour, T: int) -> Array:
    """Covariance of (x_1, .., x_T), (T n_in, T n_in)."""
    lags = [lag_covariance(colour, k) for k in range(T)]
    rows = [[lags[t - s] if t >= s else lags[s - t].T for s in range(T)] for t in range(T)]
    return np.block(rows)


def summed_over_roots(
    key: str, student: Network, teacher: Network, R: Array, colour: InputColour, T: int, loss_steps: str
) -> ExpectedUpdate:
    values, vectors = np.linalg.eigh(input_covariance(colour, T))
    columns = (vectors * np.sqrt(np.maximum(values, 0.0))).T.reshape(-1, T, student.n_in)
    sequences = []
    for x in columns:
        h, y = np.zeros(teacher.n_rec), np.zeros((T, teacher.n_out))
        for t in range(T):
            h = h + teacher.leak * (teacher.W @ h + teacher.B @ x[t] - h)
            y[t] = teacher.A @ h
        sequences.append((x, y, np.ones(T)))
    run = train(
        student.A, student.W, student.B, student.leak, RULES[key][2], sequences, R=R, loss_steps=loss_steps,
        update="episode", rates=1.0, batch=len(sequences),
    )  # fmt: skip
    steps = T if loss_steps == "all" else 1
    return ExpectedUpdate(
        (student.A - run.A) / steps, (student.W - run.W) / steps, (student.B - run.B) / steps, sum(run.loss) / steps
    )


@pytest.mark.parametrize("loss_steps", ["all", "final"])
@pytest.mark.parametrize("key", RULES)
def test_finite_sequences_are_the_sum_over_roots_of_the_covariance(key: str, loss_steps: str) -> None:
    for seed, T, leaks in ((0, 1, (1.0, 1.0)), (1, 2, (0.4, 1.0)), (2, 8, (0.6, 0.3))):
        student, teacher, R = networks(seed, leak=leaks[0], leak_star=leaks[1])
        for colour in (InputColour.ar1([0.7, -0.4], 2), oscillation(seed)):
            got = expect(key, student, teacher, R, T=T, loss_steps=loss_steps, colour=colour)
            want = summed_over_roots(key, student, teacher, R, colour, T, loss_steps)
            assert_close(got, want, 1e-11)


@settings(max_examples=25)
@given(
    st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 3),
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.floats(0.0, 0.9), st.integers(1, 5),
    st.sampled_from(["all", "final"]),
)  # fmt: skip
def test_any_sizes(
    key: str, seed: int, n: int, m: int, o: int, q: int, k: int, radius: float, T: int, loss_steps: str
) -> None:
    student, teacher, R = networks(seed, n, 3, m, o, 0.7, 0.9)
    student, teacher = (net.replace(W=net.W / max(1.0, float(np.linalg.norm(net.W, 2)))) for net in (student, teacher))
    colour = oscillation(seed, m, q, k, radius)
    if np.linalg.norm(colour.F, 2) > 1.5:
        colour = InputColour(colour.C, colour.F * 0.9 / np.linalg.norm(colour.F, 2), colour.G)
    got = expect(key, student, teacher, R, T=T, loss_steps=loss_steps, colour=colour)
    want = summed_over_roots(key, student, teacher, R, colour, T, loss_steps)
    assert_close(got, want, 1e-10 * max(1.0, want.loss))


@pytest.mark.parametrize("key", RULES)
def test_stationary_is_the_limit_of_long_sequences(key: str) -> None:
    student, teacher, R = networks(7, leak=0.6, leak_star=0.8)
    for colour in (0.8, [0.9, -0.5], oscillation(3)):
        limit = expect(key, student, teacher, R, colour=colour)
        assert_close(expect(key, student, teacher, R, T=500, colour=colour), limit, 1e-12)
        assert_close(expect(key, student, teacher, R, loss_steps="all", colour=colour), limit, 0.0)


@pytest.mark.parametrize("T", [1, 6, math.inf])
@pytest.mark.parametrize("key", RULES)
def test_colour_0_is_white(key: str, T: float) -> None:
    student, teacher, R = networks(2, leak=0.5)
    for loss_steps in ("all", "final"):
        white = expect(key, student, teacher, R, T=T, loss_steps=loss_steps)
        # AR(1) with φ = 0; a filter that only delays; one with a hidden state that nothing reads.
        delay = InputColour(np.eye(2, 4), np.eye(4, k=-2), np.eye(4, 2))
        hidden = InputColour(np.eye(2, 3), np.diag([0.0, 0.0, 0.7]), np.eye(3))
        for colour in (0.0, InputColour.ar1(0.0, 2), delay, hidden):
            got = expect(key, student, teacher, R, T=T, loss_steps=loss_steps, colour=colour)
            assert_close(got, white, 1e-13)


@pytest.mark.parametrize("T", [6, math.inf])
def test_bptt_is_the_slope_of_the_expected_loss(T: float) -> None:
    student, teacher, _ = networks(3, leak=0.4)
    colour = oscillation(0)
    update = expected_update(student, teacher, "bptt", T=T, colour=colour)
    for name, delta in zip("AWB", update, strict=False):
        weights = np.array(getattr(student, name))
        for index in np.ndindex(*weights.shape):
            losses = []
            for step in (-2e-3, -1e-3, 1e-3, 2e-3):
                moved = weights.copy()
                moved[index] += step
                losses.append(
                    expected_update(student.replace(**{name: moved}), teacher, "bptt", T=T, colour=colour).loss
                )
            slope = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / 12e-3
            assert slope == pytest.approx(np.asarray(delta)[index], abs=2e-7)


def test_correlated_channels_are_a_change_of_input_weights() -> None:
    # White in time but mixed by M: the networks with B M see white input, and ΔB follows by the chain rule.
    student, teacher, R = networks(4, leak=0.7)
    M = np.array([[1.0, 0.5], [0.0, 0.8]])
    colour = InputColour(M, np.zeros((2, 2)), np.eye(2))
    mixed, mixed_teacher = (net.replace(B=net.B @ M) for net in (student, teacher))
    for T in (5, math.inf):
        white = expected_update(mixed, mixed_teacher, "rflo", R=R, T=T)
        got = expected_update(student, teacher, "rflo", R=R, T=T, colour=colour)
        assert_close(got, white._replace(dB=white.dB @ M.T), 1e-13)


@pytest.mark.parametrize("colour", [InputColour.ar1([0.8, -0.5], 2), oscillation(1).normalised()], ids=["ar1", "any"])
def test_sampled_updates(colour: InputColour) -> None:
    """Mean and error of 40,000 sequences of RFLO, simulated in NumPy; no entry may be 5 standard errors away."""
    student, teacher, R = networks(8, leak=0.5, leak_star=0.8)
    T, N, decay = 12, 40_000, 0.6
    x = colour.sample(N, T, seed=5)
    h, h_star, p, q = (np.zeros((N, k)) for k in (4, 3, 4, 2))
    for t in range(T):
        p, q = decay * p + student.leak * h, decay * q + student.leak * x[:, t]
        h = h + student.leak * (h @ student.W.T + x[:, t] @ student.B.T - h)
        h_star = h_star + teacher.leak * (h_star @ teacher.W.T + x[:, t] @ teacher.B.T - h_star)
    e = h @ student.A.T - h_star @ teacher.A.T
    L = e @ R
    want = expected_update(student, teacher, "rflo", R=R, decay=decay, T=T, colour=colour)
    for left, right, mean in ((e, h, want.dA), (L, p, want.dW), (L, q, want.dB)):
        each = left[:, :, np.newaxis] * right[:, np.newaxis, :]
        z = (each.mean(axis=0) - mean) / (each.std(axis=0) / np.sqrt(N))
        assert np.abs(z).max() < 5.0
    loss = 0.5 * (e * e).sum(axis=1)
    assert abs(loss.mean() - want.loss) < 5.0 * loss.std() / np.sqrt(N)
    # The colour is seen: white input gives another update.
    white = expected_update(student, teacher, "rflo", R=R, decay=decay, T=T)
    assert np.abs(white.dW - want.dW).max() > 0.02


def test_autocovariance_and_samples() -> None:
    phi = np.array([0.8, -0.5])
    colour = InputColour.ar1(phi, 2)
    for lag in range(5):
        np.testing.assert_allclose(colour.autocovariance(lag), np.diag(phi**lag), atol=1e-14)
    other = oscillation(6)
    np.testing.assert_allclose(other.autocovariance(3), lag_covariance(other, 3), atol=1e-12)
    scaled = other.normalised()
    assert np.diag(scaled.autocovariance(0)) == pytest.approx([1.0, 1.0], rel=1e-12)
    x = scaled.sample(50_000, 4, seed=1)
    assert x.shape == (50_000, 4, 2)
    for t, lag in ((0, 0), (3, 0), (1, 1), (3, 3)):
        each = x[:, t, :, np.newaxis] * x[:, t - lag, np.newaxis, :]
        z = (each.mean(axis=0) - scaled.autocovariance(lag)) / (each.std(axis=0) / np.sqrt(len(x)))
        assert np.abs(z).max() < 5.0
    np.testing.assert_array_equal(x[:3], scaled.sample(50_000, 4, seed=1)[:3])
    assert (x[0] != scaled.sample(1, 4, seed=2)[0]).all()


def test_refusals() -> None:
    student, teacher, _ = networks(0)
    for colour in (1.0, -1.0, [0.1, 0.2, 0.3], math.nan, "pink", [[0.1, 0.2]]):
        with pytest.raises(InputError, match=r"colour = .* between -1 and 1"):
            expected_update(student, teacher, "bptt", colour=colour)
    with pytest.raises(InputError, match="3 channels, the networks 2 inputs"):
        expected_update(student, teacher, "bptt", colour=InputColour.ar1(0.5, 3))
    with pytest.raises(InputError, match="spectral radius 1; below 1"):
        InputColour(np.eye(2), np.eye(2), np.eye(2))
    with pytest.raises(InputError, match="do not fit"):
        InputColour(np.eye(2), np.zeros((3, 3)), np.eye(2))
    with pytest.raises(InputError, match="matrix of finite numbers"):
        InputColour(np.eye(2), np.full((2, 2), np.nan), np.eye(2))
    with pytest.raises(InputError, match="channel 1 of the colour is always 0"):
        InputColour([[1.0, 0.0], [0.0, 0.0]], 0.5 * np.eye(2), np.eye(2)).normalised()  # type: ignore[arg-type]
    with pytest.raises(InputError, match="lag = -1"):
        InputColour.ar1(0.5, 1).autocovariance(-1)
