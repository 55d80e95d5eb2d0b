"""`leafdist train` and `leafdist evaluate` do what the scripts do: the same arguments, files and statuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from leafdist.__main__ import main
from tests.helpers.programs import TINY, Program, quiet_environment


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "--optim.lrr", "1"], 2, "leafdist train: error: optim.lrr: unknown key; did you mean optim.lr?"),
        (["train", "word"], 2, "leafdist train: error: unrecognized arguments: word"),
        (["evaluate"], 2, "leafdist evaluate: error: the following arguments are required: RUN"),
        (["evaluate", "x", "--splt", "val"], 2, "unrecognized arguments: --splt val (did you mean --split?)"),
        (["evaluate", "x", "--split", "vall"], 2, "vall: unknown; did you mean val?"),
        (["evaluate", "absent"], 2, "error: absent"),
    ],
)
def test_wrong_input_names_the_command(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = main(arguments)
    except SystemExit as left:
        found = int(str(left.code))
    assert (found, message in capsys.readouterr().err) == (status, True)


@pytest.mark.parametrize("arguments", [["train", "--help"], ["evaluate", "--help"], ["train", "--print_config"]])
def test_help_is_that_of_scripts(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert any(word in text for word in ("--optim.lr", "--groups", "lr: 0.001"))


@pytest.mark.slow
def test_commands_do_what_scripts_do(program: Program, photos: Path, tmp_path: Path) -> None:
    common = ["--data.root", photos, *TINY, "--train.epochs", 1]
    assert program("train.py", *common, "--run.name", "a").returncode == 0
    assert program("evaluate.py", tmp_path / "runs" / "a").returncode == 0
    for words in (["train", *common, "--run.name", "it's b"], ["evaluate", tmp_path / "runs" / "it's b"]):
        command = [sys.executable, "-m", "leafdist", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=quiet_environment(), check=True
        )
        if words[0] == "train":
            assert done.stdout.endswith("Next: leafdist evaluate 'runs/it'\"'\"'s b'\n")
    first, second = (json.loads((tmp_path / "runs" / name / "eval-test.json").read_text()) for name in ("a", "it's b"))
    assert (first["loss"], first["data"]) == (second["loss"], second["data"])
