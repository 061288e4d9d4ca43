"""``neurolrnn theory``: every subject explains itself, prints its numbers, and puts its picture where it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import neurolrnn as nl
from neurolrnn import cli, theory
from neurolrnn.cli import theory_rules
from neurolrnn.cli.theory import SUBJECTS
from neurolrnn.tasks.teacher_student import aligned_student
from neurolrnn.theory.rule_maps import RULE_LABELS

NAMES = [add.__name__.removeprefix("add_").replace("_", "-") for add in SUBJECTS]
DRAWN = ("portrait", "rates", "stability", "modes", "alignment", "spectra")
EXPERIMENT = """seed = 1
[task]
name = "teacher-student"
a_star = [1.2, 0.9]
b_star = [1.0, -1.1]
w_star = [0.6, -0.3]
sequences = 30
steps = 10
[network]
n_rec = 3
[rule]
name = "rflo"
decay = 0.5
[training]
learning_rate = 0.002
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp.toml").write_text(EXPERIMENT)
    return tmp_path


@pytest.fixture
def saved(folder: Path) -> list[str]:
    """Two runs: an aligned one, and one that is not."""
    task = nl.tasks.load("teacher-student", a_star=[1.0], b_star=[1.0], w_star=[0.5], sequences=10, steps=10)
    student, R = aligned_student(task, [0.3], [0.2], [0.1], [1.0], n_rec=3)
    free = nl.Network.random(1, 4, 1, spectral_radius=0.3)
    for name, net, rule in (("aligned", student, nl.RFLO(decay=0.5, feedback=R)), ("free", free, nl.RFLO())):
        nl.simulate(net, task, rule, learning_rate=0.005, progress=False).save(folder / f"{name}.npz")
    return ["aligned.npz", "free.npz"]


def call(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert cli.main(["theory", *arguments]) == code
    out, err = capsys.readouterr()
    return out, err


def numbers(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    out, _ = call(capsys, *arguments, "--json")
    found: dict[str, Any] = json.loads(out)
    assert out.count("\n") == 1
    return found


@pytest.mark.parametrize("name", ["", *NAMES])
def test_help_has_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["theory", *([name] if name else []), "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text and f"neurolrnn theory {name}" in text and "exit codes: 0" in text


def test_every_example_of_the_help_parses(capsys: pytest.CaptureFixture[str]) -> None:
    count = 0
    for name in NAMES:
        with pytest.raises(SystemExit):
            cli.main(["theory", name, "--help"])
        for line in capsys.readouterr().out.splitlines():
            if line.startswith("  neurolrnn theory "):
                cli.make_parser().parse_args(line.split()[1:])
                count += 1
    assert count >= 2 * len(DRAWN)


def test_labels_are_those_of_the_theory() -> None:
    assert theory_rules.LABELS == RULE_LABELS
    assert set(DRAWN) <= set(NAMES)


@pytest.mark.parametrize("arguments", [["portrait", "--points", "9"], ["rates", "bptt", "--w-star", "0.5"],
                                       ["stability", "--a-hat", "1"], ["modes", "aligned.npz"],
                                       ["alignment", "aligned.npz", "free.npz"], ["spectra", "aligned.npz"]],
                         ids=lambda a: a[0])  # fmt: skip
def test_pictures_go_where_it_says(
    folder: Path, saved: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    name = arguments[0]
    out, _ = call(capsys, *arguments)
    first = folder / "runs" / f"theory-{name}.png"
    assert out.endswith(f"\nwritten: {Path('runs') / first.name}\n")
    assert len(out.splitlines()) > 3  # and numbers
    content = first.read_bytes()
    call(capsys, *arguments)
    assert first.read_bytes() == content  # our own picture is replaced
    first.write_bytes(b"a picture of somebody else")
    assert numbers(capsys, *arguments)["picture"] == str(Path("runs") / f"theory-{name}-2.png")
    assert first.read_bytes() == b"a picture of somebody else"
    call(capsys, *arguments, "-o", "mine")
    assert (folder / "mine.png").read_bytes() == content
    before = sorted(folder.rglob("*"))
    assert numbers(capsys, *arguments, "--no-plot")["picture"] is None
    assert sorted(folder.rglob("*")) == before


def test_portrait(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers(capsys, "portrait", "--points", "15", "--no-plot")
    direct = theory.portrait("rflo", a_hat=1.0, decay=0.5, points=15)
    assert found["outcomes"] == direct.shares()
    assert [(piece["kind"], *piece["a"]) for piece in found["optimum"]] == direct.pieces()
    out, _ = call(capsys, "portrait", "bptt", "--plane", "u-w", "--points", "9", "--no-plot")
    assert "ends at a = b = 0" in out and "stable node" in out
    assert numbers(capsys, "portrait", "bptt", "--plane", "u-w", "--points", "9", "--no-plot")["third"] is None


def test_rates_stability_and_rank(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = numbers(capsys, "rates", "bptt", "rflo", "--w-star", "0.6", "--no-plot")["rates"]
    assert rows[1]["crossings"] == list(theory.rate_rows(("bptt", "rflo"), (0.6,))[1].crossings)
    maps = numbers(capsys, "stability", "--no-plot")["maps"]
    assert [(m["a_hat"], m["sign"]) for m in maps] == [(h, s) for h in (1.0, 0.05) for s in ("right", "wrong")]
    assert maps[3]["shares"]["stable focus"] > 0.0 == maps[1]["shares"]["stable focus"]
    assert [m["a_hat"] for m in numbers(capsys, "stability", "bptt", "--no-plot")["maps"]] == [None]
    bounds = numbers(capsys, "rank", "--n-out", "4", "--loss", "cross-entropy")["bounds"]
    assert bounds[0]["bound"] == 3
    assert "none below 64" in call(capsys, "rank")[0]


def test_modes_of_an_experiment_and_of_runs(folder: Path, saved: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = call(capsys, "modes", "exp.toml", "--precision", "float64", "float32", "--no-plot")
    assert "rflo, feedback R, float32, online" in out
    found = numbers(capsys, "modes", "exp.toml", "--no-plot", "--b", "0.3")["runs"]
    assert len(found) == 1 and 0.0 < found[0]["largest"] < 0.1
    assert found[0]["simulated"]["b"][0] == [0.3, 0.3] and found[0]["predicted"]["b"][0] == [0.3, 0.3]
    (one,) = numbers(capsys, "modes", "aligned.npz", "--no-plot")["runs"]
    assert one["largest"] == theory.mode_deviation(nl.Run.load("aligned.npz")).largest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["modes", "alignment", "spectra"])
def test_without_a_file_small_runs_are_made(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    out, err = call(capsys, name)
    assert "given" in err and "int16" in out * (name == "modes") + "int16" * (name != "modes")
    assert (folder / "runs" / f"theory-{name}.png").stat().st_size < 150_000


@pytest.mark.parametrize(("arguments", "words"), [
    (["portrait", "rflo", "--plane", "u-w"], "left by rflo at once"),
    (["portrait", "--w-star", "1.5"], "w_star"),
    (["portrait", "--points", "0"], "points = 0"),
    (["portrait", "--points", "3", "-o", "none/x.png"], "the folder none does not exist"),
    (["portrait", "--points", "3", "-o", "x.docx"], "cannot draw x.docx"),
    (["rates", "rfol"], "did you mean 'rflo'?"),
    (["rates", "--w-star", "1"], "below 1"),
    (["stability", "--a-hat", "0"], "a_hat = 0"),
    (["rank", "--n-rec", "0"], "n_rec = 0"),
    (["modes", "none.npz"], "there is no file none.npz"),
    (["modes", "free.npz"], "did not start as modes"),
    (["modes", "exp.toml", "--precision", "int61"], "did you mean"),
    (["spectra", "exp.toml"], "was not written by neurolrnn"),
])  # fmt: skip
def test_bad_input_exits_2_in_one_paragraph(
    folder: Path, saved: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    out, err = call(capsys, *arguments, code=2)
    assert out == ""
    assert err.startswith("neurolrnn: ") and err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize("arguments", [[], ["portrat"], ["portrait", "rfol"], ["portrait", "--plane", "w-a"]])
def test_bad_usage_exits_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["theory", *arguments])
    assert stop.value.code == 2


def test_a_run_that_diverges_exits_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "exp.toml").write_text(EXPERIMENT.replace("0.002", "5.0"))
    out, err = call(capsys, "modes", "exp.toml", "--no-plot", "--json", code=1)
    assert out == "" and "diverged" in err
