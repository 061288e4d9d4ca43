"""The Verilog core gives every code of the kernels under Icarus Verilog, learning included, and is synthesizable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tools
from export_cases import LFSR_OR_NOT_RANDOM, drawn, precision, trained
from hypothesis import HealthCheck, assume, given, settings

import neurolrnn as nl
from neurolrnn.errors import InputError
from neurolrnn.exports import LossError, export
from neurolrnn.exports.verilog_text import image


def simulated(folder: Path, name: str = "net") -> int:
    """Run the test bench; return how many codes it compared."""
    iverilog, vvp = tools.need("iverilog"), tools.need("vvp")
    done = tools.run(
        iverilog, "-g2005-sv", "-Wall", "-Wno-timescale", "-o", "bench", f"{name}.v", f"{name}_bench.v", cwd=folder
    )
    assert done.returncode == 0, done.stderr[:3000]
    assert not done.stderr, done.stderr[:3000]
    ran = tools.run(vvp, "-n", "bench", cwd=folder)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
    found = re.search(r"(\d+) codes compared, 0 differ", ran.stdout)
    assert found is not None, ran.stdout
    return int(found[1])


@pytest.mark.parametrize("name", LFSR_OR_NOT_RANDOM)
def test_every_code_while_running_and_learning(tmp_path: Path, name: str) -> None:
    run = trained(name)
    report = export(run, tmp_path / "net", "verilog", name="net", strict=True)
    assert report.is_exact
    assert simulated(tmp_path / "net") > 2500
    start, after = ((tmp_path / "net" / f"net_{k}.mem").read_text(encoding="utf-8") for k in ("A", "after_A"))
    assert start != after or "hidden" in name


def test_hundreds_of_steps_of_a_larger_network(tmp_path: Path) -> None:
    run = trained("int8 lfsr everywhere", n=12, leak=0.1, rate=0.01)
    export(run, tmp_path / "net", "verilog", name="net", steps=300)
    assert simulated(tmp_path / "net") > 300 * (2 * 12 + 9)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(drawn(noises=("lfsr",)))
def test_drawn_designs(tmp_path_factory: pytest.TempPathFactory, case: tuple[nl.Network, dict[str, Any]]) -> None:
    net, options = case
    folder = tmp_path_factory.mktemp("drawn") / "net"
    try:
        export(net, folder, "verilog", name="net", **{**options, "steps": 12})
    except InputError as refusal:  # what cannot be proved to fit
        assert "bits" in str(refusal), refusal
        assume(False)
    assert simulated(folder) > 0


def test_clamps_part_of_the_groups_and_inference(tmp_path: Path) -> None:
    run = trained("int16", clamp={"W": 0.05, "A": 0.2}, learn=("A", "W"), rule={"decay": 0.7})
    export(run, tmp_path / "some", "verilog", name="net", strict=True, steps=40)
    simulated(tmp_path / "some")
    export(run, tmp_path / "none", "verilog", name="net", strict=True, steps=40, inference_only=True)
    assert simulated(tmp_path / "none") == 40 * (8 + 3)
    assert "has_target" not in re.sub(r"//.*", "", (tmp_path / "none" / "net.v").read_text()).split("FETCH:")[1]


def test_the_smallest_network(tmp_path: Path) -> None:
    net = nl.Network.random(1, 1, 1, leak=0.5, seed=1)
    export(net, tmp_path / "net", "verilog", precision="int16", learning_rate=0.1, name="net", steps=30)
    assert simulated(tmp_path / "net") == 30 * 5 + 3


def test_a_network_that_has_not_learned_yet(tmp_path: Path) -> None:
    net = nl.Network.random(2, 6, 3, leak=0.5, seed=1)
    hidden = precision("int8-hidden16 lfsr")
    export(net, tmp_path / "net", "verilog", name="net", precision=hidden, learning_rate=0.1, steps=30)
    simulated(tmp_path / "net")
    export(net, tmp_path / "rest", "verilog", name="net", precision=hidden, steps=30)
    simulated(tmp_path / "rest")


def test_a_wrong_code_is_noticed(tmp_path: Path) -> None:
    export(trained("int16"), tmp_path / "net", "verilog", name="net")
    file = tmp_path / "net" / "net_W.mem"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[0] = f"{int(lines[0], 16) ^ 0x4000:04x}"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    tools.run(tools.need("iverilog"), "-g2005-sv", "-o", "bench", "net.v", "net_bench.v", cwd=tmp_path / "net")
    ran = tools.run(tools.need("vvp"), "-n", "bench", cwd=tmp_path / "net")
    assert ran.returncode != 0
    assert "state, step" in ran.stdout


def test_the_core_is_plain_verilog(tmp_path: Path) -> None:
    export(trained("int8-hidden16 lfsr"), tmp_path / "net", "verilog", name="net")
    done = tools.run(tools.need("iverilog"), "-g2005", "-t", "null", "net.v", cwd=tmp_path / "net")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_core_is_synthesizable(tmp_path: Path) -> None:
    yosys = tools.shutil.which("yosys")
    if yosys is None:
        pytest.skip("yosys is not installed (Debian: apt-get install yosys); it is not part of CI")
    export(trained("int8 lfsr everywhere"), tmp_path / "net", "verilog", name="net")
    done = tools.run(yosys, "-p", "read_verilog net.v; synth_ice40 -dsp -top net; stat", cwd=tmp_path / "net")
    assert done.returncode == 0, done.stderr[-2000:]
    assert not re.search(r"^Latch inferred", done.stdout, re.MULTILINE)
    cells = dict(re.findall(r"^\s+(SB_\w+)\s+(\d+)$", done.stdout, re.MULTILINE))
    assert int(cells["SB_LUT4"]) < 5000
    assert int(cells["SB_MAC16"]) == 1
    assert int(cells["SB_RAM40_4K"]) >= 1


def test_images_are_twos_complement() -> None:
    assert image(np.array([[0, 1], [-1, -128]]), 8) == "00\n01\nff\n80\n"
    assert image(np.array([-1, 3]), 10) == "3ff\n003\n"


def test_random_bits_of_counters_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="export with noise = 'lfsr'"):
        export(trained("int8"), tmp_path / "net", "verilog")
    assert not (tmp_path / "net").exists()
    report = export(trained("int8"), tmp_path / "net", "verilog", noise="lfsr", name="net")
    assert "random bits of the run" in str(report.losses[0])
    simulated(tmp_path / "net")


def test_what_the_core_does_not_learn_is_said(tmp_path: Path) -> None:
    report = export(trained("int16", "dense"), tmp_path / "dense", "verilog", name="net", steps=20)
    assert "factors only" in str(report.losses[0])
    assert simulated(tmp_path / "dense") == 20 * (8 + 3)
    with pytest.raises(LossError, match="factors only"):
        export(trained("int16", "dense"), None, "verilog", strict=True, dry_run=True)


@pytest.mark.parametrize("n_out", [1, 2, 5])
@pytest.mark.parametrize("name", ["int16", "int8 lfsr everywhere"])
def test_cross_entropy(tmp_path: Path, name: str, n_out: int) -> None:
    net = nl.Network.random(2, 5, n_out, leak=0.5, seed=3, output_scale=3.0)
    options = {"precision": precision(name), "learning_rate": 0.1, "loss": "cross-entropy", "name": "net"}
    export(net, tmp_path / "net", "verilog", steps=40, **options)
    assert simulated(tmp_path / "net") > 40 * 2 * (5 + n_out)
