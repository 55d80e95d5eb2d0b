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
from PIL import Image
from torch import Tensor

from leafdist.data.augment import Augment
from leafdist.data.decode import decode
from leafdist.data.plan import EVALUATION_BATCH
from leafdist.distributed.precision import autocast
from leafdist.evaluation.refusal import reasons, with_distance
from leafdist.models.gradcam import grad_cam, overlay
from leafdist.predict.caption import captioned
from leafdist.runs.evaluations import read_calibration, read_refusing
from leafdist.runs.load import LoadedRun
from leafdist.system.errors import UnreadablePhotoError

PICTURE = 448  # pixels per side of a Grad-CAM picture
OnUnreadable = Callable[[UnreadablePhotoError], None]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """The most likely classes of one photo, first one first, with their probabilities.

    heat: where the first one is seen, (resize,resize) from 0 to 1, if it was asked for; refused: why the answer is not
    to be taken, if that was asked for and is so.
    """

    path: Path
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    heat: NDArray[np.float32] | None = None
    refused: str = ""


class Predictor:
    """A loaded run that answers; `notices` are what a reader of its answers must know.

    refuse: say of answers that they are not to be taken; ValueError where the run has nothing to refuse by.
    """

    def __init__(
        self, run: LoadedRun, device: torch.device, cores: int, max_pixels: int | None = None, *, refuse: bool = False
    ) -> None:
        self.config, self.network, self.model, self.classes = run.config, run.network, run.model, run.classes
        self.max_pixels = max_pixels or run.config.data.max_pixels
        self.device, self.cores = device, cores
        self.augment = Augment.from_config(self.config.data).for_evaluation()
        calibration, missing = read_calibration(run.path, run.meta.sha256)
        self.calibrated = calibration is not None
        self.temperature = calibration.temperature if calibration else 1.0
        self.notices = [missing] if missing else []
        self.refusing = read_refusing(run.path, run.meta.sha256) if refuse else None
        self.judge = with_distance(run, self.refusing) if self.refusing else self.model
        if self.config.data.eval_crop == "random":
            self.notices.append("data.eval_crop=random: the crop is the middle one here, random ones need a split")

    def answers(
        self, paths: Iterable[Path], top: int, on_unreadable: OnUnreadable, *, cam: bool = False
    ) -> Iterator[Answer]:
        """Yield one answer per photo, in order; a photo that cannot be read goes to `on_unreadable` instead."""
        for batch, images in self._decoded(paths, on_unreadable):
            inputs = self.augment(torch.from_numpy(images).to(self.device))
            probabilities, distance = self.probabilities(inputs)
            likely, labels = probabilities.topk(min(top, len(self.classes)))
            why = self.refused(likely[:, 0], distance)
            heat = self.heat(inputs, labels[:, 0]) if cam else [None] * len(batch)
            for path, row, shares, seen, no in zip(batch, labels.tolist(), likely.tolist(), heat, why, strict=True):
                yield Answer(path, tuple(self.classes[label] for label in row), tuple(shares), seen, no)

    def probabilities(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Normalized (B,3,h,w) -> calibrated (B,classes), in the precision of evaluation, and what follows them."""
        with torch.inference_mode(), autocast(self.device, self.config.train.precision):
            logits, more = self.judge(inputs).tensor_split([len(self.classes)], 1)
        return F.softmax(logits.float() / self.temperature, 1), more

    def refused(self, confidence: Tensor, distance: Tensor) -> list[str]:
        """Why each answer is refused, "" where it is not: confidence (B,), distance (B,1)."""
        if not self.refusing:
            return [""] * len(confidence)
        both = torch.stack([confidence, distance[:, 0]]).double().cpu().numpy()
        return reasons(both[0], both[1], self.refusing.refusal)

    def heat(self, inputs: Tensor, labels: Tensor) -> NDArray[np.float32]:
        """Grad-CAM of each photo on the whole square that was cropped, (B,resize,resize)."""
        heat = grad_cam(self.model, self.network, inputs, labels)
        margin = int(self.config.data.resize) - heat.shape[-1]
        before = round(margin / 2)  # as in Augment's center crop
        return F.pad(heat, (before, margin - before) * 2).cpu().numpy()

    def picture(self, answer: Answer) -> Image.Image:
        """Draw the photo, larger than the network saw it, under its heat, with the answer below."""
        assert answer.heat is not None
        drawn = overlay(decode(answer.path, PICTURE, self.config.data.fit, self.max_pixels), answer.heat)
        name = answer.classes[0]
        sure = f"{100 * answer.probabilities[0]:.1f} % sure" + ("" if self.calibrated else ", not calibrated")
        sure += f", {answer.refused}" if answer.refused else ""
        number = f"class {self.classes.index(name) + 1} of {len(self.classes)}, whose name is in the file's comment"
        return captioned(drawn, name, number, sure, heat=bool(answer.heat.any()))

    def _decoded(self, paths: Iterable[Path], on_unreadable: OnUnreadable) -> Iterator[tuple[list[Path], Pixels]]:
        """Batches of readable photos; one is decoded by threads while the one before it is judged."""
        data, size, source = self.config.data, EVALUATION_BATCH[self.device.type], iter(paths)
        how = int(data.resize), data.fit, self.max_pixels, data.interpolation
        with ThreadPoolExecutor(self.cores) as pool:
            batches = (
                [(path, pool.submit(decode, path, *how)) for path in batch]
                for batch in iter(lambda: list(islice(source, size)), [])
            )
            ahead = next(batches, None)
            while ahead is not None:
                batch, ahead = ahead, next(batches, None)
                if good := list(_readable(batch, on_unreadable)):
                    yield [path for path, _ in good], np.stack([pixels for _, pixels in good])


def _readable(batch: list[tuple[Path, Future[Pixels]]], on_unreadable: OnUnreadable) -> Iterator[tuple[Path, Pixels]]:
    for path, decoded in batch:
        try:
            pixels = decoded.result()
        except UnreadablePhotoError as error:
            on_unreadable(error)
        else:
            yield path, pixels
