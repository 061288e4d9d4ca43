"""Learning on existing synapses only, beside dense learners whose updates are masked: in real numbers and in codes."""

from __future__ import annotations

from typing import Any

import fixed_cases
import numpy as np
import oracle
import pytest
from conftest import python_process
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn.errors import InputError
from neurolrnn.sparse_matrix import SparseMatrix

RULES: dict[str, nl.Rule] = {
    "rflo-dense": nl.RFLO(storage="dense"),
    "rflo-symmetric": nl.RFLO(storage="dense", feedback="symmetric", decay=0.3),
    "rflo-factored": nl.RFLO(),
    "tbptt1": nl.TruncatedBPTT(1),
    "tbptt4": nl.TruncatedBPTT(4, feedback="random"),
    "eprop": nl.EProp(),
    "bptt": nl.BPTT(),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "online": {},
    "episode": {"update": "episode"},
    "momentum": {"momentum": 0.5},
    "clamp": {"clamp": 0.2},
    "batch": {"batch": 3},
    "batch-episode-clamp": {"batch": 2, "update": "episode", "clamp": 0.3},
    "reservoir": {"learn": ("A",)},
}
FIXED = ("rflo-dense", "rflo-factored", "tbptt", "eprop")
KINDS = [True, pytest.param(False, marks=pytest.mark.slow)]
"""Whether to keep to the kinds of storage that presets have; every kind is a compilation."""


def draw_case(seed: int, n: int, density: float) -> tuple[nl.Network, nl.Task, np.ndarray]:
    """A contracting network some of whose units may hear nobody, sequences of several lengths, and R."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, n))
    W *= 0.8 / np.linalg.norm(W, 2)
    sparse = SparseMatrix.from_dense(W, rng.random((n, n)) < density * rng.random((n, 1)) * 2)
    net = nl.Network.from_sparse(0.3 * rng.normal(size=(2, n)), sparse, 0.3 * rng.normal(size=(n, 3)), 0.6)
    lengths = (7, 1, 5, 4)
    masks = [rng.choice([0.0, 0.5, 1.0], size=T) for T in lengths]
    masks[0][0] = 1.0
    data = nl.Sequences.from_arrays(
        [rng.normal(size=(T, 3)) for T in lengths], [rng.normal(size=(T, 2)) for T in lengths], mask=masks
    )
    return net, nl.Task("own", data), 0.3 * rng.normal(size=(2, n))


def learn(
    net: nl.Network, task: nl.Task, rule: nl.Rule, R: np.ndarray, precision: Any = None, **options: Any
) -> nl.Run:
    """Run with R in the place of random feedback."""
    if rule.options().get("feedback") == "random":
        rule = type(rule)(**{**rule.options(), "feedback": R})
    precision = nl.Precision.float64() if precision is None else precision
    return nl.simulate(net, task, rule, precision, 0.02, epochs=2, shuffle=False, progress=False, **options)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", RULES)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), density=st.sampled_from((0.05, 0.2, 0.6, 1.0)))
def test_float_is_the_masked_dense_learner(name: str, setting: str, seed: int, n: int, density: float) -> None:
    rule, options = RULES[name], dict(SETTINGS[setting])
    if not rule.online:
        options["update"] = "episode"
    net, task, R = draw_case(seed, n, density)
    run = learn(net, task, rule, R, **options)
    assert net.sparse is not None
    sequences = [
        (task.train.inputs[a:b], task.train.targets[a:b], task.train.mask[a:b])
        for a, b in zip(task.train.starts[:-1], task.train.starts[1:], strict=True)
    ]
    clamp = options.pop("clamp", None)
    told = oracle.train(
        net.A, net.W, net.B, net.leak, rule, sequences, R=R, rates=0.02, epochs=2,
        clamp=None if clamp is None else dict.fromkeys("AWB", clamp), exists=net.sparse.mask.astype(float), **options,
    )  # fmt: skip
    for group in "AWB":
        mine, theirs = getattr(run.network, group), getattr(told, group)
        assert np.abs(mine - theirs).max() <= 1e-12 * max(1.0, float(np.abs(theirs).max()))
    learned = run.network.sparse
    assert learned is not None
    np.testing.assert_array_equal(learned.sources, net.sparse.sources)
    np.testing.assert_array_equal(learned.starts, net.sparse.starts)
    if name == "rflo-factored":
        np.testing.assert_array_equal(learned.values, net.sparse.values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [5, 16, 70])
def test_a_product_has_the_bits_of_a_dense_one_with_zeros(n: int, dtype: str) -> None:
    net, task, R = draw_case(n, n, 0.4)
    precision = nl.Precision.from_dict({"preset": dtype})
    for rule in (nl.RFLO(), nl.RFLO(basis="given"), nl.EProp()):
        for batch in (1, 3):
            options: dict[str, Any] = {
                "learn": ("A",) if isinstance(rule, nl.EProp) else ("A", "W", "B"),
                "batch": batch,
            }
            sparse = learn(net, task, rule, R, precision, **options)
            dense = learn(net.replace(W=net.W), task, rule, R, precision, **options)
            assert sparse.basis is not None and dense.basis is not None
            assert (sparse.basis["held_as"], dense.basis["held_as"]) == ("sparse", "dense")
            np.testing.assert_array_equal(sparse.loss, dense.loss)
            np.testing.assert_array_equal(sparse.network.A, dense.network.A)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", [name for name in RULES if name != "tbptt4"])
def test_with_all_synapses_it_is_the_dense_learner_bit_for_bit(name: str, setting: str) -> None:
    rule, options = RULES[name], dict(SETTINGS[setting])
    if not rule.online:
        options["update"] = "episode"
    for n in (6, 37):
        net, task, R = draw_case(n, n, 1.0)
        full = net.replace(W=SparseMatrix.from_dense(net.W, np.ones((n, n), bool)))
        sparse, dense = (learn(start, task, rule, R, **options) for start in (full, net.replace(W=net.W)))
        np.testing.assert_array_equal(sparse.network.W, dense.network.W)
        np.testing.assert_array_equal(sparse.loss, dense.loss)


# --- codes


@pytest.mark.parametrize("common", KINDS, ids=["common", "every-kind"])
@pytest.mark.parametrize("name", FIXED)
def test_every_code_is_that_of_the_masked_oracle(name: str, common: bool) -> None:
    compared = []
    for wide in (False, True):

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(fixed_cases.cases(name, wide, 14, sparse=True))
        def check(case: fixed_cases.Case) -> None:
            compared.append(fixed_cases.compare(case, common))

        check()
    assert sum(compared) > 5_000


@pytest.mark.parametrize("common", KINDS, ids=["common", "every-kind"])
@pytest.mark.parametrize("name", FIXED)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
def test_with_all_synapses_it_is_the_dense_fixed_point_run(name: str, common: bool, data: st.DataObject) -> None:
    case = data.draw(fixed_cases.cases(name, False, 10))
    assume(not common or fixed_cases.is_common(fixed_cases.numbers_of(case)))
    n = case.network.n_rec
    full = case.network.replace(W=SparseMatrix.from_dense(case.network.W, np.ones((n, n), bool)))
    task = nl.Task("own", case.data, loss=case.loss)  # type: ignore[arg-type]
    runs = []
    for net in (full, case.network.replace(W=case.network.W)):
        try:
            runs.append(
                nl.simulate(net, task, case.rule, case.precision, training=case.training, seed=1, progress=False)
            )
        except InputError as refusal:
            assert "bits" in str(refusal)
            return
    sparse, dense = runs
    for group in "AWB":
        np.testing.assert_array_equal(getattr(sparse.network, group), getattr(dense.network, group))
    assert sparse.saturation == dense.saturation
    np.testing.assert_array_equal(sparse.loss, dense.loss)


# --- uncompiled

UNCOMPILED = """
import hashlib
import sys
import numpy as np
import fixed_cases
import neurolrnn as nl
import test_sparse_learning as here
from hypothesis import HealthCheck, given, settings
from numba import config
if config.DISABLE_JIT:
    for name in here.FIXED:
        checks = list(HealthCheck)
        @settings(max_examples=6, deadline=None, suppress_health_check=checks, database=None, derandomize=True)
        @given(fixed_cases.cases(name, False, 5, sparse=True))
        def check(case):
            fixed_cases.compare(case)
        check()
h = hashlib.sha256()
for name, rule in here.RULES.items():
    for setting in ("online", "batch-episode-clamp", "momentum"):
        options = {**here.SETTINGS[setting], **({} if rule.online else {"update": "episode"})}
        for dtype in ("float32", "float64"):
            net, task, R = here.draw_case(7, 37, 0.4)
            run = here.learn(net, task, rule, R, nl.Precision.from_dict({"preset": dtype}), **options)
            h.update(run.network.digest().encode() + run.loss.tobytes())
print(h.hexdigest())
"""


def test_the_same_source_uncompiled_gives_the_same_bits() -> None:
    assert python_process(UNCOMPILED, NUMBA_DISABLE_JIT="1") == python_process(UNCOMPILED, NUMBA_DISABLE_JIT="0")


# --- refused


def test_rules_that_know_no_missing_synapses_are_refused() -> None:
    net, task, R = draw_case(1, 6, 0.5)
    with pytest.raises(InputError, match=r"rule 'rtrl' holds the influence of all n² synapses; W is sparse"):
        learn(net, task, nl.RTRL(), R)
    learn(net.replace(W=net.W), task, nl.RTRL(), R)
    task = nl.tasks.load("teacher-student", n_in=3, n_rec=3, n_out=2, sequences=4, steps=5, seed=1)
    with pytest.raises(InputError, match="update = 'expected' moves all synapses, and W is sparse"):
        nl.simulate(net, task, nl.EProp(), update="expected", progress=False)
    run = nl.simulate(net, task, nl.RFLO(), update="expected", progress=False)  # W₀ + RᵀM has all synapses anyway
    assert run.network.sparse is None


def test_gradients_are_of_existing_synapses() -> None:
    net, task, _ = draw_case(3, 9, 0.5)
    assert net.sparse is not None
    exact = nl.gradient(nl.BPTT(), net, task.train)["W"]
    dense = nl.gradient(nl.BPTT(), net.replace(W=net.W), task.train)["W"]
    np.testing.assert_allclose(exact, dense * net.sparse.mask, rtol=0, atol=1e-13)


def test_a_low_rank_part_is_learned_densely() -> None:
    net, task, R = draw_case(4, 9, 0.5)
    first = learn(net, task, nl.RFLO(), R).network
    assert first.sparse is not None and len(first.sparse.left) == 2
    second = learn(first, task, nl.EProp(), R)
    assert second.network.sparse is None and second.basis is not None and second.basis["held_as"] == "dense"


def test_weights_that_are_not_finite_are_a_divergence() -> None:
    net, task, _ = draw_case(5, 20, 0.5)
    for rule in (nl.RFLO(storage="dense"), nl.RFLO()):
        with pytest.raises(nl.Divergence):
            nl.simulate(net, task, rule, nl.Precision.float32(), 1e30, progress=False)
