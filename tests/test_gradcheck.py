"""gradcheck: passes for what is exact, shows the angle of what is not, and fails when a gradient is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import draw_network, draw_sequences
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolrnn import gradients
from neurolrnn.errors import InputError
from neurolrnn.gradients import Gradient, angle_degrees, gradcheck, gradient
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.training import GROUPS

LOSSES: list[Any] = ["squared-error", "cross-entropy"]
exact = pytest.mark.parametrize("rule", [BPTT(), RTRL()], ids=lambda r: str(r.name))


@pytest.mark.parametrize("loss_steps", ["all", "final"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("leak", [1.0, 0.3], ids=lambda v: f"leak{v}")
@exact
def test_exact_rules_pass(rule: Rule, leak: float, loss: Any, loss_steps: str) -> None:
    task = Task("own", draw_sequences(loss=loss), loss=loss)
    check = gradcheck(rule, draw_network(leak=leak, scale=1.0), task, loss_steps=loss_steps)
    assert check.passed, str(check)
    assert check.exact
    assert max(check.relative_error.values()) < 1e-12
    assert max(check.numeric_error.values()) < 1e-8
    assert check.angle_degrees["all"] < 1e-6
    assert "passed" in str(check)


@exact
def test_it_needs_neither_network_nor_task(rule: Rule) -> None:
    for seed in (0, 1):
        assert gradcheck(rule, seed=seed).passed


@settings(max_examples=40)
@given(
    rule=st.sampled_from([BPTT(), RTRL()]), seed=st.integers(0, 2**32 - 1), n=st.integers(1, 8),
    m=st.integers(1, 3), o=st.integers(1, 3), leak=st.just(1.0) | st.floats(0.05, 1.0),
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=3).map(tuple), loss=st.sampled_from(LOSSES),
    loss_steps=st.sampled_from(["all", "final"]),
)  # fmt: skip
def test_exact_rules_pass_at_any_size(
    rule: Rule, seed: int, n: int, m: int, o: int, leak: float, lengths: tuple[int, ...], loss: Any, loss_steps: str
) -> None:
    task = Task("own", draw_sequences(lengths, m, o, seed, loss=loss), loss=loss)
    network = draw_network(m, n, o, leak, seed, scale=1.0)
    check = gradcheck(rule, network, task, loss_steps=loss_steps, samples=10, seed=seed)
    assert check.passed, str(check)


LOCAL: dict[str, Rule] = {
    "rflo-symmetric": RFLO(storage="dense", feedback="symmetric"),
    "tbptt1": TruncatedBPTT(1),
    "tbptt4": TruncatedBPTT(4),
    "eprop": EProp(),
    "rflo-random": RFLO(),
}


@pytest.mark.parametrize("key", LOCAL)
def test_local_rules_pass_with_an_angle(key: str) -> None:
    """They do not claim to be the gradient, so only BPTT is checked, and the angle is reported."""
    check = gradcheck(LOCAL[key], seed=2)
    assert check.passed
    assert not check.exact
    assert check.relative_error["A"] < 1e-14  # ΔA = ε hᵀ is exact in every rule
    assert check.relative_error["W"] > 1e-3
    assert 0.0 < check.angle_degrees["W"] < 180.0


@pytest.mark.parametrize("key", ["rflo-symmetric", "eprop", "tbptt4"])
@pytest.mark.parametrize("leak", [1.0, 0.5], ids=lambda v: f"leak{v}")
def test_what_is_cut_off_is_of_first_order_in_small_weights(key: str, leak: float) -> None:
    """With A fed back, the neglected paths are those through W once more: the angle vanishes in proportion to W."""
    angles = []
    for scale in (0.1, 0.01):
        network = draw_network(leak=leak, scale=1.0, seed=4)
        network = network.replace(W=scale * network.W)
        # The truncation at 4 steps of (1-α)^4 is no matter of W: where the leak is below 1, it gets the whole sequence.
        rule = TruncatedBPTT(9) if key == "tbptt4" and leak < 1.0 else LOCAL[key]
        check = gradcheck(rule, network, Task("own", draw_sequences()))
        assert check.angle_degrees["all"] < 10.0
        angles.append(check.angle_degrees["all"])
    if key != "tbptt4":
        assert angles[1] == pytest.approx(angles[0] / 10.0, rel=0.1)


# --- it can fail ----------------------------------------------------------------------------------------------------


def spoil(monkeypatch: pytest.MonkeyPatch, kind: type[Rule], change: Callable[[Gradient], Gradient]) -> None:
    def spoilt(rule: Rule, *args: Any, **options: Any) -> Gradient:
        update = gradient(rule, *args, **options)
        return change(update) if isinstance(rule, kind) else update

    monkeypatch.setattr(gradients, "gradient", spoilt)


@pytest.mark.parametrize("group", GROUPS)
@exact
def test_a_gradient_wrong_by_a_hundred_thousandth_is_caught(
    rule: Rule, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gradcheck(rule).passed
    spoil(monkeypatch, type(rule), lambda update: {**update, group: update[group] * (1.0 + 1e-5)})
    check = gradcheck(rule)
    assert not check.passed
    assert "FAILED" in str(check)


@exact
def test_a_single_wrong_entry_is_caught(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(update: Gradient) -> Gradient:
        W = update["W"].copy()
        W[2, 3] = -W[2, 3]
        return {**update, "W": W}

    spoil(monkeypatch, type(rule), change)
    assert not gradcheck(rule).passed


@pytest.mark.parametrize("group", GROUPS)
@exact
def test_a_gradient_that_is_not_a_number_is_caught(rule: Rule, group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons with NaN are false, and ``max`` forgets it unless it comes first."""
    spoil(monkeypatch, type(rule), lambda update: {**update, group: np.nan * update[group]})
    assert not gradcheck(rule).passed


def test_both_exact_rules_wrong_in_the_same_way_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """BPTT is held against differences of the loss, not only against RTRL."""
    spoil(monkeypatch, Rule, lambda update: {**update, "B": update["B"] * (1.0 + 1e-5)})
    check = gradcheck(RTRL())
    assert check.relative_error["B"] < 1e-11
    assert not check.passed


# --- gradient and angle ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [BPTT(), RTRL(), EProp(), RFLO()], ids=lambda r: str(r.name))
def test_an_overflow_is_never_a_gradient_of_zero(rule: Rule) -> None:
    """The state of this network exceeds float64 within ten steps; 0 would read as "at an optimum"."""
    network = draw_network(1, 2, 1).replace(W=1e200 * np.eye(2))
    data = Sequences.from_arrays(np.ones((10, 1)), np.ones((10, 1)))
    try:
        update = gradient(rule, network, data)
    except (InputError, ArithmeticError) as error:
        assert "finite" in str(error) or "diverge" in str(error)
    else:
        assert not any(np.isfinite(update[group]).all() for group in "AW")


def test_sequences_add_up() -> None:
    network, data = draw_network(), draw_sequences()
    parts = [
        gradient(EProp(), network, Sequences.from_arrays(x, y, mask=mask))
        for (x, y), mask in zip(data, np.split(data.mask, data.starts[1:-1]), strict=True)
        if mask.any()
    ]
    whole = gradient(EProp(), network, data)
    for group in GROUPS:
        np.testing.assert_allclose(sum(p[group] for p in parts), whole[group], rtol=0, atol=1e-13)


def test_factored_and_dense_storage_give_the_same_update() -> None:
    network, data = draw_network(), draw_sequences()
    a, b = (gradient(RFLO(storage=s), network, data, seed=3) for s in ("dense", "factored"))
    for group in GROUPS:
        np.testing.assert_allclose(a[group], b[group], rtol=0, atol=1e-13)
    other = gradient(RFLO(), network, data, seed=4)
    assert not np.allclose(a["W"], other["W"])  # another seed, another R


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 30.0, 90.0, 179.9999999, 180.0])
def test_angle(degrees: float) -> None:
    rad = np.radians(degrees)
    got = angle_degrees(np.array([3.0, 0.0]), 0.1 * np.array([np.cos(rad), np.sin(rad)]))
    assert got == pytest.approx(degrees, rel=1e-9, abs=1e-12)


def test_angle_with_nothing_is_not_a_number() -> None:
    assert np.isnan(angle_degrees(np.zeros(3), np.ones(3)))


# --- refusals -------------------------------------------------------------------------------------------------------


def test_refusals() -> None:
    task = Task("own", draw_sequences(n_in=3))
    with pytest.raises(InputError, match="3 inputs and 2 outputs, the network 2 and 2"):
        gradcheck(BPTT(), draw_network(), task)
    with pytest.raises(InputError, match="did you mean 'final'"):
        gradcheck(BPTT(), loss_steps="finall")
    with pytest.raises(InputError, match="feedback has shape"):
        gradcheck(TruncatedBPTT(2, feedback=np.ones((3, 3))))
