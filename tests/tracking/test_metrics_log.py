"""metrics.jsonl: always written, valid JSON, and cut back to what the checkpoint holds."""

import json
from pathlib import Path

import pytest

from leafdist.config.schema import Config, TrackConfig
from leafdist.tracking.charts import cut_back
from leafdist.tracking.run_tracker import RunTracker, open_tracker
from tests.helpers.trackers import CONFIG, EPOCH, metrics, step


def test_metrics_flush_and_nan_is_null(tmp_path: Path) -> None:
    tracker = RunTracker(tmp_path, "run", CONFIG, mode="off")
    tracker.log({"event": "start", "nested": {"list": [float("inf"), 1]}})
    tracker.log(step(1, loss=float("nan")))
    assert metrics(tmp_path) == [{"event": "start", "nested": {"list": [None, 1]}}, {**step(1), "loss": None}]
    tracker.close(0, {})
    assert not (tmp_path / "wandb").exists()


def test_resume_truncates_repeated_lines(tmp_path: Path) -> None:
    events = [{"event": "start"}, step(1), step(2), EPOCH, step(3), {**EPOCH, "epoch": 1, "step": 4}, {"event": "end"}]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (tmp_path / "metrics.jsonl").write_text(lines + '{"event": "step", "st', encoding="utf-8")
    tracker = RunTracker(tmp_path, "run", CONFIG, mode="off", place=(1, 2))
    tracker.log(step(3))
    tracker.close(0, {})
    assert metrics(tmp_path) == [{"event": "start"}, step(1), step(2), EPOCH, {"event": "end"}, step(3)]


def test_fresh_start_drops_old_steps(tmp_path: Path) -> None:
    for _ in range(2):
        tracker = RunTracker(tmp_path, "run", CONFIG, mode="off")
        tracker.log({"event": "start"})
        tracker.log(step(1))
        tracker.close(1, {})
    assert metrics(tmp_path) == [{"event": "start"}, {"event": "start"}, step(1)]


def test_failed_truncation_keeps_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(step(5)) + "\n", encoding="utf-8")

    def full(_: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("leafdist.system.files.flush", full)
    with pytest.raises(OSError, match="disk full"):
        cut_back(path, 0, 1)
    assert metrics(tmp_path) == [step(5)]


def test_rank_0_tracks_as_configured(tmp_path: Path) -> None:
    tracker = open_tracker(Config(track=TrackConfig(wandb="off")), tmp_path / "run", active=True)
    tracker.log(step(1))
    tracker.close(0, {})
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["metrics.jsonl"]
