"""What is said of predictions: recomputed by scikit-learn from the tables that are written."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from leafdist.evaluation import calibration, scores
from leafdist.evaluation.predictions import UNREADABLE, Predictions
from leafdist.evaluation.tables import write_predictions, write_probabilities
from leafdist.runs.evaluations import read_calibration, write_calibration
from leafdist.runs.results import ClassScores, ConfusedPair, CropScores

CLASSES = ("Apple___healthy", "Apple___rust", "Corn___healthy", "Corn___blight", "Fig___spot")


def answers(photos: int = 400, *, temperature: float = 1.0, unreadable: int = 0) -> Predictions:
    """Labels drawn from the softmax of the logits: calibrated, until these are multiplied by the temperature."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (photos, len(CLASSES)))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([random.choice(len(CLASSES), p=row) for row in shares])
    logits *= temperature
    logits[photos - unreadable :] = np.nan
    gone = np.isnan(logits[:, 0])
    predicted = np.where(gone, UNREADABLE, np.nan_to_num(logits).argmax(1))
    sharp = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss = np.where(gone, np.log(len(CLASSES)), -np.log(sharp[np.arange(photos), labels]))
    return Predictions(labels, predicted, loss, np.where(gone, 0, sharp.max(1)), logits)


def tables(folder: Path, predictions: Predictions) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    names = [f"{CLASSES[label]}/{place:03}.jpg" for place, label in enumerate(predictions.labels)]
    write_predictions(folder / "predictions.csv", names, CLASSES, predictions)
    write_probabilities(folder / "probabilities.csv", names, CLASSES, predictions)
    texts = [(folder / f"{name}.csv").read_text() for name in ("predictions", "probabilities")]
    first, second = (list(csv.DictReader(text.splitlines())) for text in texts)
    return first, second


@pytest.mark.parametrize("unreadable", [0, 7])
def test_scikit_learn_recomputes_every_metric(tmp_path: Path, unreadable: int) -> None:
    predictions = answers(unreadable=unreadable)
    result = scores.summarize(predictions, "test", CLASSES, None)
    first, second = tables(tmp_path, predictions)
    assert [row["path"] for row in first] == [row["path"] for row in second] == sorted(row["path"] for row in first)
    labels, predicted = [row["label"] for row in first], [row["predicted"] for row in first]
    assert result.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    chosen: dict[str, Any] = {"labels": CLASSES, "zero_division": 0}
    each = metrics.precision_recall_fscore_support(labels, predicted, **chosen)
    for name, *values in zip(CLASSES, *each, strict=True):
        mine = result.classes[name]
        assert [mine.precision, mine.recall, mine.f1, mine.images] == pytest.approx(values)
    for key, value in zip(("precision", "recall", "f1"), (each[0], each[1], each[2]), strict=True):
        assert getattr(result, f"macro_{key}") == pytest.approx(np.mean(value))
    expected = metrics.recall_score(labels, predicted, average="macro", **chosen)
    assert result.balanced_accuracy == pytest.approx(expected)
    assert (np.array(result.confusion) == metrics.confusion_matrix(labels, predicted, labels=CLASSES)).all()

    read = [row for row in second if row[CLASSES[0]]]
    shares = np.array([[float(row[name]) for name in CLASSES] for row in read])
    truth = [CLASSES.index(row["label"]) for row in read]
    top = metrics.top_k_accuracy_score(truth, shares, k=3, normalize=False) / len(second)
    assert result.top3_accuracy == pytest.approx(top)
    assert unreadable == len(second) - len(read) == result.unreadable
    found = result.calibration
    assert found
    assert found.loss == pytest.approx(metrics.log_loss(truth, shares), abs=1e-8)
    hits, confidence = shares.argmax(1) == truth, shares.max(1)
    right, sure = calibration_curve(hits, confidence, n_bins=calibration.BINS)
    counts = np.histogram(confidence, calibration.BINS, (0, 1))[0]
    assert found.ece == pytest.approx(np.average(abs(right - sure), weights=counts[counts > 0]), abs=1e-6)

    healthy = [[name.endswith("___healthy") if name else None for name in names] for names in (labels, predicted)]
    both = [["nothing" if one is None else str(one) for one in names] for names in healthy]
    assert result.healthy
    assert result.healthy.accuracy == pytest.approx(metrics.accuracy_score(*both))
    for crop, row in result.crops.items():
        of_crop = [place for place, label in enumerate(labels) if label.startswith(f"{crop}___")]
        share = metrics.accuracy_score([labels[place] for place in of_crop], [predicted[place] for place in of_crop])
        assert row.accuracy == pytest.approx(share)


def test_crop_and_health_count_as_named() -> None:
    labels = np.array([0, 1, 1, 2, 3, 4, 4])
    predicted = np.array([1, 1, 0, 0, 3, UNREADABLE, 4])
    crops = scores.by_crop(labels, predicted, CLASSES)
    assert crops["Apple"] == CropScores(3, 1, 1 / 3, 3)
    assert crops["Corn"] == CropScores(2, 1, 0.5, 1)
    assert crops["Fig"] == CropScores(2, 1, 0.5, 1)
    health = scores.health(labels, predicted, CLASSES)
    assert health
    assert (health.correct, health.missed, health.false_alarms) == (4, 1, 1)
    assert scores.health(labels, predicted, ("a", "b", "c", "d", "e")) is None


def test_classes_without_photos_count_nothing() -> None:
    labels, predicted = np.array([0, 0]), np.array([0, UNREADABLE])
    assert scores.by_class(labels, predicted, ("a", "b")) == {
        "a": ClassScores(2, 1, 0.5, 1.0, 0.5, 2 / 3),
        "b": ClassScores(0),
    }
    assert repr(scores.by_class(labels, predicted, ("a", "b"))["b"]) == repr(ClassScores(0)), "int, not float"
    nothing = np.full(2, UNREADABLE)
    assert scores.confusion_matrix(labels, nothing, 2).tolist() == [[0, 0], [0, 0]]
    assert scores.by_class(labels, nothing, ("a", "b"))["a"] == ClassScores(2)


def test_the_most_confused_pairs_come_first() -> None:
    matrix = scores.confusion_matrix(np.array([0, 0, 0, 1, 2]), np.array([1, 1, 2, 1, 0]), 3)
    assert scores.confused(matrix, CLASSES[:3])[0] == ConfusedPair(CLASSES[0], CLASSES[1], 2)
    assert [pair.images for pair in scores.confused(matrix, CLASSES[:3])] == [2, 1, 1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_planted_temperature_is_found(tmp_path: Path, temperature: float) -> None:
    predictions = answers(4000, temperature=temperature)
    logits = predictions.kept_logits
    fitted = calibration.fit(logits, predictions.labels, "val", "abc")
    assert fitted.temperature == pytest.approx(temperature, rel=0.05)
    result = calibration.score(logits, predictions.labels, fitted)
    assert result.ece_calibrated is not None
    assert result.ece_calibrated < 0.03
    assert result.loss_calibrated is not None
    assert result.loss_calibrated <= result.loss
    if temperature == 3:
        assert result.ece > 0.1
    write_calibration(tmp_path, fitted)
    assert read_calibration(tmp_path, "abc") == (fitted, "")
    assert read_calibration(tmp_path, "of another")[0] is None
    (tmp_path / "calibration.json").write_text('{"temperature": 2.0, "checkpoint": "abc"}')
    with pytest.raises(ValueError, match=r"calibration\.json is damaged"):
        read_calibration(tmp_path, "abc")


def test_calibration_error_is_confidence_minus_accuracy() -> None:
    logits = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]]))
    ece, bins = calibration.reliability(logits, np.array([0, 1, 1, 1]))
    assert ece == pytest.approx((2 * 0.4 + 2 * 0.3) / 4)
    assert [row.images for row in bins] == [2, 2]
