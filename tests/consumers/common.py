"""What the scripts of all consumers share: reading cases, measuring, one JSON value on stdout. Needs NumPy alone."""

import json
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np


def version(*names):
    """Versions of packages, by name."""
    return {"python": ".".join(map(str, sys.version_info[:3])), **{name: metadata.version(name) for name in names}}


def main(run, pattern, versions):
    """Run every case of the folder given on the command line and print the largest errors.

    ``run(path, x)`` returns h (T, n_rec) or None, and y (T, n_out). An error is the largest absolute difference from
    the trajectory stored beside the file, divided by the largest absolute value of that trajectory.
    """
    folder = Path(sys.argv[1])
    rows = {}
    for path in sorted(folder.glob(pattern)):
        stem = path.name.removesuffix(path.suffix)
        with np.load(folder / f"{stem}.npz") as expected:
            x, h, y = expected["x"], expected["h"], expected["y"]
        began = time.perf_counter()
        got_h, got_y = run(path, x)
        row = {"steps": len(x), "seconds": round(time.perf_counter() - began, 3), "y": error(got_y, y)}
        if got_h is not None:
            row["h"] = error(got_h, h)
        rows[stem] = row
    assert rows, f"{folder} holds no {pattern}"
    print(json.dumps({"versions": versions, "cases": rows}))


def error(got, expected):
    """Largest absolute difference, as a share of the largest expected value."""
    got = np.asarray(got, dtype=np.float64).reshape(expected.shape)
    assert np.isfinite(got).all()
    return float(np.abs(got - expected).max() / np.abs(expected).max())
