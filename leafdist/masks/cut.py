"""Cuts a leaf out of the lab's table: by how far its colour is from the table's, then by GrabCut. With a rule of trust.

GrabCut: Rother, Kolmogorov and Blake 2004, doi 10.1145/1015706.1015720; the threshold: Otsu 1979.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WORK = 128  # pixels per side of the photo that is cut
BORDER = WORK // 16  # pixels: the table is looked for there
DARK = 40  # added to the sum of a pixel's values, so that shadows, whose hue is noise, count as grey
ROUNDS = 3  # of GrabCut
SCALE = 1000  # from differences of colour to 8 bits
SMALLEST, LARGEST = 0.1, 0.9  # share of a photo that is leaf
SAME = 0.9  # least intersection over union of the threshold's leaf and GrabCut's
WHOLE = 0.95  # least share of GrabCut's leaf that lies in one piece
TABLE = 0.97  # least share of what is not leaf that has the table's colour, and is no brighter than it but by BRIGHTER
BRIGHTER = 90  # of 255: darker are shadows, brighter is a grey leaf on black
COLOURED = 0.85  # least share of the leaf that has not
CLEAR = 35  # least difference of colour, in SCALE, at the threshold
GREEN = -0.03  # least of blue minus green, in shares of all light, of a table; a leaf that fills the photo has less
EDGE = 0.8  # pixels: deviation of the soft edge

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """mask (WORK,WORK) uint8: 1 where the leaf is; doubts: why it is not to be trusted, none where it is."""

    mask: Mask
    doubts: tuple[str, ...]


def cut_leaf(photo: NDArray[np.uint8]) -> Cut:
    """Cut the leaf out of a photo (WORK,WORK,3)."""
    cv2.setNumThreads(1)  # photos are shared out to processes
    colour, light = tint(photo), photo.max(2)
    table, brightness = look_of_table(colour, light)
    away = np.clip(SCALE * np.linalg.norm(colour - table, axis=2), 0, 255).astype(np.uint8)
    level, first = cv2.threshold(away, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    opened = cv2.morphologyEx(first, cv2.MORPH_OPEN, square(3))
    first = largest(np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, square(7)), np.uint8))
    if not SMALLEST / 2 < first.mean() < 1 - SMALLEST / 2:
        return Cut(first, ("size",))
    pieces = refined(photo, first, away < level / 2)
    leaf = largest(pieces)
    if not SMALLEST <= leaf.mean() <= LARGEST:
        return Cut(leaf, ("size",))
    rest = cv2.dilate(leaf, square(3)) == 0
    doubts = {
        "threshold and GrabCut differ": (first & leaf).sum() < SAME * (first | leaf).sum(),
        "several pieces": (pieces & leaf).sum() < WHOLE * pieces.sum(),
        "no table": table[2] - table[1] < GREEN or not rest.any(),
        "faint": level < CLEAR,
        "uneven table": ((away <= level) & (light <= brightness + BRIGHTER))[rest].sum() < TABLE * rest.sum(),
        "grey leaf": (away[leaf > 0] > level).mean() < COLOURED,
    }
    return Cut(leaf, tuple(doubt for doubt, applies in doubts.items() if applies))


def tint(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colour without brightness (h,w,3): distance from grey as a share of all light; dark counts as grey."""
    light = cv2.GaussianBlur(photo, (0, 0), 1).astype(np.float32)
    found: NDArray[np.float32] = (light - light.mean(2, keepdims=True)) / (light.sum(2, keepdims=True) + DARK)
    return found


def look_of_table(colour: NDArray[np.float32], light: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Median colour (3,) and light of that half of the border which is least green: leaves may touch the border."""
    ring = np.ones(colour.shape[:2], bool)
    ring[BORDER:-BORDER, BORDER:-BORDER] = False
    cool = colour[..., 2] - colour[..., 1]
    chosen = ring & (cool >= np.median(cool[ring]))
    median: NDArray[np.float32] = np.median(colour[chosen], axis=0)
    return median, float(np.median(light[chosen]))


def refined(photo: NDArray[np.uint8], first: Mask, like_table: NDArray[np.bool_]) -> Mask:
    """GrabCut's leaf, begun from the threshold's; what has the table's colour far from that leaf is table."""
    states = np.where(first, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    states[like_table & (cv2.dilate(first, square(9)) == 0)] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    lab, leaf, table = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB), np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(lab, states, (0, 0, 1, 1), table, leaf, ROUNDS, cv2.GC_INIT_WITH_MASK)  # the mask counts, no rectangle
    found = np.isin(states, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(found, cv2.MORPH_OPEN, square(3)), np.uint8)


def largest(mask: Mask) -> Mask:
    """The largest piece of a mask, its holes filled."""
    whole = np.zeros_like(mask)
    if found := outlines(mask):
        cv2.drawContours(whole, [max(found, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return whole


def outlines(mask: Mask) -> list[NDArray[np.int32]]:
    """The outer outline of each piece of a mask."""
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(outline, np.int32) for outline in found]


def square(side: int) -> Mask:
    """The pixels that count as near, (side,side)."""
    return np.ones((side, side), np.uint8)


def softened(mask: Mask, side: int) -> Mask:
    """A mask as it is kept: (side,side), 255: leaf; its outermost pixel, which shows the table, is not."""
    inner = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), borderValue=1)
    how = cv2.INTER_AREA if side < WORK else cv2.INTER_LINEAR
    resized = cv2.resize(inner.astype(np.float32), (side, side), interpolation=how)
    return np.asarray(np.rint(255 * cv2.GaussianBlur(resized, (0, 0), EDGE)), np.uint8)


def outlined(photo: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """The photo (h,w,3) with the outline of the leaf in yellow."""
    return np.asarray(cv2.drawContours(photo.copy(), outlines(mask), -1, (255, 255, 0), 1), np.uint8)
