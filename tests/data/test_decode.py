"""Whatever people have on disk, to the same known colours."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leafdist.data.decode import decode
from leafdist.system.errors import UnreadablePhotoError

GREEN = (40, 160, 80)


def put(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


@pytest.mark.parametrize(("mode", "suffix"), [
    ("RGB", "png"), ("RGB", "jpg"), ("RGBA", "tif"), ("P", "png"), ("CMYK", "jpg"), ("CMYK", "tif"), ("YCbCr", "tif"),
])  # fmt: skip
def test_green_is_green_in_each_mode(mode: str, suffix: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32), GREEN)
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    pixels = decode(put(tmp_path / f"a.{suffix}", image), 8)
    assert np.abs(pixels.astype(int) - GREEN).max() <= 3


def test_cmyk_is_read_ink_by_ink(tmp_path: Path) -> None:
    """Cyan, magenta, yellow, black alone and none at all."""
    inks = [(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0)]
    colours = [(0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0), (255, 255, 255)]
    for ink, colour in zip(inks, colours, strict=True):
        pixels = decode(put(tmp_path / "ink.tif", Image.new("CMYK", (8, 8), ink)), 8)
        np.testing.assert_array_equal(pixels, np.full((8, 8, 3), colour))


def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path) -> None:
    for suffix in ("png", "tif"):
        grey = Image.fromarray(np.array([[0, 255, 256, 0x80FF, 0xFFFF]], np.uint16))
        image = grey.resize((40, 8), Image.Resampling.NEAREST)
        pixels = decode(put(tmp_path / f"deep.{suffix}", image), 40)
        assert pixels[0, 4::8, 0].tolist() == [0, 0, 1, 0x80, 0xFF]


def test_ambiguous_mode_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePhotoError, match=r"a\.tif has colour mode F, read are"):
        decode(put(tmp_path / "a.tif", Image.new("F", (8, 8), 0.5)), 8)


@pytest.mark.parametrize("odd", [
    (0x0128, 9, struct.pack("<i", -1)),  # a unit of resolution below zero
    (0x011A, 2, b"abc\0"),  # a resolution in letters
])  # fmt: skip
def test_exif_turns_photos_despite_other_tags(odd: tuple[int, int, bytes], tmp_path: Path) -> None:
    tags = [(0x0112, 3, struct.pack("<HH", 6, 0)), odd]
    entries = b"".join(struct.pack("<HHI", tag, kind, 4 if kind == 2 else 1) + value for tag, kind, value in tags)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 255
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg", 32)[16, [2, 29], 0].tolist() == [0, 255], "its top is to the right"


def test_crop_keeps_shape_stretch_keeps_all(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :20, 0], pixels[:, 20:40, 1], pixels[:, 40:, 2] = 255, 255, 255
    path = put(tmp_path / "wide.png", Image.fromarray(pixels))
    np.testing.assert_array_equal(decode(path, 20, "crop"), pixels[:, 20:40])
    assert decode(path, 20, "stretch")[10, [2, 10, 17]].argmax(1).tolist() == [0, 1, 2]
