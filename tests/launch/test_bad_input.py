"""Wrong input: status 2, one clear message on one line of thought, no traceback, nothing written."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from leafdist.models.build import build_model
from tests.helpers.photos import CLASSES, draw
from tests.helpers.programs import TINY, Program

pytestmark = pytest.mark.slow
BRIEF = [*TINY, "--train.epochs", 1]


def refused(program: Program, script: str, *arguments: object, processes: int = 1) -> str:
    done = program(script, *arguments, processes=processes, launcher=processes > 1)
    assert done.returncode == (2 if processes == 1 else 1), done.stderr
    of_launcher = ("torch", "traceback :")
    lines = [line for line in done.stderr.splitlines() if not any(word in line for word in of_launcher)]
    messages = [line for line in lines if "error: " in line]
    assert len(messages) == 1, done.stderr
    assert processes > 1 or "Traceback" not in done.stderr
    return done.stderr


def remove(path: Path) -> None:
    shutil.rmtree(path)


def empty(folder: Path) -> None:
    remove(folder)
    folder.mkdir()


def replace_by_file(folder: Path) -> None:
    remove(folder)
    folder.write_bytes(b"")


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


PHOTO = Path("train", CLASSES[0], "002.png")
BAD_DATA: dict[str, tuple[Callable[[Path], None], str]] = {
    "no folder": (remove, "splitted"),
    "an empty folder": (empty, "splitted"),
    "a photo cut short": (lambda root: truncate(root / PHOTO), PHOTO.name),
    "no val": (lambda root: remove(root / "val"), "val"),
    "a class that train lacks": (lambda root: put(root / "val" / "Rose___rust" / "1.png", b"x"), "Rose___rust"),
    "a text named jpg": (lambda root: put(root / "train" / CLASSES[0] / "n.jpg", b"text"), "n.jpg"),
    "a file for a folder": (lambda root: replace_by_file(root / "val"), "val"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_data_makes_no_run(kind: str, program: Program, photos: Path, tmp_path: Path) -> None:
    harm, named = BAD_DATA[kind]
    harm(photos)
    assert named in refused(program, "train.py", "--data.root", photos, *BRIEF)
    assert not (tmp_path / "runs").exists()


def test_damaged_run_config_is_named(program: Program, photos: Path, tmp_path: Path) -> None:
    put(tmp_path / "runs" / "run" / "config.yaml", b"train: [")
    text = refused(program, "train.py", "--data.root", photos, "--run.name", "run", *BRIEF)
    assert "config.yaml is damaged" in text
    assert "torch cannot be imported" not in text


@pytest.mark.parametrize("count", [2, 3])
def test_user_error_is_printed_once(count: int, program: Program, photos: Path) -> None:
    put(photos / PHOTO, b"")
    assert "002.png" in refused(program, "train.py", "--data.root", photos, *BRIEF, processes=count)


@pytest.mark.parametrize(("state", "message"), [
    (torch.nn.Linear(2, 2).state_dict(), "another architecture"),
    (build_model("resnet50", 5, 64).state_dict(), "5 classes"),
])  # fmt: skip
def test_weights_that_do_not_fit(
    state: dict[str, torch.Tensor], message: str, program: Program, photos: Path, tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "weights.pth")
    weights = ["--model.weights", tmp_path / "weights.pth", "--model.name", "resnet50"]
    arguments = [value if value != "baseline" else "resnet50" for value in BRIEF]
    assert message in refused(program, "train.py", "--data.root", photos, *arguments, *weights)
    assert not (tmp_path / "runs").exists()


def test_fp16_and_wrong_world_are_refused(program: Program, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "fp16" in refused(program, "train.py", "--data.root", photos, *BRIEF, "--train.precision", "fp16")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    assert "MASTER_ADDR" in refused(program, "train.py", "--data.root", photos, *BRIEF)


def test_one_row_batchnorm_is_refused(program: Program, photos: Path) -> None:
    arguments = [value if value != "baseline" else "resnet50" for value in BRIEF]
    arguments += ["--model.weights", "none", "--data.crop", 32]
    assert "BatchNorm" in refused(program, "train.py", "--data.root", photos, *arguments)


def test_unusable_runs_are_refused(program: Program, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    assert program("train.py", "--data.root", photos, *BRIEF).returncode == 0
    changed = ("--optim.lr", 0.5, "--data.cache", tmp_path / "fresh")
    assert "optim.lr" in refused(program, "train.py", "--data.root", photos, *BRIEF, *changed)
    assert not (tmp_path / "fresh").exists(), "refused before packing"
    assert "resume=never" in refused(program, "train.py", "--data.root", photos, *BRIEF, "--run.resume", "never")

    other = draw(tmp_path / "other", {"test": 1}, classes=("Rose", "Fern"))
    assert "none of its folders (Fern, Rose" in refused(program, "evaluate.py", run, "--data", other)
    assert not list(run.glob("eval-*"))

    shutil.rmtree(run / "best")
    assert "no best checkpoint" in refused(program, "evaluate.py", run)
    assert "no best checkpoint" in refused(program, "evaluate.py", tmp_path)


def test_run_resumes_only_its_own_photos(program: Program, photos: Path) -> None:
    assert program("train.py", "--data.root", photos, *BRIEF).returncode == 0
    (photos / "train" / CLASSES[1] / "001.png").unlink()
    assert "data:" in refused(program, "train.py", "--data.root", photos, *BRIEF)
