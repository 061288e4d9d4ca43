"""Expected learning: each compiled update is the matrix formula's, students do not touch each other, ends are found."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import python_process
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config
from numpy.typing import NDArray
from test_expected import RULES, networks

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.theory.expected import expected_update
from neurolrnn.theory.expected_learning import ExpectedLearning, expected_learning
from neurolrnn.theory.mode_equations import modes
from neurolrnn_kernels.expected import learn_expected

Array = NDArray[np.float64]
COLOURS = {"white": None, "colour0": 0.0, "colour.6": 0.6}


def learn(key: str, student: Network, teacher: Network, R: Array, updates: int = 1, **options: Any) -> ExpectedLearning:
    name, own, _, random = RULES[key]
    return expected_learning(student, teacher, name, R=R if random else None, updates=updates, **own, **options)


def assert_one_update(key: str, student: Network, teacher: Network, R: Array, tolerance: float, **options: Any) -> None:
    """The kernel's update, read from one step of size 1, against the matrix formula."""
    name, own, _, random = RULES[key]
    want = expected_update(student, teacher, name, R=R if random else None, **own, **options)
    got = learn(key, student, teacher, R, learning_rate=1.0, **options)
    assert got.loss[0, 0] == pytest.approx(want.loss, rel=tolerance, abs=tolerance)
    for group, delta in zip("AWB", (want.dA, want.dW, want.dB), strict=True):
        moved = getattr(student, group) - getattr(got.network, group)
        size = max(1.0, float(np.abs(delta).max()), float(np.abs(getattr(student, group)).max()))
        assert np.abs(moved - delta).max() <= tolerance * size, group


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("key", RULES)
def test_one_step_is_the_expected_update(key: str, colour: str) -> None:
    for seed, leak, leak_star, n, n_star in ((0, 1.0, 1.0, 4, 3), (1, 0.35, 0.8, 8, 8), (2, 0.6, 0.2, 11, 2)):
        student, teacher, R = networks(seed, n, n_star, 3, 2, leak, leak_star)
        for T in (math.inf, 1, 2, 9):
            for loss_steps in ("all", "final"):
                assert_one_update(
                    key, student, teacher, R, 1e-13, T=T, loss_steps=loss_steps, colour=COLOURS[colour]
                )  # fmt: skip


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 10),
    st.integers(1, 9), st.integers(1, 9), st.floats(0.05, 1.0), st.floats(0.05, 1.0),
    st.one_of(st.just(math.inf), st.integers(1, 12)), st.sampled_from(["all", "final"]),
    st.one_of(st.none(), st.floats(-0.9, 0.9)),
)  # fmt: skip
def test_any_network(
    key: str, seed: int, n: int, n_star: int, m: int, o: int, leak: float, leak_star: float, T: float,
    loss_steps: str, colour: float | None,
) -> None:  # fmt: skip
    student, teacher, R = networks(seed, n, n_star, m, o, leak, leak_star)
    student, teacher = (net.replace(W=net.W * 0.8 / np.linalg.norm(net.W, 2)) for net in (student, teacher))
    assert_one_update(key, student, teacher, R, 1e-12, T=T, loss_steps=loss_steps, colour=colour)


@pytest.mark.parametrize("tau", [1, 2, 3, 4, 7, 8, 21, 64, 1000])
def test_any_truncation(tau: int) -> None:
    student, teacher, _ = networks(3)
    for T in (math.inf, 5, 30):
        for colour in (None, 0.5):
            want = expected_update(student, teacher, "tbptt", steps=tau, T=T, colour=colour)
            got = expected_learning(
                student, teacher, "tbptt", steps=tau, T=T, colour=colour, updates=1, learning_rate=1.0
            )  # fmt: skip
            np.testing.assert_allclose(student.W - got.network.W, want.dW, rtol=0, atol=1e-13 * np.abs(want.dW).max())
            np.testing.assert_allclose(student.B - got.network.B, want.dB, rtol=0, atol=1e-13 * np.abs(want.dB).max())


@pytest.mark.parametrize("T", [6, math.inf])
@pytest.mark.parametrize("key", ["rflo", "tbptt3", "eprop", "bptt"])
def test_many_steps_are_one_after_the_other(key: str, T: float) -> None:
    student, teacher, R = networks(5, leak=0.7)
    name, own, _, random = RULES[key]
    rates = {"A": 0.02, "W": 0.003, "B": 0.01}
    net, speed, losses = student, {g: np.zeros(getattr(student, g).shape) for g in "AWB"}, []
    for _ in range(30):
        update = expected_update(net, teacher, name, R=R if random else None, T=T, **own)
        losses.append(update.loss)
        for g, delta in zip("AWB", update, strict=False):
            speed[g] = 0.5 * speed[g] + np.asarray(delta)
        moved = {g: np.clip(getattr(net, g) - rates[g] * speed[g], -0.9, 0.9) for g in "AWB"}
        net = net.replace(**moved)
    losses.append(expected_update(net, teacher, name, R=R if random else None, T=T, **own).loss)
    got = learn(
        key, student, teacher, R, 30, T=T, learning_rate=rates, momentum=0.5, clamp=0.9, records=10
    )  # fmt: skip
    assert got.updates.tolist() == list(range(0, 31, 3))
    np.testing.assert_allclose(got.loss[:, 0], np.array(losses)[::3], rtol=1e-11)
    for g in "AWB":
        np.testing.assert_allclose(getattr(got.network, g), getattr(net, g), rtol=0, atol=1e-12)
    assert np.abs(got.network.A).max() == 0.9


def test_students_of_a_stack_are_alone() -> None:
    drawn = [networks(seed, leak=leak) for seed, leak in ((0, 1.0), (1, 0.4), (2, 0.8))]
    teacher, R = drawn[0][1], np.stack([draw[2] for draw in drawn])
    students = [draw[0] for draw in drawn]
    together = expected_learning(students, teacher, "rflo", R=R, updates=40, learning_rate=1e-3)
    assert together.loss.shape == (41, 3)
    for s, student in enumerate(students):
        alone = expected_learning(student, teacher, "rflo", R=R[s], updates=40, learning_rate=1e-3)
        np.testing.assert_array_equal(alone.loss[:, 0], together.loss[:, s])
        np.testing.assert_array_equal(alone.network.W, together.networks[s].W)
    shared = expected_learning(students, teacher, "rflo", R=R[1], updates=40, learning_rate=1e-3)
    np.testing.assert_array_equal(shared.loss[:, 1], together.loss[:, 1])
    assert (shared.loss[1:, 0] != together.loss[1:, 0]).any()


def test_groups_that_are_not_learned_stay() -> None:
    student, teacher, _ = networks(0)
    got = expected_learning(student, teacher, "bptt", updates=5, learn=("W",)).network
    np.testing.assert_array_equal(got.A, student.A)
    np.testing.assert_array_equal(got.B, student.B)
    assert (got.W != student.W).all()


def test_aligned_students_follow_the_mode_equations() -> None:
    a, b, w = np.array([0.3, 0.2]), np.array([0.4, 0.1]), np.array([0.1, -0.2])
    star: dict[str, Any] = {"a_star": [1.0, 0.8], "b_star": [1.0, -0.9], "w_star": [0.6, -0.3]}
    student = Network(np.diag(a), np.diag(w), np.diag(b))
    teacher = Network(np.diag(star["a_star"]), np.diag(star["w_star"]), np.diag(star["b_star"]))
    path = modes("rflo", a, b, w, **star, a_hat=[1.0, 0.7], decay=0.4, t=[0, 5, 10], learning_rate=0.01)
    got = expected_learning(
        student, teacher, "rflo", R=np.diag([1.0, 0.7]), decay=0.4, updates=1000, records=2, learning_rate=0.01
    )  # fmt: skip
    np.testing.assert_allclose(got.loss[:, 0], path.total_loss, rtol=1e-11, atol=1e-14)
    for mine, theirs in ((got.network.A, path.a), (got.network.W, path.w), (got.network.B, path.b)):
        np.testing.assert_allclose(mine, np.diag(theirs[-1]), rtol=0, atol=1e-12)


def test_students_that_diverge_are_frozen_and_reported() -> None:
    student, teacher, _ = networks(0)
    too_large = student.replace(W=student.W * 1.5)
    assert too_large.spectral_radius() > 1.0
    rate = 2e-2
    got = expected_learning([student, too_large], teacher, "bptt", updates=3000, learning_rate=rate)
    assert got.diverged_at[1] == 0 and np.isnan(got.loss[:, 1]).all()
    np.testing.assert_array_equal(got.networks[1].W, too_large.W)
    # For finite T the same student has a loss, so it learns.
    assert np.isfinite(expected_learning(too_large, teacher, "bptt", updates=10, T=5, learning_rate=1e-4).loss).all()
    # A learning rate that is too large: the first update leads out.
    lost = expected_learning(student, teacher, "bptt", updates=100, records=100, learning_rate=1.0)
    when = int(lost.diverged_at[0])
    assert lost.diverged[0] and 0 < when < 100
    assert np.isfinite(lost.loss[:when]).all() and np.isnan(lost.loss[when:]).all()
    assert lost.network.spectral_radius() >= 1.0
    assert f"diverged after {when} updates" in str(lost)
    finite = expected_learning(student, teacher, "bptt", updates=100, records=100, learning_rate=10.0, T=7)
    when = int(finite.diverged_at[0])
    assert expected_update(finite.network, teacher, "bptt", T=7).loss > 1e8
    silent = expected_update(student.replace(A=0.0 * student.A), teacher, "bptt", T=7).loss
    assert (finite.loss[:when] <= 1e8 * max(1.0, silent)).all()
    # An absurd rate leaves finite weights behind.
    absurd = expected_learning(student, teacher, "bptt", updates=10, learning_rate=1e200, T=7)
    assert absurd.diverged[0] and np.isfinite(absurd.network.W).all()


def test_the_loss_goes_to_zero() -> None:
    teacher = Network(np.array([[1.0, 0.5]]), np.diag([0.6, -0.3]), np.array([[1.0, 0.3], [-0.4, 1.0]]))
    student = Network.random(2, 5, 1, spectral_radius=0.4, seed=1, output_scale=0.5)
    got = expected_learning(student, teacher, "bptt", learning_rate=0.05, updates=40_000, T=12)
    assert got.loss[-1, 0] < 1e-8 * got.loss[0, 0]
    assert (np.diff(got.loss[:, 0]) < 0.0).all()
    assert got.updates[0] == 0 and got.updates[-1] == 40_000 and len(got.updates) == 51


SCRIPT = """
import sys
import numpy as np
from test_expected_learning import bits
np.savez(sys.argv[1], **bits())
"""


def bits() -> dict[str, Array]:
    """What a few updates of every rule give."""
    found: dict[str, Array] = {}
    for key in sorted(RULES):
        for T in (math.inf, 3):
            for colour in (None, 0.5):
                student, teacher, R = networks(1, 11, 3, 3, 2, 0.7, 0.9)
                result = learn(
                    key, student, teacher, R, 3, T=T, colour=colour, learning_rate=1e-3, momentum=0.5, loss_steps="all"
                )  # fmt: skip
                for name in "AWB":
                    found[f"{key}-{T}-{colour}-{name}"] = getattr(result.network, name)
                found[f"{key}-{T}-{colour}-loss"] = result.loss
    return found


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")
def test_plain_python_gives_the_same_bits_and_one_compilation_serves_all(tmp_path: Path) -> None:
    path = tmp_path / "plain.npz"
    python_process(SCRIPT, path, NUMBA_DISABLE_JIT="1")
    compiled = bits()
    with np.load(path) as plain:
        assert set(plain) == set(compiled)
        for name, array in compiled.items():
            np.testing.assert_array_equal(array, plain[name], err_msg=name)
    assert len(learn_expected.signatures) == 1


def test_refusals() -> None:
    student, teacher, R = networks(0)
    call: dict[str, Any] = {"updates": 3}
    with pytest.raises(InputError, match="did you mean 'rflo'"):
        expected_learning(student, teacher, "rflow", **call)
    with pytest.raises(InputError, match=r"sizes .*\(2, 4, 2\), \(2, 5, 2\)"):
        expected_learning([student, networks(0, n=5)[0]], teacher, "bptt", **call)
    with pytest.raises(InputError, match="nonempty list"):
        expected_learning([], teacher, "bptt", **call)
    with pytest.raises(InputError, match="2 matrices for 1 students"):
        expected_learning(student, teacher, "rflo", R=np.stack([R, R]), **call)
    with pytest.raises(InputError, match="has no R"):
        expected_learning(student, teacher, "bptt", R=R, **call)
    with pytest.raises(InputError, match="give R"):
        expected_learning(student, teacher, "fa_bptt", **call)
    with pytest.raises(InputError, match=r"teacher's spectral radius is 1\.2"):
        expected_learning(student, teacher.replace(W=1.2 * np.eye(3)), "bptt", **call)
    with pytest.raises(InputError, match="overflow within 9000 steps"):
        expected_learning(student, teacher.replace(W=1.2 * np.eye(3)), "bptt", T=9000, **call)
    with pytest.raises(InputError, match="product below 1"):
        expected_learning(student, teacher, "rflo", decay=1.6, **call)
    with pytest.raises(InputError, match="updates = 0"):
        expected_learning(student, teacher, "bptt", updates=0)
    with pytest.raises(InputError, match="learning_rate = -1"):
        expected_learning(student, teacher, "bptt", learning_rate=-1, **call)
    with pytest.raises(InputError, match="no rate for W, B"):
        expected_learning(student, teacher, "bptt", learning_rate={"A": 1.0}, **call)
    with pytest.raises(InputError, match="must agree"):
        expected_learning(student, networks(0, m=3)[1], "bptt", **call)
    with pytest.raises(InputError, match="there are 2 students"):
        _ = expected_learning([student, student], teacher, "bptt", **call).network
