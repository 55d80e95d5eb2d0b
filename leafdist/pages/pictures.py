"""Photos as small JPEGs in the page itself, each only once."""

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leafdist.data.decode import Fit, decode
from leafdist.pages.html import Html, tag
from leafdist.system.errors import UnreadablePhotoError

SIDE = 144  # pixels, for a gallery shown at 72 to 144 of them
QUALITY = 78


class Pictures:
    """Of the folder of one split; a photo that is gone gives None, and is counted."""

    def __init__(self, folder: Path, fit: Fit) -> None:
        self.folder, self.fit = folder, fit
        self.gone: set[str] = set()
        self.found: set[str] = set()

    def photo(self, path: str, alt: str, **attributes: object) -> Html | None:
        """The whole photo as the network's resize sees it: a square."""
        try:
            pixels = decode(self.folder / path, SIDE, self.fit)
        except UnreadablePhotoError:
            self.gone.add(path)
            return None
        self.found.add(path)
        return picture(pixels, alt, data_path=path, **attributes)


def picture(pixels: NDArray[np.uint8], alt: str, **attributes: object) -> Html:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=QUALITY, optimize=True)
    source = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
    return tag("img", src=source, alt=alt, width=SIDE, height=SIDE, **attributes)
