"""What is built holds what it should, and works where the checkout is not."""

import importlib.util
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "neurolrnn": ROOT / "neurolrnn",
    "neurolrnn_kernels": ROOT / "kernels" / "neurolrnn_kernels",
    "neurolrnn_hardware": ROOT / "hardware_models" / "neurolrnn_hardware",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build a source distribution, and a wheel from it; with the backend that is installed, if one is."""
    folder = tmp_path_factory.mktemp("dist")
    how = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    call = [sys.executable, "-m", "build", *how, "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def in_wheel(built):
    with zipfile.ZipFile(built[1]) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def in_sdist(built):
    with tarfile.open(built[0]) as file:
        return {name.split("/", 1)[1] for name in file.getnames() if "/" in name}


def sources():
    """Every file of the three packages, by its place in a wheel."""
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{package}/{path.relative_to(folder).as_posix()}", path


def test_wheel_has_exactly_the_three_packages(in_wheel):
    tops = {name.split("/")[0] for name in in_wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert len(tops) == len(PACKAGES) + 1


def test_wheel_has_every_source_and_nothing_else(in_wheel):
    expected = dict(sources())
    packed = {name for name in in_wheel if ".dist-info/" not in name}
    assert packed == set(expected)
    for name, path in expected.items():
        assert in_wheel[name] == path.read_bytes(), name


def test_wheel_has_types_data_and_licences(in_wheel):
    for package in PACKAGES:
        assert f"{package}/py.typed" in in_wheel
    assert "neurolrnn/data/japanese_vowels.npz" in in_wheel
    assert "neurolrnn/data/builtin.toml" in in_wheel
    licences = {name.split("/licenses/")[1] for name in in_wheel if "/licenses/" in name}
    assert licences == {"LICENSE", "neurolrnn/data/ATTRIBUTION.md"}


def test_metadata(in_wheel):
    (name,) = [name for name in in_wheel if name.endswith(".dist-info/METADATA")]
    text = in_wheel[name].decode()
    assert "\nLicense-Expression: BSD-3-Clause\n" in text
    assert "\nRequires-Python: <3.14,>=3.11\n" in text
    assert "# neurolrnn" in text
    (entry,) = [name for name in in_wheel if name.endswith(".dist-info/entry_points.txt")]
    assert "neurolrnn = neurolrnn.cli:main" in in_wheel[entry].decode()


def test_sdist_can_build_and_test(in_sdist):
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "kernels/ruff.toml"):
        assert name in in_sdist
    for folder in ("tests", "docs", "examples"):
        for path in set((ROOT / folder).rglob("*")) - set((ROOT / "docs" / "generated").rglob("*")):
            if path.is_file() and path.suffix in (".py", ".md", ".toml", ".json"):
                assert path.relative_to(ROOT).as_posix() in in_sdist
    assert not [name for name in in_sdist if "__pycache__" in name or name.startswith((".ci", ".git/", "runs/"))]


def test_wheel_works_on_its_own(built, tmp_path):
    """In a new environment that borrows the dependencies of this one, away from the checkout."""
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def run(*arguments, **variables):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "NUMBA"))}
        done = subprocess.run(
            [str(python), *map(str, arguments)], cwd=tmp_path, env={**env, **variables}, capture_output=True, text=True,
            timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    site = Path(run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(built[1])], check=True, timeout=300)
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    # Only what lies in these folders: their .pth files, and so an editable install of the checkout, are not read.
    code = f"import sys; sys.path += {borrowed!r}\n"
    code += (
        "import neurolrnn as nl, neurolrnn_kernels, neurolrnn_hardware\n"
        "for m in (nl, neurolrnn_kernels, neurolrnn_hardware): print(m.__file__)\n"
        "print(nl.__version__, nl.tasks.load('japanese-vowels').train.inputs.shape)\n"
        "from neurolrnn import cli; cli.main(['list', 'rules'])\n"
    )
    lines = run("-I", "-c", code).splitlines()
    assert all(Path(line).is_relative_to(site) for line in lines[:3]), lines[:3]
    assert lines[3].endswith("(4274, 12)") and not lines[3].startswith("unknown")
    assert any("RFLO" in line for line in lines[4:])
