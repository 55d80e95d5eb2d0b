"""What W&B and TensorBoard hold of a training that was stopped, resumed and evaluated, read back from their files."""

import base64
import csv
import hashlib
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from leafdist.config.schema import KEYS
from leafdist.runs.tracker import wandb_id
from tests.helpers.photos import CLASSES, draw
from tests.helpers.programs import run_program
from tests.helpers.trackers import history, of_kind, summary

pytestmark = pytest.mark.slow
SETTINGS = ["--model.name", "baseline", "--train.batch_size", 8, "--train.log_every", 1, "--optim.lr", 1e-5]
SETTINGS += ["--track.wandb", "offline", "--track.tensorboard", "true", "--data.on_corrupt", "quarantine"]
both = pytest.mark.parametrize(
    ("piece", "split", "source"), [(1, "val", "best/predictions-val.csv"), (2, "test", "predictions-test.csv")]
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pieces: two epochs; a third one after a stop; the evaluation on test."""
    folder = tmp_path_factory.mktemp("tracked")
    photos = draw(folder / "splitted", {"train": 6, "val": 8, "test": 4})
    (photos / "val" / CLASSES[1] / "000.png").write_bytes(b"no picture")
    train: list[object] = ["--data.root", photos, *SETTINGS, "--train.epochs"]
    for script, arguments in (("train.py", [*train, 2]), ("train.py", [*train, 3]), ("evaluate.py", ["runs/run"])):
        time.sleep(1.1)  # W&B names a piece by the second
        done = run_program(folder, script, *arguments, SLURM_JOB_ID="4711")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("warning") == done.stdout.count("warning: train.batch_size"), done.stdout
    return folder / "runs" / "run"


def pieces(run: Path) -> list[Path]:
    return sorted((run / "wandb").glob(f"offline-run-*-{wandb_id(run)}"))


def table(piece: Path, key: str) -> list[dict[str, Any]]:
    content = json.loads((piece / "files" / summary(piece)[f"{key}.path"]).read_text())
    return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def answers(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def colour(path: Path) -> tuple[int, ...]:
    with Image.open(path) as image:
        pixel = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


@both
def test_tables_say_what_the_predictions_say(run: Path, piece: int, split: str, source: str) -> None:
    rows, found = answers(run / source), pieces(run)[piece]
    cells = {(row["Actual"], row["Predicted"]): row["nPredictions"] for row in table(found, f"{split}/confusion_table")}
    assert len(cells) == len(CLASSES) ** 2
    for pair, count in cells.items():
        assert count == sum((row["label"], row["predicted"]) == pair for row in rows)


@both
def test_gallery_shows_most_confident_mistakes(run: Path, piece: int, split: str, source: str) -> None:
    wrong = [row for row in answers(run / source) if row["predicted"] not in ("", row["label"])]
    wrong.sort(key=lambda row: -float(row["confidence"]))
    found = pieces(run)[piece]
    sent = summary(found)
    captions = [caption.rsplit(": ", 1)[1] for caption in sent[f"{split}/mistakes.captions"]]
    assert captions == [row["path"] for row in wrong[:16]]
    for name, row in zip(sent[f"{split}/mistakes.filenames"], wrong, strict=False):
        photo = run.parents[1] / "splitted" / split / row["path"]
        assert math.dist(colour(photo), colour(found / "files" / name)) < 6


def test_best_artifact_outlives_its_successor(run: Path) -> None:
    for piece in pieces(run)[:2]:
        (artifact,) = [found for found in of_kind(piece, "artifact") if found["type"] == "model"]
        assert artifact["name"] == f"model-{wandb_id(run)}"
        assert {"best", "run"} <= set(artifact["aliases"])
        entries = {entry["path"]: entry for entry in artifact["manifest"]["contents"]}
        assert entries.keys() == {"model.safetensors", "meta.json"}
        for entry in entries.values():
            digest = hashlib.md5(Path(entry["local_path"]).read_bytes()).digest()
            assert base64.b64encode(digest).decode() == entry["digest"]
        meta = json.loads(Path(entries["meta.json"]["local_path"]).read_text())
        about = json.loads(artifact["metadata"])
        assert (about["sha256"], about["model"], about["epoch"]) == (meta["sha256"], "baseline", meta["epoch"])
    assert Path(entries["model.safetensors"]["local_path"]).samefile(run / "best" / "model.safetensors")


def test_pending_uploads_stay_in_run_folder(run: Path) -> None:
    for piece in pieces(run):
        manifests = [artifact["manifest"]["contents"] for artifact in of_kind(piece, "artifact")]
        paths = [Path(entry["local_path"]) for entries in manifests for entry in entries]
        assert paths
        assert all(run in path.parents and path.exists() for path in paths)


def test_evaluation_joins_the_same_run(run: Path) -> None:
    result = json.loads((run / "eval-test.json").read_text())
    last = pieces(run)[2]
    (found,) = of_kind(last, "run")
    assert (found["run_id"], found["resume"]) == (wandb_id(run), True)
    values = summary(last)
    assert values["test/accuracy"] == result["accuracy"]
    assert (values["test/interval_low"], values["test/interval_high"]) == tuple(result["interval"])
    assert (values["test/macro_f1"], values["test/loss"]) == (result["macro_f1"], result["loss"])
    assert values["test/ece"] == result["calibration"]["ece"]
    assert {row["step"] for row in history(last)} == {9}


def test_config_and_summary_describe_the_job(run: Path) -> None:
    first = pieces(run)[0]
    found = of_kind(first, "run")[0]["config"]["update"]
    assert (found["data"]["fit"], found["data"]["on_corrupt"]) == ("stretch", "quarantine")
    assert found["photos"] == {"train": 18, "val": 23}
    assert found["set_aside"] == {"train": 0, "val": 1}
    assert found["slurm"] == {"job_id": "4711"}
    assert summary(first)["set_aside/val"] == 1


def test_summaries_keep_best_and_system(run: Path) -> None:
    first = pieces(run)[0]
    kinds = {metric.get("name"): metric.get("summary") for metric in of_kind(first, "metric")}
    assert (kinds["val/accuracy"], kinds["val/loss"]) == ({"max": True}, {"min": True})
    losses = [row["val/loss"] for row in history(first) if "val/loss" in row]
    assert summary(first)["val/loss"]["min"] == min(losses)
    assert any("memory_percent" in stats["item"] for stats in of_kind(first, "stats"))


def test_best_predictions_equal_the_evaluation(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    done = run_program(run.parents[1], "evaluate.py", tmp_path / "run", "--split", "val", WANDB_MODE="disabled")
    assert done.returncode == 0, done.stderr
    evaluated, kept = tmp_path / "run" / "predictions-val.csv", run / "best" / "predictions-val.csv"
    assert evaluated.read_bytes() == kept.read_bytes()


def test_tensorboard_points_appear_once_after_resume(run: Path) -> None:
    board = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    board.Reload()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    charts = {"train/loss": ("step", "loss"), "val/loss": ("epoch", "val_loss")}
    charts["train/epoch_loss"] = ("epoch", "train_loss")
    for name, (kind, key) in charts.items():
        written = [(line["step"], line[key]) for line in lines if line["event"] == kind]
        read = [(point.step, point.value) for point in board.Scalars(name)]
        assert read == [(step, pytest.approx(value)) for step, value in written]
    assert {"train/lr", "val/accuracy", "best/val_accuracy"} <= set(board.Tags()["scalars"])


def test_tensorboard_compares_runs_by_their_settings(run: Path) -> None:
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    content = board.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["optim.lr"].number_value == 1e-5
    assert settings["model.name"].string_value == "baseline"
    assert set(settings) == set(KEYS)
