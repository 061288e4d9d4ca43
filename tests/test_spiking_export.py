"""The export target ``brian2``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import neurolrnn as nl


def run_script(folder: Path) -> str:
    """Run an exported script and return the difference it reports."""
    done = subprocess.run([sys.executable, "-I", folder / "run.py"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].split(": ")[1]


@pytest.fixture(scope="module")
def run() -> nl.Run:
    task = nl.tasks.load("periodic", period=40)
    net = nl.Network.random(task.n_in, 8, task.n_out, leak=0.2, spectral_radius=0.7)
    return nl.simulate(net, task, nl.RFLO(), precision=nl.Precision.preset("int16"), progress=False)


def test_a_network_is_held_exactly(tmp_path):
    net = nl.Network.random(2, 6, 2, leak=0.3)
    report = nl.export(net, tmp_path / "graded", "brian2", strict=True)
    assert report.written and run_script(tmp_path / "graded") == "0.0"
    report = nl.export(net, tmp_path / "spikes", "brian2", mode="lif-pair", q=0.2, micro_steps=4)
    assert "mode lif-pair" in str(report) and run_script(tmp_path / "spikes") == "0.0"


def test_a_fixed_point_run_stays_in_integers(tmp_path, run):
    report = nl.export(run, tmp_path / "integers", "brian2")
    assert [loss.what for loss in report.losses] == ["learning rule rflo"]
    assert run_script(tmp_path / "integers") == "0"


def test_a_script_that_learns_holds_the_rule(tmp_path, run):
    report = nl.export(run, tmp_path / "learns", "brian2", mode="sigma-delta", learning=True)
    assert [loss.what[:14] for loss in report.losses] == ["number formats"]
    assert "rate_W" in (tmp_path / "learns" / "run.py").read_text(encoding="utf-8")
    assert run_script(tmp_path / "learns") == "0.0"


def test_what_it_cannot_do(tmp_path, run):
    net = nl.Network.random(2, 6, 2, leak=0.3)
    with pytest.raises(nl.InputError, match="the run was in floating point"):
        nl.export(net, tmp_path / "x", "brian2", integers=True)
    with pytest.raises(nl.InputError, match="learns by RFLO"):
        nl.export(net, tmp_path / "x", "brian2", learning=True)
    with pytest.raises(nl.InputError, match="allowed: graded, sigma-delta, lif-pair"):
        nl.export(net, tmp_path / "x", "brian2", mode="rate")
    assert not (tmp_path / "x").exists()
