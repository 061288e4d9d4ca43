"""A small experiment that profiles of the tests vary, and a process of its own that profiles it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import python_environment

import neurolrnn as nl

TABLES: dict[str, Any] = {
    "task": {"name": "teacher-student", "sequences": 6, "steps": 20, "test_sequences": 2},
    "network": {"n_rec": 5, "input_scale": 0.3},
    "rule": {"name": "rflo"},
    "training": {"learning_rate": 0.003, "records": 5},
    "precision": {"preset": "int8"},
}
AXES = {"precision.weight": ["s1.4", "s1.6"], "precision.rounding": ["nearest", "floor"]}
SEEDS = 10
SCRIPT = Path(__file__).with_name("profile_process.py")


def experiment(**tables: dict[str, Any]) -> nl.Experiment:
    """The small experiment, with some keys of its tables changed."""
    return nl.Experiment.from_dict({k: {**part, **tables.get(k, {})} for k, part in TABLES.items()})


def start(store: Path, log: Path, engine: str = "threads=1", **variables: str) -> subprocess.Popen[str]:
    """Start a process that profiles :data:`AXES`; it prints a line when it is about to begin."""
    environment = python_environment(**variables)
    environment["PYTHONPATH"] += os.pathsep + str(SCRIPT.parent)
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(store), str(log), engine], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
