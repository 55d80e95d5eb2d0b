"""Run folders as train.py and evaluate.py leave them, made by the same writers, without a training."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, RunConfig, TrackConfig, TrainConfig
from leafdist.data.photo_facts import DataFacts
from leafdist.runs import checkpoint
from leafdist.runs.events import EpochEvent, StartEvent, StepEvent
from leafdist.runs.facts import CheckpointMeta, Preprocessing, RunResult
from leafdist.runs.folder import RunFolder
from leafdist.system import files
from leafdist.tracking.run_tracker import open_tracker
from tests.helpers.photos import CLASSES

STEPS = 4  # an epoch
RATE = 100.0
VOLATILE = ("seconds", "images_per_second")


def make_run(
    folder: Path, name: str = "tiny", *, epochs: int = 2, state: str = "finished", best: float = 0.75, **changes: Any
) -> Path:
    """`changes`: sections of its configuration."""
    config = Config(run=RunConfig(folder=str(folder), name=name), train=TrainConfig(epochs=3))
    config = replace(config, track=TrackConfig(wandb="off"), **changes)
    config = resolve(config)
    run = RunFolder(folder / name, config, DataFacts(list(CLASSES), {}))
    run.start(2, "cpu", 0)
    tracker = open_tracker(config, run.path, active=True)
    tracker.log(StartEvent(epoch=0, step=0, world_size=2))
    for step in range(epochs * STEPS):
        tracker.log(StepEvent(step // STEPS, step + 1, loss=1.0, lr=1e-3, images_per_second=RATE + step))
        if (step + 1) % STEPS == 0:
            tracker.log(EpochEvent(step // STEPS, step + 1, 1.0, 0.5, val_loss=0.9, val_accuracy=best, seconds=36.0))
    if epochs:
        preprocessing = Preprocessing.from_config(config.data)
        meta = CheckpointMeta(list(CLASSES), preprocessing, epochs - 1, best, 0.9, config, sha256="")
        checkpoint.save_best(run.path / "best", {"weight": torch.zeros(2)}, meta)
    tracker.close(0, None)
    if state != "running":
        finished = state == "finished"
        result = RunResult(epochs * STEPS, epochs * 36.0, epochs - 1, best, 0.9)
        run.set_state(state, None if finished else "SIGTERM", result if finished else None)
    return run.path


def evaluated(run: Path, accuracy: float = 0.5, split: str = "test") -> Path:
    """With the files of an evaluation: of four photos the third is wrong and the fourth cannot be read."""
    files.write_json(run / f"eval-{split}.json", {"split": split, "images": 4, "correct": 2, "accuracy": accuracy})
    random = np.random.default_rng(0).dirichlet(np.ones(3), 3)
    with (run / f"probabilities-{split}.csv").open("w", newline="") as table:
        rows = [[f"{CLASSES[i]}/{i}.png", CLASSES[i], *map(float, random[i])] for i in range(3)]
        rows += [["Rose___rust/3.png", CLASSES[0], "", "", ""]]
        csv.writer(table).writerows([["path", "label", *CLASSES], *rows])
    with (run / f"predictions-{split}.csv").open("w", newline="") as table:
        known = [[f"{name}/{i}.png", name, CLASSES[i % 2], 0.5] for i, name in enumerate(CLASSES)]
        rows = [["path", "label", "predicted", "confidence"], *known, ["Rose___rust/3.png", CLASSES[0], "", ""]]
        csv.writer(table).writerows(rows)
    return run


def events(run: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl for steps and epochs, without what the clock decides."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = [line for line in lines if line["event"] in ("step", "epoch")]
    return [{key: value for key, value in line.items() if key not in VOLATILE} for line in kept]
