"""The tables of an evaluation, one row per photo: predictions-<name>.csv and probabilities-<name>.csv."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leafdist.system import files
from leafdist.system.console import command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Probabilities:
    """The probability of each class for each photo, uncalibrated; a row of NaN for one that cannot be read."""

    paths: list[str]
    labels: list[str]
    classes: list[str]
    values: "NDArray[np.float64]"

    def at(self, temperature: float) -> "NDArray[np.float64]":
        """Return them calibrated: the softmax of the logits divided by `temperature`."""
        import numpy as np

        powers = np.power(self.values, 1 / temperature)
        result: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
        return result


def read_predictions(path: Path) -> list[dict[str, str]]:
    """Read path, label, predicted (empty: unreadable) and confidence of each photo. Raises ValueError."""
    header, rows = _table(path, ("path", "label", "predicted", "confidence"))
    return [dict(zip(header, row, strict=True)) for row in rows]


def read_probabilities(path: Path) -> Probabilities:
    """Read the probabilities of each photo. Raises ValueError."""
    import numpy as np

    header, rows = _table(path, ("path", "label"))
    try:
        values = np.array([[cell or "nan" for cell in row[2:]] for row in rows], np.float64)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    values = values.reshape(len(rows), len(header) - 2)
    return Probabilities([row[0] for row in rows], [row[1] for row in rows], header[2:], values)


def _table(path: Path, first: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    if not path.is_file():
        split = path.stem.split("-")[1]
        raise ValueError(f"{path} is missing: run {command('python', 'evaluate.py', path.parent, '--split', split)}")
    with path.open(newline="", **files.TEXT) as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if header[: len(first)] != list(first) or any(len(row) != len(header) for row in rows):
        raise ValueError(f"{path} is damaged: its columns do not begin with {','.join(first)}. Evaluate again")
    return header, rows
