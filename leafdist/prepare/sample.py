"""Draws a small synthetic leaf data set with the class names of the real one.

Each photo has its own generator, keyed by (seed, class, photo), so that any process draws the same.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from leafdist.prepare.leaf import Crop, Marks, draw_leaf
from leafdist.system import console
from leafdist.system import processes as children

DISEASES_OF = {
    "Apple": ("Apple_scab", "Black_rot", "Cedar_apple_rust", "healthy"),
    "Cherry": ("Powdery_mildew", "healthy"),
    "Corn": ("Cercospora_leaf_spot Gray_leaf_spot", "Common_rust", "Northern_Leaf_Blight", "healthy"),
    "Grape": ("Black_rot", "Esca_(Black_Measles)", "Leaf_blight_(Isariopsis_Leaf_Spot)", "healthy"),
    "Peach": ("Bacterial_spot", "healthy"),
    "Pepper,_bell": ("Bacterial_spot", "healthy"),
    "Potato": ("Early_blight", "Late_blight", "healthy"),
    "Strawberry": ("Leaf_scorch", "healthy"),
    "Tomato": (
        "Bacterial_spot",
        "Early_blight",
        "Late_blight",
        "Leaf_Mold",
        "Septoria_leaf_spot",
        "Spider_mites Two-spotted_spider_mite",
        "Target_Spot",
        "Tomato_Yellow_Leaf_Curl_Virus",
        "Tomato_mosaic_virus",
        "healthy",
    ),
}
CLASSES = tuple(f"{crop}___{disease}" for crop, diseases in DISEASES_OF.items() for disease in diseases)

CROPS = {
    "Apple": Crop(0.31, teeth=26, tooth=0.05, green=(84, 112, 62)),
    "Cherry": Crop(0.25, peak=0.95, point=0.95, teeth=34, tooth=0.04, green=(66, 118, 60)),
    "Corn": Crop(0.15, point=0.25, length=1.6, parallel=True, green=(104, 138, 74)),
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
    "Powdery_mildew": Marks(cloud=(216, 220, 210), grain=16, cover=0.55),
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
    "Tomato_Yellow_Leaf_Curl_Virus": Marks(cloud=(214, 204, 70), grain=4, cover=0.65, curl=0.28),
    "Tomato_mosaic_virus": Marks(cloud=(160, 186, 100), grain=14, cover=0.5, curl=0.12),
}


def draw_sample(dest: Path, *, per_class: int = 40, side: int = 256, seed: int = 0) -> int:
    """Draw `dest/<class>/0001.jpg`, …, for each of CLASSES, all or none; return the number of photos.

    Raises ValueError for a destination that is not empty, or a number out of range.
    """
    for name, value, least in (("per_class", per_class, 1), ("side", side, 32), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} {value} is too small: it must be at least {least}")
    dest = dest.resolve()
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise ValueError(f"{dest} is not an empty folder: a sample needs one of its own. Remove it or name another")
    dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=dest.parent, prefix=f".{dest.name}.") as temporary:
        folder = Path(temporary) / "photos"
        _draw_classes(partial(_draw_class, folder, per_class, side, seed), per_class)
        folder.replace(dest)
    return per_class * len(CLASSES)


def _draw_classes(draw: Callable[[int], None], per_class: int) -> None:
    workers = min(children.usable_cores(), 8, per_class // 5)  # starting one costs as much as drawing 30 photos
    with console.bar(len(CLASSES), "class", "drawing") as bar:
        for _ in children.share_out(draw, range(len(CLASSES)), workers):
            bar.update()


def _draw_class(root: Path, per_class: int, side: int, seed: int, index: int) -> None:
    folder = root / CLASSES[index]
    folder.mkdir(parents=True)
    crop, disease = CLASSES[index].split("___")
    for photo in range(per_class):
        image = draw_leaf(CROPS[crop], DISEASES[disease], side, np.random.default_rng((seed, index, photo)))
        image.save(folder / f"{photo + 1:04}.jpg", quality=90)
