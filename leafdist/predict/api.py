"""`from leafdist import load_run`: a trained run in a Python program."""

from collections.abc import Iterable
from functools import cached_property, partial
from pathlib import Path

import torch

from leafdist.predict.predictor import Answer, Predictor
from leafdist.runs import load
from leafdist.runs.load import LoadedRun
from leafdist.system.errors import UnreadablePhotoError
from leafdist.system.processes import usable_cores


class Model:
    """The best checkpoint of a run. calibrated: whether `evaluate.py` has fitted a temperature to it."""

    def __init__(self, run: LoadedRun, device: torch.device) -> None:
        self._make = partial(Predictor, run, device, usable_cores())
        self._predictor = self._make()
        self.classes = self._predictor.classes
        self.calibrated = self._predictor.calibrated

    def predict(self, paths: Iterable[Path | str], top: int = 3, *, refuse: bool = False) -> list[Answer]:
        """Classify photos, one answer each, in order. Raises UnreadablePhotoError at the first unreadable photo.

        refuse: say in each answer's `refused` why it is not to be taken; ValueError where the run has no limits for it.
        """
        if top < 1:
            raise ValueError(f"top={top}: must be at least 1")
        predictor = self._refusing if refuse else self._predictor
        return list(predictor.answers(map(Path, paths), top, _raise))

    @cached_property
    def _refusing(self) -> Predictor:
        return self._make(refuse=True)


def load_run(run: Path | str) -> Model:
    """Load the best checkpoint of a run folder, onto a GPU if there is one. Raises ValueError if there is none."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Model(load.load_run(Path(run), device), device)


def _raise(error: UnreadablePhotoError) -> None:
    raise error
