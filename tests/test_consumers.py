"""Tools of others load our files and run our trajectory. Slow tests install each tool in an environment of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.consumers import make

RESULTS = json.loads(make.RESULTS.read_text(encoding="utf-8"))
SMALL = (10,)


def test_nir_and_nothing_but_its_definitions():
    result = make.run("nir", sys.executable, SMALL)
    assert len(result["cases"]) == 12
    assert make.failures("nir", result) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in make.CONSUMERS if name != "nir"])
def test_consumer(name, tmp_path):
    """NEUROLRNN_CONSUMERS names a folder that keeps the environments."""
    kept = os.environ.get("NEUROLRNN_CONSUMERS")
    try:
        python = make.environment(name, Path(kept) if kept else tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{name} cannot be installed here: {error}")
    result = make.run(name, python)
    assert len(result["cases"]) >= 18
    assert make.failures(name, result) == []


@pytest.mark.parametrize("name", make.CONSUMERS)
def test_recorded_result(name):
    """The last full run was of all cases, within the bounds, with the versions that the slow tests install."""
    result = RESULTS[name]
    options = make.CONSUMERS[name].options
    assert len(result["cases"]) == 18 * len(options)
    assert make.failures(name, result) == []
    pinned = dict(p.split("==") for p in make.CONSUMERS[name].packages if "==" in p)
    for package, version in result["versions"].items():
        wanted = pinned.get(package, pinned.get(f"{package}[nir]", version))
        assert version.split("+")[0] == wanted


def test_a_wrong_trajectory_is_a_failure():
    case = dict(RESULTS["norse"]["cases"])
    name = next(iter(case))
    for error in (1e-5, float("nan")):
        case[name] = {**case[name], "y": error}
        assert make.failures("norse", {"cases": case})


def test_page_shows_the_recorded_results():
    begin, end = make.MARKS
    found = make.PAGE.read_text(encoding="utf-8").split(begin)[1].split(end)[0].strip()
    assert found == make.table(RESULTS)
