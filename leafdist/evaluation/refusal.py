"""Refuses answers of which the network is not sure, and those on photos that are not of its classes.

Not of them: its features, of unit length, lie off the directions in which those of known photos vary (the residual
of a principal component analysis; Wang et al. 2022, arXiv 2203.10807, add it to the logits). docs/predict.md has what
that is worth beside nearest neighbours and Mahalanobis distances.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from leafdist.evaluation.predictions import spread
from leafdist.models.before_head import WithMore
from leafdist.runs.evaluations import Refusing, Subspace
from leafdist.runs.load import LoadedRun
from leafdist.runs.results import Refusal
from leafdist.system.console import command

SURE = 0.95  # accuracy of the answers that are given
REFUSED = 0.05  # most of the known photos that are refused for their distance
VARIANCE = 0.9  # of the known features, which the subspace holds
FOLDS = 5
MOST = 4096  # photos that the subspace is from
NEVER = 2.0  # no confidence is enough
NOT_SURE, NOT_OURS = "not sure", "not one of these leaves"
Floats = NDArray[np.float64]


class Distance(nn.Module):
    """Features (B,F) -> how far they lie off the subspace (B,1), from 0 to about 1, in `dtype`."""

    def __init__(self, subspace: Subspace, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()  # float64: autocast leaves it alone
        self.register_buffer("mean", torch.from_numpy(subspace.mean).to(dtype))
        self.register_buffer("directions", torch.from_numpy(subspace.directions).to(dtype))

    def forward(self, features: Tensor) -> Tensor:
        """Project and take the length of the rest."""
        mean, directions = self.get_buffer("mean"), self.get_buffer("directions")
        apart = F.normalize(features.to(mean.dtype), dim=1) - mean
        rest: Tensor = apart - apart @ directions.T @ directions
        return torch.linalg.vector_norm(rest, dim=1, keepdim=True)  # type: ignore[no-any-return]


def with_distance(loaded: LoadedRun, refusing: Refusing) -> WithMore:
    """Return the network of a run, whose logits are followed by the distance: (B,3,h,w) -> (B,C+1)."""
    distance = Distance(refusing.subspace).to(next(loaded.model.parameters()).device)
    return WithMore(loaded.model, loaded.network.head, distance, 1).eval()


def reasons(confidence: Floats, distance: Floats, refusal: Refusal) -> list[str]:
    """Why each answer is refused, "" where it is given; confidence (n,) is calibrated. NaN is refused."""
    ours, sure = distance <= refusal.distance, confidence >= refusal.confidence
    return np.where(ours, np.where(sure, "", NOT_SURE), NOT_OURS).tolist()  # type: ignore[no-any-return]


def check_wanted(wanted: float | None) -> None:
    """Raises ValueError for what is no accuracy."""
    if wanted is not None and not 0 < wanted <= 1:
        raise ValueError(f"--sure {wanted:g}: an accuracy above 0 and at most 1, such as {SURE}")


def fit(
    features: Floats, labels: NDArray[np.int64], confidence: Floats, hits: NDArray[np.bool_], wanted: float | None
) -> tuple[Refusal, Subspace]:
    """Find both thresholds on photos that the network was not trained on: confidence calibrated (n,).

    features (m,F): those of the photos that `spread` chooses of n, MOST at most.

    The distance of each photo is from a subspace of the others, since those that it is from lie nearer to it.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - a training starts without it

    wanted = wanted or SURE
    threshold, answered, accuracy = sure(confidence, hits, wanted)
    some = spread(len(labels), MOST)
    unit = F.normalize(torch.from_numpy(features), dim=1).numpy()
    with threadpool_limits(1):  # how many cores share a sum changes its last bits
        subspace = fit_subspace(unit)
        fold, distances = folds(unit @ subspace.directions[:1].sum(0), labels[some]), np.empty(len(unit))
        for number in np.unique(fold):
            rest = fit_subspace(unit[fold != number]) if (fold != number).any() else subspace
            mine = torch.from_numpy(unit[fold == number])
            distances[fold == number] = Distance(rest)(mine)[:, 0].numpy()
    limit = float(np.quantile(distances, 1 - REFUSED, method="inverted_cdf"))
    return Refusal(wanted, threshold, answered, accuracy, limit, float((distances > limit).mean())), subspace


def sure(confidence: Floats, hits: NDArray[np.bool_], wanted: float) -> tuple[float, float, float | None]:
    """Return the lowest confidence from which on `wanted` of the answers are right, their share and their accuracy.

    (0, 1, accuracy) where all answers reach it, (NEVER, 0, None) where none do.
    """
    order = np.argsort(-confidence, kind="stable")
    values, right = confidence[order], np.cumsum(hits[order])
    count = np.arange(1, len(values) + 1)
    last = np.append(values[1:] != values[:-1], True)  # photos of one confidence go together
    enough = np.flatnonzero((right >= wanted * count - 1e-9) & last)  # 0.55 * 100 is above 55
    if not len(enough):
        return NEVER, 0.0, None
    row = enough[-1]
    everything = row == len(values) - 1
    return (0.0 if everything else float(values[row])), float(count[row] / len(values)), float(right[row] / count[row])


def fit_subspace(unit: Floats) -> Subspace:
    """Find the mean of (n,F) and the fewest principal directions that hold VARIANCE."""
    mean = unit.mean(0)
    apart = unit - mean
    few = len(unit) < unit.shape[1]
    values, vectors = np.linalg.eigh(apart @ apart.T if few else apart.T @ apart)
    shares = np.maximum(values[::-1], 0).cumsum()
    count = int(np.searchsorted(shares, VARIANCE * shares[-1])) + 1 if shares[-1] > 0 else 0
    first = vectors[:, ::-1][:, :count].T
    if few:
        first = first @ apart
        first /= np.linalg.norm(first, axis=1, keepdims=True)
    return Subspace(mean.astype(np.float32), np.ascontiguousarray(first, np.float32))


def folds(along: Floats, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal the photos of each class (n,) to FOLDS, those that lie together `along` a direction to the same one.

    Photos of one leaf lie together: dealt by chance, each would have its like in the rest, as no new photo has.
    """
    order = np.lexsort((along, labels))
    ordered = labels[order]
    first, end = (np.searchsorted(ordered, ordered, side) for side in ("left", "right"))
    fold = np.empty(len(labels), np.int64)
    fold[order] = ((np.arange(len(labels)) - first) * FOLDS // (end - first) + ordered) % FOLDS
    return fold


def in_words(refusal: Refusal, run: object) -> str:
    """Say in a line what the limits are."""
    if refusal.accuracy is None:
        way = f"{command('python', 'evaluate.py', run)} --sure ACCURACY asks for less"
        return f"refusal: no confidence gives an accuracy of {refusal.wanted:g} on val, every answer is refused; {way}"
    sure = f"{NOT_SURE} below {refusal.confidence:.4f}" if refusal.confidence else "sure of every answer"
    return (
        f"refusal: {sure}, for an accuracy of {refusal.wanted:g} (on val {refusal.accuracy:.4f} of the "
        f"{100 * refusal.answered:.1f} % answered); {NOT_OURS} beyond a distance of {refusal.distance:.4f} "
        f"({100 * refusal.refused:.1f} % of val)"
    )
