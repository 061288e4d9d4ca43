"""Profiles on threads, in processes and on Dask: the same bits, whoever makes the runs and whatever dies meanwhile."""

import contextlib
import json
import os
import signal
import threading
import time

import numpy as np
import profile_cases
import pytest
from conftest import python_process

import neurolrnn as nl
from neurolrnn import cli
from neurolrnn.profiles import processes
from neurolrnn.profiles.engine import Engine, make
from neurolrnn.profiles.plan import Plan
from neurolrnn.profiles.profile import resume
from neurolrnn.profiles.row import same
from neurolrnn.profiles.run_one import run_one
from neurolrnn.profiles.store import Store, StoreError

AXES = {**profile_cases.AXES, "rule.name": ["rflo", ("no", {"rule.name": "bptt"})]}


def profile(**options) -> nl.Profile:
    return nl.profile(profile_cases.experiment(), AXES, seeds=2, progress=False, **options)


@pytest.fixture(scope="module")
def by_threads() -> nl.Profile:
    return profile(threads=2)


def test_rows_are_what_simulate_gives(by_threads):
    assert by_threads.status == "completed" and len(by_threads.rows) == by_threads.wanted == 16
    for row in by_threads.rows:
        if row.settings["rule.name"] == "no":
            assert row.status == "failed" and "'bptt'" in row.message and not row.metrics
            continue
        settings = {k: v for k, v in row.settings.items() if k != "rule.name"}
        texts = [f"{key}={value}" for key, value in settings.items()]
        run = profile_cases.experiment().from_dict(
            profile_cases.TABLES, overrides=[*texts, f"seed={row.seed}"]
        ).simulate(progress=False)  # fmt: skip
        assert row.digest == run.digest and row.metrics == run.metrics and row.saturation == run.saturation
        assert row.numerics == run.numerics and row.status == run.status and row.versions == run.versions
        assert row.experiment == nl.Experiment.from_dict(row.experiment).to_dict()
        assert list(row.records) == list(run.records)
        assert all(np.array_equal(row.records[k], run.records[k], equal_nan=True) for k in run.records)
    failed = [row for row in by_threads.rows if row.status == "failed"]
    assert by_threads.failed == failed and len(failed) == 8


def test_processes_give_the_same(by_threads):
    assert all(map(same, profile(processes=2).rows, by_threads.rows))


def test_divergence_is_a_result():
    experiment = profile_cases.experiment(training={"learning_rate": 50.0}, precision={"preset": "float32"})
    found = nl.profile(experiment, {}, seeds=2, progress=False, threads=1)
    assert [row.status for row in found.rows] == ["diverged"] * 2 and found.status == "completed"
    assert "diverged at step" in found.rows[0].message and "2" in found.table().splitlines()[-1]


def test_nothing_is_made_again(tmp_path, by_threads):
    store = tmp_path / "a.sqlite"
    first = profile(threads=1, store=store)
    with Store.open(store) as kept:
        seconds = {row.digest: row.seconds for row in kept.rows(kept.items())}
    for again in (profile(threads=1, store=store), resume(store, processes=1, progress=False), nl.Profile.load(store)):
        assert all(map(same, again.rows, by_threads.rows)) and all(map(same, again.rows, first.rows))
        assert {row.digest: row.seconds for row in again.rows} == seconds, "the time of the first making"
    more = nl.profile(profile_cases.experiment(), AXES, seeds=3, progress=False, threads=1, store=store)
    assert len(more.rows) == 24
    with Store.open(store) as kept:
        assert set(kept.made().values()) == {1}
    assert all(row.seconds == seconds[row.digest] for row in more.rows if row.digest in seconds)


def test_two_settings_of_one_experiment_are_one_run():
    axes = {"setup": {"a": {"rule.name": "rflo"}, "b": {}}}
    found = nl.profile(profile_cases.experiment(), axes, progress=False, threads=1)
    first, second = found.rows
    assert first.digest == second.digest and first.seconds == second.seconds
    assert [row.settings["setup"] for row in found.rows] == ["a", "b"]


def test_a_run_that_goes_wrong_for_other_reasons_is_lost_not_kept(tmp_path):
    """A file of data that is gone: neither a result nor the end of the other runs; made when it is back."""
    data = tmp_path / "data.npz"
    rng = np.random.default_rng(0)
    np.savez(data, inputs=rng.normal(size=(40, 3)), targets=rng.normal(size=(40, 2)))
    base = {**profile_cases.TABLES, "task": {"name": "npz", "path": str(data)}}
    store = tmp_path / "a.sqlite"
    plan = Plan.make(nl.Experiment.from_dict(base), {}, 2, "grid", None, 0)
    Store.create(store, plan).close()
    kept = data.read_bytes()
    data.unlink()
    lost = resume(store, threads=1, progress=False)
    assert lost.status == "interrupted" and len(lost.failed) == 2 and "data.npz" in lost.failed[0].message
    np.savez(data, inputs=rng.normal(size=(40, 3)), targets=rng.normal(size=(40, 2)))
    other = resume(store, threads=1, progress=False)
    assert "other data than what was asked for" in other.failed[0].message
    data.write_bytes(kept)
    whole = resume(store, threads=1, progress=False)
    assert whole.status == "completed" and [row.status for row in whole.rows] == ["completed"] * 2


def test_a_process_that_is_killed_is_replaced(by_threads):
    helper = processes.Helper()
    items = [item for item in by_threads.plan.items if not item.failure][:2]
    assert helper(items[0]).packed is not None
    assert helper._process is not None
    os.kill(helper._process.pid, signal.SIGKILL)
    done = helper(items[1])
    assert done.packed is not None and done.packed.digest == items[1].digest
    helper.stop()
    assert helper(items[0]).packed is None, "stopped means no more"
    helper.close()


def test_a_process_that_dies_each_time_is_told(by_threads):
    item = next(item for item in by_threads.plan.items if not item.failure)
    helper = processes.Helper()
    gone = threading.Event()

    def killer() -> None:
        while not gone.is_set():
            if helper._process is not None and helper._process.poll() is None:
                os.kill(helper._process.pid, signal.SIGKILL)
            time.sleep(0.001)

    thread = threading.Thread(target=killer)
    thread.start()
    done = helper(item)
    gone.set()
    thread.join()
    helper.close()
    assert done.packed is None and "2 times (killed by signal 9" in done.trouble


def test_two_threads_compile_a_kernel_once():
    out = python_process(
        "import neurolrnn as nl\n"
        "from neurolrnn.rule_kernels import rflo_factored, rflo_dense\n"
        f"nl.profile(nl.Experiment.from_dict({profile_cases.TABLES!r}), {{}}, seeds=6, threads=3, progress=False)\n"
        "stats = [kernel.stats for kernel in (rflo_factored, rflo_dense)]\n"
        "print(sum(sum(s.cache_hits.values()) + sum(s.cache_misses.values()) for s in stats))"
    )
    assert out.strip() == "1", "compiled, or read from the disk, once for three threads that want it at the same time"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": 0}, "threads = 0"),
        ({"threads": 1, "processes": 1}, "leave the others out"),
        ({"threads": 1, "cluster": "local"}, "leave the others out"),
        ({"cluster": "10.0.0.1"}, "'local', or the address"),
    ],
)
def test_engines_that_are_none(options, words):
    with pytest.raises(nl.InputError, match=words):
        Engine(**options)


def test_whatever_happens_to_a_run_is_told():
    done = make({"task": 3}, "digest")
    assert done.packed is None and "task" in done.trouble
    assert run_one({"task": 3}, {"rule.name": "rflo"}).status == "failed"


# --- Dask


@pytest.fixture(scope="module")
def scheduler():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL"
    ) as cluster:
        yield cluster


def test_dask_gives_the_same_bits(scheduler, by_threads):
    assert all(map(same, profile(cluster=scheduler.scheduler_address).rows, by_threads.rows))


def test_a_worker_that_is_killed(scheduler, by_threads, tmp_path):
    """Dask makes the runs of a dead worker again on another; nothing is lost, nothing is there twice."""
    store = tmp_path / "a.sqlite"
    killed = threading.Event()

    def kill_one() -> None:
        while not killed.is_set():
            with contextlib.suppress(StoreError):  # it is being made
                if len(nl.Profile.load(store).rows) > 130:  # 120 are not possible, and so there from the beginning
                    os.kill(next(iter(scheduler.workers.values())).pid, signal.SIGKILL)
                    killed.set()
            time.sleep(0.001)

    thread = threading.Thread(target=kill_one)
    thread.start()
    found = nl.profile(
        profile_cases.experiment(), AXES, seeds=30, progress=False, store=store, cluster=scheduler.scheduler_address
    )
    assert killed.is_set()
    thread.join()
    assert found.status == "completed" and len(found.rows) == 240
    wanted = {row.digest: row for row in by_threads.rows}
    both = [(row, wanted[row.digest]) for row in found.rows if row.digest in wanted]
    assert len(both) == 16 and all(same(a, b) for a, b in both)
    with Store.open(store) as kept:
        assert set(kept.made().values()) == {1}


@pytest.mark.slow
def test_a_cluster_of_this_machine(by_threads):
    assert all(map(same, profile(cluster="local", processes=2).rows, by_threads.rows))


def test_no_scheduler_answers(monkeypatch):
    pytest.importorskip("distributed")
    from neurolrnn.profiles import cluster

    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    with pytest.raises(nl.InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        profile(cluster="tcp://127.0.0.1:9")


# --- ways out


def test_pandas_csv_and_parquet(by_threads, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = by_threads.to_pandas()
    assert list(frame["digest"]) == [row.digest for row in by_threads.rows]
    assert list(frame["precision.weight"]) == [row.settings["precision.weight"] for row in by_threads.rows]
    done = [row for row in by_threads.rows if row.status == "completed"]
    assert list(frame["test_nmse"].dropna()) == [row.metrics["test_nmse"] for row in done]
    assert list(frame["saturation.W.updates"].dropna()) == [row.saturation["W"]["updates"] for row in done]
    from_csv = pandas.read_csv(by_threads.to_csv(tmp_path / "a"), keep_default_na=False, na_values=[""], dtype={})
    from_parquet = pandas.read_parquet(by_threads.to_parquet(tmp_path / "b.parquet"))
    for other in (from_csv, from_parquet):
        assert list(other.columns) == list(frame.columns)
        for name in ("test_nmse", "seconds", "saturation.W.updates"):
            assert np.array_equal(np.array(other[name], float), np.array(frame[name], float), equal_nan=True)
        assert list(other["digest"]) == list(frame["digest"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.parquet"]
    with pytest.raises(nl.NeurolrnnError, match="folder"):
        by_threads.to_csv(tmp_path / "no" / "a.csv")


def test_xarray(by_threads):
    pytest.importorskip("xarray")
    data = by_threads.to_xarray()
    assert data["test_nmse"].dims == ("precision.weight", "precision.rounding", "rule.name", "seed")
    for row in by_threads.rows:
        at = {**row.settings, "seed": row.seed}
        assert data["status"].sel(at).item() == row.status and data["digest"].sel(at).item() == row.digest
        value = data["test_nmse"].sel(at).item()
        assert value == row.metrics["test_nmse"] if row.metrics else np.isnan(value)
        if row.records:
            assert np.array_equal(data["curve.loss"].sel(at), row.records["loss"])
    axes = {"precision.weight": ["s1.4", "s1.6"], "network.leak": [1.0, 0.5]}
    side = nl.profile(profile_cases.experiment(), axes, mode="list", seeds=2, progress=False, threads=1).to_xarray()
    assert side["test_nmse"].dims == ("combination", "seed") and list(side["network.leak"].values) == [1.0, 0.5]


def test_table(by_threads):
    lines = by_threads.table("test_loss").splitlines()
    assert lines[0].split()[:4] == ["precision.weight", "precision.rounding", "rule.name", "test_loss"]
    values = [row.metrics["test_loss"] for row in by_threads.rows[:2]]
    assert lines[2].split()[3:] == [f"{np.median(values):.4g}", f"{min(values):.4g}", f"{max(values):.4g}", "2", "0"]
    with pytest.raises(nl.InputError, match="did you mean 'test_loss'"):
        by_threads.table("test_los")


# --- the command


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(profile_cases.experiment().to_toml())
    words = ["profile", "small.toml", "--axis", "precision.weight=s1.4,s1.6", "--seeds", "2", "--threads", "1"]
    assert cli.main([*words, "--csv", "a.csv"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("precision.weight") and "a.csv" in out
    (store,) = (tmp_path / "runs").glob("profile-*.sqlite")
    assert cli.main([*words, "--json", "--seeds", "3"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["store"] == f"runs/{store.name}" and len(data["runs"]) == 6, "the same store, with a seed more"
    assert cli.main(["profile", "--resume", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == data["runs"]
    assert cli.main(["profile", "small.toml", "--axis", "rule.name=rflo,bptt", "--threads", "1", "--quiet"]) == 1
    assert capsys.readouterr().out == ""
    assert cli.main([*words, "-o", "own.sqlite", "--quiet"]) == 0
    assert nl.Profile.load("own.sqlite").status == "completed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing is varied"),
        (["--axis", "precision.weigth=s1.4"], "weigth"),
        (["--axis", "rule.name=rflo", "--axis", "rule.name=eprop"], "given twice"),
        (["--axis", "rule.name=rflo", "--store", "no/a.sqlite"], "does not exist"),
        (["--resume", "none.sqlite"], "there is no store"),
        (["--resume", "none.sqlite", "--seeds", "3"], "leave seeds out"),
        (["--seeds", "2", "--threads", "1", "--processes", "2"], "leave the others out"),
    ],
)
def test_bad_input(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["profile", *words]) == 2
    assert said in capsys.readouterr().err
