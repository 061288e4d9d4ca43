"""Find, read and check chip sheets. A figure without a source is refused; unknown stays unknown."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from neurolrnn_hardware import plain_toml
from neurolrnn_hardware.chip import PLACEMENTS, SECTIONS, Chip, Placement
from neurolrnn_hardware.sheet_fields import GRADES, Fact, Reference, Spec, Value

FOLDER = files("neurolrnn_hardware") / "chips"
_TOP = ("name", "placement", "extends", "not_modelled", "sources", "notes", *SECTIONS)
_FIGURE = ("value", "unit", "grade", "source", "note", "also")
UNKNOWN, UNLIMITED = "unknown", "unlimited"
_DEPTH = 8


class ChipError(ValueError):
    """A sheet that cannot be used or found; the text says where, what stands there and what is allowed."""


def names() -> list[str]:
    """Return the keys of the chips that come with the package, in order."""
    return sorted(item.name.removesuffix(".toml") for item in FOLDER.iterdir() if item.name.endswith(".toml"))


def load(chip: str | Path) -> Chip:
    """Return a chip by its name in the catalogue, or from a sheet of one's own by its path.

    Parameters
    ----------
    chip : str or path
        A name of :func:`names` (``-`` may stand for ``_``), or the path of a TOML file.

    Raises
    ------
    ChipError
        If there is no such chip or file, or the sheet is not in order.
    """
    text = str(chip)
    key = text.replace("-", "_").lower()
    if key in names():
        return _own(key)
    if isinstance(chip, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return _from_file(Path(text))
    close = difflib.get_close_matches(key, names(), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ChipError(
        f"chip = {text!r} is not known; allowed: {', '.join(names())}, or the path of a sheet of your own that ends in "
        f".toml{hint}"
    )


@cache
def _own(key: str) -> Chip:
    item = FOLDER / f"{key}.toml"
    return parse(item.read_text(encoding="utf-8"), f"chips/{key}.toml", key)


def _from_file(path: Path) -> Chip:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ChipError(f"there is no chip sheet {path}") from None
    except UnicodeDecodeError as error:
        raise ChipError(f"{path}: not text in UTF-8 (byte {error.start}); a chip sheet is TOML text") from None
    except (OSError, ValueError) as error:
        raise ChipError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    return parse(text, str(path), path.stem)


def parse(text: str, where: str = "chip sheet", key: str = "own") -> Chip:
    """Read the text of a sheet.

    Parameters
    ----------
    text : str
        TOML.
    where : str
        What errors call it.
    key : str
        Name of the chip.

    Raises
    ------
    ChipError
        If it is not TOML, or something in it is not allowed.
    """
    try:
        tables = plain_toml.loads(text)
    except plain_toml.TextError as error:
        raise ChipError(f"{where}: not TOML: {error}") from None
    return read(tables, where, key)


def read(tables: Mapping[str, object], where: str = "chip sheet", key: str = "own", depth: int = 0) -> Chip:
    """Check plain data, shaped as the TOML file, and return the chip."""
    _known(where, "", tables, _TOP)
    base = _base(tables, where, depth)
    name = tables.get("name", base.name if base else None)
    if not isinstance(name, str) or not name.strip():
        raise ChipError(f"{where}: name = {name!r}; the chip's name as text is needed")
    placement = tables.get("placement", base.placement if base else None)
    if placement not in PLACEMENTS:
        raise ChipError(f"{where}: placement = {placement!r}; one of {', '.join(PLACEMENTS)} is needed")
    sources = {**(base.sources if base else {}), **_texts(tables.get("sources", {}), where)}
    parts: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        given = _table(tables.get(section, {}), where, section)
        specs = {f.name: f.metadata["spec"] for f in fields(kind)}
        _known(where, f"{section}.", given, specs)
        old = {f: getattr(getattr(base, section), f) for f in specs} if base else {}
        new = {f: _fact(v, specs[f], sources, f"{where}: {section}.{f}") for f, v in given.items()}
        parts[section] = kind(**{**old, **new})
        _interval_ends(parts[section], section, where)
    notes = dict(base.notes) if base else {}
    free = Spec("choice", "", "")
    for topic, value in _table(tables.get("notes", {}), where, "notes").items():
        notes[topic] = _fact(value, free, sources, f"{where}: notes.{topic}")
    limits = tables.get("not_modelled", list(base.not_modelled) if base else [])
    if not isinstance(limits, list) or not all(isinstance(line, str) for line in limits):
        raise ChipError(f"{where}: not_modelled = {limits!r}; a list of sentences is needed")
    return Chip(
        key=key, name=name, placement=cast("Placement", placement), notes=notes, sources=sources,
        not_modelled=tuple(limits), path=where, **parts,
    )  # fmt: skip


def _base(tables: Mapping[str, Any], where: str, depth: int) -> Chip | None:
    if "extends" not in tables:
        return None
    extends = tables["extends"]
    if not isinstance(extends, str) or extends not in names():
        raise ChipError(f"{where}: extends = {extends!r}; a chip of the catalogue is needed: {', '.join(names())}")
    if depth > _DEPTH:
        raise ChipError(f"{where}: extends = {extends!r}; sheets extend each other in a circle")
    text = (FOLDER / f"{extends}.toml").read_text(encoding="utf-8")
    return read(tomllib.loads(text), f"chips/{extends}.toml", extends, depth + 1)


def _interval_ends(part: Any, section: str, where: str) -> None:
    for low in ("low", "exponent_low", "epoch_low"):
        high = low.replace("low", "high")
        if hasattr(part, low):
            a, b = getattr(part, low).value, getattr(part, high).value
            if a is not None and b is not None and a > b:
                raise ChipError(f"{where}: {section}.{low} = {a} is above {section}.{high} = {b}")


def _known(where: str, prefix: str, given: Mapping[str, Any], allowed: Iterable[str]) -> None:
    known = list(allowed)
    for word in given:
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ChipError(f"{where}: {prefix}{word} is not known; allowed: {', '.join(known)}{hint}")


def _table(value: Any, where: str, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ChipError(f"{where}: {name} = {value!r}; a table [{name}] is needed")
    return value


def _texts(value: Any, where: str) -> dict[str, str]:
    table = _table(value, where, "sources")
    for key, text in table.items():
        if not isinstance(text, str) or not text.strip() or not key or " " in key:
            raise ChipError(
                f"{where}: sources.{key} = {text!r}; a short key without blanks and the source in full are needed, "
                f'such as REC = "ReckOn RTL, git 5e5c0be"'
            )
    return dict(table)


def _fact(given: Any, spec: Spec, sources: Mapping[str, str], place: str, inner: bool = False) -> Fact[Any]:
    if not isinstance(given, Mapping):
        example = f', unit = "{spec.unit}"' if spec.unit else ""
        raise ChipError(
            f'{place} = {given!r} stands without a source; write {{ value = ...{example}, grade = "A", '
            f'source = "KEY page" }}'
        )
    _known(place, "", given, _FIGURE)
    if "value" not in given:
        raise ChipError(f'{place}: value is missing; {spec.wanted()}, or "{UNKNOWN}"')
    value, grade, note = given["value"], given.get("grade"), given.get("note", "")
    if not isinstance(grade, str) or grade not in GRADES:
        meanings = "; ".join(f"{g} {text.split(';')[0].split(':')[0]}" for g, text in GRADES.items())
        raise ChipError(f"{place}: grade = {grade!r}; one of {meanings}")
    if not isinstance(note, str):
        raise ChipError(f"{place}: note = {note!r}; text is needed")
    unknown = isinstance(value, str) and value == UNKNOWN
    if unknown != (grade == "U"):
        raise ChipError(
            f'{place}: value = {value!r} with grade = {grade!r}; grade U and value "{UNKNOWN}" belong together'
        )
    references = _references(given.get("source", []), sources, place)
    if not references and not unknown:
        raise ChipError(f'{place} = {value!r} has no source; give source = "KEY page", with KEY in [sources]')
    unit = given.get("unit", "")
    if unit != spec.unit and not (unknown and unit == ""):
        raise ChipError(f"{place}: unit = {unit!r}; the unit here is {spec.unit!r}")
    also = given.get("also", [])
    if not isinstance(also, list) or (inner and also):
        raise ChipError(f"{place}: also = {also!r}; a list of figures of other texts is needed")
    unlimited = spec.limit and isinstance(value, str) and value == UNLIMITED
    return Fact(
        value=None if unknown or unlimited else value_of(value, spec, place),
        unit=spec.unit,
        grade=grade,  # type: ignore[arg-type]
        references=references,
        note=note,
        unlimited=unlimited,
        stated=True,
        also=tuple(_fact(other, spec, sources, f"{place}, also {i}", True) for i, other in enumerate(also, 1)),
    )


def _references(given: Any, sources: Mapping[str, str], place: str) -> tuple[Reference, ...]:
    lines = [given] if isinstance(given, str) else given
    if not isinstance(lines, list) or not all(isinstance(line, str) and line.strip() for line in lines):
        raise ChipError(f"{place}: source = {given!r}; text or a list of texts is needed, each a key and a place")
    found = []
    for line in lines:
        key, _, at = line.strip().partition(" ")
        if key not in sources:
            raise ChipError(
                f"{place}: source = {line!r}; its first word must be a key of [sources]: {', '.join(sources) or 'none'}"
            )
        found.append(Reference(key, at.strip()))
    return tuple(found)


def value_of(given: object, spec: Spec, place: str) -> Value:
    """Return a value as a field holds it.

    Raises
    ------
    ChipError
        If the field cannot hold it; the text names ``place``.
    """

    def whole(v: Any) -> bool:
        return isinstance(v, int) and not isinstance(v, bool) and spec.low <= v <= spec.high

    def real(v: Any) -> bool:
        return (
            isinstance(v, int | float) and not isinstance(v, bool) and spec.low <= v <= spec.high and math.isfinite(v)
        )

    value: Any = given
    listed = isinstance(value, list)
    if spec.kind in ("count", "integer") and whole(value):
        return int(value)
    if spec.kind == "number" and real(value):
        return float(value)
    if spec.kind == "interval" and real(value):
        return float(value), float(value)
    if spec.kind == "interval" and listed and len(value) == 2 and all(map(real, value)) and value[0] <= value[1]:
        return float(value[0]), float(value[1])
    if spec.kind == "flag" and isinstance(value, bool):
        return value
    if spec.kind == "choice" and isinstance(value, str) and (value in spec.allowed or not spec.allowed):
        return value
    if spec.kind == "choices" and listed and all(isinstance(v, str) and v in spec.allowed for v in value):
        return tuple(value)
    if spec.kind == "integers" and listed and all(map(whole, value)):
        return tuple(value)
    raise ChipError(f"{place}: value = {value!r}; {spec.wanted()} is needed")
