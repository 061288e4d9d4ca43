"""The store of a profile: what goes in comes out, what is not ours or damaged is refused, a full disk is survived."""

import dataclasses
import json
import os
import sqlite3

import numpy as np
import profile_cases
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import neurolrnn as nl
from neurolrnn.profiles.plan import Item, Plan
from neurolrnn.profiles.row import Row, same
from neurolrnn.profiles.store import SCHEMA, Store, StoreError, pack, unpack

numbers = st.floats(width=64)  # NaN and infinities too
texts = st.text(max_size=20)


@st.composite
def rows(draw) -> Row:
    points = draw(st.integers(0, 4))
    shapes = draw(st.lists(st.sampled_from([(), (2,), (1, 3)]), max_size=3))
    records = {
        f"curve {k} é": draw(arrays.arrays(draw(st.sampled_from(["f8", "i8", "f4"])), (points, *shape)))
        for k, shape in enumerate(shapes)
    }
    return Row(
        digest=draw(st.text("0123456789abcdef", min_size=1)), settings={"network.leak": draw(numbers)}, seed=3,
        experiment={"seed": 3}, status=draw(st.sampled_from(["completed", "diverged", "failed"])), message=draw(texts),
        metrics=draw(st.dictionaries(texts, numbers, max_size=3)), records=records,
        saturation=draw(st.none() | st.just({"W": {"overflows": 2**40}})), numerics={"formats": {"W": "s1.6"}},
        versions={"numpy": "2"}, seconds=draw(st.floats(0, 1e6)),
    )  # fmt: skip


@given(rows())
def test_rows_come_back_bit_for_bit(row):
    item = Item(row.digest, row.settings, row.seed, row.experiment)
    back = unpack(pack(row), item)
    settings_match = json.dumps(row.settings) == json.dumps(back.settings)
    assert same(dataclasses.replace(row, settings={}), dataclasses.replace(back, settings={})) and settings_match
    assert back.seconds == row.seconds and back.versions == row.versions


@given(rows(), st.data())
def test_a_changed_row_is_refused(row, data):
    packed = pack(row)
    part = data.draw(st.sampled_from(["digest", "status", "message", "facts", "curves", "seal"]))
    old = getattr(packed, part)
    at = data.draw(st.integers(0, len(old)))
    new = old[:at] + (b"\0" if isinstance(old, bytes) else "0") + old[at:]
    with pytest.raises(StoreError, match="damaged"):
        unpack(packed._replace(**{part: new}), Item(row.digest, {}, 0, {}))


def test_rows_differ_if_any_bit_does():
    row = Row("a", {}, 0, {}, "completed", metrics={"x": 0.0}, records={"loss": np.array([0.0, np.nan])})
    assert same(row, dataclasses.replace(row, seconds=9.0))
    for other in ({"metrics": {"x": -0.0}}, {"records": {"loss": np.array([-0.0, np.nan])}}, {"message": "m"}):
        assert not same(row, dataclasses.replace(row, **other))


def plan(axes=None, seeds=2, **tables):
    axes = {"precision.weight": ["s1.4", "s1.6"]} if axes is None else axes
    return Plan.make(profile_cases.experiment(**tables), axes, seeds, "grid", None, 0)


def made(digest="a"):
    return pack(Row(digest, {}, 0, {}, "completed", metrics={"x": 1.0}))


def test_a_store_says_what_it_is_for(tmp_path):
    path, asked = tmp_path / "a.sqlite", plan()
    with Store.create(path, asked):
        pass
    with Store.open(path) as store:
        assert store.plan().to_plain() == json.loads(json.dumps(asked.to_plain()))
        assert store.items() == asked.items and store.done() == set()
        assert nl.Profile.load(path).rows == [] and nl.Profile.load(path).status == "interrupted"


def test_the_same_run_twice_is_one_and_counted(tmp_path):
    with Store.create(tmp_path / "a.sqlite", plan()) as store:
        store.add([made("a"), made("b")])
        store.add([made("a")._replace(message="another")])
        assert store.made() == {"a": 2, "b": 1}
        kept = store.rows([Item("a", {}, 0, {})])
        assert kept[0].message == "", "the first stays"


def test_another_profile_is_refused_in_words(tmp_path):
    path = tmp_path / "a.sqlite"
    Store.create(path, plan()).close()
    others = {
        "axes .precision.weight there, network.leak here": plan({"network.leak": [0.5]}),
        "the values of its axes": plan({"precision.weight": ["s1.4"]}),
        r"the experiment \(network\)": plan(network={"n_rec": 6}),
    }
    for words, other in others.items():
        with pytest.raises(StoreError, match=f"store of another profile; it differs in {words}"):
            Store.create(path, other)
    with Store.open(path) as store:
        assert store.items() == plan().items


def test_seeds_may_be_added(tmp_path):
    path = tmp_path / "a.sqlite"
    Store.create(path, plan(seeds=2)).close()
    Store.create(path, plan(seeds=[1, 5])).close()
    Store.create(path, plan(seeds=1)).close()
    with Store.open(path) as store:
        assert store.plan().seeds == [0, 1, 5] and len(store.items()) == 6


def test_what_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(tmp_path / "nowhere.sqlite")
    with pytest.raises(StoreError, match="is a folder"):
        Store.create(tmp_path, plan())
    with pytest.raises(StoreError, match="does not exist; make it first"):
        Store.create(tmp_path / "no" / "a.sqlite", plan())
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to be looked at as one " * 20)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE runs (a)")
    db.close()
    for opening in (Store.open, lambda path: Store.create(path, plan())):
        with pytest.raises(StoreError, match="no SQLite file"):
            opening(text)
        with pytest.raises(StoreError, match="database of another origin"):
            opening(other)


def test_a_newer_layout_is_refused(tmp_path):
    path = tmp_path / "a.sqlite"
    Store.create(path, plan()).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    db.close()
    for opening in (Store.open, lambda path: Store.create(path, plan())):
        with pytest.raises(StoreError, match="newer neurolrnn"):
            opening(path)


def test_damage_is_said_and_never_read_as_results(tmp_path):
    """Bytes changed anywhere in the file: an error in words, or the very rows that were written."""
    path = tmp_path / "a.sqlite"
    asked = plan()
    originals = [Row(i.digest, i.settings, i.seed, i.tables, "completed", metrics={"x": 1.0},
                     records={"step": np.arange(50.0), "loss": np.arange(50.0)}) for i in asked.items]  # fmt: skip
    with Store.create(path, asked) as store:
        store.add(map(pack, originals))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.integers(0, len(whole), 150):
        broken = bytearray(whole)
        broken[at : at + 16] = bytes(16)
        if bytes(broken) == whole:
            continue
        path.write_bytes(broken)
        try:
            found = nl.Profile.load(path).rows
        except StoreError:
            refused += 1
        else:
            wanted = {row.digest: row for row in originals}
            for row in found:
                assert row.metrics == wanted[row.digest].metrics
                assert all(np.array_equal(row.records[k], wanted[row.digest].records[k]) for k in row.records)
    assert refused > 20
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged"):
        nl.Profile.load(path)


def test_a_full_disk_keeps_what_was_there(tmp_path):
    path = tmp_path / "a.sqlite"
    with Store.create(path, plan()) as store:
        store.add([made("a")])
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StoreError, match=r"the disk is full\. What was written before is kept"):
            store.add([made(str(k)) for k in range(1000)])
        assert store.made() == {"a": 1}
        store._db.execute("PRAGMA max_page_count = 100000")
        store.add([made("b")])
        assert store.made() == {"a": 1, "b": 1}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_may_not_be_written(tmp_path):
    path = tmp_path / "a.sqlite"
    Store.create(path, plan()).close()
    path.chmod(0o400)
    assert nl.Profile.load(path).rows == []
    with pytest.raises(StoreError, match="cannot write"):
        Store.create(path, plan(seeds=9))


def test_reading_goes_on_beside_writing(tmp_path):
    path = tmp_path / "a.sqlite"
    with Store.create(path, plan()) as writer, Store.open(path) as reader:
        assert reader.others_wrote() in (True, False)
        writer.add([made("a")])
        assert reader.others_wrote() and reader.done() == {"a"} and not reader.others_wrote()
