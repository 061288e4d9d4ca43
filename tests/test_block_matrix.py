"""Recurrent weights held as blocks, and networks that have them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn.block_matrix import BlockMatrix, blocks_of, random_rotations


def random_blocks(seed: int, n: int) -> BlockMatrix:
    rng = np.random.default_rng(seed)
    own, before, after = rng.normal(size=(3, n))
    linked = np.zeros(n, bool)  # with the next unit
    i = 0
    while i + 1 < n:
        linked[i] = rng.random() < 0.6
        i += 2 if linked[i] else 1
    after[~linked] = 0.0
    before[1:][~linked[:-1]] = before[0] = 0.0
    return BlockMatrix(own, before, after)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_blocks_come_back_from_the_matrix(seed: int, n: int) -> None:
    blocks = random_blocks(seed, n)
    again = blocks_of(blocks.dense())
    assert again is not None
    for name, array in blocks.arrays().items():
        np.testing.assert_array_equal(getattr(again, name), array)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([1.0, 0.3]))
def test_eigenvalues_are_those_of_the_matrix(seed: int, n: int, leak: float) -> None:
    blocks = random_blocks(seed, n)
    want = np.linalg.eigvals((1 - leak) * np.eye(n) + leak * blocks.dense())
    found = blocks.eigenvalues(leak)
    for value in want:  # as sets: each has a partner
        assert np.abs(found - value).min() < 1e-7
    np.testing.assert_allclose(found.sum(), want.sum(), atol=1e-10)


def test_low_rank_part() -> None:
    rng = np.random.default_rng(0)
    blocks, R, M = random_blocks(3, 7), rng.normal(size=(2, 7)), rng.normal(size=(2, 7))
    both = blocks.plus(R, M).plus(R, M)
    np.testing.assert_allclose(both.dense(), blocks.dense() + 2 * R.T @ M, atol=1e-14)
    np.testing.assert_allclose(
        np.sort_complex(both.eigenvalues(0.5)),
        np.sort_complex(np.linalg.eigvals(0.5 * np.eye(7) + 0.5 * both.dense())), atol=1e-9,
    )  # fmt: skip


def test_not_every_matrix_is_blocks() -> None:
    assert blocks_of(np.ones((3, 3))) is None
    assert blocks_of(np.diag(np.ones(2), 1) + np.diag(np.ones(2), -1)) is None  # a chain of three
    assert blocks_of(np.eye(3) + 1e-9 * np.ones((3, 3))) is None
    assert blocks_of(np.eye(3) + 1e-9 * np.ones((3, 3)), tolerance=1e-8) is not None


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (dict(own=[1.0, 2.0], before=[0.0], after=[0.0, 0.0]), "one per unit"),
        (dict(own=[], before=[], after=[]), "at least 1"),
        (dict(own=[1.0, 2.0], before=[1.0, 0.0], after=[0.0, 0.0]), "no neighbour"),
        (dict(own=[1.0, 2.0], before=[0.0, 0.0], after=[0.0, 1.0]), "no neighbour"),
        (dict(own=[1.0, np.nan], before=[0.0, 0.0], after=[0.0, 0.0]), "finite"),
        (dict(own=[1.0] * 3, before=[0.0, 1.0, 1.0], after=[0.0] * 3), "both its neighbours"),
        (dict(own=[1.0] * 3, before=[0.0] * 3, after=[0.0] * 3, left=np.ones((2, 2)), right=np.ones((2, 3))), "left"),
        (dict(own=[1.0] * 3, before=[0.0] * 3, after=[0.0] * 3, left=np.ones((2, 3)), right=np.ones((1, 3))), "differ"),
    ],
)
def test_refusals(parts: dict[str, object], words: str) -> None:
    with pytest.raises(nl.InputError, match=words):
        BlockMatrix(**parts)  # type: ignore[arg-type]


def test_a_network_of_blocks_forms_its_weights_when_asked() -> None:
    net = nl.Network.random(2, 6, 1, kind="block", spectral_radius=0.8, seed=4)
    assert net.blocks is not None and "W" not in vars(net)
    again = nl.Network.random(2, 6, 1, kind="block", spectral_radius=0.8, seed=4)
    assert net.digest() == again.digest() and "W" not in vars(net)
    assert net.spectral_radius() == pytest.approx(0.8)
    np.testing.assert_array_equal(net.W, net.blocks.dense())
    with pytest.raises(ValueError, match="read-only"):
        net.W[0, 0] = 1.0
    np.testing.assert_allclose(net.W @ net.W.T, 0.64 * np.eye(6), atol=1e-15)  # rotations
    assert net.replace(leak=0.5).blocks is net.blocks
    assert net.replace(W=net.W).blocks is None
    assert nl.Network.from_blocks(net.A, net.blocks, net.B).digest() == net.digest()
    with pytest.raises(AttributeError, match="no 'V'"):
        net.V  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("n", [1, 2, 5])
def test_rotations_are_normal(n: int) -> None:
    W = BlockMatrix(**random_rotations(np.random.default_rng(0), n)).dense()
    np.testing.assert_allclose(W @ W.T, np.eye(n), atol=1e-15)


def test_a_large_network_never_writes_its_weights_out(tmp_path) -> None:
    n = 30_000
    net = nl.Network.random(2, n, 1, kind="block", leak=0.5, input_scale=0.1)
    x = np.random.default_rng(0).normal(size=(40, 2))
    task = nl.Task("own", nl.Sequences.from_arrays(x, x[:, :1]))
    run = nl.simulate(net, task, nl.RFLO(), learning_rate=1e-5, progress=False, records=3)
    for network in (run.initial, run.network):
        assert "W" not in vars(network)
    assert run.basis is not None and run.basis["held_as"] == "blocks" and not run.basis["rotated"]
    assert run.factors is not None
    np.testing.assert_array_equal(run.network.blocks.right, run.factors[0])
    assert run.factors[0].any() and not run.warnings
    loaded = nl.Run.load(run.save(tmp_path / "run.npz"))
    assert loaded.network.digest() == run.network.digest()
    assert (tmp_path / "run.npz").stat().st_size < 60 * 8 * n
    for refused in (lambda: run.network.W, lambda: nl.simulate(net, task, nl.EProp(), progress=False)):
        with pytest.raises(nl.InputError, match="never written out"):
            refused()
    fixed = nl.simulate(net, task, nl.RFLO(), nl.Precision.preset("int16"), learning_rate=0.01, progress=False)
    assert fixed.basis["held_as"] == "blocks" and "W" not in vars(fixed.network)
