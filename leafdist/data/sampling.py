"""Which photos an epoch shows: so many of each class, as a function of (seed, epoch, position), with nothing held."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leafdist.data.index import Index
from leafdist.data.plan import Purpose, stream_key
from leafdist.data.shuffle import scramble

GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it, modulo 1, lie as evenly as can be (Knuth, vol. 3, 6.4)


@dataclass(frozen=True)
class ClassSampling:
    """Shows `shown` photos of each class per epoch, and each photo of a class equally often, up to one.

    photos, shown, strides (C,) int64; keys (C,) uint64; order (n,): the photos class by class, None where that is how
    they stand, as they do unless labels.tsv moved some. Epochs go through a class's photos again and again, each time
    from another first one, a stride apart: so what an epoch leaves out differs from time to time.
    """

    photos: NDArray[np.int64]
    shown: NDArray[np.int64]
    strides: NDArray[np.int64]
    keys: NDArray[np.uint64]
    order: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, kind: str, index: Index, seed: int) -> "ClassSampling":
        """Read `data.sampling`: `balanced` or `sqrt`. Raises ValueError where a class has no photo."""
        photos = photos_of_classes(index, f"data.sampling={kind}", "all")
        shown = shown_of(kind, photos)
        strides = np.array([stride_of(count) for count in photos.tolist()])
        keys = np.random.Philox(key=stream_key(seed, 0, Purpose.SAMPLE)).random_raw(len(photos))
        standing = bool((index.labels[1:] >= index.labels[:-1]).all())
        return cls(photos, shown, strides, keys, None if standing else np.argsort(index.labels, kind="stable"))

    def __call__(self, epoch: int, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the photos at `positions` of an epoch that shows one class after the other, (n,) -> (n,)."""
        ends = np.cumsum(self.shown)
        label = np.searchsorted(ends, positions, "right")
        count, shown = self.photos[label], self.shown[label]
        turn, nth = np.divmod(epoch * shown + positions - (ends[label] - shown), count)
        offset = (scramble(self.keys[label] + turn.astype(np.uint64)) % count.astype(np.uint64)).astype(np.int64)
        first = np.cumsum(self.photos)[label] - count
        found: NDArray[np.int64] = first + (self.strides[label] * nth + offset) % count
        return found if self.order is None else self.order[found]


def photos_of_classes(index: Index, setting: str, off: str) -> NDArray[np.int64]:
    """Return the number of photos of each class, (C,). Raises ValueError where one has none; `off` is the way out."""
    photos = np.bincount(index.labels, minlength=len(index.classes))
    if not photos.all():
        name, (key, _, _) = index.classes[int(photos.argmin())], setting.partition("=")
        raise ValueError(f"{setting}: {index.folder} has no photo of {name!r}. Add some, or set {key}={off}")
    return photos


def shown_of(kind: str, photos: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many photos of each class an epoch shows, (C,), by `data.sampling`; `photos` (C,) are there."""
    if kind == "all":
        return photos
    return allot(int(photos.sum()), np.ones(len(photos)) if kind == "balanced" else np.sqrt(photos))


def allot(total: int, parts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Divide `total` in proportion to `parts` into integers that sum to it, by largest remainder; (C,) -> (C,)."""
    exact = total * parts / math.fsum(parts)
    whole = np.floor(exact)
    largest = np.argsort(whole - exact, kind="stable")
    whole[largest[: total - int(whole.sum())]] += 1
    return whole.astype(np.int64)


def stride_of(count: int) -> int:
    """Return the number nearest to the golden section of `count` that has no divisor in common with it."""
    middle = round(GOLDEN * count)
    near = (middle + sign * step for step in range(count + 1) for sign in (1, -1))
    return next(stride for stride in near if math.gcd(stride, count) == 1)
