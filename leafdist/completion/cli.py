"""completion: the script that makes bash and zsh complete `leafdist`."""

import argparse
from pathlib import Path
from typing import Any

SHELLS = ("bash", "zsh")
FOLDERS = ("RUN", "ROOT", "RAW", "DEST", "FOLDER", "DIR")  # metavars
FILES = ("FILE", "IMAGE")


def add(commands: Any) -> None:
    completion = commands.add_parser(
        "completion",
        help="print a script for the shell, which then completes commands, flags and paths",
        description='bash: add `eval "$(leafdist completion bash)"` to ~/.bashrc. '
        "zsh: leafdist completion zsh > a folder of $fpath, as _leafdist.",
        examples=tuple(f"leafdist completion {shell}" for shell in SHELLS),
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(run=print_completion)


def print_completion(options: argparse.Namespace) -> None:
    import shtab

    from leafdist.system import console

    complete_paths(options.parser)
    console.say(shtab.complete(options.parser, options.shell))


def complete_paths(parser: argparse.ArgumentParser) -> None:
    """Tell shtab which arguments of the subcommands are folders or files."""
    import shtab

    for action in parser._actions:  # argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                complete_paths(command)
        elif (name := str(action.metavar).split("|", maxsplit=1)[0]) in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif name in FILES or action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
