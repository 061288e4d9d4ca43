"""Updates of rules beside one another: each against a way of its own to the same update, and what must be equal is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from conftest import draw_network, draw_sequences
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn import cli
from neurolrnn.errors import InputError
from neurolrnn.gradients import angle_degrees, flatten, gradient
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.update_alignment import Alignment, alignment, default_rules, label

GROUPS = ("A", "W", "B")
RULES: dict[str, Rule] = {
    "bptt": BPTT(), "rtrl": RTRL(), "tbptt1": TruncatedBPTT(1), "tbptt3-random": TruncatedBPTT(3, feedback="random"),
    "eprop": EProp(), "eprop-random": EProp(feedback="random"), "rflo": RFLO(0.4),
    "rflo-dense": RFLO(storage="dense"), "rflo-symmetric": RFLO(storage="dense", feedback="symmetric"),
}  # fmt: skip


def task(loss: Any = "squared-error", **options: Any) -> Task:
    return Task("own", draw_sequences(loss=loss, **options), loss=loss)


def one(found: Alignment, name: str) -> int:
    return found.names.index(name)


# --- each update by another road


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("loss_steps", ["all", "final"])
@pytest.mark.parametrize("key", RULES)
def test_updates_against_the_oracle(key: str, loss_steps: Any, loss: Any) -> None:
    """One sequence is one episode, whose step with rate 1 is the update."""
    rule, net, data = RULES[key], draw_network(), draw_sequences((9,), loss=loss)
    found = alignment(net, data, {"it": rule}, loss=loss, loss_steps=loss_steps, seed=5).updates[0]
    want = oracle.train(
        net.A, net.W, net.B, net.leak, rule, [(data.inputs, data.targets, data.mask)],
        R=rule.feedback_matrix(2, 6, 5), loss=loss, loss_steps=loss_steps, update="episode",
        rates=dict.fromkeys(GROUPS, 1.0), momentum=0.0, clamp=dict.fromkeys(GROUPS, np.inf), learn=GROUPS, batch=1,
        epochs=1,
    )  # fmt: skip
    for g in GROUPS:
        np.testing.assert_allclose(found["it"][g], getattr(net, g) - getattr(want, g), rtol=0, atol=1e-12)


FINE: dict[str, Any] = {
    "weight": "s7.8",
    "hidden": "s8.23",
    "rate_bits": 8,
    "state": "s4.11",
    "error": "s3.12",
    "signal": "s3.12",
}
"""Signal and trace have 23 fraction bits together, and so have the hidden weights."""


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize(
    "rule", [RFLO(0.4, storage="dense"), RFLO(0.4), TruncatedBPTT(3), EProp()],
    ids=["rflo-dense", "rflo-factored", "tbptt", "eprop"],
)  # fmt: skip
def test_fixed_point_updates_are_those_a_real_episode_makes(rule: Rule, rounding: str) -> None:
    """With a rate of 1 and hidden weights as fine as the products, an episode moves them by the update exactly."""
    precision = nl.Precision(rounding=rounding, **FINE)
    net, data = draw_network(), draw_sequences((9,), masked=False)
    run = nl.simulate(net, Task("own", data), rule, precision, 1.0, "episode", seed=3, progress=False)
    found = gradient(rule, net, data, precision=precision, seed=3)
    assert run.numerics is not None
    assert not any(counts.get("overflows") for counts in (run.saturation or {}).values())
    factored = run.factors is not None
    for g in ("W", "B"):
        before = np.zeros(1) if factored else np.round(getattr(net, g) * 256.0) / 256.0
        hidden = np.ldexp(run.state[f"weights.hidden_{g}"].astype(float), -23)
        moved = before - (hidden if factored else hidden.T)
        if factored:
            R = np.round(rule.feedback_matrix(2, 6, 3) * 256.0) / 256.0  # type: ignore[operator]
            moved = R.T @ moved
        np.testing.assert_array_equal(found[g], moved)
        assert found[g].any()
    landed = np.round(net.A * 256.0) / 256.0 - np.ldexp(run.state["weights.hidden_A"].astype(float), -23)
    np.testing.assert_array_equal(found["A"], landed)


def test_fixed_point_sums_are_proved_to_fit() -> None:
    wide = nl.Precision(weight="s7.24", state="s7.24", error="s7.24", signal="s7.24")
    data = draw_sequences((9,), masked=False)
    with pytest.raises(InputError, match=r"needs .* bits"):
        gradient(RFLO(storage="dense"), draw_network(), data, precision=wide)


# --- what must be equal, and what must not


def test_relations_between_rules() -> None:
    net = draw_network(leak=1.0).replace(W=np.diag(np.linspace(-0.5, 0.8, 6)))
    rules = [RTRL(), TruncatedBPTT(1), TruncatedBPTT(9), EProp(), RFLO(storage="dense", feedback="symmetric")]
    found = alignment(net, task(), rules)
    assert found.names == ("BPTT", "RTRL", "tBPTT(1)", "tBPTT(9)", "e-prop symmetric", "RFLO symmetric")
    for part in ("W", "B", "all"):
        angles = dict(zip(found.names, found.angles(part), strict=True))
        for name in ("RTRL", "tBPTT(9)", "e-prop symmetric"):  # e-prop because W is diagonal
            assert angles[name] < 1e-6
            assert found.norm_ratios(part)[one(found, name)] == pytest.approx(1.0, abs=1e-12)
        assert angles["tBPTT(1)"] > 1.0
        cosine = found.cosines(part)[one(found, "tBPTT(1)"), one(found, "RFLO symmetric")]
        assert cosine == pytest.approx(1.0, abs=1e-12)  # decay 0
    assert found.angles("A").max() < 1e-6  # ΔA is every rule's own gradient


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 8), m=st.integers(1, 3), o=st.integers(1, 3),
    leak=st.just(1.0) | st.floats(0.1, 1.0), loss=st.sampled_from(["squared-error", "cross-entropy"]),
)  # fmt: skip
def test_cosines_angles_and_norms_agree(seed: int, n: int, m: int, o: int, leak: float, loss: str) -> None:
    own = Task("own", draw_sequences((5, 3, 4), m, o, seed, loss=loss), loss=loss)  # type: ignore[arg-type]
    found = alignment(draw_network(m, n, o, leak, seed), own, seed=seed)
    for part in ("all", *GROUPS):
        cosines, angles, norms = found.cosines(part), found.angles(part), found.norm_ratios(part)
        vectors = [
            flatten(found.updates[0][name]) if part == "all" else found.updates[0][name][part].ravel()
            for name in found.names
        ]
        for i, u in enumerate(vectors):
            size = np.linalg.norm(u)
            if not size or not np.linalg.norm(vectors[0]):
                assert np.isnan(angles[i])
                continue
            assert norms[i] == pytest.approx(size / np.linalg.norm(vectors[0]))
            assert angles[i] == pytest.approx(angle_degrees(u, vectors[0]), abs=1e-9)
            assert np.cos(np.radians(angles[i])) == pytest.approx(cosines[i, 0], abs=1e-9)
            assert cosines[i, i] == pytest.approx(1.0)
        np.testing.assert_array_equal(np.isnan(cosines), np.isnan(cosines.T))
        np.testing.assert_allclose(cosines, cosines.T, atol=1e-12)


def test_more_bits_mean_a_smaller_angle() -> None:
    net, own, angles = draw_network(seed=2), task(masked=False), []
    for preset in ("int8", "int16", "int24"):
        found = alignment(net, own, [RFLO(), RTRL()], precision=nl.Precision.preset(preset))
        assert found.names == ("BPTT", "RFLO random", "RTRL", f"RFLO random, {preset}")
        exact, rounded = (found.updates[0][name]["W"] for name in ("RFLO random", f"RFLO random, {preset}"))
        angles.append(angle_degrees(rounded, exact))
    assert angles[0] > 4 * angles[1] > 16 * angles[2] > 0.0
    single = alignment(net, own, [RTRL()], precision=nl.Precision.float32())
    assert single.names == ("BPTT", "RTRL", "BPTT, float32", "RTRL, float32")
    assert 0.0 < single.angles("W")[2] < 1e-3


# --- where, over what, with which R


def test_a_run_gives_both_ends_and_its_own_feedback() -> None:
    own = task()
    run = nl.simulate(draw_network(), own, RFLO(), nl.Precision.float64(), 0.01, seed=7, progress=False)
    found = alignment(run, own, [RFLO()])
    assert found.points == ("start", "end")
    assert run.feedback is not None
    for point, net in enumerate((run.initial, run.network)):
        W = found.updates[point]["RFLO random"]["W"]
        inside = run.feedback.T @ np.linalg.lstsq(run.feedback.T, W, rcond=None)[0]
        np.testing.assert_allclose(inside, W, atol=1e-12)
        np.testing.assert_array_equal(W, gradient(RFLO(), net, own.train, seed=7)["W"])
    other = alignment(run, own, [RFLO()], seed=8).updates[0]["RFLO random"]["W"]
    assert not np.allclose(other, found.updates[0]["RFLO random"]["W"])


def test_points_along_a_run() -> None:
    own, net = task(), draw_network()
    runs = [
        nl.simulate(net, own, RFLO(), nl.Precision.float64(), 0.01, progress=False, stop_at=stop) for stop in (5, 20)
    ]
    found = alignment(runs, own, [RFLO()])
    assert found.points == ("step 5", "step 20")
    assert found.angles("W", 0)[1] != found.angles("W", 1)[1]
    assert alignment([net, *runs, runs[0]], own, [RFLO()]).points == ("0", "step 5", "step 20", "step 5 (3)")


def test_only_some_sequences() -> None:
    net, own = draw_network(), task()
    found = alignment(net, own, [EProp()], sequences=2)
    first = Sequences(own.train.inputs[:8], own.train.targets[:8], own.train.starts[:3], own.train.mask[:8])
    want = gradient(EProp(), net, first)
    assert found.steps == 8
    for g in GROUPS:
        np.testing.assert_array_equal(found.updates[0]["e-prop symmetric"][g], want[g])
    assert alignment(net, own, [EProp()], sequences=99).steps == own.train.steps


def test_default_rules() -> None:
    names = [label(rule) for rule in default_rules(draw_network(leak=0.3), 100)]
    assert names == [
        "BPTT", "RTRL", "tBPTT(1)", "tBPTT(5)", "e-prop symmetric", "e-prop random", "RFLO symmetric", "RFLO random",
        "RFLO symmetric, ŵ 0.5", "RFLO random, ŵ 0.5",
    ]  # fmt: skip
    assert len(default_rules(draw_network(leak=0.5), 100)) == 8  # where ŵ = 0.5 anyway
    assert "RTRL" not in [label(rule) for rule in default_rules(nl.Network.random(3, 64, 2), 10_000)]
    assert label(TruncatedBPTT(2, feedback="random")) == "tBPTT(2) random"
    assert label(EProp(feedback=np.ones((2, 6)))) == "e-prop R given"


def test_names() -> None:
    net, own = draw_network(), task()
    assert alignment(net, own, ["rflo", "bptt", "tbptt"]).names == ("BPTT", "RFLO random", "tBPTT(1)")
    own_names = {"mine": RFLO(), "exact": BPTT(), "other": RFLO(0.1)}
    assert alignment(net, own, own_names).names == ("exact", "mine", "other")


# --- what it shows


def test_tables_and_plain_data() -> None:
    net = draw_network().replace(A=np.zeros((2, 6)))  # nothing to send back through A
    found = alignment(net, task(), [EProp(), RFLO()])
    assert np.isnan(found.angles("W")[1]) and np.isnan(found.cosines("W")[1]).all()
    said = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert said["rules"] == list(found.names) and said["steps"] == found.steps
    assert said["angle_to_bptt_degrees"]["W"] == [[None, None, None]]
    assert said["cosine"]["W"][0][2] == [None, None, 1.0]
    text = found.table("B")
    assert str(found) == found.table("W") != text
    lines = text.splitlines()
    assert lines[0].split()[:3] == ["beside", "BPTT", "angle"]
    assert "cosine, B" in text
    assert next(line for line in lines if line.startswith("3 RFLO random")).split()[-3:] == ["-", "-", "1.00"]
    assert found.table("all", style="markdown").startswith("| beside BPTT ")


def test_pictures(tmp_path: Path) -> None:
    net, own = draw_network(), task()
    found = alignment([net, net.replace(W=0.5 * net.W)], own, [EProp(), RFLO()])
    for k, it in enumerate((alignment(net, own, [EProp()]), found)):
        figure = it.plot(tmp_path / f"{k}.png")
        assert (tmp_path / f"{k}.png").read_bytes().startswith(b"\x89PNG")
        assert len([ax for ax in figure.get_axes() if ax.get_title(loc="left")]) == 2 * (k + 1)
    with pytest.raises(InputError, match="cannot draw"):
        found.plot(tmp_path / "x.what")


# --- refusals


def test_refusals() -> None:
    net, own = draw_network(), task()
    bad: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((net, own, [RFLO(), RFLO(storage="dense")]), {}, "two of the rules are called 'RFLO random'"),
        ((net, own, ["rfl"]), {}, "did you mean 'rflo'"),
        (([], own), {}, "net is of type list"),
        ((net.W, own), {}, "net is of type ndarray"),
        (([net, draw_network(n_rec=5)], own), {}, "differ in size"),
        ((draw_network(3), own), {}, "inputs"),
        ((net, own), {"sequences": 0}, "sequences = 0"),
        ((net, own), {"seed": -1}, "seed = -1"),
        ((net, own, [RFLO()]), {"loss_steps": "finall"}, "did you mean 'final'"),
        ((net, own, [RFLO()]), {"precision": nl.Precision.preset("int16")}, "masks of 0 and 1"),
        ((net.replace(W=1e200 * np.eye(6)), own, [RFLO()]), {}, "not finite at step"),
    ]
    for arguments, options, message in bad:
        with pytest.raises(InputError, match=message):
            alignment(*arguments, **options)
    found = alignment(net, own, [RFLO()])
    with pytest.raises(InputError, match="part = 'C'"):
        found.cosines("C")
    with pytest.raises(InputError, match="point = 1"):
        found.angles(point=1)
    with pytest.raises(InputError, match="style"):
        found.table(style="html")  # type: ignore[arg-type]


# --- the command


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.toml").write_text(
        '[task]\nname = "teacher-student"\nn_in = 2\nn_rec = 4\nn_out = 2\nsteps = 6\nsequences = 5\n'
        '[network]\nn_rec = 6\n[rule]\nname = "rflo"\n[training]\nlearning_rate = 0.01\n', encoding="utf-8",
    )  # fmt: skip
    rules = ["--rules", "rflo", "eprop"]
    assert cli.main(["theory", "updates", "x.toml", *rules, "--precision", "float32", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rules"][:3] == ["BPTT", "RFLO random", "e-prop symmetric"] and len(said["rules"]) == 6
    assert said["steps"] == 30 and said["points"] == ["network"]
    assert Path(said["picture"]).read_bytes().startswith(b"\x89PNG")
    nl.Experiment.load("x.toml").simulate(progress=False).save("run.npz")
    arguments = ["theory", "updates", "run.npz", *rules, "--part", "B", "--sequences", "2", "--no-plot"]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "start, 12 steps of teacher-student" in out and "end, 12 steps" in out and "cosine, B" in out
    assert cli.main(["theory", "updates", "x.toml", "--rules", "what"]) == 2
    assert "rule.name = 'what'" in capsys.readouterr().err
