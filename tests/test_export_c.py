"""The C of a design is compiled without a warning, and gives every code of the kernels, learning included."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tools
from export_cases import PRECISIONS, drawn, trained
from hypothesis import HealthCheck, assume, given, settings

import neurolrnn as nl
from neurolrnn.errors import InputError
from neurolrnn.exports import export

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wno-sign-conversion")
CHECKED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")


def compiled(folder: Path, name: str, *flags: str) -> int:
    """Compile and run the golden test; return how many codes it compared."""
    gcc = tools.need("gcc")
    done = tools.run(gcc, *flags, f"{name}.c", f"test_{name}.c", "-o", "golden", cwd=folder)
    assert done.returncode == 0, done.stderr[:3000]
    ran = tools.run(str(folder / "golden"), cwd=folder)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
    found = re.search(r"(\d+) codes compared, 0 differ", ran.stdout)
    assert found is not None, ran.stdout
    return int(found[1])


@pytest.mark.parametrize("storage", ["factored", "dense"])
@pytest.mark.parametrize("name", PRECISIONS)
def test_every_code_while_running_and_learning(tmp_path: Path, name: str, storage: str) -> None:
    report = export(trained(name, storage), tmp_path / "net", "c", name="net", strict=True)
    assert report.is_exact
    assert compiled(tmp_path / "net", "net", "-O1", *STRICT, *CHECKED) > 2000


@pytest.mark.parametrize(
    ("n", "name", "leak"),
    [(4, "int16", 1.0), (16, "int8", 0.5), (32, "int8 one LSB, shared", 0.1), (64, "int8-hidden16", 0.5)],
)
def test_thousands_of_steps(tmp_path: Path, n: int, name: str, leak: float) -> None:
    run = trained(name, n=n, leak=leak, rate=0.01)
    export(run, tmp_path / "net", "c", name="net", steps=2000)
    assert compiled(tmp_path / "net", "net", "-O0", *STRICT) > 2000 * (2 * n + 6)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(drawn())
def test_drawn_designs(tmp_path_factory: pytest.TempPathFactory, case: tuple[nl.Network, dict[str, Any]]) -> None:
    net, options = case
    folder = tmp_path_factory.mktemp("drawn") / "net"
    try:
        export(net, folder, "c", name="net", compiler=None, **options)
    except InputError as refusal:  # what cannot be proved to fit
        assert "bits" in str(refusal), refusal
        assume(False)
    assert compiled(folder, "net", "-O0", *STRICT, *CHECKED) > 0


def test_clamps_part_of_the_groups_and_symmetric_feedback(tmp_path: Path) -> None:
    first = trained("int16", clamp={"W": 0.05, "A": 0.2}, learn=("A", "W"), rule={"decay": 0.7})
    second = trained("int8", "dense", learn=("W",), rule={"feedback": "symmetric"})
    third = trained("int8", learn=("A",))
    for k, run in enumerate((first, second, third)):
        export(run, tmp_path / f"net{k}", "c", name="net", strict=True)
        compiled(tmp_path / f"net{k}", "net", "-O1", *STRICT, *CHECKED)


def test_a_smallest_network_and_inference_alone(tmp_path: Path) -> None:
    net = nl.Network.random(1, 1, 1, leak=0.5, seed=1)
    export(net, tmp_path / "one", "c", precision="int16")
    text = (tmp_path / "one" / "network.c").read_text(encoding="utf-8")
    assert "learn" not in text
    compiled(tmp_path / "one", "network", "-O1", *STRICT, *CHECKED)


@pytest.mark.parametrize("name", ["int8", "int8-hidden16"])
def test_a_network_that_has_not_learned_yet(tmp_path: Path, name: str) -> None:
    net = nl.Network.random(2, 6, 3, leak=0.5, seed=1)
    export(net, tmp_path / "net", "c", name="net", precision=name, learning_rate=0.1)
    assert compiled(tmp_path / "net", "net", "-O1", *STRICT, *CHECKED) > 1000
    export(trained(name), tmp_path / "rest", "c", name="net", inference_only=True)
    compiled(tmp_path / "rest", "net", "-O1", *STRICT, *CHECKED)


def test_a_wrong_code_is_noticed(tmp_path: Path) -> None:
    export(trained(), tmp_path / "net", "c", name="net")
    file = tmp_path / "net" / "net_data.h"
    text = file.read_text(encoding="utf-8")
    row = re.search(r"static const int8_t W\[.*?\] = \{\s+\{(-?\d+)", text, re.DOTALL)
    assert row is not None
    file.write_text(text[: row.start(1)] + str((int(row[1]) + 65) % 128) + text[row.end(1) :], encoding="utf-8")
    gcc = tools.need("gcc")
    assert tools.run(gcc, "net.c", "test_net.c", "-o", "golden", cwd=tmp_path / "net").returncode == 0
    assert tools.run(str(tmp_path / "net" / "golden"), cwd=tmp_path / "net").returncode == 1


def test_the_device_is_integers_without_heap_or_library(tmp_path: Path) -> None:
    export(trained("int8-hidden16"), tmp_path / "net", "c", name="net")
    text = "".join((tmp_path / "net" / f).read_text(encoding="utf-8") for f in ("net.h", "net.c", "net_data.h"))
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert not re.search(r"\b(float|double|malloc|free|memcpy|memset|printf)\b", code)
    assert set(re.findall(r"#include [<\"](.*?)[>\"]", code)) == {"stdint.h", "net.h", "net_data.h"}
    gcc = tools.need("gcc")
    assert tools.run(gcc, "-std=c99", "-ffreestanding", "-O2", "-c", "net.c", cwd=tmp_path / "net").returncode == 0
    if tools.shutil.which("nm"):
        wanted = tools.run("nm", "-u", "net.o", cwd=tmp_path / "net").stdout.split()
        assert not [name for name in wanted if name not in ("U", "_GLOBAL_OFFSET_TABLE_")]


def test_two_devices_do_not_disturb_each_other(tmp_path: Path) -> None:
    export(trained("int8 lfsr everywhere"), tmp_path / "net", "c", name="net")
    main = """#include "net.h"
static net_device a, b;
int main(void)
{
    net_input x[NET_N_IN] = {1000, -500};
    net_target goal[NET_N_OUT] = {100, 200, -300};
    int t, k, differ = 0;
    net_start(&a);
    net_start(&b);
    for (t = 0; t < 50; t++) {
        net_step(&a, x);
        net_learn(&a, goal);
    }
    for (t = 0; t < 50; t++) {
        net_step(&b, x);
        net_learn(&b, goal);
    }
    for (k = 0; k < NET_N_REC; k++)
        differ += a.h[k] != b.h[k];
    return differ;
}
"""
    (tmp_path / "net" / "two.c").write_text(main, encoding="utf-8")
    gcc = tools.need("gcc")
    assert tools.run(gcc, *STRICT, "net.c", "two.c", "-o", "two", cwd=tmp_path / "net").returncode == 0
    assert tools.run(str(tmp_path / "net" / "two"), cwd=tmp_path / "net").returncode == 0


def test_names_are_made_fit_for_c_and_sizes_are_told(tmp_path: Path) -> None:
    tools.need("gcc")
    report = export(trained(), tmp_path / "net", "c", name="int */ 7$x")
    assert compiled(tmp_path / "net", "int_7_x", "-O1", *STRICT) > 0
    found = re.search(r"gcc -Os: (\d+) bytes .text with tables, 0 .data, 0 .bss; (\d+) bytes RAM", report.notes[-1])
    assert found is not None
    assert 200 < int(found[1]) < 10_000
    assert 8 * 2 < int(found[2]) < 1000
    assert not export(trained(), None, "c", dry_run=True, compiler=None).notes


def test_what_c_does_not_learn_is_said(tmp_path: Path) -> None:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=4, steps=6, seed=1)
    net = nl.Network.random(2, 5, 2, leak=0.5, seed=3)
    run = nl.simulate(net, task, nl.EProp(), nl.Precision.preset("int16"), 0.05, progress=False)
    report = export(run, tmp_path / "net", "c")
    assert "RFLO only, not 'eprop'" in str(report.losses[0])
    assert "RFLO only" in (tmp_path / "net" / "README.md").read_text(encoding="utf-8")
    compiled(tmp_path / "net", "network", "-O1", *STRICT)


def test_one_step_by_hand(tmp_path: Path) -> None:
    """α = 1, W = 0: u = B x with 7 bits dropped to nearest, h = u, y = A h."""
    net = nl.Network(np.array([[1.0]]), np.zeros((1, 1)), np.array([[0.5]]), 1.0)
    export(net, tmp_path / "net", "c", name="net", precision=nl.Precision(weight="s1.6", state="s3.4"))
    main = """#include "net.h"
static net_device d;
int main(void)
{
    net_input x[1] = {5}; /* 5/16; half of it is 2.5/16, which goes to 3/16 */
    net_start(&d);
    return net_step(&d, x)[0] == 3 ? 0 : 1;
}
"""
    (tmp_path / "net" / "hand.c").write_text(main, encoding="utf-8")
    gcc = tools.need("gcc")
    assert tools.run(gcc, *STRICT, "net.c", "hand.c", "-o", "hand", cwd=tmp_path / "net").returncode == 0
    assert tools.run(str(tmp_path / "net" / "hand"), cwd=tmp_path / "net").returncode == 0
