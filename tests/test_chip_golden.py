"""Chip arithmetic against numbers that the chips' own public models gave; tests/golden says which, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import chip_oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_oracle import shift_round

import neurolrnn as nl
from neurolrnn.engine import Engine
from neurolrnn.fixed_grid import Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.schedule import Schedule

GOLDEN = Path(__file__).parent / "golden"
LAVA = json.loads((GOLDEN / "lava.json").read_text(encoding="utf-8"))
RECKON = json.loads((GOLDEN / "reckon.json").read_text(encoding="utf-8"))
Codes = list[list[int]]


def drive(precision: nl.Precision, leak: float, codes: Codes) -> tuple[Codes, dict[str, Any]]:
    """Let the kernel drive units without synapses among them by one input each; codes of their states, and counts."""
    n, frac = len(codes[0]), precision.landing("input").format.frac_bits
    data = nl.Sequences.from_arrays(np.ldexp(np.array(codes, float), -frac), np.zeros((len(codes), 1)))
    net = nl.Network(np.zeros((1, n)), np.zeros((n, n)), np.eye(n), leak)
    rule, training = nl.RFLO(storage="dense", feedback="symmetric"), nl.Training(learning_rate=0.0, learn=("A",))
    schedule = Schedule(data, epochs=1, batch=1)
    numbers = FixedNumbers(precision, Setting(net, rule, training, None, "squared-error", 1, len(codes), 0))
    engine = Engine(
        net, rule, training, numbers, feedback=None, data=data, weights=data.mask, loss="squared-error",
        lanes=1, longest=len(codes),
    )  # fmt: skip
    states = []
    for piece in schedule.pieces(0, np.arange(schedule.total + 1)):
        engine.run(piece)
        states.append(engine._lanes.own[0].tolist())
    assert not numbers.clipped
    return states, numbers.counters()


@pytest.mark.parametrize("case", LAVA["lif"], ids=lambda c: f"du{c['du']}-dv{c['dv']}")
def test_the_oracle_is_lavas_neuron(case: dict[str, Any]) -> None:
    n = len(case["u"][0])
    u, v = [0] * n, [0] * n
    for arrived, want_u, want_v in zip(case["a_in"], case["u"], case["v"], strict=True):
        u = [chip_oracle.loihi_current(*x, case["du"]) for x in zip(u, arrived, strict=True)]
        v = [chip_oracle.loihi_state(*x, case["dv"]) for x in zip(v, u, strict=True)]
        assert (u, v) == (want_u, want_v)


def loihi(shift: int, chip: str = "loihi2") -> nl.Precision:
    """Return the precision of Loihi's neuron whose leak is 2^-shift: the current's code is added to the state's."""
    frac = 20 - shift
    own = {
        "state": "s3.20 symmetric", "current": f"s{23 - frac}.{frac} wrap", "input": f"s{18 - frac + 6}.{frac - 6}",
        "weight": "s1.6", "readout": "s3.20",
    }  # fmt: skip
    net = nl.Network.random(2, 3, 1, leak=2.0**-shift)
    asked = nl.Precision.preset("chip", accumulator="exact", **own)
    return nl.chips.precision_on(chip, net, nl.RFLO(storage="dense"), asked)


@pytest.mark.parametrize("case", [c for c in LAVA["lif"] if c["du"] == 4095 and c["dv"] != 3072], ids=lambda c: c["dv"])
def test_the_kernel_is_lavas_neuron(case: dict[str, Any]) -> None:
    shift = 12 - case["dv"].bit_length() + 1
    precision = loihi(shift)
    assert (precision.state_decay, precision.rounding, precision.decay_bits) == ("apart", "toward-zero", 12)
    states, counts = drive(precision, 2.0**-shift, case["a_in"])
    assert states == case["v"]
    beyond = sum(abs(a) << 6 >= 1 << 23 for row in case["a_in"] for a in row)
    assert counts.get("current", {}).get("overflows", 0) == beyond  # wrapped, as Lava's are


def test_some_currents_wrap_and_some_states_saturate_in_the_golden_numbers() -> None:
    assert any(abs(a) << 6 >= 1 << 23 for c in LAVA["lif"] for row in c["a_in"] for a in row)
    assert any(abs(v) == 2**23 - 1 for c in LAVA["lif"] for row in c["v"] for v in row)


def test_rounding_of_updates_and_traces_is_lavas() -> None:
    r = LAVA["rounding"]
    for total, draw, want in zip(r["sums"], r["draws_of_128"], r["rounded"], strict=True):
        assert chip_oracle.loihi_weight(total, draw) == want
        assert shift_round(total, 7, "stochastic", 127 - draw) == want  # the contract's, of the same random number
    assert r["clipped"] == [min(max(w, -256), 255) for w in r["rounded"]]
    i = LAVA["impulses"]
    for trace, whole, part, draw, want in zip(
        i["traces"], i["whole"], i["part_of_256"], i["draws_of_256"], i["out"], strict=True
    ):
        assert chip_oracle.loihi_trace(trace, whole, part, draw) == want
        exact = ((trace + whole) << 8) + part
        assert min(shift_round(exact, 8, "stochastic", 255 - draw), 127) == want


def test_widths_of_weights_are_lavas() -> None:
    for width in LAVA["widths"]:
        for given_code, want in zip(width["given"], width["cut"], strict=True):
            assert chip_oracle.loihi_width(given_code, width["bits"]) == want
            held = want >> (9 - width["bits"])  # a code of a format of so many bits, the sign among them
            assert -(1 << (width["bits"] - 1)) <= held < 1 << (width["bits"] - 1)


def test_the_update_is_reckons() -> None:
    moved = 0
    for dw, w, p, r, draw, want in RECKON["cases"]:
        assert chip_oracle.reckon_update(dw, w, p, r, draw) == want
        # The contract's lsb-stochastic, with the shift that makes the comparison the chip's; it saturates, which is
        # the same as dropping a step of one code.
        size, s = min(abs(dw) << p, 2**32 - 1) >> r, 32
        delta = shift_round(size if dw > 0 else -size, s, "lsb-stochastic", 2**32 - draw)
        assert min(max(w + delta, -128), 127) == want
        moved += want != w
    assert 50 < moved < 350


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=30, max_size=30), st.sampled_from((1, 2, 5)))
def test_the_kernel_is_reckons_leak(arrived: list[int], shift: int) -> None:
    frac = 11 - shift
    own = {"state": "s4.11", "current": f"s{15 - frac}.{frac}", "input": f"s{15 - frac}.{frac}", "weight": "s1.6"}
    net = nl.Network.random(2, 3, 1, leak=2.0**-shift)
    precision = nl.chips.precision_on("reckon", net, nl.RFLO(), nl.Precision.preset("chip", **own))
    assert (precision.rounding, precision.decay_bits, precision.update_rounding) == ("floor", 15, "lsb-stochastic")
    states, _ = drive(precision, 2.0**-shift, [[a] for a in arrived])
    u, want = 0, []
    for a in arrived:
        u = chip_oracle.reckon_state(u, (1 << 15) - (1 << (15 - shift)), a)
        want.append([u])
    assert states == want
