"""A network that is a row and a module is trained, evaluated, explained, exported and reported like the others."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import evaluate
import train
from leafdist.__main__ import main
from leafdist.config.networks import NETWORKS, network
from leafdist.config.parse import parse_config
from leafdist.system import signals
from tests.helpers.tiny_network import TINY


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", TINY)


@pytest.fixture
def run(tiny: None, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run of the third network over two epochs."""
    for name in ("install", "ignore"):  # the signals of pytest stay as they are
        monkeypatch.setattr(signals, name, lambda: None)
    settings = f"--model.name tiny --data.root {photos} --data.resize 32 --run.folder {tmp_path} --track.wandb off"
    settings += " --train.epochs 2 --train.batch_size 5 --train.precision no"
    assert train.main(settings.split()) == 0
    return tmp_path / "run"


def test_third_network_goes_everywhere(
    run: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate.py", str(run)])
    assert evaluate.main() == 0
    leaf = next((photos / "test").rglob("*.png"))
    assert main(["predict", str(run), str(leaf), "--cam", str(run / "cams")]) == 0
    assert len(list((run / "cams").iterdir())) == 1
    assert main(["export", str(run), "--formats", "onnx,safetensors"]) == 0
    session = onnxruntime.InferenceSession(run / "export" / "model.onnx")
    assert session.run(None, {"images": np.zeros((2, 3, 30, 30), np.float32)})[0].shape == (2, 3)
    card, report = (run / "export" / "README.md").read_text(), (run / "report.html").read_text()
    assert "A tiny CNN of one convolution that tells 3 classes" in card
    assert "torchvision" not in card.split("## Files")[0]
    assert "Tiny CNN" in report
    assert capsys.readouterr().err == f"wrote 1 picture to {run / 'cams'}\n"


@pytest.mark.parametrize(
    ("flags", "message"), [("--model.freeze layer1", "takes none or stem"), ("--data.crop 3", "tiny needs 4 pixels")]
)
@pytest.mark.usefixtures("tiny")
def test_its_settings_are_its_rows(flags: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = parse_config(["--model.name", "tiny"])
    assert (config.data.crop, config.data.hflip, config.model.weights) == (30, 0.5, "none")
    with pytest.raises(SystemExit):
        parse_config(["--model.name", "tiny", "--model.weights", "file.pth", *flags.split()])
    assert message in capsys.readouterr().err


def test_unknown_networks_are_named() -> None:
    with pytest.raises(ValueError, match=r"model\.name=vgg: must be resnet50 or baseline"):
        network("vgg")
