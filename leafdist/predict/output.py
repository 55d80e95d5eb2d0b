"""Outputs of answers: a CSV file, JSON lines, a table, pictures."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from leafdist.predict.predictor import Answer
from leafdist.runs.photo_tables import table_file
from leafdist.system import console, files

Take = Callable[[Answer], None]


@contextmanager
def csv_file(path: Path, top: int, *, refuse: bool) -> Iterator[Take]:
    """Take answers and write one row each; the file appears once all are written."""
    columns = ["path", *_columns(top, "_"), *["refused"] * refuse]
    with table_file(path) as write:
        write(columns)
        yield lambda answer: write([answer.path, *_cells(answer, digits=6), *[answer.refused] * refuse])
    console.say_aside(f"wrote {path}")


@contextmanager
def json_lines(*, calibrated: bool, refuse: bool) -> Iterator[Take]:
    """Take answers and print one JSON object each, at once."""

    def take(answer: Answer) -> None:
        pairs = zip(answer.classes, answer.probabilities, strict=True)
        top = [{"class": name, "probability": round(probability, 6)} for name, probability in pairs]
        first = {"path": str(answer.path), "predicted": answer.classes[0], "confidence": top[0]["probability"]}
        refused = {"refused": answer.refused or None} if refuse else {}
        console.output(json.dumps(first | {"calibrated": calibrated, "top": top} | refused))

    yield take


@contextmanager
def table(top: int, *, refuse: bool) -> Iterator[Take]:
    """Take answers and print them as a table at the end."""
    rows = list[list[object]]()
    yield lambda answer: rows.append([answer.path, *_cells(answer, digits=4), *[answer.refused] * refuse])
    console.table(["photo", *_columns(top, " "), *["refused"] * refuse], rows, shrink="photo")


def save_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as a JPEG file."""
    with files.atomic_path(path) as temporary:
        picture.save(temporary, "JPEG", quality=90)


def _columns(top: int, separator: str) -> list[str]:
    ranks = ["", *(f"{separator}{rank}" for rank in range(2, top + 1))]
    return [f"{name}{rank}" for rank in ranks for name in ("predicted", "confidence")]


def _cells(answer: Answer, digits: int) -> list[str]:
    """Class, probability, class, probability, ..."""
    pairs = zip(answer.classes, answer.probabilities, strict=True)
    return [cell for name, probability in pairs for cell in (name, f"{probability:.{digits}f}")]
