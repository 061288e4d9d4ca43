"""Everything that writes a file or folder of the user: how to make it write, and how to see that it is whole."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import export_cases
import numpy as np
import profile_cases
from PIL import Image

import neurolrnn as nl
from benchmarks import picture as benchmark_picture
from benchmarks import results as benchmark_results
from neurolrnn import atomic, cli, plots
from neurolrnn.errors import NeurolrnnError
from neurolrnn.exports import TARGETS

EXCERPT = Path(__file__).parent / "data" / "japanese_vowels"
REFERENCE = Path(__file__).parents[1] / "benchmarks" / "results" / "reference.json"
AXES = {"precision.preset": ["float32", "int8"]}
MEGABYTES = 4
"""Of the plain file: writing it takes longer than anything beside it."""


class Refused(NeurolrnnError):
    """A command ended with exit code 2; the text is what it said on stderr."""


@dataclass(frozen=True)
class Writer:
    """One way in which a file or a folder comes about."""

    name: str
    write: Callable[[Path], object]
    whole: Callable[[Path], object]
    """Fails unless what stands at the path is whole."""
    suffix: str = ""
    """Empty: a folder."""
    pieces: bool = False
    """Several moves, so that after an error some files may be new and others old, each of them whole."""
    makes_parents: bool = False
    forks: bool = True
    """Whether it can be killed over and over in forks of one process."""
    slow: bool = False
    words: dict[str, str] = field(default_factory=dict)
    """What is said at a bad place, where it is not what others say."""

    def __str__(self) -> str:
        return self.name

    @property
    def path_name(self) -> str:
        return f"out{self.suffix}"


# --- what is written


@cache
def run() -> nl.Run:
    return export_cases.trained("int8")


@cache
def run_file(folder: str) -> str:
    return str(run().save(Path(folder) / "made.npz"))


@cache
def profile() -> nl.Profile:
    return nl.profile(profile_cases.experiment(), AXES, seeds=2, threads=1, progress=False)


@cache
def figure() -> Any:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(2, 2))
    drawn.subplots().imshow(np.random.default_rng(0).random((40, 40)))
    return drawn


@cache
def reproduction() -> Any:
    from neurolrnn.reproduction.claims import Outcome
    from neurolrnn.reproduction.runner import CLAIMS, Reproduction

    outcomes = [Outcome(claim, "confirmed", "a figure") for claim in CLAIMS.values()]
    return Reproduction(True, 0, outcomes, list(CLAIMS))


def write_reproduction(path: Path) -> None:
    from neurolrnn.reproduction.report import make_folder, write_all

    write_all(reproduction(), make_folder(path))


def write_report(path: Path) -> None:
    from neurolrnn.reports.page import Page

    page = Page("A page", "of words")
    page._parts += ["<p>word</p>"] * 20_000
    page.write(path)


def write_suggestion(path: Path) -> None:
    from neurolrnn.profiles.suggest import suggest_formats

    suggest_formats(profile_cases.experiment(), 0.5, 2, progress=False).save(path)


def write_checkpoint(path: Path) -> None:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=4, n_out=1, sequences=2, steps=5)
    nl.simulate(nl.Network.random(2, 4, 1), task, nl.RFLO(), progress=False, checkpoint=path)


def write_store(path: Path) -> None:
    nl.profile(profile_cases.experiment(), AXES, seeds=2, store=path, threads=1, progress=False)


def write_remade(path: Path) -> None:
    from neurolrnn.data import remake

    remake.write(remake.read(EXCERPT), path)


def write_standalone(path: Path) -> None:
    from neurolrnn.spiking import example_input, to_standalone

    net = nl.Network.random(1, 3, 1, leak=0.5)
    to_standalone(net, "sigma-delta", example_input(net, 20), path, q=0.1)


def command(*words: str) -> Callable[[Path], None]:
    """A command line; ``OUT`` stands for the path, ``RUN`` and ``EXPERIMENT`` for files that are made beside it."""

    def write(path: Path) -> None:
        sources = {"OUT": str(path)}
        if "RUN" in words:
            sources["RUN"] = source_file("RUN")
        if "EXPERIMENT" in words:
            sources["EXPERIMENT"] = source_file("EXPERIMENT")
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            code = cli.main([sources.get(word, word) for word in words])
        if code == 2:
            raise Refused(said.getvalue())
        if "neurolrnn: interrupted" in said.getvalue():  # paths may hold the word
            raise KeyboardInterrupt
        assert code in (0, 1), said.getvalue()

    return write


SOURCES: dict[str, Path] = {}
"""``folder``: where the files that commands read are kept; a test sets it."""


def source_file(which: str) -> str:
    target = SOURCES["folder"] / {"RUN": "run.npz", "EXPERIMENT": "experiment.toml"}[which]
    if not target.exists():
        if which == "RUN":
            run().save(target)
        else:
            target.write_text(profile_cases.experiment().to_toml(), encoding="utf-8")
    return str(target)


# --- whether it is whole


def arrays(path: Path) -> None:
    with np.load(path, allow_pickle=False) as found:
        assert all(found[name].size >= 0 for name in found.files) and found.files


def png(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def pdf(path: Path) -> None:
    data = path.read_bytes()
    assert data.startswith(b"%PDF") and data.rstrip().endswith(b"%%EOF")


def table(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    assert text.endswith("\n") and len(rows) == 1 + len(profile().rows) and len({len(row) for row in rows}) == 1


def parquet(path: Path) -> None:
    import pyarrow.parquet

    assert pyarrow.parquet.read_table(path).num_rows == len(profile().rows)


def page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and text.endswith("</html>\n")


def text(path: Path) -> None:
    found = path.read_text(encoding="utf-8")
    assert len(found) > 100 and found.endswith("\n")


def nir(path: Path) -> None:
    import nir as package

    package.read(path)


def safetensors(path: Path) -> None:
    from safetensors.numpy import load_file

    assert load_file(path)


def export_folder(path: Path) -> None:
    assert (path / atomic.MARK).is_file(), "the mark is written last"
    assert all(file.stat().st_size or file.name == "__init__.py" for file in path.rglob("*") if file.is_file())


def reproduced(path: Path) -> None:
    json.loads((path / "reproduction.json").read_text(encoding="utf-8"))
    for name in ("reproduction.md", "reproduction.txt"):
        text(path / name)


def store(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    nl.Profile.load(path)


def plain_file(path: Path) -> None:
    data = path.read_bytes()
    assert len(data) == MEGABYTES << 20 and not any(data)


def plain_folder(path: Path) -> None:
    export_folder(path)
    assert sum(len(file.read_bytes()) == 100_000 for file in path.iterdir()) == 12


# --- the table

_EXPORTS: Mapping[str, tuple[Callable[[Path], object], dict[str, Any]]] = {
    "nir": (nir, {}),
    "npz": (arrays, {}),
    "safetensors": (safetensors, {}),
    "bundle": (arrays, {}),
    "nest": (export_folder, {}),
    "c": (export_folder, {"compiler": None}),
    "verilog": (export_folder, {}),
    "lava": (export_folder, {}),
    "brian2": (export_folder, {}),
}
SLOW_EXPORTS = ("bundle", "verilog", "lava", "brian2")


def _export(name: str) -> Writer:
    whole, options = _EXPORTS[name]
    return Writer(
        f"export {name}", lambda path: nl.export(run(), path, name, inference_only=True, **options), whole,
        TARGETS[name].suffix, slow=name in SLOW_EXPORTS, forks=name != "c",
    )  # fmt: skip


def _picture(name: str, write: Callable[[Path], object]) -> Writer:
    return Writer(f"picture of {name}", write, png, ".png", slow=True)


def _pictures() -> list[Writer]:
    from neurolrnn import rule_plots, theory_plots
    from neurolrnn.profiles.range_profile import ranges
    from neurolrnn.spiking import example_input, plot_deployment

    return [
        _picture("a run", lambda path: run().plot(path)),
        _picture("a profile", lambda path: profile().plot(path)),
        _picture("ranges", lambda path: ranges(profile_cases.experiment()).plot(path)),
        _picture("a portrait", lambda path: rule_plots.plot_portrait("rflo", path)),
        _picture("rates", lambda path: rule_plots.plot_rates(path=path)),
        _picture("stability", lambda path: rule_plots.plot_stability_map("rflo", path)),
        _picture("alignment", lambda path: theory_plots.plot_alignment(run(), path)),
        _picture("spectra", lambda path: theory_plots.plot_spectra(run(), path)),
        _picture("spikes", lambda path: plot_deployment(run().network, example_input(run().network), path)),
        _picture("benchmarks", lambda path: benchmark_picture.draw(benchmark_results.load(REFERENCE), path)),
    ]


_FILES = {f"{k}.bin": bytes(100_000) for k in range(12)}
_SAVE = "neurolrnn tests"
WRITERS: dict[str, Writer] = {
    writer.name: writer
    for writer in (
        Writer("plain file", lambda path: atomic.write_bytes(path, bytes(MEGABYTES << 20)), plain_file, ".bin"),
        Writer("plain folder", lambda path: atomic.write_folder(path, _FILES), plain_folder),
        Writer("run", lambda path: run().save(path), nl.Run.load, ".npz"),
        Writer("checkpoint", write_checkpoint, nl.Run.load, ".npz"),
        Writer("picture .png", lambda path: plots.save(figure(), path, _SAVE), png, ".png"),
        Writer("picture .svg", lambda path: plots.save(figure(), path, _SAVE), ElementTree.parse, ".svg"),
        Writer("picture .pdf", lambda path: plots.save(figure(), path, _SAVE), pdf, ".pdf"),
        *_pictures(),
        *map(_export, TARGETS),
        Writer("Brian2 script", lambda path: nl.spiking.write_script(run().network, path), export_folder),
        Writer("Brian2 standalone", write_standalone, lambda path: (path / "main.cpp").stat(), pieces=True,
               forks=False, slow=True),
        Writer("profile store", write_store, store, ".sqlite", pieces=True, forks=False,  # test_profile_kill kills it
               words={"write-protected": ""}),
        Writer("profile CSV", lambda path: profile().to_csv(path), table, ".csv"),
        Writer("profile Parquet", lambda path: profile().to_parquet(path), parquet, ".parquet", forks=False),  # threads
        Writer("suggestion", write_suggestion, nl.Experiment.load, ".toml", slow=True),
        Writer("report page", write_report, page, ".html"),
        Writer("reproduction", write_reproduction, reproduced, pieces=True, makes_parents=True,
               words={"kind": "File exists", "pipe": "File exists", "parent is a file": "Not a directory"}),
        Writer("data set", write_remade, arrays, ".npz"),
        Writer("benchmark results",
               lambda path: benchmark_results.save(benchmark_results.load(REFERENCE), path),
               benchmark_results.load, ".json", makes_parents=True, words={"parent is a file": "cannot make"}),
        Writer("neurolrnn simulate", command("simulate", "EXPERIMENT", "--quiet", "--no-plot", "-o", "OUT"),
               nl.Run.load, ".npz"),
        Writer("neurolrnn profile",
               command("profile", "EXPERIMENT", "--seeds", "2", "--threads", "1", "--quiet", "-o", "OUT"), store,
               ".sqlite", pieces=True, forks=False, words={"write-protected": ""}),
        Writer("neurolrnn profile --suggest",
               command("profile", "EXPERIMENT", "--suggest", "--seeds", "2", "--tolerance", "0.5", "--quiet", "-o",
                       "OUT"), nl.Experiment.load, ".toml", slow=True),
        Writer("neurolrnn check", command("check", "EXPERIMENT", "--chip", "loihi2", "-o", "OUT"), text, ".txt"),
        Writer("neurolrnn check --new-sheet", command("check", "--new-sheet", "OUT"), text, ".toml",
               words={"older": "is there already", "write-protected": "is there already"}),
        Writer("neurolrnn export", command("export", "RUN", "--to", "npz", "-o", "OUT"), arrays, ".npz"),
        Writer("neurolrnn spike", command("spike", "RUN", "-o", "OUT"), export_folder, slow=True),
        Writer("neurolrnn spike --plot", command("spike", "RUN", "--plot", "OUT"), png, ".png", slow=True),
        Writer("neurolrnn theory", command("theory", "spectra", "RUN", "-o", "OUT"), png, ".png", slow=True),
        Writer("neurolrnn reproduce", command("reproduce", "--quick", "--only", "sequence-loss", "--quiet", "-o",
                                              "OUT"), reproduced, pieces=True, makes_parents=True, slow=True,
               words={"kind": "File exists", "pipe": "File exists", "parent is a file": "Not a directory"}),
        Writer("neurolrnn report", command("report", "RUN", "-o", "OUT"), page, ".html", slow=True),
    )
}  # fmt: skip
"""All writers, by name."""
