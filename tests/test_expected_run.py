"""Runs of expected updates: what they calculate, simulated runs around them, and that they are ordinary runs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurolrnn as nl
from neurolrnn import cli
from neurolrnn.errors import Divergence, InputError
from neurolrnn.network import Network
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.run import Run
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.theory.expected_learning import expected_learning

RULES: dict[str, tuple[Rule, str, dict[str, Any]]] = {
    "rflo": (RFLO(decay=0.5, storage="dense"), "rflo", {"decay": 0.5}),
    "rflo-factored": (RFLO(), "rflo", {}),
    "rflo-symmetric": (RFLO(storage="dense", feedback="symmetric"), "rflo", {}),
    "tbptt": (TruncatedBPTT(3), "tbptt", {"steps": 3}),
    "tbptt-random": (TruncatedBPTT(2, feedback="random"), "tbptt", {"steps": 2}),
    "eprop": (EProp(), "eprop", {}),
    "rtrl": (RTRL(), "rtrl", {}),
    "bptt": (BPTT(), "bptt", {}),
}
STEPS = 8


@pytest.fixture(scope="module")
def task() -> Task:
    return nl.tasks.load(
        "teacher-student", n_in=3, n_rec=6, n_out=2, sequences=60, steps=STEPS, spectral_radius=0.7, leak=0.8
    )  # fmt: skip


def student(seed: int = 0) -> Network:
    return Network.random(3, 8, 2, 0.7, 0.5, seed=seed, output_scale=0.5)


def run_expected(task: Task, rule: Rule, **options: Any) -> Run:
    return nl.simulate(student(), task, rule, update="expected", progress=False, **options)


@pytest.mark.parametrize("loss_steps", ["all", "final"])
@pytest.mark.parametrize("key", RULES)
def test_a_run_is_expected_learning(key: str, loss_steps: str, task: Task) -> None:
    rule, name, options = RULES[key]
    rates = {"A": 0.02, "W": 0.005, "B": 0.01}
    run = run_expected(task, rule, learning_rate=rates, loss_steps=loss_steps, epochs=2, seed=3, momentum=0.5)
    R = rule.feedback_matrix(2, 8, 3)
    updates = 2 * 60 * (STEPS if loss_steps == "all" else 1)
    assert task.teacher is not None
    want = expected_learning(
        student(), task.teacher, name, R=R, T=STEPS, loss_steps=loss_steps, learning_rate=rates, updates=updates,
        momentum=0.5, records=updates, **options,
    )  # fmt: skip
    for group in "AWB":
        np.testing.assert_array_equal(getattr(run.network, group), getattr(want.network, group))
    # A point of the curve is the mean since the one before, over the updates that were made.
    per = STEPS if loss_steps == "final" else 1
    ends = run.records["step"].astype(int)
    for k, (a, b) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        assert run.loss[k] == pytest.approx(want.loss[a // per : b // per, 0].mean(), rel=1e-12) or a // per == b // per
    assert run.status == "completed"
    assert run.experiment["precision"] == {"preset": "float64"}
    assert run.position["step"] == 2 * 60 * STEPS
    assert run.records["spectral_radius"][-1] == pytest.approx(run.network.spectral_radius(), rel=1e-12)
    if R is not None and run.feedback is not None:
        np.testing.assert_array_equal(run.feedback, R)


@pytest.mark.parametrize("horizon", [3, 25, "inf", math.inf])
def test_horizon(horizon: Any, task: Task) -> None:
    run = run_expected(task, TruncatedBPTT(3), horizon=horizon, learning_rate=0.01)
    assert task.teacher is not None
    T = math.inf if horizon in ("inf", math.inf) else horizon
    want = expected_learning(
        student(), task.teacher, "tbptt", steps=3, T=T, loss_steps="all", learning_rate=0.01, updates=60 * STEPS
    )  # fmt: skip
    np.testing.assert_array_equal(run.network.W, want.network.W)
    assert run.experiment["training"]["horizon"] == ("inf" if T == math.inf else horizon)


def test_lanes_multiply_the_update(task: Task) -> None:
    # 60 sequences in batches of 16: three of 16 and one of 12.
    run = run_expected(task, EProp(), learning_rate=0.004, batch=16, epochs=1)
    assert run.position["total_steps"] == 4 * STEPS
    assert task.teacher is not None
    net = student()
    for lanes in (16, 16, 16, 12):
        net = expected_learning(
            net, task.teacher, "eprop", T=STEPS, loss_steps="all", learning_rate=0.004 * lanes, updates=STEPS
        ).network  # fmt: skip
    np.testing.assert_allclose(run.network.W, net.W, rtol=0, atol=1e-14)


@pytest.mark.parametrize("loss_steps", ["all", "final"])
@pytest.mark.parametrize("key", ["rflo", "tbptt", "eprop", "bptt"])
def test_simulated_runs_lie_around_the_expected_one(key: str, loss_steps: str) -> None:
    task = nl.tasks.load(
        "teacher-student", n_in=3, n_rec=6, n_out=2, sequences=4000, steps=STEPS, spectral_radius=0.7, leak=0.8
    )  # fmt: skip
    rule = RULES[key][0]
    options: dict[str, Any] = {
        "learning_rate": 2e-4 if loss_steps == "all" else 1.6e-3, "loss_steps": loss_steps, "records": 8,
        "progress": False,
    }  # fmt: skip
    expected = nl.simulate(student(), task, rule, update="expected", **options)
    update = "online" if rule.online else "episode"
    simulated = nl.simulate(student(), task, rule, nl.Precision.float64(), update=update, **options)
    assert expected.loss[-1] < 0.5 * expected.loss[0]
    # With "final" a point of the simulated curve is a mean of 500 losses instead of 4000.
    tolerance = 0.15 if loss_steps == "all" else 0.4
    np.testing.assert_allclose(simulated.loss, expected.loss, rtol=tolerance)
    change = np.abs(expected.network.W - student().W).max()
    assert np.abs(simulated.network.W - expected.network.W).max() < 0.2 * change
    assert simulated.metrics["test_loss"] == pytest.approx(expected.metrics["test_loss"], rel=0.25)


def test_metrics_are_of_the_test_data(task: Task) -> None:
    run = run_expected(task, BPTT(), learning_rate=0.01, epochs=10)
    assert task.test is not None
    total = 0.0
    for x, y in task.test:
        h = np.zeros(8)
        for x_t, y_t in zip(x, y, strict=True):
            h = h + 0.7 * (run.network.W @ h + run.network.B @ x_t - h)
            total += 0.5 * float(((run.network.A @ h - y_t) ** 2).sum())
    assert run.metrics["test_loss"] == pytest.approx(total / task.test.steps, rel=1e-12)
    assert run.metrics["test_nmse"] < 0.1
    V, N, P = run.network.transition, 0.7 * run.network.B, np.zeros((8, 8))
    for k in range(STEPS):
        reach = np.linalg.matrix_power(V, k) @ N
        P += reach @ reach.T
    assert run.records["state_rms"][-1] == pytest.approx(math.sqrt(np.trace(P) / 8), rel=1e-12)


@pytest.mark.parametrize("loss_steps", ["all", "final"])
def test_stop_and_resume_give_the_same_bits(loss_steps: str, task: Task, tmp_path: Path) -> None:
    options: dict[str, Any] = {"learning_rate": 0.01, "momentum": 0.6, "loss_steps": loss_steps, "epochs": 3}
    whole = run_expected(task, RFLO(), **options)
    for stop in (1, 7, 333):
        part = run_expected(task, RFLO(), stop_at=stop, **options)
        assert part.status == "interrupted" and part.position["step"] == stop
        path = part.save(tmp_path / f"{stop}.npz")
        rest = run_expected(task, RFLO(), resume=Run.load(path), **options)
        assert rest.status == "completed" and rest.digest == whole.digest
        for group in "AWB":
            np.testing.assert_array_equal(getattr(rest.network, group), getattr(whole.network, group))
        assert set(rest.records) == set(whole.records)
        for name, curve in whole.records.items():
            np.testing.assert_array_equal(rest.records[name], curve, err_msg=name)
    loaded = Run.load(whole.save(tmp_path / "whole.npz"))
    assert loaded.digest == whole.digest and loaded.metrics == whole.metrics
    assert "expected" in loaded.summary()
    with pytest.raises(InputError, match="differs in training"):
        run_expected(task, RFLO(), resume=part, **{**options, "horizon": 5})


def test_checkpoint(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    run = run_expected(task, RTRL(), checkpoint=path)
    np.testing.assert_array_equal(Run.load(path).network.A, run.network.A)


def test_divergence_carries_the_run(task: Task) -> None:
    with pytest.raises(Divergence, match="expected loss grew without bound") as caught:
        run_expected(task, BPTT(), learning_rate=3.0)
    run = caught.value.run
    assert run.status == "diverged" and 0 < run.position["step"] < 60 * STEPS
    assert np.isfinite(run.network.W).all()
    with pytest.raises(Divergence, match="no stationary state any more") as caught:
        run_expected(task, BPTT(), learning_rate=3.0, horizon="inf")
    assert caught.value.run.network.spectral_radius() >= 1.0


def test_clamps_hold_from_the_first_step(task: Task) -> None:
    run = run_expected(task, RFLO(storage="dense"), learning_rate=0.05, clamp={"A": 0.2, "W": 0.3}, epochs=5)
    assert np.abs(run.network.A).max() == 0.2 and np.abs(run.network.W).max() == 0.3
    assert np.abs(run.network.B).max() > 0.3


# --- files and the command

TOML = """
[task]
name = "teacher-student"
n_in = 2
n_rec = 4
n_out = 1
sequences = 20
steps = 6

[network]
n_rec = 5

[rule]
name = "rflo"

[training]
learning_rate = 0.01
update = "expected"
horizon = "inf"
"""


def test_experiment_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "expected.toml"
    file.write_text(TOML, encoding="utf-8")
    experiment = nl.Experiment.load(file)
    assert experiment.precision.name == "float64"
    run = experiment.simulate(progress=False)
    assert run.digest == experiment.digest
    assert nl.Experiment.from_run(run).digest == experiment.digest
    again = nl.Experiment.from_dict(experiment.to_dict())
    assert again.digest == experiment.digest
    assert cli.main(["simulate", str(file), "-o", str(tmp_path / "out.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "completed"
    np.testing.assert_array_equal(Run.load(tmp_path / "out.npz").network.W, run.network.W)
    # From the command line, on a file that says something else.
    file.write_text(TOML.replace('"expected"', '"online"').replace('horizon = "inf"\n', ""), encoding="utf-8")
    online = nl.Experiment.load(file)
    assert online.precision.name == "float32" and "horizon" not in online.described["training"]
    file.write_text(file.read_text(encoding="utf-8") + '[precision]\npreset = "int16"\n', encoding="utf-8")
    changed = nl.Experiment.load(file, ["training.update=expected", "training.horizon=inf"])
    assert changed.notes == ("[precision] left out: expected runs are calculated in float64",)
    with pytest.raises(InputError, match=r"precision 'float32'.* averages in float64"):
        nl.Experiment.load(file, ["training.update=expected", "precision.preset=float32"])
    assert changed.digest == experiment.digest
    assert cli.main(["simulate", str(file), "--set", "training.update=expected"]) == 0
    assert cli.main(["simulate", "--set", "training.update=expected"]) == 2
    assert "has no teacher" in capsys.readouterr().err


def test_the_page_of_the_docs_runs() -> None:
    """Its Python blocks are one session; what it says of their results is so."""
    page = (Path(__file__).parents[1] / "docs" / "theory_beyond.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 5
    session: dict[str, Any] = {}
    for block in blocks:
        exec(block, session)
    assert session["result"].loss.shape == (51, 20) and not session["result"].diverged.any()
    np.testing.assert_allclose(session["online"].loss, session["expected"].loss, rtol=0.3)
    assert session["point"].kind == "saddle" and not session["point"].stable_in_form
    assert abs(session["path"].w[-1, 0] - (0.5 + 0.5j)) < 0.1


def test_refusals(task: Task) -> None:
    with pytest.raises(InputError, match=r"'periodic' has no teacher; take the task teacher-student"):
        nl.simulate(Network.random(1, 4, 1), nl.tasks.load("periodic"), RFLO(), update="expected", progress=False)
    for precision in (nl.Precision.float32(), nl.Precision.preset("int8")):
        with pytest.raises(InputError, match="averages in float64"):
            run_expected(task, RFLO(), precision=precision)
    with pytest.raises(InputError, match="factored storage clamps its factors"):
        run_expected(task, RFLO(), clamp=0.5)
    with pytest.raises(InputError, match="basis = 'schur'"):
        run_expected(task, RFLO(basis="schur"))
    with pytest.raises(InputError, match="ranges = True"):
        run_expected(task, RFLO(), ranges=True)
    with pytest.raises(InputError, match="horizon = 5 belongs to update = 'expected'"):
        nl.simulate(student(), task, RFLO(), horizon=5, progress=False)
    for horizon in (0, 2.5, "long", -math.inf):
        with pytest.raises(InputError, match="horizon = "):
            run_expected(task, RFLO(), horizon=horizon)
    with pytest.raises(InputError, match="must agree"):
        nl.simulate(Network.random(2, 4, 2), task, RFLO(), update="expected", progress=False)
    data = Sequences.from_arrays([np.ones((3, 3)), np.ones((4, 3))], [np.ones((3, 2)), np.ones((4, 2))])
    ragged = Task("mine", data, teacher=task.teacher)
    with pytest.raises(InputError, match="2 different lengths; give a horizon"):
        run_expected(ragged, RFLO())
    assert run_expected(ragged, RFLO(), horizon=4).status == "completed"
    masked = Sequences.from_arrays(np.ones((1, 3, 3)), np.ones((1, 3, 2)), mask=np.array([[0.0, 1.0, 1.0]]))
    with pytest.raises(InputError, match="every step has weight 1"):
        run_expected(Task("mine", masked, teacher=task.teacher), RFLO())
    classes = Sequences.from_arrays(np.ones((1, 3, 3)), np.tile([1.0, 0.0], (1, 3, 1)))
    with pytest.raises(InputError, match="squared error"):
        run_expected(Task("mine", classes, loss="cross-entropy", teacher=task.teacher), RFLO())
