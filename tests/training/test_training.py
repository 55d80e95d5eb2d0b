"""Whole runs: what they write, how they resume, and what evaluation says of them."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.paths import REPO
from tests.helpers.photos import CLASSES
from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events

pytestmark = pytest.mark.slow


def test_run_folder_holds_every_file(program: Program, photos: Path, tmp_path: Path) -> None:
    done = program("train.py", "--data.root", photos, *TINY, "--train.epochs", 3, "--run.name", "first")
    assert done.returncode == 0, done.stderr
    assert "1 process on cpu" in done.stdout
    run = tmp_path / "runs" / "first"
    assert {path.name for path in run.iterdir()} >= {"config.yaml", "run.json", "metrics.jsonl", "best", "last"}
    record = json.loads((run / "run.json").read_text())
    assert record["state"] == "finished"
    assert record["starts"][0]["world_size"] == 1
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["crop"] == 0
    kinds = [json.loads(line)["event"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert (kinds[0], kinds[-1], kinds.count("start"), kinds.count("end")) == ("start", "end", 1, 1)
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


@pytest.mark.parametrize(("network", "world"), [("baseline in no", 1), ("resnet50 in bf16", 2)])
def test_resumed_run_equals_uninterrupted_run(
    network: str, world: int, program: Program, photos: Path, tmp_path: Path
) -> None:
    """Stopped in the middle of the second epoch: the best value, the totals and every tensor go on."""
    model, precision = network.split(" in ")
    common = ["train.py", "--data.root", photos, *TINY, "--model.name", model, "--model.weights", "none"]
    common += ["--train.precision", precision]
    common += ["--train.batch_size", 6, "--train.log_every", 5]  # 6, 6 and 5 rows: with fewer, sums have one order
    cut = [*common, "--train.save_every", 2, "--run.name", "parts"]
    whole, parts = tmp_path / "runs" / "whole", tmp_path / "runs" / "parts"
    assert program(*common, "--run.name", "whole", "--train.epochs", 3, processes=world).returncode == 0
    assert program(*cut, "--train.epochs", 2, processes=world).returncode == 0
    shutil.rmtree(parts / "last" / "step-000000006")  # as if killed after step 4, in the middle of epoch 2
    done = program(*cut, "--train.epochs", 3, processes=world)
    assert done.returncode == 0, done.stderr
    assert "epoch 2, step 4" in done.stdout
    assert events(parts) == events(whole)
    for name in ("last/step-000000009/model.safetensors", "last/step-000000009/optimizer.safetensors"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    best = [json.loads((run / "best" / "meta.json").read_text()) for run in (whole, parts)]
    assert best[0]["sha256"] == best[1]["sha256"]
    assert len(json.loads((parts / "run.json").read_text())["starts"]) == 2


def test_worse_epoch_never_replaces_best(program: Program, photos: Path, tmp_path: Path) -> None:
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
    from leafdist.system import files

    sums = {path.name: files.sha256(path) for path in state.iterdir() if path.name != "manifest.json"}
    files.write_json(state / "manifest.json", {"format": 1, "sha256": sums})


def test_evaluation_ignores_the_process_count(program: Program, photos: Path, tmp_path: Path) -> None:
    arguments = [value if value != "baseline" else "resnet50" for value in TINY] + ["--model.weights", "none"]
    arguments += ["--train.precision", "bf16"]
    run = tmp_path / "runs" / "run"
    done = program("train.py", "--data.root", photos, *arguments, "--train.epochs", 1)
    assert done.returncode == 0, done.stderr
    files = []
    written = ("eval-test.json", "predictions-test.csv", "probabilities-test.csv", "calibration.json")
    for world in (1, 3):
        assert program("evaluate.py", run, processes=world).returncode == 0
        files.append([(run / name).read_bytes() for name in written])
        (run / "calibration.json").unlink()
    assert files[0] == files[1]
    result = json.loads(files[0][0])
    rows = list(csv.DictReader((run / "predictions-test.csv").read_text().splitlines()))
    assert [row["path"] for row in rows] == sorted(f"{name}/{n:03}.png" for name in CLASSES for n in range(3))
    assert result["images"] == len(rows) == 9
    assert result["correct"] == sum(row["label"] == row["predicted"] for row in rows)
    assert program("evaluate.py", run, "--split", "val").returncode == 0
    validation, best = (json.loads((run / name).read_text()) for name in ("eval-val.json", "best/meta.json"))
    assert (validation["accuracy"], validation["loss"]) == (best["val_accuracy"], best["val_loss"])


def test_wandb_keeps_one_id_after_resume(program: Program, photos: Path, tmp_path: Path) -> None:
    common = ["train.py", "--data.root", photos, *TINY, "--track.wandb", "offline"]
    for epochs in (1, 2):
        done = program(*common, "--train.epochs", epochs, processes=2, launcher=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("leafdist sync") == 1
    run = tmp_path / "runs" / "run"
    pieces = sorted((run / "wandb").glob("offline-run-*"))
    assert len(pieces) == 2
    assert {piece.name.rsplit("-", 1)[1] for piece in pieces} == {(run / "wandb-id.txt").read_text().strip()}


@pytest.mark.parametrize("launcher", ["python", "accelerate", "torchrun", "direct"])
def test_every_launch_gives_its_processes(launcher: str, photos: Path, tmp_path: Path) -> None:
    """`direct` is one task a process, as srun starts them, with the five variables that Accelerate needs."""
    arguments = [REPO / "train.py", "--data.root", photos, *TINY, "--train.epochs", 1, "--run.folder", tmp_path]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    bin_ = Path(sys.executable).parent
    lines: dict[str, list[list[object]]] = {
        "python": [[sys.executable]],
        "accelerate": [
            [bin_ / "accelerate", "launch", "--multi_gpu", "--num_processes", 2, "--main_process_port", port]
        ],
        "torchrun": [[bin_ / "torchrun", "--nproc_per_node", 2, "--master_port", port]],
        "direct": [[sys.executable], [sys.executable]],
    }
    started = []
    for rank, line in enumerate(lines[launcher]):
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = os.environ | {key: str(value) for key, value in (ranks if launcher == "direct" else {}).items()}
        command = [str(word) for word in (*line, *arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path))
    output = "".join(process.communicate(timeout=300)[0] for process in started)
    assert [process.returncode for process in started] == [0] * len(started)
    assert f"{'1 process' if launcher == 'python' else '2 processes'} on cpu" in output


def test_too_few_processes_end_with_2(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --multi_gpu accelerate starts one process where there is no GPU, and says nothing."""
    monkeypatch.setenv("LEAFDIST_EXPECT_WORLD", "2")
    command = [Path(sys.executable).parent / "accelerate", "launch", "--num_processes", "2", REPO / "train.py"]
    arguments = ["--data.root", photos, *TINY, "--run.folder", tmp_path]
    done = subprocess.run(
        list(map(str, command + arguments)), capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False
    )
    assert done.returncode != 0
    assert "LEAFDIST_EXPECT_WORLD=2, but 1 process joined" in done.stderr


def test_folder_and_pack_train_alike(program: Program, photos: Path, tmp_path: Path) -> None:
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


def test_read_only_data_is_packed_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from leafdist.data.pack import cache_folder

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    for root in (tmp_path, Path(os.fsdecode(b"/data/Bl\xe4tter"))):
        assert cache_folder(root, None).parent == tmp_path / "cache" / "leafdist"
