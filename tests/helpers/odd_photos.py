"""Photos with odd headers, drawn from a seed, and what Pillow makes of each.

python -m tests.helpers.odd_photos 10000 [FIRST]   # so many cases; prints each that leafdist reads differently
"""

import struct
import sys
import tempfile
import warnings
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin
from torchvision.datasets.folder import default_loader

from leafdist.data.decode import MODES, TURNS, decode
from leafdist.system.errors import UnreadablePhotoError

SIDE = 16
PIXELS = np.zeros((16, 24, 3), np.uint8)
PIXELS[:8, :12, 0], PIXELS[:8, 12:, 1], PIXELS[8:, :12, 2] = 250, 200, 220  # no two turns of it are alike
FORMATS = ("JPEG", "PNG", "WebP", "TIFF", "AVIF", "GIF", "MPO", "PPM", "BMP", "JPEG2000")
WITH_EXIF = ("JPEG", "PNG", "WebP", "TIFF", "AVIF", "MPO")
XMP = b'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><rdf tiff:Orientation="%d"/></x:xmpmeta>'


def exif_block(orientation: int, endian: str = "<", extra: bytes = b"", tags: int = 1) -> bytes:
    """A block of EXIF with an orientation, then `extra` tags of 12 bytes."""
    start = b"II*\0" if endian == "<" else b"MM\0*"
    tag = struct.pack(f"{endian}HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + start + struct.pack(f"{endian}IH", 8, tags) + tag + extra + bytes(4)


def odd_exif(random: np.random.Generator) -> bytes:
    """A block that is right, odd, cut, shuffled, of another kind, or no EXIF at all."""
    orientation, endian = int(random.integers(0, 12)), "<>"[random.integers(2)]
    block = bytearray(exif_block(orientation, endian, random.bytes(12), int(random.integers(0, 4))))
    shuffled = block.copy()
    for at in random.integers(6, len(block), 3):
        shuffled[at] = random.integers(256)
    kind, goal = int(random.choice([0x8769, 0x8825, 0xA005])), int(random.integers(0, 2**32))
    nowhere = struct.pack(f"{endian}HHII", kind, 4, 1, goal)  # a pointer to more EXIF, or to GPS
    choices = (
        block,
        block[: random.integers(6, len(block))],
        b"Exif\0\0" + random.bytes(int(random.integers(0, 200))),
        shuffled,
        exif_block(orientation, endian, nowhere, 2),
        block + bytes(int(random.integers(0, 60_000))),
        random.bytes(int(random.integers(1, 40))),
    )
    return bytes(choices[random.integers(len(choices))])


def odd_photo(seed: int) -> bytes:
    """The file of case `seed`."""
    random = np.random.default_rng(seed)
    form = str(random.choice(FORMATS))
    image, file, given = Image.fromarray(PIXELS), BytesIO(), dict[str, Any]()
    if form in WITH_EXIF:
        given["exif"] = odd_exif(random)
    if form == "PNG" and random.random() < 0.3:
        text = PngImagePlugin.PngInfo()
        text.add_text("Raw profile type exif", f"\nexif\n8\n{given.pop('exif').hex()}"[: random.integers(1, 300)])
        given["pnginfo"] = text
    if form in ("JPEG", "WebP", "MPO") and random.random() < 0.2:
        given["xmp"] = XMP % random.integers(0, 10)
    if form in ("TIFF", "AVIF") and random.random() < 0.8:  # Pillow writes them only with EXIF that it can read
        given["exif"] = exif_block(int(random.integers(0, 12)))
    if form == "TIFF":
        given["compression"] = str(random.choice(["raw", "tiff_lzw", "jpeg"]))
    try:
        image.save(file, form, **given)
    except Exception:  # noqa: BLE001 - Pillow refuses to write this block
        given.pop("exif", None)
        image.save(file, form, **given)
    content = bytearray(file.getvalue())
    for at in random.integers(0, min(len(content), 250), random.choice([0, 0, 1, 2, 4])):
        content[at] = random.integers(256)
    return bytes(content)


def wanted(path: Path) -> list[np.ndarray] | None:
    """Every answer that is right, by Pillow; None where Pillow reads nothing, or a colour mode that we refuse."""
    try:
        plain = default_loader(str(path))
        with Image.open(path) as image:
            image.load()
            if image.mode not in MODES:
                return None
        try:
            with Image.open(path) as image:
                right = [ImageOps.exif_transpose(image).convert("RGB")]
        except Exception:  # noqa: BLE001 - EXIF that Pillow can read but not rewrite
            right = [plain, *(plain.transpose(turn) for turn in TURNS.values())]
    except Exception:  # noqa: BLE001 - no photo any more
        return None
    return [np.asarray(one.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in right]


def verdict(path: Path) -> str:
    """`same`, `refused by Pillow too`, or what is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = wanted(path)
        if right is None:
            return "refused by Pillow too"
        try:
            found = decode(path, SIDE)
        except UnreadablePhotoError as error:
            return f"refused by leafdist alone: {error}"
        return "same" if any(np.array_equal(found, one) for one in right) else "other pixels"


def main(count: int, first: int = 0) -> None:
    """Try so many cases; print the faults and the counts."""
    counts = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            path = Path(folder) / f"{seed}.jpg"
            path.write_bytes(odd_photo(seed))
            found = verdict(path)
            counts[found.split(":")[0]] += 1
            if found not in ("same", "refused by Pillow too"):
                print(seed, found)
            path.unlink()
    print(dict(counts))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
