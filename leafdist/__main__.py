"""The `leafdist` command: data and speed before a training, uploads after it."""

import argparse
import sys
from collections.abc import Sequence

from leafdist.commands import measure, raw, ready, upload

GROUPS = (raw, ready, measure, upload)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 2 for wrong input, or 1 where `audit --strict` found errors."""
    parser = build_parser()
    options, settings = parser.parse_known_args(arguments)
    if settings and options.command != "bench":
        parser.error(f"unrecognized arguments: {' '.join(settings)}")
    options.settings = settings
    try:
        status: int | None = options.run(options)
    except (ValueError, OSError) as error:
        print(f"leafdist {options.command}: error: {error}", file=sys.stderr)
        return 2
    return status or 0


def build_parser() -> argparse.ArgumentParser:
    """A subcommand each, with the function that runs it."""
    parser = argparse.ArgumentParser(
        prog="leafdist", description="Before and after training. Training: train.py --help"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for group in GROUPS:
        group.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
