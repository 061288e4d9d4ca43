"""The page about learning on a chip shows the results that are stored, and they can be had again, bit for bit."""

import json
from pathlib import Path

import pytest
from test_examples import load_script

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script():
    return load_script("chip_learning")


@pytest.fixture(scope="module")
def results(script):
    return json.loads(script.RESULTS.read_text(encoding="utf-8"))


def test_the_tables_of_the_page_are_those_of_the_results(script, results):
    text = script.DOCS.read_text(encoding="utf-8")
    for name, table in script.tables(results).items():
        begin = f"<!-- {name}: begin, by examples/chip_learning.py -->\n"
        shown = text.split(begin)[1].split(f"\n<!-- {name}: end -->")[0]
        assert shown == table, f"run python {Path('examples') / 'chip_learning.py'} --tables"
    assert "(pictures/chip_learning.png)" in text
    assert script.PICTURE.read_bytes().startswith(b"\x89PNG")


def test_memory_is_counted_as_it_is_now(script, results):
    by_title = {learner.title: learner for learner in script.LEARNERS}
    assert [(c["title"], c["n"]) for c in results["cells"]] == [(t, n) for n in script.SIZES for t in by_title]
    for cell in results["cells"]:
        demand = script.demand(by_title[cell["title"]], cell["n"])
        assert cell["counts"] == script.counts(demand), cell["title"]
        assert cell["local"] == demand.locality.is_local


def test_words_saved_by_blocks(results):
    """W₀ in blocks of two units holds 3 n words, not n²; nothing else changes."""
    cells = {(c["title"], c["n"]): c["counts"] for c in results["cells"]}
    for n in (16, 64):
        dense, blocks = cells["RFLO factored, orthogonal W₀", n], cells["RFLO factored, blocks W₀", n]
        assert dense["recurrent_words"] == n * n and blocks["recurrent_words"] == 3 * n
        assert dense["plastic_words"] == blocks["plastic_words"]
        assert dense["fixed_words"] - blocks["fixed_words"] == n * n - 3 * n


@pytest.mark.parametrize("title", ["RFLO factored", "RFLO factored, blocks W₀"])
def test_an_accuracy_of_the_page_comes_out_again(script, results, title):
    """Fixed point has the same bits everywhere, so the figure is the same, not near."""
    learner = next(x for x in script.LEARNERS if x.title == title)
    cell = next(c for c in results["cells"] if c["title"] == title and c["n"] == 16)
    assert script.accuracy(learner.experiment(16, tuple(cell["rates"]), 0)) == cell["accuracies"][0]


def test_the_command_writes_what_it_measures(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "EPOCHS", 1)
    monkeypatch.setattr(script, "SEARCH_EPOCHS", 1)
    monkeypatch.setattr(script, "SEARCH_SEEDS", (100,))
    monkeypatch.setattr(script, "LEARNERS", tuple(x for x in script.LEARNERS if x.title in ("RFLO factored",)))
    docs = tmp_path / "page.md"
    docs.write_text(script.DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    files = ["--docs", str(docs), "--results", str(tmp_path / "r.json"), "--picture", str(tmp_path / "p.png")]
    script.main(["--sizes", "8", "--seeds", "2", "--jobs", "1", *files])
    stored = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [len(c["accuracies"]) for c in stored["cells"]] == [2]
    assert script.memory_table(stored) in docs.read_text(encoding="utf-8")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
