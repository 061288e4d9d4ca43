"""Spiking networks: Brian2, its compiled twin, the kernels, and a naive oracle agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn.spiking import example_input, run_twin, to_brian2, twin
from neurolrnn.spiking.plan import Plan

INT16 = nl.Precision.preset("int16")
SPIKING = {
    "rounded": {"q": 0.2},
    "leaky": {"q": 0.1, "receivers": "leaky"},
    "unit": {"q": 0.3, "payload": "unit"},
    "residual": {"q": 0.1, "payload": "residual"},
    "pair": {"mode": "lif-pair", "q": 0.2, "micro_steps": 5},
    "pair-to-value": {"mode": "lif-pair", "q": 0.2, "micro_steps": 8, "reset": "to-value"},
    "int-rounded": {"q": 0.2, "precision": INT16},
    "int-unit": {"q": 0.3, "payload": "unit", "precision": INT16},
    "int-pair": {"mode": "lif-pair", "q": 0.2, "micro_steps": 5, "precision": INT16},
    "int-pair-to-value": {
        "mode": "lif-pair", "q": 0.2, "micro_steps": 8, "reset": "to-value", "precision": INT16,
    },
}  # fmt: skip


def network(n: int = 16, leak: float = 0.1, seed: int = 0, **options) -> nl.Network:
    return nl.Network.random(2, n, 3, leak=leak, spectral_radius=0.9, output_scale=1.0, seed=seed, **options)


def sequences(net: nl.Network, lengths=(30, 11, 24), seed: int = 0) -> nl.Sequences:
    x = np.split(example_input(net, sum(lengths), seed), np.cumsum(lengths)[:-1])
    return nl.Sequences.from_arrays(x, [np.zeros((len(part), net.n_out)) for part in x])


def kernel_outputs(net: nl.Network, x, precision: nl.Precision):
    """Outputs of the project's own kernels, of the network at rest."""
    data = nl.Sequences.from_arrays(x, np.zeros((len(x), net.n_out)))
    from neurolrnn.engine import Engine
    from neurolrnn.fixed_grid import Setting
    from neurolrnn.number_system import make_numbers
    from neurolrnn.schedule import Schedule

    rule, training = nl.RFLO(storage="dense"), nl.Training(learning_rate=0.0)
    R = np.zeros((net.n_out, net.n_rec))
    numbers = make_numbers(precision, Setting(net, rule, training, R, "squared-error", lanes=1, longest=len(x), seed=0))
    engine = Engine(
        net, rule, training, numbers, feedback=R, data=data, weights=data.mask, loss="squared-error", longest=len(x)
    )
    return engine.evaluate(data, Schedule(data).epoch(0))[0]


def assert_same(a, b) -> None:
    for name in ("h", "hat", "y"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    for name, array in a.codes.items():
        assert np.array_equal(array, b.codes[name])
    assert np.array_equal(a.counts, b.counts)
    if a.events is not None:
        for ours, theirs in zip(a.events, b.events, strict=True):
            assert np.array_equal(ours, theirs)


# --- graded is the network


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("leak", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("n", [16, 64, pytest.param(256, marks=pytest.mark.slow)])
def test_graded_is_the_kernel(n, leak, seed):
    net = network(n, leak, seed)
    x = example_input(net, 100, seed)
    expected = kernel_outputs(net, x, nl.Precision.float64())
    for found in (to_brian2(net, "graded", x).run(), twin(net, x, "graded")):
        assert np.abs(found.y - expected).max() < 1e-12 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("rounding", ["floor", "nearest", "nearest-even", "toward-zero"])
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_graded_integers_are_the_kernels_bits(rounding, overflow):
    # Formats so narrow that states overflow too.
    precision = nl.Precision(
        weight="s2.5", A="s3.4", state="s1.6", current="s2.4", input="s2.5", readout="s2.5", decay_bits=8,
        rounding=rounding, overflow=overflow,
    )  # fmt: skip
    net = network(8, 0.4).replace(B=3.0 * network(8, 0.4).B)
    x = example_input(net, 60)
    expected = kernel_outputs(net, x, precision)
    ours = twin(net, x, "graded", precision=precision)
    assert np.array_equal(ours.y, expected)
    assert_same(ours, to_brian2(net, "graded", x, precision=precision).run())


# --- the twin is Brian2, event for event


@pytest.mark.parametrize("options", SPIKING.values(), ids=SPIKING)
def test_twin_is_brian2(options):
    net = network()
    plan = Plan(net, **options)
    data = sequences(net)
    from neurolrnn.spiking.brian import Brian2Network

    ours, theirs = run_twin(plan, data), Brian2Network(plan, data).run()
    assert ours.counts.sum() > 50
    assert_same(ours, theirs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [SPIKING["rounded"], SPIKING["pair"]], ids=["rounded", "pair"])
def test_twin_is_brian2_for_other_seeds(options, seed):
    net = network(24, 0.3, seed)
    x = example_input(net, 60, seed)
    options = dict(options)
    mode = options.pop("mode", "sigma-delta")
    assert_same(twin(net, x, mode, **options), to_brian2(net, mode, x, **options).run())


@pytest.mark.parametrize("mode", ["sigma-delta", "lif-pair"])
def test_sparse_network(mode):
    net = network(20, 0.2, kind="sparse", density=0.2)
    x = example_input(net, 50)
    options = {"q": 0.2, "micro_steps": 1}
    sim = to_brian2(net, mode, x, **options)
    assert len(sim.objects["recurrent_weights"]) == np.count_nonzero(net.W)
    assert_same(twin(net, x, mode, **options), sim.run())


# --- a naive oracle, from the equations alone


def naive_sigma_delta(net, x, q):
    """Return h, ĥ, y and messages; receivers multiply by the whole W at every step."""
    h, hat = np.zeros(net.n_rec), np.zeros(net.n_rec)
    rows = []
    for step in x:
        h = (1 - net.leak) * h + net.leak * (net.W @ hat + net.B @ step)
        m = np.array([math.floor(v / q + 0.5) for v in h - hat])
        hat = hat + q * m
        rows.append((h, hat, net.A @ hat, m))
    return [np.array(part) for part in zip(*rows, strict=True)]


def test_sigma_delta_is_what_the_equations_say():
    net = network(12, 0.3)
    x = example_input(net, 80)
    h, hat, y, m = naive_sigma_delta(net, x, 0.2)
    found = twin(net, x, q=0.2)
    assert np.abs(found.h - h).max() < 1e-12
    assert np.abs(found.hat - hat).max() < 1e-12
    assert np.abs(found.y - y).max() < 1e-12
    table = np.zeros_like(m)
    table[found.events.step, found.events.unit] = found.events.value
    assert np.array_equal(table, m)


def test_a_lif_pair_is_sigma_delta_with_unit_payload_and_leaky_receivers():
    net, k = network(16, 0.2), 10
    x = example_input(net, 80)
    pair = twin(net, x, "lif-pair", q=0.2, micro_steps=k)
    sigma = twin(net, x, "sigma-delta", q=0.2, micro_steps=k, payload="unit", receivers="leaky")
    for ours, theirs in zip(pair.events, sigma.events, strict=True):
        assert np.array_equal(ours, theirs)
    assert np.abs(pair.hat - sigma.hat).max() < 1e-12


@pytest.mark.parametrize("reset", ["subtract", "to-value"])
def test_a_pair_is_two_plain_lif_neurons(reset):
    """Each neuron on its own: leaks, integrates, fires at q/2, resets itself, and is kicked by its partner's spike."""
    net, q, k = network(6, 0.2), 0.2, 6
    micro = nl.spiking.micro_network(net, k)
    keep, gain, theta = 1 - micro.leak, micro.leak, q / 2
    x = np.repeat(example_input(net, 50), k, axis=0)
    n = net.n_rec
    v, current = np.zeros((2, n)), np.zeros((2, n))
    W = np.block([[micro.W, -micro.W], [-micro.W, micro.W]])  # four synapses for each weight
    spikes = []
    for step in x:
        drive = micro.B @ step
        v = keep * v + gain * (current + np.array([drive, -drive]))
        fired = v >= theta
        arrived = (W @ fired.ravel().astype(float)).reshape(2, n) * q
        v_new = np.where(fired, -0.49 * q if reset == "to-value" else v - q, v)
        v = v_new + fired[::-1] * (q if reset == "subtract" else theta + 0.49 * q)
        current = keep * current + arrived
        spikes.append(fired[0].astype(int) - fired[1].astype(int))
    found = twin(net, x[::k], "lif-pair", q=q, micro_steps=k, reset=reset)
    table = np.zeros((len(x), n), int)
    table[found.events.step, found.events.unit] = found.events.value
    assert np.abs(table).sum() > 50
    assert np.array_equal(table, np.array(spikes))


# --- what always holds


@settings(max_examples=25)
@given(
    q=st.floats(0.01, 3.0), leak=st.floats(0.05, 1.0), seed=st.integers(0, 1000), scale=st.floats(0.1, 20.0),
    leaky=st.booleans(),
)  # fmt: skip
def test_receivers_are_never_further_than_half_a_quantum(q, leak, seed, scale, leaky):
    net = network(10, leak, seed)
    x = scale * np.random.default_rng(seed).normal(size=(40, 2))
    leaky = leaky and leak < 1.0
    found = twin(net, x, q=q, receivers="leaky" if leaky else "standing")
    size = max(1.0, np.abs(found.h).max())
    assert np.abs(found.h - found.hat).max() <= q / 2 + 1e-9 * size
    assert found.events_per_step <= 1.0


@settings(max_examples=15)
@given(quantum=st.integers(1, 500), seed=st.integers(0, 1000))
def test_receivers_are_never_further_than_half_a_quantum_in_integers(quantum, seed):
    net = network(8, 0.3, seed)
    x = np.random.default_rng(seed).normal(size=(40, 2))
    found = twin(net, x, q=quantum * 2.0**-11, precision=INT16)
    assert found.plan.quantum == quantum
    gap = found.codes["h"] - found.codes["hat"]
    assert (2 * gap < quantum).all() and (2 * gap >= -quantum).all()
    assert (found.codes["hat"] % quantum == 0).all()


@pytest.mark.parametrize("steps", [2, 5])
@pytest.mark.parametrize("decay", [None, 0.8])
def test_micro_steps_end_where_the_network_does(steps, decay):
    net = network(12, 0.3)
    x = example_input(net, 40)
    micro = nl.spiking.micro_network(net, steps, decay)
    expected = twin(net, x, "graded").h
    found = twin(micro, np.repeat(x, steps, axis=0), "graded").h[steps - 1 :: steps]
    assert np.abs(found - expected).max() < 1e-9
    back = nl.spiking.macro_network(micro, steps, net.leak)
    assert np.abs(back.W - net.W).max() < 1e-9 and np.abs(back.B - net.B).max() < 1e-9


def test_finer_quanta_come_nearer_in_every_mode():
    net = network(32)
    x = example_input(net, 300)
    exact = twin(net, x, "graded").y
    for options in ({}, {"payload": "residual"}, {"mode": "lif-pair", "micro_steps": 20}):
        errors = [np.abs(twin(net, x, **{"q": q, **options}).y - exact).mean() for q in (0.4, 0.1)]
        assert errors[1] < 0.5 * errors[0]


def test_pod_directions_are_fewer_units_for_the_same_output():
    # States of a network with one slow input stay near a few directions.
    net = nl.Network.random(1, 40, 2, leak=0.1, spectral_radius=0.5, output_scale=1.0)
    x = example_input(net, 400)
    exact = twin(net, x, "graded")
    small, V = nl.spiking.pod_network(net, exact.h, 6)
    assert np.allclose(V.T @ V, np.eye(6))
    reduced = twin(small, x, "graded")
    assert np.abs(reduced.y - exact.y).max() < 0.01 * np.abs(exact.y).max()
    spikes = twin(small, x, q=0.05)
    assert np.sqrt(np.mean((spikes.y - exact.y) ** 2)) < 0.1 * exact.y.std()
    with pytest.raises(nl.InputError, match="at most 40 directions"):
        nl.spiking.pod_network(net, exact.h, 41)


# --- refusals


@pytest.mark.parametrize(
    ("mode", "options", "words"),
    [
        ("spike", {}, "allowed: graded, sigma-delta, lif-pair"),
        ("sigma-delta", {"q": 0.0}, "above 0"),
        ("sigma-delta", {"quantum": 0.1}, "option = 'quantum' is not known"),
        ("sigma-delta", {"reset": "to-value"}, "lif-pair"),
        ("graded", {"payload": "unit"}, "sigma-delta"),
        ("graded", {"receivers": "leaky"}, "spiking modes"),
        ("sigma-delta", {"payload": "residual", "precision": INT16}, "real number"),
        ("sigma-delta", {"precision": nl.Precision.float32()}, "fixed-point formats"),
        ("sigma-delta", {"precision": nl.Precision.preset("int16", rounding="stochastic")}, "by chance"),
        ("sigma-delta", {"precision": nl.Precision.preset("int16", accumulator="s24 wrap")}, "add exactly"),
        ("sigma-delta", {"micro_steps": 0}, "at least 1"),
        ("lif-pair", {"reset_value": 0.7}, "below 0.5"),
    ],
)
def test_choices_that_have_no_meaning(mode, options, words):
    net = network()
    with pytest.raises(nl.InputError, match=words):
        to_brian2(net, mode, example_input(net, 3), **options)


def test_plain_linear_networks_have_no_leaky_membrane():
    net = network(8, 1.0)
    with pytest.raises(nl.InputError, match="no memory"):
        twin(net, example_input(net, 3), "lif-pair")
    with pytest.raises(nl.InputError, match="no real root"):
        twin(net, example_input(net, 3), "sigma-delta", micro_steps=2)


@pytest.mark.parametrize(
    ("data", "words"),
    [(None, "data is missing"), (np.zeros((4, 5)), "5 inputs"), (np.full((4, 2), np.nan), "not finite"),
     (np.zeros(4), "shape")],
)  # fmt: skip
def test_data_that_do_not_fit(data, words):
    with pytest.raises(nl.InputError, match=words):
        to_brian2(network(), "graded", data)


def test_what_was_not_recorded_is_said():
    net = network()
    found = twin(net, example_input(net, 5), record=("y",))
    assert found.h is None and found.events is None and found.y is not None
    with pytest.raises(nl.InputError, match="hat was not recorded"):
        found.need("hat")
