"""Bounds on the rank of what is learned, each beside runs: they hold, are reached, and "none" means none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_network
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn import cli
from neurolrnn.errors import Divergence, InputError
from neurolrnn.rank_runs import VARIANTS, Setting, rank_table, rank_variants
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.theory.rank import rank_bound
from neurolrnn.theory.rank_variants import RankVariant, adam, clip_by_norm, learn_online, nesterov, observe, plain

OUTPUTS = (1, 2, 4)
DOCS = Path(__file__).parents[1] / "docs" / "rank.md"
QUICK = [
    name for name in VARIANTS
    if not name.startswith(("8-bit", "16-bit", "24-bit", "RTRL", "rounded"))
]  # fmt: skip
"""Without those that compile kernels of their own, or take a rank over the rationals."""


@pytest.fixture(scope="module")
def tables() -> list[tuple[RankVariant, ...]]:
    return [rank_variants(n_out=k) for k in OUTPUTS]


def test_every_bound_holds_and_is_reached(tables: list[tuple[RankVariant, ...]]) -> None:
    """Of the variants with a bound none can be made tighter, and those without exceed the outputs: none is vacuous."""
    for n_out, table in zip(OUTPUTS, tables, strict=True):
        assert [v.name for v in table] == list(VARIANTS)
        for v in table:
            assert v.holds, v
            if v.bound.informative:
                assert v.observed == v.bound.bound, v
            else:
                assert v.observed > n_out, v
            assert (v.beyond > 1e-11) == (v.observed > n_out), v
            assert v.note


def test_the_table_covers_what_it_should(tables: list[tuple[RankVariant, ...]]) -> None:
    bounded = {v.name for v in tables[1] if v.bound.bound == 2}
    assert {"RFLO", "ŵ varies in time", "Nesterov momentum 0.5", "a rate per row", "8-bit factors M, N"} <= bounded
    unbounded = {v.name for v in tables[1] if not v.bound.informative}
    assert {"Adam", "tanh units", "BPTT", "e-prop, fixed R", "16-bit W, B rounded to nearest"} <= unbounded
    weyl = {v.name: v for v in tables[1] if v.beyond_bound is not None}
    assert {"24-bit W, B rounded to nearest", "rounded to 2⁻¹³ after learning"} <= set(weyl)
    for v in weyl.values():
        assert v.exact and v.observed == 24
        assert v.beyond_bound is not None and 1e-9 < v.beyond < v.beyond_bound < 1.0


def test_table_in_the_docs(tables: list[tuple[RankVariant, ...]]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    begin, end = "<!-- rank-variants: begin -->", "<!-- rank-variants: end -->"
    assert text.count(begin) == text.count(end) == 1
    found = text.partition(begin)[2].partition(end)[0].strip()
    assert found == rank_table(*tables, style="markdown"), "docs/rank.md: put in what neurolrnn.rank_table gives"


@settings(max_examples=60)
@given(
    name=st.sampled_from(QUICK), n=st.integers(4, 12), m=st.integers(1, 5), o=st.integers(1, 5),
    steps=st.integers(20, 60), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_bounds_hold_at_any_size(name: str, n: int, m: int, o: int, steps: int, seed: int) -> None:
    try:
        (v,) = rank_variants(n, o, steps, seed, n_in=m, names=[name])
    except Divergence:
        return  # a network that the seed made unstable
    assert v.holds, v
    assert v.n_out == o
    assert v.bound.limit == min(n, n + m)


# --- the learner in NumPy is the compiled one where both exist


def data(o: int, n_in: int = 3, seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences(rng.normal(size=(60, n_in)), rng.normal(size=(60, o)), np.array([0, 25, 60]))


@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("leak", [1.0, 0.4])
def test_plain_runs_agree_with_the_kernels(leak: float, momentum: float) -> None:
    net = draw_network(3, 7, 2, leak=leak)
    R = 0.5 * np.random.default_rng(3).normal(size=(2, 7))
    decay = 0.3 if leak == 1.0 else 1.0 - leak
    rule = nl.RFLO(decay, storage="dense", feedback=R)
    run = nl.simulate(
        net, Task("data", data(2)), rule, nl.Precision.float64(), {"A": 0.0, "W": 0.002, "B": 0.002},
        momentum=momentum, learn=("W", "B"), shuffle=False, progress=False,
    )  # fmt: skip

    velocity: Any = 0.0

    def heavy_ball(update: Any) -> Any:
        nonlocal velocity
        velocity = momentum * velocity + update
        return 0.002 * velocity

    change, kappa = learn_online(
        net, data(2), R[np.newaxis], heavy_ball if momentum else plain(0.002), decay=decay, readout_rate=0.0,
        leaks=None if leak == 1.0 else np.full(7, leak),
    )  # fmt: skip
    want = np.hstack([run.network.W - net.W, run.network.B - net.B])
    assert np.abs(change - want).max() <= 1e-13
    assert kappa == 1.0


def test_optimisers() -> None:
    rng = np.random.default_rng(0)
    updates = rng.normal(size=(5, 3, 4))
    step, v = nesterov(0.1, 0.5), np.zeros((3, 4))
    for u in updates:
        v = 0.5 * v + u
        np.testing.assert_allclose(step(u), 0.1 * (u + 0.5 * v), rtol=1e-15)
    clipped = clip_by_norm(0.1, 1.0)(updates[0])
    assert np.linalg.norm(clipped) == pytest.approx(0.1)
    np.testing.assert_allclose(clipped / np.linalg.norm(clipped), updates[0] / np.linalg.norm(updates[0]))
    np.testing.assert_allclose(clip_by_norm(0.1, 1e9)(updates[0]), 0.1 * updates[0])
    np.testing.assert_allclose(adam(0.1)(updates[0]), 0.1 * np.sign(updates[0]), rtol=1e-6)  # the first step


def test_decay_leaves_a_known_share_of_the_start() -> None:
    net = draw_network(3, 7, 2, leak=1.0)
    still, kappa = learn_online(net, data(2), np.zeros((1, 2, 7)), plain(0.01), decay=0.5, pull=0.01)
    assert kappa == pytest.approx(0.99**60)
    np.testing.assert_allclose(still, (kappa - 1.0) * np.hstack([net.W, net.B]), rtol=1e-12)
    same, one = learn_online(net, data(2), np.zeros((1, 2, 7)), plain(0.01), decay=0.5, pull=0.01, toward="start")
    assert one == 1.0
    assert not same.any()


def test_adam_with_one_output_keeps_rank_one_but_for_its_floor() -> None:
    """Every update is r_i times a row; what Adam divides by is |r_i| times another, so only the sign of r_i is left."""
    net = draw_network(3, 7, 1, leak=1.0)
    R = np.random.default_rng(1).normal(size=(1, 1, 7))
    exact, _ = learn_online(net, data(1), R, adam(0.001, floor=1e-300), decay=0.5)
    assert observe(exact, 1)[0] == 1
    floored, _ = learn_online(net, data(1), R, adam(0.001, floor=1e-3), decay=0.5)
    assert observe(floored, 1)[0] > 1
    two, _ = learn_online(net.replace(A=np.ones((2, 7))), data(2), np.vstack([R, R[..., ::-1]]).reshape(1, 2, 7),
                          adam(0.001, floor=1e-300), decay=0.5)  # fmt: skip
    assert observe(two, 2)[0] > 2


# --- it can fail


def test_what_does_not_hold() -> None:
    bound = rank_bound("rflo", 8, 3, 2)
    good = RankVariant("x", 2, bound, 2, 0.1, beyond_bound=0.2)
    assert good.holds
    assert not replace(good, observed=3).holds
    assert not replace(good, beyond=0.3).holds
    assert observe(np.zeros((3, 4)), 1) == (0, 0.0)
    assert observe(np.eye(3), 1) == (3, 1.0)
    assert observe(np.eye(3), 3) == (3, 0.0)


def test_refusals() -> None:
    with pytest.raises(InputError, match="did you mean 'Adam'"):
        rank_variants(names=["adam"])
    for options in ({"n_rec": 3}, {"n_out": 0}, {"steps": 19}, {"seed": -1}, {"n_in": 0}):
        with pytest.raises(InputError, match=next(iter(options))):
            rank_variants(**options)  # type: ignore[arg-type]
    one, other = rank_variants(6, names=["Adam"]), rank_variants(6, names=["tanh units"])
    for tables in ((), (one, other)):
        with pytest.raises(InputError, match="the same variants"):
            rank_table(*tables)
    with pytest.raises(InputError, match="style"):
        rank_table(one, style="html")  # type: ignore[arg-type]


def test_tables_of_several_outputs() -> None:
    found = [rank_variants(6, k, 40, names=["RFLO", "2 matrices R in turn", "tanh units"]) for k in (1, 2, 4)]
    lines = rank_table(*found).splitlines()
    assert lines[0].split("  ")[0] == "n_out = 1, 2, 4"
    assert "1/2/4 independent errors" in lines[2]
    assert "2, 4, 6 (none)" in lines[3]  # two matrices of four rows say nothing about six units
    assert " none " in lines[4]
    assert "why" not in rank_table(found[0], notes=False)
    assert Setting(6, 5, 2, 40, 0).task().train.lengths.tolist() == [20, 20]
    plain_data = found[1][0].to_dict()
    assert plain_data["bound"] == plain_data["observed"] == 2
    assert plain_data["holds"] is True


def test_the_page_of_the_docs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Its Python blocks are one session."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    session: dict[str, Any] = {}
    exec(blocks[0], session)
    assert [v.observed for v in session["found"]] == [3, 16, 3]
    exec(blocks[1], session)
    assert "RFLO random, int16" in capsys.readouterr().out


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["theory", "rank-variants", "--n-rec", "6", "--n-in", "2", "--n-out", "1", "2", "--steps", "40"]
    assert cli.main(arguments) == 0
    assert "n_out = 1, 2" in capsys.readouterr().out
    assert cli.main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["variants"]
    assert [(v["name"], v["n_out"]) for v in said] == [(name, k) for k in (1, 2) for name in VARIANTS]
    assert all(v["holds"] for v in said)
    assert cli.main([*arguments, "--seed", "-1"]) == 2
    assert "seed = -1" in capsys.readouterr().err
