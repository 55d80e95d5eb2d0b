"""The tables of an evaluation, one row per photo: predictions-<name>.csv and probabilities-<name>.csv."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, TextIO

from leafdist.runs.layout import command_for
from leafdist.system import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


FORMULA = re.compile(r"^'*(?=[=+\-@\t\r\n])")  # how a cell begins that a spreadsheet would run
GUARDED = re.compile(r"^'(?='*[=+\-@\t\r\n])")


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


@contextmanager
def table_file(path: Path) -> Iterator[Callable[[Iterable[object]], None]]:
    """Yield what writes one row of a CSV file, which appears once all are written.

    A spreadsheet would run a name such as `=1+1` as a formula: it gets an apostrophe, which `_table` takes away.
    """
    with files.atomic_path(path) as temporary, temporary.open("w", newline="", **files.TEXT) as file:
        write = row_writer(file)

        def write_guarded(row: Iterable[object]) -> None:
            write([FORMULA.sub("'\\g<0>", str(cell)) for cell in row])

        yield write_guarded


def row_writer(file: TextIO, delimiter: str = ",") -> Callable[[Iterable[object]], object]:
    """Return what writes one row to `file`, ended by a line feed alone."""
    ends = SimpleNamespace(write=lambda line: file.write(f"{line[:-2]}\n"))
    # with both, so that Python 3.11 quotes a name that holds either
    return csv.writer(ends, delimiter=delimiter, lineterminator="\r\n").writerow


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
        raise ValueError(f"{path} is missing: run {command_for(path.stem.partition('-')[2], path.parent)}")
    with path.open(newline="", **files.TEXT) as file:
        header, *rows = [[GUARDED.sub("", cell) for cell in row] for row in csv.reader(file)] or [[]]
    if header[: len(first)] != list(first) or any(len(row) != len(header) for row in rows):
        raise ValueError(f"{path} is damaged: its columns do not begin with {','.join(first)}. Evaluate again")
    return header, rows
