"""eval-<name>.json and calibration.json: their one writer and their one reader."""

from pathlib import Path
from typing import Any

from leafdist.runs.layout import RunLayout
from leafdist.runs.results import Calibration, Evaluation
from leafdist.system import files
from leafdist.system.plain import read, to_plain

FORMAT = 1
OPTIONAL = {"elsewhere", "unknown", "absent", "interval_by_leaf"}
OPTIONAL |= {"ece_calibrated", "loss_calibrated", "bins_calibrated"}


def write_evaluation(run: Path, name: str, evaluation: Evaluation) -> None:
    """Write eval-<name>.json into the run folder."""
    files.write_json(RunLayout(run).evaluation(name), {"format": FORMAT, **_without_absent(to_plain(evaluation))})


def read_evaluation(run: Path, name: str) -> Evaluation:
    """Read eval-<name>.json, also one of an older release. Raises ValueError where it is damaged."""
    return read(Evaluation, RunLayout(run).evaluation(name))


def write_calibration(run: Path, calibration: Calibration) -> None:
    """Write calibration.json into the run folder."""
    files.write_json(RunLayout(run).calibration, to_plain(calibration))


def read_calibration(run: Path, checkpoint: str | None) -> tuple[Calibration | None, str]:
    """The calibration of this checkpoint and an empty text, else None and the reason. Raises ValueError if damaged."""
    path = RunLayout(run).calibration
    if not path.exists():
        return None, f"not calibrated: {path} is missing; python evaluate.py {run} --split val writes it"
    found = read(Calibration, path)
    if found.checkpoint != checkpoint:
        return None, f"not calibrated: {path} is of another checkpoint; evaluate this one again"
    return found, ""


def _without_absent(value: Any) -> Any:
    """Leave out the keys of OPTIONAL that have no value."""
    if not isinstance(value, dict):
        return value
    return {key: _without_absent(part) for key, part in value.items() if part is not None or key not in OPTIONAL}
