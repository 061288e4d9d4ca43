"""Profiling processes that are really killed, at any moment: nothing that was kept is lost, nothing is made twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import profile_cases
import pytest

import neurolrnn as nl
from neurolrnn.profiles.profile import resume
from neurolrnn.profiles.row import same
from neurolrnn.profiles.store import Store, StoreError

RUNS = 4 * profile_cases.SEEDS


@pytest.fixture(scope="module")
def undisturbed() -> nl.Profile:
    return nl.profile(
        profile_cases.experiment(), profile_cases.AXES, seeds=profile_cases.SEEDS, threads=1, progress=False
    )


def made_in(store: Path) -> dict[str, int]:
    """How often each run of a store was made; none if there is no whole store yet."""
    if not store.exists():
        return {}
    try:
        with Store.open(store) as there:
            return there.made()
    except StoreError as error:
        assert "is empty" in str(error), error
        return {}


def logged(log: Path) -> tuple[list[str], list[str]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return tuple([line.split()[1] for line in lines if line.startswith(word)] for word in ("begun", "kept"))


def check_whole(store: Path) -> None:
    connection = sqlite3.connect(store)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def kill_often(folder: Path, kills: int, undisturbed: nl.Profile, most_seconds: float, engine: str) -> None:
    """Kill a profile again and again; begin another store whenever one is complete."""
    wanted = {row.digest: row for row in undisturbed.rows}
    number, partly = 0, 0
    for kill in range(kills):
        store = folder / f"{number}.sqlite"
        log = folder / f"{kill}.log"
        before = made_in(store)
        process = profile_cases.start(store, log, engine)
        assert process.stdout is not None and process.stdout.readline() == "begins\n"
        if kill % 3 == 0:  # anywhere, also while the store is made and the kernel is loaded
            time.sleep(random.uniform(0.0, most_seconds))
        else:  # while runs are made and kept
            left, which = RUNS - len(before), 1 if engine == "processes=2" else 0
            most = random.randint(0, max(left - 1, 0))
            while process.poll() is None and len(logged(log)[which]) <= most:
                time.sleep(0.001)
            time.sleep(random.uniform(0.0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        after, (begun, kept) = made_in(store), logged(log)
        assert set(before) <= set(after), "a run that was kept is lost"
        assert set(kept) <= set(after), "a run that was said to be kept is not there"
        assert not set(begun) & set(before), "a run that was kept is made again"
        assert len(begun) == len(set(begun)) and set(after.values()) <= {1}, "a run is made twice"
        if engine == "threads=1":
            assert len(set(begun) - set(after)) <= 3, "more is lost than was in flight: 1 made, 2 waiting to be kept"
        if after:
            check_whole(store)
            for row in nl.Profile.load(store).rows:
                assert same(row, wanted[row.digest])
        partly += 0 < len(after) < RUNS
        if len(after) == RUNS:
            number += 1
    for store in sorted(folder.glob("*.sqlite")):
        if made_in(store):
            whole = resume(store, threads=1, progress=False)
            assert whole.status == "completed" and len(whole.rows) == RUNS
            assert all(map(same, whole.rows, undisturbed.rows)), "not what an undisturbed profile gives"
            assert set(made_in(store).values()) == {1}
    assert partly >= kills // 4, "few kills met a profile half done"


def test_killed_a_few_times(tmp_path: Path, undisturbed: nl.Profile) -> None:
    kill_often(tmp_path, 4, undisturbed, 0.6, "threads=1")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["threads=1", "threads=2", "processes=2"])
def test_killed_fifty_times(tmp_path: Path, undisturbed: nl.Profile, engine: str) -> None:
    kill_often(tmp_path, 50, undisturbed, 4.0 if engine == "processes=2" else 1.0, engine)


def test_two_processes_share_a_store(tmp_path: Path, undisturbed: nl.Profile) -> None:
    store = tmp_path / "shared.sqlite"
    both = [profile_cases.start(store, tmp_path / f"{k}.log") for k in range(2)]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert out.splitlines()[-1] == f"completed {RUNS} 0"
    begun = [logged(tmp_path / f"{k}.log")[0] for k in range(2)]
    made = made_in(store)
    check_whole(store)
    assert sum(made.values()) == sum(map(len, begun)), "every run that was made is counted"
    assert len(made) == RUNS and sum(made.values()) < 2 * RUNS
    assert all(map(same, nl.Profile.load(store).rows, undisturbed.rows))


def test_ctrl_c_and_on(tmp_path: Path, undisturbed: nl.Profile) -> None:
    store, log = tmp_path / "stopped.sqlite", tmp_path / "log"
    process = profile_cases.start(store, log)
    while len(logged(log)[1]) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    begun, kept = logged(log)
    assert out.splitlines()[-1] == f"interrupted {len(kept)} 0" or len(kept) == RUNS
    assert set(kept) == set(made_in(store)) and len(set(begun) - set(kept)) <= 1, "only the run under way is given up"
    assert all(map(same, resume(store, threads=1, progress=False).rows, undisturbed.rows))


def test_a_file_that_may_not_grow(tmp_path: Path, undisturbed: nl.Profile) -> None:
    """As on a full disk: said in words, what was kept stays, and it goes on when there is room."""
    resource = pytest.importorskip("resource")
    store, log = tmp_path / "full.sqlite", tmp_path / "log"
    code = (
        "import resource, sys; limit = int(sys.argv.pop(1));"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY));"
        "import profile_process; profile_process.main(*sys.argv[1:])"
    )
    assert resource
    with Store.create(store, undisturbed.plan):
        limit = store.stat().st_size + 40_000
    environment = profile_cases.python_environment(PYTHONPATH="")
    environment["PYTHONPATH"] = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", code, str(limit), str(store), str(log), "threads=1"], env=environment, text=True,
        capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert "StoreError" in done.stderr and "full" in done.stderr and "What was written before is kept" in done.stderr
    kept = set(logged(log)[1])
    check_whole(store)
    assert kept <= set(made_in(store)) and 0 < len(kept) < RUNS
    assert all(map(same, resume(store, threads=1, progress=False).rows, undisturbed.rows))
    assert set(made_in(store).values()) == {1}
