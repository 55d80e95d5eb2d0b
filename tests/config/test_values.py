"""The same text means the same in a file and as a flag, or is an error in both; paths are expanded in both."""

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from leafdist.config.fields import type_of
from leafdist.config.parse import build_parser, default_name, parse_config, read_settings
from leafdist.config.schema import KEYS, RunConfig, from_dict
from leafdist.config.values import alternatives
from tests.helpers.paths import REPO

WORDS = r"""
3 -1 +7 010 007 0x10 0o17 0b11 1_000 1:30 1:30:00 12e3 1e3 1E-3 1e+3 .5 5. -.5 0.1 00.1 1,000 1e999 .inf -.inf 1e-05
inf nan .nan ~ null Null NULL none None yes Yes no on off y n true TRUE False 2024-01-01 2024-01-01T00:00:00Z #3 a#3 3#
&a *a !a !!int @a `a %a |a >a - ? : a:b a,b [] [a] [a,b] [1,~] {} {a:b} --- ... = << auto pack a|b it's "a" 'a'
\\ \n é 叶 🌿 1٣ ³ ½ ~/a ~nobody-here/x $HOME/a ${HOME}/b $NOT_SET/a ${} $$ $1 a$ 1.0e-05 0 -0 +0 1e400
"""
SPACED = r"""
|  3|3 |a b|a #b|# a|a: b|- a|? a|&a b|*a b|! a|!!str 3|[a, b]|[a, &b c]|[#3]|[a] #b|[a|{a: b}|"a" b|'a' b|[ ]|['#3']
"""
PIECES = [*"0123456789-+.:_#&*!~$'\"[]{},|>%@` eEx", "null", "true", "no", "e-", "a", "é"]
SAMPLES = {str((alternatives(type_of(key)), key.metadata.get("kind"))): name for name, key in KEYS.items()}


def texts(count: int) -> list[str]:
    draw = random.Random(0)
    return [
        *WORDS.split(),
        *SPACED.strip("\n").split("|"),
        "\t",
        "\N{NO-BREAK SPACE}",
        "\u200b",
        *("".join(draw.choices(PIECES, k=draw.randint(1, 5))) for _ in range(count)),
    ]


def of_file(name: str, text: str) -> object:
    section, _, key = name.rpartition(".")
    try:
        return read_settings(f"{section}:\n  {key}: {text}\n" if section else f"{key}: {text}\n")[name]
    except (ValueError, yaml.YAMLError):
        return ValueError


def of_flag(parser: argparse.ArgumentParser, name: str, text: str) -> object:
    try:
        return getattr(parser.parse_args([f"--{name}={text}"]), name)
    except ValueError:
        return ValueError


def as_yaml(text: str) -> object:
    """What YAML leaves of a bare text, without comments, quotes and blanks around it."""
    try:
        return yaml.load(f"- {text}\n", yaml.BaseLoader)[0]
    except yaml.YAMLError:
        return None


@pytest.mark.parametrize("name", SAMPLES.values())
def test_files_and_flags_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    parser = build_parser("train.py")
    for text in texts(300):
        flag, quoted, bare = (
            of_flag(parser, name, text),
            of_file(name, json.dumps(text, ensure_ascii=False)),
            of_file(name, text),
        )
        assert (type(quoted), quoted) == (type(flag), flag), text
        left = as_yaml(text)
        expected = of_flag(parser, name, left) if isinstance(left, str) else flag
        assert bare in (expected, ValueError), text
        if left == text:
            assert bare == flag, text


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("run.name", "#3", "#3"),
        ("run.name", "010", "010"),
        ("run.name", "1:30", "1:30"),
        ("run.name", "2024-01-01", "2024-01-01"),
        ("run.name", "no", "no"),
        ("run.name", "&a b", "&a b"),
        ("run.name", "null", None),
        ("track.tags", "[1, no, '#3']", ["1", "no", "#3"]),
        ("augment.scale", "[0.35, 1]", [0.35, 1.0]),
        ("augment.scale", "null", None),
        ("augment.scale", "None", None),
        ("track.entity", "None", None),
        *(("augment.scale", text, ValueError) for text in ("0.5", "[0.5]", "[a, b]", "[nan, 1]", "[0.1, 0.2, 0.3]")),
        ("optim.lr", "1e-05", 1e-5),
        ("train.compile", "on", True),
        ("train.epochs", " 3 ", 3),
        *(
            ("train.epochs", text, ValueError)
            for text in ("010", "1:30", "0x10", "1_000", "1e3", "3.0", "", "yes", "٣")
        ),
        *(("optim.lr", text, ValueError) for text in ("010", "1:30", "0x1", "1_0", ".inf", "nan", "1,5", "2024-01-01")),
        ("data.root", "~", ValueError),
        ("run.name", "--", ValueError),
        ("data.root", "~nobody-here/x", ValueError),
        ("data.root", "~/x", "/home/me/x"),
        ("data.cache", "$A_B/x", "/a/b/x"),
        ("model.weights", "${A_B}.pth", "/a/b.pth"),
        ("run.folder", "$HOME/$A_B$$x", "/home/me//a/b$x"),
        ("track.project", "$A_B", "$A_B"),
    ],
)
def test_a_text_has_one_meaning(name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("A_B", "/a/b")
    written = text if text.startswith("[") else json.dumps(text, ensure_ascii=False)
    assert [of_flag(build_parser("x"), name, text), of_file(name, written)] == [value, value]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {cache: $NOT_SET/x}", r"data\.cache=\$NOT_SET/x: \$NOT_SET is not set, or empty"),
        ("run: {folder: a$}", "must begin the name of a variable"),
        ("run: {folder: ~ghost/x}", "no home folder is known"),
        ("train: {epochs: 0x10}", r"train\.epochs=0x10: must be a whole number; numbers are decimal"),
        ("seed: 1\nrun: {name: &a b}", "line 2: anchors, aliases and tags are not read"),
        ("run: {name: *a}", "line 1: anchors"),
        ("seed: !!int 3", "line 1: anchors"),
    ],
)
def test_what_is_refused_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_settings(text)


@pytest.mark.parametrize(
    "name", ["", " ", "\t", "\u200b", ".", "..", "/", "a/b", "a\x1b[3m", "a\nb", "a\u2028b", "\x7f"]
)
def test_names_that_hide_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"run\.name=.*must be") as refused:
        RunConfig(name=name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("values", [{"tags": ["a", " "]}, {"project": "a\rb"}, {"entity": ""}])
def test_texts_that_hide_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"track\..*must be"):
        from_dict({"track": values})
    assert from_dict({"data": {"root": "a\nb"}}).data.root == "a\nb"  # a folder may have any name


@pytest.mark.parametrize("world", [1, 2])
def test_pipes_are_read_whole(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(world))
    ends = os.pipe()
    os.write(ends[1], b"seed: 3\n")
    os.close(ends[1])
    for _ in range(world):  # as many processes as read it
        config = parse_config(["--config", f"/dev/fd/{ends[0]}"])
        assert (config.seed, config.run.name) == (3, "run")
    os.close(ends[0])
    assert [default_name([Path(at)]) for at in ("/dev/stdin", "/dev/shm/a.yaml", "/tmp/b.yaml")] == ["run", "a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("source", ["<(cat)", "/dev/stdin"])
def test_launchers_pass_pipes_on(source: str, tmp_path: Path) -> None:
    launch = f"{sys.executable} -m accelerate.commands.launch --multi_gpu --num_processes 2 --main_process_port 0"
    printed = f"{launch} {REPO / 'train.py'} --config {source} --print_config"
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    command = ["bash", "-c", printed.replace("<(cat)", "<(echo 'seed: 3')")]
    done = subprocess.run(command, input="seed: 3\n", capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith("seed: 3\n"), done.stderr
