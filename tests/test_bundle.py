"""A bundle holds every integer of a design; an independent reader replays it, learning included, bit for bit."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import fixed_cases
import integer_oracle
import numpy as np
import pytest
from export_cases import PRECISIONS, drawn, precision, trained
from hypothesis import HealthCheck, assume, given, settings

import neurolrnn as nl
from neurolrnn import savefile
from neurolrnn.errors import InputError
from neurolrnn.exports import LossError, export
from neurolrnn.exports import bundle_schema as schema
from neurolrnn.exports.golden import golden
from neurolrnn.exports.integers import resolve
from neurolrnn.exports.target import Source

READER = Path(__file__).parents[1] / "examples" / "read_bundle.py"


def reader() -> Any:
    spec = importlib.util.spec_from_file_location("read_bundle", READER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def replay(path: Path) -> subprocess.CompletedProcess[str]:
    """Run the reader where nothing but the standard library can be imported."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(READER), str(path)], capture_output=True, text=True, cwd=path.parent
    )


def test_the_reader_is_short_and_alone() -> None:
    text = READER.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 250
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize("storage", ["factored", "dense"])
@pytest.mark.parametrize("name", PRECISIONS)
def test_inference_and_learning_are_replayed_without_neurolrnn(tmp_path: Path, name: str, storage: str) -> None:
    run = trained(name, storage)
    report = export(run, tmp_path / "net.npz", "bundle", strict=True)
    assert report.is_exact
    done = replay(tmp_path / "net.npz")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 3000
    meta, arrays = savefile.read(tmp_path / "net.npz", "bundle", schema.SCHEMA)
    for group in meta["rule"]["learn"]:  # what is compared after learning is not what was there before
        matrix = {"A": "A", "W": "M", "B": "N"}[group] if storage == "factored" else group
        if f"weights/hidden_{matrix}" in arrays:
            matrix = f"hidden_{matrix}"
        assert not np.array_equal(arrays[f"weights/{matrix}"], arrays[f"golden/after/{matrix}"][-1])


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(drawn())
def test_drawn_designs_are_replayed(tmp_path_factory: pytest.TempPathFactory, case: tuple[nl.Network, Any]) -> None:
    net, options = case
    path = tmp_path_factory.mktemp("drawn") / "net.npz"
    try:
        export(net, path, "bundle", **options)
    except InputError as refusal:  # what cannot be proved to fit
        assert "bits" in str(refusal), refusal
        assume(False)
    assert reader().replay(path) > 0


@pytest.mark.parametrize("storage", ["factored", "dense"])
def test_the_golden_codes_are_those_of_the_big_integer_oracle(storage: str) -> None:
    """The reader and the oracle share nothing; both must agree with what is in the file."""
    design = resolve(Source.of(trained("int8 lfsr everywhere", storage)))
    gold = golden(design, steps=60)
    weights = {k: v.tolist() for k, v in design.codes.items()}
    ends = [*np.flatnonzero(gold.first), gold.steps]
    lanes = [(gold.x[a:b].tolist(), gold.target[a:b].tolist(), gold.mask[a:b].tolist()) for a, b in
             pairwise(ends)]  # fmt: skip
    told = integer_oracle.train(fixed_cases.spec_of(design.numbers), weights, lanes, f"rflo-{storage}")
    assert np.array_equal(np.array(told.h)[:, 0], gold.learning["h"])
    assert np.array_equal(np.array(told.y)[:, 0], gold.learning["y"])
    for name, codes in gold.after.items():
        assert np.array_equal(getattr(told, name), codes[-1])


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The weights in the file are those after the run, in codes; W and B of factored storage are those before."""
    run = trained("int8-hidden16")
    export(run, tmp_path / "net.npz", "bundle")
    meta, arrays = savefile.read(tmp_path / "net.npz", "bundle", schema.SCHEMA)
    formats = {k: nl_format(v) for k, v in meta["formats"].items()}
    assert run.factors is not None
    for name, values in (("A", run.network.A), ("M", run.factors[0]), ("N", run.factors[1])):
        assert np.array_equal(np.ldexp(arrays[f"weights/{name}"], -formats[name]), values)
    assert np.array_equal(arrays["weights/hidden_A"], run.state["weights.hidden_A"])
    assert np.abs(np.ldexp(arrays["weights/W"], -formats["W"]) - run.initial.W).max() <= 2.0 ** -(formats["W"] + 1)
    assert meta["origin"]["experiment"] == run.experiment


def nl_format(text: str) -> int:
    return int(text.rpartition(".")[2])


def test_clamps_part_of_the_groups_and_own_decay(tmp_path: Path) -> None:
    run = trained("int16", clamp={"W": 0.05, "A": 0.2}, learn=("A", "W"), rule={"decay": 0.7, "feedback_scale": 3.0})
    export(run, tmp_path / "net.npz", "bundle", strict=True)
    assert replay(tmp_path / "net.npz").returncode == 0
    meta, arrays = savefile.read(tmp_path / "net.npz", "bundle", schema.SCHEMA)
    assert meta["rule"]["learn"] == ["A", "W"]
    assert np.abs(arrays["golden/after/M"]).max() == meta["landings"]["M"]["hi"]  # it was reached
    assert "golden/after/N" not in arrays


def test_own_golden_input_and_the_whole_schema(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2, 20, 2)), rng.normal(size=(2, 20, 3))
    export(trained(), tmp_path / "net.npz", "bundle", inputs=inputs, targets=targets)
    meta, arrays = savefile.read(tmp_path / "net.npz", "bundle", schema.SCHEMA)
    assert set(meta) == set(schema.FIELDS)
    for spot in meta["landings"].values():
        assert set(spot) == set(schema.LANDING_FIELDS)
    known = {name.rstrip("*") for name in schema.ARRAYS}
    assert all(any(name.startswith(k) for k in known) for name in arrays)
    assert np.flatnonzero(arrays["golden/first"]).tolist() == [0, 20]
    scale = nl_format(meta["formats"]["input"])
    assert np.array_equal(arrays["golden/x"], np.floor(np.ldexp(inputs.reshape(40, 2), scale) + 0.5))


def test_golden_input_outside_its_format_is_said() -> None:
    inputs = np.full((5, 2), 3.0)
    inputs[2] = 99.0
    notes = export(trained(), None, "bundle", dry_run=True, inputs=inputs).notes
    assert "2 golden values of input lie outside s4.11 and were saturated" in notes
    with pytest.raises(InputError, match="give inputs too"):
        export(trained(), None, "bundle", dry_run=True, targets=np.zeros((5, 3)))


def test_the_layout_in_the_documents() -> None:
    text = (READER.parents[1] / "docs" / "bundle.md").read_text(encoding="utf-8")
    found = text.split("<!-- bundle: begin -->\n")[1].split("\n<!-- bundle: end -->")[0]
    assert found == schema.tables(), "docs/bundle.md: put in what bundle_schema.tables() gives"


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    export(trained(), path, "bundle")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = replay(path)
    assert done.returncode != 0
    assert "damaged" in done.stderr


def test_a_changed_code_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    export(trained(), path, "bundle")
    meta, arrays = savefile.read(path, "bundle", schema.SCHEMA)
    arrays["golden/after/M"] = arrays["golden/after/M"].copy()
    arrays["golden/after/M"][-1, 0, 0] += 1
    savefile.write(path, "bundle", schema.SCHEMA, meta, arrays)  # sealed anew, the digest is the old one
    assert "digest" in replay(path).stderr
    meta["sha256"]["golden/after/M"] = schema.digest(arrays["golden/after/M"])
    savefile.write(path, "bundle", schema.SCHEMA, meta, arrays)
    assert "after/M" in replay(path).stderr


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = trained()
    for name in ("a.npz", "b.npz"):
        export(run, tmp_path / name, "bundle")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_real_numbers_need_a_precision_and_are_reported(tmp_path: Path) -> None:
    net = nl.Network.random(2, 6, 2, leak=0.5, seed=1)
    with pytest.raises(InputError, match="the name of a preset"):
        export(net, tmp_path / "net.npz", "bundle")
    report = export(net, tmp_path / "net.npz", "bundle", precision="int8", learning_rate=0.1)
    found = {change.what: change.error for change in report.changes}
    assert set(found) == {"A", "W", "B", "R", *(f"learning rate of {g}" for g in "AWB")}
    assert found["learning rate of A"] == abs(205 * 2.0**-11 - 0.1)
    assert 0 < found["W"] <= 2.0**-7
    assert replay(tmp_path / "net.npz").returncode == 0
    with pytest.raises(LossError, match=r"rounded to s1\.6"):
        export(net, tmp_path / "net.npz", "bundle", precision="int8", strict=True)
    big = net.replace(W=net.W + 3 * np.eye(6))
    how = [str(c) for c in export(big, None, "bundle", dry_run=True, precision="int8").changes]
    assert any("6 of 36 values saturated" in text for text in how)


@pytest.mark.parametrize(
    ("rule", "training", "words"),
    [
        (nl.EProp(), {}, "RFLO only, not 'eprop'"),
        (nl.TruncatedBPTT(2), {}, "RFLO only, not 'tbptt'"),
        (nl.RFLO(), {"update": "episode"}, "online"),
        (nl.RFLO(), {"batch": 4}, "batch = 4"),
    ],
)
def test_what_a_device_cannot_learn_is_said_and_inference_stays(
    tmp_path: Path, rule: Any, training: dict[str, Any], words: str
) -> None:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=8, steps=6, seed=1)
    net = nl.Network.random(2, 5, 2, leak=0.5, seed=3)
    run = nl.simulate(net, task, rule, precision("int16"), 0.05, progress=False, **training)
    report = export(run, tmp_path / "net.npz", "bundle")
    assert words in " ".join(map(str, report.losses))
    assert replay(tmp_path / "net.npz").returncode == 0
    with pytest.raises(LossError):
        export(run, tmp_path / "net.npz", "bundle", strict=True)
    meta, _ = savefile.read(tmp_path / "net.npz", "bundle", schema.SCHEMA)
    assert (meta["rule"] is None) == ("batch" not in training)
    assert export(run, tmp_path / "net.npz", "bundle", inference_only=True, strict=True).is_exact


def test_sparse_weights_that_stay_are_written_out_and_those_that_learn_are_not_promised(tmp_path: Path) -> None:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=4, steps=6, seed=1)
    net = nl.Network.random(2, 12, 2, leak=0.5, seed=3, kind="sparse", density=0.3)
    for storage in ("factored", "dense"):
        run = nl.simulate(net, task, nl.RFLO(storage=storage), precision("int16"), 0.05, progress=False)
        report = export(run, tmp_path / "net.npz", "bundle")
        assert replay(tmp_path / "net.npz").returncode == 0
        assert any("sparse" in str(loss) for loss in report.losses) == (storage == "dense")
        assert any("written out in full" in note for note in report.notes)


def test_other_noise_than_the_runs_is_a_loss(tmp_path: Path) -> None:
    report = export(trained("int8"), tmp_path / "net.npz", "bundle", noise="lfsr")
    assert "random bits of the run: it is exported with noise = 'lfsr'" in str(report.losses[0])
    assert "seed = 3" in str(export(trained("int8"), None, "bundle", dry_run=True, seed=3).losses[0])
    assert replay(tmp_path / "net.npz").returncode == 0
    assert not export(trained("int16"), None, "bundle", noise="lfsr", dry_run=True).losses  # nothing is drawn there


def test_precision_of_a_fixed_run_cannot_be_changed() -> None:
    with pytest.raises(InputError, match="its codes are exported as they are"):
        export(trained(), None, "bundle", dry_run=True, precision="int16")


def test_json_of_a_bundle_is_plain(tmp_path: Path) -> None:
    export(trained(), tmp_path / "net.npz", "bundle")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as file:
        head = json.loads(file["neurolrnn"].tobytes())
    assert (head["kind"], head["schema"]) == ("bundle", 1)


def test_inference_alone_leaves_hidden_weights_behind(tmp_path: Path) -> None:
    for run in (trained("int8-hidden16"), trained("int8-hidden16", "dense")):
        export(run, tmp_path / "net.npz", "bundle", inference_only=True)
        _, arrays = savefile.read(tmp_path / "net.npz", "bundle", schema.SCHEMA)
        assert not any("hidden" in name or "after" in name for name in arrays)
        assert replay(tmp_path / "net.npz").returncode == 0
