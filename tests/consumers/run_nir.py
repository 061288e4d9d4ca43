"""Runs where nir is, from 1.0.4 on: reads our file with nir and steps it by nothing but NIR's definitions."""

import nir
import numpy as np
from common import main, version


def run(path, x):
    """Forward Euler of every LI node; linear nodes pass on the value that stands at their source."""
    graph = nir.read(path)
    edges = [(str(a), str(b)) for a, b in graph.edges]
    dt = float(graph.metadata["dt"])
    value = {name: np.zeros(node.tau.shape, node.tau.dtype) for name, node in graph.nodes.items() if is_(node, "LI")}
    order = [name for name, node in graph.nodes.items() if is_(node, "LI")]
    assert len(order) == 1

    def output(name, now):
        node = graph.nodes[name]
        if is_(node, "Input"):
            return x[now].astype(next(iter(value.values())).dtype)
        if is_(node, "LI"):
            return value[name]
        total = sum(output(a, now) for a, b in edges if b == name)
        if is_(node, "Output"):
            return total
        bias = node.bias if is_(node, "Affine") else 0
        return node.weight @ total + bias

    (li,) = order
    node, hidden, out = graph.nodes[li], [], []
    (end,) = (name for name, node in graph.nodes.items() if is_(node, "Output"))
    for now in range(len(x)):
        current = sum(output(a, now) for a, b in edges if b == li)
        value[li] = value[li] + (dt / node.tau) * ((node.v_leak - value[li]) + node.r * current)
        hidden.append(value[li])
        out.append(output(end, now))
    return np.array(hidden), np.array(out)


def is_(node, kind):
    return type(node).__name__ == kind


if __name__ == "__main__":
    main(run, "*.nir", version("nir", "numpy"))
