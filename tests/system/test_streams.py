"""No line that cannot be printed ends a program."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leafdist.system import files
from tests.helpers.paths import REPO

HEAD = "from leafdist.system import streams; import os, sys, warnings; streams.outlive({})\n"
PRINT = "print('a' * 9999, flush=True); print('b', file=sys.stderr); warnings.warn('c'); open('kept', 'w').write('d')\n"
LOST = [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>&1", "2>/dev/full", "</dev/null 1<&0"]
LOST += ["| true", "2>&1 | true", ">&- 2>/dev/full"]


def shell(code: str, streams: str, tmp_path: Path) -> tuple[int, str]:
    """Status and output of Python code whose streams are redirected as a shell does."""
    (tmp_path / "code.py").write_text(code)
    line = f"set -o pipefail; {sys.executable} -X dev code.py {streams}"
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("streams", LOST)
def test_lost_lines_end_no_program(streams: str, tmp_path: Path) -> None:
    status, text = shell(HEAD.format("") + PRINT * 20, streams, tmp_path)
    assert status == 0, text
    assert "Traceback" not in text
    assert "Exception ignored" not in text
    assert (tmp_path / "kept").read_text() == "d", "and not what was printed"


def test_lines_go_to_standard_error_instead(tmp_path: Path) -> None:
    assert "saved" in shell(HEAD.format("") + "print('saved', flush=True)", ">/dev/full", tmp_path)[1]


def test_names_beyond_the_encoding_are_escaped(tmp_path: Path) -> None:
    code = HEAD.format("") + r"print('\udcff \u2028 \u00e9')"
    assert shell(code, "", tmp_path)[0] == 0
    assert shell("import os; os.environ['PYTHONIOENCODING'] = 'ascii'\n" + code, "", tmp_path)[0] == 0


def test_last_call_counts(tmp_path: Path) -> None:
    """As in `leafdist train`, which is a command first."""
    assert shell(HEAD.format("strict=True") + PRINT, ">/dev/full", tmp_path)[0] != 0
    assert shell(HEAD.format("strict=True") + "streams.outlive()\n" + PRINT, ">/dev/full", tmp_path)[0] == 0


def test_closed_numbers_take_no_file(tmp_path: Path) -> None:
    """What a C library prints would land in it."""
    code = HEAD.format("") + "file = open('kept', 'w'); os.write(1, b'noise'); os.write(2, b'noise')"
    assert shell(code, "<&- >&- 2>&-", tmp_path)[0] == 0
    assert (tmp_path / "kept").read_text() == ""


def test_non_blocking_pipe_gets_everything(tmp_path: Path) -> None:
    code = HEAD.format("") + "os.set_blocking(1, False)\nfor _ in range(200): print('x' * 999, flush=True)"
    assert shell(code, "| (sleep 0.5; wc -c)", tmp_path) == (0, "200000\n")


@pytest.mark.parametrize(("command", "status"), [("--version", 2), ("runs . --json", 2), ("--help", 2), ("nope", 2)])
def test_commands_end_without_traceback(command: str, status: int, tmp_path: Path) -> None:
    code = f"import sys; from leafdist.__main__ import main; sys.exit(main({command.split()}))"
    found, text = shell(code, ">/dev/full", tmp_path)
    assert found in (status, 0 if command == "--help" else status)  # newer argparses pass over what they cannot print
    assert "Traceback" not in text
    assert "No space left" in text or command in ("nope", "--help")


def test_pipes_are_written_as_they_are() -> None:
    """Nothing is put in the pipe's stead."""
    out, given = os.pipe()
    files.write_json(Path(f"/dev/fd/{given}"), {"a": 1})
    os.close(given)
    with os.fdopen(out) as read:
        assert json.load(read) == {"a": 1}
