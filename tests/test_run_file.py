"""A run file comes back bit for bit, or is refused in words; a failed save leaves the old file as it was."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurolrnn import run as run_module
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.run import Run, RunFileError, canonical_digest


def make_run(**changes: Any) -> Run:
    rng = np.random.default_rng(3)
    initial = Network.random(2, 5, 3, leak=0.3, seed=7)
    R, M, N = rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(3, 2))
    values: dict[str, Any] = {
        "experiment": {
            "schema": 1, "seed": 7, "task": {"name": "periodic", "loss": "squared-error", "digest": "ab"},
            "network": {**initial.origin, "n_rec": 5}, "rule": {"name": "rflo", "decay": None},
            "training": {"learning_rate": {"A": 0.1, "W": 1 / 3, "B": 5e-324}, "update": "online", "epochs": 2},
            "precision": {"preset": "float32"},
        },
        "status": "interrupted",
        "message": "stopped after step 40 of 100, grüße",
        "initial": initial,
        "network": initial.replace(W=initial.W + R.T @ M, B=initial.B + R.T @ N),
        "feedback": R,
        "factors": (M, N),
        "records": {
            "step": np.array([20, 40]), "loss": np.array([0.1, np.nan]),
            "feedback_cosine": np.array([0.0, -0.0], np.float32),
        },
        "metrics": {"test_loss": np.float64(0.1) + 0.2, "test_nmse": float("inf")},
        "warnings": ["B was to be learned but not one update changed it"],
        "versions": {"numpy": "2.3"},
        "timing": {"total": 1.5},
        "saturation": {"state": {"saturated": np.int64(4), "dead": 2**40}},
        "state": {
            "h": rng.normal(size=(1, 5)).astype(np.float32), "codes": np.arange(3, dtype=np.int32),
            "sums": rng.normal(size=2),
        },
        "position": {"step": 40, "total_steps": 100},
    }  # fmt: skip
    return Run(**{**values, **changes})


def contents(run: Run) -> dict[str, Any]:
    arrays: dict[str, Any] = {f"{n}.{m}": getattr(getattr(run, n), m) for n in ("initial", "network") for m in "AWB"}
    arrays |= {f"records.{k}": v for k, v in run.records.items()} | {f"state.{k}": v for k, v in run.state.items()}
    if run.feedback is not None:
        arrays["R"] = run.feedback
    if run.factors is not None:
        arrays |= {"M": run.factors[0], "N": run.factors[1]}
    plain = {
        "experiment": run.experiment, "status": run.status, "message": run.message, "metrics": run.metrics,
        "warnings": run.warnings, "versions": run.versions, "timing": run.timing, "saturation": run.saturation,
        "position": run.position, "leaks": [run.initial.leak, run.network.leak],
        "origins": [run.initial.origin, run.network.origin],
    }  # fmt: skip
    return {**plain, **{k: (v.dtype.str, v.shape, v.tobytes()) for k, v in arrays.items()}}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return make_run().save(tmp_path / "run.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"feedback": None, "factors": None, "saturation": None, "state": {}, "metrics": {}, "warnings": []},
        {"status": "diverged", "records": {"step": np.zeros(0), "loss": np.zeros(0)}},
    ],
    ids=["full", "bare", "no-points"],
)
def test_round_trip_is_exact(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = make_run(**changes)
    back = Run.load(run.save(tmp_path / "a.npz"))
    assert contents(back) == contents(run)
    assert back.digest == run.digest
    assert back.summary() == run.summary()


def test_same_run_gives_same_bytes(tmp_path: Path) -> None:
    assert make_run().save(tmp_path / "a").read_bytes() == make_run().save(tmp_path / "b").read_bytes()


def test_suffix_is_appended_and_found(tmp_path: Path) -> None:
    assert make_run().save(tmp_path / "run") == tmp_path / "run.npz"
    assert Run.load(tmp_path / "run").status == "interrupted"


def test_numpy_reads_the_file(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as archive:
        assert archive["network/W"].shape == (5, 5)


def test_run_does_not_share_or_change(saved: Path) -> None:
    step = np.array([1, 2])
    run = make_run(records={"step": step, "loss": np.zeros(2)})
    step[0] = 9
    assert run.records["step"][0] == 1
    with pytest.raises(ValueError, match="read-only"):
        Run.load(saved).state["h"][0] = 0.0


def test_truncated_files_are_refused(saved: Path, tmp_path: Path) -> None:
    data, cut = saved.read_bytes(), tmp_path / "cut.npz"
    for length in [*range(0, 400), *range(400, len(data), 17), *range(len(data) - 200, len(data))]:
        cut.write_bytes(data[:length])
        with pytest.raises(RunFileError, match="damaged" if length > 50 else "damaged|not written by neurolrnn"):
            Run.load(cut)


def test_flipped_bytes_are_refused(saved: Path, tmp_path: Path) -> None:
    data, bad = bytearray(saved.read_bytes()), tmp_path / "bad.npz"
    rng = np.random.default_rng(0)
    for at in [*range(0, 300), *range(300, len(data), 5), *range(len(data) - 300, len(data))]:
        old, data[at] = data[at], data[at] ^ (1 << int(rng.integers(8)))
        bad.write_bytes(data)
        with pytest.raises(RunFileError, match="damaged"):
            Run.load(bad)
        data[at] = old


def test_appended_bytes_are_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"\n")
    with pytest.raises(RunFileError, match="damaged"):
        Run.load(saved)


def test_newer_layout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "SCHEMA", run_module.SCHEMA + 1)
        path = make_run().save(tmp_path / "new.npz")
    with pytest.raises(RunFileError, match=r"new\.npz has layout 2, written by a newer neurolrnn"):
        Run.load(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", W=np.eye(2), meta=np.zeros(1))
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("a.txt", "a")
    (tmp_path / "text.npz").write_text("seed = 0\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    expected = {"other": "another origin", "zip": "another origin", "text": "not an npz", "empty": "empty"}
    for name, words in expected.items():
        with pytest.raises(RunFileError, match=rf"{name}\.npz was not written by neurolrnn: .*{words}"):
            Run.load(tmp_path / f"{name}.npz")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="there is no file"):
        Run.load(tmp_path / "none.npz")
    with pytest.raises(RunFileError, match="cannot read"):
        Run.load(tmp_path)
    with pytest.raises(RunFileError, match="is a folder"):
        make_run().save(tmp_path)
    with pytest.raises(RunFileError, match="does not exist"):
        make_run().save(tmp_path / "none" / "run.npz")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFileError, match="is a file"):
        make_run().save(tmp_path / "file" / "run.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize("failing", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
def test_failed_save_leaves_the_old_file(
    saved: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    old = saved.read_bytes()

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(RunFileError if isinstance(error, OSError) else KeyboardInterrupt):
        make_run(status="completed", message="").save(saved)
    assert saved.read_bytes() == old
    assert list(saved.parent.iterdir()) == [saved], "a part was left behind"


def test_save_replaces_and_keeps_links(saved: Path) -> None:
    link = saved.parent / "link.npz"
    try:
        link.symlink_to(saved)
    except OSError:
        pytest.skip("no symbolic links here")
    make_run(status="completed", message="").save(link)
    assert link.is_symlink()
    assert Run.load(saved).status == "completed"


def test_objects_and_bad_records_are_refused() -> None:
    with pytest.raises(InputError, match=r"state\['x'\] holds Python objects"):
        make_run(state={"x": np.array([object()])})
    with pytest.raises(InputError, match="records has no loss"):
        make_run(records={"step": np.zeros(1)})
    with pytest.raises(InputError, match="differ in length"):
        make_run(records={"step": np.zeros(1), "loss": np.zeros(2)})
    with pytest.raises(InputError, match="did you mean 'completed'"):
        make_run(status="complete")


def test_digest_does_not_see_order_or_number_types() -> None:
    assert canonical_digest({"a": np.float64(0.5), "b": (1, 2)}) == canonical_digest({"b": [1, 2], "a": 0.5})
    assert canonical_digest({"a": 0.5}) != canonical_digest({"a": 0.25})


def test_summary_says_what_happened() -> None:
    text = make_run(metrics={"test_accuracy": 0.93}).summary()
    for words in ("interrupted", "grüße", "periodic", "rflo", "float32", "40 of 100", "93.00 %", "4 saturated"):
        assert words in text


@pytest.mark.parametrize("suffix", ["", ".png", ".svg", ".pdf"])
def test_plot_is_written(tmp_path: Path, suffix: str) -> None:
    figure = make_run().plot(tmp_path / f"figure{suffix}")
    assert len(figure.axes) == 4
    assert (tmp_path / f"figure{suffix or '.png'}").stat().st_size > 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"feedback": None, "factors": None},
        {"records": {"step": np.zeros(0), "loss": np.zeros(0)}, "status": "diverged"},
        {"network": make_run().initial, "records": {"step": np.array([1.0]), "loss": np.array([-1.0])}},
    ],
    ids=["no-feedback", "no-points", "no-change"],
)
def test_plot_of_unusual_runs(tmp_path: Path, changes: dict[str, Any]) -> None:
    make_run(**changes).plot(tmp_path / "a.png")


def test_plot_skips_large_spectra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurolrnn.plots.LARGEST_SPECTRUM", 4)
    texts = [text.get_text() for axes in make_run().plot().axes for text in axes.texts]
    assert sum("not drawn: 5 units" in text for text in texts) == 2


def test_plot_refuses_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.docx"):
        make_run().plot(tmp_path / "a.docx")
    with pytest.raises(InputError, match="cannot write"):
        make_run().plot(tmp_path / "none" / "a.png")
