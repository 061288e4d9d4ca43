"""Your own data: save arrays as .npz, name the file in an experiment, learn from it.

    python examples/own_data.py [FOLDER]

The data here are those of a mass on a damped spring that is pushed at random; the network learns to say from the push
alone where the mass is. Recordings of any system take the same way. Reached: test NMSE 0.000003.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import neurolrnn as nl

SECONDS_PER_STEP = 0.1


def spring(rng: np.random.Generator, sequences: int, steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pushes and positions, each (sequences, steps, 1)."""
    stiffness, damping = 4.0, 0.8
    pushes = rng.normal(size=(sequences, steps, 1))
    positions = np.zeros_like(pushes)
    x, v = np.zeros((2, sequences, 1))
    for t in range(steps):
        v = v + SECONDS_PER_STEP * (pushes[:, t] - stiffness * x - damping * v)
        x = x + SECONDS_PER_STEP * v
        positions[:, t] = x
    return pushes, positions


def main(folder: Path) -> nl.Run:
    """Write the data and the experiment into ``folder``, and run it."""
    rng = np.random.default_rng(0)
    inputs, targets = spring(rng, 100, 100)
    test_inputs, test_targets = spring(rng, 20, 100)
    scale = targets.std()  # targets of about variance 1 make learning rates comparable between tasks
    np.savez(
        folder / "spring.npz", inputs=inputs, targets=targets / scale, test_inputs=test_inputs,
        test_targets=test_targets / scale,
    )  # fmt: skip
    file = folder / "spring.toml"
    file.write_text(
        """\
[task]
name = "npz"
path = "spring.npz" # from the folder of this file

[network]
n_rec = 16
leak = 0.5
spectral_radius = 0.9

[rule]
name = "tbptt"
steps = 10

[training]
learning_rate = 0.001
epochs = 10
""",
        encoding="utf-8",
    )
    return nl.Experiment.load(file).simulate(progress=False)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    target.mkdir(exist_ok=True)
    result = main(target)
    print(result.summary())
    print(f"\nwritten: {result.save(target / 'spring-run.npz')}")
