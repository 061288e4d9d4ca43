"""The Lava export, on a replica of Lava's fixed-point processes: what drifts, what does not, and by how much."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from export_cases import trained

import neurolrnn as nl
from neurolrnn import savefile
from neurolrnn.errors import InputError
from neurolrnn.exports import export
from neurolrnn.exports import lava_replica as replica
from neurolrnn.exports.lava import convert


def network(n: int, leak: float) -> nl.Network:
    return nl.Network.random(2, n, 3, leak=leak, seed=3)


@pytest.mark.parametrize(("n", "leak"), [(8, 0.5), (64, 0.1), (128, 1.0)])
def test_the_remedy_bounds_the_error_over_20_000_steps_and_lavas_own_unit_drifts(n: int, leak: float) -> None:
    x = np.random.default_rng(0).normal(size=(20_000, 2))
    net = convert(network(n, leak), x)
    codes = np.floor(np.ldexp(x, net.frac_bits) + 0.5).astype(np.int64)
    carried = replica.errors(net, codes, carry=True)
    # each state is rounded to nearest once a step, so |error| ≤ ½ Σ_k ‖V^k‖_∞ in units of the last bit
    V, power, bound = net.values("recurrent"), np.eye(n), 0.0
    while np.abs(power).max() > 1e-12:
        bound += 0.5 * np.abs(power).sum(axis=1).max()
        power = power @ V
    assert carried.max() <= bound
    assert carried[-5000:].max() <= 1.2 * carried[:5000].max()
    stock = replica.errors(net, codes[:5000], carry=False)
    assert stock[50] > 20
    assert stock[4999] > 50 * stock[50]


def test_what_is_sent_is_the_state_rounded_to_nearest() -> None:
    """The remedy makes the process an ordinary fixed-point network, h = ⌊V h + B x + ½⌋: here without any deltas."""
    x = np.random.default_rng(1).normal(size=(300, 2))
    net = convert(network(10, 0.4), x)
    codes = np.floor(np.ldexp(x, net.frac_bits) + 0.5).astype(np.int64)
    K, e = net.drop, net.exponents
    h = np.zeros(10, np.int64)
    for now, got in zip(codes, replica.run(net, codes, carry=True)["h"], strict=True):
        exact = ((net.recurrent @ h) << (K - e["recurrent"])) + ((net.inputs @ now) << (K - e["inputs"]))
        h = (exact + (1 << (K - 1))) >> K
        assert np.array_equal(h, got)


def test_the_carrying_unit_is_a_fixed_point_run_of_neurolrnn(tmp_path: Path) -> None:
    """The same codes come out of our kernels, with weights of the same mantissas: α = 1, states rounded to nearest."""
    x = np.random.default_rng(2).normal(size=(120, 2))
    drawn = nl.Network.random(2, 9, 3, leak=1.0, seed=5, spectral_radius=0.8)
    net = convert(drawn, x, state_frac=9)
    codes = np.floor(np.ldexp(x, 9) + 0.5).astype(np.int64)
    same = nl.Network(net.values("readout"), net.values("recurrent"), net.values("inputs"), 1.0)
    formats = {"weight": "s3.16", "state": "s10.9", "readout": "s14.9"}
    path = tmp_path / "net.npz"
    export(same, path, "bundle", precision=nl.Precision(**formats), inputs=np.ldexp(codes, -9))
    _, arrays = savefile.read(path, "bundle", 1)
    assert np.array_equal(arrays["golden/inference/h"], replica.run(net, codes, carry=True)["h"])


def test_mantissas_and_exponents() -> None:
    rng = np.random.default_rng(0)
    for scale in (1e-3, 0.1, 1.0, 37.0):
        values = rng.normal(0, scale, (7, 9))
        weights, e = replica.mantissas(values)
        assert np.array_equal(replica.dense_weights(weights), weights)  # Lava changes none of them
        assert np.abs(weights).max() in range(126, 256)
        assert np.abs(np.ldexp(weights.astype(float), -e) - values).max() <= 2.0**-e
    assert replica.mantissas(np.zeros((2, 2)))[1] == 0
    weights, e = replica.mantissas(-np.abs(rng.normal(size=(3, 3))))
    assert np.array_equal(replica.dense_weights(weights), weights)


@pytest.mark.parametrize(
    ("given", "held"),
    [([[-300, 7, 301]], [[-256, 6, 254]]), ([[0, 300, 7]], [[0, 255, 7]]), ([[-300, 0, -7]], [[-255, 0, -7]])],
)
def test_weights_as_a_dense_holds_them(given: list[list[int]], held: list[list[int]]) -> None:
    """As lava-nc 0.10 clips and truncates: recorded from its clip_weights and truncate_weights."""
    assert replica.dense_weights(np.array(given)).tolist() == held


def test_floor_of_every_change_is_what_drifts() -> None:
    """One unit with weight 1/2 that gets 1 once: Lava's own falls for ever by what it forgets, by hand."""
    net = replica.LavaNetwork(
        np.array([[128]]), np.array([[128]]), np.array([[128]]), {"recurrent": 8, "inputs": 8, "readout": 8}, 0, 8
    )
    x = np.array([[6], [6], [6], [6]])
    # changes: 3; 3·½ → 1; 1·½ → 0; 0. Sums 3, 4, 4, 4; in real numbers 3, 4.5, 5.25, 5.625
    assert replica.run(net, x, carry=False)["h"].ravel().tolist() == [3, 4, 4, 4]
    assert replica.run(net, x, carry=True)["h"].ravel().tolist() == [3, 5, 6, 6]
    assert replica.run(net, -x, carry=False)["h"].ravel().tolist() == [-3, -5, -6, -7]


def test_report_files_and_script(tmp_path: Path) -> None:
    run = trained("int8")
    report = export(run, tmp_path / "net", "lava", name="a net", drift_steps=500)
    assert set(report.files) == {"arrays.npz", "run_lava.py", "README.md"}
    said = " ".join(map(str, report.losses))
    assert "learning rule rflo" in said
    assert "number formats" in said
    assert {c.what for c in report.changes} == {"V = (1-α)I + αW", "αB", "A"}
    drift = re.search(r"without limit: (\d+) after 500 steps.*nearest: ([\d.]+) at most", report.notes[0])
    assert drift is not None
    assert float(drift[1]) > 100 > 10 > float(drift[2])
    ast.parse((tmp_path / "net" / "run_lava.py").read_text(encoding="utf-8"))
    with np.load(tmp_path / "net" / "arrays.npz", allow_pickle=False) as file:
        a = {k: file[k] for k in file.files}
    V = (1 - run.network.leak) * np.eye(8) + run.network.leak * run.network.W
    assert np.abs(np.ldexp(a["recurrent"].astype(float), -int(a["recurrent_exponent"])) - V).max() < 2.0**-7
    assert np.allclose(a["float_h"][1], V @ a["float_h"][0] + run.network.leak * run.network.B @ a["x_float"][1])
    assert not export(run, None, "lava", dry_run=True, inference_only=True).losses[1:]


def test_networks_that_24_bits_cannot_hold_are_refused() -> None:
    grows = nl.Network.random(2, 6, 2, leak=1.0, spectral_radius=1.3, seed=1)
    with pytest.raises(InputError, match="spectral radius less than 1"):
        export(grows, None, "lava", dry_run=True)
    small = nl.Network.random(2, 6, 2, leak=1.0, input_scale=1e-6, seed=1)
    with pytest.raises(InputError, match="16 are possible"):
        export(small, None, "lava", dry_run=True)
    with pytest.raises(InputError, match="leaves the 24 bits"):
        export(network(8, 0.5), None, "lava", dry_run=True, state_frac=16)
    with pytest.raises(InputError, match="inputs have shape"):
        export(network(8, 0.5), None, "lava", dry_run=True, inputs=np.zeros((5, 3)))


@pytest.mark.slow
@pytest.mark.skipif("LAVA_PYTHON" not in os.environ, reason="LAVA_PYTHON names no Python 3.10 with lava-nc")
@pytest.mark.parametrize("model", ["carry", "stock", "float"])
def test_lava_itself_gives_every_code_of_the_replica(tmp_path: Path, model: str) -> None:
    export(trained("int8", n=16, rate=0.003), tmp_path / "net", "lava", drift_steps=10)
    done = subprocess.run(
        [os.environ["LAVA_PYTHON"], "run_lava.py", "--model", model], cwd=tmp_path / "net", capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
