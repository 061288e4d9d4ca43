"""What chips do besides: kernel against big integers, every code of every step, every weight and every count."""

from __future__ import annotations

import fixed_cases
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import neurolrnn as nl

RULES = ("rflo-dense", "rflo-factored", "tbptt", "eprop")


@pytest.mark.parametrize("common", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["common", "every-kind"])
@pytest.mark.parametrize("name", RULES)
def test_every_code_is_that_of_the_oracle(name: str, common: bool) -> None:
    compared: list[int] = []
    for wide in (False, True):

        @settings(max_examples=90, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(fixed_cases.cases(name, wide, 10, chips=True))
        def check(case: fixed_cases.Case) -> None:
            compared.append(fixed_cases.compare(case, common))

        check()
    print(f"{name}: {len(compared)} runs, {sum(compared)} codes compared, none differs")
    assert sum(compared) > 3000


def run(precision: nl.Precision, rule: nl.Rule | None = None, **training: object) -> nl.Run:
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=6, steps=10, seed=1)
    net = nl.Network.random(2, 9, 2, leak=0.5, seed=3)
    return nl.simulate(net, task, rule or nl.RFLO(storage="dense"), precision, 0.005, progress=False, **training)


FORMATS = {"weight": "s2.13", "state": "s4.11"}


def test_a_message_as_fine_as_the_state_changes_nothing() -> None:
    plain, sent = run(nl.Precision(**FORMATS)), run(nl.Precision(**FORMATS, message="s4.11"))
    assert np.array_equal(plain.network.W, sent.network.W)
    assert not np.array_equal(plain.network.W, run(nl.Precision(**FORMATS, message="s4.2")).network.W)


def test_paired_traces_learn_what_a_signed_trace_learns() -> None:
    signed = run(nl.Precision(**FORMATS, rounding="toward-zero"))
    pair = run(nl.Precision(**FORMATS, rounding="toward-zero", trace="u4.20", trace_signs="pair"))
    assert np.abs(signed.network.W - pair.network.W).max() < 0.01
    few = run(nl.Precision(**FORMATS, trace="u-3.7", trace_signs="pair"))
    assert few.saturation is not None
    assert few.saturation["trace"]["overflows"] > 0


@pytest.mark.parametrize("precision", [nl.Precision.float64(), nl.Precision(**FORMATS)], ids=["float64", "fixed"])
def test_an_epoch_as_long_as_the_run_makes_one_update(precision: nl.Precision) -> None:
    # 6 sequences of 10 steps: an epoch that does not end learns nothing, one that just does makes one update
    never, once = run(precision, update_every=61), run(precision, update_every=60)
    assert np.allclose(never.network.W, never.initial.W, atol=2**-13)
    assert not np.allclose(once.network.W, never.network.W, atol=2**-12)


def test_options_of_later_versions_are_said_where_they_are_used() -> None:
    assert "trace_signs" not in nl.Precision(**FORMATS).options()
    assert "update_every" not in nl.Training().options()
    used = nl.Precision(**FORMATS, trace="u2.5", trace_signs="pair", state_decay="apart", message="s1.6")
    assert nl.Precision.from_dict(used.options()).options() == used.options()
    assert nl.Training(update_every=4).options()["update_every"] == 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"trace_signs": "pair"}, "without a sign, and trace is s4.11"),
        ({"trace_signs": "both"}, "signed, pair"),
        ({"state": "s4.11 wrap symmetric"}, "only a signed range that saturates"),
        ({"trace": "u4.8 symmetric"}, "only a signed range that saturates"),
        ({"state_decay": "twice"}, "together, apart"),
    ],
)
def test_refusals(options: dict[str, str], match: str) -> None:
    with pytest.raises(nl.InputError, match=match):
        nl.Precision(**{**FORMATS, **options})


def test_rules_without_traces_have_no_pairs_and_episodes_no_epochs() -> None:
    pair = nl.Precision(**FORMATS, trace="u4.8", trace_signs="pair")
    with pytest.raises(nl.InputError, match="no filtered activity"):
        run(pair, nl.EProp())
    with pytest.raises(nl.InputError, match="belongs to update = 'online'"):
        nl.Training(update="episode", update_every=2)
