"""Whole runs: what they write, how they resume, and what evaluation says of them."""

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import CLASSES, Program

pytestmark = pytest.mark.slow
TINY = ["--model.name", "baseline", "--train.batch_size", 8, "--train.log_every", 1, "--track.wandb", "off"]
VOLATILE = ("seconds", "images_per_second")


def events(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = [line for line in lines if line["event"] in ("step", "epoch")]
    return [{key: value for key, value in line.items() if key not in VOLATILE} for line in kept]


def test_a_run_folder_holds_what_the_design_says(program: Program, photos: Path, tmp_path: Path) -> None:
    done = program("train.py", "--data.root", photos, *TINY, "--train.epochs", 3, "--run.name", "first")
    assert done.returncode == 0, done.stderr
    assert "1 process(es) on cpu" in done.stdout
    run = tmp_path / "runs" / "first"
    assert {path.name for path in run.iterdir()} >= {"config.yaml", "run.json", "metrics.jsonl", "best", "last"}
    record = json.loads((run / "run.json").read_text())
    assert record["state"] == "finished"
    assert record["starts"][0]["world_size"] == 1
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["crop"] == 0
    steps = [event for event in events(run) if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, 10))
    meta = json.loads((run / "best" / "meta.json").read_text())
    assert meta["classes"] == list(CLASSES)
    accuracies = [event["val_accuracy"] for event in events(run) if event["event"] == "epoch"]
    assert meta["val_accuracy"] == max(accuracies)


def test_a_finished_run_says_so(program: Program, photos: Path) -> None:
    for text in ("done: best val accuracy", "is finished"):
        done = program("train.py", "--data.root", photos, *TINY, "--train.epochs", 1)
        assert done.returncode == 0, done.stderr
        assert text in done.stdout


@pytest.mark.parametrize("world", [1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    world: int, program: Program, photos: Path, tmp_path: Path
) -> None:
    """Stopped after two epochs and again in mid-epoch: the best value, the totals and every tensor go on."""
    common = ["train.py", "--data.root", photos, *TINY, "--train.save_every", 2]
    whole, parts = tmp_path / "runs" / "whole", tmp_path / "runs" / "parts"
    assert program(*common, "--run.name", "whole", "--train.epochs", 4, processes=world).returncode == 0
    assert program(*common, "--run.name", "parts", "--train.epochs", 3, processes=world).returncode == 0
    shutil.rmtree(parts / "last" / "step-000000009")  # as if killed after step 8, in the middle of epoch 3
    done = program(*common, "--run.name", "parts", "--train.epochs", 4, processes=world)
    assert done.returncode == 0, done.stderr
    assert "epoch 3, step 8" in done.stdout
    assert events(parts) == events(whole)
    for name in ("last/step-000000012/model.safetensors", "last/step-000000012/optimizer.safetensors"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    best = [json.loads((run / "best" / "meta.json").read_text()) for run in (whole, parts)]
    assert best[0]["sha256"] == best[1]["sha256"]
    assert len(json.loads((parts / "run.json").read_text())["starts"]) == 2


def test_a_worse_epoch_after_resuming_does_not_replace_the_best(program: Program, photos: Path, tmp_path: Path) -> None:
    common = ["train.py", "--data.root", photos, *TINY, "--optim.schedule", "constant"]
    assert program(*common, "--train.epochs", 2).returncode == 0
    state = max((tmp_path / "runs" / "run" / "last").iterdir())
    values = json.loads((state / "state.json").read_text()) | {"best_accuracy": 2.0}
    (state / "state.json").write_text(json.dumps(values))
    reseal(state)
    before = (tmp_path / "runs" / "run" / "best" / "model.safetensors").read_bytes()
    assert program(*common, "--train.epochs", 3).returncode == 0
    assert (tmp_path / "runs" / "run" / "best" / "model.safetensors").read_bytes() == before


def reseal(state: Path) -> None:
    from leafdist import files

    sums = {path.name: files.sha256(path) for path in state.iterdir() if path.name != "manifest.json"}
    files.write_json(state / "manifest.json", {"format": 1, "sha256": sums})


def test_a_step_that_is_not_finite_ends_the_run_and_keeps_the_last_good_state(
    program: Program, photos: Path, tmp_path: Path
) -> None:
    common = ["train.py", "--data.root", photos, *TINY, "--optim.name", "sgd"]
    done = program(*common, "--train.epochs", 4, "--optim.lr", 1e18)
    assert done.returncode == 1
    assert "the gradient is not finite at step" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "runs" / "run" / "run.json").read_text())["state"] == "failed"


@pytest.mark.parametrize("model", ["baseline", "resnet50"])
def test_evaluation_is_identical_for_any_number_of_processes(
    model: str, program: Program, photos: Path, tmp_path: Path
) -> None:
    arguments = [value if value != "baseline" else model for value in TINY] + ["--model.weights", "none"]
    run = tmp_path / "runs" / "run"
    done = program("train.py", "--data.root", photos, *arguments, "--train.epochs", 1)
    assert done.returncode == 0, done.stderr
    files = []
    for world in (1, 2, 3):
        for split in ("test", "val"):
            assert program("evaluate.py", run, "--split", split, processes=world).returncode == 0
        files.append(
            [(run / name).read_bytes() for name in ("eval-test.json", "predictions-test.csv", "eval-val.json")]
        )
    assert files[0] == files[1] == files[2]
    result = json.loads(files[0][0])
    rows = list(csv.DictReader((run / "predictions-test.csv").open()))
    assert [row["path"] for row in rows] == sorted(f"{name}/{n:03}.png" for name in CLASSES for n in range(3))
    assert result["images"] == len(rows) == 9
    assert result["correct"] == sum(row["label"] == row["predicted"] for row in rows)
    best = json.loads((run / "best" / "meta.json").read_text())
    assert json.loads(files[0][2])["accuracy"] == best["val_accuracy"]
    assert json.loads(files[0][2])["loss"] == pytest.approx(best["val_loss"], abs=1e-12)


def test_folder_and_pack_train_the_same_model(program: Program, photos: Path, tmp_path: Path) -> None:
    for source in ("folder", "pack"):
        arguments = [*TINY, "--train.epochs", 1, "--data.source", source, "--data.workers", 2, "--run.name", source]
        assert program("train.py", "--data.root", photos, *arguments).returncode == 0
    weights = [(tmp_path / "runs" / name / "best" / "model.safetensors") for name in ("folder", "pack")]
    digests = [json.loads(path.with_name("meta.json").read_text())["sha256"] for path in weights]
    assert digests[0] == digests[1]


def test_random_crops_of_evaluation_are_reproducible(program: Program, photos: Path, tmp_path: Path) -> None:
    arguments = [*TINY, "--train.epochs", 1, "--data.eval_crop", "random", "--data.crop", 32]
    assert program("train.py", "--data.root", photos, *arguments).returncode == 0
    results = []
    for _ in range(2):
        assert program("evaluate.py", tmp_path / "runs" / "run").returncode == 0
        results.append((tmp_path / "runs" / "run" / "predictions-test.csv").read_text())
    assert results[0] == results[1]


def test_a_read_only_data_folder_is_packed_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from leafdist.data.pack import cache_folder

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    assert cache_folder(tmp_path, None).parent == tmp_path / "cache" / "leafdist"
