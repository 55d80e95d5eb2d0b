"""argparse with examples below --help, --version, and did-you-mean for commands and choices."""

import argparse
import difflib
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from leafdist.system import console
from leafdist.system.errors import WRONG_INPUT

ALIKE, SURE = 0.8, 0.85  # share of letters that two names have in common, for one to be meant by the other
MIN_LETTERS = 3  # of an abbreviation
PACKAGES = ("leafdist", "torch", "torchvision", "accelerate")


class Parser(argparse.ArgumentParser):
    """A parser with one-line errors that say the way out; `examples`, one command line each, stand below --help."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **options: Any) -> None:
        if examples:
            options["epilog"] = "\n".join(["examples:", *(f"  {line}" for line in examples)])
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options["allow_abbrev"] = False
        super().__init__(*arguments, **options)
        self.examples = tuple(examples)

    def add_argument(self, *flags: Any, **options: Any) -> argparse.Action:
        """Add an argument; its help shows the default, and a wrong one of `choices` is answered with the nearest."""
        if options.get("default", argparse.SUPPRESS) not in (None, "", [], argparse.SUPPRESS):
            options["help"] = f"{options.get('help', '')} (default: %(default)s)".strip()
        if choices := options.get("choices"):
            options["type"] = one_of(choices)
        return super().add_argument(*flags, **options)

    def error(self, message: str) -> NoReturn:
        """Print one line, with the flag that was likely meant, and exit with status 2."""
        word = message.removeprefix("unrecognized arguments: --").split(" ")[0].partition("=")[0]
        if message.startswith("unrecognized arguments: --"):
            near = nearest(word, (flag.lstrip("-") for flag in self._option_string_actions))
            message += f" (did you mean --{' or --'.join(near)}?)" if near else ""
        console.error(f"{message}. See {self.prog} --help", self.prog)
        raise SystemExit(WRONG_INPUT)


def one_of(choices: Iterable[str]) -> Callable[[str], str]:
    """A converter for argparse that refuses what is not one of `choices`."""

    def convert(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(unknown(text, choices))
        return text

    return convert


def unknown(given: str, known: Iterable[str]) -> str:
    """Say that `given` is none of `known`, with what was likely meant."""
    near = " or ".join(nearest(given, known))
    return f"{given}: unknown;{f' did you mean {near}?' if near else ''} known are {', '.join(known)}"


def nearest(given: str, known: Iterable[str], *, sure: bool = False) -> list[str]:
    """The one or two names that `given` likely means: it begins them, or a letter or two differ; else none.

    sure: only where hardly a letter differs.
    """
    names = list(dict.fromkeys(known))
    longer = [] if sure or len(given) < MIN_LETTERS else [name for name in names if name.startswith(given)]
    return longer if 0 < len(longer) <= 2 else difflib.get_close_matches(given, names, 2, SURE if sure else ALIKE)


class Version(argparse.Action):
    """Print the versions that decide over a result, one per line, and exit; none of the packages is imported."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        for name in PACKAGES:
            console.say(f"{name} {installed(name) or 'is not installed'}")
        console.say(f"python {platform.python_version()}")
        raise SystemExit(0)


def extra(name: str) -> str:
    """The command that installs an extra: of the checkout that this code lies in, or of the package."""
    root = Path(__file__).parents[2]
    if not (root / "pyproject.toml").is_file():
        return console.command("pip", "install", f"leafdist[{name}]")
    return console.command("pip", "install", "-e", f"{'.' if root == Path.cwd() else root}[{name}]")


def installed(name: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def listed(flag: str, text: str, known: Sequence[str]) -> list[str]:
    """The names in a list with commas. Raises ValueError for an unknown one."""
    names = text.split(",")
    if unknown := set(names) - set(known):
        raise ValueError(f"{flag} {text}: {', '.join(sorted(unknown))} unknown; known are {', '.join(known)}")
    return names
