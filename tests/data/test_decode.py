"""Whatever people have on disk, to the same known colours."""

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from leafdist.data.decode import decode
from leafdist.pages.pictures import thumbnail
from leafdist.prepare.features import look_at
from leafdist.system.errors import UnreadablePhotoError
from tests.helpers.odd_photos import PIXELS, odd_photo, verdict

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


FORMATS = {
    "JPEG": {}, "MPO": {}, "PNG": {}, "WebP": {"lossless": True}, "TIFF": {}, "tiff_lzw": {}, "AVIF": {}, "GIF": {},
    "BMP": {}, "PPM": {}, "JPEG2000": {},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_format_is_turned_once(form: str, orientation: int, tmp_path: Path) -> None:
    exif, path = Image.Exif(), tmp_path / "leaf.jpg"
    exif[0x0112] = orientation
    given = {"compression": form} if form.startswith("tiff_") else FORMATS[form]
    Image.fromarray(PIXELS).save(path, form.partition("_")[0].upper(), exif=exif, **given)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    wanted = upright.resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(decode(path, 16), np.asarray(wanted))
    turns = form not in ("GIF", "BMP", "PPM", "JPEG2000")  # the others hold no EXIF
    assert upright.size == (PIXELS.shape[:2] if turns and orientation > 4 else PIXELS.shape[1::-1])


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_odd_headers_stop_no_photo(first: int, tmp_path: Path) -> None:
    found = set[str]()
    for seed in range(first, first + 100):
        (tmp_path / "odd").write_bytes(odd_photo(seed))
        found.add(verdict(tmp_path / "odd"))
    assert found == {"same", "refused by Pillow too"}


@pytest.mark.parametrize(("content", "words"), [
    (b"", "it is empty. Replace"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git-lfs pointer, .* `git lfs pull`"),
    (b"/annex/objects/SHA256E-s9--1.jpg", "git-annex pointer, .* `git annex get`"),
    (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "an HTML page, saved instead"),
    (b"<HTML><head>", "an HTML page, saved instead"),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "XML or JSON, saved instead"),
    (b'{"error": "rate limit"}', "XML or JSON, saved instead"),
    (b'<?xml version="1.0"?>\n<svg width="9">', "XML or JSON, saved instead"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, .* Convert it to JPEG"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix", "HEIC, .* Convert it to JPEG"),
    (b"\xff\x0a\x01\x02", "JPEG XL, .* Convert it to JPEG"),
    (b"\0\0\0\x18ftypisom\0\0\0\0", "a PDF, an archive or a video"),
    (b"%PDF-1.7\n%\xe2", "a PDF, an archive or a video"),
    (b"PK\3\4\0\0", "a PDF, an archive or a video"),
    (bytes(4096), "nothing but zero bytes"),
    ("Größe\n".encode(), "text, not a photo"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "a damaged JPEG"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a damaged PNG"),
    (b"\x01\x02\x03\0", "of no known format"),
])  # fmt: skip
def test_other_content_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadablePhotoError, match=rf"a\.jpg cannot be decoded.*{words}"):
        decode(tmp_path / "a.jpg", 8)
    assert re.search(words, look_at(tmp_path / "a.jpg")[0].fault), "an audit says the same"


def test_pixel_limit_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "wide.png", Image.new("RGB", (100, 10), GREEN))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with pytest.raises(UnreadablePhotoError, match=r"wide\.png has 1000 pixels, more than data\.max_pixels"):
        decode(path, 8, max_pixels=600)
    assert decode(path, 8, max_pixels=1000)[0, 0].tolist() == list(GREEN)
    with pytest.raises(UnreadablePhotoError, match="has 1000 pixels"):
        decode(path, 8, max_pixels=999)


def test_long_texts_are_no_obstacle(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "leaf " * 300_000, zip=True)
    text.add_itxt("history", "leaf " * 300_000, zip=True)
    Image.new("RGB", (8, 8), GREEN).save(tmp_path / "a.png", pnginfo=text)
    assert decode(tmp_path / "a.png", 8)[0, 0].tolist() == list(GREEN)


def test_pipes_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    for path in (tmp_path / "a.jpg", tmp_path, Path(os.devnull)):
        with pytest.raises(UnreadablePhotoError, match="is no regular file and was not opened"):
            decode(path, 8)
    assert thumbnail(tmp_path / "a.jpg") is None


def test_deep_grey_map_keeps_upper_bits(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 1 1 65535\n" + bytes([0x80, 0xFF]))
    assert decode(tmp_path / "a.pgm", 4)[0, 0].tolist() == [0x80] * 3
