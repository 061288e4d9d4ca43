"""Names and places of exports."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from neurolrnn import atomic
from neurolrnn.savefile import RunFileError

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
    if suffix:
        return atomic.check_target(path, suffix, RunFileError, "net")
    return atomic.check_folder(path, RunFileError)


def default_path(run: str | Path, target: str, suffix: str) -> Path:
    """Return where the export of a run file goes if the user names no path: beside it, named after run and target."""
    source = Path(run)
    return source.with_name(f"{source.stem}-{target}{suffix}")
