"""The words below a Grad-CAM picture: the class, how sure the network is, the heat's scale or why there is none."""

import textwrap
import unicodedata
from contextlib import suppress
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from leafdist.models.gradcam import overlay

SIZE, LINE, MARGIN = 17, 23, 10  # pixels: of the letters, of a line, around them
FONTS = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "Arial Unicode.ttf")  # as installed
NO_HEAT = "no heat: no part of the photo speaks for this class, the others were ruled out"
IN_NO_FONT = "\U0010fffe"
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def captioned(picture: NDArray[np.uint8], name: str, otherwise: str, sure: str, *, heat: bool) -> Image.Image:
    """Put the class below a picture, `otherwise` where no font has the letters of its name, and the heat's scale."""
    name = name.encode(errors="backslashreplace").decode()
    height, width, _ = picture.shape
    shown = " ".join(unicodedata.normalize("NFC", name).replace("___", " · ").replace("_", " ").split()) or name
    font = next((font for font in _fonts() if _has(font, shown)), None)
    words = [shown if font else otherwise, sure] + [NO_HEAT] * (not heat)
    font = font or _fonts()[0]
    lines = [line for part in words for line in _wrapped(part, font, width - 2 * MARGIN)]
    page = Image.new("RGB", (width, height + 2 * MARGIN + LINE * (len(lines) + heat)), "white")
    page.paste(Image.fromarray(picture))
    draw = ImageDraw.Draw(page)
    for row, line in enumerate([*lines, "none"] if heat else lines):
        draw.text((MARGIN, height + MARGIN + LINE * row), line, "black", font)
    if heat:
        below = height + MARGIN + LINE * len(lines)
        colours = np.broadcast_to(np.linspace(0, 1, width // 3, dtype=np.float32), (SIZE, width // 3))
        page.paste(Image.fromarray(overlay(np.full((*colours.shape, 3), 255, np.uint8), colours)), (62, below + 2))
        draw.text((70 + width // 3, below), "most, of this photo", "black", font)
    page.info["comment"] = f"{name}, {sure}".encode()  # which Pillow writes into the file
    return page


@cache
def _fonts() -> tuple[Font, ...]:
    """Pillow's own font, which has ASCII and little more, then those of this machine."""
    found: list[Font] = [ImageFont.load_default(SIZE)]
    for name in FONTS:
        with suppress(OSError):  # not installed
            found.append(ImageFont.truetype(name, SIZE))
    return tuple(found)


def _has(font: Font, text: str) -> bool:
    missing = bytes(font.getmask(IN_NO_FONT))
    return all(bytes(font.getmask(letter)) != missing for letter in set(text) - {" "})


def _wrapped(text: str, font: Font, room: int) -> list[str]:
    """Break the text into the longest lines that fit."""
    ways = (textwrap.wrap(text, letters) for letters in range(len(text), 0, -1))
    return next(lines for lines in ways if all(font.getlength(line) <= room for line in lines))
