"""How well `leafdist split --groups near` finds the leaves that are known: python benchmarks/grouping.py RAW IDS"""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from pathlib import Path

from leafdist.data.groups import leaf_of, read_groups
from leafdist.prepare.grouping import near_groups
from leafdist.prepare.raw_layout import find_photos


def pairs(groups: Iterable[Hashable]) -> int:
    """Pairs of members with the same group."""
    return sum(count * (count - 1) // 2 for count in Counter(groups).values())


def main() -> None:
    raw, ids = Path(sys.argv[1]), read_groups(Path(sys.argv[2]))
    start = time.monotonic()
    there = find_photos(raw)
    photos = [(label, file) for label, files in there.names.items() for file in files]
    paths = [there.path(photo) for photo in photos]
    found = dict(zip(photos, near_groups(paths, photos, {}, 2).tolist(), strict=True))
    seconds = time.monotonic() - start
    leaf = {photo: (photo[0], known) for photo in photos if (known := leaf_of(ids, *photo))}
    parts = defaultdict(set)
    for photo, name in leaf.items():
        parts[name].add(found[photo])
    both = pairs((leaf[photo], found[photo]) for photo in leaf)
    whole = sum(len(groups) == 1 for groups in parts.values()) / len(parts)
    precision, recall = both / pairs(found[photo] for photo in leaf), both / pairs(leaf.values())
    sizes = Counter(found.values())
    print(f"{len(photos)} photos, {len(leaf)} with an id, of {len(parts)} leaves; {seconds:.0f} s")
    print(f"pairs: precision {precision:.3f}, recall {recall:.3f}; {whole:.1%} of leaves in one group")
    print(f"{len(sizes)} groups, the largest of {max(sizes.values())} photos")


if __name__ == "__main__":
    main()
