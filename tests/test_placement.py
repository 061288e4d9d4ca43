"""Placement: cores are filled up to their limits and no further, and known figures of chips come out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn.chips.demands import demand_of
from neurolrnn_hardware.catalogue import load, parse
from neurolrnn_hardware.limits import assume
from neurolrnn_hardware.packing import container_bits, list_bits, stored_bits
from neurolrnn_hardware.placement import place
from neurolrnn_hardware.placement_parts import PER_CORE

LOIHI = assume(load("loihi1"))
PLAIN = """
name = "Plain"
placement = "cores"
[sources]
OWN = "own specification"
"""


def own(**figures):
    """A chip with the figures that are given, and no others."""
    tables = {}
    for name, value in figures.items():
        section, field = name.split("__")
        tables.setdefault(section, []).append((field, value))
    units = {name: spec.unit for name, spec, _ in load("loihi1").figures()}
    text = PLAIN
    for section, fields in tables.items():
        text += f"[{section}]\n"
        for field, value in fields:
            unit = units[f"{section}.{field}"]
            shown = f"'{value}'" if isinstance(value, str) else str(value).lower()
            text += f'{field} = {{ value = {shown}, unit = "{unit}", grade = "A", source = "OWN" }}\n'
    return assume(parse(text))


def demand(n_rec=8, n_in=2, n_out=2, rule=None, kind="gaussian", density=None, weight="s1.6"):
    network = nl.Network.random(n_in, n_rec, n_out, leak=0.5, kind=kind, density=density)
    return demand_of(network, rule or nl.RFLO(), nl.Precision(weight=weight, state="s3.12"))


def used(placed, limit):
    return [g.used[limit] for g in placed.groups for _ in range(g.cores)]


# --- packing


def blocks(n, bits):
    """The rule of nengo-loihi in words: at most 64 synapses a block, 10 bits in front, blocks end on 64 bits."""
    total = 0
    while n > 0:
        here = min(n, 64)
        block = 10 + here * bits
        while block % 64:
            block += 1
        total += block
        n -= here
    return total


@given(st.integers(0, 700), st.integers(1, 9), st.booleans())
def test_loihi_packs_synapses_as_nengo_loihi_counts_them(n, bits, plastic):
    assert list_bits(LOIHI, n, bits, plastic) == blocks(n, bits + 9 * plastic)


def test_known_lists_of_loihi():
    assert list_bits(LOIHI, 1, 8) == 64  # 10 + 8 bits fill one word
    assert list_bits(LOIHI, 6, 8) == 64  # 10 + 48
    assert list_bits(LOIHI, 7, 8) == 128  # 10 + 56 = 66
    assert list_bits(LOIHI, 64, 8) == 576  # 10 + 512 = 522
    assert list_bits(LOIHI, 65, 8) == 576 + 64
    assert list_bits(LOIHI, 7, 8, plastic=True) == 192  # 10 + 7 (8 + 9) = 129


def test_weights_take_the_width_the_chip_offers():
    assert [stored_bits(LOIHI, b) for b in (1, 4, 7, 8, 12)] == [1, 4, 8, 8, 8]
    assert stored_bits(LOIHI, 4, plastic=True) == 8
    assert stored_bits(own(), 11) == 11
    assert [container_bits(b) for b in (1, 8, 9, 17, 33, 200)] == [8, 8, 16, 32, 64, 224]


def test_without_a_packing_rule_bits_are_bits():
    assert list_bits(own(), 5, 7) == 35


# --- cores


@given(
    n_rec=st.integers(1, 40), n_in=st.integers(1, 6), n_out=st.integers(1, 4), neurons=st.integers(1, 20),
    memory=st.integers(1, 400), axons=st.integers(1, 60), dense=st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_every_neuron_has_one_place_and_no_core_could_hold_another(n_rec, n_in, n_out, neurons, memory, axons, dense):
    limits = own(topology__neurons_per_core=neurons, memory__synapse_per_core=memory, topology__axons_in_per_core=axons)
    wanted = demand(n_rec, n_in, n_out, nl.RFLO(storage="dense") if dense else None)
    placed = place(wanted, limits)
    for population in ("recurrent", "output", "learning"):
        held = sum(g.cores * g.neurons.get(population, 0) for g in placed.groups)
        assert held == (wanted.population(population).units if wanted.has(population) else 0)
    most = dict(zip(PER_CORE, (neurons, axons, memory), strict=False))
    assert list(most) == ["topology.neurons_per_core", "topology.axons_in_per_core", "memory.synapse_per_core"]
    for g in placed.groups:
        if sum(g.neurons.values()) > 1:  # one neuron alone may ask too much: then the limit says so
            assert all(g.used[limit] <= value for limit, value in most.items())
    for limit in most:
        assert placed.asked(limit) == max(used(placed, limit))
    assert placed.asked("topology.cores") == placed.cores


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.sampled_from(["gaussian", "block", "sparse"]))
@settings(max_examples=30)
def test_synapses_of_one_core_are_counted_one_by_one(n_rec, n_in, n_out, kind):
    density = 0.3 if kind == "sparse" else None
    wanted = demand(n_rec, n_in, n_out, nl.RFLO(storage="dense", feedback="random"), kind, density)
    placed = place(wanted, LOIHI)
    (group,) = placed.groups
    expected = axons = 0
    units = {p.name: p.units for p in wanted.populations}
    index = max((sum(group.neurons.values()) - 1).bit_length(), 6)  # Loihi has indices of 6 to 12 bits
    for c in wanted.connections:
        # Synapses are dealt out to senders as evenly as they go, which is what is known of a sparse connection.
        deal = [0] * (units[c.pre] if c.dense else min(units[c.pre], units[c.post] * c.fan_in))
        for s in range(units[c.post] * c.fan_in):
            deal[s % len(deal)] += 1
        axons += len(deal)
        expected += sum(blocks(k, 8 + 9 * c.plastic + (0 if c.dense else index)) for k in deal)
    assert group.used["memory.synapse_per_core"] == -(-expected // 8)
    assert group.used["topology.axons_in_per_core"] == axons


def test_a_neuron_that_is_too_large_is_placed_and_its_limit_named():
    placed = place(demand(20), own(memory__synapse_per_core=3, topology__neurons_per_core=100))
    assert placed.asked("memory.synapse_per_core") > 3
    assert all(sum(g.neurons.values()) == 1 for g in placed.groups)


def test_many_cores_are_counted_without_being_listed():
    placed = place(demand(300, kind="block"), own(topology__neurons_per_core=1))
    assert placed.cores == 300 + 2 + 2 and len(placed.groups) < 10


def test_loihis_4096_axons():
    """With 13 inputs, 4083 units that all reach the learning units fill their core's axons; one more does not fit."""
    for n_rec, asked in ((4083, 4096), (4084, 4097)):
        placed = place(demand(n_rec, n_in=13, kind="block"), LOIHI)
        assert placed.asked("topology.axons_in_per_core") == asked
        assert placed.asked("topology.neurons_per_core") <= 1024


def test_edges_that_leave_a_core():
    """Two cores of four units each: every unit reaches both of them, and the core with outputs and learning units."""
    placed = place(demand(8, n_in=1, n_out=1), own(topology__neurons_per_core=4))
    assert [dict(g.neurons) for g in placed.groups] == [{"recurrent": 4}, {"output": 1, "learning": 1}]
    assert [g.cores for g in placed.groups] == [2, 1]
    first, second = placed.groups
    assert first.used["topology.axons_out_per_core"] == 4 * (2 + 1 + 1)  # recurrent, read-out, factor
    assert second.used["topology.axons_out_per_core"] == 2  # coupling to two cores


def test_transposed_weights_are_stored_again():
    symmetric = place(demand(6, rule=nl.RFLO(storage="dense", feedback="symmetric")), LOIHI)
    random = place(demand(6, rule=nl.RFLO(storage="dense", feedback="random")), LOIHI)
    assert symmetric.asked("memory.synapse_per_core") == random.asked("memory.synapse_per_core")
    assert symmetric.notes and not random.notes


def test_shared_exponents():
    assert place(demand(), LOIHI).exponents["recurrent"] == -6


# --- the other ways


def test_reckon_is_filled_by_256_units():
    dense = nl.RFLO(storage="dense", feedback="symmetric")
    placed = place(demand(256, 256, 16, dense), assume(load("reckon")))
    asked = {u.limit: u.asked for u in placed.uses}
    assert asked["memory.input_weights"] == asked["memory.recurrent_weights"] == 65536
    assert asked["memory.output_weights"] == 4096
    assert (asked["topology.inputs"], asked["topology.hidden"], asked["topology.outputs"]) == (256, 256, 16)
    assert place(demand(257, 256, 16, dense), assume(load("reckon"))).asked("memory.recurrent_weights") > 65536


def test_odin_takes_two_neurons_for_a_unit_of_both_signs():
    limits = assume(load("odin"))
    dense = nl.RFLO(storage="dense")
    placed = place(demand(100, 20, 2, dense, weight="s1.1"), limits)
    # Outputs send the error back, so they too are two neurons.
    assert placed.asked("topology.neurons_per_core") == 2 * 102
    assert placed.asked("topology.axons_in_per_core") == 2 * (100 + 20 + 2)
    assert placed.asked("topology.cores") == 1
    assert place(demand(130, 20, 2, dense, weight="s1.1"), limits).asked("topology.cores") > 1


def test_truenorth_takes_an_axon_a_bit_and_splitters():
    placed = place(demand(20, 4, 2, weight="s1.1"), assume(load("truenorth")))
    (core, splitters) = placed.groups
    assert core.used["topology.axons_in_per_core"] == 3 * (20 + 4 + 2)  # units, inputs, learning units
    assert dict(splitters.neurons) == {"splitter": 3 * 22 - 22}


def test_brainscales_merges_circuits():
    placed = place(demand(150, 10, 2, nl.RFLO(storage="dense"), weight="s1.4"), assume(load("brainscales2")))
    # 150 + 10 + 2 sources in two rows each: 324 rows are two circuits; an output hears 300.
    assert placed.asked("topology.neurons") == 2 * 150 + 2 * 2
    assert placed.asked("topology.cores") == 2 and placed.asked("topology.neurons_per_core") == 256


def test_xylo_counts_recurrent_fans():
    placed = place(demand(40, 10, 2, nl.RFLO(storage="dense")), assume(load("xylo_audio2")))
    assert placed.asked("topology.fan_in") == 40
    assert placed.asked("topology.recurrent_synapses") == 1600
    assert placed.asked("topology.hidden") == 40


def test_a_processor_holds_numbers_in_widths_it_has():
    wanted = demand(10, 3, 2, nl.RFLO(storage="dense"))
    placed = place(wanted, assume(load("cortex_m4"), ["memory.chip=100000"]))
    bits = sum(v.words * container_bits(v.number.bits) for v in wanted.variables)
    assert placed.asked("memory.chip") == -(-bits // 8)


def test_spinnaker_splits_neurons_and_keeps_synapses_outside():
    placed = place(demand(300, 3, 2, nl.RFLO(storage="dense", feedback="random")), assume(load("spinnaker1")))
    assert placed.asked("topology.cores") == 2 and placed.asked("topology.neurons_per_core") == 256
    synapses = 300 * 300 + 3 * 300 + 2 * 300 + 2 * 300
    assert placed.asked("memory.chip") == synapses * 4  # 16 bits and an index of 8 in a word of 32


@pytest.mark.parametrize("kind", ["gaussian", "block", "sparse"])
def test_block_and_sparse_networks_ask_for_less(kind):
    density = 0.2 if kind == "sparse" else None
    asked = place(demand(64, kind=kind, density=density), LOIHI).asked("memory.synapse_per_core")
    full = place(demand(64), LOIHI).asked("memory.synapse_per_core")
    assert asked == full if kind == "gaussian" else asked < full
