"""`from leafdist import load_run`."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

import leafdist
from leafdist.runs.checkpoint import load_best
from leafdist.runs.evaluations import write_calibration
from leafdist.runs.results import Calibration
from leafdist.system.errors import UnreadablePhotoError
from tests.helpers.photos import CLASSES
from tests.helpers.untrained import untrained_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return untrained_run(tmp_path / "run", "baseline", CLASSES)


def test_a_loaded_run_classifies_photos(run: Path, photos: Path) -> None:
    write_calibration(run, Calibration(2.0, "val", 9, 1.0, 0.9, load_best(run)[1].sha256))
    model = leafdist.load_run(str(run))
    assert (model.classes, model.calibrated) == (CLASSES, True)
    paths = sorted((photos / "test").rglob("*.png"))
    answers = model.predict(map(str, paths), top=len(CLASSES))
    assert [answer.path for answer in answers] == paths
    for answer in answers:
        assert sorted(answer.classes) == sorted(CLASSES)
        assert sum(answer.probabilities) == pytest.approx(1, abs=1e-6)
    assert len(model.predict(paths[:1], top=2)[0].classes) == 2
    assert not dist.is_initialized()


def test_unreadable_photos_raise_errors(run: Path, tmp_path: Path) -> None:
    (tmp_path / "words.jpg").write_text("no picture")
    with pytest.raises(UnreadablePhotoError, match=r"words\.jpg cannot be decoded"):
        leafdist.load_run(run).predict([tmp_path / "words.jpg"])
    with pytest.raises(ValueError, match="top=0: must be at least 1"):
        leafdist.load_run(run).predict([], top=0)


def test_importing_leafdist_loads_nothing_else() -> None:
    code = "import sys, leafdist; print([name for name in sys.modules if name.startswith(('leafdist.', 'torch'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    assert leafdist.RunRecord.__name__ == "RunRecord"
    assert leafdist.__version__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = leafdist.nothing  # type: ignore[attr-defined]
