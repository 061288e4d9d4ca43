"""Experiments are read exactly, and refused in words that lead out."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurolrnn import toml_text
from neurolrnn.errors import InputError
from neurolrnn.experiment import BUILTIN, Drawing, Experiment
from neurolrnn.network import Network
from neurolrnn.rules import BPTT, RFLO
from neurolrnn.run import Run
from neurolrnn.tables import markdown_table, rules_rows, rules_table, text_table, width
from neurolrnn.training import Training, check_rule

TEXT = """\
seed = 3

[task]
name = "periodic"
period = 20

[network]
n_rec = 8
leak = 0.5

[rule]
name = "rflo"
decay = 0.2
feedback = "random"

[training]
learning_rate = { A = 0.02, W = 0.01, B = 0.01 }
epochs = 2

[precision]
preset = "float64"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "exp.toml"
    path.write_text(TEXT)
    return path


def test_reads_what_is_written(file: Path) -> None:
    e = Experiment.load(file)
    assert e.task == {"name": "periodic", "period": 20}
    assert e.network == Drawing(8, leak=0.5)
    assert isinstance(e.rule, RFLO)
    assert (e.rule.decay, e.rule.storage) == (0.2, "factored")
    assert e.training == Training(learning_rate={"A": 0.02, "W": 0.01, "B": 0.01}, epochs=2)
    assert (e.precision.name, e.seed, e.where, e.notes) == ("float64", 3, str(file), ())


def test_builds_network_and_task_by_their_seeds(file: Path) -> None:
    network, task, rule, precision, training, seed = Experiment.load(file).build()
    drawn = Network.random(task.n_in, 8, task.n_out, leak=0.5, seed=3)
    assert np.array_equal(network.W, drawn.W)
    assert (rule.name, precision.name, training.epochs, seed) == ("rflo", "float64", 2, 3)
    other = Experiment.load(file, ["network.seed=4"]).build()[0]
    assert not np.array_equal(network.W, other.W)


@pytest.mark.parametrize("overrides", [[], ["rule.name=eprop"], ["training.clamp={W=1}", "network.seed=9"]])
def test_toml_and_dict_round_trip(file: Path, tmp_path: Path, overrides: list[str]) -> None:
    e = Experiment.load(file, overrides)
    again = tmp_path / "again.toml"
    again.write_text(e.to_toml(), encoding="utf-8")
    back = Experiment.load(again)
    assert back.to_dict() == e.to_dict() == Experiment.from_dict(e.to_dict()).to_dict()
    assert back.digest == e.digest == Experiment.from_dict(json.loads(json.dumps(e.to_dict()))).digest


def test_digest_sees_settings_and_not_their_spelling(file: Path) -> None:
    digest = Experiment.load(file).digest
    same = ["network.seed=3", "rule.storage=factored", "training.momentum=0", "training.shuffle=true", "task.period=20"]
    assert Experiment.load(file, same).digest == digest
    assert Experiment.load(file, ["training.learn=['A','W','B']"]).digest == digest
    for change in ("seed=4", "task.period=21", "training.epochs=3", "rule.decay=0.3", "network.leak=0.4"):
        assert Experiment.load(file, [change]).digest != digest, change


def test_builtin_is_a_whole_experiment() -> None:
    e = Experiment.builtin()
    assert (e.task["name"], e.rule.name, e.where) == ("japanese-vowels", "rflo", BUILTIN)
    assert Experiment.builtin(["training.epochs=2"]).training.epochs == 2


def _run(e: Experiment, **changes: Any) -> Run:
    network = e.build()[0]
    return Run(**{"experiment": e.described, "status": "interrupted", "message": "", "initial": network,
                  "network": network, **changes})  # fmt: skip


def test_experiment_comes_back_from_a_run(file: Path, tmp_path: Path) -> None:
    e = Experiment.load(file, ["rule.feedback=symmetric", "rule.storage=dense"])
    run = _run(e)
    assert run.digest == e.digest
    back = Experiment.from_run(Run.load(run.save(tmp_path / "run.npz")))
    assert back.digest == e.digest
    assert Experiment.from_run(run, ["seed=5"]).seed == 5


def test_a_run_of_given_arrays_names_no_experiment(file: Path) -> None:
    run = _run(Experiment.load(file))
    given_network = {**run.experiment, "network": {"kind": "given", "n_rec": 8}}
    with pytest.raises(InputError, match="network was given as arrays"):
        Experiment.from_run(_run(Experiment.load(file), experiment=given_network))
    own = {**run.experiment, "task": {"name": "own", "digest": "0"}}
    with pytest.raises(InputError, match="task 'own' was given as arrays"):
        Experiment.from_run(_run(Experiment.load(file), experiment=own))


def test_resume_refuses_finished_and_other_runs(file: Path) -> None:
    e = Experiment.load(file)
    for status in ("completed", "diverged"):
        with pytest.raises(InputError, match=f"has {status}"):
            e.simulate(progress=False, resume=_run(e, status=status))
    with pytest.raises(InputError, match=r"another experiment \(seed is 3 there, 4 here\)"):
        Experiment.load(file, ["network.seed=3", "seed=4"]).simulate(progress=False, resume=_run(e))


def test_task_path_is_meant_from_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    np.savez(folder / "own.npz", inputs=np.ones((5, 2)), targets=np.ones((5, 1)))
    (folder / "e.toml").write_text(
        '[task]\nname = "npz"\npath = "own.npz"\n[network]\nn_rec = 3\n[rule]\nname = "rflo"\n'
    )
    assert Experiment.load(folder / "e.toml").build()[1].n_in == 2


# What is set, and the words that must be in the refusal besides the file's name.
REFUSED = {
    "training.learnig_rate=0.1": ["training.learnig_rate = 0.1", "allowed", "did you mean 'learning_rate'"],
    "training.learning_rate=-1": ["training.learning_rate = -1", "at least 0"],
    "training.learning_rate=fast": ["training.learning_rate = 'fast'", "finite number"],
    "training.learning_rate={A=1}": ["no rate for W, B"],
    "training.learning_rate={A=1,W=1,B=1,C=1}": ["'C'", "A, W, B"],
    "training.learning_rate=nan": ["training.learning_rate = nan", "finite"],
    "training.update=onlin": ["training.update = 'onlin'", "online, episode", "did you mean 'online'"],
    "training.epochs=0": ["training.epochs = 0", "at least 1"],
    "training.epochs=1.5": ["training.epochs = 1.5", "whole number"],
    "training.epochs=true": ["training.epochs = True", "whole number"],
    "training.batch='4'": ["training.batch = '4'", "whole number"],
    "training.loss_steps=last": ["training.loss_steps = 'last'", "all, final"],
    "training.momentum=1": ["training.momentum = 1", "below 1"],
    "training.clamp=0": ["training.clamp = 0", "above 0"],
    "training.learn=[]": ["training.learn = []", "nonempty"],
    "training.learn=W": ["training.learn = 'W'", '["W"]'],
    "training.learn=['X']": ["'X'", "A, W, B"],
    "training.shuffle=1": ["training.shuffle = 1", "true or false"],
    "training.records=0": ["training.records = 0"],
    "training=3": ["training = 3", "[training]"],
    "training.leak=0.1": ["training.leak = 0.1"],
    "network.n_rec=0": ["network.n_rec = 0", "at least 1"],
    "network.leak=0": ["network.leak = 0", "above 0 and at most 1"],
    "network.kind=gausian": ["network.kind = 'gausian'", "did you mean 'gaussian'"],
    "network.seed=-1": ["network.seed = -1"],
    "network.momentum=1": ["network.momentum = 1", "momentum belongs in [training]"],
    "network.output_scale=big": ["network.output_scale = 'big'"],
    "rule.name=rfol": ["rule.name = 'rfol'", "rflo, tbptt, eprop, rtrl, bptt", "did you mean 'rflo'"],
    "rule.name=7": ["rule.name = 7"],
    "rule.decay=2": ["rule.decay = 2", "below 1"],
    "rule.steps=2": ["rule.steps = 2", "for rule 'rflo'", "feedback, feedback_scale, decay, storage"],
    "rule.feedback=fixed": ["rule.feedback = 'fixed'", "random, symmetric"],
    "rule.feedback=symmetric": ["rule.storage = 'factored'", "storage = 'dense'"],
    "task.name=periodik": ["task.name = 'periodik'", "did you mean 'periodic'"],
    "task.perod=3": ["task.perod = 3", "for task 'periodic'", "did you mean 'period'"],
    "precision.preset=float23": ["'float23'", "float32"],
    "seed=-1": ["seed = -1", "at least 0"],
    "seed=1.0": ["seed = 1.0", "whole number"],
    "sed=1": ["sed is not known at the top", "did you mean 'seed'"],
    "learning_rate=1": ["learning_rate belongs in [training]"],
    "netwrk.leak=1": ["netwrk is not known", "did you mean 'network'"],
}


@pytest.mark.parametrize("setting", REFUSED)
def test_refusals_name_file_key_value_and_way_out(file: Path, setting: str) -> None:
    with pytest.raises(InputError) as caught:
        Experiment.load(file, [setting])
    text = str(caught.value)
    assert text.startswith(f"{file} with --set {setting.partition('=')[0]}: "), text
    for words in REFUSED[setting]:
        assert words in text


@pytest.mark.parametrize("setting", [s for s in REFUSED if "." in s])
def test_refusals_in_the_file_itself(file: Path, tmp_path: Path, setting: str) -> None:
    tables, _ = toml_text.override(toml_text.parse(TEXT, "text"), [setting])
    bad = tmp_path / "bad.toml"
    bad.write_text(toml_text.dumps(tables))
    with pytest.raises(InputError, match=re.escape(f"{bad}: ")):
        Experiment.load(bad)


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ('name = "rflo"', "rule.name is missing"),
        ('name = "periodic"', "task.name is missing"),
        ("n_rec = 8", "n_rec is"),
    ],
)
def test_missing_keys(file: Path, old: str, words: str) -> None:
    file.write_text(TEXT.replace(old, ""))
    with pytest.raises(InputError, match=words):
        Experiment.load(file)


def test_bad_task_values_name_file_and_key(file: Path) -> None:
    with pytest.raises(InputError, match=re.escape(f"{file}: task.period = -3")):
        Experiment.load(file, ["task.period=-3"]).build()


def test_bptt_is_per_episode_only(file: Path) -> None:
    with pytest.raises(InputError, match=r"training\.update = 'online'.*'bptt'.*update = 'episode'.*rtrl"):
        Experiment.load(file, ["rule.name=bptt"])
    assert Experiment.load(file, ["rule.name=bptt", "training.update=episode"]).rule.name == "bptt"
    check_rule(BPTT(), Training(update="episode"))
    with pytest.raises(InputError):
        check_rule(BPTT(), Training())


def test_a_preset_replaces_the_formats(file: Path) -> None:
    file.write_text(TEXT.replace('preset = "float64"', 'weight = "s1.6"\nstate = "s3.12"'))
    assert Experiment.load(file).to_dict()["precision"]["weight"] == "s1.6"
    e = Experiment.load(file, ["precision.preset=float32"])
    assert e.to_dict()["precision"] == {"preset": "float32"}
    assert e.notes == ("precision.weight, precision.state left out: not part of precision.preset = 'float32'",)


def test_another_rule_leaves_out_what_it_does_not_have(file: Path) -> None:
    e = Experiment.load(file, ["rule.name=eprop"])
    assert e.rule.options()["feedback"] == "random", "what both rules have stays as the file says"
    assert e.notes == ("rule.decay left out: not part of rule.name = 'eprop'",)
    with pytest.raises(InputError, match=r"rule\.decay = 0\.1 is not known"):
        Experiment.load(file, ["rule.name=eprop", "rule.decay=0.1"])
    with pytest.raises(InputError, match=r"rule\.decay = 0\.2 is not known"):
        file.write_text(TEXT.replace('"rflo"', '"eprop"'))
        Experiment.load(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[task\nname = 1\n", r"line 1, column 6: .*'\[task'"),
        ("seed = 1\n[task]\nname = periodic\n", "line 3, column 8: .*'name = periodic'"),
        ("seed = 1\nseed = 2\n", "line 2, column 9: Cannot overwrite"),
        ('a = """open', r"line 1 \(the end\)|line 1, column"),
    ],
)
def test_syntax_errors_name_file_and_line(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=f"{re.escape(str(file))}, ({words})"):
        Experiment.load(file)


def test_unreadable_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no experiment file .*exp\.tml; did you mean .*exp\.toml\?"):
        Experiment.load(tmp_path / "exp.tml")
    with pytest.raises(InputError, match="cannot read"):
        Experiment.load(tmp_path)
    file.write_bytes(b"seed = \xff\n")
    with pytest.raises(InputError, match=r"UTF-8 \(byte 7\)"):
        Experiment.load(file)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("0.5", 0.5), ("true", True), ("rflo", "rflo"), ('"rflo"', "rflo"), ("[1, 2]", [1, 2]),
        ("s1.6", "s1.6"), ("{A = 1}", {"A": 1}), ("", ""), ("1\nb = 2", "1\nb = 2"), ("a=b", "a=b"), ("True", "True"),
    ],
)  # fmt: skip
def test_set_values_are_toml_or_strings(text: str, value: Any) -> None:
    assert toml_text.value(text) == value
    assert type(toml_text.value(text)) is type(value)


def test_settings_reach_into_tables() -> None:
    before = {"training": {"learning_rate": {"A": 1.0}}}
    after, keys = toml_text.override(before, ["training.learning_rate.W=2.0", "rule.name=rflo"])
    assert after == {"training": {"learning_rate": {"A": 1.0, "W": 2.0}}, "rule": {"name": "rflo"}}
    assert keys == ["training.learning_rate.W", "rule.name"]
    assert before == {"training": {"learning_rate": {"A": 1.0}}}, "what was given is not changed"
    with pytest.raises(InputError, match="a key and a value"):
        toml_text.override({}, ["training.epochs"])
    with pytest.raises(InputError, match="not a table"):
        toml_text.override({"training": {"learning_rate": 0.1}}, ["training.learning_rate.W=1"])


LEAVES = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)  # fmt: skip
VALUES = st.recursive(LEAVES, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text("ab .é\"'", min_size=1), s))


@given(st.dictionaries(st.text("abc-_ é.", min_size=1), VALUES, max_size=5))
def test_written_toml_reads_back(tables: dict[str, Any]) -> None:
    assert toml_text.parse(toml_text.dumps(tables), "text") == tables


def test_training_options_build_the_same_training() -> None:
    t = Training(learning_rate=0.1, clamp={"W": 2}, learn=("W", "A"), momentum=0.5)
    assert t.rates == {"A": 0.1, "W": 0.1, "B": 0.0}
    assert t.bounds == {"A": math.inf, "W": 2.0, "B": math.inf}
    assert t.learn == ("A", "W")
    assert Training(**t.options()).options() == t.options()
    assert Training(learning_rate=0).rates["W"] == 0.0


def test_rules_table_is_the_rules() -> None:
    markdown, text = rules_table("markdown"), rules_table()
    for row in rules_rows():
        assert f"`{row['name']}`" in markdown
        for key in ("title", "update", "words", "work", "source"):
            assert row[key] in markdown
            assert row[key] in text
    assert len({width(line) for line in markdown.splitlines()}) == 1
    assert max(width(line) for line in text.splitlines()) <= 120


def test_tables_align() -> None:
    assert text_table([["a", 10], ["é", 5]], ("x", "yy"), "lr") == "x  yy\n-  --\na  10\né   5"
    assert markdown_table([["a|b", 1]], ("x", "n"), "lr") == "| x    |   n |\n| ---- | --: |\n| a\\|b |   1 |"
    assert width("漢e\u0301") == 3
