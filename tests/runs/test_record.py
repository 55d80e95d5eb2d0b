"""What a run folder tells: of one that is whole, of one that still trains, and of a damaged one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from leafdist.data.photo_facts import DataFacts
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.tables import write_predictions
from leafdist.runs.evaluations import read_evaluation, write_calibration, write_evaluation
from leafdist.runs.folder import RunFolder, lock_run, new_start, unlock_runs
from leafdist.runs.record import RunRecord
from leafdist.runs.results import Calibration, CalibrationScores, Evaluation
from leafdist.runs.tracker import NullTracker
from leafdist.system import files, locks
from leafdist.system.errors import Failure, PeerError
from leafdist.system.signals import Interrupted
from tests.helpers.photos import CLASSES
from tests.helpers.run_folders import evaluated, make_run


def test_a_finished_run_tells_all(tmp_path: Path) -> None:
    run = RunRecord.open(evaluated(make_run(tmp_path)))
    assert (run.name, run.state, run.restarts, run.facts.reason) == ("tiny", "finished", 0, None)
    assert run.config.train.epochs == 3
    assert run.meta
    assert (run.meta.epoch, run.meta.classes) == (1, list(CLASSES))
    assert [epoch.epoch for epoch in run.epochs] == [0, 1]
    assert [step.step for step in run.steps] == list(range(1, 9))
    assert run.images_per_second == 103.5
    assert run.evaluations["test"].accuracy == 0.5
    assert [row["predicted"] for row in run.predictions("test")] == [CLASSES[0], CLASSES[1], CLASSES[0], ""]


def test_device_hours_follow_the_world_size(tmp_path: Path) -> None:
    """Two epochs of 36 s: one on two processes, then, after a kill that lost steps, one on four GPUs."""
    path = make_run(tmp_path)
    record = json.loads((path / "run.json").read_text())
    again = {"device": "cuda:0", "world_size": 4}
    record["starts"] = [{**record["starts"][0], **change} for change in ({}, {"step": 6}, {"step": 5, **again})]
    files.write_json(path / "run.json", record)
    run = RunRecord.open(path)
    assert run.restarts == 2
    assert run.device_hours == pytest.approx({"cpu": 0.02, "cuda": 0.04})
    assert run.gpu_hours == pytest.approx(0.04)


def test_probabilities_are_read_and_calibrated(tmp_path: Path) -> None:
    found = RunRecord.open(evaluated(make_run(tmp_path))).probabilities("test")
    assert (found.classes, found.paths[0]) == (list(CLASSES), f"{CLASSES[0]}/0.png")
    logits = np.log(found.values[:3]) / 2
    powers = np.exp(logits)
    np.testing.assert_allclose(found.at(2.0)[:3], powers / powers.sum(1, keepdims=True), rtol=1e-12)
    assert np.isnan(found.at(2.0)[3]).all()


def test_file_names_hold_any_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    names = [os.fsdecode(b"a/\xe9.jpg"), "b/ä.jpg"]
    answers = np.array([0, 1]), np.zeros(2), np.ones(2), np.zeros((2, 2))
    write_predictions(run / "predictions-test.csv", names, ("a", "b"), Predictions(np.array([0, 1]), *answers))
    assert [row["path"] for row in RunRecord.open(run).predictions("test")] == names
    files.write_json(run / "names.json", names)
    assert files.read_json(run / "names.json") == names


def test_foreign_calibration_is_ignored(tmp_path: Path) -> None:
    path = make_run(tmp_path)
    assert "is missing" in RunRecord.open(path).calibration[1]
    meta = RunRecord.open(path).meta
    assert meta
    fitted = Calibration(1.5, "val", 9, 1.0, 0.9, meta.sha256)
    write_calibration(path, fitted)
    assert RunRecord.open(path).calibration == (fitted, "")
    write_calibration(path, replace(fitted, checkpoint="0" * 64))
    assert RunRecord.open(path).calibration[0] is None
    assert "another checkpoint" in RunRecord.open(path).calibration[1]


def test_run_without_process_is_dead(tmp_path: Path) -> None:
    path = make_run(tmp_path, state="running", epochs=0)
    with FileLock(path / ".lock"):
        run = RunRecord.open(path)
        assert (run.state, run.meta, run.images_per_second) == ("running", None, None)
    assert RunRecord.open(path).state == "dead"
    killed = "from leafdist.runs.folder import lock_run; from pathlib import Path as P; import os, sys; "
    killed += "lock_run(P(sys.argv[1]), print); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed, path], check=False)
    assert (path / ".lock").exists()
    assert RunRecord.open(path).state == "dead"


def test_reading_never_blocks_a_start(tmp_path: Path) -> None:
    path = make_run(tmp_path, state="running")
    assert RunRecord.open(path).state == "dead"
    lock_run(path, print)
    assert RunRecord.open(path).state == "running"


def test_torn_line_is_skipped(tmp_path: Path) -> None:
    path = make_run(tmp_path)
    with (path / "metrics.jsonl").open("a") as log:
        log.write('{"event": "step", "epo')
    assert len(RunRecord.open(path).steps) == 8


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match=f"{path.name} is not a run folder: it has no config.yaml"):
            RunRecord.open(path)


@pytest.mark.parametrize("text", ['{"state": "fini', "[]", '{"state": "finished"}'])
def test_a_damaged_run_json_is_named(text: str, tmp_path: Path) -> None:
    path = make_run(tmp_path)
    (path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        RunRecord.open(path)


def test_strict_reading_names_other_damage(tmp_path: Path) -> None:
    path = evaluated(make_run(tmp_path))
    (path / "config.yaml").write_text("train: [")
    (path / "best" / "model.safetensors").write_bytes(b"x" * 40)
    (path / "eval-test.json").write_text("{}")
    (path / "probabilities-test.csv").write_text("path,label,a\nx,y\n")
    (path / "predictions-test.csv").unlink()
    run = RunRecord.open(path)
    asked: dict[str, Callable[[], object]] = {
        "config.yaml": lambda: run.config,
        "model.safetensors": lambda: run.meta,
        "eval-test.json": lambda: run.evaluations,
        "probabilities-test.csv": lambda: run.probabilities("test"),
    }
    for name, ask in asked.items():
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            ask()
    with pytest.raises(ValueError, match=r"predictions-test.csv is missing: run python evaluate.py .* --split test"):
        run.predictions("test")


def test_reading_runs_imports_nothing_slow() -> None:
    code = "import sys, leafdist.runs.record; print([m for m in ('torch', 'numpy', 'wandb') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_evaluation_file_keeps_its_keys(tmp_path: Path) -> None:
    scores = CalibrationScores(temperature=None, fitted_on=None, ece=0.1, loss=0.5, bins=[])
    found = Evaluation(split="val", images=4, accuracy=0.5, interval=(0.2, 0.8), calibration=scores)
    write_evaluation(tmp_path, "val", found)
    assert read_evaluation(tmp_path, "val") == found
    shortened = replace(found, interval=(0.2,))  # type: ignore[arg-type]
    write_evaluation(tmp_path, "test", shortened)
    with pytest.raises(ValueError, match=r"eval-test\.json is damaged: its interval is no tuple"):
        read_evaluation(tmp_path, "test")
    written = files.read_json(tmp_path / "eval-val.json")
    assert next(iter(written)) == "format"
    assert not {"elsewhere", "unknown", "absent", "interval_by_leaf"} & set(written)
    assert set(written["calibration"]) == {"temperature", "fitted_on", "ece", "loss", "bins"}
    assert {"healthy", "split_digest"} <= set(written)
    files.write_json(tmp_path / "eval-val.json", {**written, "format": 2})
    with pytest.raises(ValueError, match=r"eval-val\.json has format 2, this version reads 1"):
        read_evaluation(tmp_path, "val")


def test_start_records_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafdist.runs.folder.installed", {"pillow-simd": "9.5.0.post2", "torch": "2.14.1"}.get)
    versions = new_start(world=1, device="cpu", step=0).versions
    assert (versions["pillow-simd"], versions["torch"], "pillow" in versions) == ("9.5.0.post2", "2.14.1", False)


@pytest.mark.parametrize(("error", "kept"), [(Interrupted("stop"), False), (PeerError(Failure(1, "died", 75)), True)])
def test_lock_outlives_lost_rank(error: Exception, kept: bool, tmp_path: Path) -> None:
    """Its checkpoint may still be being written, where a signal waits for all of them."""
    path = make_run(tmp_path, "run", epochs=1, state="running")
    config, photos = RunRecord.open(path).config, DataFacts(classes=["a", "b"], data={})
    folder = RunFolder(path, config, photos)
    lock_run(path, print)
    with pytest.raises(type(error)), folder.record_end(NullTracker, active=True):
        raise error
    assert locks.held(path / ".lock") is kept
    unlock_runs()
