"""simulate: any interruption leaves a run that goes on bit for bit; failures are said in words; bits are the seed's."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from conftest import draw_network, draw_sequences, python_environment, python_process
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolrnn.engine import Engine
from neurolrnn.errors import Divergence, InputError
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.run import Run
from neurolrnn.simulation import simulate
from neurolrnn.tasks.base import Task
from neurolrnn.tasks.own import from_arrays

RULES: dict[str, Rule] = {
    "rflo-dense": RFLO(storage="dense"),
    "rflo-factored": RFLO(),
    "rflo-symmetric": RFLO(storage="dense", feedback="symmetric", decay=0.2),
    "tbptt1": TruncatedBPTT(1),
    "tbptt4": TruncatedBPTT(4, feedback="random"),
    "eprop": EProp(),
    "rtrl": RTRL(),
    "bptt": BPTT(),
}
rules = pytest.mark.parametrize("key", RULES)


def make_task(loss: Any = "squared-error", seed: int = 0) -> Task:
    return Task(
        "own", draw_sequences((7, 1, 9, 4, 3), seed=seed, loss=loss),
        draw_sequences((5, 6), seed=seed + 1, loss=loss), loss,
    )  # fmt: skip


def run(key: str, task: Task | None = None, network: Network | None = None, **options: Any) -> Run:
    given = {
        "precision": Precision.float64(), "learning_rate": 0.02, "epochs": 3, "records": 7, "progress": False,
        "update": "online" if RULES[key].online else "episode", **options,
    }  # fmt: skip
    return simulate(network or draw_network(), task or make_task(), RULES[key], **given)


def contents(result: Run) -> dict[str, Any]:
    """Everything of a run that must not depend on how it came about, as bytes: all but times and versions."""
    arrays = {f"network.{g}": getattr(result.network, g) for g in "AWB"} | dict(result.records) | dict(result.state)
    arrays |= dict(zip("MN", result.factors or (), strict=False))
    return {
        **{name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()},
        **{name: getattr(result, name) for name in ("experiment", "status", "metrics", "warnings", "position")},
    }


def assert_identical(a: Run, b: Run) -> None:
    x, y = contents(a), contents(b)
    assert x.keys() == y.keys()
    assert [name for name in x if x[name] != y[name]] == []


def digest(result: Run) -> str:
    return hashlib.sha256(repr(sorted(contents(result).items())).encode()).hexdigest()


# --- stopping and going on ------------------------------------------------------------------------------------------

OPTIONS: dict[str, dict[str, Any]] = {
    "online": {},
    "momentum": {"momentum": 0.6},
    "episode": {"update": "episode", "batch": 2},
    "batch": {"batch": 3, "clamp": 0.3},
    "cross-entropy": {"loss": "cross-entropy", "precision": Precision.float32()},
}


@settings(max_examples=6)
@given(data=st.data())
@pytest.mark.parametrize("options", OPTIONS)
@rules
def test_a_resumed_run_is_the_uninterrupted_one(
    key: str, options: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Stopped at any steps, also in the middle of a sequence, saved, loaded and continued: the same bytes."""
    chosen = dict(OPTIONS[options])
    task = make_task(chosen.pop("loss", "squared-error"))
    if not RULES[key].online:
        chosen["update"] = "episode"
    whole = run(key, task, **chosen)
    assert whole.status == "completed"
    stops = sorted(data.draw(st.lists(st.integers(0, whole.position["total_steps"] - 1), min_size=1, max_size=3)))
    path = tmp_path_factory.getbasetemp() / "part.npz"
    part: Run | None = None
    for stop in stops:
        part = run(key, task, **chosen, resume=part, stop_at=stop)
        assert part.status == "interrupted"
        assert part.position["step"] == stop
        assert f"step {stop} of" in part.message
        loaded = Run.load(part.save(path))
        assert_identical(loaded, part)
        part = loaded
    assert_identical(run(key, task, **chosen, resume=part), whole)


def test_a_checkpoint_is_a_run_to_go_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The function hides its module as an attribute of the package.
    monkeypatch.setattr(sys.modules["neurolrnn.simulation"], "CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "checkpoint.npz"
    saved: list[Run] = []
    original = Run.save

    def save(self: Run, target: str | Path) -> Path:
        saved.append(self)
        return original(self, target)

    monkeypatch.setattr(Run, "save", save)
    whole = run("rflo-dense", checkpoint=path)
    assert len(saved) > 3
    assert {s.status for s in saved[:-1]} == {"interrupted"}
    assert_identical(Run.load(path), whole)  # at the end the file holds the completed run
    for part in (saved[0], saved[len(saved) // 2]):
        assert_identical(run("rflo-dense", resume=part), whole)


def test_another_experiment_is_not_resumed() -> None:
    part = run("rflo-dense", stop_at=10)
    cases: dict[str, dict[str, Any]] = {
        "seed": {"seed": 1},
        "training": {"learning_rate": 0.03},
        "precision": {"precision": Precision.float32()},
        "network": {"network": draw_network(seed=9)},
        "task": {"task": make_task(seed=5)},
    }
    for differing, options in cases.items():
        with pytest.raises(InputError, match=f"another experiment; it differs in {differing}$"):
            run("rflo-dense", resume=part, **options)
    with pytest.raises(InputError, match=r"differs in rule$"):
        run("rflo-factored", resume=part)


def test_what_has_ended_is_not_resumed() -> None:
    with pytest.raises(InputError, match="is completed; only an interrupted run can go on"):
        run("eprop", resume=run("eprop"))
    with pytest.raises(Divergence) as caught:
        run("eprop", learning_rate=1e6)
    with pytest.raises(InputError, match="is diverged; only an interrupted run can go on"):
        run("eprop", learning_rate=1e6, resume=caught.value.run)


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [1, 2, 3, 7])
@rules
def test_an_interrupt_leaves_a_usable_run(key: str, call: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = run(key)
    original, calls = Engine.run, [0]

    def interrupted(self: Engine, piece: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            raise KeyboardInterrupt
        return original(self, piece)

    monkeypatch.setattr(Engine, "run", interrupted)
    part = run(key, checkpoint=tmp_path / "part.npz")
    monkeypatch.undo()
    assert part.status == "interrupted"
    assert re.search(r"by the user after step \d+ of 72", part.message)
    assert part.position["step"] < whole.position["step"]
    assert len(part.metrics) >= 2
    assert "interrupted" in part.summary()
    assert_identical(run(key, resume=Run.load(tmp_path / "part.npz")), whole)


SCRIPT = """
import sys
import numpy as np
from conftest import draw_network
from neurolrnn import Precision, RFLO, simulate
from neurolrnn.engine import Engine
from neurolrnn.tasks.own import from_arrays

x = np.random.default_rng(0).normal(size=(int(sys.argv[1]), 2))
def go(**options):
    return simulate(
        draw_network(n_rec=60), from_arrays(x, 0.1 * x), RFLO(storage="dense"), Precision.float64(),
        learning_rate=1e-3, progress=False, records=100, **options,
    )
def same(a, b):
    curves = all(np.array_equal(a.records[k], b.records[k], equal_nan=True) for k in b.records)
    return np.array_equal(a.network.W, b.network.W) and curves
"""
no_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")


@no_signals
@pytest.mark.parametrize("where", ["run", "state_rms"], ids=["in a kernel", "while recording"])
def test_a_signal_loses_neither_steps_nor_points(where: str) -> None:
    """Python serves a signal as soon as a kernel returns: its steps are made, and must be counted.

    Here the signal comes at that very moment, or while a point of the curves is put together, so the outcome is no
    matter of timing.
    """
    said = python_process(
        SCRIPT
        + """
import os, signal
original, calls = getattr(Engine, sys.argv[2]), [0]
def patched(self, *args):
    result = original(self, *args)
    calls[0] += 1
    if calls[0] == 4:
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(100))  # the handler runs between two instructions
    return result
setattr(Engine, sys.argv[2], patched)
part = go()
assert part.status == "interrupted" and "by the user" in part.message, part.message
stop = part.position["step"] + 1000
print(part.position["step"], same(go(resume=part, stop_at=stop), go(stop_at=stop)))
""",
        "20000",
        where,
    )
    step, identical = said.split()
    assert int(step) > 500
    assert identical == "True"


@no_signals
def test_ctrl_c_from_outside(tmp_path: Path) -> None:
    code = (
        SCRIPT
        + """
original, calls = Engine.run, [0]
def run(self, piece):
    calls[0] += 1
    if calls[0] == 3:
        print("running", flush=True)
    return original(self, piece)
Engine.run = run
part = go(checkpoint=sys.argv[2])
stop = part.position["step"] + 1000
print(part.status, same(go(resume=part, stop_at=stop), go(stop_at=stop)))
"""
    )
    path = tmp_path / "part.npz"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "300000", str(path)], env=python_environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    os.kill(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert said.split() == ["interrupted", "True"]
    part = Run.load(path)
    assert part.status == "interrupted"
    assert 0 < part.position["step"] < part.position["total_steps"] == 300_000


# --- failing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [3.0, 1e8, 1e300], ids=lambda v: f"rate{v:g}")
@rules
def test_divergence_says_when_what_and_what_to_do(key: str, rate: float, tmp_path: Path) -> None:
    with pytest.raises(Divergence) as caught:
        run(key, learning_rate=rate, epochs=200)
    text, failed = str(caught.value), caught.value.run
    found = re.search(r"diverged at step (\d+) of 4800: an output (reached \S+|is not a number) \(limit", text)
    assert found, text
    assert failed.position == {"step": int(found[1]), "total_steps": 4800}
    assert "smaller learning_rate (now A" in text
    assert "clamp" in text
    assert failed.status == "diverged"
    assert failed.message == text
    loaded = Run.load(failed.save(tmp_path / "failed.npz"))
    assert loaded.status == "diverged"
    assert "diverged" in loaded.summary()
    assert np.isfinite(loaded.network.W).all()
    if not any("not finite" in w for w in loaded.warnings):
        assert np.abs(loaded.network.A).max() > 0.0


def test_a_network_that_grows_by_itself_is_named() -> None:
    network = draw_network(leak=1.0).replace(W=1.5 * np.eye(6))
    x = np.ones((100, 2))
    with pytest.raises(Divergence, match=r"spectral radius .* 1\.5 \(initially 1\.5\): the state grows by itself"):
        run("rflo-dense", from_arrays(x, x), network, learning_rate=1e-9)


@pytest.mark.parametrize("key", [key for key in RULES if RULES[key].online])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_sequence_that_has_ended_cannot_diverge(key: str, precision: str) -> None:
    """Beside a longer one, its lane is padding: whatever goes on in there is no output of the network.

    The network is unstable, but over the steps that exist its state stays below 2: alone, this run completes. In
    700 steps, state, traces and influences of the padding would exceed float32, and 0 times infinity is not 0.
    """
    network = Network(np.ones((1, 1)), np.full((1, 1), 1.2), np.ones((1, 1)))
    task = from_arrays([np.ones((1, 1)), np.zeros((700, 1))], [np.zeros((1, 1)), np.zeros((700, 1))])
    options: dict[str, Any] = {
        "learning_rate": 1e-3, "shuffle": False, "epochs": 1, "precision": Precision(precision)
    }  # fmt: skip
    alone = run(key, task, network, **options)
    assert alone.status == "completed"
    beside = run(key, task, network, batch=2, **options)
    for group in "AWB":  # zero errors in the long sequence: only the first step of the short one teaches
        np.testing.assert_allclose(getattr(beside.network, group), getattr(alone.network, group), rtol=0, atol=1e-6)
    assert beside.records["state_rms"][-1] == 0.0


def test_updates_of_zero_are_remarked_on() -> None:
    done = run("rflo-dense", learning_rate={"A": 0.02, "W": 0.0, "B": 0.02})
    assert done.warnings == ["W was to be learned but not one update changed it: its learning rate is 0"]

    silent = draw_network().replace(A=np.zeros((2, 6)))
    for key in ("rflo-symmetric", "tbptt1", "eprop", "bptt"):
        done = run(key, None, silent, learn=("W", "B"))
        assert [w[0] for w in done.warnings] == ["W", "B"]
        assert all("the learning signal is Aᵀε and A starts at 0" in w for w in done.warnings)
    assert run("rflo-dense", None, silent, learn=("W", "B")).warnings == []  # random feedback needs no A
    assert run("eprop", None, silent).warnings == []  # A is learned first, and then sends a signal

    x = np.ones((3, 1, 2))
    done = run("eprop", from_arrays(x, x))
    assert done.warnings == [
        "W was to be learned but not one update changed it: sequences of one step have no past that W could carry"
    ]
    done = run("eprop", learning_rate=1e-20)
    assert len(done.warnings) == 3
    assert all("too small for the precision" in w for w in done.warnings)
    assert run("eprop", learning_rate=0.0, learn=("A",)).warnings == [
        "A was to be learned but not one update changed it: its learning rate is 0"
    ]


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"bptt.*no gradient before the last step.*rflo"):
        run("bptt", update="online")
    with pytest.raises(InputError, match="3 inputs and 2 outputs, the network 2 and 2"):
        run("eprop", Task("own", draw_sequences(n_in=3)))


# --- what the bits depend on ----------------------------------------------------------------------------------------


@rules
def test_records_and_chunks_do_not_change_bits(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is called once, or once a step: the same weights, state and metrics."""
    runs = [run(key, records=records, batch=2) for records in (1, 50, 10_000)]
    assert [len(r.loss) for r in runs] == [1, min(50, runs[0].position["step"]), runs[0].position["step"]]
    # Checkpoints, progress bars and Ctrl-C cut calls by time; here every call makes one step.
    original = Engine.run

    def stepwise(self: Engine, piece: Any) -> Any:
        parts = [
            original(self, type(piece)(piece.first + s, piece.rows[s : s + 1], piece.flags[s : s + 1]))
            for s in range(len(piece.flags))
        ]
        return sum(done for done, _ in parts), np.concatenate([loss for _, loss in parts])

    monkeypatch.setattr(Engine, "run", stepwise)
    runs.append(run(key, records=1, batch=2))
    for other in runs[1:]:
        assert other.metrics == runs[0].metrics
        for name, array in runs[0].state.items():
            if name != "sums":
                np.testing.assert_array_equal(other.state[name], array, err_msg=name)


def test_a_coarse_curve_is_the_mean_of_a_fine_one() -> None:
    task = Task("own", draw_sequences(masked=False))
    fine, coarse = run("eprop", task, records=10_000), run("eprop", task, records=5)
    assert coarse.records["step"][-1] == 72
    edges = pairwise([0, *coarse.records["step"].astype(int)])
    means = [fine.loss[a:b].mean() for a, b in edges]
    np.testing.assert_allclose(coarse.loss, means, rtol=0, atol=1e-14)


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
def test_metrics_are_of_the_final_weights_without_learning(loss: Any) -> None:
    task = make_task(loss)
    done = run("rflo-factored", task)
    for name, data in (("train", task.train), ("test", task.test)):
        assert data is not None
        total = 0.0
        for (x, y), mask in zip(data, np.split(data.mask, data.starts[1:-1]), strict=True):
            n = done.network
            total += sum(oracle.train(n.A, n.W, n.B, n.leak, BPTT(), [(x, y, mask)], loss=loss, update="episode").loss)
        assert done.metrics[f"{name}_loss"] == pytest.approx(total / data.mask.sum(), rel=1e-12)
    assert ("test_nmse" in done.metrics) == (loss == "squared-error")
    unchanged = run("rflo-factored", task, learning_rate=0.0)
    np.testing.assert_array_equal(unchanged.network.W, unchanged.initial.W)


def test_the_seed_decides_feedback_and_order() -> None:
    a, b, c = run("rflo-dense"), run("rflo-dense"), run("rflo-dense", seed=1)
    assert_identical(a, b)
    assert a.feedback is not None
    assert c.feedback is not None
    assert not np.array_equal(a.feedback, c.feedback)
    # Without random feedback the seed is only the order, and without shuffling it is nothing.
    assert not np.array_equal(run("eprop").network.W, run("eprop", seed=1).network.W)
    a, b = (run("eprop", seed=seed, shuffle=False) for seed in (0, 1))
    np.testing.assert_array_equal(a.network.W, b.network.W)


def test_the_network_given_is_not_changed() -> None:
    network = draw_network()
    before = network.digest()
    done = run("rflo-dense", network=network)
    assert network.digest() == before == done.initial.digest() != done.network.digest()


def test_own_data_of_every_shape() -> None:
    """(T, n), (sequences, T, n) and ragged lists of the same data are the same run; labels give an accuracy."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 2))
    a, b = run("eprop", from_arrays(x, y)), run("eprop", from_arrays(list(x), list(y)))
    assert_identical(a, b)
    one = run("eprop", from_arrays(x[0], y[0]))
    assert one.position["total_steps"] == 15
    labels = rng.integers(0, 2, size=4)
    classes = np.broadcast_to(np.eye(2)[labels][:, np.newaxis], (4, 5, 2))
    task = from_arrays(x, classes, labels=labels, test_inputs=x, test_targets=classes, test_labels=labels,
                       loss="cross-entropy")  # fmt: skip
    done = run("eprop", task, epochs=50, learning_rate=0.05)
    assert done.metrics["train_accuracy"] == done.metrics["test_accuracy"] >= 0.75


def test_threads_do_not_share_anything() -> None:
    """Kernels run without the GIL; four different runs side by side, twice each, give the bits they give alone."""
    data = draw_sequences((400, 300))
    task = Task("own", data)
    keys = ["rflo-dense", "rflo-factored", "eprop", "tbptt4"]

    def job(key: str) -> Run:
        return run(key, task, learning_rate=1e-3)

    alone = [job(key) for key in keys] * 2
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(job, keys * 2))
    for a, b in zip(alone, beside, strict=True):
        assert_identical(a, b)


def test_another_process_gives_the_same_bits() -> None:
    keys = ("rflo-dense", "rflo-factored", "eprop", "bptt")
    here = {key: digest(run(key)) for key in keys}
    said = python_process(f"from test_simulate import *\nfor key in {keys!r}: print(key, digest(run(key)))")
    assert dict(line.split() for line in said.splitlines()) == here
