"""The Schur basis: the same learner, in another basis of its units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn import basis as bases
from neurolrnn.block_matrix import BlockMatrix

KINDS = ("gaussian", "orthogonal", "symmetric", "block", "defective", "skew", "circulant", "zero", "twins")


def recurrent(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    G = rng.normal(size=(n, n)) / np.sqrt(n)
    if kind in ("gaussian", "orthogonal", "symmetric", "block"):
        return nl.Network.random(1, n, 1, kind=kind, seed=int(rng.integers(1e6))).W  # type: ignore[arg-type]
    Q = np.linalg.qr(G)[0]
    return {
        "defective": Q @ (0.5 * np.eye(n) + np.diag(np.ones(n - 1), 1)) @ Q.T,  # one Jordan block
        "skew": G - G.T,
        "circulant": np.array([np.roll(G[0], k) for k in range(n)]),
        "zero": np.zeros((n, n)),
        "twins": Q @ np.diag(np.repeat([0.5, -0.5], [n // 2, n - n // 2])) @ Q.T,  # symmetric, up to rounding
    }[kind]


def problem(seed: int, kind: str, n: int, leak: float) -> tuple[nl.Network, nl.Task]:
    rng = np.random.default_rng(seed)
    m, o = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    W = recurrent(kind, n, rng)
    W = 0.6 * W / max(np.linalg.norm(W, 2), 1e-9)
    net = nl.Network(0.3 * rng.normal(size=(o, n)), W, 0.5 * rng.normal(size=(n, m)), leak)
    x, y = ([rng.normal(size=(T, k)) for T in (7, 30, 1)] for k in (m, o))
    return net, nl.Task("own", nl.Sequences.from_arrays(x, y))


def relative(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / max(np.abs(np.asarray(b)).max(), 1e-300))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS), n=st.integers(1, 14), leak=st.sampled_from([1.0, 0.3]),
    decay=st.sampled_from([None, 0.5, -0.4]), given_R=st.booleans(), momentum=st.sampled_from([0.0, 0.0, 0.5]),
    update=st.sampled_from(["online", "online", "episode"]), batch=st.integers(1, 2),
)  # fmt: skip
def test_every_run_is_that_of_the_dense_rule(
    seed: int, kind: str, n: int, leak: float, decay: float | None, given_R: bool, momentum: float, update: str,
    batch: int,
) -> None:  # fmt: skip
    net, task = problem(seed, kind, n, leak)
    feedback: Any = np.random.default_rng(seed).normal(size=(net.n_out, n)) / n**0.5 if given_R else "random"
    settings_ = dict(
        precision=nl.Precision.float64(), learning_rate={"A": 0.005, "W": 0.002, "B": 0.003}, momentum=momentum,
        update=update, batch=batch, progress=False, epochs=2, records=5,
    )  # fmt: skip
    want = nl.simulate(net, task, nl.RFLO(decay, "dense", feedback=feedback), **settings_)
    run = nl.simulate(net, task, nl.RFLO(decay, basis="schur", feedback=feedback), **settings_)
    for group in "AWB":
        assert relative(getattr(run.network, group), getattr(want.network, group)) < 1e-12
    assert relative(run.loss, want.loss) < 1e-12
    assert run.metrics["train_loss"] == pytest.approx(want.metrics["train_loss"], rel=1e-11)
    assert relative(run.records["feedback_cosine"], want.records["feedback_cosine"]) < 1e-11
    assert run.records["state_rms"] == pytest.approx(want.records["state_rms"], rel=1e-11)
    M, N = run.factors  # type: ignore[misc]
    assert relative(net.W + run.feedback.T @ M, run.network.W) < 1e-14  # type: ignore[union-attr]
    assert relative(net.B + run.feedback.T @ N, run.network.B) < 1e-14  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_decomposition(kind: str, n: int) -> None:
    W = recurrent(kind, n, np.random.default_rng(n))
    form, T, Q = bases.decompose(W)
    dense = T.dense() if isinstance(T, BlockMatrix) else T
    scale = max(float(np.linalg.norm(W)), 1.0)
    assert np.abs(Q @ dense @ Q.T - W).max() < 1e-13 * scale
    assert np.abs(Q.T @ Q - np.eye(n)).max() < 1e-13
    if kind in ("orthogonal", "symmetric", "block", "skew", "circulant", "zero", "twins"):
        assert form == "blocks"
    elif n > 2:
        assert form == "triangle" and not np.tril(dense, -2).any()


def run_with(net: nl.Network, task: nl.Task, rule: nl.Rule | None = None, **options: Any) -> nl.Run:
    return nl.simulate(net, task, rule or nl.RFLO(), learning_rate=1e-3, progress=False, records=2, **options)


def test_auto_takes_the_basis_where_it_pays() -> None:
    task = nl.tasks.load("teacher-student", sequences=2, steps=50, test_sequences=1)
    few = run_with(nl.Network.random(3, 48, 2, kind="orthogonal"), task)
    assert few.basis["held_as"] == "dense" and "takes longer" in few.basis["why"]
    small = run_with(nl.Network.random(3, 16, 2), task, epochs=20)
    assert small.basis["held_as"] == "dense" and "16 units" in small.basis["why"]
    net = nl.Network.random(3, 40, 2, kind="symmetric")
    many = run_with(net, task, epochs=4)
    assert many.basis["held_as"] == "blocks" and many.basis["rotated"] and many.basis["seconds"] > 0
    assert many.timing["basis"] == many.basis["seconds"]
    assert run_with(net, task, epochs=4).basis["seconds"] == 0.0  # it is kept
    blocks = run_with(nl.Network.random(3, 16, 2, kind="block"), task)
    assert blocks.basis["held_as"] == "blocks" and not blocks.basis["rotated"]
    assert "held as blocks" in blocks.summary() or "as blocks" in blocks.summary()


def test_the_choice_does_not_depend_on_what_ran_before() -> None:
    net, task = problem(0, "orthogonal", 30, 1.0)
    before = run_with(net, task)
    run_with(net, task, nl.RFLO(basis="schur"))
    after = run_with(net, task)
    assert before.basis == after.basis and before.basis["held_as"] == "dense"
    np.testing.assert_array_equal(before.network.W, after.network.W)


@pytest.mark.parametrize(
    ("rule", "options", "words"),
    [
        (nl.RFLO(storage="dense", basis="schur"), {}, "learns W itself"),
        (nl.RFLO(basis="schur"), {"precision": nl.Precision.preset("int16")}, "rounding"),
        (nl.RFLO(basis="schur"), {"clamp": 1.0}, "clamp"),
        (nl.RFLO(basis="schur"), {"ranges": True}, "ranges"),
    ],
)
def test_it_is_refused_where_it_is_another_learner(rule: nl.RFLO, options: dict[str, Any], words: str) -> None:
    net, task = problem(1, "gaussian", 6, 1.0)
    with pytest.raises(nl.InputError, match=words):
        run_with(net, task, rule, **options)
    auto = nl.RFLO(storage=rule.storage)
    assert run_with(net, task, auto, **options).basis["rotated"] is False


def test_sparse_weights_have_no_schur_basis() -> None:
    net = nl.Network.random(3, 16, 2, kind="sparse", density=0.2)
    task = nl.tasks.load("teacher-student", sequences=2, steps=20, test_sequences=1)
    with pytest.raises(nl.InputError, match="sparse"):
        run_with(net, task, nl.RFLO(basis="schur"))
    assert run_with(net, task, nl.RFLO()).basis["held_as"] == "sparse"


def test_auto_counts_what_a_triangle_saves() -> None:
    net = nl.Network.random(3, 130, 2, spectral_radius=0.5, input_scale=0.3)
    task = nl.tasks.load("teacher-student", sequences=2, steps=4000, test_sequences=1)
    run = run_with(net, task)
    assert run.basis["held_as"] == "dense" and "pays from 15," in run.basis["why"]
    assert run_with(net, task, epochs=2).basis["held_as"] == "triangle"


def test_unknown_basis() -> None:
    with pytest.raises(nl.InputError, match="basis"):
        nl.RFLO(basis="fourier")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal", "block"])
def test_an_interrupted_run_goes_on_bit_for_bit(kind: str, tmp_path: Any) -> None:
    net, task = problem(2, kind, 10, 0.5)
    rule = nl.RFLO(basis="schur")
    whole = run_with(net, task, rule, epochs=3)
    part = run_with(net, task, rule, epochs=3, stop_at=50)
    bases._decompositions.clear()
    rest = run_with(net, task, rule, epochs=3, resume=nl.Run.load(part.save(tmp_path / "part.npz")))
    for group in "AWB":
        np.testing.assert_array_equal(getattr(rest.network, group), getattr(whole.network, group))
    np.testing.assert_array_equal(rest.loss, whole.loss)


@pytest.mark.parametrize("preset", ["float32", "int16", "int8"])
def test_blocks_are_the_dense_learner_bit_for_bit(preset: str) -> None:
    """Zeros add nothing: in fixed point every code, in floating point every bit."""
    rng = np.random.default_rng(5)
    blocks = nl.Network.random(2, 13, 2, kind="block", leak=0.5, spectral_radius=0.7, output_scale=0.5)
    x, y = rng.normal(size=(2, 60, 2))
    task = nl.Task("own", nl.Sequences.from_arrays(x, y))
    chain = np.zeros((13, 13))
    chain[0, 5] = 1e-300  # rounds to 0, but is no block: this network is held densely
    dense = nl.Network(blocks.A, blocks.W + chain, blocks.B, 0.5)
    runs = [
        nl.simulate(net, task, nl.RFLO(basis="given"), nl.Precision.preset(preset), learning_rate=0.02, progress=False)
        for net in (blocks, dense)
    ]
    assert [run.basis["held_as"] for run in runs] == ["blocks", "dense"]
    for name in ("A", "W", "B"):
        np.testing.assert_array_equal(getattr(runs[0].network, name), getattr(runs[1].network, name))
    np.testing.assert_array_equal(runs[0].loss, runs[1].loss)
    assert runs[0].saturation == runs[1].saturation
