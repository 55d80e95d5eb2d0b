"""The runs of a folder: the few fields of each that a table shows."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from leafdist.runs.evaluations import read_evaluation
from leafdist.runs.events import EpochEvent, StepEvent
from leafdist.runs.facts import CheckpointMeta, read_facts
from leafdist.runs.header import read_meta
from leafdist.runs.layout import RunLayout
from leafdist.runs.metrics_log import read_events
from leafdist.runs.record import median_rate, state_of
from leafdist.runs.results import Evaluation
from leafdist.runs.saved_config import read_config

MARKS = ("config.yaml", "run.json", "metrics.jsonl", "best", "last")  # one of them makes a folder a run, damaged or not
TAIL = 16 * 1024  # bytes of metrics.jsonl: at least one step, however many rates it has
ASCENDING = ("name", "model", "state", "age", "restarts")  # all else: the highest first
SETTING = r"^{}:\n(?:  .*\n)*?  {}: (\S+)$"  # as yaml.safe_dump writes it: reading YAML takes some ms a run


@dataclass(frozen=True)
class RunRow:
    """One run. None: not known; for a damaged run nothing is, and `problem` says why."""

    name: str
    model: str | None = None
    state: str = "damaged"
    epoch: int | None = None
    epochs: int | None = None
    val: float | None = None
    select: str | None = None
    score: float | None = None  # what epochs are selected by, where it is neither accuracy nor loss
    test: float | None = None
    tta: bool = False  # test is the mean of four views
    rate: float | None = None
    restarts: int | None = None
    age: float | None = None
    problem: str | None = None


def list_runs(folder: Path) -> list[RunRow]:
    """Return a row per run in `folder`, however damaged. Raises ValueError if it is not a folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder of runs. Name one, such as the run.folder of train.py")
    with os.scandir(folder) as entries:
        paths = [Path(entry) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return [_row(path) for path in paths if any((path / mark).exists() for mark in MARKS)]


def _row(path: Path) -> RunRow:
    try:
        return glance(path)
    except (ValueError, OSError) as error:
        return RunRow(path.name, problem=" ".join(str(error).split()))


def glance(path: Path) -> RunRow:
    """Read the row of one run. Raises ValueError or OSError if a file is damaged."""
    layout, facts, (model, epochs) = RunLayout(path), read_facts(path), _settings(path)
    state, meta = state_of(path, facts), read_meta(path)
    events = [event for event in read_events(layout.metrics, last=TAIL) if isinstance(event, (EpochEvent, StepEvent))]
    over = facts.ended if state != "running" else None
    test = _test(path, meta)
    return RunRow(
        name=path.name,
        model=model,
        state=state,
        epoch=max((event.epoch + isinstance(event, EpochEvent) for event in events), default=0),
        epochs=epochs,
        val=meta.val_accuracy if meta else facts.best_val_accuracy,
        select=meta.config.train.select if meta else None,
        score=meta.val_score if meta else None,
        test=test.accuracy if test else None,
        tta=bool(test and test.tta),
        rate=median_rate(events),
        restarts=max(0, len(facts.starts) - 1),
        age=max(0.0, time.time() - (datetime.fromisoformat(over).timestamp() if over else _changed(layout))),
    )


def _settings(path: Path) -> tuple[str, int]:
    config = RunLayout(path).config
    text = config.read_text(encoding="utf-8") if config.exists() else ""
    model, epochs = (
        re.search(SETTING.format(*name), text, re.MULTILINE) for name in (("model", "name"), ("train", "epochs"))
    )
    if model and epochs and epochs[1].isdecimal():
        return model[1], int(epochs[1])
    read = read_config(path)  # written by hand, or damaged
    return read.model.name, read.train.epochs


def _test(path: Path, meta: CheckpointMeta | None) -> Evaluation | None:
    """None for an evaluation of a checkpoint that a better one has replaced."""
    if not RunLayout(path).evaluation("test").exists():
        return None
    found = read_evaluation(path, "test")
    return found if found.checkpoint in (None, meta.sha256 if meta else None) else None


def _changed(layout: RunLayout) -> float:
    return (layout.metrics if layout.metrics.exists() else layout.path).stat().st_mtime


def chosen(
    rows: list[RunRow], *, states: set[str] | None = None, model: str | None = None, text: str = ""
) -> Iterator[RunRow]:
    """Yield the rows in one of `states`, of `model`, with `text` in their name."""
    for row in rows:
        if (not states or row.state in states) and model in (None, row.model) and text.lower() in row.name.lower():
            yield row


def ordered(rows: list[RunRow], key: str, *, reverse: bool = False) -> list[RunRow]:
    """Sort by a field of RunRow, the highest first except for ASCENDING; rows without a value come last."""
    known = [row for row in rows if getattr(row, key) is not None]
    rest = [row for row in rows if getattr(row, key) is None]
    known = sorted(known, key=lambda row: row.name)
    known = sorted(known, key=lambda row: getattr(row, key), reverse=(key not in ASCENDING) != reverse)
    return known + rest
