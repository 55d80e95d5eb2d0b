"""Photos as small JPEGs in the page itself."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leafdist.data.decode import Fit, check_regular, decode_or_none, opened, upright

THUMBNAIL = 112  # pixels of the longer side
SIDE = 144  # pixels, for a gallery shown at 72 to 144 of them
QUALITY = 78


@dataclass(frozen=True)
class Picture:
    """An image in a page: its content, what it shows in words, and the photo that it is of."""

    source: str
    alt: str
    width: int
    height: int
    path: str | None = None


class Pictures:
    """The photos below one folder; those that cannot be read give None and are kept in `gone`."""

    def __init__(self, folder: Path, fit: Fit, max_pixels: int) -> None:
        self.folder, self.fit, self.max_pixels = folder, fit, max_pixels
        self.gone: set[str] = set()

    def photo(self, path: str, alt: str) -> Picture | None:
        """The photo as the network's resize sees it: a square."""
        pixels = decode_or_none(self.folder / path, SIDE, self.fit, self.max_pixels)
        if pixels is None:
            self.gone.add(path)
            return None
        return picture(pixels, alt, path)


def thumbnail(path: Path) -> Picture | None:
    """The photo as it is, upright and small; None where it cannot be read."""
    try:
        check_regular(path)
        with opened(path) as image:
            image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
            small = upright(image)
    except Exception:  # noqa: BLE001 - a damaged photo may raise anything in a decoder; whoever shows it says what
        return None
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return picture(np.asarray(small), path.name)


def picture(pixels: NDArray[np.uint8], alt: str, path: str | None = None) -> Picture:
    """Encode pixels (h,w,3) as a JPEG."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=QUALITY, optimize=True)
    source = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
    return Picture(source, alt, pixels.shape[1], pixels.shape[0], path)
