"""Answers of a profile against values calculated by hand, statistics of SciPy, and runs whose answer is known."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import neurolrnn as nl
from neurolrnn.errors import InputError
from neurolrnn.profiles import Answers, attribution, floor_of, predicted_floor, update_angles
from neurolrnn.profiles.answers import break_of, float_band, landings
from neurolrnn.profiles.cases import Metric, cases_of, difference, float_of, label, mean_difference, series_keys
from neurolrnn.profiles.cost_pictures import plot_floors
from neurolrnn.profiles.from_profile import answers_of
from neurolrnn.profiles.row import Row
from neurolrnn.profiles.run_one import run_one
from neurolrnn.profiles.trials import float_rows

ROOT = Path(__file__).parents[1]
TABLES = {
    "seed": 0,
    "task": {"name": "teacher-student", "sequences": 40, "steps": 10, "test_sequences": 10},
    "network": {"n_rec": 4, "spectral_radius": 0.5, "output_scale": 0.3},
    "rule": {"name": "rflo", "storage": "dense"},
    "training": {"learning_rate": {"A": 0.02, "W": 0.003, "B": 0.003}, "epochs": 3, "records": 10},
}
VOWELS = nl.Experiment.builtin(["training.epochs=1", "network.n_rec=8"])


def row(precision, seed=0, loss=(1.0, 0.5), status="completed", metrics=None, saturation=None, **changes):
    experiment = nl.Experiment.from_dict({**TABLES, **changes, "seed": seed, "precision": precision})
    steps = np.arange(1, len(loss) + 1) * 100.0
    return Row(
        digest="", settings={}, seed=seed, experiment=experiment.to_dict(), status=status,
        metrics={"test_nmse": loss[-1]} if metrics is None else metrics,
        records={"step": steps, "loss": np.array(loss)}, saturation=saturation,
    )  # fmt: skip


FLOAT, EIGHT = {"preset": "float32"}, {"weight": "s1.6", "state": "s3.12"}


# --- what is compared


def test_differences_are_paired_t_intervals():
    rng = np.random.default_rng(0)
    real, fixed = rng.uniform(0.1, 0.2, 6), rng.uniform(0.12, 0.25, 6)
    rows = [row(FLOAT, s, (1.0, x)) for s, x in enumerate(real)] + [
        row(EIGHT, s, (1.0, x)) for s, x in enumerate(fixed)
    ]
    cases = cases_of(rows[::-1])
    found = difference(cases[0], float_of(cases)[cases[0].context], Metric("test_nmse"))
    share = fixed / real - 1.0
    low, high = stats.t.interval(0.95, 5, share.mean(), stats.sem(share))
    assert found == pytest.approx((share.mean(), low, high, 6, 0))
    accuracy = Metric("test_accuracy")
    assert accuracy.worse_by(0.9, 0.95) == pytest.approx(0.05) and accuracy.worse_by(math.nan, 0.9) == math.inf
    assert Metric("test_loss").worse_by(0.0, 0.0) == 0.0


def test_lost_runs_make_a_difference_infinite_and_one_pair_has_no_interval():
    found = mean_difference([0.1, math.inf, 0.2])
    assert (found.mean, found.pairs, found.lost) == (math.inf, 3, 1) and str(found) == "1 of 3 lost"
    assert math.isnan(mean_difference([0.1]).high) and math.isnan(mean_difference([]).mean)
    rows = [row(FLOAT), row(EIGHT, status="diverged", metrics={})]
    answers = Answers(rows)
    assert answers.fixed[0].difference.lost == 1 and "1 of 1 lost" in answers.table()


def test_lines_are_named_by_what_differs_and_does_not_follow():
    rows = []
    for rule in ({"name": "rflo", "storage": "dense"}, {"name": "rflo"}, {"name": "tbptt"}):
        for F in (4, 6):
            for rounding in ("nearest", "stochastic"):
                p = {"weight": f"s1.{F}", "A": f"s3.{F - 2}", "state": "s3.12", "update_rounding": rounding}
                rows.append(row(p, rule=rule))
    cases = cases_of(rows)
    keys = series_keys(cases, "weight")
    assert keys == ["rule.name", "rule.storage", "precision.update_rounding"]  # A follows the weights' bits
    assert label(cases[0], keys) == "rflo, dense, nearest" and label(cases[-1], keys) == "tbptt, stochastic"
    assert len({label(c, keys) for c in cases}) == 6
    assert "precision.A" not in keys and series_keys(cases, "state")[-1] != "precision.state"


def test_where_in_time_it_broke():
    references = [row(FLOAT, s, np.array([1.0, 0.5, 0.2, 0.1, 0.05]) * k) for s, k in enumerate((1.0, 1.02, 0.98))]
    stacked = np.array([r.records["loss"] for r in references])
    band = stacked.mean(axis=0) + np.maximum(3 * stacked.std(axis=0, ddof=1), 0.1 * stacked.mean(axis=0))
    np.testing.assert_allclose(float_band(references), band)
    for loss, step in (
        ([1.0, 0.5, 0.2, 0.1, 0.05], math.nan),
        ([1.0, 0.5, 0.3, 0.3, 0.3], 300.0),
        ([1.0, 0.9, 0.2, 0.1, 0.08], 500.0),  # outside once, back, and outside for good
        ([9.0, 9.0, 9.0, 9.0, 9.0], 100.0),
        ([1.0, math.nan, math.nan, math.nan, math.nan], 200.0),
    ):
        found = break_of(row(EIGHT, 0, loss), references)
        assert found.step == step or (math.isnan(step) and math.isnan(found.step)), (loss, found)
        if not math.isnan(step):
            assert found.share == step / 500.0
    ended = break_of(row(EIGHT, 0, [1.0, 0.5], status="diverged", metrics={}), references)
    assert ended.step == 200.0


def test_rates_are_events_over_landings():
    counts = {
        "A": {"overflows": 3, "updates": 50, "dead_updates": 20}, "state": {"overflows": 7},
        "readout": {"accumulator_overflows": 4},
    }  # fmt: skip
    full = {
        k: {"overflows": 0, "accumulator_overflows": 0, "updates": 0, "dead_updates": 0, **v} for k, v in counts.items()
    }
    answers = Answers([row(EIGHT, saturation=full)])
    rates = answers.findings[0].rates
    assert rates.dead == {"A": 0.4}
    assert rates.overflow == {"A": pytest.approx(3 / (200 * 2 * 4)), "state": pytest.approx(7 / (200 * 4))}
    assert rates.accumulator == {"readout": pytest.approx(4 / 200)}
    hidden = row({**EIGHT, "hidden": "s1.12"}).experiment
    assert landings(hidden)["A"] == 16 and landings(hidden)["current"] == 4


@pytest.mark.parametrize("storage", ["dense", "factored"])
def test_everything_that_lands_is_counted_as_a_landing(storage):
    """With a range of nothing every result that is not 0 overflows: shares come close to 1 and never exceed it."""
    tiny = {"weight": "s1.14", "state": "s3.12", "current": "s-11.12", "error": "s-11.12"}
    found = run_one({**TABLES, "rule": {"name": "rflo", "storage": storage}}, {"precision": tiny})
    rates = Answers([found]).findings[0].rates.overflow
    for name in ("current", "error"):
        assert 0.5 < rates[name] <= 1.0, (name, rates)


# --- from real rows


@pytest.fixture(scope="module")
def rows():
    settings = [
        {"precision": {"weight": f"s1.{F}", "A": f"s2.{F}", "state": f"s3.{S}", "update_rounding": r}, "seed": s}
        for F in (3, 11) for S in (5, 11) for r in ("nearest", "stochastic") for s in (0, 1)
    ]  # fmt: skip
    return [run_one(TABLES, one) for one in settings]


def test_float_rows_are_made_once_per_setting_and_seed(rows):
    floats = float_rows(rows, threads=1)
    assert [r.seed for r in floats] == [0, 1]
    plain = nl.Experiment.from_dict({**TABLES, "seed": 1}).simulate(progress=False)
    assert floats[1].metrics == plain.metrics
    assert float_rows([*rows, *floats]) == []


def test_more_bits_are_better_and_the_table_says_so(rows):
    answers = answers_of(rows, progress=False)
    by = {(f.case.bits("weight"), f.case.bits("state"), f.case.precision.update_rounding): f for f in answers.fixed}
    assert len(by) == 8
    for state in (9, 15):
        assert by[5, state, "nearest"].mean > by[13, state, "nearest"].mean
        assert by[5, state, "nearest"].rates.dead["W"] > by[13, state, "nearest"].rates.dead["W"]
    lines = answers.table().splitlines()
    assert len(lines) == 2 + 9 and lines[2].split()[:1] == ["float32"]
    assert answers.to_list()[1]["test_nmse"] == answers.findings[1].values.tolist()
    assert answers.table(style="markdown").startswith("| setting")
    with pytest.raises(InputError, match="metric"):
        Answers(rows, "speed")
    with pytest.raises(InputError, match="no rows"):
        Answers([])


def test_pictures_show_the_numbers(rows, tmp_path):
    answers = answers_of(rows, progress=False)
    heat = answers.plot(tmp_path / "heat.png")
    shown = {t.get_text() for ax in heat.axes for t in ax.texts}
    assert {f"{f.mean:.2g}" for f in answers.fixed} <= shown
    some = [r for r in rows if "s3.11" in r.experiment["precision"]["state"]]
    lines = Answers([*some, *float_rows(some)]).plot(tmp_path / "bits.svg")
    ax = lines.axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    for rounding in ("nearest", "stochastic"):
        means = [
            f.mean for f in answers.fixed if f.case.bits("state") == 15 and f.case.precision.update_rounding == rounding
        ]
        np.testing.assert_allclose(drawn[rounding], means)
    assert "floating point" in drawn
    assert (tmp_path / "bits.svg").stat().st_size > 5000 and (tmp_path / "heat.png").stat().st_size > 5000
    with pytest.raises(InputError, match="fixed point"):
        Answers(float_rows(rows)).plot()


def test_a_profile_answers_and_suggests():
    experiment = nl.Experiment.from_dict({**TABLES, "precision": EIGHT})
    profile = nl.profile(experiment, {"precision.weight": ["s1.2", "s1.12"]}, seeds=3, progress=False)
    found = profile.answers(progress=False)
    assert [f.case.bits("weight") for f in found.fixed] == [4, 14]
    suggestion = profile.suggest(0.5, progress=False)
    assert suggestion.formats["W"] == "s1.12" and suggestion.verifications[0].seeds[0] == 3


# --- which variable costs what


def test_a_starved_variable_is_found():
    """All formats are fine but one: it costs all there is, alone or saved, and all others nothing."""
    experiment = nl.Experiment.from_dict({**VOWELS.to_dict(), "precision": {
        "weight": "s3.14", "state": "s7.14", "readout": "s0.1", "error": "s2.14"}})  # fmt: skip
    found = attribution(experiment, 2, threads=2, progress=False)
    first, *others = found.shares
    assert first.variable == "readout" and first.format == "s0.1"
    assert first.alone.mean > 0.1 and first.alone.mean == pytest.approx(found.whole.mean, abs=0.03)
    assert first.spared.mean == pytest.approx(found.whole.mean, abs=0.03)
    assert all(abs(s.alone.mean) < 0.03 for s in others), found.table()
    assert abs(found.wide.mean) < 0.02
    assert {"A", "factor_W", "factor_B", "state", "trace", "input_trace", "decays", "rates"} <= {
        s.variable for s in found.shares
    }
    figure = found.plot()
    assert figure.axes[0].get_yticklabels()[-1].get_text() == "readout  (s0.1)"
    assert found.to_dict()["shares"][0]["alone"]["mean"] == first.alone.mean


def test_a_narrow_accumulator_is_a_variable():
    tables = {**TABLES, "precision": {**EIGHT, "weight": "s1.12", "A": "s2.12", "accumulator": "s18 saturate"}}
    found = attribution(nl.Experiment.from_dict(tables), 2, threads=2, progress=False)
    assert found.shares[0].variable == "accumulator" and found.shares[0].format == "s18 saturate"
    with pytest.raises(InputError, match="no formats"):
        attribution(nl.Experiment.from_dict(TABLES), 2, progress=False)


# --- where updates point


def test_fine_updates_point_where_float_does_and_exact_rules_where_bptt_does():
    tables = {**TABLES, "rule": {"name": "tbptt", "steps": 10}}
    tables["training"] = {**tables["training"], "update": "episode"}
    fine = nl.Precision(weight="s2.22", state="s4.14", error="s4.14", rate_bits=12)
    dead = nl.Precision(name="dead", weight="s2.2", state="s4.14")
    found = update_angles(nl.Experiment.from_dict(tables), [fine, dead], points=3, episodes=4)
    assert found.steps.tolist() == [0, 400, 800]
    assert np.nanmax(found.float_to_bptt) < 1e-4  # over the whole sequence it is the gradient
    assert np.nanmax(found.to_float[0]) < 0.5 and np.nanmax(found.to_bptt[0]) < 0.5
    assert (found.still[0] == 0).all() and (found.still[1, :, 1] == 1).all()
    assert np.isnan(found.to_float[1, :, 1]).all()
    assert "no update" in found.table() and len(found.plot().axes) == 3
    with pytest.raises(InputError, match="not fixed point"):
        update_angles(nl.Experiment.from_dict(tables))


def test_angles_of_hidden_weights_are_those_of_the_fine_grid():
    fine = nl.Precision(name="fine", weight="s2.20", state="s4.15")
    hidden = nl.Precision(name="hidden", weight="s2.6", hidden="s2.20", state="s4.15")
    dense, factored = ({**TABLES, "rule": {"name": "rflo", "storage": s}} for s in ("dense", "factored"))
    for tables in (dense, factored):
        found = update_angles(nl.Experiment.from_dict(tables), [fine, hidden], points=1, episodes=3)
        assert np.nanmax(found.still) == 0.0
        assert np.nanmax(found.to_float[0]) < 3.0 and np.nanmax(found.to_float[1]) < 25.0


# --- floors

ONE_UNIT = {
    "task": {"name": "teacher-student", "a_star": [1.03], "b_star": [1.0], "w_star": [0.517], "steps": 20},
    "network": {"n_rec": 1, "spectral_radius": 0.3, "output_scale": 1.0},
    "rule": {"name": "tbptt", "steps": 1},
    "training": {"learning_rate": 0.0005, "update": "episode", "batch": 8, "epochs": 150, "records": 30},
}


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_predicted_floor_beside_the_simulated_one(rounding):
    """Updates are sums over 160 sampled steps, which costs the stochastic floor a little; the bound holds as it is."""
    found = []
    for seed in range(3):
        precision = {
            "weight": "s2.10",
            "feedback": "s2.14",
            "state": "s4.19",
            "error": "s4.19",
            "update_rounding": rounding,
        }
        one = run_one(ONE_UNIT, {"precision": precision, "seed": seed})
        floor = floor_of(one)
        assert floor.valid, floor.reason
        found.append(float(one.records["loss"][-10:].mean()) / floor.loss)
    if rounding == "nearest":
        assert all(0.01 < ratio < 1.12 for ratio in found), found
    else:
        assert 0.6 < np.mean(found) < 1.8, found


@pytest.mark.parametrize(
    "change,words",
    [
        ({"training": {**ONE_UNIT["training"], "update": "online", "batch": 1}}, "sample of 1 steps"),
        ({"network": {"n_rec": 3}}, "not made of modes"),
        ({"precision": {"weight": "s2.3"}}, "take more bits"),
        ({"precision": {"update_rounding": "lsb-stochastic"}}, "lsb-stochastic"),
        ({"task": {**ONE_UNIT["task"], "noise": 0.1}}, "noise"),
    ],
)
def test_what_makes_a_floor_a_guide_only(change, words):
    precision = {"weight": "s2.10", "state": "s4.19", **change.get("precision", {})}
    floor = predicted_floor(nl.Experiment.from_dict({**ONE_UNIT, **change, "precision": precision}))
    assert not floor.valid and words in floor.reason and floor.loss > 0.0


def test_where_theory_has_nothing_to_say():
    assert predicted_floor(VOWELS) is None
    assert predicted_floor(nl.Experiment.from_dict({**TABLES, "precision": EIGHT})) is None  # no modes
    assert predicted_floor(nl.Experiment.from_dict(ONE_UNIT)) is None  # floating point


def test_floors_are_drawn_beside_losses(tmp_path):
    short = {**ONE_UNIT, "training": {**ONE_UNIT["training"], "epochs": 2}}
    rows = [
        run_one(short, {"precision": {"weight": f"s2.{F}", "state": "s4.19", "update_rounding": r}})
        for F in (8, 12) for r in ("nearest", "stochastic")
    ]  # fmt: skip
    answers = Answers([*rows, *float_rows(rows)], "train_loss")
    floors = [floor_of(f.case.rows[0]) for f in answers.fixed]
    figure = plot_floors(answers, floors, tmp_path / "floors.png")
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(drawn["stochastic: predicted"], [f.loss for f in (floors[1], floors[3])])
    with pytest.raises(InputError, match="floors are losses"):
        plot_floors(Answers(rows, "test_nmse"), floors)


# --- the shipped study


def test_the_tables_of_the_study_are_those_of_its_results():
    path = ROOT / "examples" / "quantisation_study.py"
    spec = importlib.util.spec_from_file_location("quantisation_study", path)
    study = importlib.util.module_from_spec(spec)
    sys.modules["quantisation_study"] = study
    spec.loader.exec_module(study)
    found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "quantisation_study.md").read_text(encoding="utf-8")
    for name, table in study.tables(found).items():
        start = page.index(study.BEGIN.format(name)) + len(study.BEGIN.format(name))
        assert page[start : page.index(study.END, start)].strip() == table, name
    lines = path.with_suffix(".csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) - 1 == sum(
        len(x["values"]) for part in ("vowels", "teacher", "heat", "floor") for x in found[part]
    )
