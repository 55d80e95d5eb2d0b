"""model.tflite by the real litert-torch, in an environment on top of the one of the tests; docs/export.md says why."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from leafdist.__main__ import main
from leafdist.export import litert_file
from leafdist.runs.checkpoint import load_best
from tests.helpers.paths import REPO
from tests.helpers.photos import CLASSES
from tests.helpers.untrained import make_refusing, untrained_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return untrained_run(tmp_path / "run", "baseline", CLASSES, crop=48, root="gone")


@pytest.mark.slow
def test_tflite_answers_and_describes_itself(run: Path, tmp_path: Path) -> None:
    """The export compares scores, confidence and distance with PyTorch's, and fails where they differ."""
    make_refusing(run, 1.7)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv").glob("lib/*/site-packages")
    (site / "tests.pth").write_text(sysconfig.get_path("purelib"))
    for package in ("litert-torch==0.10.*", "typing-extensions>=4.14"):
        subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
    command = [str(python), "-m", "leafdist", "export", str(run), "--formats", "litert", "--preprocess"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(ZipFile(run / "export" / "model.tflite").read("leafdist.json"))
    assert (facts["classes"], facts["checkpoint"]) == (list(CLASSES), load_best(run)[1].sha256)
    assert facts["preprocessing"]["inside"]


def test_missing_litert_says_how_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(litert_file, "NEEDED", ("litert_something",))
    assert main(["export", str(run), "--formats", "litert"]) == 2
    assert "LiteRT needs litert_something: pip install litert-torch" in capsys.readouterr().err
