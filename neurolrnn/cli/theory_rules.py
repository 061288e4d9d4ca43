"""Subjects of ``neurolrnn theory`` about rules alone: portrait, rates, stability, rank."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from neurolrnn.cli.theory_subject import picture_target, report, subject
from neurolrnn.tables import text_table

LABELS = ("bptt", "tbptt", "rflo", "rflo-sym", "fa_bptt")
"""As :data:`neurolrnn.theory.rule_maps.RULE_LABELS`, without importing it for --help."""


def _teacher_options(parser: argparse.ArgumentParser, w_star: bool = True) -> None:
    parser.add_argument("--a-star", type=float, default=1.0, help="the teacher's a* (default 1)")
    parser.add_argument("--b-star", type=float, default=1.0, help="the teacher's b* (default 1)")
    if w_star:
        parser.add_argument("--w-star", type=float, default=0.6, help="the teacher's w*, below 1 in size (default 0.6)")


def _rule_options(parser: argparse.ArgumentParser, decay: float = 0.5) -> None:
    parser.add_argument("--decay", type=float, default=decay, help=f"ŵ of rflo (default {decay:g})")
    parser.add_argument("--steps", type=int, default=1, help="τ of tbptt (default 1)")


def _a_hat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--a-hat", type=float, default=1.0, help="the mode of R, for rflo and fa_bptt (default 1)")


def add_portrait(subparsers: Any) -> None:
    """Add ``neurolrnn theory portrait``."""
    parser = subject(
        subparsers, "portrait", _portrait, "phase portrait of one mode: flow, manifolds, basins",
        "Draw how a rule moves one mode, where it stands still and how stably, and what becomes of every start.",
        ["portrait", "portrait bptt --plane u-w", "portrait rflo --plane a-b --a-hat -1 -o portrait.png",
         "portrait rflo-sym --w-star 0.9 --json"],
    )  # fmt: skip
    parser.add_argument("rule", nargs="?", default="rflo", choices=LABELS, help="default rflo; rflo-sym: feedback is A")
    parser.add_argument("--plane", default="a-w", choices=("a-w", "a-b", "b-w", "u-w"),
                        help="what is drawn across and up (default a-w); u-w: u = a b, bptt only")  # fmt: skip
    parser.add_argument("--third", type=float, help="where the third of a, b, w starts (default 0.5; w: 0)")
    _teacher_options(parser)
    _a_hat(parser)
    _rule_options(parser)
    parser.add_argument("--points", type=int, default=101, help="starts along each axis (default 101)")
    parser.add_argument("--time", type=float, default=200.0, help="how long they are followed (default 200)")


def _portrait(args: argparse.Namespace) -> int:
    from neurolrnn.theory.phase_portrait import portrait
    from neurolrnn.theory.rule_maps import labelled

    target = picture_target(args)
    rule, options = labelled(args.rule, args.a_hat, args.decay, args.steps)
    found = portrait(
        rule, args.plane, a_star=args.a_star, b_star=args.b_star, w_star=args.w_star, third=args.third,
        points=args.points, t=args.time, **options,
    )  # fmt: skip
    if target is not None:
        from neurolrnn.rule_plots import plot_portrait

        plot_portrait(found, target)
    shares, pieces = found.shares(), found.pieces()
    text = text_table(
        [(name, f"{100 * share:.1f} %") for name, share in shares.items() if share],
        ["starts of the plane", "share"],
        "lr",
    )
    text += "\n\n" + text_table(
        [(f"{low:.3g} to {high:.3g}", kind) for kind, low, high in pieces], ["optimum at a =", "holds the mode as"]
    )
    data = {
        "rule": rule, "options": options, "plane": found.plane, "third": found.third, "c": found.c,
        "w_star": found.w_star, "outcomes": shares,
        "optimum": [{"kind": kind, "a": [low, high]} for kind, low, high in pieces],
    }  # fmt: skip
    return report(args, data, text, target)


def add_rates(subparsers: Any) -> None:
    """Add ``neurolrnn theory rates``."""
    parser = subject(
        subparsers, "rates", _rates, "how fast rules settle, along the optimal manifold",
        "Draw the slow rate λ₋ of several rules against s (a = s, b = c/s), with the slowest points and where they are "
        "as fast as the first rule.",
        ["rates", "rates rflo rflo-sym bptt --w-star 0.5 0.8", "rates --a-hat 10 --json"],
    )  # fmt: skip
    parser.add_argument("rules", nargs="*", metavar="RULE", help=f"of {', '.join(LABELS)} (default bptt tbptt rflo)")
    parser.add_argument("--w-star", type=float, nargs="+", default=[0.3, 0.6, 0.9], help="teachers (default .3 .6 .9)")
    parser.add_argument("--c", type=float, default=1.0, help="a* b* of the teacher (default 1)")
    _a_hat(parser)
    _rule_options(parser)


def _rates(args: argparse.Namespace) -> int:
    from neurolrnn.theory.rule_maps import rate_rows, rate_table

    target = picture_target(args)
    rules = args.rules or ["bptt", "tbptt", "rflo"]
    options = {"c": args.c, "a_hat": args.a_hat, "decay": args.decay, "steps": args.steps}
    rows = rate_rows(rules, args.w_star, **options)
    if target is not None:
        from neurolrnn.rule_plots import plot_rates

        plot_rates(rules, args.w_star, target, **options)
    return report(args, {"options": options, "rates": [row._asdict() for row in rows]}, rate_table(rows), target)


def add_stability(subparsers: Any) -> None:
    """Add ``neurolrnn theory stability``."""
    parser = subject(
        subparsers, "stability", _stability, "which optima hold a mode, over s and w*",
        "Draw of which kind every point of the optimal manifold is (a = s, b = c/s, w = w*). Fixed feedback of the "
        "wrong sign, â s < 0, is stable in a window only, which is empty for large â.",
        ["stability", "stability rflo --a-hat 1 0.05 --decay 0", "stability bptt --json"],
    )  # fmt: skip
    parser.add_argument("rule", nargs="?", default="rflo", choices=LABELS, help="default rflo; rflo-sym: feedback is A")
    parser.add_argument("--c", type=float, default=1.0, help="a* b* of the teacher (default 1)")
    parser.add_argument("--a-hat", type=float, nargs="+", default=[1.0, 0.05],
                        help="modes of R, one panel each (default 1 0.05)")  # fmt: skip
    _rule_options(parser, 0.0)


def _stability(args: argparse.Namespace) -> int:
    from neurolrnn.theory.rule_maps import labelled, stability_map

    target = picture_target(args)
    maps = []
    for a_hat in args.a_hat:
        rule, options = labelled(args.rule, a_hat, args.decay, args.steps)
        maps.append(stability_map(rule, c=args.c, **options))
        if "a_hat" not in options:
            break
    if target is not None:
        from neurolrnn.rule_plots import plot_stability_map

        plot_stability_map(maps, target)
    rows, data = [], []
    for m in maps:
        for sign, where in (("right", ~m.wrong_sign), ("wrong", m.wrong_sign)):
            if where.any():
                shares = m.shares(where)
                data.append({"a_hat": m.a_hat, "sign": sign, "shares": shares})
                rows += [
                    ("A" if m.a_hat is None else f"{m.a_hat:g}", sign, kind, f"{100 * share:.2f} %")
                    for kind, share in shares.items()
                    if share
                ]
    text = text_table(rows, ["â", "sign", "kind", "share of the area"], "rllr")
    return report(args, {"rule": maps[0].rule, "c": args.c, "maps": data}, text, target)


def add_rank(subparsers: Any) -> None:
    """Add ``neurolrnn theory rank``."""
    parser = subject(
        subparsers, "rank", _rank, "the bound on the rank of what each rule can learn",
        "Print the largest rank that the change of W and B can have under each rule, and why. The ranks of a run, and "
        "a picture, are under spectra.",
        ["rank", "rank --n-rec 128 --n-out 9 --loss cross-entropy --json"], picture=False,
    )  # fmt: skip
    for name, default, what in (("--n-rec", 64, "recurrent units"), ("--n-in", 5, "inputs"), ("--n-out", 3, "outputs")):
        parser.add_argument(name, type=int, default=default, help=f"{what} (default {default})")
    parser.add_argument("--loss", default="squared-error", choices=("squared-error", "cross-entropy"))


def _rank(args: argparse.Namespace) -> int:
    from neurolrnn.theory.rule_maps import rank_bounds

    found = rank_bounds(args.n_rec, args.n_in, args.n_out, args.loss)
    text = text_table(
        [(*key, b.bound if b.informative else f"none below {b.limit}", b.reason) for key, b in found.items()],
        ["rule", "feedback", "bound", "because"],
    )
    data = [{"rule": rule, "feedback": feedback, **asdict(bound)} for (rule, feedback), bound in found.items()]
    return report(args, {"bounds": data}, text)
