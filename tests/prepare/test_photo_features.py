"""What an audit sees of a photo: as it is shown, and the same by any number of processes."""

from pathlib import Path

import numpy as np
from PIL import Image

from leafdist.prepare.features import look_at, read_features


def test_border_pixels_follow_exif_orientation(tmp_path: Path) -> None:
    pixels = np.zeros((9, 5, 3), np.uint8)
    pixels[0, 0], pixels[8, 4], pixels[4, 0] = 10, 20, 30
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown a quarter turn clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.png", exif=turned)
    for name, expected in (("a.png", [10, 0, 0, 30, 0, 0, 0, 20]), ("b.png", [0, 30, 10, 0, 0, 20, 0, 0])):
        facts, _, border = look_at(tmp_path / name)
        assert (facts.width, facts.height, facts.mode) == (5, 9, "RGB")
        assert isinstance(border, np.ndarray)
        assert border[:, 0].tolist() == expected


def test_several_processes_read_the_same(photos: Path) -> None:
    found = sorted(photos.rglob("*.png"))
    alone, together = read_features(found, 1), read_features(found, 2)
    assert alone.facts == together.facts
    assert np.array_equal(alone.thumbnails, together.thumbnails)
