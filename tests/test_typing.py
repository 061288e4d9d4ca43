"""What a type checker sees from outside: nothing of the public interface is ``Any``."""

from __future__ import annotations

import contextlib
import re
import runpy
import venv
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mypy", reason="mypy is not installed")

from mypy import build
from mypy.main import process_options
from typed_interface import Walk

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tests" / "data" / "user_of_types.py"
STRICT = (
    "--strict", "--disallow-any-expr", "--disallow-any-decorated", "--disallow-any-explicit",
    "--disallow-any-unimported", "--warn-unreachable",
)  # fmt: skip
# Of numpy: arrays of any shape and abstract kinds of numbers hold an Any of their own.
OF_NUMPY = re.compile(
    r"ndarray\[(tuple\[Any, \.\.\.\]|Any)|\b(generic|number|integer|signedinteger|floating|inexact)\[Any\]"
)

UNTYPED = "a library without types"
ALLOWED = {
    # What a figure of a chip sheet is follows from its name; whoever computes with one knows it. ``fact`` is typed.
    "neurolrnn_hardware.limits.Limits.value ->": {"Any"},
    # Codes in arrays of every integer type.
    "neurolrnn_kernels.formats.QFormat.decode(codes)": {"Any"},
    # Brian2, NIR and pandas come without types.
    "neurolrnn.network.Network.from_nir(source)": {UNTYPED},
    "neurolrnn.profiles.result.Profile.to_pandas ->": {UNTYPED},
    "neurolrnn.spiking.brian.Brian2Network.arrays": {UNTYPED},
    "neurolrnn.spiking.brian.Brian2Network.network": {UNTYPED},
    "neurolrnn.spiking.brian.Brian2Network.objects": {UNTYPED},
    "neurolrnn.spiking.from_brian2(network)": {UNTYPED},
}
"""All places where a user meets Any, each with its reason."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """mypy's view of a program, and of all it imports, in an environment where the package is installed editable."""
    folder = tmp_path_factory.mktemp("typing")
    venv.create(folder / "env", with_pip=False)
    (python,) = [p for p in ((folder / "env/bin/python"), (folder / "env/Scripts/python.exe")) if p.exists()]
    (site,) = (folder / "env").rglob("site-packages")
    libraries = Path(np.__file__).parents[1]
    roots = (ROOT, ROOT / "kernels", ROOT / "hardware_models", libraries)
    (site / "editable.pth").write_text("\n".join(map(str, roots)), encoding="utf-8")
    program = folder / "program.py"
    imports = "".join(f"import {module}\n" for module in api())
    program.write_text(
        SCRIPT.read_text(encoding="utf-8").replace("import neurolrnn as nl\n", f"import neurolrnn as nl\n{imports}")
    )
    call = ["--config-file=", "--cache-dir", str(folder / "cache"), "--python-executable", str(python), *STRICT]
    with contextlib.chdir(folder):
        sources, options = process_options([*call, str(program)])
        return build.build(sources, options)


def api():
    return runpy.run_path(str(ROOT / "docs" / "conf.py"))["API"]


def public_names():
    public = runpy.run_path(str(ROOT / "docs" / "conf.py"))["public"]
    return [f"{module}.{name}" for module in api() for name in public(import_module(module))]


def without_numpy(errors):
    for error in errors:
        kept = OF_NUMPY.sub("", error)
        if "Expression type contains" not in kept or "Any" in kept.partition("(has type")[2]:
            yield error


@pytest.mark.slow
def test_a_strict_program_sees_no_any(seen):
    assert list(without_numpy(seen.errors)) == []


@pytest.mark.slow
def test_no_public_name_is_any(seen):
    walk = Walk(seen.files)
    found = walk.run(public_names())
    assert len(walk.seen) > 150, "the walk reaches the classes behind the functions"
    assert found == ALLOWED
