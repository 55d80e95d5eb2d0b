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
from leafdist.prepare.partition import Groups, Photo

APART = 4  # file numbers between neighbours, above which a series breaks
LARGEST = 100  # most photos of a series that stay together; a tenth of the class if that is less, but
FEWEST = 12  # so many (three leaves of four photos), as long as that is no more than a quarter of the class

_HASH = re.compile(r"^[0-9a-fA-F-]{32,}_*")
_NUMBER = re.compile(r"(?:^|[^0-9A-Za-z.])(\d+)")
_LAST = re.compile(r"\d+$")  # of cameras that put letters before it: DSC00412, P1010412
Numbered = list[tuple[int, int]]  # (number in the file name, index of the photo), sorted


def near_groups(paths: Sequence[Path], photos: Sequence[Photo], leaves: Groups, workers: int) -> Ints:
    """Return the group number of each photo, by leaf where that is known, else by number, and by likeness.

    Undecodable ones are grouped by their names alone. What an audit would call near-duplicates is always in one group.
    """
    features = read_features(paths, workers)
    pairs = near_duplicates(features.gray(), workers)
    alike = np.stack([pairs.first, pairs.second], 1)
    same = defaultdict(list)
    for index, facts in enumerate(features.facts):
        same[facts.sha256].append(index)
    return join(len(photos), np.concatenate([alike, chains(same.values()), by_leaf_or_number(photos, leaves)]))


def by_leaf_or_number(photos: Sequence[Photo], leaves: Groups) -> Ints:
    """Return pairs (k,2) that tie photos of one leaf together, and those of a series among photos without a leaf."""
    known = defaultdict(list)
    for index, photo in enumerate(photos):
        if photo in leaves:
            known[leaves[photo]].append(index)
    unknown = [index for index, photo in enumerate(photos) if photo not in leaves]
    runs = [[unknown[number] for number in run] for run in series([photos[index] for index in unknown])]
    return np.concatenate([chains(known.values()), chains(runs)])


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
        most = max(1, min(LARGEST, max(FEWEST, sizes[label] // 10), sizes[label] // 4))
        runs += [part for run in _runs(sorted(numbered)) for part in _cut(run, most)]
    return [[index for _, index in run] for run in runs]


def parse(file: str) -> tuple[str, int | None]:
    """Parse `0a1b…___RS_HL 0607 copy 2.jpg` to ("RS_HL", 607): the text before the first number, without a hash."""
    stem = _HASH.sub("", PurePath(file).stem)
    found = _NUMBER.search(stem, stem.rfind("__") + 1)  # before that: the folder that a split put into the name
    if found:
        return stem[: found.start()], int(found[1])
    return (stem[: last.start()], int(last[0])) if (last := _LAST.search(stem)) else (stem, None)


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
