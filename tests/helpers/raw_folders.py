"""Class folders to split, and what lies in a folder afterwards."""

from pathlib import Path

import numpy as np
from PIL import Image

from leafdist.data.photos import list_images
from leafdist.prepare.partition import Photo


def make_raw(root: Path, **classes: int) -> Path:
    """Write so many files per class that stand for photos."""
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number:03}.{'JPG' if number % 2 else 'jpg'}").write_text(f"{name} {number}")
    return root


def names(dest: Path, part: str, name: str) -> list[str]:
    """Return the names of the photos of one class in one split."""
    return [photo.name for photo in list_images(dest / part / name)[0]]


def write_groups(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    """Write a groups file of (class, stem, leaf id) rows."""
    path.write_text("".join("\t".join(row) + "\n" for row in [("class", "stem", "leaf_id"), *rows]))
    return path


def draw_raw(root: Path) -> Path:
    """Two classes of 40 photos of noise; 7 and 27 of `a` look the same, so do 3 of `a` and 5 of `b`."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (2, 40, 8, 8, 3), np.uint8)
    blocks[0, 27], blocks[1, 5] = blocks[0, 7], blocks[0, 3]
    for label, photos in zip("ab", blocks, strict=True):
        (root / label).mkdir(parents=True)
        for number, block in enumerate(photos):
            pixels = block.repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(root / label / f"p {20 * number}.jpg", quality=60 + number % 30)
    return root


def sides(dest: Path) -> dict[Photo, str]:
    """Return the split that each photo went to."""
    return {
        (path.parent.name, path.name): path.parts[-3] for path in dest.rglob("*.jpg") if path.parts[-3] != dest.name
    }
