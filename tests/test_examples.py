"""The examples learn what they say they learn, in process and through the command."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import python_environment

import neurolrnn as nl
from neurolrnn import cli

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
# Metric, and the bound that a run on any machine must meet; the figures reached are in the files.
BOUNDS = {
    "teacher-student": ("test_nmse", 0.2),
    "periodic": ("train_nmse", 0.25),
    "add-memory": ("test_nmse", 0.02),
    "mackey-glass": ("test_nmse", 0.25),
    "evidence": ("test_accuracy", 0.9),
    "japanese-vowels": ("test_accuracy", 0.88),
    "bptt-episode": ("test_accuracy", 0.88),
    "quantised-vowels": ("test_accuracy", 0.88),
}


def meets(metric, value, bound):
    return value >= bound if metric.endswith("accuracy") else value <= bound


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested():
    others = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py") if path != Path(__file__)]
    for path in EXAMPLES.glob("*.toml"):
        nl.Experiment.load(path).build()
        assert path.stem in BOUNDS or any(path.name in text for text in others), f"{path.name} is not tested"


@pytest.mark.parametrize("name", BOUNDS)
def test_example_learns(name):
    run = nl.Experiment.load(EXAMPLES / f"{name}.toml").simulate(progress=False)
    metric, bound = BOUNDS[name]
    assert run.status == "completed"
    assert meets(metric, run.metrics[metric], bound), run.metrics
    assert run.timing["kernel"] < 60.0


@pytest.mark.parametrize("name", BOUNDS)
def test_the_figure_in_the_file_is_better_than_the_bound(name):
    text = (EXAMPLES / f"{name}.toml").read_text(encoding="utf-8")
    metric, bound = BOUNDS[name]
    kind = metric.split("_")[1]
    found = re.search(rf"# Reached: .*?{kind} ([\d.]+)( %)?", text, re.IGNORECASE)
    assert found, f"{name}.toml does not say what it reaches"
    assert meets(metric, float(found[1].rstrip(".")) / (100 if found[2] else 1), bound)


def test_own_data(tmp_path):
    run = load_script("own_data").main(tmp_path)
    assert run.metrics["test_nmse"] < 0.01
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spring.npz", "spring.toml"]


def test_compare_rules_writes_both_tables(tmp_path, monkeypatch):
    script = load_script("compare_rules")
    monkeypatch.setattr(script, "SEARCH_SEEDS", (100,))
    monkeypatch.setattr(
        script, "CONTENDERS",
        [script.Contender("RFLO", ("rule.name=rflo", "training.epochs=2"), (0.01, 0.03), (0.1,))],
    )  # fmt: skip
    docs, readme = tmp_path / "docs.md", tmp_path / "readme.md"
    for path in (docs, readme):
        path.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n", encoding="utf-8")
    script.main(["--sizes", "8", "--seeds", "2", "--jobs", "2", "--docs", str(docs), "--readme", str(readme)])
    for path in (docs, readme):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
        assert re.search(r"\| RFLO +\| +[\d.]+ ± [\d.]+ \|", text)
    assert re.search(r"\| RFLO +\| 0\.0[13] / 0\.00[13] \|", docs.read_text(encoding="utf-8"))


def test_a_diverged_run_is_counted(monkeypatch):
    script = load_script("compare_rules")
    assert str(script.Cell(0.1, 0.1, [0.9, 0.92], 1)) == "91.0 ± 1.4 (1 diverged)"
    assert str(script.Cell(0.1, 0.1, [], 5)) == "all diverged"
    rate = (1e6, 1e6)
    assert script.accuracy(script.Contender("tBPTT", ("rule.name=tbptt",)), 8, rate, 0) is None


# --- through the command


@pytest.fixture
def command(tmp_path):
    def run(*arguments):
        call = [sys.executable, "-m", "neurolrnn.cli", *arguments]
        return subprocess.run(
            call, cwd=tmp_path, env=python_environment(), capture_output=True, text=True, timeout=300
        )  # fmt: skip

    return run


def test_simulate_an_example_through_the_command(tmp_path, command):
    target = tmp_path / "run.npz"
    file = EXAMPLES / "add-memory.toml"
    done = command("simulate", str(file), "--set", "training.epochs=2", "-o", str(target), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["status"] == "completed"
    assert said["metrics"]["test_nmse"] < 0.2
    assert [Path(name) for name in said["files"]] == [target, target.with_suffix(".png")]
    run = nl.Run.load(target)
    assert run.metrics == said["metrics"]
    again = nl.Experiment.load(file, ["training.epochs=2"])
    assert run.digest == again.digest == said["experiment_digest"]
    assert target.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_simulate_without_argument_learns_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["simulate"]) == 0
    out = capsys.readouterr().out
    accuracy = re.search(r"test accuracy\s+([\d.]+) %", out)
    assert accuracy and float(accuracy[1]) >= 88.0
    files = sorted(path.suffix for path in (tmp_path / "runs").iterdir())
    assert files == [".npz", ".png"]
    run = nl.Run.load(next((tmp_path / "runs").glob("*.npz")))
    assert run.status == "completed"
    assert run.metrics["test_accuracy"] == pytest.approx(float(accuracy[1]) / 100, abs=1e-4)
    assert run.loss[-1] < run.loss[0]
    assert np.isfinite(run.loss).all()


def test_an_unknown_file_is_bad_input(command):
    done = command("simulate", "nowhere.toml")
    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr
    assert "Traceback" not in done.stderr
