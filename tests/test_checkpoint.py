"""A run outlives the disk it was to be saved on."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_network, draw_sequences

import neurolrnn as nl
from neurolrnn import simulation
from neurolrnn.checkpoint import rescue

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As a full disk, without one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def simulate(path: Path | None = None) -> nl.Run:
    return nl.simulate(
        draw_network(), nl.Task("drawn", draw_sequences()), nl.RFLO(), epochs=3, progress=False, checkpoint=path
    )


def test_a_checkpoint_that_fails_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulation, "CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "run.npz"
    with files_of_at_most(500), pytest.raises(nl.RunFileError, match="File too large") as caught:
        simulate(path)
    assert f"warning: no checkpoint, and the run goes on: cannot write {path}" in capsys.readouterr().err
    run = caught.value.run
    assert run.status == "completed" and list(tmp_path.iterdir()) == []
    again = nl.Run.load(run.save(path))
    assert np.array_equal(again.network.W, simulate().network.W) and not np.array_equal(
        again.network.W, again.initial.W
    )


def test_a_run_is_rescued_if_there_is_room_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = nl.RunFileError("cannot write run.npz")
    assert rescue(error) is error, "there is no run"
    error.run = simulate()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = str(rescue(error))
    (kept,) = tmp_path.iterdir()
    assert said.startswith(f"{error}. The run is not lost: it was saved as {kept}; ")
    assert nl.Run.load(kept).status == "completed"
    with files_of_at_most(500):
        assert rescue(error) is error
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert rescue(error) is error
    assert list(tmp_path.iterdir()) == [kept], "no part stays"
