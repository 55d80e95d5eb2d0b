"""The answers of an evaluation, one row per photo."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNREADABLE = -1  # the answer on a photo that cannot be read: always wrong


@dataclass(frozen=True)
class Predictions:
    """labels, predicted (n,) int64; loss in nats, confidence (n,) float64; logits (n,C) where they were kept;
    more (n,M): what the network gave after them, or (kept,M), of the photos that can be read and `spread` chooses.

    In index order, then the photos that were set aside: UNREADABLE, at the loss of a guess, with NaN for logits.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    loss: NDArray[np.float64]
    confidence: NDArray[np.float64]
    logits: NDArray[np.float64] | None = None
    more: NDArray[np.float64] | None = None

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Whether each answer is right."""
        return np.equal(self.predicted, self.labels)

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1."""
        return float(self.hits.mean())

    @property
    def mean_loss(self) -> float:
        """Mean cross-entropy, in nats."""
        return float(self.loss.mean())

    @property
    def kept_logits(self) -> NDArray[np.float64]:
        """Logits (n,C) of an evaluation that was told to keep them."""
        assert self.logits is not None
        return self.logits

    @property
    def known(self) -> "Predictions":
        """The photos whose class the run knows."""
        return self.only(self.labels >= 0)

    def only(self, rows: NDArray[np.bool_]) -> "Predictions":
        """Select the photos for which `rows` is true."""
        logits, more = (None if one is None else one[rows] for one in (self.logits, self.more))
        facts = self.labels[rows], self.predicted[rows], self.loss[rows], self.confidence[rows]
        return Predictions(*facts, logits, more)


def spread(photos: int, most: int | None) -> NDArray[np.int64]:
    """Return the rows of `most` of so many photos, evenly apart; of all where these are no more, or for None."""
    some = photos if most is None else min(photos, most)
    return np.unique(np.linspace(0, photos - 1, some).astype(np.int64))
