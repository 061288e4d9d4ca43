"""``python -m benchmarks``: measure, and look at what was measured."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGE, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "pictures" / "performance.png"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="measure and write a file of results")
    length = run.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_const", const="quick", dest="mode", help="under a minute if compiled")
    length.add_argument("--full", action="store_const", const="full", dest="mode", help="every rule at every size")
    run.add_argument("--only", nargs="+", default=[], metavar="WORD", help="sections, families, parts of names")
    run.add_argument("--rounds", type=int, help="rounds instead of those of the selection")
    run.add_argument("-o", "--output", type=Path, required=True, metavar="RESULTS.json")
    run.add_argument("--docs", action="store_true", help="also put tables and picture into docs/performance.md")
    run.set_defaults(mode="default")
    table = verbs.add_parser("table", help="print the tables, as Markdown")
    table.add_argument("results", type=Path)
    table.add_argument("--docs", action="store_true", help="put them and the picture into docs/performance.md instead")
    table.add_argument("--into", type=Path, metavar="PAGE.md", help="put them between the markers of another page")
    picture = verbs.add_parser("picture", help="draw what is reached against the ceilings")
    picture.add_argument("results", type=Path)
    picture.add_argument("-o", "--output", type=Path, default=Path("benchmarks.png"))
    compare = verbs.add_parser("compare", help="two files: what changed beyond its spread")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    compare.add_argument("--all", action="store_true", help="rows that did not change, too")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is asked; 2 if a file or a word is not right."""
    args = make_parser().parse_args(argv)
    from neurolrnn.errors import NeurolrnnError

    try:
        return _do(args)
    except (NeurolrnnError, ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def _do(args: argparse.Namespace) -> int:
    from benchmarks import compare, picture, report, results
    from neurolrnn.atomic import write_text

    if args.verb == "run":
        from benchmarks import suite

        if args.rounds is not None and args.rounds < 1:
            raise results.ResultsError(f"--rounds {args.rounds}; at least 1 is needed")
        results.check(args.output)
        measured = suite.measure(args.mode, args.only, args.rounds)
        results.save(measured, args.output)
        print(f"written: {args.output} ({measured.settings['seconds']} s)", file=sys.stderr)
        if args.docs:
            write_docs(results.load(args.output))
    elif args.verb == "table":
        found = results.load(args.results)
        if args.docs:
            write_docs(found)
        elif args.into is not None:
            write_text(args.into, report.into(args.into.read_text(encoding="utf-8"), report.report(found, level=3)))
        else:
            print(report.report(found))
    elif args.verb == "picture":
        picture.draw(results.load(args.results), args.output)
        print(f"written: {args.output}", file=sys.stderr)
    else:
        print(compare.compare(results.load(args.old), results.load(args.new), args.all))
    return 0


def write_docs(found: object) -> None:
    """Put tables and picture of results into the documentation."""
    from benchmarks import picture, report
    from benchmarks.results import Results
    from neurolrnn.atomic import write_text

    assert isinstance(found, Results)
    pages = {PAGE: report.report(found, level=3), README: report.short_table(found)}
    texts = {page: report.into(page.read_text(encoding="utf-8"), content) for page, content in pages.items()}
    picture.draw(found, PICTURE)
    for page, text in texts.items():
        write_text(page, text)
    print(f"written: {', '.join(map(str, texts))}, {PICTURE}", file=sys.stderr)


if __name__ == "__main__":
    if "run" in sys.argv[1:2]:
        from benchmarks import machine

        machine.pin()  # before NumPy and the others are imported
    sys.exit(main())
