"""metrics.jsonl: one line per event, appended while a run trains, cut back when it resumes."""

import json
import math
from pathlib import Path

from leafdist.runs.events import EndEvent, EpochEvent, Event, StartEvent, StepEvent
from leafdist.system import files
from leafdist.system.plain import from_plain, to_plain

KINDS: dict[str, type[Event]] = {kind.event: kind for kind in (StartEvent, StepEvent, EpochEvent, EndEvent)}
NUMBERS = ("loss", "train_loss", "train_accuracy", "val_loss", "val_accuracy")  # null in a line stands for NaN


def line_of(event: Event) -> str:
    """Return the line of an event: strict JSON, so NaN and infinity become null; absent values have no key."""
    present = {key: value for key, value in to_plain(event).items() if value is not None}
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in present.items()
    }
    return json.dumps({"event": event.event, **finite}) + "\n"


def read_events(path: Path, last: int | None = None) -> list[Event]:
    """Read the events of a log, or those in its `last` bytes, without a torn line. Raises ValueError if damaged."""
    parsed = (_parse(line, path) for line in files.read_json_lines(path, last=last))
    return [event for event in parsed if event]


def cut_back(path: Path, epoch: int, step: int) -> list[Event]:
    """Drop steps after `step`, epochs from `epoch` on and a torn line, which will be written again; return the rest."""
    kept = list[str]()
    events = list[Event]()
    for line in files.read_json_lines(path):
        event = _parse(line, path)
        repeated = isinstance(event, EpochEvent) and event.epoch >= epoch
        if repeated or (isinstance(event, StepEvent) and event.step > step):
            continue
        kept.append(json.dumps(line) + "\n")
        events += [event] if event else []
    files.write_text(path, "".join(kept))
    return events


def _parse(line: dict[str, object], path: Path) -> Event | None:
    """None for an event of another release, which this one does not know."""
    kind = KINDS.get(str(line.get("event")))
    if kind is None:
        return None
    values = {key: math.nan if value is None and key in NUMBERS else value for key, value in line.items()}
    return from_plain(kind, values, path)
