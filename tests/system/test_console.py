"""One look: plain and whole in a pipe, fitted to a terminal, without colours where they are not wanted."""

import os
import pty
import re
import subprocess
import sys
import termios

import pytest

from leafdist.system import console
from tests.helpers.paths import REPO

LONG = "Corn___Cercospora_leaf_spot" * 4
SHOW = f"""
from leafdist.system import console
console.table(("class", "photos"), [("[red]rust", 5), ({LONG!r}, 1234)], title="what", styles={{0: "red"}})
console.warn("beware")
console.error("data.root=x: no such folder", "leafdist audit")
with console.bar(2, "photo") as bar:
    bar.update()
"""


def on_terminal(code: str, columns: int = 60, **environment: str) -> str:
    """What `code` writes to a terminal of so many columns."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}  # xdist's
    values = inherited | {"PYTHONPATH": str(REPO), "TERM": "xterm"} | environment
    command = [sys.executable, "-c", code]
    child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=values)
    os.close(slave)
    text = b""
    while block := _read(master):
        text += block
    os.close(master)
    assert child.wait(60) == 0, text
    return text.decode().replace("\r\n", "\n")


def _read(file: int) -> bytes:
    try:
        return os.read(file, 65536)
    except OSError:  # Linux's way to say that the other side is closed
        return b""


def test_pipe_gets_plain_lines() -> None:
    environment = os.environ | {"PYTHONPATH": str(REPO), "COLUMNS": "20", "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    width = len(LONG)
    assert done.stdout.splitlines() == [
        "what",
        f"{'class':{width}}  photos",
        f"{'[red]rust':{width}}       5",
        f"{LONG}    1234",
    ]
    assert done.stderr == "warning: beware\nleafdist audit: error: data.root=x: no such folder\n"


def test_terminal_gets_colours_and_fitted_lines() -> None:
    text = on_terminal(SHOW)
    assert "\033[31m" in text
    assert "0/2" in text
    assert "[red]rust" in text  # a name, and no markup
    plain = re.sub(r"\033\[[0-9;?]*[mAKhl]", "", text)
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= 60
    assert LONG in re.sub(r"\s|1234", "", plain)  # folded, not cut


def test_no_color_drops_only_colours() -> None:
    text = on_terminal(SHOW.rsplit("with", 1)[0], NO_COLOR="1")
    assert "\033" not in text
    assert max(map(len, text.splitlines())) <= 60


def test_dumb_terminal_is_like_a_pipe() -> None:
    text = on_terminal(SHOW, TERM="dumb")
    assert "\033" not in text
    assert "0/2" not in text
    assert f"{LONG}    1234" in text


def test_number_columns_align_right(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("run", "accuracy", "note"), [["a", "99.5 %", "x"], ["bb", "-", "7 is not a number"]])
    lines = ["run  accuracy  note", "a      99.5 %  x", "bb          -  7 is not a number"]
    assert capsys.readouterr().out.splitlines() == lines
    console.table(("a", "n"), [])
    assert capsys.readouterr().out == "a  n\n"


@pytest.mark.parametrize(
    "code", ["from leafdist.__main__ import main; main(['splt'])", "import leafdist.system.console"]
)
def test_errors_import_nothing_slow(code: str) -> None:
    check = f"""
import sys
try:
    {code}
except SystemExit:
    pass
print([name for name in ("rich", "shtab", "numpy", "torch") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", check],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPO)},
        timeout=60,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_lines_beside_a_bar_stay_intact() -> None:
    lines = 'with console.bar(2, "photo") as bar:\n    bar.update()\n    console.say("[a]/b " * 20)'
    assert "[a]/b " * 20 in on_terminal(f"from leafdist.system import console\n{lines}")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("red\x1b[31m", r"red\x1b[31m"),
        ("title\x1b]0;x\a", r"title\x1b]0;x\x07"),
        ("two\nlines\r", r"two\nlines\r"),
        ("next\x85line\u2028", r"next\x85line\u2028"),
        ("gpj\u202e.exe\u2066", r"gpj\u202e.exe\u2066"),
        ("c1 \x9b31m \udcc2\udc9b", r"c1 \x9b31m \x9b"),
        ("latin \udce4", r"latin \xe4"),
        ("half \ud83d", r"half \ud83d"),
        ("Bl\udcc3\udca4tter", "Blätter"),
        ("叶 👩\u200d🌾", "叶 👩\u200d🌾"),
    ],
)
def test_names_never_steer_a_terminal(name: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.say(name, "bold")
    console.table([name], [[name]], title=name)
    console.say_aside(name)
    console.warn(name)
    console.error(name, "leafdist")
    out, err = capsys.readouterr()
    assert out.splitlines() == [shown] * 4
    assert err.splitlines() == [shown, f"warning: {shown}", f"leafdist: error: {shown}"]


def test_bar_shows_names_with_escapes() -> None:
    code = (
        "from leafdist.system import console\nwith console.bar(2, 'photo', 'a\\x1b[2Jb') as bar: bar.update(1, 'c\\nd')"
    )
    text = on_terminal(code)
    assert "\033[2J" not in text
    assert r"a\x1b[2Jb" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_escapes_for_what_the_encoding_lacks(encoding: str) -> None:
    code = "from leafdist.system import console, streams\nstreams.outlive()\nconsole.say('叶 \\udcff')"
    environment = os.environ | {"PYTHONPATH": str(REPO), "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, timeout=60, check=True)
    assert done.stdout == rb"\u53f6 \xff" + b"\n"
