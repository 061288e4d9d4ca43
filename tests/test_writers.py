"""Every writer beside a full disk, at places that cannot be written, and killed or interrupted while it writes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import writer_cases
from conftest import ROOT, python_environment
from writer_cases import WRITERS, Refused, Writer
from writer_process import INTERRUPTED

import neurolrnn as nl
from neurolrnn import atomic
from neurolrnn.errors import NeurolrnnError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, limits and permissions of POSIX")
OLDER = b"an older file, and whole\n"
WAY_OUT = re.compile(r"\b(give|make|lift|remove|allow|name another|see who|see whether|move it)\b")
PAGE = 4096
DISK_BYTES = 16 << 20


def each(**conditions: Any) -> Any:
    """One test for each writer that is so; slow ones are marked."""
    chosen = [w for w in WRITERS.values() if all(getattr(w, k) == v for k, v in conditions.items())]
    return pytest.mark.parametrize(
        "writer", [pytest.param(w, marks=pytest.mark.slow) if w.slow else w for w in chosen], ids=str
    )


def listing(folder: Path) -> dict[str, Any]:
    """All that is in a folder, byte for byte."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = path.readlink()
        else:
            found[name] = path.read_bytes() if path.is_file() else stat.S_IFMT(path.stat().st_mode)
    return found


def refused(writer: Writer, path: Path) -> str:
    """What a writer says that cannot write: in words, with the path and a way out."""
    with pytest.raises(NeurolrnnError) as caught:
        writer.write(path)
    said = str(caught.value)
    assert path.name[:40] in said or str(path)[:40] in said, said
    assert WAY_OUT.search(said), said
    assert "Traceback" not in said and "Error:" not in said and "\n\n" not in said
    if isinstance(caught.value, Refused):
        assert said.startswith("neurolrnn: ") or "\nneurolrnn: " in said
    return said


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Writer], Path]:
    """What a writer writes if nothing is in its way."""
    folder = tmp_path_factory.mktemp("made")
    writer_cases.SOURCES["folder"] = tmp_path_factory.mktemp("sources")

    def make(writer: Writer) -> Path:
        path = folder / re.sub(r"\W", "-", writer.name) / writer.path_name
        if not path.parent.exists():
            path.parent.mkdir()
            writer.write(path)
        return path

    return make


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if path.is_dir() else path.stat().st_size


def put_older(writer: Writer, path: Path, made: Callable[[Writer], Path]) -> None:
    """Put something whole where a writer will write."""
    if writer.suffix and not writer.pieces:
        path.write_bytes(OLDER)
    elif not writer.pieces:
        atomic.write_folder(path, {"older.txt": OLDER})
    elif not writer.suffix:
        shutil.copytree(made(writer), path)
    else:
        experiment = writer_cases.profile_cases.experiment()
        nl.profile(experiment, {} if "neurolrnn" in writer.name else writer_cases.AXES, seeds=1, store=path, threads=1,
                   progress=False)  # fmt: skip


def check_as_before(writer: Writer, path: Path, before: dict[str, Any]) -> None:
    """What was there is as it was, and nothing is beside it."""
    if writer.pieces:
        writer.whole(path)
        assert {name.split("/")[0] for name in listing(path.parent)} == {name.split("/")[0] for name in before}
    else:
        assert listing(path.parent) == before


# --- nothing in the way


@each()
def test_written_whole(writer: Writer, made: Callable[[Writer], Path]) -> None:
    path = made(writer)
    writer.whole(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@each(pieces=False)
def test_links_and_permissions_stay(writer: Writer, made: Callable[[Writer], Path], tmp_path: Path) -> None:
    if "older" in writer.words:
        pytest.skip("replaces nothing")
    (tmp_path / "home").mkdir()
    home, link = tmp_path / "home" / "other", tmp_path / writer.path_name
    put_older(writer, home, made)
    home.chmod(0o750 if home.is_dir() else 0o640)
    link.symlink_to(home)
    writer.write(link)
    writer.whole(link)
    assert link.is_symlink() and stat.S_IMODE(home.stat().st_mode) == (0o750 if home.is_dir() else 0o640)
    assert len(list(tmp_path.iterdir())) == 2 and len(list(home.parent.iterdir())) == 1


# --- a full disk


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real file system of a few megabytes."""
    home = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(home)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True)


@pytest.fixture
def empty_disk(disk: Path) -> Iterator[Path]:
    yield disk
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def fill(disk: Path, leave: int) -> None:
    """Leave so many bytes of a disk free."""
    found = os.statvfs(disk)
    with (disk / "filler").open("xb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - leave)


@each()
def test_full_disk(
    writer: Writer, made: Callable[[Writer], Path], empty_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    leave = size(made(writer)) // 2 // PAGE * PAGE
    (empty_disk / "there").mkdir()
    path = empty_disk / "there" / writer.path_name
    if "older" not in writer.words:
        put_older(writer, path, made)
    before = listing(path.parent)
    fill(empty_disk, 0 if writer.pieces else leave)
    said = refused(writer, path)
    assert re.search("No space left|full", said), said
    check_as_before(writer, path, before)
    if writer.name == "neurolrnn simulate":  # the run is not lost with the disk
        (rescued,) = tmp_path.iterdir()
        assert str(rescued) in said and nl.Run.load(rescued).status == "completed"
    (empty_disk / "filler").unlink()
    writer.write(path)
    writer.whole(path)
    assert {name.split("/")[0] for name in listing(path.parent)} == {path.name}


@each()
def test_file_that_may_not_grow(writer: Writer, made: Callable[[Writer], Path], tmp_path: Path) -> None:
    import resource

    if writer.name == "Brian2 standalone":
        pytest.skip("its compiler runs in another process")
    path = tmp_path / writer.path_name
    if "older" not in writer.words:
        put_older(writer, path, made)
    before = listing(tmp_path)
    source = made(writer)
    largest = max(f.stat().st_size for f in source.rglob("*") if f.is_file()) if source.is_dir() else size(source)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 if writer.pieces else largest // 2, hard))
    try:
        refused(writer, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    check_as_before(writer, path, before)


# --- places that cannot be written

PLACES = {
    "kind": "is a folder",
    "no parent": "does not exist",
    "parent is a file": "is a file",
    "name too long": "File name too long",
    "pipe": "is a device, a pipe or a socket",
    "circle": "symbolic links",
    "write-protected": "write-protected",
    "NUL": "null",
    "foreign": "holds files that no export wrote",
}


def bad_place(name: str, writer: Writer, folder: Path) -> Path:
    path = folder / writer.path_name
    if name == "kind":
        path.mkdir() if writer.suffix else path.write_text("a file")
    elif name == "no parent":
        path = folder / "none" / writer.path_name
    elif name == "parent is a file":
        (folder / "file").write_text("a file")
        path = folder / "file" / writer.path_name
    elif name == "name too long":
        path = folder / ("x" * 300 + writer.suffix)
    elif name == "pipe":
        os.mkfifo(path)
    elif name == "circle":
        path.symlink_to(path)
    elif name == "NUL":
        path = folder / f"a\0b{writer.suffix}"
    elif name == "foreign":
        path.mkdir()
        (path / "thesis.tex").write_text("all of it")
    else:
        path.write_bytes(OLDER) if writer.suffix else atomic.write_folder(path, {"older.txt": OLDER})
        path.chmod(0o444 if writer.suffix else 0o555)
    return path


@pytest.mark.parametrize("place", PLACES)
@each()
def test_bad_place(writer: Writer, place: str, tmp_path: Path, made: Callable[[Writer], Path]) -> None:
    words = writer.words.get(place, PLACES[place])
    if place in ("kind", "pipe") and not writer.suffix:
        words = writer.words.get(place, "is a file")
    if (place == "no parent" and writer.makes_parents) or not words:
        pytest.skip("no bad place for it")
    if (place in ("foreign", "write-protected") and not writer.suffix and writer.pieces) or (
        place == "foreign" and writer.suffix
    ):  # fmt: skip
        pytest.skip("no bad place for it")
    path = bad_place(place, writer, tmp_path)
    before = listing(tmp_path)
    made(writer)  # what it reads is there
    said = refused(writer, path) if place != "NUL" else worded(writer, path)
    assert words in said or (place == "circle" and "File exists" in said), said
    assert listing(tmp_path) == before


def worded(writer: Writer, path: Path) -> str:
    with pytest.raises(NeurolrnnError) as caught:
        writer.write(path)
    return str(caught.value)


@each()
def test_read_only_disk(writer: Writer, made: Callable[[Writer], Path], empty_disk: Path) -> None:
    path = empty_disk / writer.path_name
    if "older" not in writer.words:
        put_older(writer, path, made)
    made(writer)
    before = listing(empty_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(empty_disk)], check=True)
    try:
        said = refused(writer, path)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(empty_disk)], check=True)
    assert re.search("may not be written|write-protected|[Rr]ead-?only", said), said
    assert listing(empty_disk) == before


# --- killed, interrupted, not allowed


class Nursery:
    """A process that forks writers and disturbs them."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        environment = python_environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", TQDM_DISABLE="1")
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "writer_process.py"), str(folder), *names], env=environment,
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None and self.process.stdout.readline() == "ready\n"

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request, default=str) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def nursery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    asked = {item.callspec.params["writer"].name: None for item in request.session.items
             if "nursery" in getattr(item, "fixturenames", ())}  # fmt: skip
    folder = tmp_path_factory.mktemp("nursery")
    folder.chmod(0o777)
    open_to_all(folder)
    process = Nursery(folder, list(asked))
    yield process
    process.close()


def open_to_all(folder: Path) -> None:
    """Let everybody reach a folder, as far up as it is a test's."""
    for parent in folder.parents:
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(parent.stat().st_mode | 0o055)


def is_part(name: str) -> bool:
    return name.endswith((atomic.PART, atomic.OLD))


def exchanges(folder: Path) -> bool:
    """Whether two folders can change places in one move."""
    one, other = folder / "one", folder / "other"
    one.mkdir()
    other.mkdir()
    can = atomic._exchange(one, other)
    one.rmdir()
    other.rmdir()
    return can


@each(forks=True)
def test_killed_while_writing(writer: Writer, nursery: Nursery, made: Callable[[Writer], Path], tmp_path: Path) -> None:
    if "older" in writer.words:
        pytest.skip("writes once")
    if not writer.suffix and not writer.pieces and not exchanges(tmp_path):
        pytest.skip("folders cannot change places on this disk")
    path, kills = tmp_path / writer.path_name, 12 if writer.name.startswith("plain") else 3
    writer.write(path)
    parts = 0
    for _ in range(kills):
        assert nursery.ask(name=writer.name, path=path, signal=int(signal.SIGKILL)) == {"code": -signal.SIGKILL}
        writer.whole(path)
        names = {each.name for each in tmp_path.iterdir()} - {path.name}
        assert all(map(is_part, names)), names
        assert not any(name.endswith(atomic.OLD) for name in names), "the older one was moved aside"
        parts = max(parts, len(names))
    assert parts or kills == 3, "no kill met a file half written"
    writer.write(path)  # with all that lies about
    writer.whole(path)


@each(forks=True)
def test_interrupted_while_writing(
    writer: Writer, nursery: Nursery, made: Callable[[Writer], Path], tmp_path: Path
) -> None:
    if "older" in writer.words:
        pytest.skip("writes once")
    path = tmp_path / writer.path_name
    writer.write(path)
    for _ in range(12 if writer.name.startswith("plain") else 3):
        assert nursery.ask(name=writer.name, path=path, signal=int(signal.SIGINT)) == {"code": INTERRUPTED}
        writer.whole(path)
        assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", [0o555, 0o700], ids=["read-only", "closed"])
@each(forks=True)
def test_folder_of_somebody_else(writer: Writer, mode: int, nursery: Nursery, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to write as somebody else; elsewhere the other tests meet permissions")
    if not all(place.stat().st_mode & stat.S_IXOTH for where in (ROOT, Path(sys.prefix)) for place in where.parents):
        pytest.skip("somebody else cannot read the package here")
    open_to_all(tmp_path)
    tmp_path.chmod(mode)
    path = tmp_path / writer.path_name
    said = nursery.ask(name=writer.name, path=path)
    assert said["kind"] == "worded", said["text"]
    assert re.search("may not be written|Permission denied", said["text"]) and str(path) in said["text"]
    assert WAY_OUT.search(said["text"]), said["text"]
    assert not list(tmp_path.iterdir())
