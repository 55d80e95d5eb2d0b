"""A small synthetic leaf data set: drawn, not downloaded, with the class names of the real one.

The crop gives the outline, the disease its marks, and everything else is chance: place, turn, light, table. Each photo
has its own generator, keyed by (seed, class, photo), so that it is the same whoever draws it.
"""

import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

CLASSES = (
    "Apple___Apple_scab",
    "Apple___Black_rot",
    "Apple___Cedar_apple_rust",
    "Apple___healthy",
    "Cherry___Powdery_mildew",
    "Cherry___healthy",
    "Corn___Cercospora_leaf_spot Gray_leaf_spot",
    "Corn___Common_rust",
    "Corn___Northern_Leaf_Blight",
    "Corn___healthy",
    "Grape___Black_rot",
    "Grape___Esca_(Black_Measles)",
    "Grape___Leaf_blight_(Isariopsis_Leaf_Spot)",
    "Grape___healthy",
    "Peach___Bacterial_spot",
    "Peach___healthy",
    "Pepper,_bell___Bacterial_spot",
    "Pepper,_bell___healthy",
    "Potato___Early_blight",
    "Potato___Late_blight",
    "Potato___healthy",
    "Strawberry___Leaf_scorch",
    "Strawberry___healthy",
    "Tomato___Bacterial_spot",
    "Tomato___Early_blight",
    "Tomato___Late_blight",
    "Tomato___Leaf_Mold",
    "Tomato___Septoria_leaf_spot",
    "Tomato___Spider_mites Two-spotted_spider_mite",
    "Tomato___Target_Spot",
    "Tomato___Tomato_Yellow_Leaf_Curl_Virus",
    "Tomato___Tomato_mosaic_virus",
    "Tomato___healthy",
)

Colour = tuple[int, int, int]
Floats = NDArray[np.float32]


class Crop(NamedTuple):
    """Outline by half-width along the midrib, in lengths of the leaf."""

    width: float  # greatest half-width
    peak: float = 0.75  # below 1: widest near the stalk
    point: float = 0.8  # above 1: drawn out to a point
    teeth: int = 0
    tooth: float = 0.0
    lobes: float = 0.0
    lobe: float = 0.0
    length: float = 0.85  # of the photo's side
    parallel: bool = False  # veins along the midrib
    green: Colour = (78, 122, 58)


class Marks(NamedTuple):
    """What a disease does to a leaf; the numbers are means."""

    spots: int = 0
    radius: float = 0.0  # of the photo's side
    stretch: float = 1.0  # along the midrib
    core: Colour = (90, 60, 35)
    halo: Colour | None = None
    rings: bool = False
    cloud: Colour | None = None  # a veil of this colour
    grain: int = 8  # its patches across the photo
    cover: float = 0.4  # its share of the leaf
    curl: float = 0.0


CROPS = {
    "Apple": Crop(0.31, teeth=26, tooth=0.05, green=(84, 112, 62)),
    "Cherry": Crop(0.25, peak=0.95, point=0.95, teeth=34, tooth=0.04, green=(66, 118, 60)),
    "Corn": Crop(0.13, point=0.25, length=1.5, parallel=True, green=(104, 138, 74)),
    "Grape": Crop(0.5, peak=0.55, point=0.6, teeth=16, tooth=0.1, lobes=2.5, lobe=0.4, length=0.8, green=(92, 128, 56)),
    "Peach": Crop(0.13, peak=0.9, point=1.1, teeth=30, tooth=0.03, length=0.95, green=(76, 128, 66)),
    "Pepper,_bell": Crop(0.27, peak=0.7, point=1.3, green=(62, 112, 44)),
    "Potato": Crop(0.34, peak=0.85, point=0.65, green=(98, 132, 78)),
    "Strawberry": Crop(0.42, peak=1.05, point=0.55, teeth=10, tooth=0.16, length=0.75, green=(70, 116, 50)),
    "Tomato": Crop(0.34, peak=0.65, point=0.9, teeth=9, tooth=0.1, lobes=4, lobe=0.4, green=(86, 120, 68)),
}

YELLOW, BROWN, DARK = (198, 184, 70), (112, 74, 42), (52, 42, 30)
DISEASES = {
    "healthy": Marks(),
    "Apple_scab": Marks(12, 0.04, core=(64, 62, 36), halo=(92, 96, 52), cloud=(110, 110, 60), cover=0.15),
    "Black_rot": Marks(9, 0.028, core=(150, 108, 70), halo=(74, 40, 44)),
    "Cedar_apple_rust": Marks(9, 0.026, core=(226, 130, 28), halo=(206, 180, 60)),
    "Powdery_mildew": Marks(cloud=(216, 220, 210), grain=9, cover=0.5),
    "Cercospora_leaf_spot Gray_leaf_spot": Marks(26, 0.012, 4.0, core=(168, 152, 116), halo=(150, 140, 60)),
    "Common_rust": Marks(110, 0.008, 1.8, core=(150, 66, 24), halo=(176, 150, 70)),
    "Northern_Leaf_Blight": Marks(3, 0.034, 6.0, core=(158, 136, 100), halo=(118, 104, 70)),
    "Esca_(Black_Measles)": Marks(34, 0.022, 2.2, core=(108, 50, 28), halo=(190, 150, 50)),
    "Leaf_blight_(Isariopsis_Leaf_Spot)": Marks(16, 0.042, core=(78, 36, 26), halo=(120, 70, 40)),
    "Bacterial_spot": Marks(45, 0.010, core=DARK, halo=(168, 162, 62)),
    "Early_blight": Marks(7, 0.040, core=(96, 64, 38), halo=YELLOW, rings=True),
    "Late_blight": Marks(3, 0.120, core=(84, 72, 56), halo=(120, 126, 84)),
    "Leaf_scorch": Marks(40, 0.020, core=(104, 38, 48), halo=(140, 66, 60)),
    "Leaf_Mold": Marks(cloud=(190, 172, 60), grain=6, cover=0.4),
    "Septoria_leaf_spot": Marks(60, 0.012, core=(178, 166, 138), halo=(70, 50, 36)),
    "Spider_mites Two-spotted_spider_mite": Marks(cloud=(206, 200, 130), grain=64, cover=0.4),
    "Target_Spot": Marks(22, 0.018, core=(140, 104, 66), halo=(84, 58, 38), rings=True),
    "Tomato_Yellow_Leaf_Curl_Virus": Marks(cloud=(214, 204, 70), grain=4, cover=0.65, curl=0.35),
    "Tomato_mosaic_virus": Marks(cloud=(160, 186, 100), grain=14, cover=0.5, curl=0.12),
}

TABLES: tuple[Colour, ...] = ((150, 142, 148), (168, 160, 158), (126, 118, 122), (136, 124, 108), (96, 92, 96))


def draw_sample(dest: Path, *, per_class: int = 40, side: int = 256, seed: int = 0) -> int:
    """Draw `dest/<class>/0001.jpg`…, for each of CLASSES; returns the number of photos. All of them appear, or none.

    Raises ValueError for a destination that is not empty, or a number out of range.
    """
    for name, value, least in (("per_class", per_class, 1), ("side", side, 16), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} {value} is too small: it must be at least {least}")
    dest = dest.resolve()
    if dest.exists() and not (dest.is_dir() and not any(dest.iterdir())):
        raise ValueError(f"{dest} is there and not empty: a sample needs a folder of its own. Remove it or name another")
    dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=dest.parent, prefix=f".{dest.name}.") as temporary:
        folder = Path(temporary) / "photos"
        _draw_classes(folder, per_class, side, seed)
        folder.replace(dest)
    return per_class * len(CLASSES)


def draw_leaf(name: str, side: int, rng: np.random.Generator) -> Image.Image:
    """One photo of a leaf of the class `name`."""
    crop_name, disease = name.split("___")
    crop, marks = CROPS[crop_name], DISEASES[disease]
    leaf = _Leaf(crop, marks, side, rng)
    colour = _surface(leaf, np.array(crop.green) * rng.uniform(0.85, 1.15) + rng.normal(0, 6, 3))
    mask = leaf.layer([leaf.outline()], blur=0)
    shadow = np.roll(_blur(mask, side / 40), rng.integers(-side // 30, side // 30 + 1, 2), (0, 1))
    table = np.array(TABLES[rng.integers(len(TABLES))]) * rng.uniform(0.8, 1.15)
    photo = _tinted(table, 0.10 * _cloud(rng, 5, side) + 0.10 * _cloud(rng, side // 2, side)) * (1 - 0.5 * shadow[..., None])
    photo = _mix(photo, colour, mask)
    light = rng.uniform(0.85, 1.15) + 0.25 * _slope(rng, side)
    photo = photo * light[..., None] * rng.uniform(0.95, 1.05, 3) + rng.normal(0, 4, photo.shape)
    return Image.fromarray(photo.clip(0, 255).astype(np.uint8))


class _Leaf:
    """A leaf lying somewhere on the photo: from (along the midrib 0..1, across it -1..1) to pixels."""

    def __init__(self, crop: Crop, marks: Marks, side: int, rng: np.random.Generator) -> None:
        self.crop, self.marks, self.side, self.rng = crop, marks, side, rng
        self.length = crop.length * side * rng.uniform(0.85, 1.1)
        self.angle = rng.uniform(0, 2 * np.pi)
        self.centre = side * (0.5 + rng.uniform(-0.06, 0.06, 2))
        self.bend = rng.normal(0, 0.05) + marks.curl * rng.choice([-1, 1]) * rng.uniform(0.5, 1)
        self.width = crop.width * rng.uniform(0.88, 1.12) * (1 - marks.curl)

    def half_width(self, along: NDArray[np.float64]) -> NDArray[np.float64]:
        crop, t = self.crop, along.clip(0, 1)
        teeth = 1 - crop.tooth * (t * crop.teeth % 1)
        lobes = 1 - crop.lobe * np.cos(np.pi * crop.lobes * t) ** 4
        return np.asarray(self.width * np.sin(np.pi * t**crop.peak) ** crop.point * teeth * lobes)

    def place(self, along: object, across: object) -> NDArray[np.float64]:
        t, s = np.broadcast_arrays(np.asarray(along, float), np.asarray(across, float))
        x, y = t - 0.5, s * self.half_width(t) + self.bend * (4 * (t - 0.5) ** 2 - 0.5)
        turn = np.array([[np.cos(self.angle), np.sin(self.angle)], [-np.sin(self.angle), np.cos(self.angle)]])
        return np.asarray(self.length * np.stack([x, y], -1) @ turn + self.centre)

    def outline(self) -> NDArray[np.float64]:
        t = np.linspace(0, 1, 240)
        stalk = self.place([-0.14, -0.14], 0) + [[0, 0], [self.side / 90, self.side / 90]]
        return np.concatenate([stalk, self.place(t, 1), self.place(t[::-1], -1)])

    def veins(self) -> list[NDArray[np.float64]]:
        t, side_veins = np.linspace(0, 1, 12), np.linspace(0.06, 0.8, 8)
        if self.crop.parallel:
            return [self.place(t, across) for across in np.linspace(-0.85, 0.85, 9)]
        reach = np.linspace(0, 1, 5)
        return [self.place(t - 0.1, 0)] + [
            self.place(start + 0.16 * reach, 0.85 * sign * reach) for start in side_veins for sign in (-1, 1)
        ]

    def spots(self) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """Uneven blobs on the leaf, and their halos."""
        marks, rng = self.marks, self.rng
        count = rng.poisson(marks.spots * 0.8) + marks.spots // 5 + 1 if marks.spots else 0
        blobs = []
        low = 0.5 - 0.42 / max(1.0, self.crop.length / 0.85)  # of a leaf longer than the photo: the part in sight
        theta = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        turn = np.array([[np.cos(self.angle), np.sin(self.angle)], [-np.sin(self.angle), np.cos(self.angle)]])
        for centre in self.place(rng.uniform(low, 1 - low, count), rng.uniform(-0.85, 0.85, count)):
            radius = marks.radius * self.side * rng.lognormal(0, 0.3) * rng.uniform(0.8, 1.2, theta.size)
            blob = np.stack([marks.stretch * np.cos(theta), np.sin(theta)], -1) * radius[:, None]
            blobs.append(np.stack([blob @ turn, np.broadcast_to(centre, blob.shape)]))
        grown = 1.0 + 0.012 * self.side / max(marks.radius * self.side, 1)
        return [b[0] + b[1] for b in blobs], [1.5 * b[0] + b[1] for b in blobs] if grown else []

    def layer(self, shapes: Iterable[NDArray[np.float64]], *, blur: float, width: float = 0) -> Floats:
        """Shapes (or lines of a width) as a mask 0..1, drawn at twice the size for smooth edges."""
        image = Image.new("L", (2 * self.side, 2 * self.side))
        draw = ImageDraw.Draw(image)
        for shape in shapes:
            points = [(float(x), float(y)) for x, y in 2 * shape]
            if width:
                draw.line(points, fill=255, width=max(1, round(2 * width)), joint="curve")
            else:
                draw.polygon(points, fill=255)
        mask = np.asarray(image.reduce(2), np.float32) / 255
        return _blur(mask, blur) if blur else mask
