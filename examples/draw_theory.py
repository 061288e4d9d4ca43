"""Draw every picture of docs/theory_pictures.md, through the command that the page names.

python examples/draw_theory.py                    # writes docs/pictures/theory-*.png, a minute
python examples/draw_theory.py --folder elsewhere
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from neurolrnn import cli

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
PICTURES = {
    "theory-portrait": "portrait",
    "theory-portrait-starts": "portrait --plane a-b",
    "theory-portrait-bptt": "portrait bptt --plane u-w",
    "theory-portrait-saddle": "portrait bptt --plane a-b",
    "theory-rates": "rates",
    "theory-stability": "stability",
    "theory-modes": "modes",
    "theory-alignment": "alignment",
    "theory-spectra": "spectra",
}
"""Name of each picture, and the ``neurolrnn theory`` call that draws it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Draw all pictures; return the largest exit code of the calls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to (default docs/pictures)")
    folder = parser.parse_args(argv).folder
    codes = []
    for name, call in PICTURES.items():
        print(f"\nneurolrnn theory {call}")
        codes.append(cli.main(["theory", *call.split(), "-o", str(folder / f"{name}.png")]))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
