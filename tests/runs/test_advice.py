"""What a finished training is told to do next."""

from pathlib import Path

import pytest

from leafdist.config.schema import Config, OptimConfig, TrainConfig
from leafdist.runs.advice import advise, starving, still_improving, warn_of_large_batch
from leafdist.runs.events import EpochEvent
from leafdist.runs.facts import RunFacts
from leafdist.runs.layout import RunLayout
from leafdist.runs.record import RunRecord
from leafdist.system import files


@pytest.mark.parametrize(("batch", "photos", "steps", "better"), [
    (256, 99, 30, 8), (256, 700, 90, 64), (64, 3, 30, 4), (32, 99, 8, None), (256, 99, 3000, None), (4, 3, 9, None),
    (256, 40000, 30, None),
])  # fmt: skip
def test_too_large_batches_are_named(batch: int, photos: int, steps: int, better: int | None) -> None:
    said = list[str]()
    warn_of_large_batch(batch, photos, steps, 1, said.append)
    assert [line.split("train.batch_size=")[-1] for line in said] == [str(better)] * bool(better)


def record(accuracies: list[float], best: int, **settings: object) -> RunRecord:
    """A run that went so, in memory."""
    run = RunRecord(Path("run"), RunFacts(), Path("run"))
    train, optim = TrainConfig(epochs=len(accuracies), max_steps=settings.get("max_steps")), OptimConfig()  # type: ignore[arg-type]
    if "schedule" in settings:
        optim = OptimConfig(schedule=settings["schedule"])  # type: ignore[arg-type]
    values = {
        "events": [EpochEvent(at, at, 1.0, 0.5, 1.0, value, 1.0) for at, value in enumerate(accuracies)],
        "meta": type("Meta", (), {"epoch": best})(),
        "config": Config(train=train, optim=optim),
    }
    vars(run).update(values)
    return run


@pytest.mark.parametrize(("run", "words"), [
    (record([0.2, 0.4, 0.6, 0.8], 3), "--train.epochs 8 continues it"),
    (record([0.2, 0.4, 0.6, 0.8], 3, schedule="cosine"), "train.epochs=8 under another run.name"),
    (record([0.2, 0.4, 0.6, 0.8], 3, max_steps=3), "higher train.max_steps"),
    (record([0.2, 0.4, 0.6, 0.8], 3, max_steps=9), "--train.epochs 8 continues it"),
    (record([0.2, 0.8, 0.9, 0.8], 2), None),
    (record([0.2, 0.9, 0.9, 0.901], 3), None),
    (record([0.8], 0), None),
])  # fmt: skip
def test_rising_val_asks_for_more_epochs(run: RunRecord, words: str | None) -> None:
    text = still_improving(run)
    assert (words in text) if text and words else (text is None and words is None)


@pytest.mark.parametrize(("rust", "words"), [(0, "rust (0 of 10)"), (3, "rust (3 of 10)"), (6, None)])
def test_starving_classes_are_named(rust: int, words: str | None, tmp_path: Path) -> None:
    rows = [("healthy", "healthy")] * 30 + [("rust", "rust")] * rust + [("rust", "")] * (10 - rust)
    lines = [f"{at}.jpg,{label},{predicted},0.5\n" for at, (label, predicted) in enumerate(rows)]
    files.write_text(RunLayout(tmp_path).best_predictions, "path,label,predicted,confidence\n" + "".join(lines))
    text = starving(RunRecord(tmp_path, RunFacts(), tmp_path))
    assert (words in text and "healthy" not in text) if text and words else (text is None and words is None)


def test_missing_figures_cost_only_the_advice(tmp_path: Path) -> None:
    said = list[str]()
    advise(tmp_path, said.append)
    assert said[0].startswith("warning: no advice")
