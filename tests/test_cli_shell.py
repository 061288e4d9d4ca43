"""The command line: help, lists, exit codes, and files that are not lost."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from conftest import python_environment

from neurolrnn import cli, doctor, terminal
from neurolrnn.errors import Divergence
from neurolrnn.experiment import Experiment
from neurolrnn.interrupt import Interrupt
from neurolrnn.rules import RULES
from neurolrnn.run import Run
from neurolrnn.tables import text_table, width
from neurolrnn.tasks import TASKS

EXPERIMENT = '[task]\nname = "periodic"\n[network]\nn_rec = 4\n[rule]\nname = "rflo"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp.toml").write_text(EXPERIMENT)
    return tmp_path


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let ``Experiment.simulate`` return at once; the test says how the run ends, and sees how it was called."""
    plan: dict[str, Any] = {"status": "completed", "message": "", "metrics": {"test_accuracy": 0.5}}

    def simulate(self: Experiment, progress: bool = True, checkpoint: Any = None, resume: Any = None) -> Run:
        plan["called"] = {"progress": progress, "checkpoint": checkpoint, "resume": resume}
        network = self.build()[0]
        run = Run(
            self.described, plan["status"], plan["message"], network, network,
            metrics=plan["metrics"], warnings=["mind the gap"],
        )  # fmt: skip
        if plan["status"] == "diverged":
            raise Divergence(plan["message"], run)
        return run

    monkeypatch.setattr(Experiment, "simulate", simulate)
    return plan


def test_help_has_examples_on_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["simulate", "--help"], ["list", "--help"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert "examples:" in text
        assert "exit codes: 0" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("neurolrnn ")


@pytest.mark.parametrize(("what", "names"), [("rules", list(RULES)), ("tasks", list(TASKS))])
def test_lists(capsys: pytest.CaptureFixture[str], what: str, names: list[str]) -> None:
    assert cli.main(["list", what]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in names)
    assert "\x1b" not in text
    assert cli.main(["list", what, "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == names


@pytest.mark.parametrize("arguments", [[], ["simulat"], ["list", "rulez"], ["simulate", "--nope"]])
def test_bad_usage_exits_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulat"], "did you mean 'simulate'?"),
        (["list", "rulez"], "did you mean 'rules'?"),
        (["simulate", "--no-plott"], "did you mean '--no-plot'?"),
        (["theory", "portrat"], "did you mean 'portrait'?"),
    ],
)
def test_a_misspelt_word_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert words in capsys.readouterr().err


def test_errors_show_their_place_only_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["simulate", "exp.toml", "--set", "network.n_rec=0"]
    assert cli.main(wrong) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert cli.main([*wrong, "--debug"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said and "InputError" in said and said.rstrip().endswith("is needed")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_verb(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(verb in script for verb in ("simulate", "theory", "reproduce", "doctor", "--dry-run"))
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code = cli.main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["packages"]["numpy"] == metadata.version("numpy")
    assert code == (1 if found["complaints"] else 0)
    cli.main(["doctor"])
    assert metadata.version("numba") in capsys.readouterr().out
    without = {**dict.fromkeys(doctor.NEEDED, "9.9"), "scipy": None, "brian2": "2.9.0", "numpy": "2.4.1"}
    here = doctor.Cache(Path("/nowhere"), False, 0, 0, True)
    words = " ".join(doctor._complaints(without, here))
    assert all(word in words for word in ("pip install scipy", "numpy<2.4", "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT"))


def test_dry_run_says_what_would_be_run_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", "exp.toml", "--set", "precision.preset=int16", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    experiment = Experiment.load("exp.toml", ["precision.preset=int16"])
    assert found["digest"] == experiment.digest
    assert found["steps"] == experiment.build()[1].train.steps * experiment.training.epochs
    assert found["formats"]["state"].startswith("s4.11")
    assert cli.main(["simulate", "exp.toml", "--dry-run"]) == 0
    assert "4 units" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["exp.toml"]
    wide = ["precision.weight=s1.30", "precision.state=s15.16"]
    assert cli.main(["simulate", "exp.toml", "--set", *wide, "--dry-run"]) == 2  # no accumulator holds its sums


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exp.tom"], "did you mean exp.toml?"),
        (["exp.toml", "--set", "rule.name=rfol"], "did you mean 'rflo'?"),
        (["exp.toml", "--set", "nonsense"], "--set nonsense"),
        (["--set", "training.epochs=1", "exp.toml"], "the name of a file goes in front of --set"),
        (["exp.toml", "--set", "task.period=0"], "exp.toml: task.period = 0"),
        (["exp.toml", "-o", "none/run.npz"], "the folder none does not exist"),
        (["exp.toml", "-o", "."], "is a folder"),
        (["--resume", "exp.toml"], "exp.toml was not written by neurolrnn"),
        (["--resume", "none.npz"], "there is no file none.npz"),
    ],
)
def test_bad_input_exits_2_in_one_paragraph(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    before = sorted(folder.iterdir())
    assert cli.main(["simulate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("neurolrnn: ")
    assert err.count("\n") == 1
    assert words in err
    assert [path for path in sorted(folder.iterdir()) if path.name != "runs"] == before


def test_default_files_and_summary(folder: Path, simulated: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", "exp.toml"]) == 0
    out, err = capsys.readouterr()
    digest = Experiment.load("exp.toml").digest[:8]
    path = Path("runs") / f"periodic-rflo-{digest}.npz"
    assert simulated["called"] == {"progress": True, "checkpoint": path, "resume": None}
    assert f"written: {path}, {path.with_suffix('.png')}" in out
    assert "50.00 %" in out
    assert "warning: mind the gap" in err
    assert Run.load(path).digest[:8] == digest
    assert path.with_suffix(".png").exists()
    # The same experiment again goes to the same files.
    assert cli.main(["simulate", "exp.toml", "--quiet"]) == 0
    assert len(list(Path("runs").iterdir())) == 2
    assert capsys.readouterr().out == ""


def test_default_never_overwrites_something_else(folder: Path, simulated: dict[str, Any]) -> None:
    digest = Experiment.load("exp.toml").digest[:8]
    first = Path("runs") / f"periodic-rflo-{digest}.npz"
    first.parent.mkdir()
    first.write_text("mine")
    first.with_name(f"{first.stem}-2.png").write_text("mine too")
    assert cli.main(["simulate", "exp.toml"]) == 0
    assert first.read_text() == "mine"
    assert first.with_name(f"{first.stem}-2.png").read_text() == "mine too"
    assert Run.load(first.with_name(f"{first.stem}-2.npz")).status == "completed"
    assert first.with_name(f"{first.stem}-2-2.png").exists()


def test_output_overwrites_and_no_plot(folder: Path, simulated: dict[str, Any]) -> None:
    Path("mine.npz").write_text("old")
    assert cli.main(["simulate", "exp.toml", "-o", "mine", "--no-plot"]) == 0
    assert Run.load("mine.npz").status == "completed"
    assert sorted(path.name for path in folder.iterdir()) == ["exp.toml", "mine.npz"]


def test_json_is_one_object(folder: Path, simulated: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    simulated["metrics"] = {"test_loss": float("inf")}
    assert cli.main(["simulate", "exp.toml", "--json", "-o", "a.npz"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "status": "completed", "message": "", "metrics": {"test_loss": None}, "files": ["a.npz", "a.png"],
        "warnings": ["mind the gap"], "timing_s": {}, "experiment_digest": Experiment.load("exp.toml").digest,
    }  # fmt: skip


@pytest.mark.parametrize("status", ["interrupted", "diverged"])
def test_unfinished_runs_are_saved_and_exit_1(
    folder: Path, simulated: dict[str, Any], capsys: pytest.CaptureFixture[str], status: str
) -> None:
    simulated |= {"status": status, "message": "because of it"}
    assert cli.main(["simulate", "exp.toml", "-o", "part.npz", "--quiet"]) == 1
    err = capsys.readouterr().err
    assert "because of it; the run so far is in part.npz" in err
    assert ("go on with: neurolrnn simulate --resume part.npz" in err) == (status == "interrupted")
    assert Run.load("part.npz").status == status


def test_resume_needs_no_experiment_file(folder: Path, simulated: dict[str, Any]) -> None:
    simulated["status"] = "interrupted"
    cli.main(["simulate", "exp.toml", "-o", "part.npz", "--no-plot"])
    Path("exp.toml").unlink()
    simulated["status"] = "completed"
    assert cli.main(["simulate", "--resume", "part.npz"]) == 0
    assert simulated["called"]["resume"].status == "interrupted"
    assert Run.load("part.npz").status == "completed", "continued in place"


def test_a_picture_that_fails_is_a_warning(
    folder: Path, simulated: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.png").mkdir()
    assert cli.main(["simulate", "exp.toml", "-o", "a.npz"]) == 0
    assert Run.load("a.npz").status == "completed"
    assert "a-2.png" in capsys.readouterr().out


def test_interrupt_before_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> Run:
        raise KeyboardInterrupt

    monkeypatch.setattr(Experiment, "simulate", interrupt)
    assert cli.main(["simulate", "exp.toml"]) == 1


def test_notes_are_told(folder: Path, simulated: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("exp.toml").write_text(EXPERIMENT + "decay = 0.5\n")
    assert cli.main(["simulate", "exp.toml", "--set", "rule.name=eprop", "--no-plot"]) == 0
    assert "note: rule.decay left out" in capsys.readouterr().err


def test_piped_output_is_plain_and_survives_a_closed_pipe() -> None:
    call = [sys.executable, "-c", "import sys; from neurolrnn import cli; sys.exit(cli.main(['list', 'rules']))"]
    ascii_only = python_environment(PYTHONIOENCODING="ascii")
    done = subprocess.run(call, env=ascii_only, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"rflo" in done.stdout
    process = subprocess.Popen(call, env=python_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(120) == 0


def test_tables_wrap_in_a_narrow_terminal_and_keep_every_word() -> None:
    rows = [["one", "some words that take more than a line", "3"], ["two", "few", "44"]]
    whole = text_table(rows, ["name", "what it is", "n"], "llr")
    token = terminal.COLUMNS.set(30)
    try:
        narrow = text_table(rows, ["name", "what it is", "n"], "llr")
    finally:
        terminal.COLUMNS.reset(token)
    assert max(map(width, narrow.splitlines())) == 30 < max(map(width, whole.splitlines()))
    assert narrow.splitlines() == [
        "name  what it is             n",
        "----  --------------------  --",
        "one   some words that take   3",
        "      more than a line",
        "two   few                   44",
    ]
    assert text_table(rows, ["name", "what it is", "n"], "llr") == whole


def test_paragraphs_of_the_help_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = cli.make_parser().format_help() + subprocess.run(
        [sys.executable, "-m", "neurolrnn", "check", "--help"], env=python_environment(COLUMNS="60"), check=True,
        capture_output=True, text=True,
    ).stdout.split("examples:")[0]  # fmt: skip
    assert max(map(len, text.splitlines())) <= 80  # examples of the first are as they stand


@pytest.mark.parametrize("silent", [False, True])
def test_a_first_step_that_takes_long_is_explained(
    silent: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "LONG_SECONDS", 0.01)
    began = threading.Event()
    with terminal.first_step(silent=silent):
        began.wait(0.3)
    assert ("compiling" in capsys.readouterr().err) is not silent


def test_a_second_ctrl_c_says_how_to_stop_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        for times in range(1, 5):
            signal.raise_signal(signal.SIGINT)
            assert interrupt.asked
            assert ("at once" in capfd.readouterr().err) is (times > 1)
