"""Files and folders that are whole or not there at all."""

from __future__ import annotations

import keyword
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from neurolrnn.atomic import check_parent, write_bytes
from neurolrnn.savefile import RunFileError

MARK = ".neurolrnn-export"
"""File that marks a folder as one of ours, which may be replaced by the next export."""
_RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while main "
    "always and assign automatic begin buf casex casez cell config deassign edge end endcase endmodule event function "
    "generate genvar initial input integer logic module negedge nor not or output parameter posedge pull0 pull1 real "
    "reg repeat scalared signed specify supply0 table task time tran tri wait wand wire wor xor".split()
)


def identifier(text: str, default: str = "network") -> str:
    """Return a name that C, Python and Verilog accept, made from any text.

    Characters outside ASCII letters, digits and ``_`` become ``_``; a leading digit or a reserved word gets a prefix.
    """
    name = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", text)).strip("_")[:48] or default
    if name[0].isdigit() or keyword.iskeyword(name) or name.lower() in _RESERVED:
        name = f"n_{name}"
    return name


def check_path(path: str | Path, suffix: str) -> Path:
    """Return where an export will go, with ``suffix`` if the path has none; an empty suffix means a folder.

    Raises
    ------
    RunFileError
        If it cannot be written, or a folder there holds files that no export wrote.
    """
    target = Path(path)
    if suffix and not target.is_dir() and not target.suffix:
        target = target.with_name(target.name + suffix)
    if suffix and target.is_dir():
        raise RunFileError(f"{target} is a folder; give the name of a file in it, such as {target / ('net' + suffix)}")
    if not suffix and target.exists() and not target.is_dir():
        raise RunFileError(f"{target} is a file; this target is a folder, so give another name")
    if not suffix and target.is_dir() and any(target.iterdir()) and not (target / MARK).is_file():
        raise RunFileError(f"the folder {target} holds files that no export wrote; give a new or empty one")
    check_parent(target, target.absolute().parent, RunFileError)
    return target


def default_path(run: str | Path, target: str, suffix: str) -> Path:
    """Return where the export of a run file goes if the user names no path: beside it, named after run and target."""
    source = Path(run)
    return source.with_name(f"{source.stem}-{target}{suffix}")


def write_file(target: Path, data: bytes) -> None:
    """Write a file in one move: afterwards the path holds the old content or the new, never a part.

    Raises
    ------
    RunFileError
        If it cannot be written; what was there is as it was.
    """
    write_bytes(target, data, RunFileError)


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder beside its place and move it there whole; an older export is replaced, nothing else is.

    Raises
    ------
    RunFileError
        If it cannot be written; what was there is as it was.
    """
    home = target.resolve()
    token = secrets.token_hex(4)
    part, old = (home.with_name(f".{home.name}.{token}.{kind}") for kind in ("part", "old"))
    try:
        part.mkdir()
        for name, data in {**files, MARK: b"written by neurolrnn; the next export here replaces this folder\n"}.items():
            file = part / name
            file.parent.mkdir(parents=True, exist_ok=True)
            _put(file, data)
        if home.exists():
            os.replace(home, old)  # noqa: PTH105
        try:
            os.replace(part, home)  # noqa: PTH105
        except OSError:
            if old.exists():
                os.replace(old, home)  # noqa: PTH105
            raise
    except OSError as error:
        raise RunFileError(f"cannot write {target}: {error.strerror or error}; nothing was changed there") from error
    finally:
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)


def _put(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
