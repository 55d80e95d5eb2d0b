"""Precision, recall and F1 of each class as a table that sorts, and the same by crop."""

from dataclasses import dataclass

from leafdist.evaluation.intervals import wilson
from leafdist.report.contents import Contents
from leafdist.runs.results import ClassScores, CropScores, Interval


@dataclass(frozen=True)
class ClassTable:
    """trained: training photos per class, empty where not known; crops: empty where there is one crop alone."""

    split: str
    classes: dict[str, ClassScores]
    crops: dict[str, CropScores]
    trained: dict[str, int]

    def recall_interval(self, scores: ClassScores) -> Interval:
        """The 95 % interval of a class's recall."""
        return wilson(round(scores.recall * scores.images), scores.images)


def class_table(contents: Contents) -> ClassTable | None:
    """Collect the scores of each class; None before an evaluation."""
    result = contents.evaluation
    if result is None or not result.classes:
        return None
    crops = result.crops if len(result.crops) > 1 else {}
    return ClassTable(contents.split, result.classes, crops, contents.training_photos)
