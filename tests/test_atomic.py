"""What files and folders that are written in one move promise, where no disk is full and nobody is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from neurolrnn import atomic
from neurolrnn.atomic import WriteError, write_bytes, write_folder, write_text

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, and on disks where folders cannot change places."""
    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)


@pytest.mark.usefixtures("no_exchange")
def test_a_folder_is_replaced_in_two_moves(tmp_path: Path) -> None:
    write_folder(tmp_path / "net", {"a": b"1"})
    write_folder(tmp_path / "net", {"b": b"2"})
    assert names(tmp_path) == ["net"] and names(tmp_path / "net") == [atomic.MARK, "b"]


@pytest.mark.usefixtures("no_exchange")
@pytest.mark.parametrize("fails", [2, 3], ids=["second move", "way back too"])
def test_a_folder_that_cannot_be_moved_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    write_folder(tmp_path / "net", {"a": b"1"})
    move, moves = os.replace, []

    def failing(source: Any, target: Any) -> None:
        moves.append(target)
        if 2 <= len(moves) <= fails:
            raise OSError(5, "Input/output error")
        move(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(WriteError, match="Input/output error"):
        write_folder(tmp_path / "net", {"b": b"2"})
    kept = [path for path in tmp_path.iterdir() if (path / "a").exists()]
    assert len(kept) == 1 and (kept[0] / "a").read_bytes() == b"1"
    assert kept[0].name == "net" if fails == 2 else kept[0].name.endswith(atomic.OLD)


def test_a_file_that_is_open_for_a_moment_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to replace it until it is closed."""
    move, tries = os.replace, []

    def refusing(source: Any, target: Any) -> None:
        tries.append(target)
        if len(tries) < 3:
            raise PermissionError(13, "Access is denied")
        move(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    monkeypatch.setattr(atomic, "_PAUSES_SECONDS", (0.0, 0.0))
    write_text(tmp_path / "file", "text")
    assert len(tries) == 3 and (tmp_path / "file").read_text() == "text"
    tries[:] = []
    monkeypatch.setattr(atomic, "_PAUSES_SECONDS", (0.0,))
    with pytest.raises(WriteError, match="Access is denied; nothing was changed"):
        write_text(tmp_path / "file", "other")
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "text"


@posix
def test_a_new_file_has_the_permissions_that_are_usual(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@posix
def test_the_owner_stays(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    write_bytes(tmp_path / "file", b"old")
    os.chown(tmp_path / "file", 1234, 4321)
    (tmp_path / "file").chmod(0o600)
    write_bytes(tmp_path / "file", b"new")
    found = (tmp_path / "file").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 4321, 0o600)


@posix
def test_a_link_that_leads_nowhere_yet(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "home")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "home").read_bytes() == b"new"
    (tmp_path / "lost").symlink_to(tmp_path / "none" / "home")
    with pytest.raises(WriteError, match=r"the folder .*none does not exist"):
        write_bytes(tmp_path / "lost", b"new")


@posix
def test_ctrl_c_waits_and_is_then_served_as_always(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def asked_meanwhile(handle: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        sync(handle)

    monkeypatch.setattr(os, "fsync", asked_meanwhile)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole" and names(tmp_path) == ["file"]
    served = []
    before = signal.signal(signal.SIGINT, lambda number, frame: served.append(number))
    try:
        write_bytes(tmp_path / "other", b"whole")
        assert served == [signal.SIGINT] and (tmp_path / "other").read_bytes() == b"whole"
    finally:
        signal.signal(signal.SIGINT, before)


def test_any_thread_may_write(tmp_path: Path) -> None:
    threads = [threading.Thread(target=write_text, args=(tmp_path / "file", f"{k}" * 9)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == ["file"] and len(set((tmp_path / "file").read_text())) == 1


def test_long_and_strange_names(tmp_path: Path) -> None:
    for name in ("n" * 255, "größe: 1 €", "a\nb"):
        if sys.platform != "win32" or name.isalpha():
            assert write_text(tmp_path / name, "text").read_text() == "text"
