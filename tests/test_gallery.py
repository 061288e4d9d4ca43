"""The worked examples: all are in the gallery, and CI, which builds the site, runs them and fails if one fails."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "gallery"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def conf() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_conf_of_gallery", ROOT / "docs" / "conf.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_scripts_are_shown_and_run(conf: ModuleType) -> None:
    assert sorted(conf.GALLERY) == [path.name for path in SCRIPTS]
    assert len(SCRIPTS) == 5
    settings = conf.sphinx_gallery_conf
    assert (ROOT / "docs" / settings["examples_dirs"]).resolve() == FOLDER
    assert all(path.name.startswith("plot_") for path in SCRIPTS)  # others are shown and not run
    assert "filename_pattern" not in settings and "ignore_pattern" not in settings
    assert "sphinx_gallery.gen_gallery" in conf.extensions
    assert settings["abort_on_example_error"] is True
    assert not settings.get("expected_failing_examples")


def test_ci_builds_the_site_and_runs_every_script(monkeypatch: pytest.MonkeyPatch) -> None:
    script = read(".ci/run")
    assert re.search(r"-m sphinx .*-W.* docs ", script)
    assert re.search(r"^export CI=1 ", script, re.MULTILINE)
    for value, expected in (("1", True), ("", False)):
        monkeypatch.setenv("CI", value)
        spec = importlib.util.spec_from_file_location(f"docs_conf_{expected}", ROOT / "docs" / "conf.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.sphinx_gallery_conf["run_stale_examples"] is expected
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    assert any(need.startswith("sphinx-gallery") for need in extras["docs"])


def test_pages_are_generated_where_git_does_not_look(conf: ModuleType) -> None:
    folder = conf.sphinx_gallery_conf["gallery_dirs"]
    assert folder.startswith("generated/") and "/docs/generated/" in read(".gitignore").splitlines()
    assert f"{folder}/index" in [page for pages in conf.NAVIGATION.values() for page in pages]
    assert "(../examples/gallery/README.rst)" in read("docs/index.md")
    assert "(examples/gallery/README.rst)" in read("README.md")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_a_page(path: Path) -> None:
    """Title, prose between the code, pictures, limits, and links that lead somewhere."""
    text = path.read_text(encoding="utf-8")
    title, under = (ast.get_docstring(ast.parse(text)) or "").splitlines()[:2]
    assert title and set(under) == {"="} and len(under) >= len(title)
    assert len(text.splitlines()) <= 170
    assert text.count("# %%") >= 4 and text.count("plt.show()") >= 1
    assert "What this does not show" in text
    links = re.findall(r":doc:`/(\w+)`", text)
    assert links
    for page in links:
        assert (ROOT / "docs" / f"{page}.md").is_file(), page


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_leaves_nothing_behind(path: Path) -> None:
    """Where it writes, it writes into a temporary folder: the site is built inside the checkout."""
    text = path.read_text(encoding="utf-8")
    writes = re.findall(
        r"savefig|write_text|nl\.export\(\w+, (?!None)|\.save\(|store=", re.sub(r"^#.*", "", text, flags=re.M)
    )
    assert not writes or ("mkdtemp" in text and "rmtree" in text)
