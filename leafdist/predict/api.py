"""`from leafdist import load_run`: a trained run in a Python program."""

from collections.abc import Iterable
from pathlib import Path

import torch

from leafdist.predict.predictor import Answer, Predictor
from leafdist.runs import load
from leafdist.system.errors import UnreadablePhotoError
from leafdist.system.processes import usable_cores


class Model:
    """The best checkpoint of a run. calibrated: whether `evaluate.py` has fitted a temperature to it."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.classes = predictor.classes
        self.calibrated = predictor.calibrated

    def predict(self, paths: Iterable[Path | str], top: int = 3) -> list[Answer]:
        """Classify photos, one answer each, in order. Raises UnreadablePhotoError at the first unreadable photo."""
        if top < 1:
            raise ValueError(f"top={top}: must be at least 1")
        return list(self._predictor.answers(map(Path, paths), top, _raise))


def load_run(run: Path | str) -> Model:
    """Load the best checkpoint of a run folder, onto a GPU if there is one. Raises ValueError if there is none."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Model(Predictor(load.load_run(Path(run), device), device, usable_cores()))


def _raise(error: UnreadablePhotoError) -> None:
    raise error
