"""Runs in an environment with rockpool[nir]: our dialect, through rockpool's own importer."""

import nir
import torch
from common import main, version
from rockpool.nn.modules.torch.nir import from_nir


def run(path, x):
    model = from_nir(nir.read(path))
    state, out, hidden = None, [], []
    with torch.no_grad():
        for row in torch.from_numpy(x).float():
            y, state = model(row[None, None], state)
            out.append(y.reshape(-1).double())
            hidden.append(state.cache["state"].reshape(-1).double())
    return torch.stack(hidden).numpy(), torch.stack(out).numpy()


if __name__ == "__main__":
    main(run, "*.nir", version("nir", "nirtorch", "rockpool", "torch"))
