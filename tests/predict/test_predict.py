"""Prediction says what evaluation says, of any photo, and of what it could not read."""

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import pytest
import torch
from PIL import Image

from leafdist.__main__ import main
from leafdist.data.augment import Augment
from leafdist.data.index import scan
from leafdist.data.loader import Loader
from leafdist.data.source import FolderSource
from leafdist.data.walk import photos_below
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import Judging, evaluate
from leafdist.predict.predictor import Predictor
from leafdist.runs.checkpoint import load_best
from leafdist.runs.evaluations import write_calibration
from leafdist.runs.load import load_run
from leafdist.runs.results import Calibration
from leafdist.system import files
from tests.helpers.paths import REPO
from tests.helpers.photos import CLASSES
from tests.helpers.programs import Program
from tests.helpers.untrained import make_refusing, untrained_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return untrained_run(tmp_path / "run", "baseline", CLASSES, crop=48)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def raise_it(error: Exception) -> None:
    raise error


@pytest.mark.slow
def test_moved_run_predicts_without_its_data(
    program: Program, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data.root", photos, "--train.batch_size", 8, "--track.wandb", "off", "--train.precision", "bf16"]
    assert program("train.py", *common, "--model.name", "baseline", "--train.epochs", 3).returncode == 0
    assert program("evaluate.py", tmp_path / "runs" / "run").returncode == 0
    moved, kept = tmp_path / "elsewhere", tmp_path / "kept"
    shutil.move(tmp_path / "runs" / "run", moved)
    shutil.move(photos / "test", kept)
    shutil.rmtree(photos)
    assert main(["predict", str(moved), str(kept), "--csv", str(tmp_path / "answers.csv")]) == 0
    assert "not calibrated" not in capsys.readouterr().err
    temperature = files.read_json(moved / "calibration.json")["temperature"]
    expected = {row["path"]: row for row in table(moved / "probabilities-test.csv")}
    answers = table(tmp_path / "answers.csv")
    assert len(answers) == len(expected) == 9
    for answer in answers:
        row = expected[str(Path(answer["path"]).relative_to(kept))]
        powers = np.array([float(row[name]) for name in CLASSES]) ** (1 / temperature)
        assert answer["predicted"] == CLASSES[powers.argmax()]
        assert float(answer["confidence"]) == pytest.approx(powers.max() / powers.sum(), abs=1e-4)


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_network_sees_the_bytes_of_evaluation(fit: str, photos: Path, tmp_path: Path) -> None:
    Image.effect_noise((90, 41), 80).convert("RGB").save(photos / "test" / CLASSES[0] / "000.png")
    runtime = Runtime()
    loaded = load_run(untrained_run(tmp_path / "run", "resnet50", CLASSES, fit=fit), runtime.device)
    predictor = Predictor(loaded, runtime.device, runtime.cpus)
    given = list[torch.Tensor]()
    predictor.model.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0].clone()))
    index = scan(photos, "test")
    loader = Loader(FolderSource(index, 64, predictor.config.data.fit), runtime.device, 0)
    augment = Augment.from_config(predictor.config.data).for_evaluation()
    evaluate(predictor.model, loader, augment, runtime, Judging("no"))
    list(predictor.answers((index.folder / name for name in index.names), 1, raise_it))
    assert len(given) == 2
    assert torch.equal(given[0], given[1])
    assert given[0].stride() == given[1].stride()


def test_answers_leave_the_device_together(run: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU each number taken by itself is a wait."""
    monkeypatch.setattr(torch.Tensor, "__index__", lambda self: pytest.fail("a number by itself"))
    predictor, taken = Predictor(load_run(run, torch.device("cpu")), torch.device("cpu"), 1), Mock(wraps=list)
    tolist = torch.Tensor.tolist
    with patch.object(torch.Tensor, "tolist", lambda tensor: taken(tolist(tensor))):
        assert len(list(predictor.answers((photos / "test").rglob("*.png"), 2, raise_it))) == 9
    assert taken.call_count == 2, "classes and probabilities of the batch"


def test_bad_file_is_reported_and_skipped(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = sorted((photos / "test" / CLASSES[0]).iterdir())
    good[1].write_bytes(good[1].read_bytes()[:200])
    words, empty, answers = tmp_path / "words.jpg", tmp_path / "empty", tmp_path / "answers.csv"
    words.write_text("no picture")
    empty.mkdir()
    given = [words, *good, tmp_path / "gone.png", empty]
    assert main(["predict", str(run), *map(str, given), "--csv", str(answers), "--top", "2"]) == 1
    rows = table(answers)
    assert [row["path"] for row in rows] == [str(good[0]), str(good[2])]
    assert list(rows[0]) == ["path", "predicted", "confidence", "predicted_2", "confidence_2"]
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 4
    for name in (words, good[1], tmp_path / "gone.png", empty):
        assert sum(str(name) in line for line in warnings) == 1


def test_impossible_names_end_nothing(run: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = photos / "test" / CLASSES[0] / "000.png"
    assert main(["predict", str(run), "x" * 300, f"{good}\0", str(good)]) == 1
    shown = capsys.readouterr()
    assert shown.out.count("000.png") == 1
    assert shown.err.count("cannot be read") == 2


def test_folders_are_walked_without_loops(tmp_path: Path) -> None:
    root, other = tmp_path / "photos", tmp_path / "other"
    for name in ("b/c/deep.gif", "b/B.JPG", "a.webp", ".hidden/x.png", "b/.y.png", "b/notes.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    other.mkdir()
    (other / "linked.png").touch()
    (root / "b" / "up").symlink_to(root)
    (root / "z").symlink_to(other)
    found = [str(path.relative_to(root)) for path in photos_below([root], pytest.fail)]
    assert found == ["a.webp", "b/B.JPG", "b/c/deep.gif", "z/linked.png"]
    assert list(photos_below([root / "b" / "notes.txt"], pytest.fail)) == [root / "b" / "notes.txt"]


def test_pipes_pass_by_counted(run: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photos / "test" / CLASSES[0]
    os.mkfifo(folder / "pipe.png")
    (folder / "notes.txt").touch()
    (folder / "000.png").rename(folder / "bare")
    assert main(["predict", str(run), str(folder)]) == 0
    shown = capsys.readouterr()
    assert "skipped, since they are no photos: 1 x .txt, 1 x FIFO" in shown.err
    assert "bare" in shown.out
    assert main(["predict", str(run), str(folder / "pipe.png")]) == 1, "named: not opened either"
    assert main(["predict", str(run), str(folder / "001.png"), "--max-pixels", "9"]) == 1
    assert "001.png has 1600 pixels, more than data.max_pixels" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_images_of_every_kind_are_classified(mode: str, run: Path, tmp_path: Path) -> None:
    path = tmp_path / ("photo.tif" if mode in ("CMYK", "I;16") else "photo.png")
    Image.effect_noise((70, 50), 90).convert(mode).save(path)
    assert main(["predict", str(run), str(path)]) == 0


def test_stdin_names_give_json_lines(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = sorted((photos / "val").rglob("*.png"))[:2]
    lines = "".join(f"{path}\n" for path in named).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert main(["predict", str(run), "-", "--jsonl", "--top", "9"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["path"] for answer in answers] == list(map(str, named))
    for answer in answers:
        chances = [choice["probability"] for choice in answer["top"]]
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) == pytest.approx(1, abs=1e-5)
        assert (answer["predicted"], answer["confidence"]) == (answer["top"][0]["class"], chances[0])
        assert answer["calibrated"] is False


@pytest.mark.parametrize("own", [True, False])
def test_only_own_temperature_calibrates(
    own: bool, run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(run), str(photos / "test"), "--jsonl"]
    assert main(command) == 0
    plain = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    checkpoint = load_best(run)[1].sha256 if own else "0" * 64
    write_calibration(run, Calibration(2.0, "val", 9, 1.0, 0.9, checkpoint))
    assert main(command) == 0
    output = capsys.readouterr()
    answers = [json.loads(line) for line in output.out.splitlines()]
    assert ("not calibrated" in output.err) is not own
    for before, after in zip(plain, answers, strict=True):
        roots = np.sqrt([choice["probability"] for choice in before["top"]])
        expected = roots[0] / roots.sum() if own else before["confidence"]
        assert after["confidence"] == pytest.approx(expected, abs=1e-5)
        assert after["calibrated"] is own


def test_random_crop_run_reports_center_crop(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = []
    for rule in ("random", "center"):
        run = untrained_run(tmp_path / rule, "baseline", CLASSES, crop=32, eval_crop=rule)
        assert main(["predict", str(run), str(photos / "test"), "--jsonl"]) == 0
        output = capsys.readouterr()
        assert ("the crop is the middle one" in output.err) is (rule == "random")
        answers.append(output.out)
    assert answers[0] == answers[1]


def test_cam_pictures_show_the_crop(run: Path, photos: Path, tmp_path: Path) -> None:
    folder, path = tmp_path / "cam", photos / "test" / CLASSES[1]
    for photo in path.iterdir():
        Image.new("RGB", (300, 200), (90, 90, 90)).save(photo)
    assert main(["predict", str(run), str(path), "--cam", str(folder)]) == 0
    pictures = sorted(folder.iterdir())
    assert [picture.name for picture in pictures] == ["00001-000.jpg", "00002-001.jpg", "00003-002.jpg"]
    pixels = np.asarray(Image.open(pictures[0])).astype(int)
    margin = 448 * 8 // 64
    assert np.abs(pixels[: margin - 16] - 90).max() <= 4
    assert np.abs(pixels[margin : 448 - margin, margin:-margin] - 90).max() > 60
    with Image.open(pictures[0]) as picture:
        assert re.match(rb".+, \d+\.\d % sure, not calibrated$", picture.info["comment"])


def test_wrong_input_is_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([str(run), "x.png", "--top", "0"], [str(tmp_path / "none"), "x.png"]):
        assert main(["predict", *arguments]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_docs_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make_refusing(untrained_run(tmp_path / "runs" / "resnet50", "baseline", CLASSES), 1.7)
    Image.new("RGB", (64, 64), (40, 160, 80)).save(tmp_path / "leaf.jpg")
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", (REPO / "docs" / "predict.md").read_text(), re.DOTALL)
    exec(program, {})
    assert capsys.readouterr().out.splitlines()[-1].startswith("leaf.jpg ('")
