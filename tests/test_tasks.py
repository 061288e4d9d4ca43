"""Tasks against recomputations that share no code with their generators, and what must be refused."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from neurolrnn import tasks
from neurolrnn.data import japanese_vowels, remake
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.tasks import TASKS, describe, load
from neurolrnn.tasks.mackey_glass import series
from neurolrnn.tasks.teacher_student import bases

ROOT = Path(__file__).parents[1]
EXCERPT = Path(__file__).parent / "data" / "japanese_vowels"
EXCERPT_ROWS = {"train": (0, 73), "test": (0, 142)}
GENERATED = [name for name in TASKS if name != "npz"]
SEEDED = [name for name in GENERATED if "seed" in inspect.signature(TASKS[name].make).parameters]
MODES = {"a_star": [1.0, 0.7], "b_star": [0.9, -1.1], "w_star": [0.8, -0.3]}


# --- every task


@pytest.mark.parametrize("name", GENERATED)
def test_options_remake_the_task(name):
    task = load(name)
    again = load(name, **json.loads(json.dumps(task.options)))  # plain data, as a run file keeps it
    assert again.digest() == task.digest()
    assert again.options == task.options
    assert task.name == name
    missing = {p.name for p in describe.options(TASKS[name].make)} - set(task.options)
    assert all(inspect.signature(TASKS[name].make).parameters[m].default is None for m in missing)


@pytest.mark.parametrize("name", SEEDED)
def test_another_seed_is_another_task(name):
    options = {"validation": 5} if name == "japanese-vowels" else {}
    assert load(name, seed=1, **options).digest() != load(name, seed=2, **options).digest()


@pytest.mark.parametrize("name", ["teacher-student", "add-memory", "evidence"])
def test_training_and_test_are_drawn_apart(name):
    task = load(name)
    n = min(len(task.train.inputs), len(task.test.inputs))
    assert np.mean(task.train.inputs[:n] == task.test.inputs[:n]) < 0.6


def test_options_become_plain_data():
    options = {k: np.array(v) for k, v in MODES.items()} | {"seed": np.int64(3), "leak": np.float64(0.5)}
    task = load("teacher-student", **options)
    assert task.options["a_star"] == [1.0, 0.7]
    assert type(task.options["seed"]) is int
    assert type(task.options["leak"]) is float
    assert task.digest() == load("teacher-student", **MODES, seed=3, leak=0.5).digest()


@pytest.mark.parametrize("name", TASKS)
def test_every_option_is_explained(name):
    for option in describe.options(TASKS[name].make):
        assert option.kind, option.name
        assert len(option.meaning) > 5, option.name


def test_docs_hold_the_options_table():
    assert tasks.options_table() in (ROOT / "docs" / "tasks.md").read_text("utf-8")


# --- teacher and student


def by_hand(net: Network, x: np.ndarray) -> np.ndarray:
    """One sequence, written out entry by entry from h_t = (1-α) h + α (W h + B x), y = A h."""
    h, ys = [0.0] * net.n_rec, []
    for row in x:
        drive = [
            sum(net.W[i, j] * h[j] for j in range(net.n_rec)) + sum(net.B[i, k] * row[k] for k in range(net.n_in))
            for i in range(net.n_rec)
        ]
        h = [(1 - net.leak) * old + net.leak * new for old, new in zip(h, drive, strict=True)]
        ys.append([sum(net.A[o, i] * h[i] for i in range(net.n_rec)) for o in range(net.n_out)])
    return np.array(ys)


@pytest.mark.parametrize("leak", [1.0, 0.3])
@pytest.mark.parametrize(
    "options",
    [{"teacher": k} for k in ("gaussian", "orthogonal", "symmetric", "non-normal", "complex")]
    + [MODES, {**MODES, "rotate": True, "n_in": 3, "n_rec": 5, "n_out": 4}],
    ids=lambda o: o.get("teacher", "rotated-modes" if "rotate" in o else "modes"),
)
def test_targets_are_the_teachers_outputs(options, leak):
    task = load("teacher-student", **options, leak=leak, sequences=3, steps=7, test_sequences=2)
    assert task.teacher.leak == leak
    assert (len(task.train), len(task.test), task.train.steps) == (3, 2, 21)
    for part in (task.train, task.test):
        for x, y in part:
            np.testing.assert_allclose(y, by_hand(task.teacher, x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("teacher", ["gaussian", "orthogonal", "symmetric", "non-normal", "complex"])
def test_random_teachers_are_what_they_are_called(teacher):
    W = load("teacher-student", teacher=teacher, n_rec=8, spectral_radius=0.7, seed=4).teacher.W
    eigenvalues = np.linalg.eigvals(W)
    assert np.abs(eigenvalues).max() == pytest.approx(0.7)
    normal = np.allclose(W @ W.T, W.T @ W)
    assert normal == (teacher in ("orthogonal", "symmetric", "complex"))
    if teacher == "orthogonal":
        np.testing.assert_allclose(W @ W.T, 0.49 * np.eye(8), atol=1e-12)
    if teacher == "symmetric":
        np.testing.assert_allclose(W, W.T)
    if teacher == "complex":
        assert (np.abs(eigenvalues.imag) > 1e-6).all()
    if teacher == "non-normal":
        assert np.abs(eigenvalues.imag).max() < 1e-6


def test_a_student_of_the_same_seed_does_not_start_as_its_teacher():
    teacher = load("teacher-student", seed=0).teacher
    student = Network.random(3, 8, 2, spectral_radius=0.8, seed=0)
    assert abs(np.corrcoef(teacher.W.ravel(), student.W.ravel())[0, 1]) < 0.5


def test_inputs_are_white():
    x = load("teacher-student", sequences=2000, steps=20).train.inputs
    np.testing.assert_allclose(x.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(x.T @ x / len(x), np.eye(3), atol=0.03)
    np.testing.assert_allclose(x[1:].T @ x[:-1] / len(x), 0.0, atol=0.03)


def test_noise_is_on_the_training_targets_only():
    clean, noisy = load("teacher-student", sequences=500), load("teacher-student", sequences=500, noise=0.5)
    np.testing.assert_array_equal(clean.train.inputs, noisy.train.inputs)
    np.testing.assert_array_equal(clean.test.targets, noisy.test.targets)
    noise = noisy.train.targets - clean.train.targets
    np.testing.assert_allclose(np.cov(noise.T), 0.25 * np.eye(2), atol=0.01)


@pytest.mark.parametrize("seed", [None, 7])
def test_aligned_student(seed):
    task = load("teacher-student", **MODES, rotate=True, n_in=3, n_rec=5, n_out=4, leak=0.6)
    a, b, w, hat = [0.1, 0.2], [0.3, -0.4], [0.5, 0.6], [1.0, -1.0]
    student, R = tasks.aligned_student(task, a, b, w, hat, n_rec=6, seed=seed)
    U, P_star, V = bases(task)
    for Q in (U, P_star, V):
        np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-14)
    assert (student.n_in, student.n_rec, student.n_out, R.shape, student.leak) == (3, 6, 4, (4, 6), 0.6)
    padded = np.zeros((4, 3))
    for lag in range(4):  # A W^j B is diagonal in the shared bases, mode by mode
        kernel = U.T @ student.A @ np.linalg.matrix_power(student.W, lag) @ student.B @ V
        np.fill_diagonal(padded, [*(np.array(a) * np.array(w) ** lag * np.array(b)), 0.0])
        np.testing.assert_allclose(kernel, padded, atol=1e-14)
        teacher = task.teacher
        kernel = U.T @ teacher.A @ np.linalg.matrix_power(teacher.W, lag) @ teacher.B @ V
        c = np.array(MODES["a_star"]) * np.array(MODES["b_star"]) * np.array(MODES["w_star"]) ** lag
        np.fill_diagonal(padded, [*c, 0.0])
        np.testing.assert_allclose(kernel, padded, atol=1e-14)
    np.fill_diagonal(padded, [1.0 * 0.3, -1.0 * -0.4, 0.0])
    np.testing.assert_allclose(U.T @ R @ student.B @ V, padded, atol=1e-14)  # R shares P with the student


# --- periodic


def test_periodic_signal():
    task = load("periodic", period=40, periods=2, n_out=2, input="both", sequences=3)
    assert (len(task.train), task.train.steps, task.test) == (3, 240, None)
    for x, y in task.train:
        assert x[:, 0].tolist() == [1.0] + [0.0] * 79
        assert x[:, 1].tolist() == [1.0] * 80
        for t in range(80):
            for k, s in enumerate((t, t + 20)):
                wave = sum(a * np.sin(2 * np.pi * f * s / 40) for f, a in ((1, 1.0), (2, 0.5), (4, 0.25)))
                assert y[t, k] == pytest.approx(wave, abs=1e-12)
    assert load("periodic").n_in == load("periodic", input="tonic").n_in == 1


# --- add memory


def test_add_memory_against_loops():
    task = load("add-memory", t1=2, t2=5, steps=60, test_steps=30, sequences=2)
    assert (len(task.train), len(task.test)) == (2, 1)
    for part in (task.train, task.test):
        assert set(part.inputs[:, 0]) == {0.0, 1.0}
        for start, (x, y) in zip(part.starts[:-1], part, strict=True):
            for t in range(len(x)):
                assert x[t, 0] + x[t, 1] == 1.0
                assert y[t, 0] + y[t, 1] == 1.0
                assert part.mask[start + t] == (t >= 5)
                if t >= 5:
                    assert y[t, 0] == 0.5 + 0.5 * x[t - 2, 0] - 0.25 * x[t - 5, 0]


def test_add_memory_draws_with_that_probability():
    sure, drawn = load("add-memory", steps=40_000), load("add-memory", steps=40_000, draw=True, loss="cross-entropy")
    np.testing.assert_array_equal(sure.train.inputs, drawn.train.inputs)
    assert set(drawn.train.targets[:, 0]) == {0.0, 1.0}
    for p in (0.25, 0.5, 0.75, 1.0):
        assert drawn.train.targets[sure.train.targets[:, 0] == p, 0].mean() == pytest.approx(p, abs=0.02)


# --- Mackey-Glass


def test_mackey_glass_against_the_method_of_steps():
    """SciPy's adaptive integrator, one delay after the other, each reading the one before."""
    late, x0, found = (lambda t: 1.2), 1.2, [1.2]
    for k in range(5):
        part = solve_ivp(
            lambda t, x, late=late: 0.2 * late(t - 17.0) / (1.0 + late(t - 17.0) ** 10) - 0.1 * x,
            (17.0 * k, 17.0 * (k + 1)), [x0], "DOP853", rtol=1e-12, atol=1e-13, dense_output=True,
        )  # fmt: skip
        late, x0 = (lambda t, sol=part.sol: float(sol(t)[0])), float(part.y[0, -1])
        found += [late(17.0 * k + s) for s in range(1, 18)]
    np.testing.assert_allclose(series(86, substeps=10), found, atol=1e-6)
    np.testing.assert_allclose(series(86, substeps=40), found, atol=1e-8)


def test_mackey_glass_converges_with_fourth_order():
    truth = series(150, substeps=160)
    errors = [np.abs(series(150, substeps=n) - truth).max() for n in (5, 10, 20)]
    assert 12 < errors[0] / errors[1] < 20
    assert 12 < errors[1] / errors[2] < 20


def test_mackey_glass_streams():
    task = load("mackey-glass", steps=500, test_steps=200, washout=50, horizon=7)
    x, y = task.train.inputs, task.train.targets
    np.testing.assert_array_equal(y[:-7], x[7:])
    np.testing.assert_array_equal(y[-7:], task.test.inputs[:7])  # the test stream follows on
    np.testing.assert_array_equal(task.test.targets[:-7], task.test.inputs[7:])
    assert x.mean() == pytest.approx(0.0, abs=1e-12)
    assert x.std() == pytest.approx(1.0)
    assert task.train.mask.tolist() == [0.0] * 50 + [1.0] * 450
    raw = load("mackey-glass", steps=500, test_steps=0, washout=50, horizon=7, standardise=False)
    np.testing.assert_allclose((raw.train.inputs - raw.train.inputs.mean()) / raw.train.inputs.std(), x, rtol=1e-9)
    assert 0.2 < raw.train.inputs.min() < 0.6 < 1.1 < raw.train.inputs.max() < 1.5


# --- evidence


def test_evidence_without_noise():
    task = load("evidence", noise=0.0, sequences=50, test_sequences=20)
    assert task.loss == "cross-entropy"
    for part, n in ((task.train, 50), (task.test, 20)):
        assert len(part) == n
        assert set(part.lengths) == {225}
        for s, (x, y) in enumerate(part):
            left, right = (sum(x[15 * k + 5, side] for k in range(7)) for side in (0, 1))
            assert left + right == 7
            assert (x[:105].sum(axis=0) == [10 * left, 10 * right, 0]).all()
            assert not x[105:210].any()
            assert (x[210:] == [0, 0, 1]).all()
            assert part.labels[s] == int(right > left)
            assert (y == np.eye(2)[part.labels[s]]).all()
            assert part.mask[225 * s : 225 * (s + 1)].tolist() == [0.0] * 210 + [1.0] * 15


def test_evidence_odds_and_noise():
    task = load("evidence", sequences=2000, cues=1, delay_steps=0, probability=1.0)
    assert task.train.labels.mean() == pytest.approx(0.5, abs=0.05)
    x = task.train.inputs.reshape(2000, 30, 3)
    assert x[:, :5].std() == pytest.approx(0.1, rel=0.05)
    sides = load("evidence", sequences=3000, noise=0.0).train.inputs.reshape(3000, 225, 3)[:, 5:105:15, 1]
    agree = np.abs(sides.mean(axis=1) - 0.5) + 0.5
    expected = 0.5 + np.mean(np.abs(np.random.default_rng(0).binomial(7, 0.7, 200_000) / 7 - 0.5))
    assert agree.mean() == pytest.approx(expected, abs=0.01)


# --- Japanese Vowels


def test_japanese_vowels_facts():
    train, test = japanese_vowels()
    assert (len(train.speakers), len(test.speakers)) == (270, 370)
    assert np.bincount(train.speakers).tolist() == [30] * 9
    assert np.bincount(test.speakers).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = np.concatenate([np.diff(train.starts), np.diff(test.starts)])
    assert (lengths.min(), lengths.max()) == (7, 29)
    assert (len(train.values), len(test.values)) == (4274, 5687)
    assert train.values[:3, 0].tolist() == [1.860936, 1.891651, 1.939205]  # the text's first numbers
    assert train.values[0, :3].tolist() == [1.860936, -0.207383, 0.261557]


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_text_is_kept_exactly(part):
    text = remake.read(EXCERPT)[part]
    shipped = japanese_vowels()[0 if part == "train" else 1]
    rows = [line for line in text.split("@data\n")[1].split("\n") if line]
    assert any("E-" in row for row in rows)
    for s, row in zip(EXCERPT_ROWS[part], rows, strict=True):
        *channels, speaker = row.split(":")
        values = np.array([[float(v) for v in channel.split(",")] for channel in channels]).T
        np.testing.assert_array_equal(shipped.values[shipped.starts[s] : shipped.starts[s + 1]], values)
        assert shipped.speakers[s] == int(speaker) - 1


def test_remake_writes_what_is_read(tmp_path):
    for out in ("a.npz", "b.npz"):
        assert remake.main([str(EXCERPT), str(tmp_path / out)]) == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as made:
        for k, part in enumerate(("train", "test")):
            shipped = japanese_vowels()[k]
            rows = np.concatenate([np.arange(shipped.starts[s], shipped.starts[s + 1]) for s in EXCERPT_ROWS[part]])
            np.testing.assert_array_equal(made[f"{part}_micro"] / 1e6, shipped.values[rows])
            np.testing.assert_array_equal(made[f"{part}_speakers"], shipped.speakers[list(EXCERPT_ROWS[part])])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace("0.", "0.1234567", 1), "more than six decimals"),
        (lambda t: t.replace(",", ":", 1), "12 channels"),
        (lambda t: t.replace(",", ",x", 1), "not an utterance"),
        (lambda t: t.replace(":1\n", ":10\n", 1), "speaker 10"),
        (lambda t: t.split("@data")[0], "no utterance"),
    ],
)
def test_remake_refuses(change, says):
    with pytest.raises(InputError, match=says):
        remake.parse(change(remake.read(EXCERPT)["train"]))


def test_remake_needs_a_source(tmp_path, capsys):
    assert remake.main([str(tmp_path), str(tmp_path / "out.npz")]) == 2
    assert "no JapaneseVowels_TRAIN.ts" in capsys.readouterr().err
    assert remake.main([]) == 2


def test_japanese_vowels_task():
    task = load("japanese-vowels", bias=True)
    train, test = japanese_vowels()
    mean, std = train.values.mean(axis=0), train.values.std(axis=0)
    for part, raw in ((task.train, train), (task.test, test)):
        np.testing.assert_allclose(part.inputs[:, :12], (raw.values - mean) / std, rtol=1e-12, atol=1e-12)
        assert (part.inputs[:, 12] == 1.0).all()
        assert (part.mask == 1.0).all()
        for (_, y), label in zip(part, part.labels, strict=True):
            assert (y.argmax(axis=1) == label).all()
            assert (y.sum(axis=1) == 1.0).all()
    plain = load("japanese-vowels", standardise=False, loss="squared-error")
    assert (plain.loss, plain.n_in, plain.n_out) == ("squared-error", 12, 9)
    np.testing.assert_array_equal(plain.train.inputs, train.values)


@pytest.mark.parametrize("validation", [6, 0.2])
def test_validation_is_held_out_of_the_training_utterances(validation):
    task = load("japanese-vowels", validation=validation, standardise=False)
    assert np.bincount(task.test.labels).tolist() == [6] * 9
    assert np.bincount(task.train.labels).tolist() == [24] * 9
    everything = {x.tobytes() for x, _ in load("japanese-vowels", standardise=False).train}
    parts = [{x.tobytes() for x, _ in part} for part in (task.train, task.test)]
    assert parts[0] | parts[1] == everything
    assert not parts[0] & parts[1]
    scaled = load("japanese-vowels", validation=validation)
    np.testing.assert_allclose(scaled.train.inputs.mean(axis=0), 0.0, atol=1e-12)  # statistics of what is left
    np.testing.assert_allclose(scaled.train.inputs.std(axis=0), 1.0)


# --- own data


def save(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def test_npz_of_different_lengths(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 2)), np.eye(3)[rng.integers(0, 3, 9)]
    common = {
        "inputs": x,
        "targets": y,
        "mask": np.arange(9) % 2,
        "labels": [0, 2],
        "test_inputs": x,
        "test_targets": y,
    }
    by_length = save(tmp_path / "a.npz", **common, lengths=[4, 5], test_lengths=[9])
    by_start = save(tmp_path / "b.npz", **common, starts=[0, 4, 9], test_starts=[0, 9])
    task = load("npz", path=by_length, loss="cross-entropy")
    assert task.options == {"path": str(by_length), "loss": "cross-entropy"}
    assert load("npz", path=str(by_start), loss="cross-entropy").digest() == task.digest()
    assert tasks.from_npz(by_length, "cross-entropy").digest() == task.digest()
    arrays = tasks.from_arrays(
        [x[:4], x[4:]], [y[:4], y[4:]], mask=[[0, 1, 0, 1], [0, 1, 0, 1, 0]], labels=[0, 2],
        test_inputs=x, test_targets=y, loss="cross-entropy",
    )  # fmt: skip
    assert arrays.digest() == task.digest()
    assert (arrays.name, arrays.options) == ("own", {})


def test_npz_of_equal_lengths(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(3, 5, 2)), np.ones((3, 5, 1), dtype=np.int16)
    task = load("npz", path=save(tmp_path / "a.npz", inputs=x, targets=y))
    assert (len(task.train), task.train.lengths.tolist(), task.test) == (3, [5, 5, 5], None)
    np.testing.assert_array_equal(np.stack([part for part, _ in task.train]), x)


X, Y = np.ones((4, 2)), np.ones((4, 1))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"inputs": X}, "targets is missing"),
        ({"inputs": X, "targets": Y, "test_inputs": X}, "test_targets is missing"),
        ({"inputs": X, "targets": Y, "inptus": X}, "'inptus' is not known.*did you mean 'inputs'"),
        ({"inputs": X, "targets": Y[:3]}, "sequence 0 has 4 input steps and 3 target steps"),
        ({"inputs": X, "targets": Y, "test_inputs": X[:2], "test_targets": Y}, "test sequences: sequence 0 has 2"),
        ({"inputs": X * np.nan, "targets": Y}, "inputs holds a value that is not finite"),
        ({"inputs": X + 1j, "targets": Y}, "inputs holds complex128"),
        ({"inputs": X, "targets": Y.astype(str)}, "targets holds <U"),
        ({"inputs": np.array([{}], dtype=object), "targets": Y}, "array inputs cannot be read"),
        ({"inputs": X, "targets": Y, "lengths": [2, 3]}, "starts must rise from 0"),
        ({"inputs": X, "targets": Y, "lengths": [4.0]}, "lengths must be whole numbers"),
        ({"inputs": X, "targets": Y, "lengths": [4, 0]}, "at least 1"),
        ({"inputs": X, "targets": Y, "lengths": [4], "starts": [0, 4]}, "both starts and lengths"),
        ({"inputs": X, "targets": Y, "labels": [0.5]}, "labels must be whole numbers"),
        ({"inputs": X, "targets": Y, "mask": np.zeros(4)}, "mask is 0 at every step"),
        ({"inputs": X, "targets": Y, "test_inputs": X[:, :1], "test_targets": Y}, "same channels"),
    ],
    ids=lambda v: v[:25] if isinstance(v, str) else "",
)
def test_npz_refuses_and_names_the_file(tmp_path, arrays, says):
    path = save(tmp_path / "mine.npz", **arrays)
    with pytest.raises(InputError, match=says) as error:
        load("npz", path=path)
    assert "mine.npz" in str(error.value)


def test_npz_refuses_other_files(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "cut.npz").write_bytes(save(tmp_path / "whole.npz", inputs=X, targets=Y).read_bytes()[:-40])
    (tmp_path / "empty.npz").write_bytes(b"")
    for name, says in (
        ("none.npz", "No such file"),
        ("text.npz", "cannot be read"),
        ("one.npy", "single array"),
        ("cut.npz", "cannot be read"),
        ("empty.npz", "cannot be read"),
    ):
        with pytest.raises(InputError, match=f"{name}.*{says}"):
            load("npz", path=tmp_path / name)


def test_arrays_are_refused_in_words():
    with pytest.raises(InputError, match=r"inputs\[1\] holds <U1"):
        tasks.from_arrays([X, [["a"], ["b"]]], [Y, Y])
    with pytest.raises(InputError, match="labels must be whole numbers"):
        tasks.from_arrays(X, Y, labels=[0.5])
    with pytest.raises(InputError, match="cross-entropy targets must be probabilities"):
        tasks.from_arrays(X, 2 * Y, loss="cross-entropy")


# --- refusals of load


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("periodc", {}, "did you mean 'periodic'"),
        ("periodic", {"perod": 3}, "option of task 'periodic'.*allowed: period, .*did you mean 'period'"),
        ("npz", {}, "needs the option path"),
        ("periodic", {"frequencies": [1.0]}, "1 frequencies and 3 amplitudes"),
        ("periodic", {"amplitudes": []}, "amplitudes is empty"),
        ("periodic", {"amplitudes": "123"}, "a list of numbers"),
        ("periodic", {"amplitudes": [1.0, "x", 2.0]}, r"amplitudes\[1\]"),
        ("periodic", {"input": "stop"}, "input = 'stop'"),
        ("periodic", {"period": 0}, "period = 0"),
        ("add-memory", {"t2": 10, "steps": 10}, r"steps = 10; more than the longer lag \(10\)"),
        ("add-memory", {"test_steps": 3}, "test_steps = 3"),
        ("add-memory", {"draw": 1}, "draw = 1; true or false"),
        ("add-memory", {"loss": "entropy"}, "did you mean 'cross-entropy'"),
        ("add-memory", {"seed": -1}, "seed = -1"),
        ("mackey-glass", {"delay": 17.05}, "no whole number of integration steps"),
        ("mackey-glass", {"washout": 4000}, "more than the washout"),
        ("mackey-glass", {"gamma": 0}, "gamma = 0"),
        ("mackey-glass", {"delay": 0.1, "beta": 0.1, "gamma": 0.2}, "does not move"),
        ("evidence", {"cues": 4}, "odd number"),
        ("evidence", {"probability": 0.2}, "probability = 0.2"),
        ("evidence", {"noise": float("nan")}, "noise = nan"),
        ("japanese-vowels", {"validation": 30}, "holds out 30 of 30"),
        ("japanese-vowels", {"validation": 0.001}, "holds out 0 of 30"),
        ("japanese-vowels", {"validation": 1.5}, "validation = 1.5"),
        ("japanese-vowels", {"validation": True}, "validation = True"),
        ("japanese-vowels", {"standardise": "no"}, "true or false"),
        ("teacher-student", {"teacher": "modes"}, "a_star, b_star, w_star is missing"),
        ("teacher-student", {"a_star": [1.0]}, "b_star, w_star is missing"),
        ("teacher-student", {**MODES, "w_star": [0.1]}, "equally long; got a_star 2, b_star 2, w_star 1"),
        ("teacher-student", {**MODES, "n_out": 1}, "n_out = 1; 2 modes need at least 2"),
        ("teacher-student", {**MODES, "teacher": "gaussian"}, "a_star is for teacher = 'modes'"),
        ("teacher-student", {"rotate": True}, "rotate is for teacher = 'modes'"),
        ("teacher-student", {"teacher": "gausian"}, "did you mean 'gaussian'"),
        ("teacher-student", {"spectral_radius": 1e30}, "outputs overflow"),
        ("teacher-student", {"leak": 0.0}, "leak = 0.0"),
    ],
    ids=lambda v: v[:30] if isinstance(v, str) else "-".join(v),
)
def test_load_refuses(name, options, says):
    with pytest.raises(InputError, match=says):
        load(name, **options)


def test_only_modes_have_aligned_students():
    with pytest.raises(InputError, match="only a teacher made of modes"):
        tasks.aligned_student(load("teacher-student"), [1.0], [1.0], [0.5], [1.0])
    with pytest.raises(InputError, match="only a teacher made of modes"):
        bases(load("periodic"))
