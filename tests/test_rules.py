"""Every learning rule, compiled, against its plain twin in oracle.py: all settings, all sizes, both precisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neurolrnn.engine import Engine
from neurolrnn.network import Network
from neurolrnn.number_system import RealNumbers
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.schedule import Schedule, step_weights
from neurolrnn.tasks.base import Sequences
from neurolrnn.training import Training

Array = NDArray[np.float64]
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
"""Largest difference, relative to the largest entry or 1. For float32: 2**-24 some 300 times over."""
LARGE = 100.0
"""A run with larger outputs diverges, and its rounding errors with it: no case. The twin decides, not the kernel."""

# R is a matrix of the user's own; the named feedbacks ignore it.
RULES: dict[str, Callable[[Array], Rule]] = {
    "rflo-dense": lambda R: RFLO(storage="dense"),
    "rflo-dense-symmetric": lambda R: RFLO(storage="dense", feedback="symmetric", decay=0.3),
    "rflo-dense-matrix": lambda R: RFLO(storage="dense", feedback=R, decay=-0.4),
    "rflo-factored": lambda R: RFLO(),
    "rflo-factored-matrix": lambda R: RFLO(feedback=R, decay=0.9),
    "tbptt1": lambda R: TruncatedBPTT(1),
    "tbptt2": lambda R: TruncatedBPTT(2),
    "tbptt3-random": lambda R: TruncatedBPTT(3, feedback="random"),
    "tbptt4-matrix": lambda R: TruncatedBPTT(4, feedback=R),
    "tbptt5": lambda R: TruncatedBPTT(5),
    "eprop": lambda R: EProp(),
    "eprop-random": lambda R: EProp(feedback="random", feedback_scale=0.7),
    "eprop-matrix": lambda R: EProp(feedback=R),
    "rtrl": lambda R: RTRL(),
    "bptt": lambda R: BPTT(),
}
PAIRS = [(key, update) for key in RULES for update in ("online", "episode") if (key, update) != ("bptt", "online")]
pairs = pytest.mark.parametrize("key, update", PAIRS, ids=[f"{key}-{update}" for key, update in PAIRS])


@dataclass(frozen=True)
class Case:
    """A network, its data, and how it learns."""

    network: Network
    data: Sequences
    training: Training
    loss: str
    seed: int = 0
    R: Array = field(default_factory=lambda: np.zeros((0, 0)))


def draw_case(
    seed: int, lengths: tuple[int, ...], loss: str, training: Training, n: int = 6, m: int = 3, o: int = 2,
    leak: float = 0.6, scale: float = 0.4,
) -> Case:  # fmt: skip
    rng = np.random.default_rng(seed)
    # Contracting and small: rounding errors do not grow, so a tolerance near the rounding unit can be asked for.
    W = rng.normal(size=(n, n))
    W *= 0.8 / max(float(np.linalg.norm(W, 2)), 1e-3)
    network = Network(scale * rng.normal(size=(o, n)), W, scale * rng.normal(size=(n, m)), leak)
    targets = [rng.normal(size=(T, o)) for T in lengths]
    if loss == "cross-entropy":
        targets = [np.exp(y) / np.exp(y).sum(axis=1, keepdims=True) for y in targets]
    mask = [rng.choice([0.0, 0.5, 1.0], size=T) for T in lengths]
    mask[0][-1] = 1.5
    data = Sequences.from_arrays([rng.normal(size=(T, m)) for T in lengths], targets, mask=mask)
    return Case(network, data, training, loss, seed % 1000, scale * rng.normal(size=(o, n)))


def learn(case: Case, rule: Rule, dtype: str) -> tuple[Engine, Array]:
    """Run the kernels; return the learner and the loss of every step."""
    training, network = case.training, case.network
    schedule = Schedule(case.data, epochs=training.epochs, batch=training.batch)
    engine = Engine(
        network, rule, training, RealNumbers(np.dtype(dtype)),
        feedback=rule.feedback_matrix(network.n_out, network.n_rec, case.seed), data=case.data,
        weights=step_weights(case.data, training.loss_steps), loss=case.loss, lanes=schedule.lanes,
        longest=schedule.longest,
    )  # fmt: skip
    losses = [engine.run(piece)[1] for piece in schedule.pieces(0, np.zeros(0, np.int64))]
    return engine, np.concatenate(losses)


def learn_plainly(case: Case, rule: Rule) -> oracle.Result:
    """Run the twin on the same."""
    training, network, data = case.training, case.network, case.data
    masks = np.split(data.mask, data.starts[1:-1])
    return oracle.train(
        network.A, network.W, network.B, network.leak, rule,
        [(x, y, mask) for (x, y), mask in zip(data, masks, strict=True)],
        R=rule.feedback_matrix(network.n_out, network.n_rec, case.seed), loss=case.loss,
        loss_steps=training.loss_steps, update=training.update, rates=training.rates, momentum=training.momentum,
        clamp=training.bounds, learn=training.learn, batch=training.batch, epochs=training.epochs,
    )  # fmt: skip


def assert_same(case: Case, rule: Rule, dtype: str = "float64", want: oracle.Result | None = None) -> None:
    engine, losses = learn(case, rule, dtype)
    want = learn_plainly(case, rule) if want is None else want
    got = engine.network()
    compared = {"A": (got.A, want.A), "W": (got.W, want.W), "B": (got.B, want.B), "loss": (losses, want.loss)}
    factors = engine.factors()
    assert (factors is None) == (want.M is None)
    if factors is not None:
        compared |= {"M": (factors[0], want.M), "N": (factors[1], want.N)}
    last = want.y[-1]
    running = ~np.isnan(last).any(axis=1)
    compared["y"] = (engine.outputs()[: len(last)][running], last[running])
    for name, (a, b) in compared.items():
        x, y = np.asarray(a), np.asarray(b)
        assert x.shape == y.shape, name
        error = float(np.abs(x - y).max()) / max(1.0, float(np.abs(y).max()))
        assert error <= TOLERANCE[dtype], f"{name} differs by {error:.2e}"
    for group in set("AWB") - set(case.training.learn):
        assert not engine.moved(group)


# --- a full grid of settings at one size ----------------------------------------------------------------------------

RATES = {"A": 0.02, "W": 0.01, "B": 0.03}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.5},
    "clamp": {"clamp": 0.3},
    "momentum-clamp": {"momentum": 0.8, "clamp": {"A": 0.5, "W": 0.2}},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("batch", [1, 3], ids=lambda b: f"batch{b}")
@pytest.mark.parametrize("loss_steps", ["all", "final"])
@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pairs
def test_grid(key: str, update: Any, loss: str, loss_steps: Any, batch: int, options: str) -> None:
    training = Training(
        learning_rate=RATES, update=update, epochs=2, batch=batch, loss_steps=loss_steps, **OPTIONS[options]
    )
    case = draw_case(3, (7, 1, 9, 4), loss, training)
    assert_same(case, RULES[key](case.R))


# --- any sizes ------------------------------------------------------------------------------------------------------

bounds = st.sampled_from([0.02, 0.2, 1.0, 5.0])


@st.composite
def trainings(draw: st.DrawFn, update: Any) -> Training:
    groups = draw(st.lists(st.sampled_from("AWB"), min_size=1, max_size=3, unique=True))
    batch, momentum = draw(st.integers(1, 4)), draw(st.sampled_from([0.0, 0.3, 0.9]))
    # An update sums over lanes and steps, and momentum over updates: the more there is, the smaller the rate, or
    # learning would diverge, and with it the rounding errors.
    top = 0.03 * (1.0 - momentum) / (batch * (8 if update == "episode" else 1))
    rates = st.sampled_from([0.0, 0.05 * top, 0.3 * top, top])
    return Training(
        learning_rate=draw(rates | st.fixed_dictionaries({g: rates for g in "AWB"})),
        update=update,
        epochs=draw(st.integers(1, 2)),
        batch=batch,
        loss_steps=draw(st.sampled_from(["all", "final"])),
        momentum=momentum,
        clamp=draw(st.none() | bounds | st.dictionaries(st.sampled_from("AWB"), bounds)),
        learn=tuple(groups),
    )


@st.composite
def cases(draw: st.DrawFn, update: str) -> Case:
    return draw_case(
        draw(st.integers(0, 2**32 - 1)),
        tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))),
        draw(st.sampled_from(["squared-error", "cross-entropy"])),
        draw(trainings(update)),
        n=draw(st.integers(1, 20)),
        m=draw(st.integers(1, 5)),
        o=draw(st.integers(1, 5)),
        leak=draw(st.sampled_from([1.0, 0.5]) | st.floats(0.01, 1.0)),
    )


def check_drawn(key: str, case: Case, dtype: str) -> None:
    rule = RULES[key](case.R)
    want = learn_plainly(case, rule)
    assume(all(np.nanmax(np.abs(y)) < LARGE for y in want.y))
    assert_same(case, rule, dtype, want)


@settings(max_examples=15)
@given(data=st.data())
@pairs
def test_any_size(key: str, update: str, data: st.DataObject) -> None:
    check_drawn(key, data.draw(cases(update)), "float64")


@settings(max_examples=8)
@given(data=st.data())
@pairs
def test_any_size_in_float32(key: str, update: str, data: st.DataObject) -> None:
    check_drawn(key, data.draw(cases(update)), "float32")


# Above 64 units the vector routine of the inner product leaves its remainder loop and uses all its partial sums.
@pytest.mark.parametrize("n", [15, 16, 17, 63, 64, 65, 81, 130])
@pytest.mark.parametrize("key", ["rflo-dense", "rflo-factored", "tbptt2", "eprop", "bptt"])
def test_sizes_around_the_vector_width(key: str, n: int) -> None:
    training = Training(learning_rate=0.005, update="episode" if key == "bptt" else "online", batch=2)
    case = draw_case(n, (6, 4, 5), "squared-error", training, n=n, o=3, scale=0.2)
    for dtype in TOLERANCE:
        assert_same(case, RULES[key](case.R), dtype)


# --- corners --------------------------------------------------------------------------------------------------------


@pairs
def test_sequences_of_one_step(key: str, update: Any) -> None:
    """No past: W must not move, whatever the rule."""
    case = draw_case(1, (1, 1, 1), "squared-error", Training(learning_rate=0.05, update=update, batch=2, epochs=3))
    rule = RULES[key](case.R)
    assert_same(case, rule)
    engine, _ = learn(case, rule, "float64")
    np.testing.assert_array_equal(engine.network().W, case.network.W)
    assert not np.array_equal(engine.network().B, case.network.B)


@pairs
def test_a_large_read_out_saturates_the_softmax(key: str, update: Any) -> None:
    """Logits beyond ±745, where exp underflows: the error stays a probability and the loss finite."""
    training = Training(learning_rate=1e-4, update=update)
    case = draw_case(5, (5, 3), "cross-entropy", training)
    case = replace(case, network=case.network.replace(A=2e4 * case.network.A))
    _, losses = learn(case, RULES[key](case.R), "float64")
    assert np.isfinite(losses).all()
    assert losses.max() > 745.0
    assert_same(case, RULES[key](case.R))


@pytest.mark.parametrize("key", ["rflo-dense", "rflo-factored", "tbptt2", "eprop", "rtrl"])
@pytest.mark.parametrize("momentum", [0.0, 0.5], ids=lambda v: f"momentum{v}")
def test_weights_outside_the_clamp_enter_it_with_the_first_update(key: str, momentum: float) -> None:
    """An online update is made at every step, also where the error is 0; so the clamp holds from the first."""
    training = Training(learning_rate=0.01, momentum=momentum, clamp=0.1)
    case = draw_case(2, (6,), "squared-error", training)
    mask = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    data = case.data
    case = replace(case, data=Sequences(data.inputs, data.targets, data.starts, mask))
    assert_same(case, RULES[key](case.R))
