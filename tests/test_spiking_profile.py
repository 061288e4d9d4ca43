"""The table ``[spiking]`` of an experiment, and spiking modes as axes of a profile."""

from __future__ import annotations

import pytest

import neurolrnn as nl
from neurolrnn.experiment_keys import SPIKING
from neurolrnn.spiking import Plan, measure

TABLES = {
    "task": {"name": "periodic", "period": 40},
    "network": {"n_rec": 12, "leak": 0.2},
    "rule": {"name": "rflo"},
    "training": {"learning_rate": 0.005},
}


def test_keys_are_options_of_a_plan():
    own = set(Plan.__dataclass_fields__) - {"network", "precision", "learning"}
    assert set(SPIKING) == own


def test_what_is_trained_is_measured_as_spikes(tmp_path):
    experiment = nl.Experiment.from_dict({**TABLES, "spiking": {"q": 0.05}})
    run = experiment.simulate(progress=False)
    plain = nl.Experiment.from_dict(TABLES).simulate(progress=False)
    found = {name[8:]: value for name, value in run.metrics.items() if name.startswith("spiking_")}
    assert found == measure(plain.network, experiment.build()[1], q=0.05)
    assert run.metrics.items() >= plain.metrics.items()
    assert run.digest == experiment.digest != plain.digest
    assert nl.Experiment.from_run(nl.Run.load(run.save(tmp_path / "run.npz"))).digest == experiment.digest
    assert nl.Experiment.from_dict(experiment.to_dict()).digest == experiment.digest


def test_an_interrupted_run_is_measured_when_it_is_completed():
    experiment = nl.Experiment.from_dict({**TABLES, "spiking": {"q": 0.05}})
    network, task, rule, precision, training, seed = experiment.build()
    half = nl.simulate(
        network, task, rule, precision, training=training, seed=seed, progress=False, stop_at=17
    )  # what Ctrl-C leaves
    whole = experiment.simulate(progress=False, resume=half)
    expected = experiment.simulate(progress=False)
    assert whole.metrics == expected.metrics and whole.digest == experiment.digest


def test_modes_are_axes_of_a_profile():
    axes = {"spiking.mode": ["graded", "sigma-delta"], "spiking.q": [0.02, 0.1]}
    profile = nl.profile(nl.Experiment.from_dict(TABLES), axes, seeds=1, progress=False)
    rows = {(row.settings["spiking.mode"], row.settings["spiking.q"]): row.metrics for row in profile.rows}
    assert len(rows) == 4
    assert rows["graded", 0.1]["spiking_events_per_unit"] == 1.0
    fine, coarse = rows["sigma-delta", 0.02], rows["sigma-delta", 0.1]
    assert coarse["spiking_events_per_unit"] < fine["spiking_events_per_unit"] < 1.0
    assert coarse["spiking_error"] > fine["spiking_error"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"q": -1}, "spiking.q = -1"),
        ({"mode": "x"}, "allowed: graded, sigma-delta, lif-pair"),
        ({"quantum": 1}, "spiking.quantum = 1 is not known"),
        ({"reset": "to-value"}, "spiking.reset = 'to-value' is of mode = 'lif-pair'"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(nl.InputError, match=words):
        nl.Experiment.from_dict({**TABLES, "spiking": options})
