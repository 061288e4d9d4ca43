"""The networks that consumers are tried with: trained here, three sizes and leaks, in float and with 8-bit weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import neurolrnn as nl

SIZES = (10, 64, 128)
LEAKS = (0.1, 0.5, 1.0)
STEPS = 200


def run(n: int, leak: float, precision: nl.Precision) -> nl.Run:
    """A short run of RFLO on a teacher's task."""
    task = nl.tasks.load("teacher-student", teacher="gaussian", n_in=3, n_rec=4, n_out=2, leak=leak, sequences=30)
    network = nl.Network.random(3, n, 2, leak, 0.7, seed=n, output_scale=1.0)
    return nl.simulate(network, task, nl.RFLO(), precision, learning_rate=0.04 / n / leak, seed=1, progress=False)


def trajectory(network: nl.Network, steps: int = STEPS, seed: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs and what the network makes of them, in float64 and by the definition: x, h, y, each (T, .)."""
    x = np.random.default_rng(seed).normal(size=(steps, network.n_in))
    h = np.zeros((steps + 1, network.n_rec))
    for t in range(steps):
        h[t + 1] = (1 - network.leak) * h[t] + network.leak * (network.W @ h[t] + network.B @ x[t])
    return x, h[1:], h[1:] @ network.A.T


def trained(sizes: tuple[int, ...] = SIZES, leaks: tuple[float, ...] = LEAKS) -> Iterator[tuple[str, nl.Run]]:
    """Name and run of every case."""
    kinds = {"float": nl.Precision.float32(), "int8": nl.Precision.preset("int8")}
    for n in sizes:
        for leak in leaks:
            for kind, precision in kinds.items():
                yield f"n{n}-leak{leak:g}-{kind}", run(n, leak, precision)


def write(folder: Path, target: str, options: list[dict[str, Any]], sizes: tuple[int, ...] = SIZES) -> int:
    """Export every case with every set of options, its trajectory beside it; return how many exports there are."""
    count = 0
    for name, result in trained(sizes):
        x, h, y = trajectory(result.network)
        for choice in options:
            stem = f"{name}-{choice['dtype']}" if "dtype" in choice else name
            nl.export(result, folder / f"{stem}.{target}", target, **choice)
            np.savez(folder / f"{stem}.npz", x=x, h=h, y=y)
            count += 1
    return count
