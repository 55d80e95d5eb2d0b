"""The files of an evaluation in a run folder: eval-<name>.json, outside-<name>.json, calibration.json, its subspace."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetensors import SafetensorError, safe_open

from leafdist.runs.layout import RunLayout
from leafdist.runs.results import Calibration, Evaluation, Refusal, RefusalScores
from leafdist.system import files
from leafdist.system.console import command
from leafdist.system.plain import from_plain, read, to_plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Subspace:
    """refusal.safetensors: where features of known photos lie: mean (F,), orthonormal directions (K,F), float32."""

    mean: "NDArray[np.float32]"
    directions: "NDArray[np.float32]"


class Refusing(NamedTuple):
    """All that refusing an answer takes."""

    temperature: float
    refusal: Refusal
    subspace: Subspace


def write_calibration(run: Path, calibration: Calibration, subspace: Subspace | None = None) -> None:
    """Write calibration.json of the run folder `run`, after the subspace of its refusal."""
    if subspace is not None:
        from safetensors.numpy import save  # noqa: PLC0415 - numpy, which a list of runs starts without

        tensors = {"mean": subspace.mean, "directions": subspace.directions}
        with files.atomic_path(RunLayout(run).subspace) as temporary:
            temporary.write_bytes(save(tensors, {"checkpoint": calibration.checkpoint}))
    files.write_json(RunLayout(run).calibration, _without(to_plain(calibration), ("refusal",)))


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


def read_refusing(run: Path, checkpoint: str | None) -> Refusing:
    """Read what refusing takes. Raises ValueError, with the command that makes it, where it is missing or damaged."""
    found, missing = read_calibration(run, checkpoint)
    if not found:
        raise ValueError(missing)
    layout = RunLayout(run)
    way = f"{command('python', 'evaluate.py', run, '--split', 'val')} writes it"
    if not found.refusal:
        raise ValueError(f"{layout.calibration} is of an older leafdist and does not say when to refuse; {way}")
    try:
        with safe_open(layout.subspace, "numpy") as file:
            if file.metadata().get("checkpoint") != checkpoint:
                raise ValueError(f"{layout.subspace} is of another checkpoint. Remove {layout.calibration}: {way}")
            subspace = Subspace(file.get_tensor("mean"), file.get_tensor("directions"))
    except (SafetensorError, FileNotFoundError) as error:
        fault = f"{layout.subspace} is missing or damaged ({error})"
        raise ValueError(f"{fault}. Remove {layout.calibration}: {way}") from error
    return Refusing(found.temperature, found.refusal, subspace)


def write_outside(run: Path, scores: RefusalScores) -> None:
    """Write outside-<name>.json of the run folder `run`."""
    files.write_json(RunLayout(run).outside(scores.split), to_plain(scores))


def read_outside(run: Path, name: str, checkpoint: str | None) -> RefusalScores | None:
    """Read outside-<name>.json; None where there is none of this checkpoint. Raises ValueError if it is damaged."""
    path = RunLayout(run).outside(name)
    found = read(RefusalScores, path) if path.exists() else None
    return found if found and found.checkpoint == checkpoint else None


def _without(values: dict[str, Any], optional: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None or key not in optional}
