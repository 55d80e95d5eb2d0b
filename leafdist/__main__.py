"""The `leafdist` command: data and speed before a training, uploads after it."""

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from leafdist.bench import cli as measure
from leafdist.compare import cli as compare
from leafdist.completion import cli as completion
from leafdist.data import cli as ready
from leafdist.doctor import cli as examine
from leafdist.export import cli as export
from leafdist.predict import cli as predict
from leafdist.prepare import cli as raw
from leafdist.report import cli as report
from leafdist.runs import cli as runs
from leafdist.system import console
from leafdist.system.arguments import Parser, Version
from leafdist.system.errors import STOPPED, WRONG, WRONG_INPUT
from leafdist.tracking import cli as upload

GROUPS = (raw, ready, examine, measure, runs, compare, report, predict, export, upload, completion)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 2 for wrong input, 130 after Ctrl-C, or 1 where something was found bad."""
    parser = build_parser()
    options, settings = parser.parse_known_args(arguments)
    if settings and not getattr(options, "takes_settings", False):
        parser.error(f"unrecognized arguments: {' '.join(settings)}")
    options.settings, options.parser = settings, parser
    program = f"leafdist {options.command}"
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files that are no UTF-8, as they are
    try:
        status: int | None = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        console.say_aside(f"{program}: stopped{f'; {stop}' if str(stop) else ''}")
        return STOPPED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG
    except (ValueError, OSError) as error:
        console.error(error, program)
        return WRONG_INPUT
    return status or 0


def build_parser() -> argparse.ArgumentParser:
    """A subcommand each, with the function that runs it."""
    parser = Parser(prog="leafdist", description="Before and after training. Training: train.py --help")
    parser.add_argument("--version", action=Version, help="the versions of leafdist, Python and PyTorch")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
