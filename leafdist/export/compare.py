"""Whether an exported file answers as PyTorch does."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leafdist.export.subject import Scores

# of the largest score; 1e-6 and 2e-3 were measured (docs/export.md). What int8 costs is measured, not bounded
TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2, "int8": math.inf}


@dataclass(frozen=True)
class Agreement:
    """Of two networks on the same photos."""

    photos: int
    same: int  # in their first answer
    largest: float  # difference of a score
    scale: float  # largest score

    @classmethod
    def of(cls, expected: Scores, found: Scores) -> "Agreement":
        same = int((expected.argmax(1) == found.argmax(1)).sum())
        return cls(len(expected), same, float(np.abs(expected - found).max()), float(np.abs(expected).max()))

    def check(self, what: str, precision: str) -> None:
        """Raises ValueError where a score is further off than its precision explains."""
        if not self.largest <= TOLERANCE[precision] * max(self.scale, 1):  # a NaN is no answer either
            raise ValueError(
                f"{what} differs from PyTorch by {self.largest:.3g} in scores up to {self.scale:.3g} on {self.photos} "
                f"photos and was not kept: {precision} explains {TOLERANCE[precision]} of that. Update onnxruntime and "
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
