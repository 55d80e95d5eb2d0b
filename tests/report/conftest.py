"""A drawn run for reports."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.drawn_run import draw_run
from tests.helpers.report_text import CLASSES


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    return draw_run(folder / "runs" / "drawn", CLASSES, 200, folder / "splitted")


@pytest.fixture
def run(drawn: Path, tmp_path: Path) -> Path:
    """A copy to take things away from."""
    return Path(shutil.copytree(drawn, tmp_path / "drawn"))
