"""The terminal: help that teaches by examples which are right, completion in a real shell, Ctrl-C in one line."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leafdist.__main__ import build_parser, commands_of, main
from leafdist.system import console
from leafdist.system.arguments import Parser, extra, nearest
from tests.helpers.docs_commands import check_commands
from tests.helpers.paths import REPO

COMMANDS = commands_of(build_parser())
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPO)}
LEAFDIST = [sys.executable, "-m", "leafdist"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_valid_examples(name: str) -> None:
    parser = COMMANDS[name]
    assert parser.examples, f"leafdist {name} has no examples"
    for example in parser.examples:
        assert f"leafdist {name}" in example
        assert example in parser.format_help()
        check_commands(example)


def test_unknown_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["comprae", "a", "b"])
    error = capsys.readouterr().err
    assert left.value.code == 2
    assert error.startswith("leafdist: error: command comprae: unknown; did you mean compare? known are sample-data,")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--mode hardlnk", "argument --mode: hardlnk: unknown; did you mean hardlink? known are copy, hardlink"),
        ("--seed", "argument --seed: expected one argument"),
        ("--mod copy", "unrecognized arguments: --mod copy (did you mean --mode?)"),
        ("--folder x", "unrecognized arguments: --folder x"),
    ],
)
def test_wrong_choice_gets_a_suggestion(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="split")
    parser.add_argument("--mode", choices=("copy", "hardlink"))
    parser.add_argument("--seed", type=int)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(words.split())
    assert capsys.readouterr().err == f"split: error: {message}. See split --help\n"


def test_completion_names_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("leafdist.system.completion.find_spec", lambda name: None)
    assert main(["completion", "bash"]) == 2
    assert "pip install -e " in capsys.readouterr().err


def test_extras_install_from_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    assert extra("export") == "pip install -e '.[export]'"
    monkeypatch.chdir(tmp_path)
    assert extra("export") == f"pip install -e '{REPO}[export]'"
    monkeypatch.setattr("leafdist.system.arguments.__file__", str(tmp_path / "leafdist" / "system" / "arguments.py"))
    assert extra("export") == "pip install 'leafdist[export]'"


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("evalute", ["evaluate"]),
        ("trian", ["train"]),
        ("eval", ["evaluate"]),
        ("comp", ["compare", "completion"]),
        ("spilt", ["split"]),
        ("list", []),  # six of nine letters of `split`
        ("download", []),
        ("t", []),
        ("help", []),
    ],
)
def test_suggestions_are_right_or_silent(given: str, near: list[str]) -> None:
    known = ["split", "train", "evaluate", "compare", "completion", "doctor", "runs", "sync", "export"]
    assert sorted(nearest(given, known)) == near


@pytest.mark.parametrize(
    ("count", "one", "text"),
    [(1, "photo", "1 photo"), (0, "photo", "0 photos"), (2, "process", "2 processes"), (1234, "step", "1,234 steps")],
)
def test_one_has_no_plural(count: int, one: str, text: str) -> None:
    assert console.counted(count, one) == text


def test_commands_can_be_pasted() -> None:
    for name in ("a b", "it's", "$HOME", "#3", "-x", "*", "a\nb", "é", '"', "~"):
        assert shlex.split(console.command("leafdist", "sync", Path("runs", name)))[2] == f"runs/{name}"


def test_version_names_what_affects_results(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    lines = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert left.value.code == 0
    assert list(lines) == ["leafdist", "torch", "torchvision", "accelerate", "python"]


def completed(shell_words: list[str], folder: Path) -> list[str]:
    """What bash offers for the last word."""
    script = subprocess.run([*LEAFDIST, "completion", "bash"], capture_output=True, env=ENVIRONMENT, check=True).stdout
    (folder / "completion.bash").write_bytes(script)
    words = shlex.join(shell_words)
    code = (
        f'. ./completion.bash; COMP_WORDS=({words}); COMP_CWORD={len(shell_words) - 1}; _shtab_leafdist "" {words[-1]}'
    )
    done = subprocess.run(
        ["bash", "-c", code + '; printf "%s\\n" "${COMPREPLY[@]}"'],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_commands_flags_and_values(tmp_path: Path) -> None:
    (tmp_path / "splitted").mkdir()
    (tmp_path / "split.txt").touch()
    assert completed(["leafdist", "sam"], tmp_path) == ["sample-data"]
    assert completed(["leafdist", "split", "--gro"], tmp_path) == ["--groups"]
    assert completed(["leafdist", "split", "--mode", "h"], tmp_path) == ["hardlink"]
    assert completed(["leafdist", "audit", "spl"], tmp_path) == ["splitted"]
    assert completed(["leafdist", "export", "run", "--data", "spl"], tmp_path) == ["splitted"]
    assert set(completed(["leafdist", "predict", "run", "spl"], tmp_path)) == {"splitted", "split.txt"}


def test_the_script_for_zsh_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#compdef leafdist\n")
    assert [name for name in COMMANDS if f"{name}:" not in text] == []
    if shutil.which("zsh"):
        (tmp_path / "_leafdist").write_text(text)
        subprocess.run(["zsh", "-n", str(tmp_path / "_leafdist")], check=True)


@pytest.mark.slow
def test_ctrl_c_ends_command_and_helpers(tmp_path: Path) -> None:
    command = [*LEAFDIST, "sample-data", "raw", "--per-class", "300", "--side", "64"]
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path, env=ENVIRONMENT, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".raw.*/photos/*/0010.jpg")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to all of them
    out, error = child.communicate(timeout=60)
    assert (child.returncode, out, error) == (130, "", "leafdist sample-data: stopped\n")
    assert list(tmp_path.iterdir()) == []


def test_closed_pipe_is_no_error() -> None:
    command = f"{shlex.join(LEAFDIST)} completion zsh | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert (done.stdout, done.stderr) == ("#compdef leafdist\n", "")


def test_help_and_errors_come_at_once() -> None:
    """The limit is lax, for machines under load; the modules are what takes time."""
    code = (
        "import sys; from leafdist.__main__ import build_parser; build_parser().format_help(); "
        "print([name for name in ('torch', 'numpy', 'rich', 'scipy', 'yaml', 'wandb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert done.stdout == "[]\n"
