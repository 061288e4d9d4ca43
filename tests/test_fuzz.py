"""Damaged files are refused in one sentence or read right, by every reader; and small ones that once were not."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import fuzz_damage as damage
import h5py
import numpy as np
import pytest
from fuzz_readers import READERS, SEAL, small
from fuzzing import drive, fuzz

import neurolrnn as nl
from neurolrnn import savefile, toml_text
from neurolrnn.exports import hdf5_check

INPUTS = {"experiment": 300, "run-file": 200, "profile-store": 400, "chip-sheet": 150, "nir": 60, "bundle": 200,
          "own-data": 400}  # fmt: skip
SLOW = {"run-file": 150, "nir": 100}
"""Readers that look through much, and how many damaged files they are given."""


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_refused_in_words_or_read_right(name, tmp_path):
    failed = []
    refused = 0
    for number, _, outcome in fuzz(name, 0, range(INPUTS[name]), tmp_path):
        refused += outcome.kind == "refused"
        if outcome.failed:
            failed.append(f"{number}: {outcome.kind}: {outcome.words}")
    assert not failed, "\n".join(failed)
    assert refused > INPUTS[name] / 3


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_in_processes_that_may_crash(name, tmp_path):
    inputs = SLOW.get(name, 1000)
    counts, failures = drive(name, 1, range(10_000, 10_000 + inputs), tmp_path)
    assert not failures, failures[:20]
    assert sum(n for kind, n in counts.items() if not kind.startswith("(")) == inputs


# --- TOML

BAD_TOML = {
    "deep list": "a = " + "[" * 3000 + "]" * 3000,
    "deep table": "a = " + "{a=" * 2000 + "1" + "}" * 2000,
    "33 deep": "a = " + "[" * 33 + "]" * 33,
    "thousands of digits": "a = " + "9" * 5000,
    "hexadecimal": "a = 0x" + "f" * 6000,
    "65 bits": "a = 9223372036854775808",
    "a date": "a = 1979-05-27",
}


def test_an_error_stays_one_line_whatever_it_repeats(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('rule = "a\\nb"')
    with pytest.raises(nl.InputError, match=r'name = "a\\nb"') as caught:
        nl.Experiment.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", BAD_TOML.values(), ids=BAD_TOML)
def test_toml_that_nothing_can_use(tmp_path, text):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    for read in (nl.Experiment.load, lambda p: nl.check(small(), p)):
        with pytest.raises(nl.InputError, match=r"bad\.toml") as error:
            read(path)
        assert len(str(error.value)) < 1500


def test_errors_stay_short_and_printable(tmp_path):
    path = tmp_path / "long.toml"
    path.write_text(f'"\\u0000\\u001b" = 1\nseed = "{"x" * 100_000}"\n')
    with pytest.raises(nl.InputError) as error:
        nl.Experiment.load(path)
    assert str(error.value).isprintable()
    with pytest.raises(nl.InputError, match=r"x \.\.\. x") as error:
        nl.Experiment.from_dict({**toml_text.read(_written(tmp_path)), "seed": "x" * 100_000})
    assert len(str(error.value)) < 1500


def _written(folder: Path) -> Path:
    path = folder / "small.toml"
    path.write_text(small().to_toml())
    return path


def test_an_integer_beyond_every_float_is_refused():
    with pytest.raises(nl.InputError, match="leak"):
        nl.Network(np.eye(2), np.eye(2), np.eye(2), leak=10**400)
    with pytest.raises(nl.InputError, match="feedback"):
        nl.EProp(feedback={"A": 1})


# --- npz


def own(path: Path, **members: bytes) -> Path:
    plain = {"inputs": damage.npy(np.ones((6, 2))), "targets": damage.npy(np.ones((6, 1)))} | members
    path.write_bytes(damage.zipped([(f"{k}.npy", v) for k, v in plain.items()]))
    return path


def shrunk() -> bytes:
    """An array whose header, damaged in one byte, says that it is shorter."""
    whole = damage.npy(np.ones((6, 2)))
    return whole.replace(b"(6, 2)", b"(5, 2)")


BAD_MEMBERS: dict[str, Any] = {
    "shorter than it says": {"inputs": shrunk()},
    "pickled": {"inputs": damage.npy(np.array([damage.Pickled()], dtype=object))},
    "larger than memory": {"inputs": damage.npy(np.ones(3)).replace(b"(3,)", b"(10**9,)")},
    "128 bits": {"inputs": damage.npy(np.full((6, 2), np.longdouble("1e4000")))},
    "fields": {"inputs": damage.npy(np.zeros(6, dtype=[("a", "f8")]))},
    "version 3": {"inputs": b"\x93NUMPY\x03\x00" + bytes(60)},
    "no header": {"inputs": b"PK"},
    "lengths that wrap around": {"lengths": damage.npy(np.array([2**62, 2**62, 2**62, 2**62 + 6]))},
}


@pytest.mark.parametrize("members", BAD_MEMBERS.values(), ids=BAD_MEMBERS)
def test_own_data_that_are_not_what_they_say(tmp_path, members):
    with pytest.raises(nl.InputError, match=r"bad\.npz"):
        nl.tasks.load("npz", path=own(tmp_path / "bad.npz", **members))


def test_a_damaged_byte_before_the_values_is_found_by_the_check_sum(tmp_path):
    """NumPy reads as much as a header says, and the check sum of a zip is looked at where a member ends."""
    long = {"inputs": damage.npy(np.ones((6000, 2))), "targets": damage.npy(np.ones((6000, 2)))}
    path = own(tmp_path / "bad.npz", **long)
    path.write_bytes(path.read_bytes().replace(b"(6000, 2)", b"(3000, 2)"))
    assert np.load(path)["inputs"].shape == (3000, 2)
    with pytest.raises(nl.InputError, match="CRC"):
        nl.tasks.load("npz", path=path)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    path.write_bytes(damage.bomb())
    with pytest.raises(nl.InputError, match="unpacks to 700 MiB"):
        nl.tasks.load("npz", path=path)


def test_other_ways_to_pack_are_refused(tmp_path):
    path = tmp_path / "packed.npz"
    path.write_bytes(damage.zipped([("inputs.npy", damage.npy(np.ones(3)))], method=zipfile.ZIP_BZIP2))
    with pytest.raises(nl.InputError, match=r"np\.savez does not use"):
        nl.tasks.load("npz", path=path)
    path.write_bytes(damage.zipped([("inputs.npy", damage.npy(np.ones(3)))] * 2))
    with pytest.raises(nl.InputError, match="twice"):
        nl.tasks.load("npz", path=path)


# --- sealed files


@pytest.fixture(scope="module")
def run_file(tmp_path_factory) -> Path:
    return small().simulate(progress=False).save(tmp_path_factory.mktemp("run") / "run.npz")


def resealed(source: Path, path: Path, change: Any) -> Path:
    """A run file that somebody has changed and sealed anew."""
    meta, arrays = savefile.read(source, "run", 1)
    arrays = dict(arrays)
    change(meta, arrays)
    path.write_bytes(savefile.pack("run", 1, meta, arrays))
    return path


CHANGES: dict[str, Any] = {
    "status is missing": lambda meta, arrays: meta.pop("status"),
    "metrics.x is no number": lambda meta, arrays: meta["metrics"].update(x="much"),
    "position.step is no whole number": lambda meta, arrays: meta["position"].update(step=2**70),
    "experiment.task is no table": lambda meta, arrays: meta["experiment"].update(task=[]),
    "basis.why is no text": lambda meta, arrays: meta["basis"].pop("why"),
    "saturation.x is no table": lambda meta, arrays: meta.update(saturation={"x": 1}),
    "network/A is missing": lambda meta, arrays: arrays.pop("network/A"),
    "complex128": lambda meta, arrays: arrays.update({"network/A": arrays["network/A"] * 1j}),
    "records/loss has shape": lambda meta, arrays: arrays.update({"records/loss": np.ones((2, 2))}),
    "belong together": lambda meta, arrays: arrays.pop("factors/M"),
    "before learning and": lambda meta, arrays: arrays.update({"initial/B": np.ones((3, 5))}),
}


@pytest.mark.parametrize("says", CHANGES)
def test_a_sealed_file_that_holds_no_run(tmp_path, run_file, says):
    path = resealed(run_file, tmp_path / "changed.npz", CHANGES[says])
    with pytest.raises(nl.RunFileError, match=f"changed.npz.*{says}"):
        nl.Run.load(path)


def test_no_pickle_is_run(tmp_path, run_file):
    members = damage.members_of(run_file.read_bytes())
    evil = damage.npy(np.array([damage.Pickled()], dtype=object))
    for name in ("records/x.npy", "neurolrnn.npy"):
        path = tmp_path / "evil.npz"
        kept = [(n, data) for n, data in members if n != name]
        path.write_bytes(damage.sealed(damage.zipped([*kept, (name, evil)], SEAL)))
        with pytest.raises(nl.RunFileError, match="object values"):
            nl.Run.load(path)


# --- stores


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return READERS["profile-store"].seeds(tmp_path_factory.mktemp("store"))[1]


EDITS = {
    "where str was written": "UPDATE runs SET status = CAST(status AS BLOB)",
    "where int was written": "UPDATE plan SET seed = CAST(CAST(seed AS TEXT) AS BLOB)",
    "where float was written": "UPDATE runs SET seconds = 'long'",
    "took -1": "UPDATE runs SET seconds = -1",
    "it lists 3 runs and asks for 4": "DELETE FROM plan WHERE position = 3",
    "tables are not those": "CREATE VIEW v AS SELECT 1",
    "was changed after": "UPDATE runs SET message = 'fine'",
}


@pytest.mark.parametrize("says", EDITS)
def test_a_store_that_was_edited(tmp_path, store, says):
    path = shutil.copy(store, tmp_path / "edited.sqlite")
    with sqlite3.connect(path) as db:
        db.execute(EDITS[says])
    db.close()
    with pytest.raises(nl.NeurolrnnError, match=rf"edited\.sqlite.*{says}"):
        nl.Profile.load(path)


def test_a_view_without_end_in_place_of_a_table(tmp_path, store):
    path = shutil.copy(store, tmp_path / "endless.sqlite")
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE plan")
        endless = "WITH RECURSIVE c(position) AS (SELECT 1 UNION ALL SELECT 1 FROM c)"
        db.execute(f"CREATE VIEW plan AS {endless} SELECT * FROM c")
    db.close()
    with pytest.raises(nl.NeurolrnnError, match="tables are not those"):
        nl.Profile.load(path)


# --- HDF5


@pytest.fixture
def nir_file(tmp_path) -> Path:
    path = tmp_path / "net.nir"
    nl.export(nl.Network.random(2, 3, 2, leak=0.3), path, "nir", dtype="float64")
    return path


def circle(file: h5py.File) -> None:
    file["node/again"] = file["node"]


def elsewhere(file: h5py.File) -> None:
    file["node/x"] = h5py.ExternalLink("/etc/hostname", "/")


def raw(file: h5py.File) -> None:
    file.create_dataset("x", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def huge(file: h5py.File) -> None:
    file.create_dataset("x", (10**6, 10**6), "f8", chunks=(1000, 1000))


def fields(file: h5py.File) -> None:
    file["x"] = np.zeros(2, dtype=[("a", "f8")])


HDF5 = {"stands in itself": circle, "link to something else": elsewhere, "other files": raw, "far larger": huge,
        "numbers or text": fields}  # fmt: skip


@pytest.mark.parametrize("says", HDF5)
def test_hdf5_that_must_not_be_read(nir_file, says):
    with h5py.File(nir_file, "r+") as file:
        HDF5[says](file)
    with pytest.raises(nl.InputError, match=rf"net\.nir.*{says}"):
        nl.Network.from_nir(nir_file)


def test_a_file_that_hdf5_stands_still_or_fails_on(nir_file, monkeypatch):
    nir_file.write_bytes(nir_file.read_bytes()[:-100])
    with pytest.raises(nl.InputError, match=r"net\.nir.*damaged.*truncated"):
        nl.Network.from_nir(nir_file)
    monkeypatch.setattr(hdf5_check, "SECONDS", 0.0)
    with pytest.raises(nl.InputError, match=r"net\.nir.*had not read it"):
        nl.Network.from_nir(nir_file)


def test_types_that_are_no_weights(nir_file):
    with h5py.File(nir_file, "r+") as file:
        del file["node/nodes/W/weight"]
        file["node/nodes/W/weight"] = np.array([["a"]], dtype="S3")
    with pytest.raises(nl.InputError, match=r"node 'W' .*real numbers"):
        nl.Network.from_nir(nir_file)


# --- bundles


def test_a_sealed_bundle_that_asks_for_too_much(tmp_path):
    reader = READERS["bundle"]
    path = reader.seeds(tmp_path)[0]
    for key, value, says in (("sizes", {"n_in": 2, "n_rec": 2**40, "n_out": 2}, "not those of its weights"),
                             ("decay_bits", 10**9, "beyond what a device has"), ("landings", [], "")):  # fmt: skip
        meta, arrays = savefile.read(path, "bundle", 1)
        meta[key] = value
        changed = tmp_path / "changed.npz"
        changed.write_bytes(savefile.pack("bundle", 1, meta, arrays))
        with pytest.raises(ValueError, match=rf"changed\.npz.*{says}"):
            reader.read(changed)
