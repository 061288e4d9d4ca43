"""Things of the wrong kind, as one types them the first time: each is refused in words that show the right one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import neurolrnn as nl

NET = nl.Network.random(2, 4, 1)
TASK = nl.tasks.from_arrays(np.ones((5, 2)), np.ones((5, 1)))
SIMULATE: Any = nl.simulate  # a type checker refuses what is tried here
PROFILE: Any = nl.profile
GRADCHECK: Any = nl.gradcheck


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SIMULATE(TASK, NET, nl.RFLO()), r"net is a Task; a Network is needed, such as nl\.Network\.random"),
        (lambda: SIMULATE(NET, "add-memory", nl.RFLO()), r"task is a str; a Task is needed, such as nl\.tasks\.load"),
        (lambda: SIMULATE(NET, TASK, "rflo"), r"rule is a str; a Rule is needed, such as nl\.RFLO\(\)"),
        (lambda: SIMULATE(NET, TASK, nl.RFLO), r"rule is the class RFLO; a Rule is needed"),
        (lambda: SIMULATE(NET, TASK, nl.RFLO(), "int8"), r"precision is a str; .* nl\.Precision\.preset\('int8'\)"),
        (lambda: GRADCHECK("eprop"), r"rule is a str; a Rule is needed, such as nl\.EProp\(\)"),
        (lambda: PROFILE("x.toml", {}), r"experiment is a str; an Experiment is needed, such as nl\.Experiment\.load"),
        (lambda: PROFILE(nl.Experiment.builtin(), ["rule.name"]), r"axes is a list; a Mapping is needed"),
    ],
)
def test_a_thing_of_the_wrong_kind_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(nl.InputError, match=words):
        call()
