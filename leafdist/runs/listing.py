"""The runs of a folder in a glance: the few fields of each that a table shows, read without the rest of its files."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from leafdist.runs.record import RunRecord, median_rate, read_run, state_of
from leafdist.system import files

MARKS = ("config.yaml", "run.json", "metrics.jsonl", "best", "last")  # one of them makes a folder a run, damaged or not
TAIL = 2 * 1024  # bytes of metrics.jsonl: some ten steps, with the number of their epoch in each
ASCENDING = ("name", "model", "state", "age", "restarts")  # all else: the highest first
SETTING = r"^{}:\n(?:  .*\n)*?  {}: (\S+)$"  # as yaml.safe_dump writes it: reading YAML takes some ms a run


@dataclass(frozen=True)
class RunRow:
    """What is not known is None; of a damaged run all that its `problem` hides."""

    name: str
    model: str | None = None
    state: str = "damaged"
    epoch: int | None = None
    epochs: int | None = None
    val: float | None = None
    test: float | None = None
    tta: bool = False  # test is the mean of four views
    rate: float | None = None
    restarts: int | None = None
    age: float | None = None
    problem: str | None = None


def list_runs(folder: Path) -> list[RunRow]:
    """Of each folder below that is a run, however damaged. Raises ValueError where `folder` is none."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder of runs. Name one, such as the run.folder of train.py")
    with os.scandir(folder) as entries:
        paths = [Path(entry) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return [row for path in paths if (row := _row(path))]


def _row(path: Path) -> RunRow | None:
    """None for a folder that is no run."""
    try:
        return glance(path) if any((path / mark).exists() for mark in MARKS) else None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        fault = str(error) if isinstance(error, (ValueError, OSError)) else f"unexpected content ({error!r})"
        return RunRow(path.name, problem=" ".join(fault.split()))


def glance(path: Path) -> RunRow:
    """Raises what reading damaged files raises."""
    run, (model, epochs) = read_run(path), _settings(path)
    state, log = state_of(path, run), path / "metrics.jsonl"
    events = _last_events(log)
    age = time.time() - (_ended(run) if "ended" in run and state != "running" else _changed(log, path))
    return RunRow(
        name=path.name,
        model=model,
        state=state,
        epoch=max((event["epoch"] + (event["event"] == "epoch") for event in events), default=0),
        epochs=epochs,
        val=_best_val(path, run),
        **_test(path),
        rate=float(rate) if (rate := median_rate(events)) is not None else None,
        restarts=max(0, len(run["starts"]) - 1),
        age=max(0.0, age),
    )


def _settings(path: Path) -> tuple[str, int]:
    text = (path / "config.yaml").read_text(encoding="utf-8") if (path / "config.yaml").exists() else ""
    model, epochs = (
        re.search(SETTING.format(*name), text, re.MULTILINE) for name in (("model", "name"), ("train", "epochs"))
    )
    if model and epochs and epochs[1].isdecimal():
        return model[1], int(epochs[1])
    config = RunRecord.open(path).config  # written by hand, or damaged
    return config.model.name, config.train.epochs


def _last_events(log: Path) -> list[dict[str, Any]]:
    """Epochs and steps at the end of the log."""
    events = files.read_json_lines(log, last=TAIL)
    return [event for event in events if event.get("event") in ("epoch", "step")]


def _best_val(path: Path, run: dict[str, Any]) -> float | None:
    """What run.json tells at the end; before that, the best checkpoint's description."""
    if run["state"] == "finished" and "best_val_accuracy" in run:
        return float(run["best_val_accuracy"])
    meta = path / "best" / "meta.json"
    return float(files.read_object(meta, val_accuracy=float)["val_accuracy"]) if meta.exists() else None


def _test(path: Path) -> dict[str, Any]:
    """Nothing for the accuracy of a checkpoint that a better one has replaced."""
    if not (path / "eval-test.json").exists():
        return {}
    found, meta = files.read_object(path / "eval-test.json", accuracy=float), path / "best" / "meta.json"
    best = files.read_object(meta).get("sha256") if meta.exists() else None
    current = found.get("checkpoint", best) == best
    return {"test": float(found["accuracy"]), "tta": bool(found.get("tta"))} if current else {}


def _ended(run: dict[str, Any]) -> float:
    return datetime.fromisoformat(run["ended"]).timestamp()


def _changed(log: Path, path: Path) -> float:
    return (log if log.exists() else path).stat().st_mtime


def chosen(
    rows: list[RunRow], *, states: set[str] | None = None, model: str | None = None, text: str = ""
) -> Iterator[RunRow]:
    """Those that meet all that is asked."""
    for row in rows:
        if (not states or row.state in states) and model in (None, row.model) and text.lower() in row.name.lower():
            yield row


def ordered(rows: list[RunRow], key: str, *, reverse: bool = False) -> list[RunRow]:
    """By a field of RunRow, the highest first but for ASCENDING; what has no such value comes last."""
    known = [row for row in rows if getattr(row, key) is not None]
    rest = [row for row in rows if getattr(row, key) is None]
    known = sorted(known, key=lambda row: row.name)
    known = sorted(known, key=lambda row: getattr(row, key), reverse=(key not in ASCENDING) != reverse)
    return known + rest
