"""From a photo on disk to a square of uint8 RGB: the one place where images are decoded (PIL and numpy only)."""

from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps

MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}  # modes that become RGB without a choice to make
DECODER = f"Pillow {PIL.__version__}, EXIF applied, bilinear with antialias"


class UnreadablePhotoError(ValueError):
    """A photo that cannot be used; any rank may be the one that meets it."""


def decode(path: Path, side: int) -> NDArray[np.uint8]:
    """Decode, turn as EXIF says, convert to RGB and resize: (side, side, 3) uint8.

    The protocol's `transforms.Resize([64, 64])` on a PIL image: bilinear with antialias, the aspect ratio not kept.
    Raises UnreadablePhotoError, naming the file.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            upright = ImageOps.exif_transpose(image).convert("RGB")
            rows = np.asarray(upright.resize((side, side), Image.Resampling.BILINEAR))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what PIL raises on bad files
        raise UnreadablePhotoError(
            f"{path} cannot be decoded ({type(error).__name__}: {error}). Replace the file or remove it"
        ) from error
    if mode not in MODES:
        raise UnreadablePhotoError(f"{path} has colour mode {mode}, read are {sorted(MODES)}. Convert it to RGB")
    return rows
