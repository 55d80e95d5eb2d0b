"""Whether an exported file answers as PyTorch does."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leafdist.export.subject import Pixels, Scores
from leafdist.system.console import counted

# largest share of a photo's largest score; docs/export.md has measurements. What int8 costs is measured, not bounded
TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2, "int8": math.inf}
Answer = Callable[[Pixels], Scores]  # a network: photos as decode gives them -> scores


@dataclass(frozen=True)
class Agreement:
    """How close the scores of two networks on the same photos are.

    same: photos with the same first answer; largest: difference of a score; relative: to the largest score of the
    same photo, or to 1.
    """

    photos: int
    same: int
    largest: float
    relative: float

    @classmethod
    def measure(cls, expected: Scores, found: Scores) -> "Agreement":
        """Compare two tables of scores."""
        apart = np.abs(expected - found).max(1)
        scale = np.maximum(np.abs(expected).max(1), 1)
        same = int((expected.argmax(1) == found.argmax(1)).sum())
        return cls(len(expected), same, float(apart.max()), float((apart / scale).max()))

    def check(self, file: str, precision: str) -> None:
        """Raises ValueError if a score is further off than its precision explains."""
        if not self.relative <= TOLERANCE[precision]:  # so that NaN fails too
            way = "Update onnxruntime and PyTorch" + ", or export --precision fp32" * (precision != "fp32")
            raise ValueError(
                f"{file} was not kept: it differs from PyTorch by {self.relative:.3g} of a photo's largest score, on "
                f"{counted(self.photos, 'photo')}; {precision} allows {TOLERANCE[precision]}. {way}"
            )

    def __str__(self) -> str:
        photos = counted(self.photos, "photo")
        return f"same first answer on {self.same} of {photos}, largest difference {self.largest:.2g}"


@dataclass(frozen=True)
class Judged:
    """The accuracy of a file on the whole test split, beside that of PyTorch in float32."""

    photos: int
    accuracy: float
    before: float  # PyTorch's
    same: int

    @classmethod
    def measure(cls, labels: NDArray[np.int64], expected: Scores, found: Scores) -> "Judged":
        """Judge `found` against the labels, and against PyTorch's scores."""
        after, before = (float((scores.argmax(1) == labels).mean()) for scores in (found, expected))
        return cls(len(labels), after, before, int((found.argmax(1) == expected.argmax(1)).sum()))

    @property
    def change(self) -> str:
        """The difference in words."""
        return f"{100 * (self.accuracy - self.before):+.2f} points against fp32"

    def __str__(self) -> str:
        accuracy = f"accuracy {self.accuracy:.4f} on {self.photos} test photos, {self.change}"
        return f"{accuracy}; same first answer on {self.same}"


@dataclass(frozen=True)
class Exported:
    """A file that was kept; size in bytes."""

    name: str
    precision: str
    size: int
    sha256: str
    agreement: Agreement
    judged: Judged | None
