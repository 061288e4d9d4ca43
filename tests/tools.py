"""Compilers and simulators that tests run: found, or the reason why not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = {"gcc": "gcc", "iverilog": "iverilog", "vvp": "iverilog", "yosys": "yosys"}


def need(program: str) -> str:
    """Return the path of a program. Where it is missing the test is skipped, but in CI it fails."""
    path = shutil.which(program)
    if path is None:
        text = f"{program} is not installed (Debian: apt-get install {PACKAGES[program]})"
        if os.environ.get("CI"):
            pytest.fail(f"{text}; in CI it must be")
        pytest.skip(text)
    return path


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)
