"""Checking experiments against chips: verdicts, reports that lead to sources, suggestions that then pass."""

import json
import re

import numpy as np
import pytest
from conftest import python_process

import neurolrnn as nl
from neurolrnn import cli
from neurolrnn.chips.check import check_all, chip_names, load_chip, overview
from neurolrnn.chips.fixes import FIXES, SIZES
from neurolrnn_hardware.arithmetic_limits import check_arithmetic
from neurolrnn_hardware.catalogue import parse
from neurolrnn_hardware.chip import LIMITS
from neurolrnn_hardware.cost import cost, ends
from neurolrnn_hardware.findings import STATUSES, Findings
from neurolrnn_hardware.learning_limits import offered
from neurolrnn_hardware.limits import assume
from neurolrnn_hardware.locality import KINDS

NAMES = chip_names()
PERIODIC = {"name": "periodic", "period": 20, "frequencies": [1.0], "amplitudes": [1.0]}


def experiment(n_rec=16, rule="rflo", kind="gaussian", precision=None, leak=0.5, training=None, **options):
    return nl.Experiment.from_dict(
        {
            "task": PERIODIC,
            "network": {"n_rec": n_rec, "kind": kind, "leak": leak},
            "rule": {"name": rule, **options},
            "training": training or {"update": "episode" if rule == "bptt" else "online"},
            "precision": precision or {"preset": "int8"},
        }
    )


def limits_of(report, *status):
    return {f.limit for f in report.verdict.of(*status)}


# --- verdicts


def test_a_processor_with_memory_fits():
    report = nl.check(experiment(), "cortex_m4", ["memory.chip=131072"])
    assert report.fits is True and not report.findings


def test_what_is_not_known_does_not_pass():
    report = nl.check(experiment(), "cortex_m4")
    assert report.fits is None
    assert repr(report) == "<Report cortex_m4: not known, 1 findings>"
    (finding,) = report.findings
    assert (finding.limit, finding.status, finding.allowed) == ("memory.chip", "not known", "not known")
    assert finding.note == "depends on the part" and "assume memory.chip" in finding.remedy
    assert nl.check(experiment(), "cortex_m4", ["unknown"]).fits is True
    assert nl.check(experiment(), "cortex_m4", ["memory.chip"]).fits is True


def test_too_little_memory_does_not_fit():
    report = nl.check(experiment(), "cortex_m4", ["memory.chip=100"])
    (finding,) = report.findings
    assert report.fits is False and finding.status == "exceeded"
    assert re.fullmatch(r"[\d,]+ bytes", finding.asked) and finding.allowed == "100 bytes"
    assert finding.source == "user assumed"


DISPUTED = """
extends = "cortex_m4"
[sources]
ONE = "one specification"
TWO = "another specification"
[memory]
chip = { value = 1000000, unit = "bytes", grade = "B", source = "ONE p. 7",
         also = [{ value = 10, unit = "bytes", grade = "C", source = "TWO" }] }
"""


def test_texts_that_disagree_are_both_shown():
    report = nl.check(experiment(), parse(DISPUTED.replace('p. 7",\n  ', 'p. 7", ')))
    (finding,) = report.findings
    assert (report.fits, finding.status) == (None, "disputed")
    assert finding.allowed == "1000000 bytes or 10 bytes"
    assert (finding.source, finding.grade) == ("ONE p. 7 | TWO", "B/C")


def test_what_learning_reads():
    floats = {"preset": "float32"}
    broken = {
        rule: limits_of(nl.check(experiment(rule=rule, precision=floats), "loihi2"), "exceeded") & {"learning.reads"}
        for rule in ("rflo", "tbptt", "eprop", "rtrl", "bptt")
    }
    assert not broken["rflo"] and all(broken[rule] for rule in broken if rule != "rflo")
    report = nl.check(experiment(rule="rtrl", precision=floats), "loihi2")
    reads = next(f for f in report.findings if f.limit == "learning.reads")
    assert "influence" in reads.asked and "rflo" in reads.remedy


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_may_read_anything(kind):
    assert offered(kind, ["anything"])
    assert offered(kind, [kind]) and not offered(kind, [])


def test_a_trace_of_spikes_stands_for_a_state():
    assert offered("pre state", ["pre trace"], spikes=True)
    assert not offered("pre state", ["pre trace"]) and not offered("post signal", ["pre trace"], spikes=True)


def test_chips_that_only_infer():
    learning = nl.check(experiment(), "truenorth")
    assert "learning.available" in limits_of(learning, "exceeded")
    alone = nl.check(experiment(), "truenorth", inference=True)
    assert not {"learning.available", "learning.reads"} & limits_of(alone, *STATUSES)
    assert alone.demand.learn == () and alone.demand.bits() < learning.demand.bits()


def test_read_outs_are_all_that_akida_learns():
    dense = nl.check(experiment(storage="dense"), "akida1000")
    factored = nl.check(experiment(), "akida1000")
    assert "learning.plastic" in limits_of(dense, "exceeded")
    assert "learning.plastic" not in limits_of(factored, "exceeded")
    assert "topology.recurrent" in limits_of(factored, "exceeded")


def test_decays_that_a_chip_cannot_do():
    for leak, odd in ((0.25, False), (0.3, True), (1.0, False)):
        report = nl.check(experiment(leak=leak), "xylo_audio2", inference=True)
        assert ("decay.form" in limits_of(report, "exceeded")) == odd
    assert "decay.form" not in limits_of(nl.check(experiment(leak=1.0), "truenorth"), "exceeded")
    assert "decay.form" in limits_of(nl.check(experiment(leak=0.5), "truenorth"), "exceeded")


def test_number_formats():
    wide = {"weight": "s1.10", "state": "s4.22", "trace": "s1.5", "decay_bits": 12, "rounding": "toward-zero"}
    broken = limits_of(nl.check(experiment(precision=wide), "loihi2"), "exceeded")
    assert {"weight.bits", "state.bits"} <= broken
    narrow = {**wide, "weight": "s1.6", "state": "s4.11", "current": "s5.10 wrap"}
    narrow["update_rounding"] = "stochastic"
    unmet = {"decay.rounding", "learning.form", "trace.signed"}
    assert limits_of(nl.check(experiment(precision=narrow), "loihi2"), "exceeded") == unmet
    narrow |= {"rate_bits": 1, "state_decay": "apart", "trace_signs": "pair", "trace": "u1.5", "input_trace": "u1.5"}
    assert not limits_of(nl.check(experiment(precision=narrow), "loihi2"), "exceeded")
    unsigned = nl.check(experiment(precision={**narrow, "weight": "s1.5"}), "brainscales2", ["payload.bits"])
    assert "weight.bits" not in limits_of(unsigned, "exceeded")  # 7 bits are 6 and a sign, which a row has
    assert "weight.bits" in limits_of(nl.check(experiment(precision=narrow), "brainscales2"), "exceeded")


def test_floating_point():
    report = nl.check(experiment(precision={"preset": "float32"}), "reckon")
    assert "rounding.floating_point" in limits_of(report, "exceeded")
    report = nl.check(experiment(precision={"preset": "float32"}), "spinnaker2")
    assert "rounding.floating_point" not in limits_of(report, *STATUSES)


def test_exponents_too_far_apart():
    chip = load_chip("loihi1")
    far = {"weight": "s1.6", "B": "s-11.18", "state": "s3.12"}
    demand = nl.check(experiment(precision=far), chip).demand
    for limits, broken in ((assume(chip), False), (assume(chip, ["weight.exponent_low=0"]), True)):
        findings = Findings(limits)
        check_arithmetic(demand, findings)
        assert ("weight.exponent_high" in {f.limit for f in findings.found}) == broken


def test_every_finding_and_fix_has_the_name_of_a_limit():
    assert set(FIXES) | SIZES <= LIMITS


# --- cost


def test_cost_by_hand():
    report = nl.check(experiment(n_rec=10), "loihi1")
    d = report.demand
    activity = sum(c.synapses for c in d.connections if c.carries == "activity")
    plastic = sum(c.synapses for c in d.connections if c.plastic)
    sent = d.sizes.n_in + d.sizes.n_rec + d.sizes.n_out
    low, high = report.cost.energy_pj
    assert low == 52 * d.units
    assert high == pytest.approx(23.6 * activity + 120 * plastic + 81 * d.units + 1.7 * sent)
    assert report.cost.step_us == (0.113, None)


def test_cost_that_nobody_published_is_unknown():
    report = nl.check(experiment(), "loihi2")
    assert report.cost.energy_pj == (0, None) and report.cost.step_us is None
    assert "energy a step: unknown" in report.cost.text()


def test_cost_spans_texts_that_disagree():
    fact = load_chip("spinnaker1").energy.synaptic_operation
    assert ends(fact) == (13300.0, 5800000.0)
    report = nl.check(experiment(), "spinnaker1")
    assert report.cost == cost(report.demand, report.placement, report.verdict.limits)


# --- reports


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, {"storage": "dense", "feedback": "symmetric"}])
def test_every_figure_of_a_report_leads_to_its_source(name, options):
    report = nl.check(experiment(**options), name)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["chip"] == name and plain["fits"] is report.fits
    text, page = report.text(), report.markdown()
    keys = set()
    figures = [*plain["findings"], *plain["resources"], *plain["cost"]["items"]]
    for figure in figures:
        assert figure["grade"]
        if figure["source"] in ("no source found", "user assumed"):
            assert figure["grade"] == "U"
            continue
        found = {part.split(" ")[0] for part in re.split(r"; | \| ", figure["source"])} & set(plain["sources"])
        assert found, figure["source"]
        keys |= found
    for key in keys:
        assert f"](#source-{key})" in page and f'<a id="source-{key}"></a>' in page
        assert f"{key}: {plain['sources'][key]}" in text
    for line in report.chip.not_modelled:
        assert line in text and line in page


def test_a_report_says_how_much_of_each_limit_is_used():
    report = nl.check(experiment(n_rec=1000, kind="block"), "loihi1")
    axons = next(r for r in report.resources if r.limit == "topology.axons_in_per_core")
    assert axons.share == pytest.approx(axons.used / 4096)
    assert f"{100 * axons.share:.1f} %" in report.text()
    unknown = next(r for r in report.resources if r.limit == "topology.fan_in")
    assert unknown.share is None and unknown.to_dict()["available"] is None


def test_overview_of_all_chips():
    reports = check_all(experiment(), NAMES)
    table, lists = overview(reports).split("\n\n")
    assert len(table.splitlines()) == 2 + len(NAMES)
    assert all(len(line) <= 79 for line in overview(reports).splitlines())
    for report in reports:
        for finding in report.verdict.of("exceeded", "not known", "disputed"):
            assert finding.limit in lists.split(f"{report.chip.key}: ", 1)[1]
    assert overview(reports, "markdown").count("\n") == 1 + len(NAMES)


def test_errors_in_words(tmp_path):
    with pytest.raises(nl.InputError, match="did you mean 'loihi2'"):
        nl.check(experiment(), "loihi3")
    with pytest.raises(nl.InputError, match="no chip sheet"):
        nl.check(experiment(), tmp_path / "none.toml")
    with pytest.raises(nl.InputError, match="is not a limit"):
        nl.check(experiment(), "loihi1", ["fan-in"])
    with pytest.raises(nl.InputError, match="there is no experiment file"):
        nl.check(tmp_path / "none.toml", "loihi1")


def test_a_large_network_is_checked_without_being_drawn():
    report = nl.check(experiment(n_rec=1500, storage="dense"), "loihi1")
    assert report.demand.connection("recurrent").synapses == 1500**2
    with pytest.raises(nl.InputError, match="sparse"):
        nl.check(experiment(n_rec=100_000), "loihi1")
    assert nl.check(experiment(n_rec=100_000, kind="block"), "loihi1").fits is False


# --- suggestions

LIFTED = {"reckon": ["payload.bits", "trace.signed"], "loihi1": ["payload.bits", "learning.reads"]}


def runs(made, name, given):
    """Whether a run under the chip is accepted."""
    net, task, rule, precision, training, seed = made.build()
    try:
        applied = nl.chips.apply(name, net, task, rule, precision, training, seed, given)
    except nl.InputError:
        return False
    assert applied.precision == precision
    return True


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "options",
    [
        {}, {"storage": "dense"}, {"storage": "dense", "leak": 0.25}, {"rule": "eprop"},
        {"precision": {"preset": "int16"}},
        {"training": {"update": "online", "batch": 4}, "storage": "dense"}, {"training": {"update_every": 3}},
        {"precision": {"preset": "int8", "rate_bits": 1, "trace_signs": "pair", "trace": "u2.5"}},
    ],
)  # fmt: skip
def test_what_fits_runs_and_what_does_not_is_refused(name, options):
    """One judgement: of an experiment before it runs, and of a run under the chip; and of what is suggested."""
    given = [*LIFTED.get(name, []), "unknown"]
    made = experiment(**options)
    report = nl.check(made, name, given)
    accepted = not report.verdict.of("exceeded", "not known")
    assert runs(made, name, given) == accepted, report.text()
    try:
        suggestion = report.suggest()
    except nl.chips.NoSuggestion:
        return
    assert runs(suggestion.experiment, name, given), suggestion.to_toml()


@pytest.mark.parametrize("name", ["loihi1", "loihi2", "reckon", "spinnaker2", "dynapse2"])
@pytest.mark.parametrize("options", [{}, {"n_rec": 400, "storage": "dense"}, {"rule": "eprop"}])
def test_a_suggestion_then_passes(name, options, tmp_path):
    given = LIFTED.get(name, [])
    suggestion = nl.check(experiment(**options), name, given).suggest()
    path = tmp_path / "fits.toml"
    path.write_text(suggestion.to_toml(), encoding="utf-8")
    again = nl.check(path, name, given)
    assert again.fits is not False and again.fits == suggestion.report.fits
    assert again.demand == suggestion.report.demand
    assert all(" -> " in line for line in suggestion.changes)
    assert suggestion.to_dict()["memory_bits"]["after"] == again.demand.bits()
    assert nl.check(path, name, [*given, "unknown"]).fits in (True, None)


def test_what_fits_is_left_alone():
    suggestion = nl.check(experiment(), "spinnaker2", ["accumulator.bits"]).suggest()
    assert not suggestion.changes and "nothing needs to change" in str(suggestion)


def test_block_diagonal_weights_come_before_fewer_units():
    suggestion = nl.check(experiment(n_rec=600), "cortex_m4", ["memory.chip=65536"]).suggest()
    assert suggestion.experiment.network.n_rec == 600 and suggestion.experiment.network.kind == "block"
    assert suggestion.bits_saved > 8 * 300_000


def test_the_largest_network_that_fits():
    given = ["memory.chip=4000"]
    suggestion = nl.check(experiment(n_rec=900), "cortex_m4", given).suggest()
    n_rec = suggestion.experiment.network.n_rec
    assert 10 < n_rec < 900

    def broken(n):
        tables = suggestion.experiment.to_dict()
        tables["network"]["n_rec"] = n
        return nl.check(nl.Experiment.from_dict(tables), "cortex_m4", given).fits is False

    assert not broken(n_rec) and broken(n_rec + 1)


def test_own_data_are_found_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    np.savez(tmp_path / "here" / "data.npz", inputs=np.ones((20, 2)), targets=np.ones((20, 1)))
    tables = {**experiment(n_rec=300).to_dict(), "task": {"name": "npz", "path": "data.npz"}}
    (tmp_path / "here" / "big.toml").write_text(nl.Experiment.from_dict(tables).to_toml(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    suggestion = nl.check("here/big.toml", "cortex_m4", ["memory.chip=20000"]).suggest()
    (tmp_path / "fits.toml").write_text(suggestion.to_toml(), encoding="utf-8")
    assert nl.check("fits.toml", "cortex_m4", ["memory.chip=20000"]).fits


def test_what_no_change_can_meet_is_named():
    with pytest.raises(nl.InputError) as error:
        nl.check(experiment(), "brainscales2").suggest()
    assert "payload.bits" in str(error.value) and "assume payload.bits" in str(error.value)
    with pytest.raises(nl.InputError, match=r"memory\.chip"):
        nl.check(experiment(), "cortex_m4", ["memory.chip=10"]).suggest()


def test_a_run_is_no_experiment():
    with pytest.raises(nl.InputError, match=r"experiment is a Network; give an Experiment"):
        nl.check(nl.Network.random(1, 4, 1), "generic")


# --- the command


def run(capsys, *arguments):
    code = cli.main(["check", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text(experiment().to_toml(), encoding="utf-8")
    return path


def test_exit_codes(capsys, file):
    assert run(capsys, file, "--chip", "cortex_m4", "--assume", "memory.chip=131072")[0] == 0
    assert run(capsys, file, "--chip", "cortex_m4")[0] == 1
    assert run(capsys, file, "--chip", "reckon")[0] == 1
    for bad in (["--chip", "loihi3"], [], ["--chip", "all", "--suggest"], ["--chip", "loihi1", "--assume", "axons"]):
        code, out, err = run(capsys, file, *bad)
        assert code == 2 and not out and err.startswith("neurolrnn: ")


def test_command_prints_reports(capsys, file, tmp_path):
    _, out, _ = run(capsys, file, "--chip", "loihi1", "--json")
    assert json.loads(out)["chip"] == "loihi1"
    _, out, _ = run(capsys, file, "--chip", "all", "--json")
    assert [r["chip"] for r in json.loads(out)] == NAMES
    _, out, _ = run(capsys, file, "--chip", "loihi1", "loihi2")
    assert len(out.split("\n\n")[0].splitlines()) == 4
    code, out, err = run(capsys, file, "--chip", "loihi1", "--markdown", "-o", tmp_path / "page.md")
    assert code == 1 and not out and "written" in err
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# Intel Loihi (loihi1): does not fit")
    _, out, _ = run(capsys, file, "--chip", "truenorth", "--inference")
    assert "the network alone" in out and "learning.available" not in out


def test_command_suggests(capsys, file, tmp_path):
    target, lifted = tmp_path / "fits.toml", ["--assume", *LIFTED["reckon"]]
    code, out, _ = run(capsys, file, "--chip", "reckon", *lifted, "--suggest", "-o", target)
    assert code == 0 and "rule.storage" in out
    assert run(capsys, target, "--chip", "reckon", *lifted)[0] == 0
    code, out, _ = run(capsys, file, "--chip", "reckon", *lifted, "--suggest", "--json")
    assert code == 0 and json.loads(out)["changes"]
    code, _, err = run(capsys, file, "--chip", "reckon", "--suggest")
    assert code == 1 and "trace.signed" in err


def test_command_writes_a_sheet_to_fill_in(capsys, file, tmp_path):
    sheet = tmp_path / "mine.toml"
    assert run(capsys, "--new-sheet", sheet)[0] == 0
    assert run(capsys, "--new-sheet", sheet)[0] == 2
    assert run(capsys, file, "--chip", sheet)[0] == 1
    assert run(capsys, file, "--chip", sheet, "--assume", "unknown")[0] == 0


def test_checking_compiles_nothing():
    out = python_process(
        "import neurolrnn as nl, sys\n"
        "print(nl.check(nl.Experiment.builtin(), 'reckon').fits, 'neurolrnn.simulate' in sys.modules)\n"
        "import numba\n"
    )
    assert out.startswith("False")


# --- anything


def draw(rng):
    """A random experiment, many of them far too large or with formats that no chip has."""
    rule = str(rng.choice(["rflo", "tbptt", "eprop", "rtrl", "bptt"]))
    kind = str(rng.choice(["gaussian", "orthogonal", "symmetric", "block", "sparse"]))
    if rule == "rtrl" and kind == "sparse":
        kind = "gaussian"
    options = {}
    if rule in ("rflo", "eprop", "tbptt"):
        options["feedback"] = str(rng.choice(["random", "symmetric"]))
    if rule == "rflo":
        options["storage"] = "dense" if options["feedback"] == "symmetric" else str(rng.choice(["dense", "factored"]))
    if rule == "tbptt":
        options["steps"] = int(rng.integers(1, 6))
    fixed = rule in ("rflo", "eprop", "tbptt") and rng.random() < 0.7
    precision = {"preset": str(rng.choice(["float32", "float64"]))}
    if fixed:
        precision = {"preset": str(rng.choice(["int8", "int16", "int8-hidden16"]))}
        if rng.random() < 0.5:
            precision = {
                "weight": f"s{rng.integers(0, 3)}.{rng.integers(1, 9)}", "state": f"s3.{rng.integers(4, 12)}",
                "rounding": str(rng.choice(["nearest", "floor", "stochastic", "toward-zero"])),
            }  # fmt: skip
    online = rule not in ("bptt",) and (fixed or rng.random() < 0.7)
    training = {"update": "online" if online else "episode"}
    n_rec = (
        int(rng.choice([1, 2, 7, 33, 130, 257])) if rule == "rtrl" or kind != "block" else int(rng.integers(1, 20000))
    )
    return experiment(n_rec, rule, kind, precision, float(rng.choice([0.25, 0.3, 1.0])), training, **options)


def check_random(count, seed):
    rng = np.random.default_rng(seed)
    seen = set()
    for _ in range(count):
        drawn = draw(rng)
        for report in check_all(drawn, NAMES, ["unknown"] if rng.random() < 0.3 else []):
            assert report.fits in (True, False, None)
            assert all(f.limit in LIMITS and f.asked and f.allowed for f in report.findings)
            assert (report.fits is False) == bool(report.verdict.of("exceeded"))
            json.dumps(report.to_dict(), allow_nan=False)
            seen.add((report.chip.key, report.fits))
    assert {fits for _, fits in seen} == {True, False, None}


def test_random_experiments_on_every_chip():
    check_random(40, 0)


@pytest.mark.slow
def test_500_random_experiments_on_every_chip():
    check_random(500, 1)
