"""The table of writers is complete, nothing writes by itself, and what is printed to a full disk is told."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, python_environment
from writer_cases import WRITERS

from neurolrnn.cli.command import make_parser
from neurolrnn.exports import TARGETS

# --- what is printed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [("list", "rules"), ("completion", "bash")], ids=" ".join)
def test_output_that_cannot_be_written(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "neurolrnn", *words], env=python_environment(), stdout=full, stderr=subprocess.PIPE,
            text=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "neurolrnn: cannot write or read what was printed: No space left on device; "
        "see whether there is room and access\n"
    )


# --- the table is complete


def test_every_target_and_verb_has_a_row() -> None:
    assert {f"export {name}" for name in TARGETS} <= set(WRITERS)
    verbs = next(action for action in make_parser()._actions if hasattr(action, "choices") and action.choices).choices
    for name, verb in verbs.items():  # type: ignore[union-attr]
        parsers = [verb]  # type: ignore[has-type]
        parsers += [p for a in verb._actions if isinstance(a.choices, dict) for p in a.choices.values()]
        if any("--output" in parser._option_string_actions for parser in parsers):
            assert f"neurolrnn {name}" in WRITERS


OWN_WAYS = {
    "neurolrnn/atomic.py",
    "neurolrnn/exports/c_code.py",  # a temporary folder for the compiler
}


def test_files_are_written_in_one_place_only() -> None:
    """Nothing opens a file to write but ``atomic``."""
    for root in ("neurolrnn", "benchmarks", "hardware_models"):
        for path in (ROOT / root).rglob("*.py"):
            if path.relative_to(ROOT).as_posix() in OWN_WAYS:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    assert not writes(node), f"{path}:{node.lineno}: write it by neurolrnn.atomic"


def writes(call: ast.Call) -> bool:
    """Whether a call opens a file to write, or writes one by its path."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    if name in ("write_text", "write_bytes"):  # of a path; ours take the path first
        return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") != "atomic"
    if name in ("savez", "savez_compressed", "savefig", "write_table") or (name == "save" and _of(call, "np")):
        target = call.args[-1] if name == "write_table" else first
        return getattr(target, "id", "") not in ("buffer", "content", "arrays")
    if name == "open":
        modes = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
        return not _of(call, "archive") and any(
            isinstance(m, str) and re.fullmatch(r"[wax][bt+]*|r\+b?", m) for m in modes
        )
    return name in ("tofile", "to_csv", "to_parquet") and not _of(call, "tabular") and not _of(call, "profile")


def _of(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == name
