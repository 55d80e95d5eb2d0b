"""What is exported: a run's network with the input that its file takes, and PyTorch's answers to it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leafdist.data.augment import Augment
from leafdist.data.plan import EVALUATION_BATCH
from leafdist.evaluation.assess import LEAVES_ELSEWHERE
from leafdist.evaluation.refusal import with_distance
from leafdist.export.portable import Portable, Refusable
from leafdist.runs.evaluations import Refusing, read_calibration, read_refusing
from leafdist.runs.facts import Preprocessing
from leafdist.runs.layout import split_of
from leafdist.runs.load import LoadedRun, load_run
from leafdist.runs.record import RunRecord
from leafdist.runs.results import Evaluation
from leafdist.system.plain import to_plain

Pixels = NDArray[np.uint8]  # (B,resize,resize,3), as decode gives them
Scores = NDArray[np.float32]  # (B,classes)


@dataclass(frozen=True)
class Subject(LoadedRun):
    """The best checkpoint of a run, on the CPU, since float32 on a GPU may be TF32.

    inside: the exported network crops, scales and normalises by itself.
    """

    record: RunRecord
    inside: bool

    @classmethod
    def load(cls, run: Path, root: str | None = None, *, inside: bool) -> "Subject":
        """Open `run`, whose data now lies at `root` if given. Raises ValueError without a best checkpoint."""
        return cls(**vars(load_run(run, root=root)), record=RunRecord.open(run), inside=inside)

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The evaluation of this checkpoint on the run's own test split, from one view per photo."""
        found = self.record.evaluations.get("test")
        same = found and found.interval and found.checkpoint in (None, self.meta.sha256) and not found.tta
        return found if same else None

    @cached_property
    def elsewhere(self) -> list[Evaluation]:
        """Evaluations of this checkpoint on photos to test on of places that it was not trained on."""
        evaluations = self.record.evaluations.values()
        found = [one for one in evaluations if one.elsewhere and one.leaf_disjoint == LEAVES_ELSEWHERE]
        tests = [one for one in found if split_of(one.split) == "test"]
        return [one for one in tests if one.interval and one.checkpoint == self.meta.sha256 and not one.tta]

    @cached_property
    def temperature(self) -> float | None:
        """The number that calibrates the scores, if the run has one for this checkpoint."""
        calibration, _ = read_calibration(self.record.path, self.meta.sha256)
        return calibration.temperature if calibration else None

    @cached_property
    def refusing(self) -> Refusing | None:
        """What refusing an answer takes, if the run has it for this checkpoint."""
        calibration, _ = read_calibration(self.record.path, self.meta.sha256)
        return read_refusing(self.record.path, self.meta.sha256) if calibration and calibration.refusal else None

    @property
    def facts(self) -> dict[str, object]:
        """What a reader of an exported file alone must know."""
        preprocessing = to_plain(Preprocessing.from_config(self.config.data))
        facts: dict[str, object] = {
            "classes": list(self.classes),
            "preprocessing": {**preprocessing, "inside": self.inside},
            "temperature": self.temperature,
            "checkpoint": self.meta.sha256,
        }
        return facts | ({"refusal": to_plain(self.refusing.refusal)} if self.refusing else {})

    @cached_property
    def augment(self) -> Augment:
        """The preprocessing of evaluation, with the crop in the middle."""
        return Augment.from_config(self.config.data).for_evaluation()

    def portable(self, *, half: bool = False) -> Portable:
        """Return the network that is exported; `half`: in float16 inside."""
        return Portable(self.model, self.augment if self.inside else None, half=half)

    def graph(self, *, half: bool = False) -> Portable | Refusable:
        """Return the network with all that ONNX gives."""
        made = self.portable(half=half)
        return Refusable(made, self.network.head, self.refusing) if self.refusing else made

    def blank(self) -> Pixels:
        """Return two photos to trace with: a batch of one would be taken for a constant."""
        side = int(self.config.data.resize)
        return np.zeros((2, side, side, 3), np.uint8)

    def inputs(self, photos: Pixels) -> Tensor:
        """Return what the exported network is given for these photos."""
        pixels = torch.from_numpy(photos)
        return pixels if self.inside else self.augment(pixels).contiguous()

    def scores(self, photos: Pixels) -> Scores:
        """Return the answers of the network as it was trained, by PyTorch in float32."""
        return self._outputs(self.model, photos).numpy()

    def marks(self, photos: Pixels, refusing: Refusing) -> Scores:
        """Return what refusing goes by, confidence and distance (B,2), by PyTorch."""
        model = with_distance(self, refusing)
        scores, distance = self._outputs(model, photos).tensor_split([len(self.classes)], 1)
        model.before.hook.remove()
        confidence = (scores / refusing.temperature).softmax(1).amax(1, keepdim=True)
        return torch.cat([confidence, distance], 1).numpy()

    def _outputs(self, model: nn.Module, photos: Pixels) -> Tensor:
        parts = torch.from_numpy(photos).split(EVALUATION_BATCH["cpu"])
        with torch.inference_mode():
            return torch.cat([model(self.augment(part)).float() for part in parts])
