"""Lava's fixed-point arithmetic in NumPy, bit for bit: Dense, Delta, SigmaDelta and Sigma as lava-nc 0.10 runs them.

What a process does at each step, from its model's documentation: a Dense clips its weights to 8 bits (a shared sign
mode; with both signs, even numbers from -256 to 254), sends what it summed the step before, and shifts each sum by its
exponent, to the right with floor. A SigmaDelta of activation UNIT adds what it receives, and sends the change of the
sum, shifted to the right by ``state_exp`` with floor; what the shift drops is forgotten. The carrying one keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError

Codes = NDArray[np.int64]
STATE_BITS = 24
"""Bits of a state and of a message on Loihi 2, with the sign."""


def dense_weights(weights: Codes) -> Codes:
    """Return weights as a Dense of 8 bits holds them: clipped, and truncated to even numbers where both signs occur."""
    mixed = bool((weights < 0).any() and (weights > 0).any())
    if not mixed:
        return np.asarray(np.sign(weights) * np.minimum(np.abs(weights), 255))
    return (np.clip(weights, -256, 255) >> 1) << 1


def shifted(sums: Codes, exponent: int) -> Codes:
    """Return sums times 2^exponent, rounded towards -∞."""
    return sums << exponent if exponent > 0 else sums >> -exponent


def mantissas(values: NDArray[np.float64]) -> tuple[Codes, int]:
    """Return weights of a Dense and e such that ``values ≈ weights · 2^-e``, with the finest e that all fit.

    Weights are even numbers from -254 to 254, which every sign mode holds as they are.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        return np.zeros(values.shape, np.int64), 0
    e = 8 - int(np.frexp(largest)[1])
    while np.floor(np.ldexp(largest, e - 1) + 0.5) > 127:
        e -= 1
    return 2 * np.floor(np.ldexp(values, e - 1) + 0.5).astype(np.int64), e


@dataclass(frozen=True, eq=False)
class LavaNetwork:
    """A linear network as Lava processes, in integers.

    Attributes
    ----------
    recurrent, inputs, readout : array
        Weights of the three Denses: of V = (1-α) I + αW (n_rec, n_rec), of αB (n_rec, n_in) and of A (n_out, n_rec).
    exponents : dict of str to int
        Per Dense e: value = weight · 2^-e.
    frac_bits : int
        Fraction bits of states and inputs as they are sent.
    drop : int
        Bits that a state has beyond what is sent, K: the carrying SigmaDelta has ``state_exp = K``.
    """

    recurrent: Codes
    inputs: Codes
    readout: Codes
    exponents: dict[str, int]
    frac_bits: int
    drop: int

    def weight_exp(self, carry: bool) -> dict[str, int]:
        """Return the exponent given to each Dense: with the remedy sums lose nothing, without it they lose all bits."""
        kept = self.drop if carry else 0
        found = {k: kept - self.exponents[k] for k in ("recurrent", "inputs")}
        return {**found, "readout": 0}

    def values(self, which: str) -> NDArray[np.float64]:
        """Return what the weights of a Dense stand for."""
        weights: Codes = getattr(self, which)
        return np.ldexp(weights.astype(np.float64), -self.exponents[which])


def run(net: LavaNetwork, x: Codes, *, carry: bool, limited: bool = True) -> dict[str, Codes]:
    """Run Lava's fixed-point processes.

    Parameters
    ----------
    net : LavaNetwork
        What is run.
    x : (T, n_in)
        Codes of the inputs.
    carry : bool
        Whether the SigmaDelta carries what its shift drops (the remedy), or is Lava's own.
    limited : bool
        Whether the 24 bits of Loihi 2 are insisted on; Lava's own models hold 32 and do not look.

    Returns
    -------
    dict
        ``h`` (T, n_rec), sum of everything a unit has sent up to the step that x_t reaches; ``y`` (T, n_out) of the
        same states, with ``frac_bits`` + e of the readout fraction bits.

    Raises
    ------
    InputError
        If a state or a message leaves these 24 bits.
    """
    W, B, A = (dense_weights(w) for w in (net.recurrent, net.inputs, net.readout))
    exponent = net.weight_exp(carry)
    K = net.drop if carry else 0
    n = len(W)
    sigma, act, sent, s = (np.zeros(n, np.int64) for _ in range(4))
    residue = np.full(n, (1 << K) >> 1 if carry else 0)
    before = np.zeros(x.shape[1], np.int64)
    y = np.zeros(len(A), np.int64)
    limit = 1 << (STATE_BITS - 1)
    out: dict[str, list[Codes]] = {"h": [], "y": []}
    for now in x:
        # what both Denses summed the step before arrives: the change of the state, and of the input
        arrived = shifted(W @ s, exponent["recurrent"]) + shifted(B @ (now - before), exponent["inputs"])
        before = now
        sigma = sigma + arrived
        total = sigma - act + residue  # vth = 0: whatever changed is sent
        act = sigma
        s = total >> K
        residue = total - (s << K) if carry else np.zeros(n, np.int64)
        sent = sent + s
        y = y + A @ s
        if limited and max(np.abs(sigma).max(), np.abs(sent).max(), np.abs(y).max()) >= limit:
            raise InputError(
                f"a state leaves the {STATE_BITS} bits of Loihi 2 with {net.frac_bits} fraction bits; give fewer "
                f"(state_frac), or smaller inputs"
            )
        out["h"].append(sent)
        out["y"].append(y)
    return {k: np.array(v) for k, v in out.items()}


def exact(net: LavaNetwork, x: Codes) -> NDArray[np.float64]:
    """Return the states that real arithmetic gives with the same weights and inputs, (T, n_rec)."""
    V, B = net.values("recurrent"), net.values("inputs")
    inputs = np.ldexp(x.astype(np.float64), -net.frac_bits)
    h, out = np.zeros(len(V)), np.empty((len(x), len(V)))
    for t, now in enumerate(inputs):
        h = V @ h + B @ now
        out[t] = h
    return out


def errors(net: LavaNetwork, x: Codes, *, carry: bool) -> NDArray[np.float64]:
    """Return the largest error of a state at each step, (T,), in units of the last bit that is sent."""
    h: Any = run(net, x, carry=carry, limited=carry)["h"]
    return np.asarray(np.abs(h - np.ldexp(exact(net, x), net.frac_bits)).max(axis=1))
