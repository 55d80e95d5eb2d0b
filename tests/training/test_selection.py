"""Which epoch is best by each figure, and when training stops for want of a better one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, TrainConfig
from leafdist.evaluation.predictions import UNREADABLE, Predictions
from leafdist.jobs.train_job import to_go_on
from leafdist.runs.events import EpochEvent
from leafdist.runs.header import header_of
from leafdist.runs.layout import generations
from leafdist.system.plain import from_plain
from leafdist.training.selection import no_better, score_of
from leafdist.training.state import TrainState
from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events

CLASSES = ("a", "b", "c", "d")  # no photo of the last
LABELS = np.array([0] * 6 + [1] * 2 + [2])
EPOCHS = (  # loss, answers; each is best by one figure
    (0.9, [0, 0, 0, 0, 0, 0, 1, 1, 0]),  # 8 of 9
    (0.8, [0, 0, 0, 2, 2, 2, 1, 1, 2]),  # recalls 1/2, 1, 1
    (0.7, [0, 0, 0, 0, 0, 2, 1, UNREADABLE, 2]),  # F1 10/11, 2/3, 2/3
    (0.6, [0] * 9),
)
BEST = {"accuracy": 0, "balanced_accuracy": 1, "macro_f1": 2, "loss": 3}


def event(select: str, epoch: int) -> EpochEvent:
    loss, answers = EPOCHS[epoch]
    rows = np.full(len(LABELS), loss)
    found = Predictions(LABELS, np.array(answers), rows, rows)
    return EpochEvent(epoch, epoch, 1.0, 0.5, loss, found.accuracy, 1.0, score_of(select, found, CLASSES))


@pytest.mark.parametrize("select", BEST)
def test_each_figure_selects_its_epoch(select: str) -> None:
    state = TrainState()
    for epoch in (*range(4), *range(4)):
        state.update_best(select, event(select, epoch))
    assert state.best_epoch == BEST[select]
    assert state.meta(CLASSES, resolve(Config())).val_score == event(select, BEST[select]).val_score


@pytest.mark.parametrize("epoch", range(4))
def test_scores_are_scikit_learns(epoch: int) -> None:
    answers = EPOCHS[epoch][1]
    for select, score in (("macro_f1", f1_score), ("balanced_accuracy", recall_score)):
        expected = score(LABELS, answers, labels=[0, 1, 2], average="macro", zero_division=0)
        assert event(select, epoch).val_score == pytest.approx(expected)


@pytest.mark.parametrize(("select", "score"), [("worst_root", 2 / 9), ("mean_root", (8 + 2 + 5) / 27)])
def test_roots_select_by_accuracy(select: str, score: float) -> None:
    main, *others = (answered(count) for count in (8, 2, 5))
    assert score_of(select, main, CLASSES, {"a": others[0], "b": others[1]}) == pytest.approx(score)


def answered(right: int) -> Predictions:
    """Return nine answers, so many of them right."""
    return Predictions(LABELS, np.where(np.arange(9) < right, LABELS, 3), *[np.zeros(9)] * 2)


def test_files_without_a_score_stay() -> None:
    """A run that is selected by accuracy has the keys of earlier releases, which are read as well."""
    state = TrainState()
    assert state.update_best("accuracy", event("accuracy", 0))
    kept = state.saved(None)
    assert "best_score" not in kept
    assert from_plain(TrainState, kept, "state.json") == state
    assert "val_score" not in header_of(state.meta(CLASSES, resolve(Config())))
    assert state.update_best("macro_f1", event("macro_f1", 2))
    assert from_plain(TrainState, state.saved(None), "state.json") == state


@pytest.mark.parametrize(
    ("patience", "head", "epochs", "stops"),
    [(0, 0, 99, False), (1, 0, 0, False), (3, 0, 4, False), (3, 0, 5, True), (3, 4, 6, False), (1, 4, 4, False)],
)
def test_patience_counts_epochs_since_best(patience: int, head: int, epochs: int, stops: bool) -> None:
    reason = no_better(TrainConfig(patience=patience, head_epochs=head), epochs, 1 if epochs else -1)
    assert reason == ("stopped after epoch 5: no better one for 3 epochs" if stops else None)


@pytest.mark.parametrize(
    ("patience", "epochs", "more"),
    [(0, 3, "train.epochs"), (2, 9, "train.patience"), (2, 3, "train.epochs with a higher train.patience")],
)
def test_all_that_goes_on_is_named(patience: int, epochs: int, more: str) -> None:
    config = Config(train=TrainConfig(patience=patience, epochs=epochs))
    ended = TrainState(epoch=3, step=12, best_epoch=0)
    assert to_go_on(config, ended, 4 * epochs) == f". A higher {more} continues it"


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_stopped_run_stays_stopped(program: Program, photos: Path, tmp_path: Path, world: int) -> None:
    """At so low a rate no weight changes, so that the first epoch stays the best."""
    run, command = tmp_path / "runs" / "run", ("train.py", "--data.root", photos, *TINY, "--optim.name", "sgd")
    command = (*command, "--optim.lr", 1e-30, "--train.select", "macro_f1", "--train.epochs", 9, "--train.patience")
    stopped = "stopped after epoch 3: no better one for 2 epochs"
    done = program(*command, 2, processes=world)
    assert done.stdout.count(stopped) == 1, done.stderr
    lines = events(run)
    score = lines[-1]["val_score"]
    assert f"macro F1 {score:.4f} (best)" in done.stdout
    assert f"macro F1 {score:.4f}, in epoch 1" in done.stdout
    shutil.rmtree(run / "last" / "step-000000009")  # as if killed between the validation and the save
    assert stopped in program(*command, 2, processes=world).stdout
    assert events(run) == lines
    assert (
        f"is finished: {stopped}. A higher train.patience continues it" in program(*command, 2, processes=world).stdout
    )
    assert stopped.replace("3", "4").replace("2", "3") in program(*command, 3, processes=world).stdout
    assert [path.name for path in generations(run / "last")] == ["step-000000012", "step-000000009"]
    record = json.loads((run / "run.json").read_text())
    assert (record["state"], record["steps"], record["best_val_score"]) == ("finished", 12, score)
    shutil.rmtree(run / "last")
    assert (
        "is finished: stopped after epoch 4: no better one for 3 epochs\n"
        in program(*command, 3, processes=world).stdout
    )
