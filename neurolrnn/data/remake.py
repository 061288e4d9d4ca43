"""Remake japanese_vowels.npz from the text of the data set.

``python -m neurolrnn.data.remake SOURCE OUT.npz``, where SOURCE is a wheel of aeon or sktime, which carry the text, or
a folder with JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts.
"""

from __future__ import annotations

import io
import sys
import zipfile
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurolrnn import atomic
from neurolrnn.errors import InputError

CHANNELS, SPEAKERS = 12, 9


def read(source: Path) -> dict[str, str]:
    """Return the text of the training and the test file found in a wheel or a folder.

    Raises
    ------
    InputError
        If there is none.
    """
    texts = {}
    for part, name in (("train", "JapaneseVowels_TRAIN.ts"), ("test", "JapaneseVowels_TEST.ts")):
        try:
            if source.is_dir():
                texts[part] = (source / name).read_text("utf-8")
                continue
            with zipfile.ZipFile(source) as wheel:
                path = next(p for p in wheel.namelist() if p.endswith("/" + name))
                texts[part] = wheel.read(path).decode("utf-8")
        except (OSError, zipfile.BadZipFile, StopIteration) as error:
            raise InputError(f"{source}: no {name} in it; give an aeon or sktime wheel, or a folder with it") from error
    return texts


def parse(text: str, name: str = "text") -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return values in units of 1e-6 (steps, 12), lengths and speakers from 0, (utterances,), of one .ts text.

    Raises
    ------
    InputError
        If a line is no utterance, or a number has more than six decimals and so would not be kept exactly.
    """
    blocks, lengths, speakers = [], [], []
    lines = text.partition("@data")[2].split("\n")
    for number, line in enumerate(lines, text.partition("@data")[0].count("\n") + 1):
        if not line.strip():
            continue
        *channels, label = line.strip().split(":")
        try:
            block = [[_micro(v) for v in channel.split(",")] for channel in channels]
            if len(block) != CHANNELS or len({len(channel) for channel in block}) > 1:
                raise ValueError(f"{CHANNELS} channels of one length are needed")
            if not 1 <= int(label) <= SPEAKERS:
                raise ValueError(f"speaker {label}")
        except (ValueError, InvalidOperation) as error:
            raise InputError(f"{name}, line {number}: not an utterance ({error})") from error
        blocks.append(np.array(block, dtype=np.int32).T)
        lengths.append(len(blocks[-1]))
        speakers.append(int(label) - 1)
    if not blocks:
        raise InputError(f"{name}: no utterance after @data")
    return np.concatenate(blocks), np.array(lengths, np.uint8), np.array(speakers, np.uint8)


def _micro(text: str) -> int:
    value = Decimal(text) * 1_000_000
    if value != int(value):
        raise ValueError(f"{text} has more than six decimals")
    return int(value)


def write(texts: dict[str, str], out: Path) -> None:
    """Write the arrays of both texts to ``out``, compressed, in one move; the same text gives the same arrays."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for part in ("train", "test"):
        values, lengths, speakers = parse(texts[part], part)
        arrays |= {f"{part}_micro": values, f"{part}_lengths": lengths, f"{part}_speakers": speakers}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            # A member with a fixed date: the file changes only with the arrays (and the compressor's version).
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            content = io.BytesIO()
            np.save(content, np.asfortranarray(array), allow_pickle=False)  # a channel in one piece compresses best
            archive.writestr(member, content.getvalue())
    atomic.write_bytes(out, buffer.getvalue(), InputError)


def main(arguments: list[str]) -> int:
    """Run the command line: SOURCE OUT.npz."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        write(read(Path(arguments[0])), Path(arguments[1]))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
