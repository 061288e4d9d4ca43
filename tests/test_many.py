"""Learners side by side are the learners one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl


def task_of(seed: int, lengths: tuple[int, ...] = (7, 30, 12)) -> nl.Task:
    rng = np.random.default_rng(seed)
    x, y = ([rng.normal(size=(T, 2)) for T in lengths] for _ in range(2))
    masks = [(rng.random(T) < 0.8).astype(float) for T in lengths]
    masks[0][0] = 1.0
    return nl.Task("own", nl.Sequences.from_arrays(x, y, mask=masks))


def alone(net: nl.Network, task: nl.Task, rule: nl.Rule, rate: Any, seed: int, **options: Any) -> nl.Run:
    try:
        return nl.simulate(net, task, rule, learning_rate=rate, seed=seed, progress=False, **options)
    except nl.Divergence as divergence:
        return divergence.run


def same(a: nl.Run, b: nl.Run) -> None:
    assert (a.status, a.message, a.digest, a.position) == (b.status, b.message, b.digest, b.position)
    assert a.metrics == b.metrics and a.warnings == b.warnings
    for name in "AWB":
        np.testing.assert_array_equal(getattr(a.network, name), getattr(b.network, name))
    assert list(a.records) == list(b.records)
    for name, curve in a.records.items():
        np.testing.assert_array_equal(curve, b.records[name])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 20), count=st.integers(1, 6),
    kind=st.sampled_from(["gaussian", "orthogonal", "block"]), basis=st.sampled_from(["auto", "schur", "given"]),
    preset=st.sampled_from(["float32", "float64"]), clamp=st.sampled_from([None, 0.3]),
    learn=st.sampled_from([("A", "W", "B"), ("W",), ("A", "B")]), shuffle=st.booleans(),
)  # fmt: skip
def test_each_run_is_the_one_alone(
    seed: int, n: int, count: int, kind: Any, basis: Any, preset: str, clamp: float | None, learn: Any, shuffle: bool
) -> None:
    if clamp is not None and basis == "schur":
        basis = "auto"
    net = nl.Network.random(2, n, 2, leak=0.4, kind=kind, seed=seed, spectral_radius=0.6, input_scale=0.3)
    task, rule = task_of(seed), nl.RFLO(basis=basis)
    rates = [{"A": 0.01 * k, "W": 0.02, "B": 0.01} for k in range(1, count + 1)]
    seeds = [seed + 7 * k for k in range(count)]
    options: dict[str, Any] = dict(clamp=clamp, learn=learn, shuffle=shuffle, epochs=2, records=4)
    precision = nl.Precision.preset(preset)
    runs = nl.simulate_many(net, task, rule, seeds, precision, rates, progress=False, **options)
    assert len(runs) == count
    for run, rate, s in zip(runs, rates, seeds, strict=True):
        same(run, alone(net, task, rule, rate, s, precision=precision, **options))


def test_one_that_diverges_does_not_disturb_the_others() -> None:
    net, task = nl.Network.random(2, 9, 2, seed=1, spectral_radius=0.6), task_of(0, (200, 100))
    rates = [0.001, 3.0, 0.002]
    runs = nl.simulate_many(net, task, nl.RFLO(), [4, 5, 6], learning_rate=rates, progress=False, records=7)
    assert [run.status for run in runs] == ["completed", "diverged", "completed"]
    for run, rate, seed in zip(runs, rates, [4, 5, 6], strict=True):
        same(run, alone(net, task, nl.RFLO(), rate, seed, records=7))


def test_training_may_be_given_whole() -> None:
    net, task = nl.Network.random(2, 5, 2, seed=1, spectral_radius=0.6), task_of(0)
    training = nl.Training(learning_rate=9.0, epochs=3, records=2)
    (run,) = nl.simulate_many(net, task, nl.RFLO(), [3], learning_rate=0.01, training=training, progress=False)
    same(run, alone(net, task, nl.RFLO(), 0.01, 3, epochs=3, records=2))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(rule=nl.EProp()), "factored"),
        (dict(rule=nl.RFLO(storage="dense")), "factored"),
        (dict(precision=nl.Precision.preset("int16")), "float32"),
        (dict(update="episode"), "online"),
        (dict(momentum=0.5), "momentum"),
        (dict(batch=2), "batch"),
        (dict(seeds=[]), "empty"),
        (dict(learning_rate=[0.1, 0.2, 0.3]), "3 learning rates and 2 seeds"),
    ],
)
def test_refusals(change: dict[str, Any], words: str) -> None:
    net, task = nl.Network.random(2, 5, 2), task_of(0)
    arguments: dict[str, Any] = {"rule": nl.RFLO(), "seeds": [1, 2], **change}
    with pytest.raises(nl.InputError, match=words):
        nl.simulate_many(net, task, progress=False, **arguments)
