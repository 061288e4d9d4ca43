"""A trained linear recurrent network for NEST 3: rate neurons ``lin_rate_ipn``, one step of NEST a step of the network.

    python network.py inputs.npy results.npz      inputs (T, n_in); results h (T, n_rec) and y (T, n_out)

    import network
    h, y = network.simulate(inputs)

Written by neurolrnn. It needs NEST, NumPy and ``weights.npz`` beside it.

NEST integrates ``tau dX/dt = -X + I`` exactly over a step with constant I: X <- d X + (1 - d) I, d = exp(-dt/tau). With
tau = -dt / ln(1 - leak) that is h <- (1 - leak) h + leak (W h + B x). Without waveform relaxation,
``rate_connection_instantaneous`` delivers the rate of the step before, which is the recurrence of the network;
``rate_connection_delayed`` with a delay of one step would deliver that of two steps before.
"""

import sys
from pathlib import Path

import nest
import numpy as np

DT_MS = @DT_MS@
TAU_MS = @TAU_MS@
FIRST = 3
"""Step at which the first input is switched on; the state rests at 0 before."""


def build(weights, inputs):
    """Set up NEST for inputs (T, n_in); return the units and the recorder of their rates."""
    nest.ResetKernel()
    nest.set(resolution=DT_MS, use_wfr=False)
    W, B = weights["W"], weights["B"]
    units = nest.Create("lin_rate_ipn", len(W), {"tau": TAU_MS, "sigma": 0.0, "mu": 0.0, "rate": 0.0})
    drives = nest.Create("step_rate_generator", B.shape[1])
    times = [round(DT_MS * (FIRST + step), 3) for step in range(len(inputs))]
    for drive, values in zip(drives, inputs.T):
        drive.set(amplitude_times=times, amplitude_values=values)
    delayed = {"synapse_model": "rate_connection_delayed", "weight": B, "delay": DT_MS}
    nest.Connect(drives, units, "all_to_all", delayed)
    nest.Connect(units, units, "all_to_all", {"synapse_model": "rate_connection_instantaneous", "weight": W})
    recorder = nest.Create("multimeter", params={"record_from": ["rate"], "interval": DT_MS})
    nest.Connect(recorder, units, syn_spec={"delay": DT_MS})
    return units, recorder


def simulate(inputs):
    """Return states h (T, n_rec) and outputs y (T, n_out) for inputs (T, n_in)."""
    inputs = np.asarray(inputs, dtype=float)
    with np.load(Path(__file__).with_name("weights.npz")) as file:
        weights = dict(file)
    units, recorder = build(weights, inputs)
    nest.Simulate(DT_MS * (FIRST + len(inputs) + 2))
    events = recorder.events
    order = np.lexsort((events["senders"], events["times"]))
    rates = events["rate"][order].reshape(-1, len(units))
    h = rates[FIRST + 1 : FIRST + 1 + len(inputs)]  # a generator's value arrives one step after it is switched on
    return h, h @ weights["A"].T


if __name__ == "__main__":
    states, outputs = simulate(np.load(sys.argv[1]))
    np.savez(sys.argv[2], h=states, y=outputs)
