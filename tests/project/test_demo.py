"""What `make demo` asks before it trains."""

import re
import runpy
from pathlib import Path

import pytest

from leafdist.config.networks import RESNET50
from leafdist.models.weights import cached
from tests.helpers.paths import REPO


def test_demo_finds_cached_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    program = re.search(r"<<'END'\n(.*?)^END$", (REPO / "scripts" / "demo.sh").read_text(), re.DOTALL | re.MULTILINE)
    assert program
    (tmp_path / "find.py").write_text(program[1])
    file = cached(RESNET50.weights["IMAGENET1K_V2"])
    file.parent.mkdir(parents=True)
    file.touch()
    runpy.run_path(str(tmp_path / "find.py"))
