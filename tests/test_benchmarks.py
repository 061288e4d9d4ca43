"""The tools of the benchmarks: peers learn the same, files are kept or refused, tables and pictures are right.

Nothing here asserts a time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import clock, compare, contenders, machine, memory, method, ours, picture, report, results, start, suite
from benchmarks import whole_runs as whole
from benchmarks.contenders import FAMILIES, Contender
from benchmarks.results import Results, ResultsError, Row
from benchmarks.work import Program, Weights, Work, difference

ROOT = Path(__file__).parents[1]
STORED = ROOT / "benchmarks" / "results" / "reference.json"
PEERS = ("numpy", "torch", "jax", "braintrace")


def tiny(family: str, n: int = 12) -> Work:
    about = FAMILIES[family]
    lanes = min(about.lanes, 3)
    length = 10 if about.length else 0
    return Work(n, 40, 2, lanes, length, about.kind, learning_rate=0.02)


# --- peers


@pytest.mark.parametrize("family", ["rflo", "eprop"])
def test_installed_peers_learn_the_same(family: str) -> None:
    rows = method.measure(family, tiny(family), 1, PEERS)
    numpy_rows = [row for row in rows if row.who == "numpy"]
    assert numpy_rows and all(row.status == "ok" for row in numpy_rows)
    for row in rows:
        assert row.status in ("ok", "absent"), row.note
        assert row.status == "absent" or 0.0 < row.extra["off"] < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_contender_learns_the_same_or_says_why_not(family: str) -> None:
    rows = method.measure(family, tiny(family), 1, ("float", *PEERS))
    assert "neurolrnn" in {row.who for row in rows}
    for row in rows:
        assert row.status in ("ok", "absent"), f"{row.name}: {row.note}"
        if row.status == "ok" and row.who != "ceiling":
            assert row.extra["off"] < 1e-3


def test_a_contender_that_learns_something_else_is_not_timed() -> None:
    work = tiny("rflo")
    net = work.net

    def lazy(work: Work) -> Program:
        return Program(lambda: None, lambda: [{"A": net.A, "W": net.W, "B": net.B}])

    entry = method._Entry(Contender("rflo", "nobody", "does nothing", lazy))
    method.ready(entry, work, method.expected("rflo", work), 0.01)
    assert entry.status == "failed" and entry.program is None
    assert entry.note.startswith("learned other weights: relative difference 1 ")


def test_difference_is_relative_to_what_was_learned() -> None:
    work = Work(4, 8)
    net, rng = work.net, np.random.default_rng(0)
    moved = {g: 1e-6 * rng.normal(size=getattr(net, g).shape) for g in "AWB"}
    right: Weights = {g: getattr(net, g) + moved[g] for g in "AWB"}
    assert difference([right], [right], work) == 0.0
    off = {**right, "W": net.W + 1.01 * moved["W"]}
    assert difference([off], [right], work) == pytest.approx(0.01, rel=1e-6)
    assert difference([{**right, "B": np.full_like(net.B, np.nan)}], [right], work) == float("inf")
    with pytest.raises(ArithmeticError, match="A did not learn"):
        difference([right], [{**right, "A": net.A}], work)
    with pytest.raises(ValueError, match="longer"):
        difference([], [right], work)


def test_pairs_of_a_normal_matrix_give_it_back() -> None:
    for kind in ("block", "orthogonal"):
        work = Work(10, 8, kind=kind, seed=3)
        units, blocks, Q = work.pairs
        T = np.zeros((10, 10))
        for pair, block in zip(units, blocks, strict=True):
            T[np.ix_(pair, pair)] = block
        W = T if Q is None else Q @ T @ Q.T
        np.testing.assert_allclose(W, work.net.W, atol=1e-12)


def test_a_peer_that_is_not_there_is_listed() -> None:
    found = contenders.peers()
    assert set(found) == set(PEERS)
    assert found["numpy"] == f"numpy {np.__version__}"
    for text in found.values():
        assert text.startswith("absent: ") or text.split()[1][0].isdigit()
    with pytest.raises(contenders.Unavailable, match="No module named"):
        contenders.peer("no_such_peer")


def test_every_row_of_the_tables_is_of_a_family() -> None:
    for family in FAMILIES:
        names = [(c.who, c.name) for c in contenders.contenders(family)]
        assert len(names) == len(set(names)) and names
        for mode in suite.MODES:
            for work in FAMILIES[family].works(mode):
                assert work.steps % work.episode == 0 and work.n % 2 == 0
    assert {row.family for row in contenders.OURS} == set(FAMILIES)
    assert {family for family, *_ in contenders.PEERS} <= set(FAMILIES)


# --- what is measured


def test_memory_of_factored_learners_is_linear_in_units_and_outputs() -> None:
    beyond = {
        (n, o): memory.measure("RFLO factored, float32", n, o).extra["beyond_W0"] for n in (64, 128) for o in (1, 5)
    }
    row = memory.measure("RFLO factored, float32", 128, 1)
    assert row.values[0] == pytest.approx(row.extra["beyond_W0"] + 4 * 128**2 / 1e6)
    assert row.extra["all_arrays"] > row.values[0]
    for o in (1, 5):
        assert 1.5 < beyond[128, o] / beyond[64, o] <= 2.0
    for n in (64, 128):
        bytes_per_output = 1e6 * (beyond[n, 5] - beyond[n, 1]) / 4
        assert 3 * 4 * n <= bytes_per_output <= 3 * 4 * n + 8 * 16  # A, M and R; N; a few numbers


def test_a_whole_run_has_two_rows() -> None:
    rows = whole.measure((8,), 2, 1, 0.01)
    assert [row.name.rpartition(": ")[2] for row in rows] == ["nl.simulate", "its kernel"]
    assert "overhead_percent" in rows[0].extra and "overhead_percent" not in rows[1].extra
    assert all(len(row.values) == len(row.cpu) == 2 for row in rows)


def test_arrays_are_counted_once() -> None:
    engine, _ = ours.make_engine(Work(8, 16), contenders.FACTORED(Work(8, 16)), ours.PRECISIONS["float32"])
    found = ours.arrays([engine, engine, {"again": engine}])
    assert len(found) == len({id(a) for a in found.values()})
    assert sum(a.nbytes for a in found.values()) >= sum(a.nbytes for a in engine.state().values())
    base = np.zeros(100)
    assert [a.nbytes for a in ours.arrays((base[:10], base[50:])).values()] == [800]


def test_a_process_that_fails_is_reported() -> None:
    measured, printed = start.child(["-c", "import os; print(os.environ['HELLO'])"], HELLO="there")
    assert printed == "there\n" and measured.wall > 0.0
    with pytest.raises(RuntimeError, match="ended with 3"):
        start.child(["-c", "raise SystemExit(3)"])


def test_the_machine_is_described() -> None:
    found = machine.describe()
    assert found["processor"] and found["cores"] >= 1 and found["versions"]["numpy"] == np.__version__
    json.dumps(found, allow_nan=False)
    sizes = list(machine.caches().values())
    assert sizes == sorted(sizes)


# --- samples


def test_spread_and_ratio() -> None:
    assert clock.spread([3.0, 1.0]) == (2.0, 1.0, 3.0)
    assert clock.spread([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 2.0, 4.0)
    # A disturbance of both within a round does not show in their ratio.
    assert clock.ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == (2.0, 2.0, 2.0)
    assert report.verdict(clock.Spread(1.3, 1.2, 1.4)) == "neurolrnn"
    assert report.verdict(clock.Spread(0.7, 0.6, 0.8)) == "peer"
    assert report.verdict(clock.Spread(1.3, 0.9, 1.4)) == report.verdict(clock.Spread(1.04, 1.03, 1.05)) == "tie"


# --- files


def small() -> Results:
    """Results with a row of every section."""
    size = {"n": 64, "n_out": 1, "n_in": 16, "lanes": 1, "kind": "gaussian"}

    def rule(who: str, name: str, times: list[float], **extra: float) -> Row:
        return Row("rules", "rflo", who, name, size, "µs", times, times, extra)

    return Results(
        "quick", {"processor": "test", "cores": 2, "versions": {"numpy": "2"}, "pinned": True, "caches": {"L1": 32768}},
        {"numpy": "numpy 2", "jax": "absent: ModuleNotFoundError: No module named 'jax'"},
        [
            Row("ceilings", "", "machine", "pass over a matrix, float32", {"n": 64}, "GB/s", [50.0, 80.0]),
            rule("neurolrnn", "RFLO factored, float32", [0.5, 0.6, 0.5], bytes=20000.0, macs=5000.0),
            rule("neurolrnn", "RFLO factored, int16 nearest", [0.5, 0.6, 0.5], bytes=10000.0, macs=5000.0),
            rule("numpy", "rflo dense", [20.0, 21.0, 19.0]),
            rule("ceiling", "one pass over W, float32", [0.25, 0.3, 0.25], bytes=16384.0),
            Row("rules", "rflo", "jax", "rflo dense", size, "µs", status="absent", note="No module named 'jax'"),
            Row("runs", "", "neurolrnn", "RFLO: nl.simulate", size, "µs", [0.6], [0.6],
                {"steps": 1000, "overhead_percent": 12.5}),
            Row("sweeps", "", "neurolrnn", "RFLO: its kernel", {**size, "threads": 2}, "s", [1.0], [2.0],
                {"runs": 8, "speedup": 1.9}),
            Row("memory", "", "neurolrnn", "RFLO", size, "MB", [0.1], [],
                {"beyond_W0": 0.05, "all_arrays": 0.2, "resident": 0.3}),
            Row("start", "", "neurolrnn", "import neurolrnn", {}, "s", [0.4]),
        ],
        {"rounds": 3, "only": [], "seconds": 1.0},
    )  # fmt: skip


def test_round_trip(tmp_path: Path) -> None:
    path = results.save(small(), tmp_path / "new" / "r.json")
    assert results.load(path) == small()
    assert results.loads(results.dumps(results.load(path))) == small()
    assert [p.name for p in path.parent.iterdir()] == ["r.json"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = results.save(small(), tmp_path / "r.json")
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ResultsError, match="no room"):
        results.save(replace(small(), mode="full"), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.dumps(replace(small(), rows=[replace(small().rows[0], values=[float("nan")])]))


def broken() -> Iterator[tuple[str, str]]:
    """Texts that are not results, and what is said of them."""
    good = json.loads(results.dumps(small()))

    def text(change: Any) -> str:
        data = json.loads(json.dumps(good))
        change(data)
        return json.dumps(data)

    yield "{", "not JSON"
    yield "[]", "kind must be"
    yield text(lambda d: d.update(kind="other")), "kind must be"
    yield text(lambda d: d.update(schema=2)), "schema 2; this version reads schema 1"
    yield text(lambda d: d.pop("rows")), "rows must be a list, not NoneType"
    yield text(lambda d: d.update(machine=[])), "machine must be a dict"
    yield text(lambda d: d["rows"].append(3)), "row 10 must be an object"
    yield text(lambda d: d["rows"][0].update(speed=1)), "row 0 has 'speed'"
    yield text(lambda d: d["rows"][0].update(section="colours")), "section 'colours'; allowed: ceilings"
    yield text(lambda d: d["rows"][0].update(status="fine")), "status 'fine'"
    yield text(lambda d: d["rows"][0].update(name=1)), "row 0: name must be a text"
    yield text(lambda d: d["rows"][0].update(values=[-1.0])), "finite numbers of at least 0"
    yield text(lambda d: d["rows"][0].update(values=[True])), "finite numbers of at least 0"
    yield text(lambda d: d["rows"][0].update(values=[])), "if and only if its status is 'ok'"
    yield text(lambda d: d["rows"][5].update(values=[1.0])), "if and only if its status is 'ok'"
    yield text(lambda d: d["rows"][1].update(cpu=[1.0])), "3 samples, but 1 of processor time"
    yield text(lambda d: d["rows"][1].update(size=[1])), "size must map words"
    yield text(lambda d: d["rows"].append(d["rows"][0])), "two rows are of"
    yield json.dumps(good).replace("80.0", "NaN"), "NaN is not a number of JSON"


@pytest.mark.parametrize(("text", "words"), list(broken()))
def test_malformed_files_are_refused(text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ResultsError, match=words):
        results.loads(text)
    path = tmp_path / "r.json"
    path.write_text(text, encoding="utf-8")
    assert command.main(["table", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"benchmarks: {path}: ")


# --- tables, pictures, comparisons


def test_tables_say_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results.save(small(), tmp_path / "r.json")
    assert command.main(["table", str(path)]) == 0
    text = capsys.readouterr().out
    for piece in (
        "| RFLO factored, float32 | numpy: rflo dense | 38.00 (36.50 to 39.00)",
        "| *numpy*: rflo dense", "40.0 (50 %)", "80.0 GB/s", "12.5 %", "1.90",
        "- jax: absent: ModuleNotFoundError", "*jax*: rflo dense (n = 64): absent: No module named 'jax'",
        "one pass over W, float32 | 2.00 (2.00 to 2.00)", "its float32", "numpy 2",
    ):  # fmt: skip
        assert piece in " ".join(text.split()), piece


def test_picture(tmp_path: Path) -> None:
    path = results.save(small(), tmp_path / "r.json")
    target = tmp_path / "r.png"
    assert command.main(["picture", str(path), "-o", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")
    axes = picture.draw(small()).axes
    lines = {line.get_label(): line for line in axes[0].lines}
    drawn = {name: np.array(line.get_xydata()).tolist() for name, line in lines.items()}
    assert drawn["ceiling: pass over a matrix, float32"] == [[64.0, 80.0]]
    assert drawn["RFLO factored, float32"] == [[64.0, 20000.0 / 0.5 / 1e3]]
    no_ceilings = replace(small(), rows=small().rows[1:])
    with pytest.raises(ResultsError, match="needs the sections ceilings and rules"):
        picture.draw(no_ceilings)


def test_compare_flags_what_is_beyond_the_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = small()

    def scaled(name: str, factor: float) -> Results:
        rows = [
            replace(r, values=[factor * v for v in r.values], cpu=[factor * v for v in r.cpu]) if r.name == name else r
            for r in old.rows
        ]
        return replace(old, rows=rows)

    def flags(new: Results) -> dict[str, str]:
        return {c.row.name: c.flag for c in compare.changes(old, new) if c.flag}

    assert flags(old) == {}
    assert flags(scaled("RFLO factored, float32", 2.0)) == {"RFLO factored, float32": "slower"}
    assert flags(scaled("RFLO factored, float32", 0.5)) == {"RFLO factored, float32": "faster"}
    assert flags(scaled("RFLO factored, float32", 1.1)) == {}  # within the quartiles
    assert flags(scaled("pass over a matrix, float32", 0.5)) == {"pass over a matrix, float32": "slower"}
    assert flags(scaled("RFLO", 2.0)) == {"RFLO": "more"}
    assert flags(scaled("import neurolrnn", 1.04)) == {}  # apart, but too little
    paths = [
        results.save(found, tmp_path / f"{k}.json")
        for k, found in enumerate((old, replace(scaled("rflo dense", 3.0), machine={"processor": "other"})))
    ]
    assert command.main(["compare", *map(str, paths)]) == 0
    text = capsys.readouterr().out
    assert "Another machine: test and other" in text and "Another numpy" in text
    assert "9 rows in both files: 1 slower beyond its spread." in text
    assert "|      3.00 | slower |" in text


def test_words_of_only() -> None:
    assert suite.choose([]).sections == results.SECTIONS
    assert suite.choose(["start"]) == suite.Choice(("start",), tuple(FAMILIES), ())
    assert suite.choose(["eprop", "JAX"]) == suite.Choice(("rules",), ("eprop",), ("JAX",))
    with pytest.raises(ResultsError, match="'colour' is no section"):
        suite.choose(["colour"])


def test_a_bad_call_is_answered_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "r.json")
    assert command.main(["run", "--rounds", "0", "-o", target]) == 2
    assert command.main(["run", "--only", "colour", "-o", target]) == 2
    assert command.main(["table", str(tmp_path / "none.json")]) == 2
    err = capsys.readouterr().err
    assert "--rounds 0; at least 1" in err and "'colour'" in err and "none.json" in err
    with pytest.raises(SystemExit):
        command.main(["run", "--quick", "--full", "-o", target])


def test_a_run_through_the_command(tmp_path: Path) -> None:
    """In a process of its own, as it binds itself to a core."""
    target = tmp_path / "r.json"
    asked = ["-m", "benchmarks", "run", "--quick", "--rounds", "1", "--only", "eprop", "numpy", "-o", str(target)]
    start.child(asked)
    found = results.load(target)
    assert [(row.who, row.name, row.status) for row in found.rows] == [("numpy", "e-prop", "ok")]
    if hasattr(os, "sched_setaffinity"):
        assert found.machine["pinned"] is True
    assert found.settings["only"] == ["eprop", "numpy"]


# --- documentation


def test_the_page_holds_what_was_stored() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert report.into(page, report.report(results.load(STORED), level=3)) == page
    other = (ROOT / "docs" / "performance_avx2.md").read_text(encoding="utf-8")
    assert report.into(other, report.report(results.load(STORED.with_name("avx2.json")), level=3)) == other
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert report.into(readme, report.short_table(results.load(STORED))) == readme
    with pytest.raises(ValueError, match="once each"):
        report.into("no markers", "text")


def test_modules_load_no_peer() -> None:
    """A table or a comparison needs neither PyTorch nor JAX."""
    assert "benchmarks.peers.torch_loop" not in sys.modules or "torch" in sys.modules
