"""Every reader of files: small real files, how they are damaged, the public way in, and what counts as right."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_damage import damage_bytes, damage_npz, damage_sqlite, damage_toml, sealed
from fuzz_hdf5 import damage_hdf5, read_nir

import neurolrnn as nl
from neurolrnn import toml_text
from neurolrnn.errors import NeurolrnnError
from neurolrnn.profiles.row import STATUSES, same

ROOT = Path(__file__).resolve().parents[1]
SEAL = b"neurolrnn sha256 " + b"0" * 64
BYTES, FORMAT = "bytes", "format"
"""Kinds of damage: of any bytes, which a seal must notice; and by somebody who knows the format, and seals anew."""


@dataclass(frozen=True)
class Reader:
    """One way in for files.

    Parameters
    ----------
    seeds : callable
        Writes real files into a folder and returns them.
    damage : callable
        ``(rng, seed, other seed, path)``: writes a damaged file and returns the kind of damage.
    read : callable
        The public entry.
    check : callable
        ``(read, seed, kind)``: fails if what was read is not what may come of it; returns whether it is the original.
    errors : type
        What may be raised.
    """

    suffix: str
    seeds: Callable[[Path], list[Path]]
    damage: Callable[[random.Random, Path, Path, Path], str]
    read: Callable[[Path], Any]
    check: Callable[[Any, Path, str], bool]
    errors: type[Exception] = NeurolrnnError


# --- small real files

TABLES: dict[str, Any] = {
    "seed": 3,
    "task": {"name": "teacher-student", "n_in": 1, "n_rec": 3, "n_out": 2, "sequences": 2, "steps": 5,
             "test_sequences": 1},
    "network": {"n_rec": 3, "input_scale": 0.3, "kind": "gaussian"},
    "rule": {"name": "rflo", "storage": "factored", "feedback": "random"},
    "training": {"learning_rate": {"A": 0.01, "W": 0.003, "B": 0.003}, "records": 2, "learn": ["A", "W", "B"]},
    "precision": {"preset": "int8", "weight": "s1.6 stochastic", "hidden": {"W": "s3.12"}},
}  # fmt: skip


def experiment(**tables: Any) -> nl.Experiment:
    return nl.Experiment.from_dict({**TABLES, **tables})


@cache
def small() -> nl.Experiment:
    return experiment()


def experiment_files(folder: Path) -> list[Path]:
    full = experiment(
        chip="loihi2", assume=["unknown"], rule={"name": "eprop"}, spiking={"mode": "graded"},
        precision={"weight": "s1.6", "state": "s3.12 floor", "accumulator": "s24 saturate"},
        training={"learning_rate": 0.01, "clamp": {"W": 1.0}, "update_every": 2},
    )  # fmt: skip
    expected = experiment(precision={"preset": "float64"}, training={"update": "expected", "horizon": "inf"})
    other = {"name": "periodic"}, {"name": "bptt"}, {"update": "episode", "batch": 2}, {"preset": "float32"}
    periodic = experiment(**dict(zip(("task", "rule", "training", "precision"), other, strict=True)))
    made = {"small": small(), "full": full, "expected": expected, "periodic": periodic}
    return [toml_text_file(folder / f"{name}.toml", said.to_toml()) for name, said in made.items()]


def toml_text_file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def run_files(folder: Path) -> list[Path]:
    real = {"precision": {"preset": "float32"}, "training": {"learning_rate": 0.01, "records": 2}}
    sparse = {"network": {"n_rec": 4, "kind": "sparse", "density": 0.5}, "rule": {"name": "eprop"}, **real}
    runs = {
        "fixed": small().simulate(progress=False),
        "sparse": experiment(**sparse).simulate(progress=False),
        "block": experiment(network={"n_rec": 4, "kind": "block"}, **real).simulate(progress=False),
    }
    return [run.save(folder / f"{name}.npz") for name, run in runs.items()]


def store_files(folder: Path) -> list[Path]:
    for name, axes in (("one", {"precision.weight": ["s1.4", "s40.40"]}), ("two", {"network.leak": [0.5, 1.0]})):
        nl.profile(experiment(), axes, seeds=2, store=folder / f"{name}.sqlite", threads=1, progress=False)
    return [folder / "one.sqlite", folder / "two.sqlite"]


def sheet_files(folder: Path) -> list[Path]:
    source = ROOT / "hardware_models" / "neurolrnn_hardware" / "chips"
    short = '[sources]\nOWN = "measured"\n'
    derived = (
        f'extends = "loihi2"\nname = "Own"\nnot_modelled = ["heat"]\n{short}[notes]\n'
        'a = { value = "b", grade = "U" }\n'
    )
    derived = derived.replace('{ value = "b", grade = "U" }', '{ value = "b", grade = "A", source = "OWN 1" }')
    made = [toml_text_file(folder / "derived.toml", derived)]
    for name in ("reckon", "loihi2"):
        made.append(toml_text_file(folder / f"my_{name}.toml", (source / f"{name}.toml").read_text(encoding="utf-8")))
    return made


def nir_files(folder: Path) -> list[Path]:
    """A file as it is exported, and small ones of the same graphs: most of a file's size is what HDF5 keeps around."""
    import nir

    net = nl.Network.random(2, 3, 2, leak=0.3)
    full = folder / "full.nir"
    nl.export(net, full, "nir", dtype="float64")
    graph = nir.read(full)
    kept = ("producer", "dialect", "dt", "leak")
    graph.metadata = {key: graph.metadata[key] for key in kept}
    small, foreign = folder / "small.nir", folder / "foreign.nir"
    nir.write(small, graph, compression=None)
    affine = {k: nir.Affine(n.weight, np.zeros(len(n.weight))) if k in "AWB" else n for k, n in graph.nodes.items()}
    nir.write(foreign, nir.NIRGraph(affine, graph.edges, metadata={"dt": 1e-3}))
    return [small, small, small, foreign, foreign, full]


def bundle_files(folder: Path) -> list[Path]:
    net = nl.Network.random(2, 3, 2, leak=0.5)
    dense = {"learning_rate": 0.01, "rule": nl.RFLO(storage="dense")}
    learning: list[dict[str, Any]] = [{"learning_rate": 0.01}, {}, dense]
    made = []
    for k, option in enumerate(learning):
        made.append(folder / f"bundle{k}.npz")
        nl.export(net, made[-1], "bundle", precision="int8", steps=6, **option)
    return made


def own_files(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(7, 3))
    np.savez(folder / "flat.npz", inputs=x, targets=y, lengths=[3, 4], mask=np.ones(7), labels=[0, 2],
             test_inputs=x, test_targets=y, test_starts=[0, 2, 7])  # fmt: skip
    np.savez_compressed(folder / "cube.npz", inputs=rng.normal(size=(2, 4, 2)), targets=rng.normal(size=(2, 4, 3)),
                        mask=np.ones((2, 4)))  # fmt: skip
    np.savez(folder / "plain.npz", inputs=x.astype("f4"), targets=rng.integers(0, 5, (7, 1)))
    return [folder / name for name in ("flat.npz", "cube.npz", "plain.npz")]


# --- damage


def damage_text(write: Callable[[Any], str], rng: random.Random, seed: Path, other: Path, path: Path) -> str:
    text = seed.read_text(encoding="utf-8")
    path.write_bytes(damage_toml(rng, text, write, tables_of(text)))
    return FORMAT


@cache
def tables_of(text: str) -> Any:
    return tomllib.loads(text)


def damage_sealed(rng: random.Random, seed: Path, other: Path, path: Path) -> str:
    data = seed.read_bytes()
    if rng.random() < 0.3:
        path.write_bytes(damage_bytes(rng, data, other.read_bytes()))
        return BYTES
    path.write_bytes(sealed(damage_npz(rng, data, SEAL, "neurolrnn.npy")))
    return FORMAT


def damage_own(rng: random.Random, seed: Path, other: Path, path: Path) -> str:
    by_bytes = rng.random() < 0.4
    data = seed.read_bytes()
    path.write_bytes(damage_bytes(rng, data, other.read_bytes()) if by_bytes else damage_npz(rng, data))
    return BYTES if by_bytes else FORMAT


def damage_store(rng: random.Random, seed: Path, other: Path, path: Path) -> str:
    data = seed.read_bytes()
    by_bytes = rng.random() < 0.5
    path.write_bytes(damage_bytes(rng, data, other.read_bytes()) if by_bytes else data)
    if not by_bytes:
        damage_sqlite(rng, path)
    return BYTES


def damage_nir(rng: random.Random, seed: Path, other: Path, path: Path) -> str:
    by_bytes = rng.random() < 0.5
    data = seed.read_bytes()
    path.write_bytes(damage_bytes(rng, data, other.read_bytes()) if by_bytes else data)
    if not by_bytes:
        damage_hdf5(rng, path)
    return FORMAT


# --- what was read


def plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def check_experiment(read: nl.Experiment, seed: Path, kind: str) -> bool:
    """What an experiment says, it reads back as."""
    again = nl.Experiment.from_dict(tomllib.loads(read.to_toml()), read.where)
    assert plain(again.to_dict()) == plain(read.to_dict()), "it does not read back what it says"
    return plain(read.to_dict()) == plain(nl.Experiment.load(seed).to_dict())


def run_contents(run: nl.Run) -> str:
    h = hashlib.sha256()
    for net in (run.initial, run.network):
        h.update(net.digest().encode() + plain(net.origin).encode())
    arrays = {"R": run.feedback} if run.feedback is not None else {}
    arrays |= dict(zip("MN", run.factors, strict=True)) if run.factors is not None else {}
    for name, array in {**arrays, **run.records, **{f"state/{k}": v for k, v in run.state.items()}}.items():
        h.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    parts = ("status", "message", "experiment", "metrics", "warnings", "versions", "timing", "saturation", "numerics",
             "position", "basis")  # fmt: skip
    h.update(plain([getattr(run, part) for part in parts]).encode())
    return h.hexdigest()


@cache
def seed_run(path: Path) -> str:
    return run_contents(nl.Run.load(path))


def check_run(read: nl.Run, seed: Path, kind: str) -> bool:
    found = run_contents(read)
    whole = found == seed_run(seed)
    assert whole or kind == FORMAT, "damaged bytes were taken for good"
    assert read.summary()
    assert read.timing_table()
    assert np.isfinite(read.network.A).all()
    again = read.save(seed.with_name("again.npz"))
    assert run_contents(nl.Run.load(again)) == found, "it does not read back what it says"
    return whole


@cache
def seed_profile(path: Path) -> nl.Profile:
    return nl.Profile.load(path)


def check_profile(read: nl.Profile, seed: Path, kind: str) -> bool:
    """Rows are those that were written; what is missing is said to be."""
    original = seed_profile(seed)
    assert plain(read.plan.to_plain()) == plain(original.plan.to_plain()), "the plan changed"
    assert read.wanted == original.wanted, "fewer runs are wanted"
    there = {(row.key, row.seed): row for row in original.rows}
    for row in read.rows:
        assert same(row, there[row.key, row.seed]), f"run {row.key} changed"
        assert row.status in STATUSES
        assert row.seconds >= 0
    assert len(read.rows) == read.wanted or read.status == "interrupted"
    assert read.table()
    return len(read.rows) == len(original.rows)


@cache
def seed_report(path: Path) -> str:
    return plain({**nl.check(small(), path).to_dict(), "chip": ""})


def check_sheet(read: nl.chips.check.Report, seed: Path, kind: str) -> bool:
    assert read.text()
    assert read.markdown()
    for fact in (read.chip.fact(limit) for limit in ("topology.fan_in", "memory.chip")):
        assert fact.shown()
    return plain({**read.to_dict(), "chip": ""}) == seed_report(seed)


@cache
def seed_network(path: Path) -> str:
    try:
        return nl.Network.from_nir(path).digest()
    except nl.InputError:  # nested graphs are written, not read
        return ""


def check_network(read: nl.Network, seed: Path, kind: str) -> bool:
    for matrix in (read.A, read.W, read.B):
        assert np.isfinite(matrix).all()
    assert read.W.shape == (read.n_rec,) * 2
    assert 0 < read.leak <= 1
    return read.digest() == seed_network(seed)


@cache
def bundle_reader() -> Any:
    spec = importlib.util.spec_from_file_location("read_bundle", ROOT / "examples" / "read_bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_bundle(read: int, seed: Path, kind: str) -> bool:
    assert read >= 0
    assert kind == FORMAT or read == bundle_reader().replay(seed), "damaged bytes were taken for good"
    return read == seed_count(seed)


@cache
def seed_count(path: Path) -> int:
    return int(bundle_reader().replay(path))


def load_own(path: Path) -> nl.Task:
    return nl.tasks.load("npz", path=path)


@cache
def seed_task(path: Path) -> str:
    return load_own(path).digest()


def check_task(read: nl.Task, seed: Path, kind: str) -> bool:
    whole = read.digest() == seed_task(seed)
    assert whole or kind == FORMAT, "damaged bytes were taken for good"
    assert np.isfinite(read.train.inputs).all()
    assert read.n_in == read.train.inputs.shape[1]
    assert len(read.train) >= 1
    return whole


READERS: dict[str, Reader] = {
    "experiment": Reader(
        ".toml", experiment_files, partial(damage_text, toml_text.dumps), nl.Experiment.load, check_experiment
    ),
    "run-file": Reader(".npz", run_files, damage_sealed, nl.Run.load, check_run),
    "profile-store": Reader(".sqlite", store_files, damage_store, nl.Profile.load, check_profile),
    "chip-sheet": Reader(
        ".toml", sheet_files, partial(damage_text, toml_text.dumps), lambda path: nl.check(small(), path), check_sheet
    ),
    "nir": Reader(".nir", nir_files, damage_nir, read_nir, check_network),
    "bundle": Reader(
        ".npz", bundle_files, damage_sealed, lambda path: bundle_reader().replay(path), check_bundle, ValueError
    ),
    "own-data": Reader(".npz", own_files, damage_own, load_own, check_task),
}
