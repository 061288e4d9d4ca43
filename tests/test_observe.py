"""What is written down along the way: the curves are what they say, and looking changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import draw_network
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn.mode_frame import ModeFrame
from neurolrnn.network import Network
from neurolrnn.observe import SPECTRUM_UP_TO
from neurolrnn.tasks.common import haar, stream
from neurolrnn.tasks.teacher_student import aligned_student, aligned_teacher, bases, random_teacher

MODES: dict[str, Any] = {"a_star": [1.2, 0.9], "b_star": [1.0, -1.1], "w_star": [0.6, -0.3]}
START = [0.3, 0.2], [0.25, -0.1], [0.2, 0.1], [0.8, 1.1]


def make_task(**options: Any) -> nl.Task:
    sizes = {"n_in": 3, "n_rec": 4, "n_out": 2, "rotate": True, "sequences": 12, "steps": 8, "seed": 3}
    return nl.tasks.load("teacher-student", **{**MODES, **sizes, **options})


def learn(task: nl.Task, net: Network, R: Any = "random", **options: Any) -> nl.Run:
    rule = nl.RFLO(decay=0.5, feedback=R)
    settings: dict[str, Any] = {"learning_rate": 0.01, "epochs": 2, "records": 6, "progress": False, **options}
    return nl.simulate(net, task, rule, nl.Precision.float64(), **settings)


def test_curves_are_of_the_weights_at_that_step() -> None:
    task = make_task()
    student, R = aligned_student(task, *START, n_rec=5, seed=7)
    run = learn(task, student, R)
    U, _, V = bases(task)
    P = haar(stream(7, "teacher-student/student"), 5)
    A, W, B = run.network.A, run.network.W, run.network.B
    # All of it in full bases, as the definition has it; the code forms none of these matrices.
    inside = U.T @ A @ P, P.T @ W @ P, P.T @ B @ V
    for name, whole in zip("awb", inside, strict=True):
        assert run.records[f"mode.{name}"].shape == (6, 2)
        np.testing.assert_allclose(run.records[f"mode.{name}"][-1], np.diag(whole)[:2], atol=1e-13)
    off = 0.0
    for whole in inside:
        rest = whole.copy()
        rest[[0, 1], [0, 1]] = 0.0
        off += float((rest**2).sum())
    total = sum(float((whole**2).sum()) for whole in inside)
    assert run.records["mode.off_diagonal"][-1] == pytest.approx(np.sqrt(off / total), rel=1e-12)
    assert run.records["mode.off_diagonal"][-1] > 1e-4  # sampled inputs leave the modes
    for name, through in (("AB", A @ B), ("AWB", A @ W @ B)):
        M = U.T @ through @ V
        share = np.linalg.norm(np.diag(M)[:2]) / np.linalg.norm(M)
        assert run.records[f"alignment.{name}"][-1] == pytest.approx(share, rel=1e-12)
    cosine = (A * R).sum() / (np.linalg.norm(A) * np.linalg.norm(R))
    assert run.records["feedback_cosine"][-1] == pytest.approx(cosine, rel=1e-14)
    assert run.records["spectral_radius"][-1] == run.network.spectral_radius()


def test_a_resumed_run_has_the_curves_of_an_uninterrupted_one(tmp_path: Any) -> None:
    task = make_task()
    student, R = aligned_student(task, *START, seed=7)
    whole, part = learn(task, student, R), learn(task, student, R, stop_at=71)
    assert part.status == "interrupted"
    resumed = learn(task, student, R, resume=nl.Run.load(part.save(tmp_path / "part.npz")))
    assert list(resumed.records) == list(whole.records)
    for name, curve in whole.records.items():
        assert resumed.records[name].dtype == curve.dtype
        np.testing.assert_array_equal(resumed.records[name], curve, err_msg=name)
    again = nl.Run.load(whole.save(tmp_path / "whole.npz"))
    np.testing.assert_array_equal(again.records["mode.w"], whole.records["mode.w"])


def test_a_student_that_is_not_aligned_has_shares_and_no_modes() -> None:
    run = learn(make_task(), draw_network(3, 6, 2, leak=1.0))
    assert {"alignment.AB", "alignment.AWB"} <= set(run.records)
    assert not [name for name in run.records if name.startswith("mode.")]


def test_without_a_teacher_there_is_nothing_to_align_with() -> None:
    task = make_task()
    run = learn(nl.Task("own", task.train), draw_network(3, 6, 2, leak=1.0))
    assert set(run.records) == {"step", "loss", "state_rms", "feedback_cosine", "spectral_radius"}


def test_large_networks_are_not_looked_at() -> None:
    task = make_task(sequences=1, test_sequences=0)
    n = SPECTRUM_UP_TO + 1
    net = Network(np.zeros((2, n)), np.zeros((n, n)), np.full((n, 3), 0.1))
    run = learn(task, net, epochs=1, records=2)
    assert set(run.records) == {"step", "loss", "state_rms", "feedback_cosine"}


# --- the frame


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("given", [True, False], ids=["by-name", "as-arrays"])
def test_the_basis_of_an_aligned_student_is_found(seed: int | None, given: bool) -> None:
    teacher = aligned_teacher(**MODES, n_in=3, n_rec=4, n_out=2, rotate=True, seed=1)
    student, R = aligned_student(teacher, *START, n_rec=6, seed=seed)
    if not given:
        student = Network(student.A, student.W, student.B)
    frame = ModeFrame.of(student, teacher, R)
    assert frame.aligned
    a, b, w = frame.modes(student)
    # One sign per mode cannot be seen in weights alone: (a, b, â) and (-a, -b, -â) are one network.
    sign = np.sign(a * START[0]) if not given else np.ones(2)
    a_hat, rest = frame.feedback_modes(R)
    for found, wanted in ((a * sign, START[0]), (b * sign, START[1]), (w, START[2]), (a_hat * sign, START[3])):
        np.testing.assert_allclose(found, wanted, atol=1e-14)
    assert rest < 1e-14 and frame.off_diagonal(student) < 1e-14


def test_a_mode_that_is_silent_is_found_by_the_others() -> None:
    teacher = aligned_teacher(**MODES, rotate=True, seed=1)
    student, R = aligned_student(teacher, [0.0, 0.2], [0.3, 0.0], [0.2, 0.1], [0.8, 1.1], seed=3)
    frame = ModeFrame.of(Network(student.A, student.W, student.B), teacher)
    np.testing.assert_allclose(np.abs(np.array(frame.modes(student))), [[0, 0.2], [0.3, 0], [0.2, 0.1]], atol=1e-14)
    silent, R = aligned_student(teacher, [0.0, 0.0], [0.0, 0.0], [0.2, 0.1], [0.8, 1.1], seed=3)
    bare = Network(silent.A, silent.W, silent.B)
    assert not ModeFrame.of(bare, teacher).aligned
    np.testing.assert_allclose(ModeFrame.of(bare, teacher, R).modes(silent)[2], [0.2, 0.1], atol=1e-14)


def test_what_is_nearly_aligned_is_not_taken_as_aligned() -> None:
    teacher = aligned_teacher(**MODES, rotate=True, seed=1)
    student, R = aligned_student(teacher, *START, seed=3)
    W = student.W.copy()
    W[0, 1] += 1e-6
    assert not ModeFrame.of(student.replace(W=W), teacher, R).aligned
    too_few, _ = aligned_student(teacher, *([x[0]] for x in START), n_rec=1)
    assert not ModeFrame.of(too_few, teacher).aligned


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 7))
def test_shares_see_inputs_and_outputs_only(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    teacher = random_teacher("gaussian", 3, 5, 2, seed=seed)
    net = Network(rng.normal(size=(2, n)), rng.normal(size=(n, n)), rng.normal(size=(n, 3)))
    frame = ModeFrame.of(net, teacher)
    Q = haar(rng, n)
    turned = Network(net.A @ Q, Q.T @ net.W @ Q, Q.T @ net.B)
    np.testing.assert_allclose(frame.shares(net), frame.shares(turned), rtol=1e-9)
    assert all(0.0 <= share <= 1.0 + 1e-12 for share in frame.shares(net))
    assert frame.shares(teacher)[0] == pytest.approx(1.0, abs=1e-12)


def test_a_share_of_nothing_is_no_number() -> None:
    teacher = random_teacher("gaussian", 3, 5, 2)
    net = Network(np.zeros((2, 4)), np.eye(4), np.ones((4, 3)))
    assert np.isnan(ModeFrame.of(net, teacher).shares(net)).all()
