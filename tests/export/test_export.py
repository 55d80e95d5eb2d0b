"""Exported files answer as the run does, to programs that know nothing of leafdist."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import load_file
from torchvision.models import resnet50

from leafdist.__main__ import main
from leafdist.config.schema import flatten, from_dict, to_dict
from leafdist.data.decode import decode
from leafdist.export.agreement import Agreement, Exported
from leafdist.export.model_card import card
from leafdist.export.subject import Scores, Subject
from leafdist.predict.api import load_run
from leafdist.predict.predictor import Predictor
from leafdist.runs import checkpoint, load
from leafdist.runs.checkpoint import load_best
from leafdist.system import files
from tests.helpers.paths import REPO
from tests.helpers.photos import CLASSES, draw
from tests.helpers.untrained import make_refusing, untrained_run

TEMPERATURE = 1.7
SCORES = {"macro_f1": 0.3, "balanced_accuracy": 0.2, "top3_accuracy": 1.0}
PRECISIONS = ["--precision", "fp32,fp16,int8"]


def leaves(root: Path) -> Path:
    return draw(root, {"train": 2, "val": 20, "test": 12}, side=64)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the baseline in every format, calibrated, beside its data."""
    place = tmp_path_factory.mktemp("export")
    made = untrained_run(place / "run", "baseline", CLASSES, crop=48, root=str(leaves(place / "data")))
    make_refusing(made, TEMPERATURE)
    evaluation = {"split": "test", "images": 36, "correct": 12, "accuracy": 1 / 3, "interval": [0.2, 0.5]}
    rows = {name: {"images": 12, "precision": 0.5, "recall": 0.25, "f1": 1 / 3} for name in CLASSES}
    files.write_json(made / "eval-test.json", evaluation | SCORES | {"classes": rows, "data": "d" * 64})
    assert main(["export", str(made), "--preprocess", *PRECISIONS]) == 0
    return made


@pytest.fixture
def photos(run: Path) -> list[Path]:
    return sorted((run.parent / "data" / "test").rglob("*.png"))[:7]


def expected(run: Path, photos: list[Path]) -> Scores:
    """What `leafdist predict` says: calibrated probabilities in the order of the classes."""
    found = load_run(run).predict(photos, len(CLASSES))
    rows = [dict(zip(answer.classes, answer.probabilities, strict=True)) for answer in found]
    return np.array([[row[name] for name in CLASSES] for row in rows], np.float32)


def softmax(scores: Scores) -> Scores:
    return torch.from_numpy(scores / TEMPERATURE).softmax(1).numpy()


@pytest.mark.parametrize(("name", "close"), [("model.onnx", 1e-5), ("model-fp16.onnx", 2e-2), ("model-int8.onnx", 0.3)])
def test_onnx_agrees_with_predict(name: str, close: float, run: Path, photos: list[Path]) -> None:
    session = onnxruntime.InferenceSession(run / "export" / name)
    pixels = np.stack([decode(photo, 64) for photo in photos])
    chances, predictor = expected(run, photos), Predictor(load.load_run(run), torch.device("cpu"), 1, refuse=True)
    distances = predictor.probabilities(predictor.augment(torch.from_numpy(pixels)))[1][:, 0].numpy()
    for count in (1, 2, 7):
        scores, confidence, distance = session.run(None, {"images": pixels[:count]})
        np.testing.assert_allclose(softmax(scores), chances[:count], atol=close)
        np.testing.assert_allclose(confidence, chances[:count].max(1), atol=close)
        np.testing.assert_allclose(distance, distances[:count], atol=close)


def test_marks_that_differ_are_not_exported(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Subject.marks
    monkeypatch.setattr(Subject, "marks", lambda *given: marks(*given) + 0.01)
    assert main(["export", str(run), "--formats", "onnx", "--to", str(tmp_path)]) == 2
    assert not (tmp_path / "model.onnx").exists()


def test_exported_file_describes_itself(run: Path) -> None:
    graph = onnx.load(run / "export" / "model.onnx")
    facts = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    assert facts["classes"] == list(CLASSES)
    assert facts["preprocessing"]["resize"] == 64
    assert facts["temperature"] == TEMPERATURE
    assert (facts["refusal"]["confidence"], facts["refusal"]["distance"]) == (0.1, 2.0)
    assert facts["checkpoint"] == load_best(run)[1].sha256


def test_the_smaller_precisions_are_smaller(run: Path) -> None:
    sizes = [(run / "export" / name).stat().st_size for name in ("model.onnx", "model-fp16.onnx", "model-int8.onnx")]
    assert sizes[0] > 1.9 * sizes[1] > 1.9 * 1.8 * sizes[2]


@pytest.mark.slow
def test_torch_program_runs_without_leafdist(run: Path, photos: list[Path], tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", np.stack([decode(photo, 64) for photo in photos]))
    program = (
        "import sys; sys.modules['leafdist'] = None\n"
        "import numpy, torch\n"
        f"network = torch.export.load({str(run / 'export' / 'model.pt2')!r}).module()\n"
        "numpy.save('scores.npy', network(torch.from_numpy(numpy.load('pixels.npy'))).detach().numpy())\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    np.testing.assert_allclose(softmax(np.load(tmp_path / "scores.npy")), expected(run, photos), atol=1e-5)


@pytest.mark.slow
def test_resnet_exports_to_onnx_and_torchvision(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", "resnet50", CLASSES, root=str(tmp_path / "gone"), fit="crop")
    assert main(["export", str(run), "--formats", "onnx,safetensors"]) == 0
    assert said_by_the_card(run) == said_by_predict(run)
    network = resnet50(num_classes=3).eval()
    network.load_state_dict(load_file(run / "export" / "model.safetensors"), strict=True)
    model = load.load_run(run).model
    inputs = torch.rand(3, 3, 52, 52)
    with torch.inference_mode():
        torch.testing.assert_close(network(inputs), model(inputs), atol=1e-4, rtol=1e-4)


def said_by_the_card(run: Path) -> list[str]:
    """The card's own program, run beside its files: the class and its probability."""
    folder = run / "export"
    picture = np.random.default_rng(3).integers(0, 255, (5, 7, 3), np.uint8)
    Image.fromarray(picture).resize((200, 120)).save(folder / "leaf.jpg")
    (program,) = [code for code in python_blocks(folder) if "onnxruntime" in code]
    assert "leafdist" not in program
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def python_blocks(folder: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)


def said_by_predict(run: Path) -> list[str]:
    (answer,) = load_run(run).predict([run / "export" / "leaf.jpg"])
    assert 0.35 < answer.probabilities[0] < 0.99  # else it would be the same whatever went in
    pairs = zip(answer.classes, answer.probabilities, strict=True)
    return [f"{name!r} {round(probability, 4)}" for name, probability in pairs]


@pytest.mark.slow
def test_card_program_agrees_with_predict(run: Path) -> None:
    assert said_by_the_card(run) == said_by_predict(run)


@pytest.mark.slow
def test_docs_program_agrees_with_predict(run: Path, tmp_path: Path) -> None:
    """Its order of classes: it knows of no temperature."""
    shutil.copytree(run / "export", tmp_path / "exported")
    said_by_the_card(run)
    shutil.copy(run / "export" / "leaf.jpg", tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", (REPO / "docs" / "export.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    names = [[line.rsplit(" ", 1)[0] for line in lines] for lines in (done.stdout.splitlines(), said_by_predict(run))]
    assert names[0] == names[1]


def test_hugging_face_reads_the_card(run: Path) -> None:
    card = ModelCard.load(run / "export" / "README.md")
    assert card.data.eval_results is not None
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found == {
        "accuracy": pytest.approx(1 / 3, abs=1e-6),
        "f1": 0.3,
        "balanced_accuracy": 0.2,
        "top_3_accuracy": 1.0,
    }
    assert card.data.pipeline_tag == "image-classification"
    row, digest = "| Corn___rust, common | 12 | 0.500 | 0.250 | 0.333 |", load_best(run)[1].sha256
    limits = ("is below 0.1000. On val 80.00 % of the answers", "features is above 2.0000")
    for text in ("33.33 %", "20.00 % to 50.00 %", row, digest, *limits):
        assert text in card.text


@pytest.mark.parametrize(
    ("crop", "kind", "precision", "said"),
    [(52, "random", "bf16", ["at random positions", "in bf16"]), (0, "random", "no", []), (52, "center", "no", [])],
)
def test_the_card_says_where_figures_differ(crop: int, kind: str, precision: str, said: list[str], run: Path) -> None:
    subject = Subject.load(run, inside=True)
    values = flatten(to_dict(subject.config))
    values |= {"data.crop": crop, "data.eval_crop": kind, "train.precision": precision}
    changed = replace(subject, config=from_dict(values))
    made = Exported("model.pt2", "fp32", 1, "0" * 64, Agreement(1, 1, 0.0, 0.0), None)
    notes = [line for line in card(changed, [made], "drawn").splitlines() if line.startswith("Measured")]
    assert len(notes) == len(said)
    assert all(words in note for words, note in zip(said, notes, strict=True))


@pytest.mark.slow
def test_new_export_removes_older_files(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    shutil.copytree(run / "export", folder)
    assert main(["export", str(run), "--formats", "safetensors", "--to", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} - {"leaf.jpg"} == {"model.safetensors", "labels.json", "README.md"}


@pytest.fixture
def other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that follow hold a network that has gone on training, by a little."""
    save: Callable[..., None] = safetensors.torch.save_file

    def spoiled(state: dict[str, torch.Tensor], *rest: object) -> None:
        save({name: value * 1.01 if name == "head.weight" else value for name, value in state.items()}, *rest)

    monkeypatch.setattr(checkpoint, "save_file", spoiled)


@pytest.mark.usefixtures("other_weights")
def test_wrong_export_is_not_kept(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), "--formats", "safetensors", "--to", str(tmp_path / "out")]) == 2
    assert "was not kept: it differs from PyTorch by" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_int8_takes_a_photo_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = untrained_run(tmp_path / "run", "baseline", CLASSES, root=str(tmp_path / "gone"))
    command = ["export", str(run), "--formats", "onnx", "--precision", "int8"]
    assert main(command) == 2
    assert "Name a folder of photos with --calibrate" in capsys.readouterr().err
    assert main([*command, "--calibrate", str(leaves(tmp_path / "data") / "val")]) == 0
    output = capsys.readouterr().out
    assert "accuracy is not measured: the run's test split is not at hand" in output
    assert (run / "export" / "model-int8.onnx").exists()
