"""Which file of weights a run starts from; of a leafdist checkpoint, the rows of its head by the classes' names."""

from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from leafdist.config.networks import network
from leafdist.config.schema import Config
from leafdist.data.their_classes import match
from leafdist.models.weights import find_weights
from leafdist.runs.facts import CheckpointMeta, HeadFacts
from leafdist.runs.header import parse_header
from leafdist.runs.layout import RunLayout


def find_start(config: Config) -> Path | None:
    """Return the file of `model.weights`, which may be the folder of a run; None for none. Raises ValueError."""
    name = config.model.weights
    if name == "none":
        return None
    best = RunLayout(Path(name)).best_model
    return best if best.is_file() else find_weights(name, network(config.model.name))


def rows_by_name(path: Path, classes: Sequence[str]) -> list[int] | None:
    """Return the head's row of each class in a leafdist checkpoint, negative where it has none; None: another file."""
    meta = _meta_of(path)
    return None if meta is None else match(tuple(classes), tuple(meta.classes)).tolist()


def read_head(config: Config, classes: Sequence[str], say: Callable[[str], None]) -> HeadFacts | None:
    """Return which rows of the head a run copies from a leafdist checkpoint; None if it starts from something else."""
    path = find_start(config)
    meta = _meta_of(path) if path else None
    if path is None or meta is None:
        return None
    given, own = meta.preprocessing.normalize, config.data.normalize
    if given != own:
        say(f"warning: {path} was trained with data.normalize={given}, this run has {own}")
    rows = match(tuple(classes), tuple(meta.classes))
    copied = [name for name, row in zip(classes, rows, strict=True) if row >= 0]
    drawn = [name for name, row in zip(classes, rows, strict=True) if row < 0]
    return HeadFacts(str(path), copied, drawn)


def _meta_of(path: Path) -> CheckpointMeta | None:
    """Return the header of a leafdist checkpoint, None of any other file of weights."""
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "numpy") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a file of plain tensors: {error}") from error
    return parse_header(header, path) if "leafdist" in header else None
