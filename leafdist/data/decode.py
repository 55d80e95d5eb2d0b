"""Decodes a photo into a square of uint8 RGB; no other module decodes for training (PIL and numpy only)."""

from pathlib import Path
from typing import Literal

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from leafdist.system.errors import UnopenedPhotoError, UnreadablePhotoError

# modes that become RGB in one way only; alpha is dropped, CMYK read as PIL does, without a colour profile
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"}
SIXTEEN = {"I;16", "I;16L", "I;16B"}  # grey, of which the upper 8 bits count
_METHODS = Image.Transpose  # by EXIF's orientation; 1 is upright
TURNS = {2: _METHODS.FLIP_LEFT_RIGHT, 3: _METHODS.ROTATE_180, 4: _METHODS.FLIP_TOP_BOTTOM, 5: _METHODS.TRANSPOSE}
TURNS |= {6: _METHODS.ROTATE_270, 7: _METHODS.TRANSVERSE, 8: _METHODS.ROTATE_90}
DECODER = f"Pillow {PIL.__version__}, EXIF applied, bilinear with antialias"
Fit = Literal["stretch", "crop"]


def decode(path: Path | str, side: int, fit: Fit = "stretch") -> NDArray[np.uint8]:
    """Decode, turn as EXIF says, convert to RGB and resize: (side, side, 3) uint8.

    stretch: the protocol's `transforms.Resize([64, 64])` on a PIL image, bilinear with antialias, the aspect ratio not
    kept. crop: the largest square in the middle, resized likewise. Raises UnreadablePhotoError, naming the file.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            square = _square(_rgb(turned(image)), side, fit)
            return np.asarray(square)
    except _ModeError:
        readable = ", ".join(sorted(MODES | SIXTEEN))
        raise UnreadablePhotoError(f"{path} has colour mode {mode}, read are {readable}. Convert it to RGB") from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file may raise anything in a decoder
        if isinstance(error, OSError) and error.errno:  # Pillow's own have none
            raise UnopenedPhotoError(f"{path} cannot be read ({error}). Check the disk and the permissions") from error
        raise UnreadablePhotoError(
            f"{path} cannot be decoded ({type(error).__name__}: {error}). Replace the file or remove it"
        ) from error


def decode_or_none(path: Path, side: int, fit: Fit = "stretch") -> NDArray[np.uint8] | None:
    """`decode`, for pages that leave out photos which cannot be read."""
    try:
        return decode(path, side, fit)
    except UnreadablePhotoError:
        return None


def turned(image: Image.Image) -> Image.Image:
    """Turn the photo as EXIF says; Pillow's exif_transpose also rewrites other tags and fails where one is odd."""
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def shifted(image: Image.Image) -> Image.Image:
    """Reduce 16 bits of grey to the upper 8; Pillow's conversion clips everything above 255."""
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


class _ModeError(Exception):
    """The colour mode has no single meaning as RGB."""


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN:
        return shifted(image).convert("RGB")
    if image.mode not in MODES:
        raise _ModeError
    return image.convert("RGB")


def _square(image: Image.Image, side: int, fit: Fit) -> Image.Image:
    if fit == "crop":
        return ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
    return image.resize((side, side), Image.Resampling.BILINEAR)
