"""The NEST target: script and weights, held against NEST's own formula; test_consumers.py runs NEST itself."""

import ast

import numpy as np
import pytest

import neurolrnn as nl
from neurolrnn.exports.nest import plan
from neurolrnn.exports.target import Source


def constants(folder):
    """Numbers at the top of the script."""
    tree = ast.parse((folder / "network.py").read_text())
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }


@pytest.mark.parametrize("leak", [1e-3, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("dt_seconds", [1e-4, 1e-3, 0.025])
def test_exact_integration_is_the_networks_step(tmp_path, leak, dt_seconds):
    network = nl.Network.random(2, 6, 2, leak, 0.8, seed=2, output_scale=1.0)
    report = nl.export(network, tmp_path / "net", "nest", dt_seconds=dt_seconds)
    numbers = constants(tmp_path / "net")
    assert numbers["DT_MS"] == pytest.approx(1e3 * dt_seconds, rel=1e-12) and numbers["TAU_MS"] > 0
    keep = np.exp(-numbers["DT_MS"] / numbers["TAU_MS"])  # lin_rate_ipn: X <- keep X + (1 - keep) I
    weights = np.load(tmp_path / "net" / "weights.npz")
    x = np.random.default_rng(0).normal(size=(40, 2))
    ours, theirs = np.zeros(6), np.zeros(6)
    for row in x:
        ours = (1 - leak) * ours + leak * (network.W @ ours + network.B @ row)
        theirs = keep * theirs + (1 - keep) * (weights["W"] @ theirs + weights["B"] @ row)
        assert np.allclose(ours, theirs, rtol=0, atol=1e-13)
    assert np.array_equal(weights["A"], network.A)
    assert not report.losses and report.changes[0].error < 1e-15
    assert any("leak = 1" in note for note in report.notes) == (leak == 1.0)


def test_folder_holds_what_the_script_needs(tmp_path):
    report = nl.export(nl.Network.random(1, 3, 1, 0.5), tmp_path / "net", "nest")
    assert set(report.files) == {"network.py", "weights.npz"}
    script = (tmp_path / "net" / "network.py").read_text()
    compile(script, "network.py", "exec")
    assert "@" not in script.replace("@ weights", "")  # no placeholder is left
    sizes = {name: (tmp_path / "net" / name).stat().st_size for name in report.files}
    assert sizes == report.files


@pytest.mark.parametrize("dt_seconds", [1e-7, 1.5e-6, 0.0, -1.0, float("nan")])
def test_steps_that_nest_does_not_have(dt_seconds):
    with pytest.raises(nl.InputError, match="dt_seconds"):
        plan(Source(nl.Network.random(1, 3, 1)), dt_seconds=dt_seconds)
