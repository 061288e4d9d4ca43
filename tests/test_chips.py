"""Chip sheets: every figure has a source and a grade, what has none is refused, and errors say what is allowed."""

import copy
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolrnn import cli
from neurolrnn.chips import tables as chip_tables
from neurolrnn_hardware import catalogue
from neurolrnn_hardware.catalogue import ChipError, load, parse, read
from neurolrnn_hardware.chip import LIMITS, SECTIONS
from neurolrnn_hardware.limits import assume
from neurolrnn_hardware.sheet_fields import GRADES
from neurolrnn_hardware.sheet_template import template

ROOT = Path(__file__).parents[1]
NAMES = catalogue.names()
SHEETS = ROOT / "hardware_models" / "neurolrnn_hardware" / "chips"
# Figures as their sources give them, with the grade under which they were read.
FIGURES = {
    ("loihi1", "topology.neurons_per_core"): (1024, "B"),
    ("loihi1", "topology.axons_in_per_core"): (4096, "B"),
    ("loihi1", "topology.axons_out_per_core"): (4096, "B"),
    ("loihi1", "memory.synapse_per_core"): (16384 * 8, "B"),
    ("loihi1", "packing.word"): (64, "A"),
    ("loihi1", "packing.header"): (4 + 6, "A"),
    ("loihi1", "weight.low"): (-256, "A"),
    ("loihi1", "weight.high"): (254, "A"),
    ("loihi1", "current.overflow"): ("wrap", "A"),
    ("loihi1", "state.overflow"): ("saturate", "A"),
    ("loihi1", "trace.bits"): (7, "A"),
    ("loihi1", "learning.accumulator"): (16, "A"),
    ("loihi1", "learning.epoch_high"): (63, "B"),
    ("loihi1", "energy.synaptic_operation"): ((23.6, 23.6), "B"),
    ("loihi2", "topology.synapses"): (120_000_000, "C"),
    ("loihi2", "learning.third_factor"): ("post-neuron", "A"),
    ("spinnaker1", "memory.core"): (65536, "A"),
    ("spinnaker2", "topology.cores"): (152, "C"),
    ("brainscales2", "topology.neurons"): (512, "A"),
    ("brainscales2", "weight.bits"): (6, "A"),
    ("reckon", "memory.recurrent_weights"): (65536, "A"),
    ("reckon", "memory.neuron_per_core"): (2048, "A"),
    ("reckon", "trace.bits"): (12, "A"),
    ("reckon", "output_trace.bits"): (10, "A"),
    ("reckon", "learning.rounding"): ("lsb-stochastic", "A"),
    ("odin", "weight.bits"): (3, "A"),
    ("odin", "state.signed"): (False, "A"),
    ("dynapse2", "topology.fan_in"): (64, "A"),
    ("xylo_audio2", "state.overflow"): ("saturate", "A"),
    ("xylo_audio2", "topology.fan_in"): (63, "C"),
    ("xylo_audio3", "topology.hidden"): (992, "A"),
    ("xylo_imu", "topology.recurrent_synapses"): (31744, "A"),
    ("akida1000", "topology.recurrent"): (False, "C"),
    ("truenorth", "weight.shared_bits"): (9, "B"),
    ("truenorth", "energy.synaptic_operation"): ((26.0, 26.0), "B"),
    ("cortex_m4", "weight.bits"): (32, "A"),
}


def facts(chip):
    for name, _, fact in chip.figures():
        yield name, fact
        yield from ((f"{name} also", other) for other in fact.also)
    yield from ((f"notes.{topic}", fact) for topic, fact in chip.notes.items())


def test_the_catalogue_holds_the_chips():
    assert len(NAMES) == 15
    assert {f"{name}.toml" for name in NAMES} == {path.name for path in SHEETS.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_source_and_a_grade(name):
    chip = load(name)
    assert chip.name and chip.not_modelled and chip.sources
    for where, fact in facts(chip):
        assert fact.grade in GRADES, where
        assert fact.known == (fact.grade != "U"), where
        if fact.known:
            assert fact.references, where
        for reference in fact.references:
            assert len(chip.sources[reference.key]) > 10, where
    used = {r.key for _, fact in facts(chip) for r in fact.references}
    said = " ".join(fact.note for _, fact in facts(chip))
    assert {key for key in chip.sources if key not in used and key not in said} == set()


@pytest.mark.parametrize(("chip", "figure"), FIGURES, ids=lambda v: v)
def test_figures_are_those_of_the_sources(chip, figure):
    fact = load(chip).fact(figure)
    assert (fact.value, fact.grade) == FIGURES[chip, figure]


def test_texts_that_disagree_are_both_kept():
    cores = load("loihi2").topology.cores
    assert cores.value == 128 and [f.value for f in cores.also] == [120]
    energies = load("spinnaker1").energy.synaptic_operation
    assert [f.value for f in energies.also] == [(26600.0, 26600.0), (5800000.0, 5800000.0)]


def test_unknown_stays_unknown():
    fan_in = load("loihi1").topology.fan_in
    assert not fan_in.known and fan_in.stated and fan_in.shown() == "unknown"
    never_named = load("xylo_imu").weight.bits
    assert not never_named.known and not never_named.stated


def test_names_may_be_written_with_hyphens():
    assert load("xylo-audio2") is load("xylo_audio2")


# --- refusals

SHEET = """
name = "Mine"
placement = "cores"
[sources]
OWN = "own specification"
[topology]
cores = { value = 4, unit = "cores", grade = "A", source = "OWN p. 1" }
"""


def changed(old, new):
    assert old in SHEET
    return SHEET.replace(old, new)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed(', source = "OWN p. 1"', ""), ["topology.cores", "has no source", "KEY"]),
        (changed("OWN p. 1", "PAPER p. 1"), ["topology.cores", "first word must be a key", "OWN"]),
        (changed(', grade = "A"', ""), ["topology.cores", "grade = None", "B quoted"]),
        (changed('grade = "A"', 'grade = "U"'), ["grade U", "belong together"]),
        (changed("value = 4", 'value = "unknown"'), ["grade U", "belong together"]),
        (changed("value = 4", "value = -4"), ["value = -4", "a whole number, at least 0"]),
        (changed("value = 4", "value = 4.5"), ["value = 4.5", "a whole number"]),
        (changed("value = 4", "value = true"), ["value = True", "a whole number"]),
        (changed("value = 4, ", ""), ["value is missing"]),
        (changed('unit = "cores"', 'unit = "kB"'), ["unit = 'kB'", "'cores'"]),
        (changed("cores = {", "core = {"), ["topology.core is not known", "did you mean 'cores'"]),
        (changed("[topology]", "[topolgy]"), ["topolgy is not known", "did you mean 'topology'"]),
        (changed('{ value = 4, unit = "cores", grade = "A", source = "OWN p. 1" }', "4"), ["stands without a source"]),
        (changed('"cores"\n', '"grid"\n'), ["placement = 'grid'", "crossbar"]),
        (changed('name = "Mine"\n', ""), ["name = None"]),
        (changed('OWN = "own specification"', "OWN = 3"), ["sources.OWN = 3", "source in full"]),
        (changed("[sources]", "[sources"), ["not TOML"]),
        (changed("[sources]", 'extends = "nothing"\n[sources]'), ["extends = 'nothing'", "loihi2"]),
        (changed("[topology]", "not_modelled = 3\n[topology]"), ["not_modelled"]),
        (SHEET + '[payload]\nform = { value = "loud", grade = "A", source = "OWN" }', ["one of binary, count, graded"]),
        (SHEET + '[learning]\nreads = { value = ["mind"], grade = "A", source = "OWN" }', ["a list of", "own weight"]),
        (SHEET + '[energy]\nhop = { value = [2, 1], unit = "pJ", grade = "A", source = "OWN" }', ["[low, high]"]),
        (
            SHEET + '[weight]\nlow = { value = 3, grade = "A", source = "OWN" }\n'
            'high = { value = 1, grade = "A", source = "OWN" }',
            ["weight.low = 3 is above weight.high = 1"],
        ),
    ],
)  # fmt: skip
def test_bad_sheets_are_refused_in_words(text, words):
    with pytest.raises(ChipError) as error:
        parse(text, "mine.toml")
    for word in ["mine.toml", *words]:
        assert word in str(error.value)


def test_a_sheet_of_ones_own_by_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SHEET, encoding="utf-8")
    chip = load(path)
    assert (chip.key, chip.topology.cores.value) == ("mine", 4)
    assert load(str(path)).sources == {"OWN": "own specification"}
    with pytest.raises(ChipError, match="there is no chip sheet"):
        load(tmp_path / "other.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ChipError, match="UTF-8"):
        load(path)
    with pytest.raises(ChipError, match="cannot read"):
        load(Path(tmp_path))


def test_extending_another_sheet_keeps_its_sources():
    chip = parse(
        'extends = "loihi1"\nname = "Half a Loihi"\n[sources]\nOWN = "own specification"\n'
        '[topology]\ncores = { value = 64, unit = "cores", grade = "A", source = "OWN" }'
    )
    assert chip.topology.cores.value == 64
    assert chip.topology.axons_in_per_core == load("loihi1").topology.axons_in_per_core
    assert {"OWN", "DAV"} <= set(chip.sources)


def test_unlimited_needs_a_source_too():
    text = SHEET + '[memory]\nchip = { value = "unlimited", unit = "bytes", grade = "A", source = "OWN" }'
    assert parse(text).memory.chip.unlimited
    with pytest.raises(ChipError, match="no source"):
        parse(text.replace(', source = "OWN" }', " }"))


# --- fuzz

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["unknown", "unlimited", "A", "U", "OWN", "cores", "bits"]), st.dates(),
)  # fmt: skip
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner))
figures = st.fixed_dictionaries(
    {}, optional={key: values for key in ("value", "unit", "grade", "source", "note", "also", "other")}
)  # fmt: skip
VALID = tomllib.loads(SHEET)


@given(st.sampled_from(sorted(LIMITS)), figures | values)
@settings(max_examples=100)
def test_any_figure_is_read_or_refused_in_words(limit, figure):
    section, name = limit.split(".")
    tables = copy.deepcopy(VALID)
    tables.setdefault(section, {})[name] = figure
    try:
        fact = read(tables, "mine.toml").fact(limit)
    except ChipError as error:
        assert str(error).startswith("mine.toml: ") and len(str(error)) > 30
    else:
        assert fact.known == (fact.grade != "U") and (fact.references or not fact.known)


@given(st.dictionaries(st.sampled_from(["name", "placement", "extends", "sources", "notes", *SECTIONS]), values))
def test_any_tables_are_read_or_refused_in_words(tables):
    try:
        read({**VALID, **tables}, "mine.toml")
    except ChipError as error:
        assert str(error).startswith("mine.toml: ")


@given(st.sampled_from(NAMES), st.integers(0, 10**6), st.text(max_size=3))
def test_damaged_text_is_read_or_refused_in_words(name, at, text):
    sheet = (SHEETS / f"{name}.toml").read_text(encoding="utf-8")
    at %= len(sheet)
    try:
        parse(sheet[:at] + text + sheet[at + len(text) :], "damaged")
    except ChipError as error:
        assert "damaged" in str(error)


# --- assumptions


def test_assumptions():
    limits = assume(load("loihi1"), ["topology.fan_in", "memory.synapse_per_core=1000", "energy.hop=[1, 2]"])
    assert limits.is_lifted("topology.fan_in")
    assert limits.fact("memory.synapse_per_core").value == 1000
    assert limits.fact("memory.synapse_per_core").source == "user assumed"
    assert limits.fact("energy.hop").value == (1.0, 2.0)
    assert load("loihi1").memory.synapse_per_core.value == 131072
    every = assume(load("loihi1"), ["unknown"])
    assert every.is_lifted("topology.fan_in") and not every.is_lifted("topology.cores")
    assert assume(load("loihi1"), ["topology.fan_in=unlimited"]).fact("topology.fan_in").unlimited


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("topology.fanin", "did you mean 'topology.fan_in'"),
        ("fan_in", "the name of a limit"),
        ("topology.fan_in=many", "a whole number"),
        ("topology.fan_in=-1", "a whole number"),
        ("unknown=3", "not a limit"),
        ("", "not a limit"),
    ],
)
def test_bad_assumptions_are_refused_in_words(text, words):
    with pytest.raises(ChipError, match=re.escape(words)):
        assume(load("loihi1"), [text])


# --- template and tables


def test_the_template_is_a_sheet_that_knows_nothing():
    chip = parse(template())
    assert not any(fact.known for _, _, fact in chip.figures())


def test_the_template_filled_in_is_a_sheet_that_knows_everything():
    chip = parse(re.sub(r"^#(\w+ = \{)", r"\1", template(), flags=re.MULTILINE))
    assert all(fact.known for _, _, fact in chip.figures())
    assert {name for name, _, _ in chip.figures()} == LIMITS


def test_list_chips(capsys):
    assert cli.main(["list", "chips"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in NAMES) and "A/B/C/U" in out
    rows = {row["name"]: row for row in chip_tables.chips_rows()}
    assert rows["loihi1"]["neurons"] == 128 * 1024
    assert rows["reckon"]["grades"]["C"] == 0 and rows["spinnaker2"]["grades"]["A"] == 0


def test_the_documented_table_is_the_sheets():
    text = (ROOT / "docs" / "chips.md").read_text(encoding="utf-8")
    for mark, made in (("chips", chip_tables.chips_table("markdown")), ("figures", chip_tables.figures_markdown())):
        begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
        found = text[text.index(begin) + len(begin) : text.index(end)].strip()
        assert found == made, f"docs/chips.md: put in what neurolrnn.chips.tables makes for {mark}"
    for name in NAMES:
        for _, fact in facts(load(name)):
            for reference in fact.references:
                assert f'<a id="{name}-{reference.key}"></a>' in text


def test_what_is_not_captured_is_documented():
    text = (ROOT / "docs" / "fit_my_chip.md").read_text(encoding="utf-8")
    begin, end = "<!-- not captured: begin -->", "<!-- not captured: end -->"
    assert text[text.index(begin) + len(begin) : text.index(end)].strip() == chip_tables.not_captured_markdown()
