"""Figures that others have published, counted anew from network, rule and formats.

Source of the published ones: ReckOn's released HDL and its documentation, git 5e5c0be (C. Frenkel and G. Indiveri,
ISSCC 2022): 256 inputs, 256 recurrent units, 16 outputs; SRAM of 64 kB for input, 64 kB for recurrent and 8 kB for
output weights, of which the lower half is used, and 2 kB for neurons; 8-bit weights, 16-bit states; one trace per
neuron, of 12 bits for inputs and recurrent units, and of 10 bits towards the outputs; "0.8 % memory overhead" of
learning. Its rule is e-prop with the trace moved from the synapse to the sending neuron, which for a linear unit is
RFLO with the read-out as feedback.
"""

import pytest

from neurolrnn.chips.demands import demand_of
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import RFLO, EProp
from neurolrnn_hardware.catalogue import load
from neurolrnn_hardware.demand import Demand, Number

KB = 1024
PUBLISHED_KB = {"input": 64, "recurrent": 64, "readout": 8, "neurons": 2}
NET = Network.random(256, 256, 16, leak=0.5, kind="orthogonal", seed=0)
EIGHT = Precision(
    "reckon", weight="s0.7", state="s4.11", trace="u0.12", input_trace="u0.12", eligibility="u0.12",
    update_rounding="lsb-stochastic",
)  # fmt: skip
OUTPUT_TRACE = Number("u0.10", 10, False)


@pytest.fixture(scope="module")
def per_neuron() -> Demand:
    rule = RFLO(storage="dense", feedback="symmetric")
    return demand_of(NET, rule, EIGHT, loss="cross-entropy").with_spikes(OUTPUT_TRACE)


def bytes_of(demand: Demand, **which) -> float:
    return demand.bits(**which) / 8


def test_reckon_weights(per_neuron):
    assert bytes_of(per_neuron, role="weight", owner="input") == PUBLISHED_KB["input"] * KB
    assert bytes_of(per_neuron, role="weight", owner="recurrent") == PUBLISHED_KB["recurrent"] * KB
    assert bytes_of(per_neuron, role="weight", owner="readout") == PUBLISHED_KB["readout"] * KB / 2


def test_reckon_traces_per_neuron(per_neuron):
    """(12 + 12 + 10) bits × 256 = 1088 bytes, 0.77 % of the SRAM; published: 0.8 %."""
    assert bytes_of(per_neuron, role="trace") == 1088
    sram = sum(PUBLISHED_KB.values()) * KB
    share = 100 * bytes_of(per_neuron, role="trace") / sram
    assert round(share, 2) == 0.77
    assert round(share, 1) == 0.8


def test_reckon_neurons_fit_their_memory(per_neuron):
    """State and traces of 256 neurons stand in the 2 kB beside them, with leak and threshold still to come."""
    state = bytes_of(per_neuron, role="state", owner="recurrent")
    drive = per_neuron.variable("drive").bits / 8  # an accumulator that the chip has once, not per neuron
    held = state - drive + bytes_of(per_neuron, role="trace")
    assert held == 256 * (16 + 12 + 12 + 10) / 8
    assert held <= PUBLISHED_KB["neurons"] * KB


def test_eprop_with_a_trace_per_synapse_would_need_192_kb():
    """256 · 256 recurrent and as many input synapses with 12 bits each: more than all of the chip's memory."""
    demand = demand_of(NET, EProp(), EIGHT, loss="cross-entropy")
    traces = bytes_of(demand, role="trace")
    assert traces == 192 * KB
    assert traces > sum(PUBLISHED_KB.values()) * KB
    assert demand.words(role="trace", place="synapse") == demand.words(role="trace") == 2 * 256**2


def test_per_synapse_traces_cost_as_much_more_as_there_are_synapses(per_neuron):
    eprop = demand_of(NET, EProp(), EIGHT, loss="cross-entropy")
    plain = per_neuron.bits(role="trace") - per_neuron.variable("readout_trace").bits
    assert eprop.bits(role="trace") == 256 * plain


def test_the_sheet_has_the_published_memory(per_neuron):
    """What is counted here is compared with the sheet by ``neurolrnn check``: both must speak of the same memory."""
    sheet = load("reckon").memory
    assert sheet.input_weights.value == PUBLISHED_KB["input"] * KB
    assert sheet.recurrent_weights.value == PUBLISHED_KB["recurrent"] * KB
    assert sheet.output_weights.value == bytes_of(per_neuron, role="weight", owner="readout")
    assert sheet.neuron_per_core.value == PUBLISHED_KB["neurons"] * KB
    traces = load("reckon")
    assert traces.trace.bits.value == per_neuron.variable("trace").number.bits
    assert traces.output_trace.bits.value == OUTPUT_TRACE.bits


def test_factored_storage_keeps_recurrent_synapses_still():
    """With n_out learning neurons, of 131 072 synapses onto recurrent units none is plastic: 8192 onto others are."""
    demand = demand_of(NET, RFLO(), EIGHT, loss="cross-entropy")
    still = [c for c in demand.connections if c.post == "recurrent" and c.name in ("input", "recurrent")]
    assert sum(c.synapses for c in still) == 2 * 256**2
    assert not any(c.plastic for c in still)
    inner = demand.words(role="weight", plastic=True, owner=["factor_recurrent", "factor_input"])
    assert inner == 16 * (256 + 256)
