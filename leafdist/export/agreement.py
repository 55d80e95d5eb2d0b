"""Whether an exported file answers as PyTorch does."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leafdist.export.subject import Scores

# of a photo's largest score; docs/export.md has what was measured. What int8 costs is measured, not bounded
TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2, "int8": math.inf}


@dataclass(frozen=True)
class Agreement:
    """Of two networks on the same photos."""

    photos: int
    same: int  # in their first answer
    largest: float  # difference of a score
    relative: float  # to the largest score of the same photo, or to 1

    @classmethod
    def of(cls, expected: Scores, found: Scores) -> "Agreement":
        apart = np.abs(expected - found).max(1)
        scale = np.maximum(np.abs(expected).max(1), 1)
        same = int((expected.argmax(1) == found.argmax(1)).sum())
        return cls(len(expected), same, float(apart.max()), float((apart / scale).max()))

    def check(self, what: str, precision: str) -> None:
        """Raises ValueError where a score is further off than its precision explains."""
        if not self.relative <= TOLERANCE[precision]:  # a NaN is no answer either
            raise ValueError(
                f"{what} was not kept: it differs from PyTorch by {self.relative:.3g} of a photo's largest score, on "
                f"{self.photos} photos, and {precision} explains {TOLERANCE[precision]}. Update onnxruntime and "
                "PyTorch, or export --precision fp32"
            )

    def __str__(self) -> str:
        return f"same first answer on {self.same} of {self.photos} photos, largest difference {self.largest:.2g}"


@dataclass(frozen=True)
class Judged:
    """A file on the whole test split, beside PyTorch in float32."""

    photos: int
    accuracy: float
    before: float  # PyTorch's
    same: int

    @classmethod
    def of(cls, labels: NDArray[np.int64], expected: Scores, found: Scores) -> "Judged":
        after, before = (float((scores.argmax(1) == labels).mean()) for scores in (found, expected))
        return cls(len(labels), after, before, int((found.argmax(1) == expected.argmax(1)).sum()))

    def __str__(self) -> str:
        change = 100 * (self.accuracy - self.before)
        return (
            f"accuracy {self.accuracy:.4f} on {self.photos} test photos, {change:+.2f} points against fp32; "
            f"same first answer on {self.same}"
        )


@dataclass(frozen=True)
class Exported:
    """One file that was kept."""

    name: str
    precision: str
    size: int
    sha256: str
    agreement: Agreement
    judged: Judged | None
