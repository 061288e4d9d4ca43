"""The constants and arrays a kernel is given, made for one learner."""

from __future__ import annotations

from typing import Any

from neurolrnn.network import Network
from neurolrnn.number_system import NumberSystem
from neurolrnn.rules import BPTT, RFLO, RTRL, Rule
from neurolrnn.training import Training
from neurolrnn_kernels.structs import CROSS_ENTROPY, SQUARED_ERROR, Constants, Gradients, Lanes

LOSS_CODES = {"squared-error": SQUARED_ERROR, "cross-entropy": CROSS_ENTROPY}


def make_constants(
    num: NumberSystem, leak: float, rule: Rule, training: Training, *, symmetric: bool, loss: str, limit: float
) -> Constants:
    """Return the numbers of network, rule and optimiser as kernels hold them."""
    decay = rule.decay if isinstance(rule, RFLO) and rule.decay is not None else 1.0 - leak
    rates, bounds = training.rates, training.bounds
    if isinstance(rule, RTRL | BPTT):
        direct = False  # these sum a gradient before they step
    else:
        direct = training.update == "online" and training.momentum == 0.0 and training.update_every == 1
    return Constants(
        keep=num.constant("keep", 1.0 - leak),
        gain=num.constant("gain", leak),
        decay=num.constant("decay", decay),
        rate_A=num.constant("rate_A", rates["A"]),
        rate_W=num.constant("rate_W", rates["W"]),
        rate_B=num.constant("rate_B", rates["B"]),
        momentum=num.constant("momentum", training.momentum),
        clip_A=num.constant("clip", bounds["A"]),
        clip_W=num.constant("clip", bounds["W"]),
        clip_B=num.constant("clip", bounds["B"]),
        learn_A="A" in training.learn,
        learn_W="W" in training.learn,
        learn_B="B" in training.learn,
        symmetric=symmetric,
        direct=direct,
        episode=training.update == "episode",
        loss=LOSS_CODES[loss],
        limit=float(limit),
        first=0,
        every=training.update_every,
        sends=num.constant("sends", 0.0),
    )


AHEAD_STEPS, AHEAD_NUMBERS = 32, 2**16
"""Most steps whose B x is calculated in one go, and most numbers it may take (so that it stays in the second cache)."""


def make_lanes(num: NumberSystem, net: Network, lanes: int, look_ahead: bool = False) -> Lanes:
    """Return activity at rest, for as many sequences side by side.

    ``look_ahead`` gives room to calculate B x of several steps in one go, for rules that leave B as it is.
    """
    z, n, m, o = num.zeros, net.n_rec, net.n_in, net.n_out
    h = z("state", (lanes, n))
    block = lanes * max(4, min(AHEAD_STEPS, AHEAD_NUMBERS // (n * lanes))) if look_ahead else 0
    return Lanes(
        x=z("input", (lanes, m)), target=z("target", (lanes, o)), weight=z("mask", (lanes,)),
        h=h, own=z("state", (lanes, n)) if num.sends else h, drive=z("accumulator", (lanes, n)),
        u=z("current", (lanes, n)),
        y=z("readout", (lanes, o)), e=z("error", (lanes, o)), L=z("signal", (lanes, n)),
        acc_out=z("accumulator", (lanes, o)), acc_rec=z("accumulator", (lanes, n)), z=z("coupling", (lanes, o)),
        g_out=z("step", (lanes, o)), g_rec=z("step", (lanes, n)),
        ahead_x=z("input", (block, m)), ahead=z("accumulator", (block, n)), work=z("work", (max(n, m, o),)),
    )  # fmt: skip


def make_gradients(num: NumberSystem, c: Constants, plastic: dict[str, Any]) -> Gradients:
    """Return accumulated updates and momenta at 0; what this run does not touch stays empty."""
    learned = {"A": c.learn_A, "W": c.learn_W, "B": c.learn_B}
    # An online run holds no second copy of its weights.
    sums = [num.zeros("gradient", plastic[g].shape if on and not c.direct else (0, 0)) for g, on in learned.items()]
    speeds = [num.zeros("gradient", a.shape if c.momentum != 0 else (0, 0)) for a in sums]
    return Gradients(*sums, *speeds)
