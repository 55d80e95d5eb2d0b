"""What is skipped is named, and fails a run in CI unless it needs a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPO, SHARED

SKIPPED = """
import pytest
pytest.skip("no Slurm", allow_module_level=True)
"""
MARKED = """
import pytest

@pytest.mark.skipif(True, reason="needs a GPU")
@pytest.mark.parametrize("size", [1, 2])
def test_on_a_device(size):
    pass
"""


def run(folder: Path, *options: str, **variables: str) -> tuple[int, str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        "-p",
        "tests.helpers.skips",
        *options,
        str(folder),
    ]
    environment = os.environ | {"PYTHONPATH": str(REPO)} | variables
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_every_skip_is_named(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_marked.py").write_text(MARKED)
    status, output = run(tmp_path, "-n", workers, CI="true")
    assert status == 0
    assert "test_marked.py::test_on_a_device[1]: needs a GPU\n" in output
    assert "test_marked.py::test_on_a_device[2]: needs a GPU\n" in output

    (tmp_path / "test_skipped.py").write_text(SKIPPED)
    status, output = run(tmp_path, "-n", workers, CI="false")
    assert status == 0
    assert "test_skipped.py: no Slurm\n" in output


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is absent")
@pytest.mark.parametrize("workers", ["0", "2"])
def test_other_skips_fail_in_ci(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_marked.py").write_text(MARKED)
    (tmp_path / "test_skipped.py").write_text(SKIPPED)
    status, output = run(tmp_path, "-n", workers, CI="true")
    assert status == 1
    wrong = output.partition("must not be skipped in CI")[2]
    assert "test_skipped.py: no Slurm\n" in wrong
    assert "GPU" not in wrong
