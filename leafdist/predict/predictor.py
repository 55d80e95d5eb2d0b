"""Prediction: photos from anywhere, through the preprocessing and the network of a run's best checkpoint."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from leafdist.data.augment import Augment
from leafdist.data.decode import decode
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.calibration import find
from leafdist.evaluation.evaluate import BATCH
from leafdist.models.gradcam import grad_cam, overlay
from leafdist.runs.load import load_run
from leafdist.system.errors import UnreadablePhotoError

PICTURE = 448  # pixels of a Grad-CAM picture's side
Say = Callable[[str], None]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """Of one photo: the most likely classes, the first one first, with their probabilities, and where they are seen."""

    path: Path
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    heat: NDArray[np.float32] | None = None


class Predictor:
    """The best checkpoint of `run`; what a reader of its answers must know goes to `say`."""

    def __init__(self, run: Path, runtime: Runtime, say: Say) -> None:
        self.runtime = runtime
        loaded = load_run(run, runtime.device)
        self.config, self.model, self.classes, meta = loaded.config, loaded.model, loaded.classes, loaded.meta
        self.augment = Augment.from_config(self.config.data).for_evaluation()
        calibration, missing = find(run, meta["sha256"])
        self.calibrated = calibration is not None
        self.temperature = calibration.temperature if calibration else 1.0
        if missing:
            say(missing)
        if self.config.data.eval_crop == "random":
            say("data.eval_crop=random: the crop is the middle one here; a photo of its own has no place in a split")

    def answers(self, paths: Iterable[Path], top: int, report: Say, *, cam: bool = False) -> Iterator[Answer]:
        """An answer a photo, in order; those that cannot be read are passed over and go to `report`."""
        for batch, images in self._decoded(paths, report):
            inputs = self.augment(torch.from_numpy(images).to(self.runtime.device))
            likely, places = self.probabilities(inputs).topk(min(top, len(self.classes)))
            heat = self.heat(inputs, places[:, 0]) if cam else None
            for row, path in enumerate(batch):
                names = tuple(self.classes[place] for place in places[row])
                yield Answer(path, names, tuple(likely[row].tolist()), heat[row] if heat is not None else None)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Normalised (B,3,h,w) -> calibrated (B,classes), in the precision that evaluation has."""
        with torch.inference_mode(), self.runtime.autocast(self.config.train.precision):
            logits: Tensor = self.model(inputs)
        return F.softmax(logits.float() / self.temperature, 1)

    def heat(self, inputs: Tensor, labels: Tensor) -> NDArray[np.float32]:
        """Grad-CAM of each photo on the whole square that was cropped, (B,resize,resize)."""
        heat = grad_cam(self.model, inputs, labels)
        margin = self.config.data.resize - heat.shape[-1]
        before = round(margin / 2)  # as Augment's centre
        return F.pad(heat, (before, margin - before) * 2).cpu().numpy()

    def picture(self, answer: Answer) -> Pixels:
        """The photo, larger than the network saw it, under its heat."""
        assert answer.heat is not None
        return overlay(decode(answer.path, PICTURE, self.config.data.fit), answer.heat)

    def _decoded(self, paths: Iterable[Path], report: Say) -> Iterator[tuple[list[Path], Pixels]]:
        """Batches of what can be read; one is decoded by threads while the one before it is judged."""
        data, size, source = self.config.data, BATCH[self.runtime.device.type], iter(paths)
        with ThreadPoolExecutor(self.runtime.cpus) as pool:
            batches = (
                [(path, pool.submit(decode, path, data.resize, data.fit)) for path in batch]
                for batch in iter(lambda: list(islice(source, size)), [])
            )
            ahead = next(batches, None)
            while ahead is not None:
                batch, ahead = ahead, next(batches, None)
                if good := list(_readable(batch, report)):
                    yield [path for path, _ in good], np.stack([pixels for _, pixels in good])


def _readable(batch: list[tuple[Path, Future[Pixels]]], report: Say) -> Iterator[tuple[Path, Pixels]]:
    for path, decoded in batch:
        try:
            pixels = decoded.result()
        except UnreadablePhotoError as error:
            report(str(error))
        else:
            yield path, pixels
