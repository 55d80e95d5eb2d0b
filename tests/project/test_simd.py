"""`make simd` and back, in an environment of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from leafdist.prepare.sample import draw_sample
from tests.helpers.paths import REPO

HEADERS = "#include <stdio.h>\n#include <jpeglib.h>\n"


def has_headers() -> bool:
    try:
        done = subprocess.run(["cc", "-E", "-"], input=HEADERS, text=True, capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def call(*words: object) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not has_headers(), reason="needs a C compiler and jpeglib.h")
def test_pillow_simd_installs_decodes_and_leaves(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    call(sys.executable, "-m", "venv", tmp_path / "venv")
    call(python, "-m", "pip", "install", "--quiet", "numpy", "pillow>=11")
    draw_sample(tmp_path / "raw", per_class=1, side=64, seed=0)
    measure = (python, "benchmarks/decode.py", tmp_path / "raw")
    before = call(*measure, tmp_path / "pillow.npy")
    assert re.search(r"decoder: Pillow .*post", call("bash", "scripts/simd.sh", "on", python))
    after = call(*measure, tmp_path / "simd.npy", tmp_path / "pillow.npy")
    assert re.search(r"Pillow [\d.]+post", after), "packs name their decoder"
    found = re.search(r"pixels differ by (\d+) at most", after)
    assert found
    assert int(found[1]) <= 2
    assert "post" not in call("bash", "scripts/simd.sh", "off", python)
    assert call(*measure, tmp_path / "again.npy").split(":")[0] == before.split(":")[0]


def test_without_the_headers_nothing_is_changed(tmp_path: Path) -> None:
    command = ["env", "CC=false", "bash", "scripts/simd.sh", "on", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 2
    assert "no compiler with jpeglib.h" in done.stderr
