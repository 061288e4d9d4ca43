"""What all tests share: Hypothesis profiles, small networks and data, and a Python process of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from neurolrnn.network import Network
from neurolrnn.tasks.base import Sequences

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT, ROOT / "kernels", ROOT / "hardware_models", ROOT / "tests")

# A first example may compile for seconds, so no deadline. In CI the examples are the same every time.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def draw_network(
    n_in: int = 2, n_rec: int = 6, n_out: int = 2, leak: float = 0.6, seed: int = 0, scale: float = 0.4
) -> Network:
    """A contracting network: rounding errors do not grow in it, nor does its state."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n_rec, n_rec))
    W *= 0.8 / np.linalg.norm(W, 2)
    return Network(scale * rng.normal(size=(n_out, n_rec)), W, scale * rng.normal(size=(n_rec, n_in)), leak)


def draw_sequences(
    lengths: tuple[int, ...] = (7, 1, 9, 4, 3), n_in: int = 2, n_out: int = 2, seed: int = 0, *,
    loss: str = "squared-error", masked: bool = True,
) -> Sequences:  # fmt: skip
    """Ragged random sequences; with ``masked``, errors of weight 0, 1/2, 1 and 3/2."""
    rng = np.random.default_rng([seed, 1])
    inputs = [rng.normal(size=(T, n_in)) for T in lengths]
    targets = [rng.normal(size=(T, n_out)) for T in lengths]
    if loss == "cross-entropy":
        targets = [np.exp(y) / np.exp(y).sum(axis=1, keepdims=True) for y in targets]
    mask = [rng.choice([0.0, 0.5, 1.0], size=T) if masked else np.ones(T) for T in lengths]
    for m in mask:
        m[len(m) // 2] = 1.5 if masked else 1.0
    return Sequences.from_arrays(inputs, targets, mask=mask)


def python_environment(**variables: str) -> dict[str, str]:
    """Environment in which another Python finds what this one tests."""
    path = os.pathsep.join(map(str, SOURCES))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **variables}


def python_process(code: str | Path, *arguments: str | Path, **variables: str) -> str:
    """Run code, or a file, in a new Python process and return what it prints."""
    what = ["-c", code] if isinstance(code, str) else [str(code)]
    done = subprocess.run(
        [sys.executable, *what, *map(str, arguments)], env=python_environment(**variables), capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def small_network() -> Callable[..., Network]:
    """:func:`draw_network`."""
    return draw_network


@pytest.fixture
def sequences() -> Callable[..., Sequences]:
    """:func:`draw_sequences`."""
    return draw_sequences
