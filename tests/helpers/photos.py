"""Photos drawn for a test."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("Apple___healthy", "Corn___rust, common", "Grape___blight (leaf)")


def draw(root: Path, counts: dict[str, int], side: int = 40, classes: Sequence[str] = CLASSES) -> Path:
    """Draw `counts` photos per class and split, noise around the colour of the class, as root/split/class/n.png."""
    random = np.random.default_rng(0)
    for split, count in counts.items():
        for label, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 90, (side, side, 3), np.uint8)
                pixels[..., label % 3] += 120
                Image.fromarray(pixels).save(root / split / name / f"{number:03}.png")
    return root
