"""metrics.jsonl: always written, valid JSON, and cut back to what the checkpoint holds."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from leafdist.config.schema import Config, TrackConfig
from leafdist.runs.events import EndEvent, StepEvent
from leafdist.runs.metrics_log import cut_back, line_of, read_events
from leafdist.tracking.run_tracker import open_tracker
from tests.helpers.trackers import EPOCH, START, lines, metrics, run_tracker, step


def test_metrics_flush_and_nan_is_null(tmp_path: Path) -> None:
    tracker = run_tracker(tmp_path, mode="off")
    for loss in (math.nan, math.inf):
        tracker.log(step(1, loss=loss))
    assert [line["loss"] for line in metrics(tmp_path)] == [None, None]
    assert [math.isnan(event.loss) for event in read_events(tmp_path / "metrics.jsonl") if isinstance(event, StepEvent)]
    tracker.close(0, None)
    assert not (tmp_path / "wandb").exists()


def test_resume_truncates_repeated_lines(tmp_path: Path) -> None:
    later, end = replace(EPOCH, epoch=1, step=4), EndEvent("failed")
    text = "".join(line_of(event) for event in (START, step(1), step(2), EPOCH, step(3), later, end))
    (tmp_path / "metrics.jsonl").write_text(text + '{"event": "step", "st', encoding="utf-8")
    tracker = run_tracker(tmp_path, mode="off", position=(1, 2))
    tracker.log(step(3))
    tracker.close(0, None)
    assert metrics(tmp_path) == lines(START, step(1), step(2), EPOCH, end, step(3))


def test_fresh_start_drops_old_steps(tmp_path: Path) -> None:
    for _ in range(2):
        tracker = run_tracker(tmp_path, mode="off")
        tracker.log(START)
        tracker.log(step(1))
        tracker.close(1, None)
    assert metrics(tmp_path) == lines(START, START, step(1))


def test_failed_truncation_keeps_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(line_of(step(5)), encoding="utf-8")

    def full(_: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("leafdist.system.files.flush", full)
    with pytest.raises(OSError, match="disk full"):
        cut_back(path, 0, 1)
    assert metrics(tmp_path) == lines(step(5))


def test_rank_0_tracks_as_configured(tmp_path: Path) -> None:
    tracker = open_tracker(Config(track=TrackConfig(wandb="off")), tmp_path / "run", active=True)
    tracker.log(step(1))
    tracker.close(0, None)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["metrics.jsonl"]
