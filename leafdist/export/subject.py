"""What is exported: a run's network with the input that its file takes, and what PyTorch answers to that."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leafdist.config.schema import Config
from leafdist.data.augment import Augment
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.evaluate import BATCH
from leafdist.export.portable import Portable
from leafdist.runs.evaluations import read_calibration
from leafdist.runs.load import load_run
from leafdist.runs.record import RunRecord

Pixels = NDArray[np.uint8]  # (B,resize,resize,3), as decode gives them
Scores = NDArray[np.float32]  # (B,classes)


@dataclass(frozen=True)
class Subject:
    """The best checkpoint of a run, on the CPU: on a GPU float32 may be TF32, and what is exported is not.

    `inside`: crop, scale and normalise belong to the network.
    """

    record: RunRecord
    config: Config
    model: nn.Module
    classes: tuple[str, ...]
    meta: dict[str, Any]
    inside: bool

    @classmethod
    def load(cls, run: Path, runtime: Runtime, root: str | None = None, *, inside: bool) -> "Subject":
        """Its data lies at `root` where given. Raises ValueError for what is no run, or has no best checkpoint."""
        loaded = load_run(run, root=root)
        return cls(RunRecord.open(run), loaded.config, loaded.model, loaded.classes, loaded.meta, inside)

    @property
    def augment(self) -> Augment:
        return Augment.from_config(self.config.data).for_evaluation()

    @property
    def temperature(self) -> float | None:
        calibration, _ = read_calibration(self.record.path, self.meta["sha256"])
        return calibration.temperature if calibration else None

    def network(self, *, half: bool = False) -> Portable:
        return Portable(self.model, self.augment if self.inside else None, half=half)

    def blank(self) -> Pixels:
        """Two photos, to trace with: one alone would be taken for a constant."""
        side = self.config.data.resize
        return np.zeros((2, side, side, 3), np.uint8)

    def inputs(self, photos: Pixels) -> Tensor:
        """What the exported network is given for these photos."""
        pixels = torch.from_numpy(photos)
        return pixels if self.inside else self.augment(pixels).contiguous()

    def scores(self, photos: Pixels) -> Scores:
        """PyTorch's answers, of the network as it was trained, in float32."""
        size = BATCH["cpu"]
        with torch.inference_mode():
            parts = [
                self.model(self.augment(torch.from_numpy(photos[start : start + size]))).float()
                for start in range(0, len(photos), size)
            ]
        return torch.cat(parts).numpy()
