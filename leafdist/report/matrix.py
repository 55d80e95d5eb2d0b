"""The confusion matrix as a grid to walk through, and the pairs that are confused most."""

from dataclasses import dataclass

import numpy as np

from leafdist.pages.pictures import Picture, Pictures
from leafdist.pages.words import crop_of, title_of
from leafdist.report.contents import Answers, Contents
from leafdist.runs.results import ConfusedPair, Evaluation

LISTED = 12  # photos of a cell that the page names
LISTED_HITS = 4
LISTED_IN_ALL = 4000
PAIRS = 10
PAIR_PHOTOS = 4
Photos = dict[str, list[tuple[str, float]]]


@dataclass(frozen=True)
class Matrix:
    """pairs: the most confused ones with some photos; script: what the page's script needs beyond the cells; roots: the
    same split of each root of `data.extra`.
    """

    result: Evaluation
    pairs: list[tuple[ConfusedPair, list[Picture]]]
    script: dict[str, object]
    roots: list[Evaluation]


def matrix(contents: Contents, pictures: Pictures) -> Matrix | None:
    """Collect the confusion matrix; None before an evaluation."""
    result, answers = contents.evaluation, contents.answers
    if result is None or not result.confusion:
        return None
    classes = [
        {"title": title_of(name), "crop": crop_of(name), "images": scores.images, "name": name}
        for name, scores in result.classes.items()
    ]
    photos = _photos(answers) if answers else {}
    pairs = [(pair, _pictures(contents, pair, pictures)) for pair in result.confused[:PAIRS]]
    return Matrix(result, pairs, {"classes": classes, "photos": photos}, contents.on_roots)


def _photos(answers: Answers) -> Photos:
    """`label,predicted` of a cell to its photos and confidences, those of which the model is surest first."""
    found: Photos = {}
    order = np.argsort(-answers.confidence, kind="stable")
    wrong = answers.predicted != answers.labels
    listed = 0
    for row in [*order[wrong[order]], *order[~wrong[order]]]:
        cell = found.setdefault(f"{answers.labels[row]},{answers.predicted[row]}", [])
        if len(cell) < (LISTED if wrong[row] else LISTED_HITS) and listed < LISTED_IN_ALL:
            cell.append((answers.paths[row], round(float(answers.confidence[row]), 4)))
            listed += 1
    return {key: cell for key, cell in found.items() if cell}


def _pictures(contents: Contents, pair: ConfusedPair, pictures: Pictures) -> list[Picture]:
    answers, index = contents.answers, contents.classes.index
    if answers is None:
        return []
    rows = answers.rows_of(index(pair.label), index(pair.predicted))[:PAIR_PHOTOS]
    shown = (pictures.photo(answers.paths[row], f"A photo of {title_of(pair.label)}") for row in rows)
    return [picture for picture in shown if picture]
