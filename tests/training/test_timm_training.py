"""Networks of timm in whole runs: any number of processes, any kill, and every command."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events

pytestmark = pytest.mark.slow
RUN = ["--model.weights", "none", "--model.dropout", 0.25, "--train.batch_size", 6, "--train.log_every", 1]
NETWORKS = {
    "timm/test_efficientnet": ["--data.resize", 48, "--data.crop", 40, "--model.drop_path", 0.3],
    "timm/test_vit": ["--model.drop_path", 0.3],
}


def arguments(photos: Path, model: str) -> list[object]:
    return ["train.py", "--data.root", photos, *TINY, *RUN, "--model.name", model, *NETWORKS[model]]


@pytest.mark.parametrize(("model", "world"), [("timm/test_efficientnet", 2), ("timm/test_vit", 1)])
def test_timm_resumes_bit_for_bit(model: str, world: int, program: Program, photos: Path, tmp_path: Path) -> None:
    common = arguments(photos, model)
    whole, parts = tmp_path / "runs" / "whole", tmp_path / "runs" / "parts"
    cut = [*common, "--train.save_every", 2, "--run.name", "parts"]
    done = program(*common, "--run.name", "whole", "--train.epochs", 3, processes=world)
    assert done.returncode == 0, done.stderr
    assert program(*cut, "--train.epochs", 2, processes=world).returncode == 0
    shutil.rmtree(max((parts / "last").iterdir()))  # as if killed in mid-epoch
    done = program(*cut, "--train.epochs", 3, processes=world)
    assert "epoch 2, step 4" in done.stdout, done.stderr
    assert events(parts) == events(whole)
    for name in ("model", "optimizer"):
        file = f"last/step-000000009/{name}.safetensors"
        assert (parts / file).read_bytes() == (whole / file).read_bytes()


def test_timm_goes_everywhere(program: Program, photos: Path, tmp_path: Path) -> None:
    run, leaf = tmp_path / "runs" / "run", next((photos / "test").rglob("*.png"))
    done = program(*arguments(photos, "timm/test_efficientnet"), "--train.epochs", 1, "--augment.trivial", "true")
    assert done.returncode == 0, done.stderr
    files = []
    for world in (1, 2, 3):
        assert program("evaluate.py", run, processes=world).returncode == 0
        files.append([(run / name).read_bytes() for name in ("eval-test.json", "probabilities-test.csv")])
    assert files[0] == files[1] == files[2]
    done = program("leafdist/__main__.py", "predict", run, leaf, "--cam", tmp_path / "cams")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "cams").iterdir())) == 1
    done = program("leafdist/__main__.py", "export", run, "--formats", "onnx,pt2,safetensors")
    assert done.returncode == 0, done.stderr
    session = onnxruntime.InferenceSession(run / "export" / "model.onnx")
    assert session.run(None, {"images": np.zeros((2, 3, 40, 40), np.float32)})[0].shape == (2, 3)
    card = (run / "export" / "README.md").read_text()
    assert "48 x 48 pixels by Pillow, bicubic" in card
    assert "Image.Resampling.BICUBIC" in card
    assert json.loads((run / "best" / "meta.json").read_text())["preprocessing"]["interpolation"] == "bicubic"
    report = (run / "report.html").read_text()
    assert "Where the network looked" in report
    assert "as evaluation sees them, then as eight epochs draw them" in report


def test_tokens_have_no_heat(program: Program, photos: Path, tmp_path: Path) -> None:
    run, leaf = tmp_path / "runs" / "run", next((photos / "test").rglob("*.png"))
    assert program(*arguments(photos, "timm/test_vit"), "--train.epochs", 1).returncode == 0
    assert program("leafdist/__main__.py", "report", run).returncode == 0
    done = program("leafdist/__main__.py", "predict", run, leaf, "--cam", tmp_path / "cams")
    assert done.returncode == 2
    assert "timm/test_vit has no feature map" in done.stderr
    assert program("leafdist/__main__.py", "export", run, "--formats", "onnx").returncode == 0
    assert program("evaluate.py", run).returncode == 0
    assert "answers from tokens" in (run / "report.html").read_text()
