"""The command line of train.py: defaults, then the YAML file, then flags, to one resolved and checked `Config`."""

import argparse
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from leafdist.config.fields import Value, default_of, shown, type_of
from leafdist.config.piped import opened, read_text
from leafdist.config.resolve import resolve
from leafdist.config.schema import KEYS, SECTIONS, Config, flatten, from_dict, to_dict, unknown_key
from leafdist.config.values import KINDS, ConfigLoader, alternatives, expand, read_value
from leafdist.system import console, launched
from leafdist.system.errors import WRONG_INPUT

EXAMPLES = """Train a leaf-disease classifier.

  python train.py --config configs/baseline.yaml
  accelerate launch --multi_gpu --num_processes 4 train.py --config configs/resnet50.yaml --optim.lr 3e-4
  sbatch slurm/train.sbatch --config configs/resnet50.yaml --data.root /data/splitted

Defaults, then the file, then flags. batch_size and lr are those of the global batch, over all processes."""

FLAGS = ("config", "print_config", "help")  # beside the keys


class SettingsParser(argparse.ArgumentParser):
    """argparse whose errors are ours to word: raises ValueError."""

    def error(self, message: str) -> NoReturn:
        """Raises ValueError instead of leaving."""
        raise ValueError(message)


class Assign(argparse.Action):
    """Set a key to what its flag says; with `+`, add to its list. Raises ValueError where the type is another."""

    def __call__(self, parser: object, namespace: argparse.Namespace, text: Any, option: str | None = None) -> None:
        before = getattr(namespace, self.dest, [])
        adds = str(option).endswith("+")
        listed = adds and not text.strip().startswith("[")
        value = read_value(self.dest, [item.strip() for item in text.split(",")] if listed else text)
        setattr(namespace, self.dest, [*before, *value] if adds else value)


@contextmanager
def refusing(prog: str) -> Iterator[None]:
    """End the program with status 2 and one message, of rank 0, where wrong input is met inside."""
    try:
        yield
    except (ValueError, OSError) as error:
        if launched.speaks():
            console.error(error, prog)
        launched.explain(str(error))
        raise SystemExit(WRONG_INPUT) from None


def parse_config(argv: Sequence[str] | None = None, prog: str = "train.py") -> Config:
    """Read the command line; exit with 2 and one message on wrong input, with 0 after --help or --print_config.

    Only rank 0 prints.
    """
    with nullcontext() if launched.speaks() else redirect_stdout(io.StringIO()), refusing(prog):
        config, print_it = read_arguments(sys.argv[1:] if argv is None else argv, prog)
        if print_it:
            whole = "utf" in (sys.stdout.encoding or "utf").lower()  # YAML has escapes of its own for the others
            print(yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=whole), end="")
            raise SystemExit(0)
    return config


def read_arguments(argv: Sequence[str], prog: str) -> tuple[Config, bool]:
    """The configuration and whether to print it. Raises ValueError on wrong input."""
    if bare := [word for word in argv if word.endswith("=--")]:
        raise ValueError(f"{bare[0]}: -- ends the flags; choose another text")  # argparse would drop it
    parser = build_parser(prog)
    given, unknown = parser.parse_known_args(argv)
    if unknown:
        name = unknown[0].removeprefix("--").partition("=")[0]
        flag = unknown[0].startswith("--") and name
        raise ValueError(unknown_key(name, FLAGS) if flag else f"unrecognized arguments: {' '.join(unknown)}")
    files = [opened(Path(expand("--config", name))) for name in given.config]
    if len(files) > 1:
        raise ValueError(f"--config is given {len(files)} times: {', '.join(map(str, files))}; name one file")
    # a second time, over the file's values: flags win, and `+` adds to what the file says
    read = argparse.Namespace(**(read_file(files[0]) if files else {}))
    values = vars(parser.parse_args(argv, read))
    config = from_dict({name: value for name, value in values.items() if name in KEYS})
    name = config.run.name or default_name(files)
    return resolve(replace(config, run=replace(config.run, name=name))), given.print_config


def default_name(files: Sequence[Path]) -> str:
    """The name of the file, `run` for a pipe; in a sweep also W&B's id: all runs of it share the file."""
    at = files[0].parts[:3] if files else ("/", "dev")
    name = "run" if at[:2] in (("/", "dev"), ("/", "proc")) and at != ("/", "dev", "shm") else files[0].stem
    run = os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None
    return f"{name}-{run}" if run else name


def build_parser(prog: str) -> SettingsParser:
    """A parser with one flag per key; keys that are not given are absent from what it returns."""
    parser = SettingsParser(
        prog=prog,
        usage=f"{prog} [--config FILE.yaml] [--section.key VALUE ...]",
        description=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        metavar="FILE.yaml",
        action="append",
        default=[],
        help="read settings from this file; flags win over it",
    )
    parser.add_argument(
        "--print_config", action="store_true", default=False, help="print the resolved, checked settings and exit"
    )
    groups = {"": parser} | {name: parser.add_argument_group(name) for name in SECTIONS}
    for name, setting in KEYS.items():
        text = f"{setting.metadata['help']} (default: {shown(default_of(setting))})"
        kinds = "|".join(KINDS[kind][0] if kind in KINDS else kind for kind in alternatives(type_of(setting)))
        flags = [f"--{name}", f"--{name}+"] if setting.type == list[str] else [f"--{name}"]
        group = groups[name.rpartition(".")[0]]
        group.add_argument(*flags, action=Assign, dest=name, metavar=kinds, help=text.replace("%", "%%"))
    return parser


def read_file(path: Path) -> dict[str, Value]:
    """Settings by dotted key. Raises ValueError, naming the file, where it holds no known settings."""
    if not path.exists() or path.is_dir():
        raise ValueError(f"--config {path}: no such file (looked in {Path.cwd()})")
    try:
        return read_settings(read_text(path))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_settings(text: str) -> dict[str, Value]:
    """Settings by dotted key, of the text of a file. Raises ValueError or YAMLError."""
    content = yaml.load(text, ConfigLoader)
    values = flatten({} if content is None else content)
    return {name: read_value(name, value) for name, value in values.items()}
