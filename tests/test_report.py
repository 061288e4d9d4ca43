"""Pages: whole, safe with any text, and alive in a real browser."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurolrnn as nl
from neurolrnn import cli
from neurolrnn.atomic import WriteError
from neurolrnn.reports import charts
from neurolrnn.reports.page import Page
from neurolrnn.reports.report import page_of, report


class Reader(HTMLParser):
    """What a page holds: its tags with their attributes, and the text of its specifications."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.specs: list[dict[str, Any]] = []
        self._inside = False
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("type") == "application/json"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.specs.append(json.loads(data))
        self.words += data
        self._inside = False


@pytest.fixture(scope="module")
def run() -> nl.Run:
    experiment = nl.Experiment.builtin(["precision.preset=int8", "training.epochs=1", "training.ranges=true"])
    return experiment.simulate(progress=False)


@pytest.fixture(scope="module")
def profile() -> Any:
    experiment = nl.Experiment.from_dict(
        {
            "task": {"name": "add-memory"},
            "network": {"n_rec": 4, "spectral_radius": 0.5},
            "rule": {"name": "rflo"},
            "training": {"epochs": 1},
        }
    )
    axes = {"precision.preset": ["float32", "int8"], "training.learning_rate": [0.001, 0.002]}
    return nl.profile(experiment, axes, seeds=2, progress=False)


def test_run_page_has_every_curve_and_everything_of_the_run(run: nl.Run) -> None:
    page = Reader(page_of(run).html())
    drawn = [d for spec in page.specs for d in spec.get("data", {}).get("values", []) if "curve" in d]
    assert sum(d["curve"] == "loss" for d in drawn) == len(run.loss)
    assert [d["value"] for d in drawn if d["curve"] == "loss"] == pytest.approx(run.loss)
    for word in (
        run.digest,
        "s1.6",
        f"{100 * run.metrics['test_accuracy']:.2f} %",
        "@article{murray2019",
        "dead updates",
    ):
        assert word in page.words, word
    charts_ = [a for tag, a in page.tags if a.get("class") == "chart"]
    assert len(charts_) == len(page.specs)
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in charts_)


def test_nothing_is_fetched(run: nl.Run) -> None:
    for tag, attributes in Reader(page_of(run).html()).tags:
        for name in ("src", "href"):
            assert not (attributes.get(name) or "data:").startswith(("http", "//")), (tag, attributes)


def test_text_is_never_read_as_html() -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    page = Page(evil, evil)
    page.heading(evil)
    page.text(evil)
    page.table([[evil, 1.0]], [evil, "x"], evil)
    page.cards([(evil, evil, "")])
    page.code(evil, evil)
    page.chart(charts.bars([(evil, 1.0, evil)], evil, evil))
    read = Reader(page.html())
    assert not [tag for tag, _ in read.tags if tag == "img"]
    assert evil in json.dumps(read.specs[0], ensure_ascii=False).replace('\\"', '"')


def test_numbers_that_json_does_not_have_are_left_out() -> None:
    chart = charts.curves(np.arange(3), {"x": np.array([1.0, np.nan, np.inf])}, "x", "x", True)
    assert [d["value"] for d in chart.spec["data"]["values"]] == [1.0]
    page = Page("x")
    page.chart(charts.bars([("x", float("nan"), "")], "x", "x"))
    assert Reader(page.html()).specs[0]["data"]["values"][0]["value"] is None


def test_a_curve_that_is_not_positive_has_no_logarithm() -> None:
    steps, values = np.arange(3), np.array([1.0, 0.0, 2.0])
    assert charts.curves(steps, {"x": values}, "x", "x", True).log is None
    assert charts.curves(steps, {"x": values + 1}, "x", "x", True).log is True


def test_diverged_run(tmp_path: Path) -> None:
    task = nl.tasks.load("periodic")
    with pytest.raises(nl.Divergence) as stop:
        nl.simulate(nl.Network.random(1, 4, 1), task, nl.RFLO(), learning_rate=10.0, progress=False)
    page = page_of(stop.value.run).html()
    assert "diverged" in page and "smaller learning_rate" in page
    assert report(stop.value.run, tmp_path / "page.html").stat().st_size == len(page.encode())


def test_files_and_refusals(run: nl.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.save(tmp_path / "run.npz")
    page = tmp_path / "page.html"
    assert cli.main(["report", str(tmp_path / "run.npz"), "-o", str(page)]) == 0
    assert page.read_text().startswith("<!doctype html>")
    before = page.read_bytes()
    with pytest.raises(WriteError, match="is a folder"):
        report(run, tmp_path)
    with pytest.raises(WriteError, match="does not exist"):
        report(run, tmp_path / "none" / "page.html")
    with pytest.raises(nl.InputError, match="no page for a list"):
        report([run], page)  # type: ignore[arg-type]
    assert cli.main(["report", str(tmp_path / "run.npz"), "--chip", "loihi2", "-o", str(page)]) == 2
    assert cli.main(["report", "none.npz", "-o", str(page)]) == 2
    assert "there is no file none.npz" in capsys.readouterr().err
    assert page.read_bytes() == before


def test_profile_page(profile: Any) -> None:
    page = Reader(page_of(profile).html())
    scatter = next(s for s in page.specs if "params" in s and "transform" in s)
    assert len(scatter["data"]["values"]) == len(profile.rows) == 8
    first = profile.rows[0]
    assert scatter["data"]["values"][0]["value"] == pytest.approx(first.metrics["test_nmse"])
    options = {tuple(p["bind"]["options"]) for p in scatter["params"]}
    assert options == {("precision.preset", "training.learning_rate")}


def test_check_page() -> None:
    experiment = nl.Experiment.builtin()
    found = nl.check(experiment, "loihi2")
    page = Reader(page_of(found).html())
    for finding in found.findings:
        assert finding.limit in page.words
    for key in found.sources:
        assert key in page.words


# --- in a browser


@pytest.fixture(scope="module")
def browser() -> Any:
    """Headless Chromium; CI installs it."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.implicitly_wait(10)
    yield driver
    driver.quit()


def opened(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())
    wanted = page.read_text().count('<div class="chart"')
    browser.execute_async_script(
        "const done = arguments[1]; const look = () => document.querySelectorAll('.chart svg').length === arguments[0]"
        " ? done() : setTimeout(look, 50); look();", wanted,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("what", ["run", "profile", "check"])
def test_browser(browser: Any, what: str, width: int, run: nl.Run, profile: Any, tmp_path: Path) -> None:
    """Every chart is drawn, nothing is wrong in the console, nothing sticks out of a phone's screen."""
    subject = {"run": run, "profile": profile, "check": nl.check(nl.Experiment.builtin(), "loihi2")}[what]
    browser.set_window_size(width, 900)
    opened(browser, report(subject, tmp_path / "page.html"))
    wrong = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not wrong, wrong
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth + 1")


@pytest.mark.slow
def test_browser_controls(browser: Any, run: nl.Run, profile: Any, tmp_path: Path) -> None:
    """Reached and worked by keyboard: the scale of the loss, and what a profile shows across."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    opened(browser, report(run, tmp_path / "run.html"))
    drawn = "return document.querySelector('.chart svg').outerHTML"
    before = browser.execute_script(drawn)
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("type") == "checkbox"
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    browser.execute_async_script("setTimeout(arguments[0], 500)")
    assert browser.execute_script(drawn) != before
    opened(browser, report(profile, tmp_path / "profile.html"))
    before = browser.execute_script(drawn)
    chosen = Select(browser.find_element(By.CSS_SELECTOR, ".vega-bindings select"))
    chosen.select_by_visible_text("training.learning_rate")
    browser.execute_async_script("setTimeout(arguments[0], 500)")
    after = browser.execute_script(drawn)
    assert after != before and "0.002" in after
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
