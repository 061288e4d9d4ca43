"""The order of steps: every row once an epoch, whole episodes in lanes, and any step found again."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from conftest import draw_network, draw_sequences
from hypothesis import given
from hypothesis import strategies as st

from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, Rule
from neurolrnn.schedule import Piece, Schedule, step_weights
from neurolrnn.simulation import simulate
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn_kernels.structs import END, START

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=7).map(tuple)
schedules = st.builds(
    lambda lengths, epochs, batch, shuffle, seed: Schedule(
        draw_sequences(lengths), epochs=epochs, batch=batch, shuffle=shuffle, seed=seed
    ),
    lengths, st.integers(1, 3), st.integers(1, 9), st.booleans(), st.integers(0, 99),
)  # fmt: skip


def data_of(schedule: Schedule) -> Sequences:
    return schedule._data


def order(piece: Piece, data: Sequences) -> list[list[int]]:
    """Return the sequences of each episode, lane by lane."""
    begins = np.flatnonzero(piece.flags & START)
    return [[int(np.flatnonzero(data.starts == row)[0]) for row in piece.rows[s] if row >= 0] for s in begins]


def flat(groups: list[list[int]]) -> list[int]:
    return [s for group in groups for s in group]


@given(schedules)
def test_an_epoch_is_every_sequence_once_from_start_to_end(schedule: Schedule) -> None:
    data = data_of(schedule)
    for k in range(schedule.epochs):
        piece = schedule.epoch(k)
        assert piece.first == schedule.first[k]
        assert piece.rows.shape == (schedule.first[k + 1] - schedule.first[k], schedule.lanes)
        assert piece.rows.dtype == np.int64
        assert piece.flags.dtype == np.uint8
        assert sorted(piece.rows[piece.rows >= 0]) == list(range(data.steps))
        begins, ends = np.flatnonzero(piece.flags & START), np.flatnonzero(piece.flags & END)
        assert begins[0] == 0
        assert ends[-1] == len(piece.flags) - 1
        np.testing.assert_array_equal(begins[1:], ends[:-1] + 1)
        for first, last in zip(begins, ends, strict=True):
            block = piece.rows[first : last + 1]
            assert (block >= 0).any(axis=1).all()  # as long as its longest sequence, no longer
            for lane in block.T:
                rows = lane[lane >= 0]
                assert (lane[len(rows) :] == -1).all()  # padding only behind
                if len(rows):
                    s = int(np.flatnonzero(data.starts == rows[0])[0])
                    np.testing.assert_array_equal(rows, np.arange(data.starts[s], data.starts[s + 1]))
        sizes = [len(group) for group in order(piece, data)]
        assert all(size == schedule.lanes for size in sizes[:-1])  # only the last batch may be short


@given(schedules, st.data())
def test_pieces_are_the_rest_of_the_run_cut_where_asked(schedule: Schedule, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, schedule.total))
    ends = np.unique(data.draw(st.lists(st.integers(1, schedule.total), max_size=6))).astype(np.int64)
    epochs = [schedule.epoch(k) for k in range(schedule.epochs)]
    rows, flags = np.concatenate([e.rows for e in epochs]), np.concatenate([e.flags for e in epochs])
    at = step
    for piece in schedule.pieces(step, ends):
        assert piece.first == at
        assert len(piece.flags) >= 1
        np.testing.assert_array_equal(piece.rows, rows[at : at + len(piece.flags)])
        np.testing.assert_array_equal(piece.flags, flags[at : at + len(piece.flags)])
        within = ends[(ends > at) & (ends < at + len(piece.flags))]
        assert len(within) == 0
        at += len(piece.flags)
    assert at == schedule.total == len(flags)


@given(schedules)
def test_steps_know_their_epoch(schedule: Schedule) -> None:
    for k in range(schedule.epochs):
        assert schedule.epoch_of(int(schedule.first[k])) == k
        assert schedule.epoch_of(int(schedule.first[k + 1]) - 1) == k


@given(lengths, st.integers(1, 9))
def test_lengths(lengths: tuple[int, ...], batch: int) -> None:
    schedule = Schedule(draw_sequences(lengths), batch=batch)
    assert schedule.longest == max(lengths)
    assert schedule.lanes == min(batch, len(lengths))
    groups = [lengths[k : k + batch] for k in range(0, len(lengths), batch)]
    assert schedule.total == sum(max(group) for group in groups)


@pytest.mark.parametrize("batch", [1, 2, 4], ids=lambda b: f"batch{b}")
def test_without_shuffling_the_order_is_that_of_the_data(batch: int) -> None:
    data = draw_sequences((3, 1, 4, 1, 5, 9, 2))
    schedule = Schedule(data, epochs=2, batch=batch, seed=3)
    for k in range(2):
        groups = order(schedule.epoch(k), data)
        assert groups == [list(range(7))[s : s + batch] for s in range(0, 7, batch)]


def test_shuffling_draws_an_order_per_epoch_and_seed() -> None:
    data = draw_sequences(tuple(range(1, 13)))

    def orders(seed: int, batch: int = 1) -> list[list[int]]:
        schedule = Schedule(data, epochs=4, batch=batch, shuffle=True, seed=seed)
        return [flat(order(schedule.epoch(k), data)) for k in range(4)]

    drawn = orders(0)
    assert all(sorted(one) == list(range(12)) for one in drawn)
    assert len({tuple(one) for one in drawn}) == 4
    assert orders(0) == drawn
    assert orders(1) != drawn
    assert orders(0, batch=5) == drawn  # the batch cuts the order, it does not draw another
    # An epoch's order does not depend on how many epochs there are: a run can be made longer.
    assert orders(0)[2] == flat(order(Schedule(data, epochs=3, shuffle=True, seed=0).epoch(2), data))


def test_every_order_is_equally_likely() -> None:
    """720 epochs of 3 sequences: each of the 6 orders 120 times, within 5 standard deviations of 10."""
    data = draw_sequences((1, 1, 1))
    schedule = Schedule(data, epochs=720, shuffle=True, seed=5)
    counts: dict[tuple[int, ...], int] = {}
    for k in range(720):
        key = tuple(int(row) for row in schedule.epoch(k).rows[:, 0])
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 6
    assert all(abs(count - 120) < 50 for count in counts.values())


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("batch", [1, 2, 3], ids=lambda b: f"batch{b}")
@pytest.mark.parametrize("rule", [RFLO(storage="dense"), RFLO(), BPTT()], ids=["rflo-dense", "rflo-factored", "bptt"])
def test_it_is_the_plain_twin_in_the_order_of_the_schedule(rule: Rule, batch: int, loss: Any) -> None:
    """Weights, and every point of the loss curve; with shuffling, by the seed."""
    data, network, seed = draw_sequences((3, 1, 8, 4, 5, 2), loss=loss), draw_network(), 5
    schedule = Schedule(data, epochs=2, batch=batch, shuffle=True, seed=seed)
    lanes = [s for k in range(2) for s in flat(order(schedule.epoch(k), data))]
    assert sorted(lanes) == sorted([*range(6), *range(6)])
    assert lanes != [*range(6), *range(6)]
    parts = list(zip(data, np.split(data.mask, data.starts[1:-1]), strict=True))
    update: Any = "online" if rule.online else "episode"
    want = oracle.train(
        network.A, network.W, network.B, network.leak, rule, [(*parts[s][0], parts[s][1]) for s in lanes],
        R=rule.feedback_matrix(2, 6, seed), loss=loss, update=update, rates=0.02, batch=batch,
    )  # fmt: skip
    got = simulate(
        network, Task("own", data, loss=loss), rule, Precision.float64(), 0.02, update, epochs=2, batch=batch,
        seed=seed, records=10_000, progress=False,
    )  # fmt: skip
    for group in "AWB":
        np.testing.assert_allclose(getattr(got.network, group), getattr(want, group), rtol=0, atol=1e-12)
    weights = np.concatenate(
        [np.where(piece.rows >= 0, data.mask[piece.rows], 0.0).sum(axis=1) for piece in map(schedule.epoch, range(2))]
    )
    np.testing.assert_array_equal(got.records["step"], np.arange(1, len(weights) + 1))
    seen = weights > 0
    np.testing.assert_allclose(got.loss[seen], np.array(want.loss)[seen] / weights[seen], rtol=0, atol=1e-12)
    assert np.isnan(got.loss[~seen]).all()


# --- which steps count ----------------------------------------------------------------------------------------------


def test_all_steps_count_by_the_mask() -> None:
    data = draw_sequences()
    np.testing.assert_array_equal(step_weights(data, "all"), data.mask)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=1, max_size=6), min_size=1, max_size=5))
def test_the_final_step_is_the_last_that_the_mask_does_not_hide(masks: list[list[float]]) -> None:
    masks[0][0] = 1.0
    zeros = [np.zeros((len(m), 1)) for m in masks]
    data = Sequences.from_arrays(zeros, zeros, mask=[np.array(m) for m in masks])
    parts = np.split(step_weights(data, "final"), data.starts[1:-1])
    for mask, part in zip(masks, parts, strict=True):
        seen = [t for t, w in enumerate(mask) if w]
        want = np.zeros(len(mask))
        if seen:
            want[seen[-1]] = mask[seen[-1]]
        np.testing.assert_array_equal(part, want)
