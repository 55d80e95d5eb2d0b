"""Which epochs end with a checkpoint, where epochs are short; and that those without one cost nothing but time."""

import shutil
from itertools import accumulate
from pathlib import Path

import pytest

from leafdist.config.schema import TrainConfig
from leafdist.runs.layout import generations, step_of
from leafdist.training.checkpoint_writer import is_due
from tests.helpers.programs import TINY, Program
from tests.helpers.run_folders import events

EPOCHS = [*TINY, "--train.epochs", 5, "--optim.lr", 0.1, "--seed", 1]  # of 3 steps; so high a rate makes some worse


def contents(run: Path) -> dict[str, bytes]:
    """All tensors of a run."""
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*.safetensors")}


@pytest.mark.slow
def test_short_epochs_save_when_best(program: Program, photos: Path, tmp_path: Path) -> None:
    """The others are trained again after a kill, to the same bits."""
    run, command = tmp_path / "runs" / "run", ("train.py", "--data.root", photos, *EPOCHS)
    assert program(*command).returncode == 0
    lines = events(run)
    epochs = [event for event in lines if event["event"] == "epoch"]
    values = [(epoch["val_accuracy"], -epoch["val_loss"]) for epoch in epochs]
    best = [e["step"] for e, value, top in zip(epochs, values, accumulate(values, max), strict=True) if value == top]
    newest, before = map(step_of, generations(run / "last"))
    assert (newest, before) == (15, max(step for step in best if step < 15))
    files = contents(run)
    shutil.rmtree(run / "last" / "step-000000015")  # as if killed before it
    done = program(*command)
    assert f"step {before}\n" in done.stdout, done.stderr
    assert events(run) == lines
    assert {name: files[name] for name in contents(run)} == contents(run)


@pytest.mark.parametrize(
    ("every", "minutes", "age", "saves"),
    [(0, 10, 19, False), (0, 10, 21, True), (0, 0.1, 5, False), (0, 0.1, 7, True), (4, 10, 1, True), (5, 10, 1, False)],
)
def test_old_checkpoints_are_followed(every: int, minutes: float, age: float, saves: bool) -> None:
    assert is_due(TrainConfig(save_every=every, save_minutes=minutes), 12, age) == saves
