"""Runs in an environment with spyx: our dialect, through spyx' own importer, its activation set to the identity."""

import jax
import nir
import numpy as np
from common import main, version
from spyx.nir import from_nir
from spyx.nn import run as scan


def run(path, x):
    graph = nir.read(path, type_check=False)
    dt = float(graph.metadata["dt"])
    model, _ = from_nir(graph, np.zeros((1, 1, x.shape[1]), np.float32), dt=dt)
    neuron = model.layers[1]
    assert np.all(np.asarray(neuron.threshold) == 0)
    neuron.spike = lambda v: v
    # Spyx emits the state from before the step, so one more step shows the last one.
    padded = np.concatenate([x, np.zeros((1, x.shape[1]))])[:, None].astype(np.float32)
    outputs, _ = scan(model, jax.numpy.asarray(padded))
    return None, np.asarray(outputs)[1:, 0]


if __name__ == "__main__":
    main(run, "*.nir", version("nir", "spyx", "jax", "flax"))
