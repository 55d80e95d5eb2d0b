"""Tables of photos: names come back as they were, and no spreadsheet runs one."""

import csv
from pathlib import Path

import pytest

from leafdist.runs.photo_tables import read_predictions, table_file
from leafdist.system import files

NAMES = (
    "=1+1",
    "+x",
    "-x",
    "@x",
    "\tx",
    "\r=x",
    "'=x",
    "''@x",
    "'x",
    "x'",
    'a,"b"',
    "a\nb",
    "a\rb",
    "\u2028",
    "\udcff",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_come_back_and_run_nowhere(name: str, tmp_path: Path) -> None:
    path = tmp_path / "predictions-test.csv"
    with table_file(path) as write:
        write(["path", "label", "predicted", "confidence"])
        write([f"{name}/1.jpg", name, name, 0.5])
    (row,) = read_predictions(path)
    assert row == {"path": f"{name}/1.jpg", "label": name, "predicted": name, "confidence": "0.5"}
    with path.open(newline="", **files.TEXT) as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert path.read_bytes().endswith(b"0.5\n")
