"""Draws one photo of a leaf: the crop gives the outline, the disease its marks, and the rest is chance."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Floats = NDArray[np.float32]
Points = NDArray[np.float64]

TABLES = ((150, 142, 148), (162, 154, 154), (138, 130, 134), (146, 136, 124))


class Crop(NamedTuple):
    """The shape of a leaf: half-widths along the midrib, in lengths of the leaf."""

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


def draw_leaf(crop: Crop, marks: Marks, side: int, rng: np.random.Generator) -> Image.Image:
    """Draw a leaf on a table: position, turn, size, colours and light come from `rng`."""
    leaf = _Leaf(crop, marks, side, rng)
    table = rng.choice(TABLES) * rng.uniform(0.9, 1.1)
    photo = _tinted(table, 0.16 * _noise(rng, 5, side) + 0.2 * _noise(rng, side // 2, side))
    mask = leaf.layer([leaf.outline()])
    shadow = Image.new("L", mask.size)
    small = mask.reduce(4).filter(ImageFilter.GaussianBlur(side / 160))
    shadow.paste(small.resize(mask.size), tuple(rng.integers(-side // 30, side // 30, 2).tolist()))
    _paint(photo, (0, 0, 0), shadow, 0.5)
    photo.paste(_surface(leaf, mask), mask=mask)
    light = np.float32(rng.uniform(0.9, 1.1)) + 0.3 * _noise(rng, 2, side)
    tint = rng.uniform(0.97, 1.03, 3).astype(np.float32)
    grain = 5 * rng.standard_normal((side, side, 1), np.float32)
    return _photo(np.asarray(photo) * light[..., None] * tint + grain)


def _surface(leaf: "_Leaf", mask: Image.Image) -> Image.Image:
    """The colours of the leaf, as if it filled the photo: green, veins, then the marks of the disease."""
    marks, side, rng = leaf.marks, leaf.side, leaf.rng
    green = np.array(leaf.crop.green) * rng.uniform(0.9, 1.1) + rng.normal(0, 5, 3)
    photo = _tinted(green, 0.3 * _noise(rng, 6, side) + 0.25 * _noise(rng, side // 4, side))
    if marks.cloud:  # under the veins, which stay green
        density = _noise(rng, marks.grain, side)
        edge = np.quantile(density[np.asarray(mask) > 0], 1 - marks.cover * rng.uniform(0.75, 1.25))
        _paint(photo, marks.cloud, _photo(255 * ((density - edge) / 0.4 + 0.5)), 0.85)
    _paint(photo, tuple(green * 1.35 + 12), leaf.layer(leaf.veins(), width=side / 150), 0.6)
    spots = leaf.spots()
    if marks.halo:
        _paint(photo, marks.halo, leaf.layer(leaf.scaled(spots, 1.6)).filter(ImageFilter.BoxBlur(side / 150)), 0.8)
    if spots:
        _paint(photo, marks.core, leaf.layer(leaf.scaled(spots, 1.0)), 0.95)
    if marks.rings:
        rings = ImageChops.subtract(leaf.layer(leaf.scaled(spots, 0.75)), leaf.layer(leaf.scaled(spots, 0.4)))
        _paint(photo, (0, 0, 0), rings, 0.45)
    return photo


class _Leaf:
    """A leaf somewhere on the photo; maps (along the midrib 0..1, across it -1..1) to pixels (x, y)."""

    def __init__(self, crop: Crop, marks: Marks, side: int, rng: np.random.Generator) -> None:
        self.crop, self.marks, self.side, self.rng = crop, marks, side, rng
        self.length = crop.length * side * rng.uniform(0.85, 1.1)
        self.width = crop.width * rng.uniform(0.88, 1.12) * (1 - marks.curl)
        self.bend = rng.normal(0, 0.04) + marks.curl * rng.choice([-1, 1]) * rng.uniform(0.5, 1)
        self.centre = side * (0.5 + rng.uniform(-0.06, 0.06, 2))
        cos, sin = np.cos(angle := rng.normal(np.pi / 2, 0.5)), np.sin(angle)
        self.turn = np.array([[cos, -sin], [sin, cos]])  # the tip is up, more or less

    def half_width(self, along: Points) -> Points:
        crop, t = self.crop, along.clip(0, 1)
        teeth = 1 - crop.tooth * (t * crop.teeth % 1)
        lobes = 1 - crop.lobe * np.cos(np.pi * crop.lobes * t) ** 4
        return np.asarray(self.width * np.sin(np.pi * t**crop.peak).clip(0) ** crop.point * teeth * lobes)

    def pixels(self, along: ArrayLike, across: ArrayLike) -> Points:
        t, s = np.broadcast_arrays(np.asarray(along, float), np.asarray(across, float))
        y = s * self.half_width(t) + self.bend * (4 * (t - 0.5) ** 2 - 0.5)
        return np.asarray(self.length * np.stack([t - 0.5, y], -1) @ self.turn + self.centre)

    def outline(self) -> Points:
        t = np.linspace(0, 1, 240)
        return np.concatenate([self.pixels(t, 1), self.pixels(t[::-1], -1)])

    def veins(self) -> list[Points]:
        t, reach = np.linspace(0, 1, 12), np.linspace(0, 1, 5)
        if self.crop.parallel:
            return [self.pixels(t, across) for across in np.linspace(-0.85, 0.85, 9)]
        pairs = [(start, sign) for start in np.linspace(0.06, 0.8, 8) for sign in (-1, 1)]
        return [self.pixels(t, 0)] + [self.pixels(start + 0.16 * reach, 0.85 * sign * reach) for start, sign in pairs]

    def spots(self) -> list[tuple[Points, Points]]:
        """Uneven blobs on the leaf: the centre, and the edge around it."""
        marks, rng = self.marks, self.rng
        count = marks.spots and 1 + rng.poisson(marks.spots - 1)
        seen = 0.42 / max(1.0, self.crop.length)  # of a leaf longer than the photo: the part in sight
        centres = self.pixels(rng.uniform(0.5 - seen, 0.5 + seen, count), rng.uniform(-0.85, 0.85, count))
        theta = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        oval = np.stack([marks.stretch * np.cos(theta), np.sin(theta)], -1) @ self.turn
        radii = marks.radius * self.side * rng.lognormal(0, 0.3, (count, 1, 1)) * rng.uniform(0.8, 1.2, (count, 16, 1))
        return list(zip(centres, radii * oval, strict=True))

    @staticmethod
    def scaled(spots: list[tuple[Points, Points]], factor: float) -> list[Points]:
        return [centre + factor * edge for centre, edge in spots]

    def layer(self, shapes: Iterable[Points], *, width: float = 0) -> Image.Image:
        """Areas, or lines of a width, as a mask: drawn at twice the size for smooth edges."""
        image = Image.new("L", (2 * self.side, 2 * self.side))
        draw = ImageDraw.Draw(image)
        for shape in shapes:
            points = (2 * shape).ravel().tolist()
            if width:
                draw.line(points, fill=255, width=max(1, round(2 * width)))
            else:
                draw.polygon(points, fill=255)
        return image.reduce(2)


def _paint(photo: Image.Image, colour: Sequence[float], mask: Image.Image, share: float) -> None:
    """Lay a colour over the photo where the mask is, as dense as `share`."""
    red, green, blue = (min(255, max(0, round(value))) for value in colour)
    photo.paste((red, green, blue), mask=mask.point([round(share * value) for value in range(256)]))


def _tinted(colour: NDArray[np.float64], change: Floats) -> Image.Image:
    """One colour all over, lighter and darker by `change`."""
    return _photo(colour.astype(np.float32) * (1 + change)[..., None])


def _noise(rng: np.random.Generator, grain: int, side: int) -> Floats:
    """Smooth noise from about -0.5 to 0.5, with `grain` patches across."""
    coarse = Image.fromarray(rng.random((grain, grain), np.float32) - np.float32(0.5))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def _photo(values: Floats) -> Image.Image:
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))
