"""Runs under the limits of a chip: what the sheets become, what is refused and in which words, what a run records."""

from __future__ import annotations

import fixed_cases
import numpy as np
import pytest

import neurolrnn as nl
from neurolrnn.chips.limits import known_limits, precision_on
from neurolrnn.precision import PARENTS

TASK = nl.tasks.load("teacher-student", n_in=2, n_rec=3, n_out=2, sequences=6, steps=10, seed=1)
NET = nl.Network.random(2, 12, 2, leak=0.25, seed=3)
SYMMETRIC = nl.RFLO(storage="dense", feedback="symmetric")
DENSE = nl.RFLO(storage="dense")
SPINNAKER1 = (
    "unknown", "payload.bits", "learning.reads", "state.bits=16", "state.overflow=saturate", "decay.rounding=floor",
    "accumulator.overflow=saturate",
)  # fmt: skip
GENERIC = ("unknown", "state.bits=12", "weight.bits=6", "state.overflow=wrap", "decay.rounding=nearest-even")
HOSTED = {
    "reckon": (("payload.bits", "trace.signed"), SYMMETRIC, {}),
    "loihi1": (("unknown", "payload.bits", "learning.reads", "accumulator.overflow=saturate"), DENSE, {}),
    "loihi2": (("unknown",), DENSE, {}),
    "spinnaker1": (SPINNAKER1, DENSE, {"weight": "s1.4"}),
    "spinnaker2": (("unknown",), nl.RFLO(), {}),
    "cortex-m4": (("memory.chip=65536",), nl.EProp(), {}),
    "generic": (GENERIC, nl.TruncatedBPTT(2), {}),
}
"""Chips with what must be assumed to run this model's states on them, a rule they host, and formats of one's own."""


def asked(own: dict[str, str]) -> nl.Precision:
    return nl.Precision.preset("chip", **own)


@pytest.mark.parametrize("chip", HOSTED)
def test_runs_on_chips_have_the_chips_widths_and_say_what_was_assumed(chip: str) -> None:
    assume, rule, own = HOSTED[chip]
    run = nl.simulate(NET, TASK, rule, asked(own), 0.03, chip=chip, assume=assume, progress=False)
    limits = known_limits(chip, assume)
    precision = nl.Precision.from_dict(run.experiment["precision"])
    for variable, limit in (("state", "state.bits"), ("readout", "state.bits"), ("current", "current.bits")):
        most = limits.fact(limit).value
        assert most is None or precision.landing(variable).format.width <= most
    most, shared = limits.fact("weight.bits").value, limits.fact("weight.signed").value is False
    assert all(precision.landing(v).format.width <= most + shared for v in ("A", "W", "B", "feedback"))
    assert run.numerics is not None
    told = run.numerics["chip"]
    assert told["assume"] == list(assume)
    assert told["exponents"]["W"] == -precision.landing("W").format.frac_bits
    lifted = {f["limit"] for f in told["findings"] if f["status"] == "assumed"}
    for limit in lifted:
        assert any(limit in warning for warning in run.warnings)
    given = [a.partition("=")[0] for a in assume if "=" in a]
    assert all(any(limit in warning for warning in run.warnings) for limit in given)
    assert run.experiment["chip"] == chip
    # what a run says of itself makes it again
    again = nl.simulate(NET, TASK, rule, precision, 0.03, chip=chip, assume=assume, progress=False)
    assert np.array_equal(again.network.W, run.network.W)
    assert again.digest == run.digest


@pytest.mark.parametrize("chip", HOSTED)
@pytest.mark.parametrize("every", [1, 3])
def test_runs_on_chips_are_bit_true(chip: str, every: int) -> None:
    assume, rule, own = HOSTED[chip]
    if chip == "reckon":
        every = 1
    R = rule.feedback_matrix(2, 12, 5)
    precision = precision_on(chip, NET, rule, asked(own), 5, assume)
    training = nl.Training(learning_rate=0.1, shuffle=False, update_every=every)
    names = {"rflo": f"rflo-{getattr(rule, 'storage', '')}"}
    case = fixed_cases.Case(
        precision, NET, rule, names.get(rule.name, rule.name), training, TASK.train, "squared-error", 5, R
    )
    assert fixed_cases.compare(case) > 800


def refused(match: str, chip: str, rule: nl.Rule = DENSE, precision: nl.Precision | None = None, **options: object):
    with pytest.raises(nl.InputError, match=match) as told:
        nl.simulate(NET, TASK, rule, precision, 0.03, chip=chip, progress=False, **options)
    return str(told.value)


def test_what_a_chip_cannot_host_is_refused_with_the_findings() -> None:
    text = refused("cannot host this run", "reckon", SYMMETRIC)
    for part in ("payload.bits", "allowed 0 bits", "source: REC 8-bit AER address only (grade A)", "assume = ["):
        assert part in text
    refused(r"learning\.available", "truenorth")
    refused(r"learning\.available", "xylo_audio2")
    refused(r"learning\.form", "odin")
    text = refused(r"learning\.reads", "loihi2", nl.EProp(feedback="symmetric"), assume=("unknown",))
    assert "weight transport" in text


def test_what_a_sheet_does_not_say_must_be_given() -> None:
    text = refused("does not settle", "spinnaker1")
    for part in ("rounding: decay.rounding is not known", "state: state.bits is not known", "the C kernels were not"):
        assert part in text
    refused("accumulator.overflow is not known", "loihi1")
    given = precision_on("loihi1", NET, DENSE, asked({"accumulator": "s22 wrap"}))
    assert given.accumulator == "s22 wrap"
    text = refused("leave it no bits", "spinnaker1", assume=SPINNAKER1)
    assert "precision.weight = 's1.2'" in text


@pytest.mark.parametrize(
    ("own", "match"),
    [
        ({"state": "s4.19"}, r"state\.bits\)\n  asked 24 bits, allowed 16 bits"),
        ({"weight": "s1.10"}, r"weight\.bits\)\n  asked 12 bits .*allowed 8 bits"),
        ({"update_rounding": "nearest"}, r"learning\.rounding\)\n  asked nearest.*allowed lsb-stochastic"),
        ({"rounding": "nearest"}, r"rounding\.modes\)\n  asked nearest, allowed floor, stochastic"),
        ({"overflow": "wrap"}, r"state\.overflow\)\n  asked wrap, allowed saturate"),
        ({"rate_bits": 8}, r"learning\.form\)\n  asked rates with a mantissa of 8 bits"),
        ({"decay_bits": 20}, r"decay\.bits\)\n  asked 20 bits, allowed 15 bits"),
    ],
)
def test_a_precision_of_ones_own_must_lie_within_the_chips(own: dict[str, object], match: str) -> None:
    assume = HOSTED["reckon"][0]
    refused(match, "reckon", SYMMETRIC, asked(own), assume=assume)
    whole = precision_on("reckon", NET, SYMMETRIC, assume=assume).options() | {"name": "own"} | own
    if "weight" in own:
        whole["W"] = own["weight"]
    refused(match, "reckon", SYMMETRIC, nl.Precision.from_dict(whole), assume=assume)


def test_narrower_formats_of_ones_own_are_taken() -> None:
    assume = HOSTED["reckon"][0]
    own = asked({"state": "s4.7", "weight": "s1.4"})
    precision = precision_on("reckon", NET, SYMMETRIC, own, assume=assume)
    assert str(precision.landing("state").format) == "s4.7"
    assert {str(precision.landing(v).format) for v in ("A", "W", "B")} == {"s1.4"}
    run = nl.simulate(NET, TASK, SYMMETRIC, own, 0.03, chip="reckon", assume=assume, progress=False)
    assert run.status == "completed"


def test_floating_point_is_for_chips_that_have_it() -> None:
    refused(r"rounding\.floating_point", "reckon", SYMMETRIC, nl.Precision.float32())
    run = nl.simulate(
        NET, TASK, nl.RFLO(), nl.Precision.float32(), 0.03, chip="spinnaker2", assume=("unknown",), progress=False
    )
    assert run.numerics is not None
    assert run.numerics["chip"]["exponents"] == {}


def test_epochs_and_batches_are_those_of_the_chip() -> None:
    loihi = HOSTED["loihi2"][0]
    assert nl.simulate(
        NET, TASK, DENSE, None, 0.03, chip="loihi2", assume=loihi, update_every=8, progress=False
    ).experiment["training"]["update_every"] == 8  # fmt: skip
    refused(r"learning\.epoch_high\)\n  asked 64 steps, allowed 63 steps", "loihi2", assume=loihi, update_every=64)
    assume = HOSTED["reckon"][0]
    refused(r"learning\.epoch_high\)\n  asked 2 steps", "reckon", SYMMETRIC, assume=assume, update_every=2)
    refused(r"learning\.epoch_high\)\n  asked 10 steps", "reckon", SYMMETRIC, assume=assume, update="episode")
    refused("sequences side by side", "reckon", SYMMETRIC, assume=assume, batch=2)


def test_traces_without_a_sign_come_in_pairs_where_there_are_two() -> None:
    assert precision_on("loihi2", NET, DENSE).trace_signs == "pair"
    assert precision_on("loihi2", NET, DENSE).landing("trace").format.width == 7
    refused(r"trace\.per_neuron\)\n  asked 2 traces", "reckon", SYMMETRIC, assume=("payload.bits",))
    # one trace a neuron holds activity of one sign; signed traces are the user's assumption
    signed = precision_on("reckon", NET, SYMMETRIC, assume=("trace.signed",))
    assert signed.trace_signs == "signed"
    assert signed.landing("trace").format.signed
    plain = nl.Precision.from_dict(
        precision_on("loihi2", NET, DENSE).options() | {"trace_signs": "signed", "trace": "s2.4", "input_trace": "s2.4"}
    )
    refused(r"trace\.signed", "loihi2", DENSE, plain, assume=("unknown",))


def test_every_matrix_has_one_exponent_with_room_above_its_largest_weight() -> None:
    precision = precision_on("loihi2", NET, DENSE)
    for name in "WB":
        form = precision.landing(name).format
        largest = np.abs(getattr(NET, name)).max()
        assert 2 * largest <= 2.0**form.int_bits
        assert form.int_bits <= 1 or 2 * largest > 2.0 ** (form.int_bits - 1)
        assert form.width == 8


def test_sums_fit_the_chips_accumulator_by_coarser_messages() -> None:
    precision = precision_on("spinnaker2", NET, nl.RFLO())
    assert precision.accumulator == "s24 saturate"
    sent, W = precision.landing("message").format, precision.landing("W").format
    assert sent.frac_bits + W.frac_bits + precision.landing("current").format.int_bits <= 23


TOML = """
chip = "loihi2"
assume = ["unknown"]
[task]
name = "teacher-student"
n_in = 2
n_rec = 3
n_out = 2
sequences = 6
steps = 10
[network]
n_rec = 12
leak = 0.25
[rule]
name = "rflo"
storage = "dense"
[training]
learning_rate = 0.03
"""


def test_experiments_name_a_chip(tmp_path) -> None:
    file = tmp_path / "e.toml"
    file.write_text(TOML, encoding="utf-8")
    experiment = nl.Experiment.load(file)
    assert experiment.precision.name == "chip"
    run = experiment.simulate(progress=False)
    assert run.digest == experiment.digest
    assert (run.experiment["chip"], run.experiment["assume"]) == ("loihi2", ["unknown"])
    again = nl.Experiment.from_run(run)
    assert again.digest == run.digest
    (tmp_path / "f.toml").write_text(experiment.to_toml(), encoding="utf-8")
    assert nl.Experiment.load(tmp_path / "f.toml").digest == run.digest
    narrow = nl.Experiment.load(file, ['precision.state="s4.7"', 'precision.current="s5.6"'])
    assert str(narrow.numbers.landing("state").format) == "s4.7"
    assert narrow.digest != experiment.digest
    other = nl.Experiment.load(file, ["chip=cortex-m4", 'assume=["memory.chip=65536"]'])
    assert other.build()[3].name == "cortex_m4"


def test_descriptions_without_a_chip_are_what_they_were() -> None:
    said = nl.Experiment.builtin().described
    assert not {"chip", "assume"} & set(said)
    assert "update_every" not in said["training"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"chip": "rekon"}, "did you mean 'reckon'"),
        ({"chip": "reckon", "assume": ("payload.bit",)}, "did you mean 'payload.bits'"),
        ({"assume": ("payload.bits",)}, "lifts limits of a chip, and none is given"),
        ({"chip": "loihi2", "update": "expected"}, "which no chip does"),
    ],
)
def test_wrong_names_are_told(options: dict[str, object], match: str) -> None:
    with pytest.raises(nl.InputError, match=match):
        nl.simulate(NET, TASK, DENSE, None, 0.03, progress=False, **options)


def test_wrong_keys_of_experiments_are_told(tmp_path) -> None:
    file = tmp_path / "e.toml"
    for old, new, match in (
        ('chip = "loihi2"\n', "", "none is given"),
        ('chip = "loihi2"', "chip = 3", "name of a chip"),
        ('assume = ["unknown"]', "assume = 3", "a list of limits"),
    ):
        file.write_text(TOML.replace(old, new), encoding="utf-8")
        with pytest.raises(nl.InputError, match=match):
            nl.Experiment.load(file)
    with pytest.raises(nl.InputError, match="say which: chip"):
        nl.Experiment.builtin(["precision.preset=chip"])


def test_an_own_sheet_sets_everything(tmp_path) -> None:
    fact = '{ value = %s, unit = "%s", grade = "A", source = "OWN data sheet" }'
    word = '{ value = %s, grade = "A", source = "OWN data sheet" }'
    sheet = f"""
name = "Own"
placement = "memory"
[sources]
OWN = "my data sheet"
[memory]
chip = {fact % (65536, "bytes")}
[weight]
bits = {fact % (6, "bits")}
signed = {word % "true"}
[state]
bits = {fact % (10, "bits")}
overflow = {word % '"wrap"'}
[decay]
form = {word % '"multiply"'}
bits = {fact % (8, "bits")}
rounding = {word % '"toward-zero"'}
[learning]
available = {word % "true"}
plastic = {word % '["input", "recurrent", "readout"]'}
form = {word % '"sum-of-products"'}
reads = {word % '["anything"]'}
third_factor = {word % '"post-neuron"'}
rounding = {word % '"stochastic"'}
[payload]
form = {word % '"graded"'}
bits = {fact % (5, "bits")}
"""
    file = tmp_path / "own.toml"
    file.write_text(sheet, encoding="utf-8")
    run = nl.simulate(NET, TASK, nl.RFLO(), None, 0.03, chip=str(file), assume=("unknown",), progress=False)
    precision = nl.Precision.from_dict(run.experiment["precision"])
    assert precision.landing("message").format.width == 5
    assert precision.landing("state").format.width == 10
    assert (precision.state_decay, precision.decay_bits, precision.rate_bits) == ("apart", 8, 1)
    assert precision.overflow == "wrap"
    assert set(precision.formats) <= set(PARENTS) | {"step_A"}


@pytest.mark.parametrize(
    "options",
    [{"message": "s1.6"}, {"trace": "u2.5", "trace_signs": "pair"}, {"state_decay": "apart"},
     {"readout": "s4.11 symmetric"}],
    ids=lambda o: list(o)[-1],
)  # fmt: skip
def test_exports_refuse_arithmetic_that_they_do_not_write(options: dict[str, str], tmp_path) -> None:
    precision = nl.Precision(weight="s1.14", state="s4.11", **options)
    with pytest.raises(nl.InputError, match="of simulated chips"):
        nl.export(NET, tmp_path / "out", "c", precision=precision)


def test_a_chip_that_is_set_takes_the_place_of_floating_point_in_a_file() -> None:
    experiment = nl.Experiment.builtin(["chip=loihi2", 'assume=["unknown"]'])
    assert experiment.precision.name == "chip"
    assert any("precision.preset = 'float32' left out" in note for note in experiment.notes)
    kept = nl.Experiment.builtin(["chip=loihi2", 'assume=["unknown"]', "precision.preset=float32"])
    with pytest.raises(nl.InputError, match=r"precision\.preset = 'chip' takes them"):
        kept.simulate(progress=False)
