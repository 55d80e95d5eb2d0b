"""A run folder as train.py and evaluate.py leave it, from random predictions and by the same writers: no training."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig, OptimConfig, RunConfig, TrackConfig
from leafdist.data.photo_facts import DataFacts, SplitFacts
from leafdist.evaluation import calibration
from leafdist.evaluation.predictions import Predictions
from leafdist.evaluation.scores import summarize
from leafdist.evaluation.tables import write_predictions, write_probabilities
from leafdist.models.build import build_model
from leafdist.runs.checkpoint import load_best, save_best, tensors_of
from leafdist.runs.evaluations import write_calibration, write_evaluation
from leafdist.runs.events import EpochEvent, StepEvent
from leafdist.runs.facts import CheckpointMeta, Preprocessing, RunResult
from leafdist.runs.folder import RunFolder
from leafdist.runs.results import Calibration
from leafdist.tracking.run_tracker import open_tracker

TEMPERATURE = 0.8
STEPS = 30  # an epoch


def draw_run(run: Path, classes: Sequence[str], photos: int, root: Path, *, seed: int = 0, lr: float = 1e-3) -> Path:
    """With the `photos` of a test split below `root`, which are drawn where they are not there."""
    random = np.random.default_rng(seed)
    sections: dict[str, Any] = {"data": DataConfig(root=str(root)), "model": ModelConfig(name="baseline")}
    sections |= {"run": RunConfig(folder=str(run.parent), name=run.name), "track": TrackConfig(wandb="off")}
    config = resolve(Config(**sections, optim=OptimConfig(lr=lr)))
    trained(config, run, classes, photos, random)
    evaluated(run, classes, photos, root, random)
    return run


def trained(config: Config, run: Path, classes: Sequence[str], photos: int, random: np.random.Generator) -> None:
    """Six epochs, stopped once on the way."""
    facts = DataFacts(list(classes), {split: SplitFacts(photos, "d" * 64) for split in ("train", "val")})
    folder = RunFolder(run, config, facts)
    for step in (0, 70):
        folder.start(2, "cpu", step)
    tracker = open_tracker(config, run, active=True)
    for epoch in range(6):
        left = 0.6 ** (epoch + 1) * random.uniform(0.95, 1.05)
        for step in range(STEPS * epoch + 10, STEPS * (epoch + 1) + 1, 10):
            rate = random.uniform(110, 130)
            tracker.log(StepEvent(epoch, step, 0.1 + 3 * 0.98**step, config.optim.lr, images_per_second=rate))
        figures = 3 * left, 1 - left, 3 * left + 0.2, 0.95 - 0.9 * left
        tracker.log(EpochEvent(epoch, STEPS * (epoch + 1), *figures, seconds=61.5))
    tracker.close(0, None)
    val_accuracy, val_loss = figures[3], figures[2]
    preprocessing = Preprocessing.from_config(config.data)
    best = CheckpointMeta(list(classes), preprocessing, 5, val_accuracy, val_loss, config, sha256="")
    save_best(run / "best", tensors_of(build_model("baseline", len(classes), config.data.side)), best)
    folder.set_state("finished", result=RunResult(6 * STEPS, 6 * 61.5, 5, val_accuracy, val_loss))


def evaluated(run: Path, classes: Sequence[str], photos: int, root: Path, random: np.random.Generator) -> None:
    labels = np.sort(np.arange(photos) % len(classes))
    names = [f"{classes[label]}/{number:05}.png" for number, label in enumerate(labels)]
    draw_photos(root / "test", names, labels, random)
    logits = random.normal(0, 1.6, (photos, len(classes)))
    logits[np.arange(photos), labels] += random.uniform(1, 9, photos)
    loss = calibration.cross_entropy(logits, labels)
    confidence = np.exp(logits - np.logaddexp.reduce(logits, 1, keepdims=True)).max(1)
    predictions = Predictions(labels, logits.argmax(1), np.full(photos, loss), confidence, logits)
    fitted = Calibration(TEMPERATURE, "val", photos, loss, loss, load_best(run)[1].sha256)
    write_calibration(run, fitted)
    evaluation = replace(
        summarize(predictions, "test", tuple(classes), fitted),
        checkpoint=fitted.checkpoint,
        data="d" * 64,
        root=str(root),
        leaf_disjoint="no",
    )
    write_evaluation(run, "test", evaluation)
    write_predictions(run / "predictions-test.csv", names, classes, predictions)
    write_probabilities(run / "probabilities-test.csv", names, classes, predictions)


def draw_photos(folder: Path, names: Sequence[str], labels: NDArray[np.int64], random: np.random.Generator) -> None:
    if folder.exists():
        return
    for name, label in zip(names, labels, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 90, (8, 8, 3), np.uint8)
        pixels[..., label % 3] += 120
        Image.fromarray(pixels).resize((64, 64)).save(folder / name)
