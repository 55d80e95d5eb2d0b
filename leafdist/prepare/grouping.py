"""Groups photos that may show one leaf, where that was not recorded, by file numbers and likeness.

Four photos of a leaf in a row get four consecutive numbers. Neighbours look hardly more alike where they show
the same leaf than where they do not (area under the curve 0.62 for colours, on the real photos), so numbers decide.
A group may hold several leaves, which does a split no harm; one leaf with photos on both sides would.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from leafdist.prepare.features import read_features
from leafdist.prepare.near import Ints, chains, join, near_duplicates
from leafdist.prepare.partition import Photo

APART = 4  # file numbers between neighbours, above which a series breaks
LARGEST = 100  # most photos of a series that stay together; a tenth of the class if that is less
LIKELY = 0.85  # correlation of details from which near-duplicates are joined: chains of doubtful ones grow long

_HASH = re.compile(r"^[0-9a-fA-F-]{32,}_*")
_NUMBER = re.compile(r"(?:^|[^0-9A-Za-z.])(\d+)")
Numbered = list[tuple[int, int]]  # (number in the file name, index of the photo), sorted


def near_groups(raw: Path, photos: Sequence[Photo], workers: int) -> Ints:
    """Return the group number of each photo of `raw/<class>/`; undecodable ones are grouped by their names alone."""
    features = read_features([raw / label / file for label, file in photos], workers)
    pairs = near_duplicates(features.gray(), workers)
    likely = pairs.score >= LIKELY
    alike = np.stack([pairs.first[likely], pairs.second[likely]], 1)
    same = defaultdict(list)
    for index, facts in enumerate(features.facts):
        same[facts.sha256].append(index)
    return join(len(photos), np.concatenate([alike, chains(same.values()), chains(series(photos))]))


def series(photos: Sequence[Photo]) -> list[list[int]]:
    """Return the indices of photos with consecutive file numbers, one class and one beginning of the name."""
    found: defaultdict[tuple[str, str], Numbered] = defaultdict(list)
    for index, (label, file) in enumerate(photos):
        beginning, number = parse(file)
        if number is not None:
            found[label, beginning].append((number, index))
    sizes = Counter(label for label, _ in photos)
    runs = []
    for (label, _), numbered in found.items():
        most = max(1, min(LARGEST, sizes[label] // 10))
        runs += [part for run in _runs(sorted(numbered)) for part in _cut(run, most)]
    return [[index for _, index in run] for run in runs]


def parse(file: str) -> tuple[str, int | None]:
    """Parse `0a1b…___RS_HL 0607 copy 2.jpg` to ("RS_HL", 607): the text before the first number, without a hash."""
    stem = _HASH.sub("", PurePath(file).stem)
    found = _NUMBER.search(stem)
    return (stem[: found.start()], int(found[1])) if found else (stem, None)


def _runs(numbered: Numbered) -> list[Numbered]:
    breaks = np.flatnonzero(np.diff([number for number, _ in numbered]) > APART) + 1
    return [numbered[start:stop] for start, stop in zip([0, *breaks], [*breaks, len(numbered)], strict=True)]


def _cut(run: Numbered, most: int) -> list[Numbered]:
    """Cut in two until short enough, each time at the largest step in the middle half."""
    if len(run) <= most:
        return [run]
    middle = len(run) / 2
    cuts = range(max(1, len(run) // 4), len(run) - len(run) // 4)
    cut = max(cuts, key=lambda k: (run[k][0] - run[k - 1][0], -abs(k - middle)))
    return _cut(run[:cut], most) + _cut(run[cut:], most)
