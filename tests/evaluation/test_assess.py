"""Judging a run that still trains, and one whose classes are not all in test."""

import json
import shutil
from pathlib import Path

import pytest
from torch import nn

from leafdist.distributed.runtime import Runtime
from leafdist.evaluation import judging
from leafdist.evaluation.assess import Request, assess
from leafdist.evaluation.evaluate import evaluate
from leafdist.evaluation.headline import remarks
from leafdist.evaluation.predictions import Predictions
from leafdist.runs.checkpoint import load_best, save_best
from tests.helpers.photos import CLASSES, draw
from tests.helpers.untrained import untrained_run


def test_evaluation_describes_the_checkpoint_it_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw(tmp_path / "splitted", {"train": 1, "val": 4, "test": 2})
    run = untrained_run(tmp_path / "run", "baseline", CLASSES, root=str(photos))
    tensors, meta = load_best(run)
    judged = meta.sha256

    def meanwhile(model: nn.Module, *arguments: object, **options: object) -> Predictions:
        better = {name: value + 1 if value.is_floating_point() else value for name, value in tensors.items()}
        save_best(run / "best", better, meta)
        return evaluate(model, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(judging, "evaluate", meanwhile)
    runtime = Runtime()
    assess(run, Request(), runtime)
    runtime.close()
    assert load_best(run)[1].sha256 != judged
    for name in ("eval-test.json", "calibration.json"):
        assert json.loads((run / name).read_text())["checkpoint"] == judged


@pytest.mark.parametrize("root", [None, "splitted"])
def test_classes_without_test_photos_are_named(tmp_path: Path, root: str | None) -> None:
    photos = draw(tmp_path / "splitted", {"train": 1, "val": 2, "test": 2})
    run = untrained_run(tmp_path / "run", "baseline", CLASSES, root=str(photos))
    shutil.rmtree(photos / "test" / CLASSES[0])
    runtime = Runtime()
    found = assess(run, Request(root=root and str(photos)), runtime).evaluation
    runtime.close()
    assert found.absent == [CLASSES[0]]
    assert found.images == 2 * (len(CLASSES) - 1)
    assert f"classes of the run without a photo: {CLASSES[0]}" in remarks(found)
