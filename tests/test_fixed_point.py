"""Fixed point, kernel against big integers: every code of every step, every weight and every count must be the same."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fixed_cases
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

import neurolrnn as nl
from neurolrnn.precision import PRESETS
from neurolrnn_kernels.rflo import rflo_factored

RULES = ("rflo-dense", "rflo-factored", "tbptt", "eprop")
WANTED = 25_000
"""Codes compared for each rule, in the kinds of storage that presets have."""
LONG = 2_500_000
"""The same in the long mode, in every kind."""


def compare_many(name: str, examples: int, largest: int, wanted: int, common: bool) -> None:
    """Compare drawn runs, narrow and wide accumulators in turn, until ``wanted`` codes were compared.

    How many codes a number of examples holds is a matter of the draw, so examples are added and not hoped for.
    """
    compared: list[int] = []
    for _ in range(12):
        for wide in (False, True):

            @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(fixed_cases.cases(name, wide, largest))
            def check(case: fixed_cases.Case) -> None:
                compared.append(fixed_cases.compare(case, common))

            check()
        if sum(compared) >= wanted:
            break
    print(f"{name}: {len(compared)} runs, {sum(compared)} codes compared, none differs")
    assert sum(compared) >= wanted


@pytest.mark.parametrize("name", RULES)
def test_every_code_is_that_of_the_oracle(name: str) -> None:
    compare_many(name, examples=80, largest=16, wanted=WANTED, common=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_every_code_is_that_of_the_oracle_at_length(name: str) -> None:
    compare_many(name, examples=800, largest=40, wanted=LONG, common=False)


UNCOMPILED = """
import sys
import fixed_cases
from hypothesis import HealthCheck, given, settings
from numba import config
assert config.DISABLE_JIT
for wide in (False, True):
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(fixed_cases.cases(sys.argv[1], wide, 5))
    def check(case):
        fixed_cases.compare(case)
    check()
"""


@pytest.mark.parametrize("name", RULES)
def test_the_same_source_uncompiled_gives_the_same_codes(name: str) -> None:
    root = Path(__file__).parents[1]
    paths = os.pathsep.join(str(root / part) for part in (".", "kernels", "hardware_models", "tests"))
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths}
    result = subprocess.run(
        [sys.executable, "-c", UNCOMPILED, name], env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr[-3000:]


def small_run(**changes: object) -> nl.Run:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=8, steps=12, seed=1)
    net = nl.Network.random(2, 9, 2, leak=0.5, seed=3)
    options = {"weight": "s2.9", "state": "s4.9", "rounding": "stochastic", **changes}
    return nl.simulate(net, task, nl.RFLO(), nl.Precision(**options), 0.05, seed=7, epochs=2, progress=False)


def test_changing_formats_shifts_rates_and_seeds_compiles_nothing() -> None:
    small_run()
    before = len(rflo_factored.signatures)
    for weight, state, rounding in (
        ("s1.6", "s4.7", "floor"),
        ("s2.12", "s3.12", "nearest"),
        ("s0.7", "s2.5", "stochastic"),
    ):
        for overflow in ("saturate", "wrap"):
            for extra in ({}, {"noise": "lfsr"}, {"rate_bits": 1}, {"decay_bits": 8}, {"random_bits": 3}):
                small_run(weight=weight, state=state, rounding=rounding, overflow=overflow, **extra)
    kinds = {str(s) for s in rflo_factored.signatures}
    # At most the widths of storage and accumulator are compiled: 16 bits with 32 or 64, 32 bits with 64, and 8 bits of
    # weights beside 16.
    assert len(kinds) <= before + 3
    small_run(weight="s1.5", state="s4.8")
    assert {str(s) for s in rflo_factored.signatures} == kinds


def test_the_result_does_not_depend_on_threads_or_process() -> None:
    alone = small_run().network.W
    with ThreadPoolExecutor(4) as pool:
        for run in pool.map(lambda _: small_run(), range(8)):
            assert np.array_equal(run.network.W, alone)


def test_noise_depends_on_the_seed_and_stochastic_rounding_only() -> None:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=8, steps=12, seed=1)
    net = nl.Network.random(2, 9, 2, leak=0.5, seed=3)
    R = np.random.default_rng(0).normal(size=(2, 9))

    def learn(seed: int, rounding: str) -> np.ndarray:
        precision = nl.Precision(weight="s2.9", state="s4.9", rounding=rounding)
        rule = nl.RFLO(feedback=R)
        return nl.simulate(net, task, rule, precision, 0.05, seed=seed, shuffle=False, progress=False).network.W

    assert not np.array_equal(learn(1, "stochastic"), learn(2, "stochastic"))
    assert np.array_equal(learn(1, "stochastic"), learn(1, "stochastic"))
    assert np.array_equal(learn(1, "nearest"), learn(2, "nearest"))


@pytest.mark.parametrize("rule", [nl.RFLO(), nl.RFLO(storage="dense"), nl.TruncatedBPTT(3), nl.EProp()], ids=repr)
def test_float_is_the_limit_of_fine_formats(rule: nl.Rule) -> None:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=6, steps=10, seed=1)
    net = nl.Network.random(2, 5, 2, leak=0.5, seed=3, output_scale=0.5)
    exact = nl.simulate(net, task, rule, nl.Precision.float64(), 0.02, seed=7, progress=False).network
    errors = []
    for bits in (12, 16, 20):  # each takes 32 bits of storage, so one compilation serves all
        precision = nl.Precision(
            weight=f"s3.{bits}", state=f"s5.{bits}", trace_decay=f"s2.{bits}", decay_bits=bits, rate_bits=20
        )
        fixed = nl.simulate(net, task, rule, precision, 0.02, seed=7, progress=False).network
        errors.append(max(np.abs(getattr(fixed, g) - getattr(exact, g)).max() for g in "AWB"))
    # Every further bit halves the error; four bits make at least a factor of 4 even where errors happen to cancel.
    assert errors[0] < 0.05
    assert errors[1] < errors[0] / 4
    assert errors[2] < errors[1] / 4


def test_a_landing_that_saturates_everywhere_is_counted_everywhere() -> None:
    data = nl.Sequences.from_arrays(np.full((5, 1), 100.0), np.zeros((5, 1)))
    net = nl.Network([[1.0]], [[0.5]], [[1.0]], 1.0)
    precision = nl.Precision(weight="s2.5", state="s3.4", input="s7.4")
    run = nl.simulate(net, nl.Task("own", data), nl.RFLO(), precision, 0.0, progress=False)
    assert run.saturation is not None
    # u = 100 and more in every step, h = u: both at most 7.9375
    assert run.saturation["current"]["overflows"] == 5
    assert run.state["lanes.h"].tolist() == [[127]]


class TestProof:
    """What cannot be proved to fit is refused, naming the product."""

    task = nl.Task("own", nl.Sequences.from_arrays(np.ones((3, 2)), np.ones((3, 2))))

    def refuse(self, match: str, rule: nl.Rule | None = None, n_rec: int = 4, **options: object) -> None:
        net = nl.Network.random(2, n_rec, 2, seed=0)
        with pytest.raises(nl.InputError, match=match):
            training = {k: options.pop(k) for k in ("momentum", "update") if k in options}
            nl.simulate(net, self.task, rule or nl.RFLO(), nl.Precision(**options), 0.01, progress=False, **training)

    def test_products_of_more_than_63_bits(self) -> None:
        self.refuse("needs 6[5-9] bits", weight="s1.30", state="s1.30", n_rec=16)

    def test_unsigned_of_32_bits(self) -> None:
        self.refuse("31 bits at most", weight="s1.14", state="s1.14", trace="u0.32")

    def test_references_and_momentum(self) -> None:
        self.refuse("floating-point reference", nl.RTRL(), weight="s1.6", state="s1.6")
        self.refuse("fixed point has none", weight="s1.6", state="s1.6", momentum=0.9)

    def test_masks_that_are_no_bits(self) -> None:
        data = nl.Sequences.from_arrays(np.ones((3, 2)), np.ones((3, 2)), mask=np.array([1.0, 0.5, 0.0]))
        with pytest.raises(nl.InputError, match="masks of 0 and 1"):
            nl.simulate(
                nl.Network.random(2, 3, 2), nl.Task("own", data), nl.RFLO(), nl.Precision(weight="s1.6", state="s1.6")
            )

    def test_hidden_weights_are_finer(self) -> None:
        self.refuse("hidden weights are finer", weight="s1.6", state="s1.6", hidden="s1.4")
        self.refuse("smaller range", weight="s3.4", state="s3.8", hidden="s0.15")


@pytest.mark.parametrize("name", [p for p in PRESETS if p.startswith("int")])
def test_presets_run_and_name_every_format(name: str) -> None:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=4, steps=8, seed=1)
    net = nl.Network.random(2, 6, 2, leak=0.5, seed=3)
    run = nl.simulate(net, task, nl.RFLO(), nl.Precision.preset(name), 0.05, progress=False)
    assert run.numerics is not None
    assert {"A", "W", "B", "state", "readout", "factor_W", "step_W", "coupling"} <= set(run.numerics["formats"])
    assert run.numerics["rates"]["A"] == pytest.approx(0.05, rel=1 / 128)
    assert nl.Precision.from_dict(run.experiment["precision"]).options() == run.experiment["precision"]


def test_given_values_outside_their_format_are_told() -> None:
    data = nl.Sequences.from_arrays(np.full((3, 1), 9.0), np.zeros((3, 1)))
    run = nl.simulate(
        nl.Network.random(1, 3, 1),
        nl.Task("own", data),
        nl.RFLO(),
        nl.Precision(weight="s1.6", state="s2.5"),
        progress=False,
    )
    assert any("3 values of input lie outside s2.5" in w for w in run.warnings)


def test_hypothesis_would_find_a_wrong_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: one weight of the oracle's start moved by one code is found."""
    import integer_oracle

    original = integer_oracle.train

    def moved(spec: object, weights: dict[str, list[list[int]]], *args: object, **options: object) -> object:
        weights = {**weights, "B": [[code + 1 for code in row] for row in weights["B"]]}
        return original(spec, weights, *args, **options)

    monkeypatch.setattr(integer_oracle, "train", moved)

    @settings(
        max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True,
        report_multiple_bugs=False, phases=[Phase.generate],  # found is enough, it need not be made small
    )  # fmt: skip
    @given(fixed_cases.cases("rflo-dense"))
    def check(case: fixed_cases.Case) -> None:
        assume(case.network.n_rec > 1)
        fixed_cases.compare(case)

    with pytest.raises(AssertionError):
        check()
