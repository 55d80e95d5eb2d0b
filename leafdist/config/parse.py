"""The command line of train.py: defaults, then the YAML file, then flags, to one resolved and checked `Config`.

jsonargparse parses and checks types; reading the file, unknown keys, messages and exit statuses are mended here.
"""

import io
import os
import re
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import yaml

from leafdist.config.fields import default_of
from leafdist.config.schema import KEYS, SECTIONS, Config, flatten, from_dict, resolve, to_dict, unknown_key
from leafdist.system.errors import WRONG_INPUT

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

EXAMPLES = """Train a leaf-disease classifier.

  python train.py --config configs/baseline.yaml
  accelerate launch --multi_gpu --num_processes 4 train.py --config configs/resnet50.yaml --optim.lr 3e-4
  sbatch slurm/train.sbatch --config configs/resnet50.yaml --data.root /data/splitted

Defaults, then the file, then flags. batch_size and lr are those of all processes together."""
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text (in YAML, quote it)"}
WORDS |= {type(None): "null", list[str]: "a list of texts, such as [a,b]"}


class ConfigLoader(yaml.SafeLoader):
    """YAML 1.2's scalars: `no` and `off` are words and `1e-3` is a number; a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{name} is given twice")
        return super().construct_mapping(node, deep)


ConfigLoader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in rules if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")
    ]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
ConfigLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$", re.IGNORECASE), [*"tTfF"])
ConfigLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?$|[-+]?\.inf$|\.nan$"),
    [*"-+.0123456789"],
)


@contextmanager
def refusing(prog: str) -> Iterator[None]:
    """Wrong input that is met inside ends the program with status 2 and one message, of rank 0."""
    try:
        yield
    except (ValueError, OSError) as error:
        if os.environ.get("RANK", "0") == "0":
            print(f"{prog}: error: {error}", file=sys.stderr)
        raise SystemExit(WRONG_INPUT) from None


def parse_config(argv: Sequence[str] | None = None, prog: str = "train.py") -> Config:
    """Leaves with status 2 and one message on wrong input; 0 after --help or --print_config. Only rank 0 speaks."""
    silent = os.environ.get("RANK", "0") != "0"
    with redirect_stdout(io.StringIO()) if silent else nullcontext(), refusing(prog):
        config, print_it = read_arguments(sys.argv[1:] if argv is None else argv, prog)
        if print_it:
            print(yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True), end="")
            raise SystemExit(0)
    return config


def read_arguments(argv: Sequence[str], prog: str) -> tuple[Config, bool]:
    """The configuration and whether to print it. Raises ValueError on wrong input."""
    from jsonargparse import ArgumentError

    parser = build_parser(prog)
    try:
        files = parser.parse_args(argv, defaults=False).get("config") or []
        if len(files) > 1:
            raise ValueError(f"--config is given {len(files)} times: {', '.join(files)}; name one file")
        read = parser.parse_object(read_file(Path(files[0])) if files else {}, defaults=False)
        values = parser.parse_args(argv, namespace=read, defaults=False).as_dict()
    except ArgumentError as error:
        raise ValueError(explain(str(error))) from None
    values.pop("config", None)
    print_it = values.pop("print_config", False)
    config = from_dict(values)
    name = config.run.name or default_name(files)
    return resolve(replace(config, run=replace(config.run, name=name))), print_it


def default_name(files: Sequence[str]) -> str:
    """That of the file; in a sweep also W&B's id of the run, since all runs of it share the file."""
    name = Path(files[0]).stem if files else "run"
    run = os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None
    return f"{name}-{run}" if run else name


def build_parser(prog: str) -> "ArgumentParser":
    """One flag a key: nothing but plain types, so that messages and dataclasses stay ours."""
    from jsonargparse import ArgumentParser, DefaultHelpFormatter

    class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """Keeps the lines of the examples."""

    parser = ArgumentParser(
        prog=prog,
        usage=f"{prog} [--config FILE.yaml] [--section.key VALUE ...]",
        description=EXAMPLES,
        formatter_class=Formatter,
        exit_on_error=False,
        allow_abbrev=False,
        print_config=None,
    )
    parser.add_argument("--config", metavar="FILE.yaml", action="append", help="read settings from it")
    parser.add_argument("--print_config", action="store_true", help="print the resolved, checked settings and exit")
    groups = {"": parser} | {name: parser.add_argument_group(name) for name in SECTIONS}
    for name, setting in KEYS.items():
        groups[name.rpartition(".")[0]].add_argument(
            f"--{name}", type=setting.type, default=default_of(setting), help=setting.metadata["help"]
        )
    return parser


def read_file(path: Path) -> dict[str, Any]:
    """Settings by dotted key. Raises ValueError, naming the file, where it holds no known settings."""
    if not path.is_file():
        raise ValueError(f"--config {path}: no such file (looked in {Path.cwd()})")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), ConfigLoader)
        values = flatten({} if content is None else content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for name, value in values.items():
        if value is None and type(None) not in get_args(KEYS[name].type):
            raise ValueError(f"{path}: {explain_value(name, 'null')}")
    return values


def explain(message: str) -> str:
    """jsonargparse's message in our words."""
    if flag := re.match(r"unrecognized arguments: --([^\s=]+)", message):
        return unknown_key(flag[1])
    if found := re.match(r'Parser key "([\w.]+)":(?s:.*)[Vv]alue: (.*)$', message):
        return explain_value(found[1], found[2])
    return message


def explain_value(name: str, value: str) -> str:
    return f"{name}={value}: must be {describe(KEYS[name].type)}; the default is {default_of(KEYS[name])}"


def describe(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    return WORDS.get(hint) or " or ".join(map(describe, get_args(hint)))
