"""Decodes a photo into a square of uint8 RGB; no other module opens photos (PIL and numpy only)."""

import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from leafdist.config.schema import DataConfig
from leafdist.data.first_bytes import instead, photo_format
from leafdist.data.photos import first_bytes
from leafdist.system.errors import UnopenedPhotoError, UnreadablePhotoError

# modes that become RGB in one way only; alpha is dropped, CMYK read as PIL does, without a colour profile
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"}
SIXTEEN = {"I;16", "I;16L", "I;16B", "I;16N"}  # grey, of which the upper 8 bits count
LIMIT = DataConfig.max_pixels  # by default Pillow's own limit
_METHODS = Image.Transpose  # by EXIF's orientation; 1 is upright
TURNS = {2: _METHODS.FLIP_LEFT_RIGHT, 3: _METHODS.ROTATE_180, 4: _METHODS.FLIP_TOP_BOTTOM, 5: _METHODS.TRANSPOSE}
TURNS |= {6: _METHODS.ROTATE_270, 7: _METHODS.TRANSVERSE, 8: _METHODS.ROTATE_90}
DECODER = f"Pillow {PIL.__version__}, EXIF applied once, {{}} with antialias"  # {}: the filter
Fit = Literal["stretch", "crop"]

warnings.filterwarnings("ignore", ".*(EXIF|Transparency)", UserWarning, "PIL")  # the photo is read all the same
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # data.max_pixels is the limit here
# Pillow refuses a PNG with over 1 MB of text (a prompt, an editor's history), which nobody reads here
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 28


def decode(
    path: Path | str, side: int, fit: Fit = "stretch", max_pixels: int = LIMIT, filter_: str = "bilinear"
) -> NDArray[np.uint8]:
    """Decode, turn as EXIF says, convert to RGB and resize: (side, side, 3) uint8.

    stretch: the protocol's `transforms.Resize([64, 64])` on a PIL image, bilinear with antialias, the aspect ratio not
    kept. crop: the largest square in the middle, resized likewise. filter_: `data.interpolation`, bilinear or bicubic.
    Raises UnreadablePhotoError, naming the file.
    """
    try:
        check_regular(path)
        with opened(path, max_pixels) as image:
            _check_mode(path, image)
            return np.asarray(_square(upright(image), side, fit, Image.Resampling[filter_.upper()]))
    except (MemoryError, UnreadablePhotoError):
        raise
    except Exception as error:  # a damaged file may raise anything in a decoder
        if isinstance(error, OSError) and error.errno:  # Pillow's own have none
            raise UnopenedPhotoError(f"{path} cannot be read ({error}). Check the disk and the permissions") from error
        try:
            head = first_bytes(path)
        except (OSError, ValueError) as lost:
            raise UnopenedPhotoError(f"{path} cannot be read ({lost}). Check the disk and the permissions") from lost
        raise UnreadablePhotoError(f"{path} {fault(error, head)}") from error


def decode_or_none(path: Path, side: int, fit: Fit, max_pixels: int) -> NDArray[np.uint8] | None:
    """`decode`, for pages that leave out photos which cannot be read."""
    try:
        return decode(path, side, fit, max_pixels)
    except UnreadablePhotoError:
        return None


def check_regular(path: Path | str) -> None:
    """Refuse what is no file before it is opened, since a FIFO would block for ever. Raises UnreadablePhotoError."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (not a Path for each photo)
        raise UnreadablePhotoError(f"{path} is no regular file and was not opened. Name a photo, or remove it")


@contextmanager
def opened(source: Path | str | BinaryIO, max_pixels: int = LIMIT) -> Iterator[Image.Image]:
    """Open a photo, of which nothing but the header is read. Raises whatever Pillow raises, `fault` has it in words."""
    if Image.MAX_IMAGE_PIXELS and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:  # Pillow warns at half of what it refuses
        Image.MAX_IMAGE_PIXELS = max_pixels
    with Image.open(source) as image:
        if image.width * image.height > max_pixels:
            raise Image.DecompressionBombError(f"{image.width * image.height}")
        yield image


def fault(error: Exception, head: bytes) -> str:
    """Say what is wrong with a photo that begins with `head` and could not be read, and the way out."""
    if isinstance(error, Image.DecompressionBombError):
        pixels = "".join(re.findall(r"\d+", str(error))[:1])
        rule = "more than data.max_pixels (pack, masks, predict: --max-pixels) allows"
        return f"has {pixels} pixels, {rule}. Raise that, or scale the photo down"
    if what := instead(head):
        return f"cannot be decoded: it is {what}"
    known = photo_format(head)
    kind = f"a damaged {known}" if known else "of no known format"
    why = "" if isinstance(error, PIL.UnidentifiedImageError) else f", {type(error).__name__}: {error}"
    return f"cannot be decoded ({kind}{why}). Replace the file or remove it"


def orientation(image: Image.Image) -> int:
    """Return how EXIF says that the photo is turned, from 1, upright, to 8; upright where EXIF cannot be read.

    Of a TIFF, Pillow turns the pixels itself while it loads them, and the answer is 1 from then on.
    """
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(found) if found in TURNS else 1
    except Exception:  # noqa: BLE001 - a block of EXIF may hold anything, and the pixels are healthy all the same
        return 1


def upright(image: Image.Image) -> Image.Image:
    """Return the photo in RGB, turned as EXIF says; Pillow's exif_transpose also rewrites other tags and fails where
    one is odd. Of 16 bits of grey the upper 8 are kept; Pillow's conversion clips everything above 255.
    """
    image.load()  # before EXIF is asked: see `orientation`
    turn = TURNS.get(orientation(image))
    if mode_of(image) in SIXTEEN:
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    pixels = image.convert("RGB")
    return pixels if turn is None else pixels.transpose(turn)


def mode_of(image: Image.Image) -> str:
    """Return the colour mode; Pillow opens 16 bits of grey in a PGM as 32."""
    return "I;16" if image.mode == "I" and image.format == "PPM" else image.mode


def _check_mode(path: Path | str, image: Image.Image) -> None:
    if mode_of(image) not in MODES | SIXTEEN:
        readable = ", ".join(sorted(MODES | SIXTEEN))
        raise UnreadablePhotoError(f"{path} has colour mode {image.mode}, read are {readable}. Convert it to RGB")


def _square(image: Image.Image, side: int, fit: Fit, how: Image.Resampling) -> Image.Image:
    return ImageOps.fit(image, (side, side), how) if fit == "crop" else image.resize((side, side), how)
