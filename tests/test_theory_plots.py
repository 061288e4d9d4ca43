"""Theory beside runs: predictions against runs, grids against single points, pictures against their numbers."""

from __future__ import annotations

import importlib.util
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import neurolrnn as nl
from neurolrnn import theory
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.network import Network
from neurolrnn.rule_plots import plot_portrait, plot_rates, plot_stability_map
from neurolrnn.tasks.teacher_student import aligned_student
from neurolrnn.theory.mode_equations import ModeEquations
from neurolrnn.theory.phase_portrait import OUTCOMES, PLANES, Portrait, outcomes, portrait
from neurolrnn.theory.rule_maps import KINDS, labelled, rate_curve, rate_rows, stability_map
from neurolrnn.theory.run_modes import mode_deviation, predict_modes
from neurolrnn.theory_examples import aligned_runs
from neurolrnn.theory_plots import plot_alignment, plot_modes, plot_spectra

TASK: dict[str, Any] = {
    "a_star": [1.2, 0.9], "b_star": [1.0, -1.1], "w_star": [0.6, -0.3], "n_in": 3, "n_rec": 4, "n_out": 2,
    "rotate": True, "sequences": 12, "steps": 8, "seed": 3,
}  # fmt: skip
START = [0.3, 0.2], [0.25, -0.1], [0.2, 0.1], [0.8, 1.1]
RFLO: dict[str, Any] = {"a_hat": 1.0, "decay": 0.5}


def learn(rule: str = "rflo", task: dict[str, Any] | None = None, seed: int | None = 5, **options: Any) -> nl.Run:
    made = nl.tasks.load("teacher-student", **{**TASK, **(task or {})})
    student, R = aligned_student(made, *START, n_rec=5, seed=seed)
    rules = {
        "rflo": nl.RFLO(decay=0.5, feedback=R), "rflo-sym": nl.RFLO(decay=0.5, feedback="symmetric", storage="dense"),
        "tbptt2": nl.TruncatedBPTT(2), "tbptt2-random": nl.TruncatedBPTT(2, feedback=R), "bptt": nl.BPTT(),
        "eprop": nl.EProp(feedback=R), "rflo-free": nl.RFLO(decay=0.5),
    }  # fmt: skip
    given = {"learning_rate": 0.03, "update": "expected", "epochs": 2, "records": 8, "progress": False, **options}
    return nl.simulate(student, made, rules[rule], nl.Precision.float64(), **given)


def test_functions_do_not_hide_modules() -> None:
    for name in ("modes", "stationary", "stability", "portrait", "predict_modes"):
        assert callable(getattr(theory, name))
        assert importlib.util.find_spec(f"neurolrnn.theory.{name}") is None


# --- runs


@pytest.mark.parametrize("rule", ["rflo", "rflo-sym", "tbptt2", "tbptt2-random", "bptt"])
@pytest.mark.parametrize("options", [
    {}, {"loss_steps": "final", "batch": 3, "epochs": 20}, {"horizon": "inf", "batch": 4}, {"learn": ("A", "W")},
    {"learning_rate": {"A": 0.03, "W": 0.01, "B": 0.02}},
], ids=["all", "final", "stationary", "B-frozen", "rates"])  # fmt: skip
def test_expected_runs_are_what_is_predicted(rule: str, options: dict[str, Any]) -> None:
    run = learn(rule, {"leak": 0.7}, **options)
    found, off = predict_modes(run), mode_deviation(run)
    assert found.by_steps
    assert np.ptp(found.predicted["w"], axis=0).max() > 0.03  # something was learned
    assert off.largest < 1e-12 and off.off_diagonal < 1e-12
    np.testing.assert_allclose(found.loss, found.predicted_loss, rtol=1e-9, equal_nan=True)


def test_many_updates_are_predicted_by_the_flow() -> None:
    run = learn(learning_rate=0.0005, epochs=50)
    found = predict_modes(run)
    assert not found.by_steps
    assert 1e-8 < mode_deviation(run).largest < 1e-3
    np.testing.assert_allclose(found.loss, found.predicted_loss, rtol=0.02)


def test_a_last_batch_that_is_not_full_counts_as_less() -> None:
    off = [
        mode_deviation(learn(loss_steps="final", batch=5, learning_rate=eta, epochs=round(0.2 / eta))).largest
        for eta in (0.01, 0.005)
    ]
    assert off[0] < 0.05
    assert off[0] / off[1] == pytest.approx(2.0, abs=0.3)  # the flow's own distance


@pytest.mark.parametrize("options", [{"update": "online"}, {"update": "episode", "batch": 4},
                                     {"update": "episode", "loss_steps": "final", "batch": 4, "noise": 0.1}],
                         ids=["online", "episode", "final-noisy"])  # fmt: skip
def test_sampled_runs_approach_the_prediction_as_the_learning_rate_falls(options: dict[str, Any]) -> None:
    options = dict(options)
    task = {"sequences": 200, "noise": options.pop("noise", 0.0)}
    worth = 8 if options.get("update") == "episode" and "loss_steps" not in options else 1
    spread = []
    for eta, epochs in ((0.016, 1), (0.001, 16)):
        off = [mode_deviation(learn("rflo", {**task, "seed": s}, learning_rate=eta / worth, epochs=epochs, **options))
               for s in range(3)]  # fmt: skip
        spread.append(np.mean([x.largest for x in off]))
    assert spread[0] < 0.3
    assert spread[1] < 0.6 * spread[0]  # as √η, which would be a quarter


def test_noise_of_the_targets_is_part_of_the_loss() -> None:
    run = learn("rflo", {"noise": 0.5, "sequences": 400}, update="online", learning_rate=1e-6, epochs=1, records=2)
    found = predict_modes(run)
    np.testing.assert_allclose(found.loss, found.predicted_loss, rtol=0.05)
    without = predict_modes(learn(learning_rate=1e-6)).predicted_loss[0]
    assert found.predicted_loss[0] - without == pytest.approx(0.25, rel=1e-2)


def test_eprop_has_modes_where_each_is_one_unit() -> None:
    assert mode_deviation(learn("eprop", seed=None)).largest < 1e-12
    with pytest.raises(InputError, match="e-prop keeps modes apart only"):
        mode_deviation(learn("eprop"))


def test_what_has_no_mode_equations_is_refused() -> None:
    with pytest.raises(InputError, match="R is not aligned"):
        predict_modes(learn("rflo-free"))
    task = nl.tasks.load("teacher-student", sequences=3, steps=4, test_sequences=0)
    net = Network.random(3, 5, 2, spectral_radius=0.5)
    free = nl.simulate(net, task, nl.RFLO(), progress=False)
    with pytest.raises(InputError, match="no teacher made of modes"):
        plot_modes(free)
    task = nl.tasks.load("teacher-student", **TASK)
    with pytest.raises(InputError, match="did not start as modes"):
        predict_modes(nl.simulate(net, task, nl.RFLO(), progress=False))
    run = learn()
    records = {k: v for k, v in run.records.items() if not k.startswith("mode.")}
    bare = nl.Run(run.experiment, run.status, "", run.initial, run.network, run.feedback, records=records)
    with pytest.raises(InputError, match="run it again"):
        predict_modes(bare)
    own = nl.Task("own", task.train, teacher=task.teacher)
    student, R = aligned_student(task, *START)
    other = nl.simulate(student, own, nl.RFLO(feedback=R), progress=False)
    with pytest.raises(InputError, match="how long its sequences"):
        predict_modes(other, task.teacher)
    with pytest.raises(InputError, match="no teacher made of modes"):
        aligned_runs(Experiment.from_dict({"task": {"name": "periodic"}, "network": {"n_rec": 4},
                                           "rule": {"name": "rflo"}}))  # fmt: skip


# --- portraits


@pytest.mark.parametrize("plane", PLANES)
def test_the_flow_on_the_grid_is_that_of_the_equations(plane: str) -> None:
    rule, options = ("bptt", {}) if plane == "u-w" else ("rflo", RFLO)
    p = portrait(rule, plane, points=9, t=1.0, **options)
    hat = None if plane == "u-w" else [1.0]
    system = ModeEquations(rule, [1.0], [1.0], [0.6], hat, decay=options.get("decay"))
    for i, j in ((0, 1), (4, 7), (8, 3)):
        x, y = p.x[j], p.y[i]
        a, b, w = {"a-w": (x, 0.5, y), "a-b": (x, y, 0.0), "b-w": (0.5, x, y),
                   "u-w": (abs(x) ** 0.5, np.sign(x) * abs(x) ** 0.5, y)}[plane]  # fmt: skip
        d = system.update([a], [b], [w])
        speed = {"a": -d.da[0], "b": -d.db[0], "w": -d.dw[0], "u": -a * d.db[0] - b * d.da[0]}
        np.testing.assert_allclose(p.flow[i, j], [speed[k] for k in plane.split("-")], rtol=1e-12)


def test_outcomes_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b, w = rng.uniform(-2, 2, 40), rng.uniform(-2, 2, 40), rng.uniform(-0.9, 0.9, 40)
    system = ModeEquations("rflo", [1.0], [1.0], [0.6], [1.0], decay=0.5)
    found = outcomes(system, a, b, w, t=100.0)
    for k in range(40):

        def slope(_: float, y: Any) -> Any:
            return -np.ravel(system.evaluate(*y[:, np.newaxis])[:3])

        def edge(_: float, y: Any) -> float:
            return float(1.0 - abs(y[2]) - 1e-6)

        edge.terminal = True  # type: ignore[attr-defined]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            end = solve_ivp(slope, (0, 100), [a[k], b[k], w[k]], rtol=1e-8, atol=1e-10, events=edge, method="LSODA")
        learned = end.status == 0 and abs(end.y[0, -1] * end.y[1, -1] - 1.0) + abs(end.y[2, -1] - 0.6) < 1e-3
        wanted = ("learns, a > 0" if end.y[0, -1] > 0 else "learns, a < 0") if learned else "diverges"
        assert OUTCOMES[found[k]] == wanted, k
    assert len(set(found.tolist())) > 1


@pytest.mark.parametrize("rule", ["rflo", "fa_bptt"])
@pytest.mark.parametrize("b_star", [1.0, -0.7])
def test_every_start_in_the_safe_region_learns(rule: str, b_star: float) -> None:
    options: dict[str, Any] = {"a_hat": -1.5, "decay": 0.3 if rule == "rflo" else None}
    p = portrait(rule, "a-b", b_star=b_star, w_star=-0.5, points=31, **options)
    assert 0.2 < p.safe().mean() < 0.3
    assert {OUTCOMES[k] for k in np.unique(p.basins[p.safe()])} == {"learns, a < 0"}
    assert p.shares()["diverges"] > 0.05


@settings(max_examples=6)
@given(hat=st.floats(0.2, 3.0), star=st.floats(-0.8, 0.8), decay=st.floats(-0.5, 0.9))
def test_a_and_b_change_sign_together_with_the_feedback(hat: float, star: float, decay: float) -> None:
    one, other = (portrait("rflo", "a-b", w_star=star, a_hat=h, decay=decay, points=10) for h in (hat, -hat))
    swap = np.array([0, 2, 1, 3, 4])
    np.testing.assert_array_equal(swap[one.basins[::-1, ::-1]], other.basins)
    np.testing.assert_allclose(one.flow[::-1, ::-1], -other.flow, rtol=1e-9, atol=1e-12)


def test_the_optimum_is_drawn_where_it_is_and_called_what_it_is() -> None:
    for plane in ("a-w", "a-b", "b-w"):
        p = portrait("rflo", plane, points=5, t=1.0, b_star=2.0, **RFLO)
        on = np.isfinite(p.s)
        x, y = p.project(p.s[on], 2.0 / p.s[on], np.full(on.sum(), 0.6))
        np.testing.assert_allclose(p.optimum[on], np.stack([x, y], axis=-1), rtol=1e-12)
        for k in np.flatnonzero(on)[::37]:
            assert theory.stability("rflo", float(p.s[k]), c=2.0, w_star=0.6, **RFLO).kind == p.kinds[k]
        (kind, low, high) = p.pieces()[-1]
        assert kind == "stable node" and 0.0 < low < high
        assert sum(len(np.flatnonzero((p.s >= a) & (p.s <= b))) for _, a, b in p.pieces()) == on.sum()


def test_bptt_stays_in_the_plane_and_ends_where_the_sign_of_u_says() -> None:
    p = portrait("bptt", "u-w", points=21, b_star=-1.0)
    wrong = np.broadcast_to(p.x * p.c <= 0.0, p.basins.shape)
    assert {OUTCOMES[k] for k in np.unique(p.basins[wrong])} == {"ends at a = b = 0"}
    assert {OUTCOMES[k] for k in np.unique(p.basins[~wrong])} == {"learns, a > 0"}
    run = p.trajectories
    np.testing.assert_allclose(run.a**2 - run.b**2, 0.0, atol=1e-5)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"rule": "rflo", "plane": "u-w", **RFLO}, "left by rflo at once"),
    ({"rule": "bptt", "plane": "u-w", "rates": {"A": 2.0}}, "left by bptt at once"),
    ({"rule": "bptt", "plane": "u-w", "third": 0.5}, "has no third variable"),
    ({"rule": "bptt", "plane": "w-a"}, "plane = 'w-a'"),
    ({"rule": "bptt", "a_star": 0.0}, "nothing to learn"),
    ({"rule": "bptt", "w_star": 1.0}, "below 1"),
    ({"rule": "bptt", "plane": "a-b", "third": 1.0}, "below 1"),
    ({"rule": "bptt", "y": (-1.0, 0.5)}, "between -1 and 1"),
    ({"rule": "bptt", "x": (1.0, 1.0)}, "two rising numbers"),
    ({"rule": "bptt", "points": 1}, "points = 1"),
    ({"rule": "bptt", "a_hat": 1.0}, "a_hat"),
])  # fmt: skip
def test_bad_portraits_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        portrait(**arguments)


# --- maps and speeds


def test_the_map_is_stability_at_every_point() -> None:
    m = stability_map("rflo", a_hat=0.05, decay=0.0, points=60)
    rng = np.random.default_rng(1)
    for i, j in rng.integers(0, 60, (40, 2)):
        point = theory.stability("rflo", float(m.s[j]), w_star=float(m.w_star[i]), a_hat=0.05, decay=0.0)
        assert m.kinds[i, j] == point.kind
        window = point.window
        inside = window is not None and window[0] < -0.05 * m.s[j] < window[1]
        assert m.stable[i, j] == (m.s[j] > 0.0 or inside)
    assert 0.005 < m.stable[m.wrong_sign].mean() < 0.1
    assert not stability_map("rflo", a_hat=1.0, decay=0.0, points=60).stable[m.wrong_sign].any()
    assert set(m.shares()) == set(KINDS) and sum(m.shares().values()) == pytest.approx(1.0)
    assert not stability_map("bptt", points=10).wrong_sign.any()
    with pytest.raises(InputError, match="two rising numbers"):
        stability_map("bptt", w_star=(-1.0, 0.5))


def test_slowest_points_and_crossings_are_ones() -> None:
    rows = rate_rows(("bptt", "tbptt", "rflo", "rflo-sym", "fa_bptt"), (0.3, 0.8), c=2.0, a_hat=0.7)
    assert len(rows) == 10
    for row in rows:
        options: dict[str, Any] = {"c": 2.0, "a_hat": 0.7}
        near = rate_curve(row.rule, row.slowest_s * np.array([0.99, 1.0, 1.01]), row.w_star, **options)
        assert row.at_an_end or near.argmin() == 1
        assert near[1] == pytest.approx(row.slowest_rate, rel=1e-6)
        if row.rule == "bptt":
            assert row.slowest_s == pytest.approx(math.sqrt(2.0), rel=1e-4)
            assert row.slowest_rate == pytest.approx(row.at_balance, rel=1e-9)
        for s in row.crossings:
            mine, theirs = (float(rate_curve(r, np.array([s]), row.w_star, **options)[0]) for r in (row.rule, "bptt"))
            assert mine == pytest.approx(theirs, rel=1e-9)
    assert any(row.crossings for row in rows if row.rule == "rflo")
    with pytest.raises(InputError, match="at least one"):
        rate_rows(())
    with pytest.raises(InputError, match="did you mean 'rflo'"):
        labelled("rfol")


# --- pictures


def apart(figure: Any) -> None:
    """The legend of the figure lies outside its axes, and no title runs into it."""
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    for axes in figure.axes:
        assert not box.overlaps(axes.get_tightbbox())
        assert axes.get_xlabel() or axes.get_shared_x_axes().get_siblings(axes) != [axes]
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0


def test_picture_of_modes(tmp_path: Path) -> None:
    runs = [learn(), learn("bptt")]
    figure = plot_modes(runs, tmp_path / "modes")
    found = predict_modes(runs[1])
    axes: Any = np.array(figure.axes).reshape(4, 2)
    lines = [line for line in axes[2, 1].get_lines() if len(line.get_xdata()) == len(found.step)]
    np.testing.assert_array_equal(lines[1].get_ydata(), found.simulated["w"][:, 1])
    np.testing.assert_array_equal(lines[1].get_xdata(), found.step)
    paths = [line for line in axes[2, 1].get_lines() if len(line.get_xdata()) == len(found.path_step)]
    np.testing.assert_array_equal(paths[0].get_ydata(), found.path.w[:, 0])
    assert f"{mode_deviation(runs[0]).largest:.3g}" in axes[0, 0].get_title(loc="left")
    apart(figure)
    first = (tmp_path / "modes.png").read_bytes()
    assert b"neurolrnn theory modes" in first[:1024]
    plot_modes(runs, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == first  # the same runs, the same bytes
    with pytest.raises(InputError, match="no run was given"):
        plot_modes([])


def test_picture_of_alignment() -> None:
    runs = [learn("rflo", update="online"), learn("bptt", update="episode")]
    figure = plot_alignment(runs)
    assert [len(axes.get_lines()) for axes in figure.axes] == [1, 2, 2]
    np.testing.assert_array_equal(figure.axes[0].get_lines()[0].get_ydata(), runs[0].records["feedback_cosine"])
    assert "only the feedback cosine" in figure.get_suptitle()
    apart(figure)
    bare = nl.Run(runs[1].experiment, "completed", "", runs[1].initial, runs[1].network)
    with pytest.raises(InputError, match="nothing can align"):
        plot_alignment(bare)


def test_picture_of_spectra() -> None:
    task = nl.tasks.load("teacher-student", sequences=20, test_sequences=0)
    net = Network.random(3, 8, 2, spectral_radius=0.5)
    rules = (nl.RFLO(storage="dense"), nl.TruncatedBPTT(1))
    runs = [nl.simulate(net, task, rule, learning_rate=0.01, progress=False) for rule in rules]
    figure = plot_spectra(runs)
    report = theory.rank_report(runs[0])
    np.testing.assert_array_equal(figure.axes[0].get_lines()[0].get_ydata(), report.spectrum.values)
    title = figure.axes[0].get_title(loc="left")
    assert "rank 2, bound 2" in title and f"{report.spectrum.participation:.2f}" in title
    assert "no bound below 8" in figure.axes[1].get_title(loc="left")
    apart(figure)


@pytest.mark.parametrize(("rule", "plane"), [("rflo", "a-w"), ("rflo", "a-b"), ("bptt", "b-w"), ("bptt", "u-w")])
def test_picture_of_a_portrait(rule: str, plane: str) -> None:
    p: Portrait = portrait(rule, plane, points=15, t=30.0, **(RFLO if rule == "rflo" else {}))
    figure = plot_portrait(p)
    axes: Any = figure.axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_array().reshape(p.basins.shape), p.basins)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {f"optimum: {kind}" for kind in np.unique(p.kinds) if kind} <= set(labels)
    assert ("Q: never left" in labels) == (rule == "rflo")
    assert ("a = b = 0: saddle, not optimal" in labels) == (rule == "bptt")
    apart(figure)
    with pytest.raises(InputError, match="made already"):
        plot_portrait(p, w_star=0.3)


def test_pictures_of_rates_and_stability() -> None:
    figure = plot_rates(("bptt", "rflo"), (0.3, 0.9))
    rows = rate_rows(("bptt", "rflo"), (0.3, 0.9))
    marks: list[Any] = [line for line in figure.axes[1].get_lines() if line.get_marker() == "o"]
    found = sorted(float(line.get_xdata()[0]) for line in marks)
    wanted = [r.slowest_s for r in rows if r.w_star == 0.9 and not r.at_an_end]
    wanted += [s for r in rows if r.w_star == 0.9 for s in r.crossings]
    np.testing.assert_allclose(found, sorted(wanted))
    apart(figure)
    maps = [stability_map("rflo", a_hat=h, decay=0.0, points=40) for h in (1.0, 0.05)]
    figure = plot_stability_map(maps)
    mesh: Any = figure.axes[1].collections[0]
    codes = mesh.get_array().reshape(maps[1].kinds.shape)
    np.testing.assert_array_equal(np.array(KINDS)[codes], maps[1].kinds)
    share = 100 * maps[1].stable[maps[1].wrong_sign].mean()
    assert f"{share:.1f} %" in figure.axes[1].get_title(loc="left")
    apart(figure)
