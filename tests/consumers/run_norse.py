"""Runs in an environment with nir, nirtorch and norse: our files, stepped by nirtorch around norse's own LI cell."""

from functools import partial

import nir
import nirtorch
import norse.torch as snn
import torch
from common import main, version


def li_cell(node: nir.LI, dt: float, dtype: torch.dtype) -> torch.nn.Module:
    # norse 1.1.0 maps no LI itself; this is its leaky integrator without a synaptic current, in the units of NIR.
    assert (node.r == 1).all()
    tau, rest = torch.from_numpy(node.tau).to(dtype), torch.from_numpy(node.v_leak).to(dtype)
    return snn.LIBoxCell(snn.LIBoxParameters(tau_mem_inv=1 / tau, v_leak=rest), dt=dt)


def run(path, x):
    graph = nir.read(path)
    dtype = torch.from_numpy(graph.nodes["W"].weight).dtype
    model = nirtorch.nir_to_torch(
        graph, {nir.LI: partial(li_cell, dt=float(graph.metadata["dt"]), dtype=dtype)}, dtype=dtype
    )
    state, out, hidden = None, [], []
    with torch.no_grad():
        for row in torch.from_numpy(x).to(dtype):
            y, state = model(row) if state is None else model(row, state)
            out.append(y.double())
            hidden.append(state["state"].v.double())
    return torch.stack(hidden).numpy(), torch.stack(out).numpy()


if __name__ == "__main__":
    main(run, "*.nir", version("nir", "nirtorch", "norse", "torch"))
