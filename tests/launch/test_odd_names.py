"""Odd names of classes, photos and runs in odd locales, in short; benchmarks/odd_names.py is the long form."""

import subprocess
import sys

import pytest

from tests.helpers.paths import REPO


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])
def test_odd_names_pass_every_command(seed: int) -> None:
    command = [sys.executable, "benchmarks/odd_names.py", "1", str(seed)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
