"""Target ``lava``: arrays and a script that runs the network as sigma-delta units, with the remedy against drift."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, positive_integer
from neurolrnn.exports import lava_replica as replica
from neurolrnn.exports.c_text import template
from neurolrnn.exports.integers import version
from neurolrnn.exports.losses import Change
from neurolrnn.exports.target import Plan, Source
from neurolrnn.exports.writing import identifier
from neurolrnn.network import Network

MOST_DROP = 16
"""Bits that a state may have beyond what is sent."""


def plan(
    source: Source, *, name: str = "network", state_frac: int | None = None, inputs: Any = None, steps: int = 200,
    drift_steps: int = 2000, seed: int = 1,
) -> Plan:  # fmt: skip
    """Make arrays and script.

    Parameters
    ----------
    source : Source
        What is exported. W and B are those in effect; factors are folded in.
    name : str
        Of the network, in the texts.
    state_frac : int, optional
        Fraction bits of states and inputs; default: as many as keep the states of the golden input four times within
        24 bits, at most 15.
    inputs : (T, n_in), optional
        Golden input; default Gaussian noise.
    steps : int
        Steps of it, if no inputs are given.
    drift_steps : int
        Steps of noise over which the errors of Lava's own unit and of the remedy are measured for the report.
    seed : int
        Of the noise.

    Raises
    ------
    InputError
        If a state leaves 24 bits.
    """
    network = source.network
    x = _inputs(network, inputs, positive_integer("steps", steps), seed)
    long = _inputs(network, None, positive_integer("drift_steps", drift_steps), seed + 1)
    net = convert(network, np.concatenate([x, long]), state_frac)
    codes, noise = (np.floor(np.ldexp(v, net.frac_bits) + 0.5).astype(np.int64) for v in (x, long))
    drift = _drift(net, noise)
    why = "Lava's learning rules cannot read an error that comes from other units through R"
    losses = source.learning_loss(why, "inference_only leaves it out on purpose")
    losses += source.format_loss("a Dense has 8-bit weights with one exponent, messages 24 bits", "see the changes")
    bits = f"8-bit mantissas, one exponent (2^-{{}}); messages with {net.frac_bits} fraction bits"
    changes = [
        Change.between(what, bits.format(net.exponents[k]), "a Dense holds 8-bit weights", given, net.values(k))
        for k, what, given in (
            ("recurrent", "V = (1-α)I + αW", network.transition), ("inputs", "αB", network.leak * network.B),
            ("readout", "A", network.A),
        )
    ]  # fmt: skip
    words = {
        "name": identifier(name), "version": version(), "drift": drift,
        "title": f"{network.n_in} inputs, {network.n_rec} recurrent units, {network.n_out} outputs",
        "losses": "\n".join(f"- {x}" for x in (*losses, *changes)),
    }  # fmt: skip
    files: dict[str, bytes | str] = {
        "arrays.npz": _arrays(net, network, x, codes), "run_lava.py": template("run_lava.py.txt", words),
        "README.md": template("lava_readme.md", words),
    }  # fmt: skip
    return Plan(files, losses, changes, [drift])


def convert(network: Network, x: NDArray[np.float64], state_frac: int | None = None) -> replica.LavaNetwork:
    """Return a network as Lava processes; ``x`` (T, n_in) shows how large its states become.

    Raises
    ------
    InputError
        If the states grow without limit, or the weights lie too far apart.
    """
    V, B = network.transition, network.leak * network.B
    (Wm, We), (Bm, Be), (Am, Ae) = (replica.mantissas(v) for v in (V, B, network.A))
    drop = max(We, Be, 0)
    if drop > MOST_DROP:
        raise InputError(
            f"the weights of V or αB are at most 2^-{drop - 7}, which needs {drop} bits below those that are sent; "
            f"{MOST_DROP} are possible. Scale the inputs down and B up, or take a larger leak"
        )
    h, largest = np.zeros(network.n_rec), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        for now in x:
            h = V @ h + B @ now
            largest = max(largest, float(np.abs(h).max()))
    if not np.isfinite(largest) or largest > 1e6:
        raise InputError("the states grow without limit, which no integers hold; make the spectral radius less than 1")
    room = replica.STATE_BITS - 3 - drop - int(np.ceil(np.log2(largest)))
    frac = min(15, room) if state_frac is None else state_frac
    if frac < 1:
        raise InputError(
            f"states of {largest:.3g} leave {frac} fraction bits in {replica.STATE_BITS} bits; take smaller inputs"
        )
    exponents = {"recurrent": We, "inputs": Be, "readout": Ae}
    return replica.LavaNetwork(Wm, Bm, Am, exponents, int(frac), drop)


def _inputs(network: Network, given: Any, steps: int, seed: int) -> NDArray[np.float64]:
    if given is None:
        return np.random.default_rng([seed, 0x1A7A]).normal(0.0, 1.0, (steps, network.n_in))
    x = np.asarray(given, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != network.n_in or not np.isfinite(x).all():
        raise InputError(f"inputs have shape {x.shape}; one finite sequence, (T, {network.n_in}), is needed")
    return x


def _drift(net: replica.LavaNetwork, noise: replica.Codes) -> str:
    """Say how far Lava's own unit and the remedy stray."""
    carried = replica.errors(net, noise, carry=True)
    stock = replica.errors(net, noise, carry=False)
    own = f"{stock[-1]:.0f} after {len(noise)} steps"
    return (
        f"Lava's own fixed-point SigmaDelta rounds every change of a state down and forgets the rest, so its states "
        f"drift without limit: {own}, in units of the last bit. The script's unit carries the rest to the next step, "
        f"so that what it has sent is always its state rounded to nearest: {carried.max():.1f} at most in as many "
        f"steps."
    )


def _arrays(net: replica.LavaNetwork, network: Network, x: NDArray[np.float64], codes: replica.Codes) -> bytes:
    out: dict[str, Any] = {"x": codes.astype(np.int32), "x_float": x, "frac_bits": net.frac_bits, "drop": net.drop}
    for carry, word in ((True, "carry"), (False, "stock")):
        out |= {f"{k}_exp_{word}": v for k, v in net.weight_exp(carry).items()}
        out |= {f"{word}_{k}": v for k, v in replica.run(net, codes, carry=carry, limited=carry).items()}
    real = {"recurrent": network.transition, "inputs": network.leak * network.B, "readout": network.A}
    for k, v in real.items():
        out |= {k: getattr(net, k).astype(np.int32), f"{k}_float": v, f"{k}_exponent": net.exponents[k]}
    h = np.zeros(network.n_rec)
    states = []
    for now in x:
        h = real["recurrent"] @ h + real["inputs"] @ now
        states.append(h)
    out |= {
        "float_h": np.array(states),
        "float_y": np.array(states) @ network.A.T,
        "exact_h": replica.exact(net, codes),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **out)
    return buffer.getvalue()
