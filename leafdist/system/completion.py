"""completion: the script that makes bash and zsh complete `leafdist`."""

import argparse
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from leafdist.system import console
from leafdist.system.arguments import extra

SHELLS = ("bash", "zsh")
FOLDERS = ("RUN", "ROOT", "RAW", "DEST", "FOLDER", "DIR")  # metavars
FILES = ("FILE", "IMAGE")


def add(commands: Any) -> None:
    """Add the parser of `completion`."""
    completion = commands.add_parser(
        "completion",
        help="print a shell script that completes commands, flags and paths",
        description='bash: add `eval "$(leafdist completion bash)"` to ~/.bashrc. '
        "zsh: leafdist completion zsh > a folder of $fpath, as _leafdist.",
        examples=tuple(f"leafdist completion {shell}" for shell in SHELLS),
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(run=print_completion)


def print_completion(options: argparse.Namespace) -> None:
    """Print the script. Raises ValueError where shtab is not installed."""
    if find_spec("shtab") is None:
        raise ValueError(f"shtab, which writes the script, is not installed: {extra('completion')}")
    import shtab  # noqa: PLC0415 - an extra

    complete_paths(options.commands.values())
    console.output(shtab.complete(options.parser, options.shell))


def complete_paths(parsers: Iterable[argparse.ArgumentParser]) -> None:
    """Tell shtab which arguments are folders or files."""
    import shtab  # noqa: PLC0415 - an extra

    for action in (action for parser in parsers for action in parser._actions):  # argparse has no public list
        if (name := str(action.metavar).split("|", maxsplit=1)[0]) in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif name in FILES or action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
