"""What a user's program may look like, for a type checker at its strictest; it is checked, never run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import neurolrnn as nl
from neurolrnn import chips, exports, profiles, spiking, tasks, theory
from neurolrnn_hardware import catalogue
from neurolrnn_kernels.formats import OVERFLOWS, ROUNDINGS, QFormat, Rounding

Reals = NDArray[np.float64]


def networks() -> nl.Network:
    net = nl.Network.random(3, 32, 2, leak=0.5, kind="orthogonal", seed=1)
    own = nl.Network(np.eye(2), [[0.0, 0.5], [-0.5, 0.0]], np.eye(2), leak=1.0, origin={"kind": "mine"})
    sparse = nl.Network.from_sparse(np.ones((1, 4)), nl.SparseMatrix.from_dense(np.eye(4)), np.ones((4, 1)))
    assert_type(net.A, Reals)
    assert_type(net.n_rec, int)
    assert_type(net.spectral_radius(), float)
    assert_type(net.origin["kind"], str)
    assert_type(sparse.sparse, nl.SparseMatrix | None)
    return own.replace(leak=0.5, W=np.eye(2)) if net.digest() else net


def every_task(names: list[str]) -> list[nl.Task]:
    task = tasks.load("teacher-student", n_in=3, n_out=2, seed=1)
    assert_type(task.train.inputs, Reals)
    assert_type(task.test, nl.Sequences | None)
    mine = tasks.from_arrays(np.zeros((10, 1)), np.zeros((10, 1)), loss="squared-error")
    return [task, mine, *(tasks.load(name) for name in names if name in tasks.TASKS)]


def every_rule(name: str) -> list[nl.Rule]:
    R = np.ones((2, 32))
    rules = [nl.RFLO(decay=0.5, storage="dense", feedback=R), nl.TruncatedBPTT(steps=2), nl.EProp(), nl.RTRL()]
    return [*rules, nl.BPTT(), nl.make_rule(name, feedback="random")]


def precisions(chosen: dict[str, str]) -> list[nl.Precision]:
    int8 = nl.Precision.preset("int8", update_rounding="stochastic", noise="shared")
    own = nl.Precision(weight="s1.6", state="s3.12 floor wrap", hidden={"W": "s1.14"}, random_bits=8)
    assert_type(own.landing("W").format, QFormat)
    assert_type(own.landing("W").rounding, Rounding)
    read = nl.Precision.from_dict({"preset": "int16"})
    return [int8, own, read, nl.Precision(**chosen), nl.Precision.float32(), nl.Precision.float64()]


def runs(net: nl.Network, task: nl.Task, rule: nl.Rule) -> nl.Run:
    run = nl.simulate(net, task, rule, nl.Precision.float64(), 0.01, "online", epochs=2, clamp={"W": 1.0}, seed=1)
    assert_type(run.loss, Reals)
    assert_type(run.metrics["test_nmse"], float)
    assert_type(run.experiment["seed"], int)
    assert_type(run.experiment["training"]["epochs"], int)
    assert_type(run.experiment["training"]["learning_rate"], dict[str, float])
    assert_type(run.position["step"], int)
    if run.numerics is not None:
        assert_type(run.numerics["formats"], dict[str, str])
    if run.saturation is not None:
        assert_type(run.saturation["W"]["overflows"], int)
    if run.basis is not None:
        assert_type(run.basis["held_as"], str)
    print(run.summary(), run.status, run.digest, run.rank_report(), run.message, run.warnings, run.timing_table())
    run.plot("run.png").set_size_inches(6.0, 4.0)
    path = run.save(Path("run.npz"))
    many = nl.simulate_many(
        net, task, nl.RFLO(), [1, 2], learning_rate=[0.01, {"A": 0.1, "W": 0.1, "B": 0.1}], epochs=2
    )
    return nl.Run.load(path) if many[0].status == "completed" else run


def experiments() -> nl.Experiment:
    experiment = nl.Experiment.from_dict(
        {"task": {"name": "evidence"}, "network": {"n_rec": 8}, "rule": {"name": "rflo"}}
    )
    tables = nl.Experiment.load("own.toml", ["seed=2"]).to_dict()
    tables["seed"] = 3
    assert_type(tables["rule"], dict[str, object])
    network, task, rule, precision, training, seed = experiment.build()
    assert_type(training.rates, dict[str, float])
    print(network.leak, task.name, rule.online, precision.name, seed, experiment.described["task"]["name"])
    try:
        print(experiment.simulate(progress=False).metrics)
    except nl.Divergence as error:
        print(error.run.status)
    except (nl.InputError, nl.RunFileError) as error:
        print(error)
    return nl.Experiment.from_dict(tables, "changed")


def many_runs(experiment: nl.Experiment) -> None:
    axes: dict[str, list[str]] = {"precision.weight": ["s1.6", "s1.14"]}
    found = nl.profile(experiment, axes, seeds=3, mode="grid", progress=False)
    assert_type(found.rows[0].metrics, dict[str, float])
    assert_type(found.rows[0].settings, dict[str, object])
    print(found.table(), found.axes["precision.weight"].labels, found.status, found.to_csv("rows.csv"))
    found.plot("profile.svg", metric="test_loss").get_size_inches()
    answers = found.answers("test_accuracy")
    print(answers.to_list()[0]["bits"], answers.findings[0].values.shape)
    suggestion = nl.suggest_formats(experiment, tolerance=0.05)
    print(suggestion.to_dict()["formats"], found.suggest(objective="bytes"))
    print(
        profiles.ranges(experiment),
        profiles.attribution(experiment, seeds=2),
        profiles.update_angles(experiment, [nl.Precision.preset("int8")]),
    )


def fit(experiment: nl.Experiment) -> None:
    report = nl.check(experiment, "loihi2", assume=["weight.bits=8"])
    assert_type(report.fits, bool | None)
    assert_type(report.to_dict()["findings"], list[dict[str, str]])
    assert_type(report.resources[0].share, float | None)
    chip = catalogue.load("reckon")
    assert_type(chip.weight.bits.value, int | None)
    assert_type(chip.fact("weight.bits").value, object)
    print(
        report.suggest().changes,
        chips.check_all(experiment, ["loihi2"]),
        nl.demand_of(experiment).bits(role="weight", plastic=True),
    )


def deploy(run: nl.Run, target: str) -> None:
    report = nl.export(run, "net.nir", "nir", dt_seconds=1e-3)
    report = nl.export(run, None, target, dry_run=True, micro_steps=2)
    assert_type(report.losses[0].what, str)
    print(report.is_exact, exports.TARGETS["c"].options(), exports.TARGETS["c"].holds["rule"])


def spikes(net: nl.Network, data: nl.Sequences) -> None:
    found = spiking.twin(net, data, "sigma-delta", q=0.1, micro_steps=2, receivers="leaky", record=["h", "events"])
    assert_type(found.h, Reals | None)
    rows = spiking.sweep(net, data, [{"mode": "lif-pair", "q": q, "micro_steps": 4} for q in (0.1, 0.2)])
    assert_type(rows[0]["error"], float)
    q = spiking.design_q(net, data, 0.02, of="y", horizon="sequences")
    print(
        spiking.budget(net, data, q=q).relative_y, spiking.activity(found).saving, spiking.measure(net, data)["error"]
    )
    model = spiking.to_brian2(net, "graded", data)
    print(model.run().need("y").shape, model.describe(), spiking.fewest_micro_steps(net, data, q))
    plan = spiking.make_plan(net, "sigma-delta", learning=spiking.Learning(nl.RFLO(), correction="exact"))
    print(plan.summary()["mode"], spiking.run_twin(plan, data).plan.q, spiking.example_input(net).shape)


def formulas() -> None:
    path = theory.modes("rflo", [0.1], [0.1], [0.2], a_star=[1.0], b_star=[1.0], w_star=[0.6], t=[0, 40], a_hat=[1.0])
    assert_type(path.w, Reals)
    assert_type(theory.rate("bptt", 1.0, w_star=0.6, steps=2, T=10), Reals)
    assert_type(theory.slowest("rflo", w_star=0.6, a_hat=1.0, decay=0.5), tuple[float, float])
    assert_type(theory.crossings("rflo", w_star=0.6, a_hat=1.0, other_options={"T": 10.0}), list[float])
    equations = theory.ModeEquations("rflo", [1.0], [1.0], [0.6], a_hat=[1.0])
    assert_type(equations.a_star, Reals)
    print(
        theory.rank_bound("rflo", 8, 2, 1), theory.numerical_rank(np.eye(3)), theory.jacobian("bptt", 1.0, w_star=0.5)
    )


def gradients(net: nl.Network, task: nl.Task) -> None:
    check = nl.gradcheck(nl.RTRL())
    print(check)
    print(nl.gradient(nl.BPTT(), net, task.train)["W"].shape)
    print(nl.alignment(runs(net, task, nl.EProp()), task).to_dict())


def formats() -> None:
    form = QFormat.parse("s3.12")
    codes = form.encode([0.5, -0.25])
    print(form.decode(codes), form.width, form.largest, ROUNDINGS["floor"], OVERFLOWS["wrap"].label)
