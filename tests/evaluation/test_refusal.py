"""Refusing answers: distances, thresholds and figures against other ways to compute them; files and bad input."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics
from sklearn.decomposition import PCA

from leafdist.__main__ import main
from leafdist.config.networks import network
from leafdist.data.open import open_loaders
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation import outside, refusal
from leafdist.evaluation.assess import Request, check
from leafdist.evaluation.judging import judge
from leafdist.models.before_head import WithMore
from leafdist.models.build import build_model
from leafdist.predict.api import Model
from leafdist.runs.evaluations import read_calibration, read_refusing, write_calibration
from leafdist.runs.layout import RunLayout
from leafdist.runs.load import load_run
from leafdist.runs.results import Refusal
from tests.helpers.photos import CLASSES, draw
from tests.helpers.programs import run_program
from tests.helpers.untrained import untrained_run

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was evaluated with nine photos of no class: two like leaves, seven of one colour."""
    place = tmp_path_factory.mktemp("refusal")
    photos = draw(place / "splitted", {"train": 1, "val": 12, "test": 8})
    other = draw(place / "other", {"like": 1}, classes=CLASSES[:2])
    for shade in range(0, 256, 42):
        Image.new("RGB", (40, 40), (shade, shade, 255)).save(other / f"{shade}.png")
    run = untrained_run(place / "runs" / "run", "baseline", CLASSES, root=str(photos), source="folder")
    assert main(["evaluate", str(run), "--sure", "0.4", "--outside", str(other)]) == 0
    return run


@pytest.mark.parametrize("name", ["baseline", "resnet50", "timm/tf_efficientnet_lite0"])
def test_features_are_what_the_head_takes(name: str) -> None:
    model, row, photos = build_model(name, 3, 64).eval(), network(name), torch.rand(2, 3, 64, 64)
    head = model.get_submodule(row.head)
    assert isinstance(head, torch.nn.Linear)
    with torch.inference_mode():
        both = WithMore(model, row.head, torch.nn.Identity(), head.in_features)(photos)
        logits, features = both.tensor_split([3], 1)
        assert torch.equal(logits, model(photos))
        torch.testing.assert_close(head(features).log_softmax(1), logits.log_softmax(1))


@pytest.mark.parametrize("photos", [30, 90])
def test_distance_is_the_residual_of_pca(photos: int) -> None:
    features = RANDOM.normal(size=(photos, 6)) @ RANDOM.normal(size=(6, 50)) + 3
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = PCA(refusal.VARIANCE, svd_solver="full").fit(unit)
    expected = np.linalg.norm(unit - found.inverse_transform(found.transform(unit)), axis=1)
    subspace = refusal.fit_subspace(unit)
    assert len(subspace.directions) == found.n_components_
    distance = refusal.Distance(subspace)(torch.from_numpy(features))[:, 0].numpy()
    np.testing.assert_allclose(distance, expected, atol=1e-6)


def test_figures_are_those_of_sklearn() -> None:
    inside, away = RANDOM.normal(size=200), RANDOM.normal(size=80) + 1
    found = outside.separation(np.append(inside, np.nan), away)
    truth = np.repeat([1, 0], [200, 80])  # here the split is what is to be found
    scores = -np.concatenate([inside, away])
    rates, hits, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    assert found.auroc == pytest.approx(metrics.auc(rates, hits))
    assert found.fpr95 == pytest.approx(rates[hits >= 0.95].min())


def test_curve_is_accuracy_by_coverage() -> None:
    confidence, hits = RANDOM.random(40), RANDOM.random(40) < 0.7
    order = np.argsort(confidence)[::-1]
    expected = [metrics.accuracy_score(np.ones(n), hits[order[:n]]) for n in range(1, 41)]
    np.testing.assert_allclose(outside.accuracies(confidence, hits), expected)


def test_lowest_confidence_that_is_enough() -> None:
    confidence = np.array([0.5, 0.9, 0.6, 0.6, 0.8, 0.7])
    hits = np.array([False, True, True, False, True, True])
    assert refusal.sure(confidence, hits, 0.8) == (0.6, 5 / 6, 0.8)
    assert refusal.sure(confidence, hits, 0.9) == (0.7, 0.5, 1.0)
    assert refusal.sure(confidence, hits, 0.5) == (0.0, 1.0, 4 / 6)
    assert refusal.sure(confidence, ~hits, 0.9) == (refusal.NEVER, 0.0, None)
    assert refusal.sure(np.full(100, 0.5), np.arange(100) < 55, 0.55) == (0.0, 1.0, 0.55), "0.55 * 100 > 55 in floats"
    never = Refusal(0.9, refusal.NEVER, 0.0, None, 1.0, 0.0)
    assert "every answer is refused" in refusal.in_words(never, "run")
    marks = np.array([0.9, 0.5, 0.9, np.nan]), np.array([0.1, 0.1, 0.3, np.nan])
    limits = Refusal(0.9, 0.6, 0.5, 1.0, 0.2, 0.05)
    assert refusal.reasons(*marks, limits) == ["", refusal.NOT_SURE, refusal.NOT_OURS, refusal.NOT_OURS]


def test_twins_do_not_narrow_the_limit() -> None:
    """Each photo twice: dealt by chance a twin would be known, and every new photo be refused."""
    places = np.repeat(RANDOM.normal(size=(60, 40)), 2, axis=0) + 1e-3 * RANDOM.normal(size=(120, 40)) + 2
    labels = np.repeat([0, 1, 2], 40)
    places[:, :3] += 6 * np.eye(3)[labels]
    found, subspace = refusal.fit(places, labels, RANDOM.random(120), RANDOM.random(120) < 0.5, None)
    new = RANDOM.normal(size=(600, 40)) + 2
    new[:, :3] += 6 * np.eye(3)[np.arange(600) % 3]
    distance = refusal.Distance(subspace)(torch.from_numpy(new)).numpy()
    assert found.refused <= refusal.REFUSED
    assert (distance > found.distance).mean() < 0.2
    fold = refusal.folds(RANDOM.random(120), labels)
    assert np.bincount(fold).tolist() == [24] * refusal.FOLDS


def test_evaluation_says_what_refusing_is_worth(judged: Path) -> None:
    found = json.loads((judged / "outside-test.json").read_text())
    calibration = json.loads((judged / "calibration.json").read_text())
    assert found["refusal"] == calibration["refusal"]
    assert found["refusal"]["wanted"] == 0.4
    assert (found["images"], found["outside"][0]["images"]) == (24, 9)
    assert found["curve"][-1] == [1.0, json.loads((judged / "eval-test.json").read_text())["accuracy"]]
    page = (judged / "report.html").read_text()
    assert '<h2 id="refusal">' in page
    assert found["outside"][0]["folder"] in page


def test_predict_refuses_as_evaluation(judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, answers = judged.parents[1] / "other", tmp_path / "answers.csv"
    command = ["predict", str(judged), str(folder), "--refuse"]
    assert main([*command, "--jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    refused = [line["refused"] for line in lines]
    answers_here = Model(load_run(judged), torch.device("cpu")).predict([line["path"] for line in lines], refuse=True)
    assert [answer.refused or None for answer in answers_here] == refused
    shares = json.loads((judged / "outside-test.json").read_text())["outside"][0]
    assert sum(map(bool, refused)) / 9 == shares["refused"] > 0
    assert refused.count(refusal.NOT_OURS) / 9 == shares["not_ours"]
    assert main([*command, "--csv", str(answers), "--top", "1"]) == 0
    rows = [line.split(",") for line in answers.read_text().splitlines()]
    assert [row[-1] for row in rows] == ["refused", *(why or "" for why in refused)]
    assert 0 < refused.count(refusal.NOT_OURS) < 9
    assert main(command) == 0
    assert refusal.NOT_OURS in capsys.readouterr().out


def test_few_features_are_the_same_ones(judged: Path) -> None:
    loaded, runtime = load_run(judged), Runtime()
    head = loaded.model.get_submodule(loaded.network.head)
    assert isinstance(head, torch.nn.Linear)
    model = WithMore(loaded.model, loaded.network.head, torch.nn.Identity(), head.in_features)
    loader = open_loaders(replace(loaded.config.data, workers=0), ("val",), runtime, loaded.classes)["val"]
    found = judge(loaded, loader, runtime, model=model, most=10)
    assert found.more is not None
    logits = torch.from_numpy(found.kept_logits[[0, 3, 7, 11, 15, 19, 23, 27, 31, 35]])
    torch.testing.assert_close(head.double()(torch.from_numpy(found.more)).log_softmax(1), logits.log_softmax(1))


@pytest.mark.slow
def test_two_processes_refuse_alike(judged: Path) -> None:
    work = judged.parents[1]
    twice = Path(shutil.copytree(judged, work / "twice"))
    for name in ("calibration.json", "refusal.safetensors", "outside-test.json"):
        (twice / name).unlink()
    command = [twice, "--sure", "0.4", "--outside", work / "other"]
    done = run_program(work, "evaluate.py", *command, processes=2)
    assert done.returncode == 0, done.stderr
    for name in ("calibration.json", "refusal.safetensors", "outside-test.json"):
        assert (twice / name).read_bytes() == (judged / name).read_bytes()


def test_missing_limits_name_their_command(judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(judged, tmp_path / "run"))
    layout, checkpoint = RunLayout(run), load_run(run).meta.sha256
    photo = next((judged.parents[1] / "splitted").rglob("*.png"))

    def said() -> str:
        assert main(["predict", str(run), str(photo), "--refuse"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"python evaluate.py {run} --split val" in line
        return line

    layout.subspace.write_bytes(layout.subspace.read_bytes()[:100])
    assert f"{layout.subspace} is missing or damaged" in said()
    old, _ = read_calibration(run, checkpoint)
    assert old
    write_calibration(run, replace(old, refusal=None))
    assert "older leafdist" in said()
    layout.calibration.unlink()
    assert f"{layout.calibration} is missing" in said()
    assert main(["evaluate", str(run), "--split", "val"]) == 0
    assert read_refusing(run, checkpoint).refusal.wanted == refusal.SURE


@pytest.mark.parametrize("sure", [0.0, 1.01, -1.0])
def test_wanted_accuracy_is_a_share(sure: float, judged: Path) -> None:
    with pytest.raises(ValueError, match=f"--sure {sure:g}: .* at most 1"):
        check([judged], Request(sure=sure))


def test_no_val_no_other_accuracy(judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, root = shutil.copytree(judged, tmp_path / "run"), tmp_path / "moved"
    shutil.copytree(judged.parents[1] / "splitted" / "test", root / "test")
    assert main(["evaluate", str(run), "--data", str(root), "--sure", "0.7"]) == 2
    assert "--sure 0.7: it is fitted on the run's val photos" in capsys.readouterr().err


def test_outside_folders_hold_other_photos(judged: Path, tmp_path: Path) -> None:
    root = judged.parents[1] / "splitted"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    for folder, message in {
        root: "the run's own photos",
        root / "test": "the run's own photos",
        root.parent: "the run's own photos",
        tmp_path / "empty": "holds no photo",
        tmp_path / "none": "no such folder",
    }.items():
        with pytest.raises(ValueError, match=f"--outside {folder}: .*{message}.*Name "):
            check([judged], Request(outside=(folder,)))
    with pytest.raises(ValueError, match="the run's own photos"):
        check([judged], Request(root=str(tmp_path), outside=(root / "test",)))
