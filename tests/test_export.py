"""The frame of exporting: what is lost is said first, and files are whole or not there."""

import json
import keyword
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

import neurolrnn as nl
from neurolrnn import cli
from neurolrnn.atomic import MARK, WriteError, write_folder
from neurolrnn.errors import InputError
from neurolrnn.exports import ASPECTS, TARGETS, Change, LossError
from neurolrnn.exports.describe import targets_rows, targets_table
from neurolrnn.exports.writing import check_path, identifier
from neurolrnn.run import RunFileError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def runs():
    """A run in floating point and one in 8 bits, both factored."""
    task = nl.tasks.load("periodic", period=5, frequencies=[1.0], amplitudes=[1.0])
    network = nl.Network.random(1, 4, 1, 0.5)

    def run(precision):
        return nl.simulate(network, task, nl.RFLO(), precision, learning_rate=0.01, progress=False)

    return {"float": run(nl.Precision.float32()), "int8": run(nl.Precision.preset("int8"))}


@pytest.fixture
def network():
    return nl.Network.random(2, 5, 1, 0.25, output_scale=1.0)


# --- losses


def test_a_change_is_measured_not_told():
    change = Change.between("W", "halved", "no reason", [1.0, -2.0], [1.0, -2.5], "mV")
    assert (change.before, change.after, change.error) == ((-2.0, 1.0), (-2.5, 1.0), 0.5)
    assert "largest error 0.5 mV" in str(change)
    assert "exact" in str(Change.between("W", "scaled", "it", [1.0], [1.0]))


def test_losses_are_announced_before_anything_is_written(tmp_path, runs):
    seen = []
    path = tmp_path / "net.nir"

    def announce(report):
        seen.append((path.exists(), report.written, [loss.what for loss in report.losses]))

    report = nl.export(runs["int8"], path, announce=announce)
    ((there, written, losses),) = seen
    assert not there and not written and path.exists() and report.written
    assert losses[0] == "learning rule rflo" and losses[1].startswith("number formats of 'int8'")
    assert report.files == {"net.nir": path.stat().st_size}


def test_strict_refuses_every_loss_with_the_list(tmp_path, runs):
    with pytest.raises(LossError) as caught:
        nl.export(runs["int8"], tmp_path / "net.nir", strict=True)
    text = str(caught.value)
    assert "learning rule rflo" in text and "number formats of 'int8'" in text and "leak α" in text
    assert len(caught.value.report.losses) == 2 and list(tmp_path.iterdir()) == []


def test_strict_lets_through_what_is_exact(tmp_path, network):
    with pytest.raises(LossError, match="rounded to float32"):
        nl.export(network, tmp_path / "net.nir", strict=True)
    report = nl.export(network, tmp_path / "net.nir", strict=True, dtype="float64")
    assert report.is_exact and report.written and not report.losses


def test_inference_only_is_no_loss(tmp_path, runs):
    report = nl.export(runs["float"], tmp_path / "net.nir", strict=True, inference_only=True, dtype="float64")
    assert report.is_exact
    assert [x.what for x in nl.export(runs["float"], None, dry_run=True).losses] == ["learning rule rflo"]


def test_dry_run_writes_nothing_and_knows_the_size(tmp_path, network):
    report = nl.export(network, tmp_path / "net", dry_run=True)
    assert not report.written and list(tmp_path.iterdir()) == []
    assert report.files == nl.export(network, tmp_path / "net").files
    assert json.loads(json.dumps(report.to_dict()))["exact"] is False


def test_a_run_that_did_not_end_well_says_so():
    task = nl.tasks.load("periodic", period=5, frequencies=[1.0], amplitudes=[1.0])
    with pytest.raises(nl.Divergence) as caught:
        nl.simulate(nl.Network.random(1, 4, 1, 0.5), task, nl.RFLO(), learning_rate=1e3, progress=False)
    report = nl.export(caught.value.run, None, "npz", dry_run=True)
    assert report.notes[0] == "the run ended as diverged: this is its network at that point"


def test_an_expected_run_is_exported_too(tmp_path):
    task = nl.tasks.load("teacher-student", teacher="gaussian", n_in=2, n_rec=3, n_out=1)
    training = nl.Training(0.01, update="expected")
    run = nl.simulate(nl.Network.random(2, 4, 1), task, nl.RFLO(), training=training, progress=False)
    nl.export(run, tmp_path / "net.nir", dtype="float64")
    assert nl.Network.from_nir(tmp_path / "net.nir").digest() == run.network.digest()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"target": "nri"}, "did you mean 'nir'"),
        ({"dtype": "float16"}, "float32, float64"),
        ({"dtyp": 1}, "did you mean 'dtype'"),
        ({"dialect": "snntorch"}, "standard"),
        ({"dt_seconds": 0.0}, "above 0"),
        ({"target": "npz", "dt_seconds": 1e-3}, "option of target 'npz'"),
        ({"path": None}, "dry_run"),
    ],
)
def test_bad_options(tmp_path, network, options, words):
    with pytest.raises(InputError, match=words):
        nl.export(network, **{"path": tmp_path / "x", **options})
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported(tmp_path):
    with pytest.raises(InputError, match="a Run or a Network"):
        nl.export(np.eye(2), tmp_path / "x.nir")
    large = nl.Network.random(1, 20_000, 1, kind="block")
    for target in ("nir", "nest"):
        with pytest.raises(InputError, match=r"n_rec = 20000.*GiB"):
            nl.export(large, tmp_path / "x", target)
    assert nl.export(large, tmp_path / "x.npz", "npz").is_exact  # in its own form


# --- files


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, network):
    resource = pytest.importorskip("resource")
    path = tmp_path / "net.nir"
    nl.export(network, path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))  # the disk ends here
    try:
        with pytest.raises(RunFileError, match="nothing was changed"):
            nl.export(network, path, dtype="float64")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["net.nir"]


def test_a_folder_is_replaced_whole_if_it_is_an_export(tmp_path):
    home = tmp_path / "net"
    write_folder(home, {"a.txt": b"1", "deep/b.txt": b"2"})
    write_folder(check_path(home, ""), {"c.txt": b"3"})
    assert sorted(p.name for p in home.iterdir()) == sorted([MARK, "c.txt"])
    assert [p.name for p in tmp_path.iterdir()] == ["net"]
    (tmp_path / "mine").mkdir()
    check_path(tmp_path / "mine", "")
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    with pytest.raises(RunFileError, match="files that no export wrote"):
        check_path(tmp_path / "mine", "")


def test_a_folder_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    home = tmp_path / "net"
    write_folder(home, {"a.txt": b"1"})
    with pytest.raises(WriteError):
        write_folder(home, {"a.txt": b"2", "a.txt/b": b"3"})  # a file cannot be a folder too
    assert (home / "a.txt").read_bytes() == b"1" and [p.name for p in tmp_path.iterdir()] == ["net"]


def test_places_that_cannot_be_written(tmp_path, network):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path, target, words in (
        (tmp_path / "none" / "net.nir", "nir", "does not exist"),
        (tmp_path / "file" / "net.nir", "nir", "is a file"),
        (tmp_path / "folder", "nir", "is a folder"),
        (tmp_path / "file", "nest", "is a file"),
    ):
        with pytest.raises(RunFileError, match=words):
            nl.export(network, path, target)


@given(st.text(max_size=80))
def test_any_text_becomes_a_name(text):
    name = identifier(text)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and len(name) <= 50
    assert not keyword.iskeyword(name)
    assert identifier(name) == name or name.startswith("n_")


@pytest.mark.parametrize("text, name", [
    ("my net-2", "my_net_2"), ("2nd", "n_2nd"), ("module", "n_module"), ("int", "n_int"), ("class", "n_class"),
    ("", "network"), ("größe", "gr_e"), ("a; rm -rf *", "a_rm_rf"), ("*/ evil", "evil"),
])  # fmt: skip
def test_names_in_generated_code(text, name):
    assert identifier(text) == name


# --- plain weights


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_weights_are_as_they_are(tmp_path, runs, kind):
    run = runs[kind]
    nl.export(run, tmp_path / "w.npz", "npz")
    nl.export(run, tmp_path / "w.safetensors", "safetensors")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        plain = dict(file)
    tensors = load_file(tmp_path / "w.safetensors")
    for found in (plain, tensors):
        for name, array in {"A": run.network.A, "W": run.network.W, "B": run.network.B, "R": run.feedback}.items():
            assert np.array_equal(found[name], array) and found[name].dtype == np.float64
        assert np.array_equal(found["M"], run.factors[0]) and np.array_equal(found["N"], run.factors[1])
        form = run.network.A * 2.0**4  # s3.4 is the preset's format of A
        if kind == "int8":
            assert np.array_equal(found["A.codes"], form) and found["A.codes"].dtype == np.int8
            assert "W.codes" not in found  # W = W₀ + RᵀM lies on no grid of 8 bits
        else:
            assert not any(name.endswith("codes") for name in found)
    assert plain["leak"] == 0.5 and str(plain["about.equation"]).startswith("h = (1 - leak) h")
    assert json.loads(str(plain["about.learning_rule"]))["name"] == "rflo"


def test_weights_of_a_sparse_network_stay_sparse(tmp_path):
    network = nl.Network.random(1, 30, 1, kind="sparse", density=0.1)
    nl.export(network, tmp_path / "w.npz", "npz")
    with np.load(tmp_path / "w.npz") as file:
        assert "W" not in file.files
        parts = {name[2:]: file[name] for name in file.files if name.startswith("W.")}
    assert np.array_equal(nl.SparseMatrix(**parts).dense(), network.W)


# --- table, command, documents


def test_every_target_says_what_survives():
    for row in targets_rows():
        assert set(row["holds"]) == set(ASPECTS) and all(row["holds"].values())
        assert row["writes"] in ("folder", TARGETS[row["name"]].suffix)
    assert {"nir", "nest", "npz", "safetensors"} <= set(TARGETS)


def test_table_in_the_documents():
    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    found = text.split("<!-- targets: begin -->")[1].split("<!-- targets: end -->")[0].strip()
    assert found == targets_table("markdown"), "docs/export.md: put in what targets_table('markdown') gives"


@pytest.fixture
def file(tmp_path, runs):
    return str(runs["int8"].save(tmp_path / "run.npz"))


def test_command(tmp_path, file, capsys):
    assert cli.main(["export", file, "--to", "nir", "-o", str(tmp_path / "a.nir"), "--set", "dtype=float64"]) == 0
    out = capsys.readouterr().out
    assert out.index("learning rule rflo") < out.index("written: ")
    assert nl.Network.from_nir(tmp_path / "a.nir").digest() == nl.Run.load(file).network.digest()
    assert cli.main(["export", file, "--to", "nir", "--json", "--dt-seconds", "0.002"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["written"] and Path(report["path"]) == tmp_path / "run-nir.nir"
    assert cli.main(["export", file, "--to", "nir", "--initial", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    initial = nl.Run.load(file).initial
    assert np.allclose(nl.Network.from_nir(tmp_path / "run-nir.nir").W, initial.W, rtol=1e-7)


def test_command_refuses(tmp_path, file, capsys):
    before = sorted(tmp_path.iterdir())
    assert cli.main(["export", file, "--to", "nir", "--strict", "--json"]) == 1
    captured = capsys.readouterr()
    assert "nothing was written" in captured.err and not json.loads(captured.out)["exact"]
    assert cli.main(["export", file, "--to", "nir", "--dry-run"]) == 0
    assert cli.main(["export", file, "--to", "nri"]) == 2
    assert cli.main(["export", str(tmp_path / "none.npz"), "--to", "nir"]) == 2
    assert sorted(tmp_path.iterdir()) == before


def test_list(capsys):
    assert cli.main(["list", "targets"]) == 0
    assert "dialect=standard" in capsys.readouterr().out
    assert cli.main(["list", "targets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "nir"
