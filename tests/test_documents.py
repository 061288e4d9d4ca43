"""What README and docs tell a reader to type is typed here, in a folder with the examples beside it."""

import doctest
import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import matplotlib
import pytest

from neurolrnn import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
SKIPPED = ("not run:", "command:")  # with a reason; the README's two commands, which .ci/run runs


def blocks(path: Path, *kinds: str) -> list[tuple[str, str]]:
    """Return kind and text of the blocks of a page that are to be run, and fail if one is left out without a reason."""
    found = []
    for match in BLOCK.finditer(path.read_text(encoding="utf-8")):
        mark = match["mark"] or ""
        if match["kind"] in kinds and not mark.startswith(SKIPPED):
            found.append((match["kind"], match["text"]))
        assert not mark.startswith("not run:") or len(mark) > 15, f"{path.name}: say why a block is not run"
    return found


def name(path: Path) -> str:
    return path.name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples in it, as a reader's checkout has them, and with an experiment of one's own."""
    shutil.copy(ROOT / "examples" / "add-memory.toml", tmp_path / "experiment.toml")
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python", "sh")], ids=name)
def test_page(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All blocks of a page, one after the other in one folder, as a reader would paste them."""
    space: dict[str, object] = {"__name__": "__main__"}
    for kind, block in blocks(page, "python", "sh"):
        if kind == "sh":
            for line in block.replace("\\\n", " ").splitlines():
                command(page, line, capsys)
        elif block.startswith(">>>"):
            example = doctest.DocTestParser().get_doctest(block, space, page.name, str(page), 0)
            assert doctest.DocTestRunner().run(example).failed == 0
        else:
            exec(compile(block, page.name, "exec"), space)


def command(page: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a line of a shell, which is to be a command of ours."""
    words = shlex.split(line, comments=True)
    if not words:
        return
    assert words[0].removeprefix(".venv/bin/") == "neurolrnn", f"{page.name}: {line}: mark what cannot be run"
    code = cli.main(words[1:])
    said = capsys.readouterr()
    judged = words[1] == "check" and code == 1  # the chip said no, which is an answer
    assert code == 0 or judged, f"{page.name}: {line}\n{said.out[-500:]}{said.err[-1000:]}"


def test_every_page_is_in_the_navigation() -> None:
    spec = importlib.util.spec_from_file_location("docs_conf", ROOT / "docs" / "conf.py")
    conf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conf)
    listed = [page for pages in conf.NAVIGATION.values() for page in pages if not page.startswith("generated/")]
    assert sorted(listed) == sorted(path.stem for path in PAGES[1:] if path.stem != "index")
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in listed:
        assert f"({page}.md)" in index, f"docs/index.md does not lead to {page}.md"
