"""The rules of the house that no tool checks: walls, sizes, one decorator, generated tables, nothing of one machine."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import python_process

import neurolrnn as nl
from neurolrnn import citations, cli, tables, tasks

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "neurolrnn": ROOT / "neurolrnn",
    "neurolrnn_kernels": ROOT / "kernels" / "neurolrnn_kernels",
    "neurolrnn_hardware": ROOT / "hardware_models" / "neurolrnn_hardware",
}
SOURCES = [path for folder in PACKAGES.values() for path in sorted(folder.rglob("*.py"))]
# What a module of each package may import of ours. Hardware models know the formats of the kernels and nothing else.
ALLOWED = {
    "neurolrnn": ("neurolrnn", "neurolrnn_kernels", "neurolrnn_hardware"),
    "neurolrnn_hardware": ("neurolrnn_hardware", "neurolrnn_kernels.formats"),
    "neurolrnn_kernels": ("neurolrnn_kernels",),
}
OUTSIDE = {"neurolrnn_kernels": {"filelock", "numba", "numpy", "llvmlite"}, "neurolrnn_hardware": {"numpy"}}
LONGEST = 400


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name(path))


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in the file; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name(path)}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files() -> list[Path]:
    """The project's own files: what git tracks, or would."""
    if (ROOT / ".git").exists():
        call = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        found = [ROOT / line for line in listed.split("\0") if line]
    else:  # an unpacked source distribution
        found = [path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.parts[-3:])]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def texts() -> Iterator[tuple[Path, str]]:
    for path in files():
        data = path.read_bytes()
        if b"\0" not in data:
            yield path, data.decode()


# --- walls


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_downward(package):
    ours = tuple(PACKAGES)
    for path in PACKAGES[package].rglob("*.py"):
        for module in imports(path):
            if module.split(".")[0] in ours:
                allowed = any(module == a or module.startswith(a + ".") for a in ALLOWED[package])
                assert allowed, f"{name(path)} imports {module}"


@pytest.mark.parametrize("package", OUTSIDE)
def test_lower_packages_need_little(package):
    known = OUTSIDE[package] | set(PACKAGES)
    for path in PACKAGES[package].rglob("*.py"):
        outside = {m.split(".")[0] for m in imports(path)} - known
        foreign = outside - sys.stdlib_module_names
        assert not foreign, f"{name(path)} imports {foreign}"


def test_source_roots_are_not_packages():
    for root in ("kernels", "hardware_models"):
        assert not (ROOT / root / "__init__.py").exists()
        assert (ROOT / root / "ruff.toml").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_fits_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_heavy_packages_are_imported_when_needed():
    heavy = ("matplotlib", "brian2", "scipy.linalg", "scipy.sparse", "sympy")  # Numba itself looks at scipy
    code = "import sys, neurolrnn as nl, neurolrnn.cli; [getattr(nl, n) for n in nl.__all__]"
    out = python_process(f"{code}; print([m for m in {heavy!r} if m in sys.modules])")
    assert out.strip() == "[]"


# --- kernels


def test_importing_the_package_loads_only_what_is_used():
    code = (
        "import sys, neurolrnn as nl\n"
        "assert not {'numba', 'numpy', 'neurolrnn_kernels'} & set(sys.modules), 'import alone'\n"
        "nl.Network.random(1, 2, 1)\n"
        "assert 'neurolrnn.spiking' not in sys.modules and 'neurolrnn.exports' not in sys.modules, 'a network'\n"
        "assert set(nl.__all__) <= set(dir(nl))"
    )
    python_process(code)


def test_lazy_names_are_those_that_type_checkers_see():
    """What is imported for type checkers, what is loaded at first use and what is promised are one list."""
    source = tree(ROOT / "neurolrnn" / "__init__.py")
    block = next(node for node in source.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    modules = {"chips", "profiles", "spiking", "tasks", "theory"}
    assert set(seen) == set(nl.__all__)
    for public in set(seen) - modules:
        assert getattr(nl, public) is getattr(importlib.import_module(seen[public]), public)
        assert not (ROOT / "neurolrnn" / f"{public}.py").exists(), f"module {public} would hide nl.{public}"
        assert not (ROOT / "neurolrnn" / public).exists(), f"package {public} would hide nl.{public}"
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        _ = nl.simulat


def test_everything_is_compiled_by_one_decorator():
    """``njit`` and its relatives stand in jit.py alone, where the flags are; nothing hard-wires its own."""
    forbidden = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "jit_module", "prange"}
    for path in SOURCES:
        if path.name == "jit.py":
            continue
        used = {m.split(".")[-1] for m in imports(path) if m.startswith("numba.")} & forbidden
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "numba":
                used |= {node.attr} & forbidden
        assert not used, f"{name(path)} uses numba.{', numba.'.join(sorted(used))}; take jit.kernel"


def test_no_flag_that_changes_bits():
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.keyword) and node.arg in ("fastmath", "parallel"):
                off = isinstance(node.value, ast.Constant) and node.value.value is False
                assert off, f"{name(path)}:{node.value.lineno} sets {node.arg}"


# --- packaging and words


def test_typed():
    for folder in PACKAGES.values():
        assert (folder / "py.typed").is_file()


def test_nothing_of_one_machine():
    homes = "|".join(("root", "work", "home", "Users", "opt", "tmp"))
    path_of_machine = re.compile(rf"(?<![\w.~/>)-])/(?:{homes})/\w")
    # Written in pieces, so that this file does not hold them.
    registries = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"))]
    index_option = re.compile("--(?:extra-)?" + "index-url|--find" + "-links")
    for path, text in texts():
        found = path_of_machine.search(text) or index_option.search(text)
        assert not found, f"{name(path)}: {found[0]}"
        assert not [host for host in registries if host in text], f"{name(path)} names a package registry"


def test_files_are_small():
    large = {name(path): path.stat().st_size for path in files() if path.stat().st_size > 600_000}
    assert not large


def public(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Module, and its public functions, classes and methods; what is nested in a function is not public."""
    module = tree(path)
    yield "module", module
    pending = [("", node) for node in module.body]
    while pending:
        prefix, node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if not any("overload" in ast.dump(d) for d in node.decorator_list):
                yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                pending += [(f"{prefix}{node.name}.", child) for child in node.body]


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_everything_public_is_described(path):
    # A number system implements the primitives of arithmetic.py, which say once what each does.
    primitives = {what for what, _ in public(PACKAGES["neurolrnn_kernels"] / "arithmetic.py")} - {"module"}
    implementing = ("real.py", "fixed.py", "real_sparse.py", "fixed_sparse.py")
    implements = path.parent == PACKAGES["neurolrnn_kernels"] and path.name in implementing
    for what, node in public(path):
        if implements and what in primitives:
            continue
        text = ast.get_docstring(node)
        assert text and len(text.split()) >= 2, f"{name(path)}: {what} has no docstring"


def test_public_names_exist():
    assert sorted(nl.__all__) == sorted(set(nl.__all__))
    for public_name in nl.__all__:
        assert getattr(nl, public_name) is not None


# --- generated tables


def between(text: str, begin: str, end: str) -> str:
    assert text.count(begin) == 1, f"{begin} must stand there once"
    rest = text[text.index(begin) + len(begin) :]
    return rest[: rest.index(end)].strip()


def read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def test_rules_table():
    found = between(read("docs/rules.md"), "<!-- rules: begin -->", "<!-- rules: end -->")
    assert found == tables.rules_table("markdown"), "docs/rules.md: put in what neurolrnn.tables.rules_table gives"


def gradcheck_table() -> str:
    """What docs/rules.md shows of nl.gradcheck: rounded, so that it does not depend on the machine."""
    rules = (nl.RFLO(), nl.TruncatedBPTT(1), nl.TruncatedBPTT(4), nl.EProp(), nl.RTRL(), nl.BPTT())
    rows = []
    for rule in rules:
        check = nl.gradcheck(rule)
        assert check.passed
        title = f"{rule.title.removesuffix('(τ)')}({rule.steps})" if isinstance(rule, nl.TruncatedBPTT) else rule.title
        rows.append([title, *(f"{abs(check.relative_error[g]):.2f}, {check.angle_degrees[g]:.0f}°" for g in "AWB")])
    return tables.markdown_table(rows, ["relative error, angle", "ΔA", "ΔW", "ΔB"], "lrrr")


def test_gradcheck_table():
    found = between(read("docs/rules.md"), "<!-- gradcheck: begin -->", "<!-- gradcheck: end -->")
    assert found == gradcheck_table()


def test_options_of_tasks():
    assert tasks.options_table() in read("docs/tasks.md")


def test_comparison_in_readme_is_the_one_in_the_docs():
    marks = "<!-- generated by examples/compare_rules.py: begin -->", "<!-- generated: end -->"
    readme, docs = between(read("README.md"), *marks), between(read("docs/comparison.md"), *marks)
    assert readme and docs.startswith(readme + "\n\n")
    script = read("examples/compare_rules.py")
    for row in readme.splitlines()[2:]:
        assert f'"{row.split("|")[1].strip()}"' in script


# --- what the documents say is so


def test_readme_names_existing_files():
    for file in [path for path in files() if path.suffix == ".md"]:
        text = file.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (file.parent / target).exists(), f"{name(file)}: {target}"


def test_readme_has_the_two_commands_that_ci_runs():
    text = read("README.md")
    run, test = (between(text, f"<!-- command: {which} -->", "<!-- end -->") for which in ("run", "test"))
    for block in (run, test):
        lines = block.splitlines()
        assert lines[0] == "```sh" and lines[-1] == "```" and len(lines) == 3
        assert lines[1].startswith("python3 -m venv .venv && ")
    assert run.splitlines()[1].endswith("neurolrnn simulate")
    assert "-m pytest" in test


def test_versions_agree():
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    assert f"version: {version}\n" in read("CITATION.cff")
    assert f"## [{version}]" in read("CHANGELOG.md") or "## [Unreleased]" in read("CHANGELOG.md")


def test_every_command_in_the_readme_parses(monkeypatch):
    parser = cli.make_parser()
    found = re.findall(r"^\.venv/bin/neurolrnn (.+)$", read("README.md"), re.MULTILINE)
    assert len(found) >= 3
    for line in found:
        parser.parse_args(line.split())


def test_session_of_the_readme_runs(tmp_path):
    code = "".join(re.findall(r"```python\n(.*?)```", read("README.md"), re.DOTALL))  # one session, block after block
    out = python_process(f"import os; os.chdir({os.fspath(tmp_path)!r})\n{code}")
    assert float(re.search(r"^test accuracy +([\d.]+) %", out, re.MULTILINE)[1]) > 80
    assert re.search(r"\(cortex_m4\): fits$", out, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir()] == ["device"]


# --- citations


def test_every_paper_of_a_rule_can_be_cited():
    for rule in nl.RULES.values():
        assert rule.papers
        for key in rule.papers:
            assert citations.PAPERS[key].splitlines()[0].endswith(f"{{{key},")
            assert re.search(r"year += \{" + key[-4:] + r"\}", citations.PAPERS[key])
            assert key[-4:] in rule.source


def test_citation_of_a_run(tmp_path, capsys):
    task = nl.tasks.load("periodic", period=5, frequencies=[1.0], amplitudes=[1.0])
    run = nl.simulate(nl.Network.random(1, 2, 1), task, nl.EProp(), progress=False)
    path = run.save(tmp_path / "run.npz")
    assert citations.main([str(path)]) == 0
    out = capsys.readouterr().out
    assert [key for key in citations.PAPERS if f"{{{key}," in out] == ["williams2026", "bellec2020", "menick2021"]
    assert "% task periodic: Murray" in out
    assert citations.main([str(tmp_path / "none.npz")]) == 2
