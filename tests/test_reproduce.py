"""The paper's claims: quick versions give the expected verdicts, wrong numbers do not, and what is done is kept."""

from __future__ import annotations

import copy
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest

import neurolrnn as nl
from neurolrnn import cli
from neurolrnn.reproduction import CLAIMS, Check, claims_rows, verdict_of
from neurolrnn.reproduction import runner as runner_module
from neurolrnn.reproduction.claims import Claim, Judgement, Measured, Outcome, Setting
from neurolrnn.reproduction.report import FOLDER_FILES, to_text
from neurolrnn.reproduction.runner import Reproduction
from neurolrnn.run import plain

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "reproduce.md"
REFINED = {"stability-signs", "rates", "rank", "convergence", "fixed-point-rank", "fixed-point-modes"}
EXPECTED = {name: "refined" if name in REFINED else "confirmed" for name in CLAIMS}
CHEAP = "sequence-loss"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[nl.Reproduction, Path]:
    folder = tmp_path_factory.mktemp("quick")
    return nl.reproduce(folder, quick=True, progress=False), folder


# --- verdicts


@pytest.mark.parametrize("name", CLAIMS)
def test_quick_verdicts(name: str, quick: tuple[nl.Reproduction, Path]) -> None:
    (outcome,) = (o for o in quick[0].outcomes if o.claim.name == name)
    assert outcome.verdict == EXPECTED[name], f"{outcome.error}\n" + "\n".join(map(str, outcome.checks))
    assert outcome.figure and outcome.checks


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where the numbers are in nested dicts and lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    found = [leaf for key, part in pairs for leaf in leaves(part, (*path, key))]
    return [path] if isinstance(value, float) and path else found


def spoiled(numbers: dict[str, Any], path: tuple[Any, ...], by: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(numbers))
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = by
    return made


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_can_fail(name: str, quick: tuple[nl.Reproduction, Path]) -> None:
    """Some one number, made NaN or absurd, takes the verdict away; so the numbers decide it."""
    (outcome,) = (o for o in quick[0].outcomes if o.claim.name == name)
    numbers, judge = outcome.measured.numbers, outcome.claim.judge
    assert verdict_of(judge(copy.deepcopy(numbers)).checks) == outcome.verdict
    changed = set()
    for path in leaves(json.loads(json.dumps(plain(numbers)))):
        for wrong in (math.nan, 1e9, -1e9):
            verdict = verdict_of(judge(spoiled(plain(numbers), path, wrong)).checks)
            changed.add(verdict)
    if name == "stability-signs":  # counts, no floats
        for key in ("mismatches", "right_sign_unstable", "flow_mismatches", "spirals"):
            assert verdict_of(judge({**numbers, key: 1}).checks) == "not confirmed"
        assert verdict_of(judge({**numbers, "wrong_sign_stable": 0}).checks) == "confirmed"
    elif name == "convergence":
        rows = [{**row, "bptt": 0} for row in numbers["rows"]]
        assert verdict_of(judge({**numbers, "rows": rows}).checks) == "not confirmed"
        rows = [{**row, "rflo": 0} for row in numbers["rows"]]
        assert verdict_of(judge({**numbers, "rows": rows}).checks) == "not confirmed"
    elif name == "fixed-point-rank":
        cases = (("int16 factored", 3, "not confirmed"), ("int16 dense", 3, "not confirmed"),
                 ("float64 dense", 3, "not confirmed"), ("int16 dense", 2, "confirmed"))  # fmt: skip
        for key, rank, wanted in cases:
            assert verdict_of(judge({**numbers, key: {**numbers[key], "rank": rank}}).checks) == wanted
    else:
        assert "not confirmed" in changed


def check(value: float, part: str) -> Check:
    return Check("x", value, 0.0, 1.0, part)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([check(0.5, "core")], "confirmed"),
        ([check(2.0, "core"), check(0.5, "as stated"), check(0.5, "refined")], "not confirmed"),
        ([check(0.5, "core"), check(0.5, "as stated"), check(2.0, "refined")], "confirmed"),
        ([check(0.5, "core"), check(2.0, "as stated"), check(0.5, "refined")], "refined"),
        ([check(0.5, "core"), check(2.0, "as stated"), check(2.0, "refined")], "not confirmed"),
        ([check(0.5, "core"), check(2.0, "as stated")], "not confirmed"),
        ([check(math.nan, "core")], "not confirmed"),
        ([check(1.0, "core"), check(0.0, "core")], "confirmed"),
    ],
)
def test_verdict(checks: list[Check], verdict: str) -> None:
    assert verdict_of(checks) == verdict


def test_no_verdict_without_checks() -> None:
    with pytest.raises(nl.InputError, match="without checks"):
        verdict_of([])


# --- what is written


def test_files(quick: tuple[nl.Reproduction, Path]) -> None:
    result, folder = quick
    names = {path.name for path in folder.iterdir()}
    assert names == set(FOLDER_FILES) | {f"{name}.png" for name, claim in CLAIMS.items() if claim.draw}
    data = json.loads((folder / "reproduction.json").read_text(encoding="utf-8"))
    assert data["verdicts"] == result.verdicts and data["missing"] == [] and data["quick"] is True
    assert [c["claim"] for c in data["claims"]] == list(CLAIMS)
    for claim in data["claims"]:
        assert claim["checks"] and claim["where"] and claim["numbers"]
        assert (claim["refinement"] is None) == (claim["verdict"] != "refined")
    text, markdown = ((folder / name).read_text(encoding="utf-8") for name in FOLDER_FILES[:0:-1])
    for name in CLAIMS:
        assert name in text and f"`{name}`" in markdown
    assert "quick" in text and "quick" in markdown
    for picture in re.findall(r"\]\((.+\.png)\)", markdown):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
        assert (folder / picture).stat().st_size < 150_000


def test_where_names_things_that_exist() -> None:
    for claim in CLAIMS.values():
        for page, section in re.findall(r"docs/(\w+\.md)(?:, ([^;]+))?", claim.where):
            text = (ROOT / "docs" / page).read_text(encoding="utf-8")
            assert not section or re.search(rf"^#+ .*{section}|\*\*{section}", text, re.MULTILINE), (page, section)
        for name in re.findall(r"nl\.(theory\.)?(\w+)", claim.where):
            assert hasattr(nl.theory if name[0] else nl, name[1]), name


# --- how it goes wrong


def claim_of(measure: Any, name: str = CHEAP) -> dict[str, Claim]:
    judge = lambda numbers: Judgement("figure", [Check("x", numbers["x"], 0.0, 1.0)])  # noqa: E731
    return {name: Claim(name, "a statement", "", "nl.theory", measure, judge)}


def test_what_cannot_be_measured_is_not_confirmed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def measure(setting: Setting) -> Measured:
        raise nl.InputError("no stationary state")

    monkeypatch.setattr(runner_module, "CLAIMS", claim_of(measure))
    result = nl.reproduce(tmp_path, progress=False)
    assert result.status == "completed" and result.verdicts == {CHEAP: "not confirmed"}
    assert "no stationary state" in str(result) and "no stationary state" in result.markdown()


def test_mistakes_in_the_program_are_not_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(setting: Setting) -> Measured:
        raise KeyError("x")

    monkeypatch.setattr(runner_module, "CLAIMS", claim_of(measure))
    with pytest.raises(KeyError):
        nl.reproduce(progress=False)


def test_an_interrupted_run_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    def measure(setting: Setting) -> Measured:
        setting.tell("half", 0.5)
        raise KeyboardInterrupt

    claims = {CHEAP: CLAIMS[CHEAP], **claim_of(measure, "later")}
    monkeypatch.setattr(runner_module, "CLAIMS", claims)
    assert cli.main(["reproduce", "--quick", "-o", os.fspath(tmp_path), "--json"]) == 1
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert data["status"] == "interrupted" and data["missing"] == ["later"]
    assert data["verdicts"] == {CHEAP: "confirmed"} == json.loads((tmp_path / FOLDER_FILES[0]).read_text())["verdicts"]
    assert "interrupted with 1 claims left" in err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_wrong_results_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "CLAIMS", claim_of(lambda setting: Measured({"x": 3.0})))
    result = nl.reproduce(progress=False)
    assert result.verdicts == {CHEAP: "not confirmed"}
    assert "NO  x: 3" in str(result) and result.files == []


# --- the command


def test_command(tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "new" / "folder"
    assert cli.main(["reproduce", "--only", CHEAP, "--quick", "--seed", "3", "-o", os.fspath(folder)]) == 0
    out = capsys.readouterr().out
    assert CHEAP in out and "confirmed" in out and os.fspath(folder) in out
    assert sorted(path.name for path in folder.iterdir()) == sorted(FOLDER_FILES)


def test_list(capsys: Any) -> None:
    assert cli.main(["reproduce", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in CLAIMS)
    assert cli.main(["reproduce", "--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == claims_rows()


def test_refusals(tmp_path: Path, capsys: Any) -> None:
    assert cli.main(["reproduce", "--only", "ranks", "-o", os.fspath(tmp_path)]) == 2
    assert "did you mean 'rank'" in capsys.readouterr().err
    assert cli.main(["reproduce", "--only", CHEAP, "--seed", "-1", "-o", os.fspath(tmp_path)]) == 2
    (tmp_path / "file").write_text("")
    assert cli.main(["reproduce", "--only", CHEAP, "-o", os.fspath(tmp_path / "file")]) == 2
    assert "cannot make the folder" in capsys.readouterr().err
    wrong: list[dict[str, Any]] = [{"only": []}, {"quick": 1}, {"seed": 0.5}]
    for bad in wrong:
        with pytest.raises(nl.InputError):
            nl.reproduce(progress=False, **bad)


def test_text_of_nothing() -> None:
    assert "0 confirmed" in to_text(Reproduction(quick=True, seed=0))


# --- the documentation


def documented() -> dict[str, str]:
    text = DOCS.read_text(encoding="utf-8")
    begin, end = "<!-- generated by examples/reproduce_docs.py: begin -->", "<!-- generated: end -->"
    table = text[text.index(begin) : text.index(end)]
    return {name: verdict for name, verdict in re.findall(r"^\| `([\w-]+)`.*\| \*\*([\w ]+)\*\*", table, re.MULTILINE)}


def test_documented_verdicts_are_the_expected_ones() -> None:
    assert documented() == EXPECTED


@pytest.mark.slow
def test_full_verdicts() -> None:
    result = nl.reproduce(progress=False)
    failed = [str(check) for outcome in result.outcomes for check in outcome.checks if not check.holds]
    assert result.verdicts == documented(), "\n".join(failed)
    assert all(isinstance(outcome, Outcome) for outcome in result.outcomes)
