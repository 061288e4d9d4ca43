"""RFLO in spiking networks: Brian2, the twin and the kernels."""

from __future__ import annotations

import numpy as np
import pytest

import neurolrnn as nl
from neurolrnn.spiking import Learning, Plan, example_input, from_brian2, run_twin, twin
from neurolrnn.spiking.brian import Brian2Network

RULES = {
    "dense": nl.RFLO(storage="dense"),
    "factored": nl.RFLO(storage="factored"),
    "symmetric": nl.RFLO(storage="dense", feedback="symmetric"),
    "decay": nl.RFLO(storage="factored", decay=0.5),
}
MODES = {
    "graded": {"mode": "graded"},
    "sigma-delta": {"q": 0.2},
    "leaky": {"q": 0.1, "receivers": "leaky"},
    "residual": {"q": 0.1, "payload": "residual"},
    "pair": {"mode": "lif-pair", "q": 0.2, "micro_steps": 4},
}
RATES = {"A": 0.03, "W": 0.01, "B": 0.005}
SLOW = {"A": 0.003, "W": 0.0003, "B": 0.0003}


def network(n: int = 12, seed: int = 0) -> nl.Network:
    return nl.Network.random(2, n, 3, leak=0.1, spectral_radius=0.9, output_scale=0.1, seed=seed)


def lesson(steps: int, seed: int = 0, lengths: tuple[int, ...] | None = None) -> nl.Sequences:
    """What a teacher of 16 units makes of slow noise, in one or several sequences, some steps without an error."""
    teacher = nl.Network.random(2, 16, 3, leak=0.1, spectral_radius=0.9, output_scale=1.0, seed=99)
    x = example_input(teacher, steps, seed)
    y = twin(teacher, x, "graded").y
    if lengths is None:
        return nl.Sequences.from_arrays(x, y)
    cuts = np.cumsum(lengths)[:-1]
    mask = np.ones(steps)
    mask[::7] = 0.0
    mask[3] = 0.5
    return nl.Sequences.from_arrays(np.split(x, cuts), np.split(y, cuts), mask=np.split(mask, cuts))


def kernel(net: nl.Network, data: nl.Sequences, rule: nl.RFLO, rates: dict[str, float], seed: int) -> nl.Run:
    return nl.simulate(
        net, nl.Task("lesson", data), rule, precision=nl.Precision.float64(), learning_rate=rates, shuffle=False,
        seed=seed, progress=False,
    )  # fmt: skip


def largest(a: nl.Network, b: nl.Network) -> float:
    return max(float(np.abs(getattr(a, g) - getattr(b, g)).max()) for g in "AWB")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_graded_learning_is_the_kernels(rule, seed):
    net, data = network(seed=seed), lesson(80, seed, (30, 50))
    run = kernel(net, data, rule, RATES, seed)
    plan = Plan(net, "graded", learning=Learning(rule, RATES, seed))
    for found in (run_twin(plan, data), Brian2Network(plan, data).run()):
        assert largest(found.network, run.network) < 1e-12
    assert largest(net, run.network) > 0.01


@pytest.mark.parametrize("options", MODES.values(), ids=MODES)
@pytest.mark.parametrize("rule", [RULES["dense"], RULES["factored"]], ids=["dense", "factored"])
def test_learning_in_brian2_is_the_twins(rule, options):
    net, data = network(), lesson(60, 0, (25, 35))
    plan = Plan(net, learning=Learning(rule, RATES), **options)
    sim = Brian2Network(plan, data)
    ours, theirs = run_twin(plan, data), sim.run()
    assert largest(ours.micro_weights, theirs.micro_weights) == 0.0
    assert np.array_equal(ours.y, theirs.y)
    if ours.events is not None:
        assert all(np.array_equal(a, b) for a, b in zip(ours.events, theirs.events, strict=True))
    assert largest(from_brian2(sim), ours.network) == 0.0
    assert largest(ours.network, net) > 0.005


def test_symmetric_feedback_in_brian2_is_the_twins():
    net, data = network(), lesson(60, 0, (25, 35))
    plan = Plan(net, q=0.2, learning=Learning(RULES["symmetric"], RATES))
    assert largest(run_twin(plan, data).network, Brian2Network(plan, data).run().network) == 0.0


@pytest.mark.parametrize("storage", ["dense", "factored"])
def test_what_receivers_hold_stays_what_their_weights_say(storage):
    """With the correction, y = A ĥ holds with the newest A at the next step too, or y could not follow."""
    net, data = network(), lesson(300)
    plan = Plan(net, q=0.3, learning=Learning(nl.RFLO(storage=storage), {"A": 0.03, "W": 0.0, "B": 0.0}))
    found = run_twin(plan, data)
    # The last output was read before the last update: undo that update in A.
    error = found.y[-1] - data.targets[-1]
    A = found.network.A + 0.03 * np.outer(error, found.hat[-1])
    assert np.abs(A @ found.hat[-1] - found.y[-1]).max() < 1e-10


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("storage", ["dense", "factored"])
def test_20_000_steps_reach_what_the_kernel_reaches(storage, seed):
    net, data = network(64, seed), lesson(20_000, seed)
    late = slice(10_000, None)
    spread = data.targets[late].var(axis=0).sum()

    def nmse(**options) -> float:
        found = run_twin(Plan(net, learning=Learning(nl.RFLO(storage=storage), SLOW, seed), **options), data, ("y",))
        assert not found.diverged
        return float(((found.y[late] - data.targets[late]) ** 2).sum(axis=1).mean() / spread)

    graded = nmse(mode="graded")
    assert graded < 0.01
    assert nmse(q=0.1) < 3.0 * graded
    assert nmse(q=0.1, receivers="leaky") < 3.0 * graded
    assert nmse(q=0.1, mode="lif-pair", micro_steps=10) < 3.0 * graded


def test_without_the_correction_standing_receivers_diverge():
    net, data = network(64), lesson(2000)
    plan = Plan(net, q=0.1, learning=Learning(nl.RFLO(), SLOW, correction="none"))
    found = run_twin(plan, data)
    assert found.diverged and found.steps < 1000
    assert np.isfinite(found.network.W).all()


def test_brian2_that_diverges_says_so():
    net, data = network(), lesson(60)
    found = Brian2Network(Plan(net, q=0.2, learning=Learning(nl.RFLO(), 1e80)), data).run()
    assert found.diverged and found.network.W is not None
    assert largest(found.network, net) == 0.0


@pytest.mark.slow
def test_20_000_steps_in_brian2():
    net, data = network(64), lesson(20_000)
    plan = Plan(net, q=0.1, learning=Learning(nl.RFLO(), SLOW))
    ours, theirs = run_twin(plan, data, ("y",)), Brian2Network(plan, data, ("y",)).run()
    assert np.array_equal(ours.y, theirs.y)
    assert largest(ours.network, theirs.network) == 0.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rule": nl.EProp()}, "RFLO"),
        ({"correction": "some"}, "exact, none"),
        ({"learning_rate": -1.0}, "at least 0"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(nl.InputError, match=words):
        Learning(**options)


def test_learning_needs_targets_and_real_numbers():
    net = network()
    with pytest.raises(nl.InputError, match="needs targets"):
        run_twin(Plan(net, learning=Learning()), np.zeros((3, 2)))
    with pytest.raises(nl.InputError, match="leave precision out"):
        Plan(net, learning=Learning(), precision=nl.Precision.preset("int16"))
