"""The verb ``neurolrnn spike``."""

from __future__ import annotations

import argparse
from typing import Any

from neurolrnn.cli.parts import CODES, FAILED, OK, add_json, print_json, tell


def add_spike(subparsers: Any) -> None:
    """Add ``neurolrnn spike``."""
    parser = subparsers.add_parser(
        "spike",
        help="run a trained network as spikes",
        description="Deploy the network of a saved run as spikes, measure it on the run's task, and say what it costs.",
        epilog=f"""examples:
  neurolrnn spike run.npz --mode sigma-delta --q 0.1
  neurolrnn spike run.npz --error 0.05 --compare
  neurolrnn spike run.npz --mode lif-pair --q 0.2 --micro-steps 10 --plot spikes.png
  neurolrnn spike run.npz --q 0.1 -o folder      a Brian2 script that stands alone

{CODES}""",
    )
    parser.add_argument("run", metavar="RUN.npz", help="a saved run")
    parser.add_argument("--mode", default="sigma-delta", help="graded, sigma-delta or lif-pair (default sigma-delta)")
    parser.add_argument("--q", type=float, help="quantum, above 0 (default 0.1)")
    parser.add_argument("--error", type=float, help="choose q for this relative RMS error of the output instead")
    parser.add_argument("--payload", default="rounded", help="of sigma-delta: rounded, unit or residual")
    parser.add_argument("--receivers", default="standing", help="of sigma-delta: standing or leaky")
    parser.add_argument("--reset", default="subtract", help="of lif-pair: subtract or to-value")
    parser.add_argument("--micro-steps", type=int, help="steps per network step; of lif-pair as few as are needed")
    parser.add_argument("--precision", metavar="PRESET", help="integers, such as int16; default real numbers")
    parser.add_argument("--compare", action="store_true", help="put the modes beside each other")
    parser.add_argument("--brian2", action="store_true", help="run Brian2 too, and compare event for event")
    parser.add_argument("--describe", action="store_true", help="print what is built: equations, slots, synapses")
    parser.add_argument("--plot", metavar="FILE", help="draw states, events and errors")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write a stand-alone Brian2 script there")
    add_json(parser)
    parser.set_defaults(call=_spike)


def _spike(args: argparse.Namespace) -> int:
    from neurolrnn.atomic import check_folder, check_target
    from neurolrnn.errors import InputError
    from neurolrnn.run import Run, RunFileError
    from neurolrnn.spiking.report import deploy

    if args.plot is not None:
        check_target(args.plot, ".png", InputError, "picture")
    if args.output is not None:
        check_folder(args.output, RunFileError)
    report = deploy(
        Run.load(args.run), mode=args.mode, q=args.q, error=args.error, payload=args.payload, receivers=args.receivers,
        reset=args.reset, micro_steps=args.micro_steps, precision=args.precision, compare=args.compare,
        brian2=args.brian2,
    )  # fmt: skip
    files = report.write(args.plot, args.output)
    if args.json:
        print_json({**report.options(), "files": [str(path) for path in files]})
    else:
        if args.describe:
            print(report.describe() + "\n")
        print(report)
        if files:
            print(f"\nwritten: {', '.join(map(str, files))}")
    if report.same is False:
        tell("neurolrnn spike: Brian2 and its twin differ")
        return FAILED
    return OK
