"""The files of an evaluation in a run folder: eval-<name>.json and calibration.json."""

from pathlib import Path
from typing import Any

from leafdist.runs.layout import RunLayout
from leafdist.runs.results import Calibration, Evaluation
from leafdist.system import files
from leafdist.system.console import command
from leafdist.system.plain import from_plain, read, to_plain

FORMAT = 1
OPTIONAL = ("elsewhere", "unknown", "absent", "interval_by_leaf")  # keys that are written only with a value
CALIBRATED = ("ece_calibrated", "loss_calibrated", "bins_calibrated")


def write_evaluation(run: Path, name: str, evaluation: Evaluation) -> None:
    """Write eval-<name>.json of the run folder `run`."""
    values = {"format": FORMAT} | _without(to_plain(evaluation), OPTIONAL)
    if values["calibration"]:
        values["calibration"] = _without(values["calibration"], CALIBRATED)
    files.write_json(RunLayout(run).evaluation(name), values)


def read_evaluation(run: Path, name: str) -> Evaluation:
    """Read eval-<name>.json. Raises ValueError if it is damaged or of a newer format."""
    path = RunLayout(run).evaluation(name)
    values = files.read_object(path)
    if (written := values.get("format", FORMAT)) != FORMAT:  # files of old releases have no format
        raise ValueError(f"{path} has format {written}, this version reads {FORMAT}. Update leafdist")
    return from_plain(Evaluation, values, path)


def write_calibration(run: Path, calibration: Calibration) -> None:
    """Write calibration.json of the run folder `run`."""
    files.write_json(RunLayout(run).calibration, to_plain(calibration))


def read_calibration(run: Path, checkpoint: str | None) -> tuple[Calibration | None, str]:
    """Return the calibration of `checkpoint` (a sha256) and "", or None and why there is none. Raises ValueError."""
    path = RunLayout(run).calibration
    if not path.exists():
        way = command("python", "evaluate.py", run, "--split", "val")
        return None, f"not calibrated: {path} is missing; {way} writes it"
    try:
        found = read(Calibration, path)
    except ValueError as error:
        raise ValueError(f"{error}. Remove it: evaluate.py writes a new one") from error
    if found.checkpoint != checkpoint:
        return None, f"not calibrated: {path} is of another checkpoint; evaluate this one again"
    return found, ""


def _without(values: dict[str, Any], optional: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None or key not in optional}
