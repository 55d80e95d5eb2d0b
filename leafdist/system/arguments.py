"""What argparse leaves to be wished: examples under --help, the version, a guess at what was meant."""

import argparse
import difflib
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from leafdist.system import console
from leafdist.system.errors import WRONG_INPUT

CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)")
PACKAGES = ("leafdist", "torch", "torchvision", "accelerate")


class Parser(argparse.ArgumentParser):
    """Errors in one line, with the way out; `examples`, a command line each, stand below --help."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **options: Any) -> None:
        options["allow_abbrev"] = False
        self.examples = tuple(examples)
        if examples:
            options["epilog"] = "\n".join(["examples:", *(f"  {line}" for line in examples)])
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, **options)

    def error(self, message: str) -> NoReturn:
        console.error(f"{guess(message)}. See {self.prog} --help", self.prog)
        raise SystemExit(WRONG_INPUT)


def guess(message: str) -> str:
    """argparse's message, with what was meant where a name is nearly one that is known."""
    found = CHOICE.match(message)
    if not found:
        return message
    name, given, known = found.groups()
    choices = [choice.strip().strip("'") for choice in known.split(",")]
    near = difflib.get_close_matches(given, choices, 1)
    kind = "command" if name in ("COMMAND", "command") else name
    return f"{kind} {given}: unknown;{f' did you mean {near[0]}?' if near else ''} known are {', '.join(choices)}"


class Version(argparse.Action):
    """Of what decides over a result, a line each; nothing of it is imported."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        for name in PACKAGES:
            console.say(f"{name} {installed(name)}")
        console.say(f"python {platform.python_version()}")
        raise SystemExit(0)


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"
