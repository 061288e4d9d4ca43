"""Fixed-point runs for the oracle: how to draw one, run it through the kernels, and run it through the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import integer_oracle
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from neurolrnn.engine import Engine
from neurolrnn.errors import InputError
from neurolrnn.fixed_grid import Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.held_weights import numbers_in
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import RFLO, EProp, TruncatedBPTT
from neurolrnn.schedule import Schedule
from neurolrnn.sparse_matrix import SparseMatrix
from neurolrnn.tasks.base import Sequences
from neurolrnn.training import Training

COMMON = ((2, 1, 4, 4), (2, 2, 8, 4), (4, 4, 8, 8))
"""Bytes of storage, weights, accumulator and work for which kernels are compiled anyway: those of the presets int8 and
int16, and the widest. There are nine such kinds, each a compilation of some seconds a rule."""
ROUNDINGS = ("floor", "nearest", "nearest-even", "toward-zero", "stochastic")


@dataclass
class Case:
    precision: Precision
    network: Network
    rule: Any
    oracle_rule: str
    training: Training
    data: Sequences
    loss: str
    seed: int
    R: np.ndarray | None


def spec_of(numbers: FixedNumbers) -> dict[str, Any]:
    """What the oracle is told: every format and constant, resolved."""
    rename = {"factor_W": "M", "factor_B": "N"}
    landings = {rename.get(k, k): v for k, v in numbers.landings.items()}
    declared = numbers.precision.accumulator_range()
    return {
        "formats": {k: (x.format.signed, x.format.int_bits, x.format.frac_bits) for k, x in landings.items()},
        "rounding": {k: x.rounding.label for k, x in landings.items()},
        "overflow": {k: x.overflow.label for k, x in landings.items()},
        "clamp": dict(numbers.clamps),
        "symmetric": [k for k, x in landings.items() if x.symmetric],
        "sends": numbers.sends,
        "trace_signs": numbers.precision.trace_signs,
        "state_decay": numbers.precision.state_decay,
        "accumulator": None if declared is None else (declared[0], declared[1].label),
        "noise": numbers.precision.noise,
        "random_bits": numbers.precision.random_bits,
        "seed": numbers.setting.seed,
        "variables": integer_oracle.VARIABLES,
        "rates": {g: (r.mantissa, r.frac_bits) for g, r in numbers.rates.items()},
        "decay_bits": numbers.precision.decay_bits,
        **{k: numbers.constants[k] for k in ("gain", "keep", "decay")},
        "hidden": {
            g: (h.signed, h.int_bits, h.frac_bits) if (h := numbers.precision.hidden_format(g)) else None for g in "AWB"
        },
    }


def numbers_of(case: Case) -> FixedNumbers:
    """Return the number system of a case; one that is refused is thrown away and another one drawn."""
    schedule = Schedule(case.data, epochs=case.training.epochs, batch=case.training.batch)
    setting = Setting(
        case.network, case.rule, case.training, case.R, case.loss, schedule.lanes, schedule.longest, case.seed
    )
    try:
        return FixedNumbers(case.precision, setting)
    except InputError as refusal:  # what cannot be proved to fit is refused, and tested elsewhere
        assert "bits" in str(refusal), refusal
        assume(False)
        raise


def is_common(numbers: FixedNumbers) -> bool:
    """Tell whether kernels for these numbers are compiled anyway."""
    kind = tuple(d.itemsize for d in (numbers.storage, numbers.weights, numbers.accumulator, numbers.work))
    return kind in COMMON


def compare(case: Case, common: bool = False) -> int:
    """Run a case both ways; every code and every count must be the same. Returns how many codes were compared.

    With ``common``, a case that is not common (:func:`is_common`) is thrown away, too.
    """
    schedule = Schedule(case.data, epochs=case.training.epochs, batch=case.training.batch)
    numbers = numbers_of(case)
    if common:
        assume(is_common(numbers))
    engine = Engine(
        case.network, case.rule, case.training, numbers, feedback=case.R, data=case.data, weights=case.data.mask,
        loss=case.loss, lanes=schedule.lanes, longest=schedule.longest,
    )  # fmt: skip
    w = engine._weights
    weights = {
        "A": w.A.tolist(),
        "W": numbers.landings["W"].format.encode(case.network.W).tolist(),  # however the kernel holds it
        "B": w.Bt.T.tolist(),
        "R": None if case.R is None else w.R.tolist(),
    }
    x, goal, mask = (a.tolist() for a in engine._data)
    ends = list(zip(case.data.starts[:-1], case.data.starts[1:], strict=True))
    states: list[Any] = []
    for piece in schedule.pieces(0, np.arange(schedule.total + 1)):  # step by step, so that every state is seen
        done, _ = engine.run(piece)
        assert done == 1
        states.append((engine._lanes.h.tolist(), engine._lanes.y.tolist()))
    told = integer_oracle.train(
        spec_of(numbers), weights, [(x[a:b], goal[a:b], mask[a:b]) for a, b in ends], case.oracle_rule,
        tau=getattr(case.rule, "steps", 1), loss=case.loss, update=case.training.update, learn=case.training.learn,
        batch=case.training.batch, epochs=case.training.epochs,
        every=case.training.update_every,
        exists=None if case.network.sparse is None else case.network.sparse.mask.tolist(),
    )  # fmt: skip
    compared = 0
    for (h, y), want_h, want_y in zip(states, told.h, told.y, strict=True):
        assert h == want_h
        assert y == want_y
        compared += sum(map(len, h)) + sum(map(len, y))
    pairs = [(w.A.tolist(), told.A), (w.Bt.T.tolist(), told.B)]
    if not engine.factored:  # factored storage does not write its W
        pairs.append((engine._held.matrix(numbers_in(w.Wt)).tolist(), told.W))
    else:
        pairs += [(w.M.tolist(), told.M), (w.N.tolist(), told.N)]
    for group in told.hidden:
        got = getattr(w, f"hidden_{group}")
        if group == "W" and not engine.factored:
            got = engine._held.matrix(got).T
        pairs.append((got.tolist() if group == "A" or engine.factored else got.T.tolist(), told.hidden[group]))
    for got, want in pairs:
        assert got == want
        compared += sum(map(len, got))
    counters = numbers.counters()
    for name, row in integer_oracle.VARIABLES.items():
        mine = counters.get({"rate_A": "step_A", "rate_W": "step_W", "rate_B": "step_B"}.get(name, name), {})
        assert mine.get("overflows", 0) == told.overflows[name], (name, row)
        assert mine.get("accumulator_overflows", 0) == told.accumulator_events[name], name
        if name in "AWB":
            assert mine.get("dead_updates", 0) == told.dead_updates[name], name
    return compared


@st.composite
def formats(draw: Any, widths: tuple[int, int], unsigned: bool = False) -> str:
    width = draw(st.integers(*widths))
    frac = draw(st.integers(max(0, width - 8), width + 2))
    signed = "u" if unsigned and draw(st.booleans()) else "s"
    text = f"{signed}{width - frac - (signed == 's')}.{frac}"
    for options in (ROUNDINGS, ("saturate", "wrap")):
        if draw(st.integers(0, 3)) == 0:
            text += " " + draw(st.sampled_from(options))
    return text


@st.composite
def cases(
    draw: Any, name: str, wide: bool = False, largest: int = 12, sparse: bool = False, chips: bool = False
) -> Case:
    """Draw a run of rule ``name``; ``wide`` asks for formats of more than 16 bits, ``sparse`` for missing synapses.

    ``chips`` draws what chips do besides: messages, paired traces, decays apart, symmetric ranges, epochs.
    """
    widths = (17, 26) if wide else (4, 16)
    short = not wide and draw(st.integers(0, 3)) == 0  # weights that are held in 8 bits
    weights = ("weight", "feedback", "factor", "A")
    some = {
        v: draw(formats((4, 8) if short and v in weights else widths))
        for v in ("weight", "state", "readout", "error", "signal", "coupling", "input", "trace", "current", "feedback",
                  "factor", "A", "eligibility", "back_current")
        if v in ("weight", "state") or draw(st.booleans())
    }  # fmt: skip
    # eligibilities decay by d < 1, which needs a format that can hold 1
    some["trace_decay"] = draw(st.sampled_from(("s1.14", "s1.10", "s2.9") if not wide else ("s1.20", "s2.16")))
    if draw(st.integers(0, 4)) == 0:
        some["trace"] = "u4.8" if not wide else "u6.16"
    hidden = None
    if draw(st.integers(0, 3)) == 0:
        hidden = "s5.26" if wide else "s4.11"
        some["weight"], some["A"], some["factor"] = "s2.5", "s1.4 floor", "s2.6"
    options: dict[str, Any] = {
        **some,
        "rounding": draw(st.sampled_from(ROUNDINGS)),
        "update_rounding": draw(st.sampled_from((*ROUNDINGS, "lsb-stochastic"))),
        "overflow": draw(st.sampled_from(("saturate", "wrap"))),
        "accumulator": draw(
            st.sampled_from(("exact", "exact", "s16 saturate", "s24 wrap", "s24 saturate", "s32 wrap"))
        ),
        "hidden": hidden,
        "decay_bits": draw(st.sampled_from((4, 10, 14))),
        "rate_bits": draw(st.sampled_from((1, 4, 8))),
        "noise": draw(st.sampled_from(("element", "shared", "lfsr"))),
        "random_bits": draw(st.sampled_from((1, 4, 8, 16, 32))),
    }
    every = 1
    if chips:
        every = draw(st.sampled_from((1, 1, 2, 3, 7)))
        options["state_decay"] = draw(st.sampled_from(("together", "apart")))
        if draw(st.booleans()):
            options["message"] = draw(formats((2, 10)))
        if "wrap" not in options["state"] and options["overflow"] == "saturate":
            options["state"] += draw(st.sampled_from(("", " symmetric")))
        if name.startswith("rflo") and draw(st.booleans()):
            options |= {"trace_signs": "pair", "trace": draw(st.sampled_from(("u4.8", "u2.5 stochastic", "u3.6 wrap")))}
    n, m, o = draw(st.integers(1, largest)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    loss = draw(st.sampled_from(("squared-error", "cross-entropy")))
    if loss == "cross-entropy":
        options["error"] = draw(st.sampled_from(("s1.14", "s1.6", "s2.4")))
    seed = draw(st.integers(0, 2**40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    symmetric = draw(st.booleans()) and name != "rflo-factored"
    rule: Any
    if name.startswith("rflo"):
        rule = RFLO(
            decay=draw(st.sampled_from((None, 0.0, 0.5, -0.5, 0.97))),
            feedback="symmetric" if symmetric else "random",
            storage="factored" if name == "rflo-factored" else "dense",
        )
    elif name == "tbptt":
        rule = TruncatedBPTT(draw(st.integers(1, 4)), feedback="symmetric" if symmetric else "random")
    else:
        rule = EProp(feedback="symmetric" if symmetric else "random")
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    inputs = [rng.normal(0, 1, (T, m)) for T in lengths]
    if loss == "cross-entropy":
        targets = [np.eye(o)[rng.integers(0, o, T)] for T in lengths]
    else:
        targets = [rng.normal(0, 1, (T, o)) for T in lengths]
    masks = [(rng.random(T) < 0.7).astype(float) for T in lengths]
    masks[int(rng.integers(len(masks)))][0] = 1.0  # some step must have an error
    learn = draw(st.sampled_from((("A", "W", "B"), ("A", "W", "B"), ("W",), ("A", "B"))))
    training = Training(
        learning_rate={"A": 0.3, "W": draw(st.sampled_from((0.7, 0.1, 0.01))), "B": 0.2},
        update="online" if every > 1 else draw(st.sampled_from(("online", "online", "episode"))), update_every=every,
        batch=draw(st.integers(1, 3)), epochs=draw(st.integers(1, 2)), learn=learn, shuffle=False,
        clamp=draw(st.sampled_from((None, None, 0.5))),
    )  # fmt: skip
    network = Network.random(
        m, n, o, leak=draw(st.sampled_from((1.0, 0.3))), seed=int(rng.integers(1e6)), output_scale=1.0,
        kind=draw(st.sampled_from(("gaussian", "gaussian", "block"))),
    )  # fmt: skip
    if sparse:
        network = network.replace(W=SparseMatrix.from_dense(network.W, rng.random((n, n)) < rng.random()))
    R = None if symmetric else rng.normal(0, 1, (o, n))
    return Case(
        Precision(**options), network, rule, name, training, Sequences.from_arrays(inputs, targets, mask=masks), loss,
        seed, R,
    )  # fmt: skip
