"""Suggestions where the answer is known: by construction, by enumeration, by running them again."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import neurolrnn as nl
from neurolrnn.errors import InputError
from neurolrnn.profiles.answers import Answers
from neurolrnn.profiles.from_profile import suggest_from
from neurolrnn.profiles.row import Row
from neurolrnn.profiles.run_one import run_one
from neurolrnn.profiles.search import Knob, search
from neurolrnn.profiles.storage import storage_of, used_variables, whole_bytes
from neurolrnn.profiles.trials import Trials

TABLES = {
    "seed": 0,
    "task": {"name": "teacher-student", "sequences": 40, "steps": 10, "test_sequences": 20},
    "network": {"n_rec": 4, "spectral_radius": 0.5, "output_scale": 0.3},
    "rule": {"name": "rflo", "storage": "dense"},
    "training": {"learning_rate": {"A": 0.02, "W": 0.003, "B": 0.003}, "epochs": 4},
}


# --- the search


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12), st.integers(1, 50)), min_size=1, max_size=6))
@settings(max_examples=60)
def test_independent_needs_are_found_exactly(needs):
    knobs = [Knob(str(k), low, low + 12, cost) for k, (low, _, cost) in enumerate(needs)]
    need = {str(k): low + more for k, (low, more, _) in enumerate(needs)}
    found = search(knobs, lambda bits: all(bits[name] >= need[name] for name in need))
    assert found.bits == need == found.alone
    assert len(found.tried) <= 2 + 5 * len(knobs) + 5  # bisection


@given(st.lists(st.integers(0, 8), min_size=2, max_size=3), st.integers(2, 30))
@settings(max_examples=60)
def test_errors_that_add_up(sizes, tolerance):
    """Each knob adds 2^(size - 2 F): the result is a local optimum, within a bit per knob of the best there is."""
    knobs = [Knob(str(k), 0, 9, 1.0 + k) for k in range(len(sizes))]

    def passes(bits):
        return sum(2.0 ** (s - 2 * bits[str(k)]) for k, s in enumerate(sizes)) <= tolerance / 100

    def cost(bits):
        return sum(k.cost * bits[k.name] for k in knobs)

    found = search(knobs, passes)
    every = [dict(zip(found.bits, b, strict=True)) for b in itertools.product(range(10), repeat=len(sizes))]
    passing = [b for b in every if passes(b)]
    assert passes(found.bits)
    for name in found.bits:
        fewer = {**found.bits, name: found.bits[name] - 1}
        assert fewer[name] < found.alone[name] or not passes(fewer)
    assert cost(found.bits) <= min(map(cost, passing)) + sum(k.cost for k in knobs)


def test_late_knobs_and_what_cannot_pass():
    late = [Knob("frac", 0, 8), Knob("int", 1, 2, late=True)]
    found = search(late, lambda b: b["frac"] >= 3)
    assert found.bits == {"frac": 3, "int": 1} and "int" not in found.alone
    assert search(late, lambda b: b["frac"] > 8) is None


def test_budget_ends_the_search_with_what_passed():
    found = search([Knob(str(k), 0, 16) for k in range(8)], lambda b: min(b.values()) >= 3, tests=12)
    assert found.exhausted and len(found.tried) == 12 and min(found.bits.values()) >= 3


# --- memory


@pytest.mark.parametrize(
    "rule,words",
    [
        ({"name": "rflo", "storage": "dense"},
         {"A": 8, "W": 16, "B": 12, "feedback": 8, "signal": 4, "trace": 4, "input_trace": 3}),
        ({"name": "rflo", "storage": "factored"}, {"factor_W": 8, "factor_B": 6, "coupling": 2, "trace": 4}),
        ({"name": "tbptt", "steps": 3}, {"trace": 12, "input_trace": 9, "signal": 12, "back_current": 4}),
        ({"name": "eprop"}, {"eligibility": 16, "input_eligibility": 12, "trace_decay": 4}),
    ],
)  # fmt: skip
def test_storage_counts_words(rule, words):
    tables = {**TABLES, "rule": rule, "precision": {"weight": "s1.6", "state": "s3.9"}}
    found = storage_of(nl.Experiment.from_dict(tables).to_dict())
    assert {k: found.words[k] for k in words} == words
    weights = {"A", "W", "B", "factor_W", "factor_B", "feedback", "trace_decay"}
    assert found.bits == sum(n * (8 if name in weights else 13) for name, n in found.words.items())
    assert found.bytes == sum(n * (1 if name in weights else 2) for name, n in found.words.items())
    hidden = {**tables, "precision": {**tables["precision"], "hidden": {"A": "s1.10"}}}
    assert storage_of(hidden).bits == found.bits + 12 * 8


def test_used_variables_are_those_that_land():
    """What a run counts, and what it proves, is what has a format: nothing that lands is missing."""
    for rule in (
        {"name": "rflo"},
        {"name": "rflo", "storage": "dense"},
        {"name": "tbptt", "steps": 2},
        {"name": "eprop"},
    ):
        coarse = {"weight": "s-2.5", "state": "s-3.8", "error": "s-3.8", "overflow": "saturate"}
        run = run_one({**TABLES, "rule": rule}, {"precision": coarse})
        experiment = nl.Experiment.from_dict({**TABLES, "rule": rule})
        used = used_variables(experiment.rule, experiment.training)
        landed = set(run.saturation) - {"step_A", "step_W", "step_B", "back_signal"}
        assert landed <= set(used), landed - set(used)


@pytest.mark.parametrize("bits,expected", [(1, 1), (8, 1), (9, 2), (16, 2), (17, 4), (28, 4), (64, 8)])
def test_whole_bytes(bits, expected):
    assert whole_bytes(bits) == expected


# --- from the rows of a profile


def row(precision, seed, nmse, status="completed"):
    experiment = nl.Experiment.from_dict({**TABLES, "seed": seed, "precision": precision})
    return Row(
        digest="", settings={}, seed=seed, experiment=experiment.to_dict(), status=status,
        metrics={"test_nmse": nmse} if status == "completed" else {},
        records={"step": np.array([1.0, 2.0]), "loss": np.array([1.0, 0.5])},
    )  # fmt: skip


def made_up(spread=0.0):
    """Float has an NMSE of 0.1; F fraction bits add 4^-F of it, and stochastic rounding is as good with two fewer."""
    rng = np.random.default_rng(0)
    rows = [row({"preset": "float32"}, s, 0.1) for s in range(4)]
    for rounding, gain in (("nearest", 0), ("stochastic", 2)):
        for F in range(2, 10):
            p = {"weight": f"s2.{F}", "state": "s4.11", "update_rounding": rounding}
            rows += [
                row(p, s, 0.1 * (1 + 4.0 ** -(F + gain - 2) + spread * rng.normal())) for s in range(4)
            ]  # fmt: skip
    return rows


@pytest.mark.parametrize("tolerance", [0.3, 0.05, 0.01, 2.0])
def test_the_cheapest_setting_within_the_tolerance(tolerance):
    """4^-(F + 2 - 2) ≤ tolerance for stochastic rounding, F at least 2."""
    answers = Answers(made_up())
    found = answers.cheapest(tolerance)
    F = max(2, math.ceil(-math.log(tolerance, 4.0)))
    assert found.case.precision.landing("W").format.frac_bits == F
    assert found.case.precision.update_rounding == "stochastic"
    assert found.difference.mean == pytest.approx(4.0**-F)


def test_the_interval_counts_not_the_mean():
    noisy = Answers(made_up(spread=0.2))
    for f in noisy.fixed:
        x = f.values / 0.1 - 1.0
        low, high = stats.t.interval(0.95, 3, x.mean(), stats.sem(x))
        assert (f.difference.low, f.difference.high) == (pytest.approx(low), pytest.approx(high))
    chosen = noisy.cheapest(0.5)
    assert chosen is None or chosen.difference.high <= 0.5
    assert noisy.cheapest(1e-6) is None


def test_fresh_seeds_can_refuse():
    """Rows that claim that two bits are as good as float are found out."""
    rows = [row({"preset": "float32"}, s, 0.5) for s in range(3)]
    rows += [row({"weight": "s0.1", "state": "s1.2"}, s, 0.5) for s in range(3)]
    found = suggest_from(Answers(rows), 0.1, fresh_seeds=4, threads=1, progress=False)
    assert not found.passed and found.found.mean == 0.0
    assert found.verifications[0].seeds == (3, 4, 5, 6)
    assert "FAILED" in found.summary() and "FAILED" in found.to_toml()


def test_no_setting_within_the_tolerance_is_said():
    with pytest.raises(InputError, match=r"closest\s+is weight s2.9"):
        suggest_from(Answers(made_up()), 1e-9, progress=False)
    single = [r for r in made_up() if r.seed == 0]
    with pytest.raises(InputError, match="add seeds"):
        suggest_from(Answers(single), 0.1, progress=False)


# --- the whole way, with real runs

VOWELS = nl.Experiment.builtin(["training.epochs=2", "network.n_rec=8"])


@pytest.fixture(scope="module")
def suggestion():
    return nl.suggest_formats(VOWELS, 0.06, 4, tests=30, fresh_seeds=8, threads=2, progress=False)


def test_a_suggestion_is_verified_by_what_anyone_can_run(suggestion, tmp_path):
    file = suggestion.save(tmp_path / "suggestion.toml")
    again = []
    for seed in suggestion.verifications[-1].seeds:
        fixed = nl.Experiment.load(file, [f"seed={seed}"]).simulate(progress=False)
        real = nl.Experiment.load(file, [f"seed={seed}", "precision.preset=float32"]).simulate(progress=False)
        again.append(real.metrics["test_accuracy"] - fixed.metrics["test_accuracy"])
    last = suggestion.verifications[-1].difference
    assert last.mean == pytest.approx(np.mean(again))
    assert suggestion.passed == (last.high <= 0.06)
    assert not set(suggestion.verifications[-1].seeds) & {0, 1, 2, 3}


def test_a_suggestion_takes_less_than_half_of_float(suggestion):
    assert suggestion.storage.bits < suggestion.float_storage.bits / 2
    assert suggestion.passed, suggestion.summary()
    for reason in suggestion.reasons:
        assert reason.format == str(suggestion.experiment.precision.landing(reason.variable).format)
    assert {"A", "factor_W", "factor_B", "feedback", "state", "trace", "coupling"} <= set(suggestion.formats)
    assert "verification" in suggestion.summary() and suggestion.to_dict()["passed"] == suggestion.passed


def test_the_choice_passes_on_the_seeds_of_the_search(suggestion):
    trials = Trials(VOWELS, [0, 1, 2, 3], threads=2)
    precision = suggestion.experiment.precision
    own = trials.compare(precision)
    assert own == suggestion.found and own.high <= 0.06
    form = precision.landing("state").format
    coarse = nl.Precision.from_dict({**precision.options(), "state": f"s{form.int_bits}.{form.frac_bits - 4}"})
    assert trials.compare(coarse).mean > own.mean


def test_whole_bytes_are_widths_of_bytes():
    found = nl.suggest_formats(
        nl.Experiment.from_dict(TABLES), 0.2, 3, "bytes", roundings=["stochastic"], tests=20, fresh_seeds=3, threads=2,
        progress=False,
    )  # fmt: skip
    widths = {found.experiment.precision.landing(v).format.width for v in found.formats}
    assert widths <= {8, 16, 28}
    assert found.experiment.precision.update_rounding == "stochastic"


def test_too_few_seeds_for_a_tolerance_are_refused():
    with pytest.raises(InputError, match="more seeds"):
        nl.suggest_formats(
            nl.Experiment.from_dict(TABLES), 1e-9, 2, roundings=["nearest"], tests=5, threads=2, progress=False
        )
    with pytest.raises(InputError, match="at least two"):
        nl.suggest_formats(nl.Experiment.from_dict(TABLES), 0.1, [1], progress=False)
    with pytest.raises(InputError, match="objective"):
        nl.suggest_formats(nl.Experiment.from_dict(TABLES), 0.1, 2, "watts", progress=False)


def test_updates_that_die_to_nearest_choose_stochastic_rounding():
    tables = {**TABLES, "training": {"learning_rate": {"A": 0.005, "W": 2e-4, "B": 2e-4}, "epochs": 20}}
    found = nl.suggest_formats(
        nl.Experiment.from_dict(tables), 0.2, 3, tests=40, fresh_seeds=3, threads=2, progress=False
    )
    assert found.experiment.precision.update_rounding == "stochastic"
    assert any("would die" in note and "LSB/2" in note for note in found.notes), found.notes
