"""The disk cache of compiled kernels: it is used, it never serves old code, and numbers compile nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, draw_network, draw_sequences, python_process
from numba import config

from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.simulation import simulate
from neurolrnn.tasks.base import Task
from neurolrnn_kernels.bptt import bptt
from neurolrnn_kernels.eprop import eprop
from neurolrnn_kernels.forward import run_forward
from neurolrnn_kernels.rflo import rflo_dense, rflo_factored
from neurolrnn_kernels.rtrl import rtrl
from neurolrnn_kernels.tbptt import tbptt

PATHS = (ROOT, ROOT / "kernels", ROOT / "hardware_models")
pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

# The forward pass alone, in one precision: as little to compile as possible.
SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from conftest import draw_network, draw_sequences
from neurolrnn_kernels import jit
from neurolrnn_kernels.forward import run_forward
from neurolrnn.engine import Engine
from neurolrnn.number_system import RealNumbers
from neurolrnn.rules import BPTT
from neurolrnn.schedule import Schedule
from neurolrnn.training import Training

data = draw_sequences((6, 4))
engine = Engine(
    draw_network(), BPTT(), Training(update="episode"), RealNumbers(np.dtype("float64")), feedback=None, data=data,
    weights=data.mask, loss="squared-error",
)
y, _ = engine.evaluate(data, Schedule(data).epoch(0))
stats = run_forward.stats
print(json.dumps({
    "folder": jit.__file__, "hits": sum(stats.cache_hits.values()), "misses": sum(stats.cache_misses.values()),
    "bits": y.tobytes().hex(),
}))
"""


def start(kernels: Path, cache: Path) -> dict[str, Any]:
    """Run a network in a new process with these kernel sources and this cache."""
    result: dict[str, Any] = json.loads(python_process(SCRIPT, kernels, NUMBA_CACHE_DIR=str(cache)))
    assert Path(result["folder"]).is_relative_to(kernels)
    return result


def test_cached_code_is_used_and_old_code_never(tmp_path: Path) -> None:
    kernels, cache = tmp_path / "kernels", tmp_path / "cache"
    shutil.copytree(ROOT / "kernels", kernels, ignore=shutil.ignore_patterns("__pycache__"))
    first = start(kernels, cache)
    assert (first["hits"], first["misses"]) == (0, 1)
    second = start(kernels, cache)
    assert (second["hits"], second["misses"]) == (1, 0)
    assert second["bits"] == first["bits"]

    # A primitive, not the file of the kernel that is cached; same length, so that no file size tells.
    source = kernels / "neurolrnn_kernels" / "real.py"
    text = source.read_text(encoding="utf-8")
    line = "keep * x[b, i] + gain * y[b, i]"
    assert text.count(line) == 1
    source.write_text(text.replace(line, "keep * x[b, i] - gain * y[b, i]"), encoding="utf-8")
    edited = start(kernels, cache)
    assert (edited["hits"], edited["misses"]) == (0, 1)
    assert edited["bits"] != first["bits"]

    source.write_text(text, encoding="utf-8")
    restored = start(kernels, cache)
    assert restored["bits"] == first["bits"]


# One small kernel; the index of its cache is read, and written a while later, as on a machine that is busy.
WRITER = """
import sys, time
import numpy as np
from numba.core.caching import IndexDataCacheFile
from shared_kernel import double

read = IndexDataCacheFile._load_index
kind = sys.argv[1]

def slowly(self):
    found = read(self)
    time.sleep(0.5)
    return found

IndexDataCacheFile._load_index = slowly
values = np.arange(4, dtype=kind)
double(values)
assert (values == 2 * np.arange(4)).all()
print(sum(double.stats.cache_hits.values()))
"""


def test_processes_that_compile_variants_at_once_lose_none(tmp_path: Path) -> None:
    source = "from neurolrnn_kernels.jit import kernel\n\n@kernel\ndef double(x):\n    x += x\n"
    (tmp_path / "shared_kernel.py").write_text(source, encoding="utf-8")
    (tmp_path / "writer.py").write_text(WRITER, encoding="utf-8")
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, *PATHS)))}
    kinds = ("float32", "float64", "int32")
    call = [sys.executable, str(tmp_path / "writer.py")]
    environment = {**os.environ, **place}
    children = [subprocess.Popen([*call, kind], env=environment, stdout=subprocess.PIPE) for kind in kinds]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    hits = [subprocess.check_output([*call, kind], env=environment) for kind in kinds]
    assert hits == [b"1\n"] * 3


def test_without_a_place_for_the_cache_everything_still_runs() -> None:
    code = """
import warnings
from numba.core import caching
caching.FunctionCache._impl_class._locator_classes = []
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("default")
    from neurolrnn_kernels import forward
    from neurolrnn import doctor
assert any("NUMBA_CACHE_DIR" in str(w.message) for w in said)
found = doctor.examine()
assert not found["cache"]["writable"] and any("NUMBA_CACHE_DIR" in c for c in found["complaints"])
from neurolrnn_kernels.jit import kernel
@kernel
def double(x):
    x += x
import numpy as np
x = np.ones(3)
double(x)
assert (x == 2).all()
"""
    python_process(code)


def test_every_kernel_source_counts(tmp_path: Path) -> None:
    from neurolrnn_kernels.jit import SOURCE_DIGEST, source_digest

    folder = tmp_path / "kernels"
    shutil.copytree(ROOT / "kernels" / "neurolrnn_kernels", folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert source_digest(folder) == SOURCE_DIGEST
    seen = {SOURCE_DIGEST}
    for path in sorted(folder.glob("*.py")):
        path.write_bytes(path.read_bytes() + b"#")
        seen.add(source_digest(folder))
    path.rename(path.with_name("renamed.py"))
    seen.add(source_digest(folder))
    assert len(seen) == 2 + len(list(folder.glob("*.py")))


def test_every_kernel_is_under_the_digest() -> None:
    from neurolrnn_kernels.jit import SOURCE_DIGEST

    for dispatcher in KERNELS.values():
        assert dispatcher._cache._cache_file._source_stamp == SOURCE_DIGEST


KERNELS: dict[str, Any] = {
    "rflo-dense": rflo_dense,
    "rflo-factored": rflo_factored,
    "tbptt": tbptt,
    "eprop": eprop,
    "rtrl": rtrl,
    "bptt": bptt,
    "forward": run_forward,
}
LOSSES: list[Any] = ["squared-error", "cross-entropy"]
R = np.linspace(-1.0, 1.0, 12).reshape(2, 6)
VARIANTS: dict[str, list[Rule]] = {
    "rflo-dense": [RFLO(storage="dense"), RFLO(0.3, "dense", feedback="symmetric"), RFLO(0.0, "dense", feedback=R)],
    "rflo-factored": [RFLO(), RFLO(-0.5, feedback=R)],
    "tbptt": [TruncatedBPTT(1), TruncatedBPTT(7, feedback="random"), TruncatedBPTT(2, feedback=R)],
    "eprop": [EProp(), EProp(feedback="random", feedback_scale=3.0), EProp(feedback=R)],
    "rtrl": [RTRL()],
    "bptt": [BPTT()],
}


@pytest.mark.parametrize("key", VARIANTS)
def test_numbers_compile_nothing(key: str) -> None:
    """One compilation a rule and precision: not for other sizes, rates, options, losses, masks, seeds or leaks."""
    plain, precision = VARIANTS[key][0], Precision.float64()
    update: Any = "online" if plain.online else "episode"
    task = Task("own", draw_sequences())
    simulate(draw_network(), task, plain, precision, update=update, progress=False)
    before = {name: list(kernel.signatures) for name, kernel in KERNELS.items()}
    assert before[key]
    assert before["forward"]
    settings: list[dict[str, Any]] = [
        {}, {"learning_rate": 0.0}, {"learning_rate": {"A": 0.1, "W": 0.001, "B": 0.02}}, {"momentum": 0.9},
        {"clamp": 0.5}, {"clamp": {"W": 1.0}}, {"batch": 4}, {"learn": ("W",)}, {"learn": ("A", "B")},
        {"loss_steps": "final"}, {"seed": 12}, {"epochs": 2, "shuffle": False}, {"records": 1}, {"update": "episode"},
    ]  # fmt: skip
    for rule in VARIANTS[key]:
        for options in settings:
            simulate(draw_network(), task, rule, precision, progress=False, **{"update": update, **options})
    for n_in, n_rec, n_out in ((1, 1, 1), (1, 70, 1), (3, 5, 4), (2, 6, 2)):
        for loss in LOSSES:
            data = draw_sequences((1, 5), n_in, n_out, loss=loss, masked=n_rec != 5)
            network = draw_network(n_in, n_rec, n_out, leak=1.0 if n_rec == 5 else 0.1, scale=0.1)
            own = Task("own", data, data, loss)
            simulate(network, own, plain, precision, 1e-4, update, progress=False)
    assert {name: list(kernel.signatures) for name, kernel in KERNELS.items()} == before
