"""What W&B and TensorBoard get beside the curves costs a line where it fails, nothing where it is off."""

import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, ModelConfig, TrackConfig
from leafdist.runs.checkpoint import save_best
from leafdist.runs.events import EndEvent
from leafdist.runs.facts import CheckpointMeta, Preprocessing, RunFacts, write_facts
from leafdist.runs.metrics_log import line_of
from leafdist.tracking.findings import Findings
from leafdist.tracking.run_tracker import open_tracker
from leafdist.tracking.showcase import Showcase, gallery
from leafdist.tracking.wandb_client import WandbRun
from leafdist.tracking.weights_biases import WeightsAndBiases
from tests.helpers.paths import REPO
from tests.helpers.photos import CLASSES, draw
from tests.helpers.trackers import EPOCH, RESULT, history, lines, metrics, of_kind, run_tracker, step, summary, tracked

pytestmark = pytest.mark.usefixtures("own_wandb")

HEADER = "path,label,predicted,confidence\n"


def best_of(run: Path, rows: str) -> None:
    """As the trainer leaves it, without a network."""
    config = resolve(Config(model=ModelConfig(name="baseline")))
    meta = CheckpointMeta(["a", "b"], Preprocessing.from_config(config.data), 0, 0.5, 0.6, config, sha256="")
    save_best(run / "best", {"weight": torch.zeros(2)}, meta)
    (run / "best" / "predictions-val.csv").write_text(HEADER + rows)
    write_facts(run, RunFacts("running", classes=["a", "b"]))


def finish(run: Path, showcase: Showcase) -> tuple[Path, list[str]]:
    """The piece of a training of one step, and the warnings."""
    said: list[str] = []
    tracker = run_tracker(run, mode="offline", showcase=showcase, say=said.append)
    tracker.log(step(1))
    tracker.close(0, RESULT)
    (piece,) = (run / "wandb").glob("offline-run-*")
    return piece, [line for line in said if "warning" in line]


def test_showcase_failures_are_one_line_each(tmp_path: Path) -> None:
    best_of(tmp_path, "a/1.jpg,a,c,0.5\n")
    (tmp_path / "best" / "meta.json").unlink()
    piece, warnings = finish(tmp_path, Showcase(tables=True, artifact=True))
    lacking = ("W&B lacks the tables of", "W&B lacks the best checkpoint of")
    assert len(warnings) == 2
    assert all(text in line for text, line in zip(lacking, warnings, strict=True))
    assert "'c', which is no class" in warnings[0]
    assert summary(piece)["best/val_accuracy"] == 0.5
    assert [found.get("exit_code", 0) for found in of_kind(piece, "exit")] == [0]
    assert metrics(tmp_path) == lines(step(1))


def test_switched_off_sends_curves_only(tmp_path: Path) -> None:
    best_of(tmp_path, "a/1.jpg,a,b,0.5\n")
    piece, warnings = finish(tmp_path, Showcase())
    assert (warnings, of_kind(piece, "artifact")) == ([], [])
    assert not (piece / "files" / "media").exists()
    assert len(history(piece)) == 1


def test_a_training_that_failed_shows_nothing(tmp_path: Path) -> None:
    best_of(tmp_path, "a/1.jpg,a,b,0.5\n")
    tracker = run_tracker(tmp_path, mode="offline", showcase=Showcase(tables=True, artifact=True))
    tracker.close(1, None)
    (piece,) = (tmp_path / "wandb").glob("offline-run-*")
    assert of_kind(piece, "artifact") == []


def test_track_settings_switch_each_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Showcase] = []

    def spied(run: Path, mode: str, about: WandbRun, showcase: Showcase) -> WeightsAndBiases:
        seen.append(showcase)
        return WeightsAndBiases(run, "off", about, showcase)

    monkeypatch.setattr("leafdist.tracking.run_tracker.WeightsAndBiases", spied)
    for tables, artifact in ((True, False), (False, True)):
        track = TrackConfig(tables=tables, artifact=artifact)
        open_tracker(Config(track=track), tmp_path, active=True).close(0, None)
        assert (seen[-1].tables, seen[-1].artifact) == (tables, artifact)


def test_missing_photos_leave_the_gallery(tmp_path: Path) -> None:
    photos = draw(tmp_path / "splitted", {"val": 2}) / "val"
    rows = [f'{CLASSES[0]}/{number:03}.png,{CLASSES[0]},"{CLASSES[1]}",0.{9 - number}\n' for number in range(3)]
    (tmp_path / "predictions-val.csv").write_text(HEADER + "".join(rows))
    findings = Findings.read(tmp_path / "predictions-val.csv", CLASSES)
    shown = list(gallery(findings, Showcase(photos=photos, fit="crop")))
    assert [text.rsplit(": ", 1)[1] for _, text in shown] == [f"{CLASSES[0]}/{number:03}.png" for number in range(2)]
    assert "(90%)" in shown[0][1]
    assert {(picture.shape, picture.dtype) for picture, _ in shown} == {((224, 224, 3), np.dtype(np.uint8))}
    assert list(gallery(findings, Showcase())) == []


def board(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return found


def points(folder: Path, name: str) -> list[tuple[int, Any]]:
    return [(point.step, point.value) for point in board(folder).Scalars(name)]


KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from tests.helpers.trackers import EPOCH, step, tracked
tracker = tracked(Path(sys.argv[1]))
for number in range(1, 7):
    tracker.log(step(number, loss=1 / number))
    if number == 4:
        tracker.log(replace(EPOCH, step=4))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("validated", [True, False])
def test_points_appear_once_after_kill(validated: bool, tmp_path: Path) -> None:
    """Killed after step 6; the checkpoint holds step 4, at the end of epoch 1, before or after its validation."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=REPO, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    time.sleep(1.1)  # TensorBoard reads files in the order of their seconds
    tracker = tracked(tmp_path, position=(int(validated), 4))
    if not validated:
        tracker.log(replace(EPOCH, step=4))
    tracker.log(step(5, loss=0.2))
    tracker.log(EndEvent("finished"))
    tracker.close(0, RESULT)
    folder = tmp_path / "tensorboard"
    assert points(folder, "train/loss") == [(number, pytest.approx(1 / number)) for number in range(1, 6)]
    assert points(folder, "val/loss") == [(4, pytest.approx(0.6))]
    assert points(folder, "best/val_accuracy") == [(5, 0.5)]


def test_turned_on_late_includes_earlier_points(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(line_of(step(1)) + line_of(step(2, loss=math.nan)))
    tracked(tmp_path, position=(0, 2)).close(75, None)
    (first, second) = points(tmp_path / "tensorboard", "train/loss")
    assert (first, second[0], np.isnan(second[1])) == ((1, 1.0), 2, True)


def test_unwritable_board_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file in its place")
    said: list[str] = []
    tracker = tracked(tmp_path, say=said.append)
    tracker.log(step(1))
    tracker.close(0, None)
    assert len(said) == 1
    assert said[0].startswith("warning: TensorBoard is off")
    assert metrics(tmp_path) == lines(step(1))


def test_missing_package_names_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(Config(track=TrackConfig(tensorboard=True)))
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as Python marks what cannot be imported
    with pytest.raises(ValueError, match=r"pip install tensorboard.*or leave it false"):
        resolve(Config(track=TrackConfig(tensorboard=True)))
