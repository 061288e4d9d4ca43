"""Errors and events of spiking networks, expected and found; what spiking costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn.spiking import activity, budget, design_q, example_input, fewest_micro_steps, measure, sweep, twin
from neurolrnn.spiking.budget import error_gains


def network(n: int = 32, leak: float = 0.1, seed: int = 0, radius: float = 0.9) -> nl.Network:
    return nl.Network.random(2, n, 3, leak=leak, spectral_radius=radius, output_scale=1.0, seed=seed)


def test_gains_are_those_of_the_sums_written_out():
    net = network(6, 0.5, radius=0.6)
    M, K = net.transition, net.leak * net.W
    worst, P = error_gains(net)
    total, covariance, power = np.zeros(6), np.zeros((6, 6)), np.eye(6)
    for _ in range(400):
        total += np.abs(power @ K).sum(axis=1)
        covariance += power @ K @ K.T @ power.T
        power = M @ power
    assert np.allclose(worst, total, rtol=1e-5)
    assert (worst >= total - 1e-12).all()
    assert np.allclose(P, covariance)
    # A sequence so long that it is the same as for ever, and one of two steps, where the second has K r.
    assert np.allclose(error_gains(net, np.array([20_000]))[1], P, rtol=2e-3)
    assert np.allclose(error_gains(net, np.array([2]))[1], K @ K.T / 2.0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["sigma-delta", "leaky"])
def test_rms_is_as_expected_at_small_quanta(mode, seed):
    net = network(64, seed=seed)
    x = example_input(net, 3000, seed)
    receivers = "leaky" if mode == "leaky" else "standing"
    for q in (0.02, 0.05, 0.1):
        found = budget(net, x, q=q, receivers=receivers)
        for name in ("rms_h", "rms_hat", "rms_y", "events"):
            assert found.measured[name] == pytest.approx(getattr(found, name), rel=0.15), name
        assert found.measured["worst_h"] <= found.worst_h
        assert found.measured["overload"] <= 0.5 + 1e-9
        assert not found.notes


@settings(max_examples=20)
@given(q=st.floats(0.02, 2.0), leak=st.floats(0.1, 1.0), seed=st.integers(0, 500), radius=st.floats(0.1, 0.9))
def test_the_worst_case_is_never_exceeded(q, leak, seed, radius):
    net = network(8, leak, seed, radius)
    x = 3.0 * np.random.default_rng(seed).normal(size=(60, 2))
    for horizon in ("forever", "sequences"):
        found = budget(net, x, q=q, horizon=horizon)
        assert found.measured["worst_h"] <= found.worst_h * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("target", [0.02, 0.04, 0.1])
def test_q_for_a_wanted_error(target):
    net = network(64)
    x = example_input(net, 3000)
    q = design_q(net, x, target)
    assert measure(net, x, q=q)["error"] == pytest.approx(target, rel=0.1)
    assert design_q(net, x, 2 * target) == pytest.approx(2 * q)
    assert design_q(net, x, target, of="hat") != q


def test_errors_of_short_sequences_in_a_network_that_grows():
    net = network(24, 0.3, radius=1.15)
    assert net.spectral_radius() > 1.0
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(T, 2)) for T in (12, 20, 7) * 60]
    data = nl.Sequences.from_arrays(x, [np.zeros((len(part), 3)) for part in x])
    with pytest.raises(nl.InputError, match=r"1\.\d+: errors do not fade.*horizon = 'sequences'"):
        budget(net, data, q=0.05)
    found = budget(net, data, q=0.05, horizon="sequences")
    assert found.measured["rms_y"] == pytest.approx(found.rms_y, rel=0.15)
    assert found.measured["rms_h"] == pytest.approx(found.rms_h, rel=0.15)
    q = design_q(net, data, 0.05, horizon="sequences")
    assert measure(net, data, q=q)["error"] == pytest.approx(0.05, rel=0.1)


def test_it_says_where_it_does_not_apply():
    net = network()
    x = example_input(net, 300)
    assert any("not white" in note for note in budget(net, x, q=1.0).notes)
    overloaded = budget(net, 5 * x, q=0.02, payload="unit")
    assert any("worst case does not hold" in note for note in overloaded.notes)
    assert "expected" in str(overloaded) and "measured" in overloaded.options()
    for options, words in (
        ({"mode": "graded"}, "no quantum"),
        ({"payload": "residual"}, "no budget"),
        ({"mode": "lif-pair", "reset": "to-value"}, "no budget"),
        ({"precision": nl.Precision.preset("int16")}, "real states"),
        ({"horizon": "soon"}, "forever, sequences"),
    ):
        with pytest.raises(nl.InputError, match=words):
            budget(net, x, **options)
    with pytest.raises(nl.InputError, match="0 on the calibration input"):
        design_q(net, 0 * x, 0.1)
    with pytest.raises(nl.InputError, match="above 0"):
        design_q(net, x, 0.0)


def test_pairs_get_the_micro_steps_they_need():
    net = network()
    x = example_input(net, 200)
    k = fewest_micro_steps(net, x, 0.2)
    assert measure(net, x, "lif-pair", q=0.2, micro_steps=k)["overload"] <= 0.5 + 1e-9
    assert fewest_micro_steps(net, x, 0.05) > k
    with pytest.raises(nl.InputError, match="take a larger q"):
        fewest_micro_steps(net, 1000 * x, 0.001)


# --- what it costs


def test_activity_counts_what_events_cause():
    net = network(10)
    net = net.replace(W=np.where(np.abs(net.W) > 0.15, net.W, 0.0))
    x = example_input(net, 50)
    found = twin(net, x, q=0.2)
    operations = 0
    for unit in found.events.unit:
        operations += np.count_nonzero(net.W[:, unit]) + np.count_nonzero(net.A[:, unit])
    work = activity(found)
    assert work.synaptic_operations == pytest.approx(operations / 50)
    assert work.messages == pytest.approx(len(found.events.unit) / 50)
    assert work.events_per_unit == pytest.approx(len(found.events.unit) / 500)
    assert work.synapses == np.count_nonzero(net.W) + np.count_nonzero(net.A)
    assert work.saving > 1.0
    graded = activity(twin(net, x, "graded"))
    assert graded.saving == 1.0 and graded.events_per_unit == 1.0
    pair = activity(twin(net, x, "lif-pair", q=0.2, micro_steps=4))
    assert pair.synapses == 4 * 100 + 2 * 30  # the root of a sparse transition is not sparse
    assert pair.state_updates == 10 * 4 * 2
    assert "synaptic operations" in str(pair)


@pytest.mark.parametrize("chip", ["loihi1", "spinnaker1"])
def test_energy_is_events_times_the_figures_of_the_sheet(chip):
    net = network(10)
    x = example_input(net, 50)
    few, many = (activity(twin(net, x, q=q)) for q in (0.4, 0.05))
    costs = [nl.spiking.energy(work, chip) for work in (few, many)]
    assert costs[0].energy_pj[0] < costs[1].energy_pj[0]
    for work, cost in zip((few, many), costs, strict=True):
        item = cost.items[0]
        assert item.count == (work.synaptic_operations + work.input_operations,) * 2
        assert item.energy_pj is None or item.energy_pj[0] <= item.energy_pj[1]
    assert "energy a step" in costs[0].text()


def test_sweep_is_measure_row_by_row():
    net = network(12)
    data = nl.tasks.load("periodic", period=20, frequencies=[1.0, 2.0], amplitudes=[1.0, 0.5])
    net = nl.Network.random(data.n_in, 12, data.n_out, leak=0.2, spectral_radius=0.8)
    settings = [{"mode": "graded"}, {"q": 0.1}, {"q": 0.4}]
    rows = sweep(net, data, settings)
    assert [row.get("q") for row in rows] == [None, 0.1, 0.4]
    assert rows[0]["error"] == 0.0 and rows[1]["error"] < rows[2]["error"]
    assert rows[1] == {"q": 0.1, **measure(net, data, q=0.1)}
    assert "nmse" in rows[0]
