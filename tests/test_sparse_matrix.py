"""Sparse recurrent weights as users give, draw, keep and get them; how they learn is in test_sparse_learning.py."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn.cli import main
from neurolrnn.errors import InputError
from neurolrnn.sparse_layout import SparseLayout
from neurolrnn.sparse_matrix import CIRCULAR_LAW_ABOVE, SparseMatrix
from neurolrnn_kernels.sparse import Slices

ROWS: dict[str, Any] = {"values": [1.0, 2.0, 3.0], "sources": [1, 0, 2], "starts": [0, 1, 1, 3]}
"""Unit 0 hears unit 1, unit 1 nobody, unit 2 units 0 and 2."""


def draw(seed: int, n: int, density: float) -> tuple[np.ndarray, np.ndarray]:
    """A matrix and which of its synapses exist; some of those have weight 0, some units hear nobody."""
    rng = np.random.default_rng(seed)
    keep = (rng.random((n, n)) < density) & (rng.random(n) < 0.9)[:, np.newaxis]
    return np.where(keep & (rng.random((n, n)) < 0.9), rng.normal(size=(n, n)), 0.0), keep


# --- given


def test_rows_are_receiving_units() -> None:
    W = SparseMatrix(**ROWS)
    np.testing.assert_array_equal(W.dense(), [[0, 1, 0], [0, 0, 0], [2, 0, 3]])
    assert (W.shape, W.synapses, W.density) == ((3, 3), 3, 1 / 3)
    np.testing.assert_array_equal(W.receivers, [0, 2, 2])
    assert not any(array.flags.writeable for array in W.arrays().values())


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.0, 1.0))
def test_every_way_in_is_the_same_matrix(seed: int, n: int, density: float) -> None:
    dense, keep = draw(seed, n, density)
    W = SparseMatrix.from_dense(dense, keep)
    np.testing.assert_array_equal(W.dense(), dense)
    np.testing.assert_array_equal(W.mask, keep)
    assert W.synapses == keep.sum()
    np.testing.assert_array_equal(SparseMatrix.from_dense(dense).mask, dense != 0)
    where = np.nonzero(keep)
    shuffled = np.random.default_rng(seed).permutation(len(where[0]))
    triples = dense[where][shuffled], (where[0][shuffled], where[1][shuffled])
    for make in (scipy.sparse.coo_array, scipy.sparse.csc_matrix, scipy.sparse.csr_array):
        other = SparseMatrix.from_scipy(make(triples, shape=(n, n)))
        for name, array in W.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[name])


def test_duplicates_of_scipy_are_added_and_its_matrix_is_left_alone() -> None:
    given_matrix = scipy.sparse.csr_array((np.ones(3), np.array([1, 0, 1]), np.array([0, 3, 3])), shape=(2, 2))
    W = SparseMatrix.from_scipy(given_matrix)
    np.testing.assert_array_equal(W.dense(), [[1, 2], [0, 0]])
    assert given_matrix.nnz == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"values": [1.0, np.nan, 3.0]}, "not finite"),
        ({"values": [[1.0, 2.0, 3.0]]}, "2 dimensions"),
        ({"values": [1.0, 2.0]}, "0 to 2 are allowed"),
        ({"sources": [1, 0]}, "3 and 2 numbers"),
        ({"sources": [1, 2, 0]}, "unit 2 are not strictly ascending"),
        ({"sources": [1, 2, 2]}, "unit 2 are not strictly ascending"),
        ({"sources": [1, 0, 3]}, "0 to 2 are allowed"),
        ({"sources": [-1, 0, 2]}, "from -1 to 2"),
        ({"sources": [1.0, 0.0, 2.0]}, "vector of integers"),
        ({"starts": [0, 2, 1, 3]}, "must ascend"),
        ({"starts": [1, 1, 1, 3]}, "must ascend"),
        ({"starts": [0, 1, 1, 2]}, "must ascend"),
        ({"starts": [0]}, "at least 2"),
        ({"left": np.ones((1, 3))}, "differ in shape"),
        ({"left": np.ones((1, 2)), "right": np.ones((1, 2))}, r"\(k, 3\) is needed"),
        ({"left": np.ones((1, 3)), "right": np.full((1, 3), np.inf)}, "not finite"),
    ],
)
def test_what_is_no_sparse_matrix_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SparseMatrix(**{**ROWS, **changes})


def test_what_cannot_become_one_is_refused() -> None:
    with pytest.raises(InputError, match="square"):
        SparseMatrix.from_dense(np.ones((2, 3)))
    with pytest.raises(InputError, match="bool"):
        SparseMatrix.from_dense(np.ones((2, 2)), keep=np.ones((2, 2)))
    with pytest.raises(InputError, match="bool"):
        SparseMatrix.from_dense(np.ones((2, 2)), keep=np.ones((3, 3), bool))
    with pytest.raises(InputError, match="without tocsr"):
        SparseMatrix.from_scipy(np.ones((2, 2)))
    with pytest.raises(InputError, match="square"):
        SparseMatrix.from_scipy(scipy.sparse.csr_array(np.ones((2, 3))))
    with pytest.raises(InputError, match="real weights"):
        SparseMatrix.from_scipy(scipy.sparse.csr_array(np.eye(2) * 1j))


# --- laid out for kernels


@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.floats(0.0, 1.0), st.booleans())
def test_every_synapse_has_one_place(seed: int, n: int, density: float, codes: bool) -> None:
    dense, keep = draw(seed, n, density)
    W = SparseMatrix.from_dense(dense, keep)
    layout = SparseLayout(W, codes)
    assert sorted(layout.order) == list(range(W.synapses))
    held = layout.into(W.values)
    np.testing.assert_array_equal(layout.back(held), W.values)
    np.testing.assert_array_equal(layout.dense(held), dense)
    form = layout.hold(held)
    own = np.where(form.own >= 0, held[0][form.own], 0.0) if W.synapses else np.zeros(n)
    np.testing.assert_array_equal(own, np.diag(dense))
    np.testing.assert_array_equal(form.own >= 0, np.diag(keep))
    if isinstance(form, Slices):
        assert len(form.late) + form.starts[-1] == W.synapses
        # but for units that fill no slice, at most 15 times what the busiest unit hears is left over
        heard = np.sort(keep.sum(axis=1))
        assert len(form.late) <= 15 * heard[-1] + heard[: n % 16].sum()
    else:  # dense order, input-major
        senders = np.repeat(np.arange(n), np.diff(form.starts))
        numbers = senders * n + form.receivers
        assert (np.diff(numbers) > 0).all()
        np.testing.assert_array_equal(np.flatnonzero(keep.T), numbers)


# --- drawn


def test_a_drawn_network_has_density_and_radius() -> None:
    net = nl.Network.random(2, 200, 2, spectral_radius=0.7, kind="sparse", density=0.05, seed=3)
    W = net.sparse
    assert W is not None and W.density == 0.05
    assert set(np.diff(W.starts)) == {10}
    assert np.abs(np.linalg.eigvals(net.W)).max() == pytest.approx(0.7)
    assert net.origin["density"] == 0.05
    again = nl.Network.random(2, 200, 2, spectral_radius=0.7, kind="sparse", density=0.05, seed=3)
    assert net.digest() == again.digest()
    assert net.digest() != nl.Network.random(2, 200, 2, spectral_radius=0.7, kind="sparse", density=0.06).digest()
    default = nl.Network.random(2, 50, 2, kind="sparse")
    assert default.sparse is not None and default.sparse.density == 0.1


def test_the_circular_law_scales_large_networks() -> None:
    rng = np.random.default_rng(0)
    n = CIRCULAR_LAW_ABOVE + 200
    W = SparseMatrix.random(rng, n, 0.03, 0.8)
    # the largest of n eigenvalues lies a little beyond the edge of the disc
    assert float(np.abs(np.linalg.eigvals(W.dense())).max()) == pytest.approx(0.8, rel=0.06)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "gaussian", "density": 0.1}, "density = 0.1 is of kind = 'sparse', not of 'gaussian'"),
        ({"kind": "sparse", "density": 0.0}, "density"),
        ({"kind": "sparse", "density": 1.5}, "density"),
        ({"kind": "sparse", "density": "many"}, "density"),
    ],
)
def test_densities_that_are_none_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        nl.Network.random(2, 10, 2, **options)


# --- in a network


def test_a_network_keeps_the_form_it_was_given() -> None:
    dense, keep = draw(5, 12, 0.4)
    W = SparseMatrix.from_dense(dense, keep)
    A, B = np.ones((1, 12)), np.ones((12, 1))
    for given_W in (W, scipy.sparse.csr_array(dense)):
        net = nl.Network.from_sparse(A, given_W, B, 0.5)
        assert net.sparse is not None and net.blocks is None and net.held is net.sparse
        np.testing.assert_array_equal(net.W, dense)
        assert net.replace(leak=0.3).sparse is net.sparse
    assert nl.Network(A, scipy.sparse.csr_array(dense), B).sparse is not None
    assert net.replace(W=net.W).sparse is None
    assert nl.Network.from_sparse(A, W, B).digest() != nl.Network(A, dense, B).digest()
    assert nl.Network.from_sparse(A, W, B, 0.5).spectral_radius() == nl.Network(A, dense, B, 0.5).spectral_radius()
    with pytest.raises(InputError, match=r"W \(12, 12\)"):
        nl.Network.from_sparse(np.ones((1, 11)), W, B)


def test_many_units_are_never_written_out() -> None:
    """20 000 units at density 0.005 have 2 million synapses; n² truth values alone would be 400 MB."""
    n, heard = 20_000, 100
    rng = np.random.default_rng(0)
    tracemalloc.start()
    try:
        # senders in a random order of strides: distinct, and drawn at once
        sources = np.sort((rng.integers(0, n, (n, 1)) + np.arange(heard) * 197) % n, axis=1).astype(np.int32)
        values = rng.normal(0, 0.05, n * heard)
        W = SparseMatrix(values, sources.ravel(), np.arange(n + 1) * heard)
        net = nl.Network(rng.normal(0, 0.01, (2, n)), W, rng.normal(size=(n, 2)), 0.5)  # type: ignore[arg-type]
        data = nl.Sequences.from_arrays(rng.normal(size=(6, 2)), rng.normal(size=(6, 2)))
        for rule in (nl.RFLO(storage="dense"), nl.RFLO(), nl.TruncatedBPTT(2), nl.EProp()):
            run = nl.simulate(net, nl.Task("own", data), rule, None, 1e-6, progress=False)
            assert run.network.sparse is not None and run.basis is not None and run.basis["held_as"] == "sparse"
            assert run.network.sparse.synapses == n * heard
            run.network.digest()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n * n, f"{peak / 1e6:.0f} MB"
    assert "W" not in vars(net) and "W" not in vars(run.network)


# --- files


def test_runs_are_saved_and_resumed(tmp_path: Path) -> None:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=8, steps=12, seed=1)
    net = nl.Network.random(2, 37, 2, leak=0.5, seed=3, kind="sparse", density=0.2)
    rules: list[tuple[nl.Rule, dict[str, Any]]] = [
        (nl.RFLO(storage="dense"), {}),
        (nl.RFLO(), {}),
        (nl.EProp(), {"momentum": 0.5}),
        (nl.TruncatedBPTT(2), {"update": "episode", "batch": 2}),
        (nl.EProp(), {"precision": nl.Precision(weight="s2.9", state="s4.9", rounding="stochastic")}),
    ]
    for rule, options in rules:
        run = nl.simulate(net, task, rule, learning_rate=0.01, progress=False, **options)
        stopped = nl.simulate(net, task, rule, learning_rate=0.01, progress=False, stop_at=31, **options)
        loaded = nl.Run.load(stopped.save(tmp_path / "run.npz"))
        assert not [name for name in loaded.state if "sources" in name or "receivers" in name]
        resumed = nl.simulate(net, task, rule, learning_rate=0.01, progress=False, resume=loaded, **options)
        again = nl.Run.load(resumed.save(tmp_path / "run.npz"))
        assert again.network.sparse is not None and again.initial.sparse is not None
        assert again.network.digest() == run.network.digest() and again.initial.digest() == net.digest()
        assert again.digest == run.digest
        learned, initial = again.network.sparse, net.sparse
        assert initial is not None
        np.testing.assert_array_equal(learned.mask, initial.mask)
        assert len(learned.left) == (2 if rule.options().get("storage") == "factored" else 0)


def test_experiments_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = nl.Experiment.builtin(["network.kind=sparse", "network.density=0.3", "network.n_rec=20"])
    network = experiment.build()[0]
    assert network.sparse is not None and network.sparse.density == 0.3
    path = tmp_path / "sparse.toml"
    path.write_text(experiment.to_toml(), encoding="utf-8")
    assert "density = 0.3" in path.read_text(encoding="utf-8")
    assert nl.Experiment.load(path).digest == experiment.digest
    out = tmp_path / "run.npz"
    assert main(["simulate", str(path), "-o", str(out), "--set", "training.epochs=1"]) == 0
    assert "as sparse" in capsys.readouterr().out
    run = nl.Run.load(out)
    assert run.network.sparse is not None
    assert nl.Experiment.from_run(run).network.density == 0.3
    with pytest.raises(InputError, match=r"network\.density = 0.3 is of kind"):
        nl.Experiment.load(path, ["network.kind=gaussian"])
    dense = nl.Experiment.builtin()
    assert "density" not in dense.to_toml() and "density" not in dense.described["network"]
