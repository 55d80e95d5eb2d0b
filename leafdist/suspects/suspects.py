"""Photos whose label is probably wrong: confident learning (Northcutt et al. 2021, doi 10.1613/jair.1.12125)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leafdist.data.labels import COLUMNS
from leafdist.runs.photo_tables import row_writer
from leafdist.suspects.out_of_fold import Pooled
from leafdist.system import files


@dataclass(frozen=True)
class Suspect:
    """A photo `class/file`, the class that it was given and the likeliest one; quality: the probability of the former,
    between 0 and 1; file: where it lay when it was judged.
    """

    path: str
    given: str
    suggested: str
    quality: float
    file: Path


def find(answers: Pooled) -> list[Suspect]:
    """Return the photos that cleanlab calls mislabelled, those of the lowest quality first."""
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 - an extra

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)  # in a class of one photo
        rows = find_label_issues(
            answers.labels, answers.probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
        )
    labels, shares, best = answers.labels, answers.probabilities, answers.probabilities.argmax(1)
    names = answers.classes
    return [
        Suspect(answers.paths[k], names[labels[k]], names[best[k]], float(shares[k, labels[k]]), answers.files[k])
        for k in rows
    ]


def write(path: Path, suspects: Sequence[Suspect]) -> None:
    """Write a labels.tsv in which each is to keep its label, with the class that `move` would give it.

    A photo that an earlier labels.tsv moved keeps its label by being moved to it again.
    """
    with files.atomic_path(path) as temporary, temporary.open("w", newline="", **files.TEXT) as file:
        add = row_writer(file, "\t")
        add([*COLUMNS, "comment"])
        for one in suspects:
            comment = f"given {one.given}, suggested {one.suggested}, quality {one.quality:.4f}"
            moved = one.path.partition("/")[0] != one.given
            add([one.path, *(("move", one.given) if moved else ("keep", one.suggested)), comment])
