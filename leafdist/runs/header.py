"""The header of best/model.safetensors, read without torch."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from leafdist.config.schema import saved
from leafdist.runs.facts import CheckpointMeta, Preprocessing
from leafdist.runs.layout import RunLayout
from leafdist.system.plain import from_plain, to_plain

FORMAT = 1


def read_meta(run: Path) -> CheckpointMeta | None:
    """Read the header of a run's best checkpoint; None before there is one. Raises ValueError if it is damaged."""
    path = RunLayout(run).best_model
    if not path.exists():
        return None
    try:
        with safe_open(path, "numpy") as file:
            return parse_header(file.metadata(), path)
    except (SafetensorError, OSError) as error:
        raise damaged(path, error) from error


def best_so_far(run: Path, say: Callable[[str], None]) -> CheckpointMeta | None:
    """Read what best/ holds, which may be of a later epoch than the newest checkpoint; a damaged one is a warning."""
    try:
        return read_meta(run)
    except ValueError as error:
        say(f"warning: {error}; the next best epoch replaces it")
        return None


def parse_header(header: dict[str, str] | None, path: Path) -> CheckpointMeta:
    """Return what the header of the file `path` says. Raises ValueError if it is damaged or of another format."""
    try:
        values = json.loads((header or {})["leafdist"])
        if (written := values["format"]) != FORMAT:
            raise ValueError(f"{path} has format {written}, this version reads {FORMAT}. Update leafdist")
        settings = values["config"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise damaged(path, error) from error
    try:
        config = values["config"] = saved(settings)
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: its settings cannot be read ({error}). Update leafdist") from error
    if "preprocessing" not in values:  # of an early release
        values["preprocessing"] = Preprocessing.from_config(config.data)
    return from_plain(CheckpointMeta, {"val_loss": math.nan, **values}, path)


def header_of(meta: CheckpointMeta) -> dict[str, Any]:
    """Return the JSON object that `parse_header` reads, which best/meta.json repeats for people and scripts."""
    values = {key: value for key, value in to_plain(meta).items() if value is not None}
    return {"format": FORMAT, **values}


def damaged(path: Path, error: Exception) -> ValueError:
    """Return the error of a checkpoint that cannot be read."""
    return ValueError(f"{path} is damaged or not a checkpoint of leafdist: {error}")
