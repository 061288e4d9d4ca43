"""The kernels as plain Python (NUMBA_DISABLE_JIT=1) give the bits of the compiled ones.

Nothing in a kernel may be reordered or contracted, so every sum, product and rounding is the same one. Only exp and
log come from different libraries: with cross-entropy, results agree to rounding.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_network, draw_sequences, python_process
from numba import config
from numpy.typing import NDArray

from neurolrnn.engine import Engine
from neurolrnn.number_system import RealNumbers
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.schedule import Schedule, step_weights
from neurolrnn.training import Training

RULES: dict[str, Rule] = {
    "rflo-dense": RFLO(storage="dense"),
    "rflo-factored": RFLO(),
    "rflo-symmetric": RFLO(storage="dense", feedback="symmetric", decay=0.3),
    "tbptt1": TruncatedBPTT(1),
    "tbptt3": TruncatedBPTT(3, feedback="random"),
    "eprop": EProp(),
    "rtrl": RTRL(),
    "bptt": BPTT(),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "online": {},
    "episode": {"update": "episode"},
    "momentum": {"momentum": 0.5},
    "clamp": {"clamp": 0.3},
}


# 19 and 70 units leave odd remainders of the unrolled loops, and of the 16 and 64 sums of the inner product.
def cases() -> Iterator[tuple[str, Rule, dict[str, Any], int, str, str]]:
    for name, rule in RULES.items():
        for key, options in SETTINGS.items():
            if not rule.online and key != "episode":
                continue
            for dtype in ("float64", "float32"):
                yield f"{name}-{key}-n6-squared-error-{dtype}", rule, options, 6, "squared-error", dtype
        options = SETTINGS["online" if rule.online else "episode"]
        for dtype in ("float64", "float32"):
            yield f"{name}-n6-cross-entropy-{dtype}", rule, options, 6, "cross-entropy", dtype
            if not isinstance(rule, RTRL):  # n³ influences are slow in plain Python
                yield f"{name}-n19-squared-error-{dtype}", rule, options, 19, "squared-error", dtype
            if isinstance(rule, RFLO):
                yield f"{name}-n70-squared-error-{dtype}", rule, options, 70, "squared-error", dtype


def learn(rule: Rule, options: dict[str, Any], n: int, loss: str, dtype: str) -> dict[str, NDArray[Any]]:
    """Return every array of the learner after a short run, and its losses."""
    training = Training(**{"learning_rate": 0.02, "batch": 2, **options})
    lengths = (4, 1, 3) if n < 10 else (3, 2)
    network, data = draw_network(n_rec=n, scale=0.3), draw_sequences(lengths, loss=loss)
    schedule = Schedule(data, epochs=1, batch=training.batch)
    engine = Engine(
        network, rule, training, RealNumbers(np.dtype(dtype)), feedback=rule.feedback_matrix(2, n, 0), data=data,
        weights=step_weights(data, "all"), loss=loss, lanes=schedule.lanes, longest=schedule.longest,
    )  # fmt: skip
    _, losses = engine.run(schedule.epoch(0))
    return {**engine.state(), "loss": losses}


def save(path: str) -> None:
    """Run every case and write what it gives."""
    found = {f"{case[0]}/{k}": v for case in cases() for k, v in learn(*case[1:]).items()}
    np.savez(path, compiled=not config.DISABLE_JIT, **found)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, NDArray[Any]]]:
    path = tmp_path_factory.mktemp("plain") / "state.npz"
    python_process(Path(__file__), path, NUMBA_DISABLE_JIT="1")
    with np.load(path) as arrays:
        yield dict(arrays)


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="there is nothing compiled to compare with")
@pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in cases()])
def test_compiled_and_plain_give_the_same_bits(case: Any, plain: dict[str, NDArray[Any]]) -> None:
    name, *setting = case
    assert not plain["compiled"]
    loss, dtype = setting[-2:]
    compiled = learn(*setting)
    assert {f"{name}/{k}" for k in compiled} == {k for k in plain if k.startswith(f"{name}/")}
    for key, array in compiled.items():
        other = plain[f"{name}/{key}"]
        assert array.dtype == other.dtype
        if loss == "cross-entropy":
            tolerance = 1e-14 if dtype == "float64" else 1e-6
            np.testing.assert_allclose(array, other, rtol=0, atol=tolerance, err_msg=key)
            if key == "loss":  # calculated in float64 in both precisions, and before any update at the same weights
                assert array[0] == pytest.approx(other[0], rel=1e-14)
        else:
            np.testing.assert_array_equal(array, other, err_msg=key)
    assert any(array.any() for key, array in compiled.items() if key.startswith("memory."))


if __name__ == "__main__":
    save(sys.argv[1])
