"""Precision as users write it: construction, presets, files, the command, what a run names, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurolrnn as nl
from neurolrnn import cli, tables
from neurolrnn.precision import PARENTS, PRESETS, STEPS
from neurolrnn_kernels.formats import OVERFLOWS, ROUNDINGS, Overflow, QFormat, Rounding

ROOT = Path(__file__).parents[1]
FIXED = [name for name in PRESETS if name not in ("float32", "float64")]
SMALL = """seed = 1
[task]
name = "teacher-student"
n_in = 2
n_rec = 3
n_out = 2
sequences = 4
steps = 6
[network]
n_rec = 5
[rule]
name = "rflo"
[training]
learning_rate = 0.05
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "exp.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def with_precision(file: Path, table: str) -> Path:
    file.write_text(f"{SMALL}\n[precision]\n{table}\n", encoding="utf-8")
    return file


# --- construction


def test_weight_and_state_are_enough() -> None:
    p = nl.Precision(weight="s1.6", state="s3.12")
    assert p.is_fixed and p.name == "fixed"
    for variable in PARENTS:
        expected = "s1.6" if variable in WEIGHTS else "s3.12"
        assert p.landing(variable)[:3] == (QFormat.parse(expected), Rounding.NEAREST, Overflow.SATURATE), variable


WEIGHTS = {"weight", "A", "W", "B", "feedback", "factor", "factor_W", "factor_B", "trace_decay"}


@pytest.mark.parametrize("variable", PARENTS)
def test_a_format_goes_to_those_that_follow_it_and_no_further(variable: str) -> None:
    p = nl.Precision(**{"weight": "s1.6", "state": "s3.12", variable: "s2.9"})

    def follows(other: str | None) -> bool:
        return other is not None and (other == variable or follows(PARENTS[other]))

    for other in PARENTS:
        assert (str(p.landing(other).format) == "s2.9") == follows(other), other


def test_every_chain_of_parents_ends_at_weight_or_state() -> None:
    for variable in PARENTS:
        seen = [variable]
        while (parent := PARENTS[seen[-1]]) is not None:
            assert parent not in seen
            seen.append(parent)
        assert seen[-1] in ("weight", "state")
    assert not set(STEPS) & set(PARENTS)


def test_a_format_may_name_its_rounding_and_overflow() -> None:
    p = nl.Precision(
        weight="s1.6 wrap", state="s3.12 floor", trace="s2.10 stochastic wrap", error="s1.8 wrap toward-zero",
        A="s3.4 lsb-stochastic", rounding="nearest-even", update_rounding="stochastic", step_W="s0.9 floor",
    )  # fmt: skip
    names = {v: (str(x.format), x.rounding.label, x.overflow.label) for v in PARENTS for x in [p.landing(v)]}
    assert names["state"] == names["current"] == names["readout"] == ("s3.12", "floor", "saturate")
    assert names["trace"] == names["eligibility"] == ("s2.10", "stochastic", "wrap")
    assert names["error"] == names["signal"] == ("s1.8", "toward-zero", "wrap")
    assert names["A"] == ("s3.4", "lsb-stochastic", "saturate")
    assert names["W"] == names["factor_B"] == ("s1.6", "stochastic", "wrap")  # updates land here
    assert names["feedback"] == ("s1.6", "nearest-even", "wrap")  # nothing is updated
    assert p.step_landing("step_W", QFormat.parse("s7.8")).rounding == Rounding.FLOOR
    assert str(p.step_landing("step_A", QFormat.parse("s7.8")).format) == "s7.8"


def test_update_rounding_is_rounding_if_not_given() -> None:
    p = nl.Precision(weight="s1.6", state="s3.12", rounding="floor", overflow="wrap")
    assert {p.landing(v)[1:3] for v in PARENTS} == {(Rounding.FLOOR, Overflow.WRAP)}


def test_hidden_and_accumulator() -> None:
    p = nl.Precision(weight="s1.6", state="s3.12", hidden="s1.14", accumulator="s24 wrap")
    assert [str(p.hidden_format(g)) for g in "AWB"] == ["s1.14"] * 3
    assert p.accumulator_range() == (24, Overflow.WRAP)
    p = nl.Precision(weight="s1.6", state="s3.12", hidden={"A": "s3.12"})
    assert [str(p.hidden_format(g)) for g in "AWB"] == ["s3.12", "None", "None"]
    assert p.accumulator_range() is None


def test_floats_have_a_dtype_and_no_formats() -> None:
    for name in ("float32", "float64"):
        p = getattr(nl.Precision, name)()
        assert p == nl.Precision(name) == nl.Precision.preset(name) == nl.Precision.from_dict({"preset": name})
        assert p.dtype == np.dtype(name) and not p.is_fixed
        assert p.options() == {"preset": name}
    assert nl.Precision() == nl.Precision.float32()
    with pytest.raises(nl.InputError, match="fixed point, which has no one dtype"):
        _ = nl.Precision(weight="s1.6", state="s1.6").dtype


def test_presets_can_be_changed() -> None:
    p = nl.Precision.preset("int8", trace="s1.14", update_rounding="nearest", A=None)
    plain = nl.Precision.preset("int8")
    assert p.name == plain.name == "int8"
    assert str(p.landing("trace").format) == "s1.14" and p.update_rounding == "nearest"
    assert p.landing("A").format == p.landing("weight").format
    changed = {"trace", "input_trace", "eligibility", "input_eligibility", "A"}
    for variable in set(PARENTS) - changed:
        assert p.landing(variable).format == plain.landing(variable).format
    assert nl.Precision.preset("float32", weight="s1.6", state="s3.12").name == "fixed"


@pytest.mark.parametrize("name", FIXED)
def test_presets_are_what_their_names_say(name: str) -> None:
    p = nl.Precision.preset(name)
    bits = int(re.findall(r"\d+", name)[0])
    assert {p.landing(v).format.width for v in ("weight", "A", "W", "B", "feedback", "factor")} == {bits}
    activity = set(PARENTS) - WEIGHTS | {"trace_decay"}
    assert {p.landing(v).format.width for v in activity} == {max(16, bits)}
    assert {h and h.width for g in "AWB" for h in [p.hidden_format(g)]} == {16 if "hidden16" in name else None}


# --- what is refused

GOOD = {"weight": "s1.6", "state": "s3.12"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"wight": "s1.6"}, "wight is not known; allowed: weight, state, A, .*step_W, .*rounding, .*random_bits"),
        ({"weight": "s1.6"}, "state has no format; fixed point needs at least weight and state"),
        ({"state": "s1.6"}, "weight has no format; fixed point needs at least weight and state"),
        ({**GOOD, "trace": "3.12"}, r"precision\.trace: '3\.12' is not a format; write s or u.*'s1\.6' is sign"),
        ({**GOOD, "trace": "s3.36"}, r"precision\.trace: s3\.36 is 40 bits wide; 1 to 32 are possible. Take fewer"),
        ({**GOOD, "trace": ""}, r"precision\.trace = ''; a format such as 's1\.6' or 's3\.12 floor wrap' is needed"),
        ({**GOOD, "trace": 12}, r"precision\.trace = 12; a format such as"),
        ({**GOOD, "trace": "s3.12 up"}, r"precision\.trace.*'up'.*floor, nearest.*saturate, wrap"),
        ({**GOOD, "trace": "s3.12 lsb-stochastic"}, r"precision\.trace.*lsb-stochastic rounds updates of weights only"),
        ({**GOOD, "step_A": "s3"}, r"precision\.step_A: 's3' is not a format"),
        ({**GOOD, "rounding": "up"}, "rounding.*'up'.*floor, nearest, nearest-even, toward-zero, stochastic"),
        ({**GOOD, "rounding": "lsb-stochastic"}, "rounding.*'lsb-stochastic'.*floor, nearest"),
        ({**GOOD, "update_rounding": "up"}, "update_rounding.*'up'.*lsb-stochastic"),
        ({**GOOD, "overflow": "clip"}, "overflow.*'clip'.*saturate, wrap"),
        ({**GOOD, "noise": "white"}, "noise.*'white'.*element, shared, lfsr"),
        ({**GOOD, "accumulator": "s24"}, "accumulator = 's24'; 'exact', or a width of 2 to 62 bits"),
        ({**GOOD, "accumulator": "s63 wrap"}, "accumulator = 's63 wrap'; 'exact', or a width of 2 to 62 bits"),
        ({**GOOD, "accumulator": "24 wrap"}, "accumulator = '24 wrap'"),
        ({**GOOD, "accumulator": 24}, "accumulator = 24; 'exact', or"),
        ({**GOOD, "hidden": "fine"}, r"precision\.hidden: 'fine' is not a format"),
        ({**GOOD, "hidden": {"Q": "s1.14"}}, "group of hidden.*'Q'.*A, W, B"),
        ({**GOOD, "decay_bits": 31}, "decay_bits = 31; 1 to 30 are possible"),
        ({**GOOD, "decay_bits": 0}, "decay_bits = 0"),
        ({**GOOD, "rate_bits": 25}, "rate_bits = 25; 1 to 24 are possible"),
        ({**GOOD, "random_bits": 33}, "random_bits = 33; 1 to 32 are possible"),
        ({**GOOD, "random_bits": 2.5}, "random_bits = 2.5"),
        ({"rounding": "floor"}, "rounding = 'floor' belongs to fixed point, and no format is given; give weight and"),
    ],
)
def test_refusals_name_key_value_and_way_out(options: dict[str, Any], words: str) -> None:
    with pytest.raises(nl.InputError, match=words):
        nl.Precision(**options)


def test_names_that_are_none() -> None:
    with pytest.raises(nl.InputError, match=r"precision.*'int8x'.*float32, float64"):
        nl.Precision("int8x")
    with pytest.raises(nl.InputError, match="'float32' takes no formats; leave the name or weight out"):
        nl.Precision("float32", **GOOD)
    with pytest.raises(nl.InputError, match=r"preset.*'int9'.*int8-hidden16, int24"):
        nl.Precision.preset("int9")
    with pytest.raises(nl.InputError, match=r"variable.*'hidden'.*weight, state"):
        nl.Precision(**GOOD).landing("hidden")


# --- plain data, files and --set


@pytest.mark.parametrize(
    "precision",
    [
        *(nl.Precision.preset(name) for name in PRESETS),
        nl.Precision.preset("int16", update_rounding="lsb-stochastic", noise="lfsr", random_bits=4),
        nl.Precision("mine", **GOOD, trace="u2.9 floor wrap", step_W="s-3.12", accumulator="s20 wrap"),
        nl.Precision(**GOOD, hidden={"W": "s1.14"}, decay_bits=9, rate_bits=1, overflow="wrap"),
    ],
    ids=lambda p: p.name,
)
def test_options_read_back(precision: nl.Precision) -> None:
    options = precision.options()
    assert json.loads(json.dumps(options)) == options
    again = nl.Precision.from_dict(options)
    assert again.options() == options and again.name == precision.name
    if precision.is_fixed:
        assert all(again.landing(v) == precision.landing(v) for v in PARENTS)
        assert all(again.hidden_format(g) == precision.hidden_format(g) for g in "AWB")


@pytest.mark.parametrize(
    ("table", "settings", "expected"),
    [
        ('preset = "int8"', [], nl.Precision.preset("int8")),
        (
            'preset = "int8"\nupdate_rounding = "nearest"\ntrace = "s3.12 floor"', [],
            nl.Precision.preset("int8", update_rounding="nearest", trace="s3.12 floor"),
        ),
        ('weight = "s1.6"\nstate = "s3.12"\nrandom_bits = 8', [], nl.Precision(**GOOD, random_bits=8)),
        (
            'weight = "s1.6"\nstate = "s3.12"\n[precision.hidden]\nW = "s1.14"', [],
            nl.Precision(**GOOD, hidden={"W": "s1.14"}),
        ),
        ('preset = "int16"', ["precision.weight=s1.6"], nl.Precision.preset("int16", weight="s1.6")),
        ('weight = "s1.6"\nstate = "s3.12"', ["precision.preset=int8"], nl.Precision.preset("int8")),
        ("", ["precision.preset=int8", "precision.W=s0.7 wrap"], nl.Precision.preset("int8", W="s0.7 wrap")),
        ("", ["precision.weight=s1.6", "precision.state=s3.12"], nl.Precision(**GOOD)),
    ],
    ids=["preset", "preset changed", "formats", "hidden", "set a format", "set a preset", "both", "set formats"],
)  # fmt: skip
def test_the_table_of_a_file(file: Path, table: str, settings: list[str], expected: nl.Precision) -> None:
    experiment = nl.Experiment.load(with_precision(file, table), settings)
    assert experiment.precision.options() == expected.options()
    copy = file.with_name("copy.toml")
    copy.write_text(experiment.to_toml(), encoding="utf-8")
    assert nl.Experiment.load(copy).digest == experiment.digest


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("precision.preset=int9", "precision.preset.*'int9'.*int8-hidden16"),
        ("precision.weight=s1.60", r"precision\.weight: s1\.60 is 62 bits wide"),
        ("precision.wight=s1.6", r"wight is not known; allowed: weight, state"),
        ("precision.rounding=up", r"precision\.rounding = 'up'.*floor"),
        ("precision.accumulator=s99 wrap", r"precision\.accumulator = 's99 wrap'"),
        ("precision.random_bits=0", r"precision\.random_bits = 0"),
    ],
)
def test_refusals_name_the_file_too(file: Path, setting: str, words: str) -> None:
    with pytest.raises(nl.InputError, match=words) as refusal:
        nl.Experiment.load(with_precision(file, 'preset = "int8"'), [setting])
    assert str(refusal.value).startswith(f"{file} with --set ")


def test_formats_decide_the_digest(file: Path) -> None:
    with_precision(file, 'preset = "int8"')
    digests = [
        nl.Experiment.load(file, [*extra]).digest
        for extra in ([], ["precision.trace=s3.12"], ["precision.noise=shared"], ["precision.preset=int16"])
    ]
    assert len(set(digests)) == 4


# --- runs


def test_a_run_names_every_format(file: Path, tmp_path: Path) -> None:
    run = nl.Experiment.load(
        with_precision(file, 'preset = "int8"'), ["precision.trace=s3.12 floor wrap", "precision.hidden=s3.12"]
    ).simulate(progress=False)
    said = run.numerics
    assert said is not None
    assert set(said["formats"]) == set(PARENTS) - {"weight", "state", "factor"} | {"state", "back_signal", *STEPS}
    for text in said["formats"].values():
        form, rounding, overflow = text.split()
        assert str(QFormat.parse(form)) == form
        assert rounding in ROUNDINGS and overflow in OVERFLOWS
    assert said["formats"]["trace"] == said["formats"]["input_trace"] == "s3.12 floor wrap"
    assert said["formats"]["W"] == "s1.6 stochastic saturate"
    assert said["hidden"] == {"A": "s3.12", "W": "s3.12", "B": "s3.12"}
    assert said["accumulator"] == "exact" and said["storage_bits"] == 16 and said["accumulator_bits"] in (32, 64)
    # 0.05 = 204.8 · 2^-12: the mantissa of 8 bits is 205
    assert said["rate_codes"]["W"] == [205, 12] and said["rates"]["W"] == 205 / 2**12
    assert nl.Run.load(run.save(tmp_path / "run.npz")).numerics == said
    assert nl.Experiment.from_run(run).precision.options() == run.experiment["precision"]


def test_a_run_counts_updates_and_the_dead(file: Path) -> None:
    base = with_precision(file, 'preset = "int8"\nupdate_rounding = "nearest"')
    run = nl.Experiment.load(base, ["training.learning_rate=1e-4"]).simulate(progress=False)
    assert run.saturation is not None
    for group in "AWB":
        assert 0 < run.saturation[group]["updates"] == run.saturation[group]["dead_updates"]
    assert any("too small for the precision" in text for text in run.warnings)
    assert "dead updates (100 %)" in run.summary()


def test_codes_lie_on_the_grid_of_their_format(file: Path) -> None:
    run = nl.Experiment.load(file, ["precision.preset=int8", "rule.storage=dense"]).simulate(progress=False)
    p = nl.Precision.preset("int8")
    for group in "AWB":
        form, values = p.landing(group).format, getattr(run.network, group)
        assert np.array_equal(form.decode(form.encode(values, "floor")), values)
    assert nl.simulate is not None and run.metrics["test_nmse"] > 0


# --- the proof

STEEP = {"weight": "s0.7", "state": "s0.15"}


@pytest.mark.parametrize(
    ("rule", "options", "training", "words"),
    [
        ("dense", {"weight": "s1.30", "state": "s1.30"}, {}, r"W·state \+ B·input lands in current and needs \d+ bits"),
        ("factored", {**STEEP, "W": "s0.31", "state": "s0.31", "feedback": "s1.30", "coupling": "s1.30"}, {},
         r"W·state \+ B·input \+ feedback·coupling lands in current"),
        ("factored", {**STEEP, "A": "s1.30", "state": "s1.30"}, {}, "A·state lands in readout"),
        ("symmetric", {**STEEP, "A": "s1.30", "error": "s1.30"}, {}, "A·error lands in signal"),
        ("factored", {**STEEP, "factor": "s1.30", "state": "s1.30", "A": "s0.7"}, {},
         r"factor_W·state \+ factor_B·input lands in coupling"),
        ("dense", {**STEEP, "state": "s1.30", "current": "s20.0", "decay_bits": 30}, {},
         r"keep·state \+ gain·current lands in state"),
        ("dense", {**STEEP, "readout": "s31.0", "error": "s0.31", "signal": "s0.15"}, {},
         "readout - target lands in error"),
        ("dense", {**STEEP, "step_W": "s0.7"}, {"learning_rate": {"A": 0.05, "W": 1e-18, "B": 0.05}},
         "rate_W·signal lands in step_W"),
        ("dense", {**STEEP, "signal": "s1.30", "trace": "s1.30"}, {"batch": 4}, "step_W·trace lands in W"),
        ("eprop", {**STEEP, "trace_decay": "s1.30", "eligibility": "s1.30", "state": "s0.31", "decay_bits": 30,
                   "current": "s0.15"}, {}, r"trace_decay·eligibility \+ gain·state lands in eligibility"),
        ("tbptt", {**STEEP, "W": "s1.30", "signal": "s1.30", "error": "s0.15"}, {}, "W·signal lands in back_current"),
        ("dense", {**STEEP, "signal": "s1.30", "trace": "s1.30"}, {"update": "episode"},
         r"rate_W·Σ signal·trace over 6 steps lands in W"),
    ],
)  # fmt: skip
def test_the_refusal_names_the_product(
    rule: str, options: dict[str, Any], training: dict[str, Any], words: str
) -> None:
    rules = {
        "dense": nl.RFLO(storage="dense"), "symmetric": nl.RFLO(feedback="symmetric", storage="dense"),
        "factored": nl.RFLO(storage="factored"), "eprop": nl.EProp(feedback="random"),
        "tbptt": nl.TruncatedBPTT(3, feedback="random"),
    }  # fmt: skip
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=8, steps=6, seed=1)
    net = nl.Network.random(2, 8, 2, leak=0.5, seed=3)
    settings = {"learning_rate": 0.05, **training}
    with pytest.raises(nl.InputError, match=f"precision: {words}") as refusal:
        nl.simulate(net, task, rules[rule], nl.Precision(**options), progress=False, **settings)
    assert "the kernel has 64. Give one of its factors fewer bits" in str(refusal.value)


WATCHED = """
import sys
import fixed_cases
import numpy as np
from hypothesis import HealthCheck, given, settings
from numba import config
from neurolrnn import fixed_point, proof
from neurolrnn_kernels import grid as at, landing, plain, updates
assert config.DISABLE_JIT
seen, made, closest = {}, [], {}
BITS = {4: 31, 8: 63}
rounded, fitted, load = landing.rounded, landing.fitted, plain.Plain.load
SUMS = (np.add, np.subtract, np.multiply, np.left_shift)

class Checked(np.ndarray):
    # An array in which a sum or product that leaves its integer type is an error.

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        inputs = [np.asarray(x) for x in inputs]
        found = getattr(ufunc, method)(*inputs, **options)
        if ufunc in SUMS and method == "__call__" and found.dtype in (np.int32, np.int64):
            assert (ufunc(*(x.astype(object) for x in inputs)) == found).all(), (ufunc, inputs)
        return found.view(Checked) if isinstance(found, np.ndarray) else found

def watched_load(self, array, where, dtype=""):
    return load(self, array, where, dtype).view(Checked)

def watched_round(k, u, *others):
    s, top = int(k.v[at.SHIFT]), max(abs(int(x)) for x in u)
    see(k.v, u, top + (1 << s) - 1 if s > 0 else top << -s)
    return rounded(k, u, *others)

def watched_fit(k, x, loop=landing.ANY, limits=None):
    lo = int((limits or k.limits)[0][0])
    see(k.v, x, max(max(abs(int(c)), abs(int(c) - lo)) for c in x))
    return fitted(k, x, loop, limits)

def see(v, row, size):
    key = int(v[at.KEY])
    assert size.bit_length() <= BITS[row.itemsize], (key, size, row.dtype)
    seen[key] = max(seen.get(key, 0), size)

class Numbers(fixed_point.FixedNumbers):
    def __init__(self, *args):
        super().__init__(*args)
        made.append(self)

plain.Plain.load = watched_load
for module in (landing, updates):
    module.rounded, module.fitted = watched_round, watched_fit
fixed_cases.FixedNumbers = Numbers
names = {row: name for name, row in fixed_point.ROWS.items()}

@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
@given(fixed_cases.cases(sys.argv[1], sys.argv[2] == "wide", 4))
def check(case):
    seen.clear()
    made.clear()
    fixed_cases.compare(case)
    numbers, = made
    limits = {}
    for bound in proof.bounds(numbers):
        limits[bound.landing] = max(limits.get(bound.landing, 0), bound.largest)
    keys = {int(numbers.grid[row, at.KEY]): name for row, name in names.items()}
    for key, size in seen.items():
        name = keys[key]
        if name in limits:
            assert size <= limits[name], (name, size, limits[name])
            closest[name] = max(closest.get(name, 0.0), size / limits[name])

check()
print({name: round(share, 3) for name, share in closest.items()})
assert len(closest) >= 9, closest
assert sum(share > 0.5 for share in closest.values()) >= 5, closest
"""


@pytest.mark.parametrize("width", ["narrow", "wide"])
@pytest.mark.parametrize("name", ["rflo-dense", "rflo-factored", "tbptt", "eprop"])
def test_no_sum_exceeds_what_was_proved(name: str, width: str) -> None:
    """Uncompiled runs, where every landing can be looked at and NumPy notices a sum that wraps."""
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "kernels", "hardware_models", "tests"))
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths}
    result = subprocess.run(
        [sys.executable, "-c", WATCHED, name, width], env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr[-3000:]
    print(result.stdout)


# --- the command


def test_list_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "formats"]) == 0
    text = capsys.readouterr().out
    for word in (*FIXED, *PARENTS, *STEPS, *ROUNDINGS, *OVERFLOWS, "TRN_ZERO"):
        assert word in text
    assert max(map(tables.width, text.splitlines())) <= 110
    assert cli.main(["list", "formats", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [preset["name"] for preset in data["presets"]] == list(PRESETS)
    for preset in data["presets"]:
        assert preset["fixed_point"] == (preset["name"] in FIXED)
        for variable, form in preset.get("formats", {}).items():
            assert form == str(nl.Precision.preset(preset["name"]).landing(variable).format)
    assert {v["name"]: v["follows"] for v in data["variables"]} == {
        **PARENTS,
        **dict.fromkeys(STEPS, "its learning rate"),
    }
    assert [r["name"] for r in data["roundings"]] == list(ROUNDINGS)
    assert [r["name"] for r in data["overflows"]] == list(OVERFLOWS)


def test_tables_of_formats_in_the_docs() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    found = text.split("<!-- formats: begin -->")[1].split("<!-- formats: end -->")[0].strip()
    assert found == tables.formats_table("markdown"), "put in what neurolrnn.tables.formats_table('markdown') gives"


def test_simulate_in_8_bits_through_the_command(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "run.npz"
    call = ["simulate", str(file), "--set", "precision.preset=int8", "-o", str(target), "--no-plot"]
    assert cli.main(call) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"precision\s+int8 \(weight s1\.6, state s\S+, rounding nearest, update_rounding stochastic\)", out
    )
    run = nl.Run.load(target)
    assert run.experiment["precision"]["name"] == "int8"
    assert run.numerics is not None and run.numerics["formats"]["W"] == "s1.6 stochastic saturate"
    assert cli.main([*call[:-3], "--set", "precision.rounding=sideways"]) == 2
    assert "precision.rounding = 'sideways'" in capsys.readouterr().err


# --- examples


def load_script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_pictures_of_the_docs_are_those_of_the_script(tmp_path: Path) -> None:
    drawn = load_script("draw_numerics").main(["--folder", str(tmp_path)])
    text = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")
    assert {f"rounding-{mode}.png" for mode in ROUNDINGS} | {"landing.png"} == {path.name for path in drawn}
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"(pictures/{path.name})" in text
        assert (ROOT / "docs" / "pictures" / path.name).stat().st_size < 100_000


def test_quantised_vowels_writes_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = load_script("quantised_vowels")
    chosen = [c for c in script.CONTENDERS if c.title in ("float32", "int8, nearest", "int8, stochastic")]
    monkeypatch.setattr(script, "CONTENDERS", chosen)
    monkeypatch.setattr(script, "STORAGES", ("factored",))
    docs = tmp_path / "docs.md"
    docs.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n", encoding="utf-8")
    script.main(["--sizes", "8", "--seeds", "1", "--docs", str(docs)])
    text = docs.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    reached = {m[1]: float(m[2]) for m in re.finditer(r"\| factored \| (\S.*?) +\| +([\d.]+) ± nan \|", text)}
    assert set(reached) == {c.title for c in chosen}
    assert reached["int8, nearest"] + 10 < reached["int8, stochastic"]  # dead updates are the difference
    assert text.index("Dead updates of A / W / B") < text.index("Results outside their range")


def test_tables_of_quantised_vowels_have_the_rows_of_the_script() -> None:
    script = load_script("quantised_vowels")
    text = (ROOT / "docs" / "quantised_vowels.md").read_text(encoding="utf-8")
    table = text.split(script.BEGIN)[1].split(script.END)[0]
    rows = re.findall(r"\| (\w+) +\| (\S.*?) +\| +[\d.]+ ± [\d.]+ ", table)
    assert rows == [(storage, c.title) for storage in script.STORAGES for c in script.CONTENDERS]
