"""Runs in an environment with sinabs (and the nir 1.0.4 that it pins): our dialect, through sinabs' own importer."""

import nir
import sinabs.nir
import torch
from common import main, version


def run(path, x):
    model = sinabs.nir.from_nir(nir.read(path), batch_size=1, num_timesteps=1)
    state, out, hidden = None, [], []
    with torch.no_grad():
        for row in torch.from_numpy(x).float():
            y, state = model(row[None], state)
            out.append(y[0].double())
            hidden.append(state.cache["state"][0].double())
    return torch.stack(hidden).numpy(), torch.stack(out).numpy()


if __name__ == "__main__":
    main(run, "*.nir", version("nir", "nirtorch", "sinabs", "torch"))
