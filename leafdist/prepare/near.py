"""Finds near-duplicates: photos that differ by encoding, brightness, size, a flip, a quarter turn or a crop only.

A photo's hash is the 8x8 lowest frequencies of its cosine transform, without the mean, of length 1: what pHash rounds
to 64 bits (Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"), kept as numbers, since
their products tell more photos apart than bits do and come as fast. Every view of a photo (flip, turn, crop) is a
product of matrices. Two photos whose hashes agree are compared a second time by their details: see `same_detail`.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from leafdist.prepare.features import SIDE
from leafdist.system import console

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

ALIKE = 0.93  # product of two hashes from which details are compared
SAME = 0.8  # correlation of details from which two photos count as near-duplicates; both measured: docs/data.md
LOW = 8  # frequencies per axis
SHIFT = 2  # pixels by which details may be shifted in a thumbnail
ROWS = 1024  # photos compared with all at a time
MOST_BYTES = 4 << 30  # of the products and masks of all threads


class View(NamedTuple):
    """rows @ photo @ columns.T; the photo is transposed first if `turned`."""

    name: str
    rows: Floats
    columns: Floats
    turned: bool = False
    around: tuple["View", ...] = ()  # views whose details are compared; the view itself if empty

    def of(self, gray: Floats) -> Floats:
        """Return the view of photos (n,32,32), or (n,8,8) if rows and columns are of the cosine transform."""
        seen = self.rows @ (gray.transpose(0, 2, 1) if self.turned else gray) @ self.columns.T
        return seen.astype(np.float32, copy=False)


class Pairs(NamedTuple):
    """first < second: photos; score: correlation of details; view: index into VIEWS, what was done to one of them."""

    first: Ints
    second: Ints
    score: Floats
    view: Ints


def _window(start: float, keep: float) -> Floats:
    """32 linear samples of the part [start, start + keep] of an axis of 32 pixels."""
    positions = np.clip((start + keep * (np.arange(SIDE) + 0.5) / SIDE) * SIDE - 0.5, 0, SIDE - 1)
    samples: Floats = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(SIDE))).astype(np.float32)
    return samples


def _flips_and_turns() -> list[View]:
    upright = np.eye(SIDE, dtype=np.float32)
    sides = (upright, upright[::-1])
    names = (
        "the same way up",
        "mirrored left-right",
        "mirrored upside down",
        "turned by 180 degrees",
        "mirrored along the diagonal",
        "turned by 90 degrees clockwise",
        "turned by 90 degrees anticlockwise",
        "mirrored along the other diagonal",
    )
    ways = product((False, True), sides, sides)
    return [View(name, rows, columns, turned) for name, (turned, rows, columns) in zip(names, ways, strict=True)]


def _crops() -> list[View]:
    def crop(keep: float, centre: tuple[float, float]) -> View:
        y, x = (min(max(middle - keep / 2, 0), 1 - keep) for middle in centre)
        return View("cropped", _window(y, keep), _window(x, keep))

    steps = (0.45, 0.5, 0.55)
    return [
        crop(0.9, (y, x))._replace(around=tuple(crop(keep, (y, x)) for keep in (0.85, 0.9, 0.95)))
        for y, x in product(steps, steps)
    ]


FLIPS_AND_TURNS = _flips_and_turns()
VIEWS = FLIPS_AND_TURNS + _crops()
_COSINES = (np.cos(np.pi * np.arange(LOW)[:, None] * (np.arange(SIDE) + 0.5) / SIDE)).astype(np.float32)
_COSINES[0] /= np.sqrt(2)
_APART = np.exp(-((np.arange(SIDE)[:, None] - np.arange(SIDE)) ** 2) / (2 * 2.0**2))
BLUR = (_APART / _APART.sum(1, keepdims=True)).astype(np.float32)  # Gaussian, sigma 2 pixels


def hashes(gray: Floats, view: View = FLIPS_AND_TURNS[0]) -> Floats:
    """Hash photos (n,32,32) to (n,64), each row of length 1, or all zero for a photo of one colour."""
    lowest = view._replace(rows=_COSINES @ view.rows, columns=_COSINES @ view.columns).of(gray).reshape(-1, LOW * LOW)
    lowest[:, 0] = 0
    return _unit(lowest)


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-2)
    return unit


def same_detail(one: Floats, other: Floats) -> Floats:
    """Correlate what a blur removes, at the best shift of up to 2 pixels: two (n,32,32) to (n,)."""
    spectra = [np.fft.rfft2(_detail(gray)) for gray in (one, other)]
    products = np.fft.irfft2(spectra[0] * spectra[1].conj(), s=(SIDE, SIDE))
    near = np.arange(-SHIFT, SHIFT + 1)
    best: Floats = products[:, near][:, :, near].max((1, 2)).astype(np.float32)
    return best


def _detail(gray: Floats) -> Floats:
    detail = gray - BLUR @ gray @ BLUR.T
    detail -= detail.mean((1, 2), keepdims=True)
    return _unit(detail.reshape(-1, SIDE * SIDE)).reshape(-1, SIDE, SIDE)


def near_duplicates(gray: Floats, workers: int) -> Pairs:
    """Find each pair among photos (n,32,32) once, with its best view. Compares all with all: 17 products of n x n."""
    known, workers = hashes(gray), max(1, min(workers, MOST_BYTES // (5 * ROWS * max(1, len(gray)))))
    tasks = [(view, start) for view in range(len(VIEWS)) for start in range(0, len(gray), ROWS)]
    found = [np.zeros((4, 0))]
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(workers) as pool,
        console.bar(len(tasks), "block", "comparing") as bar,  # quadratic in the photos: a million takes days
    ):
        for some in pool.map(lambda task: _near(gray, known, *task), tasks):
            found.append(some)
            bar.update(1)
    return _best_of_each(np.concatenate(found, 1))


def _near(gray: Floats, known: Floats, number: int, start: int) -> NDArray[np.float64]:
    """Compare photos from `start` in one view with all: (4,k) with first, second, score and view."""
    view = VIEWS[number]
    whole = number < len(FLIPS_AND_TURNS)  # then (j, i) is found from (i, j), in this view or the inverse one
    lowest = start if whole else 0
    alike = np.flatnonzero(hashes(gray[start : start + ROWS], view) @ known[lowest:].T >= ALIKE)
    first, second = alike // (len(known) - lowest) + start, alike % (len(known) - lowest) + lowest
    keep = first < second if whole else first != second
    first, second = first[keep], second[keep]
    score = np.zeros(len(first), np.float32)
    for part in np.array_split(np.arange(len(first)), len(first) // ROWS + 1):
        seen, other = gray[first[part]], gray[second[part]]
        for around in view.around or (view,):
            score[part] = np.maximum(score[part], same_detail(around.of(seen), other))
    same = score >= SAME
    return np.stack([np.minimum(first, second), np.maximum(first, second), score, np.full(len(first), number)])[:, same]


def _best_of_each(found: NDArray[np.float64]) -> Pairs:
    found = found[:, np.lexsort((-found[2], found[1], found[0]))]
    new = np.ones(found.shape[1], bool)
    new[1:] = (found[:2, 1:] != found[:2, :-1]).any(0)
    first, second, score, view = found[:, new]
    return Pairs(first.astype(np.int64), second.astype(np.int64), score.astype(np.float32), view.astype(np.int64))


def join(count: int, pairs: Ints) -> Ints:
    """Return the group number of each of `count` photos if those of each pair (k,2) belong together."""
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    groups: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def chains(groups: Iterable[Sequence[int]]) -> Ints:
    """Return pairs (k,2) that tie the members of each group together."""
    return np.array([pair for group in groups for pair in pairwise(group)], np.int64).reshape(-1, 2)
