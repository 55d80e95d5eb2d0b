"""The `leafdist` command: data and speed before a training, the training, evaluation and uploads after it."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

if sys.platform == "win32":
    sys.exit("leafdist does not run on Windows itself. Install WSL 2 and run it there: docs/first-run.md")

from leafdist.system import completion, console, ctrl_c, environment, streams
from leafdist.system.arguments import Parser, Version, unknown
from leafdist.system.errors import STOPPED, WRONG, WRONG_INPUT

FOLDERS: tuple[str, ...] = (
    "prepare",
    "data",
    "jobs",
    "doctor",
    "bench",
    "runs",
    "compare",
    "average",
    "suspects",
    "report",
)
FOLDERS += ("masks", "predict", "export", "tracking")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, 1 for a bad finding, 2 for wrong input, 130 after Ctrl-C."""
    streams.outlive(strict=True)
    program = "leafdist"
    try:
        if arguments is None:  # a program of its own, no call within another one
            ctrl_c.obey()
        options = parse(sys.argv[1:] if arguments is None else arguments)
        program = f"leafdist {options.command}"
        options.own_program = arguments is None
        environment.settle()
        status: int | None = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        console.say_aside(f"{program}: stopped{f'; {stop}' if str(stop) else ''}")
        return STOPPED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        return WRONG
    except (ValueError, OSError) as error:
        console.error(error, program)
        return WRONG_INPUT
    return status or 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line, with the settings of train.py in `settings`. Exits with 2 on wrong input."""
    parser = build_parser()
    first = next(iter(arguments), "-")
    if not first.startswith("-") and first not in commands_of(parser):
        parser.error(f"command {unknown(first, commands_of(parser))}")
    options, settings = parser.parse_known_args(arguments)
    if settings and not getattr(options, "takes_settings", False):
        commands_of(parser)[options.command].error(f"unrecognized arguments: {' '.join(settings)}")
    options.settings = settings
    return options


def build_parser() -> Parser:
    """A parser with one subcommand per command, each with the function that runs it as `run`."""
    parser = Parser(
        prog="leafdist", description="From raw photos to an exported classifier; each command has its own --help"
    )
    parser.add_argument("--version", action=Version, help="print the versions of leafdist, Python and PyTorch")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for folder in FOLDERS:
        import_module(f"leafdist.{folder}.cli").add(commands)  # late: Ctrl-C may come meanwhile
    completion.add(commands)
    parser.set_defaults(parser=parser, commands=commands.choices)
    return parser


def commands_of(parser: argparse.ArgumentParser) -> dict[str, Parser]:
    """The parser of each command, by name."""
    commands: dict[str, Parser] = parser.get_default("commands")
    return commands


if __name__ == "__main__":
    sys.exit(main())
