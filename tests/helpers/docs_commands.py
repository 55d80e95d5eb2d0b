"""The shell commands of the docs: found in their blocks, and held against the parsers of the programs they call."""

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from unittest.mock import patch

from leafdist.__main__ import build_parser, commands_of, parse
from leafdist.config.parse import parse_config
from leafdist.config.schema import KEYS, SECTIONS
from tests.helpers.paths import REPO

NEEDS = {"gpu", "cluster", "network", "minutes", "photos"}
OTHERS = {
    "cat",
    "cd",
    "cp",
    "find",
    "git",
    "head",
    "jupyter",
    "ls",
    "mkdir",
    "pip",
    "source",
    "tar",
    "tensorboard",
    "wandb",
}  # not ours
PROGRAMS = OTHERS | {"leafdist", "python", "accelerate", "torchrun", "srun", "sbatch", "make", "bash"}
SBATCH = {"--gres", "--nodes", "--cpus-per-task", "--time", "--array", "--mem", "--partition", "--account", "--requeue"}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
SETTING = re.compile(rf"`(?:--)?((?:{'|'.join(SECTIONS)})\.[a-z_]+)(?![a-z_.(/]|\.)")
FILES = (".py", ".md", ".json", ".yaml", ".sbatch", ".csv", ".html", ".onnx", ".pt", ".safetensors", ".tflite")


class Block(NamedTuple):
    """needs: of NEEDS; empty: it runs as it stands."""

    needs: tuple[str, ...]
    text: str


def blocks(page: str) -> list[Block]:
    """Raises ValueError for one that holds commands and does not say so."""
    found = []
    for info, text in FENCE.findall(page):
        language, *needs = info.split() or [""]
        if language == "sh":
            if unknown := set(needs) - NEEDS:
                raise ValueError(f"a block of commands needs {min(unknown)}: known are {', '.join(sorted(NEEDS))}")
            found.append(Block(tuple(needs), text))
        elif not language and any(line.split()[0] in PROGRAMS for line in text.splitlines() if line.split()):
            raise ValueError(f"commands in a block that is not marked sh: {text.splitlines()[0]}")
    return found


def commands(text: str) -> Iterator[list[str]]:
    """Words of each command of a block; what a here-document holds is none."""
    text = re.sub(r"<<\s*(\w+)\n.*?^\1$", "", text.replace("\\\n", " "), flags=re.MULTILINE | re.DOTALL)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = min((words.index(mark) for mark in ("|", "&&", ";") if mark in words), default=len(words))
            yield words[:end]
            words = words[end + 1 :]


def check_commands(text: str) -> None:
    written = set(re.findall(r"^cat > (\S+) <<", text, re.MULTILINE))
    for words in commands(text):
        if words[:1] != ["python"] or words[1] not in written:
            check(words)


def check(words: Sequence[str]) -> None:
    """Raises ValueError for a command that its program would not take."""
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    if ">" in words:
        words = words[: words.index(">")]
    if not words:
        return
    name, *rest = words
    error = io.StringIO()
    try:
        with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(REPO):
            check_program(name, rest)
    except SystemExit as left:
        if left.code:
            raise ValueError(f"{shlex.join(words)}: {error.getvalue().strip()}") from None


def check_program(name: str, rest: list[str]) -> None:
    """Check a command of one of our programs; SystemExit where its parser refuses it."""
    if name == "leafdist":
        if settings := parse(rest).settings:
            parse_config(settings)
    elif name in ("python", "bash"):
        check_python(rest)
    elif name in ("accelerate", "torchrun"):
        check_launcher(name, rest)
    elif name == "srun":
        check_program(rest[0], rest[1:])
    elif name == "sbatch":
        check_sbatch(rest)
    elif name == "make":
        exists(f"\n{rest[0]}:" in (REPO / "Makefile").read_text(), f"make {rest[0]}")
    else:
        exists(name in OTHERS, name)
        for word in rest:
            exists((REPO / word).exists() or not word.startswith(("configs/", "slurm/", "scripts/")), word)


def check_python(rest: list[str]) -> None:
    if rest[0] == "-m":
        module = rest[1].replace(".", "/")
        exists(rest[1] in ("venv", "pip") or (REPO / f"{module}.py").exists(), rest[1])
        return
    exists((REPO / rest[0]).exists(), rest[0])
    if rest[0] == "train.py":
        parse_config(rest[1:])
    elif rest[0] == "evaluate.py":
        check_evaluate(rest[1:])


def check_evaluate(rest: list[str]) -> None:
    import evaluate

    with patch.object(sys, "argv", ["evaluate.py", *rest]), patch("leafdist.distributed.job.run", return_value=0):
        evaluate.main()


def check_launcher(name: str, rest: list[str]) -> None:
    """The launcher's flags by the launcher's parser, the rest as the script's."""
    from accelerate.commands.launch import launch_command_parser
    from torch.distributed.run import get_args_parser

    parser = launch_command_parser() if name == "accelerate" else get_args_parser()
    flags = rest[1:] if name == "accelerate" else rest
    parsed = parser.parse_args(flags)
    if parsed.module and parsed.training_script == "leafdist":
        check_program("leafdist", parsed.training_script_args)
    else:
        check_python([parsed.training_script, *parsed.training_script_args])


def check_sbatch(rest: list[str]) -> None:
    first = next(first for first, word in enumerate(rest) if not word.startswith("-"))
    for flag in rest[:first]:
        exists(flag.split("=")[0] in SBATCH, f"sbatch {flag}")
    script, *arguments = rest[first:]
    exists((REPO / script).exists(), script)
    if script.startswith("slurm/evaluate"):
        check_evaluate(arguments)
    elif script.startswith("slurm/doctor"):
        check_program("leafdist", ["doctor", *arguments])
    elif script.startswith(("slurm/train", "slurm/smoke", "slurm/folds")):
        parse_config(arguments)


def exists(found: bool, what: str) -> None:
    """Raises ValueError."""
    if not found:
        raise ValueError(f"{what}: there is no such thing")


def check_inline(page: str) -> None:
    """Commands and settings between backquotes: names and flags must be known; placeholders may stand for values."""
    prose = FENCE.sub("", page)
    known = commands_of(build_parser())
    for setting in SETTING.findall(prose):
        if setting not in KEYS and not setting.endswith(FILES):
            raise ValueError(f"`{setting}`: there is no such setting")
    for text in INLINE.findall(prose):
        words = text.split()
        if words[0] != "leafdist" or len(words) < 2 or words[1].startswith("-"):
            continue
        if words[1] not in known:
            raise ValueError(f"`{text}`: there is no such command")
        flags = {word.strip("[]").split("=")[0] for word in words[2:] if word.strip("[]").startswith("--")}
        parser = known[words[1]]
        settings = {f"--{key}" for key in KEYS} | {"--config"} if parser.get_default("takes_settings") else set()
        if unknown := flags - set(parser._option_string_actions) - settings:
            raise ValueError(f"`{text}`: {min(unknown)} is unknown")
