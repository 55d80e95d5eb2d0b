"""The confusion matrix as a grid to walk through, and the pairs that are confused most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leafdist.pages.pictures import Picture, Pictures
from leafdist.pages.words import crop_of, title_of
from leafdist.report.contents import Contents
from leafdist.runs.results import Evaluation

LISTED = 12  # photos of a cell that the page names
LISTED_HITS = 4
LISTED_IN_ALL = 4000
PAIRS = 10
PAIR_PHOTOS = 4
Photos = dict[str, list[tuple[str, float]]]


@dataclass(frozen=True)
class Cell:
    """photos: their number; level: strength of the colour, 0 to 1; style: CSS classes."""

    photos: int
    level: float
    style: str


@dataclass(frozen=True)
class Pair:
    """Photos of one class that were taken for another: their number, and that of all photos of the class."""

    label: str
    predicted: str
    photos: int
    of: int
    pictures: list[Picture]


@dataclass(frozen=True)
class Matrix:
    """rows: cells per label, in the order of `classes`; script: what the page's script needs beyond them."""

    split: str
    classes: list[str]
    rows: list[list[Cell]]
    pairs: list[Pair]
    script: dict[str, object]


def matrix(contents: Contents, pictures: Pictures) -> Matrix | None:
    """Collect the confusion matrix; None before an evaluation."""
    result = contents.evaluation
    if result is None or not result.confusion:
        return None
    rows = [_cells(label, row) for label, row in enumerate(result.confusion)]
    about = [
        {"title": title_of(name), "crop": crop_of(name), "images": scores.images, "name": name}
        for name, scores in result.classes.items()
    ]
    script: dict[str, object] = {"classes": about, "photos": _photos(contents), "listed": LISTED}
    return Matrix(contents.split, list(result.classes), rows, _pairs(contents, result, pictures), script)


def _cells(label: int, row: Sequence[int]) -> list[Cell]:
    total = max(sum(row), 1)
    return [_cell(value, value / total, diagonal=label == column) for column, value in enumerate(row)]


def _cell(photos: int, share: float, *, diagonal: bool) -> Cell:
    """A root scale shows small shares too. mid, deep: where dark and light need the other colour for the number."""
    level = share**0.5
    styles = {"hit": diagonal, "mid": level > (0.74 if diagonal else 0.63), "deep": level > 0.84}
    return Cell(photos, level, " ".join(name for name, wanted in styles.items() if wanted))


def _photos(contents: Contents) -> Photos:
    """`label,predicted` of a cell to its photos and confidences, those of which the model is surest first."""
    answers = contents.answers
    found: Photos = {}
    if answers is None:
        return found
    order = np.argsort(-answers.confidence, kind="stable")
    wrong = answers.predicted != answers.labels
    listed = 0
    for row in [*order[wrong[order]], *order[~wrong[order]]]:
        cell = found.setdefault(f"{answers.labels[row]},{answers.predicted[row]}", [])
        if len(cell) < (LISTED if wrong[row] else LISTED_HITS) and listed < LISTED_IN_ALL:
            cell.append((answers.paths[row], round(float(answers.confidence[row]), 4)))
            listed += 1
    return {key: cell for key, cell in found.items() if cell}


def _pairs(contents: Contents, result: Evaluation, pictures: Pictures) -> list[Pair]:
    index, answers, pairs = contents.classes.index, contents.answers, []
    for one in result.confused[:PAIRS]:
        rows = answers.rows_of(index(one.label), index(one.predicted))[:PAIR_PHOTOS] if answers else []
        alt = f"A photo of {title_of(one.label)}"
        shown = [found for row in rows if answers and (found := pictures.photo(answers.paths[row], alt))]
        pairs.append(Pair(one.label, one.predicted, one.images, result.classes[one.label].images, shown))
    return pairs
